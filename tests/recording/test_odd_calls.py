"""What calls do that are not as they should be, and what is kept of them."""

import json
import wave
from base64 import b64encode
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from opusbridge import events
from opusbridge.recording.reading import read_flight
from opusbridge.recording.recorder import CallRecorder
from opusbridge.recording.transcript_file import SMALL_BYTES
from opusbridge.recording.writer import Writer
from opusbridge.sound import PCM_24K, PCMU_8K, AudioFormat

START = 1000.0  # the shell's clock begins anywhere
FILES = ("call.json", "flight.jsonl", "recording.wav", "transcript.json")


@pytest.fixture
def writer() -> Iterator[Writer]:
    writer = Writer()
    yield writer
    assert writer.close()


def recorder(folder: Path, writer: Writer, format: AudioFormat | None) -> CallRecorder:
    return CallRecorder(folder, format, START, record=True, flight=True, writer=writer)


def frame(raw: bytes) -> tuple[str, int | None, int]:
    return b64encode(raw).decode(), None, len(raw)


def said(item: str) -> dict[str, Any]:
    return {"items": {item: {"item_id": item, "text": "Hallo"}}, "order": [item]}


async def test_what_is_heard_after_the_call_is_over_changes_none_of_its_files(
    tmp_path: Path, writer: Writer
) -> None:
    """A call that broke goes on to be heard for the second in which its sockets close."""
    call = recorder(tmp_path / "call", writer, PCMU_8K)
    news = [{}, said("a"), said("b")]
    call.follow(lambda now: news.pop(0) if news else {})
    call.passed(frame(bytes(160)), START)
    call.hand_over_if_due(START + 1.0)
    call.finish({"call_id": "call"}, {"items": ["all"]}, START + 1.0)
    await call.closed()
    kept = {name: (call.folder / name).read_bytes() for name in FILES}

    for number in range(100):
        now = START + 1.0 + number / 50
        call.passed(frame(bytes(160)), now)
        call.worded("{}", now)
        call.observe(events.CallArrived("c", PCMU_8K, None), now)
        call.hand_over_if_due(now)

    assert writer.close()
    assert writer.broken == 0
    assert {name: (call.folder / name).read_bytes() for name in FILES} == kept


async def test_a_transcript_that_cannot_be_told_at_the_end_stays_as_it_was_told_before(
    tmp_path: Path, writer: Writer
) -> None:
    call = recorder(tmp_path / "call", writer, PCMU_8K)
    news = [said("a"), said("b") | {"order": ["a", "b"]}]
    news[0]["items"]["a"]["text"] = "Hallo " * SMALL_BYTES  # so long that "b" has to wait
    call.follow(lambda now: news.pop(0) if news else {})
    for at in (1.0, 2.0):
        call.hand_over_if_due(START + at)
    call.finish({"call_id": "call"}, None, START + 2.0)
    await call.closed()

    kept = json.loads((call.folder / "transcript.json").read_text())
    assert [item["item_id"] for item in kept["items"]] == ["a", "b"]


async def test_a_call_that_begins_with_something_else_is_recorded_in_its_own_format(
    tmp_path: Path, writer: Writer
) -> None:
    """Read as another one its frames would be loud noise."""
    call = recorder(tmp_path / "call", writer, None)
    call.said("telephony", "in", '{"type":"something.else"}', START)
    call.hand_over_if_due(START + 0.8)
    call.observe(events.CallArrived("c", PCM_24K, None), START + 1.0)
    tone = (8000 * np.sin(2 * np.pi * 300 * np.arange(480) / 24_000)).astype("<i2").tobytes()
    for number in range(50):
        call.passed(frame(tone), START + 1.02 + number / 50)
    call.finish({}, {}, START + 2.0)
    await call.closed()

    with wave.open(str(call.folder / "recording.wav")) as file:
        caller = np.frombuffer(file.readframes(file.getnframes()), "<i2")[::2]
    assert writer.broken == 0
    heard = caller[-len(caller) // 3 :].astype(float)
    assert abs(heard).max() == pytest.approx(8000, rel=0.02)
    assert np.sqrt((heard**2).mean()) == pytest.approx(8000 / np.sqrt(2), rel=0.05)


@pytest.mark.parametrize("space", ["\n", "\r", "\r\n", "\t"])
async def test_words_are_one_line_of_the_flight_however_they_were_written(
    tmp_path: Path, writer: Writer, space: str
) -> None:
    call = recorder(tmp_path / "call", writer, PCMU_8K)
    kind = "response.output_audio_transcript.delta"
    words: dict[str, Any] = {"type": kind, "response_id": "r"}
    words |= {"item_id": "i", "content_index": 0, "delta": "Hallo"}
    call.worded(json.dumps(words).replace(", ", f",{space}"), START + 0.1)
    call.finish({}, {}, START + 1.0)
    await call.closed()

    lines = read_flight(call.folder / "flight.jsonl")
    assert [line["text"] for line in lines if "text" in line] == [words]


async def test_a_bug_of_ours_in_one_file_costs_none_of_the_others_its_end(
    tmp_path: Path, writer: Writer
) -> None:
    call = recorder(tmp_path / "call", writer, PCMU_8K)
    call.said("model", "in", '{"type":"before"}', START)
    call.passed(frame(bytes(160)), START + 0.02)
    what_nobody_can_write: Any = object()
    call.told(what_nobody_can_write, START + 0.1)
    call.finish({"call_id": "call"}, {"items": []}, START + 2.0)
    await call.closed()

    assert writer.close()
    assert writer.broken == 1
    with wave.open(str(call.folder / "recording.wav")) as file:
        assert file.getnframes() == 16_000
    lines = read_flight(call.folder / "flight.jsonl")
    assert [line["text"] for line in lines if "text" in line] == [{"type": "before"}]
    assert json.loads((call.folder / "call.json").read_text()) == {"call_id": "call"}

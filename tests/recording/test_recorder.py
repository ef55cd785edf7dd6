import asyncio
import json
import resource
import threading
import wave
from collections.abc import Iterator
from contextlib import contextmanager
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import structlog
from numpy.typing import NDArray

from opusbridge import effects, events
from opusbridge.audio.formats import Transcoder
from opusbridge.effects import ClearPlayout, CutPlayout, MovePlayout, Note, PlayAudio
from opusbridge.events import CallerSpoke
from opusbridge.recording.reading import read_flight
from opusbridge.recording.recorder import CallRecorder
from opusbridge.recording.writer import Writer
from opusbridge.sound import PCM_8K, PCM_16K, PCM_24K, PCMA_8K, PCMU_8K, Audio, AudioFormat

START = 1000.0  # the shell's clock begins anywhere
Samples = NDArray[np.float64]


def noise(seconds: float, rate_hz: int, seed: int) -> Samples:
    """Speech-like in one respect: it resembles itself at one place only."""
    coarse = np.random.default_rng(seed).normal(0, 4000, round(seconds * 2000))
    steps = np.arange(round(seconds * rate_hz)) * 2000 / rate_hz
    return np.interp(steps, np.arange(len(coarse)), coarse)


def encoded(samples: Samples, format: AudioFormat) -> bytes:
    pcm = AudioFormat(PCM_8K.encoding, format.rate_hz)
    return Transcoder(pcm, format).convert(samples.astype("<i2").tobytes())


def frames(raw: bytes, format: AudioFormat, ms: int = 20) -> list[Audio]:
    size = ms * format.bytes_per_ms
    return [Audio.of(raw[at : at + size], format) for at in range(0, len(raw), size)]


def voices(path: Path) -> tuple[int, Samples, Samples]:
    """The rate and the samples of caller and agent."""
    with wave.open(BytesIO(path.read_bytes())) as file:
        assert (file.getnchannels(), file.getsampwidth()) == (2, 2)
        data = file.readframes(file.getnframes())
        assert len(data) == file.getnframes() * 4
        both = np.frombuffer(data, dtype="<i2").reshape(-1, 2).astype(float)
        return file.getframerate(), both[:, 0], both[:, 1]


def begins_at(voice: Samples, wanted: Samples, rate_hz: int) -> float:
    """Where in ``voice`` ``wanted`` is most like it, in seconds; it must be very like it."""
    size = len(voice) + len(wanted)
    likeness = np.fft.irfft(np.fft.rfft(voice, size) * np.conj(np.fft.rfft(wanted, size)), size)
    at = int(np.argmax(likeness[: len(voice)]))
    there = voice[at : at + len(wanted)]
    there = np.pad(there, (0, len(wanted) - len(there)))
    assert np.corrcoef(there, wanted)[0, 1] > 0.95
    return at / rate_hz


def recorder(
    folder: Path,
    format: AudioFormat | None,
    writer: Writer,
    *,
    record: bool = True,
    flight: bool = True,
) -> CallRecorder:
    return CallRecorder(folder, format, START, record=record, flight=flight, writer=writer)


def names_in(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()}


def loud(voice: Samples, rate_hz: int, begin: float, end: float) -> bool:
    return bool(np.any(np.abs(voice[round(begin * rate_hz) : round(end * rate_hz)]) > 40))


async def test_the_agent_is_where_an_echo_says_that_he_was_heard(
    tmp_path: Path, writer: Writer
) -> None:
    call = recorder(tmp_path, PCMU_8K, writer)
    agent = noise(0.4, 8000, 2)
    for number, frame in enumerate(frames(encoded(agent, PCMU_8K), PCMU_8K, 100)):
        call.observe(PlayAudio(frame, START + 0.55 + 0.1 * number, number > 0), START + 0.5)
    call.observe(MovePlayout(0.06), START + 0.7)
    call.finish({}, {}, START + 1.5)
    await call.closed()

    rate, _, right = voices(tmp_path / "recording.wav")
    assert begins_at(right, agent, rate) == pytest.approx(0.61, abs=0.005)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("format", "rate_hz"),
    [(PCMU_8K, 8000), (PCMA_8K, 8000), (PCM_8K, 8000), (PCM_16K, 24000), (PCM_24K, 24000)],
)
async def test_both_voices_are_where_they_were_heard_within_5_ms(
    tmp_path: Path, writer: Writer, format: AudioFormat, rate_hz: int
) -> None:
    call = recorder(tmp_path, format, writer)
    caller, agent = (noise(3.0, format.rate_hz, seed) for seed in (1, 2))
    jitter, arrival = np.random.default_rng(3), 0.0
    what: list[tuple[float, Any]] = []
    for number, frame in enumerate(frames(encoded(caller, format), format)):
        # Late by up to 30 ms, never before the one before it: the line is a TCP connection.
        arrival = max(arrival, 2.0 + 0.020 * number + 0.020 + jitter.uniform(0, 0.03))
        what.append((arrival, CallerSpoke(frame)))
    # A burst from the model at 1.0, heard from 1.1 on; cleared at 2.5.
    for number, frame in enumerate(frames(encoded(agent, format), format, 100)):
        what.append((1.0, PlayAudio(frame, START + 1.1 + 0.1 * number)))
    what.append((2.5, ClearPlayout()))
    what.extend(
        (3.0, PlayAudio(frame, START + 4.0 + 0.02 * number))
        for number, frame in enumerate(frames(encoded(agent[: format.rate_hz], format), format))
    )
    for at, thing in sorted(what, key=lambda entry: entry[0]):
        call.observe(thing, START + at)
    call.finish({}, {}, START + 6.5)
    await call.closed()

    rate, left, right = voices(tmp_path / "recording.wav")
    assert rate == rate_hz
    assert len(left) == 6.5 * rate_hz
    as_sent = noise(3.0, rate_hz, 1), noise(3.0, rate_hz, 2)
    # The first frame's own jitter (up to 30 ms) is where the line put the caller.
    first_late = what[0][0] - 2.02
    assert begins_at(left, as_sent[0], rate) == pytest.approx(2.0 + first_late, abs=0.005)
    heard = as_sent[1][: round(1.4 * rate_hz)]
    assert begins_at(right[: 3 * rate], heard, rate) == pytest.approx(1.1, abs=0.005)
    assert not loud(right, rate, 2.505, 3.995)
    again = as_sent[1][:rate_hz]
    assert begins_at(right[3 * rate :], again, rate) + 3 == pytest.approx(4.0, abs=0.005)
    assert not loud(right, rate, 5.005, 6.5)


async def test_what_was_not_heard_when_the_call_ended_is_not_in_the_recording(
    tmp_path: Path, writer: Writer
) -> None:
    call = recorder(tmp_path, PCMU_8K, writer)
    call.observe(PlayAudio(Audio.of(b"\x00" * 80_000, PCMU_8K), START + 0.5), START + 0.5)
    call.finish({}, {}, START + 2.0)
    await call.closed()

    rate, left, right = voices(tmp_path / "recording.wav")
    assert len(left) == 2 * rate
    assert not loud(right, rate, 0, 0.5)
    assert loud(right, rate, 1.99, 2.0)


async def test_nor_is_what_was_not_heard_when_the_callers_line_left_us(
    tmp_path: Path, writer: Writer
) -> None:
    call = recorder(tmp_path, PCMU_8K, writer)
    call.observe(PlayAudio(Audio.of(b"\x00" * 32_000, PCMU_8K), START + 0.5), START + 0.5)
    call.observe(CutPlayout(START + 0.95), START + 0.9)
    call.finish({}, {}, START + 2.0)
    await call.closed()

    rate, _, right = voices(tmp_path / "recording.wav")
    assert loud(right, rate, 0.9, 0.94)
    assert not loud(right, rate, 0.955, 2.0)


async def written(writer: Writer) -> None:
    """Everything handed to the writer so far is done."""
    loop, done = asyncio.get_running_loop(), asyncio.Event()
    writer.submit_last(lambda: [loop.call_soon_threadsafe(done.set)].clear(), 0)
    await done.wait()


async def test_the_recording_can_be_played_at_every_moment_of_the_call(
    tmp_path: Path, writer: Writer
) -> None:
    call = recorder(tmp_path, PCMU_8K, writer)
    lengths = []
    for number in range(1, 301):
        call.observe(CallerSpoke(Audio.of(b"\x00" * 160, PCMU_8K)), START + number * 0.02)
        if number % 60 == 0:
            await written(writer)
            lengths.append(len(voices(tmp_path / "recording.wav")[1]) / 8000)
    call.finish({}, {}, START + 6.0)
    await call.closed()

    # Never ahead of the call, never more than two flushes behind it.
    behind = [now - length for now, length in zip((1.2, 2.4, 3.6, 4.8, 6), lengths, strict=True)]
    assert all(0 <= seconds <= 2.1 for seconds in behind)
    assert lengths[-1] > 3.9
    assert len(voices(tmp_path / "recording.wav")[1]) == 6 * 8000


@pytest.mark.slow
async def test_a_line_silent_for_ten_minutes_is_written_in_small_steps(
    tmp_path: Path, writer: Writer
) -> None:
    call = recorder(tmp_path, PCMU_8K, writer, flight=False)
    frame = CallerSpoke(Audio.of(b"\x00" * 160, PCMU_8K))
    call.observe(frame, START + 1.0)
    call.observe(frame, START + 600.0)
    call.finish({}, {}, START + 600.5)
    await call.closed()

    rate, left, _ = voices(tmp_path / "recording.wav")
    assert len(left) == 600.5 * rate
    assert [loud(left, rate, at, at + 0.02) for at in (0.98, 1.0, 599.98, 600)] == [
        True,
        False,
        True,
        False,
    ]


async def test_an_unknown_format_is_told_by_the_call_or_by_the_first_sound(
    tmp_path: Path, writer: Writer
) -> None:
    arrived = events.CallArrived("x", PCM_16K)
    spoke = CallerSpoke(Audio.of(bytes(640), PCM_16K))
    for name, what in (("a", arrived), ("b", spoke)):
        call = recorder(tmp_path / name, None, writer)
        call.observe(ClearPlayout(), START)
        call.observe(what, START)
        call.finish({}, {}, START + 1.0)
        await call.closed()

        rate, left, _ = voices(tmp_path / name / "recording.wav")
        assert (rate, len(left)) == (24_000, 24_000)
        assert read_flight(tmp_path / name / "flight.jsonl")[0]["format"] == "pcm/16000"


async def test_a_call_in_which_nothing_happened_has_all_its_files(
    tmp_path: Path, writer: Writer
) -> None:
    call = recorder(tmp_path, None, writer)
    call.finish({"call_id": "x"}, {"items": []}, START + 0.5)
    await call.closed()

    assert names_in(tmp_path) == {
        "call.json",
        "flight.jsonl",
        "recording.wav",
        "transcript.json",
    }
    assert json.loads((tmp_path / "call.json").read_text()) == {"call_id": "x"}
    assert json.loads((tmp_path / "transcript.json").read_text()) == {"items": []}
    assert len(voices(tmp_path / "recording.wav")[1]) == 4000


@pytest.mark.parametrize(
    ("kept", "names"),
    [
        ({"record": False, "flight": False}, {"call.json"}),
        ({"record": True, "flight": False}, {"call.json", "recording.wav", "transcript.json"}),
        ({"record": False, "flight": True}, {"call.json", "flight.jsonl"}),
    ],
)
async def test_only_what_was_asked_for_is_kept(
    tmp_path: Path, writer: Writer, kept: dict[str, bool], names: set[str]
) -> None:
    call = recorder(tmp_path, PCMU_8K, writer, **kept)
    call.observe(CallerSpoke(Audio.of(bytes(160), PCMU_8K)), START)
    call.observe(Note("answered"), START)
    call.said("model", "in", "{}", START)
    call.finish({}, {}, START + 1)
    await call.closed()

    assert names_in(tmp_path) == names


async def test_messages_and_notes_are_in_the_flight_in_order(
    tmp_path: Path, writer: Writer
) -> None:
    call = recorder(tmp_path, PCMU_8K, writer)
    call.said("telephony", "in", '{"event": "start", "token": "v1.8f2c"}', START + 0.25)
    call.observe(Note("answered", ids=("a",)), START + 0.5)
    call.observe(events.SessionCreated("s"), START + 0.5)
    call.said("model", "out", '{"type": "response.create"}', START + 1.5)
    call.finish({}, {}, START + 2.0)
    await call.closed()

    lines = read_flight(tmp_path / "flight.jsonl")[1:]
    assert [(line["t"], line.get("note") or line["peer"]) for line in lines] == [
        (0.25, "telephony"),
        (0.5, "answered"),
        (1.5, "model"),
    ]
    assert "8f2c" not in (tmp_path / "flight.jsonl").read_text()


async def test_a_disk_that_stands_still_costs_entries_not_the_call(tmp_path: Path) -> None:
    writer, disk_answers = Writer(limit_bytes=10_000), threading.Event()
    call = recorder(tmp_path, PCMU_8K, writer)
    writer.submit(lambda: [disk_answers.wait(5)].clear(), 9_900)
    for number in range(100):
        call.said("model", "in", '{"type": "x"}', START + number * 0.1)
    disk_answers.set()
    await written(writer)
    call.said("model", "in", '{"type": "y"}', START + 20.0)
    call.finish({"call_id": "x"}, {}, START + 21.0)
    await call.closed()

    assert call.dropped > 80
    assert writer.dropped > 5
    lines = read_flight(tmp_path / "flight.jsonl")[1:]
    assert sum(line["value"] for line in lines if line.get("note") == "flight-gap") == call.dropped
    assert sum("text" in line for line in lines) == 101 - call.dropped
    assert (tmp_path / "call.json").exists()
    assert writer.close()


@contextmanager
def largest_file(size_bytes: int) -> Iterator[None]:
    """The nearest thing to a small disk: writing beyond this fails."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size_bytes, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


async def closed_with_warnings(call: CallRecorder) -> list[Any]:
    with structlog.testing.capture_logs() as logged:
        call.said("model", "in", "{}", START)
        call.said("model", "in", "{}", START + 5)
        call.said("model", "in", "{}", START + 10)
        call.finish({"call_id": "x"}, {}, START + 11)
        await call.closed()
    return logged


async def test_a_folder_that_cannot_be_made_is_told_once_and_nothing_else_happens(
    tmp_path: Path, writer: Writer
) -> None:
    (tmp_path / "calls").write_text("a file, not a folder")
    call = recorder(tmp_path / "calls" / "call-1", PCMU_8K, writer)

    logged = await closed_with_warnings(call)

    assert [(line["event"], line["call_id"], line["error"]) for line in logged] == [
        ("a call's files cannot be written", "call-1", "ENOTDIR")
    ]
    assert call.failed > 1


@pytest.mark.parametrize("spoilt", ["recording.wav", "flight.jsonl", "call.json"])
async def test_one_file_that_cannot_be_opened_does_not_cost_the_others(
    tmp_path: Path, writer: Writer, spoilt: str
) -> None:
    (tmp_path / spoilt).mkdir()
    call = recorder(tmp_path, PCMU_8K, writer)

    logged = await closed_with_warnings(call)

    assert len(logged) == 1
    assert call.failed == 1
    names = {"call.json", "flight.jsonl", "recording.wav", "transcript.json"} - {spoilt}
    assert all((tmp_path / name).is_file() for name in names)


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no device that is always full")
async def test_a_full_disk_costs_the_files_not_the_call(tmp_path: Path, writer: Writer) -> None:
    (tmp_path / "recording.wav").symlink_to("/dev/full")
    (tmp_path / "flight.jsonl").symlink_to("/dev/full")
    call = recorder(tmp_path, PCMU_8K, writer)

    logged = await closed_with_warnings(call)

    assert [line["error"] for line in logged] == ["ENOSPC"]
    assert call.failed == 2
    assert (tmp_path / "call.json").is_file()


async def test_a_disk_that_fills_up_during_the_call_leaves_what_was_written_readable(
    tmp_path: Path, writer: Writer
) -> None:
    call = recorder(tmp_path, PCMU_8K, writer, flight=False)
    frame = CallerSpoke(Audio.of(b"\x00" * 160, PCMU_8K))
    with largest_file(100_000):
        for number in range(1, 501):
            call.observe(frame, START + number * 0.02)
        call.finish({"call_id": "x"}, {}, START + 10.0)
        await call.closed()

    assert call.failed == 1
    assert 2 <= len(voices(tmp_path / "recording.wav")[1]) / 8000 <= 100_000 / 32_000
    assert (tmp_path / "call.json").is_file()


async def test_whoever_stops_waiting_spoils_it_for_nobody(tmp_path: Path, writer: Writer) -> None:
    disk_answers = threading.Event()
    writer.submit(lambda: [disk_answers.wait(5)].clear(), 1)
    call = recorder(tmp_path, PCMU_8K, writer)
    call.finish({}, {}, START + 1.0)
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(call.closed(), 0.01)
    disk_answers.set()

    await call.closed()

    assert (tmp_path / "call.json").is_file()


def test_handing_over_a_frame_looks_at_nothing(tmp_path: Path, writer: Writer) -> None:
    call = recorder(tmp_path / "call", PCMU_8K, writer)
    frame = CallerSpoke(Audio("not base64 at all", PCMU_8K))

    call.observe(frame, START)
    call.observe(effects.AppendAudio(frame.audio), START)

    assert not (tmp_path / "call").exists()


# --- The transcript as the call goes ----------------------------------------------------


def shown(item_id: str, text: str) -> dict[str, Any]:
    return {"item_id": item_id, "text": text}


async def test_a_crash_leaves_the_transcript_as_it_was_a_second_ago(
    tmp_path: Path, writer: Writer
) -> None:
    call = recorder(tmp_path, PCMU_8K, writer)
    news: list[dict[str, Any]] = [
        {"items": {"item_1": shown("item_1", "One")}, "order": ["item_1"]},
        {"items": {"item_2": shown("item_2", "Two")}, "order": ["item_2", "item_1"]},
        {"items": {"item_1": shown("item_1", "Uno")}, "pauses": [{"started_ms": 1}]},
        {},
    ]
    seen = []
    call.follow(lambda now: news.pop(0) if news else {})
    for _ in range(4):
        assert call.hand_over_at <= START + 10
        call.hand_over_if_due(call.hand_over_at - 0.001)  # too soon
        call.hand_over_if_due(call.hand_over_at)
        await written(writer)
        seen.append(json.loads((tmp_path / "transcript.json").read_text()))

    one, two, uno = shown("item_1", "One"), shown("item_2", "Two"), shown("item_1", "Uno")
    items = [transcript["items"] for transcript in seen]
    assert items == [[one], [two, one], [two, uno], [two, uno]]
    assert seen[2]["pauses"] == [{"started_ms": 1}]
    assert seen[2]["call_id"] == tmp_path.name
    assert "transcript.json.part" not in names_in(tmp_path)
    call.finish({}, {}, START + 10)
    await call.closed()


async def test_what_a_stuck_disk_refused_of_the_transcript_is_written_later(
    tmp_path: Path,
) -> None:
    writer, disk_answers = Writer(limit_bytes=10_000), threading.Event()
    call = recorder(tmp_path, PCMU_8K, writer)
    news: list[dict[str, Any]] = [
        {"items": {"item_1": shown("item_1", "One")}, "order": ["item_1"]},
        {"items": {"item_2": shown("item_2", "Two")}, "order": ["item_1", "item_2"]},
    ]
    call.follow(lambda now: news.pop(0) if news else {})
    writer.submit(lambda: [disk_answers.wait(5)].clear(), 9_900)
    call.hand_over_if_due(START + 1)
    disk_answers.set()
    await written(writer)
    call.hand_over_if_due(START + 2)
    await written(writer)

    items = json.loads((tmp_path / "transcript.json").read_text())["items"]
    assert [item["text"] for item in items] == ["One", "Two"]
    call.finish({}, {}, START + 10)
    await call.closed()
    assert writer.close()


async def test_a_transcript_that_breaks_is_left_to_the_end_and_costs_nothing_else(
    tmp_path: Path, writer: Writer
) -> None:
    call = recorder(tmp_path, PCMU_8K, writer)

    def breaks(now: float) -> dict[str, Any]:
        raise ZeroDivisionError

    call.follow(breaks)
    with structlog.testing.capture_logs() as lines:
        for _ in range(2):
            call.hand_over_if_due(call.hand_over_at)
    call.finish({}, {"items": []}, START + 10)
    await call.closed()

    assert [line["error"] for line in lines] == ["ZeroDivisionError"]
    assert json.loads((tmp_path / "transcript.json").read_text()) == {"items": []}


async def test_no_transcript_is_followed_where_none_is_wanted(
    tmp_path: Path, writer: Writer
) -> None:
    call = recorder(tmp_path, PCMU_8K, writer, record=False)
    call.follow(lambda now: {"items": {}, "order": []})
    call.hand_over_if_due(START + 1)
    call.observe(Note("answered"), START + 2)
    await written(writer)

    assert names_in(tmp_path) == {"flight.jsonl"}
    call.finish({}, {}, START + 10)
    await call.closed()


# --- Pauses -----------------------------------------------------------------------------


async def test_nothing_said_in_a_pause_is_in_any_file(tmp_path: Path, writer: Writer) -> None:
    call = recorder(tmp_path, PCMU_8K, writer)
    loudly = CallerSpoke(Audio.of(b"\x00" * 160, PCMU_8K))
    for number in range(1, 151):
        now = START + 0.02 * number
        if number == 51:
            call.observe(effects.PauseRecording(), now - 0.02)
            call.observe(Note("withheld", ids=("item_1",)), now - 0.02)
            call.said("telephony", "in", '{"event": "dtmf", "digit": "4711"}', now)
            call.said("telephony", "in", "4711, not JSON", now)
        if number == 101:
            call.observe(effects.ResumeRecording(), now - 0.02)
            call.said("model", "in", '{"type": "x", "item_id": "item_1", "delta": "4711"}', now)
            call.said("model", "in", '{"type": "y", "item_id": "item_2", "delta": "fine"}', now)
            call.observe(Note("withheld", "transfer"), now)
            call.said("telephony", "out", '{"activities":[{"name":"transfer","x":"4711"}]}', now)
        call.observe(loudly, now)
        call.observe(PlayAudio(loudly.audio, now), now)
    call.finish({}, {}, START + 3.0)
    await call.closed()

    rate, left, right = voices(tmp_path / "recording.wav")
    assert len(left) == 3 * rate
    for voice in (left, right):
        assert loud(voice, rate, 0.1, 1.0)
        assert not loud(voice, rate, 1.0, 2.0)
        assert loud(voice, rate, 2.0, 2.1)
    text = (tmp_path / "flight.jsonl").read_text()
    assert "4711" not in text
    assert "fine" in text
    notes = [line["note"] for line in read_flight(tmp_path / "flight.jsonl") if "note" in line]
    assert notes == ["recording-paused", "withheld", "recording-resumed", "withheld"]


async def test_a_stuck_disk_costs_entries_but_never_a_pause(tmp_path: Path) -> None:
    writer, disk_answers = Writer(limit_bytes=10_000), threading.Event()
    call = recorder(tmp_path, PCMU_8K, writer)
    writer.submit(lambda: [disk_answers.wait(5)].clear(), 9_900)
    call.observe(effects.PauseRecording(), START + 0.1)
    call.observe(Note("withheld", ids=("item_1",)), START + 0.1)
    call.said("model", "in", '{"type": "x"}', START + 2.0)
    disk_answers.set()
    await written(writer)
    call.said("model", "in", '{"type": "x", "delta": "4711"}', START + 4.0)
    call.finish({}, {}, START + 5.0)
    await call.closed()

    assert call.dropped == 1
    assert "4711" not in (tmp_path / "flight.jsonl").read_text()
    assert writer.close()


async def test_without_a_flight_a_frame_that_passed_is_not_kept(
    tmp_path: Path, writer: Writer
) -> None:
    call = CallRecorder(tmp_path / "x", PCMU_8K, START, record=False, flight=False, writer=writer)
    call.passed(("VVVV", None, 3), START)
    call.finish({}, {}, START)
    await call.closed()

    assert call._size_bytes == 0
    assert not (tmp_path / "x" / "flight.jsonl").exists()

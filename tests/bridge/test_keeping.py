"""What a call's recorder is handed, and when."""

import asyncio
import json
import threading
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from opusbridge.agent import Agent
from opusbridge.bridge import keeping
from opusbridge.bridge.audiocodes import TelephonyRealtimeBridge
from opusbridge.bridge.keeping import files_complete, write_as_it_goes
from opusbridge.errors import ending
from opusbridge.recording.recorder import CallRecorder
from opusbridge.recording.writer import Writer
from opusbridge.sim.callers import Wait
from opusbridge.sound import PCMU_8K
from opusbridge.tools import CallOutcome
from tests.bridge.virtual import Stage, in_virtual_time, play


@pytest.mark.parametrize("record", [False, True])
def test_what_was_said_on_a_line_that_has_fallen_silent_is_soon_on_the_disk(
    tmp_path: Path, record: bool
) -> None:
    writer = Writer()

    call = CallRecorder(
        tmp_path, PCMU_8K, 0.0, record=record, flight=True, writer=writer, call_id="x"
    )

    async def story() -> None:
        now = asyncio.get_running_loop().time
        keeping = asyncio.create_task(write_as_it_goes(call))
        for word in ("one", "two", "three"):
            await asyncio.sleep(7.3)
            call.said("model", "in", json.dumps({"type": word}), now())
            await asyncio.sleep(0.01)
            call.said("model", "in", json.dumps({"type": f"{word}!"}), now())
            await asyncio.sleep(call.silent_at - now() + 0.01)
        keeping.cancel()
        await asyncio.sleep(0.1)
        call.said("model", "in", json.dumps({"type": "too late"}), call.hand_over_at - 0.01)

    in_virtual_time(story())
    assert writer.close()
    lines = (tmp_path / "flight.jsonl").read_text().splitlines()[1:]
    assert [json.loads(line)["text"]["type"] for line in lines] == [
        *("one", "one!", "two", "two!", "three", "three!")
    ]
    call.finish({}, {}, 30.0)


async def test_where_nothing_is_kept_nobody_looks() -> None:
    await write_as_it_goes(None)
    await files_complete(None)


def test_a_disk_that_stands_still_does_not_keep_a_call_that_is_over(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    writer, disk_answers = Writer(), threading.Event()
    writer.submit(lambda: [disk_answers.wait(30)].clear(), 0)

    def recorder(call_id: str, started: object, now: float) -> CallRecorder:
        return CallRecorder(
            tmp_path, None, now, record=True, flight=True, writer=writer, call_id=call_id
        )

    async def limited(stage: Stage) -> None:
        monkeypatch.setattr(keeping, "FILES_SECONDS", 5.0)

    with capture_logs() as lines:
        story = play(TelephonyRealtimeBridge, [Wait(1.0)], recorder=recorder, during=limited)
        _, how = in_virtual_time(story)

    assert how == ending("caller-hung-up")
    (line,) = (one for one in lines if one["log_level"] == "warning")
    assert line["event"].startswith("the disk is slow")
    assert not (tmp_path / "call.json").exists()
    disk_answers.set()
    assert writer.close()
    assert (tmp_path / "call.json").exists()


@pytest.mark.parametrize("spoilt", ["calls", "calls/call-1/recording.wav"])
def test_a_folder_is_named_to_whoever_is_told_of_the_end_if_anything_is_in_it(
    tmp_path: Path, spoilt: str
) -> None:
    writer, outcomes, folder = Writer(), list[CallOutcome](), tmp_path / "calls" / "call-1"
    if spoilt == "calls":
        (tmp_path / spoilt).write_text("a file, not a folder")
    else:
        (tmp_path / spoilt).mkdir(parents=True)

    def recorder(call_id: str, started: object, now: float) -> CallRecorder:
        return CallRecorder(folder, None, now, record=True, flight=True, writer=writer)

    async def on_end(outcome: CallOutcome) -> None:
        outcomes.append(outcome)

    agent = Agent(name="desk", instructions="Be kind.", on_end=on_end)
    in_virtual_time(play(TelephonyRealtimeBridge, [Wait(1.0)], agent=agent, recorder=recorder))
    writer.close()

    (outcome,) = outcomes
    assert outcome.folder == (None if spoilt == "calls" else folder)

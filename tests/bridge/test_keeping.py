"""What a call's recorder is handed, and when."""

import asyncio
import json
from pathlib import Path

from opusbridge.bridge.keeping import write_as_it_goes
from opusbridge.recording.recorder import FLIGHT_SECONDS, CallRecorder
from opusbridge.recording.writer import Writer
from opusbridge.sound import PCMU_8K
from tests.bridge.virtual import in_virtual_time


def test_what_was_said_on_a_line_that_has_fallen_silent_is_soon_on_the_disk(
    tmp_path: Path,
) -> None:
    writer = Writer()

    call = CallRecorder(
        tmp_path, PCMU_8K, 0.0, record=False, flight=True, writer=writer, call_id="x"
    )

    async def story() -> None:
        now = asyncio.get_running_loop().time
        keeping = asyncio.create_task(write_as_it_goes(call))
        for word in ("one", "two", "three"):
            await asyncio.sleep(7.3)
            call.said("model", "in", json.dumps({"type": word}), now())
            await asyncio.sleep(FLIGHT_SECONDS + 0.06)
        keeping.cancel()
        await asyncio.sleep(0.1)
        call.said("model", "in", json.dumps({"type": "too late"}), call.hand_over_at - 0.01)

    in_virtual_time(story())
    assert writer.close()
    lines = (tmp_path / "flight.jsonl").read_text().splitlines()[1:]
    assert [json.loads(line)["text"]["type"] for line in lines] == ["one", "two", "three"]
    call.finish({}, {}, 30.0)


async def test_where_nothing_is_kept_nobody_looks() -> None:
    await write_as_it_goes(None)

"""What takes a short cut is written down in the order in which it happened."""

from pathlib import Path

from opusbridge import events
from opusbridge.bridge.outbox import MOST_WAITING, Outbox
from opusbridge.bridge.shortcuts import ShortCuts
from opusbridge.recording.reading import salvage
from opusbridge.recording.recorder import CallRecorder
from opusbridge.recording.writer import Writer
from opusbridge.sound import PCMU_8K
from tests.call.test_flow import engine
from tests.call.wires import dumped, encoded


async def test_the_frame_at_which_the_model_stalls_comes_before_that(tmp_path: Path) -> None:
    heart, writer, broken = engine("twilio", [], watched=()), Writer(), list[Exception]()
    recorder = CallRecorder(tmp_path, PCMU_8K, 0.0, record=False, flight=True, writer=writer)
    stalls = list[int]()

    def stalled() -> None:
        recorder.told(events.PeerStalled("model"), 2.0)
        stalls.append(frames)

    def general(*_: object) -> None:
        raise AssertionError("a frame goes the short way")

    cuts = ShortCuts(heart, recorder, lambda: 2.0, general, general, broken.append)
    cuts.lead_to(Outbox(general), Outbox(stalled))  # type: ignore[arg-type]  # all they are asked

    frames = 0
    while not stalls and frames < 2 * MOST_WAITING:
        frames += 1
        media = {"track": "inbound", "chunk": str(frames), "timestamp": str(frames * 20)}
        media["payload"] = encoded(bytes(160))
        cuts.telephony_said(dumped(event="media", sequenceNumber="3", streamSid="MZ1", media=media))

    recorder.finish({}, {}, 2.0)
    await recorder.closed()
    writer.close()
    assert broken == []
    lines = [line for line in salvage(tmp_path / "flight.jsonl").lines if "n" in line]
    told = next(line for line in lines if line.get("event") == "PeerStalled")
    assert told["n"] == 2 * stalls[0] + 1

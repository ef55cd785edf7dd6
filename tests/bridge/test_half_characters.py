"""Half of a character, from a peer or a tool: nobody loses more than that half."""

from datetime import datetime
from pathlib import Path

import orjson
import pytest

from opusbridge.agent import Agent
from opusbridge.audio.wav import wav_bytes
from opusbridge.errors import ending
from opusbridge.recording.recorder import CallRecorder
from opusbridge.recording.writer import Writer
from opusbridge.replay.replaying import assert_replays
from opusbridge.sim.callers import HangUp, Say, Step, Wait, WaitForAgent
from opusbridge.sim.model import Reply, ReplyScript, ToolCallReply
from opusbridge.sim.tones import voice
from opusbridge.tools import CallContext, CallOutcome, tool, transfer_call
from opusbridge.webhooks.letters import call_ended
from tests.bridge import virtual
from tests.bridge.virtual import BRIDGES, AnyBridge, PartySocket, Stage, in_virtual_time, play

#: Stands for it in the pretend model's words, which are put on the wire properly.
HALF = "-HALF-"


class CutInTheMiddle(PartySocket):
    async def receive_text(self) -> str:
        return (await super().receive_text()).replace(HALF, r"\ud83d")


async def look_up(call: CallContext, what: str) -> str:
    call.play(Path("found.wav"), "played \ud83d")
    return f"{what}, and the tool's \ud83d"


look_up.__doc__ = "Look it up. \ud83d"  # Python 3.13 compiles none that is so written


@tool
async def book() -> str:
    """Book it."""
    raise ValueError("\ud83d")


AGENT = Agent(
    name="desk",
    instructions="Be kind.",
    greeting=None,
    tools=[tool(look_up), book, transfer_call],
    destinations={"billing": "+15550100300"},
)
CALLS = (
    ToolCallReply("look_up", f'{{"what": "asked {HALF}"}}'),
    ToolCallReply(f"book{HALF}", "{}"),
    ToolCallReply("book", "{}"),
)
WORDS = Reply(f"Model's {HALF} is said.", voice(600, 24_000))


@pytest.mark.slow
@pytest.mark.parametrize("bridge", BRIDGES, ids=["audiocodes", "twilio"])
def test_half_a_character_costs_nothing_but_itself(
    bridge: type[AnyBridge], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(virtual, "PartySocket", CutInTheMiddle)
    monkeypatch.chdir(tmp_path)
    Path("found.wav").write_bytes(wav_bytes(voice(300, 8_000), 8_000, 1))
    outcomes: list[CallOutcome] = []
    writer, folder = Writer(), tmp_path / "call"
    folder.mkdir()

    def recorder(call_id: str, started: datetime, now: float) -> CallRecorder:
        return CallRecorder(
            folder, None, now, record=True, flight=True, writer=writer, call_id=call_id
        )

    async def during(stage: Stage) -> None:
        await stage.until(lambda: bool(stage.requests()))
        stage.bridge.say("the operator's \ud83d")

    async def on_end(outcome: CallOutcome) -> None:
        outcomes.append(outcome)

    agent = AGENT.model_copy(update={"on_end": on_end})
    steps: list[Step] = [Wait(0.3), Say(voice(600, 8_000), 8_000, "something"), WaitForAgent()]
    replies = ReplyScript([Reply("One moment.", voice(400, 24_000), CALLS), WORDS])
    stage, how = in_virtual_time(
        play(
            bridge,
            [*steps, Wait(8.0), HangUp()],
            agent=agent,
            replies=replies,
            recorder=recorder,
            during=during,
        )
    )
    writer.close()

    assert how == ending("caller-hung-up")
    assert writer.broken == 0
    files = {path.name: path.read_bytes() for path in folder.iterdir()}
    assert set(files) == {"call.json", "flight.jsonl", "recording.wav", "transcript.json"}
    assert orjson.loads(files["call.json"])["ending"]["reason"] == "caller-hung-up"
    flight = [orjson.loads(line) for line in files["flight.jsonl"].splitlines()]
    assert "the operator's \ufffd" in str(flight)
    assert not any(line.get("note") == "bad-message" for line in flight)
    (outcome,) = outcomes
    letter = orjson.loads(call_ended(outcome, tmp_path, transcript=True))
    for items in (orjson.loads(files["transcript.json"])["items"], letter["transcript"]["items"]):
        said = [item["text"] for item in items]
        assert "Model's \ufffd is said." in said
        assert "played \ufffd" in said
        assert any("asked \ufffd, and the tool's \ufffd" in text for text in said)
    told = str(stage.model_socket.sent)
    for words in (
        "Look it up. \ufffd",
        "the operator's \ufffd",
        "played \ufffd",
        "the tool's \ufffd",
    ):
        assert words in told
    assert_replays(folder / "flight.jsonl")
    assert stage.verdict() == []

"""The agents of docs/examples/, each called on both sides."""

import sys
from datetime import datetime
from pathlib import Path
from typing import Any

import orjson
import pytest

from opusbridge import effects
from opusbridge.agent import Agent
from opusbridge.errors import ending
from opusbridge.recording.recorder import CallRecorder
from opusbridge.recording.writer import Writer
from opusbridge.sim.callers import HangUp, Press, Say, Step, Wait, WaitForAgent
from opusbridge.sim.model import Reply, ReplyScript, ToolCallReply
from opusbridge.sim.tones import voice
from opusbridge.tools import CallContext, CallOutcome
from tests.bridge.virtual import BRIDGES, AnyBridge, Stage, in_virtual_time, play

pytestmark = pytest.mark.usefixtures("quiet")

both_bridges = pytest.mark.parametrize("bridge", BRIDGES, ids=["audiocodes", "twilio"])
AUDIOCODES = BRIDGES[0]

EXAMPLES = Path(__file__).parents[2] / "docs" / "examples"
PIN = "8392"


def example(name: str) -> Agent:
    """Afresh: their books are dicts of the module."""
    return Agent.load(str(EXAMPLES / name))


def books() -> list[str]:
    """Those of the card desk that was loaded last."""
    (module,) = (one for name, one in sys.modules.items() if "_agent_card_desk" in name)
    found: list[str] = module.BOOKS
    return found


def said(ms: int = 700) -> Say:
    return Say(voice(ms, 8_000), 8_000, "something")


def spoken(text: str) -> Reply:
    return Reply(text, voice(600, 24_000))


def calls(tool: str, text: str = "", /, **arguments: str) -> Reply:
    sound = voice(600, 24_000) if text else None
    return Reply(text, sound, (ToolCallReply(tool, orjson.dumps(arguments).decode()),))


def outputs(stage: Stage) -> list[Any]:
    items = [text["item"] for _, text in stage.to_model("conversation.item.create")]
    return [orjson.loads(item["output"]) for item in items if "output" in item]


@both_bridges
@pytest.mark.slow
def test_the_card_desk_replaces_a_card_and_keeps_the_pin_to_itself(
    bridge: type[AnyBridge], tmp_path: Path
) -> None:
    def recorder(call_id: str, started: datetime, now: float) -> CallRecorder:
        return CallRecorder(
            tmp_path, None, now, record=True, flight=True, writer=writer, call_id=call_id
        )

    writer = Writer()
    steps: list[Step] = [WaitForAgent(), said(), WaitForAgent(), Wait(0.5), Press(PIN)]
    steps += [WaitForAgent(), said(), WaitForAgent(), Wait(3.0)]
    replies = [
        spoken("This is the card desk. What is your customer number?"),
        calls("find_customer", customer_number="4711"),
        calls("check_pin", "Please type your PIN now."),
        spoken("Thank you. Was it lost?"),
        calls("replace_card", reason="lost"),
        calls("hang_up", "It arrives within five working days. Goodbye.", reason="done"),
    ]
    stage, how = in_virtual_time(
        play(
            bridge,
            steps,
            agent=example("card_desk.py"),
            replies=ReplyScript(replies),
            recorder=recorder,
        )
    )
    writer.close()

    assert how == ending("agent-hung-up")
    assert outputs(stage)[:3] == [
        {"name": "Robin Keller"},
        {"right": True, "tries_left": 2},
        {"arrives": "within five working days"},
    ]
    for path in tmp_path.iterdir():
        assert PIN.encode() not in path.read_bytes(), path.name
    assert PIN not in repr(stage.model_socket.sent)
    assert books() == [f"call {stage.bridge.call_id} agent-hung-up: 1 card(s) sent"]
    assert stage.verdict() == []


@pytest.mark.slow
def test_a_stolen_card_and_the_key_0_go_to_the_fraud_desk(tmp_path: Path) -> None:
    def recorder(call_id: str, started: datetime, now: float) -> CallRecorder:
        folder = tmp_path / call_id
        return CallRecorder(folder, None, now, record=False, flight=False, writer=writer)

    writer = Writer()
    stolen = [
        spoken("This is the card desk."),
        calls("transfer_call", "I put you through.", destination="fraud", reason="stolen"),
    ]
    steps: list[Step] = [WaitForAgent(), said(), WaitForAgent(), Wait(5.0)]
    keyed: list[Step] = [WaitForAgent(), Press("0"), Wait(5.0)]
    for does, script in ((steps, stolen), (keyed, stolen[:1])):
        stage, how = in_virtual_time(
            play(
                AUDIOCODES,
                does,
                agent=example("card_desk.py"),
                replies=ReplyScript(script),
                recorder=recorder,
            )
        )

        (handed,) = [what for _, what in stage.seen if isinstance(what, effects.TransferCall)]
        assert handed.target.value == "+15550100300"
        assert how == ending("transferred")
    writer.close()
    kept = [orjson.loads(path.read_bytes()) for path in tmp_path.glob("*/call.json")]
    handed_over = sorted((call["handover"] for call in kept), key=orjson.dumps)
    # Nothing is recorded: what was said in these calls is in no file.
    assert handed_over == [
        {"reason": "key", "tools": []},
        {"reason": "stolen", "tools": [{"name": "transfer_call"}]},
    ]


@pytest.mark.parametrize(
    ("tool", "state", "arguments", "error"),
    [
        ("find_customer", {}, {"customer_number": "1"}, "no such customer"),
        ("check_pin", {}, {}, "first find"),
        ("check_pin", {"customer": None, "tries": 3}, {}, "too many"),
        ("replace_card", {"known": False}, {"reason": "lost"}, "first check"),
        ("replace_card", {"known": True}, {"reason": "stolen"}, "wrong arguments"),
    ],
)
async def test_the_tools_of_the_card_desk_insist_on_their_order(
    tool: str, state: dict[str, Any], arguments: dict[str, str], error: str
) -> None:
    found = example("card_desk.py").tool(tool)
    assert found is not None

    with pytest.raises(Exception, match=error):
        await found.run(orjson.dumps(arguments).decode(), CallContext("call-1", state=state))


async def test_the_card_desk_books_calls_of_nobody_known() -> None:
    agent = example("card_desk.py")
    assert agent.on_end is not None
    call = {"ending": {"reason": "caller-hung-up"}}
    await agent.on_end(CallOutcome("call-1", call, {}, None, {}))

    assert books() == ["call call-1 caller-hung-up: nobody known"]


@both_bridges
@pytest.mark.slow
def test_the_practice_gives_appointments_in_german(bridge: type[AnyBridge]) -> None:
    steps: list[Step] = [WaitForAgent(), said(), WaitForAgent(), said(), WaitForAgent(), HangUp()]
    booking = {"tag": "Montag", "zeit": "9 Uhr", "name": "Robin Keller"}
    replies = [
        spoken("Zahnarztpraxis am Park, guten Tag."),
        calls("freie_zeiten", tag="Montag"),
        spoken("Am Montag um neun?"),
        calls("termin_buchen", **booking),
        spoken("Gebucht. Auf Wiederhören."),
    ]
    stage, how = in_virtual_time(
        play(bridge, steps, agent=example("praxis.py"), replies=ReplyScript(replies))
    )

    assert how == ending("caller-hung-up")
    assert outputs(stage) == [
        {"tag": "Montag", "zeiten": ["9 Uhr", "14 Uhr 30"]},
        {"status": "gebucht", "tag": "Montag", "zeit": "9 Uhr"},
    ]
    assert stage.verdict() == []


async def test_an_hour_that_is_gone_is_not_given_twice() -> None:
    book = example("praxis.py").tool("termin_buchen")
    assert book is not None
    wish = '{"tag": "Mittwoch", "zeit": "10 Uhr", "name": "Robin Keller"}'
    await book.run(wish, CallContext("call-1"))

    with pytest.raises(Exception, match="nicht frei"):
        await book.run(wish, CallContext("call-2"))


async def test_who_is_known_is_greeted_by_name() -> None:
    agent = example("praxis.py")
    assert agent.configure is not None

    known = await agent.configure(CallContext("call-1", caller="+15550104477"))
    assert "Frau Keller" in agent.changed(known).greeting  # type: ignore[operator]  # it has one
    assert await agent.configure(CallContext("call-1")) is None

"""Agents that use tools, on both bridges: whatever a tool does, the caller is answered once."""

import asyncio
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import orjson
import pytest

from opusbridge import effects, events
from opusbridge.agent import Agent
from opusbridge.audio.wav import wav_bytes
from opusbridge.bridge.tools import run_tool
from opusbridge.errors import ending
from opusbridge.privacy import Private
from opusbridge.sim.callers import HangUp, Say, Step, Wait, WaitForAgent
from opusbridge.sim.model import Reply, ReplyScript, ToolCallReply
from opusbridge.sim.tones import voice
from opusbridge.tools import CallContext, Tool, ToolFailed, tool
from tests.bridge.virtual import BRIDGES, AnyBridge, Stage, in_virtual_time, play

pytestmark = pytest.mark.usefixtures("quiet")

both_bridges = pytest.mark.parametrize("bridge", BRIDGES, ids=["audiocodes", "twilio"])

FOUND = Reply("It has left, and it will be with you before the evening.")


def said(ms: int = 400) -> Say:
    return Say(voice(ms, 8_000), 8_000, "something")


def asks(*names: str, preamble: str = "") -> Reply:
    calls = tuple(ToolCallReply(name, arguments) for name, _, arguments in map(_split, names))
    return Reply(preamble, tool_calls=calls)


def _split(name: str) -> tuple[str, str, str]:
    name, _, arguments = name.partition(" ")
    return name, "", arguments or "{}"


def after(seconds: float, result: Any = "it has left", **manners: Any) -> Tool:
    async def look_up() -> Any:
        """Look it up."""
        await asyncio.sleep(seconds)
        return result

    return tool(**{"timeout_seconds": 60.0, **manners})(look_up)


def tell(
    bridge: type[AnyBridge], steps: Sequence[Step], tools: Sequence[Tool], *replies: Reply
) -> Stage:
    """A caller who asks once at 0.3 s, and then does this."""
    agent = Agent(name="front-desk", instructions="Be kind.", tools=tools)
    script = ReplyScript(replies)
    stage, how = in_virtual_time(
        play(bridge, [Wait(0.3), said(), *steps, HangUp()], agent=agent, replies=script)
    )
    assert how == ending("caller-hung-up")
    assert stage.verdict() == []
    return stage


def outputs(stage: Stage) -> list[Any]:
    created = [text["item"] for _, text in stage.to_model("conversation.item.create")]
    return [item["output"] for item in created if item["type"] == "function_call_output"]


def errors(stage: Stage) -> list[str]:
    return [orjson.loads(output)["error"] for output in outputs(stage)]


def why(stage: Stage) -> list[str]:
    return [text["response"]["metadata"]["why"] for _, text in stage.requests()]


# --- Several, and such as fail ----------------------------------------------------------


@both_bridges
@pytest.mark.slow
def test_tools_of_one_response_run_side_by_side_and_lead_to_one_reply(
    bridge: type[AnyBridge],
) -> None:
    @tool
    async def first() -> str:
        """One."""
        await asyncio.sleep(2.0)
        return "one"

    @tool
    async def second() -> str:
        """Two."""
        await asyncio.sleep(1.0)
        return "two"

    stage = tell(bridge, [WaitForAgent()], [first, second], asks("first", "second"), FOUND)

    assert outputs(stage) == ["two", "one"]
    ran = stage.at(effects.RunTool)
    assert stage.at(effects.AddToolOutput)[-1] - ran[0] < 2.5, "one after the other takes three"
    assert why(stage) == ["turn", "tools"]


@both_bridges
@pytest.mark.slow
def test_a_tool_that_cannot_be_used_is_a_short_error_to_the_model_and_the_call_goes_on(
    bridge: type[AnyBridge],
) -> None:
    @tool
    async def broken() -> str:
        """It raises."""
        raise RuntimeError("a secret")

    @tool(timeout_seconds=1.0)
    async def endless() -> str:
        """It never returns."""
        await asyncio.Event().wait()
        return ""

    @tool
    async def strict(size: int) -> str:
        """It wants a number."""
        return str(size)

    @tool
    async def huge() -> list[str]:
        """Ten megabytes."""
        return ["x" * 1000] * 10_000

    @tool
    async def odd() -> object:
        """What JSON cannot say."""
        return object()

    names = ("broken", "endless", 'strict {"size": "big"}', "huge", "odd", "unheard_of")
    tools = [broken, endless, strict, huge, odd]
    stage = tell(bridge, [WaitForAgent()], tools, asks(*names), FOUND)

    told = sorted(errors(stage))
    assert told == [
        "broken failed",
        "endless took longer than 1 s",
        "odd failed",
        "the result of huge is too long: more than 16384 characters",
        "there is no such tool",
        "wrong arguments: size: Input should be a valid integer, unable to parse string as an "
        "integer",
    ]
    assert why(stage) == ["turn", "tools"]


async def test_a_tool_that_was_refused_is_told_from_one_that_failed() -> None:
    @tool
    def strict(size: int) -> str:
        """Wants a number."""
        raise ToolFailed("wrong arguments: too small")

    agent = Agent(name="a", instructions="b", tools=[strict])
    found: list[events.ToolFinished | events.ApprovalDecided] = []
    for name, given in (("strict", '{"size": 1}'), ("strict", "{}"), ("unheard_of", "{}")):
        wanted = effects.RunTool("call_1", name, Private(given))
        await run_tool(agent, wanted, CallContext("call-1"), found.append)

    told = [one for one in found if isinstance(one, events.ToolFinished)]
    assert [(one.failed, one.refused) for one in told] == [
        (True, False), (True, True), (True, True)
    ]  # fmt: skip


# --- Slow ones --------------------------------------------------------------------------


@both_bridges
@pytest.mark.slow
def test_a_caller_who_talks_while_a_slow_tool_runs_is_answered_and_the_result_told_once(
    bridge: type[AnyBridge],
) -> None:
    still_there = Reply("I am still looking.")
    stage = tell(
        bridge,
        [Wait(2.0), said(), Wait(1.0), said(300), Wait(9.0), WaitForAgent()],
        [after(8.0)],
        asks("look_up"),
        still_there,
        still_there,
        FOUND,
    )

    assert outputs(stage) == ["it has left"]
    assert [one.split("+")[-1] for one in why(stage)] == ["turn", "turn", "turn", "tools"]
    created = [one.type for one in stage.model.history if one.type == "response.created"]
    assert len(created) == 4, "no answer was given twice"


@both_bridges
@pytest.mark.slow
def test_a_result_that_comes_after_the_caller_hung_up_changes_nothing(
    bridge: type[AnyBridge],
) -> None:
    ended: list[str] = []

    @tool(timeout_seconds=60.0)
    async def look_up() -> str:
        """It does not mind being cancelled."""
        try:
            await asyncio.sleep(3.0)
        except asyncio.CancelledError:
            ended.append("cancelled")
        return "it has left"

    stage = tell(bridge, [Wait(2.0)], [look_up], asks("look_up"))

    assert ended == ["cancelled"]
    assert outputs(stage) == []
    assert stage.at(events.ToolFinished) == []


@both_bridges
@pytest.mark.slow
def test_a_slow_tool_says_first_what_it_should_and_its_result_after_that(
    bridge: type[AnyBridge],
) -> None:
    moment = "One moment, I am looking that up."
    tools = [after(5.0, say_first=moment)]
    stage = tell(bridge, [Wait(9.0)], tools, asks("look_up"), Reply(moment), FOUND)

    asked = [text["response"] for _, text in stage.requests()]
    assert why(stage) == ["turn", "preamble", "tools"]
    assert asked[1]["instructions"].endswith(moment)
    assert asked[1]["tool_choice"] == "none"
    assert "instructions" not in asked[2]
    # It is said while the tool runs.
    assert stage.requests()[1][0] < stage.at(effects.AddToolOutput)[0] - 4.0


@both_bridges
@pytest.mark.slow
def test_a_model_with_words_of_its_own_is_told_no_others(bridge: type[AnyBridge]) -> None:
    tools = [after(3.0, say_first="One moment.")]
    stage = tell(bridge, [Wait(8.0)], tools, asks("look_up", preamble="Let me see."), FOUND)

    assert why(stage) == ["turn", "tools"]


@both_bridges
@pytest.mark.slow
def test_a_filler_is_heard_while_a_tool_runs_and_stops_when_the_answer_begins(
    bridge: type[AnyBridge], tmp_path: Path
) -> None:
    (tmp_path / "typing.wav").write_bytes(wav_bytes(voice(20_000, 8_000), 8_000, 1))
    tools = [after(2.5, filler_after=1.0, filler=tmp_path / "typing.wav")]
    stage = tell(bridge, [Wait(8.0)], tools, asks("look_up"), FOUND)

    (began,) = (at for at, what in stage.seen if what == effects.Note("hold", "filler"))
    assert began - stage.at(effects.RunTool)[0] == pytest.approx(1.0, abs=0.05)
    assert stage.at(effects.ClearPlayout) == [min(stage.at(events.ModelSpoke))]
    assert stage.at(effects.TruncateItem) == []


@both_bridges
@pytest.mark.slow
@pytest.mark.parametrize(("reply", "preamble", "replies"), [
    ("never", "I have made a note of that.", False),
    ("if_silent", "I have made a note of that.", False),
    ("if_silent", "", True),
])  # fmt: skip
def test_a_tool_says_whether_it_is_spoken_of(
    bridge: type[AnyBridge], reply: str, preamble: str, replies: bool
) -> None:
    tools = [after(0.5, reply=reply)]
    stage = tell(bridge, [Wait(5.0)], tools, asks("look_up", preamble=preamble), FOUND)

    assert outputs(stage) == ["it has left"]
    assert why(stage) == (["turn", "tools"] if replies else ["turn"])


@pytest.mark.slow
def test_a_tool_that_fails_while_it_holds_the_caller_leaves_nobody_on_hold() -> None:
    @tool
    async def ask_somebody(call: CallContext) -> str:
        """Nobody is there."""
        call.hold()
        await asyncio.sleep(1.0)
        raise RuntimeError("nobody")

    steps: list[Step] = [WaitForAgent(), said(), Wait(1.0), WaitForAgent()]
    stage = tell(BRIDGES[0], steps, [ask_somebody], asks("ask_somebody"), FOUND, FOUND)

    held = [what for _, what in stage.seen if isinstance(what, events.HoldRequested)]
    (wanted,) = [what for _, what in stage.seen if isinstance(what, effects.RunTool)]
    assert held == [events.HoldRequested(True, wanted.tool_call_id)]
    assert why(stage) == ["turn", "tools+text", "turn"], "he is heard again"

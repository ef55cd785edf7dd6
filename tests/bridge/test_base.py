"""The shell of a call: what it carries, what it survives, and what it leaves behind."""

import asyncio
import logging
from datetime import datetime
from pathlib import Path
from random import Random
from typing import Any

import orjson
import pytest
import structlog
from prometheus_client import CollectorRegistry

from opusbridge import effects, events
from opusbridge.agent import Agent
from opusbridge.bridge import base
from opusbridge.bridge.base import FLUSH_SECONDS
from opusbridge.bridge.metrics import Metrics
from opusbridge.bridge.outbox import MOST_WAITING
from opusbridge.bridge.summary import show_note
from opusbridge.call.tally import Tally
from opusbridge.call.transcript import Transcript
from opusbridge.config import Settings
from opusbridge.effects import Effect
from opusbridge.errors import PeerGone, TransferRefused, ending
from opusbridge.events import Event
from opusbridge.logs import BadMessages
from opusbridge.recording.recorder import CallRecorder
from opusbridge.recording.writer import Writer
from opusbridge.replay import replay
from opusbridge.sim.callers import HangUp, Say, Step, Wait, WaitForAgent
from opusbridge.sim.model import Knobs, Reply, ReplyScript, SimulatedModel, ToolCallReply
from opusbridge.sim.tones import voice
from opusbridge.tools import CallOutcome, tool
from opusbridge.tools.telephony import hang_up
from tests.bridge.virtual import (
    AGENT,
    BRIDGES,
    AnyBridge,
    PartySocket,
    Stage,
    caller_for,
    in_virtual_time,
    play,
)

pytestmark = pytest.mark.usefixtures("quiet")

both_bridges = pytest.mark.parametrize("bridge", BRIDGES, ids=["audiocodes", "twilio"])

GREETER = Agent(name="front-desk", instructions="Be kind.", greeting="Say hello.")


def said(ms: int = 400) -> Say:
    return Say(voice(ms, 8_000), 8_000, "something")


def reasons(stage: Stage) -> list[str]:
    return [what.ending.reason for _, what in stage.seen if isinstance(what, effects.EndCall)]


# --- What can be seen before and after --------------------------------------------------


@both_bridges
async def test_before_it_runs_a_call_has_nothing_to_show_and_nothing_can_be_done(
    bridge: type[AnyBridge],
) -> None:
    async def never() -> Any:
        raise AssertionError("nobody is dialled before there is a call")

    model = PartySocket(SimulatedModel(now=0.0))
    call = bridge(PartySocket(caller_for(bridge, [])), never, Settings(), AGENT)
    call.say("hello")
    call.hang_up("bored")
    call.rejected("binary")

    assert (call.ended, call.response_active, call.response_id) == (False, False, None)
    assert call.pending_user_input is None
    shown = call.describe()
    assert (shown["call_id"], shown["state"], shown["turns"]) == (call.call_id, "ringing", 0)
    assert model.sent == []


@both_bridges
@pytest.mark.slow
def test_what_an_operator_sees_follows_the_call(bridge: type[AnyBridge]) -> None:
    async def during(stage: Stage) -> None:
        await stage.until(lambda: stage.bridge.describe()["turns"] == 1)
        shown = stage.bridge.describe()
        assert (shown["state"], shown["ending"]) == ("answered", None)
        assert shown["provider_call_id"]
        assert shown["telephony"] == stage.bridge.traits.name

    steps: list[Step] = [Wait(0.3), said(), WaitForAgent(), HangUp()]
    stage, how = in_virtual_time(play(bridge, steps, during=during))

    assert how == ending("caller-hung-up")
    assert stage.bridge.ended
    shown = stage.bridge.describe()
    assert (shown["state"], shown["ending"]["reason"]) == ("ended", "caller-hung-up")
    assert reasons(stage) == ["caller-hung-up"]
    assert stage.model_socket.closed
    assert stage.telephony.closed


# --- What an operator and the agent do --------------------------------------------------


@both_bridges
@pytest.mark.slow
def test_a_text_of_the_operators_is_answered_through_the_one_door(
    bridge: type[AnyBridge],
) -> None:
    async def during(stage: Stage) -> None:
        await asyncio.sleep(0.5)
        stage.bridge.say("Tell the caller that we close at six.")

    stage, _ = in_virtual_time(play(bridge, [WaitForAgent(), HangUp()], during=during))

    ((_, item),) = stage.to_model("conversation.item.create")
    assert item["item"]["role"] == "system"
    assert [text["response"]["metadata"]["why"] for _, text in stage.requests()] == ["text"]
    assert stage.verdict() == []


@both_bridges
def test_a_text_that_is_none_is_the_askers_mistake_and_costs_no_call(
    bridge: type[AnyBridge],
) -> None:
    wrong: Any = 5

    async def during(stage: Stage) -> None:
        await asyncio.sleep(0.5)
        with pytest.raises(TypeError, match="text must be a str, not int"):
            stage.bridge.say(wrong)

    _, how = in_virtual_time(play(bridge, [Wait(1.0), HangUp()], during=during))

    assert how == ending("caller-hung-up")


@both_bridges
@pytest.mark.slow
def test_the_agent_hangs_up_when_its_goodbye_was_heard(bridge: type[AnyBridge]) -> None:
    farewell = Reply(
        "Thank you and goodbye.", None, (ToolCallReply("hang_up", '{"reason": "bye"}'),)
    )
    stage, how = in_virtual_time(
        play(
            bridge,
            [Wait(0.3), said(), Wait(20.0)],
            agent=Agent(name="a", instructions="b", tools=[hang_up]),
            replies=ReplyScript([farewell]),
        )
    )

    assert how == ending("agent-hung-up")
    heard_ms = sum(len(span.sound) / span.format.bytes_per_ms for span in stage.caller.heard)
    assert heard_ms >= 60 * len(farewell.text)
    assert stage.caller.verdict() == []


@both_bridges
@pytest.mark.slow
def test_a_drained_call_ends_with_the_stored_goodbye(bridge: type[AnyBridge]) -> None:
    async def during(stage: Stage) -> None:
        await stage.until(lambda: stage.bridge.response_active)
        stage.bridge.say_goodbye("drained")

    stage, how = in_virtual_time(play(bridge, [Wait(30.0)], agent=GREETER, during=during))

    assert how == ending("drained")
    assert stage.caller.heard
    assert stage.caller.violations == []


def logged() -> list[dict[str, Any]]:
    """The lines of the log from now on."""
    lines: list[dict[str, Any]] = []

    def keep(logger: Any, method: str, line: Any) -> Any:
        lines.append(dict(line))
        raise structlog.DropEvent

    structlog.configure(
        processors=[structlog.contextvars.merge_contextvars, keep],
        wrapper_class=structlog.make_filtering_bound_logger(logging.DEBUG),
    )
    return lines


@both_bridges
@pytest.mark.slow
def test_what_an_operator_starts_is_logged_as_the_calls_own(bridge: type[AnyBridge]) -> None:
    lines = logged()

    async def during(stage: Stage) -> None:
        await stage.until(lambda: stage.bridge.response_active)
        stage.bridge.hang_up("Ms Keller, angry")

    stage, how = in_virtual_time(play(bridge, [Wait(30.0)], agent=GREETER, during=during))

    assert how == ending("hung-up-by-operator")
    assert {"operator hangs up", "call ended"} <= {line["event"] for line in lines}
    assert "Keller" not in str(lines)
    assert {line.get("call_id") for line in lines} == {stage.bridge.call_id}


def test_what_is_shown_of_a_note_is_a_number_people_can_read() -> None:
    lines = logged()

    waited = effects.Note("pending-wait", "greeting", value=0.021999999997206032)
    show_note(waited, BadMessages("opusbridge.bridge"))

    assert [(line["event"], line["value"]) for line in lines] == [("pending-wait", 0.022)]


@both_bridges
async def test_a_transfer_goes_to_the_agents_destinations_and_nowhere_else(
    bridge: type[AnyBridge],
) -> None:
    async def never() -> Any:
        raise AssertionError

    call = bridge(PartySocket(caller_for(bridge, [])), never, Settings(), AGENT)
    with pytest.raises(TransferRefused):
        call.transfer("anywhere")


# --- Tools ------------------------------------------------------------------------------


@both_bridges
@pytest.mark.slow
def test_a_tool_knows_its_call_and_whatever_it_does_the_model_gets_an_answer(
    bridge: type[AnyBridge],
) -> None:
    @tool
    async def fail() -> str:
        """It never works."""
        raise RuntimeError("the caller's secret")

    @tool(timeout_seconds=0.5)
    async def dawdle() -> str:
        """It never ends."""
        await asyncio.sleep(60.0)
        return "too late"

    calls = tuple(ToolCallReply(name) for name in ("fail", "dawdle", "unheard_of"))
    stage, _ = in_virtual_time(
        play(
            bridge,
            [Wait(0.3), said(), WaitForAgent(), HangUp()],
            agent=Agent(name="a", instructions="b", tools=[fail, dawdle]),
            replies=ReplyScript([Reply(tool_calls=calls)]),
        )
    )

    outputs = [
        orjson.loads(text["item"]["output"])["error"]
        for _, text in stage.to_model("conversation.item.create")
    ]
    assert sorted(outputs) == [
        "dawdle took longer than 0.5 s",
        "fail failed",
        "there is no such tool",
    ]
    assert [text["response"]["metadata"]["why"] for _, text in stage.requests()] == [
        "turn",
        "tools",
    ]
    assert stage.verdict() == []


@both_bridges
@pytest.mark.slow
def test_a_tool_that_still_runs_ends_with_its_call(bridge: type[AnyBridge]) -> None:
    ended: list[str] = []

    @tool(timeout_seconds=100.0)
    async def dawdle() -> str:
        """It never ends."""
        try:
            await asyncio.sleep(90.0)
        finally:
            ended.append("dawdle")
        return ""

    stage, how = in_virtual_time(
        play(
            bridge,
            [Wait(0.3), said(), Wait(3.0), HangUp()],
            agent=Agent(name="a", instructions="b", tools=[dawdle]),
            replies=ReplyScript([Reply(tool_calls=(ToolCallReply("dawdle"),))]),
        )
    )

    assert how == ending("caller-hung-up")
    assert ended == ["dawdle"]
    assert stage.verdict() == []


# --- What goes wrong --------------------------------------------------------------------


@both_bridges
@pytest.mark.slow
def test_a_bug_of_ours_ends_the_call_kindly_and_is_counted_as_ours(
    bridge: type[AnyBridge],
) -> None:
    def break_at(what: Event | Effect, now: float) -> None:
        if isinstance(what, events.TurnCommitted):
            raise ZeroDivisionError

    async def during(stage: Stage) -> None:
        stage.bridge._observers += (break_at,)

    async def story() -> tuple[Stage, Any]:
        return await play(bridge, [Wait(0.3), said(), Wait(20.0)], during=during)

    stage, how = in_virtual_time(story())

    assert how == ending("internal-error")
    assert stage.caller.heard  # sorry, and goodbye
    assert stage.caller.violations == []


@both_bridges
def test_a_bug_that_strikes_twice_ends_the_call_at_once(bridge: type[AnyBridge]) -> None:
    def always_break(what: Event | Effect, now: float) -> None:
        raise ZeroDivisionError

    async def during(stage: Stage) -> None:
        stage.bridge._observers += (always_break,)

    _, how = in_virtual_time(play(bridge, [Wait(5.0)], during=during))

    assert how == ending("internal-error")


@both_bridges
@pytest.mark.slow
def test_a_model_that_cannot_be_reached_is_an_apology_and_the_end(
    bridge: type[AnyBridge],
) -> None:
    async def unreachable() -> Any:
        raise PeerGone("model", "model-refused-us", 401, permanent=True)

    async def story() -> tuple[Any, Any]:
        caller = caller_for(bridge, [Wait(30.0)])
        call = bridge(PartySocket(caller), unreachable, Settings(), GREETER)
        return caller, await call.run()

    lines = logged()
    caller, how = in_virtual_time(story())

    assert how == ending("model-refused-us")
    assert refusals_in(lines) == [{"code": 401}]
    assert caller.heard
    assert caller.violations == []


def refusals_in(lines: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """What the log says of the model that would not serve us."""
    return [
        {key: line[key] for key in ("code", "about") if key in line}
        for line in lines
        if line["event"] == "the model refused us"
    ]


@both_bridges
@pytest.mark.slow
def test_what_the_model_does_not_take_of_the_session_is_named_in_the_log(
    bridge: type[AnyBridge],
) -> None:
    lines, agent = logged(), GREETER.changed({"voice": "nobody"})

    _, how = in_virtual_time(play(bridge, [Wait(30.0)], agent=agent))

    assert how == ending("model-refused-us")
    refused = {"code": "invalid_value", "about": "session.audio.output.voice"}
    assert refusals_in(lines) == [refused]


@both_bridges
@pytest.mark.slow
def test_an_open_socket_is_accepted_in_place_of_a_way_to_dial(bridge: type[AnyBridge]) -> None:
    async def story() -> tuple[Any, Any]:
        now = asyncio.get_running_loop().time()
        caller = caller_for(bridge, [WaitForAgent(), HangUp()])
        model = PartySocket(SimulatedModel(Knobs(), Random(1), now=now))
        call = bridge(PartySocket(caller), model, Settings(), GREETER)
        return caller, await call.run()

    caller, how = in_virtual_time(story())

    assert how == ending("caller-hung-up")
    assert caller.verdict() == []


@both_bridges
@pytest.mark.slow
def test_a_model_that_is_lost_in_mid_call_is_dialled_again_and_the_caller_answered(
    bridge: type[AnyBridge],
) -> None:
    async def story() -> tuple[Any, Any, list[PartySocket]]:
        clock = asyncio.get_running_loop().time
        dialled: list[PartySocket] = []

        async def connect() -> PartySocket:
            knobs = Knobs() if dialled else Knobs(drop_at=1.5)
            dialled.append(PartySocket(SimulatedModel(knobs, Random(1), now=clock())))
            return dialled[-1]

        caller = caller_for(bridge, [Wait(1.0), said(), WaitForAgent(), HangUp()])
        call = bridge(PartySocket(caller), connect, Settings(), AGENT)
        return caller, await call.run(), dialled

    caller, how, dialled = in_virtual_time(story())

    assert how == ending("caller-hung-up")
    assert len(dialled) == 2
    assert all(socket.closed for socket in dialled)
    assert caller.verdict() == []


@both_bridges
def test_a_caller_who_does_not_take_what_we_send_does_not_hold_us_up(
    bridge: type[AnyBridge],
) -> None:
    async def during(stage: Stage) -> None:
        async def stuck(text: str) -> None:
            await asyncio.sleep(1_000.0)

        await stage.until(lambda: bool(stage.at(events.CallStarted)))
        stage.telephony.send_text = stuck  # type: ignore[method-assign]  # the peer is stuck
        stage.bridge._line.put(["{}"] * (MOST_WAITING + 2))

    stage, how = in_virtual_time(play(bridge, [Wait(30.0)], during=during))

    assert how == ending("telephony-too-slow")
    lived = stage.seen[-1][0] - stage.seen[0][0]
    assert lived < FLUSH_SECONDS


# --- What is left behind ----------------------------------------------------------------


def metrics_of(bridge: type[AnyBridge]) -> tuple[Metrics, CollectorRegistry, str]:
    registry = CollectorRegistry()
    return Metrics(registry), registry, bridge.traits.name


@both_bridges
def test_a_call_that_is_cancelled_from_outside_leaves_the_gauge(bridge: type[AnyBridge]) -> None:
    metrics, registry, side = metrics_of(bridge)

    async def story() -> None:
        caller = caller_for(bridge, [Wait(30.0)])
        model = PartySocket(SimulatedModel(now=asyncio.get_running_loop().time()))
        call = bridge(
            PartySocket(caller), model, Settings(), AGENT, metrics=metrics.call_metrics(side)
        )
        running = asyncio.create_task(call.run())
        await asyncio.sleep(1.0)
        assert registry.get_sample_value("opusbridge_calls_active", {"telephony": side}) == 1
        running.cancel()
        with pytest.raises(asyncio.CancelledError):
            await running
        assert call.ended

    in_virtual_time(story())

    assert registry.get_sample_value("opusbridge_calls_active", {"telephony": side}) == 0
    labels = {"telephony": side, "outcome": "bridge", "reason": "cancelled"}
    assert registry.get_sample_value("opusbridge_calls_total", labels) == 1


@both_bridges
@pytest.mark.slow
@pytest.mark.parametrize("of", ["its-words", "its-figures"])
def test_what_of_a_call_cannot_be_told_at_its_end_costs_nothing_else(
    bridge: type[AnyBridge], of: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def breaks(*_: Any) -> Any:
        raise ZeroDivisionError

    def recorder(call_id: str, started: datetime, now: float) -> CallRecorder:
        return CallRecorder(
            tmp_path, None, now, record=True, flight=True, writer=Writer(), call_id=call_id
        )

    owner, name = (Transcript, "snapshot") if of == "its-words" else (Tally, "shown")
    monkeypatch.setattr(owner, name, breaks)
    told: list[CallOutcome] = []

    async def on_end(outcome: CallOutcome) -> None:
        told.append(outcome)

    agent = Agent(name="a", instructions="b", on_end=on_end)
    lines = logged()
    steps: list[Step] = [Wait(0.3), said(), WaitForAgent(), Wait(2.0), HangUp()]
    _, how = in_virtual_time(play(bridge, steps, agent=agent, recorder=recorder))

    assert how == ending("caller-hung-up")
    words = orjson.loads((tmp_path / "transcript.json").read_bytes())
    assert {item["speaker"] for item in words["items"]} == {"caller", "agent"}
    kept = orjson.loads((tmp_path / "call.json").read_bytes())
    assert kept["ending"]["reason"] == "caller-hung-up"
    assert ("usage" in kept) is (of == "its-words")
    assert told[0].call == kept
    assert told[0].transcript["items"] == ([] if of == "its-words" else words["items"])
    assert [line["raised"] for line in lines if line["event"] == "call broke"] != []


@both_bridges
def test_a_call_whose_end_breaks_is_over_all_the_same(
    bridge: type[AnyBridge], monkeypatch: pytest.MonkeyPatch
) -> None:
    def breaks(*_: Any) -> Any:
        raise ZeroDivisionError

    async def spoil(stage: Stage) -> None:
        await asyncio.sleep(0.5)
        monkeypatch.setattr(stage.bridge._engine, "_step", None)
        with pytest.raises(ZeroDivisionError):  # in no task of the call's own
            stage.bridge.hang_up()

    monkeypatch.setattr(base, "complete", breaks)
    _, how = in_virtual_time(play(bridge, [Wait(9.0)], during=spoil))

    assert how == ending("internal-error")


class Buggy(PartySocket):
    """A bug of ours, or a panic below us, where no step is under way."""

    raises: type[BaseException]

    async def receive_text(self) -> str:
        raise self.raises


@both_bridges
@pytest.mark.parametrize("raised", [ZeroDivisionError, BaseException])
def test_a_bug_outside_of_any_step_is_no_cancelled_call(
    bridge: type[AnyBridge], raised: type[BaseException]
) -> None:
    metrics, registry, side = metrics_of(bridge)

    async def story() -> None:
        caller = caller_for(bridge, [Wait(30.0)])
        model = PartySocket(SimulatedModel(now=asyncio.get_running_loop().time()))
        socket = Buggy(caller)
        socket.raises = raised
        call = bridge(socket, model, Settings(), AGENT, metrics=metrics.call_metrics(side))
        with pytest.raises(BaseExceptionGroup):
            await call.run()
        assert call.ended

    lines = logged()
    in_virtual_time(story())

    labels = {"telephony": side, "outcome": "bridge", "reason": "internal-error"}
    assert registry.get_sample_value("opusbridge_calls_total", labels) == 1
    (broke,) = [line for line in lines if line["event"] == "call broke"]
    assert broke["call_id"]


@both_bridges
async def test_a_call_whose_files_have_no_place_is_not_counted_as_going_on(
    bridge: type[AnyBridge],
) -> None:
    metrics, registry, side = metrics_of(bridge)

    def no_place(call_id: str, started: datetime, now: float) -> CallRecorder:
        raise LookupError("no such customer")

    socket, model = PartySocket(caller_for(bridge, [])), PartySocket(SimulatedModel(now=0.0))
    counted = metrics.call_metrics(side)
    call = bridge(socket, model, Settings(), AGENT, metrics=counted, recorder=no_place)
    with pytest.raises(LookupError):
        await call.run()

    assert not registry.get_sample_value("opusbridge_calls_active", {"telephony": side})


class SlowToClose(PartySocket):
    """As some models are, which answer a close late or never."""

    def __init__(self, model: SimulatedModel, folder: Path) -> None:
        super().__init__(model)
        self.files_before: list[str] = []
        self._folder = folder

    async def close(self, code: int = 1000, reason: str = "") -> None:
        await asyncio.sleep(0.5)
        self.files_before = sorted(path.name for path in self._folder.iterdir())
        await super().close(code, reason)


@both_bridges
@pytest.mark.slow
async def test_the_files_are_complete_and_the_line_is_closed_before_the_model_has_closed(
    bridge: type[AnyBridge], tmp_path: Path
) -> None:
    writer = Writer()

    def recorder(call_id: str, started: datetime, now: float) -> CallRecorder:
        return CallRecorder(
            tmp_path, None, now, record=True, flight=True, writer=writer, call_id=call_id
        )

    caller = caller_for(bridge, [Wait(0.3), HangUp()])
    telephony = PartySocket(caller)
    model = SlowToClose(SimulatedModel(now=asyncio.get_running_loop().time()), tmp_path)
    call = bridge(telephony, model, Settings(), AGENT, recorder=recorder)
    running = asyncio.create_task(call.run())
    await telephony.was_closed.wait()
    assert not model.closed
    await running
    writer.close()

    assert model.files_before == [
        "call.json",
        "flight.jsonl",
        "recording.wav",
        "transcript.json",
    ]
    kept = orjson.loads((tmp_path / "call.json").read_bytes())
    assert kept["ending"] == {"outcome": "completed", "reason": "caller-hung-up"}
    assert kept["call_id"] == call.call_id
    again = replay(tmp_path / "flight.jsonl")
    assert (again.exact, again.stopped, again.telephony) == (True, "", bridge.traits.name)

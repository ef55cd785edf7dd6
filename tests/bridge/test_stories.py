"""The stories this program exists for, on both bridges, with a strict model at the far end.

Each is a whole call: a person on a simulated line, the bridge as it is, the simulated model.
"""

import asyncio
import logging
import sys
from collections.abc import Iterator
from typing import Any

import orjson
import pytest

from opusbridge import effects, events, logs
from opusbridge.agent import Agent
from opusbridge.errors import ending
from opusbridge.sim.callers import HangUp, Say, Step, Wait, WaitForAgent
from opusbridge.sim.model import Knobs, Reply, ReplyScript, ToolCallReply
from opusbridge.sim.tones import voice
from opusbridge.tools import tool
from tests.bridge.virtual import BRIDGES, AnyBridge, Stage, in_virtual_time, play

pytestmark = pytest.mark.usefixtures("quiet")

both_bridges = pytest.mark.parametrize("bridge", BRIDGES, ids=["audiocodes", "twilio"])
both_ways = pytest.mark.parametrize("barge_in", [True, False], ids=["barge-in", "no-barge-in"])

#: It thinks for long: the line is quiet, so that the caller is heard without barge-in too.
THOUGHTFUL = Knobs(first_audio_delay=3.0, cancel_latency=1.5)


def said(ms: int = 400) -> Say:
    return Say(voice(ms, 8_000), 8_000, "something")


def types(stage: Stage) -> list[str]:
    return [event.type for event in stage.model.history]


def assert_one_at_a_time(stage: Stage) -> None:
    """By the model's own account: no create between an accepted one and its done."""
    assert stage.model.conflicts == 0
    open_now = 0
    for kind in types(stage):
        if kind == "response.create":
            assert open_now == 0, "a request while one was unanswered or active"
        open_now += (kind == "response.create") - (kind == "response.done")


def assert_everything_was_answered(stage: Stage) -> None:
    """The last response began after the last turn and the last output, and was completed."""
    kinds = types(stage)
    last_input = max(
        n for n, event in enumerate(stage.model.history)
        if event.type == "input_audio_buffer.committed"
        or (event.by, event.type) == ("client", "conversation.item.create")
    )  # fmt: skip
    assert "response.created" in kinds[last_input:]
    assert stage.verdict() == []
    done = [what for _, what in stage.seen if isinstance(what, events.ResponseDone)]
    assert done[-1].status == "completed"
    assert stage.bridge.pending_user_input is None


TWO_TURNS: list[Step] = [Wait(0.5), said(), Wait(1.0), said(), Wait(13.0), HangUp()]


@both_bridges
@both_ways
@pytest.mark.slow
def test_while_a_response_is_active_nothing_is_asked_for_and_the_input_is_kept(
    bridge: type[AnyBridge], barge_in: bool
) -> None:
    async def during(stage: Stage) -> None:
        await stage.until(lambda: len(stage.commits()) == 2)
        assert stage.bridge.response_active
        assert len(stage.requests()) == 1
        pending = stage.bridge.pending_user_input
        assert pending is not None
        assert pending.why == "turn"
        assert [cause.key for cause in pending.causes] == [stage.commits()[1]]
        assert stage.bridge.describe()["pending_user_input"] == "turn"

    stage, how = in_virtual_time(
        play(bridge, TWO_TURNS, knobs=THOUGHTFUL, during=during, barge_in=barge_in)
    )

    assert how == ending("caller-hung-up")
    assert_one_at_a_time(stage)
    assert_everything_was_answered(stage)


@both_bridges
@both_ways
@pytest.mark.slow
def test_pending_input_is_asked_for_as_soon_as_the_response_is_done(
    bridge: type[AnyBridge], barge_in: bool
) -> None:
    async def during(stage: Stage) -> None:
        await stage.until(lambda: len(stage.requests()) == 2)
        # Sent is not accepted: it is kept until a response has taken it in.
        assert stage.bridge.pending_user_input is not None
        await stage.until(lambda: len(stage.at(events.ResponseCreated)) == 2)
        assert stage.bridge.pending_user_input is None

    stage, _ = in_virtual_time(
        play(bridge, TWO_TURNS, knobs=THOUGHTFUL, during=during, barge_in=barge_in)
    )

    assert stage.requests()[1][0] == stage.at(events.ResponseDone)[0]
    assert_everything_was_answered(stage)


@both_bridges
@both_ways
@pytest.mark.slow
def test_response_active_and_response_id_follow_created_and_done(
    bridge: type[AnyBridge], barge_in: bool
) -> None:
    lived: list[str] = []

    async def during(stage: Stage) -> None:
        active: str | None = None

        def look(text: str) -> None:
            nonlocal active
            event: dict[str, Any] = orjson.loads(text)
            if event["type"] == "response.created":
                active = event["response"]["id"]
            if event["type"] == "response.done":
                assert event["response"]["id"] == active
                lived.append(event["response"]["id"])
                active = None
            assert stage.bridge.response_id == active
            assert stage.bridge.response_active == (active is not None)
            shown = stage.bridge.describe()
            assert (shown["response_id"], shown["response_active"]) == (active, active is not None)

        stage.model_socket.after_each = look
        assert (stage.bridge.response_id, stage.bridge.response_active) == (None, False)

    stage, _ = in_virtual_time(
        play(bridge, TWO_TURNS, knobs=THOUGHTFUL, during=during, barge_in=barge_in)
    )

    assert len(lived) == 2
    assert stage.verdict() == []


@both_bridges
def test_with_nothing_active_the_request_leaves_in_the_instant_of_the_commit(
    bridge: type[AnyBridge],
) -> None:
    stage, _ = in_virtual_time(play(bridge, [Wait(0.3), said(300), Wait(1.2), HangUp()]))

    assert [at for at, _ in stage.requests()] == stage.at(events.TurnCommitted)
    assert stage.at(effects.CreateResponse) == stage.at(events.TurnCommitted)


@both_bridges
def test_a_request_has_the_shape_of_today_and_carries_its_token_twice(
    bridge: type[AnyBridge],
) -> None:
    stage, _ = in_virtual_time(play(bridge, [Wait(0.3), said(300), Wait(1.2), HangUp()]))

    ((_, request),) = stage.requests()
    token = request["event_id"]
    assert request == {
        "type": "response.create",
        "event_id": token,
        "response": {"metadata": {"bridge_req": token, "why": "turn"}},
    }
    created = next(w for _, w in stage.seen if isinstance(w, events.ResponseCreated))
    assert created.request_id == token
    ids = [text["event_id"] for _, text in stage.model_socket.sent]
    assert len(set(ids)) == len(ids)


@both_bridges
@both_ways
@pytest.mark.slow
def test_two_turns_between_a_request_and_its_response_bring_no_second_request(
    bridge: type[AnyBridge], barge_in: bool
) -> None:
    steps: list[Step] = [Wait(1.0), said(300), Wait(0.4), said(300), WaitForAgent(), HangUp()]

    async def during(stage: Stage) -> None:
        await asyncio.sleep(0.7)
        stage.bridge.say("Greet the caller.")
        await stage.until(lambda: len(stage.commits()) == 2)
        assert not stage.bridge.response_active
        assert len(stage.requests()) == 1
        pending = stage.bridge.pending_user_input
        assert pending is not None
        assert pending.why == "text+turn"
        assert len(pending.causes) == 3

    stage, _ = in_virtual_time(
        play(
            bridge,
            steps,
            knobs=Knobs(create_delay=2.0),
            during=during,
            barge_in=barge_in,
            vad_silence_ms=200,
        )
    )

    # Both turns are in the conversation when the response begins: without barge-in it answers
    # them. With barge-in nobody wants it any more: it is cancelled by id, and one is asked for.
    assert len(stage.requests()) == (2 if barge_in else 1)
    cancelled = [text["response_id"] for _, text in stage.to_model("response.cancel")]
    created = [w.response_id for _, w in stage.seen if isinstance(w, events.ResponseCreated)]
    assert cancelled == (created[:1] if barge_in else [])
    assert_one_at_a_time(stage)
    assert_everything_was_answered(stage)


@both_bridges
@both_ways
@pytest.mark.parametrize("done_on", [events.SpeechStarted, events.TurnCommitted])
@pytest.mark.slow
def test_a_tools_result_and_a_callers_turn_at_once_are_both_answered(
    bridge: type[AnyBridge], barge_in: bool, done_on: type
) -> None:
    found = asyncio.Event()

    @tool
    async def look_up() -> str:
        """Look it up."""
        await found.wait()
        return "it has left"

    async def during(stage: Stage) -> None:
        await stage.until(lambda: len(stage.at(done_on)) == 2)
        found.set()

    replies = ReplyScript([Reply(tool_calls=(ToolCallReply("look_up"),))])
    stage, _ = in_virtual_time(
        play(
            bridge,
            [Wait(0.5), said(), Wait(1.5), said(), Wait(4.0), WaitForAgent(), HangUp()],
            agent=Agent(name="front-desk", instructions="Be kind.", tools=[look_up]),
            replies=replies,
            during=during,
            barge_in=barge_in,
        )
    )

    outputs = [
        text["item"]["output"] for _, text in stage.to_model("conversation.item.create")
        if text["item"]["type"] == "function_call_output"
    ]  # fmt: skip
    assert outputs == ["it has left"]
    asked_why = [text["response"]["metadata"]["why"] for _, text in stage.requests()]
    if done_on is events.SpeechStarted:
        # It came while the caller spoke: one response answers both.
        assert asked_why == ["turn", "tools+turn"]
    else:
        # The turn's request had left already: the result waits for its response to be done.
        assert asked_why == ["turn", "turn", "tools"]
    assert_one_at_a_time(stage)
    assert_everything_was_answered(stage)


@both_bridges
@both_ways
@pytest.mark.slow
def test_three_turns_within_two_seconds_of_one_long_response_are_all_answered(
    bridge: type[AnyBridge], barge_in: bool
) -> None:
    steps: list[Step] = [Wait(0.3), said(300), Wait(0.8)]
    steps += [said(260), Wait(0.36), said(260), Wait(0.36), said(260), Wait(1.0)]
    stage, _ = in_virtual_time(
        play(
            bridge,
            [*steps, WaitForAgent(), HangUp()],
            knobs=Knobs(first_audio_delay=5.0, speed=20.0),
            barge_in=barge_in,
            vad_silence_ms=200,
        )
    )

    rapid = stage.at(events.TurnCommitted)[1:]
    assert len(rapid) == 3
    assert rapid[-1] - rapid[0] < 2.0
    if not barge_in:
        assert rapid[-1] < stage.at(events.ResponseDone)[0]
        notes = [w for _, w in stage.seen if isinstance(w, effects.Note) and w.kind == "coalesced"]
        assert [note.value for note in notes] == [3.0]
        assert len(stage.requests()) == 2
    assert_one_at_a_time(stage)
    assert_everything_was_answered(stage)


# --- Logging observes; it never consumes --------------------------------------------------


class Broken(logging.Handler):
    """What somebody else put there: a disk that is full, a collector that is gone."""

    def emit(self, record: logging.LogRecord) -> None:
        raise RuntimeError("the log is broken")


@pytest.fixture
def _restored() -> Iterator[None]:
    root, ours = logging.getLogger(), logging.getLogger("opusbridge")
    before = list(root.handlers), root.level, ours.level
    yield
    root.handlers[:], root.level, _ = before
    ours.setLevel(before[2])


async def _log_breaks(stage: Stage) -> None:
    """While a response is active: its done is the next thing that must get through."""
    await stage.until(lambda: stage.bridge.response_active)
    logging.getLogger().addHandler(Broken())


def _assert_both_turns_answered(stage: Stage) -> None:
    assert len(stage.at(events.ResponseDone)) == 2
    assert stage.requests()[1][0] == stage.at(events.ResponseDone)[0]
    assert_everything_was_answered(stage)


@both_bridges
@pytest.mark.parametrize("level", ["debug", "info", "warning", "error"])
@pytest.mark.parametrize("log_format", ["text", "json"])
@pytest.mark.usefixtures("_restored")
@pytest.mark.slow
def test_response_done_frees_the_slot_whatever_the_logging_is_set_to(
    bridge: type[AnyBridge], level: Any, log_format: Any
) -> None:
    logs.configure(log_format, level)

    stage, how = in_virtual_time(play(bridge, TWO_TURNS, knobs=THOUGHTFUL))

    assert how == ending("caller-hung-up")
    _assert_both_turns_answered(stage)


@both_bridges
@pytest.mark.parametrize("level", ["debug", "info"])
@pytest.mark.usefixtures("_restored")
@pytest.mark.slow
def test_response_done_frees_the_slot_though_the_log_is_broken(
    bridge: type[AnyBridge], level: Any
) -> None:
    logs.configure("json", level)

    stage, how = in_virtual_time(play(bridge, TWO_TURNS, knobs=THOUGHTFUL, during=_log_breaks))

    assert how == ending("caller-hung-up")
    _assert_both_turns_answered(stage)


@both_bridges
@pytest.mark.usefixtures("_restored")
@pytest.mark.slow
def test_response_done_frees_the_slot_though_standard_error_is_closed(
    bridge: type[AnyBridge], monkeypatch: pytest.MonkeyPatch
) -> None:
    class Closed:
        def write(self, text: str) -> int:
            raise OSError("nobody reads this")

        def flush(self) -> None:
            raise OSError("nobody reads this")

        def isatty(self) -> bool:
            return False

    logs.configure("text", "debug")
    monkeypatch.setattr(sys, "stderr", Closed())

    stage, how = in_virtual_time(play(bridge, TWO_TURNS, knobs=THOUGHTFUL))

    assert how == ending("caller-hung-up")
    _assert_both_turns_answered(stage)

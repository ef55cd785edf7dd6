"""The one door: when it opens, and what is said on the way out."""

import pytest

from opusbridge.call.door import Door
from opusbridge.call.pending import Cause, Why
from opusbridge.call.policy import ResponsePolicy
from opusbridge.effects import CreateResponse, Note

TURN = Cause(Why.TURN, "item_1")
KEYS = Cause(Why.KEYS, "text_1", frozenset({"text_1"}))
GREETING = Cause(Why.GREETING, "greeting")


def door(*causes: Cause) -> Door:
    """Open, and these wait since 1.0."""
    found = Door(ResponsePolicy(greeting="Say hello."))
    found.ready = True
    found.waiting.add(causes, 1.0)
    return found


def test_an_open_door_lets_out_what_waits_and_does_not_forget_it() -> None:
    some = door(TURN)

    assert some.settle(1.0) == [CreateResponse("request-1", "turn")]
    assert some.waiting.pending is not None
    assert some.request.due == 1.0 + some.policy.created_timeout


def test_nothing_leaves_if_nothing_waits() -> None:
    assert door().settle(1.0) == []


def test_it_is_said_how_long_and_with_whom_an_input_waited() -> None:
    assert door(TURN, KEYS).settle(3.5) == [
        Note("pending-wait", "turn+keys", ("request-1",), 2.5),
        Note("coalesced", "turn+keys", ("request-1",), 2.0),
        CreateResponse("request-1", "turn+keys"),
    ]


def test_only_a_greeting_alone_has_words_of_its_own() -> None:
    assert door(GREETING).settle(1.0) == [CreateResponse("request-1", "greeting", "Say hello.")]
    assert door(GREETING, TURN).settle(1.0)[-1] == CreateResponse("request-1", "greeting+turn")


PREAMBLE = Cause(Why.PREAMBLE, "resp_1", instructions="Say: one moment.")
TOOLS = Cause(Why.TOOLS, "resp_1", frozenset({"output_1"}))


def test_words_for_the_wait_are_told_to_the_model_and_it_may_call_no_tool() -> None:
    told = CreateResponse("request-1", "preamble", "Say: one moment.", by_words_only=True)
    assert door(PREAMBLE).settle(1.0) == [told]


def test_whatever_else_is_answered_makes_words_for_the_wait_needless() -> None:
    assert door(PREAMBLE, TURN).settle(1.0) == [CreateResponse("request-1", "turn")]


def test_of_words_for_several_waits_and_nothing_else_the_latest_are_said() -> None:
    earlier = Cause(Why.PREAMBLE, "resp_0", instructions="Say: let me see.")

    told = CreateResponse("request-1", "preamble", "Say: one moment.", by_words_only=True)
    assert door(earlier, PREAMBLE).settle(1.0) == [told]


def test_words_for_the_wait_are_withdrawn_when_it_is_over() -> None:
    other = Cause(Why.PREAMBLE, "resp_0")
    some = door(PREAMBLE)
    some.response.covering = (PREAMBLE, other)
    some.ready = False

    some.put(TOOLS, 2.0)

    assert some.waiting.pending is not None
    assert some.waiting.pending.causes == (TOOLS,)
    assert list(some.response.covering) == [other]


@pytest.mark.parametrize("asked_for", [GREETING, PREAMBLE])
def test_a_response_that_was_told_what_to_say_answers_nothing_else(asked_for: Cause) -> None:
    some = door(asked_for, TURN)

    assert some.cover((asked_for,)) == (asked_for,)
    assert some.waiting.turns == (TURN,)


@pytest.mark.parametrize("asked_for", [None, (GREETING, TURN)])
def test_any_other_answers_the_turns_that_came_before_it(
    asked_for: tuple[Cause, ...] | None,
) -> None:
    some = door(GREETING, TURN, Cause(Why.TURN, "item_2"))

    some.cover(asked_for)
    assert some.waiting.pending is None


def test_each_request_has_an_id_of_its_own() -> None:
    some = door(TURN)
    some.settle(1.0)
    some.request.refused(by_name=True)

    assert some.settle(1.0) == [CreateResponse("request-2", "turn")]


@pytest.mark.parametrize(
    "held_by",
    ["ending", "ringing", "session", "response", "request", "caller", "commit", "back-off"],
)
def test_each_thing_that_holds_the_door_holds_it_alone(held_by: str) -> None:
    some = door(TURN)
    assert some.held_by is None
    match held_by:
        case "ending":
            some.closed = True
        case "ringing":
            some.ringing = True
        case "session":
            some.ready = False
        case "response":
            some.response.begin("resp_1")
        case "request":
            some.request.sent("request-0", (), 0.0, 5.0)
        case "caller":
            some.turn.began()
        case "commit":
            some.turn.stopped(6.0)
        case _:
            some.retries.ask_again_at = 3.0

    assert some.held_by == held_by
    assert some.settle(1.0) == []


def test_a_door_that_opens_when_it_must_not_is_reported_and_nothing_is_asked() -> None:
    class BrokenOpen(Door):
        held_by = None

    some = BrokenOpen(ResponsePolicy())
    some.waiting.add([TURN], 1.0)
    some.settle(1.0)

    assert some.settle(2.0) == [Note("violation", "two-requests", ("request-1",))]
    assert some.request.asked_at == 1.0


def test_a_failure_is_asked_again_after_a_wait() -> None:
    some = door(KEYS)

    assert some.failed((TURN,), "failed", 1.0) == [Note("retry", "failed", (), 1.0)]
    assert some.waiting.pending is not None
    assert some.waiting.pending.causes == (TURN, KEYS)
    assert some.retries.ask_again_at == 3.0


def test_a_failure_that_answered_nobody_is_not_asked_again() -> None:
    some = door()

    assert some.failed((), "failed", 1.0) == []
    assert some.retries.attempts == 0


def test_a_permanent_failure_is_given_up_aloud_at_once() -> None:
    some = door()

    assert some.failed((TURN,), "failed", 1.0, permanent=True) == []
    assert some.settle(1.0) == [Note("gave-up", "model-failed")]
    assert some.settle(2.0) == []


def test_retries_are_spent_aloud() -> None:
    some = door(TURN)
    for _ in some.policy.backoff:
        assert some.failed((), "failed", 1.0)

    assert some.failed((), "failed", 1.0) == []
    assert some.settle(1.0) == [Note("gave-up", "model-failed")]


def test_what_was_waited_for_in_vain_counts_and_is_asked_again_without_a_further_wait() -> None:
    some = door()
    some.waited_in_vain((TURN,), 1.0)

    assert some.retries.attempts == 1
    assert some.settle(1.0) == [CreateResponse("request-1", "turn")]


def test_waiting_in_vain_for_nothing_counts_as_nothing() -> None:
    some = door()
    some.waited_in_vain((), 1.0)

    assert some.retries.attempts == 0


def test_a_reader_of_the_trace_finds_every_id_once() -> None:
    some = door()
    some.response.begin("resp_1")

    assert some.ids("resp_1", None, "resp_2") == ("resp_1", "resp_2")

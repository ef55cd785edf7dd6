"""What waits, and what a response answers of it."""

import pytest

from opusbridge.call.pending import Cause, PendingUserInput, Waiting, Why

GREETING = Cause(Why.GREETING, "greeting")
TURN = Cause(Why.TURN, "item_1")
LATER_TURN = Cause(Why.TURN, "item_2")
TOOLS = Cause(Why.TOOLS, "resp_1", frozenset({"output_1", "output_2"}))
KEYS = Cause(Why.KEYS, "text_1", frozenset({"text_1"}))


def waiting(*causes: Cause) -> Waiting:
    """These wait since 1.0; none of their items was acknowledged."""
    found = Waiting()
    for cause in causes:
        for item in sorted(cause.items):
            found.item_sent(item)
    found.add(causes, 1.0)
    return found


def causes(of: Waiting) -> tuple[Cause, ...]:
    return of.pending.causes if of.pending else ()


def test_nothing_waits_at_first_and_nothing_is_covered() -> None:
    assert Waiting().pending is None
    assert Waiting().turns == ()
    assert Waiting().cover(None) == ()


def test_what_waits_says_why_in_the_order_it_came_each_kind_once() -> None:
    pending = PendingUserInput((TURN, TOOLS, LATER_TURN), 1.0)

    assert pending.why == "turn+tools"


def test_a_cause_waits_once_however_often_it_is_added() -> None:
    some = waiting(TURN)
    some.add([TURN, LATER_TURN, LATER_TURN], 2.0)

    assert some.pending == PendingUserInput((TURN, LATER_TURN), 1.0)
    assert some.turns == (TURN, LATER_TURN)


def test_adding_nothing_leaves_nothing_waiting() -> None:
    some = Waiting()
    some.add([], 1.0)

    assert some.pending is None


def test_what_comes_back_goes_to_the_front_and_the_wait_goes_on() -> None:
    some = waiting(LATER_TURN)
    some.put_back((TURN,), 5.0)

    assert some.pending == PendingUserInput((TURN, LATER_TURN), 1.0)


def test_what_comes_back_to_an_empty_place_waits_from_then_on() -> None:
    some = Waiting()
    some.put_back((TURN,), 5.0)

    assert some.pending == PendingUserInput((TURN,), 5.0)


@pytest.mark.parametrize("asked_for", [None, (), (KEYS,)])
@pytest.mark.parametrize("cause", [TURN, GREETING])
def test_a_turn_and_a_greeting_are_covered_by_whatever_is_created_after_them(
    cause: Cause, asked_for: tuple[Cause, ...] | None
) -> None:
    some = waiting(cause)

    assert some.cover(asked_for) == (cause,)
    assert some.pending is None


def test_our_request_covers_what_was_sent_before_it_and_not_what_came_later() -> None:
    some = waiting(TOOLS, KEYS)
    some.item_acknowledged("text_1")

    assert some.cover((TOOLS,)) == (TOOLS,)
    assert some.pending == PendingUserInput((KEYS,), 1.0)


def test_a_response_the_model_began_covers_what_it_had_acknowledged_completely() -> None:
    some = waiting(TOOLS, KEYS)
    some.item_acknowledged("output_1")
    some.item_acknowledged("text_1")

    assert some.cover(None) == (KEYS,)

    some.item_acknowledged("output_2")

    assert some.cover(None) == (TOOLS,)


def test_a_response_of_unknown_birth_covers_only_what_it_was_begun_for() -> None:
    some = waiting(TURN, LATER_TURN, KEYS)
    some.item_acknowledged("text_1")

    assert some.cover_only((TURN,)) == (TURN,)
    assert causes(some) == (LATER_TURN, KEYS)


def test_a_response_without_our_request_is_known_to_answer_only_what_was_there_before_it() -> None:
    some = waiting(TURN, KEYS, TOOLS)
    some.item_acknowledged("text_1")
    covered = some.cover((TURN, KEYS, TOOLS))

    assert some.doubted(covered, announced=True) == (TOOLS,)
    assert some.doubted(covered, announced=False) == covered


def test_what_the_model_would_answer_by_itself_is_known_and_waits_on() -> None:
    some = waiting(TURN, KEYS, TOOLS)
    some.item_acknowledged("text_1")

    assert some.known == (TURN, KEYS)
    assert causes(some) == (TURN, KEYS, TOOLS)
    assert waiting().known == ()


def words(key: str) -> Cause:
    return Cause(Why.PREAMBLE, key, instructions="Say: one moment.")


@pytest.mark.parametrize(
    ("waits", "asked"),
    [
        ((words("resp_1"),), (words("resp_1"),)),
        ((words("resp_1"), words("resp_2")), (words("resp_2"),)),
        ((words("resp_1"), TURN, words("resp_2")), (TURN,)),
    ],
)
def test_words_that_bridge_a_wait_are_asked_for_once_and_beside_nothing_else(
    waits: tuple[Cause, ...], asked: tuple[Cause, ...]
) -> None:
    some = waiting(*waits)

    assert some.coalesce().causes == asked
    assert causes(some) == asked


def test_in_a_new_conversation_nothing_waits_for_its_echo() -> None:
    some = waiting(TOOLS)
    some.conversation_lost()

    assert some.cover(None) == (TOOLS,)

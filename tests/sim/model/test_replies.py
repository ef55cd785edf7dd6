"""Replies come in order, and then the usual ones go round."""

import pytest

from opusbridge.sim.model import Reply, ReplyScript
from opusbridge.sim.model.replies import DEFAULT_REPLIES


def test_replies_come_in_order_and_then_the_usual_ones_in_a_ring() -> None:
    script = ReplyScript([Reply("one"), Reply("two")], usual=[Reply("a"), Reply("b")])
    said = []
    for _ in range(7):
        said.append(script.next_reply().text)
        script.used()

    assert said == ["one", "two", "a", "b", "a", "b", "a"]


def test_a_reply_waits_until_it_was_used() -> None:
    script = ReplyScript([Reply("one")])

    assert script.next_reply() is script.next_reply()
    script.used()
    assert script.next_reply() is DEFAULT_REPLIES[0]


def test_what_was_never_asked_for_and_what_nobody_wrote_is_known() -> None:
    script = ReplyScript([Reply("one"), Reply("two")])
    script.used([{"id": "item-1"}])
    left = script.unused
    script.used([{"id": "item-2"}])
    script.used([{"id": "item-3"}, {"id": "item-4"}])

    assert (left, script.unused) == (1, 0)
    assert script.not_written == {"item-3", "item-4"}


@pytest.mark.parametrize(
    "script", [ReplyScript(), ReplyScript([Reply("one")], usual=[Reply("on and on")])]
)
def test_a_script_that_means_its_small_talk_is_not_short_of_replies(script: ReplyScript) -> None:
    for nth in range(3):
        script.used([{"id": f"item-{nth}"}])

    assert script.not_written == set()


def test_the_callers_words_come_in_order_and_then_the_usual_ones() -> None:
    script = ReplyScript(heard=["first"], usually_heard="again")

    assert [script.next_heard() for _ in range(3)] == ["first", "again", "again"]

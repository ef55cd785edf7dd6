"""A caller who says nothing, and the one whose turn it is not."""

from opusbridge.call.policy import SilencePolicy
from opusbridge.call.silence import Ladder

POLICY = SilencePolicy((5.0, 7.0, 9.0), ("Ask.", "Warn."), "Say goodbye.")


def waiting(policy: SilencePolicy = POLICY) -> Ladder:
    """Since 1.0 nobody has said anything."""
    ladder = Ladder(policy)
    ladder.look(quiet=True, silent_at=0.0, now=1.0)
    return ladder


def test_an_agent_without_a_ladder_waits_for_as_long_as_it_takes() -> None:
    ladder = Ladder(None)
    ladder.look(quiet=True, silent_at=0.0, now=1.0)

    assert ladder.deadline is None
    assert not ladder.due(1_000.0)
    assert not ladder.spent


def test_it_is_counted_from_the_heard_end_of_what_was_said() -> None:
    ladder = waiting()
    ladder.look(quiet=True, silent_at=3.0, now=1.5)

    assert ladder.deadline == 8.0


def test_the_time_in_which_somebody_else_is_due_does_not_count() -> None:
    ladder = waiting()
    ladder.look(quiet=False, silent_at=0.0, now=5.0)
    assert ladder.deadline is None
    ladder.look(quiet=True, silent_at=0.0, now=20.0)

    assert ladder.deadline == 25.0


def test_each_rung_has_its_own_wait_and_its_own_words() -> None:
    ladder, told = waiting(), []
    for due in (6.0, 13.0, 22.0):
        assert not ladder.due(due - 0.01)
        assert ladder.due(due)
        assert not ladder.due(due)
        told.append((ladder.words, ladder.spent))
        if not ladder.spent:
            ladder.look(quiet=True, silent_at=0.0, now=due)

    assert told == [
        ("The caller has said nothing for 5 seconds. Ask.", False),
        ("The caller has said nothing for 7 seconds. Warn.", False),
        ("The caller has said nothing for 9 seconds. Say goodbye.", True),
    ]


def test_who_is_heard_begins_again_at_the_foot_of_the_ladder() -> None:
    ladder = waiting()
    assert ladder.due(6.0)
    ladder.caller_heard()
    ladder.look(quiet=True, silent_at=0.0, now=10.0)

    assert ladder.deadline == 15.0


def test_after_a_goodbye_that_came_to_nothing_there_is_another() -> None:
    ladder = waiting(SilencePolicy((5.0, 7.0), ("Ask.",), "Say goodbye."))
    for due in (6.0, 13.0, 20.0):
        assert ladder.due(due)
        ladder.look(quiet=True, silent_at=0.0, now=due)

    assert ladder.spent
    assert ladder.words == "The caller has said nothing for 7 seconds. Say goodbye."
    assert ladder.deadline == 27.0


def test_without_words_of_its_own_the_goodbye_is_the_stored_one() -> None:
    ladder = waiting(SilencePolicy((5.0,), (), None))

    assert ladder.due(6.0)
    assert ladder.spent
    assert ladder.words is None

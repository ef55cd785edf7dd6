"""Never silent: when a waiting caller is asked to hold."""

from opusbridge.call.hold import AGAIN_SECONDS, Hold


def waiting(since: float = 10.0) -> Hold:
    """An answer has been owed since then, and nothing was heard before."""
    hold = Hold(6.0)
    hold.look(owed=True, silent_at=0.0, now=since)
    return hold


def test_nobody_is_asked_to_hold_who_waits_for_nothing() -> None:
    hold = Hold(6.0)
    hold.look(owed=False, silent_at=0.0, now=1.0)

    assert hold.deadline is None
    assert not hold.due(100.0)


def test_after_six_seconds_of_waiting_it_is_time_once() -> None:
    hold = waiting(since=10.0)

    assert hold.deadline == 16.0
    assert not hold.due(15.99)
    assert hold.due(16.0)
    assert not hold.due(16.0)


def test_while_the_caller_hears_something_he_is_not_waiting() -> None:
    hold = waiting(since=10.0)
    hold.look(owed=True, silent_at=14.0, now=12.0)

    assert hold.deadline == 20.0


def test_the_next_time_comes_after_ten_seconds_of_silence() -> None:
    hold = waiting(since=10.0)
    hold.due(16.0)

    assert hold.deadline == 16.0 + AGAIN_SECONDS
    hold.look(owed=True, silent_at=17.5, now=16.1)  # the words themselves are heard
    assert hold.deadline == 17.5 + AGAIN_SECONDS


def test_words_that_could_not_be_said_are_not_due_for_ever() -> None:
    hold = waiting(since=10.0)
    assert hold.due(16.0)

    hold.look(owed=True, silent_at=0.0, now=16.0)

    assert hold.deadline == 16.0 + AGAIN_SECONDS


def test_an_answer_begins_the_count_anew() -> None:
    hold = waiting(since=10.0)
    hold.due(16.0)
    hold.look(owed=False, silent_at=18.0, now=17.0)

    hold.look(owed=True, silent_at=18.0, now=30.0)

    assert hold.deadline == 36.0


def test_who_may_have_spoken_unnoticed_is_asked_again_as_early_as_the_first_time() -> None:
    hold = waiting(since=10.0)
    hold.due(16.0)
    hold.look(owed=True, silent_at=17.0, now=18.0, deaf=True)
    hold.look(owed=True, silent_at=17.0, now=20.0)  # another session has come, which is not

    assert hold.due(23.0)
    assert hold.deadline == 23.0 + AGAIN_SECONDS


def test_what_is_learnt_later_of_when_he_began_to_wait_counts() -> None:
    hold = waiting(since=10.0)
    hold.look(owed=True, silent_at=0.0, now=12.0, since=8.5)
    assert hold.deadline == 14.5

    hold.look(owed=True, silent_at=0.0, now=13.0, since=11.0)
    assert hold.deadline == 14.5

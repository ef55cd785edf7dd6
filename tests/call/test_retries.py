"""When to ask again, and when not to any more."""

import pytest

from opusbridge.call.retries import (
    LONGEST_HINT_SECONDS,
    QUICK_SECONDS,
    QUICK_TRIES,
    Retries,
)


def retries() -> Retries:
    return Retries((2.0, 4.0, 8.0))


def test_each_failure_waits_longer_and_the_fourth_is_the_last() -> None:
    some = retries()
    waits: list[float | None] = []
    for _ in range(3):
        some.after_failure(None, 10.0)
        waits.append(some.ask_again_at)

    assert waits == [12.0, 14.0, 18.0]
    assert some.given_up is None

    some.after_failure(None, 10.0)

    assert some.given_up == "model-failed"


def test_a_hint_of_the_server_replaces_the_wait_and_counts_all_the_same() -> None:
    some = retries()
    some.after_failure(0.3, 10.0)

    assert (some.ask_again_at, some.attempts) == (10.3, 1)


@pytest.mark.parametrize("hint", [360.0, float("inf")])
def test_nobody_holds_the_line_for_as_long_as_a_server_may_ask(hint: float) -> None:
    some = retries()
    some.after_failure(hint, 10.0)

    assert some.ask_again_at == 10.0 + LONGEST_HINT_SECONDS


def test_without_back_off_the_first_failure_is_the_last() -> None:
    some = Retries(())
    some.after_failure(None, 10.0)

    assert some.given_up == "model-failed"
    assert some.ask_again_at is None


def test_quick_tries_are_few_and_then_count_as_one_failure() -> None:
    some = retries()
    for _ in range(QUICK_TRIES):
        some.at_once(10.0)

        assert (some.ask_again_at, some.attempts) == (10.0 + QUICK_SECONDS, 0)

    some.at_once(11.0)

    assert (some.ask_again_at, some.attempts) == (13.0, 1)


def test_quick_tries_do_not_go_on_for_ever() -> None:
    some = retries()
    tries = 0
    while some.given_up is None:
        some.at_once(10.0)
        tries += 1

    assert tries == 4 * 6  # five at once in a row at most, then a wait, each time


def test_a_slot_that_was_really_freed_allows_quick_tries_anew() -> None:
    some = retries()
    for _ in range(2 * QUICK_TRIES):
        some.slot_freed()
        some.at_once(10.0)

    assert some.attempts == 0


def test_of_two_reasons_to_wait_the_longer_holds() -> None:
    some = retries()
    some.after_failure(None, 10.0)
    some.at_once(10.5)

    assert some.ask_again_at == 12.0


def test_an_answer_makes_everything_good() -> None:
    some = retries()
    some.after_failure(None, 10.0)
    some.answered()

    assert (some.attempts, some.ask_again_at) == (0, None)


def test_two_silences_with_nothing_heard_between_mean_that_the_model_is_gone() -> None:
    some = retries()
    some.model_heard(9.0)
    some.count_silence(10.0)

    assert some.given_up is None

    some.count_silence(15.0)

    assert some.given_up == "model-silent"


def test_a_model_that_was_heard_in_the_meantime_was_not_silent() -> None:
    some = retries()
    some.model_heard(12.0)
    some.count_silence(10.0)
    some.count_silence(12.0)
    some.model_heard(13.0)
    some.count_silence(14.0)

    assert some.given_up is None


def test_what_is_due_first_is_due() -> None:
    some = retries()
    assert some.due is None

    some.must_be_heard_by(15.0)
    assert some.due == 15.0

    some.after_failure(None, 10.0)
    assert some.due == 12.0

    some.timed_out(12.0)
    assert vars_of(some) == (None, 15.0, None)

    some.timed_out(15.0)
    assert vars_of(some) == (None, None, "model-silent")


def vars_of(some: Retries) -> tuple[float | None, float | None, str | None]:
    return some.ask_again_at, some.due, some.given_up


def test_a_word_in_time_shows_that_it_lives() -> None:
    some = retries()
    some.must_be_heard_by(15.0)
    some.model_heard(14.0)
    some.timed_out(15.0)

    assert some.given_up is None


def test_the_first_reason_to_give_up_is_the_one_that_is_told_and_told_once() -> None:
    some = retries()

    assert not some.just_given_up()

    some.give_up("model-silent")
    some.give_up("model-failed")

    assert some.given_up == "model-silent"
    assert some.just_given_up()
    assert not some.just_given_up()


def test_in_a_new_session_the_next_failure_is_the_first_again() -> None:
    some = retries()
    some.count_silence(1.0)
    some.after_failure(None, 1.0)
    some.give_up("model-failed")
    some.just_given_up()
    some.start_over()

    assert (some.attempts, some.ask_again_at, some.given_up) == (0, None, None)

    some.count_silence(2.0)

    assert some.given_up is None

    some.give_up("model-failed")

    assert some.just_given_up()

"""When another session is dialled, how often, and for how long."""

from opusbridge.call.rescue import MOST_IN_A_ROW, PAUSES, READY_SECONDS, Rescue
from opusbridge.effects import Note, ReplaceModel


def test_a_lost_session_is_dialled_for_at_once_and_once() -> None:
    rescue = Rescue(30.0)
    assert (rescue.under_way, rescue.possible, rescue.deadline) == (False, True, None)

    assert rescue.lost("model-lost", 10.0)

    assert (rescue.under_way, rescue.reason, rescue.deadline) == (True, "model-lost", 10.0)
    assert rescue.dial(10.0)
    assert not rescue.dial(10.0)
    assert rescue.deadline == 10.0 + READY_SECONDS


def test_a_session_that_is_not_ready_in_time_is_given_up_for_another() -> None:
    rescue = Rescue(30.0)
    rescue.lost("model-lost", 0.0)
    rescue.dial(0.0)
    assert rescue.dial(READY_SECONDS - 0.1) == []

    assert rescue.dial(READY_SECONDS) == [
        Note("watchdog", "session"),
        Note("model-replaced", "model-silent"),
        ReplaceModel("model-silent"),
    ]
    assert rescue.deadline == 2 * READY_SECONDS
    assert rescue.expired(30.0)
    assert rescue.deadline is None


def test_a_dial_that_failed_is_not_waited_for() -> None:
    rescue = Rescue(30.0)
    rescue.lost("model-lost", 0.0)
    rescue.dial(0.0)
    rescue.lost("model-unreachable", READY_SECONDS - 0.5)

    assert rescue.deadline == READY_SECONDS - 0.5 + PAUSES[0]
    assert rescue.dial(READY_SECONDS) == []


def test_the_socket_of_a_session_given_up_does_not_put_off_the_dial_for_another() -> None:
    rescue = Rescue(30.0)
    rescue.lost("model-lost", 0.0)
    rescue.dial(0.0)
    rescue.lost("model-failed", 1.0)

    assert rescue.lost("model-lost", 1.9)

    assert (rescue.reason, rescue.deadline) == ("model-failed", 1.0 + PAUSES[0])
    rescue.dial(1.0 + PAUSES[0])
    rescue.lost("model-unreachable", 3.0)
    assert rescue.deadline == 3.0 + PAUSES[1]


def test_dials_that_fail_are_repeated_after_growing_pauses_within_the_one_grace() -> None:
    rescue = Rescue(30.0)
    rescue.lost("model-lost", 0.0)
    now = 0.0
    for pause in (*PAUSES, PAUSES[-1]):
        assert rescue.dial(now)
        assert rescue.lost("model-unreachable", now + 0.5)
        now += 0.5 + pause
        assert rescue.deadline == now
        assert not rescue.dial(now - 0.01)

    assert rescue.reason == "model-unreachable"
    assert not rescue.expired(29.9)
    assert rescue.expired(30.0)
    assert (rescue.under_way, rescue.deadline) == (False, None)
    assert not rescue.expired(31.0)


def test_a_session_that_is_ready_ends_the_waiting() -> None:
    rescue = Rescue(30.0)
    assert rescue.ready() == []
    rescue.lost("model-lost", 0.0)
    rescue.lost("model-unreachable", 1.0)

    assert rescue.ready() == [Note("model-back", "model-lost")], "one for the loss, not the dials"
    assert rescue.ready() == []
    assert (rescue.under_way, rescue.deadline) == (False, None)
    assert not rescue.dial(0.0)
    assert not rescue.expired(100.0)


def test_sessions_that_bring_no_answer_are_not_replaced_for_ever() -> None:
    rescue = Rescue(30.0)
    for _ in range(MOST_IN_A_ROW):
        assert rescue.lost("model-lost", 0.0)
        rescue.ready()

    assert not rescue.possible
    assert not rescue.lost("model-lost", 0.0)
    assert rescue.deadline is None


def test_an_answer_makes_the_next_loss_the_first_again() -> None:
    rescue = Rescue(30.0)
    for _ in range(10):
        assert rescue.lost("model-lost", 0.0)
        rescue.ready()
        rescue.answered()


def test_so_does_the_beginning_of_one_but_no_dial_that_fails_after_it() -> None:
    rescue = Rescue(30.0)
    for _ in range(10):
        assert rescue.lost("model-lost", 0.0, cut_short=True)
        rescue.ready()
    assert rescue.lost("model-lost", 0.0)
    rescue.dial(0.0)
    rescue.lost("model-unreachable", 0.1, cut_short=True)
    rescue.ready()

    assert not rescue.possible


def test_without_a_grace_nothing_is_dialled() -> None:
    rescue = Rescue(0.0)

    assert not rescue.possible
    assert not rescue.lost("model-lost", 0.0)


def test_a_new_loss_begins_with_the_shortest_pause() -> None:
    rescue = Rescue(30.0)
    rescue.lost("model-lost", 0.0)
    rescue.lost("model-unreachable", 1.0)
    rescue.ready()
    rescue.answered()

    rescue.lost("model-lost", 50.0)
    rescue.dial(50.0)
    rescue.lost("model-unreachable", 51.0)

    assert rescue.deadline == 51.0 + PAUSES[0]

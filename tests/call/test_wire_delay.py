"""What echoes tell of the way to the ear."""

import pytest

from opusbridge.call.wire_delay import (
    EARLY_APART_SECONDS,
    EARLY_PINGS,
    ECHOES,
    LONGEST_SECONDS,
    MOST_ASKED,
    RUNS,
    Pings,
    Run,
    WireDelay,
)


def wire_after(*runs: list[float], assumed: float = 0.05) -> float:
    """One way, after runs of sound whose echoes came so late."""
    wire = WireDelay(assumed)
    for excesses in runs:
        wire.begin()
        for excess in excesses:
            wire.came_back(excess)
    return wire.seconds


def test_before_anything_came_back_the_way_is_what_is_assumed() -> None:
    assert wire_after() == wire_after([]) == 0.05


def test_one_way_is_half_of_the_quickest_there_and_back() -> None:
    assert wire_after([0.09, 0.06, 0.2]) == pytest.approx(0.03)


def test_a_longer_way_than_assumed_is_believed_when_two_runs_say_so() -> None:
    assert wire_after([0.2]) == 0.05
    assert wire_after([0.2], [0.18]) == pytest.approx(0.09)


def test_one_run_that_began_late_does_not_make_the_next_one_late() -> None:
    assert wire_after([0.06], [0.07], [0.5], [0.06]) == pytest.approx(0.035)


def test_runs_of_which_nothing_came_back_say_nothing() -> None:
    assert wire_after([0.06], [], [], [], [], [], []) == pytest.approx(0.03)


def test_a_wire_that_changes_is_followed() -> None:
    assert wire_after([0.04], *[[0.2]] * RUNS) == pytest.approx(0.1)


def test_a_far_side_that_stood_still_is_no_long_wire_and_a_fast_one_no_wire_at_all() -> None:
    assert wire_after(*[[5.0]] * RUNS) == LONGEST_SECONDS
    assert wire_after([-0.4]) == 0.0


def a_run() -> Run:
    return Run(begins=800, sent_at=1.0, bytes_per_second=8000, delay=0.05, told=0.05)


def test_a_run_is_heard_its_delay_after_it_was_sent() -> None:
    assert a_run().heard_at(800) == pytest.approx(1.05)
    assert a_run().heard_at(1600) == pytest.approx(1.15)


def test_an_echo_is_late_by_the_way_of_the_sound_and_its_own() -> None:
    run = a_run()
    assert run.excess(1600, 1.18) == pytest.approx(0.08)

    run.came_back(0.08, 0.03)

    assert run.delay == pytest.approx(0.05)
    run.came_back(0.14, 0.03)  # late on its own way: the sound was not
    assert run.delay == pytest.approx(0.05)


def test_a_far_side_that_stood_still_is_believed_after_some_echoes() -> None:
    run = a_run()
    run.came_back(0.08, 0.04)
    for _ in range(ECHOES):
        run.came_back(0.58, 0.04)

    assert run.delay == pytest.approx(0.54)


def test_a_ping_that_left_with_the_sound_tells_half_of_how_late_it_is_heard() -> None:
    run = a_run()
    run.pinged(0.14)
    assert run.delay == pytest.approx(0.07)

    run.pinged(7.0)  # the far side stood still, and nobody knows when
    assert run.delay == LONGEST_SECONDS


# --- Pings ------------------------------------------------------------------------------


def test_the_wire_is_asked_early_but_not_all_at_once_and_then_no_more() -> None:
    pings = Pings(possible=True, of_every_run=False)
    asked = []
    for tick in range(100):
        now = 5.0 + tick / 20
        if pings.early_due(now):
            pings.ask(None, now)
            asked.append(now)

    assert len(asked) == EARLY_PINGS
    assert asked[0] == 5.0
    assert asked[1] - asked[0] == pytest.approx(EARLY_APART_SECONDS)


def test_where_no_marks_come_back_each_run_is_pinged_once() -> None:
    pings, first, second = Pings(possible=True, of_every_run=True), a_run(), a_run()
    assert not pings.due_behind(None)
    assert pings.due_behind(first)
    pings.ask(first, 1.0)
    assert not pings.due_behind(first)
    pings.ask(None, 1.5)
    assert not pings.due_behind(first)
    assert pings.due_behind(second)


def test_where_marks_tell_of_it_no_run_is_pinged() -> None:
    assert not Pings(possible=True, of_every_run=False).due_behind(a_run())


def test_a_socket_that_carries_no_pings_is_not_asked_to() -> None:
    pings = Pings(possible=False, of_every_run=True)

    assert not pings.early_due(9.0)
    assert not pings.due_behind(a_run())


def test_an_answer_tells_how_long_it_took_and_what_it_travelled_with_once() -> None:
    pings, run = Pings(possible=True, of_every_run=True), a_run()
    names = [pings.ask(run, 1.0), pings.ask(None, 2.0)]

    assert pings.answered(names[1], 2.25) == (0.25, None)
    assert pings.answered(names[0], 2.5) == (1.5, run)
    assert pings.answered(names[0], 2.5) is None
    assert pings.answered("ping-99", 2.5) is None


def test_a_far_side_that_never_answers_leaves_no_more_than_some_behind() -> None:
    pings = Pings(possible=True, of_every_run=True)
    names = [pings.ask(a_run(), float(second)) for second in range(MOST_ASKED + 5)]

    known = [pings.answered(name, 100.0) is not None for name in names]
    assert known == [False] * 5 + [True] * MOST_ASKED

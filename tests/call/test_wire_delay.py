"""What echoes tell of the way to the ear."""

import pytest

from opusbridge.call.wire_delay import ECHOES, LONGEST_SECONDS, RUNS, Run, WireDelay


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

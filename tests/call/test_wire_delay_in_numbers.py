"""What the estimates of the way to the ear are made of, line by line."""

import pytest

from opusbridge.call.line_clock import STOPPED_SECONDS, WINDOW_SECONDS, LineClock
from opusbridge.call.wire_delay import (
    LONGEST_SECONDS,
    NEWS_SECONDS,
    RUNS,
    WORTH_TELLING_SECONDS,
    Run,
    Trip,
    WireDelay,
)
from tests.call.test_line_clock import MS, SLOW, frames
from tests.call.test_wire_delay import a_run, beside_a_line, wire_after

PER_WINDOW = round(WINDOW_SECONDS * 1000 / MS)
#: Half a frame behind the quickest frame there can be: what comes then was not held up.
ON_TIME = 10.02


def beside_a_quick_line(*trips: float) -> tuple[WireDelay, LineClock]:
    """Whose frames take 10 ms, all of them; a trip is as long as straightened then."""
    wire, clock = beside_a_line([0.01])
    for trip in trips:
        wire.came_back(Trip(), trip, ON_TIME)
    return wire, clock


# --- The line ---------------------------------------------------------------------------


def test_of_a_line_that_begins_anew_nothing_of_the_last_one_counts() -> None:
    clock = LineClock()
    for number in range(20):
        clock.came(MS, None, 60.0 + number * MS / 1000)  # a minute behind our clock
    clock.restart()
    now = 61.0
    for number in range(12):
        now += MS / 1000
        clock.came(MS, 161_000 + number * MS, now)  # and this one far ahead

    assert clock.usual < 0.02
    assert clock.left(now) is not None
    assert clock.left(now + 0.06) is None


def test_the_middle_is_looked_for_in_great_steps_at_first_and_in_small_ones_later() -> None:
    clock = LineClock()
    frames(clock, 1, late=0.1)
    frames(clock, 3, first=1)
    assert clock.usual == pytest.approx(0.1 - 0.02 * (1 + 1 / 2 + 1 / 3 + 1 / 4))
    frames(clock, 16, first=4)
    assert clock.usual < 0.06

    frames(clock, 1000, first=20)
    assert clock.usual < 0.002
    frames(clock, 30, first=1020, late=0.1)
    assert clock.usual == pytest.approx(0.03, abs=0.002)


def test_how_quick_and_how_late_frames_were_is_known_for_a_window_after_it() -> None:
    clock = LineClock()
    frames(clock, PER_WINDOW - 1, late=0.05)
    frames(clock, 1, first=PER_WINDOW - 1)
    frames(clock, 1, first=PER_WINDOW, late=0.1)
    now = frames(clock, 9, first=PER_WINDOW + 1, late=0.02)
    assert clock.behind == pytest.approx(SLOW)  # of the window before
    assert clock.left(now + 0.05) is not None

    frames(clock, PER_WINDOW, first=PER_WINDOW + 10, late=0.02)
    now = frames(clock, 1, first=2 * PER_WINDOW + 10, late=0.02)
    assert clock.left(now + 0.05) is not None

    now = frames(clock, PER_WINDOW + 10, first=2 * PER_WINDOW + 11, late=0.02)
    assert clock.left(now + 0.05) is None


def test_a_line_that_has_stopped_is_soon_no_clock_however_uneven_it_was() -> None:
    clock = LineClock()
    frames(clock, 50)
    frames(clock, 1, first=50, late=0.25)
    now = frames(clock, 9, first=51)
    clock.stopped(now)

    assert clock.left(now + STOPPED_SECONDS - 0.01) is not None
    assert clock.left(now + STOPPED_SECONDS + 0.01) is None


# --- The wire ---------------------------------------------------------------------------


def test_all_echoes_of_one_run_are_one_trip_and_the_quickest_of_them_counts() -> None:
    wire, trip = WireDelay(0.05), Trip()
    for excess in (0.3, 0.2, 0.4, 0.3, 0.3, 0.3):
        wire.came_back(trip, excess, 1.0)

    assert wire.seconds == 0.05
    assert wire.quickest == pytest.approx(0.1)


def test_once_there_are_enough_trips_what_was_assumed_is_none_of_them() -> None:
    trips = [0.06, 0.06, 0.2, 0.2, 0.2]
    assert len(trips) == RUNS
    assert wire_after(*trips, assumed=0.05).seconds == pytest.approx(0.1)


def test_no_way_is_longer_than_a_wires_nor_shorter_than_nothing() -> None:
    assert wire_after(*[5.0] * RUNS).quickest == LONGEST_SECONDS

    wire, _ = beside_a_quick_line(*[-0.05] * RUNS)
    assert (wire.quickest, wire.seconds) == (0.0, 0.0)


def test_the_quickest_way_is_half_of_the_quickest_trip_on_a_line_that_is_even() -> None:
    wire, _ = beside_a_quick_line(0.06, 0.02, 0.06)
    assert wire.quickest == pytest.approx(0.01)


def test_where_frames_are_late_trips_are_as_much_longer_than_the_quickest_ones() -> None:
    wire, clock = beside_a_line([0.05, 0.05, 0.05, 0.01])
    assert clock.usual == pytest.approx(0.04, abs=0.005)
    for trip in (0.05, 0.06, 0.06):
        wire.came_back(Trip(), trip, ON_TIME)

    assert wire.quickest == pytest.approx((0.06 - clock.usual) / 2)


def test_the_way_to_the_ear_is_what_is_left_of_a_trip_without_the_quickest_way_back() -> None:
    wire, _ = beside_a_quick_line(0.02, 0.08, 0.08, 0.08, 0.08)
    assert wire.seconds == pytest.approx(0.08 - 0.01)


def test_a_frame_that_is_quicker_than_all_before_it_shortens_every_trip() -> None:
    wire, clock = beside_a_quick_line(0.05)
    assert wire.quickest == pytest.approx(0.025)

    clock.came(MS, 10_000, 10.02)  # took nothing at all: our clock was 10 ms behind
    wire.came_back(Trip(), 0.2, 10.03)

    assert wire.quickest == pytest.approx((0.05 - 0.01) / 2)


# --- A run ------------------------------------------------------------------------------


def test_of_several_echoes_beside_a_line_the_middle_tells() -> None:
    wire, _ = beside_a_quick_line(0.02, 0.02, 0.02, 0.02)
    run = a_run()
    for excess in (0.05, 0.06, 0.09):
        run.pinged(excess, ON_TIME, wire)

    assert run.delay == pytest.approx(0.06 - 0.01)


def test_sound_is_heard_no_sooner_than_it_was_sent() -> None:
    wire, _ = beside_a_quick_line(0.02)
    run = a_run()
    run.pinged(-0.05, ON_TIME, wire)

    assert run.delay == 0.0


def test_of_echoes_that_come_together_the_quickest_counts() -> None:
    run, wire = a_run(), wire_after(0.04)
    run.came_back(1600, 1.2, wire)
    heard = run.delay
    run.came_back(1608, 1.204, wire)

    assert run.delay == heard


def test_an_echo_quicker_than_the_wire_was_known_to_be_is_shared_by_both_ways() -> None:
    wire, clock = beside_a_quick_line(0.06)
    assert wire.quickest == pytest.approx(0.03)
    clock.restart()  # of what comes now it does not tell
    run = a_run()
    for number in range(3):
        run.came_back(1600 + 800 * number, 1.14 + 0.1 * number, wire)

    assert run.delay == pytest.approx(0.02)


def test_a_line_that_begins_anew_says_nothing_in_the_old_ones_words() -> None:
    wire, clock = beside_a_quick_line(0.02, 0.02)
    run = Run(0, 9.9, 8000, 0.05, 0.05)
    run.pinged(0.05, ON_TIME, wire)
    clock.restart()
    for number in range(20):
        now = 11.0 + (number + 1) * MS / 1000
        clock.came(MS, 111_000 + number * MS, now + 0.01)  # far ahead of our clock

    run.pinged(0.09, now + 0.02, wire)

    # The old trips are as short as they were, this one and its run as long as it is now.
    assert wire.quickest == pytest.approx(0.01)
    assert run.delay == pytest.approx(0.09 - 0.01)


def test_a_run_that_is_heard_at_another_time_than_was_told_is_told_so_once() -> None:
    sooner, hardly = Run(0, 1.0, 8000, 0.03, 0.05), Run(0, 1.0, 8000, 0.05, 0.05)
    hardly.delay += WORTH_TELLING_SECONDS - 0.001

    assert sooner.moved(1.2) == pytest.approx(-0.02)
    assert sooner.moved(1.2) == 0.0
    assert hardly.moved(1.2) == 0.0


def test_after_a_while_it_is_no_news() -> None:
    assert Run(0, 1.0, 8000, 0.2, 0.05).moved(1.0 + NEWS_SECONDS) == pytest.approx(0.15)
    assert Run(0, 1.0, 8000, 0.2, 0.05).moved(1.01 + NEWS_SECONDS) == 0.0

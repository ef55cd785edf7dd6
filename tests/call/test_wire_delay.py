"""What echoes tell of the way to the ear."""

import pytest

from opusbridge.call.line_clock import LineClock
from opusbridge.call.wire_delay import (
    APART_SECONDS,
    EARLY_APART_SECONDS,
    EARLY_PINGS,
    ECHOES,
    LONGEST_HELD_SECONDS,
    LONGEST_SECONDS,
    MOST_ASKED,
    RUNS,
    TRIPS,
    Pings,
    Run,
    Trip,
    WireDelay,
)

FRAME_MS = 20


def wire_after(*trips: float, assumed: float = 0.05) -> WireDelay:
    """After pings that took so long, beside a line that tells nothing."""
    wire = WireDelay(assumed)
    for trip in trips:
        wire.came_back(Trip(), trip, 1.0)
    return wire


def beside_a_line(back: list[float], until: float = 10.0) -> tuple[WireDelay, LineClock]:
    """A far side whose clock shows what ours does; its frames come back in turn so late."""
    clock = LineClock()
    for number in range(round(until * 1000) // FRAME_MS):
        ends_at = (number + 1) * FRAME_MS / 1000
        clock.came(FRAME_MS, number * FRAME_MS, ends_at + back[number % len(back)])
    return WireDelay(0.05, clock), clock


def test_before_anything_came_back_the_way_is_what_is_assumed() -> None:
    assert wire_after().seconds == 0.05


def test_one_way_is_half_of_there_and_back() -> None:
    assert wire_after(0.06, 0.06).seconds == pytest.approx(0.03)


def test_a_longer_way_than_assumed_is_believed_when_two_trips_say_so() -> None:
    assert wire_after(0.2).seconds == 0.05
    assert wire_after(0.2, 0.18).seconds == pytest.approx(0.09)


def test_one_trip_that_took_long_does_not_make_the_next_sound_late() -> None:
    assert wire_after(0.06, 0.07, 0.5, 0.06).seconds == pytest.approx(0.035)


def test_a_wire_that_changes_is_followed() -> None:
    assert wire_after(0.04, *[0.2] * RUNS).seconds == pytest.approx(0.1)


def test_a_far_side_that_stood_still_is_no_long_wire_and_a_fast_one_no_wire_at_all() -> None:
    assert wire_after(*[5.0] * RUNS).seconds == LONGEST_SECONDS
    assert wire_after(-0.4).seconds == 0.0


def test_the_quickest_way_is_half_of_the_quickest_trip() -> None:
    assert wire_after(0.06, 0.2, 0.04).quickest == pytest.approx(0.02)


def test_a_quick_trip_of_long_ago_is_forgotten() -> None:
    assert wire_after(0.04, *[0.2] * (TRIPS - 1)).quickest == pytest.approx(0.02)
    assert wire_after(0.04, *[0.2] * TRIPS).quickest == pytest.approx(0.1)


def test_what_the_callers_frames_were_late_an_echo_between_them_was_too() -> None:
    # His frames take 10 ms or 70, and so do our pings; this one left at 9.9 and came with those
    # that were late.
    wire, clock = beside_a_line([0.01, 0.01, 0.07, 0.07])
    for way in (0.01, 0.07, 0.01, 0.07):
        wire.came_back(Trip(), way + 0.01, 10.01 + FRAME_MS / 2000)
    clock.came(FRAME_MS, 10_000, 10.09)

    wire.came_back(Trip(), 0.07 + 0.03, 10.1)

    assert wire.quickest == pytest.approx(0.01, abs=0.012)
    assert wire.seconds == pytest.approx(0.03, abs=0.03)


def test_ways_are_taken_to_be_alike_and_no_quicker_than_nothing() -> None:
    wire, clock = beside_a_line([0.05] * 4 + [0.0] + [0.05] * 4)
    wire.came_back(Trip(), 0.02, 10.0 + 0.05)

    assert clock.usual == pytest.approx(0.05, abs=0.005)
    assert wire.quickest == 0.0


def a_run() -> Run:
    return Run(begins=800, sent_at=1.0, bytes_per_second=8000, delay=0.05, told=0.05)


def test_a_run_is_heard_its_delay_after_it_was_sent() -> None:
    assert a_run().heard_at(800) == pytest.approx(1.05)
    assert a_run().heard_at(1600) == pytest.approx(1.15)


def test_of_one_echo_that_is_late_half_was_the_sounds_own_way() -> None:
    run, wire = a_run(), WireDelay(0.05)

    run.came_back(1600, 1.18, wire)

    assert run.delay == pytest.approx(0.04)


def test_of_several_echoes_the_quickest_tells_and_the_more_the_better() -> None:
    run, wire = a_run(), wire_after(0.04)
    for number, late in enumerate((0.1, 0.08, 0.12)):
        run.came_back(1600 + 800 * number, 1.1 + 0.1 * number + late, wire)

    # It is 20 ms at least, and so is the way back: of the 40 ms left three quarters.
    assert run.delay == pytest.approx(0.02 + 0.03)


def test_echoes_that_come_together_are_one() -> None:
    run, wire = a_run(), wire_after(0.04)
    for position in (1600, 1760, 1920):
        run.came_back(position, 1.2, wire)

    assert run.delay == pytest.approx((1.2 - 1.14) / 2)


def test_a_far_side_that_stood_still_is_believed_after_some_echoes() -> None:
    run, wire = a_run(), wire_after(0.04)
    run.came_back(1600, 1.18, wire)
    for number in range(ECHOES):
        run.came_back(2400 + 800 * number, 1.2 + 0.1 * number + 0.58, wire)

    assert run.delay == pytest.approx(0.58 - 0.02 - LONGEST_SECONDS / (ECHOES + 1))


@pytest.mark.parametrize("line_tells", [False, True])
def test_a_far_side_is_believed_to_have_stood_still_for_some_seconds_and_no_longer(
    line_tells: bool,
) -> None:
    wire = beside_a_line([0.01])[0] if line_tells else wire_after(0.04)
    for seconds in (LONGEST_HELD_SECONDS - 1.0, LONGEST_HELD_SECONDS + 1.0, 600.0):
        run = Run(0, 10.0 - seconds, 8000, 0.05, 0.05)
        for _ in range(2 * ECHOES):
            run.came_back(160, 10.0, wire)

        assert run.delay == pytest.approx(min(seconds, LONGEST_HELD_SECONDS), abs=0.35)
        assert run.delay <= LONGEST_HELD_SECONDS


def test_a_ping_that_left_with_the_sound_tells_half_of_how_late_it_is_heard() -> None:
    run, other, wire = a_run(), a_run(), WireDelay(0.05)
    run.pinged(0.14, 1.14, wire)
    assert run.delay == pytest.approx(0.07)

    other.pinged(7.0, 8.0, wire)  # the far side stood still, and nobody knows when
    assert other.delay == LONGEST_SECONDS


def test_a_sound_that_came_late_is_told_from_an_echo_that_came_late() -> None:
    # Frames and pings alike take 10 ms; then some frames are held up, and an echo with them.
    wire, clock = beside_a_line([0.01])
    for _ in range(4):
        wire.came_back(Trip(), 0.02, 10.02)
    quick, slow = (Run(0, 9.9, 8000, 0.05, 0.05) for _ in range(2))

    slow.came_back(800, 10.02 + 0.07, wire)  # nothing has come: it was the sound, or both
    clock.came(FRAME_MS, 10_000, 10.09)
    clock.came(FRAME_MS, 10_020, 10.10)
    clock.came(FRAME_MS, 10_040, 10.10)
    quick.came_back(800, 10.10, wire)  # left there when our clock showed 10.07

    assert quick.delay == pytest.approx(0.07, abs=0.02)


def test_beside_a_line_too_a_far_side_that_stood_still_is_believed_after_some_echoes() -> None:
    wire, _ = beside_a_line([0.01])
    run = Run(0, 9.8, 8000, 0.05, 0.05)
    for _ in range(2 * ECHOES):
        run.came_back(1600, 10.02, wire)
    assert run.delay == pytest.approx(0.01, abs=0.001)

    for _ in range(ECHOES):
        run.came_back(800, 10.02, wire)  # 100 ms of its sound were heard later than that

    assert run.delay == pytest.approx(0.11, abs=0.001)


def test_on_another_line_what_the_last_one_said_is_forgotten() -> None:
    wire, clock = beside_a_line([0.01])
    for _ in range(4):
        wire.came_back(Trip(), 0.02, 10.02)
    run = Run(0, 9.9, 8000, 0.05, 0.05)
    run.came_back(800, 10.02, wire)
    heard, known = run.delay, wire.quickest
    clock.restart()
    run.came_back(1600, 10.9, wire)  # of which no line tells
    assert (run.delay, wire.quickest) == (heard, known)

    for number in range(20):
        clock.came(FRAME_MS, None, 11.0 + number * FRAME_MS / 1000)
    run.came_back(1600, 11.39, wire)

    assert run.delay == pytest.approx(1.29, abs=0.03)


# --- Pings ------------------------------------------------------------------------------


def test_the_wire_is_asked_early_but_not_all_at_once() -> None:
    pings = Pings(possible=True, of_every_run=False)
    assert pings.deadline is None  # the first waits until there is somebody to ask
    asked = []
    for tick in range(400):
        now = 5.0 + tick / 100
        if pings.due(False, now):
            pings.ask(None, now)
            asked.append(now)
            if len(asked) < EARLY_PINGS:
                assert pings.deadline == pytest.approx(now + EARLY_APART_SECONDS)

    assert len(asked) == EARLY_PINGS
    assert asked[0] == 5.0
    assert asked[1] - asked[0] == pytest.approx(EARLY_APART_SECONDS, abs=0.011)
    assert pings.deadline is None


def test_later_it_is_asked_now_and_then_while_nothing_is_heard() -> None:
    pings = Pings(possible=True, of_every_run=False)
    for number in range(EARLY_PINGS):
        pings.ask(None, float(number))

    at = EARLY_PINGS - 1.0
    assert not pings.due(True, at + APART_SECONDS - 0.01)
    assert pings.due(True, at + APART_SECONDS)
    assert not pings.due(False, at + APART_SECONDS)


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

    assert not pings.due(True, 9.0)
    assert pings.deadline is None
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

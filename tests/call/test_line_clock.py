"""What the caller's frames tell of when something left the far side."""

import pytest

from opusbridge.call.line_clock import (
    FEWEST_FRAMES,
    LONGEST_SECONDS,
    STOPPED_SECONDS,
    STOPPED_SHARE,
    WINDOW_SECONDS,
    LineClock,
)

MS = 20
HALF = MS / 2000
SLOW = 0.01  # seconds the quickest frame is on its way


def frames(
    clock: LineClock,
    count: int,
    first: int = 0,
    late: float = 0.0,
    stamped: bool = True,
    ms: int = MS,
) -> float:
    """So many, each leaving when it is over; returns when the last of them came."""
    for number in range(first, first + count):
        came_at = (number + 1) * ms / 1000 + SLOW + late
        clock.came(ms, number * ms if stamped else None, came_at)
    return came_at


@pytest.mark.parametrize("stamped", [True, False])
def test_what_comes_behind_a_frame_left_behind_it_however_long_both_were_held_up(
    stamped: bool,
) -> None:
    clock = LineClock()
    frames(clock, 50, stamped=stamped)
    now = frames(clock, 1, first=50, late=0.08, stamped=stamped)
    frame_left = 51 * MS / 1000

    left = clock.left(now)

    # Shown as if the way back took nothing: what the quickest takes is not known here.
    assert left is not None
    assert left + clock.behind == pytest.approx(frame_left + SLOW + HALF)


def test_the_first_frames_tell_nothing_yet() -> None:
    clock = LineClock()
    now = frames(clock, FEWEST_FRAMES - 1)
    assert clock.left(now) is None
    now = frames(clock, 1, first=FEWEST_FRAMES - 1)
    assert clock.left(now) is not None


def test_a_line_that_sends_nothing_for_silence_is_no_clock() -> None:
    clock = LineClock()
    frames(clock, 50)
    now = frames(clock, 50, first=100)
    assert clock.left(now) is None

    clock.restart()
    now = frames(clock, 50, first=100)
    assert clock.left(now) is not None


def test_a_missing_frame_or_two_are_not_silence() -> None:
    clock = LineClock()
    frames(clock, 50)
    now = frames(clock, 50, first=52)
    assert clock.left(now) is not None


def test_what_comes_later_than_any_frame_was_does_not_come_with_them() -> None:
    clock = LineClock()
    now = frames(clock, 50)
    assert clock.left(now + HALF) is not None
    assert clock.left(now + 3 * HALF) is None


def test_what_was_held_up_for_longer_than_a_wire_does_tells_nothing() -> None:
    clock = LineClock()
    frames(clock, 50)
    now = frames(clock, 1, first=50, late=LONGEST_SECONDS + 0.1)
    assert clock.left(now) is None


def test_between_long_frames_anything_may_have_left() -> None:
    clock = LineClock()
    assert clock.left(frames(clock, 50, ms=100)) is None


def test_a_line_that_has_stopped_tells_of_what_comes_soon_behind_that() -> None:
    clock = LineClock()
    frames(clock, 50)
    now = frames(clock, 1, first=50, late=0.08)
    frame_left = 51 * MS / 1000
    clock.stopped(now)

    # It may have left at any time from then to one quickest way ago.
    left = clock.left(now)
    assert left is not None
    latest = now - SLOW
    expected = latest - (latest - frame_left - HALF) * STOPPED_SHARE
    assert left + clock.behind - SLOW == pytest.approx(expected)
    assert clock.left(now + STOPPED_SECONDS + 0.001) is None


def test_a_line_that_begins_anew_has_another_time() -> None:
    clock = LineClock()
    frames(clock, 50, stamped=False)
    era = clock.era
    clock.stopped(1.1)

    for number in range(FEWEST_FRAMES):
        clock.came(MS, None, 60.0 + number * MS / 1000)

    assert clock.era == era + 1
    left = clock.left(60.0 + (FEWEST_FRAMES - 1) * MS / 1000)
    assert left == pytest.approx(FEWEST_FRAMES * MS / 1000 + HALF)


def test_clocks_that_drift_apart_are_followed() -> None:
    clock = LineClock()
    per_window = round(WINDOW_SECONDS * 1000 / MS)
    frames(clock, per_window)
    frames(clock, 2 * per_window, first=per_window, late=0.02)

    assert clock.behind == pytest.approx(SLOW + 0.02)


def test_how_late_frames_usually_are_is_the_middle_of_them() -> None:
    clock = LineClock()
    for number in range(1_000):
        late = (0.0, 0.03, 0.2)[number % 3]
        frames(clock, 1, first=number, late=late)

    assert clock.behind == pytest.approx(SLOW)
    assert clock.usual == pytest.approx(0.03, abs=0.005)


def test_a_line_that_says_nothing_late_is_usually_on_time() -> None:
    clock = LineClock()
    frames(clock, 3)
    assert 0.0 <= clock.usual < 0.02

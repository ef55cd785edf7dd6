import pytest

from opusbridge.call.media import HELD_AFTER_LOSS_MS, HELD_MS, LATE_SECONDS
from opusbridge.call.turns import (
    HOLE_MS,
    LONGEST_HOLE_MS,
    MOST_FED_MS,
    QUIET_SECONDS,
    CallerLine,
    Keypad,
)
from opusbridge.effects import AppendAudio, CommitAudio, Effect, Note
from opusbridge.events import CallerSpoke
from opusbridge.privacy import Private
from opusbridge.sound import PCM_8K, PCM_24K, PCMU_8K, Audio

SILENCE = b"\xff"


def frame(ms: int = 20, at_ms: int | None = None) -> CallerSpoke:
    return CallerSpoke(Audio.of(b"\x55" * (8 * ms), PCMU_8K), at_ms)


def open_line() -> CallerLine:
    line = CallerLine(PCMU_8K, PCMU_8K)
    assert line.open(0.0) == []
    return line


def in_mid_speech(now: float = 1.0) -> CallerLine:
    """The caller speaks; his last frame came at ``now``."""
    line = open_line()
    line.spoke(frame(), now)
    line.speech_started(now)
    return line


def appended_ms(found: list[Effect]) -> float:
    return sum(effect.audio.ms for effect in found if isinstance(effect, AppendAudio))


# --- Sound ------------------------------------------------------------------------------


def test_a_frame_goes_to_the_model_as_it_came() -> None:
    spoken = frame()

    (effect,) = open_line().spoke(spoken, 1.0)

    assert isinstance(effect, AppendAudio)
    assert effect.audio is spoken.audio


def test_who_speaks_on_when_no_silence_is_fed_any_more_does_not_just_pass() -> None:
    line = in_mid_speech()
    assert line.passes(160, None, 1.02)
    assert line.deadline == 1.02 + QUIET_SECONDS

    line.feed(1.02 + QUIET_SECONDS + MOST_FED_MS / 1000)
    line.feed(1.02 + QUIET_SECONDS + 2 * MOST_FED_MS / 1000)

    assert line.deadline is None
    assert not line.passes(160, None, 40.0)
    line.spoke(frame(), 40.0)
    assert line.deadline == 40.0 + QUIET_SECONDS


def test_less_than_a_sample_is_nothing_yet() -> None:
    line = CallerLine(PCM_24K, PCM_24K)
    line.open(0.0)

    assert line.spoke(CallerSpoke(Audio.of(b"a", PCM_24K)), 1.0) == []
    assert line.spoke(CallerSpoke(Audio.of(b"b", PCM_24K)), 1.0) == [
        AppendAudio(Audio.of(b"ab", PCM_24K))
    ]


def test_what_is_said_before_the_session_is_ready_goes_first() -> None:
    line = CallerLine(PCMU_8K, PCMU_8K)
    early = [frame(20), frame(30)]
    assert [line.spoke(one, 1.0) for one in early] == [[], []]

    assert line.open(1.1) == [AppendAudio(one.audio) for one in early]
    assert line.spoke(frame(), 1.2) == [AppendAudio(frame().audio)]


def test_what_is_too_old_to_be_held_is_dropped_and_counted() -> None:
    line = CallerLine(PCMU_8K, PCMU_8K)
    line.spoke(frame(HELD_MS), 5.0)

    assert line.spoke(frame(20), 5.02) == []

    opened = line.open(5.1)
    assert opened[0] == Note("audio-dropped", "", (), 20)
    assert appended_ms(opened[1:]) == HELD_MS


def test_after_a_loss_less_is_held_and_what_was_dropped_is_told_once() -> None:
    line = open_line()
    line.close()
    for n in range(100):
        assert line.spoke(frame(20), 1.0 + n * 0.02) == []
    line.close()  # the dial failed
    assert line.dropped_ms == 500.0

    opened = line.open(4.0)

    assert opened[0] == Note("audio-dropped", "", (), 500.0)
    assert appended_ms(opened[1:]) == HELD_AFTER_LOSS_MS
    assert line.dropped_ms == 0.0


def test_where_we_chose_the_moment_as_much_is_held_as_before_the_first_session() -> None:
    line = open_line()
    line.close(most_ms=HELD_MS)
    line.spoke(frame(3000), 4.0)
    line.close()  # the dial failed

    assert line.dropped_ms == 0.0
    assert appended_ms(line.open(5.0)) == 3000

    line.close()
    line.spoke(frame(3000), 9.0)
    assert line.dropped_ms == 3000.0 - HELD_AFTER_LOSS_MS


def test_a_lost_session_has_the_caller_held_for_the_next() -> None:
    line = in_mid_speech()
    line.close()

    assert line.deadline is None
    assert line.spoke(frame(), 1.1) == []
    assert appended_ms(line.open(2.0)) == 20


# --- When something was said ------------------------------------------------------------


def test_an_instant_of_the_models_clock_is_found_on_the_line() -> None:
    line = open_line()
    line.spoke(frame(1000), 1.0)
    line.spoke(frame(1000), 2.0)

    assert line.seconds_since(1500, 2.3) == pytest.approx(0.8)
    assert line.seconds_since(9999, 2.3) == 0  # the model is ahead of what was said


def test_silence_put_in_place_of_nothing_does_not_make_the_speech_older() -> None:
    line = in_mid_speech(now=1.0)
    assert appended_ms(line.feed(2.2)) == 500

    assert line.seconds_since(20, 2.2) == pytest.approx(1.2)


def test_the_models_clock_does_not_count_what_was_dropped() -> None:
    line = CallerLine(PCMU_8K, PCMU_8K)
    line.spoke(frame(HELD_MS), 5.0)
    line.spoke(frame(1000), 6.0)
    line.open(6.0)

    assert line.seconds_since(HELD_MS, 6.0) == 0
    assert line.seconds_since(HELD_MS - 1000, 6.0) == 1


def test_a_new_session_has_a_clock_of_its_own() -> None:
    line = open_line()
    line.spoke(frame(3000), 3.0)
    line.close()
    line.open(4.0)
    line.spoke(frame(1000), 5.0)

    assert line.seconds_since(400, 5.0) == pytest.approx(0.6)


def test_the_models_clock_counts_what_it_was_given_not_what_came() -> None:
    line = CallerLine(PCM_8K, PCM_24K)
    line.open(0.0)
    spoken = CallerSpoke(Audio.of(bytes(16 * 1000), PCM_8K))

    given = appended_ms(line.spoke(spoken, 1.0))

    assert given < 1000  # conversion holds a little back
    assert line.seconds_since(given, 1.0) == 0


# --- Commit -----------------------------------------------------------------------------


def test_less_than_the_model_takes_is_not_committed() -> None:
    line = open_line()
    line.spoke(frame(80), 1.0)
    assert line.commit() == []

    line.spoke(frame(20), 1.1)
    assert line.commit() == [CommitAudio()]
    assert line.commit() == []


def test_without_a_session_there_is_nothing_to_commit() -> None:
    line = CallerLine(PCMU_8K, PCMU_8K)
    line.spoke(frame(1000), 1.0)
    assert line.commit() == []

    line.open(1.0)
    assert line.commit() == [CommitAudio()]


def test_what_the_model_committed_is_not_committed_again() -> None:
    line = open_line()
    line.spoke(frame(1000), 1.0)
    line.committed()

    assert line.commit() == []


def test_what_is_said_while_a_commit_travels_belongs_to_the_next_turn() -> None:
    line = open_line()
    line.spoke(frame(1000), 1.0)
    line.commit()
    line.spoke(frame(100), 1.1)
    line.committed()

    assert line.commit() == [CommitAudio()]


# --- Holes ------------------------------------------------------------------------------


def test_a_hole_in_the_timestamps_is_filled_with_silence_before_what_follows() -> None:
    line = open_line()
    assert line.spoke(frame(20, at_ms=100), 1.0) == [AppendAudio(frame().audio)]

    assert line.spoke(frame(20, at_ms=320), 1.2) == [
        Note("gap-filled", "", (), 200),
        AppendAudio(Audio.of(SILENCE * 1600, PCMU_8K)),
        AppendAudio(frame().audio),
    ]
    assert appended_ms(line.spoke(frame(20, at_ms=340), 1.2)) == 20


@pytest.mark.parametrize("hole_ms", [-500, 0, HOLE_MS - 1, LONGEST_HOLE_MS + 1])
def test_jitter_and_nonsense_are_no_holes(hole_ms: int) -> None:
    line = open_line()
    line.spoke(frame(20, at_ms=1000), 1.0)

    assert appended_ms(line.spoke(frame(20, at_ms=1020 + hole_ms), 1.0)) == 20


@pytest.mark.parametrize("hole_ms", [HOLE_MS, LONGEST_HOLE_MS])
def test_the_least_and_the_longest_hole_are_filled(hole_ms: int) -> None:
    line = open_line()
    line.spoke(frame(20, at_ms=1000), 1.0)

    assert appended_ms(line.spoke(frame(20, at_ms=1020 + hole_ms), 1.0)) == 20 + hole_ms


def test_of_a_hole_only_what_was_not_filled_yet_is_filled() -> None:
    line = open_line()
    line.spoke(frame(20, at_ms=1000), 1.0)
    line.speech_started(1.0)
    fed = appended_ms(line.feed(1.75)) + appended_ms(line.feed(1.85))

    after = line.spoke(frame(20, at_ms=2020), 2.0)

    assert fed == 200
    assert appended_ms(after) == 800 + 20
    assert appended_ms(line.spoke(frame(20, at_ms=2540), 2.5)) == 500 + 20


def test_a_stall_that_was_filled_is_not_filled_again_when_the_frames_come_after_all() -> None:
    line = open_line()
    line.spoke(frame(20, at_ms=1000), 1.0)
    line.speech_started(1.0)
    line.feed(1.75)

    assert appended_ms(line.spoke(frame(20, at_ms=1020), 1.8)) == 20
    assert appended_ms(line.spoke(frame(20, at_ms=1040), 1.8)) == 20


def test_a_hole_before_the_session_was_ready_is_not_filled() -> None:
    line = CallerLine(PCMU_8K, PCMU_8K)
    line.spoke(frame(20, at_ms=1000), 1.0)

    assert line.spoke(frame(20, at_ms=2000), 2.0) == []
    line.open(2.0)
    assert appended_ms(line.spoke(frame(20, at_ms=2020), 2.0)) == 20


# --- A line that goes quiet in mid-speech -----------------------------------------------


def test_a_line_that_falls_silent_in_mid_speech_is_continued_with_silence() -> None:
    line = in_mid_speech(now=1.0)
    assert line.deadline == 1.0 + QUIET_SECONDS
    assert line.feed(1.0 + QUIET_SECONDS - 0.01) == []

    assert line.feed(1.0 + QUIET_SECONDS) == [AppendAudio(Audio.of(SILENCE * 800, PCMU_8K))]


@pytest.mark.parametrize("short_cut", [True, False])
def test_between_long_pieces_there_is_no_silence(short_cut: bool) -> None:
    line, fed = open_line(), 0.0
    for now in (2.0, 4.1, 6.0):
        while line.deadline is not None and line.deadline < now:
            fed += appended_ms(line.feed(line.deadline))
        if short_cut:
            assert line.passes(8 * 2000, None, now)
        else:
            line.spoke(frame(2000), now)
        line.speech_started(now)

    assert fed == 0.0
    assert line.deadline == 6.0 + 2.0 + LATE_SECONDS


def test_silence_is_fed_in_real_time_however_late_we_are_woken() -> None:
    line = in_mid_speech(now=1.0)
    fed, now, began = 0.0, 1.0, 1.0 + QUIET_SECONDS
    for late in (0.0, 0.03, 0.09, 0.0, 0.35, 0.02, 0.07, 0.0, 0.01):
        assert line.deadline is not None
        now = max(now, line.deadline) + late
        fed += appended_ms(line.feed(now))

        assert 0 <= fed - (now - began) * 1000 <= 100.001


def test_silence_is_fed_at_once_when_the_line_says_that_nothing_more_comes() -> None:
    line = in_mid_speech(now=1.0)
    line.stream_stopped(1.1)

    assert appended_ms(line.feed(1.1)) == 100


def test_speech_reported_when_the_line_said_that_no_more_comes_is_continued_at_once() -> None:
    line = open_line()
    line.spoke(frame(), 1.0)
    line.stream_stopped(1.05)
    line.speech_started(1.2)

    assert line.deadline == 1.2


def test_a_stream_that_stops_between_turns_needs_no_silence() -> None:
    line = open_line()
    line.stream_stopped(1.1)

    assert line.deadline is None
    assert line.feed(1.1) == []


def test_speech_the_model_reports_when_the_line_is_long_quiet_is_continued_at_once() -> None:
    line = open_line()
    line.spoke(frame(), 1.0)
    line.speech_started(3.0)

    assert line.deadline == 3.0


def test_sound_of_the_line_takes_the_place_of_silence() -> None:
    line = in_mid_speech(now=1.0)
    line.feed(1.75)
    line.spoke(frame(), 1.8)

    assert line.deadline == 1.8 + QUIET_SECONDS
    assert line.feed(1.9) == []


def test_the_end_of_the_turn_ends_the_silence() -> None:
    line = in_mid_speech(now=1.0)
    line.feed(1.75)
    line.speech_stopped()

    assert line.deadline is None
    line.spoke(frame(), 1.9)
    assert line.deadline is None


def test_a_turn_that_silence_does_not_end_is_not_fed_for_ever() -> None:
    line = in_mid_speech(now=1.0)
    fed, woken = 0.0, 0
    while line.deadline is not None:
        woken += 1
        fed += appended_ms(line.feed(line.deadline))

    assert fed == MOST_FED_MS
    assert woken <= MOST_FED_MS / 100 + 1


def test_after_sound_of_the_line_silence_may_be_fed_again() -> None:
    line = in_mid_speech(now=1.0)
    line.feed(100.0)
    line.feed(100.1)
    assert line.deadline is None

    line.spoke(frame(), 101.0)
    assert appended_ms(line.feed(101.0 + QUIET_SECONDS)) == 100


def test_without_a_session_no_silence_is_fed() -> None:
    line = CallerLine(PCMU_8K, PCMU_8K)
    line.speech_started(1.0)

    assert line.feed(2.0) == []
    assert line.deadline is None


# --- Keys -------------------------------------------------------------------------------


def test_keys_pressed_close_together_are_one_input() -> None:
    keypad = Keypad(1.5)
    assert keypad.press(Private("1"), 1.0) == []
    assert keypad.press(Private("2"), 2.0) == []
    assert keypad.deadline == 3.5

    assert keypad.take() == [Private("12")]
    assert keypad.deadline is None
    assert keypad.take() == []


def test_the_hash_key_ends_an_input_at_once() -> None:
    keypad = Keypad(1.5)

    assert keypad.press(Private("12#3"), 1.0) == [Private("12#")]
    assert keypad.deadline == 2.5
    assert keypad.press(Private("4#"), 1.2) == [Private("34#")]
    assert keypad.deadline is None


def test_several_inputs_may_come_at_once() -> None:
    assert Keypad(1.5).press(Private("1#2##"), 1.0) == [
        Private("1#"),
        Private("2#"),
        Private("#"),
    ]

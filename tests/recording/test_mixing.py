import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from opusbridge.recording import mixing
from opusbridge.recording.mixing import StereoTimeline

RATE = 8_000


def sound(ms: float, level: int = 1000, rate_hz: int = RATE) -> bytes:
    return np.full(round(rate_hz * ms / 1000), level, dtype="<i2").tobytes()


def voices(frames: bytes) -> tuple[list[tuple[int, int]], list[tuple[int, int]]]:
    """For each voice the stretches that are not silent, as (first ms, end ms)."""
    both = np.frombuffer(frames, dtype="<i2").reshape(-1, 2)
    caller, agent = (stretches(both[:, channel]) for channel in (0, 1))
    return caller, agent


def stretches(samples: np.ndarray[tuple[int], np.dtype[np.int16]]) -> list[tuple[int, int]]:
    loud = np.concatenate([[0], samples != 0, [0]]).astype(int)
    edges = np.flatnonzero(np.diff(loud)) * 1000 / RATE
    return [(int(a), int(b)) for a, b in zip(edges[::2], edges[1::2], strict=True)]


def test_the_caller_is_heard_when_a_frame_arrived_and_the_recording_is_as_long_as_the_call() -> (
    None
):
    timeline = StereoTimeline(RATE)
    timeline.caller(sound(20), 0.5)

    frames = timeline.finish(1.25)

    assert len(frames) == 1.25 * RATE * 4
    assert voices(frames) == ([(480, 500)], [])


def test_jitter_does_not_chop_the_caller() -> None:
    timeline = StereoTimeline(RATE)
    for arrival in (0.020, 0.055, 0.060, 0.119, 0.120):
        timeline.caller(sound(20), arrival)

    assert voices(timeline.finish(0.2)) == ([(0, 100)], [])


def test_a_frame_after_a_pause_is_where_it_was_spoken() -> None:
    timeline = StereoTimeline(RATE)
    timeline.caller(sound(20), 0.020)
    timeline.caller(sound(20), 0.101)

    assert voices(timeline.finish(0.2)) == ([(0, 20), (81, 101)], [])


def test_a_burst_leads_and_loses_nothing() -> None:
    timeline = StereoTimeline(RATE)
    for _ in range(10):
        timeline.caller(sound(20), 0.020)

    assert voices(timeline.finish(0.3)) == ([(0, 200)], [])


def test_the_agent_is_heard_when_the_ledger_says() -> None:
    timeline = StereoTimeline(RATE)
    timeline.agent(sound(100), 0.3)
    timeline.agent(sound(100), 0.4)
    timeline.agent(sound(100), 0.7)

    assert voices(timeline.finish(1.0)) == ([], [(300, 500), (700, 800)])


def test_sound_queued_behind_other_sound_follows_it_though_the_clock_was_set_right() -> None:
    timeline = StereoTimeline(RATE)
    timeline.agent(sound(100), 0.3)
    timeline.agent(sound(100), 0.43, follows=True)
    timeline.agent(sound(100), 0.53)

    assert voices(timeline.finish(1.0)) == ([], [(300, 500), (530, 630)])


@pytest.mark.parametrize("spoken_before", [True, False])
@pytest.mark.parametrize("taken", [0.0, 0.15])
def test_a_line_that_was_held_up_leaves_no_hole_and_is_not_late_for_ever(
    spoken_before: bool, taken: float
) -> None:
    timeline = StereoTimeline(RATE)
    if spoken_before:
        timeline.caller(sound(20), 0.020)
    frames = timeline.take(taken)
    for _ in range(10):  # spoken from 20 ms on, and held up until now
        timeline.caller(sound(20), 0.220)
    timeline.caller(sound(20), 0.240)

    began = 0 if spoken_before else 20
    assert voices(frames + timeline.finish(0.5)) == ([(began, 240)], [])


def test_what_was_handed_out_already_stays_as_it_was() -> None:
    timeline = StereoTimeline(RATE)
    timeline.caller(sound(20), 0.020)
    frames = timeline.take(1.1)
    for _ in range(10):
        timeline.caller(sound(20), 1.150)
    frames += timeline.finish(2.0)

    assert voices(frames) == ([(0, 20), (950, 1150)], [])


def test_what_is_sent_while_the_agent_is_heard_comes_after_it() -> None:
    timeline = StereoTimeline(RATE)
    timeline.agent(sound(100), 0.1)
    timeline.agent(sound(100), 0.15)

    assert voices(timeline.finish(1.0)) == ([], [(100, 300)])


def test_a_chunk_that_is_a_little_short_leaves_no_hole() -> None:
    timeline = StereoTimeline(RATE)
    timeline.agent(sound(98), 0.1)
    timeline.agent(sound(100), 0.2)

    assert voices(timeline.finish(1.0)) == ([], [(100, 298)])


def test_taking_in_the_middle_of_a_short_chunk_leaves_no_hole_either() -> None:
    timeline = StereoTimeline(RATE)
    timeline.caller(sound(1000), 0.0)
    timeline.agent(sound(98), 0.1)
    frames = timeline.take(0.2)
    timeline.agent(sound(100), 0.2)

    assert voices(frames + timeline.finish(1.0))[1] == [(100, 298)]


def test_what_is_cleared_before_it_is_heard_was_never_heard() -> None:
    timeline = StereoTimeline(RATE)
    timeline.agent(sound(1000), 0.1)
    timeline.clear(0.4)
    timeline.agent(sound(100), 0.6)

    assert voices(timeline.finish(1.0)) == ([], [(100, 400), (600, 700)])


def test_a_clear_before_the_first_sample_leaves_nothing_and_holds_nothing_up() -> None:
    timeline = StereoTimeline(RATE)
    timeline.caller(sound(1000), 0.0)
    timeline.agent(sound(50), 0.0)
    frames = timeline.take(0.2)
    timeline.agent(sound(100), 0.5)
    timeline.clear(0.3)
    timeline.agent(sound(100), 0.35)

    assert voices(frames + timeline.finish(1.0)) == ([(0, 1000)], [(0, 50), (350, 450)])


def test_a_clear_when_all_was_heard_changes_nothing() -> None:
    timeline = StereoTimeline(RATE)
    timeline.agent(sound(100), 0.1)
    timeline.clear(0.5)

    assert voices(timeline.finish(1.0)) == ([], [(100, 200)])


def test_the_future_is_not_handed_out() -> None:
    timeline = StereoTimeline(RATE)
    timeline.caller(sound(1000), 1.0)
    timeline.agent(sound(1000), 0.5)

    # A second behind: so long what the line held up may still change the caller's voice.
    assert len(timeline.take(1.7)) == 0.7 * RATE * 4
    timeline.clear(0.8)
    assert voices(timeline.finish(1.0)) == ([(0, 300)], [(0, 100)])


def test_silence_is_handed_out_once_no_frame_can_fill_it() -> None:
    timeline = StereoTimeline(RATE)

    timeline.take(5.0)

    assert timeline.taken_s == 5.0 - mixing.LONGEST_FRAME_SECONDS


def test_what_comes_too_late_goes_where_there_is_room() -> None:
    timeline = StereoTimeline(RATE)
    timeline.take(3.0)
    timeline.agent(sound(100), 1.0)
    timeline.agent(sound(100), 2.5)

    assert voices(timeline.finish(4.0)) == ([], [(0, 100), (500, 600)])  # 2 s were taken


def test_nothing_and_a_call_that_ends_before_what_was_taken_add_nothing() -> None:
    timeline = StereoTimeline(RATE)
    timeline.caller(b"", 0.9)
    timeline.take(3.0)

    assert timeline.finish(1.0) == b""


def test_half_a_sample_is_a_bug_of_ours() -> None:
    with pytest.raises(AssertionError):
        StereoTimeline(RATE).agent(b"\x01", 0.0)


def test_a_clock_gone_wrong_does_not_fill_the_memory() -> None:
    timeline = StereoTimeline(RATE)
    timeline.agent(sound(100), mixing.LONGEST_LEAD_SECONDS + 1)
    timeline.agent(sound(100), 0.5)

    assert voices(timeline.finish(1.0)) == ([], [(500, 600)])


def test_files_queued_for_a_long_hold_are_kept_though_they_are_far_ahead() -> None:
    timeline, minute = StereoTimeline(RATE), sound(60_000)
    for nth in range(7):
        timeline.agent(minute, 1.0 + 60 * nth, follows=True)

    assert voices(timeline.finish(500.0)) == ([], [(1000, 421_000)])


# --- Heard at another time than foretold ------------------------------------------------


def test_an_utterance_heard_later_or_earlier_is_moved_whole() -> None:
    timeline = StereoTimeline(RATE)
    timeline.agent(sound(100), 0.1)
    timeline.agent(sound(100), 0.5)
    timeline.agent(sound(100), 0.6, follows=True)
    timeline.move(0.06)
    timeline.move(-0.02)
    timeline.agent(sound(100), 0.7, follows=True)

    assert voices(timeline.finish(1.0)) == ([], [(100, 200), (540, 840)])


def test_the_first_utterance_is_moved_too() -> None:
    timeline = StereoTimeline(RATE)
    timeline.agent(sound(100), 0.5)
    timeline.move(-0.02)
    timeline.move(0.12)

    assert voices(timeline.finish(1.0)) == ([], [(600, 700)])


def test_an_utterance_is_not_moved_into_what_was_heard_before_it() -> None:
    timeline = StereoTimeline(RATE)
    timeline.agent(sound(100, 700), 0.1)
    timeline.agent(sound(100, 900), 0.25)
    timeline.move(-0.2)

    frames = np.frombuffer(timeline.finish(1.0), dtype="<i2").reshape(-1, 2)[:, 1]
    assert [int(np.count_nonzero(frames == level)) for level in (700, 900)] == [800, 800]
    assert stretches(frames) == [(100, 300)]


def test_an_utterance_is_not_moved_to_before_what_was_handed_out() -> None:
    timeline = StereoTimeline(RATE)
    frames = timeline.take(1.4)
    timeline.agent(sound(100), 0.5)
    timeline.move(-0.3)

    assert voices(frames + timeline.finish(1.0)) == ([], [(400, 500)])


def test_an_utterance_of_which_a_part_was_handed_out_gets_no_hole() -> None:
    timeline = StereoTimeline(RATE)
    timeline.agent(sound(1000), 0.1)
    frames = timeline.take(1.5)
    timeline.move(0.1)

    assert voices(frames + timeline.finish(2.0)) == ([], [(100, 1100)])


def test_what_was_cut_before_it_began_is_not_moved() -> None:
    timeline = StereoTimeline(RATE)
    timeline.agent(sound(100), 0.1)
    timeline.agent(sound(100), 0.5)
    timeline.clear(0.3)
    timeline.move(0.1)
    timeline.agent(sound(100), 0.35)

    assert voices(timeline.finish(1.0)) == ([], [(100, 200), (350, 450)])


# --- Pauses -----------------------------------------------------------------------------


def test_a_pause_is_a_silence_of_its_length_on_both_lanes() -> None:
    timeline = StereoTimeline(RATE)
    timeline.caller(sound(1000), 1.0)
    timeline.agent(sound(1000), 0.0)
    timeline.pause(0.25)
    timeline.resume(0.75)

    frames = timeline.finish(1.0)

    assert len(frames) == RATE * 4
    assert voices(frames) == ([(0, 250), (750, 1000)],) * 2


def test_what_is_heard_behind_the_pause_is_kept_though_it_was_sent_in_it() -> None:
    timeline = StereoTimeline(RATE)
    timeline.pause(0.2)
    timeline.agent(sound(600), 0.3)
    timeline.resume(0.5)

    assert voices(timeline.finish(1.0)) == ([], [(500, 900)])


def test_a_pause_holds_until_it_is_resumed_and_once_is_enough() -> None:
    timeline = StereoTimeline(RATE)
    timeline.resume(0.05)
    timeline.agent(sound(900), 0.1)
    timeline.pause(0.3)
    timeline.pause(0.4)
    frames = timeline.take(0.5)
    timeline.resume(0.7)
    timeline.resume(0.8)
    timeline.pause(0.9)

    assert voices(frames + timeline.finish(1.5))[1] == [(100, 300), (700, 900)]


@st.composite
def calls(draw: st.DrawFn) -> list[tuple[str, float, float, float]]:
    """Steps of a call in the order of time: what, when, how long in ms, how far ahead."""
    now, steps = 0.0, []
    for _ in range(draw(st.integers(1, 30))):
        now += draw(st.sampled_from([0.0, 0.001, 0.02, 0.0613, 0.3, 1.7]))
        kinds = ["caller", "caller", "agent", "agent", "clear", "pause", "resume"]
        what = draw(st.sampled_from(kinds))
        length = draw(st.sampled_from([0.125, 20.0, 33.0, 250.0, 1400.0]))
        ahead = draw(st.sampled_from([0.0, 0.003, 0.02, 0.5, 2.0]))
        steps.append((what, now, length, ahead))
    return steps


def played(steps: list[tuple[str, float, float, float]], takes: list[bool], end: float) -> bytes:
    timeline, frames = StereoTimeline(RATE), b""
    for number, ((what, now, length, ahead), take) in enumerate(zip(steps, takes, strict=True), 1):
        if take:
            frames += timeline.take(now)
            assert timeline.taken_s <= now + 0.5 / RATE
        if what == "caller":
            timeline.caller(sound(length, number), now)
        elif what == "agent":
            timeline.agent(sound(length, -number), now + ahead)
        else:
            getattr(timeline, what)(now)
    return frames + timeline.finish(end)


@pytest.mark.slow
@settings(deadline=None, derandomize=True, max_examples=60)
@given(calls(), st.data())
def test_when_sound_is_taken_changes_nothing_in_it(
    steps: list[tuple[str, float, float, float]], data: st.DataObject
) -> None:
    takes = data.draw(st.lists(st.booleans(), min_size=len(steps), max_size=len(steps)))
    end = steps[-1][1] + data.draw(st.sampled_from([0.0, 0.5, 3.0]))

    in_pieces = played(steps, takes, end)

    assert in_pieces == played(steps, [False] * len(steps), end)
    assert len(in_pieces) == round(end * RATE) * 4


@given(
    st.lists(st.sampled_from([-50, 0, 0, 0, 20, 55, 65, 75, 90]), min_size=1, max_size=40),
    st.lists(st.integers(1, 12), max_size=12),
    st.sampled_from([20, 60, 1200]),
    st.sampled_from([0.0, 1.0, 400.0]),
    st.integers(0, 60),
)
@settings(deadline=None, derandomize=True)
def test_a_run_of_frames_is_laid_down_as_each_of_them_would_be(
    jitters: list[int], sizes: list[int], ms: int, pause: float, taken_after: int
) -> None:
    one, other = StereoTimeline(RATE), StereoTimeline(RATE)
    came, now = [], 0.0
    for number, jitter in enumerate(jitters):
        now = max(now, (number + 1) * ms / 1000 + jitter / 1000 + pause * (number > 5))
        came.append((sound(ms, 100 + number), now))
    runs = iter(sizes)
    while came:
        count = next(runs, 40)
        run, came = came[:count], came[count:]
        one.caller_run(b"".join(pcm for pcm, _ in run), len(run[0][0]), [at for _, at in run])
        for pcm, at in run:
            other.caller(pcm, at)
        if len(came) % 7 == taken_after % 7:
            assert one.take(run[-1][1]) == other.take(run[-1][1])

    assert one.finish(now + 1) == other.finish(now + 1)


def test_a_run_that_would_fill_the_memory_is_kept_as_far_as_each_of_its_frames_would_be() -> None:
    one, other = StereoTimeline(RATE), StereoTimeline(RATE)
    count = int(mixing.LONGEST_LEAD_SECONDS) + 10
    one.caller_run(sound(1000) * count, 2 * RATE, [1.0] * count)
    for _ in range(count):
        other.caller(sound(1000), 1.0)

    assert one.finish(500) == other.finish(500)

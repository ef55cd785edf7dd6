"""The checks find what is wrong and nothing else."""

from dataclasses import replace
from math import inf
from random import Random

import pytest

from opusbridge.sim.callers import HeardSpan
from opusbridge.sim.callers.person import Spoken
from opusbridge.sim.checks import (
    Cut,
    SpokenItem,
    Truncation,
    at_rest,
    cut_speech_unheard,
    heard_of,
    marks_unique,
    never_silent,
    nothing_lost,
    one_ending,
    recording_true,
    silences,
    truncations_honest,
)
from opusbridge.sound import PCMU_8K


def sound(ms: int, seed: int) -> bytes:
    """Loud, and never twice the same."""
    return bytes(Random(seed).choices(range(1, 90), k=8 * ms))


def span(started_at: float, heard: bytes) -> HeardSpan:
    return HeardSpan(started_at, started_at + len(heard) / 8000, PCMU_8K, bytearray(heard))


FIRST = SpokenItem("first", sound(1000, 1), PCMU_8K)
SECOND = SpokenItem("second", b"\xff" * 400 + sound(1000, 2), PCMU_8K)
ITEMS = [FIRST, SECOND]


def test_marks_must_differ() -> None:
    assert marks_unique(["a", "b"]) == []
    assert marks_unique(["a", "b", "a"]) == ["1 mark names were used more than once"]


@pytest.mark.parametrize("endings", [0, 2])
def test_a_call_has_one_ending(endings: int) -> None:
    assert one_ending(["the"]) == []
    assert one_ending(["x"] * endings) == [f"{endings} endings instead of one"]


def test_rest_is_when_nobody_waits() -> None:
    assert at_rest(ended=True, caller=None, model=None) == []
    assert at_rest(ended=False, caller=None, model=3.0) == [
        "the call has not ended",
        "the model still waits for something",
    ]


@pytest.mark.parametrize("voice", ["caller", "agent"])
def test_a_recording_has_what_was_heard_where_it_was_heard(voice: str) -> None:
    heard = [span(1.0, sound(2000, 1))]

    def objections(at: float, ms: int = 2000, late: float = 0.0) -> list[str]:
        return recording_true(voice, [span(at, sound(ms, 1))], heard, late)

    assert objections(1.1) == objections(1.0, 1600) == objections(2.0, 1000, late=1.0) == []
    part = f"0.80 s of the {voice}"
    assert objections(1.0, 1000) == [f"{part} were heard and are not in the recording"]
    assert objections(1.0, 3000) == [f"{part} are in the recording and were not heard"]
    assert len(objections(2.0)) == 2, "as much, and somewhere else"
    assert len(recording_true(voice, [], heard, 0.0)) == 1


def test_a_silence_lasts_from_the_end_of_a_turn_to_whatever_comes_first() -> None:
    turns = [Spoken(1.0, 2.0, "first"), Spoken(9.0, 10.0, "second"), Spoken(30.0, 31.0, "last")]
    quiet = span(3.0, b"\xff" * 8000)
    heard = [quiet, span(5.0, sound(100, 1)), span(20.0, b"\xff" * 800 + sound(500, 2))]

    found = silences(turns, heard, ended_at=45.0)

    assert found == [3.0, pytest.approx(10.1), 14.0]
    assert silences(turns[:2], [quiet], 45.0) == [7.0, 35.0]
    assert silences([Spoken(1.0, 3.5, "x")], [span(3.0, sound(2000, 3))], 45.0)[0] < 0.03
    assert never_silent(found, 10.5) == ["nothing was heard for 14.0 s after the person had spoken"]


def test_what_was_heard_of_an_item_is_found_in_what_was_played() -> None:
    heard = [span(0.0, b"\xff" * 1600), span(1.0, FIRST.sound[:4000]), span(2.0, SECOND.sound)]

    assert heard_of(FIRST, heard) == 500
    assert heard_of(SECOND, heard) == 1050
    assert heard_of(SpokenItem("never", sound(100, 3), PCMU_8K), heard) == 0


def test_an_underrun_within_an_item_does_not_end_it_but_a_leap_does() -> None:
    paused = [span(0.0, FIRST.sound[:1600]), span(1.0, FIRST.sound[1600:])]
    leapt = [span(0.0, FIRST.sound[:1600] + FIRST.sound[3200:])]

    assert heard_of(FIRST, paused) == 1000
    assert heard_of(FIRST, leapt) == 200


def test_an_item_that_begins_with_silence_is_counted_from_its_beginning() -> None:
    assert heard_of(SECOND, [span(0.0, SECOND.sound[: 400 + 800])]) == 150
    assert heard_of(SpokenItem("empty", b"", PCMU_8K), [span(0.0, FIRST.sound)]) == 0


@pytest.mark.parametrize(
    ("audio_end_ms", "found"),
    [
        (500, []),
        (560, []),
        (700, ["first truncated to 700 ms where 500 ms were heard"]),
        (100, ["first truncated to 100 ms where 500 ms were heard"]),
        (1001, ["first truncated to 1001 ms of 1000 sent"]),
    ],
)
def test_a_truncation_is_what_was_heard(audio_end_ms: int, found: list[str]) -> None:
    heard = [span(0.0, FIRST.sound[:4000])]

    assert truncations_honest([Truncation("first", audio_end_ms)], ITEMS, heard, 100) == found


def test_nothing_of_a_cut_item_is_heard_after_its_cut() -> None:
    heard = [span(0.0, FIRST.sound[:4000])]
    cut = Cut(FIRST, effective_at=0.5)
    assert cut_speech_unheard([cut], ITEMS, heard) == []

    late = [*heard, span(2.0, FIRST.sound[4000:5000])]
    assert cut_speech_unheard([cut], ITEMS, late) == ["first was heard after it had been cut"]


def test_another_item_or_the_same_words_again_are_no_cut_speech() -> None:
    again = SpokenItem("again", FIRST.sound, PCMU_8K)
    cut = Cut(FIRST, effective_at=0.5)

    assert cut_speech_unheard([cut], ITEMS, [span(1.0, SECOND.sound)]) == []
    assert cut_speech_unheard([cut], [*ITEMS, again], [span(1.0, FIRST.sound)]) == []


def test_an_item_that_begins_as_another_does_is_not_taken_for_it() -> None:
    longer = SpokenItem("longer", FIRST.sound[:400] + sound(500, 3), PCMU_8K)

    assert heard_of(longer, [span(0.0, FIRST.sound + longer.sound[:2000])]) == 250


def test_what_is_said_twice_is_looked_for_where_it_was_said() -> None:
    again = replace(FIRST, spoken_at=5.0)
    heard = [span(0.0, FIRST.sound), span(5.1, FIRST.sound[:1600])]

    assert heard_of(again, heard) == 200
    assert heard_of(FIRST, heard, until=0.5) == 500
    assert heard_of(replace(FIRST, spoken_at=0.5), [span(0.0, FIRST.sound)]) == 0


def test_what_was_said_is_heard_to_its_end_or_the_model_is_told() -> None:
    item = replace(FIRST, done_at=1.0)
    cut = [span(1.0, FIRST.sound[:4000])]

    assert nothing_lost([item], [], [span(1.0, FIRST.sound)], ended_at=9.0) == []
    assert nothing_lost([item], ["first"], cut, ended_at=9.0) == []
    assert nothing_lost([item], [], cut, ended_at=9.0) == [
        "500 of 1000 ms of first were ever heard"
    ]


def test_the_last_half_second_of_a_call_proves_nothing() -> None:
    cut = [span(1.0, FIRST.sound[:4000])]

    assert nothing_lost([replace(FIRST, done_at=1.0)], [], cut, ended_at=1.6) == []
    assert nothing_lost([replace(FIRST, done_at=8.8)], [], cut, ended_at=9.0) == []
    assert nothing_lost([FIRST], [], cut, ended_at=9.0) == []  # it never came in whole


def test_a_call_that_ends_in_a_pause_of_the_agents_has_lost_nothing() -> None:
    cut, item = [span(1.0, FIRST.sound[:4000])], replace(FIRST, done_at=1.0)

    assert nothing_lost([item], [], cut, ended_at=3.0, cleared=[1.5]) == []
    assert nothing_lost([item], [], cut, ended_at=4.5, cleared=[1.5]) != [], "it should go on"
    assert nothing_lost([item], [], cut, ended_at=3.0, cleared=[0.5]) != [], "another's pause"


@pytest.mark.parametrize(
    ("heard_ms", "cleared_at", "lost"),
    [
        (920, 1.92, False),  # a clear within the slack of its end, of which nobody knows
        (880, 1.88, True),  # more was left than that
        (920, 1.80, True),  # it was heard beyond that clear
        (920, 1.96, True),  # and had stopped before this one
    ],
)
def test_the_end_of_an_item_may_be_lost_in_a_clear(
    heard_ms: int, cleared_at: float, lost: bool
) -> None:
    item, cut = replace(FIRST, done_at=1.0), [span(1.0, FIRST.sound[: 8 * heard_ms])]

    assert bool(nothing_lost([item], [], cut, 9.0, [cleared_at], slack_ms=100.0)) == lost


# --- Going on after a pause -------------------------------------------------------------


def paused(went_on_at_ms: int, silent_ms: int = 0) -> list[HeardSpan]:
    """400 ms of the first, cleared at 10.4; from 11.0 on the rest, from there."""
    rest = b"\xff" * 8 * silent_ms + FIRST.sound[8 * went_on_at_ms :]
    return [span(10.0, FIRST.sound[: 8 * 400]), span(11.0, rest)]


@pytest.mark.parametrize("went_on_at_ms", [350, 400, 450])
def test_what_goes_on_near_where_it_was_cleared_was_heard(went_on_at_ms: int) -> None:
    assert heard_of(FIRST, paused(went_on_at_ms), inf, [10.4], 60.0) == 1000


def test_silence_before_it_goes_on_is_no_loss() -> None:
    assert heard_of(FIRST, paused(400, silent_ms=7), inf, [10.4], 60.0) == 1000


@pytest.mark.parametrize("went_on_at_ms", [300, 500])
def test_what_goes_on_elsewhere_was_not_heard_to_its_end(went_on_at_ms: int) -> None:
    assert heard_of(FIRST, paused(went_on_at_ms), inf, [10.4], 60.0) == 400


def test_less_than_a_frame_of_it_that_goes_on_is_found_before_the_next_item() -> None:
    played_on = span(11.0, FIRST.sound[8 * 985 :] + SECOND.sound)
    heard = [span(10.0, FIRST.sound[: 8 * 940]), played_on]

    assert heard_of(FIRST, heard, inf, [10.94], 60.0) == 1000


def test_what_was_not_cleared_does_not_go_on() -> None:
    assert heard_of(FIRST, paused(380), inf, [], 60.0) == 400


def test_what_was_hardly_begun_may_come_again_behind_the_end_of_the_item_before() -> None:
    heard = [
        span(10.0, FIRST.sound + SECOND.sound[: 8 * 60]),
        span(12.0, FIRST.sound[8 * 990 :] + SECOND.sound),
    ]

    assert heard_of(SECOND, heard, inf, [11.06], 70.0) == len(SECOND.sound) / 8

from dataclasses import replace
from typing import Any

import pytest

from opusbridge import effects, events
from opusbridge.call.tally import MOST_BEGUN, PIECE_TURNS, Tally
from opusbridge.effects import Effect, Note
from opusbridge.events import Event
from opusbridge.sound import PCMU_8K, Audio
from opusbridge.usage import Usage
from tests.call.lines import Line, confirming

SOUND = Audio("AAAA", PCMU_8K)
BEGUN = events.ResponseCreated("resp_1")


def played(starts_at: float, response_id: str = "resp_1") -> effects.PlayAudio:
    return effects.PlayAudio(SOUND, starts_at, response_id=response_id)


def shown(*happened: tuple[float, Event | Effect]) -> Tally:
    tally = Tally()
    for now, what in happened:
        tally.observe(what, now)
    return tally


def written(tally: Tally, now: float = 1e9) -> dict[str, Any]:
    """As call.json has it, every item having begun at 4000 ms."""
    return tally.shown({f"item_{number}": 4000 for number in range(200)}, now)


def turn(tally: Tally, number: int = 0, now: float = 1e9) -> dict[str, int | None]:
    found = written(tally, now)["turns"][number]
    assert isinstance(found, dict)
    return found


def test_what_was_no_turn_has_no_latencies_and_gives_none_to_the_next() -> None:
    tally = shown(
        (1.0, Note("false-interruption", "", ("item_1",), 0.16)),
        (1.0, Note("speech-ended", value=0.6)),
        (1.1, events.TurnCommitted("item_1")),
        (5.0, events.TurnCommitted("item_2")),
        (5.1, effects.CreateResponse("request-1")),
    )

    assert [one["commit_to_request"] for one in written(tally)["turns"]] == [100]
    assert turn(tally)["speech_end_to_commit"] is None
    assert written(tally)["false_interruptions"] == 1


def test_a_turn_is_timed_from_the_last_word_to_the_answer_in_the_ear() -> None:
    tally = shown(
        (5.0, Note("speech-ended", value=0.6)),
        (5.1, events.TurnCommitted("item_1")),
        (5.15, effects.CreateResponse("request-1")),
        (5.4, events.ResponseCreated("resp_1", "request-1")),
        (5.9, played(6.0)),
        (6.1, played(7.0)),
    )

    assert turn(tally) == {
        "started_ms": 4000,
        "speech_end_to_commit": 700,
        "commit_to_request": 50,
        "request_to_first_audio": 750,
        "first_audio_to_heard": 100,
    }


def test_the_latency_of_a_turn_is_noted_once_when_its_answer_begins() -> None:
    tally = shown(
        (5.0, Note("speech-ended", value=0.5)),
        (5.0, events.TurnCommitted("item_1")),
        (5.0, effects.CreateResponse("request-1")),
        (5.0, BEGUN),
    )

    first, *intervals = tally.observe(played(6.25), 6.0)

    assert first == Note("turn-latency", "", ("item_1",), 1.5)
    assert intervals == [
        Note("turn-interval", "speech_end_to_commit", ("item_1",), 0.5),
        Note("turn-interval", "commit_to_request", ("item_1",), 0.0),
        Note("turn-interval", "request_to_first_audio", ("item_1",), 1.0),
        Note("turn-interval", "first_audio_to_heard", ("item_1",), 0.25),
    ]
    assert tally.observe(played(6.1), 6.1) == []


def test_what_is_left_of_the_answer_before_is_no_answer_to_the_turn_after_it() -> None:
    """Paced sound leaves long after its response is done."""
    tally = shown(
        (1.0, events.ResponseCreated("resp_1")),
        (1.1, played(1.2, "resp_1")),
        (5.0, Note("speech-ended", value=0.5)),
        (5.0, events.TurnCommitted("item_1")),
        (5.0, effects.CreateResponse("request-1")),
        (5.1, played(5.35, "resp_1")),
        (5.2, events.ResponseCreated("resp_2", "request-1")),
        (5.3, played(5.55, "resp_1")),
        (8.0, played(8.25, "resp_2")),
    )

    assert tally.notes == {"speech-ended": 1}
    assert turn(tally)["request_to_first_audio"] == 3000
    assert turn(tally)["first_audio_to_heard"] == 250


def test_each_turn_has_the_answer_that_was_begun_for_it_however_late_they_leave() -> None:
    tally = shown(
        (4.0, events.TurnCommitted("item_1")),
        (4.0, effects.CreateResponse("request-1")),
        (4.1, events.ResponseCreated("resp_1", "request-1")),
        (5.0, events.TurnCommitted("item_2")),
        (5.0, effects.CreateResponse("request-2")),
        (5.1, events.ResponseCreated("resp_2", "request-2")),
        (6.0, played(6.25, "resp_1")),
        (9.0, played(9.5, "resp_2")),
    )

    assert [turn(tally, number)["request_to_first_audio"] for number in (0, 1)] == [2000, 4000]
    assert [turn(tally, number)["first_audio_to_heard"] for number in (0, 1)] == [250, 500]


def test_stored_speech_answers_nobody_whatever_is_left_of_it_when_the_answer_begins() -> None:
    tally = shown(
        (4.0, events.TurnCommitted("item_1")),
        (4.0, effects.CreateResponse("request-1")),
        (4.1, events.ResponseCreated("resp_1", "request-1")),
        (10.0, Note("hold")),
        (10.0, effects.PlayAudio(SOUND, 10.1)),
        (10.5, events.ModelSpoke("resp_1", "item_2", 0, SOUND)),
        (10.5, effects.PlayAudio(SOUND, 10.8)),
        (11.0, played(11.3, "resp_1")),
    )

    assert turn(tally)["request_to_first_audio"] == 7000
    assert turn(tally)["first_audio_to_heard"] == 300


def test_a_response_nobody_announced_is_known_by_its_sound() -> None:
    tally = shown(
        (3.0, events.ModelSpoke("resp_1", "item_0", 0, SOUND)),
        (4.0, events.TurnCommitted("item_1")),
        (4.0, effects.CreateResponse("request-1")),
        (4.5, events.ModelSpoke("resp_1", "item_0", 0, SOUND)),
        (4.5, played(4.5, "resp_1")),
        (5.0, events.ModelSpoke("resp_2", "item_2", 0, SOUND)),
        (5.0, played(5.0, "resp_2")),
    )

    assert turn(tally)["request_to_first_audio"] == 1000


def test_of_many_responses_only_those_are_known_that_may_still_be_heard() -> None:
    tally = Tally()
    for number in range(100):
        tally.observe(events.ResponseCreated(f"resp_{number}"), float(number))
    tally.observe(events.TurnCommitted("item_1"), 100.0)
    tally.observe(effects.CreateResponse("request-1"), 100.0)
    tally.observe(played(101.0, "resp_3"), 101.0)

    assert turn(tally)["request_to_first_audio"] is None
    assert len(tally._begun) == MOST_BEGUN


class Counted(Line):
    """A line whose call is counted."""

    def __init__(self) -> None:
        self.tally = Tally()
        super().__init__(replace(confirming(audiocodes=True, ms=None), barge_in=False))

    def tell(self, event: events.FromModel) -> list[Effect]:
        self.tally.observe(event, self.now)
        return super().tell(event)

    def perform(self, found: list[Effect]) -> list[Effect]:
        for effect in found:
            self.tally.observe(effect, self.now)
        return super().perform(found)


def test_where_sound_is_paced_an_answer_begins_when_it_is_its_own_sound_that_leaves() -> None:
    line = Counted()
    line.live(1000)
    line.begins(10_000)
    line.finishes()
    line.live(4000)
    line.starts("item_9")
    line.stops("item_9")
    line.live(1000)
    line.accepts("resp_2")
    line.speaks(500, "resp_2", "item_3")
    line.live(6000)

    (first, second) = line.tally.shown({}, line.now)["turns"]
    assert first["first_audio_to_heard"] == 0
    assert second["request_to_first_audio"] == pytest.approx(5800, abs=150)
    assert 5000 + second["request_to_first_audio"] + second["first_audio_to_heard"] == 11_000


def test_an_answer_cleared_before_its_first_sound_was_never_heard() -> None:
    tally = shown(
        (5.0, events.TurnCommitted("item_1")),
        (5.0, effects.CreateResponse("request-1")),
        (5.0, BEGUN),
        (6.0, played(7.0)),
        (6.5, effects.ClearPlayout()),
    )

    assert turn(tally)["request_to_first_audio"] == 1000
    assert turn(tally)["first_audio_to_heard"] is None


def test_nor_was_one_whose_line_left_us_before_that() -> None:
    tally = shown(
        (5.0, events.TurnCommitted("item_1")),
        (5.0, effects.CreateResponse("request-1")),
        (5.0, BEGUN),
        (6.0, played(7.0)),
        (6.5, effects.CutPlayout(6.55)),
    )

    assert turn(tally)["first_audio_to_heard"] is None


def test_a_newer_turn_without_an_answer_does_not_make_a_cleared_one_heard() -> None:
    tally = shown(
        (5.0, events.TurnCommitted("item_1")),
        (5.0, effects.CreateResponse("request-1")),
        (5.1, BEGUN),
        (6.0, played(7.5)),
        (6.2, events.TurnCommitted("item_2")),
        (6.5, effects.ClearPlayout()),
    )

    assert turn(tally)["first_audio_to_heard"] is None


def test_an_answer_that_waits_for_the_ear_when_the_call_ends_was_never_heard() -> None:
    tally = shown(
        (5.0, events.TurnCommitted("item_1")),
        (5.0, effects.CreateResponse("request-1")),
        (5.1, BEGUN),
        (6.0, played(35.25)),  # behind a file
    )

    assert turn(tally, now=9.7)["first_audio_to_heard"] is None
    assert turn(tally, now=36.0)["first_audio_to_heard"] == 29250


def test_an_answer_cleared_by_a_pause_is_heard_when_it_is_sent_again() -> None:
    tally = shown(
        (5.0, events.TurnCommitted("item_1")),
        (5.0, events.TurnCommitted("item_2")),
        (5.0, effects.CreateResponse("request-1")),
        (5.1, BEGUN),
        (6.0, played(8.0)),
        (7.0, effects.ClearPlayout()),
        (7.4, played(7.5, "")),  # stored speech, before which it waits
        (7.4, played(8.5)),
        (8.0, played(9.0)),
    )

    assert turn(tally)["first_audio_to_heard"] == turn(tally, 1)["first_audio_to_heard"] == 2500


def test_an_answer_cut_while_it_was_heard_was_heard() -> None:
    tally = shown(
        (5.0, events.TurnCommitted("item_1")),
        (5.0, effects.CreateResponse("request-1")),
        (5.0, BEGUN),
        (6.0, played(6.0)),
        (6.5, effects.ClearPlayout()),
        (7.0, events.TurnCommitted("item_2")),
        (7.1, effects.ClearPlayout()),
    )

    assert turn(tally)["first_audio_to_heard"] == 0


def test_what_never_came_is_not_made_up() -> None:
    tally = shown((5.0, events.TurnCommitted("item_1")))

    assert set(turn(tally).values()) == {4000, None}


def test_a_turn_whose_speech_nobody_timed_has_no_latency_to_note() -> None:
    tally = shown(
        (5.0, events.TurnCommitted("item_1")),
        (5.1, effects.CreateResponse("request-1")),
        (5.2, BEGUN),
    )

    (*notes,) = tally.observe(played(6.0), 6.0)
    assert {note.kind for note in notes} == {"turn-interval"}
    assert turn(tally)["request_to_first_audio"] == 900


def test_the_end_of_one_turns_speech_is_not_that_of_the_next() -> None:
    tally = shown(
        (5.0, Note("speech-ended", value=0.5)),
        (5.0, events.TurnCommitted("item_1")),
        (7.0, events.TurnCommitted("item_2")),
    )

    assert turn(tally, 1)["speech_end_to_commit"] is None


def test_one_answer_to_several_turns_is_the_answer_to_each_and_noted_for_the_last() -> None:
    tally = shown(
        (4.0, Note("speech-ended", value=0.5)),
        (4.0, events.TurnCommitted("item_1")),
        (5.0, Note("speech-ended", value=0.5)),
        (5.0, events.TurnCommitted("item_2")),
        (5.1, effects.CreateResponse("request-1")),
        (5.1, BEGUN),
    )

    notes = tally.observe(played(6.0), 6.0)
    assert [note for note in notes if note.kind == "turn-latency"] == [
        Note("turn-latency", "", ("item_2",), 1.5)
    ]
    assert turn(tally, 0)["request_to_first_audio"] == 900
    assert turn(tally, 1)["request_to_first_audio"] == 900


def test_sound_is_the_answer_to_the_turn_asked_about_not_to_one_that_waits() -> None:
    tally = shown(
        (4.0, events.TurnCommitted("item_1")),
        (4.1, effects.CreateResponse("request-1")),
        (4.1, BEGUN),
        (5.0, events.TurnCommitted("item_2")),
        (5.5, played(5.5)),
    )

    assert turn(tally, 0)["request_to_first_audio"] == 1400
    assert turn(tally, 1)["request_to_first_audio"] is None


def test_a_response_the_model_began_by_itself_counts_as_asked_for() -> None:
    tally = shown(
        (4.0, events.TurnCommitted("item_1")),
        (4.2, events.ResponseCreated("resp_1")),
        (9.0, effects.CreateResponse("request-1")),
    )

    assert turn(tally)["commit_to_request"] == 200


def test_an_answer_heard_at_once_took_no_time_and_never_less() -> None:
    tally = shown(
        (4.0, events.TurnCommitted("item_1")),
        (4.1, effects.CreateResponse("request-1")),
        (4.1, BEGUN),
        (5.5, played(5.4)),
    )

    assert turn(tally)["first_audio_to_heard"] == 0


def test_responses_are_counted_by_how_they_ended() -> None:
    endings = ["completed", "incomplete", "cancelled", "failed", "unheard-of"]
    tally = shown(
        (1.0, effects.CreateResponse("request-1")),
        *((1.0, events.ResponseCreated(f"resp_{ending}")) for ending in endings),
        *((2.0, events.ResponseDone(f"resp_{ending}", ending)) for ending in endings),
        (3.0, Note("conflict")),
        (3.0, Note("retry", value=1)),
        (3.0, Note("retry", value=2)),
        (3.0, Note("barge-in")),
        (3.0, Note("truncated", value=400)),
    )

    assert written(tally)["responses"] == {
        "requested": 1,
        "created": 5,
        "completed": 2,
        "cancelled": 1,
        "failed": 1,
        "conflicts": 1,
        "retries": 2,
    }
    assert written(tally)["barge_ins"] == 1
    assert tally.notes == {"conflict": 1, "retry": 2, "barge-in": 1, "truncated": 1}


@pytest.mark.parametrize("status", ["completed", "cancelled", "failed"])
def test_a_response_out_of_band_is_paid_for_and_is_no_answer(status: str) -> None:
    done = events.ResponseDone("resp_1", status, usage=Usage(1, 2), in_conversation=False)
    tally = shown((1.0, events.ResponseCreated("resp_1", in_conversation=False)), (2.0, done))

    assert set(written(tally)["responses"].values()) == {0}
    assert written(tally)["usage"]["input_audio"] == 2


def test_tokens_add_up() -> None:
    done = events.ResponseDone("resp_1", "completed", usage=Usage(1, 2, 3, 4, 5))
    more = replace(done, response_id="resp_2")
    tally = shown((1.0, done), (2.0, more), (3.0, events.ResponseDone("resp_3", "completed")))

    assert written(tally)["usage"] == {
        "input_text": 2,
        "input_audio": 4,
        "cached": 6,
        "output_text": 8,
        "output_audio": 10,
    }


def test_a_response_whose_end_is_told_twice_is_counted_once() -> None:
    done = events.ResponseDone("resp_1", "completed", usage=Usage(1, 2, 3, 4, 5))
    tally = shown((1.0, done), (1.1, done))

    assert written(tally)["usage"]["input_audio"] == 2
    assert written(tally)["responses"]["completed"] == 1


def test_the_callers_sound_is_not_counted() -> None:
    tally = shown((1.0, events.CallerSpoke(SOUND)), (1.0, effects.AppendAudio(SOUND)))

    assert tally == Tally()


# --- A long call ------------------------------------------------------------------------


def told(tally: Tally, count: int, *, answered: bool = True, begin: int = 0) -> None:
    """Turns, each three seconds after the one before it."""
    for number in range(begin, begin + count):
        at = 3.0 * number
        tally.observe(Note("speech-ended", value=0.5), at)
        tally.observe(events.TurnCommitted(f"item_{number}"), at)
        tally.observe(effects.CreateResponse("request-1"), at + 0.1 + number % 7 / 10)
        if answered:
            tally.observe(BEGUN, at + 0.9)
            tally.observe(played(at + 1.5), at + 1)


def test_turns_that_are_over_are_put_away_and_shown_with_the_others() -> None:
    tally = Tally()
    told(tally, 199)

    shown = written(tally)["turns"]

    assert tally.turns_taken == len(shown) == 199
    assert len(tally.turns) < 2 * PIECE_TURNS
    assert {one["started_ms"] for one in shown} == {4000}
    waited = [one["commit_to_request"] for one in shown]
    assert waited == [100 + number % 7 * 100 for number in range(199)]
    assert {one["first_audio_to_heard"] for one in shown} == {500}


def test_a_turn_that_waits_for_its_answer_is_kept_however_many_follow() -> None:
    tally = Tally()
    told(tally, 70, answered=False)
    assert len(tally.turns) == 70

    tally.observe(BEGUN, 299.0)
    tally.observe(played(300.0), 299.0)
    assert {one["first_audio_to_heard"] for one in written(tally)["turns"]} == {1000}
    told(tally, 1, begin=70)
    assert len(tally.turns) == 71  # all is to be heard yet
    told(tally, 1, begin=110)
    assert len(tally.turns) == 72 - PIECE_TURNS


def test_of_the_oldest_turns_those_are_put_away_that_are_over() -> None:
    tally = Tally()
    told(tally, 10)
    told(tally, 2 * PIECE_TURNS, answered=False, begin=10)

    assert len(tally.turns) == 2 * PIECE_TURNS
    assert tally.turns_taken == 2 * PIECE_TURNS + 10

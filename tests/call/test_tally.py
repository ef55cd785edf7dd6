from typing import Any

import pytest

from opusbridge import effects, events
from opusbridge.call.tally import PIECE_TURNS, Tally
from opusbridge.effects import Effect, Note
from opusbridge.events import Event
from opusbridge.sound import PCMU_8K, Audio
from opusbridge.usage import Usage

SOUND = Audio("AAAA", PCMU_8K)


def shown(*happened: tuple[float, Event | Effect]) -> Tally:
    tally = Tally()
    for now, what in happened:
        tally.observe(what, now)
    return tally


def written(tally: Tally) -> dict[str, Any]:
    """As call.json has it, every item having begun at 4000 ms."""
    return tally.shown({f"item_{number}": 4000 for number in range(200)})


def turn(tally: Tally, number: int = 0) -> dict[str, int | None]:
    found = written(tally)["turns"][number]
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
        (5.9, effects.PlayAudio(SOUND, 6.0)),
        (6.1, effects.PlayAudio(SOUND, 7.0)),
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
    )

    first, *intervals = tally.observe(effects.PlayAudio(SOUND, 6.25), 6.0)

    assert first == Note("turn-latency", "", ("item_1",), 1.5)
    assert intervals == [
        Note("turn-interval", "speech_end_to_commit", ("item_1",), 0.5),
        Note("turn-interval", "commit_to_request", ("item_1",), 0.0),
        Note("turn-interval", "request_to_first_audio", ("item_1",), 1.0),
        Note("turn-interval", "first_audio_to_heard", ("item_1",), 0.25),
    ]
    assert tally.observe(effects.PlayAudio(SOUND, 6.1), 6.1) == []


def test_an_answer_cleared_before_its_first_sound_was_never_heard() -> None:
    tally = shown(
        (5.0, events.TurnCommitted("item_1")),
        (5.0, effects.CreateResponse("request-1")),
        (6.0, effects.PlayAudio(SOUND, 7.0)),
        (6.5, effects.ClearPlayout()),
    )

    assert turn(tally)["request_to_first_audio"] == 1000
    assert turn(tally)["first_audio_to_heard"] is None


def test_an_answer_cut_while_it_was_heard_was_heard() -> None:
    tally = shown(
        (5.0, events.TurnCommitted("item_1")),
        (5.0, effects.CreateResponse("request-1")),
        (6.0, effects.PlayAudio(SOUND, 6.0)),
        (6.5, effects.ClearPlayout()),
        (7.0, events.TurnCommitted("item_2")),
        (7.1, effects.ClearPlayout()),
    )

    assert turn(tally)["first_audio_to_heard"] == 0


def test_what_never_came_is_not_made_up() -> None:
    tally = shown((5.0, events.TurnCommitted("item_1")))

    assert set(turn(tally).values()) == {4000, None}


def test_a_turn_whose_speech_nobody_timed_has_no_latency_to_note() -> None:
    tally = shown((5.0, events.TurnCommitted("item_1")), (5.1, effects.CreateResponse("request-1")))

    (*notes,) = tally.observe(effects.PlayAudio(SOUND, 6.0), 6.0)
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
    )

    notes = tally.observe(effects.PlayAudio(SOUND, 6.0), 6.0)
    assert [note for note in notes if note.kind == "turn-latency"] == [
        Note("turn-latency", "", ("item_2",), 1.5)
    ]
    assert turn(tally, 0)["request_to_first_audio"] == 900
    assert turn(tally, 1)["request_to_first_audio"] == 900


def test_sound_is_the_answer_to_the_turn_asked_about_not_to_one_that_waits() -> None:
    tally = shown(
        (4.0, events.TurnCommitted("item_1")),
        (4.1, effects.CreateResponse("request-1")),
        (5.0, events.TurnCommitted("item_2")),
        (5.5, effects.PlayAudio(SOUND, 5.5)),
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
        (5.5, effects.PlayAudio(SOUND, 5.4)),
    )

    assert turn(tally)["first_audio_to_heard"] == 0


def test_responses_are_counted_by_how_they_ended() -> None:
    endings = ["completed", "incomplete", "cancelled", "failed", "unheard-of"]
    tally = shown(
        (1.0, effects.CreateResponse("request-1")),
        *((1.0, events.ResponseCreated("resp_1")) for _ in endings),
        *((2.0, events.ResponseDone("resp_1", ending)) for ending in endings),
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
    tally = shown((1.0, done), (2.0, done), (3.0, events.ResponseDone("resp_2", "completed")))

    assert written(tally)["usage"] == {
        "input_text": 2,
        "input_audio": 4,
        "cached": 6,
        "output_text": 8,
        "output_audio": 10,
    }


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
            tally.observe(effects.PlayAudio(SOUND, at + 1.5), at + 1)


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

    tally.observe(effects.PlayAudio(SOUND, 300.0), 299.0)
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

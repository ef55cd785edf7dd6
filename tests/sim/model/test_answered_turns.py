"""Turns that the service answers by itself, and clients that get in its way."""

import pytest

from opusbridge.sim.tones import voice
from tests.sim.model.answering import CONFLICT, client, errors, speaking, statuses
from tests.sim.model.client import types

# -- turns answered by the server itself


def test_a_turn_is_answered_by_itself_with_no_metadata() -> None:
    one = client()
    one.speak()
    one.run(20)

    assert one.one("response.created")["response"]["metadata"] is None
    assert statuses(one) == [("completed", None)]


def test_no_turn_is_answered_by_itself_unless_it_should_be() -> None:
    one = client()
    one.detect(create_response=False)
    one.speak()

    assert one.run(20) == []


def test_speech_cancels_the_response_and_its_turn_is_answered_after_the_done() -> None:
    one, _ = speaking()

    events = one.speak()
    one.run(20)

    named = types(events)
    assert named.index("input_audio_buffer.speech_started") < named.index("response.done")
    assert statuses(one) == [("cancelled", "turn_detected"), ("completed", None)]
    everything = types(one.events)
    second = len(everything) - 1 - everything[::-1].index("response.created")
    assert everything.index("response.done") < second


def test_an_answer_waits_for_the_done_of_what_its_turn_cancelled() -> None:
    one, _ = speaking("cancel-latency=1.5", "speed=1")

    one.speak()
    assert len(one.of("response.created")) == 1
    one.run(1)

    assert statuses(one) == [("cancelled", "turn_detected")]
    assert len(one.of("response.created")) == 2


def test_a_response_cancelled_before_any_output_had_no_items_and_cost_nothing() -> None:
    one = client()
    one.say("response.create")
    one.run(0.03)

    one.append(voice(60))

    done = one.one("response.done")["response"]
    assert (done["status"], done["output"]) == ("cancelled", [])
    assert done["usage"]["total_tokens"] == 0
    assert one.of("conversation.item.added") == []


def test_speech_before_created_cancels_the_response_as_soon_as_it_has_begun() -> None:
    one = client("create-delay=1")
    one.say("response.create")
    one.append(voice(200))
    assert one.of("response.done") == []

    events = one.run(1)

    assert types(events)[:2] == ["response.created", "response.done"]
    assert statuses(one) == [("cancelled", "turn_detected")]


def test_speech_before_the_answer_to_the_last_turn_begins_cancels_it() -> None:
    one = client("auto-create-delay=2")
    one.speak()

    events = one.append(voice(200))

    assert types(events)[:3] == [
        "input_audio_buffer.speech_started",
        "response.created",
        "response.done",
    ]
    assert statuses(one) == [("cancelled", "turn_detected")]


def test_newer_speech_forgets_an_answer_that_still_waits_for_a_done() -> None:
    one, _ = speaking("cancel-latency=3", "speed=1")
    one.speak()
    one.speak()
    one.run(30)

    assert statuses(one) == [("cancelled", "turn_detected"), ("completed", None)]


def test_speech_leaves_the_response_alone_where_it_should() -> None:
    one, _ = speaking("speed=1")
    one.detect(interrupt_response=False, create_response=False)

    one.speak()
    one.run(20)

    assert statuses(one) == [("completed", None)]


@pytest.mark.parametrize(("how", "heard"), [("error", 1), ("silent", 0)])
def test_a_turn_that_finds_a_response_active_goes_unanswered(how: str, heard: int) -> None:
    one, active = speaking(f"auto-create-refusal={how}", "speed=1")
    one.detect(interrupt_response=False)

    one.speak()
    one.run(20)

    assert len(one.of("response.created")) == 1
    assert len(one.of("error")) == heard
    for error in errors(one):
        assert error["code"] == CONFLICT
        assert error["event_id"] is None
        assert active in str(error["message"])


def test_two_turns_in_one_moment_get_one_answer() -> None:
    one = client("auto-create-delay=2")
    one.detect(interrupt_response=False)

    one.speak()
    one.speak()
    one.run(20)

    assert len(one.of("response.created")) == 1


# -- who wins


@pytest.mark.parametrize(
    ("order", "said"),
    [
        ("after-created", ["response.created", "error"]),
        ("before-created", ["error", "response.created"]),
    ],
)
def test_the_server_wins_against_a_create_that_comes_after_the_commit(
    order: str, said: list[str]
) -> None:
    one = client("auto-create-delay=0.5", f"refusal-order={order}")
    one.speak()

    one.say("response.create", event_id="rc-1")
    one.run(20)

    assert [t for t in types(one.events) if t in said] == said
    created = one.one("response.created")["response"]
    assert created["id"] in str(errors(one)[0]["message"])
    assert errors(one)[0]["event_id"] == "rc-1"
    assert statuses(one) == [("completed", None)]


def test_the_server_wins_against_a_create_accepted_before_the_commit() -> None:
    one = client("create-delay=2", "auto-create-delay=0.1")
    one.append(voice(400))
    one.say("response.create", response={"metadata": {"mine": "1"}})

    one.append(bytes(300 * 48))
    one.run(20)

    assert one.one("response.created")["response"]["metadata"] is None
    assert [e["code"] for e in errors(one)] == [CONFLICT]


def test_a_client_that_wins_answers_the_turn_and_the_server_fails() -> None:
    one = client("race-winner=client", "auto-create-delay=0.5")
    one.speak()

    one.say("response.create", response={"metadata": {"mine": "1"}})
    one.run(20)

    assert one.one("response.created")["response"]["metadata"] == {"mine": "1"}
    assert [e["event_id"] for e in errors(one)] == [None]


def test_a_loser_hears_of_a_winner_that_was_cut_short_at_once() -> None:
    one = client("auto-create-delay=2")
    one.speak()
    assert one.say("response.create", event_id="rc-2") == []

    events = one.append(voice(60))

    assert types(events)[1:4] == ["response.created", "error", "response.done"]
    assert errors(one)[0]["event_id"] == "rc-2"
    assert one.one("response.created")["response"]["id"] in str(errors(one)[0]["message"])

"""The one slot, who may take it and what frees it."""

import pytest

from opusbridge.sim.model import Knobs, Reply, ReplyScript, SimulatedModel
from opusbridge.sim.tones import voice
from tests.sim.model.client import Client, types

LONG = "This answer takes a while to say, so that one may break in upon it. " * 2

CONFLICT = "conversation_already_has_active_response"
NOT_ACTIVE = "response_cancel_not_active"


def client(*faults: str, text: str = LONG) -> Client:
    script = ReplyScript([Reply(text)] * 8)
    return Client(SimulatedModel(Knobs.parse(*faults), replies=script))


def speaking(*faults: str) -> tuple[Client, str]:
    """A client whose own response is being spoken, and that response's id."""
    one = client(*faults)
    one.say("response.create", event_id="rc-1")
    one.run(1)
    return one, one.one("response.created")["response"]["id"]


def statuses(one: Client) -> list[tuple[str, str | None]]:
    found = [event["response"] for event in one.of("response.done")]
    return [(r["status"], (r["status_details"] or {}).get("reason")) for r in found]


def errors(one: Client) -> list[dict[str, str | None]]:
    return [event["error"] for event in one.of("error")]


# -- one at a time


def test_a_create_while_one_is_active_is_refused_by_name_and_forgotten() -> None:
    one, active = speaking()

    error = one.refused("response.create", event_id="rc-2")
    one.run(20)

    assert error == {
        "type": "invalid_request_error",
        "code": CONFLICT,
        "message": f"Conversation already has an active response in progress: {active}. "
        "Wait until the response is finished before creating a new one.",
        "param": None,
        "event_id": "rc-2",
    }
    assert len(one.of("response.created")) == len(one.of("response.done")) == 1
    assert one.model.conflicts == 1


@pytest.mark.parametrize(("text", "code"), [("april-2025", CONFLICT), ("january-2025", None)])
def test_older_servers_refuse_in_other_words(text: str, code: str | None) -> None:
    one, _ = speaking(f"refusal-text={text}")

    error = one.refused("response.create")

    assert error["message"] == "Conversation already has an active response"
    assert error["code"] == code


def test_a_refusal_names_no_event_if_none_was_given_or_if_the_server_forgets() -> None:
    one, _ = speaking()
    assert one.refused("response.create")["event_id"] is None

    one, _ = speaking("error-event-id=null")
    assert one.refused("response.create", event_id="rc-2")["event_id"] is None


def test_a_refusal_may_come_after_the_response_that_caused_it_is_done() -> None:
    one, active = speaking("refusal-delay=5")

    assert one.say("response.create") == []
    one.run(4.5)
    assert one.one("response.done")["response"]["id"] == active
    one.run(1)
    assert errors(one)[0]["code"] == CONFLICT


def test_the_slot_is_taken_from_acceptance_on_though_nothing_was_announced() -> None:
    one = client("create-delay=0.5")
    assert one.say("response.create") == []

    assert one.refused("response.create")["code"] == CONFLICT
    assert types(one.run(0.51))[0] == "response.created"


def test_the_slot_is_free_again_after_done() -> None:
    one, _ = speaking()
    one.run(20)

    assert one.say("response.create") == []
    one.run(20)
    assert statuses(one) == [("completed", None)] * 2


# -- cancelling


def test_a_cancelled_response_closes_what_is_open_and_says_it_was_cancelled() -> None:
    one, active = speaking()

    events = one.say("response.cancel", response_id=active)

    assert types(events) == [
        "response.output_audio.done",
        "response.output_audio_transcript.done",
        "response.content_part.done",
        "conversation.item.done",
        "response.output_item.done",
        "response.done",
        "rate_limits.updated",
    ]
    assert statuses(one) == [("cancelled", "client_cancelled")]
    heard = "".join(e["delta"] for e in one.of("response.output_audio_transcript.delta"))
    assert 0 < len(heard) < len(LONG)
    assert one.one("response.output_audio_transcript.done")["transcript"] == heard
    assert one.one("response.output_item.done")["item"]["status"] == "incomplete"
    assert one.run(20) == []


def test_a_cancel_without_an_id_means_the_default_response() -> None:
    one, _ = speaking()

    one.say("response.cancel")

    assert statuses(one) == [("cancelled", "client_cancelled")]


def test_a_cancelled_response_holds_the_slot_until_its_done() -> None:
    one, active = speaking("cancel-latency=0.4")
    assert one.say("response.cancel") == []

    assert one.refused("response.create")["code"] == CONFLICT
    assert "response.output_audio.delta" in types(one.run(0.39))
    assert one.say("response.cancel") == []  # it has been told already
    assert "response.done" in types(one.run(0.02))
    assert one.say("response.create") == []
    assert active in one.one("response.done")["response"]["id"]


@pytest.mark.parametrize("response_id", [None, "resp_unknown"])
def test_there_must_be_something_to_cancel(response_id: str | None) -> None:
    error = client().refused("response.cancel", event_id="cx-3", response_id=response_id)

    assert error == {
        "type": "invalid_request_error",
        "code": NOT_ACTIVE,
        "message": "Cancellation failed: no active response found",
        "param": None,
        "event_id": "cx-3",
    }


def test_a_cancel_before_created_does_nothing_and_the_response_plays() -> None:
    one = client("create-delay=0.5")
    one.say("response.create")

    assert one.refused("response.cancel")["code"] == NOT_ACTIVE
    one.run(20)
    assert statuses(one) == [("completed", None)]


def test_a_cancel_may_find_the_response_finished() -> None:
    one, _ = speaking("cancel-finds-it-finished")

    events = types(one.say("response.cancel"))

    assert events.index("response.done") < events.index("error") == len(events) - 1
    assert statuses(one) == [("completed", None)]
    assert errors(one)[0]["code"] == NOT_ACTIVE


def test_a_response_may_finish_before_a_slow_cancel_reaches_it() -> None:
    one, _ = speaking("cancel-latency=30")

    one.say("response.cancel", event_id="cx-1")
    one.run(40)

    assert statuses(one) == [("completed", None)]
    assert [(e["code"], e["event_id"]) for e in errors(one)] == [(NOT_ACTIVE, "cx-1")]


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


def test_losers_hear_of_a_winner_that_was_never_announced() -> None:
    one, _ = speaking("cancel-latency=3", "speed=1")
    one.speak()  # the answer waits for the done of what this cancelled
    one.say("response.create", event_id="rc-2")

    one.append(voice(200))

    assert [e["event_id"] for e in errors(one)] == ["rc-2"]


# -- out of band


def test_a_response_out_of_band_runs_beside_and_touches_no_conversation() -> None:
    one, active = speaking()
    before = len(one.model.conversation.entries)

    one.say("response.create", response={"conversation": "none", "metadata": {"why": "mood"}})
    one.run(20)

    other, default = one.of("response.done")
    assert default["response"]["id"] == active
    assert other["response"]["conversation_id"] is None
    assert other["response"]["metadata"] == {"why": "mood"}
    assert default["response"]["conversation_id"].startswith("conv_")
    assert len(one.of("conversation.item.added")) == len(one.of("conversation.item.done")) == 1
    assert len(one.model.conversation.entries) == before
    assert errors(one) == []


def test_speech_does_not_interrupt_what_is_out_of_band() -> None:
    one = client("speed=1")
    one.detect(create_response=False)
    one.say("response.create", response={"conversation": "none"})
    one.run(0.4)

    one.speak()
    one.run(20)

    assert statuses(one) == [("completed", None)]


def test_what_is_out_of_band_is_cancelled_by_its_id_only() -> None:
    one = client("speed=1")
    one.say("response.create", response={"conversation": "none"})
    one.run(0.4)
    response_id = one.one("response.created")["response"]["id"]

    assert one.refused("response.cancel")["code"] == NOT_ACTIVE
    one.say("response.cancel", response_id=response_id)

    assert statuses(one) == [("cancelled", "client_cancelled")]


# -- what a create may ask


def test_the_request_goes_before_the_session() -> None:
    one = client()
    asked = {
        "output_modalities": ["audio"],
        "audio": {"output": {"format": {"type": "audio/pcmu"}, "voice": "marin"}},
        "max_output_tokens": 100,
    }
    one.say("response.create", response=asked)
    one.run(20)

    created = one.one("response.created")["response"]
    assert created["audio"] == asked["audio"]
    assert created["max_output_tokens"] == 100
    assert len(one.audio(created["id"])) == len(LONG) * 60 * 8


@pytest.mark.parametrize(
    ("asked", "code", "param"),
    [
        ({"modalities": ["text"]}, "unknown_parameter", "response.modalities"),
        ({"voice": "marin"}, "unknown_parameter", "response.voice"),
        ({"conversation": "mine"}, "invalid_value", "response.conversation"),
        ({"metadata": {"n": 1}}, "invalid_type", "response.metadata.n"),
        ({"metadata": []}, "invalid_type", "response.metadata"),
        ({"metadata": {"n": "x" * 513}}, "string_above_max_length", "response.metadata.n"),
        (
            {"metadata": {str(n): "" for n in range(17)}},
            "object_above_max_properties",
            "response.metadata",
        ),
        (
            {"input": [{"type": "item_reference"}]},
            "missing_required_parameter",
            "response.input[0].id",
        ),
    ],
)
def test_a_malformed_create_is_refused_and_takes_no_slot(
    asked: dict[str, object], code: str, param: str
) -> None:
    one = client()

    error = one.refused("response.create", response=asked)

    assert (error["code"], error["param"]) == (code, param)
    assert one.say("response.create", response=None) == []


def test_metadata_may_get_lost() -> None:
    one = client("metadata-echoed=false")
    one.say("response.create", response={"metadata": {"mine": "1"}})
    one.run(1)

    assert one.one("response.created")["response"]["metadata"] is None

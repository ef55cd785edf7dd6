"""The one slot, who may take it and what frees it."""

import pytest

from tests.sim.model.answering import CONFLICT, LONG, NOT_ACTIVE, client, errors, speaking, statuses
from tests.sim.model.client import types

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


def test_response_done_alone_may_tell_of_what_was_left_open() -> None:
    one, active = speaking("stopped-items=left-open")

    events = one.say("response.cancel", response_id=active)

    assert types(events) == ["response.done", "rate_limits.updated"]
    (item,) = events[0]["response"]["output"]
    assert item["status"] == "incomplete"
    assert LONG.startswith(item["content"][0]["transcript"])


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

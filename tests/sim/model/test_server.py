"""The session as a whole: how it begins, what it will not hear, how it ends."""

import json
from random import Random
from typing import Any

import pytest

from opusbridge.sim.model import Knobs, SimulatedModel
from opusbridge.sim.party import Closing, Party
from tests.sim.model.client import Client, types

GOOD = {"authorization": "Bearer sk-right"}


def test_it_is_a_party() -> None:
    party: Party = SimulatedModel()

    assert party.closing is None


def test_a_session_begins_with_its_creation_and_nothing_more() -> None:
    client = Client()

    assert types(client.events) == ["session.created"]
    assert client.run(60) == []


@pytest.mark.parametrize(
    ("query", "headers", "code", "close", "reason"),
    [
        ({"model": "gpt-realtime"}, {}, None, 3000, ""),
        (
            {"model": "gpt-realtime"},
            {"Authorization": "Bearer sk-wrong"},
            "invalid_api_key",
            3000,
            ".invalid_api_key",
        ),
        ({}, GOOD, "missing_model", 4000, ".missing_model"),
        ({"model": "gpt-4o"}, GOOD, "invalid_model", 4000, ".invalid_model"),
        (
            {"model": "gpt-realtime"},
            GOOD | {"OpenAI-Beta": "realtime=v1"},
            "beta_api_shape_disabled",
            4000,
            ".beta_api_shape_disabled",
        ),
    ],
)
def test_who_may_not_come_in_gets_one_error_and_a_close(
    query: dict[str, str], headers: dict[str, str], code: str | None, close: int, reason: str
) -> None:
    model = SimulatedModel(query=query, headers=headers, accepted_keys={"sk-right"})
    client = Client(model)

    assert types(client.events) == ["error"]
    error = client.one("error")["error"]
    assert (error["type"], error["code"]) == ("invalid_request_error", code)
    assert model.closing == Closing(close, "invalid_request_error" + reason)
    assert client.say("response.create") == []


@pytest.mark.parametrize("headers", [GOOD, {"api-key": "sk-right"}])
def test_the_key_may_come_either_way(headers: dict[str, str]) -> None:
    model = SimulatedModel(headers=headers, accepted_keys={"sk-right"})

    assert model.closing is None


def test_models_may_be_named_one_by_one() -> None:
    assert SimulatedModel(query={"model": "front"}, models={"front"}).closing is None
    assert SimulatedModel(query={"model": "gpt-realtime"}, models={"front"}).closing is not None


@pytest.mark.parametrize("text", ["", "{", "[]", '"x"', "null"])
def test_what_is_no_json_object_is_refused_and_the_session_lives(text: str) -> None:
    client = Client()

    (error,) = client.say_text(text)

    assert error["error"]["code"] == "invalid_json"
    assert error["error"]["message"].startswith("Invalid event: failed to parse JSON value.")
    assert types(client.update()) == ["session.updated"]


def test_a_binary_frame_is_refused_and_the_session_lives() -> None:
    model = SimulatedModel()
    model.texts_to_send()

    model.receive_binary(1.0)

    (text,) = model.texts_to_send()
    assert json.loads(text)["error"]["code"] == "invalid_event"
    assert json.loads(text)["error"]["message"] == (
        "Expected a text WebSocket message; binary frames are not supported."
    )
    assert model.closing is None


@pytest.mark.parametrize(
    "type", ["nope", "transcription_session.update", "output_audio_buffer.clear", 7]
)
def test_an_unknown_event_is_answered_with_the_known_ones(type: Any) -> None:
    error = Client().refused(type, event_id="e-1")

    assert error["code"] == "invalid_value"
    assert error["param"] == "type"
    assert error["message"].startswith(
        f"Invalid value: '{type}'. Supported values are: 'session.update', "
    )
    assert error["message"].endswith(", and 'response.cancel'.")
    assert error["event_id"] == "e-1"


@pytest.mark.parametrize(
    ("event", "code", "param"),
    [
        ({}, "missing_required_parameter", "type"),
        ({"type": "response.create", "metadata": {}}, "unknown_parameter", "metadata"),
        ({"type": "input_audio_buffer.append"}, "missing_required_parameter", "audio"),
        ({"type": "input_audio_buffer.clear", "event_id": 7}, "invalid_type", "event_id"),
        (
            {"type": "conversation.item.truncate", "item_id": "x", "content_index": 0},
            "missing_required_parameter",
            "audio_end_ms",
        ),
        (
            {
                "type": "conversation.item.truncate",
                "item_id": "x",
                "content_index": 0,
                "audio_end_ms": 14.5,
            },
            "invalid_type",
            "audio_end_ms",
        ),
    ],
)
def test_a_malformed_event_is_told_what_is_wrong(
    event: dict[str, Any], code: str, param: str
) -> None:
    (error,) = Client().say_text(json.dumps(event))

    assert (error["error"]["code"], error["error"]["param"]) == (code, param)
    assert error["error"]["event_id"] is None


def test_a_session_expires() -> None:
    client = Client()
    client.run(3599)
    assert client.model.closing is None

    client.run(2)

    error = client.one("error")["error"]
    assert error["code"] == "session_expired"
    assert error["message"] == "Your session hit the maximum duration of 60 minutes."
    assert client.model.closing == Closing(1001, error["message"])


def test_nothing_happens_to_a_client_that_is_gone() -> None:
    client = Client()
    client.say("response.create")
    client.model.gone(0.1)

    assert client.model.deadline is None
    assert client.run(10) == []
    assert client.say("response.create") == []


def test_events_have_ids_of_their_own() -> None:
    client = Client()
    client.say("response.create")
    client.run(10)

    ids = [event["event_id"] for event in client.events]
    assert len(set(ids)) == len(ids)
    assert all(len(event_id) == len("event_") + 21 for event_id in ids)


def test_the_same_seed_tells_the_same_story() -> None:
    def story(seed: int) -> list[dict[str, Any]]:
        random = Random(seed)
        client = Client(SimulatedModel(Knobs.random(random), random))
        client.speak()
        client.run(20)
        return client.events

    assert story(4) == story(4)
    assert story(4) != story(5)


def test_the_history_tells_who_said_what_when() -> None:
    client = Client()
    client.run(1)
    client.say("response.create")
    client.run(0.1)
    client.append(bytes(960))

    response_id = client.one("response.created")["response"]["id"]
    first, asked, created = client.model.history[:3]
    assert (first.by, first.type) == ("server", "session.created")
    assert (asked.at, asked.by, asked.type) == (1.0, "client", "response.create")
    assert (created.at, created.type, created.ids) == (1.02, "response.created", response_id)
    assert not [h for h in client.model.history if h.type == "input_audio_buffer.append"]

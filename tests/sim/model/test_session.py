"""``session.update``: partial, atomic, echoed whole."""

from copy import deepcopy
from typing import Any

import pytest

from opusbridge.sim.model import Reply, ReplyScript, SimulatedModel
from opusbridge.sim.model.session import reasons
from tests.sim.model.client import Client, types

TOOL = {"type": "function", "name": "look_up", "description": "Looks up", "parameters": {}}


def test_a_new_session_shows_the_defaults_seen_on_the_wire() -> None:
    session = Client().one("session.created")["session"]

    assert session["type"] == "realtime"
    assert session["object"] == "realtime.session"
    assert session["id"].startswith("sess_")
    assert session["expires_at"] == 1_800_000_000 + 3600
    assert session["audio"]["output"]["voice"] == "alloy"
    assert session["audio"]["input"]["turn_detection"] == {
        "type": "server_vad",
        "threshold": 0.5,
        "prefix_padding_ms": 300,
        "silence_duration_ms": 200,
        "idle_timeout_ms": None,
        "create_response": True,
        "interrupt_response": True,
    }


def test_only_what_is_present_changes_and_the_whole_session_is_echoed() -> None:
    client = Client()
    before = client.one("session.created")["session"]

    client.update(
        instructions="Be brief.",
        audio={"input": {"format": {"type": "audio/pcmu"}}, "output": {"voice": "marin"}},
    )

    after = deepcopy(before)
    after["instructions"] = "Be brief."
    after["audio"]["input"]["format"] = {"type": "audio/pcmu"}
    after["audio"]["output"]["voice"] = "marin"
    assert client.one("session.updated")["session"] == after


def test_values_with_parts_displace_each_other_whole() -> None:
    client = Client()
    client.update(tools=[TOOL], tool_choice={"type": "function", "name": "look_up"})
    client.update(tool_choice={"type": "mcp", "server_label": "shop"}, tools=[])

    session = client.last("session.updated")["session"]
    assert session["tool_choice"] == {"type": "mcp", "server_label": "shop"}
    assert session["tools"] == []


def test_turn_detection_of_the_same_type_is_merged_and_of_another_begins_anew() -> None:
    client = Client()
    client.detect(threshold=0.8)
    client.detect(silence_duration_ms=500)
    detection = client.last("session.updated")["session"]["audio"]["input"]["turn_detection"]
    assert (detection["threshold"], detection["silence_duration_ms"]) == (0.8, 500)

    client.update(audio={"input": {"turn_detection": {"type": "semantic_vad"}}})
    assert client.last("session.updated")["session"]["audio"]["input"]["turn_detection"] == {
        "type": "semantic_vad",
        "eagerness": "auto",
        "create_response": True,
        "interrupt_response": True,
    }

    client.update(audio={"input": {"turn_detection": None}})
    client.detect()
    detection = client.last("session.updated")["session"]["audio"]["input"]["turn_detection"]
    assert detection["threshold"] == 0.5


@pytest.mark.parametrize(
    ("changes", "code", "param"),
    [
        ({"modalities": ["audio", "text"]}, "unknown_parameter", "session.modalities"),
        ({"voice": "alloy"}, "unknown_parameter", "session.voice"),
        ({"input_audio_format": "g711_ulaw"}, "unknown_parameter", "session.input_audio_format"),
        ({"turn_detection": None}, "unknown_parameter", "session.turn_detection"),
        ({"temperature": 0.8}, "unknown_parameter", "session.temperature"),
        ({"output_modalities": ["audio", "text"]}, "invalid_value", "session.output_modalities"),
        ({"output_modalities": "audio"}, "invalid_type", "session.output_modalities"),
        ({"max_output_tokens": 9999}, "integer_above_max_value", "session.max_output_tokens"),
        ({"max_output_tokens": "some"}, "invalid_value", "session.max_output_tokens"),
        ({"model": "gpt-realtime-mini"}, "invalid_value", "session.model"),
        ({"reasoning": {"effort": "low"}}, "invalid_value", "session.reasoning"),
        (
            {"tools": [{"type": "function", "function": {"name": "x"}}]},
            "unknown_parameter",
            "session.tools[0].function",
        ),
        (
            {"audio": {"input": {"format": {"type": "audio/pcm", "rate": 16_000}}}},
            "integer_below_min_value",
            "session.audio.input.format.rate",
        ),
        (
            {"audio": {"output": {"format": {"type": "g711_ulaw"}}}},
            "invalid_value",
            "session.audio.output.format.type",
        ),
        (
            {"audio": {"input": {"turn_detection": {"type": "server_vad", "threshold": 2}}}},
            "decimal_above_max_value",
            "session.audio.input.turn_detection.threshold",
        ),
        ({"audio": {"output": {"voice": "nobody"}}}, "invalid_value", "session.audio.output.voice"),
    ],
)
def test_one_bad_field_refuses_the_whole_update(
    changes: dict[str, Any], code: str, param: str
) -> None:
    client = Client()
    before = deepcopy(client.model.session.settings)

    error = client.refused(
        "session.update", session={"type": "realtime", "instructions": "New.", **changes}
    )

    assert (error["code"], error["param"]) == (code, param)
    assert client.model.session.settings == before


def test_the_type_of_session_must_be_said() -> None:
    error = Client().refused("session.update", session={"instructions": "x"})

    assert error["code"] == "missing_required_parameter"
    assert error["param"] == "session.type"


def test_a_conversation_does_not_become_a_transcription_session() -> None:
    client = Client()

    error = client.refused("session.update", session={"type": "transcription"})

    assert error["code"] == "invalid_model"
    assert client.model.closing is not None
    assert client.model.closing.code == 4000


def test_the_voice_is_locked_once_the_model_has_been_heard() -> None:
    client = Client(SimulatedModel(replies=ReplyScript([Reply("Good morning.")])))
    assert types(client.update(audio={"output": {"voice": "marin"}})) == ["session.updated"]
    client.say("response.create")
    client.run(5)

    error = client.refused(
        "session.update",
        session={"type": "realtime", "audio": {"output": {"voice": "cedar"}}},
    )

    assert error["code"] == "cannot_update_voice"
    assert error["message"] == (
        "Cannot update a conversation's voice if assistant audio is present."
    )
    assert error["param"] is None
    same = client.update(audio={"output": {"voice": "marin", "speed": 1.1}})
    assert types(same) == ["session.updated"]


@pytest.mark.parametrize(
    ("model", "does"),
    [
        ("gpt-realtime", False),
        ("gpt-realtime-1.5", False),
        ("gpt-realtime-2025-08-28", False),
        ("gpt-realtime-2", True),
        ("gpt-realtime-2.1-mini", True),
    ],
)
def test_only_the_second_generation_reasons(model: str, does: bool) -> None:
    assert reasons(model) is does


def test_a_refused_reasoning_update_does_not_say_whose_it_was() -> None:
    client = Client()

    error = client.refused(
        "session.update",
        event_id="cfg-1",
        session={"type": "realtime", "reasoning": {"effort": "low"}},
    )

    assert error["event_id"] is None
    thinking = Client(SimulatedModel(query={"model": "gpt-realtime-2"}))
    assert types(thinking.update(reasoning={"effort": "low"})) == ["session.updated"]

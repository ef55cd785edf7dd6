"""What we say to the model, and what of it is remembered."""

import json
from types import MappingProxyType
from typing import Any

import pytest

from opusbridge import effects, events
from opusbridge.errors import LocalProtocolError
from opusbridge.privacy import Private
from opusbridge.protocols.realtime import RealtimeProtocol
from opusbridge.protocols.realtime.client_events import METADATA_VALUE_LENGTH
from opusbridge.protocols.realtime.protocol import SENT_EVENTS_KEPT
from opusbridge.sound import PCM_16K, PCM_24K, PCMA_8K, PCMU_8K, Audio, AudioFormat
from tests.openai_oracle import assert_client_event


def sent_by(protocol: RealtimeProtocol, *said: effects.ToModel) -> list[dict[str, Any]]:
    for effect in said:
        protocol.send(effect)
    return [json.loads(text) for text in protocol.messages_to_send()]


def configure(audio_format: AudioFormat, **more: Any) -> effects.ConfigureSession:
    return effects.ConfigureSession(effects.SessionConfig("Be kind.", audio_format, **more))


def refused(protocol: RealtimeProtocol, event_id: str) -> events.ModelErred:
    error = {"code": "invalid_value", "message": "No.", "event_id": event_id}
    (erred,) = protocol.receive(json.dumps({"type": "error", "error": error}))
    assert isinstance(erred, events.ModelErred)
    return erred


def test_a_format_the_model_does_not_speak_is_our_own_mistake() -> None:
    protocol = RealtimeProtocol()

    with pytest.raises(LocalProtocolError):
        protocol.send(configure(PCM_16K))

    assert protocol.messages_to_send() == []


def test_messages_wait_in_order_and_are_taken_once() -> None:
    protocol = RealtimeProtocol()

    said = sent_by(protocol, effects.CommitAudio(), effects.CancelResponse(None))

    assert [event["type"] for event in said] == ["input_audio_buffer.commit", "response.cancel"]
    assert protocol.messages_to_send() == []


def test_the_caller_s_audio_goes_as_the_text_it_came_as() -> None:
    protocol = RealtimeProtocol()

    protocol.send(effects.AppendAudio(Audio("//7+/v79", PCMU_8K)))

    assert protocol.messages_to_send() == [
        '{"type":"input_audio_buffer.append","audio":"//7+/v79"}'
    ]


def test_no_two_of_our_events_have_the_same_id() -> None:
    said = sent_by(
        RealtimeProtocol(),
        configure(PCMU_8K),
        effects.FeelPulse(),
        effects.CommitAudio(),
        effects.CommitAudio(),
        effects.CancelResponse("resp_1"),
        effects.TruncateItem("item_1", 0, 20),
        effects.DeleteItem("item_1"),
        effects.AddText("item_2", "user", Private("Hello.")),
        effects.AddToolOutput("item_3", "call_1", Private("{}")),
        effects.CreateResponse("rc-1"),
    )

    ids = [event["event_id"] for event in said]
    assert [event_id.split("-")[0] for event_id in ids] == [
        *("cfg", "pulse", "commit", "commit", "cancel", "trunc", "del", "item", "item", "rc")
    ]
    assert len(set(ids)) == len(ids)


def test_a_refusal_that_echoes_our_id_is_told_by_it() -> None:
    protocol = RealtimeProtocol()
    truncate, _ = sent_by(
        protocol, effects.TruncateItem("item_1", 0, 20), effects.CreateResponse("rc-1")
    )

    assert refused(protocol, truncate["event_id"]).about == "conversation.item.truncate"
    assert refused(protocol, "rc-1").about == "response.create"
    assert refused(protocol, "rc-1").request_id == "rc-1"
    assert refused(protocol, "rc-2").about is None


def test_only_the_latest_of_our_ids_are_remembered() -> None:
    protocol = RealtimeProtocol()
    sent_by(protocol, *(effects.CreateResponse(f"rc-{i}") for i in range(SENT_EVENTS_KEPT)))
    assert refused(protocol, "rc-0").about == "response.create"

    sent_by(protocol, effects.CommitAudio())
    assert refused(protocol, "rc-0").about is None
    assert refused(protocol, "rc-1").about == "response.create"


def test_of_items_all_are_known_by_their_ids_however_many_there_are() -> None:
    protocol = RealtimeProtocol()
    sent_by(protocol, effects.CreateResponse("rc-1"))
    several = 2 * SENT_EVENTS_KEPT
    first, *_ = sent_by(
        protocol, *(effects.AddText(f"said-{i}", "user", Private("Hi.")) for i in range(several))
    )

    refusal = refused(protocol, first["event_id"])
    assert refusal.about == "conversation.item.create"
    assert refusal.item_id == "said-0"
    assert refused(protocol, "rc-1").about == "response.create"  # nor do they drive others out


def test_a_long_why_is_cut_to_what_metadata_may_hold() -> None:
    (create,) = sent_by(RealtimeProtocol(), effects.CreateResponse("rc-1", "why, " * 1000))

    assert len(create["response"]["metadata"]["why"]) == METADATA_VALUE_LENGTH
    assert_client_event(create)


def test_a_response_that_is_to_use_words_only_may_call_no_tools() -> None:
    freely, by_words = sent_by(
        RealtimeProtocol(),
        effects.CreateResponse("rc-1", "turn"),
        effects.CreateResponse("rc-2", "preamble", "Say: one moment.", by_words_only=True),
    )

    assert "tool_choice" not in freely["response"]
    assert by_words["response"]["tool_choice"] == "none"
    assert_client_event(by_words)


def test_half_a_character_from_a_tool_does_not_cost_the_call() -> None:
    output, text, create = sent_by(
        RealtimeProtocol(),
        effects.AddToolOutput("item_1", "call_1", Private("a\ud83d")),
        effects.AddText("item_2", "user", Private("\udc00b")),
        effects.CreateResponse("rc-1", "why", "\ud800c"),
    )

    assert output["item"]["output"] == "a\ufffd"
    assert text["item"]["content"][0]["text"] == "\ufffdb"
    assert create["response"]["instructions"] == "\ufffdc"


def test_extra_settings_are_merged_last_object_by_object() -> None:
    extra = {
        "tool_choice": "none",
        "reasoning": {"effort": "low"},
        "audio": {"input": {"turn_detection": {"type": "semantic_vad"}, "transcription": None}},
    }
    configured = configure(
        PCMU_8K,
        turn_detection=effects.TurnDetection("server_vad", True, False, 0.7, 350),
        transcription_model="whisper-1",
        extra=extra,
    )

    (update,) = sent_by(RealtimeProtocol(), configured)

    session = update["session"]
    assert session["tool_choice"] == "none"
    assert session["reasoning"] == {"effort": "low"}
    assert session["instructions"] == "Be kind."
    assert session["audio"]["input"] == {
        "format": {"type": "audio/pcmu"},
        "noise_reduction": None,
        "transcription": None,
        "turn_detection": {
            "type": "semantic_vad",  # which would be refused with the threshold of the other
            "create_response": True,
            "interrupt_response": False,
        },
    }
    assert extra["audio"] == {
        "input": {"turn_detection": {"type": "semantic_vad"}, "transcription": None}
    }


def test_an_object_of_the_same_type_keeps_what_extra_settings_do_not_name() -> None:
    extra = {"audio": {"input": {"turn_detection": {"type": "server_vad", "threshold": 0.9}}}}

    detection = effects.TurnDetection("server_vad", True, False, 0.7, 500)
    configured = configure(PCMU_8K, turn_detection=detection, extra=extra)
    (update,) = sent_by(RealtimeProtocol(), configured)

    sent = update["session"]["audio"]["input"]["turn_detection"]
    assert (sent["threshold"], sent["silence_duration_ms"]) == (0.9, 500)


def test_a_format_of_another_type_keeps_no_rate() -> None:
    extra = {"audio": {"output": {"format": {"type": "audio/pcmu"}}}}

    (update,) = sent_by(RealtimeProtocol(), configure(PCM_24K, extra=extra))

    assert update["session"]["audio"]["output"]["format"] == {"type": "audio/pcmu"}


@pytest.mark.parametrize(
    ("language", "said"), [("de", "de"), ("DE", "de"), ("pt-BR", "pt"), ("YUE-Hant-HK", "yue")]
)
def test_the_language_is_said_as_the_transcription_takes_it(language: str, said: str) -> None:
    configured = configure(PCMU_8K, transcription_model="whisper-1", language=language)

    (update,) = sent_by(RealtimeProtocol(), configured)

    assert update["session"]["audio"]["input"]["transcription"] == {
        "model": "whisper-1",
        "language": said,
    }


def test_a_tool_that_names_its_type_keeps_it() -> None:
    tool = {"type": "function", "name": "hang_up", "description": "", "parameters": {}}

    (update,) = sent_by(RealtimeProtocol(), configure(PCMA_8K, tools=(tool,)))

    assert update["session"]["tools"] == [tool]
    assert_client_event(update)


def test_extra_settings_of_one_session_are_not_those_of_the_next() -> None:
    odd = configure(PCMU_8K, extra={"audio": {"input": {"format": {"rate": 8000}}}})

    first, second = sent_by(RealtimeProtocol(), odd, configure(PCMU_8K))

    assert first["session"]["audio"]["input"]["format"] == {"type": "audio/pcmu", "rate": 8000}
    assert first["session"]["audio"]["output"]["format"] == {"type": "audio/pcmu"}
    assert second["session"]["audio"]["input"]["format"] == {"type": "audio/pcmu"}


def test_what_is_private_in_a_sessions_tools_is_said_on_the_wire_and_nowhere_else() -> None:
    server = {"type": "mcp", "server_label": "crm", "authorization": Private("a-secret")}
    configured = configure(PCMU_8K, tools=(MappingProxyType(server),))

    (update,) = sent_by(RealtimeProtocol(), configured)
    assert update["session"]["tools"] == [{**server, "authorization": "a-secret"}]
    assert "a-secret" not in repr(configured)

"""What we say to the Realtime API: one function for each client event, GA shape.

Each gives the event as JSON values; identity (``event_id``) is handed in.
"""

from collections.abc import Mapping
from typing import Any

from opusbridge import effects
from opusbridge.errors import LocalProtocolError
from opusbridge.sound import PCM_24K, PCMA_8K, PCMU_8K, AudioFormat
from opusbridge.texts import well_formed

ClientEvent = dict[str, Any]

#: The server's limit for a metadata value, in characters.
METADATA_VALUE_LENGTH = 512

#: The formats a session may have; PCM at 24 kHz and no other rate.
WIRE_FORMATS: dict[AudioFormat, dict[str, Any]] = {
    PCM_24K: {"type": "audio/pcm", "rate": 24_000},
    PCMU_8K: {"type": "audio/pcmu"},
    PCMA_8K: {"type": "audio/pcma"},
}


def session_update(event_id: str, config: effects.SessionConfig) -> ClientEvent:
    wire_format = WIRE_FORMATS.get(config.audio_format)
    if wire_format is None:
        raise LocalProtocolError("the model speaks PCM at 24 kHz and G.711, nothing else")
    voice = {} if config.voice is None else {"voice": config.voice}
    session: dict[str, Any] = {
        "type": "realtime",
        "output_modalities": ["audio"],
        "instructions": well_formed(config.instructions),
        "tools": [{"type": "function", **tool} for tool in config.tools],
        "tool_choice": "auto",
        "audio": {
            "input": {
                "format": wire_format,
                "noise_reduction": _noise_reduction(config),
                "transcription": _transcription(config),
                "turn_detection": _turn_detection(config.turn_detection),
            },
            "output": {"format": wire_format, **voice},
        },
    }
    return {
        "type": "session.update",
        "event_id": event_id,
        "session": _merged(session, config.extra),
    }


def empty_update(event_id: str) -> ClientEvent:
    """Changes nothing; its type is all that an update must have (openai-realtime 2.3)."""
    return {"type": "session.update", "event_id": event_id, "session": {"type": "realtime"}}


def _noise_reduction(config: effects.SessionConfig) -> dict[str, Any] | None:
    return None if config.noise_reduction is None else {"type": config.noise_reduction}


def _transcription(config: effects.SessionConfig) -> dict[str, Any] | None:
    if config.transcription_model is None:
        return None
    transcription = {"model": config.transcription_model}
    if config.language is not None:
        # ISO 639: it knows no regions.
        transcription["language"] = config.language.partition("-")[0].lower()
    return transcription


#: What every turn detection has, whatever its type.
_SWITCHES = ("create_response", "interrupt_response")


def _turn_detection(detection: effects.TurnDetection | None) -> dict[str, Any] | None:
    if detection is None:
        return None
    switches = {
        "create_response": detection.create_response,
        "interrupt_response": detection.interrupt_response,
    }
    if detection.kind == "semantic_vad":
        return {"type": "semantic_vad", "eagerness": detection.eagerness, **switches}
    return {
        "type": "server_vad",
        "threshold": detection.threshold,
        "prefix_padding_ms": detection.prefix_ms,
        "silence_duration_ms": detection.silence_ms,
        **switches,
    }


def _merged(base: Mapping[str, Any], over: Mapping[str, Any]) -> dict[str, Any]:
    """``over`` wins, object by object; what is not an object is replaced whole.

    So is an object that becomes one of another type, whose fields are not those of the first: the
    service refuses ``threshold`` beside ``semantic_vad`` (openai-realtime 4.1).
    """
    merged = dict(base)
    for key, value in over.items():
        below = merged.get(key)
        if isinstance(below, Mapping) and isinstance(value, Mapping):
            kept = below
            if value.get("type", below.get("type")) != below.get("type"):
                kept = {name: below[name] for name in _SWITCHES if name in below}
            merged[key] = _merged(kept, value)
        else:
            merged[key] = value
    return merged


def response_create(effect: effects.CreateResponse) -> ClientEvent:
    """The token travels twice: ``event_id`` comes back with a refusal, metadata with success."""
    response: dict[str, Any] = {
        "metadata": {
            "bridge_req": effect.request_id,
            "why": well_formed(effect.why)[:METADATA_VALUE_LENGTH],
        }
    }
    if effect.instructions is not None:
        response["instructions"] = well_formed(effect.instructions)
    if effect.by_words_only:
        response["tool_choice"] = "none"
    return {"type": "response.create", "event_id": effect.request_id, "response": response}


def response_cancel(event_id: str, response_id: str | None) -> ClientEvent:
    """Without an id it is the response of the conversation, whichever that is."""
    which = {} if response_id is None else {"response_id": response_id}
    return {"type": "response.cancel", "event_id": event_id, **which}


def input_audio_buffer_commit(event_id: str) -> ClientEvent:
    return {"type": "input_audio_buffer.commit", "event_id": event_id}


def conversation_item_truncate(event_id: str, effect: effects.TruncateItem) -> ClientEvent:
    return {
        "type": "conversation.item.truncate",
        "event_id": event_id,
        "item_id": effect.item_id,
        "content_index": effect.content_index,
        "audio_end_ms": effect.audio_end_ms,
    }


def conversation_item_delete(event_id: str, item_id: str) -> ClientEvent:
    return {"type": "conversation.item.delete", "event_id": event_id, "item_id": item_id}


def function_call_output(event_id: str, effect: effects.AddToolOutput) -> ClientEvent:
    item = {
        "id": effect.item_id,
        "type": "function_call_output",
        "call_id": effect.tool_call_id,
        "output": well_formed(effect.output.value),
    }
    return {"type": "conversation.item.create", "event_id": event_id, "item": item}


def mcp_approval_response(event_id: str, effect: effects.AddApproval) -> ClientEvent:
    item = {
        "id": effect.item_id,
        "type": "mcp_approval_response",
        "approval_request_id": effect.approval_request_id,
        "approve": effect.approve,
    }
    return {"type": "conversation.item.create", "event_id": event_id, "item": item}


def text_message(event_id: str, effect: effects.AddText) -> ClientEvent:
    kind = "output_text" if effect.role == "assistant" else "input_text"
    item = {
        "id": effect.item_id,
        "type": "message",
        "role": effect.role,
        "content": [{"type": kind, "text": well_formed(effect.text.value)}],
    }
    return {"type": "conversation.item.create", "event_id": event_id, "item": item}


def tool_call(event_id: str, effect: effects.AddToolCall) -> ClientEvent:
    item = {
        "id": effect.item_id,
        "type": "function_call",
        "call_id": effect.tool_call_id,
        "name": effect.name,
        "arguments": well_formed(effect.arguments.value),
    }
    return {"type": "conversation.item.create", "event_id": event_id, "item": item}

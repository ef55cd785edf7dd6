"""The session's settings: what they begin as, and what ``session.update`` may make of them.

An update is partial and atomic: fields that are present change, everything else stays, and one
bad field refuses the whole of it.
"""

from collections.abc import Callable
from copy import deepcopy
from typing import Any

from opusbridge.sim.model.shapes import (
    Check,
    Refused,
    anything,
    boolean,
    decimal,
    either,
    integer,
    invalid_type,
    invalid_value,
    listing,
    one_of,
    or_null,
    record,
    tagged,
    text,
)
from opusbridge.sound import PCM_24K, PCMA_8K, PCMU_8K, AudioFormat

VOICES = ("alloy", "ash", "ballad", "coral", "echo", "sage", "shimmer", "verse", "marin", "cedar")

FORMATS = {"audio/pcm": PCM_24K, "audio/pcmu": PCMU_8K, "audio/pcma": PCMA_8K}

SERVER_VAD = {
    "type": "server_vad",
    "threshold": 0.5,
    "prefix_padding_ms": 300,
    # 500 is documented; 200 is what a new session really shows.
    "silence_duration_ms": 200,
    "idle_timeout_ms": None,
    "create_response": True,
    "interrupt_response": True,
}

SEMANTIC_VAD = {
    "type": "semantic_vad",
    "eagerness": "auto",
    "create_response": True,
    "interrupt_response": True,
}


def _is_text(value: Any) -> bool:
    return isinstance(value, str)


def modalities(value: Any, path: str) -> None:
    if not isinstance(value, list):
        raise invalid_type(value, "an array", path)
    if value not in (["audio"], ["text"]):
        raise Refused(
            "invalid_value",
            f"Invalid modalities: {value}. Supported combinations are: ['text'] and ['audio'].",
            path,
        )


AUDIO_FORMAT = tagged(
    "type",
    {
        "audio/pcm": record({"type": anything, "rate": integer(24_000, 24_000)}),
        "audio/pcmu": record({"type": anything}),
        "audio/pcma": record({"type": anything}),
    },
)

VOICE = either(one_of(*VOICES), record({"id": text()}, required=("id",)), _is_text)

FUNCTION_TOOL = record(
    {"type": anything, "name": text(64), "description": text(), "parameters": anything},
    required=("name",),
)
MCP_TOOL = record(
    {
        "type": anything,
        "server_label": text(),
        "server_url": text(),
        "connector_id": text(),
        "tunnel_id": text(),
        "authorization": text(),
        "headers": anything,
        "allowed_tools": anything,
        "require_approval": anything,
        "server_description": text(),
        "defer_loading": boolean,
        "allowed_callers": anything,
    },
    required=("server_label",),
)
TOOLS = listing(tagged("type", {"function": FUNCTION_TOOL, "mcp": MCP_TOOL}))

TOOL_CHOICE = either(
    one_of("none", "auto", "required"),
    tagged(
        "type",
        {
            "function": record({"type": anything, "name": text()}, required=("name",)),
            "mcp": record(
                {"type": anything, "server_label": text(), "name": or_null(text())},
                required=("server_label",),
            ),
        },
    ),
    _is_text,
)

MAX_OUTPUT_TOKENS = either(one_of("inf"), integer(1, 4096), _is_text)

REASONING = record({"effort": one_of("minimal", "low", "medium", "high", "xhigh")})

_SWITCHES: dict[str, Check] = {
    "type": anything,
    "create_response": boolean,
    "interrupt_response": boolean,
}

TURN_DETECTION = tagged(
    "type",
    {
        "server_vad": record(
            _SWITCHES
            | {
                "threshold": decimal(0.0, 1.0),
                "prefix_padding_ms": integer(0, 60_000),
                "silence_duration_ms": integer(0, 60_000),
                "idle_timeout_ms": or_null(integer(5_000, 30_000)),
            }
        ),
        "semantic_vad": record(_SWITCHES | {"eagerness": one_of("low", "medium", "high", "auto")}),
    },
)

TRANSCRIPTION = record(
    {
        "model": text(),
        "language": or_null(text()),
        "languages": or_null(listing(text())),
        "prompt": or_null(text()),
        "keywords": or_null(listing(text())),
        "delay": or_null(one_of("minimal", "low", "medium", "high", "xhigh")),
    }
)

NOISE_REDUCTION = record(
    {"type": one_of("near_field", "far_field"), "strength": decimal(0.0, 10.0)}
)

AUDIO_INPUT = record(
    {
        "format": AUDIO_FORMAT,
        "transcription": or_null(TRANSCRIPTION),
        "noise_reduction": or_null(NOISE_REDUCTION),
        "turn_detection": or_null(TURN_DETECTION),
    }
)

AUDIO_OUTPUT = record({"format": AUDIO_FORMAT, "voice": VOICE, "speed": decimal(0.25, 1.5)})

UPDATE = record(
    {
        "type": one_of("realtime", "transcription"),
        "model": text(),
        "output_modalities": modalities,
        "instructions": text(),
        "tools": TOOLS,
        "tool_choice": TOOL_CHOICE,
        "parallel_tool_calls": boolean,
        "reasoning": or_null(REASONING),
        "max_output_tokens": MAX_OUTPUT_TOKENS,
        "prompt": anything,
        "tracing": anything,
        "truncation": anything,
        "include": or_null(listing(one_of("item.input_audio_transcription.logprobs"))),
        "audio": record({"input": AUDIO_INPUT, "output": AUDIO_OUTPUT}),
    },
    required=("type",),
)


class Session:
    def __init__(self, session_id: str, model: str, expires_at: int) -> None:
        """``expires_at`` in Unix seconds, as the service writes it."""
        pcm: dict[str, object] = {"type": "audio/pcm", "rate": 24_000}
        self.settings: dict[str, Any] = {
            "type": "realtime",
            "object": "realtime.session",
            "id": session_id,
            "model": model,
            "output_modalities": ["audio"],
            "instructions": "You are a helpful, witty, and friendly AI.",
            "tools": [],
            "tool_choice": "auto",
            "max_output_tokens": "inf",
            "tracing": None,
            "truncation": "auto",
            "prompt": None,
            "expires_at": expires_at,
            "audio": {
                "input": {
                    "format": pcm,
                    "transcription": None,
                    "noise_reduction": None,
                    "turn_detection": dict(SERVER_VAD),
                },
                "output": {"format": dict(pcm), "voice": "alloy", "speed": 1.0},
            },
            "include": None,
        }

    @property
    def input_format(self) -> AudioFormat:
        return FORMATS[self.settings["audio"]["input"]["format"]["type"]]

    @property
    def turn_detection(self) -> dict[str, Any] | None:
        detection: dict[str, Any] | None = self.settings["audio"]["input"]["turn_detection"]
        return detection

    @property
    def creates_responses(self) -> bool:
        """Whether a turn that turn detection ends is answered without being asked."""
        return bool(self.turn_detection and self.turn_detection["create_response"])

    @property
    def interrupts_responses(self) -> bool:
        return bool(self.turn_detection and self.turn_detection["interrupt_response"])

    @property
    def transcribes(self) -> bool:
        return self.settings["audio"]["input"]["transcription"] is not None

    def update(self, changes: Any, assistant_spoke: bool) -> None:
        """Take ``changes`` in, whole or not at all.

        ``assistant_spoke``: the conversation holds the model's audio, so its voice is locked.

        :raises Refused: one field was bad; nothing has changed.
        """
        UPDATE(changes, "session")
        self._check_model(changes)
        voice = changes.get("audio", {}).get("output", {}).get("voice")
        if assistant_spoke and voice not in (None, self.settings["audio"]["output"]["voice"]):
            raise Refused(
                "cannot_update_voice",
                "Cannot update a conversation's voice if assistant audio is present.",
            )
        self.settings = _merged(self.settings, changes)

    def _check_model(self, changes: dict[str, Any]) -> None:
        model = self.settings["model"]
        if changes["type"] == "transcription":
            raise Refused("invalid_model", "This model cannot be used for transcription.")
        if changes.get("model", model) != model:
            raise invalid_value(changes["model"], (model,), "session.model")
        if changes.get("reasoning") is not None and not reasons(model):
            # The service forgets whose event it was in just this case.
            raise Refused(
                "invalid_value",
                "Reasoning is not supported by this model.",
                "session.reasoning",
                echo=False,
            )


def reasons(model: str) -> bool:
    """Whether this is one of the 2.x models, which think before they speak."""
    return model.startswith(("gpt-realtime-2.", "gpt-realtime-2-")) or model == "gpt-realtime-2"


def _merged(old: dict[str, Any], new: dict[str, Any]) -> dict[str, Any]:
    result = dict(old)
    for name, value in new.items():
        known = old.get(name)
        if name in _WHOLE:
            result[name] = _WHOLE[name](known, value)
        elif isinstance(value, dict) and isinstance(known, dict):
            result[name] = _merged(known, value)
        else:
            result[name] = deepcopy(value)
    return result


def _replaced(old: Any, new: Any) -> Any:
    return deepcopy(new)


def _format(old: Any, new: dict[str, Any]) -> dict[str, Any]:
    return {"type": "audio/pcm", "rate": 24_000} if new["type"] == "audio/pcm" else dict(new)


def _detection(old: dict[str, Any] | None, new: dict[str, Any] | None) -> dict[str, Any] | None:
    if new is None:
        return None
    fresh = SERVER_VAD if new["type"] == "server_vad" else SEMANTIC_VAD
    return {**(old if old and old["type"] == new["type"] else fresh), **new}


# These are values with parts, not places for settings: a new one displaces the old one.
_WHOLE: dict[str, Callable[[Any, Any], Any]] = {
    "format": _format,
    "turn_detection": _detection,
    "tool_choice": _replaced,
    "tracing": _replaced,
    "truncation": _replaced,
    "prompt": _replaced,
    "voice": _replaced,
}

"""The items a client may put into the conversation, and what ``response.create`` may ask."""

from typing import Any

from opusbridge.sim.model.session import (
    AUDIO_FORMAT,
    MAX_OUTPUT_TOKENS,
    REASONING,
    TOOL_CHOICE,
    TOOLS,
    VOICE,
    modalities,
)
from opusbridge.sim.model.shapes import (
    Check,
    Refused,
    anything,
    boolean,
    invalid_type,
    listing,
    one_of,
    or_null,
    record,
    tagged,
    text,
)

STATUS = one_of("completed", "incomplete", "in_progress")

_COMMON: dict[str, Check] = {
    "type": anything,
    "id": text(64),
    "object": one_of("realtime.item"),
    "status": STATUS,
}


def _message(**parts: Check) -> Check:
    return record(
        _COMMON | {"role": anything, "content": listing(tagged("type", parts))},
        required=("content",),
    )


_INPUT_TEXT = record({"type": anything, "text": text()}, required=("text",))

MESSAGE = tagged(
    "role",
    {
        "system": _message(input_text=_INPUT_TEXT),
        "user": _message(
            input_text=_INPUT_TEXT,
            input_audio=record(
                {"type": anything, "audio": text(), "transcript": or_null(text())},
                required=("audio",),
            ),
            input_image=record(
                {"type": anything, "image_url": text(), "detail": one_of("auto", "low", "high")},
                required=("image_url",),
            ),
        ),
        "assistant": _message(
            output_text=record({"type": anything, "text": text()}, required=("text",)),
        ),
    },
)

_KINDS: dict[str, Check] = {
    "message": MESSAGE,
    "function_call": record(
        _COMMON | {"name": text(), "call_id": text(64), "arguments": text()},
        required=("name", "arguments"),
    ),
    "function_call_output": record(
        _COMMON | {"call_id": text(64), "output": text()}, required=("call_id", "output")
    ),
    "mcp_approval_response": record(
        _COMMON | {"approval_request_id": text(), "approve": boolean, "reason": or_null(text())},
        required=("approval_request_id", "approve"),
    ),
}

ITEM = tagged("type", _KINDS)

_REFERENCE = record({"type": anything, "id": text()}, required=("id",))


def metadata(value: Any, path: str) -> None:
    """At most 16 pairs; keys to 64 characters, string values to 512."""
    if not isinstance(value, dict):
        raise invalid_type(value, "an object", path)
    if len(value) > 16:
        raise Refused(
            "object_above_max_properties",
            f"Invalid '{path}': too many properties. Expected an object with at most 16 "
            f"properties, but got an object with {len(value)} properties instead.",
            path,
        )
    for name, entry in value.items():
        text(64)(name, path)
        text(512)(entry, f"{path}.{name}")


RESPONSE = record(
    {
        "conversation": one_of("auto", "none"),
        "input": or_null(listing(tagged("type", _KINDS | {"item_reference": _REFERENCE}))),
        "instructions": text(),
        "output_modalities": modalities,
        "audio": record({"output": record({"format": AUDIO_FORMAT, "voice": VOICE})}),
        "tools": TOOLS,
        "tool_choice": TOOL_CHOICE,
        "parallel_tool_calls": boolean,
        "reasoning": or_null(REASONING),
        "max_output_tokens": MAX_OUTPUT_TOKENS,
        "prompt": anything,
        "metadata": or_null(metadata),
    }
)

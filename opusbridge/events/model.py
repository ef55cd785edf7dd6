"""What the model makes happen to a call."""

from dataclasses import dataclass, field
from typing import Literal

from opusbridge.privacy import Private
from opusbridge.sound import Audio, AudioFormat
from opusbridge.usage import Usage

Delta = tuple[Literal["sound", "words", "all words"], str, str, int, str]
"""A ``ModelSpoke``, or a ``ModelWords`` that is not final, or one that is, in short, for they are
many: which it is; its response, item and part; the sound, in base64 of the format agreed on, or
words."""


@dataclass(frozen=True, slots=True)
class SessionCreated:
    session_id: str


@dataclass(frozen=True, slots=True)
class SessionConfigured:
    """The session took our settings; these are the formats it really uses."""

    input_format: AudioFormat | None
    output_format: AudioFormat | None


@dataclass(frozen=True, slots=True)
class SpeechStarted:
    """The model heard the caller begin to speak; whether it is a barge-in is ours to say."""

    item_id: str
    audio_start_ms: int


@dataclass(frozen=True, slots=True)
class SpeechStopped:
    item_id: str
    audio_end_ms: int


@dataclass(frozen=True, slots=True)
class TurnCommitted:
    """The caller's turn is an item of the conversation now."""

    item_id: str
    previous_item_id: str | None = None


@dataclass(frozen=True, slots=True)
class ItemAdded:
    """An item entered the conversation; for those we created, the acknowledgement."""

    item_id: str
    previous_item_id: str | None
    kind: str
    """The wire's word: ``message``, ``function_call``, ``function_call_output``, …"""
    role: str | None = None


@dataclass(frozen=True, slots=True)
class CallerTranscribed:
    """What the caller said, from a separate recogniser: late, and not to be waited for."""

    item_id: str
    text: Private[str]
    final: bool
    """``False``: ``text`` is a further piece. ``True``: ``text`` is all of it."""


@dataclass(frozen=True, slots=True)
class TranscriptionFailed:
    item_id: str


@dataclass(frozen=True, slots=True)
class ResponseCreated:
    response_id: str
    request_id: str | None = None
    """The token of the request this answers, or ``None`` if none came back with it."""
    in_conversation: bool = True
    """``False``: out of band; it holds no slot and answers nobody."""


@dataclass(frozen=True, slots=True)
class OutputItemAdded:
    response_id: str
    item_id: str
    kind: str
    server_label: str | None = None
    """Of a tool of an MCP server."""
    name: str | None = None
    """Of a tool."""


@dataclass(frozen=True, slots=True)
class ModelSpoke:
    response_id: str
    item_id: str
    content_index: int
    audio: Audio


@dataclass(frozen=True, slots=True)
class ModelAudioDone:
    """All the sound of one content part has been sent by the model."""

    response_id: str
    item_id: str
    content_index: int


@dataclass(frozen=True, slots=True)
class ModelWords:
    """The words of the model's speech (or its text)."""

    response_id: str
    item_id: str
    content_index: int
    text: Private[str]
    final: bool
    """``False``: ``text`` is a further piece. ``True``: ``text`` is all of it."""
    written: bool = False
    """They are text, in place of sound or beside it."""


@dataclass(frozen=True, slots=True)
class ResponseWentOn:
    """More of this response was made, which by itself means nothing: a piece of what the model
    writes for a tool, which is told whole at its end."""

    response_id: str


@dataclass(frozen=True, slots=True)
class ToolCalled:
    """The model asks for a function, its arguments complete."""

    response_id: str
    item_id: str
    tool_call_id: str
    name: str
    arguments: Private[str]
    """JSON text as the model wrote it, not checked."""


@dataclass(frozen=True, slots=True)
class McpListFailed:
    """The tools of an MCP server could not be listed: the model has none of them."""

    item_id: str


@dataclass(frozen=True, slots=True)
class ApprovalAsked:
    """The model may use an MCP server's tool only if we say so."""

    item_id: str
    server_label: str
    name: str
    arguments: Private[str]
    response_id: str | None = None
    """``None`` where the wire does not say."""


@dataclass(frozen=True, slots=True)
class McpSettled:
    """The provider has run an MCP server's tool, or failed to; it may be said more than once."""

    item_id: str


@dataclass(frozen=True, slots=True)
class McpUsed:
    """What came of that, once it is known."""

    item_id: str
    server_label: str
    name: str
    arguments: Private[str]
    output: Private[str]
    failed: bool
    approval_request_id: str | None = None


@dataclass(frozen=True, slots=True)
class OutputItemDone:
    response_id: str
    item_id: str
    kind: str
    status: str
    written: bool = False
    """A message in text, without any sound."""


@dataclass(frozen=True, slots=True)
class ResponseDone:
    response_id: str
    status: str
    """``completed``, ``cancelled``, ``incomplete`` or ``failed``; others are tolerated."""
    reason: str | None = None
    """``turn_detected``, ``client_cancelled``, ``max_output_tokens``, ``content_filter``."""
    error_code: str | None = None
    """For ``failed``; the error's type where it has no code."""
    retry_after_seconds: float | None = None
    """The server's own hint, found in the error's text."""
    empty: bool = False
    """Nothing came of it: no output item, or none but tool calls that were cut off and messages
    without sound."""
    cut_off: bool = False
    """A tool call of it was, and is not run, whatever it said beside."""
    usage: Usage | None = None
    in_conversation: bool = True


@dataclass(frozen=True, slots=True)
class ModelErred:
    """An ``error`` event: something was refused. By itself it ends nothing."""

    code: str | None
    type: str | None = None
    about: str | None = None
    """The client event it refuses (``response.create``, …) where its ``event_id`` told us."""
    param: str | None = None
    """The key it is about (``session.audio.output.voice``), if the server named one."""
    request_id: str | None = None  # for a refused ``response.create``: the request's token
    item_id: str | None = None  # for a refused ``conversation.item.create``: our item's id
    tool_call_id: str | None = None
    """Of an output that was refused: the call it was for, if the text names it."""
    response_active: bool = False
    """The refusal is "a response is active already", by code or by any of its known texts."""
    active_response_id: str | None = None
    """The response that holds the slot, if the text names it."""
    retry_after_seconds: float | None = None
    message: Private[str] = field(default_factory=lambda: Private(""))


@dataclass(frozen=True, slots=True)
class ItemTruncated:
    item_id: str
    audio_end_ms: int


@dataclass(frozen=True, slots=True)
class ItemDeleted:
    item_id: str


@dataclass(frozen=True, slots=True)
class ModelLost:
    """The model's socket ended or could not be opened; ``reason`` is one of errors.REASONS."""

    reason: str
    permanent: bool = False


OfResponse = (
    ResponseCreated
    | OutputItemAdded
    | ModelSpoke
    | ModelAudioDone
    | ModelWords
    | ResponseWentOn
    | ToolCalled
    | OutputItemDone
    | ResponseDone
)

OfMcp = McpListFailed | ApprovalAsked | McpSettled | McpUsed

FromModel = (
    SessionCreated
    | SessionConfigured
    | SpeechStarted
    | SpeechStopped
    | TurnCommitted
    | ItemAdded
    | CallerTranscribed
    | TranscriptionFailed
    | OfResponse
    | ModelErred
    | ItemTruncated
    | ItemDeleted
    | OfMcp
    | ModelLost
)

"""The Realtime API's server events, as the provider names them; GA shape.

Rule 1: fields we do not use are not here, and unknown ones are ignored; the provider adds
to its language without asking.
Rule 2: a field that only describes is optional, and one that cannot be read is one that is
not there (:data:`OrNone`). An event that frees the conversation for the next response must
not be lost over its token count. Only what says *which* thing an event is about is required.

Audio deltas have no model: they come fifty times a second.
"""

from typing import Annotated, Any

from pydantic import BaseModel, BeforeValidator, ConfigDict, ValidationError, WrapValidator
from pydantic_core.core_schema import ValidatorFunctionWrapHandler

from opusbridge import usage
from opusbridge.protocols.realtime.outputs import cut_off_call, soundless, written


def _or_none(value: Any, read: ValidatorFunctionWrapHandler) -> Any:
    try:
        return read(value)
    except ValidationError:
        return None


def _whole(value: Any) -> Any:
    return round(value) if isinstance(value, float) else value


def _zero_for_null(value: Any) -> Any:
    return 0 if value is None else value


OrNone = WrapValidator(_or_none)
Word = Annotated[str | None, OrNone]
Count = Annotated[int | None, OrNone]
Milliseconds = Annotated[int, BeforeValidator(_whole)]
Index = Annotated[int, BeforeValidator(_zero_for_null)]


class Message(BaseModel):
    model_config = ConfigDict(frozen=True, extra="ignore")


# --- What events carry -------------------------------------------------------------------


class Format(Message):
    type: str
    rate: Count = None


class Direction(Message):
    format: Annotated[Format | None, OrNone] = None


class SessionAudio(Message):
    input: Annotated[Direction | None, OrNone] = None
    output: Annotated[Direction | None, OrNone] = None


class Session(Message):
    id: Word = None
    audio: Annotated[SessionAudio | None, OrNone] = None
    input_audio_format: Word = None  # beta
    output_audio_format: Word = None  # beta


class RealtimeError(Message):
    """Also what a failed response carries in its ``status_details``."""

    type: Word = None
    code: Word = None
    message: Word = None
    param: Word = None
    event_id: Word = None
    """The *client's* event that was refused, if the server says so."""
    retry_after: Annotated[float | None, OrNone] = None


class Item(Message):
    id: str
    type: str
    status: Word = None
    role: Word = None
    name: Word = None
    call_id: Word = None
    arguments: Word = None
    server_label: Word = None
    approval_request_id: Word = None
    content: Any = None
    output: Word = None
    error: Any = None
    """Of an MCP call; an object that says why, in one of several shapes."""

    @property
    def written(self) -> bool:
        """A message in text: words that nobody hears."""
        return written(self.content)


class StatusDetails(Message):
    reason: Word = None
    error: Annotated[RealtimeError | None, OrNone] = None


class InputTokenDetails(Message):
    text_tokens: Count = None
    audio_tokens: Count = None
    cached_tokens: Count = None


class OutputTokenDetails(Message):
    text_tokens: Count = None
    audio_tokens: Count = None


class Usage(Message):
    input_token_details: Annotated[InputTokenDetails | None, OrNone] = None
    output_token_details: Annotated[OutputTokenDetails | None, OrNone] = None

    @property
    def counted(self) -> usage.Usage:
        """In our own terms; what it does not say is none."""
        used = self.input_token_details or InputTokenDetails()
        made = self.output_token_details or OutputTokenDetails()
        return usage.Usage(
            input_text=used.text_tokens or 0,
            input_audio=used.audio_tokens or 0,
            cached=used.cached_tokens or 0,
            output_text=made.text_tokens or 0,
            output_audio=made.audio_tokens or 0,
        )


class Response(Message):
    id: str
    status: Word = None
    status_details: Annotated[StatusDetails | None, OrNone] = None
    output: Annotated[list[Any] | None, OrNone] = None
    conversation_id: Any = None
    metadata: Annotated[dict[str, Any] | None, OrNone] = None
    usage: Annotated[Usage | None, OrNone] = None

    @property
    def in_conversation(self) -> bool:
        """``null`` is out of band; a server that does not say means its one conversation."""
        return "conversation_id" not in self.model_fields_set or self.conversation_id is not None

    @property
    def empty(self) -> bool:
        """It says that nothing came of it: no item, or none but tool calls that were cut off and
        messages without sound.

        One that says nothing of its output is not empty. Some say ``null`` whatever came of it:
        who has seen it come knows better.
        """
        said = "output" in self.model_fields_set
        return said and all(cut_off_call(one) or soundless(one) for one in self.output or ())

    @property
    def cut_off(self) -> bool:
        """A tool call of it was."""
        return any(map(cut_off_call, self.output or ()))


# --- Server events -----------------------------------------------------------------------


class SessionCreated(Message):
    session: Session


class SessionUpdated(Message):
    session: Session


class Error(Message):
    error: RealtimeError


class InputAudioBufferSpeechStarted(Message):
    item_id: str
    audio_start_ms: Milliseconds


class InputAudioBufferSpeechStopped(Message):
    item_id: str
    audio_end_ms: Milliseconds


class InputAudioBufferCommitted(Message):
    item_id: str
    previous_item_id: Word = None


class ConversationItemAdded(Message):
    item: Item
    previous_item_id: Word = None


class ConversationItemDone(Message):
    item: Item


class McpListToolsFailed(Message):
    item_id: str


class McpCallSettled(Message):
    """``response.mcp_call.completed`` and ``.failed``; neither names its response."""

    item_id: str


class ConversationItemTruncated(Message):
    item_id: str
    audio_end_ms: Milliseconds


class ConversationItemDeleted(Message):
    item_id: str


class ConversationItemInputAudioTranscriptionDelta(Message):
    item_id: str
    delta: Word = None


class ConversationItemInputAudioTranscriptionCompleted(Message):
    item_id: str
    transcript: Word = None


class ConversationItemInputAudioTranscriptionFailed(Message):
    item_id: str


class ResponseCreated(Message):
    response: Response


class ResponseDone(Message):
    response: Response


class ResponseOutputItemAdded(Message):
    response_id: str
    item: Item


class ResponseOutputItemDone(Message):
    response_id: str
    item: Item


class ResponseArgumentsDelta(Message):
    """Of a function call or of an MCP server's tool; the piece itself is none of our business."""

    response_id: Word = None


class Part(Message):
    """Which content part of which item of which response."""

    response_id: str
    item_id: str
    content_index: Index = 0


class ResponseOutputAudioDone(Part):
    pass


class ResponseOutputAudioTranscriptDelta(Part):
    delta: str


class ResponseOutputAudioTranscriptDone(Part):
    transcript: str


class ResponseOutputTextDelta(Part):
    delta: str


class ResponseOutputTextDone(Part):
    text: str


ServerEvent = (
    SessionCreated
    | SessionUpdated
    | Error
    | InputAudioBufferSpeechStarted
    | InputAudioBufferSpeechStopped
    | InputAudioBufferCommitted
    | ConversationItemAdded
    | ConversationItemDone
    | McpListToolsFailed
    | McpCallSettled
    | ConversationItemTruncated
    | ConversationItemDeleted
    | ConversationItemInputAudioTranscriptionDelta
    | ConversationItemInputAudioTranscriptionCompleted
    | ConversationItemInputAudioTranscriptionFailed
    | ResponseCreated
    | ResponseDone
    | ResponseOutputItemAdded
    | ResponseOutputItemDone
    | ResponseArgumentsDelta
    | ResponseOutputAudioDone
    | ResponseOutputAudioTranscriptDelta
    | ResponseOutputAudioTranscriptDone
    | ResponseOutputTextDelta
    | ResponseOutputTextDone
)

#: The events that mean something to a call.
SERVER_EVENTS: dict[str, type[ServerEvent]] = {
    "session.created": SessionCreated,
    "session.updated": SessionUpdated,
    "error": Error,
    "input_audio_buffer.speech_started": InputAudioBufferSpeechStarted,
    "input_audio_buffer.speech_stopped": InputAudioBufferSpeechStopped,
    "input_audio_buffer.committed": InputAudioBufferCommitted,
    "conversation.item.added": ConversationItemAdded,
    "conversation.item.done": ConversationItemDone,
    "mcp_list_tools.failed": McpListToolsFailed,
    "response.mcp_call.completed": McpCallSettled,
    "response.mcp_call.failed": McpCallSettled,
    "conversation.item.truncated": ConversationItemTruncated,
    "conversation.item.deleted": ConversationItemDeleted,
    "conversation.item.input_audio_transcription.delta": (
        ConversationItemInputAudioTranscriptionDelta
    ),
    "conversation.item.input_audio_transcription.completed": (
        ConversationItemInputAudioTranscriptionCompleted
    ),
    "conversation.item.input_audio_transcription.failed": (
        ConversationItemInputAudioTranscriptionFailed
    ),
    "response.created": ResponseCreated,
    "response.done": ResponseDone,
    "response.output_item.added": ResponseOutputItemAdded,
    "response.output_item.done": ResponseOutputItemDone,
    "response.function_call_arguments.delta": ResponseArgumentsDelta,
    "response.mcp_call_arguments.delta": ResponseArgumentsDelta,
    "response.output_audio.done": ResponseOutputAudioDone,
    "response.output_audio_transcript.delta": ResponseOutputAudioTranscriptDelta,
    "response.output_audio_transcript.done": ResponseOutputAudioTranscriptDone,
    "response.output_text.delta": ResponseOutputTextDelta,
    "response.output_text.done": ResponseOutputTextDone,
}

#: Known, and nothing to a call. A function call is taken from ``response.output_item.done``:
#: its arguments come here as well, and would call the function twice (or cut short).
UNUSED_EVENTS: frozenset[str] = frozenset(
    {
        "conversation.created",
        "conversation.item.retrieved",
        "conversation.item.input_audio_transcription.segment",
        "input_audio_buffer.cleared",
        "input_audio_buffer.dtmf_event_received",
        "input_audio_buffer.timeout_triggered",
        "mcp_list_tools.completed",
        "mcp_list_tools.in_progress",
        "output_audio_buffer.cleared",
        "output_audio_buffer.started",
        "output_audio_buffer.stopped",
        "rate_limits.updated",
        "response.content_part.added",
        "response.content_part.done",
        "response.function_call_arguments.done",
        "response.mcp_call.in_progress",
        "response.mcp_call_arguments.done",
    }
)

#: Names of the beta, still spoken by Azure's preview endpoints and by imitators; order and
#: lifecycle are the same. The beta's one item event stands for ``added`` and ``done``.
BETA_NAMES: dict[str, str] = {
    "response.audio.delta": "response.output_audio.delta",
    "response.audio.done": "response.output_audio.done",
    "response.audio_transcript.delta": "response.output_audio_transcript.delta",
    "response.audio_transcript.done": "response.output_audio_transcript.done",
    "response.text.delta": "response.output_text.delta",
    "response.text.done": "response.output_text.done",
    "conversation.item.created": "conversation.item.added",
}

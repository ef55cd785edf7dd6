"""What can happen to a call. Always in the past tense.

Three parties make things happen: the telephony side (AudioCodes or Twilio), the model, and
the shell around the call (tools, operators, the clock). A socket's end is an event as well.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

from opusbridge.privacy import Private
from opusbridge.sound import Audio, AudioFormat
from opusbridge.usage import Usage

# --- From the telephony side -----------------------------------------------------------


@dataclass(frozen=True, slots=True)
class CallArrived:
    """Who calls, and the format both sides agreed on. Nothing may be said to the caller yet."""

    provider_call_id: str
    audio_format: AudioFormat
    caller: Private[str] | None = None


@dataclass(frozen=True, slots=True)
class CallStarted:
    """The line is ours: from here on sound may be played."""

    caller: Private[str] | None = None
    callee: Private[str] | None = None
    parameters: Private[Mapping[str, str]] = field(default_factory=lambda: Private({}))
    """What the telephony side was told to hand over, as text."""


@dataclass(frozen=True, slots=True)
class CallerStreamStarted:
    """The caller's audio is about to come (AudioCodes)."""


@dataclass(frozen=True, slots=True)
class CallerStreamStopped:
    """No more of the caller's audio for now (AudioCodes); not the end of a turn by itself."""


@dataclass(frozen=True, slots=True)
class CallerSpoke:
    """A stretch of the line as it was: speech, noise or silence."""

    audio: Audio
    at_ms: int | None = None
    """The provider's own clock, where it has one (Twilio's ``media.timestamp``)."""


@dataclass(frozen=True, slots=True)
class DigitsPressed:
    digits: Private[str]
    """One or several of ``0-9 * # A-D``."""


@dataclass(frozen=True, slots=True)
class MarkReached:
    """A mark came back: its sound was heard, or was cleared; the ledger knows which."""

    name: str


@dataclass(frozen=True, slots=True)
class PlayFinished:
    """AudioCodes says that a prompt was played to its end."""

    stream_id: str | None


@dataclass(frozen=True, slots=True)
class NoInputReported:
    """AudioCodes' own no-input timer ran out."""

    times: int


@dataclass(frozen=True, slots=True)
class TransferSucceeded:
    """The other party answered, or the provider took the call over."""


@dataclass(frozen=True, slots=True)
class TransferFailed:
    reason: str
    """A slug: ``busy``, ``no-answer``, ``declined``, ``error``, …"""


@dataclass(frozen=True, slots=True)
class CallerHungUp:
    """The telephony side ended the call, properly; ``reason`` is one of errors.REASONS."""

    reason: str


@dataclass(frozen=True, slots=True)
class TelephonyLost:
    """The telephony socket ended without a goodbye."""


# --- From the model --------------------------------------------------------------------


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
class OutputItemDone:
    response_id: str
    item_id: str
    kind: str
    status: str


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
    """Nothing came of it: no output item, or none but tool calls that were cut off."""
    usage: Usage | None = None
    in_conversation: bool = True


@dataclass(frozen=True, slots=True)
class ModelErred:
    """An ``error`` event: something was refused. By itself it ends nothing."""

    code: str | None
    type: str | None = None
    about: str | None = None
    """The client event it refuses (``response.create``, …) where its ``event_id`` told us."""
    request_id: str | None = None  # for a refused ``response.create``: the request's token
    item_id: str | None = None  # for a refused ``conversation.item.create``: our item's id
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


# --- From the shell --------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class ToolFinished:
    tool_call_id: str
    output: Private[str]
    failed: bool = False


@dataclass(frozen=True, slots=True)
class HangUpRequested:
    """By the agent's tool, by an operator or by the end of the process.

    ``reason`` is one of errors.REASONS. What the caller is still hearing is heard out first.
    """

    reason: str
    goodbye: bool = False
    """Say the stored goodbye first: nobody else will."""


@dataclass(frozen=True, slots=True)
class TransferRequested:
    target: Private[str]
    """A number or SIP address of the agent's list, never the model's own text."""
    reason: str = ""


@dataclass(frozen=True, slots=True)
class TextInjected:
    """An operator wants the agent to know or say something."""

    text: Private[str]


@dataclass(frozen=True, slots=True)
class MessageRejected:
    """A peer sent what cannot be used; it cost that message and nothing else."""

    peer: str
    kind: str


@dataclass(frozen=True, slots=True)
class PeerStalled:
    """A peer did not drain what we send it: its queue reached its limit."""

    peer: str


@dataclass(frozen=True, slots=True)
class Broke:
    """Our own code failed; the call ends as kindly as it can."""


@dataclass(frozen=True, slots=True)
class DeadlineReached:
    """The instant the call asked to be woken at has come."""


FromTelephony = (
    CallArrived
    | CallStarted
    | CallerStreamStarted
    | CallerStreamStopped
    | CallerSpoke
    | DigitsPressed
    | MarkReached
    | PlayFinished
    | NoInputReported
    | TransferSucceeded
    | TransferFailed
    | CallerHungUp
    | TelephonyLost
)

FromModel = (
    SessionCreated
    | SessionConfigured
    | SpeechStarted
    | SpeechStopped
    | TurnCommitted
    | ItemAdded
    | CallerTranscribed
    | TranscriptionFailed
    | ResponseCreated
    | OutputItemAdded
    | ModelSpoke
    | ModelAudioDone
    | ModelWords
    | ToolCalled
    | OutputItemDone
    | ResponseDone
    | ModelErred
    | ItemTruncated
    | ItemDeleted
    | ModelLost
)

FromShell = (
    ToolFinished
    | HangUpRequested
    | TransferRequested
    | TextInjected
    | MessageRejected
    | PeerStalled
    | Broke
    | DeadlineReached
)

Event = FromTelephony | FromModel | FromShell

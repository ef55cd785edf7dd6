"""What a call asks of the world. Always in the imperative."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from opusbridge.errors import Ending
from opusbridge.privacy import Private
from opusbridge.sound import Audio, AudioFormat

# --- Of the telephony side --------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class ConfigureTelephony:
    """AudioCodes: barge-in as set, its own no-input timer off. Twilio has nothing to set."""

    barge_in: bool


@dataclass(frozen=True, slots=True)
class AnswerCall:
    """Stop the ringing. AudioCodes answers with the first play stream."""

    silence_ms: int = 200
    """Long enough for VAIC to take it for a prompt, too short to be noticed."""


@dataclass(frozen=True, slots=True)
class PlayAudio:
    """Sound for the caller, in the telephony format, whole samples."""

    audio: Audio
    starts_at: float = 0.0
    """When the caller will hear its first sample, by the ledger's clock."""
    follows: bool = False
    """It is queued right behind what was played before: no silence is between."""


@dataclass(frozen=True, slots=True)
class PlaceMark:
    """Ask to be told when everything sent so far has been heard; names are never reused."""

    name: str


@dataclass(frozen=True, slots=True)
class EndPlayout:
    """The utterance is complete: nothing more will be played for now."""


@dataclass(frozen=True, slots=True)
class ClearPlayout:
    """Drop what is queued to be heard, at once."""


@dataclass(frozen=True, slots=True)
class TellSpeechStarted:
    """For AudioCodes, whose barge-in and timers rely on the bot's voice detection."""


@dataclass(frozen=True, slots=True)
class TellSpeechStopped:
    pass


@dataclass(frozen=True, slots=True)
class TellSpeechCommitted:
    pass


@dataclass(frozen=True, slots=True)
class HangUp:
    """End the call by the provider's own means; the socket closes afterwards."""

    reason: str


@dataclass(frozen=True, slots=True, repr=False)
class Handover:
    """What goes with a transfer, for whoever takes the caller over."""

    reason: str
    summary: str
    """In the agent's words."""
    heard: tuple[tuple[str, str], ...]
    """What was said, as far as it was heard: ``caller`` or ``agent``, and the words."""
    results: tuple[tuple[str, str], ...]
    """What the tools found out: the tool's name and its output."""


@dataclass(frozen=True, slots=True)
class TransferCall:
    target: Private[str]
    reason: str
    summary: str = field(default="", repr=False)
    handover: Handover | None = field(default=None, compare=False)


@dataclass(frozen=True, slots=True)
class SendDTMF:
    """Press keys for the other end to hear; ``0-9 * #``, at most 20 at once."""

    digits: Private[str]


# --- Of the model -----------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class TurnDetection:
    kind: str
    """``server_vad`` or ``semantic_vad``."""
    create_response: bool
    interrupt_response: bool
    threshold: float = 0.5
    silence_ms: int = 500
    eagerness: str = "auto"


@dataclass(frozen=True, slots=True)
class SessionConfig:
    """What the model session is to be; ``audio_format`` holds in both directions."""

    instructions: str
    audio_format: AudioFormat
    voice: str | None = "marin"
    """``None``: leave it as it is there."""
    tools: tuple[Mapping[str, Any], ...] = ()
    """As the wire has them; what is secret in them is :class:`Private`."""
    turn_detection: TurnDetection | None = None
    transcription_model: str | None = None
    language: str | None = None
    noise_reduction: str | None = None
    """``near_field``, ``far_field`` or ``None``."""
    extra: Mapping[str, Any] = field(default_factory=dict)
    """Merged into the session object as it is, last."""


@dataclass(frozen=True, slots=True)
class ConfigureSession:
    session: SessionConfig


@dataclass(frozen=True, slots=True)
class FeelPulse:
    """Ask for a sign of life: the session is told to change nothing, and says that it did."""


@dataclass(frozen=True, slots=True)
class AppendAudio:
    audio: Audio


@dataclass(frozen=True, slots=True)
class CommitAudio:
    pass


@dataclass(frozen=True, slots=True)
class CreateResponse:
    request_id: str
    """Unique in the call; travels as ``event_id`` and in the response's metadata."""
    why: str = ""
    """The causes, joined: for the metadata, the metrics and the reader of a trace."""
    instructions: str | None = None
    """For this response only, in place of the session's."""
    by_words_only: bool = False
    """It may call no tools."""


@dataclass(frozen=True, slots=True)
class CancelResponse:
    response_id: str | None


@dataclass(frozen=True, slots=True)
class TruncateItem:
    """Make the model forget what was not heard of an item."""

    item_id: str
    content_index: int
    audio_end_ms: int


@dataclass(frozen=True, slots=True)
class DeleteItem:
    item_id: str


@dataclass(frozen=True, slots=True)
class AddToolOutput:
    item_id: str
    tool_call_id: str
    output: Private[str]


@dataclass(frozen=True, slots=True)
class AddApproval:
    """The answer to a model that asked to use an MCP server's tool."""

    item_id: str
    approval_request_id: str
    approve: bool


@dataclass(frozen=True, slots=True)
class AddText:
    item_id: str
    role: str
    """``user`` or ``system``; ``assistant`` when a conversation is restored."""
    text: Private[str]


@dataclass(frozen=True, slots=True)
class AddToolCall:
    """A call of an earlier session, put where its output will be understood."""

    item_id: str
    tool_call_id: str
    name: str
    arguments: Private[str]


# --- Of the shell -----------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class RunTool:
    tool_call_id: str
    name: str
    arguments: Private[str]


@dataclass(frozen=True, slots=True)
class DeliverDigits:
    """To whoever waits for them; nobody else is told."""

    collection_id: str
    digits: Private[str]
    how: str
    """How it ended: ``length``, ``terminator``, ``timeout``, or ``busy``: others collect."""


@dataclass(frozen=True, slots=True)
class ConfigureCall:
    """Ask how this call is to be conducted, now that it is known who calls."""


@dataclass(frozen=True, slots=True)
class AskApproval:
    """Ask the agent's policy whether the model may use an MCP server's tool."""

    item_id: str
    server_label: str
    name: str
    arguments: Private[str]


@dataclass(frozen=True, slots=True)
class ReplaceModel:
    """Give the model's socket up and dial another; the call will restore the conversation."""

    reason: str


@dataclass(frozen=True, slots=True)
class ReleaseModel:
    """Give the model's socket up: nobody may need it again. If somebody does, ``ReplaceModel``."""


@dataclass(frozen=True, slots=True)
class PauseRecording:
    """Keep nothing of what is said from now on."""


@dataclass(frozen=True, slots=True)
class ResumeRecording:
    """Keep what is said from now on."""


@dataclass(frozen=True, slots=True)
class MovePlayout:
    """For the recording: what was played last, and what follows it, is heard at another time.

    That is all the sound since the last :class:`PlayAudio` that did not follow another.
    """

    by_seconds: float
    """How much later than foretold; less than nothing: earlier."""


@dataclass(frozen=True, slots=True)
class Note:
    """Something worth counting and tracing; changes nothing in the world.

    ``kind`` is from a closed list (:data:`NOTES`); ``reason`` is a slug, ``ids`` are the
    wire's identifiers, ``value`` is in seconds or a count.
    """

    kind: str
    reason: str = ""
    ids: tuple[str, ...] = ()
    value: float = 0.0


@dataclass(frozen=True, slots=True)
class EndCall:
    """Nothing more will be asked: close what is open."""

    ending: Ending


ToTelephony = (
    ConfigureTelephony
    | AnswerCall
    | PlayAudio
    | PlaceMark
    | EndPlayout
    | ClearPlayout
    | TellSpeechStarted
    | TellSpeechStopped
    | TellSpeechCommitted
    | HangUp
    | TransferCall
    | SendDTMF
)

ToModel = (
    ConfigureSession
    | FeelPulse
    | AppendAudio
    | CommitAudio
    | CreateResponse
    | CancelResponse
    | TruncateItem
    | DeleteItem
    | AddToolOutput
    | AddApproval
    | AddText
    | AddToolCall
)

ToShell = (
    RunTool
    | AskApproval
    | DeliverDigits
    | ConfigureCall
    | ReplaceModel
    | ReleaseModel
    | PauseRecording
    | ResumeRecording
    | MovePlayout
    | Note
    | EndCall
)

Effect = ToTelephony | ToModel | ToShell

#: What a :class:`Note` may be about, and what it means.
NOTES: dict[str, str] = {
    "pending": "input had to wait for a response (reason: what it waits for)",
    "coalesced": "one request answers several inputs",
    "pending-wait": "a request left after its input had waited (value: seconds)",
    "conflict": "the model refused a request: a response is active",
    "retry": "a failed or empty response is asked for again (value: attempt)",
    "gave-up": "the retries are spent",
    "orphan": "a response nobody wants any more was cancelled by id",
    "watchdog": "the model did not answer in time (reason: rung)",
    "barge-in": "the caller spoke over the agent",
    "paused": "the caller made a sound over the agent, and it may be speech (ids: his turn)",
    "resumed": "he fell silent: the agent goes on from the heard byte",
    "false-interruption": "what he uttered was no turn (ids: it; value: seconds of voice)",
    "truncated": "the model was told what was heard (value: ms heard)",
    "violation": "an invariant of the response lifecycle does not hold: a bug of ours",
    "refused": "the model refused something harmless (reason: code)",
    "audio-dropped": "the caller's audio was dropped while the model was not ready (value: ms)",
    "gap-filled": "silence was put where the line sent nothing (value: ms)",
    "stray": "a message about something unknown or long over (reason: kind)",
    "bad-message": "a peer's message could not be used (reason: peer:kind)",
    "unknown-message": "a peer's message is of a kind we do not know (reason: peer)",
    "configure-overdue": "nobody said in time how this call is to be conducted: as it is",
    "answered": "the call was answered",
    "speech-ended": "the caller's last sound of a turn (value: seconds ago)",
    "turn-latency": "caller's last sound to the first sound sent to him (value: seconds)",
    "turn-interval": "a turn's answer began: how long this took (reason: what, value: seconds)",
    "withheld": "items said while the recording was paused: their words are not kept",
    "transfer-failed": "the other party was not reached (reason)",
    "away": "the caller's line left us for another party, and may come back",
    "model-released": "nobody may need the model's session again: it was closed",
    "farewell-cancelled": "the caller spoke before the agent could hang up",
    "hold": "an answer is owed and the caller heard nothing: one moment please (reason: filler)",
    "key": "a key of the agent's map was pressed (reason: what it does)",
    "on-hold": "the caller was put on hold",
    "off-hold": "the caller was taken back (value: seconds on hold)",
    "no-input": "the caller said nothing (reason: nudge or goodbye; value: how often by now)",
    "warned": "the caller is to be told that the call must end soon (value: seconds left)",
    "apology": "the caller was told that it did not work (reason: what follows)",
    "model-replaced": "a new model session was dialled (reason: why)",
    "restored": "the conversation was put into a new session (value: items)",
    "repaired": "what the model had lost was sent again in another form (reason: code)",
    "unknown-error": "the model refused for a reason we do not know, first time in this call",
    "mcp": "about a tool of an MCP server (reason: unlisted, approved, refused, overdue, lost)",
    "dropped-tool": "a tool call was refused (reason)",
}

"""What a call asks of the shell around it; and the notes it makes, for whoever counts and keeps."""

from dataclasses import dataclass

from opusbridge.errors import Ending
from opusbridge.privacy import Private


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
    secret: bool = False
    """They may be written down nowhere, though perhaps they were not asked for as a secret."""


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
class PingTelephony:
    """Send a WebSocket ping behind everything sent so far, where the socket can.

    :class:`events.PingAnswered` tells of its pong; a far side may also never answer.
    """

    name: str
    """Its payload."""


@dataclass(frozen=True, slots=True)
class MovePlayout:
    """For the recording: what was played last, and what follows it, is heard at another time.

    That is all the sound since the last :class:`PlayAudio` that did not follow another.
    """

    by_seconds: float
    """How much later than foretold; less than nothing: earlier."""


@dataclass(frozen=True, slots=True)
class CutPlayout:
    """For the recording: the line ended under what was played. It is a :class:`ClearPlayout` that
    there is nobody left to send to."""

    heard_until: float
    """What was to be heard later never was. On the shell's clock."""


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


#: For whoever keeps the call, and sees them by observing.
ToRecorder = PauseRecording | ResumeRecording | MovePlayout | CutPlayout

ToShell = (
    RunTool
    | AskApproval
    | DeliverDigits
    | ConfigureCall
    | ReplaceModel
    | ReleaseModel
    | ToRecorder
    | PingTelephony
    | Note
    | EndCall
)

#: What a :class:`Note` may be about, and what it means.
NOTES: dict[str, str] = {
    "pending": "input had to wait for a response (reason: what it waits for)",
    "coalesced": "one request answers several inputs",
    "pending-wait": "a request left after its input had waited (value: seconds)",
    "conflict": "the model refused a request: a response is active",
    "retry": "a response that failed or came to nothing is asked for again (value: attempt)",
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
    "declined": "the telephony side offered no format that we speak (ids: what it offered)",
    "configure-overdue": "nobody said in time how this call is to be conducted: as it is",
    "answered": "the call was answered",
    "speech-ended": "the caller's last sound of a turn (value: seconds ago)",
    "turn-latency": "caller's last sound to the first sound sent to him (value: seconds)",
    "turn-interval": "a turn's answer began: how long this took (reason: what, value: seconds)",
    "withheld": "of a pause of the recording: no words are kept (ids: items; reason: transfer)",
    "transfer-failed": "the other party was not reached (reason)",
    "away": "the caller's line left us for another party, and may come back",
    "keys-pressed": "the caller's line is back from having keys pressed on it",
    "keys-failed": "keys could not be pressed (reason)",
    "model-released": "nobody may need the model's session again: it was closed",
    "farewell-cancelled": "the caller spoke, or pressed a key, before the agent left",
    "hold": "an answer is owed and the caller heard nothing: he was told (reason: filler, goodbye)",
    "key": "a key of the agent's map was pressed (reason: what it does)",
    "on-hold": "the caller was put on hold",
    "off-hold": "the caller was taken back (value: seconds on hold)",
    "no-input": "the caller said nothing (reason: nudge or goodbye; value: how often by now)",
    "warned": "the caller is to be told that the call must end soon (value: seconds left)",
    "apology": "the caller was told that it did not work (reason: what follows, content-filter)",
    "model-replaced": "a new model session was dialled (reason: why)",
    "model-back": "a new model session is ready (reason: why the one before was lost)",
    "restored": "the conversation was put into a new session (value: items)",
    "repaired": "what the model lost or refused was sent again, or otherwise (reason: what)",
    "model-refused": "the model will not serve us (reason: code; ids: the key it is about)",
    "unknown-error": "the model refused for a reason we do not know, first time in this call",
    "mcp": "about a tool of an MCP server (reason: unlisted, approved, refused, overdue, lost)",
    "dropped-tool": "a tool call was refused (reason)",
}

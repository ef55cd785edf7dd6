"""What a call asks of the telephony side."""

from dataclasses import dataclass, field

from opusbridge.privacy import Private
from opusbridge.sound import Audio


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
    response_id: str = ""
    """The response it is of; empty: stored speech."""


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

    heard_until: float = field(default=0.0, compare=False)
    """When that reaches the far side, by the ledger's clock: until then it plays on."""


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
    """What the tools found out: the tool's name and its output; none of a pause."""


@dataclass(frozen=True, slots=True)
class TransferCall:
    target: Private[str]
    reason: str
    summary: str = field(default="", repr=False)
    handover: Handover | None = field(default=None, compare=False)
    withheld: bool = field(default=False, compare=False)
    """It was asked for while the recording was paused: no file keeps what it is for."""


@dataclass(frozen=True, slots=True)
class SendDTMF:
    """Press keys for the other end to hear; ``0-9 * #``, at most 20 at once."""

    digits: Private[str]


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

#: What a telephony side's wire may be unable to carry.
ByOtherMeans = HangUp | TransferCall | SendDTMF

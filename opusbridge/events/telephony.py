"""What the telephony side, AudioCodes or Twilio, makes happen to a call."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from opusbridge.privacy import Private
from opusbridge.sound import Audio, AudioFormat


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
class PingAnswered:
    """The pong of a :class:`effects.PingTelephony`; whoever carries the socket tells of it."""

    name: str


@dataclass(frozen=True, slots=True)
class PlayFinished:
    """AudioCodes says that a prompt was played to its end."""

    stream_id: str | None


@dataclass(frozen=True, slots=True)
class NoInputReported:
    """AudioCodes' own no-input timer ran out."""

    times: int
    """So far; 0 where that is not told."""


@dataclass(frozen=True, slots=True)
class TransferSucceeded:
    """The other party answered, or the provider took the call over."""


@dataclass(frozen=True, slots=True)
class TransferFailed:
    reason: str
    """A slug: ``busy``, ``no-answer``, ``declined``, ``error``, …"""


@dataclass(frozen=True, slots=True)
class TransferUnderWay:
    """The provider was asked to take the caller, or may have been: if it does, his line leaves
    us within seconds, and what came of it is told later."""


@dataclass(frozen=True, slots=True)
class CallerReturns:
    """Nobody took the call: the provider is told to open another line to us, which follows."""

    reason: str
    """As in :class:`TransferFailed`."""


@dataclass(frozen=True, slots=True)
class CallerHungUp:
    """The telephony side ended the call, properly; ``reason`` is one of errors.REASONS."""

    reason: str
    offered: tuple[str, ...] | None = None
    """Where we declined the call for its format: the names of those that were offered, as far
    as they look like any."""


@dataclass(frozen=True, slots=True)
class CallerGaveUp:
    """He hung up before anybody took him: told by what came of a transfer, so his line is gone,
    and may not have said so itself."""


@dataclass(frozen=True, slots=True)
class HangUpFailed:
    """The provider did not hang up on a caller who is with another party, or nobody knows."""


@dataclass(frozen=True, slots=True)
class TelephonyLost:
    """The telephony socket ended without a goodbye."""


FromTelephony = (
    CallArrived
    | CallStarted
    | CallerStreamStarted
    | CallerStreamStopped
    | CallerSpoke
    | DigitsPressed
    | MarkReached
    | PingAnswered
    | PlayFinished
    | NoInputReported
    | TransferSucceeded
    | TransferFailed
    | TransferUnderWay
    | CallerReturns
    | CallerHungUp
    | CallerGaveUp
    | HangUpFailed
    | TelephonyLost
)

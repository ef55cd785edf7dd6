"""Errors, and how a call ends.

OpusbridgeError
├── ConfigurationError     settings or an agent that cannot work
├── LocalProtocolError     we tried to say what a protocol forbids: a bug of ours
├── RemoteProtocolError    a peer said what its protocol forbids; costs that one message
├── PeerGone               a peer closed, fell silent or could not be reached
├── TransferRefused        the transfer asked for cannot be made
└── WishRefused            something else asked of a call cannot be done

An error is how a function fails. An :class:`Ending` is how a call ends; every call has
exactly one, whether or not an error led to it.
"""

from dataclasses import dataclass
from enum import StrEnum


class OpusbridgeError(Exception):
    """Base of every exception raised on purpose by this package."""


class ConfigurationError(OpusbridgeError):
    """Settings or an agent that cannot work; the message names what to change.

    ``key`` is the path of the agent's key that it is about, if it is about one.
    """

    def __init__(self, message: str, key: str = "") -> None:
        super().__init__(message)
        self.key = key


class LocalProtocolError(OpusbridgeError):
    """We tried to say what a protocol forbids."""


class RemoteProtocolError(OpusbridgeError):
    """A peer said what its protocol forbids.

    ``kind`` is a short slug for counting (``not-json``, ``bad-base64``, …) and never holds
    anything the peer said.
    """

    def __init__(self, peer: str, kind: str) -> None:
        super().__init__(peer, kind)
        self.peer, self.kind = peer, kind

    def __str__(self) -> str:
        return f"{self.peer} sent a message we cannot use ({self.kind})"


class PeerGone(OpusbridgeError):
    """A peer closed, fell silent or could not be reached.

    ``permanent`` means that trying again cannot help (a wrong key, an unknown model).
    """

    def __init__(self, peer: str, reason: str, code: int | None = None, permanent: bool = False):
        super().__init__(peer, reason)
        self.peer, self.reason, self.code, self.permanent = peer, reason, code, permanent

    def __str__(self) -> str:
        return f"{self.peer} is gone ({self.reason})"


class TransferRefused(OpusbridgeError):
    """The transfer asked for cannot be made; the message says why, without the caller's data."""


class WishRefused(OpusbridgeError):
    """What was asked of the call cannot be done; the message says why, without private data."""


class Outcome(StrEnum):
    COMPLETED = "completed"
    CALLER = "caller"  # the telephony side's doing
    MODEL = "model"
    BRIDGE = "bridge"  # ours; an alarm belongs here
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class Ending:
    outcome: Outcome
    reason: str
    """A slug from a closed list (:data:`REASONS`): counted, never free text."""


#: Every reason a call may end for, with the outcome it belongs to.
REASONS: dict[str, Outcome] = {
    "agent-hung-up": Outcome.COMPLETED,
    "caller-hung-up": Outcome.COMPLETED,
    "transferred": Outcome.COMPLETED,
    "hung-up-by-operator": Outcome.COMPLETED,
    "drained": Outcome.COMPLETED,
    "too-long": Outcome.COMPLETED,
    "no-input": Outcome.COMPLETED,
    "telephony-lost": Outcome.CALLER,
    "telephony-error": Outcome.CALLER,
    "telephony-too-slow": Outcome.CALLER,
    "telephony-unintelligible": Outcome.CALLER,
    "no-start": Outcome.CALLER,
    "stream-replaced": Outcome.CALLER,
    "no-common-format": Outcome.CALLER,
    "text-mode": Outcome.CALLER,
    "machine-detected": Outcome.CALLER,
    "not-answered": Outcome.CALLER,
    "model-unreachable": Outcome.MODEL,
    "model-refused-us": Outcome.MODEL,
    "model-lost": Outcome.MODEL,
    "model-silent": Outcome.MODEL,
    "model-failed": Outcome.MODEL,
    "model-too-slow": Outcome.MODEL,
    "model-unintelligible": Outcome.MODEL,
    "session-expired": Outcome.MODEL,
    "internal-error": Outcome.BRIDGE,
    "cancelled": Outcome.BRIDGE,
    "unknown": Outcome.UNKNOWN,
}


def ending(reason: str) -> Ending:
    """The ending for a reason of the closed list."""
    return Ending(REASONS[reason], reason)

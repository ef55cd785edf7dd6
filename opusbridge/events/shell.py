"""What the shell around a call makes happen to it: tools, operators, the clock."""

from dataclasses import dataclass, field

from opusbridge.privacy import Private

NO_WORDS = Private("")


@dataclass(frozen=True, slots=True)
class ToolFinished:
    tool_call_id: str
    output: Private[str]
    failed: bool = False
    refused: bool = False
    """It was not run: the agent has no such tool, or would not have the arguments."""


@dataclass(frozen=True, slots=True)
class CallConfigured:
    """It is known how this call is to be conducted."""

    changed: bool
    """In another way than it would have been."""


@dataclass(frozen=True, slots=True)
class ApprovalDecided:
    """Whether the model may use the MCP server's tool it asked for."""

    item_id: str
    approve: bool


@dataclass(frozen=True, slots=True)
class HangUpRequested:
    """By the agent's tool, by an operator or by the end of the process.

    ``reason`` is one of errors.REASONS. What the caller is still hearing is heard out first.
    """

    reason: str
    goodbye: bool = False
    """Say the stored goodbye first: nobody else will."""
    tool_call_id: str = ""
    """The agent's tool that asks, if one does."""


@dataclass(frozen=True, slots=True)
class TransferRequested:
    target: Private[str]
    """A number or SIP address of the agent's list, never the model's own text."""
    reason: Private[str] = NO_WORDS
    """Like :attr:`summary` in the agent's words, which may be the caller's."""
    summary: Private[str] = NO_WORDS
    """For whoever takes the caller over."""
    tool_call_id: str = ""
    """The tool's that asks; empty: an operator does."""


@dataclass(frozen=True, slots=True)
class DTMFRequested:
    """Press keys for the other end."""

    digits: Private[str]


@dataclass(frozen=True, slots=True)
class PlayRequested:
    """Stored sound for the caller, behind what is being said: 16-bit mono PCM."""

    rate_hz: int
    pcm: bytes = field(repr=False)
    words: Private[str]
    """What is said in it: the model is told that it said so. Empty: it is no speech."""
    tool_call_id: str = ""
    """The tool's that asks; empty: somebody outside of the conversation does."""


@dataclass(frozen=True, slots=True)
class HoldRequested:
    """Put the caller on hold, or (``on`` false) take him back."""

    on: bool
    tool_call_id: str = ""
    """The tool's that asks; empty: somebody outside of the conversation does."""


@dataclass(frozen=True, slots=True)
class DigitsWanted:
    """A tool waits for keys; :class:`effects.DeliverDigits` will answer it."""

    collection_id: str
    length: int | None
    """So many are enough. ``None``: until :attr:`terminator`."""
    terminator: str
    """The key that ends them and is none of them; empty: there is none."""
    timeout_seconds: float
    """Without a key, counted from when the caller has heard what he is asked for."""
    secret: bool
    """They are for the tool alone: nobody else may hear, read or keep them."""


@dataclass(frozen=True, slots=True)
class DigitsUnwanted:
    """The tool that waited is gone."""

    collection_id: str


@dataclass(frozen=True, slots=True)
class RecordingPauseRequested:
    """Nothing of what is said is to be kept until ``by`` wants it kept again."""

    by: str
    """A slug: ``operator``, ``agent``, …; each must resume what it has paused."""


@dataclass(frozen=True, slots=True)
class RecordingResumeRequested:
    by: str


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


Wish = DTMFRequested | PlayRequested | HoldRequested | DigitsWanted | DigitsUnwanted

FromShell = (
    ToolFinished
    | CallConfigured
    | ApprovalDecided
    | HangUpRequested
    | TransferRequested
    | DTMFRequested
    | PlayRequested
    | HoldRequested
    | DigitsWanted
    | DigitsUnwanted
    | RecordingPauseRequested
    | RecordingResumeRequested
    | TextInjected
    | MessageRejected
    | PeerStalled
    | Broke
    | DeadlineReached
)

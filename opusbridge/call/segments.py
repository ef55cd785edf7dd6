"""What the playout ledger keeps of each part of the agent's speech, and what it hands out."""

from dataclasses import dataclass, field

from opusbridge.sound import Audio


@dataclass(slots=True, eq=False)
class Segment:
    """One audio part of one item, in bytes of the telephony format."""

    response_id: str
    item_id: str
    content_index: int
    received_ms: float = 0.0
    """Of the model's own audio: no truncation may exceed it."""
    taken: int = 0
    """Converted and on its way: sent or waiting to be sent."""
    sent: int = 0
    stretches: list[tuple[int, int]] = field(default_factory=list)
    """Where in the epoch's stream it was sent: one, unless another part came between."""
    complete: bool = False
    """The model will add nothing more."""
    starts_at: float = 0.0
    """When the caller hears its first byte."""
    ends_at: float = 0.0
    """When he hears the last that was sent of it, or heard what he did hear."""
    heard_before: int = 0
    """Bytes heard before the last pause: no epoch's stretches tell of them."""
    heard_ms: float = 0.0
    """Final once it left the ledger, and so is ``ends_at``."""


@dataclass(frozen=True, slots=True)
class Sent:
    """Sound that leaves now; it will be heard from ``starts_at``."""

    audio: Audio
    starts_at: float
    end: int = field(default=0, compare=False)
    """Where the epoch's stream is behind it."""
    follows: bool = False
    """It is heard right behind what was sent before."""


@dataclass(frozen=True, slots=True)
class Ended:
    """The last sound of an utterance has left."""

"""What the playout ledger keeps of each part of the agent's speech, and what it hands out."""

from collections.abc import Callable
from dataclasses import dataclass, field
from itertools import pairwise

from opusbridge import effects
from opusbridge.sound import Audio

#: Where marks come back, the first of a run is to be back before it is too late to move its sound
#: in the recording, and of several the quickest tells most: six whole frames of 20 ms.
MARKED_MS = 120

#: So much of each run is cut for that.
BEGINNING_MS = 1000


@dataclass(slots=True, eq=False)
class Segment:
    """One audio part of one item, in bytes of the telephony format."""

    response_id: str
    """Empty: it is stored speech."""
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

    def heard_with(self, begins: int, heard_at: Callable[[int], float]) -> None:
        """What was sent from this position on is heard at these times after all."""
        if not self.stretches:
            return
        if self.stretches[0][0] >= begins and not self.heard_before:
            self.starts_at = heard_at(self.stretches[0][0])
        if self.stretches[-1][1] > begins:
            self.ends_at = heard_at(self.stretches[-1][1])

    def heard_bytes(self, position: int) -> int:
        """Of this part, once the ear has come so far in the epoch's stream."""
        heard = (min(max(position, begin), end) - begin for begin, end in self.stretches)
        return self.heard_before + sum(heard)

    def is_heard(self, position: int) -> bool:
        """The same: all that was taken of it?"""
        if self.sent != self.taken:
            return False
        return not self.stretches or self.stretches[-1][1] <= position


@dataclass(frozen=True, slots=True)
class Sent:
    """Sound that leaves now; it will be heard from ``starts_at``."""

    audio: Audio
    starts_at: float
    end: int = field(default=0, compare=False)
    """Where the epoch's stream is behind it."""
    follows: bool = False
    """It is heard right behind what was sent before."""
    response_id: str = field(default="", compare=False)
    """As its segment's."""

    @property
    def effect(self) -> effects.PlayAudio:
        return effects.PlayAudio(self.audio, self.starts_at, self.follows, self.response_id)

    def and_then(self, other: "Sent") -> "Sent":
        """Both in one piece."""
        audio = Audio.of(self.audio.raw + other.audio.raw, self.audio.format)
        return Sent(audio, self.starts_at, other.end, self.follows, self.response_id)


@dataclass(frozen=True, slots=True)
class Ended:
    """The last sound of an utterance has left."""


def marked(audio: Audio, begun_bytes: int) -> list[Audio]:
    """In pieces that each have a mark; ``begun_bytes``: what was sent of its run before.

    Their base64, one after the other, is that of the whole.
    """
    form, size_bytes = audio.format, audio.size_bytes
    size, left = MARKED_MS * form.bytes_per_ms, BEGINNING_MS * form.bytes_per_ms - begun_bytes
    if left <= 0 or size_bytes <= size:
        return [audio]
    count = min(-(-left // size), (size_bytes - 1) // size)
    # Whatever the format, so long a piece is made of whole threes of bytes: four letters each.
    text, letters = audio.text, size // 3 * 4
    cuts = [*(letters * nth for nth in range(count + 1)), len(text)]
    return [Audio(text[begin:end], form) for begin, end in pairwise(cuts)]

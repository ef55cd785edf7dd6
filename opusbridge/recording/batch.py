"""What comes together of a call before the writer gets it.

What came in mid-flow (:mod:`opusbridge.bridge.shortcuts`) is kept apart from everything else, in
columns: sixty times a second nothing is made but a few entries. Where among the others it came
is told by these.
"""

import hashlib
from array import array
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from opusbridge import events
from opusbridge.sound import sound_bytes

#: The peer of what came over neither socket.
SHELL = "shell"

#: When it happened; the peer and the direction of a text, or two empty ones; text or thing.
Entry = tuple[float, str, str, Any]

#: What came in mid-flow: a frame of the caller's that went on to the model; more of the agent's
#: sound that went on to the caller, with a mark behind it; a further piece of that, if it left in
#: several, and its mark; more of his words, or all of them; a mark come back.
FRAME, SOUND, PIECE, WORDS, ECHO = b"fspwe"
#: How many texts came and left with one of each.
TEXTS = {"f": 2, "s": 3, "p": 2, "w": 1, "e": 1}
_TEXTS = bytes.maketrans("".join(TEXTS).encode(), bytes(TEXTS.values()))

#: ``hashlib`` gives the interpreter away for more than this at once: another thread would take it.
_QUIET_BYTES = 2047


class Sounds:
    """What is told of pieces of sound. They are hashed as they come, for they are most of what a
    call would keep in memory, and cost more when they have gone cold."""

    __slots__ = ("sha256", "sizes", "texts")

    def __init__(self, keeps: bool) -> None:
        self.sizes = array("q")
        """In bytes, of each."""
        self.sha256 = hashlib.sha256()
        """Of their texts, one after the other."""
        self.texts: list[str] | None = [] if keeps else None
        """In base64; ``None``: they are not kept."""

    def add(self, sound: str) -> None:
        text = sound.encode()
        if len(text) <= _QUIET_BYTES:
            self.sha256.update(text)
        else:
            for start in range(0, len(text), _QUIET_BYTES):
                self.sha256.update(text[start : start + _QUIET_BYTES])
        self.sizes.append(sound_bytes(sound))
        if self.texts is not None:
            self.texts.append(sound)


@dataclass(slots=True)
class Owned:
    """Pieces of the agent's sound that belong together."""

    owner: tuple[str, str, int]
    """Response, item and part."""
    around: tuple[str, str]
    """What stands around each in the message that left with it."""
    sounds: Sounds
    cut: dict[int, list[int]] = field(default_factory=dict)
    """Of those that left in several pieces: the sizes of these, in bytes."""

    def left(self, among: range) -> list[int]:
        """The sizes of what left with these, in bytes."""
        whole, cut = self.sounds.sizes, self.cut
        return [size for nth in among for size in cut.get(nth) or whole[nth : nth + 1]]


class Columns:
    """What came in mid-flow, in its order; each column has an entry for those of its kind."""

    __slots__ = ("echoes", "frames", "kinds", "marks", "owned", "stamps", "times", "words")

    def __init__(self, keeps: bool) -> None:
        """``keeps``: the sound itself, too."""
        self.kinds = bytearray()
        self.times = array("d")
        """Of all, in seconds on the shell's clock."""
        self.frames = Sounds(keeps)
        self.stamps = array("q")
        """What the wire's clock said of a frame, in ms; -1: nothing."""
        self.owned: list[Owned] = []
        self.marks: list[str] = []
        """The message that asks for the mark behind a ``SOUND`` or ``PIECE``."""
        self.words: list[str] = []
        """The text of ``WORDS``."""
        self.echoes: list[str] = []
        """The text of an ``ECHO``."""

    def __len__(self) -> int:
        return len(self.kinds)

    def spoke(self, delta: events.Delta, around: tuple[str, str], left: Sequence[str]) -> None:
        """``left``: each piece of it, with this ``around`` it, and the mark behind it."""
        owner, owned = delta[1:4], self.owned
        if not owned or owned[-1].owner != owner or owned[-1].around is not around:
            owned.append(Owned(owner, around, Sounds(self.frames.texts is not None)))
        if len(left) > 2:
            before, behind = map(len, around)
            sizes = [sound_bytes(text[before : len(text) - behind]) for text in left[::2]]
            owned[-1].cut[len(owned[-1].sounds.sizes)] = sizes
        owned[-1].sounds.add(delta[4])
        self.marks += left[1::2]

    def count(self, kind: int, start: int, stop: int) -> int:
        return self.kinds.count(kind, start, stop)

    def numbered(self, start: int, stop: int) -> int:
        """How many texts came and left with these."""
        return sum(self.kinds[start:stop].translate(_TEXTS))


@dataclass(slots=True)
class Batch:
    """Of one call, handed over at once."""

    columns: Columns
    kind: str = ""
    """What the wire calls the messages of the frames."""
    entries: list[Entry] = field(default_factory=list)
    places: "array[int]" = field(default_factory=lambda: array("q"))
    """How much came in mid-flow before each entry."""

    def __len__(self) -> int:
        return len(self.entries) + len(self.columns)

    def keep(self, entry: Entry) -> None:
        self.entries.append(entry)
        self.places.append(len(self.columns.kinds))

    def stretches(self) -> Iterator[tuple[int, int, Entry | None]]:
        """In order: from where to where came in mid-flow, and what behind it, if anything did."""
        done = 0
        for entry, place in zip(self.entries, self.places, strict=True):
            yield done, place, entry
            done = place
        if done < len(self.columns):
            yield done, len(self.columns), None

"""What comes together of a call before the writer gets it.

What came in mid-flow (:mod:`opusbridge.bridge.shortcuts`) is kept apart from everything else, in
columns (and sound of which nobody needs more is hashed): what else there is to find out about it
the writer finds out. Where among the others it came is told by these.
"""

import hashlib
from array import array
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import compress
from typing import Any

from opusbridge import events
from opusbridge.sound import sound_bytes

#: The peer of what came over neither socket.
SHELL = "shell"

#: When it happened; the peer and the direction of a text, or two empty ones; text or thing.
Entry = tuple[float, str, str, Any]

#: A caller's: its sound in base64; what its wire's clock said, in ms; and its size in bytes.
Frame = tuple[str, int | None, int]

#: What stands before and after the sound in a message.
Around = tuple[str, str]

#: What came in mid-flow: a frame of the caller's that went on to the model; more of the agent's
#: sound that went on to the caller, with a mark behind it; a further piece of that, if it left in
#: several, and its mark; more of his words, or all of them; a mark come back.
FRAME, SOUND, PIECE, WORDS, ECHO = b"fspwe"
#: How many texts came and left with one of each.
TEXTS = {"f": 2, "s": 3, "p": 2, "w": 1, "e": 1}
NO_STAMP = -1

_TEXTS = bytes.maketrans("".join(TEXTS).encode(), bytes(TEXTS.values()))

#: ``hashlib`` gives the interpreter away for more than this at once: another thread would take it.
_QUIET_BYTES = 2047


@dataclass(slots=True)
class Owned:
    """Pieces of the agent's sound that belong together. They are hashed as they come: a few of
    them would be most of what a call keeps in memory."""

    owner: tuple[Any, ...]
    """Response, item and part."""
    around: Around
    """What stands around each in the message that left with it."""
    texts: list[str] | None
    """In base64; ``None``: they are not kept."""
    sizes: list[int] = field(default_factory=list)
    """In bytes, of each."""
    cut: dict[int, list[int]] = field(default_factory=dict)
    """Of those that left in several pieces: how long the texts of these were."""
    sha256: "hashlib._Hash" = field(default_factory=hashlib.sha256)
    """Of their texts, one after the other."""

    def add(self, sound: str) -> None:
        self.sizes.append(sound_bytes(sound))
        if self.texts is not None:
            self.texts.append(sound)
        _update(self.sha256, sound)

    def left(self, among: range) -> list[int]:
        """The sizes of what left with these, in bytes."""
        sizes = []
        for nth in among:
            rest = self.sizes[nth]
            for length in self.cut.get(nth, ())[:-1]:
                sizes.append(length // 4 * 3)  # only what ends a text may be filled up
                rest -= sizes[-1]
            sizes.append(rest)
        return sizes


def _update(sha256: "hashlib._Hash", sound: str) -> None:
    text = sound.encode()
    for start in range(0, len(text), _QUIET_BYTES):
        sha256.update(text[start : start + _QUIET_BYTES])


class Columns:
    """What came in mid-flow, in its order; each column has an entry for those of its kind.

    Fifty times a second something is added: no column keeps an object for each where there is
    another way, because a call's memory is small, and the processor's nearest is smaller.
    """

    __slots__ = (
        "echoes",
        "frames",
        "frames_hash",
        "keeps",
        "kinds",
        "marks",
        "owned",
        "sizes",
        "stamps",
        "times",
        "words",
    )

    def __init__(self, keeps: bool, frames_hash: "hashlib._Hash | None" = None) -> None:
        """``keeps``: the agent's sound itself, too. ``frames_hash``: of the frames' texts, one
        after the other, where nobody needs more of them."""
        self.keeps, self.frames_hash = keeps, frames_hash
        self.times = array("d")
        """Of all, in seconds on the shell's clock."""
        self.kinds = bytearray()
        self.frames: list[str] = []
        """In base64; none where they are hashed."""
        self.sizes = array("l")
        """In bytes, of each that is hashed."""
        self.stamps = array("q")
        """What the wire's clock said of each frame, in ms; :data:`NO_STAMP`: nothing."""
        self.owned: list[Owned] = []
        """The sound of every ``SOUND``, in their order."""
        self.marks: list[str] = []
        """The message that asks for the mark behind each ``SOUND`` and ``PIECE``."""
        self.words: list[str] = []
        self.echoes: list[str] = []

    def __len__(self) -> int:
        return len(self.kinds)

    def passed(self, frame: Frame, now: float) -> None:
        sound, stamp_ms, size_bytes = frame
        self.times.append(now)
        self.kinds.append(FRAME)
        self.stamps.append(NO_STAMP if stamp_ms is None else stamp_ms)
        if self.frames_hash is None:
            self.frames.append(sound)
            return
        self.sizes.append(size_bytes)
        if len(sound) <= _QUIET_BYTES:
            self.frames_hash.update(sound.encode())
        else:
            _update(self.frames_hash, sound)

    def spoke(self, delta: events.Delta, around: Around, left: Sequence[str], now: float) -> None:
        """More of the agent's sound, which ``left`` as texts with this ``around`` each and one
        for a mark behind it."""
        owned = self.owned[-1] if self.owned else None
        if owned is None or owned.around is not around or owned.owner != delta[1:4]:
            owned = Owned(delta[1:4], around, [] if self.keeps else None)
            self.owned.append(owned)
        if len(left) > 2:
            less = len(around[0]) + len(around[1])
            owned.cut[len(owned.sizes)] = [len(text) - less for text in left[::2]]
        owned.add(delta[4])
        marks = left[1::2]
        self.times.extend([now] * len(marks))
        self.kinds.append(SOUND)
        self.kinds.extend([PIECE] * (len(marks) - 1))
        self.marks += marks

    def said(self, text: str, now: float) -> None:
        """More of the agent's words."""
        self.times.append(now)
        self.kinds.append(WORDS)
        self.words.append(text)

    def echoed(self, text: str, now: float) -> None:
        """A mark came back."""
        self.times.append(now)
        self.kinds.append(ECHO)
        self.echoes.append(text)

    def count(self, kind: int, start: int, stop: int) -> int:
        return self.kinds.count(kind, start, stop)

    def numbered(self, start: int, stop: int) -> int:
        """How many texts came and left with these."""
        return sum(self.kinds[start:stop].translate(_TEXTS))

    def times_of(self, kind: int) -> list[float]:
        return list(compress(self.times, map(kind.__eq__, self.kinds)))


class Batch:
    """Of one call, handed over at once."""

    __slots__ = ("entries", "flow", "places")

    def __init__(self, flow: Columns) -> None:
        self.flow = flow
        """What came in mid-flow."""
        self.entries: list[Entry] = []
        self.places: list[int] = []
        """How long ``flow`` was before each entry."""

    def __len__(self) -> int:
        return len(self.entries) + len(self.flow)

    def keep(self, entry: Entry) -> None:
        self.entries.append(entry)
        self.places.append(len(self.flow))

    def stretches(self) -> Iterator[tuple[int, int, Entry | None]]:
        """In order: from where to where came in mid-flow, and what behind it, if anything did."""
        done = 0
        for entry, place in zip(self.entries, self.places, strict=True):
            yield done, place, entry
            done = place
        if done < len(self.flow):
            yield done, len(self.flow), None

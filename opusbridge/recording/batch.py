"""What comes together of a call before the writer gets it.

What came in mid-flow (:mod:`opusbridge.bridge.shortcuts`) is kept apart from everything else:
sixty times a second nothing is done but that it is put behind its time in one list (and sound of
which nobody needs more is hashed). What else there is to find out about it the writer finds out
(:class:`Columns`). Where among the others it came is told by these.
"""

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import compress
from typing import Any, NamedTuple

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


class Mark(NamedTuple):
    """The message that asks for the mark behind a ``SOUND``."""

    text: str


class FurtherMark(NamedTuple):
    """The same behind a ``PIECE``."""

    text: str


class Words(NamedTuple):
    text: str


class Echo(NamedTuple):
    text: str


_KINDS: dict[type, int] = {
    str: FRAME,
    int: FRAME,  # the size of one that was hashed as it came
    Mark: SOUND,
    FurtherMark: PIECE,
    Words: WORDS,
    Echo: ECHO,
}


@dataclass(slots=True)
class Owned:
    """Pieces of the agent's sound that belong together. They are hashed as they come: a few of
    them would be most of what a call keeps in memory."""

    owner: tuple[Any, ...]
    """Response, item and part."""
    around: tuple[str, str]
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
    if len(text) <= _QUIET_BYTES:
        return sha256.update(text)
    for start in range(0, len(text), _QUIET_BYTES):
        sha256.update(text[start : start + _QUIET_BYTES])


@dataclass(slots=True)
class Batch:
    """Of one call, handed over at once."""

    keeps: bool
    """The agent's sound itself, too."""
    frames_hash: "hashlib._Hash | None" = None
    """Of the frames' texts, one after the other, where nobody needs more of them: a second and a
    half of them is a fifth of what a call keeps in memory."""
    kind: str = ""
    """What the wire calls the messages of the frames."""
    flow: list[Any] = field(default_factory=list)
    """What came in mid-flow, three entries each: its time in seconds on the shell's clock; the
    sound of a frame, in base64 (where they are hashed its size in bytes), or another thing; what
    the wire's clock said of a frame, in ms."""
    owned: list[Owned] = field(default_factory=list)
    """The sound of every ``SOUND``, in their order."""
    entries: list[Entry] = field(default_factory=list)
    places: list[int] = field(default_factory=list)
    """How long ``flow`` was before each entry."""

    def __len__(self) -> int:
        return len(self.entries) + len(self.flow) // 3

    def keep(self, entry: Entry) -> None:
        self.entries.append(entry)
        self.places.append(len(self.flow))

    def keep_hash(self, frame: tuple[str, int | None], now: float) -> None:
        """Of the caller's, where they are hashed: its sound in base64, and its stamp."""
        assert self.frames_hash is not None
        _update(self.frames_hash, frame[0])
        self.flow += now, sound_bytes(frame[0]), frame[1]

    def spoke(self, delta: events.Delta, around: tuple[str, str], cut: list[int] | None) -> None:
        """``cut``: how much of its text left with each piece, if there were several."""
        owned = self.owned[-1] if self.owned else None
        if owned is None or owned.around is not around or owned.owner != delta[1:4]:
            owned = Owned(delta[1:4], around, [] if self.keeps else None)
            self.owned.append(owned)
        if cut is not None:
            owned.cut[len(owned.sizes)] = cut
        owned.add(delta[4])

    def stretches(self) -> Iterator[tuple[int, int, Entry | None]]:
        """In order: from where to where came in mid-flow, and what behind it, if anything did."""
        done = 0
        for entry, place in zip(self.entries, self.places, strict=True):
            yield done, place // 3, entry
            done = place // 3
        if done < len(self.flow) // 3:
            yield done, len(self.flow) // 3, None


class Columns:
    """What came in mid-flow, in its order; each column has an entry for those of its kind."""

    __slots__ = (
        "echoes",
        "frames",
        "frames_hash",
        "kinds",
        "marks",
        "owned",
        "sizes",
        "stamps",
        "times",
        "words",
    )

    def __init__(self, batch: Batch) -> None:
        things = batch.flow[1::3]
        self.times: list[float] = batch.flow[::3]
        """Of all, in seconds on the shell's clock."""
        self.kinds = bytes(map(_KINDS.__getitem__, map(type, things)))
        self.owned = batch.owned
        self.frames_hash = batch.frames_hash
        self.frames: list[str] = [one for one in things if type(one) is str]
        """In base64; none where they are hashed."""
        self.sizes: list[int] = []
        """In bytes, of each that is hashed."""
        if batch.frames_hash is not None:
            self.sizes = [one for one in things if type(one) is int]
        self.stamps: list[int | None] = batch.flow[2::3]
        """What the wire's clock said, of all."""
        self.marks: list[str] = []
        self.words: list[str] = []
        self.echoes: list[str] = []
        others = {Mark: self.marks, FurtherMark: self.marks, Words: self.words, Echo: self.echoes}
        if len(self.frames) + len(self.sizes) < len(things):
            for one in things:
                if type(one) in others:
                    others[type(one)].append(one[0])

    def __len__(self) -> int:
        return len(self.kinds)

    def count(self, kind: int, start: int, stop: int) -> int:
        return self.kinds.count(kind, start, stop)

    def numbered(self, start: int, stop: int) -> int:
        """How many texts came and left with these."""
        return sum(self.kinds[start:stop].translate(_TEXTS))

    def times_of(self, kind: int) -> list[float]:
        return list(compress(self.times, map(kind.__eq__, self.kinds)))

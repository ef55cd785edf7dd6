"""What comes together of a call before the writer gets it.

Frames of the caller's that passed are kept apart from everything else, in columns: fifty times
a second nothing is made but three entries. Where among the others they came is told by these.
"""

from array import array
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

#: In place of the peer: a caller's frame that went through both sockets unchanged.
PASSED = "passed"

#: In place of the peer: more of the agent's sound, with what left.
SPOKEN = "spoken"
#: In place of the peer: a message of the peer in place of the direction, of which nothing came.
PLAIN = "plain"

#: The peer of what came over neither socket.
SHELL = "shell"

#: When it happened; the peer and the direction of a text, or two empty ones; text or thing.
Entry = tuple[float, str, str, Any]


@dataclass(frozen=True, slots=True)
class Streamed:
    """What left for the caller with a piece of the agent's sound."""

    before: str
    behind: str
    """Of its message: what stands around the sound."""
    mark: str
    """The message that asks for the mark behind it."""


@dataclass(slots=True)
class Frames:
    """In columns of equal length; sound is base64, times are seconds on the shell's clock."""

    sounds: list[str] = field(default_factory=list)
    times: "array[float]" = field(default_factory=lambda: array("d"))
    stamps: "array[int]" = field(default_factory=lambda: array("q"))
    """What the wire's clock said, in ms; -1: nothing."""

    def __len__(self) -> int:
        return len(self.sounds)

    def part(self, start: int, stop: int) -> "Frames":
        return Frames(self.sounds[start:stop], self.times[start:stop], self.stamps[start:stop])


@dataclass(slots=True)
class Batch:
    """Of one call, handed over at once."""

    frames: Frames = field(default_factory=Frames)
    kind: str = ""
    """What the wire calls the messages of the frames."""
    entries: list[Entry] = field(default_factory=list)
    places: "array[int]" = field(default_factory=lambda: array("q"))
    """How many frames came before each entry."""

    def __len__(self) -> int:
        return len(self.entries) + len(self.frames)

    def keep(self, entry: Entry) -> None:
        self.entries.append(entry)
        self.places.append(len(self.frames))

    def stretches(self) -> Iterator[tuple[Frames | None, Entry | None]]:
        """In order: frames, if there were any, and what came behind them, if anything did."""
        done = 0
        for entry, place in zip(self.entries, self.places, strict=True):
            yield self.frames.part(done, place) if place > done else None, entry
            done = place
        if done < len(self.frames):
            yield self.frames.part(done, len(self.frames)), None

    def in_order(self) -> Iterator[Entry]:
        """The same, each frame an entry of its own: its sound."""
        for frames, entry in self.stretches():
            if frames is not None:
                for sound, now in zip(frames.sounds, frames.times, strict=True):
                    yield now, PASSED, self.kind, sound
            if entry is not None:
                yield entry

"""What happened of one kind within a second, as one line of ``flight.jsonl``."""

from array import array
from base64 import b64encode
from binascii import a2b_base64
from collections.abc import Iterable, Sequence
from itertools import pairwise
from sys import byteorder
from typing import Any

from opusbridge.recording.batch import Sounds


class Run:
    """One kind's, until :meth:`line` is asked for."""

    def __init__(self, t: float, began: float, head: dict[str, Any]) -> None:
        self.t, self.began = t, began
        self._head = head
        self.numbers, self.times = array("q"), array("d")
        self.sounds: list[str] = []
        """In base64, as it came or left."""
        self.stamps = array("q")
        self.levels: list[list[int]] = []
        self.keeps = False

    def add(self, number: int, now: float) -> None:
        self.numbers.append(number)
        self.times.append(now)

    def line(self) -> dict[str, Any]:
        line: dict[str, Any] = {"t": self.t, "n": self.numbers[0], **self._head}
        line["gaps"] = gaps(self.numbers)
        if not self.sounds:
            return line | {"wakes": len(self.numbers), "at": exact_times(self.times)}
        line["ms"] = [int((at - self.began) * 1000 + 0.5) for at in self.times]
        line |= sizes_and_hash(self.sounds, self.keeps)
        if self.stamps:
            line["stamps_ms"] = self.stamps.tolist()
        if line["dir"] == "in":
            line["at"] = exact_times(self.times)
        if self.levels:
            line["levels"] = self.levels
        return line


def sizes_and_hash(sounds: Sequence[str], keeps: bool) -> dict[str, Any]:
    """The same as :func:`told` of pieces of sound in base64."""
    pieces = Sounds(keeps)
    for sound in sounds:
        pieces.add(sound)
    return told(pieces, keeps)


def told(sounds: Sounds, keeps: bool) -> dict[str, Any]:
    """Of pieces of sound: their sizes in bytes, and one hash of their texts in base64.

    Decoding them would cost ten times as much as all of it. ``keeps``: and the sound itself.
    """
    sizes = sounds.sizes.tolist()
    line: dict[str, Any] = {
        "bytes": sum(sizes),
        "sizes": sizes_of(sizes),
        "sha256": sounds.sha256.hexdigest(),
    }
    if keeps:
        line["sound"] = one_text(sounds.texts or ())
    return line


def sizes_of(sizes: list[int]) -> int | list[int]:
    """One number if all are alike."""
    return sizes[0] if sizes.count(sizes[0]) == len(sizes) else sizes


def one_text(sounds: Iterable[str]) -> str:
    """All of them, in base64, as the one sound they are together."""
    return b64encode(b"".join(map(a2b_base64, sounds))).decode()


def exact_times(times: "array[float]") -> str:
    """64-bit floats, the small end first, in base64."""
    if byteorder == "big":
        times = times[:]
        times.byteswap()
    return b64encode(times.tobytes()).decode()


def gaps(numbers: Iterable[int]) -> list[list[int]]:
    """The steps from one to the next, and how often each is repeated."""
    found: list[list[int]] = []
    last = 0
    for before, after in pairwise(numbers):
        if after - before == last:
            found[-1][1] += 1
        else:
            last = after - before
            found.append([last, 1])
    return found

"""What happened of one kind within a second, as one line of ``flight.jsonl``."""

from array import array
from binascii import a2b_base64, b2a_base64
from collections.abc import Iterable, Sequence
from hashlib import sha256
from itertools import pairwise
from sys import byteorder
from typing import Any

from opusbridge.sound import sound_bytes


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
    """Of pieces of sound in base64: their sizes in bytes, and one hash of their texts.

    Decoding them would cost ten times as much as all of it. ``keeps``: and the sound itself.
    """
    whole = "".join(sounds)
    sizes = _sizes(sounds, whole)
    line: dict[str, Any] = {
        "bytes": sum(sizes) if isinstance(sizes, list) else sizes * len(sounds),
        "sizes": sizes,
        "sha256": sha256(whole.encode()).hexdigest(),
    }
    if keeps:
        line["sound"] = one_text(sounds)
    return line


def sizes_of(sounds: Sequence[str]) -> int | list[int]:
    """In bytes, of each; one number if all are alike, which they mostly are."""
    return _sizes(sounds, "".join(sounds))


def _sizes(sounds: Sequence[str], whole: str) -> int | list[int]:
    length, count = len(sounds[0]) if sounds else 0, len(sounds)
    if length >= 2 and set(map(len, sounds)) == {length}:
        # At most the last two characters of each fill it up.
        ends = whole[length - 2 :: length].count("="), whole[length - 1 :: length].count("=")
        if ends[0] in (0, count) and ends[1] in (0, count):
            return sound_bytes(sounds[0])
    return one_size(list(map(sound_bytes, sounds)))


def one_size(sizes: list[int]) -> int | list[int]:
    """One number if all are alike."""
    return sizes[0] if sizes and sizes.count(sizes[0]) == len(sizes) else sizes


def one_text(sounds: Iterable[str]) -> str:
    """All of them, in base64, as the one sound they are together."""
    return b2a_base64(b"".join(map(a2b_base64, sounds)), newline=False).decode()


def exact_times(times: Sequence[float]) -> str:
    """64-bit floats, the small end first, in base64."""
    kept = times if isinstance(times, array) else array("d", times)
    if byteorder == "big":
        kept = array("d", kept)
        kept.byteswap()
    return b2a_base64(kept, newline=False).decode()


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

"""What happened of one kind within a second, as one line of ``flight.jsonl``."""

import hashlib
from array import array
from base64 import b64encode
from binascii import a2b_base64
from collections.abc import Iterable
from itertools import pairwise
from sys import byteorder
from typing import Any


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
        self.keeps = self.stamped = False

    def add(self, number: int, now: float) -> None:
        self.numbers.append(number)
        self.times.append(now)

    def line(self) -> dict[str, Any]:
        line: dict[str, Any] = {"t": self.t, "n": self.numbers[0], **self._head}
        line["gaps"] = _gaps(self.numbers)
        if not self.sounds:
            return line | {"wakes": len(self.numbers), "at": self._exact_times()}
        sounds = [a2b_base64(sound) for sound in self.sounds]
        sizes, sound = list(map(len, sounds)), b"".join(sounds)
        line["ms"] = [int((at - self.began) * 1000 + 0.5) for at in self.times]
        line["bytes"] = len(sound)
        line["sizes"] = sizes[0] if len(set(sizes)) == 1 else sizes
        line["sha256"] = hashlib.sha256(sound).hexdigest()
        if self.stamps:
            line["stamps_ms"] = self.stamps.tolist()
        if line["dir"] == "in":
            line["at"] = self._exact_times()
        if self.levels:
            line["levels"] = self.levels
        if self.keeps:
            line["sound"] = b64encode(sound).decode()
        return line

    def _exact_times(self) -> str:
        """64-bit floats, the small end first, in base64."""
        if byteorder == "big":
            self.times.byteswap()
        return b64encode(self.times.tobytes()).decode()


def _gaps(numbers: Iterable[int]) -> list[list[int]]:
    """The steps from one to the next, and how often each is repeated."""
    gaps: list[list[int]] = []
    last = 0
    for before, after in pairwise(numbers):
        if after - before == last:
            gaps[-1][1] += 1
        else:
            last = after - before
            gaps.append([last, 1])
    return gaps

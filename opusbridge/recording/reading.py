"""Reads ``flight.jsonl`` (:mod:`opusbridge.recording.flight`), whole, or what is left of it."""

from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import Any

import orjson

from opusbridge.recording.flight import FLIGHT_VERSION
from opusbridge.recording.midflow import unfolded

Line = dict[str, Any]

#: Another version is not read. 3 had a needless ``ms`` of what came in mid-flow.
_READABLE = (3, FLIGHT_VERSION)

#: No call lasts a week: such a time is damage.
_NO_CALL_SECONDS = 7 * 24 * 3600.0


@dataclass(frozen=True, slots=True)
class Salvage:
    """What can be read of a recording that may be damaged."""

    lines: list[Line]
    """As of :func:`read_flight`."""
    unread: tuple[int, ...]
    """The numbers, from 1, of the lines of the file that cannot be read."""
    count: int
    """How many lines the file has."""
    places: list[int]
    """Of each of ``lines`` the number, from 1, of the line of the file that tells it."""

    def __str__(self) -> str:
        """What is wrong with the file, in a few words; empty: nothing."""
        if not self.unread:
            return ""
        if self.unread == (self.count,):
            return f"its last line, {self.count}, cannot be read: it was cut off"
        told = f"{len(self.unread)} of its {self.count} lines cannot be read"
        return f"{told}; the first of them is line {self.unread[0]}"


def salvage(path: Path) -> Salvage:
    """All that can be read: what is damaged is left out, and counted.

    Raises ``ValueError``, with one line of text, for what is no flight recording, or one of a
    version this program cannot read.
    """
    header, numbered = _numbered(path)
    placed: list[tuple[int, Line]] = [(1, header)]
    unread = []
    for number, line in numbered:
        try:
            placed += [(number, told) for told in _told(line, number)]
        except ValueError:
            unread.append(number)
    placed[1:] = sorted(placed[1:], key=lambda one: _time(one[1]))
    lines, places = [line for _, line in placed], [place for place, _ in placed]
    return Salvage(lines, tuple(unread), len(numbered) + 1, places)


def read_flight(path: Path) -> list[Line]:
    """The lines in the order of their time, the header first; what came in mid-flow is unfolded.

    A line cut off by a crash is left out. Raises ``ValueError``, with one line of text, for what
    is no flight recording, or one of a version this program cannot read, or is damaged.
    """
    header, numbered = _numbered(path)
    lines = [line for _, line in numbered if line is not None]
    told = chain.from_iterable(unfolded(one) if "flow" in one else (one,) for one in lines)
    return [header, *sorted(told, key=_time)]


def _numbered(path: Path) -> tuple[Line, list[tuple[int, Line | None]]]:
    """The header, and all other lines by their numbers; ``None``: it is no object."""
    texts = path.read_bytes().splitlines()
    numbered = [(number, _object(text)) for number, text in enumerate(texts, 1)]
    header = numbered[0][1] if numbered else None
    found = None if header is None else header.get("flight")
    if type(found) is int and found not in _READABLE:
        known = f"this program reads versions {' and '.join(map(str, _READABLE))}"
        raise ValueError(f"a flight recording of version {found}; {known}")
    if header is None or type(found) is not int:
        raise ValueError("not a flight recording, or its first line is damaged")
    return header, numbered[1:]


def _object(text: bytes) -> Line | None:
    try:
        line = orjson.loads(text)
    except ValueError:
        return None
    return line if isinstance(line, dict) else None


def _told(line: Line | None, number: int) -> list[Line]:
    """What a line says; ``ValueError`` if that cannot be understood."""
    told = [] if line is None or not _in_time(line) else [line]
    if told and "flow" in told[0]:
        told = unfolded(told[0])
    if not told or not all(map(_in_time, told)):
        raise ValueError(f"line {number} cannot be read")
    return told


def _in_time(line: Line) -> bool:
    t = line.get("t")
    return isinstance(t, int | float) and abs(t) <= _NO_CALL_SECONDS


def _time(line: Line) -> float:
    t = line.get("t")
    return float(t) if isinstance(t, int | float) else 0.0

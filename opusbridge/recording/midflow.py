"""The line of ``flight.jsonl`` for what came in mid-flow: in columns, as it was kept.

A second and a half of a call at most, a hundred things or so: as lines of their own they would
cost more than everything else that is written of it. Whoever reads it gets these lines
(:func:`unfolded`).
"""

import struct
from base64 import b64decode
from collections.abc import Iterator
from functools import lru_cache
from itertools import chain
from typing import Any

import orjson

from opusbridge.recording.batch import ECHO, FRAME, NO_STAMP, PIECE, SOUND, TEXTS, Columns, Owned
from opusbridge.recording.runs import exact_times, gaps, one_size, sizes_and_hash
from opusbridge.recording.shapes import DELTA, Said, digest, sound_in

Line = dict[str, Any]

#: A member of a stretch: its number, its time from the start and on the shell's clock.
Member = tuple[int, float, float]


class Stretch:
    """Of some columns, from ``start`` on; until :meth:`line` is asked for."""

    def __init__(self, kind: str, columns: Columns, start: int, keeps: bool) -> None:
        """``kind``: what the wire calls the frames; ``keeps``: with all sound that came.

        Where sound is not kept, a stretch is of all of its columns.
        """
        self.columns, self.stop, self.keeps = columns, start, keeps
        self.levels: list[list[int]] = []
        """Of each frame, if anything is known of them."""
        self.words: list[Any] = []
        """What is kept of each ``WORDS``."""
        self._withheld: list[int] = []
        self._kind, self._start = kind, start
        self._number = self._next = 0
        self._skips: list[tuple[int, int]] = []

    def goes_on(self, stop: int, number: int) -> int:
        """Up to there, and these have the numbers after this one; returns their last."""
        if not self._number:
            self._number = number + 1
        elif number != self._next:
            self._skips.append((self.stop - self._start, number - self._next))
        self._next = number + self.columns.numbered(self.stop, stop)
        self.stop = stop
        return self._next

    def says(self, words: Said) -> None:
        """The next ``WORDS``, which are not kept just as they came."""
        if words.withheld:
            self._withheld.append(len(self.words))
        self.words.append(words.line["text"])

    def line(self, began_at: float) -> tuple[float, Line]:
        """With its time, in seconds from ``began_at``."""
        columns, start, stop = self.columns, self._start, self.stop
        times = columns.times[start:stop]
        t = round(times[0] - began_at, 6)
        line: Line = {"t": t, "n": self._number, "flow": columns.kinds[start:stop].decode()}
        if self._skips:
            line["skips"] = self._skips
        line["at"] = exact_times(times)
        if frames := self._of(FRAME):
            line["frames"] = self._frames(frames)
        if spoken := self._of(SOUND):
            line["sounds"] = list(self._sounds(spoken))
            pieces = self._of(PIECE)
            line["marks"] = columns.marks[spoken.start + pieces.start : spoken.stop + pieces.stop]
        if self.words:
            line["words"] = self.words
        if self._withheld:
            line["withheld"] = self._withheld
        if echoes := self._of(ECHO):
            texts = columns.echoes[echoes.start : echoes.stop]
            line["echoes"] = orjson.Fragment(f"[{','.join(texts)}]")
        return t, line

    def _of(self, kind: int) -> range:
        """Where in their columns those of this kind are."""
        columns, start, stop = self.columns, self._start, self.stop
        first = columns.count(kind, 0, start) if start else 0
        return range(first, first + columns.count(kind, start, stop))

    def _frames(self, among: range) -> Line:
        columns = self.columns
        if columns.frames_hash is None:
            told = sizes_and_hash(columns.frames[among.start : among.stop], self.keeps)
        else:
            told = _of_hashed(columns.sizes.tolist(), columns.frames_hash.hexdigest())
        line: Line = {"media": self._kind, **told}
        stamps = columns.stamps[among.start : among.stop]
        unknown = stamps.count(NO_STAMP)
        if unknown < len(stamps):
            known: list[int | None] = [*stamps]
            if unknown:
                known = [None if stamp == NO_STAMP else stamp for stamp in known]
            line["stamps_ms"] = known
        if self.levels:
            line["levels"] = self.levels
        return line

    def _sounds(self, among: range) -> Iterator[Line]:
        before = 0
        for owned in self.columns.owned:
            count = len(owned.sizes)
            start, stop = max(among.start - before, 0), min(among.stop - before, count)
            before += count
            if start >= stop:
                continue
            response_id, item_id, part = owned.owner
            of = {"response_id": response_id, "item_id": item_id, "content_index": part}
            told = _told(owned, range(start, stop), self.keeps)
            left = _left(owned, range(start, stop))
            yield {"of": of, "left": left, "pieces": stop - start, **told}


def _told(owned: Owned, among: range, keeps: bool) -> Line:
    if owned.texts is not None:
        return sizes_and_hash(owned.texts[among.start : among.stop], keeps)
    return _of_hashed(owned.sizes, owned.sha256.hexdigest())


def _of_hashed(sizes: list[int], sha256: str) -> Line:
    return {"bytes": sum(sizes), "sizes": one_size(sizes), "sha256": sha256}


def _left(owned: Owned, among: range) -> Line:
    """As what kind of message that left, and of what; in what sizes, if these are others."""
    left = _left_as(owned.around)
    sizes = owned.left(among) if owned.cut else []
    return left | {"sizes": one_size(sizes)} if len(sizes) > len(among) else left


@lru_cache(256)
def _left_as(around: tuple[str, str]) -> Line:
    """A call's own, with every answer."""
    sound = sound_in(orjson.loads("AAAA".join(around)))
    assert sound is not None
    return {"media": sound.kind, **({"of": sound.of} if sound.of else {})}


def unfolded(line: Line) -> list[Line]:
    """The lines that say the same, as if each kind had been kept by itself.

    Raises ``ValueError``, with one line of text, for a line that cannot be understood.
    """
    try:
        return list(_unfolded(line))
    except (ArithmeticError, LookupError, RuntimeError, TypeError, ValueError, struct.error):
        # A generator that is asked for too much raises RuntimeError.
        what = f"the line with number {line.get('n')!r} cannot be understood"
        raise ValueError(f"a damaged flight recording: {what[:80]}") from None


def _unfolded(line: Line) -> Iterator[Line]:
    members, left = _members(line)
    if "frames" in line:
        head = {"peer": "telephony", "dir": "in", "passed": True}
        yield _run(head | line["frames"], members["f"])
    spoken = zip(members["s"], left, strict=True)
    for sounds in line.get("sounds", ()):
        pieces = [next(spoken) for _ in range(sounds["pieces"])]
        told = {key: sounds[key] for key in ("bytes", "sizes", "sha256", "sound") if key in sounds}
        came = {"peer": "model", "dir": "in", "media": DELTA, "of": sounds["of"]}
        yield _run(came | told, [one for one, _ in pieces])
        told.pop("sound", None)
        head = {"peer": "telephony", "dir": "out"}
        yield _run(head | told | sounds["left"], [one for _, parts in pieces for one in parts])
    parts = chain.from_iterable(left)
    for (number, t, _), mark in zip(parts, line.get("marks", ()), strict=True):
        text = {"text": orjson.loads(mark), "sha": digest(mark)}
        yield {"t": t, "n": number + 1, "peer": "telephony", "dir": "out", **text}
    for kind, key, peer in (("w", "words", "model"), ("e", "echoes", "telephony")):
        withheld = set(line.get("withheld", ())) if kind == "w" else ()
        for nth, (of, text) in enumerate(zip(members[kind], line.get(key, ()), strict=True)):
            number, t, at = of
            said = {"t": t, "n": number, "at": at, "peer": peer, "dir": "in", "text": text}
            yield said | ({"withheld": True} if nth in withheld else {})


def _members(line: Line) -> tuple[dict[str, list[Member]], list[list[Member]]]:
    """By their kinds; and what left with each ``s``, in which every mark has the next number."""
    found: dict[str, list[Member]] = {kind: [] for kind in TEXTS}
    left: list[list[Member]] = []
    kinds, number, skips = line["flow"], int(line["n"]), dict(line.get("skips", ()))
    times = struct.unpack(f"<{len(kinds)}d", b64decode(line["at"]))
    for place, (kind, at) in enumerate(zip(kinds, times, strict=True)):
        number += skips.get(place, 0)
        t = float(line["t"]) + round(at - times[0], 6)
        found[kind].append((number, t, at))
        if kind == "s":
            left.append([(number + 1, t, at)])
        elif kind == "p":
            left[-1].append((number, t, at))
        number += TEXTS[kind]
    return found, left


def _run(head: Line, members: list[Member]) -> Line:
    numbers, ts, times = zip(*members, strict=True)
    ms = [round((t - ts[0]) * 1000) for t in ts]
    line = {"t": ts[0], "n": numbers[0], "gaps": gaps(numbers), "ms": ms, **head}
    return line | ({"at": exact_times(times)} if head["dir"] == "in" else {})

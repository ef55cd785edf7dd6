"""What came and what left, one by one and in order, from the lines of a flight recording."""

import struct
from base64 import b64decode, b64encode
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import chain, repeat
from typing import Any

import orjson

from opusbridge import events
from opusbridge.recording.redaction import of_a_tool
from opusbridge.recording.shapes import OVERSIZED, Sound
from opusbridge.replay.values import built

Line = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Moment:
    """One text, or one event of the shell's."""

    number: int
    t: float
    """From the start of the recording, in seconds."""
    peer: str
    """``telephony``, ``model`` or ``shell``."""
    at: float | None = None
    """On the shell's clock, exactly, of what came; ``None``: it left."""
    line: Line | None = None
    """A message, or an event by its name and fields."""
    sound: Sound | None = None
    """Its ``raw`` is as long as it was, and what it was if the sound was kept."""
    levels: list[int] | None = None
    """How loud it was, where the call judged by that and the sound was not kept."""
    unheard: bool = False
    """Sound that came, and is not in the file."""
    passed: bool = False
    """The caller's frame that goes on to the model as it comes."""
    run: int = 0
    """The number of the first of its run of sound."""
    sha256: str | None = None
    """Of all the sound of its run, in base64, on the last of them."""

    @property
    def withheld(self) -> bool:
        """What it said is not in the file."""
        return self.line is not None and "withheld" in self.line

    @property
    def redacted(self) -> bool:
        """Something of what a tool was given or gave is not in the file."""
        line = self.line or {}
        return of_a_tool([line.get("text"), line.get("fields")])

    @property
    def text(self) -> str:
        """A message as it may be handed in again."""
        assert self.line is not None
        text = self.line["text"]
        if text == OVERSIZED and "chars" in self.line:
            return " " * int(self.line["chars"])
        return text if isinstance(text, str) else orjson.dumps(text).decode()

    @property
    def event(self) -> events.Event:
        assert self.line is not None
        kind = getattr(events, self.line["event"])
        event: events.Event = built(kind, self.line["fields"])
        return event

    @property
    def secret(self) -> bool:
        """From here on keys are not in the file."""
        fields = self.line.get("fields") if self.line is not None else None
        return isinstance(fields, dict) and fields.get("secret") is True

    def __str__(self) -> str:
        way = f"{self.peer} → bridge" if self.at is not None else f"bridge → {self.peer}"
        return f"{self.t:9.3f} s  {way:<19}  {self.what}"

    @property
    def what(self) -> str:
        """Its kind, in a few words; nothing of what was said."""
        if self.sound is not None:
            return f"{self.sound.kind}, {len(self.sound.raw)} bytes of sound"
        assert self.line is not None
        if "event" in self.line:
            return str(self.line["event"])
        text = self.line["text"]
        return str(text.get("event") or text.get("type")) if isinstance(text, dict) else "a text"


def moments(lines: Iterable[Line], places: Iterable[int] = ()) -> list[Moment]:
    """In order. Raises ``ValueError``, with one line of text, for what cannot be understood.

    ``places``: where in the file each line stands, if that is known.
    """
    found: list[Moment] = []
    for line, place in zip(lines, chain(places, repeat(None)), strict=False):
        if "n" not in line:
            continue
        try:
            found += _moments(line)
        except (AttributeError, KeyError, TypeError, ValueError, IndexError, struct.error):
            number = repr(line["n"])[:40]
            which = f"the line of n {number}" if place is None else f"line {place} (n {number})"
            raise ValueError(f"a damaged flight recording: {which} cannot be understood") from None
    return sorted(found, key=lambda moment: moment.number)


def _moments(line: Line) -> Iterator[Moment]:
    number, t = int(line["n"]), float(line["t"])
    if "wakes" in line:
        return _wakes(line, t)
    if "media" in line:
        return _sounds(line, t)
    if "event" in line:
        stored, _ = line["fields"].get("pcm"), getattr(events, line["event"])
        unheard = stored is not None and "sound" not in stored
        return iter([Moment(number, t, "shell", float(line["at"]), line, unheard=unheard)])
    at = float(line["at"]) if line["dir"] == "in" else None
    _ = line["text"]
    return iter([Moment(number, t, line["peer"], at, line)])


def _numbers(line: Line) -> list[int]:
    numbers = [int(line["n"])]
    for step, count in line["gaps"]:
        numbers += [numbers[-1] + step * nth for nth in range(1, count + 1)]
    return numbers


def _times(line: Line, count: int) -> list[float]:
    return list(struct.unpack(f"<{count}d", b64decode(line["at"])))


def _wakes(line: Line, t: float) -> Iterator[Moment]:
    numbers = _numbers(line)
    times = _times(line, len(numbers))
    woken = {"event": "DeadlineReached", "fields": {}}
    for number, at in zip(numbers, times, strict=True):
        yield Moment(number, t + at - times[0], "shell", at, woken)


def _sounds(line: Line, t: float) -> Iterator[Moment]:
    numbers, sizes = _numbers(line), line["sizes"]
    count = len(numbers)
    sizes = [sizes] * count if isinstance(sizes, int) else sizes
    times = _times(line, count) if line["dir"] == "in" else [None] * count
    stamps = line.get("stamps_ms") or [None] * count
    kept = b64decode(line["sound"]) if "sound" in line else None
    told = line.get("levels") if kept is None else None
    of, offset = dict(line.get("of") or {}), 0
    for nth, (number, ms) in enumerate(zip(numbers, line["ms"], strict=True)):
        size = int(sizes[nth])
        raw = bytes(size) if kept is None else kept[offset : offset + size]
        sound = b64encode(raw).decode()
        offset += size
        yield Moment(
            number,
            t + ms / 1000,
            line["peer"],
            times[nth],
            sound=Sound(line["media"], of, sound, stamps[nth]),
            levels=None if told is None else told[nth],
            unheard=kept is None and times[nth] is not None,
            passed="passed" in line,
            run=numbers[0],
            sha256=line["sha256"] if nth == count - 1 else None,
        )
        if "passed" in line:
            left = Sound("input_audio_buffer.append", {}, sound)
            yield Moment(number + 1, t + ms / 1000, "model", sound=left)

"""Sound on its way to a simulated caller's ear, and what the ear has got.

This is the oracle of every simulated call: not what was sent, but what was heard, when.
Sound is consumed in real time, byte for byte, from the instant it arrives at an empty
buffer; marks stand in the same queue and are reached when everything before them is heard.
"""

from collections import deque
from dataclasses import dataclass, field

from opusbridge.sound import AudioFormat, Encoding

# Codes whose sample is below about 400 of 32768 (exponents 0 and 1): quiet for an ear.
_QUIET_PCMU = bytes([*range(0x60, 0x80), *range(0xE0, 0x100)])
# The high byte of a 16-bit sample below 512, either sign.
_QUIET_HIGH_BYTE = b"\x00\x01\xfe\xff"
#: One sample in so many must be loud for a stretch to count as sound.
_LOUD_SHARE = 16


@dataclass(slots=True)
class HeardSpan:
    """One unbroken stretch of what was played to the person, silence included."""

    started_at: float
    ended_at: float
    format: AudioFormat
    sound: bytearray = field(repr=False)
    """In ``format``, as it came over the wire."""


def is_audible(sound: bytes, format: AudioFormat) -> bool:
    """Whether an ear would notice this stretch (20 ms or so)."""
    if format.encoding is Encoding.PCM:
        loud = len(sound[1::2].translate(None, _QUIET_HIGH_BYTE))
        return loud * _LOUD_SHARE * 2 >= len(sound) > 0
    loud = len(sound.translate(None, _QUIET_PCMU))
    return loud * _LOUD_SHARE >= len(sound) > 0


class Ear:
    """What a person has heard of the agent."""

    def __init__(self, utterance_gap_seconds: float) -> None:
        self.heard: list[HeardSpan] = []
        self.audible_at: float | None = None
        """The end of the last audible sound, or ``None`` before the first."""
        self.utterance_at = 0.0
        """When the utterance of ``audible_at`` began."""
        self._gap = utterance_gap_seconds

    def hear(self, sound: bytes, format: AudioFormat, started_at: float, ended_at: float) -> None:
        last = self.heard[-1] if self.heard else None
        if last and last.format == format and started_at - last.ended_at < 0.001:
            last.sound += sound
            last.ended_at = ended_at
        else:
            self.heard.append(HeardSpan(started_at, ended_at, format, bytearray(sound)))
        if is_audible(sound, format):
            if self.audible_at is None or started_at - self.audible_at >= self._gap:
                self.utterance_at = started_at
            self.audible_at = ended_at


@dataclass(slots=True)
class _Queued:
    epoch: int
    sound: bytes
    format: AudioFormat | None
    """``None``: this is a mark."""
    mark: str = ""


class Playout:
    """The provider's buffer. Every method but :meth:`advance` wants ``advance(now)`` first."""

    def __init__(self, ear: Ear) -> None:
        self._ear = ear
        self._queue: deque[_Queued] = deque()
        self._offset = 0
        self._heard_to = 0.0
        self._epoch = 0
        self.queued_ms = 0.0

    @property
    def empty(self) -> bool:
        return not self._queue

    @property
    def unheard(self) -> list[tuple[bytes, AudioFormat]]:
        """The sound that has come and was not heard, in order; once the line is closed, never."""
        queued = [(one.sound, one.format) for one in self._queue if one.format is not None]
        return [(queued[0][0][self._offset :], queued[0][1]), *queued[1:]] if queued else []

    def advance(self, now: float) -> list[str]:
        """Let time pass; the marks reached meanwhile, in order."""
        queue = self._queue
        reached: list[str] = []
        while queue:
            head = queue[0]
            if head.format is None:
                reached.append(queue.popleft().mark)
                continue
            rate = head.format.bytes_per_ms * 1000
            due = int((now - self._heard_to) * rate + 1e-6)
            due -= due % head.format.sample_bytes
            if due <= 0:
                break
            piece = head.sound[self._offset : self._offset + due]
            ended_at = self._heard_to + len(piece) / rate
            self._ear.hear(piece, head.format, self._heard_to, ended_at)
            self._heard_to = ended_at
            self._offset += len(piece)
            self.queued_ms -= len(piece) / head.format.bytes_per_ms
            if self._offset >= len(head.sound):
                queue.popleft()
                self._offset = 0
        return reached

    def add(self, sound: bytes, format: AudioFormat, now: float) -> None:
        """``sound`` is at least one whole sample; it is heard at once if nothing is queued."""
        if not self._queue:
            self._heard_to = now
        self._queue.append(_Queued(self._epoch, sound, format))
        self.queued_ms += len(sound) / format.bytes_per_ms

    def add_mark(self, name: str) -> bool:
        """Whether it waits; ``False`` means nothing is queued, so it is reached already."""
        if not self._queue:
            return False
        self._queue.append(_Queued(self._epoch, b"", None, name))
        return True

    def next_epoch(self) -> int:
        """Everything queued until now belongs to the epoch returned; see :meth:`clear`."""
        self._epoch += 1
        return self._epoch - 1

    def clear(self, epoch: int, now: float) -> list[str]:
        """Drop what was queued up to the end of ``epoch``; the marks dropped, in order."""
        dropped: list[str] = []
        if self._queue and self._queue[0].epoch <= epoch:
            self._heard_to = now  # what is left begins when what was dropped ends
        while self._queue and self._queue[0].epoch <= epoch:
            entry = self._queue.popleft()
            if entry.format is None:
                dropped.append(entry.mark)
            else:
                left = len(entry.sound) - self._offset
                self.queued_ms -= left / entry.format.bytes_per_ms
                self._offset = 0
        return dropped

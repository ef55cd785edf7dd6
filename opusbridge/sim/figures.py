"""How near the bridge's idea of what was heard comes to what a simulated ear did hear.

Where the checks say yes or no, this measures: each truncation against the ear, each cut
against what was heard after it, and the recording against both.
"""

from bisect import bisect_left
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np

from opusbridge import effects, events
from opusbridge.audio.g711 import pcma_decode, pcmu_decode
from opusbridge.effects import Effect
from opusbridge.events import Event
from opusbridge.sim.callers.caller import Clearing
from opusbridge.sim.callers.playout import HeardSpan, is_audible
from opusbridge.sim.checks import Cut, SpokenItem, cut_speech_unheard, heard_of
from opusbridge.sim.witness import SEAM_MS, cleared_at
from opusbridge.sim.world import SimulatedCall
from opusbridge.sound import Audio, AudioFormat, Encoding

#: A stretch of the ear's that is looked for in the recording, and how often one is taken.
_PROBE_MS, _EVERY_MS = 160, 1_000
#: Sound is looked for so far from where the ear heard it.
_NEAR_SECONDS = 1.0

#: The recorder goes to the disk so often, and changes nothing that it wrote.
_TAKEN_SECONDS = 1.0
_SOUND = (events.CallerSpoke, effects.PlayAudio)

_DECODE = {Encoding.PCMU: pcmu_decode, Encoding.PCMA: pcma_decode, Encoding.PCM: bytes}


@dataclass(slots=True)
class Figures:
    """Of one call, or of many. All differences are in ms."""

    truncations: list[float] = field(default_factory=list)
    """What the model was told was heard, less what the ear had heard when the clear that goes
    with it reached the far side. What that still plays then is its own doing."""
    refused: int = 0
    """Truncations the model refused."""
    heard_after_clear: int = 0
    """Cut items of which anything was heard after the far side had cleared."""
    length: list[float] = field(default_factory=list)
    """Of the recording, less that of the call."""
    placed: list[float] = field(default_factory=list)
    """Where the recording has what the agent said, less when the ear heard it."""

    def add(self, other: "Figures") -> None:
        self.truncations += other.truncations
        self.refused += other.refused
        self.heard_after_clear += other.heard_after_clear
        self.length += other.length
        self.placed += other.placed


class Timeline(Protocol):
    """Both voices as the recording has them: ``recording.mixing.StereoTimeline``."""

    rate_hz: int

    def caller(self, pcm: bytes, at_s: float) -> None: ...

    def agent(self, pcm: bytes, starts_at_s: float, follows: bool = False) -> None: ...

    def move(self, by_s: float) -> None: ...

    def clear(self, at_s: float) -> None: ...

    def take(self, until_s: float) -> bytes: ...

    def finish(self, until_s: float) -> bytes: ...


class Measure:
    """An observer of one call's engine; :meth:`figures` when the call is at rest."""

    def __init__(self, timeline: Callable[[int], Timeline]) -> None:
        """``timeline`` makes one for so many samples a second."""
        self._make_timeline = timeline
        self._timeline: Timeline | None = None
        self._frames = bytearray()
        self._taken_at = 0.0
        self._refused = 0
        self._clears: list[float] = []
        self._ended_at: float | None = None

    def __call__(self, what: Event | Effect, now: float) -> None:
        match what:
            case events.CallArrived() if self._timeline is None:  # else he came back
                self._timeline = self._make_timeline(what.audio_format.rate_hz)
            case events.ModelErred(about="conversation.item.truncate"):
                self._refused += 1
            case effects.EndCall():
                self._ended_at = now
            case _ if self._timeline is not None:
                self._record(self._timeline, what, now)

    def _record(self, timeline: Timeline, what: Event | Effect, now: float) -> None:
        if now - self._taken_at >= _TAKEN_SECONDS and isinstance(what, _SOUND):
            self._taken_at = now
            self._frames += timeline.take(now)
        match what:
            case events.CallerSpoke():
                timeline.caller(_pcm(what.audio), now)
            case effects.PlayAudio():
                timeline.agent(_pcm(what.audio), max(what.starts_at, now), what.follows)
            case effects.MovePlayout():
                timeline.move(what.by_seconds)
            case effects.ClearPlayout():
                self._clears.append(now)
                timeline.clear(max(what.heard_until, now))
            case effects.CutPlayout():
                timeline.clear(max(what.heard_until, now))

    def figures(self, call: SimulatedCall) -> Figures:
        found = Figures(refused=self._refused)
        heard, items = call.caller.heard, {item.item_id: item for item in call.witness.items}
        for at, told in call.witness.truncations:
            item = items[told.item_id]
            if _comparable(item, heard):
                until = self._cleared(call, at)
                heard_ms = heard_of(item, heard, until, cleared_at(call.caller), SEAM_MS)
                found.truncations.append(told.audio_end_ms - heard_ms)
        found.heard_after_clear = len(cut_speech_unheard(_cuts(call), call.witness.items, heard))
        if self._timeline is not None and self._ended_at is not None:
            rate = self._timeline.rate_hz
            frames = bytes(self._frames) + self._timeline.finish(self._ended_at)
            found.length.append(1000 * (len(frames) / (4 * rate) - self._ended_at))
            found.placed = _placed(_right(frames), rate, heard, call.caller.clearings)
        return found

    def _cleared(self, call: SimulatedCall, at: float) -> float:
        """When the far side was told of what was cut at ``at``: with the truncation, or before."""
        left = max((clear for clear in self._clears if clear <= at), default=at)
        clears = call.caller.clearings
        return next((one.asked_at for one in clears if one.asked_at >= left), at)


def _comparable(item: SpokenItem, heard: list[HeardSpan]) -> bool:
    """Sound that was converted on its way is not the same sound."""
    return any(span.format == item.format for span in heard)


def _cuts(call: SimulatedCall) -> list[Cut]:
    """What was cut, from when the clear that was sent with it took effect."""
    items = {item.item_id: item for item in call.witness.items}
    cut = [(at, told.item_id) for at, told in call.witness.truncations] + call.witness.deletions
    cleared = [(one.asked_at, one.effective_at) for one in call.caller.clearings]
    found = []
    for at, item_id in cut:
        behind = bisect_left(cleared, (at, 0.0))
        if item_id in items and behind < len(cleared):
            found.append(Cut(items[item_id], cleared[behind][1]))
    return found


def _placed(
    agent: bytes, rate_hz: int, heard: list[HeardSpan], clearings: list[Clearing]
) -> list[float]:
    found = []
    for span in heard:
        pcm = _DECODE[span.format.encoding](bytes(span.sound))
        step, size = _EVERY_MS * rate_hz // 500, _PROBE_MS * rate_hz // 500
        for at in range(0, len(pcm) - size, step):
            probe = pcm[at : at + size]
            if not is_audible(probe, AudioFormat(Encoding.PCM, rate_hz)):
                continue
            heard_at = span.started_at + at / (2 * rate_hz)
            until = heard_at + _PROBE_MS / 1000
            if any(one.asked_at < until and heard_at < one.effective_at for one in clearings):
                continue  # played on in spite of a clear
            begin = max(0, int((heard_at - _NEAR_SECONDS) * rate_hz) * 2)
            near = agent[begin : begin + int(4 * _NEAR_SECONDS * rate_hz) + size]
            there = near.find(probe)
            # Sound that is there twice, or was cut within, tells nothing.
            if there >= 0 and near.find(probe, there + 2) < 0:
                found.append(1000 * ((begin + there) / (2 * rate_hz) - heard_at))
    return found


def _right(frames: bytes) -> bytes:
    return np.frombuffer(frames, dtype="<i2")[1::2].tobytes()


def _pcm(audio: Audio) -> bytes:
    return _DECODE[audio.format.encoding](audio.raw)

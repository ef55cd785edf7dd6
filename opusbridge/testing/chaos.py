"""Calls on a bad day: whatever the network does, the promises hold."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from math import inf
from random import Random

import numpy as np

from opusbridge import effects, events
from opusbridge.agent import Agent
from opusbridge.audio.g711 import pcmu_decode
from opusbridge.effects import Effect
from opusbridge.events import Event
from opusbridge.recording.mixing import StereoTimeline
from opusbridge.sim.callers import HeardSpan
from opusbridge.sim.checks import recording_true
from opusbridge.sim.faults import Faults
from opusbridge.sim.guarantees import broken, judged, unjudged
from opusbridge.sim.script import CallScript
from opusbridge.sim.seeded import judged as judged_seeded
from opusbridge.sim.seeded import seeded_call
from opusbridge.sound import Audio, AudioFormat, Encoding
from opusbridge.testing.virtual import staged

#: Virtual seconds; a call is over long before.
LONGEST_CALL = 600.0

#: A recording may be longer or shorter than its call by this: a sample is the least it can tell.
LENGTH_SECONDS = 0.001


@dataclass(frozen=True, slots=True)
class Tried:
    """One call, and what was said against each guarantee."""

    name: str
    broken: dict[str, list[str]]
    call_seconds: float
    faults: Faults
    unjudged: set[str]
    """The guarantees of which nobody can say that they held."""
    problems: list[str] = field(default_factory=list)
    """What the agent's own functions did wrong."""


def bad_day(seed: int) -> Faults:
    """What befalls the call of this seed."""
    return Faults.random(Random(f"chaos {seed}"))


def seeded(seed: int, chaos: bool) -> Tried:
    """A random call, judged by the promises alone."""
    faults = bad_day(seed) if chaos else Faults()
    recording = Recording()
    call = seeded_call(seed, [recording], faults)
    call.run(LONGEST_CALL)
    late = _late(faults, call.over_at)
    objections = judged_seeded(call) + recording.objections(call.caller.heard, late)
    unknown = unjudged(call) | recording.unjudged(late)
    return Tried(f"seed {seed}", broken(objections), call.world.now, faults, unknown)


def scripted(script: CallScript, telephony: str, seed: int, agent: Agent, chaos: bool) -> Tried:
    """A script whose network and chance are another's; its expectations are not judged."""
    faults = bad_day(seed) if chaos else script.faults
    recording = Recording()
    one = staged(script, telephony, agent, seed=seed, faults=faults, observers=[recording])
    one.run()
    late = _late(faults, one.call.over_at)
    objections = judged(one.call, one.said_sorry())
    objections += recording.objections(one.call.caller.heard, late)
    name = f"{script.name} over {telephony}, seed {seed}"
    unknown = unjudged(one.call) | recording.unjudged(late)
    return Tried(name, broken(objections), one.call.world.now, faults, unknown, one.problems)


def _late(faults: Faults, call_seconds: float) -> float:
    """How much later than on a good day what the caller hears, or says, may arrive.

    Without bound where his connection suffers: nobody on our side can know what became of it.
    """
    if faults.befalling("telephony", call_seconds):
        return inf
    return faults.lateness(call_seconds) + (faults.telephony_jitter or 0.0)


class Recording:
    """An observer that puts both voices on one time line, as the recorder does."""

    def __init__(self) -> None:
        self._timeline: StereoTimeline | None = None
        self._rate_hz = 0
        self._ended_at = 0.0
        self._arrived: list[HeardSpan] = []

    def __call__(self, what: Event | Effect, now: float) -> None:
        match what:
            case events.CallArrived() if self._timeline is None:  # else he is back, on another line
                self._rate_hz = what.audio_format.rate_hz
                self._timeline = StereoTimeline(self._rate_hz)
            case events.CallerSpoke() if self._timeline is not None:
                pcm = _pcm(what.audio)
                self._timeline.caller(pcm, now)
                began = now - len(pcm) / (2 * self._rate_hz)
                self._arrived.append(self._span(pcm, began))
            case effects.PlayAudio() if self._timeline is not None:
                self._timeline.agent(_pcm(what.audio), max(what.starts_at, now), what.follows)
            case effects.MovePlayout() if self._timeline is not None:
                self._timeline.move(what.by_seconds)
            case effects.ClearPlayout() | effects.CutPlayout() if self._timeline is not None:
                self._timeline.clear(max(what.heard_until, now))
            case effects.EndCall():
                self._ended_at = now
            case _:
                pass

    def objections(self, heard: Sequence[HeardSpan], late_seconds: float) -> list[str]:
        """Empty is well; so is a call that never arrived.

        ``heard``: of the agent, by the simulated ear. ``late_seconds``: how much later than on a
        good day anything may be at either end.
        """
        if self._timeline is None:
            return []
        frames = np.frombuffer(self._timeline.finish(self._ended_at), dtype="<i2").reshape(-1, 2)
        caller, agent = (self._span(frames[:, lane].tobytes(), 0.0) for lane in (0, 1))
        found = self._length(len(frames) / self._rate_hz)
        found += recording_true("caller", [caller], self._arrived, late_seconds)
        return found + recording_true("agent", [agent], heard, late_seconds)

    def unjudged(self, late_seconds: float) -> set[str]:
        """As of any other promise: by its length alone no recording is known to be whole."""
        whole = self._timeline is not None and late_seconds < inf
        return set() if whole else {"whole-recording"}

    def _length(self, seconds: float) -> list[str]:
        """Silence belongs to it, too."""
        if abs(seconds - self._ended_at) <= LENGTH_SECONDS:
            return []
        return [f"there are {seconds:.2f} s in the recording of a call of {self._ended_at:.2f} s"]

    def _span(self, pcm: bytes, began: float) -> HeardSpan:
        ended = began + len(pcm) / (2 * self._rate_hz)
        return HeardSpan(began, ended, AudioFormat(Encoding.PCM, self._rate_hz), bytearray(pcm))


def _pcm(audio: Audio) -> bytes:
    return pcmu_decode(audio.raw) if audio.format.encoding is Encoding.PCMU else audio.raw

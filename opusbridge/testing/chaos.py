"""Calls on a bad day: whatever the network does, the promises hold."""

from dataclasses import dataclass
from random import Random

from opusbridge import effects, events
from opusbridge.agent import Agent
from opusbridge.audio.g711 import pcmu_decode
from opusbridge.effects import Effect
from opusbridge.events import Event
from opusbridge.recording.mixing import StereoTimeline
from opusbridge.sim.checks import recording_complete
from opusbridge.sim.faults import Faults
from opusbridge.sim.guarantees import broken, judged
from opusbridge.sim.script import CallScript
from opusbridge.sim.seeded import judged as judged_seeded
from opusbridge.sim.seeded import seeded_call
from opusbridge.sound import Audio, Encoding
from opusbridge.testing.virtual import staged

#: Virtual seconds; a call is over long before.
LONGEST_CALL = 600.0


@dataclass(frozen=True, slots=True)
class Tried:
    """One call, and what was said against each guarantee."""

    name: str
    broken: dict[str, list[str]]
    call_seconds: float
    faults: Faults


def bad_day(seed: int) -> Faults:
    """What befalls the call of this seed."""
    return Faults.random(Random(f"chaos {seed}"))


def seeded(seed: int, chaos: bool) -> Tried:
    """A random call, judged by the promises alone."""
    faults = bad_day(seed) if chaos else Faults()
    recording = Recording()
    call = seeded_call(seed, [recording], faults)
    call.run(LONGEST_CALL)
    objections = judged_seeded(call) + recording.objections()
    return Tried(f"seed {seed}", broken(objections), call.world.now, faults)


def scripted(script: CallScript, telephony: str, seed: int, agent: Agent, chaos: bool) -> Tried:
    """A script whose network and chance are another's; its expectations are not judged."""
    faults = bad_day(seed) if chaos else script.faults
    recording = Recording()
    one = staged(script, telephony, agent, seed=seed, faults=faults, observers=[recording])
    one.run()
    objections = judged(one.call, one.said_sorry()) + recording.objections()
    name = f"{script.name} over {telephony}, seed {seed}"
    return Tried(name, broken(objections), one.call.world.now, faults)


class Recording:
    """An observer that puts both voices on one time line, as the recorder does."""

    def __init__(self) -> None:
        self._timeline: StereoTimeline | None = None
        self._rate_hz = 0
        self._ended_at = 0.0

    def __call__(self, what: Event | Effect, now: float) -> None:
        match what:
            case events.CallArrived():
                self._rate_hz = what.audio_format.rate_hz
                self._timeline = StereoTimeline(self._rate_hz)
            case events.CallerSpoke() if self._timeline is not None:
                self._timeline.caller(_pcm(what.audio), now)
            case effects.PlayAudio() if self._timeline is not None:
                self._timeline.agent(_pcm(what.audio), max(what.starts_at, now), what.follows)
            case effects.MovePlayout() if self._timeline is not None:
                self._timeline.move(what.by_seconds)
            case effects.ClearPlayout() if self._timeline is not None:
                self._timeline.clear(max(what.heard_until, now))
            case effects.EndCall():
                self._ended_at = now
            case _:
                pass

    def objections(self) -> list[str]:
        """Empty is well; so is a call that never arrived."""
        if self._timeline is None:
            return []
        seconds = len(self._timeline.finish(self._ended_at)) / (4 * self._rate_hz)
        return recording_complete(seconds, self._ended_at)


def _pcm(audio: Audio) -> bytes:
    return pcmu_decode(audio.raw) if audio.format.encoding is Encoding.PCMU else audio.raw

"""What callers utter who mean nothing by it: coughs, over the agent and again as it goes on."""

from functools import cache
from random import Random

from opusbridge.sim import tones
from opusbridge.sim.callers import Interrupt, Say, Step, WaitForAgent

#: What a cough says.
COUGH = "(coughs)"


def with_coughs(step: Step, later: Random) -> list[Step]:
    """Who waits for the agent may cough over it: once, or again as soon as it goes on."""
    if not isinstance(step, WaitForAgent):
        return [step]
    times = later.choice([0, 1, 1, 2])
    afters = [later.choice([100, 300, 1000, 2500]) for _ in range(times)]
    return [*(Interrupt(after_ms, _cough(), timeout=10.0) for after_ms in afters), step]


@cache
def _cough() -> Say:
    return Say(tones.voice(180, 8_000, seed=7), 8_000, COUGH)

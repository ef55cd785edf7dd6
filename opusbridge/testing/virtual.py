"""Scripts in virtual time, with the agent's own functions."""

import time
from collections.abc import Sequence
from dataclasses import replace

from opusbridge.agent import Agent
from opusbridge.bridge.conduct import call_policy
from opusbridge.call.engine import Observer
from opusbridge.call.policy import AUDIOCODES, TWILIO
from opusbridge.receptionist import RECEPTIONIST
from opusbridge.sim.faults import Faults
from opusbridge.sim.guarantees import judged
from opusbridge.sim.script import CallScript
from opusbridge.sim.staged import Cast, Staged
from opusbridge.sim.world import SimulatedCall
from opusbridge.testing.agents import AgentAtWork
from opusbridge.testing.conduct import agent_for, applied, settings_for
from opusbridge.testing.names import check_names
from opusbridge.testing.result import CallResult

#: Over Twilio with REST, and where it can ask how to go on after a transfer.
TRAITS = {traits.name: traits for traits in (replace(TWILIO, transfers_return=True), AUDIOCODES)}


def staged(
    script: CallScript,
    telephony: str,
    agent: Agent = RECEPTIONIST,
    *,
    seed: int | None = None,
    faults: Faults | None = None,
    observers: Sequence[Observer] = (),
) -> Staged:
    """The call as it is to be played, not yet run.

    :raises ConfigurationError: the script asks for an agent or a setting that cannot be.
    """
    check_names(script, agent)
    agent, given = agent_for(script, agent), settings_for(script)
    settings = applied(script, agent, given)
    policy = call_policy(TRAITS[telephony], settings, agent, pings=True)

    def cast(call: Staged) -> Cast:
        return AgentAtWork(agent, given, call).cast()

    return Staged(script, policy, cast, seed=seed, faults=faults, observers=observers)


def _not_as_written(script: CallScript, call: SimulatedCall) -> list[str]:
    """Chance may miss the moment to interrupt, or end the call; who writes steps means them."""
    missed = [f"caller: {what}" for what in call.caller.verdict() if "moment to interrupt" in what]
    return missed + script.left_undone(call.caller.person)


def play(
    script: CallScript, telephony: str, agent: Agent = RECEPTIONIST, *, seed: int | None = None
) -> CallResult:
    """A whole call in virtual time: a minute of it takes a fraction of a second."""
    began = time.perf_counter()
    call = staged(script, telephony, agent, seed=seed)
    call.run()
    return CallResult(
        script,
        telephony,
        call.evidence(),
        call.findings(),
        [
            *call.problems,
            *judged(call.call, call.said_sorry(), as_written=True),
            *_not_as_written(script, call.call),
        ],
        time.perf_counter() - began,
        never_befell=call.never_befell(),
        replies=call.replies,
    )

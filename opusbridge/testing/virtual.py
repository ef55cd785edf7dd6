"""Scripts in virtual time, with the agent's own tools."""

import asyncio
import time
from collections.abc import Callable, Coroutine, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from functools import partial
from typing import Any

from opusbridge import events
from opusbridge.agent import Agent
from opusbridge.bridge.conduct import call_policy
from opusbridge.bridge.control import Control
from opusbridge.call.engine import Observer
from opusbridge.call.policy import AUDIOCODES, TWILIO
from opusbridge.receptionist import RECEPTIONIST
from opusbridge.sim.faults import Faults
from opusbridge.sim.guarantees import judged
from opusbridge.sim.script import CallScript
from opusbridge.sim.staged import Cast, Staged
from opusbridge.testing.conduct import ScriptedTool, agent_for, durations_for, settings_for
from opusbridge.testing.result import CallResult
from opusbridge.tools.context import CallContext, Digits
from opusbridge.tools.registry import Tool, ToolFailed

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
    agent = agent_for(script, agent)
    settings = agent.applied_to(settings_for(script))
    policy = call_policy(TRAITS[telephony], settings, agent)
    return Staged(
        script, policy, partial(_cast, agent), seed=seed, faults=faults, observers=observers
    )


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
        judged(call.call, call.said_sorry()),
        time.perf_counter() - began,
    )


# --- Tools ------------------------------------------------------------------------------


def _cast(agent: Agent, call: Staged) -> Cast:
    state: dict[str, Any] = {}
    tools = {tool.name: partial(_run, agent, call, tool, state) for tool in agent.tools}
    missing = {"hang_up", "transfer_call"} - set(tools)
    return Cast({**tools, **dict.fromkeys(missing, _no_such_tool)},
                durations_for(call.script, agent))  # fmt: skip


def _run(agent: Agent, call: Staged, tool: Tool, state: dict[str, Any], arguments: str) -> str:
    """:raises ValueError: with what the model is told of the failure."""
    wishes: list[events.Event] = []
    try:
        if isinstance(tool, ScriptedTool):
            return tool.output
        return _to_completion(tool.run(arguments, _context(agent, call, state, wishes.append)))
    except ToolFailed as error:
        raise ValueError(str(error)) from error
    finally:
        # Before its result, as on real sockets: nobody answers what a goodbye gives back.
        for wish in wishes:
            call.call.happened(wish)


def _no_such_tool(arguments: str) -> str:
    raise ValueError("there is no such tool")


def _context(
    agent: Agent, call: Staged, state: dict[str, Any], happened: Callable[[events.Event], None]
) -> CallContext:
    heart = call.engine.call
    return CallContext(
        "virtual",
        caller=heart.caller.value if heart.caller else None,
        callee=heart.callee.value if heart.callee else None,
        parameters=heart.parameters.value,
        control=_VirtualControl(agent, happened, lambda: None, lambda: None),
        state=state,
    )


class _VirtualControl(Control):
    async def collect_digits(
        self, length: int | None, terminator: str, seconds: float, secret: bool
    ) -> Digits:
        # The world stands still while a tool runs, so nobody would ever type.
        raise RuntimeError("digits cannot be collected in virtual time")


def _to_completion(work: Coroutine[Any, Any, str]) -> str:
    """In a thread and a loop of its own: the world waits, and whoever called may have a loop."""
    run: Callable[[Coroutine[Any, Any, str]], str] = asyncio.run
    with ThreadPoolExecutor(1) as thread:
        return thread.submit(run, work).result()

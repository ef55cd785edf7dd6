"""An agent in virtual time: its own ``configure`` and its own tools, beside the world."""

from collections.abc import Callable
from functools import partial
from typing import Any

from opusbridge.agent import Agent
from opusbridge.bridge.conduct import call_policy, refuse_undiallable
from opusbridge.bridge.control import Control, as_digits
from opusbridge.bridge.hooks import configured
from opusbridge.call.policy import CallPolicy
from opusbridge.config import Settings
from opusbridge.effects import AskApproval
from opusbridge.privacy import Private
from opusbridge.sim.staged import Cast, Staged
from opusbridge.sim.toolbox import NotRun, Still, Tools
from opusbridge.testing.aside import Aside, beside
from opusbridge.testing.conduct import ScriptedTool, TimedTool, durations_for, overruns
from opusbridge.testing.failing import unmeant
from opusbridge.tools.context import CallContext, Digits
from opusbridge.tools.mcp import McpRequest
from opusbridge.tools.registry import Tool, ToolOverran, ToolRaised


class AgentAtWork:
    """For one call, as it was staged."""

    def __init__(self, agent: Agent, given: Settings, call: Staged) -> None:
        """``given``: the settings before the agent's own."""
        self._agent, self._given, self._call = agent, given, call
        self._state: dict[str, Any] = {}
        self._asides: list[Aside] = []
        self._problems: list[str] = []

    def cast(self) -> Cast:
        durations = durations_for(self._call.script, self._agent)
        return Cast(
            self._tools(), durations, self._close, self._approves, self._configure, self._problems
        )

    def _approves(self, asked: AskApproval) -> bool:
        server = self._agent.mcp_server(asked.server_label)
        if server is None:
            return False
        request = McpRequest(asked.server_label, asked.name, asked.arguments.value)
        return beside(server.approves(request, self._context(self._agent, None)))

    def _configure(self) -> CallPolicy | None:
        traits = self._call.traits
        context = self._context(self._agent, None)
        agent = beside(configured(self._agent, self._given, traits, context, self._failed))
        if agent is None:
            return None
        self._agent = agent
        self._call.call.toolbox.change(self._tools(), durations_for(self._call.script, agent))
        return call_policy(traits, agent.applied_to(self._given), agent, pings=True)

    def _failed(self, why: str) -> None:
        """A caller is better answered by the agent as it is; a test is better told."""
        self._problems.append(f"configure failed, and the agent answered as it is: {why}")

    def _tools(self) -> Tools:
        acts: dict[str, Callable[[str], str | Still]]
        acts = dict.fromkeys(("hang_up", "transfer_call"), _no_such_tool)
        return acts | {tool.name: partial(self._act, tool) for tool in self._agent.tools}

    def _act(self, tool: Tool, arguments: str) -> str | Still:
        if overruns(self._call.script, tool):
            raise ValueError(str(tool.overran()))
        aside = Aside(f"digits-{len(self._asides)}", self._call.call.happened)
        self._asides.append(aside)
        if isinstance(tool, ScriptedTool):
            return aside.run(_played(tool))
        own = tool.own if isinstance(tool, TimedTool) else tool  # the world knows how long
        came = aside.run(self._run(own, arguments, aside))
        if came is aside:
            self._limit(tool, arguments, aside)
        return came

    def _limit(self, tool: Tool, arguments: str, aside: Aside) -> None:
        """Its own clock stands still while it waits for keys; the world's does not."""
        call = self._call.call
        taken, _ = call.toolbox.seconds(tool.name, (0.0, 0.0))
        ends_at = call.world.now + tool.timeout_seconds - taken
        call.world.at(ends_at, partial(self._overran, tool, arguments, aside))

    def _overran(self, tool: Tool, arguments: str, aside: Aside) -> None:
        call, error = self._call.call, tool.overran()
        if aside.waits and call.engine.ended is None:
            self._problems += unmeant(self._call.script, tool, arguments, error)
        call.toolbox.overran(aside, str(error))

    async def _run(self, tool: Tool, arguments: str, aside: Aside) -> str:
        try:
            return await tool.run(arguments, self._context(self._agent, aside))
        except (ToolRaised, ToolOverran) as error:
            self._problems += unmeant(self._call.script, tool, arguments, error)
            raise

    def _context(self, agent: Agent, aside: Aside | None) -> CallContext:
        heart = self._call.engine.call
        control = None
        if aside is not None:
            of_twilio = self._call.telephony == "twilio"
            virtual = _VirtualControl(agent, aside, of_twilio=of_twilio)
            control = virtual.of_tool(self._call.call.toolbox.at_work)
        return CallContext(
            "virtual",
            caller=heart.caller.value if heart.caller else None,
            callee=heart.callee.value if heart.callee else None,
            parameters=heart.parameters.value,
            control=control,
            state=self._state,
        )

    def _close(self) -> None:
        for aside in self._asides:
            aside.close()


async def _played(tool: ScriptedTool) -> str:
    return tool.output  # at once: the world knows how long it takes


def _no_such_tool(arguments: str) -> str:
    raise NotRun("there is no such tool")


def _anywhere(target: Private[str]) -> None:
    """VoiceAI Connect may be asked for any transfer."""


class _VirtualControl(Control):
    def __init__(self, agent: Agent, aside: Aside, *, of_twilio: bool) -> None:
        may_transfer = refuse_undiallable if of_twilio else _anywhere
        super().__init__(agent, aside.wish, may_transfer, lambda: None)
        self._aside = aside

    async def collect_digits(
        self, length: int | None, terminator: str, seconds: float, secret: bool
    ) -> Digits:
        return as_digits(await self._aside.keys(length, terminator, seconds, secret))

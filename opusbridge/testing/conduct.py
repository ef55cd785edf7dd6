"""How a scripted call is conducted: the agent and the settings it is played with."""

import asyncio
import time
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from pydantic import PrivateAttr

from opusbridge.agent import Agent
from opusbridge.config import Settings, variable
from opusbridge.errors import ConfigurationError
from opusbridge.sim.script import CallScript
from opusbridge.sim.script.model import ToolTable
from opusbridge.testing.failing import WatchedTool
from opusbridge.tools import transfer_call
from opusbridge.tools.context import CallContext
from opusbridge.tools.registry import Manners, Tool, ToolFailed

#: What a script may set: how a call goes, not where it goes or who may make it.
SETTINGS: frozenset[str] = frozenset(Settings.model_fields) - {
    *("openai_api_key", "realtime_url", "realtime_auth", "model", "agent"),
    *("public_url", "own_url"),
    *(name for name in Settings.model_fields if name.startswith(("twilio_", "audiocodes_"))),
    *("admin_token", "allow_unauthenticated", "data_dir", "record", "flight", "drain_seconds"),
    *("max_calls", "log_format", "log_level", "speech_dir", "sockets", "capacity_file"),
    *(name for name in Settings.model_fields if name.startswith(("webhook_", "outbound_"))),
}

#: Keys of an agent that a script may set; its tools are Python.
AGENT_KEYS: frozenset[str] = frozenset(
    name for name in Agent.model_fields if name not in ("tools", "mcp", "configure", "on_end")
)


class ScriptedTool(Tool):
    """Plays what the script says, whatever it is given; in all else it is the agent's own."""

    def __init__(self, table: ToolTable, own: Tool | None) -> None:
        async def play() -> None:
            """A tool of a call script."""

        play.__name__ = table.name
        if own is not None:
            super().__init__(own.function, own.manners)
        else:
            super().__init__(play, Manners(max(table.seconds, 0.1) * 2))
        self.table = table

    async def run(self, arguments_json: str, call: CallContext) -> str:
        await asyncio.sleep(min(self.table.seconds, self.timeout_seconds))
        if self.table.seconds > self.timeout_seconds:
            raise self.overran()
        return self.output

    @property
    def output(self) -> str:
        """:raises ToolFailed: the script says that it fails."""
        if self.table.error is not None:
            raise ToolFailed(self.table.error)
        return self.table.output_text


class TimedTool(Tool):
    """The agent's own, which takes at least so long."""

    def __init__(self, own: Tool, seconds: float) -> None:
        super().__init__(own.function, own.manners)
        self.own, self.seconds = own, seconds

    async def run(self, arguments_json: str, call: CallContext) -> str:
        if self.seconds > self.timeout_seconds:
            await asyncio.sleep(self.timeout_seconds)
            raise self.overran()
        began = time.monotonic()
        try:
            output = await self.own.run(arguments_json, call)
        except ToolFailed:
            await self._wait(time.monotonic() - began)
            raise
        await self._wait(time.monotonic() - began)
        return output

    async def _wait(self, taken: float) -> None:
        """So that a script may say how long it takes, for virtual time, and is right here too."""
        await asyncio.sleep(max(0.0, self.seconds - taken))


class _PlayedAgent(Agent):
    """What a script changes about an agent is not undone by its ``configure``."""

    _script: CallScript = PrivateAttr()
    _base: Agent = PrivateAttr()
    _failed: Callable[[str], None] | None = PrivateAttr()

    def changed(self, told: object) -> Agent:
        return _played(self._script, self._base.changed(told), self._failed, self._base)


def defaults() -> dict[str, Any]:
    """Every setting's default, whatever the environment says."""
    return {
        name: one.get_default(call_default_factory=True)
        for name, one in Settings.model_fields.items()
    }


def settings_for(script: CallScript, **more: Any) -> Settings:
    """The defaults with the script's own settings, then ``more``.

    :raises ConfigurationError: naming the line of a setting that will not do.
    """
    unknown = next((name for name in script.settings if name not in SETTINGS), None)
    if unknown is not None:
        raise ConfigurationError(
            f"{_place(script, 'settings', unknown)}: no setting that a script may change; "
            f"there are {', '.join(sorted(SETTINGS))}"
        )
    try:
        return Settings.load(_env_file=None, **{**defaults(), **script.settings, **more})
    except ConfigurationError as error:
        place = _place(script, "settings", _about(error, script.settings))
        raise ConfigurationError(f"{place}: {error}") from None


def applied(script: CallScript, agent: Agent, settings: Settings) -> Settings:
    """``settings`` of :func:`settings_for` with what ``agent`` of :func:`agent_for` says itself.

    :raises ConfigurationError: naming the line of what does not go with the agent, unless it is
        the agent that does not go with itself.
    """
    try:
        return agent.applied_to(settings)
    except ConfigurationError as error:
        for table, keys in (("agent", script.agent), ("settings", script.settings)):
            if (key := _about(error, keys)) is not None:
                raise ConfigurationError(f"{_place(script, table, key)}: {error}") from None
        raise


def agent_for(
    script: CallScript, base: Agent, failed: Callable[[str], None] | None = None
) -> Agent:
    """``base`` with what the script changes about it, and with the script's tools; so is whomever
    its ``configure`` chooses, who may bring tools that the script only times.

    ``failed`` is told of tools of its own that failed as nobody meant them to, where time is real.

    :raises ConfigurationError: naming the line of a key that will not do.
    """
    return _played(script, base, failed)


def _played(
    script: CallScript,
    base: Agent,
    failed: Callable[[str], None] | None,
    before: Agent | None = None,
) -> Agent:
    """``before``: who was played until ``configure`` chose this one."""
    unknown = next((name for name in script.agent if name not in AGENT_KEYS), None)
    if unknown is not None:
        raise ConfigurationError(
            f"{_place(script, 'agent', unknown)}: no key of an agent that a script may change; "
            f"there are {', '.join(sorted(AGENT_KEYS))}"
        )
    keys: dict[str, Any] = {name: getattr(base, name) for name in Agent.model_fields}
    keys |= {name: None if value is False and name == "greeting" else value
             for name, value in script.agent.items()}  # fmt: skip
    own = base.tools if failed is None else [WatchedTool(one, script, failed) for one in base.tools]
    tools: dict[str, Tool] = {tool.name: tool for tool in own}
    had = () if before is None else [tool.name for tool in before.tools]
    if script.agent.get("destinations") and transfer_call.name not in tools:
        tools[transfer_call.name] = transfer_call
    for table in script.tools:
        if table.played:
            tools[table.name] = ScriptedTool(table, tools.get(table.name))
        elif table.name in tools:
            if "seconds" in table.model_fields_set:
                tools[table.name] = TimedTool(tools[table.name], table.seconds)
        elif table.name not in had and base.configure is None:
            raise ConfigurationError(
                f"{_place(script, 'tools', script.tools.index(table))}: the agent has no tool "
                f"{table.name}: give it an output or an error"
            )
    try:
        with base.at_home():
            played = _PlayedAgent(**{**keys, "tools": list(tools.values())})
    except ConfigurationError as error:
        key = next((name for name in script.agent if f"agent: {name}" in str(error)), None)
        raise ConfigurationError(f"{_place(script, 'agent', key)}: {error}") from None
    played._script, played._base, played._failed = script, base, failed
    return played


def durations_for(script: CallScript, agent: Agent) -> Mapping[str, float]:
    """Of all the agent's tools in virtual time: as declared, else 0.2 s; in time, or cut short."""
    return {tool.name: min(_seconds(script, tool), tool.timeout_seconds) for tool in agent.tools}


def overruns(script: CallScript, tool: Tool) -> bool:
    """Whether it is declared to take longer than it may."""
    declared = (one for one in script.tools if "seconds" in one.model_fields_set)
    return any(one.name == tool.name and one.seconds > tool.timeout_seconds for one in declared)


def _seconds(script: CallScript, tool: Tool) -> float:
    usual: float = ToolTable.model_fields["seconds"].get_default()
    return next((table.seconds for table in script.tools if table.name == tool.name), usual)


def _about(error: ConfigurationError, keys: Iterable[str]) -> str | None:
    """The one it is about."""
    return next((key for key in keys if key == error.key or variable(key) in str(error)), None)


def _place(script: CallScript, table: str, key: str | int | None) -> str:
    path = (table,) if key is None else (table, key)
    shown = "" if key is None else f"[{key}]" if isinstance(key, int) else f".{key}"
    return f"{script.file}:{script.line(path)}: {table}{shown}"

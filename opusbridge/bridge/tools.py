"""Runs the tools of one call beside it, and never in the way of its audio."""

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

from orjson import dumps

from opusbridge import effects, events
from opusbridge.agent import Agent
from opusbridge.privacy import Private
from opusbridge.texts import well_formed
from opusbridge.tools.context import CallContext
from opusbridge.tools.mcp import McpRequest
from opusbridge.tools.registry import ToolFailed, ToolRefused
from opusbridge.tools.results import LONGEST_ERROR


class SideWork:
    """Tasks of one call that are neither of its sockets: tools, and requests to a provider.

    They run in the call's task group and are cancelled with it.
    """

    def __init__(self, group: asyncio.TaskGroup) -> None:
        self._group = group
        self._tasks: set[asyncio.Task[None]] = set()

    def begin(self, work: Coroutine[Any, Any, None]) -> None:
        task = self._group.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def cancel(self) -> None:
        for task in list(self._tasks):
            task.cancel()


async def run_tool(
    agent: Agent,
    wanted: effects.RunTool | effects.AskApproval,
    context: CallContext,
    finished: Callable[[events.ToolFinished | events.ApprovalDecided], None],
) -> None:
    """Run it and report; whatever goes wrong becomes a short error for the model to read.

    The agent's policy about an MCP server's tool is run as a tool is; it says no unless it says
    yes.
    """
    if isinstance(wanted, effects.AskApproval):
        asked = McpRequest(wanted.server_label, wanted.name, wanted.arguments.value)
        server = agent.mcp_server(wanted.server_label)
        approve = server is not None and await server.approves(asked, context)
        finished(events.ApprovalDecided(wanted.item_id, approve))
        return
    tool = agent.tool(wanted.name)
    failed, refused = True, False
    try:
        if tool is None:
            raise ToolRefused("there is no such tool")
        output = await tool.run(wanted.arguments.value, context)
        failed = False
    except ToolFailed as error:
        refused = isinstance(error, ToolRefused)
        output = dumps({"error": well_formed(str(error))[:LONGEST_ERROR]}).decode()
    finished(events.ToolFinished(wanted.tool_call_id, Private(output), failed, refused))

"""Tools of MCP servers, as the service runs them: listed, perhaps approved, run.

The order of the events is that of https://developers.openai.com/api/docs/guides/realtime-mcp and of
the example ``examples/realtime/mcp_approval.rb`` in openai/openai-ruby: a call that needs approval
is run when that has come, which may be after its response is over. Whether the real service then
goes on by itself is not known: a knob says whether this one does.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

from opusbridge.sim.model.conversation import Conversation, Entry, shown
from opusbridge.sim.model.referee import Referee
from opusbridge.sim.model.replies import McpCallReply, ReplyScript
from opusbridge.sim.model.schedule import Schedule
from opusbridge.sim.model.session import Session
from opusbridge.sim.model.wire import Wire

LISTING_SECONDS = 0.2


class McpHost:
    def __init__(
        self,
        wire: Wire,
        schedule: Schedule,
        session: Session,
        conversation: Conversation,
        replies: ReplyScript,
        referee: Referee,
        goes_on: Callable[[], None],
    ) -> None:
        """``goes_on`` hears of each result that came after its response."""
        self._goes_on = goes_on
        self._wire, self._schedule, self._session = wire, schedule, session
        self._conversation, self._replies, self._referee = conversation, replies, referee
        self._listed: set[str] = set()
        self._waiting: dict[str, tuple[Entry, McpCallReply, int]] = {}

    def session_changed(self) -> None:
        """Servers that are new in it are asked for their tools."""
        for tool in self._session.settings["tools"]:
            if tool.get("type") == "mcp" and tool["server_label"] not in self._listed:
                self._listed.add(tool["server_label"])
                self._list(tool["server_label"])

    def needs_approval(self, call: McpCallReply) -> bool:
        tools = self._session.settings["tools"]
        policies = (
            tool.get("require_approval", "always")
            for tool in tools
            if tool.get("server_label") == call.server_label
        )
        policy = next(policies, "always")
        if isinstance(policy, dict):
            return call.name not in policy.get("never", {}).get("tool_names", ())
        return bool(policy == "always")

    def asked(self, request_id: str, entry: Entry, call: McpCallReply, index: int) -> None:
        """The call waits for the client's word."""
        self._waiting[request_id] = entry, call, index
        self._referee.approval_asked(request_id, self._schedule.now)

    def decided(self, item: dict[str, Any]) -> None:
        """A client's ``mcp_approval_response`` is in the conversation."""
        waiting = self._waiting.pop(item["approval_request_id"], None)
        if waiting is not None and item["approve"]:
            entry, call, index = waiting
            self.begin(entry, index)
            self._schedule.after(call.seconds, partial(self._run, entry, call, index))

    def begin(self, entry: Entry, index: int) -> None:
        self._wire.say("response.mcp_call.in_progress", output_index=index, item_id=entry.id)

    def finish(self, entry: Entry, call: McpCallReply, index: int) -> None:
        if call.error is None:
            entry.item["output"] = call.output
        else:
            entry.item["error"] = {"type": "tool_execution_error", "message": call.error}
        how = "completed" if call.error is None else "failed"
        self._wire.say(f"response.mcp_call.{how}", output_index=index, item_id=entry.id)
        self._referee.mcp_done(entry.id, self._schedule.now)

    def _run(self, entry: Entry, call: McpCallReply, index: int) -> None:
        self.finish(entry, call, index)
        previous = self._conversation.before(entry)
        self._wire.say("conversation.item.done", previous_item_id=previous, item=shown(entry.item))
        self._goes_on()

    def _list(self, label: str) -> None:
        item = {
            "id": self._wire.new_id("mcpl"),
            "type": "mcp_list_tools",
            "server_label": label,
            "tools": [],
        }
        entry = Entry(item)
        previous = self._conversation.append(entry)
        self._wire.say("conversation.item.added", previous_item_id=previous, item=shown(item))
        self._wire.say("mcp_list_tools.in_progress", item_id=entry.id)
        self._schedule.after(LISTING_SECONDS, partial(self._say_listed, entry, label))

    def _say_listed(self, entry: Entry, label: str) -> None:
        how = "failed" if label in self._replies.mcp_unlisted else "completed"
        self._wire.say(f"mcp_list_tools.{how}", item_id=entry.id)
        previous = self._conversation.before(entry)
        self._wire.say("conversation.item.done", previous_item_id=previous, item=shown(entry.item))

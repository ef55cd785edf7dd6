"""Tools of MCP servers: the provider runs them, and we say whether it may.

They are in the same books as our own (``tools.py``), so that one reply answers all the tools of a
response. The wire leaves open whether the model goes on by itself when such a tool is done
(openai-realtime 5.10; the guide at https://developers.openai.com/api/docs/guides/realtime-mcp lets
it, the example ``examples/realtime/mcp_approval.rb`` of openai/openai-ruby asks for a response). So
it is asked to, through the one door, if it has said nothing since.

An approval is open until the tool that it was for is done, which may be after the response is
over. If another response runs it, that is the one to speak of it. What the provider never finishes
is given up, and spoken of; but of a response that was cut short nobody wants to hear any more, and
its tools are dropped with it.
"""

from collections.abc import Callable
from dataclasses import dataclass

from opusbridge import effects, events
from opusbridge.call.history import History, told_result
from opusbridge.call.machines import is_due, remember
from opusbridge.call.openings import Openings
from opusbridge.call.policy import ToolTraits
from opusbridge.call.tools import ToolDesk
from opusbridge.call.transcript import Transcript
from opusbridge.effects import Effect, Note

#: The provider has its own, shorter limits; beyond this nothing will come.
MOST_SECONDS = 60.0

#: Characters of a result that another session is told.
LONGEST_TOLD = 16 * 1024

TRAITS = ToolTraits(reply="unless_it_goes_on")


@dataclass(slots=True)
class _Open:
    response_id: str
    tool: tuple[str | None, str | None]
    """The server's label, and the tool's name there."""
    due: float
    approved: bool = False
    """Of a request: the tool it was for is under way."""

    def may_be_for(self, call: "_Open") -> bool:
        """Whether this request is for that call, or for another of the same tool. Whether a tool
        needs a yes goes by its name: of one that does, no call is run without."""
        untold = None in call.tool
        return self.response_id == call.response_id and (untold or self.tool == call.tool)


class McpWork:
    """Every method takes ``now`` in seconds. Those settled by it are at the desk, which says
    what is to be answered."""

    def __init__(
        self, desk: ToolDesk, history: History, transcript: Transcript, openings: Openings
    ) -> None:
        self._desk, self._history, self._transcript = desk, history, transcript
        self._openings = openings
        self._calls: dict[str, _Open] = {}
        self._requests: dict[str, _Open] = {}
        self._seen: list[str] = []
        self._notes = 0

    @property
    def deadline(self) -> float | None:
        if not (self._calls or self._requests):
            return None
        return min(one.due for one in (*self._calls.values(), *self._requests.values()))

    def busy_until(self, response_id: str | None) -> float | None:
        """How long the provider may take with the tools of this response, if it runs any."""
        due = (one.due for one in self._calls.values() if one.response_id == response_id)
        return max(due, default=None)

    def began(self, event: events.OutputItemAdded, spoke: str | None, now: float) -> None:
        """``spoke``: the last response that made sound."""
        of, tool = event.response_id, (event.server_label, event.name)
        if self._desk.called(of, event.item_id, "", TRAITS, spoke != of):
            self._calls[event.item_id] = _Open(of, tool, now + MOST_SECONDS)

    def asked(
        self,
        event: events.ApprovalAsked,
        latest: str,
        spoke: str | None,
        at_ms: int,
        now: float,
    ) -> list[Effect]:
        """``latest``: the response it belongs to if the event does not say; ``spoke``: the last
        that made sound."""
        response_id = event.response_id or latest
        if not self._desk.called(response_id, event.item_id, "", TRAITS, spoke != response_id):
            return []  # it is told twice, as an output and as an item
        tool = event.server_label, event.name
        self._requests[event.item_id] = _Open(response_id, tool, now + MOST_SECONDS)
        wanted = f"{event.server_label}.{event.name}({event.arguments.value})"
        self._openings.began(event.item_id)
        withheld = self._openings.met_a_pause(event.item_id)
        self._transcript.used(event.item_id, event.item_id, wanted, at_ms, withheld)
        return [effects.AskApproval(event.item_id, event.server_label, event.name, event.arguments)]

    def decided(self, item_id: str, approve: bool, at_ms: int) -> Note | None:
        """``None`` if nobody waits for it."""
        request = self._requests.get(item_id)
        if request is None or request.approved:
            return None
        words = "approved" if approve else "refused"
        self._transcript.answered(item_id, words, not approve, at_ms)
        request.approved = approve
        return Note("mcp", words, (item_id,))

    def refused(self, item_id: str) -> list[str]:
        """What is settled by that: the request, and the tools that waited for nothing else."""
        return self._closed(item_id)

    def run_by_another(self, item_id: str, approval_request_id: str | None) -> list[str]:
        """The same if the tool was not run by the response that asked: nothing comes of these."""
        asked, ran_in = approval_request_id or "", self._desk.response_of(item_id)
        request = self._requests.get(asked)
        if request is None or ran_in in (None, request.response_id):
            return []
        return self._closed(asked)

    def _closed(self, item_id: str) -> list[str]:
        request = self._requests.pop(item_id)
        for_nothing = [
            key
            for key, call in self._calls.items()
            if request.may_be_for(call)
            and not any(other.may_be_for(call) for other in self._requests.values())
        ]
        for key in for_nothing:
            del self._calls[key]
        return [item_id, *for_nothing]

    def settled(self, item_id: str, approval_request_id: str | None) -> list[str]:
        """The tool is done; what is settled by that: itself, and the request it was for."""
        call = self._calls.pop(item_id, None)
        if approval_request_id is None and call is not None:
            of_it = (
                key for key, one in self._requests.items() if one.approved and one.may_be_for(call)
            )
            approval_request_id = next(of_it, None)
        request = self._requests.pop(approval_request_id or "", None)
        found = [] if call is None else [item_id]
        return (
            found if request is None or not approval_request_id else [*found, approval_request_id]
        )

    def used(self, event: events.McpUsed, at_ms: int) -> None:
        """Written down, and kept for another session: to that no call of a server's can be told."""
        if event.item_id in self._seen:
            return
        remember(self._seen, event.item_id)
        wanted = f"{event.server_label}.{event.name}({event.arguments.value})"
        whole = event.item_id, event.approval_request_id  # from when it was asked for
        withheld = any(map(self._openings.met_a_pause, whole))
        self._transcript.used(event.item_id, event.item_id, wanted, at_ms, withheld)
        self._transcript.answered(event.item_id, event.output.value, event.failed, at_ms)
        self._notes += 1
        words = told_result(event.name, event.output.value[:LONGEST_TOLD])
        note = effects.AddText(f"mcp-{self._notes}", "system", words)
        self._history.note_added(note, event.item_id)

    def overdue(self, now: float) -> list[str]:
        """What is given up now."""
        return self._given_up(lambda one: is_due(one.due, now))

    def broken_off(self, response_id: str) -> list[str]:
        """It was cut short, and with it the tools that the provider ran for it.

        Not those that may yet be approved: they come after their response anyway.
        """
        if any(one.response_id == response_id for one in self._requests.values()):
            return []
        gone = [key for key, one in self._calls.items() if one.response_id == response_id]
        for key in gone:
            del self._calls[key]
        return gone

    def lost(self) -> list[str]:
        """The session is, and with it everything that it had under way."""
        return self._given_up(lambda one: True)

    def _given_up(self, over: Callable[[_Open], bool]) -> list[str]:
        found: list[str] = []
        for waits in (self._calls, self._requests):
            gone = [key for key, one in waits.items() if over(one)]
            for key in gone:
                del waits[key]
            found += gone
        return found

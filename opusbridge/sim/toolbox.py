"""The tools of a simulated call: what they give, and how long they take in virtual time."""

from collections.abc import Callable, Mapping
from functools import partial
from json import JSONDecodeError, dumps, loads
from typing import Protocol

from opusbridge import effects, events
from opusbridge.privacy import Private


class Still(Protocol):
    """A tool that stands still until keys were typed."""

    def expects(self, collection_id: str) -> bool: ...

    def go_on(self, delivered: effects.DeliverDigits) -> "str | Still":
        """As the tool itself: its output, or itself again."""

    def close(self) -> None:
        """Whatever it still waits for does not come."""


class NotRun(ValueError):
    """There is no such tool, or it would not have the arguments."""


#: A tool takes the model's JSON text and gives the output text; ValueError means it failed,
#: and its text is what the model is told.
Tools = Mapping[str, Callable[[str], str | Still]]


def told_of_failure(why: str) -> str:
    """The output text of a tool that failed."""
    return dumps({"error": why or "the tool failed"})


class Toolbox:
    """``hang_up`` and ``transfer_call`` are always there and ask the engine as the real ones
    do, unless ``tools`` has others of these names."""

    def __init__(
        self,
        tools: Tools,
        destinations: Mapping[str, str],
        durations: Mapping[str, float],
        happened: Callable[[events.Event], None],
    ) -> None:
        """``durations`` in seconds, of the tools whose time is not left to chance."""
        self.run: list[str] = []
        """Every tool that was, in order."""
        self.at_work = ""
        """The ``tool_call_id`` of the tool that is being run."""
        self._tools = dict(tools)
        self._destinations = dict(destinations)
        self._durations = dict(durations)
        self._happened = happened
        self._still: list[tuple[str, Still]] = []
        self.approves: Callable[[effects.AskApproval], bool] = lambda asked: False
        """The agent's policy about the tools of MCP servers."""

    def seconds(self, name: str, usual: tuple[float, float]) -> tuple[float, float]:
        """The least and the most it takes."""
        known = self._durations.get(name)
        return usual if known is None else (known, known)

    def change(self, tools: Tools, durations: Mapping[str, float]) -> None:
        """From now on these are the agent's."""
        self._tools, self._durations = dict(tools), dict(durations)

    def use(self, wanted: effects.RunTool) -> None:
        """Run it; the model is told at once what came of it, unless it waits for keys."""
        self.run.append(wanted.name)
        act = partial(self._output_of, wanted.name, wanted.arguments.value)
        self._settle(wanted.tool_call_id, act)

    def asked(self, about: effects.AskApproval) -> None:
        self._happened(events.ApprovalDecided(about.item_id, self.approves(about)))

    def delivered(self, digits: effects.DeliverDigits) -> None:
        """To whoever waits for them; nobody may any more."""
        for waiting in self._still:
            tool_call_id, tool = waiting
            if tool.expects(digits.collection_id):
                self._still.remove(waiting)
                self._settle(tool_call_id, partial(tool.go_on, digits))
                return

    def overran(self, tool: Still, told: str) -> None:
        """The time of one that stood still is over, unless it has ended; the model is told so."""
        for waiting in self._still:
            tool_call_id, still = waiting
            if still is tool:
                self._still.remove(waiting)
                self.at_work = tool_call_id
                tool.close()
                self._tell(tool_call_id, told_of_failure(told), failed=True)
                return

    def _settle(self, tool_call_id: str, act: Callable[[], str | Still]) -> None:
        self.at_work, failed, refused = tool_call_id, False, False
        try:
            came = act()
        except ValueError as error:
            came, failed = told_of_failure(str(error)), True
            refused = isinstance(error, NotRun)
        if isinstance(came, str):
            self._tell(tool_call_id, came, failed, refused)
        else:
            self._still.append((tool_call_id, came))

    def _tell(self, tool_call_id: str, output: str, failed: bool, refused: bool = False) -> None:
        self._happened(events.ToolFinished(tool_call_id, Private(output), failed, refused))

    def _output_of(self, name: str, arguments: str) -> str | Still:
        if name in self._tools:
            return self._tools[name](arguments)
        if name == "hang_up":
            by = self.at_work
            self._happened(events.HangUpRequested("agent-hung-up", tool_call_id=by))
            return dumps({"status": "hanging up"})
        if name == "transfer_call":
            if (target := self._target(arguments)) is None:
                raise ValueError("there is no such destination")
            asked = events.TransferRequested(Private(target), tool_call_id=self.at_work)
            self._happened(asked)
            return dumps({"status": "transferring"})
        raise NotRun("there is no such tool")

    def _target(self, arguments: str) -> str | None:
        try:
            wanted = loads(arguments)
        except JSONDecodeError:
            return None
        return self._destinations.get(wanted.get("destination", ""))

"""Tool calls running, and what to do after.

One reply for all the tools of a response, not one for each: the calls of a response are a
batch, and a batch is answered when the response is over and every output was sent. An
output itself is never held back. Whether it is answered at all is the tools' to say.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field

from opusbridge.call.machines import remember
from opusbridge.call.pending import Cause, Why
from opusbridge.call.policy import ToolTraits

#: Running at once in one call; a model that asks for more is looping.
MOST_RUNNING = 32

#: Calls known by their ids: one that is seen twice is seen so within a response, or right after.
MOST_KNOWN = 128


@dataclass(slots=True)
class Batch:
    running: dict[str, tuple[str, ToolTraits]] = field(default_factory=dict)
    """By the call's id: the tool's name, and what is said of it."""
    outputs: set[str] = field(default_factory=set)
    """The ids of the output items sent."""
    closed: bool = False
    """The response is over: no further call belongs to it."""
    bridged: bool = False
    """Whether anything is to be said first was asked already."""
    silent: bool = True
    """The agent has said nothing since the response began, but for something to say first."""
    went_on: bool = False
    """The agent has said something since the latest of its tools was called or done."""
    owed: set[str] = field(default_factory=set)
    """What its tools ask for, done so far: see :class:`ToolTraits`."""

    @property
    def wants_reply(self) -> bool:
        """To what is done so far."""
        stands_still = not self.went_on and "unless_it_goes_on" in self.owed
        return self._asks(self.owed) or stands_still

    @property
    def will_want_reply(self) -> bool:
        """To what still runs, if all goes well."""
        asked = {traits.reply for _, traits in self.running.values()}
        return self._asks(asked) or "unless_it_goes_on" in asked

    def _asks(self, asked: set[str]) -> bool:
        return "always" in asked or (self.silent and "if_silent" in asked)


class ToolDesk:
    """Which tool calls are open, by the response that made them."""

    def __init__(self) -> None:
        self._batches: dict[str, Batch] = {}
        self._batch_of: dict[str, str] = {}
        self._over: list[str] = []

    @property
    def running(self) -> int:
        return sum(len(batch.running) for batch in self._batches.values())

    def owing(self, unasked: str | None) -> bool:
        """Whether a reply waits for any that run, or for what comes of them. ``unasked``: the
        response of whose tools none is asked for."""
        return any(
            batch.will_want_reply or (batch.wants_reply and response_id != unasked)
            for response_id, batch in self._batches.items()
            if batch.running
        )

    @property
    def owing_words(self) -> bool:
        """Whether one does for any since whose response began the agent has said nothing."""
        return any(
            batch.silent and (batch.will_want_reply or batch.wants_reply)
            for batch in self._batches.values()
            if batch.running
        )

    @property
    def busy(self) -> bool:
        """Whether any calls are not answered for yet."""
        return bool(self._batches)

    @property
    def at_work(self) -> Iterator[tuple[str, ToolTraits]]:
        """All that run."""
        return (use for batch in self._batches.values() for use in batch.running.values())

    def called(
        self,
        response_id: str,
        tool_call_id: str,
        name: str,
        traits: ToolTraits,
        silent: bool = True,
    ) -> bool:
        """Whether it is new: a call seen twice must not run twice. ``silent``: the response has
        said nothing yet."""
        if tool_call_id in self._batch_of:
            return False
        # A call that comes after its response was given up on is a batch of its own.
        over = response_id in self._over
        fresh = Batch(closed=over, bridged=over)
        batch = self._batches.setdefault(response_id, fresh)
        batch.running[tool_call_id] = name, traits
        batch.silent = batch.silent and silent
        batch.went_on = False
        self._batch_of[tool_call_id] = response_id
        if len(self._batch_of) > MOST_KNOWN:
            done = (known for known in self._batch_of if not self.is_running(known))
            self._batch_of.pop(next(done, ""), None)
        return True

    def agent_spoke(self) -> None:
        """And said more than that he is to wait."""
        for batch in self._batches.values():
            batch.silent, batch.went_on = False, True

    def file_spoke(self, response_id: str) -> None:
        """A tool of that response has, which knows nothing of what the others give."""
        if batch := self._batches.get(response_id):
            batch.silent = False

    def finished(
        self, tool_call_id: str, output_item_id: str | None, failed: bool = False
    ) -> Cause | None:
        """Its output was sent, or the model has it already; the cause to answer, if that
        completes the batch."""
        response_id = self._batch_of[tool_call_id]
        batch = self._batches[response_id]
        _, traits = batch.running.pop(tool_call_id)
        batch.owed.add("always" if failed else traits.reply)
        batch.went_on = False
        if output_item_id is not None:
            batch.outputs.add(output_item_id)
        return self._complete(response_id)

    def will_reply(self, response_id: str | None) -> bool:
        """Whether a reply follows to the tools of this response, which is cut off now."""
        batch = self._batches.get(response_id or "")
        return batch is not None and (batch.will_want_reply or batch.wants_reply)

    def dropped(self, tool_call_id: str) -> Cause | None:
        """It is run no more, and nobody asks what came of it; the cause to answer, if the others
        of its response waited for no more than that."""
        response_id = self._batch_of[tool_call_id]
        self._batches[response_id].running.pop(tool_call_id)
        return self._complete(response_id)

    def response_of(self, tool_call_id: str) -> str | None:
        return self._batch_of.get(tool_call_id)

    def is_running(self, tool_call_id: str) -> bool:
        batch = self._batches.get(self._batch_of.get(tool_call_id, ""))
        return batch is not None and tool_call_id in batch.running

    def response_over(self, response_id: str) -> Cause | None:
        """The cause to answer, if its tools are all done."""
        remember(self._over, response_id)
        batch = self._batches.get(response_id)
        if batch is None:
            return None
        batch.closed = True
        return self._complete(response_id)

    def preamble(self, response_id: str) -> Cause | None:
        """Something to say while the tools of a response that is over are still at work; once."""
        batch = self._batches.get(response_id)
        if batch is None or batch.bridged:
            return None
        batch.bridged = True
        if not batch.silent:
            return None
        said = (traits.say_first for _, traits in batch.running.values())
        words = next(filter(None, said), None)
        return None if words is None else Cause(Why.PREAMBLE, response_id, instructions=words)

    def _complete(self, response_id: str) -> Cause | None:
        batch = self._batches[response_id]
        if not batch.closed or batch.running:
            return None
        del self._batches[response_id]
        if not batch.wants_reply:
            return None
        return Cause(Why.TOOLS, response_id, frozenset(batch.outputs))

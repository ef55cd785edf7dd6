"""Tool calls running, and what to do after.

One reply for all the tools of a response, not one for each: the calls of a response are a
batch, and a batch is answered when the response is over and every output was sent. An
output itself is never held back.
"""

from dataclasses import dataclass, field

from opusbridge.call.pending import Cause, Why

#: Running at once in one call; a model that asks for more is looping.
MOST_RUNNING = 32


@dataclass(slots=True)
class Batch:
    running: set[str] = field(default_factory=set)
    outputs: set[str] = field(default_factory=set)
    """The ids of the output items sent."""
    closed: bool = False
    """The response is over: no further call belongs to it."""


class ToolDesk:
    """Which tool calls are open, by the response that made them."""

    def __init__(self) -> None:
        self._batches: dict[str, Batch] = {}
        self._batch_of: dict[str, str] = {}
        self._over: set[str] = set()

    @property
    def running(self) -> int:
        return sum(len(batch.running) for batch in self._batches.values())

    def called(self, response_id: str, tool_call_id: str) -> bool:
        """Whether it is new: a call seen twice must not run twice."""
        if tool_call_id in self._batch_of:
            return False
        # A call that comes after its response was given up on is a batch of its own.
        fresh = Batch(closed=response_id in self._over)
        self._batches.setdefault(response_id, fresh).running.add(tool_call_id)
        self._batch_of[tool_call_id] = response_id
        return True

    def finished(self, tool_call_id: str, output_item_id: str) -> Cause | None:
        """Its output was sent; the cause to answer, if that completes the batch."""
        response_id = self._batch_of[tool_call_id]
        batch = self._batches[response_id]
        batch.running.discard(tool_call_id)
        batch.outputs.add(output_item_id)
        return self._complete(response_id)

    def is_running(self, tool_call_id: str) -> bool:
        batch = self._batches.get(self._batch_of.get(tool_call_id, ""))
        return batch is not None and tool_call_id in batch.running

    def response_over(self, response_id: str) -> Cause | None:
        self._over.add(response_id)
        batch = self._batches.get(response_id)
        if batch is None:
            return None
        batch.closed = True
        return self._complete(response_id)

    def _complete(self, response_id: str) -> Cause | None:
        batch = self._batches[response_id]
        if not batch.closed or batch.running:
            return None
        del self._batches[response_id]
        return Cause(Why.TOOLS, response_id, frozenset(batch.outputs))

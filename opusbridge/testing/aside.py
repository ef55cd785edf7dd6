"""The agent's own functions beside a world in virtual time: a tool may wait for the caller's keys.

The world stands still while the tool runs, and the tool while it waits for keys. It has a loop
of its own, in a thread: whoever plays a script may have a loop already.
"""

import asyncio
from collections.abc import Callable, Coroutine
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar

from opusbridge import effects, events
from opusbridge.sim.toolbox import NotRun, Still
from opusbridge.tools.registry import ToolFailed, ToolRefused

T = TypeVar("T")


class Aside(Still):
    """``name`` is no other tool's of this call. :meth:`close` it in the end: it may wait still."""

    def __init__(self, name: str, happened: Callable[[events.Event], None]) -> None:
        self._name, self._happened = name, happened
        self._loop = asyncio.new_event_loop()
        self._task: asyncio.Task[str] | None = None
        self._stands_still = asyncio.Event()
        self._waiting: dict[str, asyncio.Future[effects.DeliverDigits]] = {}
        self._collections = 0
        self._wishes: list[events.Event] = []

    def run(self, work: Coroutine[Any, Any, str]) -> str | Still:
        """What the tool gives; or this, if it waits for keys.

        :raises ValueError: with what the model is told of the failure.
        """
        self._task = self._loop.create_task(work)
        return self._go()

    def wish(self, event: events.Event) -> None:
        """Asked by the tool, of the call: granted before its result is told, as on sockets."""
        self._wishes.append(event)

    async def keys(
        self, length: int | None, terminator: str, seconds: float, secret: bool
    ) -> effects.DeliverDigits:
        """Asked by the tool. In the meantime the world goes on."""
        self._collections += 1
        name = f"{self._name}-{self._collections}"
        waiting: asyncio.Future[effects.DeliverDigits] = self._loop.create_future()
        self._waiting[name] = waiting
        self.wish(events.DigitsWanted(name, length, terminator, seconds, secret))
        self._stands_still.set()
        try:
            return await waiting
        finally:
            if waiting.cancelled():
                self.wish(events.DigitsUnwanted(name))

    @property
    def waits(self) -> bool:
        """Whether it was begun and has not ended."""
        return self._task is not None and not self._task.done()

    def expects(self, collection_id: str) -> bool:
        return collection_id in self._waiting

    def go_on(self, delivered: effects.DeliverDigits) -> str | Still:
        self._waiting.pop(delivered.collection_id).set_result(delivered)
        if not self._waiting:
            self._stands_still.clear()
        return self._go()

    def close(self) -> None:
        if self._loop.is_closed():
            return
        if self._task is not None and self.waits:
            self._task.cancel()
            self._in_thread(asyncio.wait({self._task}))
            self._grant()
        self._loop.close()

    def _go(self) -> str | Still:
        assert self._task is not None
        self._in_thread(self._until_still(self._task))
        self._grant()
        if not self._task.done():
            return self
        try:
            return self._task.result()
        except ToolRefused as error:
            raise NotRun(str(error)) from error
        except ToolFailed as error:
            raise ValueError(str(error)) from error
        finally:
            self._loop.close()  # a long call has more tools than a process may have files

    def _grant(self) -> None:
        wishes, self._wishes = self._wishes, []
        for wish in wishes:
            self._happened(wish)

    async def _until_still(self, task: asyncio.Task[str]) -> None:
        still = asyncio.ensure_future(self._stands_still.wait())
        await asyncio.wait({task, still}, return_when=asyncio.FIRST_COMPLETED)
        still.cancel()

    def _in_thread(self, work: Coroutine[Any, Any, object]) -> None:
        with ThreadPoolExecutor(1) as thread:
            thread.submit(self._loop.run_until_complete, work).result()


def beside(work: Coroutine[Any, Any, T]) -> T:
    """To its end, in a loop of its own and a thread: the world waits."""
    run: Callable[[Coroutine[Any, Any, T]], T] = asyncio.run
    with ThreadPoolExecutor(1) as thread:
        return thread.submit(run, work).result()

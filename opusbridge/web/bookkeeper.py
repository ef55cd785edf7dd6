"""Writes down what is ordered and what becomes of it, by a thread that nobody waits for.

A disk that stands still keeps neither the process from ending nor a call.
"""

import asyncio
from collections.abc import Container, Coroutine
from contextlib import suppress
from functools import partial

from opusbridge.logs import Log, places
from opusbridge.tools.workers import Disk
from opusbridge.web.order_book import Order, OrderBook

log = Log("opusbridge.web")

#: Seconds for which the end of a call waits until it is written down.
END_WRITTEN_SECONDS = 1.0

#: One thread: what is to be written is so in its order.
DISK = Disk("opusbridge-orders", 1)


class Bookkeeper:
    def __init__(self, book: OrderBook) -> None:
        self._book = book
        self.writing: set[asyncio.Task[None]] = set()
        """What is not on the disk yet."""
        self._reading: asyncio.Task[tuple[dict[str, Order], dict[str, str]]] | None = None
        self._refused: set[str] = set()
        """Orders that may be in the file and are not to be."""
        self._taking_back: asyncio.Task[None] | None = None

    async def read(self, since: float) -> tuple[dict[str, Order], dict[str, str]]:
        """As :meth:`OrderBook.read`. Cancelled, it goes on for the next who asks."""
        if self._reading is None or self._reading.done():
            self._reading = asyncio.create_task(DISK.do(partial(self._book.read, since)))
        return await asyncio.shield(self._reading)

    async def forget(self, since: float, but: Container[str]) -> None:
        """As :meth:`OrderBook.forget`, and what is to be taken back."""
        await self._all_taken_back()
        await self._taken_back(*self._refused)
        await DISK.do(partial(self._book.forget, since, but))

    async def ordered(self, order: Order) -> None:
        """On the disk when this returns. Raises ``OSError``: then do not place it. Nor if this is
        cancelled. Should it be on the disk after all, it is taken back there, before another.
        """
        await self._all_taken_back()
        await self._try_to_take_back(*self._refused)
        writing = asyncio.create_task(DISK.do(partial(self._book.ordered, order)))
        try:
            await asyncio.shield(writing)
        except (OSError, asyncio.CancelledError):
            self._refused.add(order.call_id)
            self._taking_back = self._begin(self._take_back(order.call_id, writing))
            raise

    async def _all_taken_back(self) -> None:
        """Or not: then that is told."""
        if self._taking_back is not None:
            await asyncio.wait({self._taking_back})

    async def _take_back(self, call_id: str, writing: asyncio.Task[None]) -> None:
        with suppress(OSError):  # it may be there all the same
            await writing
        await self._try_to_take_back(call_id)

    async def _try_to_take_back(self, *call_ids: str) -> None:
        try:
            await self._taken_back(*call_ids)
        except OSError as error:  # the next order tries again, and whoever forgets old ones
            log.error("an order nobody waits for is not taken back", raised=places(error))

    async def _taken_back(self, *call_ids: str) -> None:
        if call_ids:
            await DISK.do(partial(self._book.taken_back, *call_ids))
            self._refused.difference_update(call_ids)

    def leave(self) -> None:
        """Nothing else is ordered: what is to be taken back has one try more."""
        self._begin(self._try_to_take_back(*self._refused))

    async def ended(self, call_id: str, reason: str) -> None:
        """Returns when it is written down, or the disk takes too long: then it is when that
        goes on."""
        writing = self._begin(self._ended(call_id, reason))
        await asyncio.wait({writing}, timeout=END_WRITTEN_SECONDS)
        if not writing.done():
            log.warning("the disk is slow: the end of an order is not written down yet")

    async def _ended(self, call_id: str, reason: str) -> None:
        try:
            await DISK.do(partial(self._book.ended, call_id, reason))
        except OSError as error:
            log.error("the end of an order cannot be written down", raised=places(error))

    def _begin(self, work: Coroutine[None, None, None]) -> asyncio.Task[None]:
        writing = asyncio.create_task(work)
        self.writing.add(writing)
        writing.add_done_callback(self.writing.discard)
        return writing

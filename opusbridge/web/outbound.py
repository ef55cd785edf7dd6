"""Calls that we place: who may be called how often, and what becomes of each.

A call is placed at most once: it is written down before the provider is asked, the provider is
asked once, and a key that was used already leads to the call it was used for. When nobody
answered our asking, or only a server in trouble, the call may come all the same: it is then known
by its id. How old an order is, is told by a clock that nobody sets.
"""

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from itertools import islice
from typing import Any
from uuid import uuid4

from opusbridge.bridge.audiocodes_dial import DialOutError
from opusbridge.bridge.twilio_rest import TwilioRestError
from opusbridge.errors import Ending, ending
from opusbridge.logs import Log, places
from opusbridge.web.access import DRAINING, FULL, Refusal
from opusbridge.web.bookkeeper import Bookkeeper
from opusbridge.web.calls import RECENT_CALLS, Calls
from opusbridge.web.caps import Caps
from opusbridge.web.early import EarlyCalls
from opusbridge.web.order_book import DAY_SECONDS, Order, OrderBook
from opusbridge.web.progress import MACHINE, NOT_PLACED, OPERATOR, Progress, Queues, told

log = Log("opusbridge.web")

#: Asks a provider for a call; returns the provider's id of it, where it gives one.
Dial = Callable[[Order], Awaitable[str | None]]

#: Ends a call by the provider's id of it, also one that still rings.
HangUp = Callable[[str], Awaitable[None]]

#: Seconds after its turn to be dialled when a call nobody has heard of will not come any more:
#: ringing takes a minute.
DIALLING_SECONDS = 180.0

#: Seconds for which the start waits until what was placed before is read: a disk that stands still
#: holds up no calls that come in.
START_SECONDS = 2.0

#: Seconds for which an order waits until it is written down, behind others too. Whoever ordered
#: will not wait much longer; and if nobody waits any more, nobody may be called.
ORDERED_SECONDS = 5.0

#: Seconds between looks at whether the file names calls of more than a day ago.
FORGET_SECONDS = 3600.0

#: Seconds in which what is just being asked or written is waited for when the process ends.
LAST_SECONDS = 1.0

NO_PROVIDER = Refusal(422, "not-set-up")
KEY_REUSED = Refusal(409, "key-used-for-another-call")
NOT_KEPT = Refusal(503, "cannot-be-written-down")
NOT_YET_ANSWERED = Refusal(409, "not-yet-answered")
NOT_HUNG_UP = Refusal(502, "not-hung-up")


class Outbound:
    """``dials`` are the providers that are set up, by telephony side, and ``hang_ups`` those of
    them who can be told that a call is not wanted any more."""

    def __init__(
        self,
        calls: Calls,
        book: OrderBook,
        dials: Mapping[str, Dial],
        caps: Caps,
        hang_ups: Mapping[str, HangUp],
        *,
        wall_clock: Callable[[], float] = time.time,
        clock: Callable[[], float] = time.monotonic,
        pause: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        """``wall_clock`` is in seconds since 1970, ``clock`` in seconds and never goes back;
        ``pause`` waits that many seconds."""
        self._calls, self._books, self._dials, self._caps = calls, Bookkeeper(book), dials, caps
        self._hang_ups = hang_ups
        self._wall_clock, self._clock, self._pause = wall_clock, clock, pause
        self._orders: dict[str, Order] = {}
        self._progress: dict[str, Progress] = {}
        self._queues = Queues()
        self._early = EarlyCalls(DIALLING_SECONDS)
        self._came_as: dict[str, str] = {}
        """The order of a call that has another id than it."""
        self._recalled = False
        """What was placed before this process is known."""
        self._forgotten_here_alone = True
        """The file may still have orders that we have forgotten."""
        self._one_at_a_time = asyncio.Lock()
        self._asking: set[asyncio.Task[None]] = set()
        self._tasks: asyncio.TaskGroup | None = None

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Calls can be placed inside. In the end what is just being asked has a second more: a
        call that was ordered may come all the same, as where nobody answers."""
        async with asyncio.TaskGroup() as self._tasks:
            recalling = self._tasks.create_task(self._recall())
            await asyncio.wait({recalling}, timeout=START_SECONDS)
            forgetting = self._tasks.create_task(self._forget_on_disk())
            yield
            recalling.cancel()
            forgetting.cancel()
            self._books.leave()
            if left := self._asking | self._books.writing:
                await asyncio.wait(left, timeout=LAST_SECONDS)
            for asking in self._asking:
                log.warning("the process ends: the call may come", call_id=asking.get_name())
                asking.cancel()

    async def _recall(self) -> bool:
        """Whether what was placed before could be read."""
        now, wall_now = self._clock(), self._wall_clock()
        since = wall_now - DAY_SECONDS
        try:
            orders, ended = await self._books.read(since)
        except Exception as error:  # noqa: BLE001  # nor may it end all the others' calls
            log.error("the calls placed before cannot be read", raised=places(error))
            return False
        if self._recalled:
            return True  # by another who asked meanwhile
        self._orders = orders
        self._progress = {
            call_id: self._queues.placed(order.telephony, now - (wall_now - order.at))
            # One of the future was placed when the clock was wrong: nobody knows in which queue.
            if order.at <= wall_now
            else Progress(now, now)
            for call_id, order in orders.items()
        }
        for call_id, reason in ended.items():
            self._progress[call_id].ended_as(reason)
        self._recalled = True
        return True

    # --- Placing ------------------------------------------------------------------------

    async def place(
        self,
        telephony: str,
        to: str,
        from_: str,
        *,
        machine_detection: bool = False,
        key: str | None = None,
    ) -> str | Refusal:
        """The call's id, also if it was placed before under the same ``key``."""
        now = self._wall_clock()
        order = Order(uuid4().hex, telephony, to, from_, machine_detection, key, now)
        try:
            async with asyncio.timeout(ORDERED_SECONDS), self._one_at_a_time:
                return await self._take(order)
        except OSError as error:
            log.error("an order cannot be written down", raised=places(error))
            self._forgotten_here_alone = True  # should it be written all the same
            return NOT_KEPT

    async def _take(self, order: Order) -> str | Refusal:
        """Raises ``OSError``, and may be cancelled: then it is not placed."""
        if not (self._recalled or await self._recall()):
            return NOT_KEPT  # it may have been placed already
        self._forget()
        known = self._by_key(order.key)
        if known is not None:
            return known.call_id if known.same_wish(order) else KEY_REUSED
        refusal = self._refusal(order)
        if refusal is not None:
            return refusal
        await self._books.ordered(order)
        self._orders[order.call_id] = order
        self._progress[order.call_id] = self._queues.placed(order.telephony, self._clock())
        assert self._tasks is not None, "the server is not running"
        asking = self._tasks.create_task(self._dial(order), name=order.call_id)
        self._asking.add(asking)
        asking.add_done_callback(self._asking.discard)
        return order.call_id

    def _by_key(self, key: str | None) -> Order | None:
        if key is None:
            return None
        return next((order for order in self._orders.values() if order.key == key), None)

    def _refusal(self, order: Order) -> Refusal | None:
        if order.telephony not in self._dials:
            return NO_PROVIDER
        if self._calls.draining:
            return DRAINING
        if self._calls.full_with(self._ringing_elsewhere()):
            return FULL
        called = [self._orders[one].to for one, how in self._progress.items() if how.counts]
        return self._caps.refuse(order.to, called)

    def _ringing_elsewhere(self) -> int:
        """How many may ring besides the live calls: those that may be they are no others."""
        live = self._early.ringing().items()
        twice = sum(min(calls, len(self._ringing(side))) for side, calls in live)
        return len(self._ringing()) - twice

    def _ringing(self, telephony: str | None = None) -> list[str]:
        """Those that may still be picked up; whoever has done so takes a place of his own."""
        since = self._clock() - DIALLING_SECONDS
        return [
            call_id
            for call_id, progress in self._progress.items()
            if progress.dialled_at >= since
            and telephony in (None, self._orders[call_id].telephony)
            and not progress.picked_up
            and progress.how is None
            and self._calls.describe(call_id) is None
        ]

    def _forget(self) -> None:
        before = self._clock() - DAY_SECONDS
        for call_id, progress in list(self._progress.items()):
            if progress.placed_at < before:
                del self._orders[call_id], self._progress[call_id]
                self._forgotten_here_alone = True
        self._came_as = {own: of for own, of in self._came_as.items() if of in self._orders}

    async def _forget_on_disk(self) -> None:
        """Also where no more calls are placed: it has the numbers of those who were called."""
        while True:
            await self._pause(FORGET_SECONDS)
            since = self._wall_clock() - DAY_SECONDS
            async with self._one_at_a_time:
                self._forget()
                if not self._forgotten_here_alone:
                    continue
                try:
                    await self._books.forget(since, self._orders)
                    self._forgotten_here_alone = False
                except Exception as error:  # noqa: BLE001  # nor may it end all the others' calls
                    log.error("old orders cannot be taken out of the file", raised=places(error))

    async def _dial(self, order: Order) -> None:
        log.info("call placed", call_id=order.call_id, telephony=order.telephony)
        try:
            provider_call_id = await self._dials[order.telephony](order)
        except (TwilioRestError, DialOutError) as error:
            log.warning("call not placed", call_id=order.call_id, **error.facts)
            if error.refused:  # otherwise it may come
                await self.ended(order.call_id, ending("telephony-error"), placed=False)
            return
        except Exception as error:  # noqa: BLE001  # one order's must not cost all the others
            log.error("placing a call broke", call_id=order.call_id, raised=places(error))
            return
        if (progress := self._progress.get(order.call_id)) is not None and provider_call_id:
            progress.provider_call_id = progress.provider_call_id or provider_call_id
            call = self._early.claim(order.telephony, provider_call_id)
            if call is not None:  # it is there already, or over
                self.came_as(order.call_id, order.telephony, provider_call_id, call.call_id)
                if call.how is not None:
                    await self.ended(call.call_id, call.how)

    # --- What becomes of it -------------------------------------------------------------

    def expects(self, call_id: str, telephony: str, provider_call_id: str) -> bool:
        """Whether a call that was picked up under this id is one that we placed; if so it is that
        one."""
        order, progress = self._orders.get(call_id), self._progress.get(call_id)
        if order is None or progress is None or order.telephony != telephony:
            return False
        if progress.how is not None or progress.provider_call_id not in ("", provider_call_id):
            return False
        progress.provider_call_id, progress.picked_up = provider_call_id, True
        return True

    def placed_as(self, telephony: str, provider_call_id: str) -> str | None:
        """Our id of the call that the provider calls so; ``None`` if we did not place it."""
        for call_id, progress in self._progress.items():
            mine = self._orders[call_id].telephony == telephony and progress.how is None
            same = provider_call_id and progress.provider_call_id == provider_call_id
            if mine and same and not self._calls.describe(call_id):  # told twice, it is another
                return call_id
        return None

    def may_be_placed(self, call_id: str, telephony: str, provider_call_id: str) -> None:
        """A live call may be one that we placed, if the id of one has not been told us yet; it
        rings until it is :meth:`settled`."""
        ringing = self._ringing(telephony)
        if not all(self._progress[one].provider_call_id for one in ringing):
            self._early.came(call_id, telephony, provider_call_id, self._clock())

    def settled(self, call_id: str) -> None:
        """It has started, or is over: it rings no longer."""
        self._early.settled(call_id)

    def came_as(self, order_id: str, telephony: str, provider_call_id: str, call_id: str) -> None:
        """A call is found to be this order's: from now on it is known by both ids.

        One that is known already, over, or not ours changes nothing.
        """
        order, progress = self._orders.get(order_id), self._progress.get(order_id)
        if order is None or progress is None or order.telephony != telephony:
            return
        if progress.how is not None or self._calls.describe(order_id) or call_id in self._orders:
            return
        progress.provider_call_id = provider_call_id
        self._came_as[call_id] = order_id
        if self._calls.describe(call_id) is not None:  # not forgotten yet
            self._calls.also_known_as(order_id, call_id)
        log.info("a placed call came under another id", call_id=call_id, order_id=order_id)

    def may_ring(self, call_id: str) -> bool:
        """Whether one that nobody has heard of for long can still be called off."""
        progress = self._progress.get(call_id)
        if progress is None or progress.how is not None or self._calls.describe(call_id):
            return False
        named = bool(progress.provider_call_id)
        return named and self._orders[call_id].telephony in self._hang_ups

    async def hang_up(self, call_id: str, reason: str = OPERATOR) -> Refusal | None:
        """End a call that is described as dialling, or may ring; ``None``: that was done. If it was
        not, one on which a machine answered ends when its stream comes."""
        progress = self._progress[call_id]
        if progress.leaving != MACHINE:
            progress.leaving = reason
        refusal = await self._hung_up(call_id, progress.provider_call_id)
        if refusal is not None and progress.leaving != MACHINE:
            progress.leaving = ""
        elif refusal is None and self._calls.describe(call_id) is None:
            await self.ended(call_id, ending(reason))  # if it has come, it tells its own end
        return refusal

    async def _hung_up(self, call_id: str, provider_call_id: str) -> Refusal | None:
        hang_up = self._hang_ups.get(self._orders[call_id].telephony)
        if hang_up is None or not provider_call_id:
            return NOT_YET_ANSWERED
        try:
            await hang_up(provider_call_id)
        except TwilioRestError as error:
            log.warning("hang-up by REST failed", call_id=call_id, **error.facts)
            return NOT_HUNG_UP
        return None

    def left_to_machine(self, call_id: str) -> bool:
        """Whether there is no one to talk to on a call that we placed."""
        progress = self._progress.get(call_id)
        return progress is not None and progress.leaving == MACHINE

    async def ended(self, call_id: str, how: Ending, *, placed: bool = True) -> None:
        """The first end counts. Returns when it is written down, or the disk takes too long."""
        self._early.over(call_id, how)
        call_id = self._came_as.get(call_id, call_id)
        progress = self._progress.get(call_id)
        if progress is None or progress.how is not None:
            return
        reason = how.reason if placed else NOT_PLACED
        if progress.leaving and self._calls.describe(call_id) is None:
            reason = progress.leaving
        progress.ended_as(reason)
        await self._books.ended(call_id, reason)

    def describe(self, call_id: str) -> dict[str, Any] | None:
        """A call for the operator, placed by us or not; ``None`` if there is none."""
        call_id = self._came_as.get(call_id, call_id)
        return self._told(call_id, self._calls.describe(call_id))

    def _told(self, call_id: str, call: dict[str, Any] | None) -> dict[str, Any] | None:
        if (order := self._orders.get(call_id)) is None:
            return call
        progress = self._progress[call_id]
        gone = self._clock() > progress.dialled_at + DIALLING_SECONDS
        return told(order, progress, call, gone=gone)

    def calls(self) -> list[dict[str, Any]]:
        """Those that are live, placed by us or not, then those that ended, the latest first."""
        found = self._calls.describe_all()
        ids = (self._came_as.get(one["call_id"], one["call_id"]) for one in found)
        return [self._told(call_id, one) or one for call_id, one in zip(ids, found, strict=True)]

    def dialling(self) -> list[dict[str, Any]]:
        """Calls that were placed and are not there yet."""
        since = self._clock() - DIALLING_SECONDS
        # Of a day's thousands few can be: to describe them all would be heard in every call.
        found = [
            self.describe(call_id)
            for call_id, progress in self._progress.items()
            if progress.dialled_at >= since and progress.how is None
        ]
        return [one for one in found if one is not None and one["state"] == "dialling"]

    def ended_orders(self) -> list[dict[str, Any]]:
        """The last that were placed and are over, and no call is known of, the latest first."""
        gone = (one for one in reversed(self._orders) if self._calls.describe(one) is None)
        found = (self.describe(call_id) for call_id in gone)
        over = (one for one in found if one is not None and one["state"] == "ended")
        return list(islice(over, RECENT_CALLS))

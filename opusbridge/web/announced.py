"""Calls announced by a webhook: a token to prove it, a place, and the model being dialled.

Dialling when the webhook comes, not when the stream does, saves the caller a second or two
of silence. If the stream never comes, or the call is over before, the session is closed again.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field

from opusbridge.bridge.flag import Flag
from opusbridge.bridge.outbox import Socket
from opusbridge.logs import Log, places
from opusbridge.web.calls import Calls, ConnectModel, Place, TwilioBridge
from opusbridge.web.tokens import StreamTokens

#: Each holds an open model session; a stream follows its webhook within a second or two.
MAX_ANNOUNCED = 100
#: Seconds a model may take to let an unused session go, at the end of the process too.
CLOSE_SECONDS = 1.0

log = Log("opusbridge.web")


class DialledAhead:
    """A model session being dialled since now, and the way to its successors."""

    def __init__(self, dial: ConnectModel) -> None:
        self._dial = dial
        self._first: asyncio.Task[Socket] | None = asyncio.create_task(_open(dial))

    async def connect(self) -> Socket:
        """The session dialled ahead the first time, a new one after that."""
        first, self._first = self._first, None
        if first is None:
            return await self._dial()
        try:
            return await first
        except asyncio.CancelledError:
            await _let_go(first)  # it may have been dialled this very moment
            raise

    async def release(self) -> None:
        """Close the session if nobody took it."""
        first, self._first = self._first, None
        if first is None:
            return
        await _let_go(first)


async def _let_go(first: asyncio.Task[Socket]) -> None:
    """Close the session that it dials, or has dialled."""
    first.cancel()
    await asyncio.wait([first])
    # Why dialling failed, if it did, was for the one who would have used it.
    if not first.cancelled() and first.exception() is None:
        with suppress(TimeoutError):
            async with asyncio.timeout(CLOSE_SECONDS):
                await first.result().close()


@dataclass(eq=False)
class _Announcement:
    place: Place
    until: float
    decided: Flag = field(default_factory=Flag)
    """It was claimed or withdrawn."""
    claimed: bool = False
    keeper: asyncio.Task[None] = field(init=False)
    model: DialledAhead = field(init=False)


@dataclass(frozen=True, slots=True)
class Returned:
    """A stream that continues a call of ours."""

    bridge: TwilioBridge


@dataclass(eq=False, slots=True)
class Claimed:
    """What a stream gets for its token. Whoever has it releases ``model`` in the end."""

    model: DialledAhead
    place: Place
    bridge: TwilioBridge | None = None
    """The call, once there is one."""


class Announcements:
    """Announced calls by ``CallSid``."""

    def __init__(self, calls: Calls, dial: ConnectModel, tokens: StreamTokens) -> None:
        self._calls = calls
        self._dial = dial
        self._tokens = tokens
        self._waiting: dict[str, _Announcement] = {}
        self._streaming: dict[str, Claimed] = {}
        self._returning: set[str] = set()
        self._tasks: asyncio.TaskGroup | None = None

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Calls can be announced inside; in the end sessions nobody claimed are closed."""
        async with asyncio.TaskGroup() as self._tasks:
            yield
            for announcement in self._waiting.values():
                announcement.keeper.cancel()

    def announce(self, call_sid: str) -> str | None:
        """A token for the call's stream, or ``None`` if it is not welcome.

        Called again for the same call it dials nothing more, and gives another token.
        """
        if self._streams(call_sid) is not None:
            return self._tokens.issue(call_sid)
        if self._calls.draining:
            return None
        until = asyncio.get_running_loop().time() + self._tokens.seconds
        known = self._waiting.get(call_sid)
        if known is not None:
            known.until = until
        elif not self._begin(call_sid, until):
            return None
        return self._tokens.issue(call_sid)

    def withdraw(self, call_sid: str) -> None:
        """The call is over: its stream is not waited for, and too late if it comes. One that has
        come tells its own end."""
        announcement = self._waiting.pop(call_sid, None)
        if announcement is not None:
            announcement.decided.set()
            self._tokens.revoke(call_sid)

    def living(self, call_sid: str) -> TwilioBridge | None:
        """The call whose stream was claimed, wherever its caller is now."""
        claimed = self._streams(call_sid)
        return None if claimed is None else claimed.bridge

    @property
    def awaits_return(self) -> bool:
        """Whether a stream is announced that continues a call."""
        return bool(self._returning)

    def announce_return(self, call_sid: str) -> str:
        """A token for another stream of a call that lives, and goes on with it."""
        self._returning.add(call_sid)
        return self._tokens.issue(call_sid)

    def claim(self, call_sid: str, token: str) -> Claimed | Returned | str:
        """The announced call, which is streaming from now on, or the reason why not (a slug).

        A good token is used up in either case. Say :meth:`stream_ended` afterwards.
        """
        if not self._tokens.redeem(call_sid, token):
            return "bad-token"
        if (first := self._streams(call_sid)) is not None:
            if first.bridge is None or call_sid not in self._returning:
                return "already-streaming"  # the first stream wins
            self._returning.discard(call_sid)
            return Returned(first.bridge)
        if call_sid not in self._waiting and not self._begin(call_sid, until=0.0):
            return "full"
        announcement = self._waiting.pop(call_sid)
        announcement.claimed = True
        announcement.decided.set()
        self._returning.discard(call_sid)
        claimed = self._streaming[call_sid] = Claimed(announcement.model, announcement.place)
        return claimed

    def stream_ended(self, call_sid: str, claimed: Claimed) -> None:
        """All that had to be done after it is; the caller may have come back meanwhile."""
        if self._streaming.get(call_sid) is claimed:
            del self._streaming[call_sid]
            self._returning.discard(call_sid)

    def _streams(self, call_sid: str) -> Claimed | None:
        """The call's stream, unless that is over: what a call does after its end takes seconds,
        and keeps nobody from coming back."""
        claimed = self._streaming.get(call_sid)
        over = claimed is not None and claimed.bridge is not None and claimed.bridge.ended
        return None if over else claimed

    def _begin(self, call_sid: str, until: float) -> bool:
        place = self._calls.reserve() if len(self._waiting) < MAX_ANNOUNCED else None
        if place is None:
            return False
        assert self._tasks is not None, "the server is not running"
        announcement = _Announcement(place, until)
        keeping = self._keep(call_sid, announcement)
        try:
            announcement.keeper = self._tasks.create_task(keeping)
        except RuntimeError:  # the server has ended, and nobody would give the place back
            keeping.close()
            place.release()
            raise
        announcement.model = DialledAhead(self._dial)
        self._waiting[call_sid] = announcement
        return True

    async def _keep(self, call_sid: str, announcement: _Announcement) -> None:
        try:
            await self._wait_for(call_sid, announcement)
        except Exception as error:  # noqa: BLE001  # one caller's must not cost all the others
            log.error("an announced call broke", raised=places(error))

    async def _wait_for(self, call_sid: str, announcement: _Announcement) -> None:
        """Until it is decided, or its time (which a repeated webhook prolongs) is over."""
        try:
            while not announcement.decided.is_set():
                try:
                    async with asyncio.timeout_at(announcement.until):
                        await announcement.decided.wait()
                except TimeoutError:
                    if announcement.until <= asyncio.get_running_loop().time():
                        break
        finally:
            if not announcement.claimed:
                log.info("no stream came", provider_call_id=call_sid)
                if self._waiting.get(call_sid) is announcement:  # and no later one
                    del self._waiting[call_sid]
                announcement.place.release()
                await announcement.model.release()


async def _open(dial: ConnectModel) -> Socket:
    return await dial()

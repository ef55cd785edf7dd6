"""Carries what is to be told to a server of the user's: at least once, and not for ever.

What is to be told is on the disk before it is sent, and is taken away when the server has
said that it has it; so a crash, a restart or a server that is away for a night costs nothing.
One that does not answer is asked again with growing pauses, and after those at the next start.
What a full disk does not take is sent all the same, with the same pauses, and put there once there
is room.
A message keeps its id, by which a server knows one that it has had already.
"""

import asyncio
import os
import re
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from contextlib import asynccontextmanager, suppress
from functools import partial
from pathlib import Path

import httpx2

from opusbridge.logs import Log, places
from opusbridge.outgoing import http_client
from opusbridge.privacy import Private
from opusbridge.tools.workers import Disk
from opusbridge.webhooks.signing import SIGNATURE, signed

log = Log("opusbridge.webhooks")

#: Seconds between the attempts of one process: about twenty minutes in all.
PAUSES_SECONDS = (1.0, 4.0, 15.0, 60.0, 300.0, 900.0)
#: Seconds for one attempt: from the first byte to the answer's status.
ATTEMPT_SECONDS = 10.0
#: Seconds for each step of it, and to connect.
TIMEOUT = httpx2.Timeout(10.0, connect=5.0)
#: Sent at the same time; a server that is slow for one call is slow for the next.
AT_ONCE = 4
#: Messages on the disk. Beyond it nobody has been listening for days: those that wait for the
#: next start are dropped, then those of an earlier process, the oldest first; where there are
#: none, the newest.
MOST_KEPT = 10_000
#: Messages in memory alone, since a disk that stands still or is full has not taken them yet; more
#: are dropped.
MOST_UNWRITTEN = 1_000
#: Seconds for which the start waits until what an earlier process left is found: a disk that stands
#: still holds up no calls.
START_SECONDS = 2.0
#: Seconds to send what the last calls left, when the process ends; the rest is for the next.
LAST_SECONDS = 2.0
#: Seconds for what is then still on its way to the disk.
LAST_WRITTEN_SECONDS = 0.5
#: Seconds after which nobody is still writing a message down.
PART_SECONDS = 3600.0
#: The header with the message's id: the same for each attempt.
DELIVERY = "Opusbridge-Delivery"

#: Threads of their own, which nobody waits for: a disk that stands still keeps neither the
#: process from ending nor a call.
DISK = Disk("opusbridge-webhooks", AT_ONCE)

_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,127}")
_SUFFIX = ".json"
_PART = ".part"


class Courier:
    """One for the process, with a folder of its own. Messages are left inside :meth:`at_work`."""

    def __init__(
        self,
        url: str,
        secret: Private[str],
        folder: Path,
        *,
        pause: Callable[[float], Awaitable[None]] = asyncio.sleep,
        wall_clock: Callable[[], float] = time.time,
    ) -> None:
        """``pause`` waits that many seconds; ``wall_clock`` is in seconds since 1970.

        Raises :class:`~opusbridge.errors.ConfigurationError`.
        """
        self._url, self._secret, self._folder = url, secret, folder
        self._pause, self._wall_clock = pause, wall_clock
        self._client = http_client(url, timeout=TIMEOUT)
        self._kept: set[str] = set()
        self._given_up: dict[str, None] = {}
        """On the disk for the next start, the oldest first."""
        self._inherited: dict[str, None] = {}
        """Of those that are kept, what an earlier process left, the oldest first."""
        self._unwritten: set[str] = set()
        """On their way to the disk."""
        self._homeless: dict[str, bytes] = {}
        """What the disk would not take: it is in memory alone."""
        self._under_way: dict[str, asyncio.Task[None]] = {}
        self._slots = asyncio.Semaphore(AT_ONCE)
        self._tasks: asyncio.TaskGroup | None = None
        self._ending = False

    @property
    def waiting(self) -> int:
        """Messages that nobody has taken yet."""
        return len(self._kept) + len(self._given_up)

    @asynccontextmanager
    async def at_work(self) -> AsyncIterator[None]:
        """In the end what waits has some seconds to leave."""
        async with self._client, asyncio.TaskGroup() as self._tasks:
            inheriting = self._tasks.create_task(self._inherit())
            await asyncio.wait({inheriting}, timeout=START_SECONDS)
            try:
                yield
                await _done(self._under_way.values(), LAST_SECONDS)
            finally:
                self._ending = True
                inheriting.cancel()
            bringing = [self._under_way[name] for name in self._under_way.keys() - self._unwritten]
            for task in bringing:
                task.cancel()
            await _done(bringing, LAST_WRITTEN_SECONDS)
            for name, body in self._homeless.items():
                self._begin(name, body)  # to be written down once more
            await _done(self._under_way.values(), LAST_WRITTEN_SECONDS)
            for task in self._under_way.values():
                task.cancel()
        lost = self._unwritten | self._homeless.keys()
        self._kept -= lost
        if lost:
            log.error("webhooks lost: the disk does not take them", lost=len(lost))
        if self.waiting:
            log.warning("webhooks wait for the next start", waiting=self.waiting)

    async def leave(self, name: str, body: bytes) -> None:
        """``body`` under the id ``name``, to be written down and sent. Nobody waits for that,
        unless this is no longer at work: then it is written down for the next start.

        Raises ``ValueError`` for an id that is no plain name.
        """
        if not _ID.fullmatch(name):
            raise ValueError("not an id: 1 to 128 letters, digits, '-', '_' or '.' are allowed")
        crowded = self.waiting >= MOST_KEPT and not (self._given_up or self._inherited)
        if crowded or len(self._unwritten) + len(self._homeless) >= MOST_UNWRITTEN:
            log.error("webhook dropped: too many wait", delivery=name, waiting=self.waiting)
        elif self._ending:
            self._kept.add(name)
            await self._written(name, body)
            if name in self._homeless:
                self._no_longer_kept(name)
        else:
            self._unwritten.add(name)
            self._begin(name, body)

    async def _inherit(self) -> None:
        try:
            found = await DISK.do(self._found)
        except Exception as error:  # noqa: BLE001  # the next start finds it, and calls need none of it
            log.error("webhooks that were left cannot be found", raised=places(error))
            return
        for name in found:
            if name not in self._kept and name not in self._given_up:  # if it took its time
                self._inherited[name] = None
                self._begin(name, None)

    async def _make_room(self) -> None:
        while self.waiting > MOST_KEPT and (old := self._given_up or self._inherited):
            oldest = next(iter(old))
            log.error("webhook dropped: too many wait", delivery=oldest, waiting=self.waiting)
            self._given_up.pop(oldest, None)
            self._no_longer_kept(oldest)
            if (bringing := self._under_way.get(oldest)) is not None:
                bringing.cancel()
            await DISK.do(partial(self._path(oldest).unlink, missing_ok=True))

    # --- One message --------------------------------------------------------------------

    def _begin(self, name: str, body: bytes | None) -> None:
        """``body`` unless it is on the disk already."""
        assert self._tasks is not None, "the courier is not at work"
        self._kept.add(name)
        task = self._under_way[name] = self._tasks.create_task(self._carry(name, body))
        task.add_done_callback(lambda _: self._under_way.pop(name))

    async def _carry(self, name: str, body: bytes | None) -> None:
        try:
            if body is not None:
                await self._written(name, body)
            if not self._ending:
                await self._bring(name)
        except Exception as error:  # noqa: BLE001  # one message's must not cost all the others
            log.error("webhook broke", delivery=name, raised=places(error))
            self._give_up(name)

    async def _written(self, name: str, body: bytes) -> None:
        """On the disk, or homeless."""
        try:
            await self._make_room()
            await DISK.do(partial(self._write, name, body))
        except OSError as error:
            if name not in self._homeless:  # told once
                log.error("webhook cannot be kept", delivery=name, raised=places(error))
            self._homeless[name] = body
        else:
            self._homeless.pop(name, None)
        self._unwritten.discard(name)  # unless it was cancelled

    async def _bring(self, name: str) -> None:
        for seconds in (*PAUSES_SECONDS, None):
            async with self._slots:
                try:
                    body = self._homeless.get(name)
                    if body is None:
                        body = await DISK.do(self._path(name).read_bytes)
                    if await self._attempt(name, body):
                        await self._take_away(name)
                        return
                except FileNotFoundError:  # another process has brought it, or somebody took it
                    self._no_longer_kept(name)
                    return
                except OSError as error:  # which the disk may get over
                    log.error("webhook cannot be read", delivery=name, raised=places(error))
            if seconds is not None:
                await self._pause(seconds)
            if name in self._homeless:
                await self._written(name, self._homeless[name])
        self._give_up(name)

    async def _take_away(self, name: str) -> None:
        if name not in self._homeless:
            try:
                await DISK.do(partial(self._path(name).unlink, missing_ok=True))
            except OSError as error:
                again = "webhook delivered, but left on the disk: the next start sends it again"
                log.error(again, delivery=name, raised=places(error))
        self._no_longer_kept(name)

    def _give_up(self, name: str) -> None:
        if name in self._homeless:
            log.error("webhook lost: neither the server takes it nor the disk", delivery=name)
        else:
            log.error("webhook not taken: kept for the next start", delivery=name)
            self._given_up[name] = None
        self._no_longer_kept(name)

    def _no_longer_kept(self, name: str) -> None:
        self._kept.discard(name)
        self._inherited.pop(name, None)
        self._homeless.pop(name, None)

    async def _attempt(self, name: str, body: bytes) -> bool:
        headers = {
            "Content-Type": "application/json",
            DELIVERY: name,
            SIGNATURE: signed(body, int(self._wall_clock()), self._secret.value),
        }
        post = partial(self._client.stream, "POST", self._url, content=body, headers=headers)
        try:
            # What else it says is not read: it may say it slowly, and without an end.
            async with asyncio.timeout(ATTEMPT_SECONDS), post() as answer:
                taken = answer.is_success
        except (httpx2.HTTPError, TimeoutError) as error:
            # Its text may hold the address, and that what is nobody's business.
            log.warning("webhook not delivered", delivery=name, why=type(error).__name__)
            return False
        if not taken:
            log.warning("webhook not delivered", delivery=name, status=answer.status_code)
        return taken

    # --- The disk -----------------------------------------------------------------------

    def _path(self, name: str) -> Path:
        return self._folder / f"{name}{_SUFFIX}"

    def _found(self) -> list[str]:
        """What an earlier process left, the oldest first. It may be at work still."""
        if not self._folder.is_dir():
            return []
        self._sweep()
        left = []
        for path in self._folder.glob(f"*{_SUFFIX}"):
            with suppress(FileNotFoundError):
                left.append((path.stat().st_mtime, path.name.removesuffix(_SUFFIX)))
        return [name for _, name in sorted(left)][:MOST_KEPT]

    def _sweep(self) -> None:
        """Take away what processes that were killed only half wrote: it has numbers in it."""
        for half in self._folder.glob(f"*{_PART}"):
            with suppress(OSError):  # the next start tries again
                if half.stat().st_mtime < self._wall_clock() - PART_SECONDS:
                    half.unlink()

    def _write(self, name: str, body: bytes) -> None:
        """All of it or nothing, and for this user only."""
        self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        unfinished = self._folder / f"{name}{_PART}"
        with open(unfinished, "wb", opener=lambda path, flags: os.open(path, flags, 0o600)) as file:
            file.write(body)
        unfinished.replace(self._path(name))


async def _done(tasks: Iterable[asyncio.Task[None]], seconds: float) -> None:
    """All of them, or that long."""
    if left := list(tasks):
        await asyncio.wait(left, timeout=seconds)

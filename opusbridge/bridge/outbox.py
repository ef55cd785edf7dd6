"""What waits to be sent to one peer, and the task that sends it.

The call never waits for a peer: it puts texts here and goes on. A peer that does not drain
them reaches the limit, and that is told once.
"""

import asyncio
from collections.abc import Callable, Iterable
from typing import Protocol, runtime_checkable

from opusbridge.bridge.flag import Flag
from opusbridge.errors import PeerGone

#: About 20 s of a caller's frames, or a whole minute of the agent's speech: a peer that is
#: this far behind will not catch up, and what waits is stale.
MOST_WAITING = 1_000


class Socket(Protocol):
    """What a bridge needs of a socket. One task receives; any may send."""

    async def receive_text(self) -> str:
        """The next text frame; raises :class:`PeerGone` at the end."""

    async def send_text(self, text: str) -> None:
        """Raises :class:`PeerGone` when it is too late."""

    async def close(self, code: int = 1000, reason: str = "") -> None:
        """Harmless when it is closed already."""


@runtime_checkable
class QuickSocket(Socket, Protocol):
    """A socket on which texts come and go without waking a task for each."""

    def hand_over(self, take: Callable[[str], None]) -> None:
        """Give each text to ``take`` as it arrives, those that wait first, in whatever context.

        ``receive_text`` then only waits for the end; it also raises what ``take`` raised.
        """

    def send_now(self, text: str) -> bool:
        """Send without waiting; ``False`` if that cannot be (``send_text`` tells why)."""


async def read_all(socket: Socket, take: Callable[[str], None]) -> None:
    """Give every text to ``take``, by the shortest way; raises :class:`PeerGone` at the end."""
    if isinstance(socket, QuickSocket):
        socket.hand_over(take)
    while True:
        take(await socket.receive_text())


class Outbox:
    """Texts for one peer, and what else is to be done between them, in order."""

    def __init__(self, stalled: Callable[[], None]) -> None:
        """``stalled`` is called once, when the peer is :data:`MOST_WAITING` texts behind."""
        # No deque: that keeps 0.6 KB while it is empty, and the first of so few is soon taken.
        self._waiting: list[str | Callable[[], None]] = []
        self._stalled: Callable[[], None] | None = stalled
        self._wake = Flag()
        self._empty = Flag(is_set=True)
        self._gone = False
        self._send_now: Callable[[str], bool] | None = None

    def put_one(self, text: str) -> None:
        if self._send_now is None or self._waiting or not self._send_now(text):
            self.put((text,))

    def then(self, act: Callable[[], None]) -> None:
        """Do this, which neither waits nor raises, when all that was put so far was sent."""
        if self._gone:
            return
        if self._send_now is not None and not self._waiting:
            return act()
        self._waiting.append(act)
        self._empty.clear()
        self._wake.set()

    def put(self, texts: Iterable[str]) -> None:
        if self._gone:
            return
        if self._send_now is not None and not self._waiting:
            rest = iter(texts)
            for text in rest:
                if not self._send_now(text):
                    self._waiting.append(text)
                    break
            texts = rest
        self._waiting.extend(texts)
        if not self._waiting:
            return
        self._empty.clear()
        self._wake.set()
        if len(self._waiting) > MOST_WAITING and self._stalled is not None:
            stalled, self._stalled = self._stalled, None
            stalled()

    async def send_all(self, socket: Socket) -> None:
        """Send until cancelled; whoever reads from ``socket`` learns that it is gone.

        What a :class:`QuickSocket` takes at once does not come past here.
        """
        send_now = socket.send_now if isinstance(socket, QuickSocket) else None
        try:
            while True:
                self._send_now = None  # while one is being sent, the others wait behind it
                while self._waiting:
                    one = self._waiting.pop(0)
                    if isinstance(one, str):
                        await socket.send_text(one)
                    else:
                        one()
                self._wake.clear()
                self._empty.set()
                self._send_now = send_now
                await self._wake.wait()
        except PeerGone:
            self.drop()
        finally:
            self._send_now = None

    async def emptied(self, seconds: float) -> None:
        """Returns when everything was sent, or after that long."""
        try:
            async with asyncio.timeout(seconds):
                await self._empty.wait()
        except TimeoutError:
            pass

    def drop(self) -> None:
        """Nobody will read it any more."""
        self._gone = True
        self._waiting.clear()
        self._empty.set()

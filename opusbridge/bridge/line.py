"""The telephony side's line of a call: one socket at a time, and perhaps another after it."""

import asyncio
from collections.abc import Callable, Iterable
from functools import partial

from opusbridge.bridge.flag import Flag
from opusbridge.bridge.outbox import Outbox, Socket, read_all
from opusbridge.bridge.pinging import Pinging
from opusbridge.errors import PeerGone


class TelephonyLine:
    """Everything read, and the end of the socket, is told to the call at once.

    Each socket has an outbox of its own, which is also how it is known: whatever still comes
    of one that was given up belongs to nobody.
    """

    def __init__(
        self,
        socket: Socket,
        said: Callable[[str], None],
        gone: Callable[[], None],
        stalled: Callable[[], None],
        answered: Callable[[str], None],
    ) -> None:
        """``answered`` is told of each ping's pong, by its name."""
        self.socket = socket
        self._said, self._gone, self._stalled = said, gone, stalled
        self._answered = answered
        self._pinging = Pinging(socket, answered)
        self._out = Outbox(stalled)
        self._opened = Flag(is_set=True)
        self._carrying: asyncio.Task[None] | None = None

    def put(self, texts: Iterable[str]) -> None:
        """For the telephony side, in order."""
        self._out.put(texts)

    def ping(self, name: str) -> None:
        """Behind everything put so far, if the socket can."""
        self._out.then(partial(self._pinging.send, name))

    async def emptied(self, seconds: float) -> None:
        """Returns when everything was sent, or after that long."""
        await self._out.emptied(seconds)

    def let_go(self) -> None:
        """The socket has served: nothing of it is heard any more, and it is closed."""
        self._out.drop()
        self._out = Outbox(self._stalled)
        self._out.drop()  # there is nobody to send to
        if self._carrying is not None:
            self._carrying.cancel()
            self._carrying = None

    def go_on(self, socket: Socket) -> None:
        """From now on the line is this socket."""
        self.let_go()
        self.socket, self._out = socket, Outbox(self._stalled)
        self._pinging = Pinging(socket, self._answered)
        self._opened.set()

    async def carry(self) -> None:
        """Until cancelled: one socket after the other. A bug in one ends them all."""
        async with asyncio.TaskGroup() as sockets:
            while True:
                await self._opened.wait()
                self._opened.clear()
                self._carrying = sockets.create_task(self._carry_one(self.socket, self._out))

    async def _carry_one(self, socket: Socket, out: Outbox) -> None:
        def take(text: str) -> None:
            if out is self._out:
                self._said(text)

        try:
            async with asyncio.TaskGroup() as tasks:
                sender = tasks.create_task(out.send_all(socket))
                try:
                    await read_all(socket, take)
                except PeerGone:
                    out.drop()
                    if out is self._out:
                        self._gone()
                finally:
                    sender.cancel()
        finally:
            if out is not self._out:
                await socket.close()

"""The model's session of a call: dialled when it is wanted, replaced when the call says so."""

import asyncio
from collections.abc import Awaitable, Callable, Iterable

from opusbridge.bridge.flag import Flag
from opusbridge.bridge.outbox import Outbox, Socket, read_all
from opusbridge.errors import PeerGone

ConnectModel = Callable[[], Awaitable[Socket]]


class ModelLink:
    """One session at a time; everything read, and the loss, is told to the call at once.

    Each session has an outbox of its own, which is also how it is known: whatever still comes
    of one that was given up belongs to nobody.
    """

    def __init__(
        self,
        connect: ConnectModel | Socket,
        said: Callable[[str], None],
        gone: Callable[[PeerGone], None],
        stalled: Callable[[], None],
    ) -> None:
        """``connect`` opens a session when called; an open socket is taken once."""
        self._connect = connect
        self._said, self._gone, self._stalled = said, gone, stalled
        self._out = Outbox(stalled)
        self.put_one = self._out.put_one
        """As :meth:`put`, for one text; another function with each session."""
        self._wanted = Flag()
        self._dialled = False
        self._session: asyncio.Task[None] | None = None

    def want(self) -> None:
        """There is somebody to talk to: dial, if that was not done yet."""
        if not self._dialled:
            self._dialled = True
            self._wanted.set()

    def replace(self) -> None:
        """Give the session up, whatever its state, and dial another at once.

        The old socket is closed meanwhile: some answer a close late or never.
        """
        self.release()
        self._wanted.set()

    def release(self) -> None:
        """Give the session up, and dial none before :meth:`replace` is called."""
        self._out.drop()
        self._out = Outbox(self._stalled)
        self.put_one = self._out.put_one
        if self._session is not None:
            self._session.cancel()

    def put(self, texts: Iterable[str]) -> None:
        """For the model, in order."""
        self._out.put(texts)

    async def carry(self) -> None:
        """Until cancelled: one session after the other. A bug in one ends them all."""
        async with asyncio.TaskGroup() as sessions:
            while True:
                await self._wanted.wait()
                self._wanted.clear()
                self._session = sessions.create_task(self._carry_one(self._out))

    async def _carry_one(self, out: Outbox) -> None:
        socket: Socket | None = None
        try:
            socket = await self._open()
            await self._converse(socket, out)
        except PeerGone as gone:
            out.drop()
            if out is self._out:
                self._session = None  # to be replaced, not cancelled: it still has to close
                self._gone(gone)
        finally:
            if socket is not None:
                await socket.close()

    async def _open(self) -> Socket:
        if callable(self._connect):
            return await self._connect()
        socket, self._connect = self._connect, _cannot_dial
        return socket

    async def _converse(self, socket: Socket, out: Outbox) -> None:
        """Raises :class:`PeerGone` when the session is over."""
        lost: PeerGone | None = None
        async with asyncio.TaskGroup() as tasks:
            sender = tasks.create_task(out.send_all(socket))
            try:
                await read_all(socket, lambda text: self._heard(out, text))
            except PeerGone as gone:
                lost = gone
            finally:
                sender.cancel()
        if lost is not None:
            raise lost

    def _heard(self, out: Outbox, text: str) -> None:
        if out is self._out:
            self._said(text)


async def _cannot_dial() -> Socket:
    raise PeerGone("model", "model-lost", permanent=True)

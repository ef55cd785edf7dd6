"""uvicorn's WebSocket protocol with picows behind the upgrade.

Up to the upgrade and its refusal all is uvicorn's own, so the routes are the same. Once a route
has accepted, the connection is given to picows, and texts reach the bridge without an ASGI
message: :func:`opusbridge.web.sockets.seam_over` finds the way in the ASGI scope.

Only what :mod:`opusbridge.bridge.which` chose may import this module: picows is an extra.
"""

import asyncio
from collections.abc import Callable
from typing import Any

from starlette.websockets import WebSocket
from uvicorn._types import ASGIReceiveEvent, ASGISendEvent
from uvicorn.protocols.utils import ClientDisconnected
from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol
from websockets.http11 import Request

from opusbridge.bridge.lean import LeanSocket
from opusbridge.bridge.lean_parser import parser
from opusbridge.errors import PeerGone
from opusbridge.web.sockets import LEAN, MAX_FRAME_BYTES, OnBad, Seam

SERVICE_RESTART = 1012

#: What picows wants to read before it begins. The real one was answered by uvicorn.
_UPGRADE = (
    b"GET / HTTP/1.1\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n"
)


class TelephonySocket(LeanSocket):
    """The seam over a telephony provider's socket; see ``WebSocketSeam`` for ``on_bad``."""

    longest_text = MAX_FRAME_BYTES
    paced = True

    def __init__(
        self,
        *,
        largest: int,
        ping_seconds: float,
        close_seconds: float,
        on_closing: Callable[[asyncio.TimerHandle], None],
        on_lost: Callable[[], None],
    ) -> None:
        """``on_closing`` is given the timer that waits for the peer's answer to our close."""
        super().__init__(largest=largest, ping_seconds=ping_seconds, close_seconds=close_seconds)
        self.on_bad: OnBad = _ignore
        self._on_closing = on_closing
        self._on_lost = on_lost

    async def close(self, code: int = 1000, reason: str = "") -> None:
        """Harmless when it is closed already. Nobody waits for the peer's answer."""
        timer = self.begin_closing(code, reason)
        if timer is not None:
            self._on_closing(timer)

    def on_ws_disconnected(self, transport: Any) -> None:
        super().on_ws_disconnected(transport)
        self._on_lost()

    def _loss(self, code: int | None, reason: str, *, ours: bool) -> PeerGone:
        return PeerGone("telephony", "telephony-lost", code or 1006)

    def _left_out(self, kind: str) -> None:
        self.on_bad(kind)


def _ignore(kind: str) -> None:
    """Nobody has asked yet."""


class LeanProtocol(WebSocketsSansIOProtocol):
    """For uvicorn's ``ws=``. Two ends of one connection: uvicorn's before, picows' after."""

    socket: TelephonySocket | None = None

    def handle_connect(self, event: Request) -> None:
        super().handle_connect(event)
        if not self.transport.is_closing():
            self.scope["extensions"] = {**(self.scope["extensions"] or {}), LEAN: self.take}  # type: ignore[dict-item]  # not only data
            # What comes before the answer is for picows, which is not there yet.
            self.transport.pause_reading()

    def take(self, socket: WebSocket, on_bad: OnBad) -> Seam | None:
        """The socket itself; ``None`` if it was lost while it was accepted."""
        if self.socket is not None:
            self.socket.on_bad = on_bad
        return self.socket

    async def send(self, message: ASGISendEvent) -> None:
        if self.socket is not None:
            return await self._send(self.socket, message)
        await super().send(message)
        if message["type"] == "websocket.accept" and not self.transport.is_closing():
            self.stop_keepalive()
            self._give_to_picows()

    async def receive(self) -> ASGIReceiveEvent:
        if self.socket is None:
            return await super().receive()
        try:
            return {"type": "websocket.receive", "text": await self.socket.receive_text()}
        except PeerGone as gone:
            return {"type": "websocket.disconnect", "code": gone.code or 1006}

    def shutdown(self) -> None:
        if self.socket is None:
            super().shutdown()
        else:
            self.socket.fail(SERVICE_RESTART)

    async def _send(self, socket: TelephonySocket, message: ASGISendEvent) -> None:
        match message:
            case {"type": "websocket.send", "text": str(text)}:
                try:
                    await socket.send_text(text)
                except PeerGone:
                    raise ClientDisconnected from None
            case {"type": "websocket.close", "code": int(code)}:
                await socket.close(code)
            case _:
                raise RuntimeError(f"{message['type']} on a WebSocket for texts")

    def _give_to_picows(self) -> None:
        self.socket = socket = TelephonySocket(
            largest=self.config.ws_max_size,
            ping_seconds=self.config.ws_ping_interval or 0.0,
            close_seconds=self.close_timeout,
            on_closing=self._is_closing,
            on_lost=self._is_lost,
        )
        frames = parser(lambda _: socket, self.config.ws_max_size)
        wire = _Wire(self.transport)
        frames.connection_made(wire)
        wire.write = _drop  # its answer to the upgrade
        frames.get_buffer(-1)[: len(_UPGRADE)] = _UPGRADE
        frames.buffer_updated(len(_UPGRADE))
        wire.write = self.transport.write
        # A loop may look only when reading begins at how the protocol wants to read.
        self.transport.set_protocol(frames)
        self.transport.resume_reading()
        # Some kilobytes that nobody needs any more while the call lasts.
        del self.conn, self.queue, self.writable

    def _is_closing(self, timer: asyncio.TimerHandle) -> None:
        self.close_timer = timer  # uvicorn leaves the connection alone meanwhile

    def _is_lost(self) -> None:
        self.queue, self.writable = asyncio.Queue(), asyncio.Event()  # uvicorn tells them of it
        self.connection_lost(None)


class _Wire:
    """The transport as picows uses it. Of its writes the first is not for the peer."""

    __slots__ = (
        "abort",
        "close",
        "get_extra_info",
        "get_write_buffer_size",
        "is_closing",
        "pause_reading",
        "resume_reading",
        "write",
        "writelines",
    )

    def __init__(self, transport: asyncio.Transport) -> None:
        self.write: Callable[[bytes], None] = transport.write
        self.writelines = transport.writelines
        self.get_write_buffer_size = transport.get_write_buffer_size
        self.get_extra_info = transport.get_extra_info
        self.pause_reading = transport.pause_reading
        self.resume_reading = transport.resume_reading
        self.is_closing = transport.is_closing
        self.close = transport.close
        self.abort = transport.abort


def _drop(data: bytes) -> None:
    """Not for the peer."""

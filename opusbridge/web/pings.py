"""uvicorn's WebSocket protocol, which also sends pings for whoever holds the socket, and ends.

uvicorn pings to find dead peers, and keeps to itself how long a pong took. Ours go beside its
own: :class:`opusbridge.web.sockets.WebSocketSeam` finds the way to them in the ASGI scope.

It closes so that what was written leaves first; a peer that is gone, or does not read, never
takes that, and neither the socket nor the call on it would end. Ours have a moment for it.
"""

from asyncio import TimerHandle
from collections.abc import Callable

from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol
from websockets.exceptions import InvalidState
from websockets.frames import Frame
from websockets.http11 import Request

from opusbridge.web.sockets import CLOSE_SECONDS, PINGS


class PingingProtocol(WebSocketsSansIOProtocol):
    """For uvicorn's ``ws=``."""

    on_pong: Callable[[bytes], None] | None = None
    """Told the payload of each pong that is no answer to uvicorn's own ping."""
    _breaking_off: TimerHandle | None = None

    def handle_connect(self, event: Request) -> None:
        super().handle_connect(event)
        if not self.transport.is_closing():
            self.scope["extensions"] = {**(self.scope["extensions"] or {}), PINGS: self}  # type: ignore[dict-item]  # not only data

    def keepalive_timeout(self) -> None:
        super().keepalive_timeout()
        self.end_soon()

    async def run_asgi(self) -> None:
        await super().run_asgi()
        # Of a closing handshake the peer has its part still to do.
        self.end_soon(0.0 if self.close_timer is None else self.close_timeout)

    def end_soon(self, more_seconds: float = 0.0) -> None:
        """It was closed: break it off if that takes longer."""
        if self.disconnected or self._breaking_off is not None:
            return
        later = CLOSE_SECONDS + more_seconds
        self._breaking_off = self.loop.call_later(later, self.transport.abort)

    def connection_lost(self, exc: Exception | None) -> None:
        if self._breaking_off is not None:
            self._breaking_off.cancel()
            self._breaking_off = None
        super().connection_lost(exc)

    def ping(self, payload: bytes) -> None:
        """Send one now; none while the peer is slow, or when the end has begun."""
        if self.close_sent or self.transport.is_closing() or not self.writable.is_set():
            return
        try:
            self.conn.send_ping(payload)
        except InvalidState:
            return  # the peer has closed, and uvicorn has not yet heard of it
        self.transport.write(b"".join(self.conn.data_to_send()))

    def handle_pong(self, event: Frame) -> None:
        payload = bytes(event.data)
        ours = payload != self.pending_ping_payload
        super().handle_pong(event)
        if ours and self.on_pong is not None:
            self.on_pong(payload)

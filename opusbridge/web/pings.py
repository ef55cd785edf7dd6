"""uvicorn's WebSocket protocol, which also sends pings for whoever holds the socket.

uvicorn pings to find dead peers, and keeps to itself how long a pong took. Ours go beside its
own: :class:`opusbridge.web.sockets.WebSocketSeam` finds the way to them in the ASGI scope.
"""

from collections.abc import Callable

from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol
from websockets.exceptions import InvalidState
from websockets.frames import Frame
from websockets.http11 import Request

from opusbridge.web.sockets import PINGS


class PingingProtocol(WebSocketsSansIOProtocol):
    """For uvicorn's ``ws=``."""

    on_pong: Callable[[bytes], None] | None = None
    """Told the payload of each pong that is no answer to uvicorn's own ping."""

    def handle_connect(self, event: Request) -> None:
        super().handle_connect(event)
        if not self.transport.is_closing():
            self.scope["extensions"] = {**(self.scope["extensions"] or {}), PINGS: self}  # type: ignore[dict-item]  # not only data

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

"""WebSocket pings of the call's own, where the telephony side's socket can send them.

A ping frame goes from end to end, through whatever passes WebSocket frames on, and so does
its pong. The server's keep-alive pings are the socket's business, and are left alone.
"""

from collections.abc import Callable
from typing import Protocol, runtime_checkable

from opusbridge.bridge.outbox import Socket

#: Of pings that nobody has answered so many are remembered.
MOST_UNANSWERED = 16


@runtime_checkable
class PingSocket(Socket, Protocol):
    on_pong: Callable[[bytes], None]
    """Told the payload of each pong that is not the keep-alive's, as it arrives."""

    def ping(self, payload: bytes) -> None:
        """Send one now; or none, where the peer is slow or the socket is closing."""


class Pinging:
    """The pings of one call, by their names. ``answered`` is told of each once, at most."""

    def __init__(self, socket: Socket, answered: Callable[[str], None]) -> None:
        self._socket = socket if isinstance(socket, PingSocket) else None
        self._answered = answered
        self._under_way: dict[bytes, str] = {}
        if self._socket is not None:
            self._socket.on_pong = self._pong

    def send(self, name: str) -> None:
        """Nothing, where the socket cannot."""
        if self._socket is None:
            return
        payload = name.encode()
        self._under_way[payload] = name
        while len(self._under_way) > MOST_UNANSWERED:
            del self._under_way[next(iter(self._under_way))]
        self._socket.ping(payload)

    def _pong(self, payload: bytes) -> None:
        # Anybody may send pongs that nobody asked for (RFC 6455 section 5.5.3).
        name = self._under_way.pop(payload, None)
        if name is not None:
            self._answered(name)

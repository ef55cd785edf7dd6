"""WebSocket frames and nothing else: as little work as a load generator can get by with.

Complete text frames, pings and closes, on trusted peers of loopback. A fragmented message,
which none of the servers measured sends, ends the connection.
"""

import asyncio
import base64
import hashlib
import re
from collections.abc import Callable
from typing import cast

try:
    from websockets.speedups import apply_mask
except ImportError:  # pragma: no cover - where no compiler made it
    from websockets.utils import apply_mask

TEXT, CLOSE, PING, PONG = 0x81, 0x88, 0x89, 0x8A
_MASK = b"\x5a\x96\x3c\xc3"
_GUID = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
_KEY = re.compile(rb"\r\nsec-websocket-key: *(\S+)", re.IGNORECASE)
_CLIENT_KEY = base64.b64encode(bytes(16))


def frame(kind: int, payload: bytes, masked: bool) -> bytes:
    """One whole frame; a client's must be masked."""
    size, bit = len(payload), 0x80 if masked else 0
    if size < 126:
        head = bytes((kind, bit | size))
    elif size < 65_536:
        head = bytes((kind, bit | 126)) + size.to_bytes(2, "big")
    else:
        head = bytes((kind, bit | 127)) + size.to_bytes(8, "big")
    return head + _MASK + apply_mask(payload, _MASK) if masked else head + payload


class Frames:
    """Cuts a stream of bytes into frames."""

    def __init__(self) -> None:
        self._rest = b""

    def cut(self, data: bytes) -> list[tuple[int, bytes]]:
        """The frames that are complete by now: first byte and payload."""
        buffer = self._rest + data if self._rest else data
        found, at, size = [], 0, len(buffer)
        while size - at >= 2:
            second, start = buffer[at + 1], at + 2
            length = second & 127
            if length > 125:
                wide = 2 if length == 126 else 8
                length = int.from_bytes(buffer[start : start + wide], "big")
                start += wide
            mask = b""
            if second & 128:
                mask = buffer[start : start + 4]
                start += 4
            end = start + length
            if end > size or start > size:
                break
            payload = buffer[start:end]
            found.append((buffer[at], apply_mask(payload, mask) if mask else payload))
            at = end
        self._rest = buffer[at:]
        return found


class LeanSocket(asyncio.Protocol):
    """One end of a WebSocket.

    ``ready`` is called when it is open, ``said`` with each text as bytes, ``closed`` in the end.
    """

    def __init__(self, request: bytes | None = None) -> None:
        """With ``request`` (see :func:`upgrade`) this is the client's end."""
        self._request = request
        self._masked = request is not None
        self._head: bytes | None = b""
        self._frames = Frames()
        self._transport: asyncio.Transport | None = None
        self.opened: asyncio.Future[int] = asyncio.get_running_loop().create_future()
        """The status of the answer; 101 is well."""
        self.said: Callable[[bytes], None] = lambda text: None
        self.ready: Callable[[], None] = lambda: None
        self.closed: Callable[[], None] = lambda: None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)
        if self._request is not None:
            self._transport.write(self._request)

    def connection_lost(self, exc: Exception | None) -> None:
        self._transport = None
        if not self.opened.done():
            self.opened.set_result(0)
        self.closed()

    def send(self, text: bytes) -> None:
        if self._transport is not None:
            self._transport.write(frame(TEXT, text, self._masked))

    def raw(self) -> asyncio.Transport | None:
        """For a peer that misbehaves on purpose."""
        return self._transport

    def close(self) -> None:
        if self._transport is not None:
            self._transport.write(frame(CLOSE, b"\x03\xe8", self._masked))
            self._transport.close()

    def data_received(self, data: bytes) -> None:
        if self._head is not None:
            head, found, data = (self._head + data).partition(b"\r\n\r\n")
            if not found:
                self._head = head
                return
            self._head = None
            self._open(head)
        if data:
            self._read(data)

    def _open(self, head: bytes) -> None:
        if self._request is None:
            key = _KEY.search(head)
            assert key is not None, "a request that is no upgrade"
            accept = base64.b64encode(hashlib.sha1(key[1] + _GUID).digest())
            assert self._transport is not None
            self._transport.write(
                b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n"
                b"Connection: Upgrade\r\nSec-WebSocket-Accept: " + accept + b"\r\n\r\n"
            )
        if not self.opened.done():
            self.opened.set_result(101 if self._request is None else int(head.split()[1]))
        self.ready()

    def _read(self, data: bytes) -> None:
        for kind, payload in self._frames.cut(data):
            if kind == TEXT:
                self.said(payload)
            elif kind == PING:
                if self._transport is not None:
                    self._transport.write(frame(PONG, payload, self._masked))
            elif kind != PONG:  # a close, or what no server of ours sends
                self.close()


def upgrade(host: str, port: int, path: str) -> bytes:
    """The request that asks for a WebSocket."""
    return (
        f"GET {path} HTTP/1.1\r\nHost: {host}:{port}\r\nUpgrade: websocket\r\n"
        f"Connection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
        f"Sec-WebSocket-Key: {_CLIENT_KEY.decode()}\r\n\r\n"
    ).encode()

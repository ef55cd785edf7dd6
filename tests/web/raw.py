"""A WebSocket client made of nothing but bytes, which may do what no library lets it do."""

import asyncio
from dataclasses import dataclass
from urllib.parse import urlsplit

CONTINUATION, TEXT, BINARY, CLOSE, PING, PONG = 0x0, 0x1, 0x2, 0x8, 0x9, 0xA

#: Not all zeros, so that what was not unmasked shows.
MASK = b"\x11\x22\x33\x44"

UPGRADE = (
    "GET /audiocodes HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: keep-alive, Upgrade\r\n"
    "Upgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"
    "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
    "Sec-WebSocket-Extensions: permessage-deflate; client_max_window_bits\r\n\r\n"
)


def head(opcode: int, size: int, *, fin: bool = True, rsv: int = 0, masked: bool = True) -> bytes:
    """The beginning of a frame, up to and with its mask."""
    first = (fin << 7) | (rsv << 4) | opcode
    flag = masked << 7
    if size < 126:
        length = bytes([flag | size])
    elif size < 65_536:
        length = bytes([flag | 126]) + size.to_bytes(2)
    else:
        length = bytes([flag | 127]) + size.to_bytes(8)
    return bytes([first]) + length + (MASK if masked else b"")


def frame(
    opcode: int, payload: bytes = b"", *, fin: bool = True, rsv: int = 0, masked: bool = True
) -> bytes:
    beginning = head(opcode, len(payload), fin=fin, rsv=rsv, masked=masked)
    if not masked:
        return beginning + payload
    key = MASK * (len(payload) // 4 + 1)
    return beginning + bytes(a ^ b for a, b in zip(payload, key, strict=False))


def text(words: str) -> bytes:
    return frame(TEXT, words.encode())


def close(code: int | None = 1000, reason: bytes = b"") -> bytes:
    return frame(CLOSE, b"" if code is None else code.to_bytes(2) + reason)


@dataclass(frozen=True)
class Frame:
    opcode: int
    payload: bytes

    @property
    def code(self) -> int | None:
        return int.from_bytes(self.payload[:2]) if self.payload else None


class Raw:
    """One connection."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader, self.writer = reader, writer
        self.answer = b""

    @classmethod
    async def dial(cls, base: str, upgrade: str = UPGRADE) -> "Raw":
        raw = cls(*await asyncio.open_connection("127.0.0.1", urlsplit(base).port))
        raw.writer.write(upgrade.encode())
        raw.answer = await raw.reader.readuntil(b"\r\n\r\n")
        return raw

    def send(self, *frames: bytes) -> None:
        self.writer.write(b"".join(frames))

    async def drip(self, data: bytes) -> None:
        """Each byte in a segment of its own."""
        for byte in data:
            self.writer.write(bytes([byte]))
            await self.writer.drain()
            await asyncio.sleep(0)

    async def frame(self) -> Frame | None:
        """The server's next; ``None`` when it has closed the connection."""
        try:
            async with asyncio.timeout(5.0):
                first, flag = await self.reader.readexactly(2)
                size = flag
                if flag >= 126:
                    size = int.from_bytes(await self.reader.readexactly(2 if flag == 126 else 8))
                assert first & 0x70 == 0, "a reserved bit"
                return Frame(first & 0x0F, await self.reader.readexactly(size))
        except (asyncio.IncompleteReadError, ConnectionError):
            return None

    async def all_frames(self) -> list[Frame]:
        """Until the server has closed the connection."""
        found = []
        while (one := await self.frame()) is not None:
            found.append(one)
        return found

    def gone(self) -> None:
        self.writer.transport.abort()

"""Peers that misbehave on purpose, beside the callers that are measured."""

import asyncio
import socket
import time
from collections.abc import Callable, Coroutine
from typing import Any

from opusbridge.bench.callers import Crowd
from opusbridge.bench.frames import TEXT, LeanSocket, frame, upgrade
from opusbridge.bench.lines import KINDS, TwilioLine

SLOW_BYTES_A_SECOND = 1024
TINY_FRAMES_A_SECOND = 10_000
#: Calls of these peers have numbers that no caller has.
_NUMBER = 9_000


async def slow_reader(crowd: Crowd) -> None:
    """A whole call that speaks as all do and reads a kilobyte a second."""
    loop = asyncio.get_running_loop()
    line = TwilioLine(_NUMBER, KINDS["twilio"])
    with socket.socket() as raw:
        raw.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        raw.setblocking(False)
        await loop.sock_connect(raw, (crowd.host, crowd.port))
        await loop.sock_sendall(raw, upgrade(crowd.host, crowd.port, line.path))
        await loop.sock_recv(raw, 1024)
        for text in line.opening(await _token(crowd, line)):
            await loop.sock_sendall(raw, frame(TEXT, text, True))
        reading = asyncio.create_task(_read_slowly(raw))
        try:
            for number in range(1, 10**6):
                text = line.frame(number, time.monotonic_ns())
                await loop.sock_sendall(raw, frame(TEXT, text, True))
                await asyncio.sleep(0.02)
        except OSError:
            pass  # the bridge has had enough of it
        finally:
            reading.cancel()


async def _read_slowly(raw: socket.socket) -> None:
    loop = asyncio.get_running_loop()
    for _ in range(10**6):
        if not await loop.sock_recv(raw, SLOW_BYTES_A_SECOND):
            break
        await asyncio.sleep(1)


async def chatterbox(crowd: Crowd) -> None:
    """A call that sends ten thousand tiny messages a second, of a kind that nobody knows."""
    await _pour(crowd, lambda number: b'{"event":"hello"}')


async def frame_flood(crowd: Crowd) -> None:
    """A call that sends ten thousand tiny frames of sound a second, each of them legal."""
    await _pour(
        crowd,
        lambda number: (
            f'{{"event":"media","sequenceNumber":"{number}","streamSid":"MZ{_NUMBER:032x}",'
            f'"media":{{"track":"inbound","chunk":"{number}","timestamp":"{number}",'
            '"payload":"VVVV"}}'
        ).encode(),
    )


async def _pour(crowd: Crowd, message: Callable[[int], bytes]) -> None:
    """``message`` makes the one of that number."""
    line = TwilioLine(_NUMBER, KINDS["twilio"])
    request = upgrade(crowd.host, crowd.port, line.path)
    _, talking = await asyncio.get_running_loop().create_connection(
        lambda: LeanSocket(request), crowd.host, crowd.port
    )
    await talking.opened
    for text in line.opening(await _token(crowd, line)):
        talking.send(text)
    size = TINY_FRAMES_A_SECOND // 500
    burst = b"".join(frame(TEXT, message(number), True) for number in range(1, size + 1))
    begun, bursts = time.monotonic(), 0
    while (transport := talking.raw()) is not None and not transport.is_closing():
        # A peer that is not read from is not paced by us either: TCP does that.
        if transport.get_write_buffer_size() < 2**20:
            transport.write(burst)
        bursts += 1
        await asyncio.sleep(max(0.0, begun + bursts / 500 - time.monotonic()))


async def _token(crowd: Crowd, line: TwilioLine) -> str:
    return (await crowd.announce(line) or "") if crowd.webhook else ""


#: By the name the command line has for them.
MANNERS: dict[str, Callable[[Crowd], Coroutine[Any, Any, None]]] = {
    "slow-reader": slow_reader,
    "chatterbox": chatterbox,
    "frame-flood": frame_flood,
}

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
    """A call that sends ten thousand tiny frames a second, each of them legal."""
    line = TwilioLine(_NUMBER, KINDS["twilio"])
    request = upgrade(crowd.host, crowd.port, line.path)
    _, talking = await asyncio.get_running_loop().create_connection(
        lambda: LeanSocket(request), crowd.host, crowd.port
    )
    await talking.opened
    for text in line.opening(await _token(crowd, line)):
        talking.send(text)
    burst = frame(TEXT, b'{"event":"hello"}', True) * (TINY_FRAMES_A_SECOND // 500)
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
}

"""The names of hosts, looked up in threads of our own: one at a time for each name.

A name whose server is dead takes many seconds. The event loop has a few threads for all names, and
waits for them in the end: some attempts at a webhook would keep the model's name, and with it every
new call, waiting behind them. Here whoever asks for the same name shares one look-up, which goes on
when he has given up, and the end of the process does not wait for it.
"""

import asyncio
import socket
from concurrent.futures import Future
from contextlib import suppress
from functools import partial
from typing import Any

from opusbridge.tools.workers import Workers

#: Names at a time: each takes a thread, which mostly waits.
MOST_NAMES = 32

THREADS = Workers(most=MOST_NAMES, most_of_one=1, name="opusbridge-names", gives_way=False)

_under_way: dict[tuple[Any, ...], Future[Any]] = {}


def look_names_up_apart() -> None:
    """In the event loop that runs, from now on.

    That is for whoever asks the loop, as the HTTP client does. The model's socket leaves it to
    uvloop, where that is the loop, whose threads then have nobody else to look up.
    """
    loop = asyncio.get_running_loop()
    loop.getaddrinfo = look_up  # type: ignore[method-assign]  # its own is as good as ours


async def look_up(
    host: bytes | str | None,
    port: bytes | str | int | None,
    *,
    family: int = 0,
    type: int = 0,
    proto: int = 0,
    flags: int = 0,
) -> Any:
    """As the event loop's ``getaddrinfo``."""
    wish = (host, port, family, type, proto, flags)
    found = _under_way.get(wish)
    if found is None:
        try:
            found = THREADS.submit(str(host), partial(socket.getaddrinfo, *wish)).outcome
        except RuntimeError as error:  # the system has no threads to give
            raise OSError(str(error)) from error
        _under_way[wish] = found
        found.add_done_callback(lambda _: _under_way.pop(wish))
    await _done(found)
    return found.result()


async def _done(outcome: Future[Any]) -> None:
    """Without a hand on it: who is cancelled does not cancel it for the others."""
    loop, done = asyncio.get_running_loop(), asyncio.Event()

    def tell(_: Future[Any]) -> None:
        with suppress(RuntimeError):  # that loop is closed
            loop.call_soon_threadsafe(done.set)

    outcome.add_done_callback(tell)
    await done.wait()

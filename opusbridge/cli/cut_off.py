"""Work that a signal cuts off, for the commands that come to an end by themselves."""

import asyncio
import logging
import signal
import threading
from collections.abc import Awaitable
from typing import Any, TypeVar

from opusbridge.web.names import look_names_up_apart

T = TypeVar("T")


def run(work: Awaitable[T]) -> T:
    """Like ``asyncio.run``, but Ctrl-C and ``SIGTERM`` both cancel the work.

    Raises ``SystemExit`` then, once it has tidied up behind itself, with the status that shells
    have for the signal.
    """
    try:
        return asyncio.run(_until_told(work))
    finally:
        logging.disable(logging.NOTSET)


async def _until_told(work: Awaitable[T]) -> T:
    look_names_up_apart()  # who is looking for one is not waited for
    if threading.current_thread() is not threading.main_thread():
        return await work  # signals are not for others
    loop, task = asyncio.get_running_loop(), asyncio.current_task()
    assert task is not None
    told: list[int] = []

    def end(number: int, frame: Any) -> None:
        logging.disable()  # whatever is cut off complains of it
        told.append(number)
        loop.call_soon_threadsafe(task.cancel)

    # Who was started in the background of a shell is not meant by Ctrl-C.
    numbers = [signal.SIGINT, signal.SIGTERM]
    heeded = [one for one in numbers if signal.getsignal(one) is not signal.SIG_IGN]
    before = {one: signal.signal(one, end) for one in heeded}
    try:
        return await work
    finally:
        for one, handler in before.items():
            signal.signal(one, handler)
        if told:  # too late to cancel it, perhaps
            raise SystemExit(128 + told[0]) from None

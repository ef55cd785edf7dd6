"""A user's async function, run where it can neither hold anybody up nor take anybody down."""

import asyncio
from collections.abc import Awaitable
from typing import Any

#: Seconds that it may clean up for when it is cancelled; then it is left to itself.
CLEANUP_SECONDS = 0.5

#: Those that would not be cancelled; kept until they end by themselves.
_strays: set[asyncio.Task[Any]] = set()


async def in_a_task(work: Awaitable[Any]) -> Any:
    """What comes of it, or what it raises.

    Cancelled, it returns within :data:`CLEANUP_SECONDS`, also if ``work`` ignores that.
    """
    task = asyncio.create_task(_contained(work))
    try:
        result, error = await asyncio.shield(task)
    except asyncio.CancelledError:
        if not task.done():
            _strays.add(task)
            task.add_done_callback(_strays.discard)
            task.cancel()
            await asyncio.wait({task}, timeout=CLEANUP_SECONDS)
        raise
    if error is not None:
        raise error
    return result


async def _contained(work: Awaitable[Any]) -> tuple[Any, BaseException | None]:
    try:
        return await work, None
    except (Exception, SystemExit) as error:  # noqa: BLE001  # given back, to be raised elsewhere
        return None, error


def we_are_cancelled() -> bool:
    """Whether somebody cancels the task, and not the user's function something of its own."""
    task = asyncio.current_task()
    return task is not None and task.cancelling() > 0

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
    except (KeyboardInterrupt, asyncio.CancelledError):
        raise
    except BaseException as error:  # noqa: BLE001  # given back, to be raised elsewhere
        return None, as_failure(error)


def as_failure(error: BaseException) -> BaseException:
    """What a user's function raised, as it may be raised on.

    What is neither an ``Exception`` nor an attempt to leave, as the panic of an extension, would
    pass by everybody who takes care of failures, and end the call.
    """
    if isinstance(error, Exception | SystemExit | asyncio.CancelledError):
        return error
    failure = RuntimeError("raised what is no Exception").with_traceback(error.__traceback__)
    failure.__cause__ = error
    return failure


def ends_us(error: BaseException) -> bool:
    """Whether it ends the task or the process, and is nothing that the user's function raised."""
    if isinstance(error, asyncio.CancelledError):
        return we_are_cancelled()
    return isinstance(error, KeyboardInterrupt | GeneratorExit)


def we_are_cancelled() -> bool:
    """Whether somebody cancels the task, and not the user's function something of its own."""
    task = asyncio.current_task()
    return task is not None and task.cancelling() > 0

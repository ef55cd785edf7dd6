"""How late the event loop is, frame by frame."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

FRAME_SECONDS = 0.02


@asynccontextmanager
async def heartbeat(late: list[float]) -> AsyncIterator[None]:
    """Notes how late each frame of a call beside it all would be, in seconds."""
    loop = asyncio.get_running_loop()

    async def beat() -> None:
        due = loop.time()
        while True:
            due += FRAME_SECONDS
            await asyncio.sleep(due - loop.time())
            late.append(loop.time() - due)

    task = asyncio.create_task(beat())
    try:
        yield
    finally:
        task.cancel()

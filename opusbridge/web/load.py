"""How busy this process is: how late the event loop comes to what is due."""

import asyncio
from collections import deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

#: Seconds between two looks: rare enough to cost nothing, often enough to see a stall.
LOOK_SECONDS = 0.25
#: The worst of so many looks is told: ten seconds, which a balancer asks within.
LOOKS = 40


class LoopLag:
    """Sleeps, and sees how much too late it wakes: every frame waits as long as that."""

    def __init__(self) -> None:
        self._seen: deque[float] = deque(maxlen=LOOKS)

    @property
    def worst_seconds(self) -> float:
        """Of the last ten seconds."""
        return max(self._seen, default=0.0)

    @asynccontextmanager
    async def watched(self) -> AsyncIterator[None]:
        async with asyncio.TaskGroup() as tasks:
            watching = tasks.create_task(self._watch())
            try:
                yield
            finally:
                watching.cancel()

    async def _watch(self) -> None:
        clock = asyncio.get_running_loop().time
        while True:
            due = clock() + LOOK_SECONDS
            await asyncio.sleep(LOOK_SECONDS)
            self._seen.append(max(0.0, clock() - due))

"""A flag that somebody may wait for, light enough to be kept by the dozen for each call.

``asyncio.Event`` does the same, and keeps 0.8 KB from the day it is made, most of it for a queue
of those who wait. A call has a dozen, for which hardly ever anybody waits.
"""

import asyncio


class Flag:
    """As ``asyncio.Event``: whoever waits when it is set goes on, even if it is cleared at once."""

    __slots__ = ("_is_set", "_waiting")

    def __init__(self, *, is_set: bool = False) -> None:
        self._is_set = is_set
        self._waiting: tuple[asyncio.Future[None], ...] = ()

    def is_set(self) -> bool:
        return self._is_set

    def set(self) -> None:
        self._is_set = True
        for one in self._waiting:
            if not one.done():
                one.set_result(None)

    def clear(self) -> None:
        self._is_set = False

    async def wait(self) -> None:
        """Returns at once if it is set, else when it is set next."""
        if self._is_set:
            return
        mine: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting += (mine,)
        try:
            await mine
        finally:
            self._waiting = tuple(one for one in self._waiting if one is not mine)

"""What is sent in one turn of the loop leaves at its end, all sockets' together.

One frame comes of one call, and goes on to another process. If it leaves at once that wakes, finds
one frame, and sleeps again before the next call's turn; what leaves together finds it awake. It
also is kinder to the processor's caches. It costs microseconds: a turn is as long as what it does.
"""

import asyncio
from typing import Protocol
from weakref import WeakKeyDictionary

#: So much waits for the end of a turn: whoever sends without end must find his socket full.
MOST_BYTES = 64 * 1024


class Leaving(Protocol):
    """A socket, as far as it is needed here."""

    def leave(self, data: bytes) -> None:
        """Send now; must not raise."""


class Turn:
    """Of one loop (:func:`turn_of`)."""

    __slots__ = ("_loop", "_unsent", "_unsent_bytes")

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._unsent: list[tuple[Leaving, bytes]] = []
        self._unsent_bytes = 0

    def send(self, socket: Leaving, data: bytes) -> None:
        """Behind everything of this turn so far."""
        if not self._unsent:
            self._loop.call_soon(self.over)
        self._unsent.append((socket, data))
        self._unsent_bytes += len(data)
        if self._unsent_bytes > MOST_BYTES:
            self.over()

    def over(self) -> None:
        """Everything leaves, in order: at the end of the turn, or when something must not wait."""
        unsent, self._unsent, self._unsent_bytes = self._unsent, [], 0
        for socket, data in unsent:
            socket.leave(data)


_turns: WeakKeyDictionary[asyncio.AbstractEventLoop, Turn] = WeakKeyDictionary()


def turn_of(loop: asyncio.AbstractEventLoop) -> Turn:
    """The one that all sockets of the loop share."""
    if (found := _turns.get(loop)) is None:
        found = _turns[loop] = Turn(loop)
    return found

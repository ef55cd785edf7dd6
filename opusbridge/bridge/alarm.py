"""The one timer of a call, which is set anew after everything that happens to it."""

import asyncio
from collections.abc import Callable


class Alarm:
    """Calls ``ring`` with the time, in the loop's seconds, when it is due.

    A later due than before costs nothing: the loop's timer is left as it is, wakes too early,
    and is armed again. With every frame of a caller who speaks that is the rule.
    """

    def __init__(self, ring: Callable[[float], None]) -> None:
        self._ring = ring
        self._due: float | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._wakes_at = 0.0

    def set(self, due: float | None) -> None:
        """``None``: not at all."""
        self._due = due
        if self._timer is not None:
            if due is not None and due >= self._wakes_at:
                return
            self._timer.cancel()
            self._timer = None
        if due is not None:
            self._wakes_at = due
            self._timer = asyncio.get_running_loop().call_at(due, self._wake)

    def _wake(self) -> None:
        due, self._timer = self._due, None
        if due is None or due > self._wakes_at:
            return self.set(due)
        # The loop's timer may fire a clock tick early; whoever is woken compares strictly.
        self._ring(max(asyncio.get_running_loop().time(), due))

"""What is to happen later. The owner says what time it is; nothing here knows."""

from collections.abc import Callable
from heapq import heappop, heappush
from itertools import count


class Later:
    """One thing that was put off; calling it off is final."""

    __slots__ = ("act", "at", "called_off")

    def __init__(self, at: float, act: Callable[[], None]) -> None:
        self.at, self.act, self.called_off = at, act, False

    def call_off(self) -> None:
        self.called_off = True


class Schedule:
    def __init__(self, now: float) -> None:
        self.now = now
        self._due: list[tuple[float, int, Later]] = []
        self._order = count()  # what is due at the same instant happens in the order asked

    @property
    def deadline(self) -> float | None:
        while self._due and self._due[0][2].called_off:
            heappop(self._due)
        return self._due[0][0] if self._due else None

    def after(self, seconds: float, act: Callable[[], None]) -> Later:
        later = Later(self.now + max(0.0, seconds), act)
        heappush(self._due, (later.at, next(self._order), later))
        return later

    def run_until(self, now: float) -> None:
        """Do all that is due, each at its own time."""
        while (due := self.deadline) is not None and due <= now:
            _, _, later = heappop(self._due)
            self.now = max(self.now, due)
            later.act()
        self.now = max(self.now, now)

    def clear(self) -> None:
        self._due.clear()

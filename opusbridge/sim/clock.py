"""Virtual time: one thread, one seed, a clock that jumps to whatever is due next."""

from collections.abc import Callable
from heapq import heappop, heappush
from itertools import count
from random import Random


class World:
    """Where simulated calls happen. The same seed gives the same world, to the last byte."""

    def __init__(self, seed: int) -> None:
        self.seed = seed
        self.now = 0.0
        self.random = Random(seed)
        self._due: list[tuple[float, int, Callable[[], None]]] = []
        self._order = count()  # what is due at the same instant happens in the order asked

    def at(self, when: float, act: Callable[[], None]) -> None:
        """Do this then, or now if then is past."""
        heappush(self._due, (when if when > self.now else self.now, next(self._order), act))

    def run(self, until: float) -> None:
        """Let everything due until then happen; afterwards it is then."""
        due = self._due
        while due and due[0][0] <= until:
            self.now, _, act = heappop(due)
            act()
        self.now = max(self.now, until)


#: Whoever wants waking so often at one instant will never be content.
MOST_RINGS_AT_ONCE = 1000


class Alarm:
    """Wakes somebody at the deadline it shows, which it may move at any time.

    Deadlines mostly move later, fifty times a second; so a ring that comes too early looks
    again, rather than each move paying for a new entry.
    """

    __slots__ = ("_armed_at", "_deadline", "_rang_at", "_ring", "_rings", "_world")

    def __init__(
        self, world: World, deadline: Callable[[], float | None], ring: Callable[[], None]
    ) -> None:
        """``ring`` is called at each deadline."""
        self._world, self._deadline, self._ring = world, deadline, ring
        self._armed_at: float | None = None
        self._rang_at, self._rings = -1.0, 0

    def set(self) -> None:
        """To be called whenever the deadline may have moved."""
        deadline = self._deadline()
        if deadline is None or (self._armed_at is not None and self._armed_at <= deadline):
            return
        self._armed_at = deadline
        self._world.at(deadline, lambda: self._due(deadline))

    def _due(self, armed_at: float) -> None:
        if armed_at != self._armed_at:
            return  # one that was set for earlier has taken its place
        self._armed_at = None
        deadline = self._deadline()
        if deadline is not None and deadline <= self._world.now:
            self._count()
            self._ring()
        self.set()

    def _count(self) -> None:
        self._rings = self._rings + 1 if self._rang_at == self._world.now else 1
        self._rang_at = self._world.now
        if self._rings > MOST_RINGS_AT_ONCE:
            raise RuntimeError("somebody's deadline stays in the past however often it is met")

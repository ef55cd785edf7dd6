"""A connection in virtual time: first in, first out, late by an amount the seed decides."""

from collections.abc import Callable
from functools import partial
from random import Random

from opusbridge.sim.clock import World
from opusbridge.sim.faults import SLOW_READ_SECONDS

#: No packet arrives at once.
QUICKEST_SECONDS = 0.01


class Wire:
    """One direction. Nothing overtakes: what is late makes late what comes after it."""

    __slots__ = (
        "_aside_until",
        "_deliver",
        "_free_at",
        "_lost",
        "_sent_at",
        "_slow_until",
        "_slowest",
        "_world",
        "waiting",
    )

    def __init__(self, world: World, deliver: Callable[[str], None], slowest: float = 0.12) -> None:
        """``slowest`` in seconds; at least :data:`QUICKEST_SECONDS`."""
        self._world, self._deliver, self._slowest = world, deliver, slowest
        self._free_at = self._slow_until = self._aside_until = 0.0
        self._lost = False
        self._sent_at = -1.0
        self.waiting = 0
        """Texts under way."""

    def send(self, text: str) -> None:
        self.then(partial(self._deliver, text))

    def then(self, act: Callable[[], None]) -> None:
        """Do this at the far end, after everything sent so far has arrived."""
        world = self._world
        late = world.random.uniform(QUICKEST_SECONDS, self._slowest)
        # Who reads slowly no more has read all that has piled up by then.
        read_at = max(self._free_at, min(self._free_at + SLOW_READ_SECONDS, self._slow_until))
        self._free_at, self._sent_at = max(read_at, world.now + late), world.now
        self.waiting += 1
        world.at(self._free_at, partial(self._arrive, act))

    def ride(self, act: Callable[[], None], chance: Random) -> None:
        """Do this at the far end when a few bytes have arrived that leave now: together with a
        text that left at this instant, or late by themselves. Nothing overtakes them either."""
        world, arrives_at = self._world, self._free_at
        if self._sent_at != world.now:
            late = chance.uniform(QUICKEST_SECONDS, self._slowest)
            self._free_at = arrives_at = max(arrives_at, world.now + late)
        self.waiting += 1
        world.at(arrives_at, partial(self._arrive, act))

    def aside(self, text: str, most_seconds: float) -> None:
        """A text that depends on nothing but others sent so: late by up to so much, and
        overtaken by the rest."""
        world = self._world
        late = world.random.uniform(QUICKEST_SECONDS, self._slowest + most_seconds)
        self._aside_until = max(self._aside_until, world.now + late)
        self.waiting += 1
        world.at(self._aside_until, partial(self._arrive, partial(self._deliver, text)))

    def stall(self, seconds: float) -> None:
        """What is sent from now on arrives when this is over, all at once."""
        self._free_at = max(self._free_at, self._world.now + seconds)

    def slow(self, seconds: float) -> None:
        """For so long the far end reads a few texts a second."""
        self._slow_until = self._world.now + seconds

    def lose(self) -> None:
        """Nothing arrives any more, not even what is under way."""
        self._lost = True

    def _arrive(self, act: Callable[[], None]) -> None:
        self.waiting -= 1
        if not self._lost:
            act()


class Line:
    """Both directions between the bridge and one peer."""

    def __init__(
        self,
        world: World,
        to_bridge: Callable[[str], None],
        to_peer: Callable[[str], None],
        slowest: float,
    ) -> None:
        self.to_bridge = Wire(world, to_bridge, slowest)
        self.to_peer = Wire(world, to_peer, slowest)
        self._world = world
        self._of_pings = Random(f"{world.seed} pings")  # whoever sends none changes nothing

    def ping(self, pong: Callable[[], None], takes: float | None) -> None:
        """There, and after ``takes`` seconds back, then ``pong``; ``None``: it never is."""

        def answer() -> None:
            if takes is not None:
                self._world.at(self._world.now + takes, leave)

        def leave() -> None:
            self.to_bridge.ride(pong, self._of_pings)

        self.to_peer.ride(answer, self._of_pings)

    def stall(self, seconds: float) -> None:
        self.to_bridge.stall(seconds)
        self.to_peer.stall(seconds)

    def lose(self) -> None:
        self.to_bridge.lose()
        self.to_peer.lose()

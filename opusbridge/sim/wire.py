"""A connection in virtual time: first in, first out, late by an amount the seed decides."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from opusbridge.sim.world import World  # which uses wires

#: No packet arrives at once.
QUICKEST_SECONDS = 0.01


class Wire:
    """One direction. Nothing overtakes: what is late makes late what comes after it."""

    __slots__ = ("_deliver", "_free_at", "_slowest", "_world")

    def __init__(self, world: World, deliver: Callable[[str], None], slowest: float = 0.12) -> None:
        """``slowest`` in seconds; at least :data:`QUICKEST_SECONDS`."""
        self._world, self._deliver, self._slowest = world, deliver, slowest
        self._free_at = 0.0

    def send(self, text: str) -> None:
        self.then(partial(self._deliver, text))

    def then(self, act: Callable[[], None]) -> None:
        """Do this at the far end, after everything sent so far has arrived."""
        world = self._world
        late = world.random.uniform(QUICKEST_SECONDS, self._slowest)
        self._free_at = max(self._free_at, world.now + late)
        world.at(self._free_at, act)

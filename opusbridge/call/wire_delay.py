"""How long sound is on its way to the ear, from what comes back of it.

An echo tells a round trip and nothing else: how much later it came than it would have over a
wire without delay, the *excess*. Unevenness makes it larger and never smaller, so of the marks
of one run of sound the smallest counts; of the last runs the one in the middle, for a run that
began late must not make the next one early. One way is taken to be half of that.
"""

from collections import deque
from dataclasses import dataclass, field
from math import inf
from statistics import median_low

#: More than this is no wire's: the far side stood still.
LONGEST_SECONDS = 0.3

#: Runs that are remembered: a wire that changes is followed within so many answers.
RUNS = 5

#: Echoes of which the quickest tells where the far side is: one that stood still is believed to
#: after so many, which come in some seconds.
ECHOES = 8


@dataclass(slots=True)
class WireDelay:
    """One way to the ear, in seconds: what is assumed until something came back."""

    seconds: float
    _trips: deque[float] = field(init=False)
    """There and back, by run; first what is assumed, so that no single run is believed."""

    def __post_init__(self) -> None:
        self._trips = deque([2 * self.seconds], maxlen=RUNS)

    def begin(self) -> None:
        """Another run: it tells a trip of its own."""
        if self._trips[-1] < inf:
            self._trips.append(inf)

    def came_back(self, excess: float) -> None:
        """An echo of the last run's, so many seconds later than over a wire without delay."""
        self._trips[-1] = min(self._trips[-1], max(excess, 0.0))
        known = [trip for trip in self._trips if trip < inf]
        self.seconds = min(median_low(known) / 2, LONGEST_SECONDS)


@dataclass(slots=True)
class Run:
    """Sound the far side plays without a pause; positions are bytes since the epoch began."""

    begins: int
    """The position of its first byte."""
    sent_at: float
    """When that was heard, had the wire no delay."""
    bytes_per_second: int
    delay: float
    """How much later than that it is heard."""
    told: float
    """The delay that others know of, who were told when its sound is heard."""
    _excesses: deque[float] = field(default_factory=lambda: deque(maxlen=ECHOES))

    def heard_at(self, position: int) -> float:
        return self._undelayed(position) + self.delay

    def excess(self, position: int, now: float) -> float:
        """How late an echo from this position is that comes now."""
        return now - self._undelayed(position)

    def came_back(self, excess: float, one_way: float) -> None:
        """The way back is ``one_way``; what else it was late, the sound itself was."""
        self._excesses.append(excess)
        self.delay = min(self._excesses) - one_way

    def _undelayed(self, position: int) -> float:
        return self.sent_at + (position - self.begins) / self.bytes_per_second

"""How long sound is on its way to the ear, from what comes back of it.

An echo tells a round trip and nothing else: how much later it came than it would have over a
wire without delay, the *excess*. Unevenness makes it larger and never smaller, so of the marks
of one run of sound the smallest counts; of the last runs the one in the middle, for a run that
began late must not make the next one early. One way is taken to be half of that.

The answer to a ping is such an echo, too, though of no sound. It is asked for before there is
any, so that the first is not believed to be where it is only assumed; and where no marks come
back, right behind the first sound of each run, with which it travels.
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

#: Pings before and beside all sound: the middle of so many, with what is assumed, is no accident.
EARLY_PINGS = 3

#: They are so far apart, so that one hiccup does not meet them all.
EARLY_APART_SECONDS = 0.25

#: Pings under way that are remembered: a far side that does not answer leaves no more.
MOST_ASKED = 8


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


@dataclass(slots=True, eq=False)
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

    def pinged(self, trip: float) -> None:
        """A ping that left with its first sound came back after so long. Which of the two ways
        was the slow one it does not tell, and no other will."""
        self.delay = min(trip / 2, LONGEST_SECONDS)

    def _undelayed(self, position: int) -> float:
        return self.sent_at + (position - self.begins) / self.bytes_per_second


@dataclass(slots=True)
class Pings:
    """The pings of one call: when to send one, and how long each took."""

    possible: bool
    """The socket can carry them."""
    of_every_run: bool
    """No marks come back: each run of sound has a ping of its own."""
    _asked: dict[str, tuple[float, Run | None]] = field(default_factory=dict)
    _count: int = 0
    _early: int = EARLY_PINGS
    _early_at: float = 0.0
    _run: Run | None = None

    def early_due(self, now: float) -> bool:
        """Whether the wire should be asked, though nothing is on it."""
        return self.possible and self._early > 0 and now >= self._early_at

    def due_behind(self, run: Run | None) -> bool:
        """Whether the sound that leaves now is the first of its run."""
        return self.possible and self.of_every_run and run not in (None, self._run)

    def ask(self, run: Run | None, now: float) -> str:
        """The name of one that leaves now, behind the first sound of ``run`` or behind none."""
        self._count += 1
        self._early -= 1
        self._early_at = now + EARLY_APART_SECONDS
        name = f"ping-{self._count}"
        self._asked[name] = now, run
        self._run = run or self._run
        while len(self._asked) > MOST_ASKED:
            del self._asked[next(iter(self._asked))]
        return name

    def answered(self, name: str, now: float) -> tuple[float, Run | None] | None:
        """How long it took, and the run it was sent behind; ``None``: it is none of ours."""
        asked = self._asked.pop(name, None)
        return None if asked is None else (now - asked[0], asked[1])

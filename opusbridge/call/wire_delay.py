"""How long sound is on its way to the ear, from what comes back of it.

An echo tells a round trip: how much later it came than it would have over a wire without delay,
the *excess*. Unevenness makes it larger and never smaller. Which of the two ways it befell the
caller's line tells (``line_clock``): his frames share the way back. Of what is left, the trip
*straightened*, the way back is that of the quickest frame; how long that is, only both ways
together tell, and they are taken to be alike: straightened trips are as much longer than twice
the quickest way as frames are late.

Where the line does not tell, of the echoes of one run of sound the smallest counts, and the more
there are the more of it was the sound's own way; of one alone it is half.

The answer to a ping is such an echo, too, though of no sound. It is asked for before there is
any, so that the first is not believed to be where it is only assumed; now and then while nothing
is heard; and where no marks come back, right behind the first sound of each run, with which it
travels.
"""

from dataclasses import dataclass, field
from math import inf

from opusbridge.call.line_clock import LineClock

#: More than this is no wire's: the far side stood still.
LONGEST_SECONDS = 0.3

#: A far side may hold sound back and play it later, and is believed to. No telephone does so for
#: longer, and whoever says that his does must not keep a call from ending: each second that is
#: believed puts off what waits for the last word, and when the next echo is taken for lost.
LONGEST_HELD_SECONDS = 10.0

#: Trips of which the middle is the way: a wire that changes is followed within so many answers.
RUNS = 5

#: Trips that tell how long the way is when nothing holds it up, which does not change.
TRIPS = 16

#: Echoes of which the quickest tells where the far side is: one that stood still is believed to
#: after so many, which come in some seconds.
ECHOES = 8

#: Pings before and beside all sound: with so many the first words are where they belong.
EARLY_PINGS = 8

#: They are so far apart, so that one hiccup does not meet them all.
EARLY_APART_SECONDS = 0.1

#: Later ones, while nothing is heard.
APART_SECONDS = 1.0

#: A clock set right by less than this is nobody's business: a tenth of a syllable.
WORTH_TELLING_SECONDS = 0.005

#: How late a run began is no news any more after so long: what is heard at another time then is
#: what comes, not what was.
NEWS_SECONDS = 1.5

#: Echoes that come together were held up by the same, and are one.
TOGETHER_SECONDS = 0.005

#: Pings under way that are remembered: a far side that does not answer leaves no more.
MOST_ASKED = 8


@dataclass(slots=True, eq=False)
class Trip:
    """There and back, as the echoes of one run of sound, or of one ping, tell it."""

    least: float = inf
    """As it came."""
    straight: float = inf
    """Had the way back been the quickest; as far as the line tells."""
    ahead: float = inf
    """The same less what the line's clock is behind, which is not known so soon."""
    era: int = 0
    """The clock's."""


@dataclass(slots=True)
class WireDelay:
    """One way to the ear, in seconds: what is assumed until something came back."""

    seconds: float
    clock: LineClock = field(default_factory=LineClock)
    quickest: float = 0.0
    """One way where nothing holds it up."""
    _assumed: float = field(init=False)
    _usual: float = 0.0
    _trips: list[Trip] = field(default_factory=list)
    _straight_by: tuple[int, float] = (-1, inf)
    """The clock's era, and how much it is behind, by which the trips were straightened."""

    def __post_init__(self) -> None:
        self._assumed = self.seconds

    def came_back(self, trip: Trip, excess: float, now: float) -> float | None:
        """An echo, so many seconds later than over a wire without delay.

        Returns how much of that it was under way by the line's clock, if it tells."""
        if trip.least == inf:
            self._trips.append(trip)
            del self._trips[:-TRIPS]
        trip.least = min(trip.least, max(excess, 0.0))
        left = self.clock.left(now)
        if left is not None:
            self._straighten(trip, excess - now + left)
        self._reckon()
        return None if left is None else excess - now + left

    def _straighten(self, trip: Trip, ahead: float) -> None:
        clock = self.clock
        era, behind = by = clock.era, clock.behind
        trip.ahead = ahead if trip.era != era else min(trip.ahead, ahead)
        trip.era = era
        # The others are as straight as they were, unless a quicker frame was seen since.
        for each in (trip,) if by == self._straight_by else self._trips:
            if each.era == era:
                each.straight = max(0.0, each.ahead + behind)
        self._straight_by, self._usual = by, clock.usual

    def _reckon(self) -> None:
        straight = sorted([trip.straight for trip in self._trips if trip.straight < inf])
        if straight:
            middle = (straight[len(straight) // 2] + straight[(len(straight) - 1) // 2]) / 2
            quickest = min((middle - self._usual) / 2, straight[0] / 2)
        else:
            quickest = min(trip.least for trip in self._trips) / 2
        self.quickest = min(max(0.0, quickest), LONGEST_SECONDS)
        # First what is assumed is one of them, so that no single trip is believed.
        ways = [self._assumed] if len(self._trips) < RUNS else []
        for trip in self._trips[-RUNS:]:
            told = trip.straight < inf
            ways.append(trip.straight - self.quickest if told else trip.least / 2)
        self.seconds = min(_middle(ways), LONGEST_SECONDS)


def _middle(of: list[float]) -> float:
    """The lower of the two; ``statistics`` takes its time, and this is asked often."""
    return sorted(of)[(len(of) - 1) // 2]


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
    _trip: Trip = field(default_factory=Trip)
    _ahead: list[float] = field(default_factory=list)
    """Of the echoes of which the line tells, as ``Trip.ahead``."""
    _excesses: list[float] = field(default_factory=list)
    """Of those of which it does not."""
    _era: int = 0
    _came_at: float = -inf

    def heard_at(self, position: int) -> float:
        return self._undelayed(position) + self.delay

    def came_back(self, position: int, now: float, wire: WireDelay) -> None:
        """An echo from this position."""
        self._reckon(now - self._undelayed(position), now, wire)

    def pinged(self, trip: float, now: float, wire: WireDelay) -> None:
        """A ping that left with its first sound came back after so long."""
        self._reckon(trip, now, wire)
        self.delay = min(self.delay, LONGEST_SECONDS)

    def moved(self, now: float) -> float:
        """How much later than was told last it is heard: now told."""
        if now > self.sent_at + NEWS_SECONDS or abs(self.delay - self.told) < WORTH_TELLING_SECONDS:
            return 0.0
        by, self.told = self.delay - self.told, self.delay
        return by

    def _reckon(self, excess: float, now: float, wire: WireDelay) -> None:
        ahead = wire.came_back(self._trip, excess, now)
        if ahead is not None:
            if self._era != wire.clock.era:
                self._era = wire.clock.era
                self._ahead.clear()
            self._ahead.append(ahead)
            del self._ahead[:-ECHOES]
            way = _middle(self._ahead) + wire.clock.behind - wire.quickest
            self.delay = min(max(0.0, way), LONGEST_HELD_SECONDS)
            return
        if now - self._came_at < TOGETHER_SECONDS:
            excess = min(excess, self._excesses.pop())
        self._came_at = now
        self._excesses.append(excess)
        del self._excesses[:-ECHOES]
        if not self._ahead:
            way = self._way(min(self._excesses), wire.quickest)
            self.delay = min(way, LONGEST_HELD_SECONDS)

    def _way(self, least: float, quickest: float) -> float:
        """How much of that was the sound's own way, as far as its size and their number tell."""
        uneven = min(least - 2 * quickest, LONGEST_SECONDS)
        return max(least / 2, least - quickest - uneven / (len(self._excesses) + 1))

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
    _asked_at: float = -inf
    _run: Run | None = None

    @property
    def deadline(self) -> float | None:
        """When the next early one is due; the first of them waits for an occasion."""
        under_way = self.possible and 0 < self._early < EARLY_PINGS
        return self._asked_at + EARLY_APART_SECONDS if under_way else None

    def due(self, silent: bool, now: float) -> bool:
        """Whether the wire should be asked, though nothing is on it; ``silent``: nor was."""
        if self._early > 0:
            return self.possible and now >= self._asked_at + EARLY_APART_SECONDS
        return self.possible and silent and now >= self._asked_at + APART_SECONDS

    def due_behind(self, run: Run | None) -> bool:
        """Whether the sound that leaves now is the first of its run."""
        return self.possible and self.of_every_run and run not in (None, self._run)

    def ask(self, run: Run | None, now: float) -> str:
        """The name of one that leaves now, behind the first sound of ``run`` or behind none."""
        self._count += 1
        self._early -= 1
        self._asked_at = now
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

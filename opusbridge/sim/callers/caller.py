"""What every simulated caller has: a person, a line that ticks, a playout, an oracle.

A provider's class says what goes over its wire; this one keeps the time. The first
``wake`` begins the call. From then on the line ticks every 20 ms of the owner's clock,
counted from the beginning, so that a late wake is followed by a burst, never by drift.
"""

from abc import ABC, abstractmethod
from dataclasses import dataclass
from random import Random

from opusbridge.sim.callers.person import FRAME_SECONDS, Action, Person, Spoken
from opusbridge.sim.callers.playout import HeardSpan, Playout
from opusbridge.sim.callers.sounds import on_one_time_line
from opusbridge.sim.party import Closing


@dataclass(frozen=True, slots=True)
class Clearing:
    """The bridge had the playout cleared: when it asked, when the ear noticed."""

    asked_at: float
    effective_at: float


class Caller(ABC):
    """A :class:`~opusbridge.sim.party.Party` that telephones."""

    def __init__(self, person: Person, random: Random, clear_delay: tuple[float, float]) -> None:
        self.person = person
        self.random = random
        self.playout = Playout(person.ear)
        self.violations: list[str] = []
        """What the bridge did against the provider's documents: a strict test wants none."""
        self.irregularities: list[str] = []
        """What is allowed, but known to sound bad."""
        self.clearings: list[Clearing] = []
        self.begun_at: float | None = None
        self.answered_at: float | None = None
        """When somebody did; until then it rings."""
        self.ended_at: float | None = None
        self._closing: Closing | None = None
        self._outbox: list[str] = []
        self._clear_delay = clear_delay
        self._pending_clears: list[tuple[float, int]] = []
        self._line_since = 0.0
        self._ticks = 0
        self._next_tick = 0.0

    # --- As a party ---------------------------------------------------------------------

    @property
    def deadline(self) -> float | None:
        if self._closing is not None or self.ended_at is not None:
            return None
        return self._next_tick

    @property
    def closing(self) -> Closing | None:
        return self._closing

    def texts_to_send(self) -> list[str]:
        if not self._outbox:
            return []
        outbox, self._outbox = self._outbox, []
        return outbox

    def wake(self, now: float) -> None:
        if self.begun_at is None:
            self.begun_at = now
            self._restart_line(now)
            self._begin(now)
        while self._next_tick <= now + 1e-9 and self._closing is None and self.ended_at is None:
            at = self._next_tick
            self._ticks += 1
            self._next_tick = self._line_since + self._ticks * FRAME_SECONDS
            self._settle(at)
            self._tick(at)

    def receive(self, text: str, now: float) -> None:
        if self._closing is not None or self.ended_at is not None:
            return  # on its way to a socket that is closed already
        self.wake(now)
        self._settle(now)
        self._hear(text, now)

    def gone(self, now: float, *, cut: bool = False) -> None:
        """The socket is closed. ``cut``: by the network, so that nobody could say why."""
        if self.begun_at is not None and self.ended_at is None:
            self._settle(now)
            if self._closing is None:
                self._abandoned(now, cut=cut)
            self.ended_at = now

    # --- The oracle ---------------------------------------------------------------------

    @property
    def heard(self) -> list[HeardSpan]:
        return self.person.ear.heard

    @property
    def spoken(self) -> list[Spoken]:
        return self.person.spoken

    def heard_pcm(self, rate_hz: int) -> bytes:
        """All that was heard, as 16-bit PCM on one time line from the call's beginning."""
        return on_one_time_line(self.heard, self.begun_at or 0.0, rate_hz)

    @property
    def slowest_clear(self) -> float:
        """Seconds from the arrival of a clear to silence, at most."""
        return self._clear_delay[1]

    def verdict(self) -> list[str]:
        """What the bridge did wrong and what the person waited for in vain; empty is well."""
        return [*self.violations, *self.person.in_vain]

    # --- For the providers --------------------------------------------------------------

    @abstractmethod
    def _begin(self, now: float) -> None:
        """The socket is open."""

    @abstractmethod
    def _tick(self, now: float) -> None:
        """20 ms of line."""

    @abstractmethod
    def _hear(self, text: str, now: float) -> None:
        """A text came."""

    @abstractmethod
    def _mark_reached(self, name: str, now: float, cleared: bool = False) -> None:
        """A mark in the playout was reached, or dropped by a clear."""

    @abstractmethod
    def _abandoned(self, now: float, *, cut: bool) -> None:
        """A socket was closed, or ``cut``, that nobody here wanted closed."""

    def _restart_line(self, now: float) -> None:
        self._line_since, self._ticks, self._next_tick = now, 0, now

    def _close(self, code: int | None, now: float, reason: str = "") -> None:
        self._settle(now)
        self._closing, self.ended_at = Closing(code, reason), now

    def _violation(self, what: str) -> None:
        self.violations.append(what)

    def _ask_to_clear(self, now: float) -> None:
        """What is queued by now falls silent, if the habit is so a little later."""
        self._pending_clears.append(
            (now + self.random.uniform(*self._clear_delay), self.playout.next_epoch())
        )
        self.clearings.append(Clearing(now, self._pending_clears[-1][0]))
        self._settle(now)

    def _settle(self, now: float) -> None:
        """Bring the playout up to ``now``, with the clears that take effect on the way."""
        while self._pending_clears and self._pending_clears[0][0] <= now:
            effective_at, epoch = self._pending_clears.pop(0)
            self._advance(effective_at)
            for name in self.playout.clear(epoch, effective_at):
                self._mark_reached(name, effective_at, cleared=True)
        self._advance(now)

    def _advance(self, now: float) -> None:
        for name in self.playout.advance(now):
            self._mark_reached(name, now)

    @abstractmethod
    def _act(self, action: Action, now: float) -> None:
        """The person did something to the telephone."""

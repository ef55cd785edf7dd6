"""Is the model still there? It is asked when it has been silent for a while.

A session that has frozen looks like one that listens: its socket is open and takes what the
caller says. While nothing is asked of it nobody would notice, until the caller has spoken and
heard nothing; and while it answers, nobody before the lifecycle's own waits, which are long,
for a model may think. So it is asked for the one thing
that is always answered and changes nothing: an update of no settings (openai-realtime 2.3).
Any event at all is an answer.

Both waits together leave time to tell the caller within 8 s of the end of his turn, whenever
in it, or just before it, the session froze.
"""

from dataclasses import dataclass
from math import inf

#: After this long without any event it is asked.
ASK_SECONDS = 3.0
#: The same of a session that is to be replaced in a quiet moment: such an answer may be one.
OLD_ASK_SECONDS = 1.0
#: The answer takes one round trip, a tenth of this.
ANSWER_SECONDS = 3.0
#: The same while it owes an answer: to lose its session for nothing would cost that.
BUSY_ANSWER_SECONDS = 6.0
#: Once it is known to be dead, another is dialled, mostly within this: then the answer itself
#: is what the caller hears, and he need not be asked to hold.
DIAL_SECONDS = 1.0


@dataclass(slots=True)
class Pulse:
    heard_at: float = 0.0
    """When the model's latest event came."""
    old: bool = False
    deaf_since: float = inf
    """Since when nobody knows whether the session that was lost last still heard the caller."""
    _asked_at: float | None = None

    @property
    def asked(self) -> bool:
        """Whether an answer is awaited."""
        return self._asked_at is not None

    def due(self, busy: bool) -> float:
        """When to ask, or when the answer is overdue. ``busy``: it owes another as well."""
        if self._asked_at is None:
            return self.heard_at + (OLD_ASK_SECONDS if self.old else ASK_SECONDS)
        return self._asked_at + (BUSY_ANSWER_SECONDS if busy else ANSWER_SECONDS)

    def weak(self, now: float) -> bool:
        """Whether it may well not hear what the caller says."""
        return self.asked and now >= self.due(busy=False)

    def heard(self, now: float) -> None:
        self.heard_at, self._asked_at = now, None

    def ask(self, now: float) -> None:
        self._asked_at = now

    def lost(self, now: float) -> float:
        """The session is: for how long it may have been deaf.

        One that owed us no sign of life heard him until now; one that did may have been dead
        since the last.
        """
        self.deaf_since = self.heard_at if self.asked else now
        return now - self.deaf_since

"""When the model's session is lost: when to dial another, and how long that may take.

Two limits in time and one in number. From the loss until another session is ready the caller
waits for no longer than the grace, however often nobody answers the dial; a session that does
not take our settings soon after it was dialled is given up, and another dialled; and one that
was ready and is lost again before one answer came of it is replaced once more, not for ever.
"""

from dataclasses import dataclass

from opusbridge import effects
from opusbridge.call.machines import earliest, is_due
from opusbridge.effects import Effect, Note

#: Sessions in a row without one answer; after that it is not the line.
MOST_IN_A_ROW = 2
#: Seconds before the next dial when one found nobody; the first is made at once. Short, for
#: the caller waits; growing, for whoever is down is not helped by being dialled.
PAUSES = (1.0, 2.0, 4.0)
#: From the dial until the session must have taken our settings. The dial has its own, shorter
#: limit; within the usual grace three are dialled.
READY_SECONDS = 12.0


@dataclass(slots=True)
class Rescue:
    grace_seconds: float
    """0: a lost session is not replaced at all."""
    reason: str = ""
    """Of the latest loss: one of errors.REASONS."""
    _lost_for: str = ""
    """The same of the session, whatever became of the dials for another."""
    _over_at: float | None = None
    _dial_at: float | None = None
    _ready_due: float | None = None
    _in_a_row: int = 0
    _dials_failed: int = 0

    @property
    def under_way(self) -> bool:
        """A session was lost, and no other is ready yet."""
        return self._over_at is not None

    @property
    def possible(self) -> bool:
        """Whether a session lost now would be replaced."""
        return self.under_way or (self._in_a_row < MOST_IN_A_ROW and self.grace_seconds > 0)

    @property
    def deadline(self) -> float | None:
        """When to ask :meth:`dial` and :meth:`expired` again."""
        return earliest(self._over_at, self._dial_at, self._ready_due)

    def lost(self, reason: str, now: float, cut_short: bool = False) -> bool:
        """The session is gone, or the dial for another failed. Whether to go on trying.

        ``cut_short``: the caller was hearing an answer of the session.
        """
        if cut_short and not self.under_way:
            self.answered()
        if not self.possible:
            return False
        if self.under_way and self._dial_at is not None:
            return True  # the socket of one that was given up already
        self.reason, self._ready_due = reason, None
        if self.under_way:
            self._dial_at = now + PAUSES[min(self._dials_failed, len(PAUSES) - 1)]
            self._dials_failed += 1
            return True
        self._lost_for = reason
        self._in_a_row += 1
        self._dials_failed = 0
        self._dial_at, self._over_at = now, now + self.grace_seconds
        return True

    def dial(self, now: float) -> list[Effect]:
        """Whatever is to be done about that now; once for each dial."""
        found: list[Effect] = []
        if is_due(self._ready_due, now):
            found.append(Note("watchdog", "session"))
            self.reason, self._dial_at = "model-silent", now
        if not is_due(self._dial_at, now):
            return []
        self._dial_at, self._ready_due = None, now + READY_SECONDS
        return [*found, Note("model-replaced", self.reason), effects.ReplaceModel(self.reason)]

    def expired(self, now: float) -> bool:
        """Whether the caller has waited long enough; true once."""
        if self._over_at is None or now < self._over_at:
            return False
        self.over()
        return True

    def ready(self) -> list[Effect]:
        """The new session took our settings."""
        told: list[Effect] = [Note("model-back", self._lost_for)] if self.under_way else []
        self.over()
        return told

    def over(self) -> None:
        """Nothing is waited for."""
        self._over_at = self._dial_at = self._ready_due = None

    def answered(self) -> None:
        """The model gave an answer, or some of it was heard: the next loss is the first again."""
        self._in_a_row = 0

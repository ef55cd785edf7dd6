"""Never silent: when an answer is owed and the caller hears nothing, he is asked to hold.

Whatever the fault, the caller learns within seconds that he was heard.
"""

from dataclasses import dataclass
from math import inf

#: After the first "one moment please" the next ones come after this much silence.
AGAIN_SECONDS = 10.0


@dataclass(slots=True)
class Hold:
    after_seconds: float
    """Of silence, counted from the last sound heard or from when the answer became owed."""
    deadline: float | None = None
    _owed_since: float | None = None
    _said_at: float | None = None
    _was_deaf: bool = False
    """Since it was said: he may have spoken again, and wait anew."""

    def look(
        self, owed: bool, silent_at: float, now: float, since: float = inf, deaf: bool = False
    ) -> None:
        """``owed``: somebody waits for an answer, and is not speaking himself. ``silent_at``:
        when all that is on its way to his ear will have been heard. ``since``: when that began,
        if it began before we knew. ``deaf``: nobody would notice if he spoke again meanwhile, and
        waited anew."""
        if not owed:
            self.deadline = self._owed_since = self._said_at = None
            return
        self._was_deaf = self._was_deaf or deaf
        self._owed_since = min(now if self._owed_since is None else self._owed_since, since)
        if self._said_at is None:
            self.deadline = max(self._owed_since, silent_at) + self.after_seconds
        else:
            again = min(self.after_seconds, AGAIN_SECONDS) if self._was_deaf else AGAIN_SECONDS
            self.deadline = max(self._said_at, silent_at) + again

    def due(self, now: float) -> bool:
        """Whether to say it now; true once for each time it is due."""
        if self.deadline is None or now < self.deadline:
            return False
        self._said_at, self.deadline = now, now + AGAIN_SECONDS
        self._was_deaf = False
        return True

"""Never silent: when an answer is owed and the caller hears nothing, he is asked to hold.

Whatever the fault, the caller learns within seconds that he was heard.
"""

from dataclasses import dataclass

#: After the first "one moment please" the next ones come after this much silence.
AGAIN_SECONDS = 10.0


@dataclass(slots=True)
class Hold:
    after_seconds: float
    """Of silence, counted from the last sound heard or from when the answer became owed."""
    deadline: float | None = None
    _owed_since: float | None = None
    _said_at: float | None = None

    def look(self, owed: bool, silent_at: float, now: float) -> None:
        """``owed``: somebody waits for an answer, and is not speaking himself. ``silent_at``:
        when all that is on its way to his ear will have been heard."""
        if not owed:
            self.deadline = self._owed_since = self._said_at = None
            return
        if self._owed_since is None:
            self._owed_since = now
        if self._said_at is None:
            self.deadline = max(self._owed_since, silent_at) + self.after_seconds
        else:
            self.deadline = max(self._said_at, silent_at) + AGAIN_SECONDS

    def due(self, now: float) -> bool:
        """Whether to say it now; true once for each time it is due."""
        if self.deadline is None or now < self.deadline:
            return False
        self._said_at, self.deadline = now, now + AGAIN_SECONDS
        return True

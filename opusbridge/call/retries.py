"""When to ask again, and when asking again cannot help any more.

Three different patiences: a response that failed is asked for again after growing waits; a
refusal that names a response which is already over is asked again at once, a few times, and
then counts as a failure; a model that sends nothing at all, twice in a row, is gone.
"""

from dataclasses import dataclass

#: Refusals in a row that name a response which is over, asked again at once each time.
QUICK_TRIES = 5
#: How soon "at once" is: the refusal and the server's own bookkeeping may cross.
QUICK_SECONDS = 0.05
#: Nobody holds a silent line for as long as a server may ask us to wait; then we ask anyway.
LONGEST_HINT_SECONDS = 20.0


@dataclass(slots=True)
class Retries:
    backoff: tuple[float, ...]
    attempts: int = 0
    ask_again_at: float | None = None
    given_up: str | None = None
    """A slug once asking again cannot help: ``model-silent`` or ``model-failed``."""
    _told: bool = False
    _quick_tries: int = 0
    _silences: int = 0
    _heard_at: float = 0.0
    _silent_at: float | None = None

    @property
    def due(self) -> float | None:
        """When to call :meth:`timed_out`."""
        if self.ask_again_at is None or self._silent_at is None:
            return self._silent_at if self.ask_again_at is None else self.ask_again_at
        return min(self.ask_again_at, self._silent_at)

    def model_heard(self, now: float) -> None:
        self._heard_at = now
        self._silences = 0
        self._silent_at = None

    def timed_out(self, now: float) -> None:
        if self.ask_again_at is not None and self.ask_again_at <= now:
            self.ask_again_at = None
        if self._silent_at is not None and self._silent_at <= now:
            self._silent_at = None
            self.give_up("model-silent")

    def answered(self) -> None:
        """A response came to its end: whatever was wrong is over."""
        self.attempts = self._quick_tries = 0
        self.ask_again_at = None

    def slot_freed(self) -> None:
        self._quick_tries = 0

    def after_failure(self, hint: float | None, now: float) -> None:
        """Wait longer each time, or as long as the server says; give up at the last."""
        tried = self.attempts
        self.count_attempt()
        if self.given_up is None:
            wait = self.backoff[tried] if hint is None else min(hint, LONGEST_HINT_SECONDS)
            self._wait(wait, now)

    def count_attempt(self) -> None:
        self.attempts += 1
        if self.attempts > len(self.backoff):
            self.give_up("model-failed")

    def at_once(self, now: float) -> None:
        self._quick_tries += 1
        if self._quick_tries <= QUICK_TRIES:
            self._wait(QUICK_SECONDS, now)
            return
        self._quick_tries = 0
        self.after_failure(None, now)

    def must_be_heard_by(self, at: float) -> None:
        """What is always answered was not; if not a word comes until then either, it is dead."""
        self._silent_at = at

    def count_silence(self, since: float) -> None:
        """Nothing was answered; if nothing at all was heard either, twice, it is dead."""
        if self._heard_at > since:
            return
        self._silences += 1
        if self._silences >= 2:
            self.give_up("model-silent")

    def give_up(self, reason: str) -> None:
        self.given_up = self.given_up or reason

    def just_given_up(self) -> bool:
        """True once, for whoever tells of it."""
        news = self.given_up is not None and not self._told
        self._told = self._told or news
        return news

    def start_over(self) -> None:
        """A new session: the next failure is the first again."""
        self.attempts = self._quick_tries = self._silences = 0
        self.ask_again_at = self.given_up = self._silent_at = None
        self._told = False

    def _wait(self, seconds: float, now: float) -> None:
        """Two reasons to wait run side by side."""
        self.ask_again_at = max(self.ask_again_at or now, now + seconds)

"""VoiceAI Connect's own patience with a caller who says nothing."""

from math import inf
from typing import Any


class NoInput:
    """``noUserInput`` is due after so much silence of both, and again after as much more."""

    def __init__(self, seconds: float, *, told: bool) -> None:
        """``told``: it is among ``sendEventsToBot``."""
        self.times = 0
        self._seconds, self._told = seconds, told
        self._silent_since: float | None = None

    def set(self, params: dict[str, Any]) -> None:
        """The bot's ``sessionParams``; a time-out of 0 is none."""
        self._told |= "noUserInput" in (params.get("sendEventsToBot") or ())
        ms = params.get("userNoInputTimeoutMS")
        if isinstance(ms, int):
            self._seconds = ms / 1000 if ms > 0 else inf

    def heard_him(self) -> None:
        """The bot says that he speaks: it begins to count anew."""
        self.times, self._silent_since = 0, None

    def due(self, silent: bool, now: float) -> bool:
        """Whether the bot is told now; ask in each tick. ``silent``: nobody is heard."""
        if not silent or not self._told:
            self._silent_since = None
            return False
        self._silent_since = now if self._silent_since is None else self._silent_since
        if now - self._silent_since < self._seconds:
            return False
        self._silent_since = now
        self.times += 1
        return True

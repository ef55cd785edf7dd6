"""How often we may call within a day."""

from collections.abc import Sequence
from dataclasses import dataclass

from opusbridge.web.access import Refusal

TOO_MANY = Refusal(429, "too-many-calls-today")
TOO_MANY_TO_NUMBER = Refusal(429, "too-many-calls-to-this-number")


@dataclass(frozen=True, slots=True)
class Caps:
    """Calls within a day; 0: no limit."""

    per_day: int
    per_number: int

    def refuse(self, to: str, called: Sequence[str]) -> Refusal | None:
        """``None``: one more may be placed; ``called`` are the numbers of the day's."""
        if 0 < self.per_day <= len(called):
            return TOO_MANY
        return TOO_MANY_TO_NUMBER if 0 < self.per_number <= called.count(to) else None

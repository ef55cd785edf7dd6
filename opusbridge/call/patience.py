"""How much of what nobody understands is borne before the call is given up."""

#: Messages of one peer that we could not use; more and it does not speak our language.
MOST_BAD_MESSAGES = 100

#: Messages of unknown kinds that the telephony side may send at once, and how many more a second.
#: A provider that adds one to each of its fifty frames a second, and one that was held up for
#: seconds, are far from it; one that sends more keeps the other calls waiting. The model may send
#: as many as it likes: a new kind with each piece of a word would be that many.
UNKNOWN_AT_ONCE, UNKNOWN_A_SECOND = 500, 100
#: The kind of what is too many.
FLOOD = "flood"


class Patience:
    def __init__(self) -> None:
        self._bad: dict[str, int] = {}

    def tried(self, side: str) -> str | None:
        """One message more of this side's; one of errors.REASONS when that was too much, once."""
        self._bad[side] = self._bad.get(side, 0) + 1
        return f"{side}-unintelligible" if self._bad[side] == MOST_BAD_MESSAGES + 1 else None


class Flood:
    """Of messages of unknown kinds: harmless each, and too many."""

    def __init__(self) -> None:
        self._spare = float(UNKNOWN_AT_ONCE)
        self._at = 0.0

    def rises(self, now: float) -> bool:
        """One more came; whether that is too many for the time."""
        more = (now - self._at) * UNKNOWN_A_SECOND
        self._spare, self._at = min(self._spare + more, UNKNOWN_AT_ONCE), now
        if self._spare < 1:
            return True
        self._spare -= 1
        return False

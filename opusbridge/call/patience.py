"""How much of what nobody understands is borne before the call is given up."""

#: Messages of one peer that we could not use; more and it does not speak our language.
MOST_BAD_MESSAGES = 100


class Patience:
    def __init__(self) -> None:
        self._bad: dict[str, int] = {}

    def tried(self, side: str) -> str | None:
        """One message more of this side's; one of errors.REASONS when that was too much, once."""
        self._bad[side] = self._bad.get(side, 0) + 1
        return f"{side}-unintelligible" if self._bad[side] == MOST_BAD_MESSAGES + 1 else None

"""What the recorders of all calls are handed, in one list, until it is sorted by call.

Between two frames of a call the processor has carried those of all other calls, and the kernel
their packets: what is this call's own has left its nearest memory, as has the code that looks at
it, and to bring them back for each frame costs several times what is done with it. The one list
that all share is always near; some hundred things at once are then taken one after the other.
"""

from collections.abc import Callable
from math import inf
from operator import itemgetter
from typing import Any, Protocol

#: So long things stay together. To sort the list keeps the calls waiting: half a millisecond
#: with a hundred calls.
SORT_SECONDS = 0.1


class Keeper(Protocol):
    """Whose a thing is: a call's recorder."""

    def sorted(self, now: float) -> None:
        """All that was put down for it has been taken."""

    def broke(self, error: Exception) -> None:
        """What takes a thing of its, or :meth:`sorted`, has raised: a bug, of which none of the
        others is to know."""


#: Whose a thing is, what takes it, the thing, and its time: seconds on the loop's clock.
Line = tuple[Any, Callable[[Any, float], None], Any, float]

_KEEPER = itemgetter(0)


class Journal:
    """Of all calls of one event loop; for that one alone."""

    __slots__ = ("_lines", "due", "put")

    def __init__(self) -> None:
        self._lines: list[Line] = []
        self.put = self._lines.append
        """Put down a line; when the journal is sorted it is taken."""
        self.due = -inf
        """When it is due to be sorted: by whoever puts something down then, or later."""

    def sort(self, now: float) -> None:
        """Everything to whom it belongs, in order. Raises nothing, whoever has a bug: it may be
        any call's turn to sort, and what waits is of all."""
        self.due = now + SORT_SECONDS
        lines = self._lines.copy()
        self._lines.clear()  # first: what takes a thing may put down another
        for keeper, take, what, at in lines:
            try:
                take(what, at)
            except Exception as error:  # noqa: BLE001  # one call's must not cost all the others
                keeper.broke(error)
        for keeper in dict.fromkeys(map(_KEEPER, lines)):
            tell(keeper, now)


def tell(keeper: Keeper, now: float) -> None:
    """It has been sorted, as far as this one is concerned."""
    try:
        keeper.sorted(now)
    except Exception as error:  # noqa: BLE001  # one call's must not cost all the others
        keeper.broke(error)

"""Who stands at the far end of a socket: the simulated model and the simulated callers.

A party is a pure object, like a protocol: texts come in with the time, texts wait to be
taken out, and ``deadline`` says when it next wants waking. The world joins parties to
engines in virtual time; ``sockets`` puts the same objects on real ones.
"""

from collections.abc import Callable
from dataclasses import dataclass
from math import inf
from typing import Protocol


@dataclass(frozen=True, slots=True)
class Closing:
    """How a party ends its socket; ``code`` ``None`` drops it without a closing handshake."""

    code: int | None = 1000
    reason: str = ""


class Party(Protocol):
    @property
    def deadline(self) -> float | None:
        """When this party next wants :meth:`wake`, in the owner's seconds."""

    @property
    def closing(self) -> Closing | None:
        """Set once this party wants its socket closed, after the texts still waiting."""

    def receive(self, text: str, now: float) -> None:
        """A text frame came from the bridge."""

    def gone(self, now: float) -> None:
        """The bridge closed the socket, or it was lost."""

    def wake(self, now: float) -> None:
        """``deadline`` has come; doing nothing early or twice is fine."""

    def texts_to_send(self) -> list[str]:
        """Texts for the bridge, in order; taking them forgets them."""


class ModelParty(Party, Protocol):
    """The model's side; a strict one can say what it objects to."""

    @property
    def violations(self) -> list[str]:
        """What must never be done, whatever comes of the session."""

    @property
    def session_lost(self) -> bool:
        """By its own fault: nobody owes it anything any more."""

    def verdict(self, over_at: float = inf) -> list[str]:
        """That, and what was left undone by the time the bridge had left."""


#: Another session when the bridge asks for one; ``None``: nobody answers. Takes the time.
Dial = Callable[[float], ModelParty | None]

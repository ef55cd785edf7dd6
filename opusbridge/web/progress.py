"""How far a call that we placed has come, and what operators are told of it."""

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from opusbridge.bridge.summary import shown_ending
from opusbridge.errors import REASONS, Ending, ending
from opusbridge.web.order_book import Order

#: Why we end one that has not come: somebody does not want it any more, or there is no one to
#: talk to.
OPERATOR = "hung-up-by-operator"
MACHINE = "machine-detected"

#: How the file says that the provider refused an order: no phone rang.
NOT_PLACED = "not-placed"

#: Seconds from one call to the next of a provider who takes orders at once, and dials them one
#: after the other: Twilio's usual pace. An account may have a faster one.
PACE_SECONDS = {"twilio": 1.0}


@dataclass(slots=True)
class Progress:
    placed_at: float
    """By the clock that nobody sets."""
    dialled_at: float
    """The same: the provider does so by then."""
    provider_call_id: str = ""
    picked_up: bool = False
    leaving: str = ""
    """Why it ends by our own wish, whatever the provider calls it."""
    how: Ending | None = None
    counts: bool = True
    """As a call of its day: not one that the provider refused."""

    def ended_as(self, written: str) -> None:
        """What the file says of its end."""
        self.counts = written != NOT_PLACED
        reason = written if self.counts else "telephony-error"
        self.how = ending(reason if reason in REASONS else "unknown")


class Queues:
    """When it is whose turn to be dialled, by telephony side."""

    def __init__(self) -> None:
        self._next: dict[str, float] = {}

    def placed(self, telephony: str, at: float) -> Progress:
        """Behind all that were placed before."""
        turn = max(at, self._next.get(telephony, at))
        self._next[telephony] = turn + PACE_SECONDS.get(telephony, 0.0)
        return Progress(at, turn)


def told(
    order: Order, progress: Progress, call: dict[str, Any] | None, *, gone: bool
) -> dict[str, Any]:
    """An entry of ``GET /api/calls``: what its bridge says of the ``call``, if it has come. Else
    the same keys, without one; ``gone``: nobody will hear of it any more."""
    how = progress.how or (ending("unknown") if gone and call is None else None)
    found = call or {
        "call_id": order.call_id,
        "telephony": order.telephony,
        "provider_call_id": progress.provider_call_id,
        "caller": order.from_,
        "callee": order.to,
        "started_at": datetime.fromtimestamp(order.at, UTC).isoformat(),
        "state": "dialling" if how is None else "ended",
        "response_active": False,
        "response_id": None,
        "pending_user_input": None,
        "recording_paused": False,
        "turns": 0,
        "ending": None,
    }
    own = {} if how is None else {"ending": shown_ending(how)}
    return {**found, **own, "direction": "outbound"}

"""How far a call that we placed has come, and how that is told while there is no call yet."""

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from opusbridge.errors import Ending
from opusbridge.web.journal import Order

#: Why we end one that has not come: somebody does not want it any more, or there is no one to
#: talk to.
OPERATOR = "hung-up-by-operator"
MACHINE = "machine-detected"


@dataclass(slots=True)
class Progress:
    placed_at: float
    """By the clock that nobody sets."""
    provider_call_id: str = ""
    picked_up: bool = False
    leaving: str = ""
    """Why it ends by our own wish, whatever the provider calls it."""
    how: Ending | None = None


def described(order: Order, progress: Progress, how: Ending | None) -> dict[str, Any]:
    """As a bridge describes its call; ``how`` it ended, if it did."""
    return {
        "call_id": order.call_id,
        "telephony": order.telephony,
        "provider_call_id": progress.provider_call_id,
        "caller": order.from_,
        "callee": order.to,
        "started_at": datetime.fromtimestamp(order.at, UTC).isoformat(),
        "state": "dialling" if how is None else "ended",
    }

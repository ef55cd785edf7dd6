"""Live calls that may be ones we placed: a call may be faster than the answer to its order.

Only that answer, or the call's own start, tells whose it is; one that is over by then was no less
the order's.
"""

from collections import Counter
from dataclasses import dataclass

from opusbridge.errors import Ending


@dataclass(slots=True)
class EarlyCall:
    call_id: str
    telephony: str
    provider_call_id: str
    came_at: float
    rings: bool = True
    how: Ending | None = None
    """How it ended, once it has."""


class EarlyCalls:
    """``now`` is in seconds and never goes back. Who is claimed is no longer here."""

    def __init__(self, kept_seconds: float) -> None:
        """``kept_seconds``: no answer to an order comes later."""
        self._kept_seconds = kept_seconds
        self._calls: dict[str, EarlyCall] = {}

    def came(self, call_id: str, telephony: str, provider_call_id: str, now: float) -> None:
        since = now - self._kept_seconds
        known = self._calls.values()
        self._calls = {one.call_id: one for one in known if one.rings or one.came_at >= since}
        self._calls[call_id] = EarlyCall(call_id, telephony, provider_call_id, now)

    def settled(self, call_id: str) -> None:
        """It has started, or is over: it rings no longer."""
        if (call := self._calls.get(call_id)) is not None:
            call.rings = False

    def over(self, call_id: str, how: Ending) -> None:
        if (call := self._calls.get(call_id)) is not None:
            call.how = how

    def ringing(self) -> Counter[str]:
        """How many ring, by telephony side."""
        return Counter(call.telephony for call in self._calls.values() if call.rings)

    def claim(self, telephony: str, provider_call_id: str) -> EarlyCall | None:
        """The one that the provider calls so, if there is one."""
        for call in self._calls.values():
            if (call.telephony, call.provider_call_id) == (telephony, provider_call_id):
                return self._calls.pop(call.call_id)
        return None

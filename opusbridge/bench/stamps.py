"""Sound that says where it comes from: lost, late and damaged frames are seen at the far end.

A stamp is 32 digits: the call, the number of the frame in it, and the machine's clock in
nanoseconds. Digits are letters of base64, so a stamp can stand at the beginning of a payload
without being encoded, and whoever passes the payload on as it is passes the stamp on.
"""

from array import array
from base64 import b64encode
from collections.abc import Iterable, Sequence
from typing import Any

STAMP = 32
#: How many stamps fit: calls have four digits.
MOST_CALLS = 9_999
#: ``V`` in base64, wherever one begins to encode: no digit, so never taken for a stamp.
_FILLER = b"\x55"

#: Of a call, the numbers of its frames from the first to the last.
Stretch = tuple[int, int, int]


def stamp(call: int, number: int, now_ns: int) -> str:
    return f"{call:04d}{number:08d}{now_ns:020d}"


def tail(size_bytes: int) -> str:
    """What follows the stamp in the base64 of so many bytes of sound."""
    return b64encode(_FILLER * size_bytes).decode()[STAMP:]


class Arrivals:
    """What came of one kind of stamped sound, from all calls. Latencies are in microseconds."""

    def __init__(self) -> None:
        self.received: dict[int, int] = {}
        """Frames by call, from the first on."""
        self.gaps: list[Stretch] = []
        """Numbers that did not come; none in a stretch: overtaken, which no socket does."""
        self.damaged = 0
        self._latest: dict[int, int] = {}
        self._latencies: array[int] | None = None

    def begin(self) -> None:
        """Measure from here on."""
        self._latencies = array("I")

    def end(self) -> dict[str, Any]:
        """What was measured since."""
        latencies, self._latencies = self._latencies or array("I"), None
        return {"latencies_us": quantiles(latencies)}

    def note(self, payload: bytes, expected_tail: bytes, now_ns: int, call: int = 0) -> int:
        """One payload; returns its call, 0 if it has no stamp. ``call``: if it is known."""
        try:
            call, number = call or int(payload[:4]), int(payload[4:12])
            sent_ns = int(payload[12:STAMP])
        except ValueError:
            return 0
        if payload[STAMP:] != expected_tail:
            self.damaged += 1
        latest = self._latest.get(call, 0)
        if number != latest + 1:
            self.gaps.append((call, latest + 1, number - 1))
        self._latest[call] = number
        self.received[call] = self.received.get(call, 0) + 1
        if self._latencies is not None:
            self._latencies.append(min(max(0, now_ns - sent_ns) // 1000, 2**32 - 1))
        return call


def lost(gaps: Iterable[Stretch], withdrawn: Iterable[Stretch]) -> int:
    """How many frames are missing of which nobody said that he does not want them any more."""
    unwanted: dict[int, set[int]] = {}
    for call, first, last in withdrawn:
        unwanted.setdefault(call, set()).update(range(first, last + 1))
    count = 0
    for call, first, last in gaps:
        count += (
            len(set(range(first, last + 1)) - unwanted.get(call, set())) if last >= first else 1
        )
    return count


def quantiles(values: "Sequence[int] | array[int]") -> dict[str, float]:
    """``count``, and of these values the median, 99th percentile and greatest."""
    if not values:
        return {"count": 0, "p50": 0.0, "p99": 0.0, "max": 0.0}
    ordered = sorted(values)
    last = len(ordered) - 1
    return {
        "count": len(ordered),
        "p50": float(ordered[last // 2]),
        "p99": float(ordered[min(last, round(last * 0.99))]),
        "max": float(ordered[last]),
    }

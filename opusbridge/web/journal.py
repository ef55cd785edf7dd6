"""The calls this installation has placed, on the disk before they are placed.

So a restart neither places a call again nor forgets how many were placed today.
"""

import os
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from threading import Lock
from typing import Any
from uuid import uuid4

import orjson
from pydantic import TypeAdapter, ValidationError

#: Seconds for which an idempotency key is remembered, and over which the caps count.
DAY_SECONDS = 86_400.0


@dataclass(frozen=True, slots=True, repr=False)
class Order:
    """One call to be placed. Printing it shows its id alone."""

    call_id: str
    telephony: str
    to: str
    from_: str
    machine_detection: bool
    key: str | None
    """The idempotency key."""
    at: float
    """In seconds since 1970."""

    def same_wish(self, other: "Order") -> bool:
        mine = (self.telephony, self.to, self.from_, self.machine_detection)
        return mine == (other.telephony, other.to, other.from_, other.machine_detection)

    def __repr__(self) -> str:
        return f"<Order {self.call_id}>"


_ORDER = TypeAdapter(Order)


class Journal:
    """One file, a line for each order and for each end. Everything here may wait for the disk,
    and may be asked for by several threads at once."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._alone = Lock()

    def read(self, since: float) -> tuple[dict[str, Order], dict[str, str]]:
        """The orders since then by ``call_id``, and how those that ended did.

        A line that was half written when the power went is no order: nothing was dialled for
        it. Older ones are taken out of the file.
        """
        with self._alone:
            return self._read(since)

    def ordered(self, order: Order) -> None:
        """On the disk when this returns. Raises ``OSError``: then do not place it."""
        with self._alone:
            self._append([asdict(order)])

    def ended(self, call_id: str, reason: str) -> None:
        with self._alone:
            self._append([{"call_id": call_id, "ended": reason}])

    def _read(self, since: float) -> tuple[dict[str, Order], dict[str, str]]:
        orders: dict[str, Order] = {}
        ended: dict[str, str] = {}
        for line in self._lines():
            match line:
                case {"call_id": str(call_id), "ended": str(reason)} if call_id in orders:
                    ended[call_id] = reason
                case {"call_id": str(call_id), "at": float(at)} if at >= since:
                    with suppress(ValidationError):  # of another version
                        orders[call_id] = _ORDER.validate_python(line)
        if orders or self._path.exists():
            self._rewrite(orders.values(), ended)
        return orders, ended

    def _lines(self) -> list[Any]:
        if not self._path.exists():
            return []
        found = []
        for text in self._path.read_bytes().splitlines():
            try:
                found.append(orjson.loads(text))
            except orjson.JSONDecodeError:
                continue
        return found

    def _append(self, lines: Iterable[dict[str, Any]]) -> None:
        self._path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        with open(self._path, "ab", opener=_private) as file:
            # First the end of a line that may be half written.
            file.writelines(b"\n" + orjson.dumps(line) for line in lines)
            file.flush()
            os.fsync(file.fileno())

    def _rewrite(self, orders: Iterable[Order], ended: dict[str, str]) -> None:
        lines = [orjson.dumps(asdict(order)) for order in orders]
        lines += [
            orjson.dumps({"call_id": call_id, "ended": reason}) for call_id, reason in ended.items()
        ]
        # Another process may be doing the same.
        unfinished = self._path.with_name(f"{self._path.name}.{uuid4().hex}.part")
        try:
            with open(unfinished, "wb", opener=_private) as file:
                file.write(b"\n".join(lines))
                file.flush()
                os.fsync(file.fileno())
            unfinished.replace(self._path)
        finally:
            unfinished.unlink(missing_ok=True)


def _private(path: str, flags: int) -> int:
    return os.open(path, flags, 0o600)

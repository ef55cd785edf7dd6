"""The calls this installation has placed, on the disk before they are placed.

So a restart neither places a call again nor forgets how many were placed today.
"""

import os
import time
from collections.abc import Container, Iterable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from threading import Lock
from typing import Any
from uuid import uuid4

import orjson
from pydantic import TypeAdapter, ValidationError

#: Seconds for which an idempotency key is remembered, and over which the caps count.
DAY_SECONDS = 86_400.0

#: Seconds after which nobody is still writing the new file.
PART_SECONDS = 3600.0


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


class OrderBook:
    """One file, a line for each order and for each end. Everything here may wait for the disk,
    and may be asked for by several threads at once, and by several processes."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._one_thread = Lock()

    def read(self, since: float) -> tuple[dict[str, Order], dict[str, str]]:
        """The orders since then by ``call_id``, and how those that ended did.

        A line that was half written when the power went is no order: nothing was dialled for
        it. Older ones are taken out of the file, unless that cannot be done now: then
        :meth:`forget` them later. Raises ``OSError``: then what is in it is not known.
        """
        if not self._is_there():
            return {}, {}
        with self._alone() as others_wait:
            orders, ended, lines = self._read(since)
            with suppress(OSError):
                self._rewrite(orders, ended, lines)
            self._sweep(0.0 if others_wait else PART_SECONDS)
            return orders, ended

    def forget(self, since: float, but: Container[str]) -> None:
        """Take older ones out of the file, except those with these ids. Raises ``OSError``."""
        if self._is_there():
            with self._alone():
                self._rewrite(*self._read(since, but))

    def ordered(self, order: Order) -> None:
        """On the disk when this returns. Raises ``OSError``: then do not place it."""
        with self._alone():
            self._append([asdict(order)])

    def ended(self, call_id: str, reason: str) -> None:
        with self._alone():
            self._append([{"call_id": call_id, "ended": reason}])

    def taken_back(self, *call_ids: str) -> None:
        """As if they had never been ordered: nobody was called, and nobody was told their ids."""
        with self._alone():
            self._append({"call_id": call_id, "taken_back": True} for call_id in call_ids)

    @contextmanager
    def _alone(self) -> Iterator[bool]:
        """Whether other processes wait, too: not every disk or system can make them."""
        self._path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        with self._one_thread, ExitStack() as held:
            try:
                import fcntl  # not everywhere

                # A file beside it, for that one is replaced.
                lock = self._path.with_name(f"{self._path.name}.lock")
                fcntl.flock(held.enter_context(open(lock, "ab", opener=_private)), fcntl.LOCK_EX)
                others_wait = True
            except (ImportError, OSError):
                others_wait = False
            yield others_wait

    def _is_there(self) -> bool:
        try:
            self._path.stat()
        except FileNotFoundError:
            return False
        return True

    def _read(
        self, since: float, but: Container[str] = ()
    ) -> tuple[dict[str, Order], dict[str, str], int]:
        """The orders, how they ended, and how many lines the file has."""
        orders: dict[str, Order] = {}
        ended: dict[str, str] = {}
        lines = self._lines()
        for line in lines:
            match line:
                case {"call_id": str(call_id), "ended": str(reason)} if call_id in orders:
                    ended[call_id] = reason
                case {"call_id": str(call_id), "taken_back": True}:
                    orders.pop(call_id, None)
                case {"call_id": str(call_id), "at": float(at)} if at >= since or call_id in but:
                    with suppress(ValidationError):  # of another version
                        orders[call_id] = _ORDER.validate_python(line)
        return orders, ended, len(lines)

    def _lines(self) -> list[Any]:
        """``None`` for one that cannot be read."""
        found = []
        for text in filter(None, self._path.read_bytes().splitlines()):
            try:
                found.append(orjson.loads(text))
            except orjson.JSONDecodeError:
                found.append(None)
        return found

    def _sweep(self, seconds: float) -> None:
        """Take away what processes that were killed left unfinished so long ago."""
        for left in self._path.parent.glob(f"{self._path.name}.*.part"):
            with suppress(OSError):  # the next who reads tries again
                if left.stat().st_mtime <= time.time() - seconds:
                    left.unlink()

    def _append(self, lines: Iterable[dict[str, Any]]) -> None:
        with open(self._path, "ab", opener=_private) as file:
            # First the end of a line that may be half written.
            file.writelines(b"\n" + orjson.dumps(line) for line in lines)
            file.flush()
            os.fsync(file.fileno())

    def _rewrite(self, orders: dict[str, Order], ended: dict[str, str], before: int) -> None:
        """With these alone, if there were more lines."""
        if len(orders) + len(ended) == before:
            return
        lines = [orjson.dumps(asdict(order)) for order in orders.values()]
        lines += [
            orjson.dumps({"call_id": call_id, "ended": reason}) for call_id, reason in ended.items()
        ]
        # Another process may be doing the same, where it does not wait.
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

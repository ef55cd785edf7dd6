"""The calls we placed, as a restart finds them."""

import errno
import os
import time
from concurrent.futures import Future, ThreadPoolExecutor, wait
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from opusbridge.web.order_book import Order, OrderBook

ORDER = Order("call-1", "twilio", "+15550100001", "+15550100002", False, "key-1", 1000.0)


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_a_journal_that_was_never_written_is_empty_and_stays_away(tmp_path: Path) -> None:
    assert OrderBook(tmp_path / "outbound.jsonl").read(0.0) == ({}, {})
    assert list(tmp_path.iterdir()) == []


def test_orders_and_ends_are_found_again(tmp_path: Path) -> None:
    book = OrderBook(tmp_path / "data" / "outbound.jsonl")
    book.ordered(ORDER)
    book.ordered(replace(ORDER, call_id="call-2", key=None, at=1001.0))
    book.ended("call-1", "not-answered")

    orders, ended = OrderBook(tmp_path / "data" / "outbound.jsonl").read(0.0)

    assert list(orders) == ["call-1", "call-2"]
    assert orders["call-1"] == ORDER
    assert ended == {"call-1": "not-answered"}


def test_what_is_older_than_a_day_is_forgotten_on_the_disk_too(tmp_path: Path) -> None:
    path = tmp_path / "outbound.jsonl"
    book = OrderBook(path)
    book.ordered(ORDER)
    book.ended("call-1", "not-answered")
    book.ordered(replace(ORDER, call_id="call-2", at=5000.0))

    assert book.read(4000.0) == ({"call-2": replace(ORDER, call_id="call-2", at=5000.0)}, {})
    assert b"call-1" not in path.read_bytes()


def a_full_disk(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing is put in another file's place any more."""

    def full(path: Path, target: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(Path, "replace", full)


def test_what_cannot_be_taken_out_of_the_file_now_costs_none_of_the_others(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "outbound.jsonl"
    book = OrderBook(path)
    book.ordered(ORDER)
    book.ordered(replace(ORDER, call_id="call-2", at=5000.0))
    with monkeypatch.context() as disk:
        a_full_disk(disk)
        orders, _ = book.read(4000.0)
        with pytest.raises(OSError, match="No space"):
            book.forget(4000.0, ())
    before = path.read_bytes()
    book.forget(4000.0, ())

    assert list(orders) == ["call-2"]
    assert b"call-1" in before
    assert b"call-1" not in path.read_bytes()


def test_a_file_that_cannot_be_looked_at_is_not_taken_for_none(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def stale(path: Path, **how: bool) -> os.stat_result:
        raise OSError(errno.ESTALE, "Stale file handle")

    book = OrderBook(tmp_path / "outbound.jsonl")
    book.ordered(ORDER)
    monkeypatch.setattr(Path, "stat", stale)

    with pytest.raises(OSError, match="Stale"):
        book.read(0.0)


def test_what_was_never_written_needs_no_forgetting(tmp_path: Path) -> None:
    OrderBook(tmp_path / "outbound.jsonl").forget(0.0, ())

    assert list(tmp_path.iterdir()) == []


def test_nothing_is_lost_that_is_written_while_old_ones_are_taken_out(tmp_path: Path) -> None:
    path = tmp_path / "outbound.jsonl"
    book, numbers = OrderBook(path), range(30)
    orders = [replace(ORDER, call_id=f"call-{number}") for number in numbers]
    with ThreadPoolExecutor() as threads:
        written = [threads.submit(book.ordered, order) for order in orders]
        while not all(one.done() for one in written):
            book.read(0.0)

    assert set(book.read(0.0)[0]) == {order.call_id for order in orders}


def test_two_processes_that_start_together_both_find_what_was_placed(tmp_path: Path) -> None:
    path = tmp_path / "outbound.jsonl"
    OrderBook(path).ordered(ORDER)
    with ThreadPoolExecutor() as threads:
        found = list(threads.map(lambda _: OrderBook(path).read(0.0), range(100)))

    assert all(list(orders) == ["call-1"] for orders, _ in found)
    assert names(tmp_path) == ["outbound.jsonl", "outbound.jsonl.lock"]


def test_what_another_process_writes_while_old_ones_are_taken_out_is_not_lost(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "outbound.jsonl"
    places, starts = OrderBook(path), OrderBook(path)
    places.ordered(ORDER)
    find, placed = starts._lines, list[Future[None]]()

    def find_and_be_slow() -> list[Any]:
        found = find()
        placed.append(threads.submit(places.ordered, replace(ORDER, call_id="call-2", at=5000.0)))
        wait(placed, timeout=0.2)  # it is waiting for us
        return found

    monkeypatch.setattr(starts, "_lines", find_and_be_slow)
    with ThreadPoolExecutor() as threads:
        starts.read(4000.0)

    assert list(OrderBook(path).read(4000.0)[0]) == ["call-2"]


def test_a_file_of_which_nothing_is_to_be_taken_out_is_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "outbound.jsonl"
    book = OrderBook(path)
    book.ordered(ORDER)
    book.ended("call-1", "not-answered")
    before = path.stat().st_ino
    with open(path, "rb"):  # so that no other file can get its number
        book.read(0.0)

        assert path.stat().st_ino == before


def test_what_a_killed_process_left_unfinished_is_taken_away(tmp_path: Path) -> None:
    path = tmp_path / "outbound.jsonl"
    OrderBook(path).ordered(ORDER)
    (tmp_path / "outbound.jsonl.0a.part").write_bytes(b"+15550100001")
    OrderBook(path).read(0.0)

    assert names(tmp_path) == ["outbound.jsonl", "outbound.jsonl.lock"]


def test_where_nobody_can_be_made_to_wait_calls_are_placed_all_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fcntl = pytest.importorskip("fcntl")

    def refuse(file: object, how: int) -> None:
        raise OSError(errno.ENOLCK, "No locks available")

    monkeypatch.setattr(fcntl, "flock", refuse)
    book = OrderBook(tmp_path / "outbound.jsonl")
    book.ordered(ORDER)
    for name, age in (("0a", 60.0), ("0b", 7200.0)):
        part = tmp_path / f"outbound.jsonl.{name}.part"
        part.write_bytes(b"")
        os.utime(part, (time.time() - age,) * 2)

    assert list(book.read(0.0)[0]) == ["call-1"]
    # Of the younger somebody may still be at work.
    assert "outbound.jsonl.0a.part" in names(tmp_path)
    assert "outbound.jsonl.0b.part" not in names(tmp_path)


def test_an_order_that_was_taken_back_was_never_placed(tmp_path: Path) -> None:
    path = tmp_path / "outbound.jsonl"
    book = OrderBook(path)
    book.ordered(ORDER)
    book.ordered(replace(ORDER, call_id="call-2"))
    book.taken_back("call-1")
    book.taken_back("unknown")

    assert list(book.read(0.0)[0]) == ["call-2"]
    assert b"call-1" not in path.read_bytes()


def test_half_a_line_costs_that_line_and_not_the_next(tmp_path: Path) -> None:
    path = tmp_path / "outbound.jsonl"
    book = OrderBook(path)
    book.ordered(ORDER)
    path.write_bytes(path.read_bytes() + b'\n{"call_id": "call-2", "telep')
    book.ordered(replace(ORDER, call_id="call-3"))
    path.write_bytes(path.read_bytes() + b'\n[1]\n{"call_id": "call-4", "at": 1000.0}')

    assert list(book.read(0.0)[0]) == ["call-1", "call-3"]


def test_only_this_user_may_read_it_and_printing_an_order_tells_nothing(tmp_path: Path) -> None:
    path = tmp_path / "outbound.jsonl"
    OrderBook(path).ordered(ORDER)
    assert path.stat().st_mode & 0o777 == 0o600
    OrderBook(path).read(2000.0)

    assert {one.stat().st_mode & 0o777 for one in tmp_path.iterdir()} == {0o600}
    assert "5550100001" not in repr(ORDER)

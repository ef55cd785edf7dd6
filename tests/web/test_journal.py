"""The calls we placed, as a restart finds them."""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

from opusbridge.web.journal import Journal, Order

ORDER = Order("call-1", "twilio", "+15550100001", "+15550100002", False, "key-1", 1000.0)


def test_a_journal_that_was_never_written_is_empty_and_stays_away(tmp_path: Path) -> None:
    assert Journal(tmp_path / "outbound.jsonl").read(0.0) == ({}, {})
    assert list(tmp_path.iterdir()) == []


def test_orders_and_ends_are_found_again(tmp_path: Path) -> None:
    journal = Journal(tmp_path / "data" / "outbound.jsonl")
    journal.ordered(ORDER)
    journal.ordered(replace(ORDER, call_id="call-2", key=None, at=1001.0))
    journal.ended("call-1", "not-answered")

    orders, ended = Journal(tmp_path / "data" / "outbound.jsonl").read(0.0)

    assert list(orders) == ["call-1", "call-2"]
    assert orders["call-1"] == ORDER
    assert ended == {"call-1": "not-answered"}


def test_what_is_older_than_a_day_is_forgotten_on_the_disk_too(tmp_path: Path) -> None:
    path = tmp_path / "outbound.jsonl"
    journal = Journal(path)
    journal.ordered(ORDER)
    journal.ended("call-1", "not-answered")
    journal.ordered(replace(ORDER, call_id="call-2", at=5000.0))

    assert journal.read(4000.0) == ({"call-2": replace(ORDER, call_id="call-2", at=5000.0)}, {})
    assert b"call-1" not in path.read_bytes()


def test_nothing_is_lost_that_is_written_while_old_ones_are_taken_out(tmp_path: Path) -> None:
    path = tmp_path / "outbound.jsonl"
    journal, numbers = Journal(path), range(30)
    orders = [replace(ORDER, call_id=f"call-{number}") for number in numbers]
    with ThreadPoolExecutor() as threads:
        written = [threads.submit(journal.ordered, order) for order in orders]
        while not all(one.done() for one in written):
            journal.read(0.0)

    assert set(journal.read(0.0)[0]) == {order.call_id for order in orders}


def test_two_processes_that_start_together_both_find_what_was_placed(tmp_path: Path) -> None:
    path = tmp_path / "outbound.jsonl"
    Journal(path).ordered(ORDER)
    with ThreadPoolExecutor() as threads:
        found = list(threads.map(lambda _: Journal(path).read(0.0), range(100)))

    assert all(list(orders) == ["call-1"] for orders, _ in found)
    assert list(tmp_path.iterdir()) == [path]


def test_half_a_line_costs_that_line_and_not_the_next(tmp_path: Path) -> None:
    path = tmp_path / "outbound.jsonl"
    journal = Journal(path)
    journal.ordered(ORDER)
    path.write_bytes(path.read_bytes() + b'\n{"call_id": "call-2", "telep')
    journal.ordered(replace(ORDER, call_id="call-3"))
    path.write_bytes(path.read_bytes() + b'\n[1]\n{"call_id": "call-4", "at": 1000.0}')

    assert list(journal.read(0.0)[0]) == ["call-1", "call-3"]


def test_only_this_user_may_read_it_and_printing_an_order_tells_nothing(tmp_path: Path) -> None:
    path = tmp_path / "outbound.jsonl"
    Journal(path).ordered(ORDER)
    assert path.stat().st_mode & 0o777 == 0o600
    Journal(path).read(0.0)

    assert path.stat().st_mode & 0o777 == 0o600
    assert "5550100001" not in repr(ORDER)

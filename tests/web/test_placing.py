"""Calls that are placed by HTTP: who may be called how often, and what is told of it."""

import asyncio
import errno
import os
import threading
import time
from collections import OrderedDict
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager
from datetime import UTC, datetime
from pathlib import Path
from random import Random
from typing import Any

import httpx2
import pytest
from structlog.testing import capture_logs
from twilio.request_validator import RequestValidator

from opusbridge.bridge.audiocodes_dial import DialOutError
from opusbridge.bridge.summary import describe
from opusbridge.bridge.twilio_rest import TwilioRest, TwilioRestError
from opusbridge.errors import ending
from opusbridge.privacy import Private
from opusbridge.sim.switchboard import Switchboard
from opusbridge.tools.workers import Disk
from opusbridge.web import bookkeeper, progress
from opusbridge.web import outbound as room
from opusbridge.web.calls import Calls
from opusbridge.web.caps import Caps
from opusbridge.web.order_book import DAY_SECONDS, Order, OrderBook
from opusbridge.web.outbound import NOT_KEPT, Dial, Outbound
from tests.web.serving import (
    ACCOUNT,
    CALL,
    PUBLIC,
    TOKEN,
    House,
    PretendBridge,
    close_code,
    house,
    start,
    stream_signature,
    twilio,
    voice_form,
)

ADMIN = "opusbridge-test-admin-0123456789"
OTHER_CALL = "CAffffffffffffffffffffffffffffffff"
TO, FROM = "+15550100001", "+15550100002"
WISH = {"telephony": "twilio", "to": TO, "from": FROM}


class Provider:
    """Takes orders. ``fails``: with this; ``slow``: not before it is set."""

    def __init__(self, gives: str | None = None, fails: Exception | None = None) -> None:
        self.gives, self.fails = gives, fails
        self.orders: list[Order] = []
        self.asked = asyncio.Event()

    async def dial(self, order: Order) -> str | None:
        self.orders.append(order)
        self.asked.set()
        if self.fails is not None:
            raise self.fails
        return self.gives


def a_house(tmp_path: Path, providers: Mapping[str, Provider], **more: Any) -> Any:
    dials: dict[str, Dial] = {side: provider.dial for side, provider in providers.items()}
    return house(
        dials=dials, **twilio(admin_token=ADMIN, data_dir=tmp_path, twilio_from=FROM, **more)
    )


async def place(server: House, **body: Any) -> httpx2.Response:
    headers = {"Authorization": f"Bearer {ADMIN}"}
    return await server.http.post("/api/calls", json=body, headers=headers)


async def seen(server: House, call_id: str) -> dict[str, Any]:
    headers = {"Authorization": f"Bearer {ADMIN}"}
    answer = await server.http.get(f"/api/calls/{call_id}", headers=headers)
    found: dict[str, Any] = answer.json()
    return found


async def until(server: House, call_id: str, state: str) -> dict[str, Any]:
    async with asyncio.timeout(5.0):
        while True:
            found = await seen(server, call_id)
            if found["state"] == state and (found["ending"] or state != "ended"):
                return found


async def signed(server: House, path: str, **form: str) -> httpx2.Response:
    form = voice_form(CALL) | form
    signature = RequestValidator(TOKEN).compute_signature(PUBLIC + path, form)
    return await server.http.post(path, data=form, headers={"X-Twilio-Signature": signature})


async def test_an_order_is_accepted_and_seen_to_be_dialling(tmp_path: Path) -> None:
    provider = Provider(CALL)
    async with a_house(tmp_path, {"twilio": provider}) as server:
        with capture_logs() as lines:
            answer = await place(server, **WISH, agent="front-desk", machine_detection=True)
            call_id = answer.json()["call_id"]
            await provider.asked.wait()
            found = await seen(server, call_id)
            listed = await server.http.get(
                "/api/calls", headers={"Authorization": f"Bearer {ADMIN}"}
            )

    assert answer.status_code == 202
    (order,) = provider.orders
    assert (order.call_id, order.to, order.from_) == (call_id, TO, FROM)
    assert order.machine_detection
    assert found["state"] == "dialling"
    assert (found["callee"], found["caller"], found["direction"]) == (TO, FROM, "outbound")
    assert [one["call_id"] for one in listed.json()["calls"]] == [call_id]
    assert not any("5550100" in str(line) for line in lines)


async def entries(server: House) -> dict[str, dict[str, Any]]:
    headers = {"Authorization": f"Bearer {ADMIN}"}
    answer = await server.http.get("/api/calls", headers=headers)
    return {call["call_id"]: call for call in answer.json()["calls"]}


async def test_an_order_is_listed_with_the_keys_of_every_call(tmp_path: Path) -> None:
    keys = set(describe("call-1", "twilio", datetime.now(UTC), None, None))
    async with a_house(tmp_path, {"twilio": Provider(CALL)}) as server:
        dialling, over = [(await place(server, **WISH)).json()["call_id"] for _ in range(2)]
        await signed(server, f"/twilio/status?call={over}", CallStatus="busy")
        found = await entries(server)

    assert keys | {"direction"} == set(found[dialling]) == set(found[over])
    assert sum(one["turns"] for one in found.values()) == 0


async def test_a_placed_call_is_listed_as_one_of_ours_from_its_order_to_its_end(
    tmp_path: Path,
) -> None:
    async with a_house(tmp_path, {"twilio": Provider(CALL)}) as server:
        call_id = (await place(server, **WISH)).json()["call_id"]
        found = [(await entries(server))[call_id]]
        bridge = await answered(server, call_id)
        found.append((await entries(server))[call_id])
        bridge.hang_up("caller-hung-up")
        await until(server, call_id, "ended")
        found.append((await entries(server))[call_id])
        stranger = await server.announce(OTHER_CALL)
        stream = await server.stream()
        await stream.send(start(stranger, OTHER_CALL))
        other = (await server.bridges.get()).call_id
        listed = await entries(server)

    assert [one["state"] for one in found] == ["dialling", "live", "ended"]
    assert [one["direction"] for one in found] == ["outbound"] * 3
    assert "direction" not in listed[other]


async def test_only_who_has_the_token_places_calls(tmp_path: Path) -> None:
    provider = Provider(CALL)
    async with a_house(tmp_path, {"twilio": provider}) as server:
        answer = await server.http.post("/api/calls", json=WISH)

    assert answer.status_code == 401
    assert provider.orders == []


@pytest.mark.parametrize(
    ("change", "error"),
    [
        ({"to": "5550100001"}, "bad-body"),
        ({"to": "+0155501000"}, "bad-body"),
        ({"to": "+15550100001\n"}, "bad-body"),
        ({"to": "sip:a b@example.com"}, "bad-body"),
        ({"to": "client:somebody"}, "bad-body"),
        ({"telephony": "pigeon"}, "bad-body"),
        ({"twiml": "<Response/>"}, "bad-body"),
        ({"machine_detection": "yes"}, "bad-body"),
        ({"agent": "another"}, "unknown-agent"),
        ({"telephony": "audiocodes", "from": None}, "no-from"),
        ({"telephony": "audiocodes"}, "not-set-up"),
    ],
)
async def test_what_cannot_be_called_is_refused(
    tmp_path: Path, change: dict[str, Any], error: str
) -> None:
    provider = Provider(CALL)
    async with a_house(tmp_path, {"twilio": provider}) as server:
        answer = await place(server, **{**WISH, **change})

    assert (answer.status_code, answer.json()["error"]) == (422, error)
    changed = next(iter(change))
    assert ("detail" in answer.json()) == (error == "bad-body")
    assert answer.json().get("detail", changed).startswith(changed)
    assert provider.orders == []


async def test_a_sip_address_and_the_usual_number_will_do(tmp_path: Path) -> None:
    provider = Provider(CALL)
    async with a_house(tmp_path, {"twilio": provider}) as server:
        answer = await place(server, telephony="twilio", to="sip:front@example.com:5061")
        await provider.asked.wait()

    assert answer.status_code == 202
    assert provider.orders[0].from_ == FROM


async def test_the_same_key_is_the_same_call_also_after_a_restart(tmp_path: Path) -> None:
    provider = Provider(CALL)
    async with a_house(tmp_path, {"twilio": provider}) as server:
        both = await asyncio.gather(
            place(server, **WISH, idempotency_key="k"), place(server, **WISH, idempotency_key="k")
        )
        other = await place(server, **{**WISH, "to": "+15550100009"}, idempotency_key="k")
    async with a_house(tmp_path, {"twilio": provider}) as server:
        again = await place(server, **WISH, idempotency_key="k")

    assert {answer.status_code for answer in (*both, again)} == {202}
    assert len({answer.json()["call_id"] for answer in (*both, again)}) == 1
    assert (other.status_code, other.json()["error"]) == (409, "key-used-for-another-call")
    assert len(provider.orders) == 1


async def test_nobody_is_called_too_often(tmp_path: Path) -> None:
    provider = Provider(CALL)
    limits = {"outbound_per_day": 3, "outbound_per_number": 2}
    async with a_house(tmp_path, {"twilio": provider}, **limits) as server:
        found = [await place(server, **WISH) for _ in range(3)]
        other = await place(server, **{**WISH, "to": "+15550100009"})
    async with a_house(tmp_path, {"twilio": provider}, **limits) as server:
        after = await place(server, **{**WISH, "to": "+15550100008"})

    assert [answer.status_code for answer in found] == [202, 202, 429]
    assert found[2].json()["error"] == "too-many-calls-to-this-number"
    assert other.status_code == 202
    assert (after.status_code, after.json()["error"]) == (429, "too-many-calls-today")


async def test_numbers_of_yesterday_leave_the_disk_without_a_restart(tmp_path: Path) -> None:
    path, now = tmp_path / "outbound.jsonl", [1000.0]
    hour, waits = asyncio.Semaphore(0), asyncio.Semaphore(0)

    async def pause(seconds: float) -> None:
        waits.release()
        await hour.acquire()

    async def an_hour_later() -> str:
        hour.release()
        await waits.acquire()
        return path.read_text() if path.is_file() else ""

    def no_bridge(*_: Any) -> Any:
        raise AssertionError("nobody calls")

    outbound = Outbound(
        Calls(no_bridge, no_bridge),
        OrderBook(path),
        {"twilio": Provider(CALL).dial},
        Caps(0, 0),
        {},
        wall_clock=lambda: now[0],
        clock=lambda: now[0],
        pause=pause,
    )
    async with outbound.running():
        await waits.acquire()
        old = await outbound.place("twilio", TO, FROM)
        now[0] += DAY_SECONDS - 1.0
        young = await outbound.place("twilio", "+15550100009", FROM)
        before = await an_hour_later()
        now[0] += 2.0
        aside = path.rename(tmp_path / "aside")
        path.mkdir()  # a disk that cannot be read for a while
        with capture_logs() as lines:
            await an_hour_later()
        path.rmdir()
        aside.rename(path)
        after = await an_hour_later()

    assert (str(old) in before, str(young) in before) == (True, True)
    assert "cannot be taken out" in lines[0]["event"]
    assert TO not in after
    assert str(young) in after
    assert outbound.describe(str(old)) is None


def an_outbound(book: OrderBook, provider: Provider, **more: Any) -> Outbound:
    def no_bridge(*_: Any) -> Any:
        raise AssertionError("nobody calls")

    calls = Calls(no_bridge, no_bridge)
    return Outbound(calls, book, {"twilio": provider.dial}, Caps(0, 0), {}, **more)


async def test_an_order_that_waits_its_turn_is_dialling_until_it_has_rung(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(progress, "PACE_SECONDS", {"twilio": 100.0})
    now = [50.0]
    clocks = {"wall_clock": lambda: now[0], "clock": lambda: now[0]}
    book = OrderBook(tmp_path / "outbound.jsonl")
    outbound = an_outbound(book, Provider(CALL), **clocks)
    async with outbound.running():
        ids = [str(await outbound.place("twilio", TO, FROM)) for _ in range(3)]
        now[0] += room.DIALLING_SECONDS + 150.0
        told = [outbound.describe(call_id) for call_id in ids]
        listed = outbound.dialling()
    restarted = an_outbound(book, Provider(CALL), **clocks)
    async with restarted.running():
        again = restarted.dialling()

    assert [one["state"] for one in told if one] == ["ended", "ended", "dialling"]
    assert [one["call_id"] for one in listed] == ids[2:]
    assert [one["call_id"] for one in again] == ids[2:]


async def test_a_clock_that_is_put_right_makes_no_order_older(tmp_path: Path) -> None:
    path, wall, hour = tmp_path / "outbound.jsonl", [1000.0], asyncio.Semaphore(0)
    provider = Provider(CALL)
    clocks = {"wall_clock": lambda: wall[0], "clock": lambda: 50.0}
    outbound = an_outbound(OrderBook(path), provider, **clocks, pause=lambda _: hour.acquire())
    async with outbound.running():
        first = str(await outbound.place("twilio", TO, FROM, key="k"))
        wall[0] += 3 * DAY_SECONDS  # while the provider is being asked
        again = await outbound.place("twilio", TO, FROM, key="k")
        found = outbound.dialling()
        hour.release()
        async with asyncio.timeout(2.0):
            while outbound._forgotten_here_alone:  # noqa: ASYNC110  # nothing tells of it
                await asyncio.sleep(0.001)

    assert again == first
    assert [one["call_id"] for one in found] == [first]
    assert len(provider.orders) == 1
    assert first in path.read_text()


async def test_what_was_placed_when_the_clock_was_ahead_is_kept_for_a_day(tmp_path: Path) -> None:
    book, now = OrderBook(tmp_path / "outbound.jsonl"), [50.0]
    book.ordered(Order("call-1", "twilio", TO, FROM, False, "k", 9000.0))
    clocks = {"wall_clock": lambda: 1000.0, "clock": lambda: now[0]}
    outbound = an_outbound(book, Provider(CALL), **clocks)
    async with outbound.running():
        assert await outbound.place("twilio", TO, FROM, key="k") == "call-1"
        now[0] += DAY_SECONDS + 1.0
        assert await outbound.place("twilio", TO, FROM, key="k") != "call-1"


async def test_what_was_placed_when_the_clock_was_ahead_queues_before_nobody(
    tmp_path: Path,
) -> None:
    book, now = OrderBook(tmp_path / "outbound.jsonl"), [50.0]
    for one in range(300):
        book.ordered(Order(f"call-{one}", "twilio", f"+1555010{one:04}", FROM, False, None, 9e3))
    clocks = {"wall_clock": lambda: 1000.0, "clock": lambda: now[0]}
    outbound = an_outbound(book, Provider(CALL), **clocks)
    async with outbound.running():
        call_id = await outbound.place("twilio", TO, FROM)
        assert isinstance(call_id, str)
        now[0] += room.DIALLING_SECONDS + 2.0
        told = outbound.describe(call_id)

    assert told is not None
    assert told["state"] == "ended"


async def test_an_order_is_refused_where_no_thread_can_be_had_to_write_it_down(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def no_thread(thread: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    provider = Provider(CALL)
    outbound = an_outbound(OrderBook(tmp_path / "outbound.jsonl"), provider)
    async with outbound.running():
        monkeypatch.setattr(bookkeeper, "DISK", Disk("orders", 1))
        monkeypatch.setattr(threading.Thread, "start", no_thread)
        assert await outbound.place("twilio", TO, FROM) == NOT_KEPT

    assert provider.orders == []


async def test_old_orders_that_cannot_be_forgotten_for_any_reason_cost_no_call(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def no_thread(*_: Any) -> None:
        raise RuntimeError("can't start new thread")

    async def pause(seconds: float) -> None:
        pauses.append(seconds)
        if len(pauses) > 1:
            tried.set()
            await asyncio.Event().wait()

    pauses: list[float] = []
    tried = asyncio.Event()
    book = OrderBook(tmp_path / "outbound.jsonl")
    monkeypatch.setattr(book, "forget", no_thread)
    outbound = an_outbound(book, Provider(CALL), pause=pause)
    async with outbound.running(), asyncio.timeout(2.0):
        with capture_logs() as lines:
            await tried.wait()

    assert "cannot be taken out" in lines[0]["event"]


@contextmanager
def standing_still(
    book: OrderBook, deed: str, monkeypatch: pytest.MonkeyPatch
) -> Iterator[threading.Event]:
    """The disk does this for the book when it is let, or when all is over."""
    goes_on, write = threading.Event(), getattr(book, deed)

    def stand_still(*given: object) -> None:
        goes_on.wait(20.0)
        write(*given)

    monkeypatch.setattr(book, deed, stand_still)
    try:
        yield goes_on
    finally:
        goes_on.set()


async def test_a_disk_that_stands_still_does_not_keep_an_ended_call(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bookkeeper, "END_WRITTEN_SECONDS", 0.02)
    book = OrderBook(tmp_path / "outbound.jsonl")

    outbound = an_outbound(book, Provider(CALL))
    with standing_still(book, "ended", monkeypatch) as goes_on:
        async with outbound.running(), asyncio.timeout(2.0):
            call_id = str(await outbound.place("twilio", TO, FROM))
            with capture_logs() as lines:
                await outbound.ended(call_id, ending("not-answered"))
            told = outbound.describe(call_id)
            goes_on.set()
            await asyncio.wait(outbound._books.writing)

    assert told is not None
    assert told["ending"]["reason"] == "not-answered"
    assert lines[-1]["event"].startswith("the disk is slow")
    _, ended = book.read(0.0)
    assert ended == {call_id: "not-answered"}


async def test_an_order_that_the_disk_takes_too_late_is_refused_and_never_dialled(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(room, "ORDERED_SECONDS", 0.05)
    book = OrderBook(tmp_path / "outbound.jsonl")

    provider = Provider(CALL)
    outbound = an_outbound(book, provider)
    with standing_still(book, "ordered", monkeypatch) as goes_on:
        async with outbound.running(), asyncio.timeout(2.0):
            refused = await asyncio.gather(
                *(outbound.place("twilio", TO, FROM, key=f"k{one}") for one in range(3))
            )
            late = await outbound.place("twilio", TO, FROM, key="k3")
            goes_on.set()
            await asyncio.wait(outbound._books.writing)
            monkeypatch.setattr(room, "ORDERED_SECONDS", 5.0)
            again = await outbound.place("twilio", TO, FROM, key="k0")
            await provider.asked.wait()

    assert [*refused, late] == [NOT_KEPT] * 4
    assert [order.call_id for order in provider.orders] == [again]
    orders, _ = book.read(0.0)
    assert list(orders) == [again]


async def test_an_order_that_comes_while_one_is_taken_back_waits_for_that_in_its_own_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(room, "ORDERED_SECONDS", 0.02)
    book = OrderBook(tmp_path / "outbound.jsonl")

    outbound = an_outbound(book, Provider(CALL))
    with standing_still(book, "ordered", monkeypatch) as goes_on:
        async with outbound.running(), asyncio.timeout(2.0):
            early = await outbound.place("twilio", TO, FROM)
            monkeypatch.setattr(room, "ORDERED_SECONDS", 2.0)
            placing = [asyncio.create_task(outbound.place("twilio", TO, FROM)) for _ in range(3)]
            asyncio.get_running_loop().call_later(0.02, goes_on.set)
            late = await asyncio.gather(*placing)

    assert early == NOT_KEPT
    assert list(book.read(0.0)[0]) == late


async def test_the_number_of_an_order_that_was_given_up_leaves_the_disk_with_those_of_yesterday(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(room, "ORDERED_SECONDS", 0.02)
    path = tmp_path / "outbound.jsonl"
    hour, waits = asyncio.Semaphore(0), asyncio.Semaphore(0)
    book = OrderBook(path)

    async def pause(seconds: float) -> None:
        waits.release()
        await hour.acquire()

    outbound = an_outbound(book, Provider(CALL), pause=pause)
    with standing_still(book, "ordered", monkeypatch) as goes_on:
        async with outbound.running(), asyncio.timeout(2.0):
            await waits.acquire()
            placing = asyncio.create_task(outbound.place("twilio", TO, FROM))
            await asyncio.sleep(0)
            hour.release()  # the look at the file begins while the order is being written
            refused = await placing
            await asyncio.sleep(0)
            goes_on.set()
            await waits.acquire()

    assert refused == NOT_KEPT
    assert path.read_text() == ""


async def test_an_order_that_is_in_the_file_though_the_disk_refused_it_is_taken_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path, hour, waits = tmp_path / "outbound.jsonl", asyncio.Semaphore(0), asyncio.Semaphore(0)
    provider = Provider(CALL)

    async def pause(seconds: float) -> None:
        waits.release()
        await hour.acquire()

    def full(file: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    def full_for_a_moment(file: int) -> None:
        monkeypatch.setattr(os, "fsync", sync)
        full(file)

    sync = os.fsync
    outbound = an_outbound(OrderBook(path), provider, pause=pause)
    async with outbound.running(), asyncio.timeout(2.0):
        await waits.acquire()
        monkeypatch.setattr(os, "fsync", full)
        refused = [await outbound.place("twilio", TO, FROM, key="k") for _ in range(2)]
        await asyncio.wait(outbound._books.writing)
        monkeypatch.setattr(os, "fsync", sync)
        hour.release()
        await waits.acquire()
        left = path.read_text()
        monkeypatch.setattr(os, "fsync", full_for_a_moment)
        refused.append(await outbound.place("twilio", TO, FROM, key="k"))
        again = await outbound.place("twilio", TO, FROM, key="k")

    assert refused == [NOT_KEPT] * 3
    assert left == ""
    assert list(OrderBook(path).read(0.0)[0]) == [again]
    assert [order.call_id for order in provider.orders] == [again]


async def test_what_could_not_be_taken_back_is_before_the_next_order_and_at_the_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path, provider = tmp_path / "outbound.jsonl", Provider(CALL)

    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    async def refused(outbound: Outbound) -> None:
        with monkeypatch.context() as patch:
            patch.setattr(os, "fsync", full)  # the line is there
            patch.setattr(OrderBook, "taken_back", full)
            assert await outbound.place("twilio", TO, FROM, key="k") == NOT_KEPT
            await asyncio.wait(outbound._books.writing)
        assert len(OrderBook(path).read(0.0)[0]) == 1

    async with asyncio.timeout(2.0):
        outbound = an_outbound(OrderBook(path), provider)
        async with outbound.running():
            await refused(outbound)
        assert list(OrderBook(path).read(0.0)[0]) == []
        outbound = an_outbound(OrderBook(path), provider)
        async with outbound.running():
            await refused(outbound)
            placed = await outbound.place("twilio", TO, FROM, key="k")
            assert list(OrderBook(path).read(0.0)[0]) == [placed]


async def test_a_disk_that_stands_still_holds_up_neither_the_start_nor_the_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(room, "START_SECONDS", 0.02)
    monkeypatch.setattr(room, "ORDERED_SECONDS", 0.02)
    book, goes_on = OrderBook(tmp_path / "outbound.jsonl"), threading.Event()
    book.ordered(Order("call-1", "twilio", TO, FROM, False, "k", time.time()))
    read, provider, asked = book.read, Provider(CALL), list[float]()

    def stand_still(since: float) -> Any:
        asked.append(since)
        goes_on.wait(20.0)
        return read(since)

    monkeypatch.setattr(book, "read", stand_still)
    try:
        async with asyncio.timeout(2.0), an_outbound(book, provider).running():
            pass
        outbound = an_outbound(book, provider)
        async with asyncio.timeout(5.0), outbound.running():
            early = await outbound.place("twilio", TO, FROM, key="k")
            goes_on.set()
            while outbound.describe("call-1") is None:  # noqa: ASYNC110  # nothing tells of it
                await asyncio.sleep(0.001)
            later = await outbound.place("twilio", TO, FROM, key="k")
    finally:
        goes_on.set()

    assert (early, later) == (NOT_KEPT, "call-1")
    assert provider.orders == []
    assert len(asked) == 2, "one look for all who wait"


async def test_the_calls_of_a_whole_day_are_not_all_described_to_find_who_is_dialled(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    book, now = OrderBook(tmp_path / "outbound.jsonl"), time.time()
    for call_id, age in (("old", 600.0), ("over", 20.0), ("young", 10.0)):
        book.ordered(Order(call_id, "twilio", TO, FROM, False, None, now - age))
    book.ended("over", "not-answered")
    outbound, described = an_outbound(book, Provider(CALL)), []
    describe = outbound.describe

    def look(call_id: str) -> dict[str, Any] | None:
        described.append(call_id)
        return describe(call_id)

    monkeypatch.setattr(outbound, "describe", look)
    async with outbound.running():
        found = outbound.dialling()

    assert [told["call_id"] for told in found] == described == ["young"]


async def test_a_provider_who_says_nothing_does_not_keep_the_process_from_ending(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(room, "LAST_SECONDS", 0.02)
    book, provider = OrderBook(tmp_path / "outbound.jsonl"), Provider(CALL)
    outbound = an_outbound(book, provider)

    async def say_nothing(order: Order) -> str | None:
        provider.asked.set()
        await asyncio.Event().wait()
        return None

    monkeypatch.setattr(outbound, "_dials", {"twilio": say_nothing})
    with capture_logs() as lines:
        async with asyncio.timeout(2.0), outbound.running():
            call_id = str(await outbound.place("twilio", TO, FROM))
            await provider.asked.wait()

    assert lines[-1]["event"].endswith("the call may come")
    assert lines[-1]["call_id"] == call_id
    assert outbound.expects(call_id, "twilio", CALL)


async def test_a_full_house_places_no_calls(tmp_path: Path) -> None:
    async with a_house(tmp_path, {"twilio": Provider(CALL)}) as server:
        server.calls.draining = True
        answer = await place(server, **WISH)

    assert (answer.status_code, answer.json()["error"]) == (503, "draining")


async def test_a_call_that_rings_takes_a_place_until_nobody_answers(tmp_path: Path) -> None:
    async with a_house(tmp_path, {"twilio": Provider()}, max_calls=1) as server:
        first = await place(server, **WISH, idempotency_key="k")
        second = await place(server, **WISH)
        again = await place(server, **WISH, idempotency_key="k")
        path = f"/twilio/status?call={first.json()['call_id']}"
        await signed(server, path, CallStatus="no-answer")
        third = await place(server, **WISH)

    assert [answer.status_code for answer in (first, second, again, third)] == [202, 503, 202, 202]
    assert second.json()["error"] == "full"


async def test_one_that_will_not_come_any_more_takes_no_place(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with a_house(tmp_path, {"twilio": Provider()}, max_calls=1) as server:
        await place(server, **WISH)
        monkeypatch.setattr(room, "DIALLING_SECONDS", -1.0)
        later = await place(server, **WISH)

    assert later.status_code == 202


@pytest.mark.parametrize("streams", [True, False])
async def test_who_was_called_and_has_answered_takes_one_place_not_two(
    tmp_path: Path, streams: bool
) -> None:
    async with a_house(tmp_path, {"twilio": Provider()}, max_calls=2) as server:
        call_id = (await place(server, **WISH)).json()["call_id"]
        if streams:
            await answered(server, call_id)
        else:  # yet
            await signed(server, f"/twilio/voice?call={call_id}")
        second, third = await place(server, **WISH), await place(server, **WISH)

    assert [second.status_code, third.status_code] == [202, 503]


async def test_what_cannot_be_written_down_is_not_placed(tmp_path: Path) -> None:
    provider = Provider(CALL)
    (tmp_path / "outbound.jsonl").mkdir()
    async with a_house(tmp_path, {"twilio": provider}) as server:
        answer = await place(server, **WISH)

    assert (answer.status_code, answer.json()["error"]) == (503, "cannot-be-written-down")
    assert provider.orders == []


async def test_what_was_placed_before_is_known_before_anything_else_is_placed(
    tmp_path: Path,
) -> None:
    provider, path, aside = Provider(CALL), tmp_path / "outbound.jsonl", tmp_path / "aside"
    async with a_house(tmp_path, {"twilio": provider}) as server:
        first = await place(server, **WISH, idempotency_key="k")
    path.rename(aside)
    path.mkdir()  # a disk that cannot be read for a while
    async with a_house(tmp_path, {"twilio": provider}) as server:
        meanwhile = await place(server, **WISH, idempotency_key="k")
        path.rmdir()
        aside.rename(path)
        again = await place(server, **WISH, idempotency_key="k")

    assert (meanwhile.status_code, meanwhile.json()["error"]) == (503, "cannot-be-written-down")
    assert again.json() == first.json()
    assert len(provider.orders) == 1


@pytest.mark.parametrize("refused", [TwilioRestError("place a call", 400), DialOutError(403)])
async def test_an_order_that_the_provider_refuses_has_ended(
    tmp_path: Path, refused: TwilioRestError | DialOutError
) -> None:
    with capture_logs() as lines:
        async with a_house(tmp_path, {"twilio": Provider(fails=refused)}) as server:
            call_id = (await place(server, **WISH)).json()["call_id"]
            found = await until(server, call_id, "ended")

    (line,) = [line for line in lines if line["event"] == "call not placed"]
    assert (line["why"], line["status"], "code" in line) == ("refused", refused.status, False)
    assert found["ending"] == {"outcome": "caller", "reason": "telephony-error"}


async def test_what_the_provider_refused_is_none_of_the_calls_of_a_day(tmp_path: Path) -> None:
    provider = Provider(gives=CALL, fails=TwilioRestError("place a call", 401))
    limits = {"outbound_per_day": 2, "outbound_per_number": 1}
    async with a_house(tmp_path, {"twilio": provider}, **limits) as server:
        for _ in range(3):
            refused = (await place(server, **WISH)).json()["call_id"]
            await until(server, refused, "ended")
        provider.fails = None
        good = await place(server, **WISH)
        once_more = await place(server, **WISH)
    async with a_house(tmp_path, {"twilio": provider}, **limits) as server:
        found = await seen(server, refused)
        other = await place(server, **{**WISH, "to": "+15550100009"})
        last = await place(server, **{**WISH, "to": "+15550100008"})

    assert (good.status_code, once_more.status_code) == (202, 429)
    assert found["ending"]["reason"] == "telephony-error"
    assert (other.status_code, last.status_code) == (202, 429)
    assert last.json()["error"] == "too-many-calls-today"


async def test_an_order_that_breaks_costs_no_other(tmp_path: Path) -> None:
    provider = Provider(gives=CALL, fails=httpx2.InvalidURL("no such address"))
    async with a_house(tmp_path, {"twilio": provider}) as server:
        with capture_logs() as lines:
            await place(server, **WISH)
            await provider.asked.wait()
        provider.fails = None
        call_id = (await place(server, **WISH)).json()["call_id"]
        while not (await seen(server, call_id))["provider_call_id"]:
            pass

    (line,) = (line for line in lines if line["log_level"] == "error")
    assert line["event"] == "placing a call broke"
    assert line["raised"].startswith("InvalidURL at ")


@pytest.mark.parametrize(
    "trouble",
    [
        TwilioRestError("place a call", None),
        TwilioRestError("place a call", 503),
        DialOutError(502),
    ],
)
async def test_an_order_nobody_answered_may_come_and_is_given_up_after_minutes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, trouble: TwilioRestError | DialOutError
) -> None:
    provider = Provider(fails=trouble)
    async with a_house(tmp_path, {"twilio": provider}) as server:
        call_id = (await place(server, **WISH)).json()["call_id"]
        await provider.asked.wait()
        assert (await seen(server, call_id))["state"] == "dialling"
        monkeypatch.setattr(room, "DIALLING_SECONDS", -1.0)
        assert (await seen(server, call_id))["ending"]["reason"] == "unknown"

    assert len(provider.orders) == 1


@pytest.mark.parametrize(
    ("status", "reason"),
    [("busy", "not-answered"), ("no-answer", "not-answered"), ("failed", "telephony-error")],
)
async def test_twilio_tells_how_a_call_ended_that_nobody_answered(
    tmp_path: Path, status: str, reason: str
) -> None:
    async with a_house(tmp_path, {"twilio": Provider(CALL)}) as server:
        call_id = (await place(server, **WISH)).json()["call_id"]
        path = f"/twilio/status?call={call_id}"
        forged = await server.http.post(path, data={"CallStatus": status})
        before = await seen(server, call_id)
        answer = await signed(server, path, CallStatus=status)
        found = await seen(server, call_id)
        other = await signed(server, "/twilio/status?call=unknown", CallStatus=status)

    assert forged.status_code == 403
    assert before["state"] == "dialling"
    assert (answer.status_code, other.status_code) == (204, 204)
    assert (found["state"], found["ending"]["reason"]) == ("ended", reason)


@asynccontextmanager
async def a_rest(
    *answers: int, pause: Callable[[float], Awaitable[None]] = asyncio.sleep
) -> AsyncIterator[tuple[TwilioRest, list[tuple[str, Mapping[str, str]]]]]:
    """Twilio's REST interface, which answers so, and what it was told of whose call."""
    told: list[tuple[str, Mapping[str, str]]] = []
    left = list(answers)

    def update(call_sid: str, form: Mapping[str, str]) -> int:
        told.append((call_sid, form))
        return left.pop(0)

    async with Switchboard(Random(1), on_update=update).open() as url:
        rest = TwilioRest(ACCOUNT, Private(TOKEN), url, pause=pause)
        try:
            yield rest, told
        finally:
            await rest.close()


async def act(server: House, call_id: str, action: str, **body: Any) -> tuple[int, str]:
    headers = {"Authorization": f"Bearer {ADMIN}"}
    url = f"/api/calls/{call_id}/{action}"
    answer = await server.http.post(url, json=body, headers=headers)
    return answer.status_code, answer.json().get("error", "")


async def test_a_call_that_still_rings_is_hung_up_at_twilios(tmp_path: Path) -> None:
    provider = Provider(CALL)
    async with a_rest(200) as (rest, told):
        async with a_house(tmp_path, {"twilio": provider}, rest=rest) as server:
            call_id = (await place(server, **WISH)).json()["call_id"]
            await provider.asked.wait()
            wrong = await act(server, call_id, "hangup", why="?")
            hung_up = await act(server, call_id, "hangup", reason="the wrong person")
            await signed(server, f"/twilio/status?call={call_id}", CallStatus="canceled")
            found = await seen(server, call_id)
            again = await act(server, call_id, "hangup")
        async with a_house(tmp_path, {"twilio": provider}) as server:
            later = await seen(server, call_id)

    assert (wrong, hung_up, again) == ((422, "bad-body"), (202, ""), (409, "call-ended"))
    assert told == [(CALL, {"Status": "completed"})]
    by_operator = {"outcome": "completed", "reason": "hung-up-by-operator"}
    assert (found["state"], found["ending"]) == ("ended", by_operator)
    assert later["ending"] == by_operator


async def test_one_that_nobody_has_heard_of_for_long_can_be_called_off_too(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    provider = Provider(CALL)
    async with (
        a_rest(500, 200) as (rest, told),
        a_house(tmp_path, {"twilio": provider}, rest=rest) as server,
    ):
        call_id = (await place(server, **WISH)).json()["call_id"]
        await provider.asked.wait()
        monkeypatch.setattr(room, "DIALLING_SECONDS", -1.0)
        unknown = await seen(server, call_id)
        said = await act(server, call_id, "say", text="Hello?")
        hung_up = [await act(server, call_id, "hangup") for _ in range(3)]
        found = await seen(server, call_id)

    assert unknown["ending"]["reason"] == "unknown"
    assert said == (409, "call-ended")
    assert hung_up == [(502, "not-hung-up"), (202, ""), (409, "call-ended")]
    assert len(told) == 2
    assert found["ending"]["reason"] == "hung-up-by-operator"


async def test_it_is_hung_up_also_if_twilio_says_so_before_it_answers(tmp_path: Path) -> None:
    async def told_first(seconds: float) -> None:
        await signed(server, f"/twilio/status?call={call_id}", CallStatus="no-answer")

    provider = Provider(CALL)
    async with (
        a_rest(429, 200, pause=told_first) as (rest, _),
        a_house(tmp_path, {"twilio": provider}, rest=rest) as server,
    ):
        call_id = (await place(server, **WISH)).json()["call_id"]
        await provider.asked.wait()
        await act(server, call_id, "hangup")
        found = await seen(server, call_id)

    assert found["ending"]["reason"] == "hung-up-by-operator"


async def test_one_that_is_picked_up_meanwhile_ends_as_it_says_itself(tmp_path: Path) -> None:
    async def picked_up(seconds: float) -> None:
        (await answered(server, call_id)).hang_up("caller-hung-up")
        await until(server, call_id, "ended")

    provider = Provider(CALL)
    async with (
        a_rest(429, 200, pause=picked_up) as (rest, _),
        a_house(tmp_path, {"twilio": provider}, rest=rest) as server,
    ):
        call_id = (await place(server, **WISH)).json()["call_id"]
        await provider.asked.wait()
        hung_up = await act(server, call_id, "hangup")
        found = await seen(server, call_id)

    assert hung_up == (202, "")
    assert found["ending"]["reason"] == "caller-hung-up"


async def test_a_call_that_twilio_does_not_hang_up_rings_on(tmp_path: Path) -> None:
    provider = Provider(CALL)
    async with (
        a_rest(500) as (rest, _),
        a_house(tmp_path, {"twilio": provider}, rest=rest) as server,
    ):
        call_id = (await place(server, **WISH)).json()["call_id"]
        await provider.asked.wait()
        with capture_logs() as lines:
            hung_up = await act(server, call_id, "hangup")
        ringing = await seen(server, call_id)
        await signed(server, f"/twilio/status?call={call_id}", CallStatus="busy")
        found = await seen(server, call_id)

    assert hung_up == (502, "not-hung-up")
    (line,) = [line for line in lines if line["event"] == "hang-up by REST failed"]
    assert (line["call_id"], line["status"]) == (call_id, 500)
    assert ringing["state"] == "dialling"
    assert found["ending"]["reason"] == "not-answered"


@pytest.mark.parametrize(
    ("telephony", "gives", "action", "body"),
    [
        ("audiocodes", "conversation-1", "hangup", {}),
        ("twilio", None, "hangup", {}),  # we do not know yet what Twilio calls it
        ("twilio", CALL, "say", {"text": "Hello?"}),
        ("twilio", CALL, "transfer", {"destination": "billing"}),
        ("twilio", CALL, "recording", {"paused": True}),
    ],
)
async def test_what_needs_an_answered_call_is_refused_while_it_rings(
    tmp_path: Path, telephony: str, gives: str | None, action: str, body: dict[str, Any]
) -> None:
    provider = Provider(gives)
    async with (
        a_rest() as (rest, told),
        a_house(tmp_path, {telephony: provider}, rest=rest) as server,
    ):
        call_id = (await place(server, **{**WISH, "telephony": telephony})).json()["call_id"]
        await provider.asked.wait()
        refused = await act(server, call_id, action, **body)
        found = await seen(server, call_id)

    assert refused == (409, "not-yet-answered")
    assert (found["state"], told) == ("dialling", [])


async def listed(server: House) -> list[tuple[str, str]]:
    headers = {"Authorization": f"Bearer {ADMIN}"}
    answer = await server.http.get("/api/calls", headers=headers)
    return [(call["call_id"], call["state"]) for call in answer.json()["calls"]]


async def test_orders_that_came_to_nothing_are_listed_last_the_latest_first(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with a_house(tmp_path, {"twilio": Provider()}, outbound_per_number=4) as server:
        ids = [(await place(server, **WISH)).json()["call_id"] for _ in range(4)]
        for call_id in ids[:2]:
            await signed(server, f"/twilio/status?call={call_id}", CallStatus="no-answer")
        (await answered(server, ids[2])).hang_up("caller-hung-up")
        await until(server, ids[2], "ended")
        found = await listed(server)
        monkeypatch.setattr(room, "RECENT_CALLS", 1)
        fewer = await listed(server)

    ended = [(one, "ended") for one in (ids[2], ids[1], ids[0])]
    assert found == [(ids[3], "dialling"), *ended]
    assert fewer == found[:-1]


@pytest.mark.parametrize("action", ["say", "transfer", "hangup", "recording"])
async def test_a_call_that_nobody_answered_has_ended(tmp_path: Path, action: str) -> None:
    async with a_house(tmp_path, {"twilio": Provider(CALL)}) as server:
        call_id = (await place(server, **WISH)).json()["call_id"]
        await signed(server, f"/twilio/status?call={call_id}", CallStatus="no-answer")

        assert await act(server, call_id, action) == (409, "call-ended")


async def answered(server: House, call_id: str) -> Any:
    """Twilio's webhook for the placed call, and its stream."""
    answer = await signed(server, f"/twilio/voice?call={call_id}")
    token = answer.text.split('name="token" value="')[1].split('"')[0]
    stream = await server.upgrade("/twilio/media", stream_signature())
    await stream.send(start(token))
    return await server.bridges.get()


async def test_the_call_that_comes_is_the_one_that_was_placed(tmp_path: Path) -> None:
    async with a_house(tmp_path, {"twilio": Provider()}) as server:
        call_id = (await place(server, **WISH)).json()["call_id"]
        bridge = await answered(server, call_id)
        live = await seen(server, call_id)
        bridge.hang_up("caller-hung-up")
        found = await until(server, call_id, "ended")
        again = await signed(server, f"/twilio/status?call={call_id}", CallStatus="busy")

    assert bridge.call_id == call_id
    assert (live["state"], live["direction"]) == ("live", "outbound")
    assert again.status_code == 204
    assert found["ending"]["reason"] == "caller-hung-up"


async def test_a_call_that_is_cut_off_has_ended_also_after_a_restart(tmp_path: Path) -> None:
    async with a_house(tmp_path, {"twilio": Provider()}) as server:
        call_id = (await place(server, **WISH)).json()["call_id"]
        await answered(server, call_id)
        for task in server.server.server_state.tasks:
            task.cancel()

    async with a_house(tmp_path, {"twilio": Provider()}) as server:
        found = await seen(server, call_id)
    assert (found["state"], found["ending"]["reason"]) == ("ended", "cancelled")


async def test_a_call_that_breaks_before_it_began_has_ended(tmp_path: Path) -> None:
    async def no_model() -> Any:
        raise ZeroDivisionError

    async with a_house(tmp_path, {"twilio": Provider()}, dial=no_model) as server:
        call_id = (await place(server, **WISH)).json()["call_id"]
        await answered(server, call_id)

    _, ended = OrderBook(tmp_path / "outbound.jsonl").read(0.0)
    assert ended == {call_id: "internal-error"}


async def test_one_that_a_provider_in_trouble_placed_all_the_same_is_it(tmp_path: Path) -> None:
    provider = Provider(fails=TwilioRestError("place a call", 503))
    async with a_house(tmp_path, {"twilio": provider}) as server:
        call_id = (await place(server, **WISH)).json()["call_id"]
        await provider.asked.wait()
        bridge = await answered(server, call_id)

    assert bridge.call_id == call_id


async def test_an_answered_call_that_never_came_is_over_when_twilio_says_so(
    tmp_path: Path,
) -> None:
    async with a_house(tmp_path, {"twilio": Provider(CALL)}) as server:
        call_id = (await place(server, **WISH)).json()["call_id"]
        await signed(server, f"/twilio/voice?call={call_id}")  # and no stream after it
        path = f"/twilio/status?call={call_id}"
        await signed(server, path, CallStatus="completed")
        found = await seen(server, call_id)

    assert (found["state"], found["ending"]["reason"]) == ("ended", "no-start")


@pytest.mark.parametrize("how", ["completed", "failed", "hangup", "machine"])
async def test_its_place_and_its_model_are_not_kept_for_a_stream_that_cannot_come(
    tmp_path: Path, how: str
) -> None:
    async with (
        a_rest(200) as (rest, _),
        a_house(tmp_path, {"twilio": Provider(CALL)}, rest=rest, max_calls=1) as server,
    ):
        call_id = (await place(server, **WISH)).json()["call_id"]
        await signed(server, f"/twilio/voice?call={call_id}")
        waiting = server.calls.welcome
        if how == "hangup":
            await act(server, call_id, "hangup")
        elif how == "machine":
            await signed(server, f"/twilio/machine?call={call_id}", AnsweredBy="fax")
        else:
            await signed(server, f"/twilio/status?call={call_id}", CallStatus=how)
        async with asyncio.timeout(2.0):
            await server.dialled[0].closed.wait()
        welcome = server.calls.welcome

    assert (waiting, welcome) == (False, True)


async def test_one_that_is_live_ends_as_it_says_itself(tmp_path: Path) -> None:
    async with a_house(tmp_path, {"twilio": Provider(CALL)}) as server:
        call_id = (await place(server, **WISH)).json()["call_id"]
        bridge = await answered(server, call_id)
        await signed(server, f"/twilio/status?call={call_id}", CallStatus="completed")
        live, done = await seen(server, call_id), list(bridge.done)
        bridge.hang_up("caller-hung-up")
        found = await until(server, call_id, "ended")
        await signed(server, f"/twilio/status?call={call_id}", CallStatus="completed")

    assert done == [("call_over",)], "he may be away, and never come back"
    assert (live["state"], live["ending"]) == ("live", None)
    assert found["ending"]["reason"] == "caller-hung-up"


async def test_a_machine_that_answers_is_left(tmp_path: Path) -> None:
    async with a_house(tmp_path, {"twilio": Provider(CALL)}) as server:
        call_id = (await place(server, **WISH)).json()["call_id"]
        bridge = await answered(server, call_id)
        path = f"/twilio/machine?call={call_id}"
        await signed(server, path, AnsweredBy="human")
        assert bridge.done == []
        await signed(server, path, AnsweredBy="machine_start")

        assert bridge.done == [("say_goodbye", "machine-detected")]


async def test_a_machine_that_answers_before_the_stream_is_left_too(tmp_path: Path) -> None:
    async with (
        a_rest(200) as (rest, told),
        a_house(tmp_path, {"twilio": Provider(CALL)}, rest=rest) as server,
    ):
        call_id = (await place(server, **WISH)).json()["call_id"]
        await signed(server, f"/twilio/machine?call={call_id}", AnsweredBy="fax")
        found = await seen(server, call_id)
        big = await server.http.post("/twilio/status", content=b"x" * 70_000)

    assert found["ending"]["reason"] == "machine-detected"
    assert told == [(CALL, {"Status": "completed"})]
    assert big.status_code == 413
    assert ACCOUNT not in str(found)


async def test_a_machine_that_twilio_does_not_hang_up_on_is_left_when_its_stream_comes(
    tmp_path: Path,
) -> None:
    async with (
        a_rest(500) as (rest, _),
        a_house(tmp_path, {"twilio": Provider(CALL)}, rest=rest) as server,
    ):
        call_id = (await place(server, **WISH)).json()["call_id"]
        answer = await signed(server, f"/twilio/voice?call={call_id}")
        token = answer.text.split('name="token" value="')[1].split('"')[0]
        await signed(server, f"/twilio/machine?call={call_id}", AnsweredBy="machine_start")
        before = await seen(server, call_id)
        again = await signed(server, f"/twilio/voice?call={call_id}")
        stream = await server.stream()
        await stream.send(start(token))
        closed = await close_code(stream)
        found = await until(server, call_id, "ended")

    assert before["state"] == "dialling"
    assert ("<Hangup" in again.text, "<Stream" in again.text) == (True, False)
    assert closed == 1000
    assert server.bridges.empty(), "nobody talks to it"
    assert found["ending"]["reason"] == "machine-detected"


async def test_one_that_was_left_to_a_machine_is_so_whatever_else_becomes_of_it(
    tmp_path: Path,
) -> None:
    async with (
        a_rest(500, 500) as (rest, _),
        a_house(tmp_path, {"twilio": Provider(CALL)}, rest=rest) as server,
    ):
        call_id = (await place(server, **WISH)).json()["call_id"]
        await signed(server, f"/twilio/machine?call={call_id}", AnsweredBy="machine_start")
        hung_up = await act(server, call_id, "hangup")
        await signed(server, f"/twilio/status?call={call_id}", CallStatus="completed")
        found = await seen(server, call_id)

    assert hung_up == (502, "not-hung-up")
    assert found["ending"]["reason"] == "machine-detected"


async def test_a_call_of_audiocodes_is_known_by_its_conversation(tmp_path: Path) -> None:
    provider = Provider("conversation-1")
    async with a_house(tmp_path, {"audiocodes": provider}, allow_unauthenticated=True) as server:
        wish = {**WISH, "telephony": "audiocodes"}
        call_id = (await place(server, **wish)).json()["call_id"]
        await provider.asked.wait()
        socket = await server.upgrade("/audiocodes")
        await socket.send('{"type": "session.initiate", "conversationId": "conversation-1"}')
        bridge = await server.bridges.get()
        other = await server.upgrade("/audiocodes")
        await other.send('{"type": "session.initiate", "conversationId": "conversation-2"}')
        stranger = await server.bridges.get()
        twice = await server.upgrade("/audiocodes")  # as after a resume that was refused
        await twice.send('{"type": "session.initiate", "conversationId": "conversation-1"}')
        double = await server.bridges.get()

    assert bridge.call_id == call_id
    assert len({bridge.call_id, stranger.call_id, double.call_id}) == 3


async def test_one_that_comes_before_the_answer_to_the_order_is_known_by_what_was_given_along(
    tmp_path: Path,
) -> None:
    provider = Provider(None)  # its answer names no conversation
    async with a_house(tmp_path, {"audiocodes": provider}, allow_unauthenticated=True) as server:
        order_id = (await place(server, **{**WISH, "telephony": "audiocodes"})).json()["call_id"]
        bridges = []
        for conversation in ("conversation-1", "conversation-2"):
            socket = await server.upgrade("/audiocodes")
            await socket.send(f'{{"type": "session.initiate", "conversationId": "{conversation}"}}')
            bridge = await server.bridges.get()
            bridge.on_started({"dialoutMetadata": f'{{"call_id":"{order_id}"}}'})
            bridges.append(bridge)
        bridge, _ = bridges  # another that says the same is not the call
        live = await seen(server, order_id)
        headers = {"Authorization": f"Bearer {ADMIN}"}
        listed = await server.http.get("/api/calls", headers=headers)
        by_either = [await seen(server, one) for one in (order_id, bridge.call_id)]
        hang_up = f"/api/calls/{order_id}/hangup"
        await server.http.post(hang_up, headers=headers, json={})
        found = await until(server, order_id, "ended")

    assert by_either[0] == by_either[1]
    assert (live["state"], live["direction"]) == ("live", "outbound")
    assert live["call_id"] == bridge.call_id
    assert "dialling" not in [call["state"] for call in listed.json()["calls"]]
    assert found["ending"]["reason"] == "hung-up-by-operator"


async def initiated(server: House, number: int) -> PretendBridge:
    """A call of AudioCodes that has not started yet."""
    socket = await server.upgrade("/audiocodes")
    await socket.send(f'{{"type": "session.initiate", "conversationId": "conversation-{number}"}}')
    return await server.bridges.get()


class LateAnswer(Provider):
    """Takes an order at once, and names its conversation when it is told to."""

    def __init__(self, gives: str) -> None:
        super().__init__(gives)
        self.may_answer = asyncio.Event()

    async def dial(self, order: Order) -> str | None:
        await super().dial(order)
        await self.may_answer.wait()
        return self.gives


async def test_one_that_rings_before_the_answer_to_the_order_is_known_by_that(
    tmp_path: Path,
) -> None:
    late = LateAnswer("conversation-1")
    headers = {"Authorization": f"Bearer {ADMIN}"}
    async with a_house(tmp_path, {"audiocodes": late}, allow_unauthenticated=True) as server:
        order_id = (await place(server, **{**WISH, "telephony": "audiocodes"})).json()["call_id"]
        stranger, bridge = await initiated(server, 2), await initiated(server, 1)
        late.may_answer.set()
        found = await until(server, order_id, "live")
        hung_up = await server.http.post(f"/api/calls/{order_id}/hangup", headers=headers, json={})
        over = await until(server, order_id, "ended")

    assert (found["call_id"], found["direction"]) == (bridge.call_id, "outbound")
    assert hung_up.status_code == 202
    assert over["ending"]["reason"] == "hung-up-by-operator"
    assert ("hang_up", "hung-up-by-operator") not in stranger.done


@pytest.mark.parametrize("forgotten", [False, True])
async def test_one_that_was_over_before_the_answer_to_the_order_is_over(
    tmp_path: Path, forgotten: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    late = LateAnswer("conversation-1")
    more = {"allow_unauthenticated": True, "max_calls": 1}
    async with a_house(tmp_path, {"audiocodes": late}, **more) as server:
        wish = {**WISH, "telephony": "audiocodes"}
        order_id = (await place(server, **wish)).json()["call_id"]
        bridge = await initiated(server, 1)
        bridge.say_goodbye("not-answered")
        async with asyncio.timeout(5.0):
            while server.calls.count:
                await server.http.get("/healthz")
        if forgotten:  # as when many have ended since
            monkeypatch.setattr(server.calls, "_recent", OrderedDict())
        late.may_answer.set()
        found = await until(server, order_id, "ended")
        next_one = await place(server, **wish)

    assert found["ending"]["reason"] == "not-answered"
    assert "not-answered" in (tmp_path / "outbound.jsonl").read_text()
    assert next_one.status_code == 202


async def test_a_call_that_rings_on_a_socket_takes_one_place_not_two(tmp_path: Path) -> None:
    more = {"allow_unauthenticated": True, "max_calls": 2}
    async with a_house(tmp_path, {"audiocodes": Provider(None)}, **more) as server:
        wish = {**WISH, "telephony": "audiocodes"}
        await place(server, **wish)
        await initiated(server, 1)
        second, third = await place(server, **wish), await place(server, **wish)

    assert [second.status_code, third.status_code] == [202, 503]


async def test_who_has_started_is_not_the_one_that_still_rings(tmp_path: Path) -> None:
    more = {"allow_unauthenticated": True, "max_calls": 2}
    async with a_house(tmp_path, {"audiocodes": Provider(None)}, **more) as server:
        wish = {**WISH, "telephony": "audiocodes"}
        await place(server, **wish)
        bridge = await initiated(server, 1)
        assert bridge.on_started is not None
        bridge.on_started({})
        second = await place(server, **wish)

    assert second.status_code == 503


async def test_a_call_that_says_it_was_ordered_and_was_not_is_one_of_its_own(
    tmp_path: Path,
) -> None:
    providers = {"twilio": Provider(CALL)}
    async with a_house(tmp_path, providers, allow_unauthenticated=True) as server:
        through_twilio = (await place(server, **WISH)).json()["call_id"]
        socket = await server.upgrade("/audiocodes")
        await socket.send('{"type": "session.initiate", "conversationId": "conversation-1"}')
        bridge = await server.bridges.get()
        for order_id in (through_twilio, "unknown"):
            bridge.on_started({"dialoutMetadata": f'{{"call_id":"{order_id}"}}'})
        found = await seen(server, through_twilio)

    assert found["state"] == "dialling"
    assert bridge.done == []

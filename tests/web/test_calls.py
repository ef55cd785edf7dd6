import asyncio

import pytest

from opusbridge.web.calls import Calls
from tests.web.serving import PretendBridge, PretendModel


def a_bridge(name: str) -> PretendBridge:
    return PretendBridge(name, PretendModel(), dial)


async def dial() -> PretendModel:
    return PretendModel()


def calls(max_calls: int = 0, recent_calls: int = 200) -> Calls:
    def build(*_: object) -> PretendBridge:
        raise AssertionError("these tests bring their own bridges")

    return Calls(build, build, max_calls=max_calls, recent_calls=recent_calls)


async def run_to_its_end(house: Calls, name: str) -> None:
    place = house.reserve()
    assert place is not None
    bridge = a_bridge(name)
    bridge.hang_up("caller-hung-up")
    await house.run(bridge, place)


async def test_a_promised_place_counts_until_it_is_given_back() -> None:
    house = calls(max_calls=2)
    first, second = house.reserve(), house.reserve()

    assert house.full
    assert house.reserve() is None
    assert not house.crowded, "nobody is live yet"
    for place in (first, second, first):
        assert place is not None
        place.release()
    assert house.welcome
    assert house.reserve() is not None


async def test_a_call_takes_over_its_place_and_leaves_it_at_its_end() -> None:
    house = calls(max_calls=1)
    place = house.reserve()
    assert place is not None
    bridge = a_bridge("call-1")
    async with asyncio.TaskGroup() as tasks:
        running = tasks.create_task(house.run(bridge, place))
        await asyncio.wait([running], timeout=0)
        assert house.count == 1
        assert house.crowded
        assert house.live("call-1") is bridge
        bridge.hang_up("caller-hung-up")
        assert house.live("call-1") is None, "a call that is ending takes no more orders"

    assert (await running).reason == "caller-hung-up"
    assert house.welcome


async def test_a_call_that_breaks_leaves_its_place_too() -> None:
    async def refuse() -> PretendModel:
        raise ZeroDivisionError

    house = calls(max_calls=1)
    place = house.reserve()
    assert place is not None

    with pytest.raises(ZeroDivisionError):
        await house.run(PretendBridge("call-1", PretendModel(), refuse), place)
    assert house.welcome
    assert house.describe("call-1") is not None


async def test_only_so_many_ended_calls_are_remembered_the_latest_first() -> None:
    house = calls(recent_calls=2)
    for name in ("call-1", "call-2", "call-3"):
        await run_to_its_end(house, name)

    assert [call["call_id"] for call in house.describe_all()] == ["call-3", "call-2"]
    assert house.describe("call-1") is None


async def test_draining_ends_with_the_last_call() -> None:
    house = calls()
    place = house.reserve()
    assert place is not None
    bridge = a_bridge("call-1")
    async with asyncio.TaskGroup() as tasks:
        running = tasks.create_task(house.run(bridge, place))
        await asyncio.wait([running], timeout=0)
        assert not await house.drain(0.01)
        assert house.reserve() is None
        house.take_leave("drained")
        assert await house.drain(5.0)

    assert bridge.done == [("say_goodbye", "drained")]


async def test_who_was_promised_a_place_is_waited_for_until_leave_is_taken() -> None:
    house = calls()
    assert house.reserve() is not None
    assert not await house.drain(0.01)
    house.take_leave("drained")

    assert await house.drain(5.0)
    assert not house.promised


async def test_a_call_that_takes_over_its_place_while_draining_is_waited_for() -> None:
    house = calls()
    place = house.reserve()
    assert place is not None
    bridge = a_bridge("call-1")
    async with asyncio.TaskGroup() as tasks:
        draining = tasks.create_task(house.drain(5.0))
        await asyncio.wait([draining], timeout=0)
        running = tasks.create_task(house.run(bridge, place))
        await asyncio.wait([running, draining], timeout=0.01)
        assert not draining.done()
        bridge.hang_up("caller-hung-up")

    assert draining.result()


async def test_another_id_of_a_call_lasts_as_long_as_the_call_is_remembered() -> None:
    house = calls(recent_calls=1)
    house.also_known_as("order-1", "call-1")
    await run_to_its_end(house, "call-1")
    found = house.describe("order-1")
    assert found is not None
    assert found == house.describe("call-1")

    await run_to_its_end(house, "call-2")
    assert house.describe("order-1") is None
    assert house._others == {}

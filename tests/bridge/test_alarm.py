"""One timer rings when it is due, however often that was changed."""

import asyncio

from opusbridge.bridge.alarm import Alarm
from tests.bridge.virtual import in_virtual_time


def test_it_rings_when_it_is_due_and_not_before() -> None:
    async def story() -> None:
        rung: list[float] = []
        alarm = Alarm(rung.append)
        due = asyncio.get_running_loop().time() + 2.0
        alarm.set(due)

        await asyncio.sleep(1.99)
        assert rung == []
        await asyncio.sleep(0.02)
        assert rung == [due]
        await asyncio.sleep(10)
        assert rung == [due]

    in_virtual_time(story())


def test_put_off_again_and_again_it_rings_at_the_last_time_only() -> None:
    async def story() -> None:
        rung: list[float] = []
        alarm = Alarm(rung.append)
        now = asyncio.get_running_loop().time()
        for step in range(100):
            alarm.set(now + 1 + step / 10)

        await asyncio.sleep(10.89)
        assert rung == []
        await asyncio.sleep(0.02)
        assert rung == [now + 10.9]

    in_virtual_time(story())


def test_brought_forward_it_rings_earlier() -> None:
    async def story() -> None:
        rung: list[float] = []
        alarm = Alarm(rung.append)
        now = asyncio.get_running_loop().time()
        alarm.set(now + 5)
        alarm.set(now + 7)
        alarm.set(now + 1)

        await asyncio.sleep(10)
        assert rung == [now + 1]

    in_virtual_time(story())


def test_taken_back_it_never_rings_even_if_it_had_been_put_off() -> None:
    async def story() -> None:
        rung: list[float] = []
        alarm = Alarm(rung.append)
        now = asyncio.get_running_loop().time()
        alarm.set(now + 1)
        alarm.set(now + 2)
        alarm.set(None)
        alarm.set(None)

        await asyncio.sleep(10)
        assert rung == []

    in_virtual_time(story())

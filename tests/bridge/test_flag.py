"""Who waits for a flag, and when he goes on."""

import asyncio

import pytest

from opusbridge.bridge.flag import Flag


async def turns() -> None:
    """All that can go on without anything new has done so."""
    for _ in range(3):
        await asyncio.sleep(0)


async def test_nobody_waits_for_a_flag_that_is_set() -> None:
    flag = Flag(is_set=True)

    waiting = asyncio.create_task(flag.wait())
    await turns()

    assert waiting.done()
    assert flag.is_set()


async def test_all_who_wait_go_on() -> None:
    flag = Flag()
    waiting = [asyncio.create_task(flag.wait()) for _ in range(3)]
    await turns()

    flag.set()
    await turns()

    assert all(task.done() for task in waiting)
    assert not flag._waiting


@pytest.mark.parametrize("times", [1, 2])
async def test_who_waited_goes_on_even_if_it_is_cleared_at_once(times: int) -> None:
    flag = Flag()
    waiting = asyncio.create_task(flag.wait())
    await turns()

    for _ in range(times):
        flag.set()
        flag.clear()
    await turns()

    assert waiting.done()
    assert not flag.is_set()


@pytest.mark.parametrize("was_set", [False, True])
async def test_a_flag_that_is_not_set_or_was_cleared_is_waited_for(was_set: bool) -> None:
    flag = Flag(is_set=was_set)

    flag.clear()
    waiting = asyncio.create_task(flag.wait())
    await turns()
    assert not waiting.done()
    flag.set()
    await turns()

    assert waiting.done()


async def test_who_gave_up_waiting_is_forgotten_and_leaves_the_others_waiting() -> None:
    flag = Flag()
    first, second = (asyncio.create_task(flag.wait()) for _ in range(2))
    await turns()

    first.cancel()
    await turns()
    assert first.cancelled()
    assert len(flag._waiting) == 1
    assert not second.done()
    flag.set()
    await turns()

    assert second.done()


async def test_one_who_gives_up_as_it_is_set_costs_the_others_nothing() -> None:
    flag = Flag()
    first, second = (asyncio.create_task(flag.wait()) for _ in range(2))
    await turns()

    first.cancel()
    flag.set()
    await turns()

    assert first.cancelled()
    assert second.done()

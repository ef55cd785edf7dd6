"""What waits to be sent to one peer."""

import asyncio
from collections.abc import Callable

import pytest

from opusbridge.bridge.outbox import MOST_WAITING, Outbox, read_all
from opusbridge.errors import PeerGone


class Far:
    """The far end of a socket: takes texts while it is not told to wait."""

    def __init__(self) -> None:
        self.taken: list[str] = []
        self.open = asyncio.Event()
        self.open.set()
        self.gone = False

    async def send_text(self, text: str) -> None:
        await self.open.wait()
        if self.gone:
            raise PeerGone("far", "telephony-lost")
        self.taken.append(text)

    async def receive_text(self) -> str:
        raise AssertionError("nobody reads here")

    async def close(self, code: int = 1000, reason: str = "") -> None:
        raise AssertionError("nobody closes here")


async def test_texts_leave_in_the_order_in_which_they_came() -> None:
    far, box = Far(), Outbox(lambda: None)
    sending = asyncio.create_task(box.send_all(far))
    box.put(["a", "b"])
    box.put([])
    box.put(["c"])

    await box.emptied(1.0)

    assert far.taken == ["a", "b", "c"]
    sending.cancel()


async def test_nobody_waits_for_a_peer_that_is_slow() -> None:
    far, stalled = Far(), list[str]()
    box = Outbox(lambda: stalled.append("told"))
    far.open.clear()
    sending = asyncio.create_task(box.send_all(far))

    box.put(["x"] * MOST_WAITING)
    await asyncio.sleep(0)
    assert stalled == []
    box.put(["x"] * 2)
    box.put(["x"])

    assert stalled == ["told"]  # once: it is not news any more
    await box.emptied(0.0)  # nor does the end of a call
    far.open.set()
    await box.emptied(1.0)
    assert len(far.taken) == MOST_WAITING + 3
    sending.cancel()


async def test_for_a_peer_that_is_gone_nothing_is_kept() -> None:
    far, box = Far(), Outbox(lambda: None)
    far.gone = True
    box.put(["a", "b"])

    await box.send_all(far)  # returns: whoever reads from that socket learns that it is gone

    box.put(["c"] * (MOST_WAITING + 1))
    await box.emptied(0.0)
    assert far.taken == []


async def test_an_outbox_that_was_dropped_is_empty_for_whoever_waits() -> None:
    far, box = Far(), Outbox(lambda: None)
    box.put(["a"])
    box.drop()

    async with asyncio.timeout(1.0):
        await box.emptied(10.0)
    sending = asyncio.create_task(box.send_all(far))
    await asyncio.sleep(0)
    assert far.taken == []
    sending.cancel()


class Quick(Far):
    """A far end that takes texts without a task, while it is not told to wait."""

    def __init__(self, *texts: str) -> None:
        super().__init__()
        self.texts = list(texts)

    def hand_over(self, take: Callable[[str], None]) -> None:
        for text in self.texts:
            take(text)

    def send_now(self, text: str) -> bool:
        if self.open.is_set():
            self.taken.append(f"{text} at once")
        return self.open.is_set()

    async def receive_text(self) -> str:
        raise PeerGone("far", "telephony-lost")


async def test_a_quick_socket_takes_texts_before_any_task_is_woken() -> None:
    far, box = Quick(), Outbox(lambda: None)
    box.put(["early"])
    sending = asyncio.create_task(box.send_all(far))
    await box.emptied(1.0)

    box.put(["a", "b"])

    assert far.taken == ["early", "a at once", "b at once"]
    sending.cancel()


async def test_behind_a_quick_socket_that_is_slow_texts_keep_their_order() -> None:
    far, box = Quick(), Outbox(lambda: None)
    sending = asyncio.create_task(box.send_all(far))
    await asyncio.sleep(0)
    far.open.clear()
    box.put(["a", "b"])
    far.open.set()
    box.put(["c"])
    await asyncio.sleep(0)
    box.put(["d"])
    await box.emptied(1.0)
    box.put(["e"])

    assert far.taken[0] == "a"
    assert [text[0] for text in far.taken] == list("abcde")
    assert far.taken[-1] == "e at once"
    sending.cancel()


async def test_once_nobody_sends_any_more_a_quick_socket_is_not_asked() -> None:
    far, box = Quick(), Outbox(lambda: None)
    sending = asyncio.create_task(box.send_all(far))
    await asyncio.sleep(0)
    sending.cancel()
    await asyncio.wait([sending])

    box.put(["late"])

    assert far.taken == []


async def test_a_quick_socket_hands_its_texts_over_itself() -> None:
    heard: list[str] = []

    with pytest.raises(PeerGone):
        await read_all(Quick("a", "b"), heard.append)

    assert heard == ["a", "b"]


async def test_what_is_to_be_done_behind_the_texts_is_done_behind_them() -> None:
    far, box = Far(), Outbox(lambda: None)
    box.put(["a"])
    box.then(lambda: far.taken.append("done"))
    box.put(["b"])
    sending = asyncio.create_task(box.send_all(far))

    await box.emptied(1.0)

    assert far.taken == ["a", "done", "b"]
    sending.cancel()


async def test_on_a_quick_socket_it_is_done_at_once() -> None:
    far = Quick()
    box = Outbox(lambda: None)
    sending = asyncio.create_task(box.send_all(far))
    await asyncio.sleep(0)
    box.put(["a"])
    box.then(lambda: far.taken.append("done"))

    assert far.taken == ["a at once", "done"]
    sending.cancel()


async def test_for_a_peer_that_is_gone_nothing_is_done() -> None:
    done: list[str] = []
    box = Outbox(lambda: None)
    box.drop()
    box.then(lambda: done.append("done"))
    await box.emptied(1.0)

    assert done == []

"""What waits to be sent to one peer."""

import asyncio

from opusbridge.bridge.outbox import MOST_WAITING, Outbox
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

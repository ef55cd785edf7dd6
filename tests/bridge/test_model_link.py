"""The model's session behind a call: dialled once, replaced on demand, never two at a time."""

import asyncio
from collections.abc import Coroutine
from typing import Any

import pytest

from opusbridge.bridge.model import ModelLink
from opusbridge.bridge.outbox import Socket
from opusbridge.errors import PeerGone
from tests.bridge.virtual import in_virtual_time


class Line:
    """A socket whose far end is this test."""

    def __init__(self, close_seconds: float = 0.0) -> None:
        self.sent: list[str] = []
        self.closed = False
        self._close_seconds = close_seconds
        self._inbox: asyncio.Queue[str | PeerGone] = asyncio.Queue()

    def says(self, *texts: str | PeerGone) -> None:
        for text in texts:
            self._inbox.put_nowait(text)

    async def receive_text(self) -> str:
        text = await self._inbox.get()
        if isinstance(text, PeerGone):
            raise text
        return text

    async def send_text(self, text: str) -> None:
        if self.closed:
            raise PeerGone("model", "model-lost")
        self.sent.append(text)

    async def close(self, code: int = 1000, reason: str = "") -> None:
        await asyncio.sleep(self._close_seconds)
        self.closed = True


class House:
    """The call's side: dials the next line each time, and writes down what it is told."""

    def __init__(self, *lines: Line | PeerGone) -> None:
        self.lines = list(lines)
        self.dialled = 0
        self.heard: list[str] = []
        self.lost: list[tuple[str, bool]] = []
        self.replaces_when: str | None = None
        self.link = ModelLink(self.dial, self.said, self.gone, lambda: self.heard.append("stalled"))

    async def dial(self) -> Socket:
        line = self.lines[self.dialled]
        self.dialled += 1
        await asyncio.sleep(0.1)
        if isinstance(line, PeerGone):
            raise line
        return line

    def said(self, text: str) -> None:
        self.heard.append(text)
        if text == self.replaces_when:
            self.link.replace()

    def gone(self, gone: PeerGone) -> None:
        self.lost.append((gone.reason, gone.permanent))
        if self.replaces_when == gone.reason:
            self.link.replace()


def played(house: House, story: Coroutine[Any, Any, None]) -> None:
    """Run the story beside the link."""

    async def run() -> None:
        carrying = asyncio.ensure_future(house.link.carry())
        await story
        carrying.cancel()
        await asyncio.wait({carrying})
        assert carrying.cancelled()

    in_virtual_time(run())


def test_nobody_is_dialled_before_there_is_a_caller_and_then_once() -> None:
    house = House(line := Line())

    async def story() -> None:
        await asyncio.sleep(1.0)
        assert house.dialled == 0
        house.link.want()
        house.link.want()
        house.link.put(["early"])
        await asyncio.sleep(1.0)
        house.link.want()
        line.says("hello")
        house.link.put(["later"])
        await asyncio.sleep(1.0)
        assert line.sent == ["early", "later"]

    played(house, story())

    assert (house.dialled, house.heard, house.lost) == (1, ["hello"], [])
    assert line.closed


@pytest.mark.parametrize("close_seconds", [0.0, 2.0])
def test_a_session_given_up_is_heard_no_more_and_another_is_dialled_at_once(
    close_seconds: float,
) -> None:
    house = House(old := Line(close_seconds), new := Line())

    async def story() -> None:
        house.link.want()
        await asyncio.sleep(1.0)
        house.link.put(["to the old"])
        await asyncio.sleep(1.0)
        house.link.put(["to nobody"])
        house.link.replace()
        old.says("too late", PeerGone("model", "model-lost"))
        house.link.put(["to the new"])
        await asyncio.sleep(0.2)
        assert house.dialled == 2
        new.says("hello")
        await asyncio.sleep(3.0)

    played(house, story())

    assert (old.sent, new.sent) == (["to the old"], ["to the new"])
    assert (house.heard, house.lost) == (["hello"], [])
    assert old.closed
    assert new.closed


def test_a_session_that_is_released_is_closed_and_another_is_dialled_on_demand() -> None:
    house = House(old := Line(), new := Line())

    async def story() -> None:
        house.link.want()
        await asyncio.sleep(1.0)
        house.link.release()
        old.says("too late")
        await asyncio.sleep(60.0)
        house.link.want()
        assert (house.dialled, old.closed) == (1, True)
        house.link.replace()
        new.says("hello")
        await asyncio.sleep(1.0)

    played(house, story())

    assert (house.dialled, house.heard, house.lost) == (2, ["hello"], [])


def test_what_a_session_said_in_one_breath_with_its_end_is_not_heard() -> None:
    house = House(old := Line(), new := Line())
    house.replaces_when = "expired"

    async def story() -> None:
        house.link.want()
        old.says("expired", "and", PeerGone("model", "session-expired"))
        await asyncio.sleep(1.0)
        new.says("hello")
        await asyncio.sleep(1.0)

    played(house, story())

    assert (house.heard, house.lost, house.dialled) == (["expired", "hello"], [], 2)
    assert old.closed


def test_a_lost_session_is_told_of_and_replaced_only_on_demand() -> None:
    house = House(old := Line(), new := Line())

    async def story() -> None:
        house.link.want()
        old.says("a", PeerGone("model", "model-lost"))
        await asyncio.sleep(1.0)
        assert (house.lost, house.dialled) == ([("model-lost", False)], 1)
        house.link.put(["to nobody"])
        house.link.replace()
        house.link.put(["again"])
        await asyncio.sleep(1.0)

    played(house, story())

    assert (old.sent, new.sent) == ([], ["again"])


def test_a_session_replaced_on_the_news_of_its_loss_is_closed_all_the_same() -> None:
    house = House(old := Line(close_seconds=0.5), new := Line())
    house.replaces_when = "model-lost"

    async def story() -> None:
        house.link.want()
        old.says(PeerGone("model", "model-lost"))
        await asyncio.sleep(1.0)
        new.says("hello")
        await asyncio.sleep(1.0)

    played(house, story())

    assert house.heard == ["hello"]
    assert old.closed


def test_a_dial_that_fails_is_told_of_like_a_loss() -> None:
    house = House(PeerGone("model", "model-unreachable"), line := Line())

    async def story() -> None:
        house.link.want()
        await asyncio.sleep(1.0)
        house.link.replace()
        line.says("hello")
        await asyncio.sleep(1.0)

    played(house, story())

    assert (house.lost, house.heard) == ([("model-unreachable", False)], ["hello"])


def test_a_dial_that_was_given_up_connects_nobody() -> None:
    house = House(first := Line(), second := Line())

    async def story() -> None:
        house.link.want()
        await asyncio.sleep(0.05)  # the dial takes twice as long
        house.link.replace()
        first.says("from the first")
        second.says("from the second")
        await asyncio.sleep(1.0)

    played(house, story())

    assert (house.heard, house.lost) == (["from the second"], [])


def test_an_open_socket_is_taken_once_and_its_loss_is_for_good() -> None:
    house = House()
    line = Line()
    house.link = ModelLink(line, house.said, house.gone, lambda: None)

    async def story() -> None:
        house.link.want()
        line.says("hello", PeerGone("model", "model-lost"))
        await asyncio.sleep(1.0)
        house.link.replace()
        await asyncio.sleep(1.0)

    played(house, story())

    assert house.heard == ["hello"]
    assert house.lost == [("model-lost", False), ("model-lost", True)]


def test_a_bug_in_what_hears_the_model_is_not_lost() -> None:
    def breaks(text: str) -> None:
        raise ZeroDivisionError

    async def run() -> None:
        line = Line()
        link = ModelLink(line, breaks, lambda gone: None, lambda: None)
        link.want()
        line.says("hello")
        await link.carry()

    with pytest.raises(ExceptionGroup) as broken:
        in_virtual_time(run())
    assert broken.group_contains(ZeroDivisionError)

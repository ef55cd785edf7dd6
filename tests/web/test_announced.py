"""A model session that is dialled ahead of its call belongs to somebody at every moment."""

import asyncio
from typing import NoReturn

import pytest

from opusbridge.errors import PeerGone
from opusbridge.web.announced import Announcements, Claimed, DialledAhead
from opusbridge.web.calls import Calls
from opusbridge.web.tokens import StreamTokens


class Session:
    """A socket of which nothing matters but that it is closed."""

    closed = False

    async def receive_text(self) -> str:
        raise PeerGone("model", "model-lost")

    async def send_text(self, text: str) -> None:
        raise PeerGone("model", "model-lost")

    async def close(self, code: int = 1000, reason: str = "") -> None:
        self.closed = True


async def test_a_session_that_was_dialled_the_very_moment_its_call_ended_is_let_go() -> None:
    session, dialled = Session(), asyncio.Event()

    async def dial() -> Session:
        await dialled.wait()
        asyncio.get_running_loop().call_soon(carrying.cancel)  # before anybody has the session
        return session

    carrying = asyncio.create_task(DialledAhead(dial).connect())
    await asyncio.sleep(0)
    dialled.set()

    with pytest.raises(asyncio.CancelledError):
        await carrying
    assert session.closed


async def test_a_call_that_ends_while_its_session_is_dialled_stops_the_dialling() -> None:
    stopped = asyncio.Event()

    async def dial() -> Session:
        try:
            await asyncio.Event().wait()
        finally:
            stopped.set()
        raise AssertionError("nobody answers")

    carrying = asyncio.create_task(DialledAhead(dial).connect())
    await asyncio.sleep(0)
    carrying.cancel()

    with pytest.raises(asyncio.CancelledError):
        await carrying
    assert stopped.is_set()


def announcements(calls: Calls, dialled: list[Session], seconds: float = 60.0) -> Announcements:
    async def dial() -> Session:
        dialled.append(Session())
        return dialled[-1]

    return Announcements(calls, dial, StreamTokens(lambda: 0.0, seconds))


def a_house() -> Calls:
    def build(*_: object) -> NoReturn:
        raise AssertionError("nobody comes in these tests")

    return Calls(build, build, max_calls=1)


async def test_a_session_that_breaks_as_it_is_let_go_costs_no_other_caller(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async def close(self: Session, code: int = 1000, reason: str = "") -> None:
        raise ZeroDivisionError

    monkeypatch.setattr(Session, "close", close)
    calls, dialled = a_house(), list[Session]()
    room = announcements(calls, dialled, seconds=0.01)
    async with asyncio.timeout(5.0), room.running():
        for call_sid in ("CA1", "CA2"):
            assert room.announce(call_sid) is not None
            assert await calls.drain(5.0)
            calls.draining = False

    assert len(dialled) == 2


async def test_an_announcement_nobody_can_keep_takes_no_place_and_dials_nobody() -> None:
    calls, dialled = a_house(), list[Session]()
    room = announcements(calls, dialled)
    async with room.running():
        pass

    with pytest.raises(RuntimeError):
        room.announce("CA1")
    await asyncio.sleep(0)
    assert calls.welcome
    assert dialled == []


async def test_a_call_that_is_over_before_its_stream_leaves_its_place_and_its_session() -> None:
    calls, dialled = a_house(), list[Session]()
    room = announcements(calls, dialled)
    async with asyncio.timeout(5.0), room.running():
        token = room.announce("CA1")
        assert token is not None
        room.withdraw("CA1")
        assert room.claim("CA1", token) == "bad-token"
        assert await calls.drain(5.0)
        calls.draining = False
        await asyncio.sleep(0)

        assert room.announce("CA1") is not None, "announced again, it is awaited again"
        await asyncio.sleep(0)
        assert not calls.welcome
        room.withdraw("CA2")
        await asyncio.sleep(0)
        assert not calls.welcome, "it was another that is over"


async def test_a_call_whose_stream_has_come_keeps_its_session_whatever_is_withdrawn() -> None:
    calls, dialled = a_house(), list[Session]()
    room = announcements(calls, dialled)
    async with asyncio.timeout(5.0), room.running():
        token = room.announce("CA1")
        assert token is not None
        claimed = room.claim("CA1", token)
        room.withdraw("CA1")
        assert isinstance(claimed, Claimed)
        session = await claimed.model.connect()

        assert not calls.welcome
        assert session is dialled[0]
        assert not dialled[0].closed

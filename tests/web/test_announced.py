"""A model session that is dialled ahead of its call belongs to somebody at every moment."""

import asyncio

import pytest

from opusbridge.errors import PeerGone
from opusbridge.web.announced import DialledAhead


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

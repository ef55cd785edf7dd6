"""The lean protocol under an application that knows nothing of it, and the seam it gives."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest
import uvicorn
from starlette.websockets import WebSocket
from uvicorn.protocols.http.h11_impl import H11Protocol
from uvicorn.server import ServerState
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed

from opusbridge.bridge.outbox import QuickSocket
from opusbridge.errors import PeerGone
from opusbridge.web.lean import LeanProtocol
from opusbridge.web.sockets import LEAN, Seam
from tests.web.serving import close_code

Receive = Callable[[], Awaitable[dict[str, Any]]]
Send = Callable[[dict[str, Any]], Awaitable[None]]
App = Callable[[dict[str, Any], Receive, Send], Awaitable[None]]


@asynccontextmanager
async def serving(app: App) -> AsyncIterator[ClientConnection]:
    """A client connected to the application."""
    config = uvicorn.Config(app, ws=LeanProtocol, lifespan="off", log_config=None)
    config.load()
    state = ServerState()
    loop = asyncio.get_running_loop()
    server = await loop.create_server(lambda: H11Protocol(config, state, {}), "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    async with server, connect(f"ws://127.0.0.1:{port}/", proxy=None, compression=None) as client:
        yield client
        await client.close()
        if state.tasks:
            await asyncio.wait(state.tasks)


async def accept(receive: Receive, send: Send) -> None:
    assert await receive() == {"type": "websocket.connect"}
    await send({"type": "websocket.accept"})


async def test_an_ordinary_application_hears_and_speaks_as_ever() -> None:
    heard: list[dict[str, Any]] = []

    async def app(scope: dict[str, Any], receive: Receive, send: Send) -> None:
        await accept(receive, send)
        heard.append(await receive())
        await send({"type": "websocket.send", "text": "welcome"})
        heard.append(await receive())
        with pytest.raises(OSError, match=""):
            await send({"type": "websocket.send", "text": "too late"})

    async with serving(app) as client:
        await client.send("hello")
        assert await client.recv() == "welcome"
        await client.close(4321)

    assert heard == [
        {"type": "websocket.receive", "text": "hello"},
        {"type": "websocket.disconnect", "code": 4321},
    ]


async def test_an_ordinary_application_closes_as_ever() -> None:
    async def app(scope: dict[str, Any], receive: Receive, send: Send) -> None:
        await accept(receive, send)
        await send({"type": "websocket.close", "code": 4000})

    async with serving(app) as client:
        assert await close_code(client) == 4000


async def test_bytes_are_nothing_that_a_socket_for_texts_can_send() -> None:
    wrong: list[str] = []

    async def app(scope: dict[str, Any], receive: Receive, send: Send) -> None:
        await accept(receive, send)
        try:
            await send({"type": "websocket.send", "bytes": b"x"})
        except RuntimeError as error:
            wrong.append(str(error))

    async with serving(app) as client:
        with pytest.raises(ConnectionClosed):
            await client.recv()

    assert wrong == ["websocket.send on a WebSocket for texts"]


def seam_in(scope: dict[str, Any], counted: list[str]) -> Seam:
    seam: Seam = scope["extensions"][LEAN](None, counted.append)
    assert isinstance(seam, QuickSocket)
    return seam


async def test_texts_are_handed_over_in_order() -> None:
    heard: list[str] = []

    async def app(scope: dict[str, Any], receive: Receive, send: Send) -> None:
        await accept(receive, send)
        seam = seam_in(scope, [])
        first = await seam.receive_text()
        seam.unread([first])
        assert isinstance(seam, QuickSocket)
        seam.hand_over(heard.append)
        await send({"type": "websocket.send", "text": "go on"})
        with pytest.raises(PeerGone):
            await seam.receive_text()

    async with serving(app) as client:
        for text in "ab":
            await client.send(text)
        await client.recv()
        await client.send("c")
        await client.close()

    assert heard == ["a", "b", "c"]


async def test_a_socket_that_was_lost_while_it_was_accepted_is_lost_in_the_ordinary_way() -> None:
    protocol = LeanProtocol.__new__(LeanProtocol)
    nobody = WebSocket.__new__(WebSocket)

    assert protocol.take(nobody, lambda kind: None) is None

"""The lean protocol under an application that knows nothing of it."""

import pytest
from starlette.websockets import WebSocket
from websockets.exceptions import ConnectionClosed

from opusbridge.web.lean import LeanProtocol
from tests.web.bare import Message, Receive, Send, client_of
from tests.web.serving import close_code


async def accept(receive: Receive, send: Send) -> None:
    assert await receive() == {"type": "websocket.connect"}
    await send({"type": "websocket.accept"})


async def test_an_ordinary_application_hears_and_speaks_as_ever() -> None:
    heard: list[Message] = []

    async def app(scope: Message, receive: Receive, send: Send) -> None:
        await accept(receive, send)
        heard.append(await receive())
        await send({"type": "websocket.send", "text": "welcome"})
        heard.append(await receive())
        with pytest.raises(OSError, match=""):
            await send({"type": "websocket.send", "text": "too late"})

    async with client_of(app, LeanProtocol) as client:
        await client.send("hello")
        assert await client.recv() == "welcome"
        await client.close(4321)

    assert heard == [
        {"type": "websocket.receive", "text": "hello"},
        {"type": "websocket.disconnect", "code": 4321},
    ]


async def test_an_ordinary_application_closes_as_ever() -> None:
    async def app(scope: Message, receive: Receive, send: Send) -> None:
        await accept(receive, send)
        await send({"type": "websocket.close", "code": 4000})

    async with client_of(app, LeanProtocol) as client:
        assert await close_code(client) == 4000


async def test_bytes_are_nothing_that_a_socket_for_texts_can_send() -> None:
    wrong: list[str] = []

    async def app(scope: Message, receive: Receive, send: Send) -> None:
        await accept(receive, send)
        try:
            await send({"type": "websocket.send", "bytes": b"x"})
        except RuntimeError as error:
            wrong.append(str(error))

    async with client_of(app, LeanProtocol) as client:
        with pytest.raises(ConnectionClosed):
            await client.recv()

    assert wrong == ["websocket.send on a WebSocket for texts"]


async def test_a_socket_that_was_lost_while_it_was_accepted_is_lost_in_the_ordinary_way() -> None:
    protocol = LeanProtocol.__new__(LeanProtocol)
    nobody = WebSocket.__new__(WebSocket)

    assert protocol.take(nobody, lambda kind: None) is None

import asyncio
import logging
import tracemalloc
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from websockets.asyncio.server import Server, ServerConnection, serve
from websockets.http11 import Request, Response

from opusbridge.bridge import dialling
from opusbridge.bridge.dialling import dialler, session_url
from opusbridge.bridge.outbox import QuickSocket, Socket, read_all
from opusbridge.config import Settings
from opusbridge.errors import PeerGone

pytestmark = pytest.mark.usefixtures("both_sockets")

KEY = "sk-test-0123456789"
_quiet = logging.getLogger("tests.model")
_quiet.setLevel(logging.WARNING)


def settings(url: str, **values: Any) -> Settings:
    return Settings(**{"openai_api_key": KEY, "realtime_url": url, **values})


@asynccontextmanager
async def a_model(
    behave: Callable[[ServerConnection], Awaitable[None]],
    answer: Callable[[ServerConnection, Request], Response | None] = lambda *_: None,
) -> AsyncIterator[str]:
    """A real WebSocket server; the URL is where it listens."""
    server: Server
    async with serve(behave, "127.0.0.1", 0, process_request=answer, logger=_quiet) as server:
        port = server.sockets[0].getsockname()[1]
        yield f"ws://127.0.0.1:{port}/v1/realtime"


@asynccontextmanager
async def no_model(greeting: bytes) -> AsyncIterator[str]:
    """Something that listens, says ``greeting`` and waits for the other side to go away."""
    left = asyncio.Event()

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(greeting)
        with suppress(ConnectionError):
            await reader.read()
        writer.close()
        with suppress(ConnectionError):
            await writer.wait_closed()
        left.set()

    async with await asyncio.start_server(talk, "127.0.0.1", 0) as server:
        yield f"ws://127.0.0.1:{server.sockets[0].getsockname()[1]}/"
        await left.wait()


async def echo(connection: ServerConnection) -> None:
    async for message in connection:
        await connection.send(message)


async def lost(socket: Socket) -> PeerGone:
    with pytest.raises(PeerGone) as gone:
        await socket.receive_text()
    return gone.value


async def refused(url: str, **values: Any) -> PeerGone:
    with pytest.raises(PeerGone) as gone:
        await dialler(settings(url, **values))()
    return gone.value


# --- The upgrade ------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("auth", "header", "value"),
    [("bearer", "Authorization", f"Bearer {KEY}"), ("api-key", "api-key", KEY)],
)
async def test_the_key_travels_in_one_header(auth: str, header: str, value: str) -> None:
    seen: list[Request] = []

    def look(connection: ServerConnection, request: Request) -> None:
        seen.append(request)

    async with a_model(echo, look) as url:
        socket = await dialler(settings(url, realtime_auth=auth, model="gpt realtime"))()
        await socket.close()

    (request,) = seen
    assert request.headers[header] == value
    assert KEY not in request.path
    assert [name for name, text in request.headers.raw_items() if KEY in text] == [header]
    assert parse_qs(urlsplit(request.path).query) == {"model": ["gpt realtime"]}
    assert "OpenAI-Beta" not in request.headers
    assert "Sec-WebSocket-Extensions" not in request.headers, "compression is off"


async def test_without_a_key_none_is_shown() -> None:
    seen: list[Request] = []
    async with a_model(echo, lambda _, request: seen.append(request)) as url:
        await (await dialler(settings(url, openai_api_key=None))()).close()

    assert "Authorization" not in seen[0].headers


def test_the_rest_of_the_urls_query_is_kept() -> None:
    found = session_url("wss://x.example/openai/v1/realtime?a=1&empty=&model=old", "gpt-realtime")

    assert found == "wss://x.example/openai/v1/realtime?a=1&empty=&model=gpt-realtime"


async def test_the_key_is_in_no_log_line_however_much_is_logged(
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.DEBUG)
    # Through the fixture, so that it is as before for the tests that follow.
    caplog.set_level(logging.DEBUG, "websockets.client")
    async with a_model(echo) as url:
        await (await dialler(settings(url))()).close()

    assert KEY not in caplog.text


async def test_a_redirect_is_not_followed_so_the_key_goes_nowhere_else() -> None:
    visitors: list[Request] = []

    async with a_model(echo, lambda _, request: visitors.append(request)) as elsewhere:

        def send_on(connection: ServerConnection, request: Request) -> Response:
            answer = connection.respond(307, "")
            answer.headers["Location"] = elsewhere
            return answer

        async with a_model(echo, send_on) as url:
            gone = await refused(url, realtime_auth="api-key")

    assert visitors == []
    assert gone.reason == "model-unreachable"


@pytest.mark.parametrize(
    ("status", "reason", "permanent"),
    [
        (401, "model-refused-us", True),
        (404, "model-refused-us", True),
        (429, "model-unreachable", False),
        (503, "model-unreachable", False),
    ],
)
async def test_a_refused_upgrade_says_whether_to_try_again(
    status: int, reason: str, permanent: bool
) -> None:
    async with a_model(echo, lambda connection, _: connection.respond(status, "no")) as url:
        gone = await refused(url)

    assert (gone.peer, gone.reason, gone.permanent) == ("model", reason, permanent)


async def test_nobody_listening_is_a_model_that_cannot_be_reached() -> None:
    async with a_model(echo) as url:
        pass

    gone = await refused(url)
    assert (gone.reason, gone.permanent) == ("model-unreachable", False)


async def test_a_name_that_nobody_can_be_asked_for_cannot_be_reached() -> None:
    """Settings refuse it; a proxy of the environment may have one all the same."""
    with pytest.raises(PeerGone) as gone:
        await dialler(settings("ws://a").replace(realtime_url="ws://.openai.azure.com"))()

    assert (gone.value.reason, gone.value.permanent) == ("model-unreachable", False)


async def test_a_model_that_does_not_answer_the_upgrade_is_given_up(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(dialling, "OPEN_SECONDS", 0.02)

    async with no_model(b"") as url:
        gone = await refused(url)

    assert gone.reason == "model-unreachable"


async def test_what_is_no_websocket_server_cannot_be_reached() -> None:
    async with no_model(b"220 mail.example.com ESMTP\r\n\r\n") as url:
        gone = await refused(url)

    assert gone.reason == "model-unreachable"


# --- The open socket --------------------------------------------------------------------


async def test_texts_go_both_ways_even_large_ones() -> None:
    async with a_model(echo) as url:
        socket = await dialler(settings(url))()
        await socket.send_text('{"type": "é"}')
        assert await socket.receive_text() == '{"type": "é"}'
        await socket.close()

    async def send_a_whole_item(connection: ServerConnection) -> None:
        await connection.send("x" * 2**21)

    async with a_model(send_a_whole_item) as url:
        socket = await dialler(settings(url))()
        assert len(await socket.receive_text()) == 2**21


@pytest.mark.parametrize("length", [8_192, 8_193, 65_535, 65_536, 300_001])
async def test_a_long_text_is_whole_and_what_follows_is_not_mixed_with_it(length: int) -> None:
    async with a_model(echo) as url:
        socket = await dialler(settings(url))()
        texts = ["a" * length, "b" * 5, "ü" * (length // 2)]
        for text in texts:
            await socket.send_text(text)

        assert [await socket.receive_text() for _ in texts] == texts
        await socket.close()


async def test_a_long_text_leaves_no_buffer_of_its_size_behind() -> None:
    async def measure(connection: ServerConnection) -> None:
        async for message in connection:
            await connection.send(str(len(message)))

    async with a_model(measure) as url:
        socket = await dialler(settings(url))()
        assert isinstance(socket, QuickSocket)
        arrived = asyncio.Queue[str]()
        reading = asyncio.create_task(read_all(socket, arrived.put_nowait))
        await asyncio.sleep(0)
        tracemalloc.start()
        assert socket.send_now("a" * 300_000)
        assert await arrived.get() == "300000"
        held = sum(
            one.size
            for one in tracemalloc.take_snapshot().statistics("filename")
            if "/opusbridge/bridge/" in one.traceback[0].filename
        )
        tracemalloc.stop()
        await socket.close()
        with pytest.raises(PeerGone):
            await reading

    assert held < 100_000


async def test_binary_frames_say_nothing() -> None:
    async def send_both(connection: ServerConnection) -> None:
        await connection.send(b"\x00")
        await connection.send("text")

    async with a_model(send_both) as url:
        assert await (await dialler(settings(url))()).receive_text() == "text"


@pytest.mark.parametrize(
    ("code", "words", "reason", "permanent"),
    [
        (3000, "invalid_request_error.invalid_api_key", "model-refused-us", True),
        (4000, "invalid_request_error.invalid_model", "model-refused-us", True),
        (1001, "Your session hit the maximum duration of 60 minutes.", "session-expired", False),
        (1011, "", "model-lost", False),
        (1000, "", "model-lost", False),
    ],
)
async def test_a_close_tells_why_the_session_ended(
    code: int, words: str, reason: str, permanent: bool
) -> None:
    async with a_model(lambda connection: connection.close(code, words)) as url:
        gone = await lost(await dialler(settings(url))())

    assert (gone.peer, gone.reason, gone.code, gone.permanent) == ("model", reason, code, permanent)


async def test_a_dropped_line_is_a_lost_session_without_a_code() -> None:
    async def drop(connection: ServerConnection) -> None:
        connection.transport.abort()

    async with a_model(drop) as url:
        gone = await lost(await dialler(settings(url))())

    assert (gone.reason, gone.code, gone.permanent) == ("model-lost", None, False)


async def test_what_is_sent_too_late_is_refused_and_closing_again_is_harmless() -> None:
    async with a_model(echo) as url:
        socket = await dialler(settings(url))()
        await socket.close()
        await socket.close()

        with pytest.raises(PeerGone):
            await socket.send_text("hello?")


async def test_a_model_that_does_not_answer_our_close_does_not_hold_us_up(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(dialling, "CLOSE_SECONDS", 0.02)
    over = asyncio.Event()

    async def turn_deaf(connection: ServerConnection) -> None:
        connection.transport.pause_reading()
        await connection.send("deaf now")
        await over.wait()
        connection.transport.abort()

    async with a_model(turn_deaf) as url:
        socket = await dialler(settings(url))()
        await socket.receive_text()
        async with asyncio.timeout(1.0):
            await socket.close()
        over.set()

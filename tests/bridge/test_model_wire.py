"""The model's socket over a raw line and over TLS, on both kinds of sockets."""

import asyncio
import ssl
from base64 import b64encode
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from functools import partial
from hashlib import sha1
from pathlib import Path

import pytest
from websockets.asyncio.server import ServerConnection, serve

from opusbridge.bridge import dialling
from opusbridge.bridge.dialling import ModelSocket, dialler
from opusbridge.bridge.outbox import QuickSocket, Socket, read_all
from opusbridge.config import Settings
from opusbridge.errors import PeerGone
from tests.web import raw
from tests.web.raw import BINARY, CLOSE, CONTINUATION, PING, PONG, TEXT, Frame

pytestmark = pytest.mark.usefixtures("both_sockets")

#: Servers' frames have no mask.
frame = partial(raw.frame, masked=False)
MAGIC = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"


@pytest.fixture(autouse=True)
def an_impatient_bridge(monkeypatch: pytest.MonkeyPatch) -> None:
    """The model here never hangs up first."""
    monkeypatch.setattr(dialling, "CLOSE_SECONDS", 0.02)


def settings(url: str) -> Settings:
    return Settings.load(openai_api_key="sk-test", realtime_url=url)


class Line:
    """The model's end of an upgraded connection."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader, self.writer = reader, writer
        self.asked = b""

    async def upgrade(self, *with_it: bytes) -> None:
        self.asked = await self.reader.readuntil(b"\r\n\r\n")
        lines = dict(line.split(b": ", 1) for line in self.asked.split(b"\r\n")[1:-2])
        key = next(value for name, value in lines.items() if name.lower() == b"sec-websocket-key")
        accept = b64encode(sha1(key + MAGIC).digest())
        answer = b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket"
        self.writer.write(answer + b"\r\nSec-WebSocket-Accept: " + accept + b"\r\n\r\n")
        self.writer.writelines(with_it)

    async def frame(self) -> Frame:
        """The bridge's next, which is masked."""
        first, flag = await self.reader.readexactly(2)
        assert flag & 0x80
        size = flag & 0x7F
        mask, masked = await self.reader.readexactly(4), await self.reader.readexactly(size)
        key = mask * (size // 4 + 1)
        return Frame(first & 0x0F, bytes(a ^ b for a, b in zip(masked, key, strict=False)))


@asynccontextmanager
async def model(behave: Callable[[Line], Awaitable[None]]) -> AsyncIterator[str]:
    """A listener that upgrades nothing by itself; its URL."""
    lines: list[asyncio.Task[None]] = []

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        lines.append(asyncio.current_task())  # type: ignore[arg-type]  # it is one
        with suppress(ConnectionError, asyncio.IncompleteReadError):
            await behave(Line(reader, writer))
        writer.transport.abort()

    async with await asyncio.start_server(talk, "127.0.0.1", 0) as server:
        yield f"ws://127.0.0.1:{server.sockets[0].getsockname()[1]}/v1/realtime"
        async with asyncio.timeout(5.0):
            await asyncio.gather(*lines)


async def until_it_closes(line: Line) -> None:
    """Then it is ours to hang up."""
    while (await line.frame()).opcode != CLOSE:
        pass


async def until_it_leaves(line: Line) -> None:
    while await line.reader.read(1000):
        pass


async def all_texts(socket: Socket) -> tuple[list[str], PeerGone]:
    texts: list[str] = []
    async with asyncio.timeout(5.0):
        with pytest.raises(PeerGone) as gone:
            await read_all(socket, texts.append)
    return texts, gone.value


# --- Frames -----------------------------------------------------------------------------


async def test_what_comes_with_the_upgrade_is_not_lost() -> None:
    async def behave(line: Line) -> None:
        await line.upgrade(frame(TEXT, b"first"), frame(TEXT, b"second"), frame(CLOSE))
        await until_it_closes(line)

    async with model(behave) as url:
        socket = await dialler(settings(url))()
        texts, gone = await all_texts(socket)
        await socket.close()

    assert texts == ["first", "second"]
    assert (gone.reason, gone.code) == ("model-lost", 1005)


async def test_fragments_pings_and_large_texts_are_in_order() -> None:
    pongs: list[Frame] = []

    async def behave(line: Line) -> None:
        await line.upgrade()
        line.writer.write(
            frame(TEXT, b"one ", fin=False)
            + frame(PING, b"?")
            + frame(CONTINUATION, b"two")
            + frame(BINARY, b"x")
            + frame(TEXT, b"y" * 300_000)
            + frame(TEXT, "ü".encode())
        )
        pongs.append(await line.frame())
        line.writer.write(frame(CLOSE, (1001).to_bytes(2) + b"session_expired"))
        await until_it_closes(line)

    async with model(behave) as url:
        socket = await dialler(settings(url))()
        texts, gone = await all_texts(socket)
        await socket.close()

    assert texts == ["one two", "y" * 300_000, "ü"]
    assert pongs == [Frame(PONG, b"?")]
    assert (gone.reason, gone.code) == ("session-expired", 1001)


@pytest.mark.parametrize(
    "bad",
    [
        raw.frame(TEXT, b"masked"),
        frame(TEXT, b"x", rsv=4),
        frame(TEXT, b"\xff"),
        frame(3),
        frame(CONTINUATION),
        raw.head(TEXT, 16 * 2**20 + 1, masked=False),
        b"",
    ],
)
async def test_a_model_that_breaks_the_rules_or_the_line_is_lost(bad: bytes) -> None:
    async def behave(line: Line) -> None:
        await line.upgrade(bad)
        if bad:
            await until_it_closes(line)

    async with model(behave) as url:
        socket = await dialler(settings(url))()
        texts, gone = await all_texts(socket)
        await socket.close()

    assert texts == []
    assert (gone.reason, gone.code, gone.permanent) == ("model-lost", None, False)


@pytest.mark.slow
async def test_a_model_that_does_not_answer_a_ping_is_lost(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dialling, "PING_SECONDS", 0.05)
    pings: list[int] = []

    async def behave(line: Line) -> None:
        await line.upgrade()
        for _ in range(2):
            ping = await line.frame()
            pings.append(ping.opcode)
            line.writer.write(frame(PONG, ping.payload))
        await until_it_closes(line)

    async with model(behave) as url:
        socket = await dialler(settings(url))()
        _, gone = await all_texts(socket)
        await socket.close()

    assert pings == [PING, PING]
    assert (gone.reason, gone.code) == ("model-lost", None)


async def test_a_bug_in_whoever_listens_comes_out_where_the_end_is_awaited() -> None:
    async def behave(line: Line) -> None:
        await line.upgrade()
        await line.frame()
        line.writer.write(frame(TEXT, b"one"))
        await until_it_leaves(line)

    async with model(behave) as url:
        socket = await dialler(settings(url))()
        reading = asyncio.create_task(read_all(socket, lambda text: text[99]))  # type: ignore[arg-type]  # it never returns
        await asyncio.sleep(0)
        await socket.send_text("go on")
        with pytest.raises(IndexError):
            await reading
        await socket.close()


async def test_a_dial_that_nobody_waits_for_any_more_leaves_no_line_behind() -> None:
    asked, left = asyncio.Event(), asyncio.Event()

    async def behave(line: Line) -> None:
        await line.reader.readuntil(b"\r\n\r\n")
        asked.set()
        await until_it_leaves(line)
        left.set()

    async with model(behave) as url:
        dialling_on = asyncio.ensure_future(dialler(settings(url))())
        await asked.wait()
        dialling_on.cancel()
        async with asyncio.timeout(2.0):
            await left.wait()


# --- TLS --------------------------------------------------------------------------------


@asynccontextmanager
async def model_with_tls(certificate: tuple[Path, Path]) -> AsyncIterator[str]:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*certificate)

    async def echo(connection: ServerConnection) -> None:
        async for message in connection:
            await connection.send(message)

    async with serve(echo, "127.0.0.1", 0, ssl=context) as server:
        yield f"wss://localhost:{server.sockets[0].getsockname()[1]}/v1/realtime"


async def test_the_model_is_spoken_to_over_tls(
    certificate: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate[0]))
    async with model_with_tls(certificate) as url:
        socket = await dialler(settings(url))()
        for text in ("hello", "ü" * 40_000):
            await socket.send_text(text)
            assert await socket.receive_text() == text
        await socket.close()


async def test_a_model_with_a_strangers_certificate_is_not_spoken_to(
    certificate: tuple[Path, Path],
) -> None:
    async with model_with_tls(certificate) as url:
        with pytest.raises(PeerGone) as gone:
            await dialler(settings(url))()

    assert gone.value.reason == "model-unreachable"


# --- Which ------------------------------------------------------------------------------


async def test_the_sockets_are_those_that_were_chosen(both_sockets: str) -> None:
    async def behave(line: Line) -> None:
        await line.upgrade()
        await until_it_leaves(line)
        agent = b"user-agent: opusbridge\r\n" in line.asked.lower()
        assert agent is (both_sockets == "fast")

    async with model(behave) as url:
        socket = await dialler(settings(url))()
        assert isinstance(socket, QuickSocket)
        await socket.close()


def test_through_a_proxy_the_sockets_are_the_default_ones(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTPS_PROXY", "http://127.0.0.1:9")
    monkeypatch.setenv("NO_PROXY", "")
    dial = dialler(settings("wss://api.openai.com/v1/realtime"))

    assert isinstance(dial, partial)
    assert dial.func.__annotations__["return"] is ModelSocket

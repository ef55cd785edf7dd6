"""The load generator's WebSocket agrees with a library that others wrote."""

import asyncio

import pytest
from websockets.asyncio.client import connect
from websockets.asyncio.server import ServerConnection, serve

from opusbridge.bench.frames import PING, TEXT, Frames, LeanSocket, frame, upgrade

LENGTHS = (0, 1, 125, 126, 65_535, 65_536)


@pytest.mark.parametrize("masked", [True, False])
@pytest.mark.parametrize("length", LENGTHS)
def test_a_frame_is_read_as_it_was_written(length: int, masked: bool) -> None:
    payload = (b"0123456789" * (length // 10 + 1))[:length]

    assert Frames().cut(frame(TEXT, payload, masked)) == [(TEXT, payload)]


@pytest.mark.parametrize("masked", [True, False])
def test_frames_that_come_in_pieces_are_put_together(masked: bool) -> None:
    payloads = [b"a", b"b" * 300, b"", b"c" * 70_000]
    whole = b"".join(frame(TEXT, one, masked) for one in payloads)
    frames, found = Frames(), []

    for at in range(0, len(whole), 7):
        found += frames.cut(whole[at : at + 7])

    assert found == [(TEXT, one) for one in payloads]


async def echo(connection: ServerConnection) -> None:
    async for text in connection:
        await connection.ping()
        await connection.send(text)


@pytest.mark.parametrize("length", LENGTHS)
async def test_a_client_of_ours_talks_to_a_server_of_theirs(length: int) -> None:
    async with serve(echo, "127.0.0.1", 0, compression=None) as server:
        port = server.sockets[0].getsockname()[1]
        heard: asyncio.Future[bytes] = asyncio.get_running_loop().create_future()
        request = upgrade("127.0.0.1", port, "/")
        _, ours = await asyncio.get_running_loop().create_connection(
            lambda: LeanSocket(request), "127.0.0.1", port
        )
        ours.said = heard.set_result
        assert await ours.opened == 101

        ours.send(b"x" * length)

        assert await heard == b"x" * length
        ours.close()


async def test_a_client_of_theirs_talks_to_a_server_of_ours() -> None:
    def serving() -> LeanSocket:
        socket = LeanSocket()
        socket.ready = lambda: socket.send(b"welcome")
        socket.said = socket.send
        return socket

    loop = asyncio.get_running_loop()
    async with await loop.create_server(serving, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        async with connect(f"ws://127.0.0.1:{port}", compression=None, proxy=None) as theirs:
            assert await theirs.recv() == "welcome"
            await (await theirs.ping())
            await theirs.send("y" * 70_000)
            assert await theirs.recv() == "y" * 70_000


async def test_a_refusal_is_told_and_so_is_a_lost_connection() -> None:
    socket = LeanSocket(b"GET / HTTP/1.1\r\n\r\n")
    socket.data_received(b"HTTP/1.1 403 Forbidden\r\n\r\n")
    assert await socket.opened == 403

    gone: list[bool] = []
    lost = LeanSocket(b"")
    lost.closed = lambda: gone.append(True)
    lost.connection_lost(None)
    assert (await lost.opened, gone) == (0, [True])
    lost.send(b"into the void")
    lost._read(frame(PING, b"", False))

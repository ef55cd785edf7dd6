"""How much of a peer's words the lean sockets keep room for."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from websockets.asyncio.server import ServerConnection, serve

from opusbridge.bridge.flag import Flag
from opusbridge.bridge.lean_dialling import LeanModelSocket
from opusbridge.bridge.lean_parser import MOST_READ, READ_OF_MODEL, Parser, parser
from opusbridge.errors import PeerGone


@asynccontextmanager
async def told(*texts: str) -> AsyncIterator[tuple[Parser, list[str]]]:
    """A client that was told all this at once, and what it heard."""
    heard: list[str] = []
    all_heard = Flag()

    def take(text: str) -> None:
        heard.append(text)
        if len(heard) == len(texts):
            all_heard.set()

    async def tell(connection: ServerConnection) -> None:
        for text in texts:
            await connection.send(text)
        await connection.wait_closed()

    def lost(code: int | None, reason: str) -> PeerGone:
        return PeerGone("model", "model-lost", code)

    def listener() -> LeanModelSocket:
        return LeanModelSocket(lost, largest=1_000_000, ping_seconds=20.0, close_seconds=0.1)

    async with serve(tell, "127.0.0.1", 0, compression=None) as server:
        port = server.sockets[0].getsockname()[1]
        protocol = parser(listener, 1_000_000, address=(f"127.0.0.1:{port}", "/"))
        await asyncio.get_running_loop().create_connection(lambda: protocol, "127.0.0.1", port)
        await protocol.wait_until_handshake_complete()
        protocol.listener.hand_over(take)
        async with asyncio.timeout(5.0):
            await all_heard.wait()
        yield protocol, heard
        await protocol.listener.close()


def room(protocol: Parser) -> int:
    """All there is of it, while nothing waits to be taken apart."""
    return len(super(Parser, protocol).get_buffer(-1))


async def test_many_messages_at_once_take_no_more_room_than_one() -> None:
    texts = [f"{number:05}" * 400 for number in range(300)]

    async with told(*texts) as (protocol, heard):
        assert heard == texts
        assert room(protocol) < READ_OF_MODEL


async def test_a_long_message_has_the_room_it_takes_and_those_behind_it_no_more() -> None:
    texts = ["x" * 200_000, *(f"{number:05}" * 400 for number in range(300))]

    async with told(*texts) as (protocol, heard):
        assert heard == texts
        assert 200_000 < room(protocol) < 2 * 200_000 + READ_OF_MODEL
        assert len(protocol.get_buffer(-1)) == MOST_READ


async def test_a_message_just_longer_than_what_is_kept_free_has_room() -> None:
    texts = ["x" * size for size in range(READ_OF_MODEL - 2_000, READ_OF_MODEL, 100)]

    async with told(*texts) as (protocol, heard):
        assert heard == texts
        assert room(protocol) < 2 * READ_OF_MODEL

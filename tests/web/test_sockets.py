import asyncio

import pytest

from opusbridge.errors import PeerGone
from tests.web.serving import House, PretendBridge, close_code, house

pytestmark = pytest.mark.usefixtures("both_sockets")

INITIATE = '{"type": "session.initiate"}'


async def a_call(server: House) -> PretendBridge:
    connection = await server.upgrade("/audiocodes")
    await connection.send(INITIATE)
    bridge = await server.bridges.get()
    await bridge.has_heard(1)
    return bridge


async def test_what_a_bridge_says_reaches_its_peer() -> None:
    async with house() as server:
        bridge = await a_call(server)
        await bridge.socket.send_text('{"type": "é"}')

        assert await server.upgrades[0].recv() == '{"type": "é"}'


async def test_what_is_said_after_the_peer_left_is_an_ordinary_loss() -> None:
    async with house() as server:
        bridge = await a_call(server)
        await server.upgrades[0].close()
        assert await server.calls.drain(5.0)

        for _ in range(2):
            with pytest.raises(PeerGone):
                await bridge.socket.send_text("hello?")
            with pytest.raises(PeerGone):
                await bridge.socket.receive_text()
        await bridge.socket.close()


async def test_what_is_said_after_our_own_close_is_an_ordinary_loss_too() -> None:
    async with house() as server:
        bridge = await a_call(server)
        await bridge.socket.close(1008, "enough")

        assert await close_code(server.upgrades[0]) == 1008
        with pytest.raises(PeerGone):
            await bridge.socket.send_text("one more thing")


async def test_a_peer_that_does_not_read_cannot_hold_up_our_close(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("opusbridge.web.sockets.CLOSE_SECONDS", 0.02)
    async with house() as server:
        bridge = await a_call(server)
        server.upgrades[0].transport.pause_reading()
        stuck = asyncio.create_task(fill(bridge))
        await asyncio.wait([stuck], timeout=0.05)
        assert not stuck.done(), "the far side still takes what we send"

        async with asyncio.timeout(1.0):
            await bridge.socket.close()
        stuck.cancel()


async def fill(bridge: PretendBridge) -> None:
    while True:
        await bridge.socket.send_text("x" * 60_000)


async def test_texts_that_were_read_before_come_again_and_first() -> None:
    async with house() as server:
        connection = await server.upgrade("/audiocodes")
        for text in (INITIATE, "second", "third"):
            await connection.send(text)
        bridge = await server.bridges.get()

        assert await bridge.has_heard(3) == [INITIATE, "second", "third"]

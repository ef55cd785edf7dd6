"""The seam that has texts handed over, the same over the default protocol and the lean one."""

import asyncio
from collections.abc import Callable, Coroutine
from contextlib import AbstractAsyncContextManager
from typing import Any

import pytest
from starlette.types import Receive, Scope, Send
from starlette.websockets import WebSocket
from websockets.asyncio.client import ClientConnection

from opusbridge.bridge.outbox import QuickSocket
from opusbridge.bridge.pacing import AT_ONCE, Pace
from opusbridge.bridge.turn import turn_of
from opusbridge.errors import PeerGone
from opusbridge.web.direct import DirectProtocol
from opusbridge.web.lean import LeanProtocol, TelephonySocket
from opusbridge.web.sockets import MAX_FRAME_BYTES, Seam, seam_over
from tests.web.bare import client_of, deaf_peer_of
from tests.web.serving import close_code

Story = Callable[[Seam], Coroutine[Any, Any, None]]
Protocol = type[asyncio.Protocol]

over_both = pytest.mark.parametrize("protocol", [DirectProtocol, LeanProtocol])


def seam_for(
    story: Story, counted: list[str], protocol: Protocol
) -> AbstractAsyncContextManager[ClientConnection]:
    """A client whose socket is given to ``story``."""

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        socket = WebSocket(scope, receive, send)
        await socket.accept()
        seam = seam_over(socket, counted.append)
        assert isinstance(seam, QuickSocket)
        await story(seam)

    return client_of(app, protocol)


@over_both
async def test_what_waits_is_handed_over_first_and_then_everything_as_it_comes(
    protocol: Protocol,
) -> None:
    heard: list[str] = []
    waits = asyncio.Event()

    async def story(seam: Seam) -> None:
        first = await seam.receive_text()
        seam.unread([first])
        await waits.wait()  # another is in the queue by now
        assert isinstance(seam, QuickSocket)
        seam.hand_over(heard.append)
        assert seam.send_now("go on")
        with pytest.raises(PeerGone):
            await seam.receive_text()
        assert not seam.send_now("too late")

    async with seam_for(story, [], protocol) as client:
        await client.send("a")
        await client.send("b")
        pong = await client.ping()
        waits.set()
        await pong
        assert await client.recv() == "go on"
        await client.send(["c", "c"])
        await client.send("d")
        await client.close()

    assert heard == ["a", "b", "cc", "d"]


@over_both
async def test_what_is_no_text_of_ours_is_left_out_and_counted(protocol: Protocol) -> None:
    heard: list[str] = []
    counted: list[str] = []

    async def story(seam: Seam) -> None:
        assert isinstance(seam, QuickSocket)
        seam.hand_over(heard.append)
        with pytest.raises(PeerGone):
            await seam.receive_text()

    async with seam_for(story, counted, protocol) as client:
        for message in (b"bytes", "x" * (MAX_FRAME_BYTES + 1), "ü", [b"\xff", b"\xff"]):
            await client.send(message)
        await client.send([b"\xc3", b"\x28"], text=True)
        assert await close_code(client) == 1007

    assert (heard, counted) == (["ü"], ["binary", "oversized", "binary", "bad-utf8"])


@over_both
async def test_a_bug_in_whoever_listens_comes_out_where_the_end_is_awaited(
    protocol: Protocol,
) -> None:
    met: list[str] = []

    async def story(seam: Seam) -> None:
        assert isinstance(seam, QuickSocket)
        seam.hand_over(lambda text: met.append(text[1]))
        with pytest.raises(IndexError):
            await seam.receive_text()

    async with seam_for(story, [], protocol) as client:
        for text in ("ok", "x", "no more of this"):
            await client.send(text)
        assert await close_code(client) == 1011

    assert met == ["k"]


@over_both
@pytest.mark.parametrize("quick", [True, False])
async def test_a_peer_that_floods_is_read_more_slowly_and_all_of_it(
    protocol: Protocol, quick: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    heard: list[str] = []
    counted: list[str] = []
    pauses: list[float] = []

    def short_pause(pace: Pace, now: float) -> float:
        """As long as a test can bear, for as much as it may be."""
        pauses.append(now)
        pace.spare = AT_ONCE / 10
        return 0.01

    monkeypatch.setattr(Pace, "pause", short_pause)
    over = asyncio.Event()

    async def story(seam: Seam) -> None:
        assert isinstance(seam, QuickSocket)
        if quick:
            seam.hand_over(heard.append)
        try:
            while True:
                heard.append(await seam.receive_text())
        except PeerGone:
            over.set()

    async with seam_for(story, counted, protocol) as client:
        for number in range(3 * AT_ONCE):
            await client.send(str(number))
        await client.close()
        await over.wait()

    assert heard == [str(number) for number in range(3 * AT_ONCE)]
    assert counted == ["too-fast"]
    assert pauses


@over_both
async def test_what_was_accepted_leaves_before_the_socket_is_closed(protocol: Protocol) -> None:
    async def story(seam: Seam) -> None:
        assert isinstance(seam, QuickSocket)
        seam.hand_over(lambda text: None)
        assert seam.send_now("a")
        assert seam.send_now("b" * 20_000)
        assert seam.send_now("c")
        await seam.close(4001)
        assert not seam.send_now("too late")

    async with seam_for(story, [], protocol) as client:
        assert [(await client.recv())[:1] for _ in range(3)] == ["a", "b", "c"]
        assert await close_code(client) == 4001


class QuickDirect(DirectProtocol):
    """As long as a test can bear."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.close_timeout = 0.2


class QuickLean(LeanProtocol):
    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.close_timeout = 0.2


def deaf_peer_for(
    story: Story, protocol: Protocol, ping_seconds: float
) -> AbstractAsyncContextManager[set[Any]]:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        socket = WebSocket(scope, receive, send)
        await socket.accept()
        seam = seam_over(socket, lambda kind: None)
        assert isinstance(seam, QuickSocket)
        seam.hand_over(lambda text: None)
        for _ in range(10_000):
            if not seam.send_now("x" * 60_000):
                break
            await asyncio.sleep(0)
        await story(seam)

    return deaf_peer_of(app, protocol, ping_seconds)


over_both_quickly = pytest.mark.parametrize("protocol", [QuickDirect, QuickLean])


async def no_more(connections: set[Any]) -> None:
    for _ in range(500):
        if not connections:
            return
        await asyncio.sleep(0.01)
    raise AssertionError("there is one still")


async def comes_to_its_end(story: Story, protocol: Protocol, ping_seconds: float) -> None:
    """Of a peer that reads nothing: the story, and then the socket."""
    ended = asyncio.Event()

    async def and_ends(seam: Seam) -> None:
        await story(seam)
        ended.set()

    async with deaf_peer_for(and_ends, protocol, ping_seconds) as connections:
        async with asyncio.timeout(5.0):
            await ended.wait()
        await no_more(connections)


@pytest.mark.slow
@over_both_quickly
async def test_a_peer_that_is_gone_ends_though_what_we_said_still_waits_to_leave(
    protocol: Protocol, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("opusbridge.web.pings.CLOSE_SECONDS", 0.2)

    async def story(seam: Seam) -> None:
        with pytest.raises(PeerGone):
            await seam.receive_text()

    await comes_to_its_end(story, protocol, 0.1)


@pytest.mark.slow
@over_both_quickly
async def test_a_peer_that_does_not_read_keeps_no_socket_that_we_have_closed(
    protocol: Protocol, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("opusbridge.web.pings.CLOSE_SECONDS", 0.2)
    monkeypatch.setattr("opusbridge.web.sockets.CLOSE_SECONDS", 0.2)

    async def story(seam: Seam) -> None:
        await seam.close(1000)

    await comes_to_its_end(story, protocol, 60.0)


async def test_a_socket_that_breaks_as_it_sends_ends_and_costs_no_other_anything() -> None:
    async def story(seam: Seam) -> None:
        assert isinstance(seam, TelephonySocket)
        seam.hand_over(lambda text: None)
        left: list[bytes] = []
        turn = turn_of(asyncio.get_running_loop())
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr("opusbridge.bridge.lean.MOST_BUFFERED", None)  # which breaks it
            assert seam.send_now("a")
            turn.send(Beside(left), b"b")
            turn.over()
        assert left == [b"b"]
        with pytest.raises(TypeError):
            await seam.receive_text()

    async with seam_for(story, [], LeanProtocol) as client:
        assert await close_code(client) == 1011


class Beside:
    def __init__(self, left: list[bytes]) -> None:
        self.leave = left.append

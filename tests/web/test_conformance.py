"""RFC 6455 on a raw connection, over both kinds of sockets, on the loop of production.

What a peer may do is done, what it must not do ends its socket with the right code, and in
either case the call behind it learns no more than it should.
"""

import asyncio
from collections.abc import Callable, Coroutine
from dataclasses import dataclass, field
from typing import Any, TypeVar

import pytest

from opusbridge.bridge.outbox import Outbox
from opusbridge.bridge.pinging import PingSocket
from opusbridge.protocols.audiocodes.messages import LONGEST_CHUNK
from opusbridge.web import server as room
from tests.web.raw import (
    BINARY,
    CLOSE,
    CONTINUATION,
    PING,
    PONG,
    TEXT,
    UPGRADE,
    Frame,
    Raw,
    close,
    frame,
    head,
    text,
)
from tests.web.serving import House, PretendBridge, house

pytestmark = pytest.mark.usefixtures("both_sockets")

INITIATE = '{"type": "session.initiate"}'
MEGABYTE, LONGEST = 2**20, LONGEST_CHUNK


async def dial(server: House) -> Raw:
    raw = await Raw.dial(server.base)
    server.lines.append(raw.writer)
    return raw


async def a_call(server: House) -> tuple[Raw, PretendBridge]:
    raw = await dial(server)
    raw.send(text(INITIATE))
    bridge = await server.bridges.get()
    await bridge.has_heard(1)
    return raw, bridge


def story(tell: Callable[[House], Coroutine[Any, Any, None]]) -> None:
    """On a server of its own."""

    async def main() -> None:
        async with house() as server, asyncio.timeout(10.0):
            await tell(server)

    room.run(main())


# --- What a bridge may ask --------------------------------------------------------------


def test_a_ping_of_ours_leaves_behind_what_was_sent_and_its_pong_is_told() -> None:
    async def tell(server: House) -> None:
        raw, bridge = await a_call(server)
        socket = bridge.socket
        assert isinstance(socket, PingSocket)
        told: asyncio.Queue[bytes] = asyncio.Queue()
        socket.on_pong = told.put_nowait
        await socket.send_text("sound")
        socket.ping(b"ping-1")

        assert await raw.frame() == Frame(TEXT, b"sound")
        assert await raw.frame() == Frame(PING, b"ping-1")
        raw.send(frame(PONG, b"ping-1"), frame(PONG, b"of nobody"))
        assert [await told.get(), await told.get()] == [b"ping-1", b"of nobody"]
        raw.send(text("go on"))
        await bridge.has_heard(2)

    story(tell)


def test_a_ping_when_the_end_has_begun_is_none() -> None:
    async def tell(server: House) -> None:
        raw, bridge = await a_call(server)
        socket = bridge.socket
        assert isinstance(socket, PingSocket)
        await socket.close(1000)
        socket.ping(b"too late")
        raw.send(close())

        assert [one.opcode for one in await raw.all_frames()] == [CLOSE]
        socket.ping(b"later still")

    story(tell)


def test_a_ping_for_a_peer_that_left_is_none() -> None:
    async def tell(server: House) -> None:
        raw, bridge = await a_call(server)
        socket = bridge.socket
        assert isinstance(socket, PingSocket)
        raw.gone()
        await server.calls.drain(5.0)
        socket.ping(b"nobody there")

    story(tell)


Case = TypeVar("Case")


async def side_by_side(
    server: House,
    tell: Callable[[Raw, PretendBridge, Case], Coroutine[Any, Any, None]],
    cases: dict[str, Case],
) -> None:
    """Every case on a call of its own; what went wrong is told by name."""
    calls = {name: await a_call(server) for name in cases}
    wrong = await asyncio.gather(
        *(tell(*calls[name], case) for name, case in cases.items()), return_exceptions=True
    )
    found = dict(zip(cases, wrong, strict=True))
    assert {name: error for name, error in found.items() if error is not None} == {}


# --- What a peer may do -----------------------------------------------------------------


@dataclass
class Fine:
    """Frames after which the call goes on."""

    sent: bytes
    heard: list[str] = field(default_factory=list)
    counted: list[str] = field(default_factory=list)
    answered: list[Frame] = field(default_factory=list)


FINE = {
    "a text": Fine(text("hello"), ["hello"]),
    "an empty text": Fine(text(""), [""]),
    "a text of more than a byte can count": Fine(text("x" * 200), ["x" * 200]),
    "umlauts": Fine(text("grüße 🎧"), ["grüße 🎧"]),
    "many in one segment": Fine(b"".join(map(text, "abcdefgh")), list("abcdefgh")),
    "more than are queued": Fine(text("x") * 500, ["x"] * 500),
    "three fragments": Fine(
        frame(TEXT, b"one ", fin=False)
        + frame(CONTINUATION, b"two ", fin=False)
        + frame(CONTINUATION, b"three"),
        ["one two three"],
    ),
    "fragments of nothing": Fine(
        frame(TEXT, fin=False) + frame(CONTINUATION, fin=False) * 50 + frame(CONTINUATION, b"x"),
        ["x"],
    ),
    "fragments within a character": Fine(
        frame(TEXT, b"gr\xc3", fin=False) + frame(CONTINUATION, b"\xbcn"), ["grün"]
    ),
    "a ping between fragments": Fine(
        frame(TEXT, b"one ", fin=False) + frame(PING, b"?") + frame(CONTINUATION, b"two"),
        ["one two"],
        answered=[Frame(PONG, b"?")],
    ),
    "a ping": Fine(frame(PING), answered=[Frame(PONG, b"")]),
    "a long ping": Fine(frame(PING, b"x" * 125), answered=[Frame(PONG, b"x" * 125)]),
    "many pings": Fine(
        b"".join(frame(PING, bytes([n])) for n in range(100)),
        answered=[Frame(PONG, bytes([n])) for n in range(100)],
    ),
    "a pong nobody asked for": Fine(frame(PONG, b"here!")),
    "a binary frame": Fine(frame(BINARY, b"\x00\xff"), counted=["binary"]),
    "binary fragments": Fine(
        frame(BINARY, b"\x00", fin=False) + frame(CONTINUATION, b"\xff"), counted=["binary"]
    ),
    "the longest text": Fine(text("x" * LONGEST), ["x" * LONGEST]),
    "a longer one": Fine(text("x" * (LONGEST + 1)), counted=["oversized"]),
    "a longer one, in umlauts": Fine(text("ü" * (LONGEST // 2 + 1)), counted=["oversized"]),
    "a longer one, in fragments": Fine(
        frame(TEXT, b"x" * LONGEST, fin=False) + frame(CONTINUATION, b"x"),
        counted=["oversized"],
    ),
    "a megabyte": Fine(text("x" * MEGABYTE), counted=["oversized"]),
}


async def goes_on(raw: Raw, bridge: PretendBridge, case: Fine) -> None:
    raw.send(text("still there"))
    await bridge.has_heard(len(case.heard) + 2)

    assert bridge.heard == [INITIATE, *case.heard, "still there"]
    assert bridge.done == [("rejected", kind) for kind in case.counted]
    await bridge.socket.send_text("me too")
    expected = [*case.answered, Frame(TEXT, b"me too")]
    assert [await raw.frame() for _ in expected] == expected


def test_what_a_peer_may_do_is_done() -> None:
    async def at_once(raw: Raw, bridge: PretendBridge, case: Fine) -> None:
        raw.send(case.sent)
        await goes_on(raw, bridge, case)

    story(lambda server: side_by_side(server, at_once, FINE))


def test_frames_may_come_byte_by_byte() -> None:
    async def bytewise(raw: Raw, bridge: PretendBridge, case: Fine) -> None:
        await raw.drip(case.sent)
        await goes_on(raw, bridge, case)

    short = {name: case for name, case in FINE.items() if len(case.sent) < 50}
    story(lambda server: side_by_side(server, bytewise, short))


def test_a_frame_may_come_with_the_upgrade_or_straight_after_it() -> None:
    async def tell(server: House) -> None:
        raw = await dial(server)
        raw.send(text(INITIATE)[:3])
        raw.send(text(INITIATE)[3:], text("second"))

        bridge = await server.bridges.get()
        assert await bridge.has_heard(2) == [INITIATE, "second"]

    story(tell)


def test_nothing_is_compressed_though_it_was_offered() -> None:
    async def tell(server: House) -> None:
        raw, _ = await a_call(server)

        assert b"permessage-deflate" in UPGRADE.encode()
        assert raw.answer.startswith(b"HTTP/1.1 101 ")
        assert b"sec-websocket-accept: s3pplmbitxaq9kygzzhzrbk+xoo=" in raw.answer.lower()
        assert b"extensions" not in raw.answer.lower()

    story(tell)


@pytest.mark.parametrize("size", [100, 125, 126, 8000, 9000, 65_535, 65_536, 200_000])
def test_texts_of_every_length_reach_the_peer_whole(size: int) -> None:
    async def tell(server: House) -> None:
        raw, bridge = await a_call(server)
        await bridge.socket.send_text("x" * size)
        await bridge.socket.send_text("ü")

        assert await raw.frame() == Frame(TEXT, b"x" * size)
        assert await raw.frame() == Frame(TEXT, "ü".encode())

    story(tell)


# --- What it must not do ----------------------------------------------------------------


@dataclass
class Bad:
    """Frames after which the socket is closed."""

    sent: bytes
    code: int
    counted: list[str] = field(default_factory=list)


UTF8 = ["bad-utf8"]
BAD = {
    "not masked": Bad(frame(TEXT, b"x", masked=False), 1002),
    **{f"opcode {n}": Bad(frame(n, b"x"), 1002) for n in (3, 4, 5, 6, 7, 11, 12, 13, 14, 15)},
    **{f"reserved bits {n}": Bad(frame(TEXT, b"x", rsv=n), 1002) for n in (1, 2, 4, 7)},
    "a ping with a reserved bit": Bad(frame(PING, b"x", rsv=4), 1002),
    "a continuation with a reserved bit": Bad(
        frame(TEXT, b"x", fin=False) + frame(CONTINUATION, rsv=2), 1002
    ),
    "a ping in fragments": Bad(frame(PING, b"x", fin=False), 1002),
    "a long ping": Bad(frame(PING, b"x" * 126), 1002),
    "a continuation of nothing": Bad(frame(CONTINUATION, b"x"), 1002),
    "a text within a text": Bad(frame(TEXT, b"x", fin=False) + frame(TEXT, b"x"), 1002),
    "a binary within a text": Bad(frame(TEXT, b"x", fin=False) + frame(BINARY, b"x"), 1002),
    "bad UTF-8": Bad(frame(TEXT, b"\xff"), 1007, UTF8),
    "half a character": Bad(frame(TEXT, b"x\xc3"), 1007, UTF8),
    "a surrogate": Bad(frame(TEXT, b"\xed\xa0\x80"), 1007, UTF8),
    "an overlong slash": Bad(frame(TEXT, b"\xc0\xaf"), 1007, UTF8),
    "bad UTF-8 in fragments": Bad(
        frame(TEXT, b"x\xc3", fin=False) + frame(CONTINUATION, b"x"), 1007, UTF8
    ),
    "bad UTF-8 in more than 64 KiB": Bad(frame(TEXT, b"x" * 70_000 + b"\xff"), 1007, UTF8),
    "more than a megabyte": Bad(head(TEXT, MEGABYTE + 1), 1009),
    "more than there is": Bad(head(TEXT, 2**62), 1009),
    "more than a megabyte in fragments": Bad(
        frame(TEXT, b"x" * 600_000, fin=False) + frame(CONTINUATION, b"x" * (MEGABYTE - 599_999)),
        1009,
    ),
    "a close with half a code": Bad(frame(CLOSE, b"\x03"), 1002),
    **{
        f"a close with {code}": Bad(close(code), 1002)
        for code in (0, 999, 1004, 1005, 1006, 1015, 2999, 5000, 65_535)
    },
    "a close with bad UTF-8": Bad(close(1000, b"\xff"), 1007, UTF8),
    "a long close": Bad(close(1000, b"x" * 124), 1002),
}


def test_what_a_peer_must_not_do_ends_its_socket_and_no_other() -> None:
    async def is_closed(raw: Raw, bridge: PretendBridge, case: Bad) -> None:
        raw.send(case.sent)
        assert [one.code for one in await raw.all_frames()] == [case.code]
        raw.gone()
        assert bridge.heard == [INITIATE]
        assert [kind for _, kind in bridge.done] == case.counted

    async def tell(server: House) -> None:
        polite, other = await a_call(server)
        await side_by_side(server, is_closed, BAD)
        while server.calls.count > 1:  # noqa: ASYNC110  # the loop is enough
            await asyncio.sleep(0)
        polite.send(text("I did nothing"))
        assert await other.has_heard(2) == [INITIATE, "I did nothing"]

    story(tell)


async def over(server: House, bridge: PretendBridge) -> None:
    while server.calls.live(bridge.call_id) is not None:  # noqa: ASYNC110  # the loop is enough
        await asyncio.sleep(0)
    assert bridge.reason == "telephony-lost"


# --- The end ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("sent", "answered"),
    [
        (close(1000, b"bye"), (1000).to_bytes(2) + b"bye"),
        (close(None), b""),
        (close(1001), (1001).to_bytes(2)),
        (close(3000), (3000).to_bytes(2)),
        (close(4999), (4999).to_bytes(2)),
        (close(1000) + text("one more thing"), (1000).to_bytes(2)),
    ],
)
def test_a_close_is_answered_in_kind_and_nothing_after_it_counts(
    sent: bytes, answered: bytes
) -> None:
    async def tell(server: House) -> None:
        raw, bridge = await a_call(server)
        raw.send(sent)

        assert await raw.all_frames() == [Frame(CLOSE, answered)]
        await over(server, bridge)
        assert bridge.heard == [INITIATE]

    story(tell)


@pytest.mark.parametrize("how", ["half", "whole"])
def test_a_line_that_is_closed_without_a_word_ends_the_call(how: str) -> None:
    async def tell(server: House) -> None:
        raw, bridge = await a_call(server)
        raw.send(text("one"), text("half a text")[:5])
        await bridge.has_heard(2)
        if how == "half":
            raw.writer.write_eof()
            assert await raw.frame() is None
        else:
            raw.gone()

        await over(server, bridge)
        assert bridge.heard == [INITIATE, "one"]

    story(tell)


def test_our_close_waits_for_the_answer_whatever_comes_before_it() -> None:
    async def tell(server: House) -> None:
        raw, bridge = await a_call(server)
        bridge.hang_up("caller-hung-up")

        assert await raw.frame() == Frame(CLOSE, (1000).to_bytes(2))
        for _ in range(10):  # Twilio's media go on until it has understood
            raw.send(text("media"), frame(PING, b"?"))
            await asyncio.sleep(0)
        raw.send(close(1000))
        last = [one for one in await raw.all_frames() if one.opcode != PONG]
        assert last == []
        assert bridge.heard == [INITIATE]

    story(tell)


def test_the_end_of_the_process_is_a_service_restart() -> None:
    async def tell(server: House) -> None:
        raw, bridge = await a_call(server)
        for connection in list(server.server.server_state.connections):
            connection.shutdown()

        assert (await raw.all_frames())[0].code == 1012
        await over(server, bridge)

    story(tell)


# --- Peers that fall silent or behind ---------------------------------------------------


@pytest.mark.slow
def test_a_peer_that_does_not_answer_a_ping_is_gone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(room, "PING_SECONDS", 0.05)

    async def tell(server: House) -> None:
        (raw, bridge), (polite, other) = await a_call(server), await a_call(server)

        async def answer() -> None:
            for _ in range(4):
                ping = await polite.frame()
                assert ping is not None
                assert ping.opcode == PING
                assert len(ping.payload) == 4
                polite.send(frame(PONG, b"stale"), frame(PONG, ping.payload))

        answering = asyncio.create_task(answer())
        ping, last = await raw.all_frames()
        assert (ping.opcode, last.opcode, last.code) == (PING, CLOSE, 1011)
        await over(server, bridge)
        await answering
        polite.send(text("alive"))
        assert (await other.has_heard(2))[-1] == "alive"

    story(tell)


@pytest.mark.slow
def test_a_peer_that_does_not_read_stalls_nobody_and_is_told_of_once() -> None:
    async def tell(server: House) -> None:
        (raw, bridge), (polite, other) = await a_call(server), await a_call(server)
        raw.reader._transport.pause_reading()  # type: ignore[attr-defined]  # a deaf peer
        told: list[str] = []
        box = Outbox(lambda: told.append("stalled"))
        sending = asyncio.create_task(box.send_all(bridge.socket))
        while not told:
            box.put(["x" * 20_000] * 50)
            await asyncio.sleep(0)

        await other.socket.send_text("and you?")
        assert await polite.frame() == Frame(TEXT, b"and you?")
        sending.cancel()
        raw.gone()
        await over(server, bridge)
        assert told == ["stalled"]

    story(tell)

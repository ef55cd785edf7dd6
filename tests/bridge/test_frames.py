"""The short way for whole texts, held to ``websockets``' own parser."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from websockets.client import ClientProtocol
from websockets.frames import Frame, Opcode
from websockets.protocol import Protocol
from websockets.server import ServerProtocol
from websockets.uri import parse_uri

from opusbridge.bridge.frames import between_frames, frame_of, whole_texts

Event = tuple[Any, ...]


def joined() -> tuple[ClientProtocol, ServerProtocol]:
    """Both sides of a connection, after the opening handshake."""
    client, server = ClientProtocol(parse_uri("ws://bridge.test/")), ServerProtocol()
    client.send_request(client.connect())
    for data in client.data_to_send():
        server.receive_data(data)
    (request,) = server.events_received()
    server.send_response(server.accept(request))  # type: ignore[arg-type]  # it is a request
    for data in server.data_to_send():
        client.receive_data(data)
    client.events_received()
    return client, server


class Reader:
    """A side that reads: what it got, and what it has answered."""

    def __init__(self, protocol: Protocol, *, masked: bool, short: bool) -> None:
        self.protocol, self.masked, self.short = protocol, masked, short
        self.got: list[Event] = []
        self.answered = b""
        self.taken = 0
        """Texts that came by the short way."""

    def read(self, data: bytes) -> None:
        if self.short and between_frames(self.protocol):
            texts, data = whole_texts(data, self.masked)
            self.got += [(Opcode.TEXT, True, text) for text in texts]
            self.taken += len(texts)
        if data:
            self.protocol.receive_data(data)
        events = self.protocol.events_received()
        frames = [event for event in events if isinstance(event, Frame)]
        self.got += [(frame.opcode, frame.fin, bytes(frame.data)) for frame in frames]
        self.answered += b"".join(self.protocol.data_to_send())


def reader(*, masked: bool, short: bool) -> Reader:
    client, server = joined()
    return Reader(server if masked else client, masked=masked, short=short)


def put(masked: bool, opcode: Opcode, data: bytes, fin: bool = True, packed: bool = False) -> bytes:
    frame = Frame(opcode, data, fin).serialize(mask=masked)
    return bytes([frame[0] | 0x40]) + frame[1:] if packed else frame


SIZES = st.sampled_from([0, 1, 125, 126, 127, 300, 65_535, 65_536, 70_000])
TEXTS: st.SearchStrategy[Event] = SIZES.map(lambda size: (Opcode.TEXT, b"x" * size, {}))
SMALL_TEXTS: st.SearchStrategy[Event] = st.text(max_size=200).map(
    lambda text: (Opcode.TEXT, text.encode(), {})
)
OTHERS: st.SearchStrategy[Event] = st.sampled_from(
    [
        (Opcode.PING, b"p", {}),
        (Opcode.PONG, b"", {}),
        (Opcode.BINARY, b"\x81\x01a", {}),
        (Opcode.TEXT, b"begun", {"fin": False}),
        (Opcode.CONT, b"on", {"fin": False}),
        (Opcode.CONT, b"ended", {}),
        (Opcode.TEXT, b"\xff", {}),
        (Opcode.TEXT, b"as if packed", {"packed": True}),
        (Opcode.CLOSE, b"\x03\xe8", {}),
    ]
)


@given(
    masked=st.booleans(),
    wrong=st.sampled_from([None, None, None, 0, 2]),
    frames=st.lists(SMALL_TEXTS | TEXTS | OTHERS, max_size=8),
    cuts=st.lists(st.integers(0, 2000), max_size=6),
)
def test_what_is_read_does_not_depend_on_the_way(
    masked: bool, wrong: int | None, frames: list[Event], cuts: list[int]
) -> None:
    sent = b"".join(
        put(masked is not (nth == wrong), opcode, data, **how)
        for nth, (opcode, data, how) in enumerate(frames)
    )
    short, whole = reader(masked=masked, short=True), reader(masked=masked, short=False)
    at = 0
    for cut in [*cuts, len(sent)]:
        piece, at = sent[at : at + cut], at + cut
        if piece:
            short.read(piece)
            whole.read(piece)
    assert short.got == whole.got
    assert short.protocol.state is whole.protocol.state
    assert str(short.protocol.parser_exc) == str(whole.protocol.parser_exc)
    assert unmasked(short, masked) == unmasked(whole, masked)


#: Texts that look like frames where they are cut, and all that one must not be taken behind.
STREAM: list[Event] = [
    (Opcode.TEXT, b"first", {}),
    (Opcode.TEXT, b"\x81\x01a\x81\x01b", {}),
    (Opcode.PING, b"p", {}),
    (Opcode.TEXT, b"begun", {"fin": False}),
    (Opcode.CONT, b"\x81\x02on", {"fin": False}),
    (Opcode.PING, b"", {}),
    (Opcode.CONT, b"ended", {}),
    (Opcode.TEXT, b"y" * 130, {}),
    (Opcode.TEXT, b"", {}),
    (Opcode.TEXT, b"begun", {"fin": False}),
    (Opcode.TEXT, b"in between", {}),
]


@pytest.mark.parametrize("masked", [True, False])
def test_wherever_it_is_cut(masked: bool) -> None:
    sent = b"".join(put(masked, opcode, data, **how) for opcode, data, how in STREAM)
    whole = reader(masked=masked, short=False)
    whole.read(sent)
    for cut in range(1, len(sent)):
        side = reader(masked=masked, short=True)
        side.read(sent[:cut])
        side.read(sent[cut:])
        assert side.got == whole.got, cut
        assert str(side.protocol.parser_exc) == str(whole.protocol.parser_exc)


@pytest.mark.parametrize("masked", [True, False])
def test_a_text_with_a_long_length_is_left_to_the_library(masked: bool) -> None:
    long = put(masked, Opcode.TEXT, b"\x00" * 65_536)
    assert whole_texts(long, masked) == ([], long)


def unmasked(side: Reader, masked: bool) -> list[Event]:
    """What it answered, as the other side reads it (a client's mask is new each time)."""
    other = reader(masked=not masked, short=False)
    if side.answered:
        other.read(side.answered)
    return other.got


@pytest.mark.parametrize("masked", [True, False])
def test_texts_take_the_short_way_whenever_the_parser_is_between_frames(masked: bool) -> None:
    side = reader(masked=masked, short=True)
    text = put(masked, Opcode.TEXT, b"a" * 300)
    side.read(text)
    side.read(text + text + put(masked, Opcode.PING, b""))
    side.read(text)
    assert (side.taken, len(side.got)) == (4, 5)
    side.read(text[:7])  # cut off: its rest goes the same way
    side.read(text[7:])
    assert (side.taken, len(side.got)) == (4, 6)
    side.read(text)
    assert side.taken == 5


def test_nothing_takes_the_short_way_before_the_handshake_or_after_the_end() -> None:
    assert not between_frames(ServerProtocol())
    client, server = joined()
    assert between_frames(client)
    assert between_frames(server)
    server.send_close(1000)
    assert not between_frames(server)


@pytest.mark.parametrize("masked", [True, False])
@pytest.mark.parametrize("size", [0, 1, 125, 126, 65_535])
def test_a_text_is_put_into_a_frame_as_any_other(size: int, masked: bool) -> None:
    frame = frame_of(b"x" * size, masked)
    assert frame is not None
    side = reader(masked=masked, short=False)
    side.read(frame)
    assert side.got == [(Opcode.TEXT, True, b"x" * size)]
    if not masked:
        assert frame == put(masked, Opcode.TEXT, b"x" * size)


def test_no_two_frames_have_the_same_mask() -> None:
    assert len({frame_of(b"hello", masked=True) for _ in range(20)}) == 20


def test_a_long_text_to_send_is_left_to_the_library() -> None:
    assert frame_of(b"x" * 65_536, masked=True) is None

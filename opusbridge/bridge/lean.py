"""An open WebSocket on picows, for either side: texts in, texts out, one way to end.

picows takes frames apart in C and writes them straight to the kernel. What it leaves to its
user is here: reserved bits, fragments, the limits, the closing handshake, and pings. A text is
handed over in the loop's turn in which it arrived, without a queue or a task in between, once
somebody has asked for that (:meth:`LeanSocket.hand_over`); what is sent leaves at the end of it.

Only what :mod:`opusbridge.bridge.which` chose may import this module: picows is an extra.
"""

import asyncio
import os
import sys
from abc import abstractmethod
from collections.abc import Callable, Iterable
from math import inf

from picows import WSFrame, WSListener, WSMsgType, WSTransport

from opusbridge.bridge.flag import Flag
from opusbridge.bridge.pacing import AT_ONCE, TOO_FAST, Pace
from opusbridge.bridge.turn import turn_of
from opusbridge.errors import PeerGone

#: Texts that wait to be received before we stop reading from the peer.
MOST_UNREAD = 64
#: A longer message goes by a buffer of its own: picows' grows with the longest, such as what the
#: caller said while a session was dialled, and is kept to the end of the socket; of a slow server
#: it would also still be read while the next message is put in.
MOST_BUFFERED = 8 * 1024
#: Of a frame (RFC 6455 section 5.2): so much stands before the message.
LONGEST_HEADER = 14

#: RFC 6455 section 7.4: what may stand in a close frame, besides 3000 to 4999.
CLOSE_CODES = frozenset({*range(1000, 1004), *range(1007, 1015)})
NO_CODE = 1005
PROTOCOL_ERROR, BAD_TEXT, TOO_BIG, BROKEN = 1002, 1007, 1009, 1011

_TEXT, _CONTINUATION = WSMsgType.TEXT, WSMsgType.CONTINUATION
_PING, _PONG, _CLOSE = WSMsgType.PING, WSMsgType.PONG, WSMsgType.CLOSE


class LeanSocket(WSListener):
    """The seam every bridge works on. One task receives; any may send.

    A text of more than ``longest_text`` bytes is left out. A ``paced`` peer is read no faster than
    a call can need.
    ``largest`` is the most bytes of a message: more ends the socket (1009). Pings are
    ``ping_seconds`` apart, and as long is the patience with a missing pong. ``close_seconds``
    are for a peer to answer our close, or to take what was sent before it.
    """

    longest_text = sys.maxsize
    paced = False

    def __init__(self, *, largest: int, ping_seconds: float, close_seconds: float) -> None:
        self._loop = asyncio.get_running_loop()
        self._turn = turn_of(self._loop)
        self._largest = largest
        self._ping_seconds = ping_seconds
        self._close_seconds = close_seconds
        self._transport: WSTransport | None = None
        self._waiting: list[str] = []
        self._take: Callable[[str], None] | None = None
        self._reader: asyncio.Future[None] | None = None
        self._reading = True
        self._pace = Pace(AT_ONCE if self.paced else inf)
        self._writable = Flag(is_set=True)
        self._slow = False
        self._parts: bytearray | None = None
        self._parts_are_text = False
        self._gone: PeerGone | None = None
        self._broke: Exception | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._ping = b""
        self._lost = Flag()
        self.on_pong: Callable[[bytes], None] = _ignore
        """Told the payload of each pong that is no answer to the pings of ours."""

    # --- What differs -------------------------------------------------------------------

    @abstractmethod
    def _loss(self, code: int | None, reason: str, *, ours: bool) -> PeerGone:
        """What the end is for the bridge; ``ours``: it was we who closed."""

    @abstractmethod
    def _left_out(self, kind: str) -> None:
        """Of a message that is none to us: ``binary``, ``oversized`` or ``bad-utf8``; or
        :data:`TOO_FAST`, of one that is."""

    # --- What a bridge uses -------------------------------------------------------------

    async def receive_text(self) -> str:
        """The next text; raises :class:`PeerGone` at the end, when all were received."""
        while not self._waiting:
            if self._broke is not None:
                raise self._broke
            if self._gone is not None:
                raise self._gone
            self._reader = self._loop.create_future()
            await self._reader
        text = self._waiting.pop(0)
        if not self._waiting:
            self._resume_reading()
        return text

    def hand_over(self, take: Callable[[str], None]) -> None:
        """Give each text to ``take`` as it arrives, those that wait first.

        :meth:`receive_text` then only waits for the end. What ``take`` raises, that raises.
        """
        self._take = take
        waiting, self._waiting = self._waiting, []
        for text in waiting:
            take(text)
        self._resume_reading()

    def unread(self, texts: Iterable[str]) -> None:
        """Texts that were received already; they come again, first and in this order."""
        self._waiting[:0] = texts

    def send_now(self, text: str) -> bool:
        """Send without waiting; ``False`` if that cannot be (:meth:`send_text` tells why)."""
        transport = self._transport
        if self._slow or self._gone is not None or transport is None:
            return False
        if transport.is_close_frame_sent:
            return False
        self._turn.send(self, text.encode())
        return True

    def leave(self, data: bytes) -> None:
        """Send what was accepted in this turn; nothing, if the end came first."""
        transport = self._transport
        if self._gone is not None or transport is None or transport.is_close_frame_sent:
            return
        try:
            if len(data) > MOST_BUFFERED:
                room = bytearray(LONGEST_HEADER)
                room += data
                transport.send_reuse_external_bytearray(_TEXT, room, LONGEST_HEADER)
            else:
                transport.send(_TEXT, data)
        except Exception as error:  # noqa: BLE001  # it belongs to whoever waits for the end
            self._broke = error
            self.fail(BROKEN)

    async def send_text(self, text: str) -> None:
        while not self.send_now(text):
            if self._gone is not None or not self._slow:
                raise self._gone or self._loss(None, "", ours=True)
            await self._writable.wait()

    def ping(self, payload: bytes) -> None:
        """Send one now; none while the peer is slow, or when the end has begun."""
        transport = self._transport
        if transport is None or self._slow or self._gone is not None:
            return
        if not transport.is_close_frame_sent:
            self._turn.over()
            transport.send_ping(payload)

    def begin_closing(self, code: int = 1000, reason: str = "") -> asyncio.TimerHandle | None:
        """Say goodbye; the peer answers, or the timer hangs up. ``None``: all is over."""
        transport = self._transport
        if transport is None or self._gone is not None or transport.is_close_frame_sent:
            return None
        self._stop_pinging()
        self._turn.over()
        transport.send_close(code, reason.encode())  # type: ignore[arg-type]  # any number
        self._over(code, reason, ours=True)
        self._resume_reading()  # for the answer
        self._timer = self._loop.call_later(self._close_seconds, self._abort)
        return self._timer

    def fail(self, code: int, reason: str = "") -> None:
        """Close for what the peer did (or for our own end), and do not wait for an answer."""
        transport = self._transport
        if transport is not None and not transport.is_close_frame_sent:
            self._turn.over()
            transport.send_close(code, reason.encode())  # type: ignore[arg-type]  # any number
        self._over(code, reason, ours=True)
        self._hang_up()

    # --- What picows tells --------------------------------------------------------------

    def on_ws_connected(self, transport: WSTransport) -> None:
        self._transport = transport
        self._timer = self._loop.call_later(self._ping_seconds, self._send_ping)

    def on_ws_frame(self, transport: WSTransport, frame: WSFrame) -> None:
        self._pace.spare -= 1
        if self._pace.spare < 0:
            self._hold_off(transport)
        try:
            if (
                frame.msg_type is not _TEXT
                or not frame.fin
                or frame.payload_size > self.longest_text
                or self._parts is not None
                or self._gone is not None
                or transport.is_close_frame_sent
                or (frame.rsv1 or frame.rsv2 or frame.rsv3)
            ):
                return self._frame(transport, frame)
            try:
                text = frame.get_payload_as_utf8_text()
            except UnicodeDecodeError:
                return self._fail_for_bad_text()
            if self._take is not None:
                self._take(text)
            else:
                self._arrived(text)
        except Exception as error:  # noqa: BLE001  # it belongs to whoever waits for the end
            self._broke = error
            self.fail(BROKEN)

    def on_ws_disconnected(self, transport: WSTransport) -> None:
        closing = transport.close_handshake
        if self._gone is None and closing is not None and closing.sent is not None:
            code = closing.sent.code.value  # by picows, for a bad frame
            if code == BAD_TEXT:
                self._left_out("bad-utf8")
            self._over(code, "", ours=True)
        self._over(None, "", ours=False)
        self._lost.set()
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def pause_writing(self) -> None:
        self._slow = True
        self._writable.clear()

    def resume_writing(self) -> None:
        self._slow = False
        self._writable.set()

    # --- Messages -----------------------------------------------------------------------

    def _frame(self, transport: WSTransport, frame: WSFrame) -> None:
        """Whatever is no plain text that is welcome."""
        kind = frame.msg_type
        if self._gone is not None or transport.is_close_frame_sent:
            if kind is _CLOSE:
                self._hang_up()  # which is all that was still missing
        elif frame.rsv1 or frame.rsv2 or frame.rsv3:
            self.fail(PROTOCOL_ERROR)  # there is no extension that would give them a meaning
        elif kind is _PING:
            if not self._slow:  # nobody can make us pile up answers
                transport.send_pong(frame.get_payload_as_bytes())
        elif kind is _PONG:
            self._pong(frame.get_payload_as_bytes())
        elif kind is _CLOSE:
            self._peer_closes(transport, frame)
        else:
            self._piece(kind, frame)

    def _piece(self, kind: WSMsgType, frame: WSFrame) -> None:
        """A binary message, or a part of a message in fragments."""
        if (kind is _CONTINUATION) is (self._parts is None):
            return self.fail(PROTOCOL_ERROR)  # nothing to continue, or something unfinished
        if self._parts is None:
            self._parts = bytearray()
            self._parts_are_text = kind is _TEXT
        self._parts += frame.get_payload_as_memoryview()
        if len(self._parts) > self._largest:
            return self.fail(TOO_BIG)
        if frame.fin:
            data, self._parts = self._parts, None
            self._whole(data)

    def _whole(self, data: bytearray) -> None:
        if not self._parts_are_text:
            return self._left_out("binary")
        try:
            text = data.decode()
        except UnicodeDecodeError:
            return self._fail_for_bad_text()
        if len(data) > self.longest_text:
            self._left_out("oversized")
        else:
            self._arrived(text)

    def _fail_for_bad_text(self) -> None:
        self._left_out("bad-utf8")
        self.fail(BAD_TEXT)

    def _arrived(self, text: str) -> None:
        if self._take is not None:
            return self._take(text)
        self._waiting.append(text)
        self._wake_reader()
        if self._reading and len(self._waiting) >= MOST_UNREAD and self._transport is not None:
            self._reading = False
            self._transport.underlying_transport.pause_reading()

    def _wake_reader(self) -> None:
        if self._reader is not None and not self._reader.done():
            self._reader.set_result(None)

    def _hold_off(self, transport: WSTransport) -> None:
        """What was read already is still taken; the rest may wait."""
        if not self._reading or not (seconds := self._pace.pause(self._loop.time())):
            return
        self._reading = False
        transport.underlying_transport.pause_reading()
        self._loop.call_later(seconds, self._resume_reading)
        if self._pace.is_news():
            self._left_out(TOO_FAST)

    def _resume_reading(self) -> None:
        if not self._reading and self._transport is not None:
            self._reading = True
            if not self._transport.underlying_transport.is_closing():
                self._transport.underlying_transport.resume_reading()

    # --- Pings --------------------------------------------------------------------------

    def _send_ping(self) -> None:
        assert self._transport is not None
        self._ping = os.urandom(4)
        self._transport.send_ping(self._ping)
        self._timer = self._loop.call_later(self._ping_seconds, self._no_pong)

    def _pong(self, payload: bytes) -> None:
        if self._ping and payload == self._ping:
            self._stop_pinging()
            self._timer = self._loop.call_later(self._ping_seconds, self._send_ping)
        else:
            self.on_pong(payload)

    def _no_pong(self) -> None:
        """Half a line: the peer will not take anything any more, the close least of all."""
        self.fail(BROKEN, "keepalive ping timeout")
        self._abort()

    def _stop_pinging(self) -> None:
        self._ping = b""
        if self._timer is not None:
            self._timer.cancel()

    # --- The end ------------------------------------------------------------------------

    def _peer_closes(self, transport: WSTransport, frame: WSFrame) -> None:
        payload = frame.get_payload_as_bytes()
        code = int.from_bytes(payload[:2]) if payload else NO_CODE
        if payload and code not in CLOSE_CODES and not 3000 <= code < 5000:
            return self.fail(PROTOCOL_ERROR)
        self._turn.over()
        transport.send(_CLOSE, payload)
        self._over(code, frame.get_close_reason() or "", ours=False)
        self._hang_up()

    def _over(self, code: int | None, reason: str, *, ours: bool) -> None:
        """There will be no more texts; whoever waits learns it."""
        if self._gone is None:
            self._gone = self._loss(code, reason, ours=ours)
        self._wake_reader()
        self._writable.set()

    def _hang_up(self) -> None:
        """Once what was written has left, but not for ever."""
        self._stop_pinging()
        if self._transport is not None and not self._lost.is_set():
            self._transport.disconnect()
            self._timer = self._loop.call_later(self._close_seconds, self._abort)

    def _abort(self) -> None:
        if self._transport is not None:
            self._transport.disconnect(graceful=False)


def _ignore(payload: bytes) -> None:
    """Nobody has asked."""

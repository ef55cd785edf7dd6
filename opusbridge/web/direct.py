"""uvicorn's WebSocket protocol, from which texts reach the bridge without an ASGI message.

Everything but the delivery of a text is uvicorn's and ``websockets``' own: the routes, the
limits, pings and closes, and the end comes by ASGI as ever. A route that has accepted finds the
way in the ASGI scope (:func:`opusbridge.web.sockets.seam_over`).
"""

from collections.abc import Callable

from starlette.websockets import WebSocket
from websockets.frames import Frame, Opcode
from websockets.http11 import Request
from websockets.protocol import State

from opusbridge.bridge.frames import between_frames, frame_of, whole_texts
from opusbridge.errors import PeerGone
from opusbridge.web.pings import PingingProtocol
from opusbridge.web.sockets import LEAN, OnBad, WebSocketSeam

BAD_TEXT, BROKEN = 1007, 1011


class DirectProtocol(PingingProtocol):
    """For uvicorn's ``ws=``."""

    seam: "DirectSeam | None" = None
    """To whom texts go, as they come."""

    def handle_connect(self, event: Request) -> None:
        super().handle_connect(event)
        if not self.transport.is_closing():
            self.scope["extensions"] = {**(self.scope["extensions"] or {}), LEAN: self.take}  # type: ignore[dict-item]  # not only data

    def take(self, socket: WebSocket, on_bad: OnBad) -> "DirectSeam":
        return DirectSeam(socket, on_bad, self)

    def hand_over(self, seam: "DirectSeam") -> None:
        """Whatever waits goes first, but the end."""
        waiting = [self.queue.get_nowait() for _ in range(self.queue.qsize())]
        for message in waiting:
            if message["type"] == "websocket.receive":
                seam.came(message.get("text"))
            else:
                self.queue.put_nowait(message)
        self.seam = seam
        self._read_on()

    def _read_on(self) -> None:
        if self.read_paused and not self.transport.is_closing():
            self.read_paused = False
            self.transport.resume_reading()

    def data_received(self, data: bytes) -> None:
        seam = self.seam
        if seam is not None and not self.close_sent and between_frames(self.conn):
            texts, data = whole_texts(data, masked=True)
            if not self.read_paused:
                self._hold_off(seam.too_fast(len(texts)))
            for text in texts:
                self._read(seam, text, is_text=True)
            if not data:
                return
        super().data_received(data)

    def handle_events(self) -> None:
        if self.seam is not None and not self.read_paused:
            self._hold_off(self.seam.too_fast(len(self.conn.events)))
        if self.seam is None or self.close_sent or not all(map(_plain, self.conn.events)):
            return super().handle_events()
        for event in self.conn.events_received():
            self._read(self.seam, bytes(event.data), is_text=True)  # type: ignore[union-attr]  # _plain

    def _hold_off(self, seconds: float) -> None:
        """What was read already is still taken; the rest may wait."""
        if seconds:
            self.read_paused = True
            self.transport.pause_reading()
            self.loop.call_later(seconds, self._read_on)

    def send_receive_event_to_app(self) -> None:
        if self.seam is None or self.close_sent:
            return super().send_receive_event_to_app()
        data, self.frames = b"".join(self.frames), []
        self._read(self.seam, data, is_text=self.curr_msg_data_type == "text")

    def _read(self, seam: "DirectSeam", data: bytes, *, is_text: bool) -> None:
        if self.close_sent:
            return  # there is nobody any more
        try:
            text = data.decode() if is_text else None
        except UnicodeDecodeError:
            self.conn.send_close(BAD_TEXT)
            return self.handle_parser_exception()
        seam.came(text)

    def send_now(self, text: str) -> bool:
        if self.disconnected or self.close_sent or not self.writable.is_set():
            return False
        if self.conn.state is not State.OPEN:
            return False
        data = text.encode()
        if (frame := frame_of(data, masked=False)) is None:
            self.conn.send_text(data)
            frame = b"".join(self.conn.data_to_send())
        self.transport.write(frame)
        return True

    def break_off(self) -> None:
        """Something of ours is broken: there is no more to say."""
        self.conn.fail(BROKEN)
        self.transport.write(b"".join(self.conn.data_to_send()))
        self.close_sent = True
        self.transport.close()
        self.end_soon()


class DirectSeam(WebSocketSeam):
    """A seam on which texts come and go without waking a task for each."""

    def __init__(self, socket: WebSocket, on_bad: OnBad, protocol: DirectProtocol) -> None:
        super().__init__(socket, on_bad)
        self._protocol = protocol
        self._take: Callable[[str], None] | None = None
        self._broke: Exception | None = None

    def hand_over(self, take: Callable[[str], None]) -> None:
        self._take = take
        while self._unread:
            take(self._unread.popleft())
        self._protocol.hand_over(self)

    def came(self, text: str | None) -> None:
        """A message was read; ``None``: of bytes."""
        if not self._fits(text) or text is None or self._take is None or self._broke:
            return
        try:
            self._take(text)
        except Exception as error:  # noqa: BLE001  # it belongs to whoever waits for the end
            self._broke = error
            self._protocol.break_off()

    def send_now(self, text: str) -> bool:
        return self._protocol.send_now(text)

    async def receive_text(self) -> str:
        try:
            return await super().receive_text()
        except PeerGone:
            if self._broke is not None:
                raise self._broke from None
            raise


def _plain(event: object) -> bool:
    return isinstance(event, Frame) and event.opcode is Opcode.TEXT and event.fin

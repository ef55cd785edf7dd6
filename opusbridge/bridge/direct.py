"""``websockets``' client connection, on which texts come and go without waking a task for each."""

from collections.abc import Callable

from websockets.asyncio.client import ClientConnection
from websockets.frames import CloseCode, Frame, Opcode
from websockets.http11 import Response
from websockets.protocol import State

from opusbridge.bridge.frames import between_frames, frame_of, whole_texts

#: Seconds for a peer to answer a close that it has caused.
FAIL_SECONDS = 2.0

_DATA = (Opcode.TEXT, Opcode.BINARY, Opcode.CONT)


class DirectConnection(ClientConnection):
    """Until :meth:`hand_over`, and for whatever had come by then, it is as any other."""

    take: Callable[[str], None] | None = None
    broke: Exception | None = None
    """What ``take`` raised, which ends the connection."""
    _idle = _direct = _failed = False
    _parts: bytearray | None = None
    _parts_are_text = False

    def hand_over(self, take: Callable[[str], None]) -> None:
        """Give each text to ``take`` as it arrives, as soon as all before were received."""
        self.take = take

    async def receive(self) -> str | bytes:
        """As ``recv``, which must not be used beside it."""
        self._idle = True  # all before is received; what comes goes to ``take``, if there is one
        message = await self.recv()
        self._idle = False
        return message

    def send_now(self, text: str) -> bool:
        """Send without waiting; ``False`` if that cannot be."""
        if self.state is not State.OPEN or self.paused:
            return False
        data = text.encode()
        if (frame := frame_of(data, masked=True)) is None:
            self.protocol.send_text(data)
            self.send_data()
        else:
            self.transport.write(frame)
        return True

    def data_received(self, data: bytes) -> None:
        if self.take is not None and (self._idle or self._direct) and between_frames(self.protocol):
            texts, data = whole_texts(data, masked=False)
            if texts:
                self._direct = True
            for text in texts:
                self._arrived(text)
            if not data:
                return
        super().data_received(data)

    def process_event(self, event: Frame | Response) -> None:  # type: ignore[override]  # all a client gets
        if not isinstance(event, Frame) or event.opcode not in _DATA:
            return super().process_event(event)
        if self.take is not None and self._idle and event.opcode is not Opcode.CONT:
            self._direct = True
        if not self._direct:
            self._idle = False
            return super().process_event(event)
        if event.opcode is Opcode.TEXT and event.fin:
            self._arrived(bytes(event.data))
        else:
            self._piece(event)

    def _piece(self, frame: Frame) -> None:
        """Of a message in fragments, or of bytes, which say nothing to us."""
        if frame.opcode is not Opcode.CONT or self._parts is None:
            self._parts, self._parts_are_text = bytearray(), frame.opcode is Opcode.TEXT
        self._parts += frame.data
        if frame.fin:
            data, self._parts = self._parts, None
            if self._parts_are_text:
                self._arrived(data)

    def _arrived(self, data: bytes | bytearray) -> None:
        if self._failed or self.take is None:
            return
        try:
            text = data.decode()
        except UnicodeDecodeError:
            return self._fail(CloseCode.INVALID_DATA)
        try:
            self.take(text)
        except Exception as error:  # noqa: BLE001  # it belongs to whoever waits for the end
            self.broke = error
            self._fail(CloseCode.INTERNAL_ERROR)

    def _fail(self, code: CloseCode) -> None:
        self._failed = True
        if self.state is State.OPEN:
            self.protocol.fail(code)
            self.send_data()
        self.loop.call_later(FAIL_SECONDS, self.transport.abort)

"""The telephony sides as a load: how a call is opened, and what its frames look like.

Each class is one call's line. Bytes in, bytes out; what is heard comes back as what it is
(:class:`Heard`), so that the callers need not know whose wire it was.
"""

from dataclasses import dataclass
from enum import Enum, auto
from typing import Protocol

from opusbridge.bench import stamps


class Heard(Enum):
    AUDIO = auto()  # with its payload
    MARK = auto()  # with its name
    CLEAR = auto()
    READY = auto()  # the line is open: speak
    NOTHING = auto()


@dataclass(frozen=True, slots=True)
class Kind:
    """One way to call. ``stamped``: its sound passes through unchanged, stamps and all."""

    name: str
    frame_bytes: int
    """Of 20 ms of the caller's sound."""
    stamped: bool
    media_format: str = ""
    """AudioCodes' name for it."""

    @property
    def ms_bytes(self) -> int:
        return self.frame_bytes // 20


KINDS = {
    one.name: one
    for one in (
        Kind("twilio", 160, True),
        Kind("audiocodes", 960, True, "raw/lpcm16_24"),
        Kind("audiocodes-mulaw", 160, True, "raw/mulaw"),
        Kind("audiocodes-16k", 640, False, "raw/lpcm16"),
        Kind("audiocodes-8k", 320, False, "raw/lpcm16_8"),
    )
}


class Line(Protocol):
    """One call's wire."""

    path: str

    def opening(self, token: str) -> list[bytes]:
        """What is said at once when the socket is open."""

    def frame(self, number: int, now_ns: int) -> bytes:
        """The caller's next 20 ms."""

    def hear(self, text: bytes) -> tuple[Heard, bytes]:
        """What the bridge says, and the payload or name in it."""

    def answers(self, text: bytes) -> list[bytes]:
        """What must be said in reply to a text that was READY or NOTHING."""

    def echo(self, mark: bytes) -> bytes: ...


class TwilioLine:
    path = "/twilio/media"

    def __init__(self, call: int, kind: Kind) -> None:
        self._call = call
        self.call_sid = f"CA{call:032x}"
        self._stream_sid = f"MZ{call:032x}"
        self._tail = f'{stamps.tail(kind.frame_bytes)}"}}}}'
        self._sequence = 1

    def opening(self, token: str) -> list[bytes]:
        parameters = f'{{"token":"{token}"}}' if token else "{}"
        return [
            b'{"event":"connected","protocol":"Call","version":"1.0.0"}',
            (
                '{"event":"start","sequenceNumber":"1","start":{'
                f'"accountSid":"AC{"0" * 32}","streamSid":"{self._stream_sid}",'
                f'"callSid":"{self.call_sid}","tracks":["inbound"],'
                '"mediaFormat":{"encoding":"audio/x-mulaw","sampleRate":8000,"channels":1},'
                f'"customParameters":{parameters}}},"streamSid":"{self._stream_sid}"}}'
            ).encode(),
        ]

    def frame(self, number: int, now_ns: int) -> bytes:
        self._sequence += 1
        return (
            f'{{"event":"media","sequenceNumber":"{self._sequence}","streamSid":'
            f'"{self._stream_sid}","media":{{"track":"inbound","chunk":"{number}",'
            f'"timestamp":"{number * 20}","payload":"'
            f"{stamps.stamp(self._call, number, now_ns)}{self._tail}"
        ).encode()

    def hear(self, text: bytes) -> tuple[Heard, bytes]:
        # Whoever is measured writes its keys in an order of its own.
        at = text.find(b'"payload":"')
        if at >= 0:
            return Heard.AUDIO, text[at + 11 : text.index(b'"', at + 11)]
        at = text.find(b'"name":"')
        if at >= 0:
            return Heard.MARK, text[at + 8 : text.index(b'"', at + 8)]
        return (Heard.CLEAR if b'"clear"' in text else Heard.NOTHING), b""

    def answers(self, text: bytes) -> list[bytes]:
        return []

    def echo(self, mark: bytes) -> bytes:
        self._sequence += 1
        return (
            f'{{"event":"mark","sequenceNumber":"{self._sequence}","streamSid":'
            f'"{self._stream_sid}","mark":{{"name":"{mark.decode()}"}}}}'
        ).encode()


class AudioCodesLine:
    path = "/audiocodes"

    def __init__(self, call: int, kind: Kind) -> None:
        self._call = call
        self._kind = kind
        self._id = f"{call:032x}"
        self._head = f'{{"type":"userStream.chunk","conversationId":"{self._id}","audioChunk":"'
        self._tail = f'{stamps.tail(kind.frame_bytes)}"}}'

    def opening(self, token: str) -> list[bytes]:
        return [
            (
                f'{{"type":"session.initiate","conversationId":"{self._id}",'
                '"botName":"bench","caller":"+15550100001","expectAudioMessages":true,'
                f'"supportedMediaFormats":["{self._kind.media_format}"]}}'
            ).encode()
        ]

    def frame(self, number: int, now_ns: int) -> bytes:
        stamp = stamps.stamp(self._call, number, now_ns)
        return f"{self._head}{stamp}{self._tail}".encode()

    def hear(self, text: bytes) -> tuple[Heard, bytes]:
        at = text.find(b'"audioChunk":"')
        if at >= 0:
            return Heard.AUDIO, text[at + 14 : text.index(b'"', at + 14)]
        if b"userStream.speech.started" in text:
            return Heard.CLEAR, b""
        return (Heard.READY if b"userStream.started" in text else Heard.NOTHING), b""

    def answers(self, text: bytes) -> list[bytes]:
        if b"session.accepted" not in text:
            return []
        started = (
            f'{{"type":"activities","conversationId":"{self._id}","activities":[{{'
            '"type":"event","name":"start","id":"00000000-0000-4000-8000-000000000000",'
            '"timestamp":"2026-03-02T00:00:00.000Z","language":"en-US","parameters":{'
            '"locale":"en-US","caller":"+15550100001","callee":"+15550100002"}}]}'
        )
        stream = f'{{"type":"userStream.start","conversationId":"{self._id}"}}'
        return [started.encode(), stream.encode()]

    def echo(self, mark: bytes) -> bytes:
        raise AssertionError("this wire has no marks")


def line(kind: Kind, call: int) -> TwilioLine | AudioCodesLine:
    return TwilioLine(call, kind) if kind.name == "twilio" else AudioCodesLine(call, kind)

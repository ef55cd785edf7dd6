"""What the telephony sides and the model say when a call begins, as their wires have it."""

from base64 import b64encode
from typing import Any

import orjson

from opusbridge.effects import Effect
from opusbridge.events import Event

Seen = list[tuple[Event | Effect, float]]


def dumped(**message: Any) -> str:
    return orjson.dumps(message).decode()


TWILIO_OPENING = (
    dumped(
        event="start",
        streamSid="MZ1",
        start={
            "streamSid": "MZ1",
            "accountSid": "AC1",
            "callSid": "CA1",
            "mediaFormat": {"encoding": "audio/x-mulaw", "sampleRate": 8000, "channels": 1},
        },
    ),
)


def audiocodes_opening(offer: str) -> tuple[str, ...]:
    return (
        dumped(type="session.initiate", conversationId="c", supportedMediaFormats=[offer]),
        dumped(
            type="activities", conversationId="c", activities=[{"type": "event", "name": "start"}]
        ),
        dumped(type="userStream.start", conversationId="c"),
    )


OPENINGS = {
    "twilio": TWILIO_OPENING,
    "audiocodes": audiocodes_opening("raw/lpcm16_24"),
    "audiocodes, 16 kHz": audiocodes_opening("raw/lpcm16"),
}


def ready(line: str) -> str:
    """The session is as it was asked for."""
    form = {"format": {"type": "audio/pcmu" if line == "twilio" else "audio/pcm"}}
    return dumped(type="session.updated", session={"audio": {"input": form, "output": form}})


def encoded(raw: bytes) -> str:
    return b64encode(raw).decode()

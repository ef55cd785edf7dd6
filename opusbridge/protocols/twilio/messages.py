"""The messages of Twilio Media Streams, each under the name Twilio gives it.

What comes from Twilio is read tolerantly: fields we do not know are ignored and numbers
may be strings. What goes to Twilio is closed (``extra="forbid"``), because Twilio itself
answers an extra key with error 31951; whoever plays Twilio reads us with these models.

``media`` from Twilio has no model: it comes fifty times a second and is read by hand.
"""

import re
from typing import Annotated, Any, Literal, TypeVar

import orjson
from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError

from opusbridge.errors import RemoteProtocolError
from opusbridge.sound import is_base64, silenced
from opusbridge.texts import from_json

PEER = "twilio"

#: Milliseconds of a stream never need more digits: this is thirty thousand years.
_LONGEST_NUMBER = 15


class FromTwilio(BaseModel):
    model_config = ConfigDict(
        extra="ignore", frozen=True, coerce_numbers_to_str=True, hide_input_in_errors=True
    )


class MediaFormat(FromTwilio):
    encoding: str
    sampleRate: int
    channels: int = 1


class StartMetadata(FromTwilio):
    # 34 characters; it is in every message of the call, and of a longer one nobody keeps any.
    streamSid: Annotated[str, Field(min_length=1, max_length=128)]
    accountSid: str
    callSid: Annotated[str, Field(min_length=1)]
    mediaFormat: MediaFormat
    customParameters: dict[str, str] = Field(default_factory=dict)


class Start(FromTwilio):
    start: StartMetadata


class Digit(FromTwilio):
    digit: Annotated[str, Field(pattern=r"\A[0-9*#A-Da-d]\z")]


class DTMF(FromTwilio):
    dtmf: Digit


class MarkName(FromTwilio):
    name: str


class Mark(FromTwilio):
    mark: MarkName


class ToTwilio(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)


class SentPayload(ToTwilio):
    payload: str


class SentMarkName(ToTwilio):
    name: Annotated[str, Field(min_length=1)]


class SentMedia(ToTwilio):
    event: Literal["media"]
    streamSid: str
    media: SentPayload


class SentMark(ToTwilio):
    event: Literal["mark"]
    streamSid: str
    mark: SentMarkName


class Clear(ToTwilio):
    event: Literal["clear"]
    streamSid: str


#: Everything that may legally be said to Twilio, and nothing else.
TO_TWILIO: TypeAdapter[SentMedia | SentMark | Clear] = TypeAdapter(
    Annotated[SentMedia | SentMark | Clear, Field(discriminator="event")]
)

Message = TypeVar("Message", bound=FromTwilio)


def parse(text: str) -> dict[str, Any]:
    """The object in ``text``."""
    try:
        message = from_json(text)
    except orjson.JSONDecodeError:
        raise RemoteProtocolError(PEER, "not-json") from None
    if type(message) is not dict:
        raise RemoteProtocolError(PEER, "not-an-object")
    return message


def read(model: type[Message], message: dict[str, Any]) -> Message:
    """``message`` as what it claims to be."""
    try:
        return model.model_validate(message)
    except ValidationError:
        raise RemoteProtocolError(PEER, "bad-fields") from None


def mark_name(message: dict[str, Any]) -> str:
    """Of a ``mark``; several come back in a second of the agent's speech."""
    mark = message.get("mark")
    name = mark.get("name") if type(mark) is dict else None
    return name if type(name) is str else read(Mark, message).mark.name


def check_base64(text: object) -> str:
    """``text`` itself, once it is known to be non-empty, well-formed base64."""
    if type(text) is not str or not text:
        raise RemoteProtocolError(PEER, "bad-fields")
    if not is_base64(text):
        raise RemoteProtocolError(PEER, "bad-base64")
    return text


#: A ``media`` as Twilio writes it, the stream named before the sound or after it.
_PLAIN_MEDIA = re.compile(
    r'\{"event":"media","sequenceNumber":"[0-9]+",(?:"streamSid":"([A-Za-z0-9]+)",)?'
    r'"media":\{"track":"inbound","chunk":"[0-9]+","timestamp":"([0-9]{1,15})",'
    r'"payload":"([A-Za-z0-9+/]+={0,2})"\}(?:,"streamSid":"([A-Za-z0-9]+)")?\}'
).fullmatch


def plain_media(text: str, stream_sid: str) -> tuple[str, int] | None:
    """Payload and timestamp of a ``media`` of this stream, written as Twilio writes them all.

    ``None`` for all other texts, bad ones too: they are for :func:`parse` to judge.
    """
    found = _PLAIN_MEDIA(text)
    if found is None:
        return None
    before, stamp, payload, after = found.groups()
    once = before is None or after is None
    ours = once and (before or after) == stream_sid
    return (payload, int(stamp)) if ours and len(payload) % 4 == 0 else None


#: A ``mark`` of ours as Twilio sends it back, whatever the order of its fields.
_PLAIN_MARK = re.compile(
    r'\{"event":"mark",(?:"sequenceNumber":"[0-9]+",)?(?:"streamSid":"([A-Za-z0-9]+)",)?'
    r'(?:"sequenceNumber":"[0-9]+",)?"mark":\{"name":"([a-z0-9-]+)"\}'
    r'(?:,"streamSid":"([A-Za-z0-9]+)")?\}'
).fullmatch


def plain_mark(text: str, stream_sid: str | None) -> str | None:
    """The name of a ``mark`` of this stream, written as Twilio writes them all.

    ``None`` for all other texts, bad ones too: they are for :func:`parse` to judge.
    """
    found = _PLAIN_MARK(text)
    if found is None:
        return None
    before, name, after = found.groups()
    once = before is None or after is None
    return name if once and (before or after) == stream_sid else None


#: What stands for a message that may hold what nobody is to read.
WITHHELD = '{"event":"withheld"}'


def masked(text: str) -> str:
    """The message for the record, while what the caller types is a secret.

    Its sound is silence, for the keys' tones are in it, and each key is ``*``; what we do not
    understand is left out, for it may say the same in other words.
    """
    try:
        message = parse(text)
    except RemoteProtocolError:
        return WITHHELD
    match message.get("event"):
        case "media":
            media = message.get("media")
            timestamp = media.get("timestamp") if type(media) is dict else None
            payload = media.get("payload") if type(media) is dict else None
            silent = {"timestamp": timestamp, "payload": silenced(payload, b"\xff")}
            shown = {"event": "media", "streamSid": message.get("streamSid"), "media": silent}
        case "dtmf":
            sid = message.get("streamSid")
            shown = {"event": "dtmf", "streamSid": sid, "dtmf": {"digit": "*"}}
        case "connected" | "start" | "mark" | "stop":
            return text
        case _:
            return WITHHELD
    try:
        return orjson.dumps(shown).decode()
    except orjson.JSONEncodeError:
        return WITHHELD  # nested deeper than the encoder goes


def milliseconds(stamp: object) -> int | None:
    """A ``timestamp``: by the document a string of digits, by some senders a number."""
    if type(stamp) is str and stamp.isascii() and stamp.isdigit():
        if len(stamp) <= _LONGEST_NUMBER:
            return int(stamp)
    elif stamp is None or (type(stamp) is int and stamp >= 0):
        return stamp
    raise RemoteProtocolError(PEER, "bad-fields")

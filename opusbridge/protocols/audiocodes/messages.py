"""The messages of the AudioCodes Bot API, each under the name AudioCodes gives it.

What VoiceAI Connect (VAIC) says is read tolerantly: nearly every field may be missing, may
be null, or may have company we do not know. What a bot says is closed and without nulls:
whoever plays VAIC reads us with these models, some of which are for messages that the
provider documents and we never send.

``userStream.chunk`` has no model: it comes fifty times a second and is read by hand.
"""

import re
from typing import Annotated, Any, Literal, TypeVar
from urllib.parse import quote, unquote

import orjson
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, TypeAdapter, ValidationError

from opusbridge import effects
from opusbridge.errors import LocalProtocolError, RemoteProtocolError
from opusbridge.sound import PCM_8K, PCM_16K, PCM_24K, PCMU_8K, AudioFormat, is_base64, silenced
from opusbridge.texts import from_json

PEER = "audiocodes"

#: Characters of a message. How much sound VAIC puts into one is its own choice: of the best format
#: a second takes 64 kB.
LONGEST_TEXT, LONGEST_CHUNK = 65_536, 1_000_000

#: The formats we speak, best first. The first two pass to the model and back as they are;
#: the ``wav/`` ones are never chosen, because where their headers stand is not known.
MEDIA_FORMATS: dict[str, AudioFormat] = {
    "raw/lpcm16_24": PCM_24K,
    "raw/mulaw": PCMU_8K,
    "raw/lpcm16": PCM_16K,
    "raw/lpcm16_8": PCM_8K,
}

#: Formats offered that are shown to somebody: there are about ten.
MOST_SHOWN = 12
#: What may be the name of one: no telephone number is, nor a sentence.
_FORMAT_NAME = re.compile(r"(?!.*[0-9]{6})[A-Za-z0-9][A-Za-z0-9/_.+-]{0,31}")

#: VAIC's ``reasonCode`` of the end, and ours.
END_REASONS: dict[str, str] = {
    "client-disconnected": "caller-hung-up",
    "bot-disconnected": "agent-hung-up",
    "transferred": "transferred",
    "machine-detected": "machine-detected",
    "error": "telephony-error",
    "no-answer": "not-answered",
    "busy": "not-answered",
    "declined": "not-answered",
}

#: Why a transfer may fail, in VAIC's words; any other word is an ``error``.
TRANSFER_REASONS = frozenset({"no-answer", "busy", "declined", "error"})

# --- VAIC to bot -------------------------------------------------------------------------


def _missing(otherwise: object) -> BeforeValidator:
    return BeforeValidator(lambda value: otherwise if value is None else value)


class FromVAIC(BaseModel):
    model_config = ConfigDict(
        extra="ignore", frozen=True, coerce_numbers_to_str=True, hide_input_in_errors=True
    )


class SessionInitiate(FromVAIC):
    conversationId: Annotated[str, Field(min_length=1)]
    caller: str | None = None
    expectAudioMessages: Annotated[bool, _missing(True)] = True
    supportedMediaFormats: Annotated[list[Any], _missing(())] = Field(default_factory=list)


class SessionResume(FromVAIC):
    conversationId: Annotated[str, Field(min_length=1)]


class UserStream(FromVAIC):
    """``userStream.start`` and ``userStream.stop``."""

    participant: str | None = None


class ActivitiesEnvelope(FromVAIC):
    activities: list[Any]


class Activity(FromVAIC):
    type: str
    name: Annotated[str, _missing("")] = ""
    value: Any = None
    parameters: Annotated[dict[str, Any], _missing({})] = Field(default_factory=dict)
    streamId: str | None = None


class DTMF(FromVAIC):
    """One key or several: AudioCodes may gather them."""

    value: Annotated[str, Field(pattern=r"\A[0-9*#A-Da-d]+\z")]


_TIMES = BeforeValidator(lambda value: value if type(value) is int and value > 0 else 0)


class NoUserInput(FromVAIC):
    """How often so far, or 0 for what is no such number: nothing depends on it."""

    value: Annotated[int, _TIMES]


class TransferOutcome(FromVAIC):
    status: str
    reasonCode: Any = None


class TransferStatus(FromVAIC):
    value: TransferOutcome


def shown_formats(offered: list[Any]) -> tuple[str, ...]:
    """The names of the formats offered, for a log: ``?`` for what does not look like one."""
    return tuple(
        name if isinstance(name, str) and _FORMAT_NAME.fullmatch(name) else "?"
        for name in offered[:MOST_SHOWN]
    )


# --- Bot to VAIC -------------------------------------------------------------------------


class ToVAIC(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)


class ConnectionValidated(ToVAIC):
    type: Literal["connection.validated"]
    success: bool


class SessionAccepted(ToVAIC):
    type: Literal["session.accepted"]
    mediaFormat: str


class SessionError(ToVAIC):
    type: Literal["session.error"]
    reason: str


class UserStreamAnswer(ToVAIC):
    type: Literal["userStream.started", "userStream.stopped"]
    participant: str = ""


class UserStreamSpeech(ToVAIC):
    type: Literal[
        "userStream.speech.started", "userStream.speech.stopped", "userStream.speech.committed"
    ]
    participant: str = ""


class Alternative(ToVAIC):
    text: str
    confidence: float = 1.0


class UserStreamWords(ToVAIC):
    """Documented, never sent: a late one may be taken for new speech and cut a prompt."""

    type: Literal["userStream.speech.hypothesis", "userStream.speech.recognition"]
    alternatives: Annotated[list[Alternative], Field(min_length=1)]
    participant: str = ""


class PlayStreamStart(ToVAIC):
    type: Literal["playStream.start"]
    streamId: Annotated[str, Field(min_length=1)]
    mediaFormat: str
    participant: str = ""
    altText: str = ""
    activityParams: dict[str, Any] = Field(default_factory=dict)
    targetPlayer: str = ""


class PlayStreamChunk(ToVAIC):
    type: Literal["playStream.chunk"]
    streamId: Annotated[str, Field(min_length=1)]
    audioChunk: Annotated[str, Field(min_length=1)]


class PlayStreamStop(ToVAIC):
    type: Literal["playStream.stop"]
    streamId: Annotated[str, Field(min_length=1)]


class BotActivity(ToVAIC):
    type: Literal["event", "message"]
    name: str = ""
    text: str = ""
    value: Any = None
    activityParams: dict[str, Any] = Field(default_factory=dict)
    sessionParams: dict[str, Any] = Field(default_factory=dict)
    id: str = ""
    timestamp: str = ""


class BotActivities(ToVAIC):
    type: Literal["activities"]
    activities: Annotated[list[BotActivity], Field(min_length=1)]


BotMessage = (
    ConnectionValidated
    | SessionAccepted
    | SessionError
    | UserStreamAnswer
    | UserStreamSpeech
    | UserStreamWords
    | PlayStreamStart
    | PlayStreamChunk
    | PlayStreamStop
    | BotActivities
)

#: Everything a bot may say, and nothing else.
TO_VAIC: TypeAdapter[BotMessage] = TypeAdapter(Annotated[BotMessage, Field(discriminator="type")])

# --- Reading -----------------------------------------------------------------------------

Message = TypeVar("Message", bound=FromVAIC)


def parse(text: str) -> dict[str, Any]:
    """The object in ``text``."""
    try:
        message = from_json(text)
    except orjson.JSONDecodeError:
        raise RemoteProtocolError(PEER, "not-json") from None
    if type(message) is not dict:
        raise RemoteProtocolError(PEER, "not-an-object")
    return message


def read(model: type[Message], message: Any, kind: str = "bad-fields") -> Message:
    """``message`` as what it claims to be, else RemoteProtocolError of that ``kind``."""
    try:
        return model.model_validate(message)
    except ValidationError:
        raise RemoteProtocolError(PEER, kind) from None


def value(model: type[Message], activity: Activity) -> Message:
    """The ``value`` of an activity, as what its name demands."""
    return read(model, {"value": activity.value}, "bad-activity")


def sound(chunk: object) -> str:
    """An ``audioChunk`` itself, once it is known to be non-empty, well-formed base64."""
    if type(chunk) is not str or not chunk:
        raise RemoteProtocolError(PEER, "bad-fields")
    if not is_base64(chunk):
        raise RemoteProtocolError(PEER, "bad-base64")
    return chunk


def named(said: object) -> str | None:
    """What a message names, if anything; a number is a name like any other."""
    known = type(said) in (str, int, float) and said != ""
    return str(said) if known else None


_END = '"}'


def head_of_chunk(text: str, chunk: str) -> str:
    """What stands before this sound in a ``userStream.chunk``; empty, if it is not its end.

    VAIC begins each chunk of a call with the same words: a text with other sound behind them is
    the same message with other sound.
    """
    head = text.removesuffix(chunk + _END)
    alike = head != text and head.endswith('"audioChunk":"') and "\\" not in head
    return head if alike else ""


def plain_chunk(text: str, head: str) -> str | None:
    """The sound of a ``userStream.chunk`` that begins like another one, by its ``head``.

    ``None`` for all other texts, bad ones too: they are for :func:`parse` to judge.
    """
    if not head or not (text.startswith(head) and text.endswith(_END)):
        return None
    chunk = text[len(head) : -len(_END)]
    return chunk if is_base64(chunk) else None


#: Characters of a header's value; a SIP message should fit into one UDP packet.
LONGEST_HEADER = 300


def transfer_activity(transfer: effects.TransferCall) -> dict[str, Any]:
    """Raises LocalProtocolError for what cannot be dialled.

    With notifications VAIC keeps us until the outcome is known, and a failed transfer gives
    the caller back.
    """
    target = transfer.target.value
    address = f"tel:{target}" if target.startswith("+") else target
    if not address.startswith(("tel:", "sip:", "sips:")):
        raise LocalProtocolError("a transfer needs a number or a SIP address")
    params: dict[str, Any] = {"transferTarget": address, "transferNotifications": True}
    if transfer.reason:
        params["handoverReason"] = transfer.reason
    if transfer.summary:
        params["transferSipHeaders"] = [summary_header(transfer.summary)]
    return {"type": "event", "name": "transfer", "activityParams": params}


def summary_header(summary: str) -> dict[str, str]:
    """The summary for whoever takes over as a SIP header, percent-encoded UTF-8."""
    value = _escaped(summary[:LONGEST_HEADER])
    if len(value) > LONGEST_HEADER:
        whole = re.sub(r"%.?\Z", "", value[:LONGEST_HEADER])  # not in the middle of an escape
        value = _escaped(unquote(whole, errors="ignore"))  # nor in that of a character
    return {"name": "X-Handover-Summary", "value": value}


def _escaped(text: str) -> str:
    return quote(text, safe=" ,;:!?.-", errors="replace")


#: What stands for a message, or an activity, that may hold what nobody is to read.
WITHHELD: dict[str, Any] = {"type": "withheld"}

#: Activities that hold no keys, in small letters.
_KEYLESS = frozenset({"start", "playfinished", "nouserinput", "transferstatus"})


def masked(text: str, silence: bytes) -> str:
    """The message for the record, while what the caller types is a secret.

    Its sound is ``silence``, for the keys' tones are in it, and each key is ``*``; what we do
    not understand is left out, for it may say the same in other words.
    """
    try:
        message = parse(text)
    except RemoteProtocolError:
        message = WITHHELD
    match message.get("type"):
        case "userStream.chunk":
            message = {**message, "audioChunk": silenced(message.get("audioChunk"), silence)}
        case "activities" if type(message.get("activities")) is list:
            kept = [_masked_activity(each) for each in message["activities"]]
            message = {**message, "activities": kept}
        case "userStream.start" | "userStream.stop" | "session.end":
            return text
        case _:
            message = WITHHELD
    # Nested deeper than the encoder goes, though the decoder could read it, it becomes nothing.
    return as_text(message) or as_text(WITHHELD)


def _masked_activity(activity: object) -> object:
    if not isinstance(activity, dict):
        return WITHHELD
    name = str(activity.get("name")).lower()
    if name == "dtmf":
        return {"type": "event", "name": "DTMF", "value": "*" * len(str(activity.get("value")))}
    return activity if name in _KEYLESS else WITHHELD


def as_texts(parameters: dict[str, Any]) -> dict[str, str]:
    """Those that have a value, as text."""
    given = {name: value for name, value in parameters.items() if value is not None}
    return {name: as_text(value) for name, value in given.items()}


def as_text(value: object) -> str:
    """A parameter of any type as text: a string as it is, anything else as JSON."""
    if isinstance(value, str):
        return value
    try:
        return orjson.dumps(value).decode()
    except orjson.JSONEncodeError:
        return ""  # nested deeper than the encoder goes, though the decoder could read it

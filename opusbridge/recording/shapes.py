"""What of a text may be written down, and what of it is enough to hand it in again.

Sound is told by its length and a hash; of the message around it are kept the few keys that
anybody looks at, so that :func:`composed` can make a message that means the same. Every other
message is kept as the object it was, without what looks like a secret, and without words where
they are to be withheld.
"""

import hashlib
from binascii import a2b_base64
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

import orjson

from opusbridge.recording.redaction import DEEPEST, is_open, redacted, redacted_text
from opusbridge.recording.withholding import WITHHELD, Withholding
from opusbridge.sound import is_base64
from opusbridge.texts import from_json, well_formed


@dataclass(frozen=True, slots=True)
class Medium:
    """Where a message that carries sound has what matters."""

    kind_key: str
    payload: str
    keys: tuple[str, ...]
    """What the sound belongs to."""
    inner: str = ""
    """The object within the message that holds the sound; empty: the message itself."""
    inner_keys: tuple[str, ...] = ()
    stamped: bool = False


#: Of the agent's sound.
DELTA = "response.output_audio.delta"
_OF_DELTA = Medium("type", "delta", ("response_id", "item_id", "content_index"))

MEDIA = {
    "media": Medium("event", "payload", ("streamSid",), "media", ("track",), stamped=True),
    "userStream.chunk": Medium("type", "audioChunk", ("conversationId", "participant")),
    "playStream.chunk": Medium("type", "audioChunk", ("conversationId", "streamId")),
    "input_audio_buffer.append": Medium("type", "audio", ()),
    DELTA: _OF_DELTA,
    "response.audio.delta": _OF_DELTA,  # as the beta called it
}

#: A longer text of the telephony side that is no sound is refused: its length is all that matters.
LONGEST_TELEPHONY_TEXT = 65_536
OVERSIZED = "<oversized>"

#: Of what is looked at together; in characters.
_LONGEST_LOOKED_AT = 1024

_OF_MARKS = {"event", "sequenceNumber", "streamSid", "mark"}

#: Of an id that is kept with sound; a longer one is no id.
_LONGEST_ID = 128
_LARGEST_STAMP = 10**15  # what JSON's numbers can hold exactly


@dataclass(frozen=True, slots=True)
class Sound:
    """A message that is nothing but sound."""

    kind: str
    of: dict[str, str | int]
    """What it belongs to, as the message says."""
    text: str
    """The sound itself, in well-formed base64, and not empty."""
    stamp_ms: int | None = None
    """What the provider's clock said (Twilio)."""

    @property
    def raw(self) -> bytes:
        return a2b_base64(self.text)

    def around(self, text: str) -> tuple[str, str] | None:
        """What stands before and after the sound in ``text``, if it is all that can differ."""
        start = text.rfind(':"') + 2
        end = text.find('"', start)
        alone = self.stamp_ms is None and text[start:end] == self.text
        return (text[:start], text[end:]) if alone else None


@dataclass(frozen=True, slots=True)
class Said:
    """Any other message, as a line keeps it."""

    line: dict[str, Any] = field(default_factory=dict)

    @property
    def withheld(self) -> bool:
        return "withheld" in self.line


class Shaper:
    """Knows what of the call's texts is to be withheld; one for a call, texts in their order."""

    def __init__(self) -> None:
        self._withholding = Withholding()
        self._plain = False

    @property
    def paused(self) -> bool:
        """Nothing that is said now is to be kept."""
        return self._withholding.paused

    @paused.setter
    def paused(self, paused: bool) -> None:
        self._withholding.paused = paused

    def look_at(self, texts: Iterable[str]) -> None:
        """All that is shaped before this is asked again: for all at once it costs a tenth.

        Not of the long ones: most are sound, and nobody asks whether that is kept.
        """
        together = " ".join([text for text in texts if len(text) <= _LONGEST_LOOKED_AT])
        self._plain = bool(together) and _is_plain(together)

    def keeps(self, text: str) -> bool:
        """Whether :meth:`shape` keeps a readable message that is no sound just as it is."""
        if self._withholding.active or text.count("{") + text.count("[") > DEEPEST:
            return False
        return (self._plain and len(text) <= _LONGEST_LOOKED_AT) or _is_plain(text)

    def withhold(self, ids: Iterable[str], reason: str = "") -> None:
        """As :meth:`.FlightRecording.withhold`."""
        self._withholding.add(ids)
        self._withholding.transfer |= reason == "transfer"

    def hides(self, an_id: str) -> bool:
        """Whether what is said of it is to be withheld."""
        return self._withholding.paused or self._withholding.knows(an_id)

    def shape(self, peer: str, direction: str, text: str) -> Sound | Said:
        said = self._read(peer, direction, text)
        if isinstance(said, Sound | Said):
            return said
        return self._message(said, None if direction == "in" else text, _harmless(text))

    def shape_unless_kept(self, peer: str, direction: str, text: str) -> Sound | Said | None:
        """The same; ``None`` for a message that is kept just as it is."""
        said = self._read(peer, direction, text)
        if isinstance(said, Sound | Said):
            return said
        if self.keeps(text):
            return None
        return self._message(said, None if direction == "in" else text, _harmless(text))

    def _read(self, peer: str, direction: str, text: str) -> Sound | Said | dict[str, Any]:
        try:
            said = from_json(text)
        except ValueError:
            said = None
        sound = sound_in(said) if isinstance(said, dict) else None
        long = direction == "in" and peer == "telephony" and len(text) > LONGEST_TELEPHONY_TEXT
        if long and sound is None:
            return Said({"text": OVERSIZED, "chars": len(text)})
        if not isinstance(said, dict):
            return self._unreadable(text)
        return sound or said

    def words(self, text: str) -> Said:
        """The same for an object of the model's that is words, whatever else is in it."""
        return self._message(from_json(text), None, _harmless(text))

    def _unreadable(self, text: str) -> Said:
        if self.paused:
            return Said({"text": WITHHELD, "withheld": True})
        return Said({"text": redacted_text(well_formed(text))})

    def _message(self, said: dict[str, Any], text: str | None, harmless: bool) -> Said:
        """``text`` is what left as it left, for its hash."""
        plain = said if harmless else redacted(said)
        kept = plain if _is_mark(said) else self._withholding.applied(plain)
        if kept is not plain and kept != plain:
            return Said({"text": kept, "withheld": True})
        line = {"text": kept}
        # A hash of what is hidden would let it be guessed.
        if text is not None and (harmless or plain == said):
            line["sha"] = digest(text)
        return Said(line)


def digest(text: str) -> str:
    """By which a message of ours is known again."""
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def composed(sound: Sound) -> str:
    """A message that carries this sound and means what the one did that came."""
    medium = MEDIA[sound.kind]
    inner: dict[str, Any] = {medium.payload: sound.text}
    inner |= {key: sound.of[key] for key in medium.inner_keys if key in sound.of}
    if sound.stamp_ms is not None:
        inner["timestamp"] = str(sound.stamp_ms)
    message: dict[str, Any] = {medium.kind_key: sound.kind}
    message |= {key: sound.of[key] for key in medium.keys if key in sound.of}
    message |= {medium.inner: inner} if medium.inner else inner
    return orjson.dumps(message).decode()


def _harmless(text: str) -> bool:
    """Nothing in it can look like a secret, or be nested without end: most messages."""
    return text.count("{") + text.count("[") <= DEEPEST and is_open(text)


def _is_plain(text: str) -> bool:
    """Nothing in it can look like a secret, and it is one line."""
    return "\n" not in text and "\r" not in text and is_open(text)


def _is_mark(said: dict[str, Any]) -> bool:
    """A mark has a name that we gave it, and nothing of what is said."""
    return said.get("event") == "mark" and said.keys() <= _OF_MARKS


def sound_in(said: dict[str, Any]) -> Sound | None:
    """``None`` for everything but sound that could be made again from what is kept of it."""
    kind = said.get("event") or said.get("type")
    if not isinstance(kind, str) or kind not in MEDIA:
        return None
    medium = MEDIA[kind]
    if said.get(medium.kind_key) != kind:
        return None
    inner = said.get(medium.inner) if medium.inner else said
    if type(inner) is not dict:
        return None
    of: dict[str, str | int] = {}
    for key in medium.keys:
        if (value := said.get(key)) is not None:
            of[key] = value
    for key in medium.inner_keys:
        if (value := inner.get(key)) is not None:
            of[key] = value
    payload = inner.get(medium.payload)
    stamp = _stamp(inner.get("timestamp")) if medium.stamped else None
    if type(payload) is not str or stamp == -1 or not all(map(_is_id, of.values())):
        return None
    return Sound(kind, of, payload, stamp) if is_base64(payload) else None


def _stamp(stamp: object) -> int | None:
    """-1 for what is there and is no time."""
    if stamp is None:
        return None
    if isinstance(stamp, str) and stamp.isascii() and stamp.isdecimal() and len(stamp) <= 15:
        return int(stamp)
    return stamp if type(stamp) is int and 0 <= stamp < _LARGEST_STAMP else -1


def _is_id(value: object) -> bool:
    return (type(value) is str and len(value) <= _LONGEST_ID) or type(value) is int

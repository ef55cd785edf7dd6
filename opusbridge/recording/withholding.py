"""What of a message may be kept when it was said, or is about what was said, in a pause.

Kinds, names and ids stay, so that the course of the call can be read; every other text goes, and
so does what is a text in other clothes: its bytes, and a number where words, keys that were pressed
or a tool's own things stand.
A message that mentions an item of a pause is about it, however late it comes, and so is what
that message mentions.
"""

from collections.abc import Iterable, Iterator
from typing import Any

WITHHELD = "<withheld>"

#: Keys whose texts are the wire's own words or ids, never anybody's.
_PLAIN = frozenset(
    {
        "code",
        "event",
        "event_id",
        "id",
        "input_audio_format",
        "item_id",
        "call_id",
        "approval_request_id",
        "response_id",
        "previous_item_id",
        "conversationId",
        "conversation_id",
        "mediaFormat",
        "object",
        "output_audio_format",
        "role",
        "sequenceNumber",
        "status",
        "streamId",
        "streamSid",
        "type",
    }
)
#: Keys under which words are told letter by letter, as numbers: of a transcription.
_SPELLED = frozenset({"bytes", "logprobs"})
#: Keys under which a number is what somebody said or typed, or a tool was given or gave.
_SAID = frozenset({"arguments", "delta", "digit", "error", "output", "text", "transcript"})
#: Of them those under which an object is somebody's own, with names that he gave.
_OWN = frozenset({"arguments", "output"})
#: What of an error is the wire's; all else in it may be what a tool gave instead of its output.
_OF_ERRORS = frozenset({"code", "retry_after"})
#: Keys of ids that say what a message is about; the item before it is somebody else.
_ABOUT = frozenset({"id", "item_id", "call_id", "approval_request_id", "response_id"})

#: Ids remembered: a pause has a few dozen, and a peer that runs wild must not fill the memory.
MOST_IDS = 10_000


class Withholding:
    def __init__(self) -> None:
        self.paused = False
        self.transfer = False
        """The next transfer was asked for in a pause, though it may leave after it."""
        self._ids: dict[str, None] = {}

    def add(self, ids: Iterable[str]) -> None:
        self._ids.update(dict.fromkeys(ids))
        while len(self._ids) > MOST_IDS:
            del self._ids[next(iter(self._ids))]

    @property
    def active(self) -> bool:
        """Whether any message might have to be changed."""
        return self.paused or self.transfer or bool(self._ids)

    def knows(self, an_id: str) -> bool:
        """Whether it was added: what is said of it is not to be kept."""
        return an_id in self._ids

    def applied(self, message: Any) -> Any:
        """The message, without its words if they are to be withheld."""
        if not self.active:
            return message
        about = set(_ids_in(message))
        transfer = self.transfer and _is_transfer(message)
        self.transfer = self.transfer and not transfer
        if not (self.paused or transfer) and about.isdisjoint(self._ids):
            return message
        self.add(about)
        return wordless(message)


def _is_transfer(message: Any) -> bool:
    """AudioCodes is told to hand the caller over, and why."""
    activities = message.get("activities") if isinstance(message, dict) else None
    return isinstance(activities, list) and any(
        isinstance(one, dict) and one.get("name") == "transfer" for one in activities
    )


def _ids_in(value: Any) -> Iterator[str]:
    if isinstance(value, list):
        for inner in value:
            yield from _ids_in(inner)
    elif isinstance(value, dict):
        for key, inner in value.items():
            if key in _ABOUT and isinstance(inner, str):
                yield inner
            else:
                yield from _ids_in(inner)


def wordless(value: Any, key: str = "", of: str = "") -> Any:
    """``value``, in JSON's own types, without its words.

    ``key`` is that under which it stands, ``of`` that of the object in which it does.
    """
    if key in _SPELLED and value is not None:
        return WITHHELD
    if isinstance(value, dict):
        # What is put out may also be a session's sound, or items, of a response.
        own = key in _OWN and of not in ("audio", "response")
        return WITHHELD if own or of == "error" else _wordless_object(value, key)
    if isinstance(value, list):
        return [wordless(inner, key, of) for inner in value]
    if isinstance(value, str):
        return value if key in _PLAIN else WITHHELD
    said = key in _SAID or (of == "error" and key not in _OF_ERRORS)
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    return WITHHELD if is_number and said else value


def _wordless_object(value: dict[str, Any], key: str) -> dict[str, Any]:
    # AudioCodes tells the keys as the value of an event, which may be a number.
    keys = str(value.get("name")).upper() == "DTMF"
    return {
        # Our own tokens of a request, by which its response is known.
        name: inner
        if name == "metadata"
        else wordless(inner, "digit" if keys and name == "value" else name, key)
        for name, inner in value.items()
    }

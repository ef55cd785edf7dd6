"""Values of the program as JSON: the policy of a call, and what its shell told it.

Whoever reads them knows the types: fields by name, tuples as lists, formats as text.
"""

import hashlib
from base64 import b64encode
from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from functools import lru_cache
from typing import Any

from opusbridge.privacy import Private
from opusbridge.recording.loudness import levels
from opusbridge.sound import PCM_24K, AudioFormat

#: Stored speech is PCM; of another rate it only has other windows.
STORED = PCM_24K

#: What most values are: asked first, since to ask whether a type is a mapping takes long, and
#: the answer is kept for each type.
_ITSELF = str | int | float | None

#: The names of a dataclass's fields; of another type, nothing.
_FIELDS: dict[type, tuple[str, ...] | None] = {}


def plain(value: Any, *, whole: bool = False, private: str | None = None) -> Any:
    """``value`` in JSON's own types.

    Stored sound becomes its length, its hash and its levels, with the sound itself if
    ``whole``. ``private`` stands in place of every private text that is not empty;
    ``None``: they are kept.
    """
    if isinstance(value, _ITSELF):
        return value
    if isinstance(value, AudioFormat):
        return f"{value.encoding}/{value.rate_hz}"
    if isinstance(value, Private):
        return plain(value.value) if private is None or value.value == "" else private
    if isinstance(value, bytes):
        told = _stored(value)
        return {**told, "sound": b64encode(value).decode()} if whole else dict(told)
    if isinstance(value, Mapping):
        return {str(k): plain(v, whole=whole, private=private) for k, v in value.items()}
    if isinstance(value, list | tuple):
        return [plain(inner, whole=whole, private=private) for inner in value]
    if (names := _names(type(value))) is not None:
        return {name: plain(getattr(value, name), whole=whole, private=private) for name in names}
    return value


@lru_cache(8)
def _stored(sound: bytes) -> Mapping[str, Any]:
    """The same few with every call of an agent."""
    told = {"bytes": len(sound), "sha256": hashlib.sha256(sound).hexdigest()}
    return {**told, "levels": levels(sound, STORED)}


def _names(kind: type) -> tuple[str, ...] | None:
    """To ask for them takes longer than all the rest."""
    if kind not in _FIELDS:
        known = is_dataclass(kind)
        _FIELDS[kind] = tuple(one.name for one in fields(kind)) if known else None
    return _FIELDS[kind]

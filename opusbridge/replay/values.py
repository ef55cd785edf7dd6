"""Values of the program from JSON, by their types: the other way round of recording/plain.py."""

from base64 import b64decode
from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from functools import cache
from types import NoneType, UnionType
from typing import Any, Union, get_args, get_origin, get_type_hints

from opusbridge.privacy import Private
from opusbridge.recording.loudness import as_loud
from opusbridge.recording.plain import STORED
from opusbridge.sound import AudioFormat, Encoding


def built(kind: Any, value: Any) -> Any:
    """``value`` as a ``kind``; fields that are not there have their default.

    Stored sound that was not kept becomes something as long and as loud. Raises ``ValueError``,
    ``TypeError`` or ``KeyError`` for what is no such value.
    """
    origin, inner = get_origin(kind), get_args(kind)
    if origin in (Union, UnionType):
        if value is None and NoneType in inner:
            return None
        return built(next(one for one in inner if one is not NoneType), value)
    if origin is Private:
        return Private(built(inner[0], value))
    if origin is tuple:
        return tuple(built(inner[0], one) for one in value)
    if origin is not None and issubclass(origin, Mapping):
        return {key: built(inner[1], one) for key, one in value.items()}
    if kind is AudioFormat:
        encoding, _, rate = value.partition("/")
        return AudioFormat(Encoding(encoding), int(rate))
    if kind is bytes:
        return _sound(value)
    if isinstance(kind, type) and is_dataclass(kind):
        types = _types(kind)
        given = {one.name for one in fields(kind) if one.name in value}
        return kind(**{name: built(types[name], value[name]) for name in given})
    return value


def _sound(told: dict[str, Any]) -> bytes:
    if "sound" in told:
        return b64decode(told["sound"])
    return as_loud(told["levels"], told["bytes"], STORED)


@cache
def _types(kind: Any) -> dict[str, Any]:
    return get_type_hints(kind)

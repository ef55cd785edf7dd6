"""What a tool gave back, as the text the model will read.

A result is measured before it is written: writing ten megabytes would hold up the audio of
every call for as long as it takes, only to be refused afterwards. For the same reason nothing is
written that is still to be made: what an iterator fetches, and for how long, nobody can tell.
"""

from collections import deque
from collections.abc import Iterator, Mapping
from dataclasses import fields, is_dataclass
from functools import lru_cache
from typing import Any

from pydantic import BaseModel
from pydantic_core import PydanticSerializationError, to_json, to_jsonable_python

from opusbridge.texts import as_json, well_formed, whole

#: Characters of a result. All of it is read by the model before its next word and paid for;
#: 16 Ki are about four thousand tokens, a seventh of what a session can hold.
LONGEST_RESULT = 16 * 1024

#: Characters of an error the model is told.
LONGEST_ERROR = 1024


class TooLong(ValueError):
    """It is longer than :data:`LONGEST_RESULT`."""


def as_text(result: Any) -> str:
    """Text as it is; anything else as JSON.

    Raises :class:`TooLong`, or another ``ValueError`` for what JSON cannot say.
    """
    if not _fits(result):
        raise TooLong
    text = result if isinstance(result, str) else _as_json(result)
    if len(text) > LONGEST_RESULT:
        raise TooLong
    return well_formed(text)


def _as_json(result: Any) -> str:
    try:
        return to_json(result, inf_nan_mode="null").decode()
    except PydanticSerializationError:  # perhaps for half of a character only
        return as_json(to_jsonable_python(whole(result), inf_nan_mode="null")).decode()


def _fits(result: Any) -> bool:
    """Whether it can be short enough: stops as soon as it cannot. Raises ``ValueError`` for an
    iterator, wherever in it that is."""
    room, waiting = LONGEST_RESULT, [result]
    while waiting and room >= 0:
        value = waiting.pop()
        if isinstance(value, (str, bytes, bytearray)):
            room -= len(value)
        elif isinstance(value, int):
            room -= 1 + value.bit_length() // 4  # written in decimal, about a third of its bits
        elif isinstance(value, Mapping):
            room -= 1 + len(value)
            if room >= 0:
                waiting += [*value.keys(), *value.values()]
        elif isinstance(value, (list, tuple, set, frozenset, deque)):
            room -= 1 + len(value)
            if room >= 0:
                waiting += value
        elif isinstance(value, BaseModel):
            room -= 1
            waiting += _said_of_model(value)
        elif is_dataclass(value):
            room -= 1
            waiting += _said_of_dataclass(value)
        elif isinstance(value, Iterator):
            raise ValueError("an iterator may never end")
        else:
            room -= 1
    return room >= 0


def _said_of_model(model: BaseModel) -> list[Any]:
    """What JSON has of it, but for what is computed only then."""
    said = _names_said(type(model))
    found = [value for name, value in vars(model).items() if name in said]
    return [*found, *model.model_extra.values()] if model.model_extra else found


@lru_cache(256)
def _names_said(kind: type[BaseModel]) -> frozenset[str]:
    declared = {name for name, field in kind.model_fields.items() if not field.exclude}
    return frozenset(declared | kind.model_computed_fields.keys())


def _said_of_dataclass(value: Any) -> list[Any]:
    known = getattr(type(value), "__pydantic_fields__", {})  # of pydantic's own alone
    left_out = {name for name, field in known.items() if field.exclude}
    return [getattr(value, one.name, None) for one in fields(value) if one.name not in left_out]

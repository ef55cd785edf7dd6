"""What is wrong with a script: the file, the line, the key, and what was expected there.

The tables of a script are pydantic's; what it says of them is put here into the words of TOML,
one sentence for each place.
"""

import re
import tomllib
from collections.abc import Iterator
from difflib import get_close_matches
from json import dumps
from typing import get_args

from pydantic import BaseModel, ValidationError

from opusbridge.sim.script.places import Path, nearest, places


class Misplaced(ValueError):
    """Raised by a validator of a table about something inside it, at ``below``."""

    def __init__(self, below: Path, why: str) -> None:
        super().__init__(why)
        self.below = below


def not_toml(error: tomllib.TOMLDecodeError, text: str, file: str) -> str:
    """The parser says where; ours stands in front, as everywhere."""
    what, _, where = str(error).rpartition(" (at ")
    if found := re.match(r"line (\d+), column (\d+)", where):
        return f"{file}:{found[1]}: not TOML: {what} (column {found[2]})"
    return f"{file}:{len(text.splitlines()) or 1}: not TOML: {what or error}, at the end"


def unreadable_number(text: str, file: str) -> str:
    """Of more digits than Python reads."""
    found = _UNREADABLE.search(text)
    line = text.count("\n", 0, found.start()) + 1 if found else 1
    return f"{file}:{line}: not TOML: {_TOO_LONG}"


def long_numbers(value: object, text: str, file: str) -> list[str]:
    """The same of each that was read and is none of TOML's."""
    long = [
        place
        for place, one in _leaves(value, ())
        if isinstance(one, int) and not -(2**63) <= one < 2**63
    ]
    found = places(text) if long else {}
    return [f"{file}:{nearest(found, place) or 1}: {key(place)}: {_TOO_LONG}" for place in long]


def _leaves(value: object, place: Path) -> Iterator[tuple[Path, object]]:
    match value:
        case dict():
            for name, one in value.items():
                yield from _leaves(one, (*place, name))
        case list():
            for nth, one in enumerate(value):
                yield from _leaves(one, (*place, nth))
        case _:
            yield place, value


_TOO_LONG = "a whole number has 64 bits at most"

#: Of more digits than Python takes (``sys.int_info.default_max_str_digits``).
_UNREADABLE = re.compile(r"\d(?:_?\d){4300}")


def complaints(error: ValidationError, text: str, file: str, script: type[BaseModel]) -> list[str]:
    """One for each place of a ``script``, in the order in which pydantic met them."""
    found = places(text)
    told: dict[Path, list[str]] = {}
    empty: set[Path] = set()
    for one in error.errors(include_url=False):
        location = _in_script(one["loc"], found)
        cause = (one.get("ctx") or {}).get("error")
        if isinstance(cause, Misplaced):
            location = (*location, *cause.below)
        if one["type"] == "too_short":
            empty.add(location)
        if one["type"] == "extra_forbidden":
            hint = _meant(location, script)
        else:
            hint = _example(one["type"], one["input"], location, script)
        told.setdefault(location, []).append(_said(one["msg"]) + hint)
    return [
        f"{file}:{nearest(found, place) or 1}: {key(place)}: {_together(sentences)}"
        for place, sentences in told.items()
        # A list whose only entry was refused is not empty: the entry is the mistake.
        if not (place in empty and any(inner[:-1] == place for inner in told))
    ]


def _in_script(location: tuple[int | str, ...], found: dict[Path, int]) -> Path:
    """Without the names of the branches of unions, which pydantic puts in; a key that is
    missing from the file is the last."""
    kept: Path = ()
    for part in location:
        known = isinstance(part, int) or (*kept, part) in found
        if known or (part == location[-1] and part not in _BRANCHES and _KEY.fullmatch(str(part))):
            kept = (*kept, part)
    return kept


def _meant(location: Path, script: type[BaseModel]) -> str:
    """A hint at the key that a misspelt one may be."""
    table = _table(_type(location[:-1], script))
    known = [] if table is None else [name.replace("_", "-") for name in table.model_fields]
    near = get_close_matches(str(location[-1]).lower().replace("_", "-"), known, n=1)
    return f"; did you mean {near[0].replace('-', '_')}?" if near else ""


def _example(kind: str, value: object, location: Path, script: type[BaseModel]) -> str:
    """How a bare value is written where a list of such, or a table with a name, is due."""
    if not isinstance(value, str | int | float):
        return ""
    written, table = dumps(value, ensure_ascii=False), _table(_type(location, script))
    if kind == "tuple_type" and table is None:
        return f": {location[-1]} = [{written}]"
    if kind == "model_type" and table is not None and "name" in table.model_fields:
        return f": {{ name = {written} }}"
    return ""


def _type(location: Path, script: type[BaseModel]) -> object:
    """What may stand there, for all that is known of it."""
    found: object = script
    for part in location:
        if isinstance(part, str):
            table = _table(found)
            found = None if table is None else table.model_fields[part].annotation
    return found


def _table(annotation: object) -> type[BaseModel] | None:
    """The table among the types that a key may have."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    return next((one for part in get_args(annotation) if (one := _table(part))), None)


_KEY = re.compile(r"[A-Za-z0-9_-]+")

#: What pydantic calls the members of a union.
_BRANCHES = frozenset(
    {"float", "constrained-float", "int", "str", "bool", "dict", "list", "literal"}
)

#: Its words for what is called otherwise in TOML, or by people.
_TOML = {
    "Extra inputs are not permitted": "there is no such key",
    "Input should be a valid tuple": "Input should be a list",
    "Tuple should have at least 1 item": "Input should be a list with something in it",
    "Input should be a valid dictionary": "Input should be a table",
    "Input should be True": "Input should be true",
    "Field required": "this key is missing",
    "String should match pattern '^[0-9*#A-D]": "keys are 0 to 9, *, # and A to D",
    "String should match pattern '^[A-Za-z0-9_-]{1,64}$'": (
        "a tool's name has letters, digits, _ and -, 64 at most"
    ),
}


def _said(message: str) -> str:
    message = message.removeprefix("Value error, ")
    return next((ours for theirs, ours in _TOML.items() if message.startswith(theirs)), message)


def _together(sentences: list[str]) -> str:
    """The branches of a union complain one by one of the same thing."""
    first, *rest = dict.fromkeys(sentences)
    begin = "Input should be "
    if not all(one.startswith(begin) for one in (first, *rest)):
        return "; ".join([first, *rest])
    *most, last = (one.removeprefix(begin) for one in (first, *rest))
    return begin + (f"{', '.join(most)} or {last}" if most else last)


def key(location: Path) -> str:
    """``caller.steps[2].wait``, as people write a place."""
    text = ""
    for part in location:
        text += f"[{part}]" if isinstance(part, int) else f".{part}"
    return text.lstrip(".") or "the script"

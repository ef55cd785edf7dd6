"""What ``bench --write`` leaves for ``serve``: how many calls this machine was seen to carry."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import orjson

from opusbridge.config import Settings
from opusbridge.errors import ConfigurationError

_MOST_BYTES = 64 * 1024
_NAME = "OPUSBRIDGE_CAPACITY_FILE"


def write(path: Path, calls: int, machine: Mapping[str, Any]) -> None:
    """Raises :class:`ConfigurationError` where that cannot be written."""
    told = {"calls": calls, "machine": machine}
    try:
        path.write_bytes(orjson.dumps(told, option=orjson.OPT_INDENT_2) + b"\n")
    except OSError as error:
        raise ConfigurationError(f"cannot write {path}: {error.strerror}") from None


def call_limit(settings: Settings) -> int:
    """How many calls may be under way; 0: any number. What was said counts before what was
    measured."""
    path = settings.capacity_file
    said = "max_calls" in settings.model_fields_set
    return settings.max_calls if said or path is None else read(path)


def read(path: Path) -> int:
    """The calls in it; raises :class:`ConfigurationError` if it is no such file."""
    try:
        with path.open("rb") as file:
            told = orjson.loads(file.read(_MOST_BYTES))
    except OSError as error:
        raise ConfigurationError(f"{_NAME}: it cannot be read: {error.strerror}") from None
    except orjson.JSONDecodeError:
        told = None
    calls = told.get("calls") if isinstance(told, dict) else None
    if type(calls) is not int or calls < 1:
        raise ConfigurationError(f"{_NAME}: that file is not one that opusbridge bench wrote")
    return calls

"""Where the files of a call are, and how they come into being.

``DATA_DIR/calls/YYYY-MM-DD/CALL_ID/``: the date is the day the call began, in UTC, so that a
machine that changes its time zone finds its calls again. What is in them is private: only the
user who runs the bridge may read them.
"""

import os
import re
from collections.abc import Mapping
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, BinaryIO

import orjson

from opusbridge import texts
from opusbridge.privacy import Private

CALL = "call.json"
TRANSCRIPT = "transcript.json"
RECORDING = "recording.wav"
FLIGHT = "flight.jsonl"

# A name that is one folder on every file system: no separator, no leading dot, no surprise.
_CALL_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,127}")


# ``Private`` is a dataclass, which orjson would write as an object of its own accord.
_JSON = orjson.OPT_INDENT_2 | orjson.OPT_PASSTHROUGH_DATACLASS


def call_folder(data_dir: Path, call_id: str, started: datetime) -> Path:
    """The folder of one call; it is not made here.

    Raises ``ValueError`` for an id that is not a plain name: ids come from outside.
    """
    if not _CALL_ID.fullmatch(call_id):
        raise ValueError("not a call id: 1 to 128 letters, digits, '-', '_' or '.' are allowed")
    return data_dir / "calls" / started.astimezone(UTC).strftime("%Y-%m-%d") / call_id


def make_folder(folder: Path) -> None:
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)


def any_in(folder: Path) -> bool:
    """Whether one of a call's files is there, with something in it."""
    paths = [folder / name for name in (CALL, TRANSCRIPT, RECORDING, FLIGHT)]
    try:
        return any(path.is_file() and path.stat().st_size for path in paths)
    except OSError:
        return False


def open_private(path: Path) -> BinaryIO:
    """A new, empty file for this user only, unbuffered: what is written is written."""
    return open(path, "w+b", buffering=0, opener=_opener)


def write_json(path: Path, value: dict[str, Any]) -> None:
    """As :func:`write_whole`."""
    write_whole(path, as_json(value))


def as_json(value: Mapping[str, Any]) -> bytes:
    return texts.as_json(value, _plain, _JSON)


def write_whole(path: Path, text: bytes) -> None:
    """All of it or nothing: a reader never sees half a file. Raises OSError."""
    unfinished = path.with_name(path.name + ".part")
    try:
        with open_private(unfinished) as file:
            write_all(file, text)
        unfinished.replace(path)
    except OSError:
        take_away(unfinished)
        raise


def take_away(path: Path) -> None:
    """As far as that can be done; it needs no room."""
    with suppress(OSError):
        path.unlink()


def plain(value: Mapping[str, Any]) -> dict[str, Any]:
    """What a file would hold, as values of their own: a copy that shares nothing."""
    found: dict[str, Any] = orjson.loads(as_json(value))
    return found


def write_all(file: BinaryIO, data: bytes) -> None:
    """Unbuffered files may take less than they are given (a disk that is getting full)."""
    view = memoryview(data)
    while view:
        view = view[file.write(view) :]


def _opener(path: str, flags: int) -> int:
    return os.open(path, flags, 0o600)


def _plain(value: object) -> object:
    # These files are the one place where a caller's number and words are meant to be.
    if isinstance(value, Private):
        return value.value
    raise TypeError

"""Which flight recording is meant, for the commands that take one."""

from pathlib import Path
from typing import Annotated

import typer

from opusbridge.errors import ConfigurationError
from opusbridge.recording import files

Given = Annotated[
    Path, typer.Argument(metavar="FILE", help="A call's flight.jsonl, or the folder it is in.")
]


def flight_file(given: Path) -> Path:
    """The file itself.

    :raises ConfigurationError: it is a folder that has none.
    """
    if not given.is_dir():
        return given
    if not (given / files.FLIGHT).is_file():
        raise ConfigurationError(
            f"{given} is a folder without a {files.FLIGHT}: give a call's folder, such as "
            "DATA_DIR/calls/DATE/CALL_ID, or the file itself"
        )
    return given / files.FLIGHT


def warn(flight: Path, unread: str) -> None:
    """One line on stderr where something of the file cannot be read; nothing where ``unread``
    is empty."""
    if unread:
        typer.echo(f"opusbridge: {flight}: {unread}", err=True)

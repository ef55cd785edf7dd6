"""``opusbridge replay``: runs a flight recording through the same code again."""

from pathlib import Path
from typing import Annotated

import typer

from opusbridge.cli import flights
from opusbridge.errors import ConfigurationError
from opusbridge.replay import Replay, regression
from opusbridge.replay import replay as play


def replay(
    flight: flights.Given,
    to_test: Annotated[
        bool, typer.Option("--to-test", help="Write a test for pytest that replays it.")
    ] = False,
    out: Annotated[Path, typer.Option(help="Where the test goes.")] = Path(),
) -> None:
    """Run a flight recording through the engine again; exit 1 at the first difference.

    With --to-test the call, as it was recorded, becomes a regression test.
    """
    flight = flights.flight_file(flight)
    played = _played(flight)
    flights.warn(flight, played.unread)
    typer.echo(str(played))
    if to_test:
        typer.echo(f"written: {_written(flight, played, out)}")
        if played.stopped:
            beyond = f"the test proves nothing beyond {played.seconds:.1f} s"
            flights.warn(flight, f"{beyond}: {played.stopped}")
    if not played.exact:
        raise typer.Exit(1)


def _played(flight: Path) -> Replay:
    try:
        return play(flight)
    except OSError as error:
        raise ConfigurationError(f"{flight} cannot be read: {error.strerror}") from None
    except ValueError as error:
        raise ConfigurationError(f"{flight}: {error}") from None


def _written(flight: Path, played: Replay, out: Path) -> Path:
    try:
        return regression.write_test(flight, played, out)
    except OSError as error:
        where = f"{error.filename}: " if error.filename else ""
        raise ConfigurationError(f"--to-test: {where}{error.strerror or error}") from None

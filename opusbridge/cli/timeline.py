"""``opusbridge timeline``: draws a flight recording as one page."""

from pathlib import Path
from typing import Annotated

import typer

from opusbridge.cli import flights
from opusbridge.errors import ConfigurationError
from opusbridge.recording import timeline as pages


def timeline(
    flight: flights.Given,
    out: Annotated[
        Path | None, typer.Option(help="The page; else timeline.html beside the flight.")
    ] = None,
    embed: Annotated[
        bool, typer.Option("--embed", help="Put the recording into the page, however long.")
    ] = False,
) -> None:
    """Draw a call: both voices, response states, barge-ins, tools, latencies.

    What lies beside the flight (call.json, transcript.json, recording.wav) is drawn, too. Of a
    damaged flight all is drawn that can be read, and on stderr it is told what cannot.
    """
    flight = flights.flight_file(flight)
    page = out or flight.with_name(pages.PAGE)
    try:
        unread = pages.draw(flight, page, embed=embed)
    except OSError as error:
        raise ConfigurationError(f"{error.filename}: {error.strerror}") from None
    except ValueError as error:
        raise ConfigurationError(f"{flight}: {error}") from None
    flights.warn(flight, unread)
    typer.echo(f"written: {page}")

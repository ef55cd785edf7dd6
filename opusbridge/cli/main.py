"""``opusbridge COMMAND``. Exit status: 0 fine, 1 an expectation failed, 2 wrong usage."""

import sys
from typing import Annotated, Any, NoReturn, cast

import typer

from opusbridge.cli import (
    bench,
    call,
    demo,
    doctor,
    model,
    replay,
    serve,
    simulate,
    timeline,
)
from opusbridge.errors import ConfigurationError
from opusbridge.version import VERSION

app = typer.Typer(
    name="opusbridge",
    help="OpenAI's Realtime voice models on the telephone.",
    add_completion=False,
    pretty_exceptions_enable=False,
)


def _version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"opusbridge {VERSION}")
        raise typer.Exit


@app.callback()
def _options(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Say it and exit.")
    ] = False,
) -> None:
    pass


app.command("serve")(serve.serve)
app.command("demo")(demo.demo)
app.command("call")(call.call)
app.command("simulate")(simulate.simulate)
app.command("model")(model.model)
app.command("replay")(replay.replay)
app.command("timeline")(timeline.timeline)
app.command("bench")(bench.bench)
app.command("doctor")(doctor.doctor)


#: What typer raises for a command line it cannot read; it gives this class no name of its own.
_WrongUsage = cast(type[Exception], typer.BadParameter.__base__)

#: As shells have it for a process that was interrupted: neither fine nor a failure.
_INTERRUPTED = 130


def main() -> None:
    """The console script. Wrong usage and configuration are one line on stderr, exit 2."""
    try:
        status = app(prog_name="opusbridge", standalone_mode=False)
    except ConfigurationError as error:
        _refuse("; ".join(str(error).splitlines()))
    except _WrongUsage as error:
        said = " ".join(cast(Any, error).format_message().split())
        _refuse(f"{said.rstrip('.')} (opusbridge --help)")
    except (typer.Abort, KeyboardInterrupt):
        sys.exit(_INTERRUPTED)
    sys.exit(status or 0)


def _refuse(why: str) -> NoReturn:
    typer.echo(f"opusbridge: {why}", err=True)
    sys.exit(2)

"""``opusbridge COMMAND``. Exit status: 0 fine, 1 an expectation failed, 2 wrong usage."""

import sys
from typing import Annotated

import typer

from opusbridge.cli import call, demo, model, serve
from opusbridge.errors import ConfigurationError
from opusbridge.version import VERSION

app = typer.Typer(
    name="opusbridge",
    help="OpenAI's Realtime voice models on the telephone.",
    no_args_is_help=True,
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
app.command("model")(model.model)


def main() -> None:
    """The console script. Configuration errors are one line on stderr, exit 2."""
    try:
        app()
    except ConfigurationError as error:
        typer.echo(f"opusbridge: {error}", err=True)
        sys.exit(2)

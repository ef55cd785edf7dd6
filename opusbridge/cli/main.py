"""``opusbridge COMMAND``. Exit status: 0 fine, 1 an expectation failed, 2 wrong usage."""

import sys
from collections.abc import Sequence
from importlib import import_module
from inspect import getdoc
from typing import Annotated, Any, NoReturn, cast

import typer

from opusbridge.errors import ConfigurationError
from opusbridge.version import VERSION

#: Each is a function of that name in a module of that name, in the order of ``--help``.
COMMANDS = ("serve", "demo", "call", "simulate", "model", "replay", "timeline", "bench", "doctor")


def _version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"opusbridge {VERSION}")
        raise typer.Exit


def _options(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Say it and exit.")
    ] = False,
) -> None:
    pass


def app(words: Sequence[str]) -> typer.Typer:
    """What is run with these words: of the commands only the one that is named by the first.

    ``serve`` need not wait for the simulator's modules.
    """
    found = typer.Typer(
        name="opusbridge",
        help="OpenAI's Realtime voice models on the telephone.",
        add_completion=False,
        pretty_exceptions_enable=False,
    )
    found.callback()(_options)
    named = words[:1] if words and words[0] in COMMANDS else COMMANDS
    for name in named:
        function = getattr(import_module(f"opusbridge.cli.{name}"), name)
        found.command(name, help=_in_paragraphs(getdoc(function) or ""))(function)
    return found


def _in_paragraphs(text: str) -> str:
    """Lines broken for an editor are joined: the terminal breaks them where it ends."""
    paragraphs = text.replace("``", "").split("\n\n")
    return "\n\n".join(" ".join(one.split()) for one in paragraphs)


#: What typer raises for a command line it cannot read; it gives this class no name of its own.
_WrongUsage = cast(type[Exception], typer.BadParameter.__base__)

#: As shells have it for a process that was interrupted: neither fine nor a failure.
_INTERRUPTED = 130


def main() -> None:
    """The console script. Wrong usage and configuration are one line on stderr, exit 2."""
    try:
        status = app(sys.argv[1:])(prog_name="opusbridge", standalone_mode=False)
    except ConfigurationError as error:
        _refuse("; ".join(str(error).splitlines()))
    except _WrongUsage as error:
        said = " ".join(cast(Any, error).format_message().split())
        asked = [word for word in sys.argv[1:2] if word in COMMANDS]
        _refuse(f"{said.rstrip('.')} ({' '.join(['opusbridge', *asked, '--help'])})")
    except (typer.Abort, KeyboardInterrupt):
        sys.exit(_INTERRUPTED)
    sys.exit(status or 0)


def _refuse(why: str) -> NoReturn:
    typer.echo(f"opusbridge: {why}", err=True)
    sys.exit(2)

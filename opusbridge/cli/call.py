"""``opusbridge call``: plays call scripts on real sockets, in real time."""

import asyncio
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Annotated
from urllib.parse import urlsplit
from xml.etree import ElementTree

import typer
from rich.console import Console
from rich.table import Table

from opusbridge import logs
from opusbridge.cli.calling import Played, Side, play, play_against
from opusbridge.config import Settings
from opusbridge.errors import ConfigurationError
from opusbridge.sim import script
from opusbridge.sim.script import CallScript


def call(
    scripts: Annotated[
        list[str],
        typer.Argument(metavar="SCRIPT…", help="A TOML file, or a shipped script's name."),
    ],
    url: Annotated[
        str | None, typer.Option(help="A running bridge, ws://… or wss://…; else one of its own.")
    ] = None,
    telephony: Annotated[Side, typer.Option(help="Which telephony side calls.")] = Side.BOTH,
    out: Annotated[Path | None, typer.Option(help="Keep the files of the calls here.")] = None,
    junit: Annotated[Path | None, typer.Option(help="Write the results as JUnit XML.")] = None,
) -> None:
    """Play call scripts; exit 1 if an expectation of one did not hold.

    Against a bridge elsewhere (``--url``) only what the caller lives through is checked; the
    secrets are those of the settings, as on that bridge.
    """
    logs.configure("text", "warning")
    console = Console(highlight=False, soft_wrap=True)
    loaded = [script.load(name) for name in scripts]
    if out is not None and len({one.name for one in loaded}) < len(loaded):
        raise ConfigurationError("--out: two scripts have the same name, and so the same folder")
    if url is not None and urlsplit(url).scheme not in ("ws", "wss"):
        raise ConfigurationError("--url must begin with ws:// or wss://")
    if url is not None and out is not None:
        raise ConfigurationError(
            "--out: with --url the files are kept by the bridge that is called"
        )
    if junit is not None and not junit.parent.is_dir():
        raise ConfigurationError(f"--junit: there is no folder {junit.parent}")
    settings = None if url is None else Settings.load()
    played: list[Played] = []
    with TemporaryDirectory() as scratch:
        for one in loaded:
            for side in telephony.telephonies:
                console.print(f"{one.name} over {side} …")
                folder = (out or Path(scratch)) / one.name / side
                played.append(asyncio.run(_play(one, side, folder, url, settings)))
    _show(played, console)
    if junit is not None:
        _write(junit, junit_xml(played))
    if any(one.problems for one in played):
        raise typer.Exit(1)


async def _play(
    one: CallScript, side: str, folder: Path, url: str | None, settings: Settings | None
) -> Played:
    if url is None or settings is None:
        return await play(one, side, folder, _nobody_listens)
    return await play_against(one, side, url, settings, _nobody_listens)


def _nobody_listens(side: str, who: str, what: str) -> None:
    pass


def _show(played: list[Played], console: Console) -> None:
    table = Table("script", "telephony", "result")
    for one in played:
        table.add_row(one.script.name, one.telephony, "\n".join(one.problems) or "as expected")
    console.print(table)


def _write(path: Path, content: bytes) -> None:
    try:
        path.write_bytes(content)
    except OSError as error:
        raise ConfigurationError(f"--junit: cannot write {path}: {error.strerror}") from None


def junit_xml(played: list[Played]) -> bytes:
    """One test case for each script and telephony side."""
    failures = sum(bool(one.problems) for one in played)
    counts = {"name": "opusbridge call", "tests": str(len(played)), "failures": str(failures)}
    suite = ElementTree.Element("testsuite", counts)
    for one in played:
        names = {"classname": one.telephony, "name": one.script.name}
        case = ElementTree.SubElement(suite, "testcase", names)
        if one.problems:
            failure = ElementTree.SubElement(case, "failure", {"message": one.problems[0]})
            failure.text = "\n".join(one.problems)
    document: bytes = ElementTree.tostring(suite, encoding="utf-8", xml_declaration=True)
    return document

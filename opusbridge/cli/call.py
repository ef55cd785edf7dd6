"""``opusbridge call``: plays call scripts on real sockets, in real time."""

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Annotated

import typer
from rich.console import Console
from rich.markup import escape

from opusbridge import logs
from opusbridge.agent import Agent
from opusbridge.cli import cut_off, reports
from opusbridge.cli import scripts as named
from opusbridge.cli.calling import Side, play, play_against
from opusbridge.cli.progress import progress
from opusbridge.config import Settings
from opusbridge.errors import ConfigurationError
from opusbridge.receptionist import RECEPTIONIST
from opusbridge.recording import timeline
from opusbridge.sim.script import CallScript
from opusbridge.testing.result import CallResult


def call(
    scripts: Annotated[
        list[str],
        typer.Argument(metavar="SCRIPT", help=f"Each {named.NAMED}."),
    ],
    url: Annotated[
        str | None, typer.Option(help="A running bridge, ws://… or wss://…; else one of its own.")
    ] = None,
    telephony: Annotated[Side, typer.Option(help="Which telephony side calls.")] = Side.BOTH,
    out: Annotated[Path | None, typer.Option(help="Keep the files of the calls here.")] = None,
    junit: Annotated[Path | None, typer.Option(help="Write the results as JUnit XML.")] = None,
    agent: Annotated[
        str | None,
        typer.Option(help="Who answers: FILE.py[:NAME] or FILE.toml; else the receptionist."),
    ] = None,
    real_model: Annotated[
        bool, typer.Option("--real-model", help="The model of the settings; it costs money.")
    ] = False,
    strict: Annotated[
        bool, typer.Option("--strict", help="What could not be checked has failed.")
    ] = False,
) -> None:
    """Play call scripts on real sockets, in real time; exit 1 if something did not hold.

    Each call has a bridge and a simulated model of its own, on this machine: no telephone and
    no key are needed.

    With --url a bridge that runs elsewhere is called instead. Only what the caller lives through
    is checked then, and the secrets are those of the settings of this folder: they must be that
    bridge's.
    """
    logs.configure("text", "warning")
    console = Console(highlight=False, soft_wrap=True)
    loaded = named.load(scripts)
    _check(loaded, url, out, agent, real_model)
    reports.check_writable(junit)
    who = RECEPTIONIST if agent is None else Agent.load(agent)
    settings = _settings(url, real_model)
    pairs = named.pairs(loaded, telephony)
    if url is None:
        named.check(loaded, who, names=not real_model)
    folders = _folders(loaded)
    with TemporaryDirectory() as scratch:
        kept, shown = out or Path(scratch), progress(pairs, console, _named)
        results = cut_off.run(_play_all(shown, kept, folders, url, settings, who))
    reports.show(results, console, strict)
    _hint(results, who if url is None else None, console)
    if out is not None:
        _name_pages(results, [out / folders[one.script.file] for one in results], console)
    if junit is not None:
        reports.write(junit, reports.junit_xml(results, "call", strict))
    if any(reports.failures(one, strict) for one in results):
        raise typer.Exit(1)


def _hint(results: Sequence[CallResult], who: Agent | None, console: Console) -> None:
    """What may explain the results: who answered (``None``: a bridge elsewhere), and who could have
    been told what to say."""
    if who is RECEPTIONIST:
        reports.show_who_answered(results, console)
    elif who is None and any("model" in one.not_played for one in results):
        console.print("that bridge's model can be given its part: opusbridge model --script SCRIPT")


def _check(
    loaded: list[CallScript], url: str | None, out: Path | None, agent: str | None, real: bool
) -> None:
    if out is not None:
        _check_folders(loaded)
    if url is None:
        return
    if not url.startswith(("ws://", "wss://")):
        raise ConfigurationError("--url must begin with ws:// or wss://")
    if out is not None:
        raise ConfigurationError(
            "--out: with --url the files are kept by the bridge that is called"
        )
    if agent is not None or real:
        raise ConfigurationError("--agent and --real-model are the bridge's own, not with --url")


def _folders(loaded: list[CallScript]) -> dict[str, Path]:
    """Of the calls of each script, by its file: its name, or the file's where another has that."""
    names = reports.script_names(loaded)
    return {one.file: _folder(one, name) for one, name in zip(loaded, names, strict=True)}


def _folder(one: CallScript, name: str) -> Path:
    path = Path(name if name == one.name else name.removesuffix(".toml"))
    return Path(*(part for part in path.parts if part not in (path.anchor, "..")))


def _check_folders(loaded: list[CallScript]) -> None:
    folders, taken = _folders(loaded), dict[Path, str]()
    for one in loaded:
        folder = folders[one.file]
        if folder in taken:
            raise ConfigurationError(
                f"--out: {taken[folder]} and {one.file} have the same folder, {folder}"
            )
        taken[folder] = one.file


def _settings(url: str | None, real_model: bool) -> Settings | None:
    """Those of this folder, where they matter."""
    if url is None and not real_model:
        return None
    settings = Settings.load()
    if real_model and settings.openai_api_key is None:
        raise ConfigurationError("--real-model: OPENAI_API_KEY is not set")
    return settings


def _named(pair: tuple[CallScript, str]) -> str:
    return f"{pair[0].name} over {pair[1]}"


async def _play_all(
    pairs: Iterable[tuple[CallScript, str]],
    out: Path,
    folders: Mapping[str, Path],
    url: str | None,
    settings: Settings | None,
    agent: Agent,
) -> list[CallResult]:
    """One after the other."""
    return [
        await _play(one, side, out / folders[one.file] / side, url, settings, agent)
        for one, side in pairs
    ]


async def _play(
    one: CallScript,
    side: str,
    folder: Path,
    url: str | None,
    settings: Settings | None,
    agent: Agent,
) -> CallResult:
    if url is None or settings is None:
        return (await play(one, side, folder, _nobody_listens, agent, settings)).result
    return await play_against(one, side, url, settings)


def _name_pages(results: list[CallResult], folders: list[Path], console: Console) -> None:
    for played, folder in zip(results, folders, strict=True):
        page = folder / played.telephony / timeline.PAGE
        if page.exists():
            console.print(escape(f"to be looked at: {page}"))


def _nobody_listens(side: str, who: str, what: str) -> None:
    pass

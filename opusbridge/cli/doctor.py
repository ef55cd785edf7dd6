"""``opusbridge doctor``: what stands between this machine and a call, and the cure."""

import asyncio
from typing import Annotated

import typer
from rich.console import Console
from rich.markup import escape

from opusbridge import logs
from opusbridge.doctor.examination import examine
from opusbridge.doctor.explanations import explained
from opusbridge.doctor.findings import Finding, State
from opusbridge.errors import ConfigurationError

_SIGNS = {
    State.FINE: "[green]ok     [/]",
    State.WARNING: "[yellow]warning[/]",
    State.FAILED: "[red]FAILED [/]",
    State.SKIPPED: "[dim]skipped[/]",
}


def doctor(
    host: Annotated[str, typer.Option(help="Where serve listens, or is to listen.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=0, max=65535, help="Its port.")] = 8000,
    agent: Annotated[
        str | None, typer.Option(help="FILE.py[:NAME] or FILE.toml; OPUSBRIDGE_AGENT otherwise.")
    ] = None,
    explain: Annotated[
        str | None,
        typer.Option(help="Explain a Twilio error code, a refusal or an ending, and exit."),
    ] = None,
) -> None:
    """Check configuration, model, public URL and telephony; each failure comes with its cure."""
    console = Console(highlight=False, soft_wrap=True)
    if explain is not None:
        _explain(console, explain)
        return
    logs.configure("text", "error")  # what is found is told by what is found
    overrides = {} if agent is None else {"agent": agent}
    if not asyncio.run(_examine(console, host.strip("[]"), port, overrides)):
        raise typer.Exit(1)


async def _examine(console: Console, host: str, port: int, overrides: dict[str, str]) -> bool:
    """Whether nothing failed."""
    failures = warnings = 0
    async for finding in examine(host, port, **overrides):
        _show(console, finding)
        failures += finding.state is State.FAILED
        warnings += finding.state is State.WARNING
    console.print(f"{failures} failed, {warnings} to look at")
    return not failures


def _show(console: Console, finding: Finding) -> None:
    sign = _SIGNS[finding.state]
    console.print(f"{sign}  {escape(finding.about)}: {escape(finding.what)}")
    if finding.cure:
        console.print(f"         → {escape(finding.cure)}")


def _explain(console: Console, word: str) -> None:
    found = explained(word)
    if not found:
        raise ConfigurationError(
            "--explain: not known; it takes a code of Twilio's, such as 31920, or the reason of a "
            "refusal or an ending, such as bad-signature or model-refused-us"
        )
    for what, one in found.items():
        shown = word if len(found) == 1 else f"{word}, {what}"
        console.print(f"{escape(shown)}: {escape(one.meaning)}")
        console.print(f"→ {escape(one.cure)}")
        if one.source:
            console.print(one.source)

"""``opusbridge demo``: one whole call on each telephony side, heard without a key."""

import asyncio
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.text import Text

from opusbridge import logs
from opusbridge.cli import cut_off
from opusbridge.cli.calling import KEPT, Played, Side, play
from opusbridge.sim import script

STYLES = {"caller": "cyan", "agent": "green", "bridge": "dim"}


def demo(
    telephony: Annotated[Side, typer.Option(help="Which telephony side calls.")] = Side.BOTH,
    out: Annotated[Path, typer.Option(help="Where the files go.")] = Path("demo-calls"),
) -> None:
    """Call the bridge over real sockets on loopback, with a simulated model: no key needed.

    Leaves recording, transcript, flight recording and timeline of each call; exit 0 only if
    every expectation of the call held.
    """
    logs.configure("text", "warning")
    console = Console(highlight=False, soft_wrap=True)
    sides = telephony.telephonies
    console.print(f"Calling over {' and '.join(sides)}; this takes as long as a phone call does.")
    played = cut_off.run(_play_all(sides, out, console))
    for one in played:
        _report(one, console)
    if not all(one.result.ok for one in played):
        raise typer.Exit(1)
    console.print("Every expectation held.")


async def _play_all(sides: tuple[str, ...], out: Path, console: Console) -> list[Played]:
    def tell(side: str, who: str, what: str) -> None:
        line = Text(f"{side:<11}{who:<7}", STYLES.get(who, ""))
        console.print(line.append(what, "default" if who != "bridge" else "dim"))

    calls = [play(script.load("opening-hours"), side, out / side, tell) for side in sides]
    return list(await asyncio.gather(*calls))


def _report(played: Played, console: Console) -> None:
    console.print(f"\n{played.telephony}: {played.folder.resolve()}")
    for name in KEPT:
        size = (played.folder / name).stat().st_size if (played.folder / name).exists() else None
        console.print(f"  {name:<16} {'missing' if size is None else f'{size / 1000:.0f} kB'}")
    for problem in played.result.failures:
        console.print(f"  not as expected: {problem}", style="red", markup=False)

"""``opusbridge simulate``: calls in virtual time, written or random, on a good day or a bad one."""

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from opusbridge import logs
from opusbridge.agent import Agent
from opusbridge.cli import reports
from opusbridge.cli.calling import Side
from opusbridge.cli.progress import progress
from opusbridge.errors import ConfigurationError
from opusbridge.receptionist import RECEPTIONIST
from opusbridge.sim import script
from opusbridge.sim.guarantees import GUARANTEES
from opusbridge.sim.script import CallScript
from opusbridge.testing import virtual
from opusbridge.testing.chaos import Tried, scripted, seeded
from opusbridge.testing.result import CallResult

#: Objections shown for each guarantee that did not hold; the first ones say most.
SHOWN = 5


def simulate(
    scripts: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[SCRIPT…]",
            help="A TOML file, or a shipped script's name; none: all that are shipped.",
        ),
    ] = None,
    seeds: Annotated[
        int | None, typer.Option(min=1, help="So many seeds; without a script: random calls.")
    ] = None,
    seed_from: Annotated[int, typer.Option(min=0, help="The first of the seeds.")] = 1,
    chaos: Annotated[
        bool, typer.Option("--chaos", help="On a bad day: drops, stalls, jitter, skew.")
    ] = False,
    telephony: Annotated[Side, typer.Option(help="Which telephony side calls.")] = Side.BOTH,
    junit: Annotated[Path | None, typer.Option(help="Write the results as JUnit XML.")] = None,
    agent: Annotated[
        str | None, typer.Option(help="Who answers: FILE.py[:NAME] or FILE.toml.")
    ] = None,
) -> None:
    """Play call scripts in virtual time, or random calls; exit 1 if something did not hold.

    With ``--chaos`` or without a script the promises are judged that hold for every call,
    each by its name; otherwise the scripts' expectations as well.
    """
    logs.configure("text", "error")
    console = Console(highlight=False, soft_wrap=True)
    reports.check_writable(junit)
    who = RECEPTIONIST if agent is None else Agent.load(agent)
    if seeds is None and not chaos:
        pairs = _pairs(scripts or script.shipped(), telephony)
        _expect(pairs, who, console, junit)
        return
    if junit is not None:
        raise ConfigurationError("--junit: seeds make no test cases; leave --seeds or --junit out")
    numbers = range(seed_from, seed_from + (seeds or 20))
    if scripts:
        tried = [
            scripted(one, side, seed, who, chaos)
            for (one, side), seed in progress(
                [(pair, seed) for pair in _pairs(scripts, telephony) for seed in numbers],
                console,
                lambda what: f"{what[0][0].name} over {what[0][1]}, seed {what[1]}",
            )
        ]
    else:
        tried = [seeded(seed, chaos) for seed in progress(numbers, console, "seed {}".format)]
    _promise(tried, console)


def _pairs(names: Sequence[str], telephony: Side) -> list[tuple[CallScript, str]]:
    loaded = [script.load(name) for name in names]
    pairs: list[tuple[CallScript, str]]
    pairs = [(one, side) for one in loaded for side in telephony.telephonies
             if side in one.telephony]  # fmt: skip
    if not pairs:
        raise ConfigurationError(f"--telephony: none of these scripts is for {telephony.value}")
    return pairs


def _expect(
    pairs: Sequence[tuple[CallScript, str]], agent: Agent, console: Console, junit: Path | None
) -> None:
    results: list[CallResult] = [
        virtual.play(one, side, agent)
        for one, side in progress(pairs, console, lambda pair: f"{pair[0].name} over {pair[1]}")
    ]
    reports.show(results, console)
    if junit is not None:
        reports.write(junit, reports.junit_xml(results, "simulate"))
    if not all(one.ok for one in results):
        raise typer.Exit(1)


def _promise(tried: Sequence[Tried], console: Console) -> None:
    table = Table("promise", "what it says", "held")
    for guarantee in GUARANTEES:
        broken = [(one.name, why) for one in tried for why in one.broken[guarantee.name]]
        told = [f"{name}: {why}" for name, why in broken[:SHOWN]]
        if len(broken) > SHOWN:
            told.append(f"… and {len(broken) - SHOWN} more")
        calls = len({name for name, _ in broken})
        verdict = f"no, in {calls} of {len(tried)} calls\n" if broken else f"in all {len(tried)}"
        table.add_row(guarantee.name, guarantee.promise, escape(verdict + "\n".join(told)))
    console.print(table)
    length = sum(one.call_seconds for one in tried)
    console.print(f"{len(tried)} calls, {length:.0f} s of telephone")
    if any(why for one in tried for why in one.broken.values()):
        raise typer.Exit(1)

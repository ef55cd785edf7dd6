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
from opusbridge.cli import scripts as named
from opusbridge.cli.calling import Side
from opusbridge.cli.progress import progress
from opusbridge.errors import ConfigurationError
from opusbridge.receptionist import RECEPTIONIST
from opusbridge.sim import script
from opusbridge.sim.guarantees import GUARANTEES
from opusbridge.sim.script import CallScript
from opusbridge.sim.script.expect import ExpectTable
from opusbridge.testing import virtual
from opusbridge.testing.chaos import Tried, scripted, seeded
from opusbridge.testing.result import CallResult

#: Objections shown for each guarantee that did not hold; the first ones say most.
SHOWN = 5


def simulate(
    scripts: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="SCRIPT",
            help=f"Each {named.NAMED}; without any: all that do, or random calls with --seeds "
            "or --chaos.",
        ),
    ] = None,
    seeds: Annotated[
        int | None,
        typer.Option(min=1, help="So many times each script, or so many random calls."),
    ] = None,
    seed_from: Annotated[int, typer.Option(min=0, help="The first of the seeds.")] = 1,
    chaos: Annotated[
        bool,
        typer.Option("--chaos", help="On a bad day of the network: drops, stalls, jitter, skew."),
    ] = False,
    telephony: Annotated[Side, typer.Option(help="Which telephony side calls.")] = Side.BOTH,
    junit: Annotated[Path | None, typer.Option(help="Write the results as JUnit XML.")] = None,
    agent: Annotated[
        str | None,
        typer.Option(help="Who answers: FILE.py[:NAME] or FILE.toml; else the receptionist."),
    ] = None,
) -> None:
    """Play call scripts, or random calls, in virtual time; exit 1 if something did not hold.

    A call script is a TOML file: what the caller does, what the model says, what must come of
    it. Caller, telephony and model are simulated: no telephone and no key are needed, and a
    minute takes a fraction of a second. The agent's own tools are run.

    By itself each script is played once, and what it expects is judged. With --seeds or --chaos
    the promises are judged that hold for every call, each by its name.
    """
    logs.configure("text", "error")
    console = Console(highlight=False, soft_wrap=True)
    reports.check_writable(junit)
    who = RECEPTIONIST if agent is None else Agent.load(agent)
    if seeds is None and not chaos:
        _expect(_pairs(scripts or script.shipped(), telephony, who), who, console, junit)
        return
    if junit is not None:
        raise ConfigurationError("--junit: seeds make no test cases; leave --seeds or --junit out")
    if not scripts and (agent is not None or telephony is not Side.BOTH):
        raise ConfigurationError(
            "--agent and --telephony: random calls have their own; name a script to play"
        )
    numbers = range(seed_from, seed_from + (seeds or 20))
    pairs = _pairs(scripts, telephony, who) if scripts else []
    expecting = any(one.expect != ExpectTable() for one, _ in pairs)
    _promise(_tried(pairs, numbers, who, chaos, console), expecting, console)


def _pairs(scripts: Sequence[str], telephony: Side, agent: Agent) -> list[tuple[CallScript, str]]:
    loaded = named.load(scripts)
    named.check(loaded, agent)
    return named.pairs(loaded, telephony)


def _tried(
    pairs: Sequence[tuple[CallScript, str]],
    seeds: range,
    agent: Agent,
    chaos: bool,
    console: Console,
) -> list[Tried]:
    """Each script with each seed; without any, random calls."""
    if not pairs:
        return [seeded(seed, chaos) for seed in progress(seeds, console, "seed {}".format)]
    return [
        scripted(one, side, seed, agent, chaos)
        for (one, side), seed in progress(
            [(pair, seed) for pair in pairs for seed in seeds],
            console,
            lambda what: f"{what[0][0].name} over {what[0][1]}, seed {what[1]}",
        )
    ]


def _expect(
    pairs: Sequence[tuple[CallScript, str]], agent: Agent, console: Console, junit: Path | None
) -> None:
    results: list[CallResult] = [
        virtual.play(one, side, agent)
        for one, side in progress(pairs, console, lambda pair: f"{pair[0].name} over {pair[1]}")
    ]
    reports.show(results, console)
    if agent is RECEPTIONIST:
        reports.show_who_answered(results, console)
    if junit is not None:
        reports.write(junit, reports.junit_xml(results, "simulate"))
    if not all(one.ok for one in results):
        raise typer.Exit(1)


def _promise(tried: Sequence[Tried], expecting: bool, console: Console) -> None:
    table = Table("promise", "what it says", "held")
    for guarantee in GUARANTEES:
        broken = [(one.name, why) for one in tried for why in one.broken[guarantee.name]]
        calls = len({name for name, _ in broken})
        judged = sum(guarantee.name not in one.unjudged for one in tried)
        verdict = f"no, in {calls} of {len(tried)} calls\n" if broken else _held(judged, len(tried))
        table.add_row(guarantee.name, guarantee.promise, escape(verdict + _first(broken)))
    console.print(table)
    if expecting:
        told = "not judged: [expect] of the scripts; it is without --seeds and --chaos"
        console.print(told, markup=False)
    problems = [(one.name, why) for one in tried for why in one.problems]
    if problems:
        console.print(escape("of the agent's own:\n" + _first(problems)))
    length = sum(one.call_seconds for one in tried)
    console.print(f"{len(tried)} calls, {length:.0f} s of telephone")
    if problems or any(why for one in tried for why in one.broken.values()):
        raise typer.Exit(1)


def _held(judged: int, calls: int) -> str:
    """In some calls there is nobody who could find a promise broken."""
    if judged == calls:
        return f"in all {calls}"
    return f"in all {judged} judged of {calls}" if judged else f"judged in none of {calls}"


def _first(told: Sequence[tuple[str, str]]) -> str:
    lines = [f"{name}: {why}" for name, why in told[:SHOWN]]
    return "\n".join([*lines, f"… and {len(told) - SHOWN} more"] if told[SHOWN:] else lines)

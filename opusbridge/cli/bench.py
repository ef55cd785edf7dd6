"""``opusbridge bench``: how many calls a core of this machine carries, and what each costs."""

import asyncio
import signal
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Annotated

import orjson
import typer
from rich.console import Console
from rich.table import Table

from opusbridge.bench import campaign, processes
from opusbridge.bench.hostile import MANNERS
from opusbridge.bench.lines import KINDS
from opusbridge.bench.measure import Measured, Setup, Tell, measure
from opusbridge.bench.stamps import MOST_CALLS
from opusbridge.errors import ConfigurationError
from opusbridge.web import capacity

TABLE_WIDTH = 100
SOCKETS = ("auto", "default", "fast")

SocketsOption = Annotated[
    str, typer.Option(metavar="auto|default|fast", help="As OPUSBRIDGE_SOCKETS.")
]
AgainstOption = Annotated[
    list[Path] | None, typer.Option(help="Another server, run with --port and --model.")
]
#: Of what is kept, what may be left out.
WITHOUT = {"no-flight": {"flight": False}, "no-record": {"record": False}}
AlsoOption = Annotated[
    list[str] | None, typer.Option(help=f"Also without something: {', '.join(WITHOUT)}.")
]
HostileOption = Annotated[
    list[str] | None, typer.Option(help=f"Also with such a peer: {', '.join(MANNERS)}.")
]


def bench(
    calls: Annotated[
        str | None,
        typer.Option(metavar="N,…", help="These numbers of calls; else up to the most that go."),
    ] = None,
    seconds: Annotated[float, typer.Option(min=1, help="How long each is measured.")] = 10.0,
    rounds: Annotated[int, typer.Option(min=1, help="Each this often, turn and turn about.")] = 1,
    telephony: Annotated[
        str, typer.Option(metavar="KIND,…", help=f"How they call: {', '.join(KINDS)}.")
    ] = "twilio",
    record: Annotated[bool, typer.Option(help="Keep recordings, as OPUSBRIDGE_RECORD.")] = True,
    flight: Annotated[bool, typer.Option(help="Keep flights, as OPUSBRIDGE_FLIGHT.")] = True,
    sockets: SocketsOption = "auto",
    against: AgainstOption = None,
    also: AlsoOption = None,
    hostile: HostileOption = None,
    json: Annotated[Path | None, typer.Option(help="Write all figures here.")] = None,
    write: Annotated[
        Path | None, typer.Option(help="Write the capacity found, for OPUSBRIDGE_CAPACITY_FILE.")
    ] = None,
) -> None:
    """Simulated calls against ``serve`` and a light model, each in a process of its own.

    Exit 1 if a frame of ours was lost or damaged, or not even the first rung was sustained.
    """
    processes.check_machine()
    levels = None if calls is None else _numbers(calls)
    if sockets not in SOCKETS:
        raise ConfigurationError(f"--sockets: {sockets!r} is none of {', '.join(SOCKETS)}")
    ours = partial(Setup, record=record, flight=flight, sockets=sockets)
    setups = _setups(telephony, ours, against or [], also or [], hostile or [])
    _check(levels, setups, json, write)
    with Console(stderr=True).status("starting") as status:
        if levels is None:
            work = campaign.ladder(partial(_climb, setups[0], seconds, status.update))
        else:
            work = campaign.in_turn(setups, levels, seconds, rounds, status.update)
        measured = asyncio.run(_until_told(work))
    floor = next((one for one in setups if one.against), setups[-1 if also else 0])
    rows = campaign.rows(measured, floor.name)
    found = campaign.highest(measured) if levels is None else None
    _show(rows, found, measured)
    if json is not None:
        json.write_bytes(_figures(measured, rows, found))
    if write is not None and found:
        capacity.write(write, found, campaign.machine())
    own = {one.name for one in setups if one.against is None}
    # The last rung of a ladder is meant to break; otherwise nothing may be lost, ever.
    well = all(one.whole for one in measured if one.setup in own) if levels else found
    raise typer.Exit(0 if well else 1)


async def _until_told(work: Awaitable[list[Measured]]) -> list[Measured]:
    """Whoever ends us ends the processes we have started, too."""
    loop, task = asyncio.get_running_loop(), asyncio.current_task()
    assert task is not None
    loop.add_signal_handler(signal.SIGTERM, task.cancel)
    try:
        return await work
    except asyncio.CancelledError:
        raise KeyboardInterrupt from None
    finally:
        loop.remove_signal_handler(signal.SIGTERM)


def _check(
    levels: list[int] | None, setups: Sequence[Setup], json: Path | None, write: Path | None
) -> None:
    if levels is None and len(setups) > 1:
        raise ConfigurationError("--calls is needed where several things are compared")
    if levels is None and not KINDS[setups[0].kind].stamped:
        raise ConfigurationError(
            f"{setups[0].kind} is resampled, so nobody can tell how late its sound is: "
            "--calls is needed"
        )
    if write is not None and levels is not None:
        raise ConfigurationError("--write is for the capacity that bench finds without --calls")
    for path in (json, write):
        if path is not None and not path.absolute().parent.is_dir():
            raise ConfigurationError(f"there is no folder {path.parent}")


async def _climb(setup: Setup, seconds: float, tell: Tell, calls: int) -> Measured:
    return await measure(setup, calls, seconds, tell)


def _numbers(text: str) -> list[int]:
    numbers = [int(one) if one.strip().isdecimal() else 0 for one in text.split(",")]
    if not all(0 < one <= MOST_CALLS for one in numbers):
        raise ConfigurationError(f"--calls takes numbers from 1 to {MOST_CALLS}, with commas")
    return numbers


def _setups(
    telephony: str,
    make: Callable[..., Setup],
    against: Sequence[Path],
    also: Sequence[str],
    hostile: Sequence[str],
) -> list[Setup]:
    kinds = [one.strip() for one in telephony.split(",")]
    for wrong in [one for one in kinds if one not in KINDS]:
        raise ConfigurationError(f"--telephony: {wrong!r} is none of {', '.join(KINDS)}")
    for wrong in [one for one in hostile if one not in MANNERS]:
        raise ConfigurationError(f"--hostile: {wrong!r} is none of {', '.join(MANNERS)}")
    for wrong in [one for one in also if one not in WITHOUT]:
        raise ConfigurationError(f"--also: {wrong!r} is none of {', '.join(WITHOUT)}")
    for path in against:
        if not path.is_file():
            raise ConfigurationError(f"--against: there is no file {path}")
    if against and kinds != ["twilio"]:
        raise ConfigurationError("--against is for Twilio's calls: relays speak nothing else")
    ours = [make(kind, kind) for kind in kinds]
    found = list(ours)
    for manner in hostile:
        found += [make(f"{one.name}, {manner}", one.kind, hostile=(manner,)) for one in ours]
    for less in also:
        found += [make(f"{one.name}, {less}", one.kind, **WITHOUT[less]) for one in ours]
    return found + [Setup(path.name, against=path) for path in against]


def _show(rows: Sequence[campaign.Row], found: int | None, measured: Sequence[Measured]) -> None:
    console = Console(highlight=False)
    console.width = max(console.width, TABLE_WIDTH)  # rather wrapped by the terminal than cut
    console.print(_table(rows))
    _complain(console, rows)
    if found is not None:
        why = next((one.gave_out for one in measured if one.gave_out), None)
        limit = "" if why is None else f"; above it the {why} gave out"
        console.print(f"{found} calls on one core are sustained{limit}.")


def _table(rows: Sequence[campaign.Row]) -> Table:
    table = Table(box=None, pad_edge=False)
    table.add_column("", no_wrap=True)
    for name in ("calls", "CPU\nms/s", "ratio", "calls\na core", "up ms\np50", "\np99"):
        table.add_column(name, justify="right", no_wrap=True)
    for name in ("down ms\np50", "\np99", "clear\np99", "KB a\ncall"):
        table.add_column(name, justify="right", no_wrap=True)
    for row in rows:
        times = (row.up_p50_us, row.up_p99_us, row.down_p50_us, row.down_p99_us, row.clear_p99_us)
        table.add_row(
            row.setup,
            str(row.calls),
            f"{row.cpu_ms_per_call:.2f}",
            f"{row.ratio:.2f}",
            str(row.calls_per_core),
            *("-" if one is None else f"{one / 1000:.2f}" for one in times),
            f"{row.memory_kb_per_call:.0f}",
        )
    return table


def _complain(console: Console, rows: Sequence[campaign.Row]) -> None:
    for row in rows:
        what = [f"{row.lost} frames lost"] if row.lost else []
        what += [f"{row.damaged} frames damaged"] if row.damaged else []
        what += [f"the {row.gave_out} gave out"] if row.gave_out else []
        if what:
            console.print(f"{row.setup}, {row.calls} calls: {', '.join(what)}")


def _figures(
    measured: Sequence[Measured], rows: Sequence[campaign.Row], found: int | None
) -> bytes:
    told = {
        "machine": campaign.machine(),
        "sustained_calls": found,
        "rows": [asdict(one) for one in rows],
        "measured": [one.as_json() for one in measured],
    }
    return orjson.dumps(told, option=orjson.OPT_INDENT_2) + b"\n"

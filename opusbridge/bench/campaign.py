"""Several measurements that belong together: turn and turn about, or up a ladder."""

import platform
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from statistics import median
from typing import Any

from opusbridge.bench.measure import Measured, Setup, Tell, measure
from opusbridge.bench.stamps import MOST_CALLS

#: The first rung, from whose cost the others are reckoned.
FIRST_RUNG = 25
#: Of the calls that the first rung's cost would fill the core with, the share to try first: a
#: core that is nearly full has nothing left for bunching.
HOPE = 0.75
#: One rung to the next.
STEP = 1.15
MOST_RUNGS = 12
#: Processor time of a core that one second has, in ms, and what of it calls may use.
_CORE_MS = 950.0


async def in_turn(
    setups: Sequence[Setup], calls: Sequence[int], seconds: float, rounds: int, tell: Tell
) -> list[Measured]:
    """At each level every setup, ``rounds`` times: A B A B, so that a change of the machine's
    own mood falls on all of them."""
    found = []
    for count in calls:
        for number in range(rounds):
            for setup in setups:
                tell(f"round {number + 1} of {rounds}")
                found.append(await measure(setup, count, seconds, tell))
    return found


async def ladder(climb: Callable[[int], Awaitable[Measured]]) -> list[Measured]:
    """Rung by rung to the highest number of calls that is sustained: see :func:`highest`.

    ``climb`` measures so many calls.
    """
    found = [await climb(FIRST_RUNG)]
    if not found[0].sustained:
        return found
    calls = max(FIRST_RUNG + 1, round(implied(found[0].cpu_ms_per_call) * HOPE))
    upwards: bool | None = None
    while len(found) < MOST_RUNGS and FIRST_RUNG < calls <= MOST_CALLS:
        found.append(await climb(calls))
        up = found[-1].sustained
        if upwards is not None and up != upwards:
            break  # the rung before was on the other side
        upwards = up
        calls = round(calls * STEP) if up else round(calls / STEP)
    return found


def highest(rungs: Sequence[Measured]) -> int:
    """The most calls that were sustained; 0 if none were."""
    return max((one.calls for one in rungs if one.sustained), default=0)


def implied(cpu_ms_per_call: float) -> int:
    """How many calls of that cost fill a core."""
    return int(_CORE_MS / cpu_ms_per_call) if cpu_ms_per_call else 0


@dataclass(frozen=True, slots=True)
class Row:
    """One setup at one level: the medians of its rounds."""

    setup: str
    calls: int
    rounds: int
    cpu_ms_per_call: float
    ratio: float
    """Of that to the reference's."""
    calls_per_core: int
    # None where nothing was measured: sound that is resampled carries no stamps.
    up_p50_us: float | None
    up_p99_us: float | None
    down_p50_us: float | None
    down_p99_us: float | None
    clear_p99_us: float | None
    memory_kb_per_call: float
    lost: int
    damaged: int
    sustained: bool
    gave_out: str | None


def rows(measured: Sequence[Measured], reference: str) -> list[Row]:
    """In the order in which they were measured; ``reference`` is the setup with ratio 1."""
    groups: dict[tuple[int, str], list[Measured]] = {}
    for one in measured:
        groups.setdefault((one.calls, one.setup), []).append(one)
    costs = {key: median(one.cpu_ms_per_call for one in group) for key, group in groups.items()}
    found = []
    for (calls, setup), group in groups.items():
        base = costs.get((calls, reference)) or costs[calls, setup]
        found.append(_row(group, costs[calls, setup], base))
    return found


def _row(group: Sequence[Measured], cost: float, base: float) -> Row:
    def of(name: str, which: str) -> float | None:
        found = [one for one in (getattr(each, name) for each in group) if one.get("count")]
        return float(median(one[which] for one in found)) if found else None

    return Row(
        setup=group[0].setup,
        calls=group[0].calls,
        rounds=len(group),
        cpu_ms_per_call=cost,
        ratio=cost / base if base else 0.0,
        calls_per_core=implied(cost),
        up_p50_us=of("up_us", "p50"),
        up_p99_us=of("up_us", "p99"),
        down_p50_us=of("down_us", "p50"),
        down_p99_us=of("down_us", "p99"),
        clear_p99_us=of("clear_us", "p99"),
        memory_kb_per_call=median(one.memory_kb_per_call for one in group),
        lost=sum(one.lost_up + one.lost_down for one in group),
        damaged=sum(one.damaged for one in group),
        sustained=all(one.sustained for one in group),
        gave_out=next((one.gave_out for one in group if one.gave_out), None),
    )


def machine() -> dict[str, Any]:
    """Where this was measured: figures without it mean nothing."""
    return {
        "system": platform.system(),
        "processor": _processor(),
        "python": platform.python_version(),
        **{name: _version(name) for name in ("opusbridge", "uvicorn", "uvloop", "websockets")},
    }


def _processor() -> str:
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        name, _, value = line.partition(":")
        if name.strip() == "model name":
            return value.strip()
    return platform.machine()


def _version(name: str) -> str | None:
    try:
        return version(name)
    except PackageNotFoundError:
        return None

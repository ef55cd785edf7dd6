"""One measurement: a server, a number of calls, some seconds, and what came of it."""

import asyncio
import os
import sys
from collections.abc import Callable, Sequence
from contextlib import AsyncExitStack
from dataclasses import asdict, dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from opusbridge.bench import processes, stamps
from opusbridge.bench.lines import KINDS
from opusbridge.bench.processes import Process, Usage

#: Seconds between the last call's beginning and the measurement; no more than that takes.
SETTLE_SECONDS = 3.0
#: Seconds for what is on its way to arrive, and for calls to come to their end.
REST_SECONDS = 1.5
#: Calls placed in a second: a tenth of what a core spends on beginning them.
CALLS_A_SECOND = 40.0
#: Sustained: the 99th percentile of what the bridge adds stays below. A caller cannot hear it.
SUSTAINED_US = 50_000
#: A generator further behind its own timetable, or with less of its core to spare, gave out.
GENERATOR_LATE_US = 20_000
GENERATOR_BUSY = 0.95
#: A clear belongs to a barge-in this long before it at most.
_CLEAR_NS = 2_000_000_000

_SCRIPT = b"#!/usr/bin/env python3"

Tell = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Setup:
    """What is measured, and how it is called."""

    name: str
    kind: str = "twilio"
    record: bool = True
    flight: bool = True
    against: Path | None = None
    """Another server, in place of ours: run with ``--port`` and ``--model``."""
    hostile: tuple[str, ...] = ()
    sockets: str = "auto"
    """As ``OPUSBRIDGE_SOCKETS``."""
    python: str = sys.executable

    @property
    def webhook(self) -> bool:
        return self.against is None and self.kind == "twilio"

    def command(self, port: int, model: int) -> list[str]:
        if self.against is None:
            return [self.python, "-P", "-m", "opusbridge", "serve", "--port", str(port)]
        with self.against.open("rb") as file:
            ours = file.readline().strip() == _SCRIPT
        url = f"ws://127.0.0.1:{model}/v1/realtime"
        words = [str(self.against.resolve()), "--port", str(port), "--model", url]
        return [self.python, *words] if ours else words

    def environment(self, model: int, folder: Path) -> dict[str, str]:
        """Ours without any setting of the project's own, whatever surrounds us."""
        kept = {
            name: value
            for name, value in os.environ.items()
            if not name.startswith(("OPUSBRIDGE_", "OPENAI_"))
        }
        if self.against is not None:
            return kept
        return {
            **kept,
            "PYTHONPATH": str(processes.HOME),
            "OPUSBRIDGE_REALTIME_URL": f"ws://127.0.0.1:{model}/v1/realtime",
            "OPUSBRIDGE_DATA_DIR": str(folder / "data"),
            "OPUSBRIDGE_RECORD": str(self.record).lower(),
            "OPUSBRIDGE_FLIGHT": str(self.flight).lower(),
            "OPUSBRIDGE_SOCKETS": self.sockets,
            "OPUSBRIDGE_LOG_LEVEL": "warning",
            "OPUSBRIDGE_TRANSCRIPTION_MODEL": "none",
        }


@dataclass(slots=True)
class Measured:
    """Times are in the unit their name says; ``up`` is from the caller to the model."""

    setup: str
    calls: int
    seconds: float
    cpu: float = 0.0
    """Of one core, by the server."""
    cpu_ms_per_call: float = 0.0
    """Processor time for one second of one call."""
    generator_cpu: float = 0.0
    """Of one core, by callers and model together."""
    up_us: dict[str, float] = field(default_factory=dict)
    down_us: dict[str, float] = field(default_factory=dict)
    clear_us: dict[str, float] = field(default_factory=dict)
    """From the model's ``speech_started`` to the silence at the caller."""
    unsilenced: int = 0
    """Barge-ins after which no clear came."""
    generator_late_us: dict[str, float] = field(default_factory=dict)
    frames: int = 0
    lost_up: int = 0
    lost_down: int = 0
    damaged: int = 0
    refused: int = 0
    lost_calls: int = 0
    start_seconds: float = 0.0
    memory_idle_mb: float = 0.0
    memory_mb: float = 0.0
    memory_after_mb: float = 0.0
    memory_kb_per_call: float = 0.0
    memory_growth_kb_per_minute: float = 0.0
    """While the same calls went on."""
    files_idle: int = 0
    files_after: int = 0

    @property
    def whole(self) -> bool:
        """Nobody was refused or cut off, and nothing was lost or damaged."""
        bad = self.lost_up + self.lost_down + self.damaged + self.refused + self.lost_calls
        return bad == 0

    @property
    def sustained(self) -> bool:
        late = max(self.up_us.get("p99", 0.0), self.down_us.get("p99", 0.0))
        return self.whole and late < SUSTAINED_US

    @property
    def gave_out(self) -> str | None:
        """Who set the limit, if one was reached."""
        behind = self.generator_late_us.get("p99", 0.0) > GENERATOR_LATE_US
        if behind or self.generator_cpu > GENERATOR_BUSY:
            return "generator"
        return None if self.sustained else "bridge"

    def as_json(self) -> dict[str, Any]:
        found = asdict(self)
        return {**found, "sustained": self.sustained, "gave_out": self.gave_out}


async def measure(setup: Setup, calls: int, seconds: float, tell: Tell) -> Measured:
    """Start everything, measure, and leave nothing behind."""
    bridge_core, load_cores = processes.cores()
    model_port, port = processes.free_port(), processes.free_port()
    async with AsyncExitStack() as stack:
        folder = Path(stack.enter_context(TemporaryDirectory(prefix="opusbridge-bench-")))
        model = await stack.enter_async_context(
            processes.party(load_cores, "model", setup.kind, str(model_port))
        )
        command = setup.command(port, model_port)
        environment = setup.environment(model_port, folder)
        server, started = await stack.enter_async_context(
            processes.server(bridge_core, command, port, environment, folder)
        )
        words = ["webhook"] if setup.webhook else []
        callers = await stack.enter_async_context(
            processes.party(load_cores, "callers", setup.kind, str(port), *words)
        )
        found = Measured(setup.name, calls, seconds, start_seconds=started)
        await asyncio.sleep(0.5)
        await _run(found, setup, server, model, callers, tell)
    return found


async def _run(
    found: Measured, setup: Setup, server: Process, model: Process, callers: Process, tell: Tell
) -> None:
    idle = server.usage()
    tell(f"{found.setup}: placing {found.calls} calls")
    answer = await callers.say("grow", calls=found.calls, per_second=CALLS_A_SECOND)
    found.refused = answer["refused"]
    for manner in setup.hostile:
        await callers.say("disturb", manner=manner)
    await asyncio.sleep(min(SETTLE_SECONDS, found.seconds))
    await _window(found, server, model, callers, tell)
    await callers.say("hush")
    rest = min(REST_SECONDS, found.seconds)
    await asyncio.sleep(rest)
    _count(found, setup, await callers.say("totals"), await model.say("totals"))
    busy = server.usage()
    await callers.say("leave")
    await asyncio.sleep(rest)
    after = server.usage()
    found.memory_idle_mb, found.memory_mb = _mb(idle.memory_bytes), _mb(busy.memory_bytes)
    found.memory_after_mb = _mb(after.memory_bytes)
    found.memory_kb_per_call = (busy.memory_bytes - idle.memory_bytes) / 1024 / found.calls
    found.files_idle, found.files_after = idle.files, after.files


async def _window(
    found: Measured, server: Process, model: Process, callers: Process, tell: Tell
) -> None:
    load: Sequence[Process] = (model, callers)
    await model.say("begin")
    await callers.say("begin")
    clock = asyncio.get_running_loop().time
    before, load_before, begun = server.usage(), [one.usage() for one in load], clock()
    while (left := begun + found.seconds - clock()) > 0:
        tell(f"{found.setup}: {found.calls} calls, {left:.0f} s left")
        await asyncio.sleep(min(1.0, left))
    took, after = clock() - begun, server.usage()
    load_cpu = sum(_cpu(b, one.usage()) for b, one in zip(load_before, load, strict=True))
    heard, said = await model.say("end"), await callers.say("end")
    found.cpu = _cpu(before, after) / took
    found.cpu_ms_per_call = found.cpu * 1000 / found.calls
    found.generator_cpu = load_cpu / took
    found.up_us, found.down_us = heard["up"]["latencies_us"], said["down"]["latencies_us"]
    found.generator_late_us = said["generator_late_us"]
    found.frames = int(found.up_us["count"])
    grown = (after.memory_bytes - before.memory_bytes) / 1024
    found.memory_growth_kb_per_minute = grown * 60 / took
    silences = silenced(heard["barge_ins"], said["clears"])
    found.clear_us = stamps.quantiles([one for one in silences if one is not None])
    found.unsilenced = silences.count(None)


def silenced(began: list[list[int]], clears: list[list[int]]) -> list[int | None]:
    """For each barge-in how many microseconds later the caller was told to be silent."""
    by_call: dict[int, list[int]] = {}
    for call, at_ns in clears:
        by_call.setdefault(call, []).append(at_ns)
    found: list[int | None] = []
    for call, at_ns in began:
        later = (one - at_ns for one in by_call.get(call, ()) if 0 <= one - at_ns < _CLEAR_NS)
        first = next(later, None)
        found.append(None if first is None else first // 1000)
    return found


def _count(found: Measured, setup: Setup, callers: dict[str, Any], model: dict[str, Any]) -> None:
    kind = KINDS[setup.kind]
    found.lost_calls = callers["lost_calls"]
    found.damaged = model["damaged"] + callers["damaged"]
    if kind.stamped:
        found.lost_up = _missing(callers["sent"], model["received"])
    if kind.name == "twilio":  # what is paced may be cut before it was sent, and ought to be
        found.lost_down = stamps.lost(callers["gaps"], model["withdrawn"])


def _missing(sent: dict[str, int], received: dict[str, int]) -> int:
    return sum(count - received.get(call, 0) for call, count in sent.items())


def _cpu(before: Usage, after: Usage) -> float:
    return after.cpu_seconds - before.cpu_seconds


def _mb(size_bytes: int) -> float:
    return size_bytes / 2**20

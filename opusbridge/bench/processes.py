"""Processes under measurement: started, pinned, watched through /proc, and ended."""

import asyncio
import os
import socket
import sys
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import orjson

from opusbridge.errors import ConfigurationError

START_SECONDS = 60.0
ANSWER_SECONDS = 120.0
STOP_SECONDS = 10.0
_PROC = Path("/proc")

#: Where this package lies: what is measured is to be the same as what measures, wherever it is
#: run and whatever lies in the current folder.
HOME = Path(__file__).resolve().parents[2]


def check_machine() -> None:
    """Raises :class:`ConfigurationError` where the system does not tell what a process costs."""
    if not (_PROC / "self" / "stat").exists():
        raise ConfigurationError("bench reads the cost of processes from /proc, as Linux has it")


def cores() -> tuple[set[int], set[int]]:
    """One core for what is measured and the others for the load; with one core, the same."""
    ours = sorted(os.sched_getaffinity(0))
    return ({ours[-1]}, set(ours[:-1])) if len(ours) > 1 else (set(ours), set(ours))


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


@dataclass(frozen=True, slots=True)
class Usage:
    """Of a process, by the operating system."""

    cpu_seconds: float
    memory_bytes: int
    """Resident."""
    files: int
    """Open ones, sockets among them."""


class Process:
    """One that was started here. ``say`` only to those that answer (party.py)."""

    def __init__(self, running: asyncio.subprocess.Process, name: str) -> None:
        self._running = running
        self._name = name

    @property
    def alive(self) -> bool:
        return self._running.returncode is None

    def usage(self) -> Usage:
        here = _PROC / str(self._running.pid)
        # The name, which may hold blanks, is in brackets.
        fields = (here / "stat").read_text().rpartition(")")[2].split()
        ticks = int(fields[11]) + int(fields[12])
        pages = int((here / "statm").read_text().split()[1])
        return Usage(
            ticks / os.sysconf("SC_CLK_TCK"),
            pages * os.sysconf("SC_PAGE_SIZE"),
            len(os.listdir(here / "fd")),
        )

    async def say(self, do: str, **more: Any) -> dict[str, Any]:
        assert self._running.stdin is not None
        self._running.stdin.write(orjson.dumps({"do": do, **more}) + b"\n")
        return await self.answer()

    async def answer(self) -> dict[str, Any]:
        assert self._running.stdout is not None
        try:
            async with asyncio.timeout(ANSWER_SECONDS):
                text = await self._running.stdout.readline()
        except TimeoutError:
            text = b""
        if not text:
            raise ConfigurationError(f"bench: the {self._name} stopped working")
        found: dict[str, Any] = orjson.loads(text)
        return found

    async def stop(self) -> None:
        if self._running.stdin is not None:
            self._running.stdin.close()
        elif self.alive:
            self._running.terminate()
        try:
            async with asyncio.timeout(STOP_SECONDS):
                await self._running.wait()
        except TimeoutError:
            self._running.kill()
            await self._running.wait()


@asynccontextmanager
async def party(on: set[int], name: str, *words: str) -> AsyncIterator[Process]:
    """One of the load's own processes, ready to be spoken to."""
    command = [sys.executable, "-P", "-m", "opusbridge.bench.party", name, *words]
    running = await asyncio.create_subprocess_exec(
        *command,
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        limit=2**26,
        env={**os.environ, "PYTHONPATH": str(HOME)},
    )
    os.sched_setaffinity(running.pid, on)
    process = Process(running, name)
    try:
        await process.answer()
        yield process
    finally:
        await process.stop()


@asynccontextmanager
async def server(
    on: set[int], command: Sequence[str], port: int, env: Mapping[str, str], folder: Path
) -> AsyncIterator[tuple[Process, float]]:
    """What is to be measured, and how many seconds it took until it could be connected to."""
    loop = asyncio.get_running_loop()
    begun = loop.time()
    complaints = folder / "stderr"
    with complaints.open("wb") as file:
        running = await asyncio.create_subprocess_exec(
            *command,
            env=env,
            cwd=folder,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=file,
            stderr=file,
        )
    os.sched_setaffinity(running.pid, on)
    process = Process(running, "bridge")
    try:
        await _listening(process, port, begun, complaints)
        yield process, loop.time() - begun
    finally:
        await process.stop()


async def _listening(process: Process, port: int, begun: float, complaints: Path) -> None:
    loop = asyncio.get_running_loop()
    while True:
        try:
            _, writer = await asyncio.open_connection("127.0.0.1", port)
        except OSError:
            if not process.alive or loop.time() > begun + START_SECONDS:
                last = _last_line(complaints)
                raise ConfigurationError(f"bench: the server did not start: {last}") from None
            await asyncio.sleep(0.01)
        else:
            writer.close()
            return


def _last_line(path: Path) -> str:
    return path.read_text("utf-8", "replace").strip().rpartition("\n")[2]

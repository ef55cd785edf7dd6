"""The load's own processes: ``python -m opusbridge.bench.party model|callers …``.

Each line on standard input is a JSON object with a deed in ``do``; each is answered by one line
on standard output. The end of standard input is the end of the process.
"""

import asyncio
import gc
import sys
from collections.abc import Awaitable, Callable
from typing import Any

import orjson

from opusbridge.bench.callers import Crowd
from opusbridge.bench.hostile import MANNERS
from opusbridge.bench.lines import KINDS
from opusbridge.bench.model import Hall

Deed = Callable[[dict[str, Any]], Awaitable[dict[str, Any]]]


async def model(kind: str, port: int) -> None:
    """The model on ``port``; the first line says that it listens."""
    hall = Hall(KINDS[kind].frame_bytes)
    loop = asyncio.get_running_loop()
    server = await loop.create_server(hall.session, "127.0.0.1", port, backlog=2048)

    async def begin(said: dict[str, Any]) -> dict[str, Any]:
        hall.heard.begin()
        hall.barge_ins.clear()
        return {}

    async def end(said: dict[str, Any]) -> dict[str, Any]:
        return {"up": hall.heard.end(), "barge_ins": hall.barge_ins}

    async def totals(said: dict[str, Any]) -> dict[str, Any]:
        return {
            "received": _by_call(hall.heard.received),
            "withdrawn": hall.withdrawn,
            "damaged": hall.heard.damaged,
            "unstamped_letters": hall.unstamped_letters,
            "sent": _by_call(hall.deltas_sent),
            "errors": hall.errors,
        }

    async with server:
        await _obey({"begin": begin, "end": end, "totals": totals})


async def callers(kind: str, port: int, *, webhook: bool) -> None:
    """Callers of a bridge on ``port``."""
    crowd = Crowd(KINDS[kind], "127.0.0.1", port, webhook=webhook)
    hostile: list[asyncio.Task[None]] = []

    async def grow(said: dict[str, Any]) -> dict[str, Any]:
        return {"refused": await crowd.grow(said["calls"], said["per_second"])}

    async def begin(said: dict[str, Any]) -> dict[str, Any]:
        crowd.begin()
        crowd.clears.clear()
        return {}

    async def end(said: dict[str, Any]) -> dict[str, Any]:
        return {**crowd.end(), "clears": crowd.clears}

    async def disturb(said: dict[str, Any]) -> dict[str, Any]:
        hostile.append(asyncio.create_task(MANNERS[said["manner"]](crowd)))
        return {}

    async def hush(said: dict[str, Any]) -> dict[str, Any]:
        crowd.hush()
        return {}

    async def totals(said: dict[str, Any]) -> dict[str, Any]:
        return {
            "sent": _by_call({one.number: one.sent for one in crowd.calls}),
            "received": _by_call(crowd.heard.received),
            "gaps": crowd.heard.gaps,
            "damaged": crowd.heard.damaged,
            "lost_calls": crowd.lost_calls,
        }

    async def leave(said: dict[str, Any]) -> dict[str, Any]:
        for one in hostile:
            one.cancel()
        crowd.leave()
        return {}

    deeds = {"grow": grow, "begin": begin, "end": end, "disturb": disturb}
    await _obey({**deeds, "hush": hush, "totals": totals, "leave": leave})


def _by_call(counts: dict[int, int]) -> dict[str, int]:
    return {str(call): count for call, count in counts.items()}


async def _obey(deeds: dict[str, Deed]) -> None:
    loop = asyncio.get_running_loop()
    reader = asyncio.StreamReader(limit=2**20)
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
    _reply({"ready": True})
    # What is here by now stays; what comes makes no cycles worth a pause of the collector.
    gc.freeze()
    gc.disable()
    while text := await reader.readline():
        said = orjson.loads(text)
        _reply(await deeds[said["do"]](said))


def _reply(value: dict[str, Any]) -> None:
    sys.stdout.buffer.write(orjson.dumps(value) + b"\n")
    sys.stdout.buffer.flush()


def main() -> None:
    role, kind, port = sys.argv[1], sys.argv[2], int(sys.argv[3])
    webhook = "webhook" in sys.argv[4:]
    work = model(kind, port) if role == "model" else callers(kind, port, webhook=webhook)
    try:
        from uvloop import new_event_loop
    except ImportError:
        asyncio.run(work)
        return
    with asyncio.Runner(loop_factory=new_event_loop) as runner:
        runner.run(work)


if __name__ == "__main__":
    main()

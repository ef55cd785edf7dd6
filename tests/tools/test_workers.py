"""Threads for tools: bounded, fair, and never in the way of the event loop."""

import asyncio
import subprocess
import sys
import threading
import time
from collections.abc import Callable

import pytest

from opusbridge.tools import CallContext, tool, workers
from opusbridge.tools.workers import SWITCH_SECONDS, Workers
from tests.heart import FRAME_SECONDS, heartbeat

#: A frame of sound: what is later than this may be heard.


class Gate:
    """Work that ends when it is let, and says when it began."""

    def __init__(self) -> None:
        self._open = threading.Event()
        self.begun: list[str] = []

    def work(self, name: str) -> Callable[[], str]:
        def wait() -> str:
            self.begun.append(name)
            assert self._open.wait(5)
            return name

        return wait

    def let_go(self) -> None:
        self._open.set()

    async def until_begun(self, *names: str) -> None:
        async with asyncio.timeout(5):
            while sorted(self.begun) != sorted(names):  # noqa: ASYNC110  # threads tell no event
                await asyncio.sleep(0.001)


async def test_no_more_run_at_a_time_than_there_may_and_the_others_wait_in_line() -> None:
    crew, gate = Workers(most=2), Gate()
    jobs = [crew.submit("call-1", gate.work(name)) for name in ("a", "b", "c")]

    await gate.until_begun("a", "b")
    assert [job.begun for job in jobs] == [True, True, False]
    gate.let_go()

    assert [await crew.result(job) for job in jobs] == ["a", "b", "c"]


async def test_a_call_that_keeps_its_threads_busy_leaves_some_to_the_others() -> None:
    crew, gate = Workers(most=3, most_of_one=2), Gate()
    jobs = [crew.submit("greedy", gate.work(name)) for name in ("a", "b", "c")]
    jobs.append(crew.submit("modest", gate.work("d")))

    await gate.until_begun("a", "b", "d")
    gate.let_go()

    assert [await crew.result(job) for job in jobs] == ["a", "b", "c", "d"]


async def test_whoever_no_longer_waits_in_line_is_never_run() -> None:
    crew, gate, idle = Workers(most=1), Gate(), Gate()
    first = crew.submit("call-1", gate.work("a"))
    second = crew.submit("call-1", idle.work("b"))
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.01):
            await crew.result(second)
    gate.let_go()

    assert await crew.result(first) == "a"
    assert await crew.result(crew.submit("call-1", lambda: "c")) == "c"
    assert idle.begun == []


async def test_a_thread_that_overran_is_written_off_and_another_takes_its_place() -> None:
    crew, stuck = Workers(most=1, most_lost=1), Gate()
    job = crew.submit("call-1", stuck.work("a"))
    await stuck.until_begun("a")
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.01):
            await crew.result(job)

    assert crew.lost == 1
    later = crew.submit("call-2", lambda: "b")
    with pytest.raises(TimeoutError):  # with so many written off, nothing more is begun
        async with asyncio.timeout(0.01):
            await crew.result(later)
    again = crew.submit("call-2", lambda: "c")
    stuck.let_go()

    assert await crew.result(again) == "c"
    assert crew.lost == 0


async def test_one_written_off_leaves_room_for_another() -> None:
    crew, stuck = Workers(most=1, most_lost=2), Gate()
    job = crew.submit("call-1", stuck.work("a"))
    waiting = crew.submit("call-2", lambda: "b")
    await stuck.until_begun("a")
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.01):
            await crew.result(job)

    assert await crew.result(waiting) == "b"
    stuck.let_go()


async def test_what_nobody_waits_for_when_its_turn_comes_is_not_begun() -> None:
    crew, ran = Workers(most=1), []
    with crew._changed:  # no thread can take it yet
        job = Workers.submit(crew, "call-1", lambda: ran.append("a"))
        job.outcome.cancel()

    assert await crew.result(crew.submit("call-1", lambda: "b")) == "b"
    assert ran == []


def threads_to_be_had(monkeypatch: pytest.MonkeyPatch, number: int) -> None:
    """So many more, and then no other."""
    left, begin = [True] * number, threading.Thread.start

    def start(thread: threading.Thread) -> None:
        if not left:
            raise RuntimeError("can't start new thread")
        left.pop()
        begin(thread)

    monkeypatch.setattr(threading.Thread, "start", start)


async def test_what_no_thread_can_be_begun_for_is_refused_and_not_run_later() -> None:
    crew, ran = Workers(), []
    with pytest.MonkeyPatch.context() as patch:
        threads_to_be_had(patch, 0)
        with pytest.raises(RuntimeError, match="no thread"):
            crew.submit("call-1", lambda: ran.append("a"))

    assert await crew.result(crew.submit("call-1", lambda: "b")) == "b"
    assert ran == []


async def test_where_no_other_thread_can_be_begun_one_does_all_the_work(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    crew, gate = Workers(), Gate()
    threads_to_be_had(monkeypatch, 1)
    first = workers.Job("call-1", gate.work("a"))
    with crew._changed:
        crew._line.append(first)
        jobs = [first, crew.submit("call-1", gate.work("b"))]
    await gate.until_begun("a")
    jobs.append(crew.submit("call-1", gate.work("c")))
    gate.let_go()

    async with asyncio.timeout(5):
        assert [await crew.result(job) for job in jobs] == ["a", "b", "c"]


async def test_a_thread_without_work_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(workers, "IDLE_SECONDS", 0.001)
    crew = Workers()
    thread = await crew.result(crew.submit("call-1", threading.current_thread))

    thread.join(5)
    assert not thread.is_alive()
    assert thread.daemon, "a function that never returns must not keep the process alive"


async def test_what_leaves_by_an_exit_leaves_the_thread_alone() -> None:
    crew = Workers(most=1)

    def leave() -> None:
        raise SystemExit

    with pytest.raises(SystemExit):
        await crew.result(crew.submit("call-1", leave))
    assert await crew.result(crew.submit("call-1", lambda: "still here")) == "still here"


@pytest.mark.parametrize(("gives_way", "seconds"), [(True, SWITCH_SECONDS), (False, 0.005)])
async def test_the_interpreters_turns_are_shorter_where_somebody_may_compute(
    gives_way: bool, seconds: float
) -> None:
    crew, before = Workers(gives_way=gives_way), sys.getswitchinterval()
    try:
        sys.setswitchinterval(0.005)
        await crew.result(crew.submit("call-1", lambda: None))

        assert sys.getswitchinterval() == pytest.approx(seconds)
    finally:
        sys.setswitchinterval(before)


DISKS = """
import asyncio, sys
from opusbridge.web import bookkeeper
from opusbridge.webhooks import courier

async def main():
    before = sys.getswitchinterval()
    for disk in (bookkeeper, courier):
        await disk.DISK.do(lambda: None)
    assert sys.getswitchinterval() == before

asyncio.run(main())
"""


@pytest.mark.slow
def test_a_process_without_tools_keeps_its_turns_whatever_it_writes() -> None:
    done = subprocess.run([sys.executable, "-c", DISKS], capture_output=True, timeout=20.0)

    assert done.returncode == 0, done.stderr


# --- Nothing is late because of a tool --------------------------------------------------


@tool
def compute() -> int:
    """It needs the processor for half a second."""
    until, rounds = time.monotonic() + 0.5, 0
    while time.monotonic() < until:
        rounds += 1
    return rounds


@tool(timeout_seconds=0.5)
def block() -> None:
    """It waits for what never comes."""
    threading.Event().wait(1.0)


@pytest.mark.slow
async def test_a_tool_that_computes_and_one_that_blocks_do_not_delay_a_frame() -> None:
    calls = [CallContext(f"call-{number}") for number in range(2)]
    late: list[float] = []
    async with heartbeat(late):
        results = await asyncio.gather(
            *(tool.run("{}", call) for call in calls for tool in (compute, block)),
            return_exceptions=True,
        )

    assert [isinstance(result, str) for result in results] == [True, False, True, False]
    assert len(late) >= 20
    # The machine of a test has others to serve as well, so the median; on the loop itself the
    # tools would make it half a second.
    assert sorted(late)[len(late) // 2] < 5 * FRAME_SECONDS

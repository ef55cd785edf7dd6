"""Threads for a user's plain functions: bounded, fair to the calls, and never waited for.

* No more than ``most`` functions run at a time, and of one call no more than ``most_of_one``:
  a call that keeps its threads busy cannot keep another's tools waiting for ever.
* Who finds no thread free waits in line, for as long as its own time limit allows.
* A thread cannot be stopped. One whose function overran is written off, and another may take
  its place; when ``most_lost`` are written off at once something is broken, and nothing more
  is begun until one of them comes back.
* They are daemon threads: a function that never returns does not keep the process alive.
* One that computes gives way to the audio after half a millisecond, not Python's five: each
  frame of each call asks for the interpreter, and would wait so long for it every time.
"""

import asyncio
import sys
import threading
from collections import Counter, deque
from collections.abc import Callable
from concurrent.futures import Future
from contextvars import copy_context
from typing import Any, TypeVar

from opusbridge.tools.contained import as_failure

#: At a time, in the process. They mostly wait for somebody else; one that computes shares the
#: interpreter with the audio of every call, so more would not be faster.
MOST = 64
MOST_OF_ONE = 16
MOST_LOST = 64

#: The interpreter's, from the first function of a user's in a thread on; a shorter one of
#: somebody's stays.
SWITCH_SECONDS = 0.0005

T = TypeVar("T")

#: A thread without work ends after this many seconds.
IDLE_SECONDS = 10.0


class Job:
    """A function in line for a thread, or in one."""

    def __init__(self, owner: str, work: Callable[[], Any]) -> None:
        self.owner = owner
        self.begun = False
        self.lost = False
        """Nobody waits for it any more."""
        self.outcome: Future[Any] = Future()
        context = copy_context()  # what the thread logs is the call's too
        self._work: Callable[[], Any] = lambda: context.run(work)

    def run(self) -> None:
        try:
            result = self._work()
        except BaseException as error:  # noqa: BLE001  # the user's code; nothing may end the thread
            self.outcome.set_exception(as_failure(error))
        else:
            self.outcome.set_result(result)


class Workers:
    """May be used from any event loop."""

    def __init__(
        self,
        most: int = MOST,
        most_of_one: int = MOST_OF_ONE,
        most_lost: int = MOST_LOST,
        name: str = "opusbridge-tool",
        *,
        gives_way: bool = True,
    ) -> None:
        """``name`` is what a debugger shows of the threads. Without ``gives_way`` they are for
        work that waits and does not compute, and leave the interpreter's turns as they are."""
        self._name, self._gives_way = name, gives_way
        self._most, self._most_of_one, self._most_lost = most, most_of_one, most_lost
        self._line: deque[Job] = deque()
        self._running = 0
        self._lost = 0
        self._idle = 0
        self._of: Counter[str] = Counter()
        self._changed = threading.Condition()

    def submit(self, owner: str, work: Callable[[], Any]) -> Job:
        """Put ``work`` in line for ``owner``, a call's id.

        Raises ``RuntimeError`` where no thread runs, and the system has none to give.
        """
        job = Job(owner, work)
        with self._changed:
            self._line.append(job)
            if not self._wake() and not self._running:
                self._line.remove(job)  # or it would be run when nobody wants it any more
                raise RuntimeError("no thread can be begun")
        return job

    async def result(self, job: Job) -> Any:
        """What came of it, or its exception. Cancelled, the job is forgotten."""
        try:
            return await asyncio.wrap_future(job.outcome)
        except asyncio.CancelledError:
            self._forget(job)
            raise

    @property
    def lost(self) -> int:
        """Threads whose function overran and has not returned yet."""
        return self._lost

    def _forget(self, job: Job) -> None:
        with self._changed:
            if job in self._line:
                self._line.remove(job)
            elif job.begun and not job.lost and not job.outcome.done():
                job.lost = True
                self._lost += 1
                self._leave(job)
                self._wake()

    def _leave(self, job: Job) -> None:
        self._running -= 1
        self._of[job.owner] -= 1
        if not self._of[job.owner]:
            del self._of[job.owner]

    def _wake(self) -> bool:
        """Somebody for each job that may begin. ``False``: there is nobody, unless one of those
        who run comes for it."""
        if self._next() is None:
            return True
        if self._idle:
            self._changed.notify()
            return True
        if self._gives_way:
            sys.setswitchinterval(min(SWITCH_SECONDS, sys.getswitchinterval()))
        try:
            threading.Thread(target=self._work, name=self._name, daemon=True).start()
        except RuntimeError:  # there are as many as the system allows
            return False
        return True

    def _next(self) -> Job | None:
        """The first in line that may begin now."""
        if self._running >= self._most or self._lost >= self._most_lost:
            return None
        return next((job for job in self._line if self._of[job.owner] < self._most_of_one), None)

    def _work(self) -> None:
        while (job := self._take()) is not None:
            if job.begun:
                job.run()
            with self._changed:
                if job.lost:
                    self._lost -= 1
                else:
                    self._leave(job)
                self._wake()

    def _take(self) -> Job | None:
        """A job, or ``None`` if none came for a while."""
        with self._changed:
            if (job := self._next()) is None:
                self._idle += 1
                try:
                    self._changed.wait(IDLE_SECONDS)
                finally:
                    self._idle -= 1
                job = self._next()
            if job is not None:
                self._line.remove(job)
                # From now on it cannot be cancelled; if it was just now, nobody wants it.
                job.begun = job.outcome.set_running_or_notify_cancel()
                self._running += 1
                self._of[job.owner] += 1
                self._wake()
            return job


class Disk(Workers):
    """Threads that write and read files of ours, as many at a time as are given: nobody waits for
    one on which a disk stands still."""

    def __init__(self, name: str, most: int) -> None:
        super().__init__(most, most, name=name, gives_way=False)

    async def do(self, work: Callable[[], T]) -> T:
        """What comes of it. Raises ``OSError`` also where the system has no threads to give."""
        try:
            job = self.submit("", work)
        except RuntimeError as error:
            raise OSError(str(error)) from error
        found: T = await self.result(job)
        return found


#: The process's own, for tools.
WORKERS = Workers()

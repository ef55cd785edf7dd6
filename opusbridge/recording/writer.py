"""The thread that writes the files of all calls, so that no call ever waits for a disk.

Calls hand in jobs; one thread does them in order. What waits is limited by its size in
memory: a disk that stands still costs that much and no more, then jobs are refused and
counted, and the calls go on.
"""

import threading
import time
from collections.abc import Callable, Iterable, Iterator
from queue import SimpleQueue

from opusbridge.logs import Log

#: Done in one go; or in parts, each after the same part of all that came together with it: the
#: first finds the caches cold, the others what it brought there.
Job = Callable[[], Iterable[None] | None]

#: What may wait, in bytes. A hundred calls hand in about 10 MB a second with both sockets
#: recorded, so this bridges a disk that stands still for six seconds.
LIMIT_BYTES = 64 * 2**20

#: So long jobs come together: waking the thread for each would take the processor from the calls.
LINGER_SECONDS = 0.4

#: So many jobs are done together at most: what one keeps in memory is free when its last part is
#: done, and the calls have the interpreter for themselves now and then.
MOST_TOGETHER = 8

#: After the same part of all of them the calls' thread gets the interpreter for certain: half a
#: millisecond of work, where a frame could else wait for its switch interval, 5 ms.
YIELD_SECONDS = 0.0002

log = Log(__name__)


class Writer:
    """One for the process. Safe to use from any thread."""

    def __init__(self, limit_bytes: int = LIMIT_BYTES) -> None:
        self._limit_bytes = limit_bytes
        self._waiting_bytes = 0
        self._closed = False
        self._lock = threading.Lock()
        self._queue: SimpleQueue[tuple[Job, int] | None] = SimpleQueue()
        self._hurry = threading.Event()
        self.dropped = 0
        """Jobs refused because too much was waiting."""
        self.broken = 0
        """Jobs that failed by a bug of ours."""
        # A daemon: a disk that never answers must not keep the process from ending.
        self._thread = threading.Thread(target=self._run, name="writer", daemon=True)
        self._thread.start()

    def submit(self, job: Job, size_bytes: int) -> bool:
        """Have ``job`` done soon; ``False`` if too much is waiting and it never will be.

        ``job`` takes care of its own ``OSError``; ``size_bytes`` is what it keeps in memory.
        """
        with self._lock:
            if self._closed or self._waiting_bytes + size_bytes > self._limit_bytes:
                self.dropped += 1
                return False
            self._waiting_bytes += size_bytes
            self._queue.put((job, size_bytes))
        return True

    def submit_last(self, job: Job, size_bytes: int) -> None:
        """As :meth:`submit`, for the job that completes a call: never refused."""
        with self._lock:
            closed = self._closed
            if not closed:
                self._waiting_bytes += size_bytes
                self._queue.put((job, size_bytes))
                self._hurry.set()
        if closed:  # the process is ending: nobody is kept waiting any more
            self._do_together([(job, 0)])

    def close(self, timeout_seconds: float = 5.0) -> bool:
        """Do what waits, then stop. ``False`` if that took too long. Blocks."""
        with self._lock:
            if not self._closed:
                self._closed = True
                self._queue.put(None)
                self._hurry.set()
        self._thread.join(timeout_seconds)
        return not self._thread.is_alive()

    def _run(self) -> None:
        lingers = True
        while (entry := self._queue.get()) is not None:
            if lingers:
                self._hurry.wait(LINGER_SECONDS)
                self._hurry.clear()
            entries = [entry, *self._more()]
            self._do_together(entries)
            lingers = len(entries) < MOST_TOGETHER

    def _more(self) -> Iterator[tuple[Job, int]]:
        for _ in range(MOST_TOGETHER - 1):
            if self._queue.empty():
                return
            if (entry := self._queue.get()) is None:
                return self._queue.put(None)  # for who runs: nothing comes behind it
            yield entry

    def _do_together(self, entries: Iterable[tuple[Job, int]]) -> None:
        going = [(_parts(job), size_bytes) for job, size_bytes in entries]
        while going:
            going = [entry for entry in going if self._goes_on(*entry)]
            time.sleep(YIELD_SECONDS)

    def _goes_on(self, parts: Iterator[None], size_bytes: int) -> bool:
        """One part of a job; whether there are more."""
        try:
            next(parts)
        except StopIteration:
            pass
        except Exception as error:  # noqa: BLE001 - one call's bug must not stop all recordings
            self.broken += 1
            log.error("writing a call's files failed", error=type(error).__name__)
        else:
            return True
        with self._lock:
            self._waiting_bytes -= size_bytes
        return False


def _parts(job: Job) -> Iterator[None]:
    yield from job() or ()

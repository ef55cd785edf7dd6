"""The thread that writes the files of all calls, so that no call ever waits for a disk.

Calls hand in jobs; one thread does them in order. What waits is limited by its size in
memory: a disk that stands still costs that much and no more, then jobs are refused and
counted, and the calls go on.
"""

import threading
from collections.abc import Callable
from queue import SimpleQueue

import structlog

Job = Callable[[], None]

#: What may wait, in bytes. A hundred calls hand in about 10 MB a second with both sockets
#: recorded, so this bridges a disk that stands still for six seconds.
LIMIT_BYTES = 64 * 2**20

#: So long jobs come together: waking the thread for each would take the processor from the calls.
LINGER_SECONDS = 0.4

log = structlog.get_logger(__name__)


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
        if closed:
            self._do(job)  # the process is ending: nobody is kept waiting any more

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
        while (entry := self._queue.get()) is not None:
            # One job after the other finds the caches warm.
            self._hurry.wait(LINGER_SECONDS)
            self._hurry.clear()
            while entry is not None:
                job, size_bytes = entry
                self._do(job)
                with self._lock:
                    self._waiting_bytes -= size_bytes
                if self._queue.empty():
                    break
                entry = self._queue.get()
            else:
                return

    def _do(self, job: Job) -> None:
        try:
            job()
        except Exception as error:  # noqa: BLE001 - one call's bug must not stop all recordings
            self.broken += 1
            log.error("writing a call's files failed", error=type(error).__name__)

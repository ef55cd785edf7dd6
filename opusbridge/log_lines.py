"""How the lines of the log reach standard error: at once, or by a thread that may have to wait."""

import logging
import os
import select
import sys
import threading
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from typing import TextIO

#: Characters that may wait for whoever reads standard error, some thousand lines …
MOST_WAITING = 2**20
#: … and seconds that the end of the process waits for him.
LAST_LINES_SECONDS = 1.0


class InPlace(logging.StreamHandler[TextIO]):
    """Lines are written where something is logged, which waits for whoever reads them."""

    def __init__(self, stream: TextIO, places: Callable[[BaseException], str]) -> None:
        """``places`` tells of an exception without quoting anybody."""
        super().__init__(stream)
        self._places = places

    def emit(self, record: logging.LogRecord) -> None:
        self.stream = sys.stderr  # whatever it is by now: terminals and tests replace it
        super().emit(record)

    def handleError(self, record: logging.LogRecord) -> None:
        """Python's own report of a line that cannot be made quotes the line's arguments."""
        error = sys.exc_info()[1]
        assert error is not None
        with suppress(OSError, ValueError):  # nobody is left to tell
            self.put(f"a log line could not be written: {self._places(error)}\n")

    def put(self, line: str) -> None:
        self.stream.write(line)


class Apart(InPlace):
    """Lines are made where something is logged, as the context is there, and written elsewhere.

    When too many wait, those that come are lost; how many is told behind those that waited. A
    fork writes its own lines itself, as it may end without a word to us.
    """

    def __init__(self, stream: TextIO, places: Callable[[BaseException], str]) -> None:
        super().__init__(stream, places)
        self._begin()
        os.register_at_fork(after_in_child=partial(self._begin, forked=True))

    def _begin(self, *, forked: bool = False) -> None:
        self._forked = forked
        self._lines: list[str] = []
        self._size = self._lost = 0
        self._writing = self._closed = False
        self._changed = threading.Condition()
        self._thread: threading.Thread | None = None

    def emit(self, record: logging.LogRecord) -> None:
        try:
            self.put(self.format(record) + self.terminator)
        except Exception:  # noqa: BLE001  # as all handlers of Python's have it
            self.handleError(record)

    def put(self, line: str) -> None:
        if self._forked:
            _write(line)
            return
        with self._changed:
            if self._size > MOST_WAITING:
                self._lost += 1
                return
            self._lines.append(line)
            self._size += len(line)
            if self._thread is None or not self._thread.is_alive():
                self._thread = threading.Thread(target=self._run, name="log", daemon=True)
                with suppress(RuntimeError):  # the system has none to give: with the next line
                    self._thread.start()
            self._changed.notify_all()

    def flush(self) -> None:
        with self._changed:
            self._changed.wait_for(
                lambda: not self._lines and not self._writing, LAST_LINES_SECONDS
            )

    def close(self) -> None:
        with self._changed:
            self._closed = True
            self._changed.notify_all()
        super().close()

    def _run(self) -> None:
        while True:
            with self._changed:
                self._writing = False
                self._changed.notify_all()
                self._changed.wait_for(lambda: self._lines or self._closed)
                if not self._lines:
                    return
                lines, lost, self._writing = self._lines, self._lost, True
                self._lines, self._size, self._lost = [], 0, 0
            if lost:
                told = f"{lost} log lines were lost: nobody read them"
                record = logging.LogRecord(__name__, logging.WARNING, __file__, 0, told, None, None)
                lines.append(self.format(record) + self.terminator)
            for line in lines:
                with suppress(Exception):
                    _write(line)


def _write(line: str) -> None:
    """To standard error, whatever it is by now; where nobody has replaced it, past Python's own
    buffer, which the end of the process would wait for."""
    stream, real = sys.stderr, sys.__stderr__
    if real is None or stream is not real:
        stream.write(line)
        stream.flush()
        return
    number, rest = real.fileno(), line.encode(errors="backslashreplace")
    while rest:
        try:
            rest = rest[os.write(number, rest) :]
        except BlockingIOError:  # so has somebody set it who shares it with us
            select.select([], [number], [])

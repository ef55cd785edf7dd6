"""Logs that a thread writes: whoever reads them may stand still."""

import json
import logging
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any, TextIO

import pytest
import structlog

from opusbridge import log_lines, logs

NUMBER = "+15550100300"

_log = structlog.get_logger("opusbridge.test")


@contextmanager
def nobody_reads(
    monkeypatch: pytest.MonkeyPatch, *, blocking: bool = True
) -> Iterator[Iterator[dict[str, Any]]]:
    """Standard error takes nothing more; until the lines that come behind are asked for, one
    by one."""
    reading, writing = os.pipe()
    with open(reading, "rb") as theirs, open(writing, "w") as ours:
        os.set_blocking(writing, False)
        with suppress(BlockingIOError):
            while True:
                os.write(writing, b"\n")
        os.set_blocking(writing, blocking)
        monkeypatch.setattr(sys, "stderr", ours)
        monkeypatch.setattr(sys, "__stderr__", ours)
        monkeypatch.setattr(log_lines, "MOST_WAITING", 20_000)
        logs.configure("json", "info", apart=True)
        yield (json.loads(line) for line in theirs if line != b"\n")


@pytest.mark.parametrize("blocking", [True, False])
def test_whoever_does_not_read_the_log_costs_its_lines_and_nothing_else(
    monkeypatch: pytest.MonkeyPatch, blocking: bool
) -> None:
    with nobody_reads(monkeypatch, blocking=blocking) as read:
        for count in range(2_000):
            _log.info("refused", count=count, caller=NUMBER)

        said = [next(read)]
        while "lost" not in said[-1]["event"]:
            said.append(next(read))
        lost = int(said.pop()["event"].removesuffix(" log lines were lost: nobody read them"))
        _log.info("gone on")

        assert next(read)["event"] == "gone on"
    assert [line["count"] for line in said] == list(range(2_000 - lost))
    assert {line["caller"] for line in said} == {"<private>"}


def test_the_end_does_not_wait_for_whoever_does_not_read(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(log_lines, "LAST_LINES_SECONDS", 0.05)
    with nobody_reads(monkeypatch) as read:
        _log.info("last")
        logging.getLogger().handlers[0].flush()

        assert next(read)["event"] == "last"


def test_lines_that_are_written_apart_are_there_at_the_end(
    capsys: pytest.CaptureFixture[str],
) -> None:
    logs.configure("json", "info", apart=True)
    with logs.of_call("8f3a12345678"):
        _log.info("call began")
        logging.getLogger("uvicorn.error").warning("%d", NUMBER)
    logging.getLogger().handlers[0].flush()

    began, bad = capsys.readouterr().err.splitlines()
    assert (json.loads(began)["event"], json.loads(began)["call_id"]) == (
        "call began",
        "8f3a12345678",
    )
    assert bad.startswith("a log line could not be written: TypeError at __init__.py:")


class Tee:
    """As an agent's file may put it in the place of standard error."""

    def __init__(self, stream: TextIO) -> None:
        self.stream, self.written = stream, ""

    def write(self, text: str) -> None:
        self.written += text

    def flush(self) -> None:
        pass


class OpenTee(Tee):
    def __getattr__(self, name: str) -> Any:
        return getattr(self.stream, name)


@pytest.mark.parametrize("kind", [Tee, OpenTee])
def test_what_stands_for_standard_error_has_the_lines(
    monkeypatch: pytest.MonkeyPatch, kind: type[Tee]
) -> None:
    logs.configure("json", "info", apart=True)
    tee = kind(sys.stderr)
    monkeypatch.setattr(sys, "stderr", tee)

    _log.info("call began")
    logging.getLogger().handlers[0].flush()

    assert json.loads(tee.written)["event"] == "call began"


@pytest.mark.filterwarnings("ignore:This process:DeprecationWarning")  # it has threads, yes
def test_what_a_fork_logs_is_written_however_it_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    with nobody_reads(monkeypatch) as read:
        _log.info("waits")
        _log.info("waits, too")
        handler = logging.getLogger().handlers[0]
        assert isinstance(handler, log_lines.Apart)
        with locked_elsewhere(handler._changed):
            child = os.fork()
            if not child:
                signal.alarm(5)
                try:
                    _log.info("of the fork")
                finally:
                    os._exit(0)

        said = [next(read)["event"]]  # from here on there is room
        assert os.waitpid(child, 0) == (child, 0)
        _log.info("gone on")
        said += iter(lambda: next(read)["event"], "gone on")
    assert sorted(said) == ["of the fork", "waits", "waits, too"]


@contextmanager
def locked_elsewhere(lock: threading.Condition) -> Iterator[None]:
    """By another thread, as may be at any moment."""
    held, over = threading.Event(), threading.Event()

    def hold() -> None:
        with lock:
            held.set()
            over.wait()

    holding = threading.Thread(target=hold)
    holding.start()
    held.wait()
    yield
    over.set()
    holding.join()


def test_under_somebody_elses_server_every_line_is_there_however_that_ends() -> None:
    program = (
        "import logging, signal\n"
        "from opusbridge import logs\n"
        "logs.configure_as_guest('json', 'info')\n"
        "for count in range(500):\n"
        "    logging.getLogger('opusbridge.test').error('said')\n"
        "signal.raise_signal(signal.SIGTERM)\n"  # as uvicorn does when its work is done
    )
    ended = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)

    assert ended.returncode == -signal.SIGTERM
    assert len(ended.stderr.splitlines()) == 500

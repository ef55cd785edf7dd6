"""The command line as its user meets it: what it prints, where, and the status it leaves."""

import contextlib
import io
import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import opusbridge
from opusbridge.cli.main import main

PACKAGE = Path(opusbridge.__file__).parent


@dataclass(frozen=True, slots=True)
class Ran:
    status: int
    out: str
    err: str

    @property
    def complaint(self) -> str:
        """The one line on stderr."""
        (line,) = self.err.splitlines()
        assert self.err == f"{line}\n"
        assert line.startswith("opusbridge: ")
        return line


def run(*arguments: str) -> Ran:
    """The command within this process."""
    out, err = io.StringIO(), io.StringIO()
    before, status = sys.argv, None
    sys.argv = ["opusbridge", *arguments]
    try:
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
            main()
    except SystemExit as exited:
        status = exited.code
    finally:
        sys.argv = before
    assert isinstance(status, int)
    return Ran(status, out.getvalue(), err.getvalue())


def environment(**settings: str) -> dict[str, str]:
    """This process's own, without settings of the machine's, and with these."""
    kept = {name: value for name, value in os.environ.items() if not is_setting(name)}
    return {**kept, **settings, "PYTHONUNBUFFERED": "1", "NO_COLOR": "1"}


def is_setting(name: str) -> bool:
    return name.upper().startswith(("OPUSBRIDGE_", "OPENAI_"))


@contextlib.contextmanager
def running(
    *arguments: str, env: Mapping[str, str], cwd: str | os.PathLike[str]
) -> Iterator[subprocess.Popen[str]]:
    """``python -m opusbridge`` as a process of its own, in ``cwd``; killed if it outlives us."""
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        # A shell that runs the tests in the background ignores Ctrl-C for all who come after it.
        signal.signal(signal.SIGINT, signal.default_int_handler)
    process = subprocess.Popen(
        [sys.executable, "-m", "opusbridge", *arguments],
        env={**env, "PYTHONPATH": str(PACKAGE.parent)},
        cwd=cwd,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        yield process
    finally:
        process.kill()
        _, err = process.communicate()
        sys.stdout.write(err or "")  # pytest shows it where the test has failed


def listening_on(process: subprocess.Popen[str]) -> tuple[int, list[dict[str, Any]]]:
    """The port that a ``serve`` is up on, and the lines it logged before."""
    assert process.stderr is not None
    before: list[dict[str, Any]] = []
    for text in process.stderr:
        line = json.loads(text)
        if line["event"] == "listening":
            return line["port"], before
        before.append(line)
    raise AssertionError("it ended before it listened")

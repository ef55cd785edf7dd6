"""The agent's own functions that never return: threads of theirs hang, and nothing else does."""

import asyncio
import subprocess
import sys
import threading
from collections.abc import Iterator

import pytest
import structlog
from structlog.testing import capture_logs

from opusbridge.bridge.hooks import tell_of_end
from opusbridge.tools import CallOutcome


@pytest.fixture(autouse=True)
def _as_shipped() -> Iterator[None]:
    structlog.reset_defaults()
    yield
    structlog.reset_defaults()


async def test_hooks_that_never_return_do_not_keep_the_process_from_its_files(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("opusbridge.bridge.hooks.ON_END_SECONDS", 0.05)
    never = threading.Event()
    try:
        with capture_logs() as lines:
            calls = [CallOutcome(f"call-{n}", {}, {}, None, {}) for n in range(40)]
            hung = [tell_of_end(lambda outcome: never.wait(), None, call) for call in calls]
            await asyncio.gather(*hung)

        assert {line["event"] for line in lines} == {"on_end took too long"}
        async with asyncio.timeout(5.0):
            assert await asyncio.to_thread(lambda: "written") == "written"
    finally:
        never.set()


HUNG = """
import asyncio, threading
from opusbridge.bridge import hooks
from opusbridge.tools import CallOutcome
hooks.ON_END_SECONDS = 0.01
outcome = CallOutcome("call-1", {}, {}, None, {})
asyncio.run(hooks.tell_of_end(lambda outcome: threading.Event().wait(), None, outcome))
"""


@pytest.mark.slow
def test_nor_do_they_keep_the_process_from_ending() -> None:
    done = subprocess.run([sys.executable, "-c", HUNG], capture_output=True, timeout=20.0)

    assert done.returncode == 0, done.stderr

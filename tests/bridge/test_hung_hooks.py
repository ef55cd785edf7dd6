"""The agent's own functions that never return: threads of theirs hang, and nothing else does."""

import asyncio
import subprocess
import sys
import threading
from collections.abc import Iterator

import pytest
import structlog
from structlog.testing import capture_logs

from opusbridge.agent import Agent
from opusbridge.bridge import hooks
from opusbridge.bridge.hooks import configured, tell_of_end
from opusbridge.call.policy import TWILIO
from opusbridge.config import Settings
from opusbridge.privacy import Private
from opusbridge.tools import CallContext, CallOutcome
from opusbridge.tools.workers import Workers


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


async def test_configures_that_never_return_keep_no_call_from_being_told_of_its_end(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(hooks, "LEFT_BEHIND_SECONDS", 0.05)
    monkeypatch.setattr(hooks, "CONFIGURING", Workers(most=1, most_lost=1))
    never = threading.Event()
    agent = Agent(name="a", instructions="b", configure=lambda call: never.wait())
    settings = Settings(openai_api_key=Private("sk-test"))
    failed: list[str] = []
    told: list[CallOutcome] = []
    try:
        with capture_logs() as lines:
            for n in range(2):
                context = CallContext(f"call-{n}")
                assert await configured(agent, settings, TWILIO, context, failed.append) is None
            await tell_of_end(told.append, None, CallOutcome("call-0", {}, {}, None, {}))
    finally:
        never.set()

    assert failed == ["it took longer than 3 s"] * 2
    # Of the first the call itself says that it was overdue.
    assert [line["event"] for line in lines] == ["no thread was free for configure"]
    assert len(told) == 1


async def test_an_on_end_for_which_no_thread_was_free_is_said_not_to_have_been_run(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(hooks, "ON_END_SECONDS", 0.05)
    monkeypatch.setattr(hooks, "ENDING", Workers(most_lost=1))
    never = threading.Event()
    try:
        with capture_logs() as lines:
            for n in range(2):
                outcome = CallOutcome(f"call-{n}", {}, {}, None, {})
                await tell_of_end(lambda outcome: never.wait(), None, outcome)
    finally:
        never.set()

    said = [(line["event"], line.get("lost")) for line in lines]
    assert said == [("on_end took too long", None), ("no thread was free for on_end", 1)]


def test_one_that_the_end_of_the_process_cuts_off_leaves_a_line() -> None:
    told: list[str] = []

    async def on_end(outcome: CallOutcome) -> None:
        told.append("began")
        await asyncio.sleep(5.0)

    async def main() -> None:
        outcome = CallOutcome("call-1", {}, {}, None, {})
        telling = asyncio.create_task(tell_of_end(on_end, None, outcome))
        while not told:  # noqa: ASYNC110  # it tells no event
            await asyncio.sleep(0)
        telling.cancel()

    with capture_logs() as lines:
        asyncio.run(main())

    assert [line["event"] for line in lines] == ["on_end was cut off"]


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

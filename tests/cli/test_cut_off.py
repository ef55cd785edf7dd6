"""Work of the command line that a signal cuts off."""

import asyncio
import signal
import socket
import threading
import time
from typing import Any

import pytest

from opusbridge.cli import cut_off


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_is_heeded_though_the_work_comes_to_its_end(number: signal.Signals) -> None:
    async def work() -> str:
        await asyncio.sleep(0)
        signal.raise_signal(number)
        return "done"

    # A shell that runs the tests in the background ignores Ctrl-C for all who come after it.
    before = signal.signal(number, signal.default_int_handler)
    try:
        with pytest.raises(SystemExit) as ended:
            cut_off.run(work())
    finally:
        signal.signal(number, before)

    assert ended.value.code == 128 + number


def test_a_signal_is_what_ended_work_that_breaks_of_it() -> None:
    async def work() -> None:
        signal.raise_signal(signal.SIGTERM)
        raise RuntimeError("half of it is gone")

    with pytest.raises(SystemExit) as ended:
        cut_off.run(work())

    assert ended.value.code == 128 + signal.SIGTERM


def test_whoever_is_told_to_end_does_not_wait_for_a_name(monkeypatch: pytest.MonkeyPatch) -> None:
    found = threading.Event()

    def look(*wish: Any) -> list[Any]:
        found.wait(2.0)
        return []

    async def work() -> None:
        wanted = asyncio.get_running_loop().getaddrinfo("voice.example.com", 443)
        asyncio.get_running_loop().call_later(0.05, signal.raise_signal, signal.SIGTERM)
        await wanted

    monkeypatch.setattr(socket, "getaddrinfo", look)
    began = time.monotonic()
    try:
        with pytest.raises(SystemExit):
            cut_off.run(work())
        assert time.monotonic() - began < 1.0
    finally:
        found.set()

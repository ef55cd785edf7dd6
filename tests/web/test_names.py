"""A name that nobody finds keeps nobody but those who want it."""

import asyncio
import socket
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx2
import pytest
from starlette.applications import Starlette

from opusbridge import Settings, create_app
from opusbridge.privacy import Private
from opusbridge.tools.workers import Workers
from opusbridge.web import names, server
from opusbridge.web.names import look_names_up_apart, look_up
from opusbridge.webhooks import courier
from opusbridge.webhooks.courier import Courier

NAME = "hook.example.com"


class NameServer:
    """It knows every name as this machine, and says so of one of them when it is let."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.asked: list[str] = []
        self.answers = threading.Event()
        find = socket.getaddrinfo

        def look(host: Any, *more: Any) -> Any:
            name = host.decode() if isinstance(host, bytes) else str(host)
            self.asked.append(name)
            if name == NAME:
                self.answers.wait(20.0)
            return find("127.0.0.1", *more)

        monkeypatch.setattr(socket, "getaddrinfo", look)


@pytest.fixture
def slow(monkeypatch: pytest.MonkeyPatch) -> Iterator[NameServer]:
    found = NameServer(monkeypatch)
    yield found
    found.answers.set()


async def no_pause(seconds: float) -> None:
    """Nobody waits in this test."""


def test_a_webhook_whose_name_is_not_found_costs_one_thread_and_does_not_keep_the_process(
    slow: NameServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(courier, "TIMEOUT", httpx2.Timeout(0.01))
    monkeypatch.setattr(courier, "LAST_SECONDS", 10.0)

    async def main() -> None:
        look_names_up_apart()
        url = f"http://{NAME}/hook"
        carrying = Courier(url, Private("x" * 32), tmp_path, pause=no_pause)
        async with asyncio.timeout(5.0), carrying.at_work():
            for number in range(4):
                await carrying.leave(f"call-{number}", b"{}")
        assert carrying.waiting == 4
        assert await look_up("other.example.com", 80, type=socket.SOCK_STREAM)

    server.run(main())

    assert slow.asked == [NAME, "other.example.com"]
    assert not slow.answers.is_set()


async def test_one_look_up_is_for_all_who_ask_meanwhile_and_for_whoever_has_patience(
    slow: NameServer,
) -> None:
    asking = [asyncio.create_task(look_up(NAME, 80)) for _ in range(3)]
    await asyncio.sleep(0)
    asking[0].cancel()
    await asyncio.wait(asking[:1])
    slow.answers.set()
    first, second = await asyncio.gather(*asking[1:])

    assert first == second
    assert first[0][-1] == ("127.0.0.1", 80)
    assert slow.asked == [NAME]


async def test_a_name_that_there_is_not_is_an_error_as_ever_and_asked_for_again(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def unknown(*wish: Any) -> Any:
        asked.append(wish)
        raise socket.gaierror(socket.EAI_NONAME, "no such name")

    asked: list[Any] = []
    monkeypatch.setattr(socket, "getaddrinfo", unknown)
    for _ in range(2):
        with pytest.raises(socket.gaierror):
            await look_up(NAME, 80)

    assert len(asked) == 2


async def test_a_name_is_not_found_where_no_thread_can_be_had(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def no_thread(thread: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr(names, "THREADS", Workers())
    monkeypatch.setattr(threading.Thread, "start", no_thread)
    for _ in range(2):
        with pytest.raises(OSError, match="thread"):
            await look_up(NAME, 80)


@pytest.mark.parametrize("fast", [True, False])
def test_a_loop_that_serves_the_application_looks_names_up_so(
    fast: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    if not fast:
        monkeypatch.setitem(sys.modules, "uvloop", None)

    async def main() -> None:
        app: Starlette = create_app(Settings.load())
        async with app.router.lifespan_context(app):
            found.append(asyncio.get_running_loop().getaddrinfo)

    found: list[Any] = []
    server.run(main())

    assert found == [look_up]

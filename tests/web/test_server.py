import asyncio
import os
import signal
import socket
import threading
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from functools import partial
from typing import Any, NoReturn, cast
from urllib.parse import urlsplit

import httpx2
import pytest
from fastapi import FastAPI
from prometheus_client import CollectorRegistry
from structlog.testing import capture_logs
from uvicorn.protocols.http.h11_impl import H11Protocol

from opusbridge.bridge.metrics import Metrics
from opusbridge.errors import ConfigurationError
from opusbridge.web import app as app_room
from opusbridge.web import server as room
from opusbridge.web.app import assemble
from opusbridge.web.calls import Calls
from tests.web.serving import (
    AGENT,
    House,
    PretendBridge,
    close_code,
    house,
    refused_status,
    settings,
)

pytestmark = pytest.mark.usefixtures("both_sockets")

INITIATE = '{"type": "session.initiate"}'


async def a_call(server: House) -> PretendBridge:
    connection = await server.upgrade("/audiocodes")
    await connection.send(INITIATE)
    bridge = await server.bridges.get()
    await bridge.has_heard(1)
    return bridge


async def ended(server: House) -> None:
    assert server.running is not None
    async with asyncio.timeout(5.0):
        await server.running


async def answers_not_ready(server: House) -> None:
    """Returns when the signal has arrived."""
    async with asyncio.timeout(5.0):
        while (await server.http.get("/readyz")).status_code != 503:
            pass


# --- The end ----------------------------------------------------------------------------


@pytest.mark.slow
async def test_sigterm_lets_calls_finish_and_refuses_new_ones() -> None:
    async with house(drain_seconds=60.0) as server:
        bridge = await a_call(server)
        signal.raise_signal(signal.SIGTERM)
        await answers_not_ready(server)

        assert await refused_status(server.upgrade("/audiocodes")) == 503
        await server.upgrades[0].send("still here")
        assert (await bridge.has_heard(2))[-1] == "still here"
        bridge.hang_up("caller-hung-up")
        assert await close_code(server.upgrades[0]) == 1000, "not the server's 1012"
        await ended(server)
        assert bridge.done == [("hang_up", "caller-hung-up")]


@pytest.mark.slow
async def test_a_call_longer_than_the_draining_hears_a_goodbye() -> None:
    async with house(drain_seconds=0.05) as server:
        bridge = await a_call(server)
        signal.raise_signal(signal.SIGTERM)
        await ended(server)

        assert bridge.done == [("say_goodbye", "drained")]
        assert await close_code(server.upgrades[0]) == 1000


@pytest.mark.slow
async def test_ctrl_c_takes_leave_at_once() -> None:
    async with house(drain_seconds=60.0) as server:
        bridge = await a_call(server)
        signal.raise_signal(signal.SIGINT)
        await ended(server)

        assert bridge.done == [("say_goodbye", "drained")]


@pytest.mark.slow
async def test_ctrl_c_cuts_a_draining_short() -> None:
    async with house(drain_seconds=60.0) as server:
        bridge = await a_call(server)
        signal.raise_signal(signal.SIGTERM)
        await answers_not_ready(server)
        signal.raise_signal(signal.SIGINT)
        await ended(server)

        assert bridge.done == [("say_goodbye", "drained")]


@pytest.mark.slow
async def test_ctrl_c_twice_does_not_wait_for_anybody(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(room, "HURRIED_GOODBYE_SECONDS", 60.0)
    monkeypatch.setattr(PretendBridge, "say_goodbye", lambda self, reason: None)
    async with house(drain_seconds=60.0) as server:
        await a_call(server)
        signal.raise_signal(signal.SIGINT)
        await answers_not_ready(server)
        signal.raise_signal(signal.SIGINT)
        await ended(server)


@pytest.mark.slow
async def test_a_call_that_does_not_end_after_its_goodbye_is_cut_off(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(room, "HURRIED_GOODBYE_SECONDS", 0.05)
    monkeypatch.setattr(PretendBridge, "say_goodbye", lambda self, reason: None)
    async with house(drain_seconds=60.0) as server:
        await a_call(server)
        signal.raise_signal(signal.SIGINT)
        await ended(server)

        assert server.calls.count == 0


@pytest.mark.slow
async def test_the_process_waits_until_a_call_that_it_cut_off_is_told_of(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(room, "HURRIED_GOODBYE_SECONDS", 0.05)
    told: list[str] = []

    async def run(self: PretendBridge) -> None:
        try:
            await asyncio.Event().wait()
        finally:
            await asyncio.sleep(0.3)  # as an on_end may
            told.append(self.call_id)

    monkeypatch.setattr(PretendBridge, "run", run)
    async with house(drain_seconds=60.0) as server:
        connection = await server.upgrade("/audiocodes")
        await connection.send(INITIATE)
        bridge = await server.bridges.get()
        signal.raise_signal(signal.SIGINT)
        await ended(server)

        assert told == [bridge.call_id]


@pytest.mark.slow
async def test_it_does_not_wait_for_one_that_never_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(room, "HURRIED_GOODBYE_SECONDS", 0.05)
    monkeypatch.setattr(app_room, "LAST_ENDS_SECONDS", 0.05)
    goes_on = asyncio.Event()

    async def run(self: PretendBridge) -> None:
        while not goes_on.is_set():
            with suppress(asyncio.CancelledError):
                await goes_on.wait()

    monkeypatch.setattr(PretendBridge, "run", run)
    async with house(drain_seconds=60.0) as server:
        connection = await server.upgrade("/audiocodes")
        await connection.send(INITIATE)
        await server.bridges.get()
        with capture_logs() as lines:
            signal.raise_signal(signal.SIGINT)
            await ended(server)
        goes_on.set()

    assert lines[-1]["event"] == "the process ends before its calls were told of"


def an_app(calls: Calls, port: int, **more: Any) -> FastAPI:
    registry = CollectorRegistry()
    more |= {"calls": calls, "metrics": Metrics(registry), "registry": registry}
    return assemble(settings(), AGENT, host="127.0.0.1", port=port, **more)


@pytest.mark.slow
def test_a_whole_process_serves_until_it_is_told_to_stop() -> None:
    seen: list[int] = []

    async def main() -> None:
        calls = Calls(nobody, nobody)
        with room.listen("127.0.0.1", 0) as listening:
            port = listening.getsockname()[1]
            app = an_app(calls, port, on_close=partial(note, seen))
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(
                    room.serve(app, calls, settings(), "127.0.0.1", port, listening=listening)
                )
                async with httpx2.AsyncClient(trust_env=False, verify=False) as http:
                    seen.append((await http.get(f"http://127.0.0.1:{port}/readyz")).status_code)
                signal.raise_signal(signal.SIGTERM)

    room.run(main())

    assert seen == [200, 0]


async def stopped_beside_a_task_that_stays(left: list[int]) -> None:
    """Until the process is left, with the status in ``left``."""
    too_long = time.monotonic() + 5.0

    async def stays() -> None:
        while not left and time.monotonic() < too_long:
            with suppress(asyncio.CancelledError):
                await asyncio.sleep(0.05)

    staying = asyncio.create_task(stays())
    calls = Calls(nobody, nobody)
    with room.listen("127.0.0.1", 0) as listening:
        port = listening.getsockname()[1]
        where = ("127.0.0.1", port)
        app = an_app(calls, port)
        serving = room.serve(app, calls, settings(), *where, listening=listening, leave=left.append)
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(serving)
            async with httpx2.AsyncClient(trust_env=False, verify=False) as http:
                await http.get(f"http://127.0.0.1:{port}/readyz")
            signal.raise_signal(signal.SIGTERM)
    assert not staying.done()


@pytest.mark.slow
def test_a_task_that_is_not_to_be_cancelled_does_not_keep_the_process(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(room, "LEFT_BEHIND_SECONDS", 0.1)
    left: list[int] = []

    room.run(stopped_beside_a_task_that_stays(left))

    assert left == [0]


@pytest.mark.slow
def test_nor_does_it_where_the_server_broke(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(room, "LEFT_BEHIND_SECONDS", 0.1)
    monkeypatch.setattr(room, "LAST_ENDS_SECONDS", 0.1)
    monkeypatch.delattr(Calls, "take_leave")
    left: list[int] = []

    with pytest.raises(ExceptionGroup):
        asyncio.run(stopped_beside_a_task_that_stays(left))  # uvloop would not close

    assert left == [1]


def test_a_process_is_left_also_where_there_are_no_threads(monkeypatch: pytest.MonkeyPatch) -> None:
    def start(self: threading.Thread) -> NoReturn:
        raise RuntimeError("can't start new thread")

    left: list[int] = []
    monkeypatch.setattr(threading.Thread, "start", start)
    monkeypatch.setattr(os, "_exit", left.append)

    room.leave_process(1)

    assert left == [1]


@pytest.mark.slow
def test_a_process_whose_service_broke_ends_and_says_so() -> None:
    breaks = asyncio.Event()

    async def broken() -> None:
        await breaks.wait()
        raise RuntimeError("can't start new thread")

    @asynccontextmanager
    async def beside() -> AsyncIterator[None]:
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(broken())
            yield

    async def main() -> None:
        calls = Calls(nobody, nobody)
        with room.listen("127.0.0.1", 0) as listening:
            port = listening.getsockname()[1]
            app = an_app(calls, port, beside=beside)
            serving = room.serve(app, calls, settings(), "127.0.0.1", port, listening=listening)
            async with asyncio.timeout(10.0), asyncio.TaskGroup() as tasks:
                tasks.create_task(serving)
                async with httpx2.AsyncClient(trust_env=False, verify=False) as http:
                    await http.get(f"http://127.0.0.1:{port}/readyz")
                breaks.set()

    with pytest.raises(SystemExit) as left:
        room.run(main())

    assert left.value.code == 1


async def note(seen: list[int]) -> None:
    seen.append(0)


def nobody(*_: object) -> PretendBridge:
    raise AssertionError("nobody calls in this test")


async def test_serving_where_nobody_can_listen_is_a_mistake_with_a_clear_line() -> None:
    with room.listen("127.0.0.1", 0) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(ConfigurationError, match="cannot listen"):
            await room.serve(FastAPI(), Calls(nobody, nobody), settings(), "127.0.0.1", port)


# --- Slow peers -------------------------------------------------------------------------


async def drip(server: House, *, first: bytes, then: bytes) -> bytes:
    """All the server says to a peer that sends ``then`` again and again, until it is cut."""
    reader, writer = await asyncio.open_connection("127.0.0.1", urlsplit(server.base).port)
    said = b""
    writer.write(first)
    try:
        async with asyncio.timeout(5.0):
            while True:
                try:
                    async with asyncio.timeout(0.005):
                        chunk = await reader.read(1000)
                except TimeoutError:
                    writer.write(then)
                    continue
                if not chunk:
                    return said
                said += chunk
    except ConnectionError:
        return said
    finally:
        writer.close()
        with suppress(ConnectionError):
            await writer.wait_closed()


@pytest.mark.parametrize(
    "first",
    [
        b"GET /healthz HTTP/1.1\r\nX-Drip: ",
        b"",
        b"POST /twilio/voice HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 9000\r\n\r\nCallSid=",
    ],
)
async def test_a_request_that_drips_in_is_cut_off(
    first: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(room, "REQUEST_SECONDS", 0.05)
    async with house() as server:
        await drip(server, first=first, then=b"x")

        assert server.rejected("http", "slow-request") == 1


async def test_the_second_request_of_a_connection_is_timed_too(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(room, "REQUEST_SECONDS", 0.05)
    async with house() as server:
        first = b"GET /healthz HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\nGET /hea"
        said = await drip(server, first=first, then=b"x")

        assert b"200 OK" in said
        assert server.rejected("http", "slow-request") == 1


@asynccontextmanager
async def who_reads_nothing(server: House) -> AsyncIterator[tuple[socket.socket, H11Protocol]]:
    """And the server's end of the connection, with little room for answers."""
    with socket.socket() as peer:
        peer.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        peer.setblocking(False)
        where = ("127.0.0.1", urlsplit(server.base).port)
        await asyncio.get_running_loop().sock_connect(peer, where)
        while not (connections := server.server.server_state.connections):  # noqa: ASYNC110  # uvicorn tells nobody
            await asyncio.sleep(0.01)
        (connection,) = cast("set[H11Protocol]", connections)
        theirs = connection.transport.get_extra_info("socket")
        theirs.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4096)
        yield peer, connection


async def nobody_connected(server: House) -> None:
    async with asyncio.timeout(5.0):
        while server.server.server_state.connections:  # noqa: ASYNC110  # uvicorn tells nobody
            await asyncio.sleep(0.01)


async def test_who_reads_no_answers_is_cut_off(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(room, "REQUEST_SECONDS", 0.3)
    async with house() as server, who_reads_nothing(server) as (peer, connection):
        connection.transport.set_write_buffer_limits(1000)
        many = b"GET /healthz HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n" * 1000
        sending = asyncio.create_task(asyncio.get_running_loop().sock_sendall(peer, many))

        await nobody_connected(server)
        sending.cancel()
        await asyncio.wait([sending])
        assert server.rejected("http", "slow-request") == 1


async def test_a_connection_that_was_closed_does_not_wait_for_who_reads_nothing(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(room, "REQUEST_SECONDS", 0.2)
    async with house() as server, who_reads_nothing(server) as (peer, connection):
        connection.transport.set_write_buffer_limits(2**30)
        connection.transport.write(bytes(2**20))
        request = b"GET /healthz HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n"
        await asyncio.get_running_loop().sock_sendall(peer, request)

        await nobody_connected(server)


async def test_a_call_is_not_timed_as_a_request(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(room, "REQUEST_SECONDS", 0.05)
    async with house() as server:
        bridge = await a_call(server)
        await drip(server, first=b"", then=b"x")  # began later and is cut before

        await server.upgrades[0].send("still here")
        assert (await bridge.has_heard(2))[-1] == "still here"


# --- Listening --------------------------------------------------------------------------


async def test_small_frames_do_not_wait_for_each_other() -> None:
    async with house() as server:
        await a_call(server)
        accepted = [
            connection.transport.get_extra_info("socket")
            for connection in server.server.server_state.connections
        ]

        assert accepted
        for one in accepted:
            assert one.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY) != 0


def test_a_port_in_use_is_a_mistake_with_a_clear_line() -> None:
    with room.listen("127.0.0.1", 0) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(ConfigurationError, match=f"cannot listen on 127.0.0.1:{port}"):
            room.listen("127.0.0.1", port)


@pytest.mark.parametrize("host", ["256.1.1.1", "no such host", "ü..x", "ü" * 64])
def test_a_host_that_is_none_is_a_mistake_with_a_clear_line(host: str) -> None:
    with pytest.raises(ConfigurationError, match="cannot listen on"):
        room.listen(host, 0)


def test_ipv6_is_listened_on_too() -> None:
    with room.listen("::1", 0) as bound:
        assert bound.family == socket.AF_INET6

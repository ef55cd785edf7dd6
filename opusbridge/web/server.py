"""The server process: its listening socket, its patience with slow peers, and its end.

``SIGTERM`` lets the calls under way finish, for ``drain_seconds`` at most; Ctrl-C takes leave
of the callers at once; Ctrl-C again does not even do that, and waits for nobody's hooks or files.
Only then is uvicorn told to stop, because the first thing it does is to close every WebSocket.
"""

import asyncio
import logging
import os
import signal
import socket
import threading
from collections.abc import Callable, Coroutine
from contextlib import suppress
from types import FrameType
from typing import Any, ClassVar

import h11
import structlog
import uvicorn
from fastapi import FastAPI
from uvicorn.lifespan.on import LifespanOn
from uvicorn.protocols.http.h11_impl import H11Protocol

from opusbridge.config import Settings
from opusbridge.errors import ConfigurationError
from opusbridge.web.access import Access, Refusal
from opusbridge.web.app import LAST_ENDS_SECONDS
from opusbridge.web.calls import Calls
from opusbridge.web.direct import DirectProtocol

#: Seconds a request may take to arrive, headers and body; uvicorn itself waits for ever.
REQUEST_SECONDS = 10.0
#: One megabyte ends a socket; what we count and drop (64 KiB) is far below.
MAX_MESSAGE_BYTES = 2**20
#: Bytes of a peer's that the kernel keeps until we read them, about: what one who floods us may
#: cost the others in one turn of the loop.
MOST_UNREAD_BYTES = 64 * 1024
#: Seconds between our pings to telephony sockets, and until a missing pong means a dead one.
PING_SECONDS = 20.0
#: Seconds for the stored goodbye after Ctrl-C, which has five in all where nobody is slow …
HURRIED_GOODBYE_SECONDS = 2.75
#: … and at the end of the draining, after what the caller is just hearing.
GOODBYE_SECONDS = 15.0
#: Seconds for requests under way when all calls are over or given up.
LAST_SECONDS = 1
#: Seconds after Ctrl-C was pressed again: what is cut off may close its sockets and files.
AT_ONCE_SECONDS = 0.5
#: Seconds for the log's last lines when the process is left.
LAST_LINES_SECONDS = 0.2
#: Seconds after the end of everything that is waited for: what will not end keeps no process.
LEFT_BEHIND_SECONDS = 3.0

_log = structlog.get_logger(__name__)


async def serve(
    app: FastAPI,
    calls: Calls,
    settings: Settings,
    host: str,
    port: int,
    *,
    listening: socket.socket | None = None,
    leave: Callable[[int], None] | None = None,
) -> None:
    """Serve until a signal ends it. Raises :class:`ConfigurationError` if it cannot listen, and
    ``SystemExit`` in the end if the service broke: whoever started the process starts it anew.

    ``listening`` is from :func:`listen`, for those who must know the port beforehand. ``leave``
    is called, in any thread and with the status of the process, where Ctrl-C was pressed again
    and half a second later there is still something going on, and where the process is still
    there some seconds after all was over.
    """
    bound = listen(host, port) if listening is None else listening
    server = Server(app, calls, settings.drain_seconds, leave)
    await server.serve(sockets=[bound])
    if server.broke:
        raise SystemExit(1)


def listen(host: str, port: int) -> socket.socket:
    """A listening socket; port 0 takes a free one. Raises :class:`ConfigurationError`."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    # Unless the protocol is named, asyncio leaves small frames to wait for each other (Nagle).
    bound = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    try:
        bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        # The connections that are accepted inherit it; Linux takes it twice.
        bound.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, MOST_UNREAD_BYTES // 2)
        bound.bind((host.strip("[]"), port))
        bound.listen(2048)
    except (OSError, OverflowError, TypeError, UnicodeError) as error:  # IDNA refuses it
        bound.close()
        why = getattr(error, "strerror", None) or "no such address"
        raise ConfigurationError(f"cannot listen on {host}:{port}: {why}") from None
    bound.setblocking(False)
    return bound


def run(main: Coroutine[Any, Any, None]) -> None:
    """Run it on uvloop, where there is one."""
    try:
        from uvloop import new_event_loop
    except ImportError:
        asyncio.run(main)
        return
    with asyncio.Runner(loop_factory=new_event_loop) as runner:
        runner.run(main)


def leave_process(status: int) -> None:
    """Now, whatever still goes on."""
    telling = threading.Thread(target=logging.shutdown, daemon=True)
    with suppress(RuntimeError):  # the system has no threads to give
        telling.start()
        telling.join(LAST_LINES_SECONDS)
    os._exit(status)


class Server(uvicorn.Server):
    """uvicorn, which first lets the calls end."""

    def __init__(
        self,
        app: FastAPI,
        calls: Calls,
        drain_seconds: float,
        leave: Callable[[int], None] | None = None,
    ) -> None:
        access: Access = app.state.access
        slow = Refusal(408, "slow-request")
        super().__init__(
            uvicorn.Config(
                app,
                http=patient(REQUEST_SECONDS, lambda: access.refused("http", slow)),
                ws=_websockets(app),
                ws_per_message_deflate=False,
                ws_max_size=MAX_MESSAGE_BYTES,
                ws_ping_interval=PING_SECONDS,
                ws_ping_timeout=PING_SECONDS,
                lifespan="on",
                log_config=None,
                log_level="warning",  # below, paths and queries are shown as they came
                access_log=False,
                proxy_headers=False,
                server_header=False,
                timeout_graceful_shutdown=LAST_SECONDS,
            )
        )
        logging.getLogger("uvicorn.error").addFilter(_worth_logging)
        self._calls = calls
        self._drain_seconds = drain_seconds
        self._leave = leave
        self._told = asyncio.Event()
        self._hurry = asyncio.Event()
        self._interrupts = 0
        self.broke = False
        """We, or what the calls need, were over before them."""

    async def serve(self, sockets: list[socket.socket] | None = None) -> None:
        self._loop = asyncio.get_running_loop()
        try:
            await super().serve(sockets)
        except Exception:  # calls are cut off, and told of, in the end of the loop
            self.broke = True
            self._leave_in(LAST_ENDS_SECONDS + LEFT_BEHIND_SECONDS)
            raise
        # The end of the loop would wait for what an agent has left behind, and that may be for
        # ever: a task that is not to be cancelled, a thread of asyncio's that stands still.
        self._leave_in(LEFT_BEHIND_SECONDS)
        if self._interrupts and (leave := self._leave) is not None:
            # uvicorn no longer listens to signals, and the hooks of the last calls may go on.
            signal.signal(signal.SIGINT, lambda *_: leave(0))

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """Called by the signal handler, in the middle of anything.

        Without uvicorn's own bookkeeping, which would raise the signal again in the end: a
        process that was told to stop and did has nothing to complain about.
        """
        self._interrupts += sig == signal.SIGINT
        if self._interrupts > 1:
            self.should_exit = self.force_exit = True
            self._loop.call_soon_threadsafe(self.cut_off)
            self._leave_in(AT_ONCE_SECONDS)
        if self._interrupts:
            self._loop.call_soon_threadsafe(self._hurry.set)
        self._loop.call_soon_threadsafe(self._told.set)

    def _leave_in(self, seconds: float) -> None:
        if self._leave is None:
            return
        # Not by the loop: what still goes on may be what holds it up.
        leaving = threading.Timer(seconds, self._leave, [int(self.broke)])
        leaving.daemon = True
        with suppress(RuntimeError):  # the system has no threads to give
            leaving.start()

    async def main_loop(self) -> None:
        async with asyncio.TaskGroup() as tasks:
            ending = tasks.create_task(self._end_calls_when_told())
            watching = tasks.create_task(self._watch_the_service())
            await super().main_loop()
            ending.cancel()
            watching.cancel()

    async def _watch_the_service(self) -> None:
        """uvicorn would serve on: without orders, webhooks and announced calls."""
        assert isinstance(self.lifespan, LifespanOn)
        await self.lifespan.shutdown_event.wait()  # which is set in our end only
        _log.error("the service broke: the process ends")
        self.broke = True
        self._hurry.set()
        self._told.set()

    async def _end_calls_when_told(self) -> None:
        await self._told.wait()
        _log.info("stopping", calls=self._calls.count, hurried=self._hurry.is_set())
        self._calls.draining = True
        await self._wait_for_calls(self._drain_seconds)
        self._calls.take_leave("drained")
        await self._wait_for_calls(GOODBYE_SECONDS)
        if not await self._calls.drain(HURRIED_GOODBYE_SECONDS):
            _log.warning("calls cut off", calls=self._calls.count)
        self.should_exit = True

    def cut_off(self) -> None:
        """End now: nobody is waited for, nor taken leave of."""
        self.should_exit = self.force_exit = True
        _log.warning("calls cut off", calls=self._calls.count)
        for task in self.server_state.tasks:
            task.cancel()

    async def _wait_for_calls(self, seconds: float) -> None:
        """Until the last one has ended, or that long, or until somebody is in a hurry."""
        waits = [
            asyncio.create_task(self._calls.drain(seconds)),
            asyncio.create_task(self._hurry.wait()),
        ]
        try:
            await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for wait in waits:
                wait.cancel()


def _websockets(app: FastAPI) -> Any:
    """uvicorn's own protocol for them, nearly as it is, or the lean one."""
    if app.state.sockets == "default":
        return DirectProtocol
    from opusbridge.web.lean import LeanProtocol  # an extra: only where it was chosen

    return LeanProtocol


def patient(seconds: float, on_slow: Callable[[], None]) -> type[H11Protocol]:
    """uvicorn's HTTP protocol, which drops a connection whose request takes longer to arrive, or
    whose answers longer to be read.

    A peer that sends a byte now and then, or reads nothing, would otherwise hold its connection
    for ever. ``on_slow`` is called for each that was still in use.
    """

    class Patient(_Patient):
        _seconds = seconds

        def _too_slow(self) -> None:
            on_slow()
            super()._too_slow()

    return Patient


class _Patient(H11Protocol):
    _seconds: ClassVar[float]
    _due: asyncio.TimerHandle | None = None
    _unread: asyncio.TimerHandle | None = None
    _upgraded = False

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as uvicorn has it
        super().connection_made(transport)
        self._time_the_request()

    def handle_events(self) -> None:
        super().handle_events()
        self._time_the_request()

    def handle_websocket_upgrade(self, event: h11.Request) -> None:
        self._upgraded = True  # from here on another protocol has the connection
        self._forget_unread()
        super().handle_websocket_upgrade(event)

    def connection_lost(self, exc: Exception | None) -> None:
        self._forget()
        self._forget_unread()
        super().connection_lost(exc)

    def pause_writing(self) -> None:
        super().pause_writing()
        self._unread = self._unread or self.loop.call_later(self._seconds, self._too_slow)

    def resume_writing(self) -> None:
        super().resume_writing()
        self._forget_unread()
        self._end_if_closing()

    def on_response_complete(self) -> None:
        super().on_response_complete()
        self._end_if_closing()

    def _end_if_closing(self) -> None:
        """What was sent may be read still, but that is not waited for without end."""
        if self.transport.is_closing() and self._unread is None and not self._upgraded:
            self._unread = self.loop.call_later(self._seconds, self.transport.abort)

    def _time_the_request(self) -> None:
        self._end_if_closing()
        arriving = self.conn.their_state in (h11.IDLE, h11.SEND_BODY)
        if self._upgraded or not arriving:
            self._forget()
        elif self._due is None:
            self._due = self.loop.call_later(self._seconds, self._too_slow)

    def _forget(self) -> None:
        if self._due is not None:
            self._due.cancel()
            self._due = None

    def _forget_unread(self) -> None:
        if self._unread is not None:
            self._unread.cancel()
            self._unread = None

    def _too_slow(self) -> None:
        self.transport.abort()


def _worth_logging(record: logging.LogRecord) -> bool:
    """Not a traceback for each socket that sends bad UTF-8, nor an error for each that was
    refused: both are counted, and told in a line of ours. Nor one for what we cut off."""
    said = str(record.msg)
    # That of the lifespan comes as a text.
    cut_off = said.endswith("asyncio.exceptions.CancelledError\n") or (
        record.exc_info is not None and isinstance(record.exc_info[1], asyncio.CancelledError)
    )
    return not cut_off and not said.startswith(("Invalid UTF-8", "ASGI callable returned without"))

"""The pretend Realtime model on a real WebSocket, for anybody's client."""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from http import HTTPStatus
from types import TracebackType
from typing import Protocol
from urllib.parse import parse_qsl, urlsplit

from websockets.asyncio.server import Server, ServerConnection, serve
from websockets.exceptions import ConnectionClosed
from websockets.http11 import Request, Response

from opusbridge.sim.model import SimulatedModel

#: The service pings this often.
PING_SECONDS = 20.0

#: A client that does not answer a close within this long is dropped.
CLOSE_SECONDS = 2.0

OPENAI_PATH = "/v1/realtime"
AZURE_PATH = "/openai/v1/realtime"

#: Addresses to listen on that nobody can connect to, and where this machine is found instead.
ON_THIS_MACHINE = {"": "127.0.0.1", "0.0.0.0": "127.0.0.1", "::": "::1"}


@dataclass(frozen=True, slots=True)
class Upgrade:
    """How a client came: everything a :class:`SimulatedModel` asks about it."""

    query: Mapping[str, str]
    headers: Mapping[str, str]
    now: float
    unix_time: int


class MakeModel(Protocol):
    def __call__(self, upgrade: Upgrade) -> SimulatedModel:
        """A session for a client that has just come."""


@dataclass(frozen=True, slots=True)
class Azure:
    """What Azure refuses before the upgrade, with an HTTP status, and OpenAI after it."""

    deployments: Collection[str]
    keys: Collection[str]

    def refusal(self, upgrade: Upgrade) -> tuple[HTTPStatus, str] | None:
        """Status and code, or ``None`` for a client that may come in."""
        bearer = upgrade.headers.get("authorization", "").removeprefix("Bearer ")
        key = upgrade.headers.get("api-key") or upgrade.query.get("api-key") or bearer
        if key not in self.keys or "api-version" in upgrade.query:
            return HTTPStatus.UNAUTHORIZED, "401"
        if upgrade.query.get("model") not in self.deployments:
            return HTTPStatus.BAD_REQUEST, "OperationNotSupported"
        return None


class ModelServer:
    """Serves one :class:`SimulatedModel` for each connection, while it is entered.

    ``make`` is called with each :class:`Upgrade`. Port 0 takes any free one; see :attr:`url`.
    With ``azure`` the path is Azure's and refusals come before the upgrade.
    """

    def __init__(
        self,
        make: MakeModel | None = None,
        host: str = "127.0.0.1",
        port: int = 0,
        azure: Azure | None = None,
        changed: Callable[[], None] | None = None,
        kept: int | None = None,
    ) -> None:
        """``changed`` is called after a session has begun or ended.

        So many sessions that are over are ``kept`` to be looked at: the last ones, or all.
        """
        self.finished: deque[SimulatedModel] = deque(maxlen=kept)
        """Sessions that are over, oldest first."""
        self.live: list[SimulatedModel] = []
        self._make = make or accept_anyone
        self._host, self._port = host, port
        self._azure = azure
        self._changed = changed or (lambda: None)
        self._path = AZURE_PATH if azure else OPENAI_PATH
        self._server: Server | None = None

    @property
    def url(self) -> str:
        """Where to connect from this machine, without the ``model`` query; only while entered."""
        host = ON_THIS_MACHINE.get(self._host, self._host)
        shown = f"[{host}]" if ":" in host else host
        return f"ws://{shown}:{self.port}{self._path}"

    @property
    def port(self) -> int:
        assert self._server is not None, "the server is not running"
        return int(next(iter(self._server.sockets)).getsockname()[1])

    async def __aenter__(self) -> ModelServer:
        self._server = await serve(
            self._converse,
            self._host,
            self._port,
            process_request=self._process_request,
            compression=None,
            max_size=None,  # one append may carry 15 MiB
            ping_interval=PING_SECONDS,
            ping_timeout=PING_SECONDS,
            close_timeout=CLOSE_SECONDS,
        )
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        assert self._server is not None
        self._server.close()
        await self._server.wait_closed()

    def _process_request(self, connection: ServerConnection, request: Request) -> Response | None:
        if urlsplit(request.path).path != self._path:
            return connection.respond(HTTPStatus.NOT_FOUND, "There is nothing here.\n")
        if self._azure is None:
            return None
        refusal = self._azure.refusal(_upgrade(request))
        return connection.respond(refusal[0], f"{refusal[1]}\n") if refusal else None

    async def _converse(self, connection: ServerConnection) -> None:
        assert connection.request is not None
        model = self._make(_upgrade(connection.request))
        self.live.append(model)
        self._changed()
        try:
            await _carry(model, connection)
        except ConnectionClosed:
            pass
        finally:
            model.gone(asyncio.get_running_loop().time())
            self.live.remove(model)
            self.finished.append(model)
            self._changed()


def accept_anyone(upgrade: Upgrade) -> SimulatedModel:
    """A session with nothing special about it."""
    return SimulatedModel(
        now=upgrade.now,
        query=upgrade.query,
        headers=upgrade.headers,
        unix_time=upgrade.unix_time,
    )


async def _carry(model: SimulatedModel, connection: ServerConnection) -> None:
    """Texts in, texts out, until either side has had enough."""
    clock = asyncio.get_running_loop().time
    while True:
        for text in model.texts_to_send():
            await connection.send(text)
        if (closing := model.closing) is not None:
            if closing.code is None:
                connection.transport.abort()
            else:
                await connection.close(closing.code, closing.reason)
            return
        try:
            async with asyncio.timeout_at(model.deadline):
                message = await connection.recv()
        except TimeoutError:
            model.wake(clock())
            continue
        if isinstance(message, str):
            model.receive(message, clock())
        else:
            model.receive_binary(clock())


def _upgrade(request: Request) -> Upgrade:
    return Upgrade(
        query=dict(parse_qsl(urlsplit(request.path).query)),
        headers={name.lower(): value for name, value in request.headers.raw_items()},
        now=asyncio.get_running_loop().time(),
        unix_time=int(time.time()),
    )

"""Uvicorn with one of our WebSocket protocols and nothing else: no doors, no calls."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, MutableMapping
from contextlib import asynccontextmanager
from typing import Any

import uvicorn
from uvicorn.protocols.http.h11_impl import H11Protocol
from uvicorn.server import ServerState
from websockets.asyncio.client import ClientConnection, connect

from tests.web.raw import UPGRADE

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[MutableMapping[str, Any], Receive, Send], Awaitable[None]]


@asynccontextmanager
async def client_of(app: App, protocol: type[asyncio.Protocol]) -> AsyncIterator[ClientConnection]:
    """A client connected to the application, which was through when this is left."""
    config = uvicorn.Config(app, ws=protocol, lifespan="off", log_config=None)
    async with (
        _served(config) as (port, state),
        connect(f"ws://127.0.0.1:{port}/", proxy=None, compression=None) as client,
    ):
        yield client
        await client.close()
        if state.tasks:
            await asyncio.wait(state.tasks)


@asynccontextmanager
async def deaf_peer_of(
    app: App, protocol: type[asyncio.Protocol], ping_seconds: float
) -> AsyncIterator[set[Any]]:
    """A peer that upgrades and then reads no byte; yields the server's connections."""
    config = uvicorn.Config(
        app,
        ws=protocol,
        ws_ping_interval=ping_seconds,
        ws_ping_timeout=ping_seconds,
        ws_per_message_deflate=False,
        lifespan="off",
        log_config=None,
    )
    async with _served(config) as (port, state):
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(UPGRADE.encode())
        await reader.readuntil(b"\r\n\r\n")
        writer.transport.pause_reading()  # type: ignore[attr-defined]  # of a socket
        yield state.connections
        writer.transport.abort()


@asynccontextmanager
async def _served(config: uvicorn.Config) -> AsyncIterator[tuple[int, ServerState]]:
    config.load()
    state = ServerState()
    loop = asyncio.get_running_loop()
    server = await loop.create_server(lambda: H11Protocol(config, state, {}), "127.0.0.1", 0)
    async with server:
        yield server.sockets[0].getsockname()[1], state

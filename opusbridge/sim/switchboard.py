"""Where calls are ordered and changed: Twilio's ``Calls`` resource and AudioCodes' dial-out.

A small HTTP server that takes the order, answers as the provider does, and leaves what follows
(who answers, or that nobody does) to :attr:`Switchboard.on_order`. What is to become of a call
under way goes to ``on_update``.
"""

import asyncio
import json
import re
from base64 import b64decode
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from http import HTTPStatus
from random import Random
from typing import Any
from urllib.parse import parse_qsl

#: A real one would not take a larger order either.
MOST_BYTES = 65_536

DIAL_OUT = "/api/v1/actions/dialout"
_CALL = re.compile(r"/2010-04-01/Accounts/[^/]+/Calls/([^/]+)\.json")


@dataclass(frozen=True, slots=True)
class Ordered:
    """One order. ``form`` is what was asked for; ``given_id`` what the answer calls it."""

    telephony: str
    form: dict[str, Any]
    given_id: str
    secret: tuple[str, str]
    """Who asked, by HTTP Basic."""


OnOrder = Callable[[Ordered], Awaitable[None]]
#: Whose call, and what was posted about it; returns the HTTP status of the answer.
OnUpdate = Callable[[str, Mapping[str, str]], int]
#: Whose call is looked at; returns its status in Twilio's words, or ``None`` if there is none.
OnLook = Callable[[str], str | None]


class Switchboard:
    """``on_order`` runs for each order after it was answered; ``answers`` are the statuses of the
    next orders, 0 for none at all, and then all are taken."""

    def __init__(
        self,
        random: Random,
        on_order: OnOrder | None = None,
        on_update: OnUpdate | None = None,
        on_look: OnLook | None = None,
    ) -> None:
        self.on_order, self.on_update, self.on_look = on_order, on_update, on_look
        self.answers: list[int] = []
        self.nameless: set[str] = set()
        """Targets of AudioCodes whose answers name no conversation."""
        self.conversations: list[Any] = []
        """What AudioCodes' next answers name, whatever it is; then ids of the usual kind."""
        self.orders: list[Ordered] = []
        self.url = ""
        self._random = random
        self._tasks: asyncio.TaskGroup | None = None

    @asynccontextmanager
    async def open(self) -> AsyncIterator[str]:
        """Its address; in the end what follows the orders is waited for."""
        server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        self.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        async with asyncio.TaskGroup() as self._tasks, server:
            yield self.url

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
            pairs = (line.partition(": ") for line in head[1:])
            headers = {name.lower(): value for name, _, value in pairs}
            size = min(int(headers.get("content-length", 0)), MOST_BYTES)
            body = await reader.readexactly(size)
            method, path = head[0].split(" ")[:2]
            await self._answer(writer, method, path, headers, body)
        except (asyncio.IncompleteReadError, ConnectionError):
            pass  # they hung up first
        finally:
            writer.close()

    async def _answer(
        self,
        writer: asyncio.StreamWriter,
        method: str,
        path: str,
        headers: dict[str, str],
        body: bytes,
    ) -> None:
        status = self.answers.pop(0) if self.answers else 201
        if status == 0:
            return
        changed = _CALL.fullmatch(path)
        if changed is not None and method == "GET" and self.on_look is not None:
            found = self.on_look(changed[1])
            await _write(writer, 404 if found is None else 200, {"status": found})
            return
        if changed is not None and self.on_update is not None:
            status = self.on_update(changed[1], dict(parse_qsl(body.decode())))
            told: dict[int, dict[str, Any]] = {200: {"sid": changed[1]}, 404: {"code": 20404}}
            await _write(writer, status, told.get(status, {}))
            return
        ordered = self._read(path, headers, body)
        if ordered is None:
            status = 404
        taken = ordered if status < 300 else None
        name = "sid" if path.endswith("/Calls.json") else "conversationId"
        said = {name: taken.given_id} if taken else {"code": 21216}
        nameless = taken is not None and taken.form.get("target") in self.nameless
        await _write(writer, status, {} if nameless else said)
        if taken is not None:
            self.orders.append(taken)
            if self.on_order is not None:
                assert self._tasks is not None
                self._tasks.create_task(_as_task(self.on_order(taken)))

    def _read(self, path: str, headers: dict[str, str], body: bytes) -> Ordered | None:
        scheme, _, shown = headers.get("authorization", "").partition(" ")
        who = b64decode(shown).decode() if scheme == "Basic" else f":{shown}"
        name, _, secret = who.partition(":")
        if path.startswith("/2010-04-01/Accounts/") and path.endswith("/Calls.json"):
            sid = f"CA{self._random.getrandbits(128):032x}"
            return Ordered("twilio", dict(parse_qsl(body.decode())), sid, (name, secret))
        if path == DIAL_OUT:
            usual = f"{self._random.getrandbits(128):032x}"
            given = self.conversations.pop(0) if self.conversations else usual
            return Ordered("audiocodes", json.loads(body), given, (name, secret))
        return None


async def _as_task(work: Awaitable[None]) -> None:
    await work


async def _write(writer: asyncio.StreamWriter, status: int, said: dict[str, Any]) -> None:
    told = json.dumps(said).encode()
    writer.write(
        f"HTTP/1.1 {status} {HTTPStatus(status).phrase}\r\nContent-Type: application/json\r\n"
        f"Content-Length: {len(told)}\r\nConnection: close\r\n\r\n".encode()
        + told
    )
    await writer.drain()

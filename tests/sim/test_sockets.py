"""Simulated callers on real sockets: a few lines of server stand in for the bridge."""

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from random import Random

import pytest
from websockets.asyncio.client import connect
from websockets.asyncio.server import ServerConnection, serve
from websockets.exceptions import ConnectionClosed
from websockets.http11 import Request, Response

from opusbridge.sim.callers import (
    DropLine,
    HangUp,
    Person,
    SimulatedAudioCodes,
    SimulatedTwilio,
    Step,
    Wait,
)
from opusbridge.sim.model.server import SimulatedModel
from opusbridge.sim.sockets import CallRefused, bearer, join, place_call

Handler = Callable[[ServerConnection], Awaitable[None]]


@asynccontextmanager
async def bridge(handler: Handler, token: str | None = None) -> AsyncIterator[str]:
    """Where a stand-in for the bridge listens."""

    def admit(socket: ServerConnection, request: Request) -> Response | None:
        if token is not None and request.headers.get("Authorization") != f"Bearer {token}":
            return socket.respond(401, "no")
        return None

    async with serve(handler, "127.0.0.1", 0, process_request=admit) as server:
        port = server.sockets[0].getsockname()[1]
        yield f"ws://127.0.0.1:{port}/socket"


def twilio(*steps: Step) -> SimulatedTwilio:
    return SimulatedTwilio(Person(steps), "CA1", "MZ1", {}, Random(1))


async def listen(socket: ServerConnection) -> None:
    async for _ in socket:
        pass


async def test_a_call_is_carried_until_the_person_hangs_up() -> None:
    heard: list[str] = []

    async def answer(socket: ServerConnection) -> None:
        async for text in socket:
            event = json.loads(text)["event"]
            heard.append(event)
            if event == "start":
                mark = {"event": "mark", "streamSid": "MZ1", "mark": {"name": "m"}}
                await socket.send(json.dumps(mark))

    told: list[tuple[str, str]] = []
    caller = twilio(Wait(0.1), HangUp())
    async with bridge(answer) as url:
        await place_call(caller, url, on_event=lambda kind, text: told.append((kind, text)))

    assert heard[:2] == ["connected", "start"]
    assert heard[-1] == "stop"
    assert 4 <= heard.count("media") <= 6
    assert heard.count("mark") == 1
    assert told == [("opened", ""), ("hangs-up", ""), ("closed", "")]
    assert caller.verdict() == []


async def test_the_line_keeps_real_time() -> None:
    async with bridge(listen) as url:
        clock = asyncio.get_running_loop().time
        before = clock()
        await place_call(twilio(Wait(0.2), HangUp()), url)

    assert 0.2 <= clock() - before < 1.0


async def test_a_dropped_line_is_no_proper_close() -> None:
    closed: list[tuple[int | None, bool]] = []

    async def answer(socket: ServerConnection) -> None:
        try:
            await listen(socket)
        except ConnectionClosed as error:
            closed.append((socket.close_code, error.rcvd is None))

    async with bridge(answer) as url:
        await place_call(twilio(Wait(0.05), DropLine()), url)

    assert closed == [(1006, True)]


async def test_a_socket_closed_by_the_bridge_ends_the_call() -> None:
    async def answer(socket: ServerConnection) -> None:
        await socket.close(1000)

    caller = twilio(Wait(5.0))
    async with bridge(answer) as url:
        await place_call(caller, url)

    assert caller.console == [31921]


async def test_a_call_that_is_given_up_leaves_no_socket_open() -> None:
    begun, over = asyncio.Event(), asyncio.Event()

    async def answer(socket: ServerConnection) -> None:
        await socket.recv()
        begun.set()
        await socket.wait_closed()
        over.set()

    async with bridge(answer) as url:
        calling = asyncio.create_task(place_call(twilio(Wait(60)), url))
        await begun.wait()
        calling.cancel()
        async with asyncio.timeout(5):  # he would stay for a minute
            await over.wait()

    assert calling.cancelled()


async def test_a_binary_frame_is_a_violation() -> None:
    async def answer(socket: ServerConnection) -> None:
        await socket.send(b"\x00")
        await listen(socket)

    caller = twilio(Wait(0.1), HangUp())
    async with bridge(answer) as url:
        await place_call(caller, url)

    assert caller.verdict() == ["31950: not JSON"]


async def test_the_bearer_is_presented_and_its_refusal_told() -> None:
    def caller() -> SimulatedAudioCodes:
        return SimulatedAudioCodes(Person([]), "c-1", Random(1))

    async def refuse(socket: ServerConnection) -> None:
        await socket.send(json.dumps({"type": "session.error", "reason": "no"}))
        await listen(socket)

    async with bridge(refuse, token="secret") as url:
        admitted = caller()
        await place_call(admitted, url, headers=bearer("secret"))
        with pytest.raises(CallRefused, match="401"):
            await place_call(caller(), url, headers=bearer("wrong"))
        with pytest.raises(CallRefused, match="401"):
            await place_call(caller(), url, headers=bearer(None))

    assert admitted.refused == "no"


async def test_nobody_listening_is_a_refusal_without_a_status() -> None:
    async with bridge(listen) as url:
        pass

    with pytest.raises(CallRefused, match="nobody listens there"):
        await place_call(twilio(), url)


async def test_a_lost_socket_is_resumed_on_a_new_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("opusbridge.sim.sockets.RESUME_AFTER_SECONDS", 0.01)
    first: list[str] = []

    async def answer(socket: ServerConnection) -> None:
        async for text in socket:
            kind = json.loads(text)["type"]
            if kind == "session.initiate":
                first.append(kind)
                await socket.send('{"type":"session.accepted","mediaFormat":"raw/mulaw"}')
            elif kind == "activities":
                return await socket.close()  # without a goodbye
            elif kind == "session.resume":
                first.append(kind)
                await socket.send('{"type":"session.error","reason":"gone"}')

    caller = SimulatedAudioCodes(Person([]), "c-1", Random(1))
    async with bridge(answer) as url:
        await place_call(caller, url)

    assert first == ["session.initiate", "session.resume"]
    assert (caller.refused, caller.reconnect_wanted) == ("gone", False)


async def test_a_call_that_cannot_be_resumed_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("opusbridge.sim.sockets.RESUME_AFTER_SECONDS", 0.01)
    dialled: list[str] = []

    async def answer(socket: ServerConnection) -> None:
        dialled.append("")
        await socket.send('{"type":"session.accepted","mediaFormat":"raw/mulaw"}')
        if len(dialled) == 1:
            await anext(aiter(socket))
        await socket.close()

    caller = SimulatedAudioCodes(Person([]), "c-1", Random(1))
    async with bridge(answer) as url:
        await place_call(caller, url)

    assert len(dialled) == 4


async def test_the_model_too_can_stand_on_a_socket() -> None:
    answers: list[str] = []

    async def serve_model(socket: ServerConnection) -> None:
        model = SimulatedModel(now=asyncio.get_running_loop().time())
        await join(model, socket)

    async with bridge(serve_model) as url, connect(url) as socket:
        answers.append(json.loads(await socket.recv())["type"])
        await socket.send(b"\x00")
        answers.append(json.loads(await socket.recv())["type"])

    assert answers == ["session.created", "error"]

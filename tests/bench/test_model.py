"""The model of the load test: what an overloaded machine makes of it must not be its own fault."""

import asyncio
import json

from websockets.asyncio.client import connect

from opusbridge import effects
from opusbridge.bench.model import Hall
from opusbridge.protocols.realtime.protocol import RealtimeProtocol


async def test_a_model_that_is_asked_whether_it_is_there_says_so_and_stays() -> None:
    protocol = RealtimeProtocol()
    protocol.send(effects.FeelPulse())
    (question,) = protocol.messages_to_send()
    loop = asyncio.get_running_loop()
    async with await loop.create_server(Hall(160).session, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        async with connect(f"ws://127.0.0.1:{port}", compression=None, proxy=None) as bridge:
            told = [json.loads(await bridge.recv())["type"]]
            for _ in range(2):
                await bridge.send(question)
                told.append(json.loads(await bridge.recv())["type"])

    assert told == ["session.created", "session.updated", "session.updated"]


async def test_the_sound_of_an_answer_that_is_cancelled_is_withdrawn() -> None:
    hall, loop = Hall(160), asyncio.get_running_loop()
    async with await loop.create_server(hall.session, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        async with connect(f"ws://127.0.0.1:{port}", compression=None, proxy=None) as bridge:
            audio = {"input": {}, "output": {"format": {"type": "audio/pcmu"}}}
            for said in (
                {"type": "session.update", "session": {"audio": audio}},
                {"type": "response.create"},
                {"type": "response.cancel", "response_id": "resp_1"},
                {"type": "response.create"},
                {"type": "response.cancel", "response_id": "resp_1"},
            ):
                await bridge.send(json.dumps(said))
            while json.loads(text := await bridge.recv())["type"] != "response.done":
                pass
            await bridge.send('{"type": "session.update", "session": {}}')
            while json.loads(text)["type"] != "session.updated":
                text = await bridge.recv()

    # The second cancellation came late, and is not for the response that there is now.
    assert hall.withdrawn == [(0, 1, 1), (0, 1, 1)]
    assert hall.sessions[0].deltas == 2

"""The same session on a real socket, and the provider's own client talking to it."""

import asyncio
import json
from base64 import b64decode, b64encode
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from typing import Any
from urllib.parse import urlsplit

import pytest
from openai import AsyncOpenAI
from openai.resources.realtime.realtime import AsyncRealtimeConnection
from openai.types.realtime import RealtimeServerEvent
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, ConnectionClosedError, InvalidStatus

from opusbridge.config import is_loopback
from opusbridge.sim.model import Knobs, Reply, ReplyScript, SimulatedModel, ToolCallReply
from opusbridge.sim.model_server import Azure, ModelServer, Upgrade
from opusbridge.sim.tones import silence, voice
from tests.openai_oracle import assert_server_event

KEY = {"Authorization": "Bearer sk-simulated"}

LONG = "This answer takes rather a long while to say, as long answers do. " * 20


def made(
    knobs: Knobs | None = None, replies: ReplyScript | None = None, **more: Any
) -> ModelServer:
    def make(upgrade: Upgrade) -> SimulatedModel:
        return SimulatedModel(
            knobs,
            replies=replies,
            now=upgrade.now,
            query=upgrade.query,
            headers=upgrade.headers,
            unix_time=upgrade.unix_time,
            **more,
        )

    return ModelServer(make)


async def heard(socket: ClientConnection) -> dict[str, Any]:
    async with asyncio.timeout(15):
        event: dict[str, Any] = json.loads(await socket.recv())
    assert_server_event(event)
    return event


async def closed(socket: ClientConnection) -> ConnectionClosed:
    async with asyncio.timeout(15):
        try:
            while True:
                await socket.recv()
        except ConnectionClosed as ended:
            return ended


async def test_a_session_begins_and_answers_on_a_socket() -> None:
    async with (
        ModelServer() as server,
        connect(f"{server.url}?model=gpt-realtime", additional_headers=KEY) as socket,
    ):
        assert (await heard(socket))["type"] == "session.created"
        await socket.send(json.dumps({"type": "session.update", "session": {"type": "realtime"}}))
        assert (await heard(socket))["type"] == "session.updated"
        await socket.send(b"\x00")
        assert (await heard(socket))["error"]["code"] == "invalid_event"
        assert len(server.live) == 1


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "::1"])
async def test_the_address_that_is_shown_can_be_connected_to(host: str) -> None:
    async with AsyncExitStack() as stack:
        try:
            server = await stack.enter_async_context(ModelServer(host=host))
        except OSError:
            pytest.skip("this machine has no IPv6")
        url = f"{server.url}?model=gpt-realtime"
        socket = await stack.enter_async_context(connect(url, additional_headers=KEY))

        assert (await heard(socket))["type"] == "session.created"
        assert is_loopback(urlsplit(url).hostname or ""), "serve takes it without a key"


async def test_a_session_that_is_over_can_be_looked_at() -> None:
    changes: asyncio.Queue[None] = asyncio.Queue()
    async with ModelServer(changed=lambda: changes.put_nowait(None)) as server:
        async with connect(f"{server.url}?model=gpt-realtime", additional_headers=KEY) as socket:
            await heard(socket)
        async with asyncio.timeout(15):
            for _begun_and_ended in range(2):
                await changes.get()

        (model,) = server.finished
        assert server.live == []
        assert [happening.type for happening in model.history] == ["session.created"]
        assert model.verdict() == []


async def test_only_the_last_sessions_are_kept_where_so_many_are_enough() -> None:
    changes: asyncio.Queue[None] = asyncio.Queue()
    async with ModelServer(changed=lambda: changes.put_nowait(None), kept=1) as server:
        for sent in ('{"type": "response.cancel"}', ""):
            async with connect(
                f"{server.url}?model=gpt-realtime", additional_headers=KEY
            ) as socket:
                await heard(socket)
                await socket.send(sent)
                await heard(socket)
            async with asyncio.timeout(15):
                for _begun_and_ended in range(2):
                    await changes.get()

        (model,) = server.finished
        assert "response.cancel" not in [happening.type for happening in model.history]


@pytest.mark.parametrize(
    ("query", "headers", "code", "reason"),
    [
        ("?model=gpt-realtime", {}, 3000, "invalid_request_error"),
        (
            "?model=gpt-realtime",
            {"Authorization": "Bearer sk-other"},
            3000,
            "invalid_request_error.invalid_api_key",
        ),
        ("", KEY, 4000, "invalid_request_error.missing_model"),
        ("?model=gpt-4o", KEY, 4000, "invalid_request_error.invalid_model"),
        (
            "?model=gpt-realtime",
            KEY | {"OpenAI-Beta": "realtime=v1"},
            4000,
            "invalid_request_error.beta_api_shape_disabled",
        ),
    ],
)
async def test_refusals_come_after_the_upgrade_as_an_error_and_a_close(
    query: str, headers: dict[str, str], code: int, reason: str
) -> None:
    async with (
        made(accepted_keys={"sk-simulated"}) as server,
        connect(server.url + query, additional_headers=headers) as socket,
    ):
        assert (await heard(socket))["type"] == "error"

        ended = await closed(socket)

        assert ended.rcvd is not None
        assert (ended.rcvd.code, ended.rcvd.reason) == (code, reason)


async def test_an_expired_session_is_closed_as_going_away() -> None:
    async with (
        made(Knobs(session_limit=0.05)) as server,
        connect(f"{server.url}?model=gpt-realtime", additional_headers=KEY) as socket,
    ):
        ended = await closed(socket)

        assert ended.rcvd is not None
        assert ended.rcvd.code == 1001


async def test_a_dropped_session_ends_without_a_closing_handshake() -> None:
    async with (
        made(Knobs(drop_at=0.05)) as server,
        connect(f"{server.url}?model=gpt-realtime", additional_headers=KEY) as socket,
    ):
        ended = await closed(socket)

        assert isinstance(ended, ConnectionClosedError)
        assert ended.rcvd is None


@pytest.mark.parametrize(
    ("query", "headers", "status"),
    [
        ("?model=front", {"api-key": "right"}, 101),
        ("?model=front&api-key=right", {}, 101),
        ("?model=front", {"Authorization": "Bearer right"}, 101),
        ("?model=front", {"api-key": "wrong"}, 401),
        ("?model=front", {}, 401),
        ("?model=front&api-version=2025-04-01-preview", {"api-key": "right"}, 401),
        ("?model=gpt-realtime", {"api-key": "right"}, 400),
    ],
)
async def test_azure_refuses_before_the_upgrade(
    query: str, headers: dict[str, str], status: int
) -> None:
    def make(upgrade: Upgrade) -> SimulatedModel:
        return SimulatedModel(now=upgrade.now, query=upgrade.query, models={"front"})

    async with ModelServer(make, azure=Azure(deployments={"front"}, keys={"right"})) as server:
        if status == 101:
            async with connect(server.url + query, additional_headers=headers) as socket:
                assert (await heard(socket))["type"] == "session.created"
        else:
            with pytest.raises(InvalidStatus) as refused:
                await connect(server.url + query, additional_headers=headers)
            assert refused.value.response.status_code == status


async def test_any_other_path_is_not_found() -> None:
    async with ModelServer() as server:
        with pytest.raises(InvalidStatus) as refused:
            await connect(server.url.replace("/v1/", "/v2/"), additional_headers=KEY)
    assert refused.value.response.status_code == 404


class Listener:
    """Takes what the official client hears, and has every event judged."""

    def __init__(self, connection: AsyncRealtimeConnection) -> None:
        self._connection = connection

    async def until(self, kind: str) -> list[RealtimeServerEvent]:
        """Everything up to and with the next event of this kind."""
        events: list[RealtimeServerEvent] = []
        async with asyncio.timeout(15):
            while not events or events[-1].type != kind:
                raw = await self._connection.recv_bytes()
                assert_server_event(json.loads(raw))
                events.append(self._connection.parse_event(raw))
        return events

    async def last(self, kind: str) -> Any:
        return (await self.until(kind))[-1]


CONVERSATION = (
    Reply("Good morning."),
    Reply("Let me look.", tool_calls=(ToolCallReply("look_up", '{"order": "77"}'),)),
    Reply("It was sent today."),
    Reply(LONG),  # it must go on until the cancel, however busy the machine
    Reply(LONG),
    Reply("Goodbye."),
)


@pytest.fixture
async def server() -> AsyncIterator[ModelServer]:
    replies = ReplyScript(CONVERSATION, heard=["Thank you."])
    async with made(Knobs(speed=8.0, first_audio_delay=0.02), replies) as running:
        yield running


@pytest.mark.slow
async def test_the_official_client_has_a_whole_conversation(server: ModelServer) -> None:
    base_url = server.url.removesuffix("/realtime")
    client = AsyncOpenAI(api_key="sk-simulated", websocket_base_url=base_url)
    async with client, client.realtime.connect(model="gpt-realtime") as connection:
        listener = Listener(connection)
        created = await listener.last("session.created")
        assert created.session.audio.output.voice == "alloy"

        await configure(connection)
        updated = await listener.last("session.updated")
        assert updated.session.audio.output.format.type == "audio/pcmu"

        await greet(connection, listener)
        await call_a_tool(connection, listener)
        await break_in(connection, listener)
        await speak_over_it(connection, listener)

    (model,) = [*server.finished, *server.live]
    assert model.violations == []
    assert model.conflicts == 1


async def configure(connection: AsyncRealtimeConnection) -> None:
    await connection.session.update(
        session={
            "type": "realtime",
            "instructions": "You answer the phone.",
            "tools": [{"type": "function", "name": "look_up", "parameters": {}}],
            "audio": {
                "input": {
                    "format": {"type": "audio/pcm", "rate": 24000},
                    "transcription": {"model": "gpt-4o-mini-transcribe"},
                },
                "output": {"format": {"type": "audio/pcmu"}, "voice": "marin"},
            },
        }
    )


async def greet(connection: AsyncRealtimeConnection, listener: Listener) -> None:
    await connection.conversation.item.create(
        item={
            "type": "message",
            "role": "user",
            "content": [{"type": "input_text", "text": "Hello"}],
        }
    )
    assert (await listener.last("conversation.item.done")).item.role == "user"
    await connection.response.create(event_id="rc-1", response={"metadata": {"mine": "rc-1"}})

    created, *_, done = await after_created(listener)

    assert created.response.metadata == {"mine": "rc-1"}
    assert done.response.status == "completed"
    assert done.response.output[0].content[0].transcript == "Good morning."
    assert done.response.usage.total_tokens > 0


async def after_created(listener: Listener) -> list[Any]:
    """From ``response.created`` to ``response.done``, sound and all."""
    created = await listener.last("response.created")
    events: list[Any] = await listener.until("response.done")
    sound = b"".join(b64decode(e.delta) for e in events if e.type == "response.output_audio.delta")
    assert len(sound) > 300 * 8
    return [created, *events]


async def call_a_tool(connection: AsyncRealtimeConnection, listener: Listener) -> None:
    await connection.response.create()
    *_, done = await after_created(listener)
    message, call = done.response.output
    assert message.content[0].transcript == "Let me look."
    assert (call.name, call.arguments) == ("look_up", '{"order": "77"}')

    await connection.conversation.item.create(
        item={"type": "function_call_output", "call_id": call.call_id, "output": "sent"}
    )
    await connection.response.create()
    *_, done = await after_created(listener)
    assert done.response.output[0].content[0].transcript == "It was sent today."


async def break_in(connection: AsyncRealtimeConnection, listener: Listener) -> None:
    await connection.response.create()
    created = await listener.last("response.created")
    delta = await listener.last("response.output_audio.delta")

    await connection.response.create(event_id="rc-late")
    error = (await listener.last("error")).error
    assert error.code == "conversation_already_has_active_response"
    assert error.event_id == "rc-late"
    assert created.response.id in error.message

    await connection.response.cancel(response_id=created.response.id)
    done = await listener.last("response.done")
    assert done.response.status == "cancelled"
    assert done.response.status_details.reason == "client_cancelled"

    await connection.conversation.item.truncate(
        item_id=delta.item_id, content_index=0, audio_end_ms=20
    )
    assert (await listener.last("conversation.item.truncated")).audio_end_ms == 20


async def speak_over_it(connection: AsyncRealtimeConnection, listener: Listener) -> None:
    await connection.response.create()
    await listener.until("response.output_audio.delta")
    sound = b64encode(voice(400) + silence(400)).decode()

    await connection.input_audio_buffer.append(audio=sound)

    started = await listener.last("input_audio_buffer.speech_started")
    done = await listener.last("response.done")
    assert done.response.status_details.reason == "turn_detected"
    committed = await listener.last("input_audio_buffer.committed")
    assert committed.item_id == started.item_id
    created = await listener.last("response.created")
    assert created.response.metadata is None
    heard_later = "conversation.item.input_audio_transcription.completed"
    assert (await listener.last(heard_later)).transcript == "Thank you."

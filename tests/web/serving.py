"""A real server on loopback for the tests of the web room, with pretended calls behind it.

The bridges and model sessions here only keep to the interfaces that the web room uses; what
is tested is who gets as far as them.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any
from xml.etree import ElementTree

import httpx2
import orjson
from prometheus_client import CollectorRegistry
from twilio.request_validator import RequestValidator
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidStatus

from opusbridge.agent import Agent
from opusbridge.bridge.metrics import Metrics
from opusbridge.bridge.outbox import Socket, read_all
from opusbridge.bridge.twilio_rest import TwilioRest
from opusbridge.config import Settings
from opusbridge.errors import Ending, PeerGone, TransferRefused, ending
from opusbridge.web.app import assemble
from opusbridge.web.calls import Calls, ConnectModel
from opusbridge.web.outbound import Dial
from opusbridge.web.server import Server, listen

PUBLIC = "https://voice.example.com"
TOKEN = "opusbridge-test-token-0123456789"
ACCOUNT = "ACfedcba9876543210fedcba9876543210"
CALL = "CA0123456789abcdef0123456789abcdef"
AGENT = Agent(name="front-desk", instructions="Be kind.")


def settings(**values: Any) -> Settings:
    return Settings(**{"openai_api_key": "sk-test", **values})


class PretendModel:
    """A model session that was opened and can only be closed."""

    def __init__(self) -> None:
        self.closed = asyncio.Event()

    async def receive_text(self) -> str:
        await self.closed.wait()
        raise PeerGone("model", "model-lost")

    async def send_text(self, text: str) -> None:
        raise AssertionError("nobody speaks to the model in these tests")

    async def close(self, code: int = 1000, reason: str = "") -> None:
        self.closed.set()


class PretendBridge:
    """A call that listens until it is told to end or the caller is gone."""

    def __init__(self, name: str, socket: Socket, connect_model: ConnectModel) -> None:
        self.call_id = name
        self.heard: list[str] = []
        self.done: list[tuple[str, ...]] = []
        self.models: list[Socket] = []
        self.resumed: list[Socket] = []
        self.with_us = False
        """As if it had been transferred, until it comes back."""
        self.reason = ""
        self.all_done = asyncio.Event()
        """Clear it for a call that has more to do after its end."""
        self.all_done.set()
        self.on_started: Callable[[Mapping[str, str]], None] | None = None
        self.socket = socket
        self._connect_model = connect_model
        self._changed = asyncio.Condition()

    @property
    def ended(self) -> bool:
        return bool(self.reason)

    async def run(self) -> Ending:
        self.models.append(await self._connect_model())
        listening = asyncio.create_task(self._listen())
        try:
            async with self._changed:
                await self._changed.wait_for(lambda: self.ended)
        except asyncio.CancelledError:
            self.reason = "cancelled"
            raise
        finally:
            listening.cancel()
        await self.models[0].close()
        await self.socket.close()
        await self.all_done.wait()
        return ending(self.reason)

    async def has_heard(self, count: int) -> list[str]:
        async with self._changed:
            await self._changed.wait_for(lambda: len(self.heard) >= count)
        return self.heard

    async def has_resumed(self, count: int) -> list[Socket]:
        async with self._changed:
            await self._changed.wait_for(lambda: len(self.resumed) >= count)
        return self.resumed

    def describe(self) -> dict[str, Any]:
        if self.ended:
            how = {"reason": self.reason}
            return {"call_id": self.call_id, "state": "ended", "ending": how}
        return {"call_id": self.call_id, "state": "live", "ending": None}

    def hang_up(self, reason: str = "hung-up-by-operator") -> None:
        self.done.append(("hang_up", reason))
        self._end(reason)

    def transfer(self, destination: str, reason: str) -> None:
        if destination != "billing":
            raise TransferRefused("there is no such destination")
        self.done.append(("transfer", destination, reason))

    def say(self, text: str) -> None:
        self.done.append(("say", text))

    def pause_recording(self) -> None:
        self.done.append(("pause_recording",))

    def resume_recording(self) -> None:
        self.done.append(("resume_recording",))

    def say_goodbye(self, reason: str, *, aloud: bool = True) -> None:
        self.done.append(("say_goodbye", reason))
        self._end(reason)

    def dial_ended(self, fields: Mapping[str, str]) -> bool:
        self.done.append(("dial_ended", fields["DialCallStatus"]))
        return fields["DialCallStatus"] == "busy" and not self.with_us

    def call_over(self) -> None:
        self.done.append(("call_over",))

    async def resume(self, socket: Socket) -> None:
        self.resumed.append(socket)
        self.with_us = True
        await self._tell()
        async with self._changed:
            await self._changed.wait_for(lambda: self.ended)
        await socket.close()

    def socket_lost(self) -> None:
        self.done.append(("socket_lost",))
        self._end("telephony-lost")

    def rejected(self, kind: str) -> None:
        self.done.append(("rejected", kind))

    def _end(self, reason: str) -> None:
        self.reason = reason
        self.told = asyncio.ensure_future(self._tell())

    async def _listen(self) -> None:
        try:
            await read_all(self.socket, self._hears)
        except PeerGone as gone:
            self.reason = self.reason or gone.reason
            await self._tell()

    def _hears(self, text: str) -> None:
        self.heard.append(text)
        self.told = asyncio.ensure_future(self._tell())

    async def _tell(self) -> None:
        async with self._changed:
            self._changed.notify_all()


@dataclass
class House:
    """What the tests see of a running server."""

    base: str
    server: Server
    calls: Calls
    bridges: "asyncio.Queue[PretendBridge]"
    dialled: list[PretendModel]
    registry: CollectorRegistry
    http: httpx2.AsyncClient
    now: list[float]
    running: asyncio.Task[None] | None
    upgrades: list[ClientConnection] = field(default_factory=list)
    lines: list[asyncio.StreamWriter] = field(default_factory=list)
    """Other connections that are to be dropped in the end."""

    async def post_voice(
        self, call_sid: str = CALL, *, sign: bool = True, **more: str
    ) -> httpx2.Response:
        """Twilio's webhook, signed with Twilio's own library over the public URL."""
        form = voice_form(call_sid) | more
        headers = {}
        if sign:
            signature = RequestValidator(TOKEN).compute_signature(f"{PUBLIC}/twilio/voice", form)
            headers["X-Twilio-Signature"] = signature
        return await self.http.post("/twilio/voice", data=form, headers=headers)

    async def announce(self, call_sid: str = CALL) -> str:
        """The stream token of a welcomed webhook."""
        return parameters(await self.post_voice(call_sid))["token"]

    async def upgrade(self, path: str, headers: dict[str, str] | None = None) -> ClientConnection:
        url = self.base.replace("http://", "ws://") + path
        connection = await connect(
            url, additional_headers=headers, proxy=None, compression=None, ping_interval=None
        )
        self.upgrades.append(connection)
        return connection

    async def stream(self) -> ClientConnection:
        """Twilio's media stream, upgraded with a good signature; nothing is said yet."""
        return await self.upgrade("/twilio/media", stream_signature())

    def rejected(self, endpoint: str, reason: str) -> float:
        """How often, by the metrics."""
        labels = {"endpoint": endpoint, "reason": reason}
        return self.registry.get_sample_value("opusbridge_rejected_total", labels) or 0.0


@asynccontextmanager
async def house(
    *,
    max_calls: int = 0,
    host: str = "127.0.0.1",
    dial: Callable[[], Awaitable[PretendModel]] | None = None,
    agent: Agent = AGENT,
    token_seconds: float = 60.0,
    drain_seconds: float | None = None,
    dials: Mapping[str, Dial] | None = None,
    rest: TwilioRest | None = None,
    **values: Any,
) -> AsyncIterator[House]:
    """A server with these settings; ``host`` is where it believes to be bound.

    With ``drain_seconds`` it is run as a process runs it, signals and all, and the test ends
    it; otherwise only its parts are, because its end takes its time.
    """
    bridges: asyncio.Queue[PretendBridge] = asyncio.Queue()
    dialled: list[PretendModel] = []
    registry, now = CollectorRegistry(), [1000.0]
    numbers = iter(range(1, 1000))

    def build(socket: Socket, connect_model: ConnectModel, call_id: str | None) -> PretendBridge:
        bridge = PretendBridge(call_id or f"call-{next(numbers)}", socket, connect_model)
        bridges.put_nowait(bridge)
        return bridge

    async def dial_at_once() -> PretendModel:
        dialled.append(PretendModel())
        return dialled[-1]

    calls = Calls(build, build, max_calls=max_calls)
    listening = listen("127.0.0.1", 0)
    port = listening.getsockname()[1]
    app = assemble(
        settings(**values),
        agent,
        host=host,
        port=port,
        calls=calls,
        dial=dial or dial_at_once,
        dials=lambda access: dials or {},
        rest=rest,
        metrics=Metrics(registry),
        registry=registry,
        clock=lambda: now[0],
        token_seconds=token_seconds,
    )
    base = f"http://127.0.0.1:{port}"
    server = Server(app, calls, drain_seconds or 0.0)
    if drain_seconds is None:
        server.config.load()
        server.lifespan = server.config.lifespan_class(server.config)
        await server.startup([listening])
        running = None
    else:
        running = asyncio.create_task(server.serve([listening]))
    async with httpx2.AsyncClient(base_url=base, trust_env=False, verify=False) as http:
        found = House(base, server, calls, bridges, dialled, registry, http, now, running)
        try:
            yield found
        finally:
            await _close(found)


async def _close(found: House) -> None:
    server = found.server
    for connection in found.upgrades:
        connection.transport.abort()
    for line in found.lines:
        line.transport.abort()
    if found.running is not None:
        server.should_exit = True
        return await found.running
    for listener in server.servers:
        listener.close()
    for live in list(server.server_state.connections):
        live.shutdown()
    if server.server_state.tasks:
        await asyncio.wait(server.server_state.tasks, timeout=5.0)
    await server.lifespan.shutdown()


def twilio(**more: Any) -> dict[str, Any]:
    """The settings of a Twilio endpoint with everything set."""
    return {
        "public_url": PUBLIC,
        "twilio_auth_token": TOKEN,
        "twilio_account_sid": ACCOUNT,
        **more,
    }


def voice_form(call_sid: str) -> dict[str, str]:
    return {
        "CallSid": call_sid,
        "AccountSid": ACCOUNT,
        "From": "+15550100001",
        "To": "+15550100002",
        "CallStatus": "ringing",
        "FromCity": "",
        "CallerName": "Zoë & Søn",
    }


def stream_signature(url: str = "wss://voice.example.com/twilio/media") -> dict[str, str]:
    return {"X-Twilio-Signature": RequestValidator(TOKEN).compute_signature(url, {})}


def parameters(answer: httpx2.Response) -> dict[str, str]:
    """The ``<Parameter>``s of the TwiML that joins the caller to our stream."""
    found = ElementTree.fromstring(answer.text).findall("./Connect/Stream/Parameter")
    return {element.attrib["name"]: element.attrib["value"] for element in found}


CONNECTED = '{"event": "connected", "protocol": "Call", "version": "1.0.0"}'


def start(token: str, call_sid: str = CALL, account_sid: str = ACCOUNT) -> str:
    return orjson.dumps(
        {
            "event": "start",
            "sequenceNumber": "1",
            "streamSid": "MZ00112233445566778899aabbccddeeff",
            "start": {
                "streamSid": "MZ00112233445566778899aabbccddeeff",
                "accountSid": account_sid,
                "callSid": call_sid,
                "tracks": ["inbound"],
                "mediaFormat": {"encoding": "audio/x-mulaw", "sampleRate": 8000, "channels": 1},
                "customParameters": {"token": token},
            },
        }
    ).decode()


async def close_code(connection: ClientConnection) -> int | None:
    """The code with which the server closed, after whatever it said before."""
    try:
        async with asyncio.timeout(5.0):
            while True:
                await connection.recv()
    except ConnectionClosed as closed:
        return closed.rcvd.code if closed.rcvd else None


async def refused_status(upgrade: Awaitable[ClientConnection]) -> int:
    """The HTTP status with which an upgrade is refused."""
    try:
        connection = await upgrade
    except InvalidStatus as refused:
        return refused.response.status_code
    await connection.close()
    raise AssertionError("the upgrade was accepted")

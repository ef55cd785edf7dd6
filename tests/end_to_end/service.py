"""A whole service on loopback: the production server, the simulated model, callers around it.

Everything is on real sockets and in real time, so tests let their calls run side by side.
"""

import asyncio
import json
from base64 import b64encode
from collections.abc import AsyncIterator, Callable, Collection, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from typing import Any
from urllib.parse import parse_qsl

import httpx2
import numpy as np
from prometheus_client.parser import text_string_to_metric_families

from opusbridge.agent import Agent
from opusbridge.config import Settings
from opusbridge.sim import tones
from opusbridge.sim.callers import Caller, Person, Say, SimulatedAudioCodes, SimulatedTwilio
from opusbridge.sim.callers.twilio import ACCOUNT_SID
from opusbridge.sim.model import Knobs, Reply, ReplyScript, SimulatedModel
from opusbridge.sim.model_server import ModelServer, Upgrade
from opusbridge.sim.sockets import bearer, place_call
from opusbridge.sim.telephone import Telephone
from opusbridge.tools.telephony import hang_up
from opusbridge.web import server
from opusbridge.web.calls import Calls
from opusbridge.web.service import create_app

TWILIO_TOKEN = "a-token-of-twilio"
AUDIOCODES_TOKEN = "a-token-of-audiocodes"
ADMIN_TOKEN = "a-token-of-the-operator"
SETTINGS = {
    "openai_api_key": "any-key",
    "twilio_account_sid": ACCOUNT_SID,
    "twilio_auth_token": TWILIO_TOKEN,
    "twilio_api_url": "http://127.0.0.1:9",  # nobody is there; see twilio_api
    "audiocodes_token": AUDIOCODES_TOKEN,
    "admin_token": ADMIN_TOKEN,
}
CALLER, CALLEE = "+15550104477", "+15550100200"
BILLING = "+15550100300"

AGENT = Agent(
    name="front-desk",
    instructions="Be brief.",
    greeting="Say hello.",
    tools=[hang_up],
    destinations={"billing": BILLING},
)

RATE_HZ = 24_000


def line(hz: float, ms: int = 600) -> Say:
    """Something for a caller to say that can be told from everything else."""
    return Say(tones.tone(hz, ms, RATE_HZ), RATE_HZ, f"a tone of {hz} Hz")


def reply(hz: float, ms: int = 600) -> Reply:
    """The same for the model."""
    return Reply(f"a tone of {hz} Hz", tones.tone(hz, ms, RATE_HZ))


def share_of(hz: float, pcm: bytes, rate_hz: int = RATE_HZ) -> float:
    """How much of a sound's power lies within 20 Hz of a tone."""
    samples = np.frombuffer(pcm, "<i2").astype(float)
    power = np.abs(np.fft.rfft(samples)) ** 2
    near = np.abs(np.fft.rfftfreq(len(samples), 1 / rate_hz) - hz) < 20
    return float(power[near].sum() / power.sum())


def heard_by(caller: Caller) -> bytes:
    return caller.heard_pcm(RATE_HZ)


class Moments:
    """What a person does, for a test to wait for."""

    def __init__(self) -> None:
        self._come: dict[str, asyncio.Event] = {}

    def __call__(self, kind: str, text: str) -> None:
        self._of(kind).set()

    async def until(self, kind: str) -> None:
        """``speaks``, ``presses``, ``hangs-up``, …"""
        async with asyncio.timeout(20.0):
            await self._of(kind).wait()

    def _of(self, kind: str) -> asyncio.Event:
        return self._come.setdefault(kind, asyncio.Event())


class Models:
    """The model's side: each session has a script, in the order in which they are opened."""

    def __init__(self, *scripts: Sequence[Reply]) -> None:
        self.sessions: list[SimulatedModel] = []
        self.server = ModelServer(self._make, changed=self._changed)
        self.knobs: Knobs | None = None
        """How the sessions that are opened from now on behave."""
        self.accepted_keys: Collection[str] | None = None
        self._scripts = list(scripts)
        self._news = asyncio.Event()

    async def opened(self, count: int) -> None:
        """Until that many sessions have been opened in all."""
        async with asyncio.timeout(20.0):
            while len(self.sessions) < count:
                self._news.clear()
                await self._news.wait()

    @property
    def untouched(self) -> bool:
        return not self.server.live and not self.server.finished

    def verdict(self) -> list[str]:
        return [what for session in self.sessions for what in session.verdict()]

    def _make(self, upgrade: Upgrade) -> SimulatedModel:
        replies = self._scripts.pop(0) if self._scripts else [reply(440.0)]
        made = SimulatedModel(
            self.knobs,
            Random(len(self.sessions)),
            ReplyScript(replies, usual=[reply(440.0)]),
            now=upgrade.now,
            query=upgrade.query,
            headers=upgrade.headers,
            unix_time=upgrade.unix_time,
            accepted_keys=self.accepted_keys,
        )
        self.sessions.append(made)
        return made

    def _changed(self) -> None:
        self._news.set()


class Metrics:
    """What ``/metrics`` says; names are without their prefix."""

    def __init__(self, text: str) -> None:
        self._values = {
            (
                sample.name.removeprefix("opusbridge_"),
                frozenset(sample.labels.items()),
            ): sample.value
            for family in text_string_to_metric_families(text)
            for sample in family.samples
        }

    @property
    def names(self) -> set[str]:
        return {name for name, _ in self._values}

    def value(self, name: str, **labels: str) -> float:
        return self._values.get((name, frozenset(labels.items())), 0.0)

    def by(self, label: str, name: str, **labels: str) -> dict[str, float]:
        """The values of one metric by one of its labels, where the others are these."""
        return {
            dict(found)[label]: value
            for (each, found), value in self._values.items()
            if each == name and labels.items() <= dict(found).items()
        }


@dataclass
class Service:
    """``address`` is host and port."""

    address: str
    models: Models
    calls: Calls
    http: httpx2.AsyncClient
    """With the operator's token."""
    data_dir: Path

    @property
    def telephone(self) -> Telephone:
        return Telephone(
            f"http://{self.address}/twilio/voice", TWILIO_TOKEN, caller=CALLER, callee=CALLEE
        )

    async def by_twilio(
        self,
        person: Person,
        number: int = 1,
        *,
        kind: Callable[..., SimulatedTwilio] = SimulatedTwilio,
        begun: Callable[[SimulatedTwilio], None] = lambda caller: None,
        on_event: Callable[[str, str], None] | None = None,
    ) -> SimulatedTwilio:
        """A call from the signed webhook to its end; ``begun`` is shown the caller first."""
        call_sid, telephone = f"CA{number:032x}", self.telephone
        twiml = await telephone.ask_webhook(call_sid)
        assert twiml.stream_url is not None, twiml
        caller = kind(person, call_sid, f"MZ{number:032x}", twiml.parameters, Random(number))
        begun(caller)
        headers = telephone.stream_headers(twiml.stream_url)
        await place_call(caller, twiml.stream_url, headers=headers, on_event=on_event)
        return caller

    async def by_audiocodes(
        self,
        person: Person,
        number: int = 1,
        *,
        kind: Callable[..., SimulatedAudioCodes] = SimulatedAudioCodes,
        on_event: Callable[[str, str], None] | None = None,
    ) -> SimulatedAudioCodes:
        caller = kind(person, f"call-{number}", Random(number), caller=CALLER, callee=CALLEE)
        headers = bearer(AUDIOCODES_TOKEN)
        await place_call(
            caller, f"ws://{self.address}/audiocodes", headers=headers, on_event=on_event
        )
        return caller

    async def metrics(self) -> "Metrics":
        answer = await self.http.get("/metrics")
        assert answer.status_code == 200
        return Metrics(answer.text)

    async def responses_done(self, count: int) -> None:
        """Until the model has said that much in all; the callers may still be hearing it."""
        async with asyncio.timeout(20.0):
            while (await self.metrics()).value("responses_total", status="completed") < count:
                pass

    async def live(self) -> list[dict[str, Any]]:
        """The entries of ``GET /api/calls``."""
        answer = await self.http.get("/api/calls")
        assert answer.status_code == 200
        found: list[dict[str, Any]] = answer.json()["calls"]
        return found

    async def act(self, call_id: str, action: str, **body: str) -> int:
        """The status of an operator's wish."""
        answer = await self.http.post(f"/api/calls/{call_id}/{action}", json=body)
        return answer.status_code

    async def over(self) -> None:
        """Until no call is live and all their files are written; new ones are welcome again."""
        assert await self.calls.drain(10.0)
        self.calls.draining = False

    def kept(self, name: str = "call.json") -> dict[str, Any]:
        """That file of each call that ended, by the provider's own id of the call."""
        folders = sorted(self.data_dir.glob("calls/*/*"))
        told = [json.loads((folder / "call.json").read_text("utf-8")) for folder in folders]
        return {
            call["provider_call_id"]: json.loads((folder / name).read_text("utf-8"))
            for call, folder in zip(told, folders, strict=True)
        }


@asynccontextmanager
async def service(
    data_dir: Path, *scripts: Sequence[Reply], **values: Any
) -> AsyncIterator[Service]:
    """``scripts``: what the model says in the first session, in the second, …"""
    models = Models(*scripts)
    listening = server.listen("127.0.0.1", 0)
    address = f"127.0.0.1:{listening.getsockname()[1]}"
    async with models.server:
        settings = Settings(
            **{**SETTINGS, "realtime_url": models.server.url, "data_dir": data_dir, **values}
        )
        port = int(address.rpartition(":")[2])
        app = create_app(settings, AGENT, host="127.0.0.1", port=port)
        running = server.Server(app, app.state.calls, settings.drain_seconds)
        task = asyncio.create_task(running.serve(sockets=[listening]))
        try:
            async with httpx2.AsyncClient(
                base_url=f"http://{address}", headers=bearer(ADMIN_TOKEN), trust_env=False
            ) as http:
                yield Service(address, models, app.state.calls, http, data_dir)
        finally:
            running.should_exit = True
            await task


# --- Twilio's REST interface ------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Posted:
    path: str
    authorization: str
    form: dict[str, str]


@dataclass
class TwilioAPI:
    """A stand-in for Twilio's REST interface, which acts on the callers it knows."""

    url: str = ""
    status: int = 200
    posted: list[Posted] = field(default_factory=list)
    _callers: dict[str, SimulatedTwilio] = field(default_factory=dict)

    def knows(self, caller: SimulatedTwilio) -> None:
        self._callers[caller.call_sid] = caller

    def answer(self, posted: Posted) -> int:
        self.posted.append(posted)
        now = asyncio.get_running_loop().time()
        caller = self._callers[posted.path.rpartition("/")[2].removesuffix(".json")]
        if self.status != 200:
            return self.status
        if posted.form.get("Status") == "completed":
            caller.hang_up_by_rest(now)
        else:
            caller.new_twiml(now)
        return 200


BASIC = f"Basic {b64encode(f'{ACCOUNT_SID}:{TWILIO_TOKEN}'.encode()).decode()}"


@asynccontextmanager
async def twilio_api(status: int = 200) -> AsyncIterator[TwilioAPI]:
    api = TwilioAPI(status=status)

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = (await reader.readuntil(b"\r\n\r\n")).decode()
        first, *rest = head.splitlines()
        headers = {name.lower(): value for name, _, value in (one.partition(": ") for one in rest)}
        body = await reader.readexactly(int(headers["content-length"]))
        method, path, _ = first.split()
        assert method == "POST"
        form = dict(parse_qsl(body.decode()))
        status = api.answer(Posted(path, headers.get("authorization", ""), form))
        writer.write(
            f"HTTP/1.1 {status} X\r\nContent-Length: 2\r\nConnection: close\r\n\r\n{{}}".encode()
        )
        await writer.drain()
        writer.close()

    async with await asyncio.start_server(serve, "127.0.0.1", 0) as listening:
        api.url = f"http://127.0.0.1:{listening.sockets[0].getsockname()[1]}"
        yield api

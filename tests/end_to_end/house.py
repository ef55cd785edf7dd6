"""A whole house on loopback: the production server, pretended models, pretended providers.

Everything goes over real sockets and in real time; only who speaks is pretended.
"""

import asyncio
import json
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from random import Random
from time import time
from typing import Any
from urllib.parse import parse_qsl

import httpx2
import numpy as np
import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route

from opusbridge.agent import Agent
from opusbridge.audio.wav import Wav, read_wav
from opusbridge.cli.calling import AUDIOCODES_SECRET, TWILIO_SECRET, own_settings
from opusbridge.config import Settings
from opusbridge.privacy import Private
from opusbridge.sim import script, voices
from opusbridge.sim.callers import (
    AudioCodesHabits,
    Person,
    SimulatedAudioCodes,
    SimulatedTwilio,
    Step,
    TwilioHabits,
)
from opusbridge.sim.callers.sounds import resampled
from opusbridge.sim.callers.twilio import ACCOUNT_SID
from opusbridge.sim.model import Knobs, Reply, ReplyScript, SimulatedModel, ToolCallReply
from opusbridge.sim.model_server import ModelServer, Upgrade
from opusbridge.sim.sockets import bearer, place_call
from opusbridge.sim.telephone import Telephone
from opusbridge.tools.telephony import hang_up, transfer_call
from opusbridge.web import server
from opusbridge.web.service import create_app

ADMIN = "an-admin-token-of-these-tests"

AGENT = Agent(
    name="front-desk",
    instructions="Be brief.",
    greeting="Say hello.",
    tools=[hang_up, transfer_call],
    destinations={"billing": "+15550100300"},
)

#: What a microphone sees of a line: 16-bit samples.
Samples = np.ndarray[Any, np.dtype[np.float64]]


def says(slug: str, tool: str | None = None, **more: Any) -> Reply:
    """A reply in one of the shipped voices, and perhaps a tool call after it."""
    rate_hz, pcm = voices.load(slug)
    calls = (ToolCallReply(tool, json.dumps(more.pop("arguments", {}))),) if tool else ()
    return Reply(voices.LINES[slug], resampled(pcm, rate_hz, 24_000), calls, **more)


def line(slug: str, rate_hz: int = 8_000) -> Samples:
    """How a shipped line sounds."""
    have_hz, pcm = voices.load(slug)
    return samples(pcm if have_hz == rate_hz else resampled(pcm, have_hz, rate_hz))


def samples(pcm: bytes) -> Samples:
    return np.frombuffer(pcm, "<i2").astype(np.float64)


def find(wanted: Samples, track: Samples, rate_hz: int = 8_000) -> tuple[float, float]:
    """Where in a track a sound is, in seconds, and how alike: 1 is the same, 0 has nothing of it."""
    if len(track) < len(wanted):
        track = np.pad(track, (0, len(wanted) - len(track)))
    size = 1 << (len(track) + len(wanted)).bit_length()
    dot = np.fft.irfft(np.fft.rfft(track, size) * np.conj(np.fft.rfft(wanted, size)), size)
    dot = dot[: len(track) - len(wanted) + 1]
    energy = np.concatenate(([0.0], np.cumsum(track**2)))
    local = energy[len(wanted) :] - energy[: len(energy) - len(wanted)]
    alike = dot / np.sqrt(np.maximum(local, 1e4) * float(np.sum(wanted**2)))
    at = int(np.argmax(alike))
    return at / rate_hz, float(alike[at])


@dataclass
class CallFiles:
    """What one call left behind."""

    folder: Path
    call: dict[str, Any]
    transcript: dict[str, Any]
    recording: Wav

    @property
    def began_at(self) -> float:
        """On the loop's clock: where the recording's time line begins."""
        started = datetime.fromisoformat(self.call["started_at"]).timestamp()
        return started - (time() - asyncio.get_running_loop().time())

    @property
    def reason(self) -> str:
        return str(self.call["ending"]["reason"])

    def lane(self, number: int, rate_hz: int = 8_000) -> Samples:
        """0: the caller, 1: the agent."""
        both = np.frombuffer(self.recording.pcm, "<i2").reshape(-1, 2)
        pcm = both[:, number].astype("<i2").tobytes()
        have_hz = self.recording.rate_hz
        return samples(pcm if have_hz == rate_hz else resampled(pcm, have_hz, rate_hz))


@dataclass
class House:
    base: str
    folder: Path
    settings: Settings
    models: ModelServer
    http: httpx2.AsyncClient

    @property
    def sockets(self) -> str:
        return self.base.replace("http://", "ws://")

    def phone(self, habits: TwilioHabits | None = None) -> Telephone:
        url = f"{self.base}/twilio/voice"
        return Telephone(url, auth_token=TWILIO_SECRET, habits=habits)

    async def call_twilio(
        self,
        steps: Sequence[Step],
        seed: int = 1,
        on_stream: Callable[[SimulatedTwilio], None] | None = None,
    ) -> SimulatedTwilio:
        """A whole call; returns when it is over."""
        person = Person(steps, patience_seconds=10.0)
        return await self.phone().call(person, Random(seed), on_stream=on_stream)

    async def call_audiocodes(
        self,
        steps: Sequence[Step],
        seed: int = 1,
        habits: AudioCodesHabits | None = None,
        on_stream: Callable[[SimulatedAudioCodes], None] | None = None,
    ) -> SimulatedAudioCodes:
        person, random = Person(steps, patience_seconds=10.0), Random(seed)
        caller = SimulatedAudioCodes(person, f"{random.getrandbits(128):032x}", random, habits)
        if on_stream is not None:
            on_stream(caller)
        await place_call(caller, f"{self.sockets}/audiocodes", headers=self.bearer)
        return caller

    @property
    def bearer(self) -> dict[str, str]:
        return bearer(AUDIOCODES_SECRET)

    async def calls(self) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = (await self.http.get("/api/calls")).json()["calls"]
        return found

    async def view_of(self, provider_call_id: str) -> dict[str, Any]:
        return next(c for c in await self.calls() if c["provider_call_id"] == provider_call_id)

    async def act(self, call_id: str, action: str, **body: Any) -> int:
        answer = await self.http.post(f"/api/calls/{call_id}/{action}", json=body)
        return answer.status_code

    async def metric(self, name: str, **labels: str) -> float:
        """The sum over all samples of a metric that have these labels."""
        text = (await self.http.get("/metrics")).text
        wanted = [f'{key}="{value}"' for key, value in labels.items()]
        rows = [row for row in text.splitlines() if row.startswith((f"{name}{{", f"{name} "))]
        return sum(float(row.rsplit(" ", 1)[1]) for row in rows if all(w in row for w in wanted))

    async def files(self, provider_call_id: str, seconds: float = 2.0) -> CallFiles:
        """What the call left, which is complete within two seconds of its end."""
        last = asyncio.get_running_loop().time() + seconds
        while True:
            for path in self.folder.glob("calls/*/*/call.json"):
                call = json.loads(path.read_text())
                if call["provider_call_id"] == provider_call_id:
                    return _files(path.parent, call)
            assert asyncio.get_running_loop().time() < last, "the files were not there in time"
            await asyncio.sleep(0.05)


def _files(folder: Path, call: dict[str, Any]) -> CallFiles:
    transcript = json.loads((folder / "transcript.json").read_text())
    return CallFiles(folder, call, transcript, read_wav((folder / "recording.wav").read_bytes()))


async def until(condition: Callable[[], Any], seconds: float = 10.0) -> None:
    last = asyncio.get_running_loop().time() + seconds
    while not condition():
        assert asyncio.get_running_loop().time() < last, "it never came true"
        await asyncio.sleep(0.02)


MakeModel = Callable[[Upgrade], SimulatedModel]


def model_of(
    replies: ReplyScript, knobs: Knobs | None = None, **more: Any
) -> Callable[[Upgrade], SimulatedModel]:
    """Makes sessions that all say the same."""

    def make(upgrade: Upgrade) -> SimulatedModel:
        return new_model(upgrade, replies, knobs, **more)

    return make


def new_model(
    upgrade: Upgrade, replies: ReplyScript, knobs: Knobs | None = None, **more: Any
) -> SimulatedModel:
    return SimulatedModel(
        knobs,
        Random(1),
        ReplyScript(replies.replies, replies.heard),  # one script's place is one session's
        now=upgrade.now,
        query=upgrade.query,
        headers=upgrade.headers,
        unix_time=upgrade.unix_time,
        **more,
    )


def spoken(slug: str) -> Any:
    return script.spoken(slug)


@asynccontextmanager
async def house(
    folder: Path, make: MakeModel, *, agent: Agent = AGENT, **changes: Any
) -> AsyncIterator[House]:
    """The server with every door locked and every key known."""
    async with ModelServer(make) as models:
        listening = server.listen("127.0.0.1", 0)
        port = listening.getsockname()[1]
        settings = own_settings(models.url).replace(
            admin_token=Private(ADMIN), data_dir=folder, **changes
        )
        app = create_app(settings, agent, host="127.0.0.1", port=port)
        running = server.Server(app, app.state.calls, settings.drain_seconds)
        task = asyncio.create_task(running.serve(sockets=[listening]))
        base = f"http://127.0.0.1:{port}"
        headers = {"Authorization": f"Bearer {ADMIN}"}
        async with httpx2.AsyncClient(base_url=base, trust_env=False, headers=headers) as http:
            try:
                yield House(base, folder, settings, models, http)
            finally:
                running.should_exit = True
                await task


@dataclass
class TwilioStandIn:
    """Twilio's REST interface: what is posted about a call is done to the call."""

    url: str = ""
    posted: list[tuple[str, dict[str, str], str]] = field(default_factory=list)
    """Path, form, and the ``Authorization`` header."""
    lines: dict[str, SimulatedTwilio] = field(default_factory=dict)
    """The calls it knows, by their id."""

    def connect(self, caller: SimulatedTwilio) -> None:
        self.lines[caller.call_sid] = caller

    async def update(self, request: Request) -> JSONResponse:
        form = dict(parse_qsl((await request.body()).decode()))
        call_sid = request.path_params["call_sid"].removesuffix(".json")
        self.posted.append((request.url.path, form, request.headers.get("authorization", "")))
        caller = self.lines.get(call_sid)
        if caller is None:
            return JSONResponse({"code": 20404, "status": 404}, 404)
        now = asyncio.get_running_loop().time()
        if form.get("Status") == "completed":
            caller.hang_up_by_rest(now)
        elif "Twiml" in form:
            caller.new_twiml(now)
        return JSONResponse({"sid": call_sid, "status": "in-progress"})


@asynccontextmanager
async def twilio_stand_in() -> AsyncIterator[TwilioStandIn]:
    standing = TwilioStandIn()
    path = f"/2010-04-01/Accounts/{ACCOUNT_SID}/Calls/{{call_sid}}"
    app = Starlette(routes=[Route(path, standing.update, methods=["POST"])])
    listening = server.listen("127.0.0.1", 0)
    standing.url = f"http://127.0.0.1:{listening.getsockname()[1]}"
    config = uvicorn.Config(app, log_config=None, log_level="warning", lifespan="off")
    running = uvicorn.Server(config)
    running.install_signal_handlers = lambda: None  # type: ignore[attr-defined]  # of older versions
    task = asyncio.create_task(running.serve(sockets=[listening]))
    try:
        yield standing
    finally:
        running.should_exit = True
        await task

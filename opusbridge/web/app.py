"""The web application: which path leads to which room."""

import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager, nullcontext

import structlog
from fastapi import FastAPI
from prometheus_client import CollectorRegistry
from starlette.types import Lifespan

from opusbridge.agent import Agent
from opusbridge.bridge.dialling import dialler
from opusbridge.bridge.hooks import ON_END_SECONDS
from opusbridge.bridge.keeping import FILES_SECONDS
from opusbridge.bridge.metrics import Metrics
from opusbridge.bridge.speech import stored_speech
from opusbridge.bridge.twilio import undiallable, untransferable
from opusbridge.bridge.twilio_rest import TwilioRest
from opusbridge.bridge.which import which_sockets
from opusbridge.config import Settings
from opusbridge.tools.contained import CLEANUP_SECONDS
from opusbridge.version import VERSION
from opusbridge.web.access import (
    AFTER,
    AUDIOCODES,
    MACHINE,
    MEDIA,
    NO_ADMIN_TOKEN,
    STATUS,
    VOICE,
    Access,
)
from opusbridge.web.announced import Announcements
from opusbridge.web.calls import Calls, ConnectModel
from opusbridge.web.caps import Caps
from opusbridge.web.live import Live
from opusbridge.web.load import LoopLag
from opusbridge.web.order_book import OrderBook
from opusbridge.web.outbound import Dial, HangUp, Outbound
from opusbridge.web.placing import Placing
from opusbridge.web.telephony import Telephony
from opusbridge.web.tokens import TOKEN_SECONDS, StreamTokens

#: Seconds in which calls that the server has cut off come to their end: what their files and hooks
#: may take, and what a hook that took too long may clean up for.
LAST_ENDS_SECONDS = FILES_SECONDS + ON_END_SECONDS + 2 * CLEANUP_SECONDS

_log = structlog.get_logger(__name__)


def _no_dials(access: Access) -> Mapping[str, Dial]:
    """No provider is set up through which calls could be placed."""
    return {}


async def _nothing() -> None:
    """There is nothing else to close."""


def assemble(
    settings: Settings,
    agent: Agent,
    *,
    host: str,
    port: int,
    calls: Calls,
    metrics: Metrics,
    registry: CollectorRegistry,
    on_close: Callable[[], Awaitable[None]] = _nothing,
    dials: Callable[[Access], Mapping[str, Dial]] = _no_dials,
    rest: TwilioRest | None = None,
    beside: Callable[[], AbstractAsyncContextManager[None]] = nullcontext,
    dial: ConnectModel | None = None,
    clock: Callable[[], float] = time.monotonic,
    token_seconds: float = TOKEN_SECONDS,
) -> FastAPI:
    """The service as an ASGI application, for a server bound to ``host`` and ``port``.

    Where it is bound decides which doors are open, so say it as it is. ``app.state.calls``
    are its ``calls``; ``registry`` is what ``/metrics`` shows; ``dials`` are the ways to place
    calls, and ``rest`` hangs up on machines that answer them, and on those that are to ring no
    longer. ``beside`` is entered while calls can come, and ``on_close`` awaited in the end.
    ``dial`` opens a model session, by default as the settings say. ``clock`` is in seconds and
    never goes back.
    """
    stored_speech(settings.language, settings.speech_dir)  # refused now, not in a call
    dial = dial or dialler(settings)
    access = Access(agent.applied_to(settings), host, port, metrics)
    announcements = Announcements(calls, dial, StreamTokens(clock, token_seconds))
    closed = access.without_turns
    outbound = _outbound(settings, calls, announcements, dials(access), rest, twilio_closed=closed)
    telephony = Telephony(access, calls, announcements, dial, metrics, outbound)

    lag = LoopLag()
    metrics.loop_lag.set_function(lambda: lag.worst_seconds)
    metrics.calls_limit.set(calls.limit)

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        _warn(settings, access, agent)
        try:
            async with beside(), outbound.running(), _taking(calls, announcements), lag.watched():
                yield
        finally:
            calls.draining = True  # whoever asks is told so, also if it broke
            await on_close()

    app = _no_doors(lifespan)
    app.state.calls, app.state.access = calls, access
    app.state.sockets = which_sockets(settings)
    _add_telephony(app, telephony)
    _add_live(app, Live(access, calls, outbound, registry, lag))
    _add_placing(app, Placing(settings, agent.name, access, calls, outbound, announcements))
    return app


@asynccontextmanager
async def _taking(calls: Calls, announcements: Announcements) -> AsyncIterator[None]:
    """Calls can come inside. In the end those that were cut off, or are just over, have their
    files and are told of."""
    async with announcements.running():
        yield
    if calls.count and not await calls.drain(LAST_ENDS_SECONDS):
        _log.warning("the process ends before its calls were told of", calls=calls.count)


def _no_doors(lifespan: Lifespan[FastAPI]) -> FastAPI:
    return FastAPI(
        title="opusbridge",
        version=VERSION,
        lifespan=lifespan,
        redirect_slashes=False,  # its answer is made of the Host header
        openapi_url=None,  # a description of the doors is not for everybody
    )


def _add_telephony(app: FastAPI, telephony: Telephony) -> None:
    app.add_api_route(AFTER, telephony.after, methods=["POST"])
    for slash in ("", "/"):  # people write one in a console, and Twilio may add one to a URL
        app.add_api_route(VOICE + slash, telephony.voice, methods=["POST"])
        app.add_api_route(AUDIOCODES + slash, telephony.bot_api, methods=["GET", "POST"])
        app.add_api_websocket_route(AUDIOCODES + slash, telephony.audiocodes)
        app.add_api_websocket_route(MEDIA + slash, telephony.media)


def _add_live(app: FastAPI, live: Live) -> None:
    probes = ["GET", "HEAD"]
    app.add_api_route("/healthz", live.healthz, methods=probes)
    app.add_api_route("/readyz", live.readyz, methods=probes)
    app.add_api_route("/metrics", live.metrics, methods=["GET"])
    app.add_api_route("/api/calls", live.list_calls, methods=["GET"])
    one = "/api/calls/{call_id}"
    app.add_api_route(one, live.one_call, methods=["GET"])
    app.add_api_route(one + "/hangup", live.hang_up, methods=["POST"])
    app.add_api_route(one + "/transfer", live.transfer, methods=["POST"])
    app.add_api_route(one + "/say", live.say, methods=["POST"])
    app.add_api_route(one + "/recording", live.recording, methods=["POST"])


def _add_placing(app: FastAPI, placing: Placing) -> None:
    app.add_api_route("/api/calls", placing.place, methods=["POST"])
    app.add_api_route(STATUS, placing.status, methods=["POST"])
    app.add_api_route(MACHINE, placing.machine, methods=["POST"])


def _outbound(
    settings: Settings,
    calls: Calls,
    announcements: Announcements,
    dials: Mapping[str, Dial],
    rest: TwilioRest | None,
    *,
    twilio_closed: bool,
) -> Outbound:
    ways = {side: dial for side, dial in dials.items() if side != "twilio" or not twilio_closed}
    caps = Caps(settings.outbound_per_day, settings.outbound_per_number)
    hang_ups = _hang_ups(rest, announcements)
    return Outbound(calls, OrderBook(settings.data_dir / "outbound.jsonl"), ways, caps, hang_ups)


def _hang_ups(rest: TwilioRest | None, announcements: Announcements) -> dict[str, HangUp]:
    if rest is None:
        return {}

    async def hang_up(call_sid: str) -> None:
        await rest.hang_up(call_sid)
        announcements.withdraw(call_sid)  # it may just have been answered

    return {"twilio": hang_up}


def _warn(settings: Settings, access: Access, agent: Agent) -> None:
    for endpoint, reason in access.closed_endpoints().items():
        _log.warning("endpoint closed", endpoint=endpoint, reason=reason)
    if access.trusts_this_machine:
        _log.warning("a proxy may let anybody into /api and /metrics", reason=NO_ADMIN_TOKEN)
    for tool in agent.tools:
        if not tool.description:  # its name may say enough, but that is rarely meant
            _log.warning("the model is not told what a tool is for: no docstring", tool=tool.name)
    for name in undiallable(agent, settings):
        _log.warning("Twilio cannot dial a destination", destination=name)
    for key in untransferable(agent, settings):
        _log.warning("no account is set: Twilio transfers nobody", about=key)

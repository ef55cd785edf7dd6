"""Everything of one process put together: settings and an agent become a service."""

import asyncio
from collections.abc import Callable, Sequence
from datetime import datetime
from pathlib import Path

from fastapi import FastAPI
from prometheus_client import CollectorRegistry

from opusbridge.agent import Agent
from opusbridge.bridge.audiocodes import TelephonyRealtimeBridge
from opusbridge.bridge.metrics import Metrics
from opusbridge.bridge.outbox import Socket
from opusbridge.bridge.twilio import TwilioRealtimeBridge
from opusbridge.bridge.twilio_rest import TwilioRest
from opusbridge.call.engine import Observer
from opusbridge.config import Settings
from opusbridge.receptionist import RECEPTIONIST
from opusbridge.recording.files import call_folder
from opusbridge.recording.recorder import CallRecorder
from opusbridge.recording.writer import Writer
from opusbridge.web.app import assemble
from opusbridge.web.calls import Calls, ConnectModel

#: Where the files of a call go, by its telephony side, its id and its beginning.
FolderOf = Callable[[str, str, datetime], Path]
#: Observers of one call, by its telephony side.
ObserversOf = Callable[[str], Sequence[Observer]]


def create_app(
    settings: Settings | None = None,
    agent: Agent | None = None,
    *,
    host: str = "127.0.0.1",
    port: int = 8000,
    folder_of: FolderOf | None = None,
    observers_of: ObserversOf | None = None,
) -> FastAPI:
    """The service as an ASGI application; ``app.state.calls`` are its calls.

    ``settings`` are read from the environment and ``agent`` is the one they name, unless
    given. Where it is bound (``host``, ``port``) decides which doors are open, so say it as it
    is. ``observers_of`` are shown every event and effect of each call. Raises
    :class:`~opusbridge.errors.ConfigurationError`.
    """
    settings = settings or Settings.load()
    agent = agent or (Agent.load(settings.agent) if settings.agent else RECEPTIONIST)
    agent.applied_to(settings)  # whether the two go together shows now, not at the first call
    registry = CollectorRegistry()
    metrics, writer = Metrics(registry), Writer()
    rest = _rest(settings)
    where = folder_of or (lambda side, call_id, at: call_folder(settings.data_dir, call_id, at))
    watching = observers_of or (lambda side: ())

    def recorder(side: str) -> Callable[[str, datetime, float], CallRecorder]:
        def make(call_id: str, started: datetime, now: float) -> CallRecorder:
            folder = where(side, call_id, started)
            kept = {"record": settings.record, "flight": settings.flight}
            return CallRecorder(folder, None, now, **kept, writer=writer)

        return make

    def audiocodes(socket: Socket, connect: ConnectModel) -> TelephonyRealtimeBridge:
        return TelephonyRealtimeBridge(
            socket,
            connect,
            settings,
            agent,
            metrics=metrics.call_metrics("audiocodes"),
            recorder=recorder("audiocodes"),
            observers=watching("audiocodes"),
        )

    def twilio(socket: Socket, connect: ConnectModel) -> TwilioRealtimeBridge:
        return TwilioRealtimeBridge(
            socket,
            connect,
            settings,
            agent,
            metrics=metrics.call_metrics("twilio"),
            recorder=recorder("twilio"),
            observers=watching("twilio"),
            rest=rest,
        )

    calls = Calls(audiocodes, twilio, max_calls=settings.max_calls)

    async def close() -> None:
        if rest is not None:
            await rest.close()
        await asyncio.to_thread(writer.close)  # what the last calls left to write

    return assemble(
        settings,
        agent,
        host=host,
        port=port,
        calls=calls,
        metrics=metrics,
        registry=registry,
        on_close=close,
    )


def _rest(settings: Settings) -> TwilioRest | None:
    if settings.twilio_account_sid is None or settings.twilio_auth_token is None:
        return None
    return TwilioRest(
        settings.twilio_account_sid, settings.twilio_auth_token, settings.twilio_api_url
    )

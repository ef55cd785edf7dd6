"""Everything of one process put together: settings and an agent become a service."""

import structlog
from fastapi import FastAPI
from prometheus_client import CollectorRegistry

from opusbridge import logs
from opusbridge.agent import Agent
from opusbridge.bridge.metrics import Metrics
from opusbridge.config import Settings
from opusbridge.receptionist import RECEPTIONIST
from opusbridge.web.access import AFTER, Access
from opusbridge.web.app import assemble
from opusbridge.web.bridges import Bridges, FolderOf, ObserversOf
from opusbridge.web.calls import Calls
from opusbridge.web.capacity import call_limit

_log = structlog.get_logger(__name__)


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
    is. ``folder_of`` says where the files of a call go, if not where the settings say;
    ``observers_of`` are shown every event and effect of each call. Logging is set up as the
    settings say, unless somebody has set it up before. Raises
    :class:`~opusbridge.errors.ConfigurationError`.
    """
    settings = settings or Settings.load()
    logs.configure_as_guest(settings.log_format, settings.log_level)
    if settings.lacks_a_key:
        _log.warning("OPENAI_API_KEY is not set: the model will refuse every call")
    agent = agent or (Agent.load(settings.agent) if settings.agent else RECEPTIONIST)
    agent.applied_to(settings)  # whether the two go together shows now, not at the first call
    registry = CollectorRegistry()
    metrics = Metrics(registry)
    after = Access(settings, host, port, metrics).webhook_url(AFTER)
    bridges = Bridges(settings, agent, metrics, folder_of, observers_of, after)
    return assemble(
        settings,
        agent,
        host=host,
        port=port,
        calls=Calls(bridges.audiocodes, bridges.twilio, max_calls=call_limit(settings)),
        metrics=metrics,
        registry=registry,
        on_close=bridges.close,
        dials=bridges.dials,
        rest=bridges.rest,
        beside=bridges.running,
    )

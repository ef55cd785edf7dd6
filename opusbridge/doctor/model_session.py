"""Does the model take the key, and does it take the agent's session? One is opened to see.

Nothing is said and nothing is answered on it, so it costs nothing.
"""

import asyncio
from urllib.parse import urlsplit

from opusbridge import effects, events
from opusbridge.agent import Agent
from opusbridge.bridge.conduct import call_policy
from opusbridge.bridge.dialling import dialler
from opusbridge.call.policy import TWILIO
from opusbridge.config import Settings, is_loopback
from opusbridge.doctor.findings import Finding, failed, fine
from opusbridge.errors import PeerGone, RemoteProtocolError
from opusbridge.events import FromModel
from opusbridge.protocols.realtime.protocol import RealtimeProtocol

#: Seconds from the dial until the session has taken the agent's settings.
PATIENCE_SECONDS = 15.0

_CURES = {
    401: "check OPENAI_API_KEY (for Azure also OPUSBRIDGE_REALTIME_AUTH=api-key)",
    403: "the key's project may not use this model: change its permissions",
    404: "check OPUSBRIDGE_REALTIME_URL and OPUSBRIDGE_MODEL",
    3000: "check OPENAI_API_KEY, and that the account has credit",
    4000: "check OPUSBRIDGE_MODEL",
}
_UNREACHABLE = "check the network, a proxy or firewall, and OPUSBRIDGE_REALTIME_URL"
_NOT_STARTED = "start `opusbridge model` there, or check OPUSBRIDGE_REALTIME_URL"


async def check_model(settings: Settings, agent: Agent) -> Finding:
    """Dial, and configure the session as a call would."""
    settings = agent.applied_to(settings)
    try:
        async with asyncio.timeout(PATIENCE_SECONDS):
            return await _look(settings, agent)
    except TimeoutError:
        return failed(
            "model",
            f"no answer within {PATIENCE_SECONDS:.0f} s",
            "is there a Realtime API at OPUSBRIDGE_REALTIME_URL?",
        )
    except PeerGone as gone:
        if gone.permanent:
            cure = _CURES.get(gone.code or 0, "check OPENAI_API_KEY and OPUSBRIDGE_MODEL")
            return failed("model", f"refused us (code {gone.code})", cure)
        where, here = _place(settings.realtime_url)
        cure = _NOT_STARTED if here else _UNREACHABLE
        return failed("model", f"{where} could not be reached, or hung up on us", cure)


def _place(url: str) -> tuple[str, bool]:
    """Its host and port, and whether that is this machine."""
    parts = urlsplit(url)
    host = parts.hostname or ""
    port = parts.port or (443 if parts.scheme == "wss" else 80)
    return f"{f'[{host}]' if ':' in host else host}:{port}", is_loopback(host)


async def _look(settings: Settings, agent: Agent) -> Finding:
    socket, protocol = await dialler(settings)(), RealtimeProtocol()
    session = call_policy(TWILIO, settings, agent).session
    try:
        while True:
            for event in _understood(protocol, await socket.receive_text()):
                if isinstance(event, events.SessionCreated):
                    protocol.send(effects.ConfigureSession(session))
                    for text in protocol.messages_to_send():
                        await socket.send_text(text)
                elif isinstance(event, events.SessionConfigured):
                    return fine("model", f"{settings.model} takes the key and the agent's session")
                elif isinstance(event, events.ModelErred):
                    return failed(
                        "model",
                        f"refused the agent's session (code {event.code or event.type})",
                        _cure_for(event),
                    )
    finally:
        await socket.close()


def _understood(protocol: RealtimeProtocol, text: str) -> list[FromModel]:
    try:
        return protocol.receive(text)
    except RemoteProtocolError:
        return []


def _cure_for(event: events.ModelErred) -> str:
    if event.code in ("insufficient_quota", "credit_balance_exhausted"):
        return "the account has no credit: add some in its billing settings"
    if event.code == "invalid_api_key":
        return _CURES[401]
    return "check the agent's voice, tools and `session`, and the VAD and transcription settings"

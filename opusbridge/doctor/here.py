"""What can be seen without asking anybody: the settings, the agent, the doors, the disk."""

import os
import shutil
from pathlib import Path

from prometheus_client import CollectorRegistry

from opusbridge.agent import Agent
from opusbridge.bridge.dialling import dialler
from opusbridge.bridge.metrics import Metrics
from opusbridge.bridge.speech import stored_speech
from opusbridge.bridge.twilio import undiallable, untransferable
from opusbridge.config import Settings, is_loopback
from opusbridge.doctor.findings import Finding, failed, fine, skipped, warning
from opusbridge.errors import ConfigurationError
from opusbridge.outgoing import http_client
from opusbridge.receptionist import RECEPTIONIST
from opusbridge.web.access import NO_TURNS, Access
from opusbridge.web.capacity import call_limit

#: About as much as a hundred calls of ten minutes with recordings need.
ENOUGH_BYTES = 2 * 2**30

_SECRETS = {
    "/audiocodes": "OPUSBRIDGE_AUDIOCODES_TOKEN",
    "/twilio/voice": "OPUSBRIDGE_TWILIO_AUTH_TOKEN and OPUSBRIDGE_PUBLIC_URL",
    "/api": "OPUSBRIDGE_ADMIN_TOKEN",
}


def check_settings(settings: Settings, host: str, port: int) -> Finding:
    """What ``serve`` asks of them before it starts; the folder is for :func:`check_disk`."""
    try:
        settings.check_ready(host, port)
        stored_speech(settings.language, settings.speech_dir)
        call_limit(settings)
        dialler(settings)  # whether its sockets can be had, and a proxy before the model be used
        for url in _asked_by_http(settings):
            http_client(url)
    except ConfigurationError as error:
        return failed("settings", str(error), "set it in the environment or in .env")
    return fine("settings", "serve would start with them")


def _asked_by_http(settings: Settings) -> list[str]:
    """The servers for which ``serve`` has a client from its start."""
    rest = settings.twilio_account_sid is not None and settings.twilio_auth_token is not None
    dial_out = settings.audiocodes_dial_token is not None
    asked = (
        settings.twilio_api_url if rest else None,
        settings.audiocodes_dial_url if dial_out else None,
        settings.webhook_url,
    )
    return [url for url in asked if url is not None]


def check_agent(
    settings: Settings, named_by: str = "OPUSBRIDGE_AGENT"
) -> tuple[list[Finding], Agent | None]:
    """The agent itself as well, for what comes after; ``named_by``: what the user gave."""
    try:
        agent = Agent.load(settings.agent) if settings.agent else RECEPTIONIST
        agent.applied_to(settings)
    except ConfigurationError as error:
        return [failed("agent", str(error), f"correct the file that {named_by} names")], None
    looked_at = (
        (
            [tool.name for tool in agent.tools if not tool.description],
            "the model is not told what these tools are for",
            "give each function a docstring",
        ),
        (
            undiallable(agent, settings),
            "Twilio cannot dial these destinations",
            "name them as +DIGITS (E.164) or sip:…",
        ),
        (
            untransferable(agent, settings),
            "Twilio transfers nobody without an account",
            "set OPUSBRIDGE_TWILIO_ACCOUNT_SID and OPUSBRIDGE_TWILIO_AUTH_TOKEN",
        ),
    )
    found = [
        warning("agent", f"{agent.name}: {what}: {', '.join(names)}", cure)
        for names, what, cure in looked_at
        if names
    ]
    tools = len(agent.tools)
    return found or [fine("agent", f"{agent.name}, {tools} tool{'' if tools == 1 else 's'}")], agent


def check_doors(
    settings: Settings, host: str, port: int, agent: Agent | None = None
) -> list[Finding]:
    """Which endpoints would turn everybody away, with this agent, and which let everybody in."""
    applied = settings if agent is None else agent.applied_to(settings)
    access = Access(applied, host, port, Metrics(CollectorRegistry()))
    twilio = settings.twilio_auth_token is not None or settings.allow_unauthenticated
    found = [
        _closed(path, why)
        for path, why in access.closed_endpoints().items()
        if path in _SECRETS and (twilio or why != NO_TURNS)
    ]
    if access.trusts_this_machine:
        found.append(
            warning(
                "doors",
                "what lets AudioCodes in may let anybody into /api and /metrics as well",
                "set OPUSBRIDGE_PUBLIC_URL to its address, or OPUSBRIDGE_ADMIN_TOKEN",
            )
        )
    if settings.allow_unauthenticated:
        found.append(
            warning(
                "doors",
                "anybody who finds the telephony endpoints can make calls at your cost",
                "unset OPUSBRIDGE_ALLOW_UNAUTHENTICATED once the secrets are set",
            )
        )
    if not found:
        local = is_loopback(host) and settings.public_url is None
        found.append(
            fine("doors", "open to this machine only" if local else "each one asks for its secret")
        )
    return found


def _closed(path: str, why: str) -> Finding:
    if why == NO_TURNS:
        return warning(
            "doors",
            f"{path} is closed: only AudioCodes tells by itself when a turn is over",
            "let OPUSBRIDGE_TURN_DETECTION, or the agent's turn_detection, be server_vad",
        )
    return warning("doors", f"{path} is closed: nobody can use it", f"set {_SECRETS[path]}")


def check_disk(settings: Settings) -> Finding:
    """Whether the files of calls can be written, and for how long."""
    if wrong := _why_unwritable(settings.data_dir):
        return failed("files", *wrong)
    if not (settings.record or settings.flight):
        return skipped("files", "neither recordings nor flights are kept; call.json is small")
    free = shutil.disk_usage(_nearest(settings.data_dir)).free
    if free < ENOUGH_BYTES:
        return warning(
            "files",
            f"{free / 2**30:.1f} GiB are free where recordings go",
            "make room: about 2 MiB a minute of call, and nothing is ever deleted by itself",
        )
    return fine("files", f"{free / 2**30:.0f} GiB free where recordings go")


def _why_unwritable(folder: Path) -> tuple[str, str] | None:
    """Why ``serve`` would refuse it, with the cure; it would make the folder, and we do not."""
    nearest = _nearest(folder)
    if not os.path.isdir(nearest):  # Path's own method raises where we may not look
        return "OPUSBRIDGE_DATA_DIR leads to no folder", "name a folder"
    if not os.access(nearest, os.W_OK | os.X_OK):
        return (
            "the folder of OPUSBRIDGE_DATA_DIR cannot be written to",
            "give it to the user that runs serve, or name another",
        )
    return None


def _nearest(folder: Path) -> Path:
    """Itself, or what is there already of the folders above it."""
    folder = folder.absolute()
    return next(one for one in (folder, *folder.parents) if os.path.lexists(one))

"""OpenAI's Realtime voice models on the telephone: AudioCodes VoiceAI Connect and Twilio.

A name is imported when it is asked for first: whoever needs one of them does not pay for the
web server behind another.
"""

from importlib import import_module
from typing import TYPE_CHECKING

from opusbridge.version import VERSION as __version__

if TYPE_CHECKING:
    from opusbridge.agent import Agent
    from opusbridge.bridge.audiocodes import TelephonyRealtimeBridge
    from opusbridge.bridge.twilio import TwilioRealtimeBridge
    from opusbridge.config import Settings
    from opusbridge.tools.context import CallContext
    from opusbridge.tools.outcome import CallOutcome
    from opusbridge.tools.registry import tool
    from opusbridge.web.service import create_app

__all__ = [
    "Agent",
    "CallContext",
    "CallOutcome",
    "Settings",
    "TelephonyRealtimeBridge",
    "TwilioRealtimeBridge",
    "__version__",
    "create_app",
    "tool",
]

_HOMES = {
    "Agent": "agent",
    "CallContext": "tools.context",
    "CallOutcome": "tools.outcome",
    "Settings": "config",
    "TelephonyRealtimeBridge": "bridge.audiocodes",
    "TwilioRealtimeBridge": "bridge.twilio",
    "create_app": "web.service",
    "tool": "tools.registry",
}


def __getattr__(name: str) -> object:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    found: object = getattr(import_module(f"opusbridge.{_HOMES[name]}"), name)
    globals()[name] = found
    return found

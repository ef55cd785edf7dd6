"""OpenAI's Realtime voice models on the telephone: AudioCodes VoiceAI Connect and Twilio."""

from opusbridge.agent import Agent
from opusbridge.bridge.audiocodes import TelephonyRealtimeBridge
from opusbridge.bridge.twilio import TwilioRealtimeBridge
from opusbridge.config import Settings
from opusbridge.tools.context import CallContext
from opusbridge.tools.registry import tool
from opusbridge.version import VERSION as __version__
from opusbridge.web.service import create_app

__all__ = [
    "Agent",
    "CallContext",
    "Settings",
    "TelephonyRealtimeBridge",
    "TwilioRealtimeBridge",
    "__version__",
    "create_app",
    "tool",
]

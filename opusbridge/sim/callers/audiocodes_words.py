"""The words of AudioCodes' Bot API, as this simulator understands them by itself."""

from collections.abc import Callable, Mapping
from random import Random
from typing import Any

import orjson

from opusbridge.sound import PCM_8K, PCM_16K, PCM_24K, PCMU_8K, AudioFormat

#: Seconds a message that must be answered may wait before it counts as a violation.
PATIENCE_SECONDS = 10.0

#: The headerless formats; what comes with a WAV header is never a wise choice.
FORMATS: dict[str, AudioFormat] = {
    "raw/mulaw": PCMU_8K,
    "raw/lpcm16_8": PCM_8K,
    "raw/lpcm16": PCM_16K,
    "raw/lpcm16_24": PCM_24K,
}

#: The order Live Hub was seen to offer.
LIVE_HUB_OFFER = (
    "raw/lpcm16_8",
    "wav/lpcm16_8",
    "raw/mulaw",
    "wav/mulaw",
    "raw/lpcm16",
    "wav/lpcm16",
    "raw/lpcm16_24",
    "wav/lpcm16_24",
)

#: Another order, seen in fixtures of another implementation.
OTHER_OFFER = (
    "raw/lpcm16",
    "wav/lpcm16",
    "raw/lpcm16_24",
    "wav/lpcm16_24",
    "raw/mulaw",
    "wav/mulaw",
)

#: Every type a bot may send, with the fields it must have.
REQUIRED: dict[str, dict[str, type]] = {
    "connection.validated": {"success": bool},
    "session.accepted": {"mediaFormat": str},
    "session.error": {"reason": str},
    "userStream.started": {},
    "userStream.stopped": {},
    "userStream.speech.started": {},
    "userStream.speech.stopped": {},
    "userStream.speech.committed": {},
    "userStream.speech.hypothesis": {"alternatives": list},
    "userStream.speech.recognition": {"alternatives": list},
    "playStream.start": {"streamId": str, "mediaFormat": str},
    "playStream.chunk": {"streamId": str, "audioChunk": str},
    "playStream.stop": {"streamId": str},
    "activities": {"activities": list},
}

#: The events a bot may ask for inside ``activities``.
COMMANDS = frozenset(
    {
        "hangup",
        "transfer",
        "handover",
        "config",
        "playUrl",
        "abortPrompts",
        "expectAnotherBotMessage",
        "sendDtmf",
        "sendMetaData",
        "startRecognition",
        "stopRecognition",
        "startCallRecording",
        "stopCallRecording",
        "pauseCallRecording",
        "resumeCallRecording",
    }
)


def checked(text: str, violation: Callable[[str], None]) -> dict[str, Any] | None:
    """A message of the bot's, if it can be understood; what is wrong with it is told."""
    try:
        message = orjson.loads(text)
    except orjson.JSONDecodeError:
        violation("a message that is not JSON")
        return None
    kind = message.get("type") if isinstance(message, dict) else None
    if not isinstance(kind, str) or kind not in REQUIRED:
        violation("an unknown message type")
        return None
    assert isinstance(message, dict)
    for key, expected in REQUIRED[kind].items():
        if not isinstance(message.get(key), expected):
            violation(f"{kind} without a proper {key}")
            return None
    if has_null(message):
        violation(f"{kind} with a null field")
    return message


def has_null(value: Any) -> bool:
    if isinstance(value, dict):
        return any(map(has_null, value.values()))
    if isinstance(value, list):
        return any(map(has_null, value))
    return value is None


def wrong_with(activity: Any) -> str | None:
    """Why nobody could do what it asks for; null, which is wrong anyhow, counts as missing."""
    name = activity.get("name") if isinstance(activity, dict) else None
    if not isinstance(name, str) or name not in COMMANDS or activity.get("type") != "event":
        return "an activity that is no event of the list"
    for key in ("activityParams", "sessionParams"):
        if not isinstance(activity.get(key), dict | None):
            return f"{name} with {key} that are no object"
    events = (activity.get("sessionParams") or {}).get("sendEventsToBot")
    if not isinstance(events, list | None):
        return f"{name} with sendEventsToBot that is no list"
    return None


def event_activity(name: str, now: float, random: Random, fields: dict[str, Any]) -> dict[str, Any]:
    """An event as VoiceAI Connect writes it; the day is always the same."""
    bits = f"{random.getrandbits(128):032x}"
    uuid = "-".join((bits[:8], bits[8:12], bits[12:16], bits[16:20], bits[20:]))
    minutes, seconds = divmod(now % 86_400, 60)
    hours, minutes = divmod(int(minutes), 60)
    return {
        "type": "event",
        "name": name,
        "id": uuid,
        "timestamp": f"2026-03-02T{hours:02}:{minutes:02}:{int(seconds * 1000) / 1000:06.3f}Z",
        "language": "en-US",
        **fields,
    }


def start_parameters(
    conversation_id: str, caller: str, callee: str, ordered_with: Mapping[str, Any] | str | None
) -> dict[str, Any]:
    """What the ``start`` of any call tells; all of it optional, says the document."""
    ordered = {} if ordered_with is None else {"dialoutMetadata": ordered_with}
    return {
        "vaigConversationId": conversation_id,
        "locale": "any-CI",
        "caller": caller,
        "callerHost": "sip.carrier.example",
        "callee": callee,
        "calleeHost": "sbc.example",
        **ordered,
    }

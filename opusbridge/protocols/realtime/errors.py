"""What the Realtime API says when it refuses: by an ``error`` event, by closing, by HTTP.

The reading only; what to do about it is the call's to decide. Codes come first, texts
second: older servers, and newer ones at times, send the text with no code at all.
"""

import re
from collections.abc import Mapping

from opusbridge import events
from opusbridge.privacy import Private
from opusbridge.protocols.realtime.messages import RealtimeError

#: Errors that asking again cannot mend: the account, the key, the model, the shape.
PERMANENT_CODES: frozenset[str] = frozenset(
    {
        "insufficient_quota",
        "credit_balance_exhausted",
        "invalid_api_key",
        "invalid_model",
        "missing_model",
        "beta_api_shape_disabled",
    }
)

#: Close codes that say no for good: authentication, and the shape of the request.
_REFUSING_CLOSE_CODES = frozenset({3000, 4000})
_GOING_AWAY = 1001
_REFUSING_HTTP_STATUSES = frozenset({400, 401, 403, 404})

_ACTIVE_CODE = "conversation_already_has_active_response"
_ACTIVE_TEXT = "conversation already has an active response"
_RESPONSE_ID = re.compile(r"resp_[A-Za-z0-9_-]+")
_TOOL_CALL_ID = re.compile(r"tool call id '([^']{1,100})'", re.IGNORECASE)

#: Which client event an error without an echoed ``event_id`` is about, by its code …
_ABOUT_BY_CODE = {
    _ACTIVE_CODE: "response.create",
    "response_cancel_not_active": "response.cancel",
    "input_audio_buffer_commit_empty": "input_audio_buffer.commit",
    "unsupported_content_type": "conversation.item.truncate",
    "invalid_tool_call_id": "conversation.item.create",
}
_ABOUT_BY_CODE_PREFIX = {
    "item_truncate_": "conversation.item.truncate",
    "item_delete_": "conversation.item.delete",
    "item_create_": "conversation.item.create",
}
#: … or by its text, in lower case, for servers that leave the code out.
_ABOUT_BY_TEXT = {
    _ACTIVE_TEXT: "response.create",
    "cancellation failed": "response.cancel",
    "error committing input audio buffer": "input_audio_buffer.commit",
    "already shorter": "conversation.item.truncate",
    "only model output audio messages can be truncated": "conversation.item.truncate",
    "tool call id '": "conversation.item.create",
}

#: The path of a key, as the server names what it refuses; whatever else comes is nobody's to log.
_KEY = re.compile(r"[A-Za-z_][A-Za-z0-9_.\[\]]{0,99}")

#: The ``event_id`` of each item we create: this and the item's own id.
ITEM_EVENT = "item-"

_UNIT_SECONDS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0}
_AMOUNT = r"[0-9]{1,6}(?:\.[0-9]{1,9})?"
_UNIT = (
    r"(?:ms|milliseconds?|s|secs?|seconds?|m|mins?|minutes?|h|hours?)"
    r"(?![a-z])"  # "in 5 more tries" is not five minutes
)
_HINT = re.compile(
    rf"(?:try again|retry) (?:in|after) ((?:{_AMOUNT} ?{_UNIT} ?){{1,4}})", re.IGNORECASE | re.ASCII
)
_STEP = re.compile(rf"({_AMOUNT}) ?({_UNIT})", re.IGNORECASE | re.ASCII)


def erred(error: RealtimeError, sent: Mapping[str, str]) -> events.ModelErred:
    """The event for an ``error``; ``sent`` is our recent ``event_id`` → client event type.

    A request's token is told only where the server echoed it: an error that could be the
    refusal of the model's own attempt must not be taken for ours.
    """
    text = error.message or ""
    active = error.code == _ACTIVE_CODE or _ACTIVE_TEXT in text.lower()
    named = _RESPONSE_ID.search(text) if active else None
    tool_call = _TOOL_CALL_ID.search(text)
    event_id = error.event_id
    known = None if event_id is None else sent.get(event_id) or _of_item(event_id)
    return events.ModelErred(
        code=error.code,
        type=error.type,
        about=known or _about(error, text.lower()),
        param=error.param if _KEY.fullmatch(error.param or "") else None,
        request_id=error.event_id if known == "response.create" else None,
        item_id=_item(error.event_id) if known == "conversation.item.create" else None,
        tool_call_id=tool_call.group(1) if tool_call else None,
        response_active=active,
        active_response_id=named.group() if named else None,
        retry_after_seconds=retry_after_seconds(error),
        message=Private(text),
    )


def _of_item(event_id: str) -> str | None:
    """These name themselves: a session that is replaced may be told hundreds of items at once."""
    return "conversation.item.create" if event_id.startswith(ITEM_EVENT) else None


def _item(event_id: str | None) -> str | None:
    return event_id.removeprefix(ITEM_EVENT) if event_id is not None else None


def _about(error: RealtimeError, text: str) -> str | None:
    code = error.code or ""
    if code in _ABOUT_BY_CODE:
        return _ABOUT_BY_CODE[code]
    for prefix, about in _ABOUT_BY_CODE_PREFIX.items():
        if code.startswith(prefix):
            return about
    for part, about in _ABOUT_BY_TEXT.items():
        if part in text:
            return about
    # The echo is missing for some refused settings, but the field is named: "session.…".
    return "session.update" if (error.param or "").startswith("session") else None


def retry_after_seconds(error: RealtimeError) -> float | None:
    """How long the server asks us to wait: its own field, or "try again in 6m0s"."""
    if error.retry_after is not None and error.retry_after >= 0:
        return error.retry_after
    hint = _HINT.search(error.message or "")
    if hint is None:
        return None
    return sum(float(amount) * _seconds(unit) for amount, unit in _STEP.findall(hint.group(1)))


def _seconds(unit: str) -> float:
    unit = unit.lower()
    return _UNIT_SECONDS["ms"] if unit.startswith(("ms", "milli")) else _UNIT_SECONDS[unit[0]]


def loss(code: int | None, reason: str) -> events.ModelLost:
    """What a closed socket means; ``code`` is ``None`` if it was dropped without one."""
    if code in _REFUSING_CLOSE_CODES:
        return events.ModelLost("model-refused-us", permanent=True)
    expired = "session_expired" in reason or "maximum duration" in reason
    if code == _GOING_AWAY and expired:
        return events.ModelLost("session-expired")
    return events.ModelLost("model-lost")


def refusal(http_status: int) -> events.ModelLost:
    """What an answer other than 101 to our upgrade means."""
    if http_status in _REFUSING_HTTP_STATUSES:
        return events.ModelLost("model-refused-us", permanent=True)
    return events.ModelLost("model-unreachable")

"""What Twilio says at the ``action`` of a ``<Dial>``: what became of a transfer."""

from collections.abc import Mapping

from opusbridge import events

#: Somebody took the call there, and by now it is over.
ANSWERED = frozenset({"completed", "answered"})
#: Values of ``CallStatus`` with which the caller's own line is there no more.
ENDED = frozenset({"completed", "busy", "failed", "no-answer", "canceled"})
#: Why nobody took it, in the words of ``TransferFailed``; anything else is an ``error``.
_REASONS = {"busy": "busy", "no-answer": "no-answer", "canceled": "no-answer"}

Result = events.TransferSucceeded | events.CallerGaveUp | events.CallerReturns


def dial_result(fields: Mapping[str, str]) -> Result:
    """What the form says. A caller whom nobody took, and who is still there, comes back."""
    status = fields.get("DialCallStatus", "")
    if status in ANSWERED:
        return events.TransferSucceeded()
    if fields.get("CallStatus") in ENDED:
        return events.CallerGaveUp()
    return events.CallerReturns(_REASONS.get(status, "error"))

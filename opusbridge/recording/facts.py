"""What happened to a call that passed over neither socket, as lines of ``flight.jsonl``.

Nothing of what a caller said, typed or is called is in them; where that matters, it is in the
messages of the sockets already.
"""

from collections.abc import Callable
from typing import Any

from opusbridge import effects, events

Fact = dict[str, Any]

#: What each is called; a note brings its own name (:data:`opusbridge.effects.NOTES`).
NAMES: dict[type, str] = {
    effects.RunTool: "tool-started",
    events.ToolFinished: "tool-finished",
    effects.ConfigureCall: "configure-asked",
    events.CallConfigured: "configured",
    effects.PauseRecording: "recording-paused",
    effects.ResumeRecording: "recording-resumed",
    events.HangUpRequested: "hang-up-requested",
    events.DTMFRequested: "dtmf-requested",
    events.PlayRequested: "play-requested",
    events.DigitsWanted: "digits-wanted",
    effects.DeliverDigits: "digits-delivered",
    events.TransferRequested: "transfer-requested",
    events.CallerReturns: "caller-returns",
    events.CallerGaveUp: "caller-gave-up",
    events.HangUpFailed: "hang-up-failed",
    events.TextInjected: "text-injected",
    events.MessageRejected: "message-rejected",
    events.PeerStalled: "peer-stalled",
    events.Broke: "broke",
    events.TelephonyLost: "telephony-lost",
    events.ModelLost: "model-lost",
    effects.EndCall: "ended",
}

FACTS: frozenset[type] = frozenset({effects.Note, *NAMES})

#: What is told of it besides its name.
_DETAILS: dict[type, Callable[[Any], Fact]] = {
    effects.RunTool: lambda tool: {"reason": tool.name, "ids": [tool.tool_call_id]},
    events.ToolFinished: lambda tool: {
        "reason": "failed" if tool.failed else "",
        "ids": [tool.tool_call_id],
    },
    events.CallConfigured: lambda what: {"reason": "changed" if what.changed else ""},
    events.HangUpRequested: lambda what: {"reason": what.reason},
    events.DigitsWanted: lambda what: {"reason": "secret" if what.secret else ""},
    effects.DeliverDigits: lambda what: {"reason": what.how},
    events.CallerReturns: lambda what: {"reason": what.reason},
    events.MessageRejected: lambda what: {"reason": f"{what.peer}:{what.kind}"},
    events.PeerStalled: lambda what: {"reason": what.peer},
    events.ModelLost: lambda what: {"reason": what.reason},
    effects.EndCall: lambda what: {
        "outcome": what.ending.outcome,
        "reason": what.ending.reason,
    },
}


def fact(what: object) -> Fact | None:
    """The line for ``what``, without its time; ``None`` if the sockets tell it already."""
    if isinstance(what, effects.Note):
        ids = list(what.ids)
        return {"note": what.kind, "reason": what.reason, "ids": ids, "value": what.value}
    kind = type(what)
    name, details = NAMES.get(kind), _DETAILS.get(kind)
    if name is None:
        return None
    return {"note": name} | (details(what) if details else {})

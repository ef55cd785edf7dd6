"""What happened to a call that passed over neither socket, as lines of ``flight.jsonl``.

Nothing of what a caller said, typed or is called is in them; where that matters, it is in the
messages of the sockets already.
"""

from collections.abc import Callable
from typing import Any

from opusbridge import effects, events

Fact = dict[str, Any]

_FACTS: dict[type, Callable[[Any], Fact]] = {
    effects.Note: lambda note: {
        "note": note.kind,
        "reason": note.reason,
        "ids": list(note.ids),
        "value": note.value,
    },
    effects.RunTool: lambda tool: {
        "note": "tool-started",
        "reason": tool.name,
        "ids": [tool.tool_call_id],
    },
    events.ToolFinished: lambda tool: {
        "note": "tool-finished",
        "reason": "failed" if tool.failed else "",
        "ids": [tool.tool_call_id],
    },
    effects.ConfigureCall: lambda _: {"note": "configure-asked"},
    events.CallConfigured: lambda what: {
        "note": "configured",
        "reason": "changed" if what.changed else "",
    },
    effects.PauseRecording: lambda _: {"note": "recording-paused"},
    effects.ResumeRecording: lambda _: {"note": "recording-resumed"},
    events.HangUpRequested: lambda what: {"note": "hang-up-requested", "reason": what.reason},
    events.DTMFRequested: lambda _: {"note": "dtmf-requested"},
    events.PlayRequested: lambda _: {"note": "play-requested"},
    events.DigitsWanted: lambda what: {
        "note": "digits-wanted",
        "reason": "secret" if what.secret else "",
    },
    effects.DeliverDigits: lambda what: {"note": "digits-delivered", "reason": what.how},
    events.TransferRequested: lambda _: {"note": "transfer-requested"},
    events.TextInjected: lambda _: {"note": "text-injected"},
    events.MessageRejected: lambda what: {
        "note": "message-rejected",
        "reason": f"{what.peer}:{what.kind}",
    },
    events.PeerStalled: lambda what: {"note": "peer-stalled", "reason": what.peer},
    events.Broke: lambda _: {"note": "broke"},
    events.TelephonyLost: lambda _: {"note": "telephony-lost"},
    events.ModelLost: lambda what: {"note": "model-lost", "reason": what.reason},
    effects.EndCall: lambda what: {
        "note": "ended",
        "outcome": what.ending.outcome,
        "reason": what.ending.reason,
    },
}

FACTS: frozenset[type] = frozenset(_FACTS)


def fact(what: object) -> Fact | None:
    """The line for ``what``, without its time; ``None`` if the sockets tell it already."""
    make = _FACTS.get(type(what))
    return make(what) if make else None

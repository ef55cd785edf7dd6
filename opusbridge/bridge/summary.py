"""What an operator sees of a call while it lasts, and what call.json keeps of it."""

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

from opusbridge import effects
from opusbridge.call.call import Call
from opusbridge.call.engine import Engine
from opusbridge.effects import Handover
from opusbridge.errors import Ending
from opusbridge.logs import BadMessages, Log, places
from opusbridge.recording.recorder import CallRecorder
from opusbridge.tools.outcome import CallOutcome, without_words

log = Log("opusbridge.bridge")

#: What call.json has in common with the operator's view.
SHARED = ("call_id", "telephony", "provider_call_id", "caller", "callee", "started_at")


def describe(
    call_id: str,
    telephony: str,
    started_at: datetime,
    engine: Engine | None,
    how: Ending | None,
) -> dict[str, Any]:
    """An entry of ``GET /api/calls``; ``engine`` is ``None`` before the call runs, ``how`` until
    it has ended."""
    call = engine.call if engine else None
    talk = call.conversation if call else None
    pending = talk.response.pending_user_input if talk else None
    return {
        "call_id": call_id,
        "telephony": telephony,
        "provider_call_id": call.provider_call_id if call else "",
        "caller": call.caller.value if call and call.caller else None,
        "callee": call.callee.value if call and call.callee else None,
        "started_at": started_at.isoformat(),
        "state": _state(call) if how is None else "ended",
        "response_active": talk is not None and talk.response.response_active,
        "response_id": talk.response.response_id if talk else None,
        "pending_user_input": pending.why if pending else None,
        "recording_paused": call is not None and call.transcript.paused,
        "turns": engine.tally.turns_taken if engine else 0,
        "ending": None if how is None else shown_ending(how),
    }


def shown_ending(how: Ending) -> dict[str, str]:
    """As operators see it, and ``call.json`` has it."""
    return {"outcome": how.outcome.value, "reason": how.reason}


def _state(call: Call | None) -> str:
    if call is None or call.answered_at is None:
        return "ringing"
    away = call.departure.away and not call.departure.pressing
    return "transferring" if away else "answered"


def summary(
    described: dict[str, Any], engine: Engine, how: Ending, started_at: datetime, now: float
) -> dict[str, Any]:
    """How call.json begins; ``now`` is the end, on the clock on which the call's own instants
    are."""
    began_at = engine.call.began_at

    def instant(at: float | None) -> str | None:
        return None if at is None else (started_at + timedelta(seconds=at - began_at)).isoformat()

    return {
        **{name: described[name] for name in SHARED},
        "started_at": started_at.astimezone(UTC).isoformat(),
        "answered_at": instant(engine.call.answered_at),
        "ended_at": instant(now),
        "ending": shown_ending(how),
    }


def _handover(packet: Handover) -> dict[str, Any]:
    return {
        "reason": packet.reason,
        "summary": packet.summary,
        "heard": [{"speaker": speaker, "text": text} for speaker, text in packet.heard],
        "tools": [{"name": name, "output": output} for name, output in packet.results],
    }


def complete(
    described: dict[str, Any],
    engine: Engine,
    how: Ending,
    started_at: datetime,
    now: float,
    recorder: CallRecorder | None,
    state: dict[str, Any],
) -> CallOutcome:
    """Have the call's files completed, which need not wait until every socket is closed."""
    kept = summary(described, engine, how, started_at, now)
    call_id = kept["call_id"]
    words = _unless_it_breaks(lambda: engine.call.transcript.snapshot(call_id))
    transcript = words or {"call_id": call_id, "items": []}
    kept |= _unless_it_breaks(lambda: _told(engine, transcript, now)) or {}
    folder = None
    if recorder is not None:
        told = kept if recorder.keeps_words else without_words(kept)
        recorder.finish(told, words, now)
        folder = recorder.folder
    return CallOutcome(call_id, kept, transcript, folder, state)


def _unless_it_breaks(tell: Callable[[], dict[str, Any]]) -> dict[str, Any] | None:
    """A bug of ours costs what it spoilt, not the rest."""
    try:
        return tell()
    except Exception as error:  # noqa: BLE001
        log.error("call broke", raised=places(error))
        return None


def _told(engine: Engine, transcript: dict[str, Any], now: float) -> dict[str, Any]:
    """What else call.json has. The transcript of a long call is put together once: it takes a
    millisecond for every hundred things said, and all other calls wait."""
    began = {item["item_id"]: item["started_ms"] for item in transcript["items"]}
    handed = engine.call.departure.handover
    handover = {"handover": _handover(handed)} if handed else {}
    return {**handover, **engine.tally.shown(began, now)}


def as_kept(outcome: CallOutcome, recorder: CallRecorder | None) -> CallOutcome:
    """As whoever is told of it finds it on the disk."""
    nothing = recorder is not None and recorder.nothing_kept
    return replace(outcome, folder=None) if nothing else outcome


def show_note(note: effects.Note, bad_messages: BadMessages) -> None:
    """In the log, as much of it as belongs there."""
    match note:
        case effects.Note("unknown-error", reason):
            log.warning("the model refused for a reason unknown to us", code=reason)
        case effects.Note("model-refused", reason, ids):
            log.error("the model refused us", code=reason, about=ids[0] if ids else None)
        case effects.Note("model-back", reason):
            log.warning("model session replaced", reason=reason)
        case effects.Note("declined", reason, ids):
            log.warning("call declined", why=reason, offered=list(ids))
        case effects.Note("configure-overdue"):
            log.warning("configure took too long: the agent as it is")
        case effects.Note("bad-message", why):
            bad_messages.came(why)
        case _:
            log.debug(note.kind, why=note.reason, ids=note.ids, value=round(note.value, 3))

"""The numbers of a call, counted from what happened and what was done about it.

An observer: it is shown every event and effect and changes nothing.
"""

from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from opusbridge import effects, events
from opusbridge.effects import Effect, Note
from opusbridge.events import Event

#: What is counted. Of the caller's sound, fifty a second, nothing is.
COUNTED = frozenset(
    {
        events.TurnCommitted,
        events.ResponseCreated,
        events.ResponseDone,
        effects.CreateResponse,
        effects.PlayAudio,
        Note,
    }
)


@dataclass(slots=True)
class Turn:
    """One turn of the caller's; instants in seconds, ``None`` for what never came."""

    item_id: str
    committed_at: float
    speech_ended_at: float | None = None
    requested_at: float | None = None
    first_audio_at: float | None = None
    heard_at: float | None = None

    def shown(self) -> dict[str, int | None]:
        """Latencies in ms, as call.json has them."""
        return {
            "speech_end_to_commit": _ms(self.speech_ended_at, self.committed_at),
            "commit_to_request": _ms(self.committed_at, self.requested_at),
            "request_to_first_audio": _ms(self.requested_at, self.first_audio_at),
            "first_audio_to_heard": _ms(self.first_audio_at, self.heard_at),
        }


@dataclass(slots=True)
class Responses:
    requested: int = 0
    created: int = 0
    completed: int = 0
    cancelled: int = 0
    failed: int = 0
    conflicts: int = 0
    retries: int = 0


@dataclass(slots=True)
class Tally:
    responses: Responses = field(default_factory=Responses)
    turns: list[Turn] = field(default_factory=list)
    barge_ins: int = 0
    usage: dict[str, int] = field(default_factory=dict)
    notes: dict[str, int] = field(default_factory=dict)
    """How often each kind of note came."""
    _speech_ended_at: float | None = None

    def observe(self, what: Event | Effect, now: float) -> Sequence[Note]:
        """Count it; a note to pass on when a turn's answer begins."""
        if type(what) not in COUNTED:
            return ()
        match what:
            case effects.PlayAudio():
                return self._answer_began(what.starts_at, now)
            case Note():
                self._noted(what, now)
            case events.TurnCommitted():
                self.turns.append(Turn(what.item_id, now, self._speech_ended_at))
                self._speech_ended_at = None
            case effects.CreateResponse():
                self.responses.requested += 1
                self._asked(now)
            case events.ResponseCreated() if what.in_conversation:
                self.responses.created += 1
                self._asked(now)
            case events.ResponseDone():
                self._done(what)
            case _:
                pass
        return ()

    def shown(self) -> dict[str, Any]:
        """The part of call.json that is counted."""
        return {
            "turns": [turn.shown() for turn in self.turns],
            "responses": asdict(self.responses),
            "barge_ins": self.barge_ins,
            "usage": dict(self.usage),
        }

    def _asked(self, now: float) -> None:
        for turn in reversed(self.turns):
            if turn.requested_at is not None:
                break
            turn.requested_at = now

    def _answer_began(self, starts_at: float, now: float) -> list[Note]:
        found: list[Note] = []
        for turn in reversed(self.turns):
            if turn.first_audio_at is not None:
                break
            if turn.requested_at is None:
                continue  # this is the answer to an earlier one
            turn.first_audio_at, turn.heard_at = now, starts_at
            since = turn.speech_ended_at
            if since is not None and not found:
                found.append(Note("turn-latency", "", (turn.item_id,), now - since))
        return found

    def _noted(self, note: Note, now: float) -> None:
        self.notes[note.kind] = self.notes.get(note.kind, 0) + 1
        match note.kind:
            case "speech-ended":
                self._speech_ended_at = now - note.value
            case "barge-in":
                self.barge_ins += 1
            case "conflict":
                self.responses.conflicts += 1
            case "retry":
                self.responses.retries += 1
            case _:
                pass

    def _done(self, event: events.ResponseDone) -> None:
        if event.usage is not None:
            for kind, tokens in asdict(event.usage).items():
                self.usage[kind] = self.usage.get(kind, 0) + tokens
        match event.status:
            case "completed" | "incomplete" if event.in_conversation:
                self.responses.completed += 1
            case "cancelled" if event.in_conversation:
                self.responses.cancelled += 1
            case "failed" if event.in_conversation:
                self.responses.failed += 1
            case _:
                pass


def _ms(start: float | None, end: float | None) -> int | None:
    if start is None or end is None:
        return None
    return max(0, round((end - start) * 1000))

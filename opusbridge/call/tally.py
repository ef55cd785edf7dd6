"""The numbers of a call, counted from what happened and what was done about it.

An observer: it is shown every event and effect and changes nothing.
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from itertools import pairwise, starmap
from math import inf
from typing import Any

from opusbridge import effects, events
from opusbridge.call.archive import packed, unpacked
from opusbridge.call.machines import remember
from opusbridge.effects import Effect, Note
from opusbridge.events import Event

#: What is counted. Of the caller's sound, fifty a second, nothing is.
COUNTED = frozenset(
    {
        events.TurnCommitted,
        events.ResponseCreated,
        events.ResponseDone,
        events.ModelSpoke,
        effects.CreateResponse,
        effects.PlayAudio,
        effects.ClearPlayout,
        effects.CutPlayout,
        Note,
    }
)

#: The responses that are known by their place in the order in which they began: of one before
#: them nothing can still be on its way to the ear.
MOST_BEGUN = 16

#: So many turns are put away together, when there are twice as many.
PIECE_TURNS = 6

#: The parts of a turn's latency, in the order in which they pass.
INTERVALS = (
    "speech_end_to_commit",
    "commit_to_request",
    "request_to_first_audio",
    "first_audio_to_heard",
)


@dataclass(slots=True)
class Turn:
    """One turn of the caller's; instants in seconds, ``None`` for what never came."""

    item_id: str
    committed_at: float
    speech_ended_at: float | None = None
    requested_at: float | None = None
    requested_after: int = 0
    """How many responses had begun by then: none of them is its answer."""
    first_audio_at: float | None = None
    heard_at: float | None = None
    """Foretold, until then."""
    answered_by: str = ""

    def intervals(self, by: float = inf) -> dict[str, float | None]:
        """From the caller's last word to the answer in his ear, in seconds; ``by``: if he heard it
        by then."""
        instants = (
            self.speech_ended_at,
            self.committed_at,
            self.requested_at,
            self.first_audio_at,
            None if self.heard_at is None or self.heard_at > by else self.heard_at,
        )
        return dict(zip(INTERVALS, starmap(_seconds, pairwise(instants)), strict=True))

    def over(self, now: float) -> bool:
        """Whether nothing will change in this turn, nor in those before it: who looks for turns
        without a request, without an answer or with one to be heard yet goes no further back."""
        answered = self.requested_at is not None and self.first_audio_at is not None
        return answered and (self.heard_at is None or self.heard_at <= now)

    def row(self, now: float) -> list[Any]:
        """The item and the intervals in ms, as call.json has them."""
        intervals = self.intervals(now).values()
        return [self.item_id, *(None if took is None else round(took * 1000) for took in intervals)]


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
    """The latest; those before them are put away."""
    barge_ins: int = 0
    false_interruptions: int = 0
    usage: dict[str, int] = field(default_factory=dict)
    notes: dict[str, int] = field(default_factory=dict)
    """How often each kind of note came."""
    _speech_ended_at: float | None = None
    _put_away: list[bytes] = field(default_factory=list)
    _turns_put_away: int = 0
    _passed_over: str = ""  # the last turn that wants no answer
    _stored: bool = False  # what the caller was told last is stored speech
    _begun: dict[str, int] = field(default_factory=dict)  # the latest, each the how-many-eth
    _begun_ever: int = 0
    _over: list[str] = field(default_factory=list)  # the latest

    def observe(self, what: Event | Effect, now: float) -> Sequence[Note]:
        """Count it; a note to pass on when a turn's answer begins."""
        if type(what) not in COUNTED:
            return ()
        match what:
            case effects.PlayAudio():
                return self._answer_began(what, now)
            case effects.ClearPlayout() | effects.CutPlayout():
                self._cleared(now)
            case events.ModelSpoke():
                self._stored = False
                if what.response_id not in self._begun:
                    self._began(what.response_id)
            case Note():
                self._noted(what, now)
            case events.TurnCommitted():
                if what.item_id != self._passed_over:
                    self._make_room(now)
                    self.turns.append(Turn(what.item_id, now, self._speech_ended_at))
                self._speech_ended_at = None
            case effects.CreateResponse():
                self.responses.requested += 1
                self._asked(now)
            case events.ResponseCreated() if what.in_conversation:
                self.responses.created += 1
                self._asked(now)
                self._began(what.response_id)
            case events.ResponseDone():
                self._done(what)
            case _:
                pass
        return ()

    @property
    def in_answer(self) -> bool:
        """Whether more sound of the answer that is played changes nothing, here or there: behind
        stored speech it may end that."""
        begun = not self.turns or self.turns[-1].first_audio_at is not None
        return begun and not self._stored

    @property
    def turns_taken(self) -> int:
        """How many there were."""
        return self._turns_put_away + len(self.turns)

    def shown(self, started_ms: Mapping[str, int | None], now: float) -> dict[str, Any]:
        """The part of call.json that is counted; ``started_ms``: when the items began, in the
        call. Nothing is heard after ``now``."""
        rows = [row for piece in self._put_away for row in unpacked(piece)]
        rows += [turn.row(now) for turn in self.turns]
        return {
            "turns": [
                {"started_ms": started_ms.get(item_id), **dict(zip(INTERVALS, ms, strict=True))}
                for item_id, *ms in rows
            ],
            "responses": asdict(self.responses),
            "barge_ins": self.barge_ins,
            "false_interruptions": self.false_interruptions,
            "usage": dict(self.usage),
        }

    def _make_room(self, now: float) -> None:
        if len(self.turns) < 2 * PIECE_TURNS:
            return
        over = (count for count in range(PIECE_TURNS, 0, -1) if self.turns[count - 1].over(now))
        count = next(over, 0)
        if count:
            self._put_away.append(packed([turn.row(now) for turn in self.turns[:count]]))
            self._turns_put_away += count
            del self.turns[:count]

    def _asked(self, now: float) -> None:
        for turn in reversed(self.turns):
            if turn.requested_at is not None:
                break
            turn.requested_at, turn.requested_after = now, self._begun_ever

    def _began(self, response_id: str) -> None:
        self._begun_ever += 1
        self._begun.pop(response_id, None)
        self._begun[response_id] = self._begun_ever
        if len(self._begun) > MOST_BEGUN:
            del self._begun[next(iter(self._begun))]

    def _answer_began(self, played: effects.PlayAudio, now: float) -> list[Note]:
        found: list[Note] = []
        nth = self._begun.get(played.response_id, 0)
        for turn in reversed(self.turns):
            if turn.first_audio_at is not None:
                if turn.heard_at is not None or turn.answered_by != played.response_id:
                    break
                turn.heard_at = played.starts_at  # cleared, and sent again
                continue
            if turn.requested_at is None or nth <= turn.requested_after:
                continue  # this is the answer to an earlier one, or to nobody
            turn.first_audio_at, turn.heard_at = now, played.starts_at
            turn.answered_by = played.response_id
            since = turn.speech_ended_at
            if since is not None and not found:
                found.append(Note("turn-latency", "", (turn.item_id,), now - since))
            found += _intervals(turn)
        return found

    def _cleared(self, now: float) -> None:
        """What was to be heard later never is, unless it is sent again."""
        for turn in reversed(self.turns):
            if turn.heard_at is None:
                continue  # the answer to an earlier one may be on its way still
            if turn.heard_at <= now:
                break
            turn.heard_at = None

    def _noted(self, note: Note, now: float) -> None:
        self.notes[note.kind] = self.notes.get(note.kind, 0) + 1
        self._stored = self._stored or note.kind in ("hold", "apology")
        match note.kind:
            case "speech-ended":
                self._speech_ended_at = now - note.value
            case "barge-in":
                self.barge_ins += 1
            case "false-interruption":
                self.false_interruptions += 1
                self._passed_over = note.ids[0]
            case "conflict":
                self.responses.conflicts += 1
            case "retry":
                self.responses.retries += 1
            case _:
                pass

    def _done(self, event: events.ResponseDone) -> None:
        if event.response_id in self._over:
            return  # it is told twice
        remember(self._over, event.response_id)
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


def _intervals(turn: Turn) -> list[Note]:
    ids = (turn.item_id,)
    known = ((name, took) for name, took in turn.intervals().items() if took is not None)
    return [Note("turn-interval", name, ids, took) for name, took in known]


def _seconds(start: float | None, end: float | None) -> float | None:
    return None if start is None or end is None else max(0.0, end - start)

"""The invariants of the response lifecycle, watched while a call runs.

An observer with books of its own: it knows nothing of the machines whose work it checks, only
what passed on the wires. Each breach is a bug of ours, is counted
(``opusbridge_invariant_violations_total``, which must stay 0), and changes nothing.
"""

from collections.abc import Callable, Sequence
from typing import Any

from opusbridge import effects, events
from opusbridge.effects import Effect, Note
from opusbridge.events import Event

#: Ids remembered, more than are ever in flight: tools are most, 32 at once.
REMEMBERED = 64

#: The same of responses, and of parts of sound that are not yet heard.
LATEST = 24


class Invariants:
    """Show it every event and effect in order; it answers with a note for each breach."""

    def __init__(self) -> None:
        self._unanswered: str | None = None
        self._announced: list[str] = []
        self._active: set[str] = set()
        self._cancelled: set[str] = set()
        self._speaking = False
        self._outputs: list[str] = []
        self._marks = 0
        self._received_ms: dict[str, float] = {}
        self._ended = False

    def observe(self, what: Event | Effect, now: float) -> Sequence[Note]:
        check = _CHECKS.get(type(what))
        if check is None:
            return ()
        breach = check(self, what)
        return (Note("violation", breach),) if breach else ()

    # --- What we ask --------------------------------------------------------------------

    def _create(self, effect: effects.CreateResponse) -> str | None:
        breach = None
        if self._unanswered is not None:
            breach = "create-while-unanswered"
        elif self._cancelled & self._active:
            breach = "create-before-cancelled-done"
        elif self._active:
            breach = "create-while-active"
        elif self._speaking:
            breach = "create-while-speaking"
        self._unanswered = effect.request_id
        return breach

    def _cancel(self, effect: effects.CancelResponse) -> str | None:
        if effect.response_id is not None:
            self._cancelled.add(effect.response_id)
        return None

    def _output(self, effect: effects.AddToolOutput) -> str | None:
        if effect.tool_call_id in self._outputs:
            return "two-outputs-for-one-call"
        _remember(self._outputs, effect.tool_call_id)
        return None

    def _truncate(self, effect: effects.TruncateItem) -> str | None:
        received = self._received_ms.get(f"{effect.item_id}/{effect.content_index}", 0.0)
        return "truncated-beyond-received" if effect.audio_end_ms > received else None

    def _mark(self, effect: effects.PlaceMark) -> str | None:
        number = int(effect.name.rpartition("-")[2])
        breach = "mark-reused" if number <= self._marks else None
        self._marks = max(self._marks, number)
        return breach

    def _end(self, effect: effects.EndCall) -> str | None:
        breach = "two-endings" if self._ended else None
        self._ended = True
        return breach

    # --- What happens -------------------------------------------------------------------

    def _created(self, event: events.ResponseCreated) -> str | None:
        _remember(self._announced, event.response_id, LATEST)
        if event.in_conversation:
            # One at a time is the server's law: what was active before must be over.
            self._active = {event.response_id}
            if event.request_id is None or event.request_id == self._unanswered:
                self._unanswered = None
        return None

    def _unannounced(self, event: events.OutputItemAdded | events.ResponseDone) -> str | None:
        """A response whose ``response.created`` was lost may well be the one we asked for."""
        if event.response_id not in self._announced:
            _remember(self._announced, event.response_id, LATEST)
            self._unanswered = None
        return None

    def _done(self, event: events.ResponseDone) -> str | None:
        self._unannounced(event)
        self._active.discard(event.response_id)
        self._cancelled.discard(event.response_id)
        return None

    def _erred(self, event: events.ModelErred) -> str | None:
        if event.about == "response.create" or event.response_active:
            self._unanswered = None
        return None

    def _began(self, event: events.SpeechStarted) -> str | None:
        self._speaking = True
        return None

    def _fell_silent(self, event: events.SpeechStopped | events.TurnCommitted) -> str | None:
        self._speaking = False
        return None

    def _spoke(self, event: events.ModelSpoke) -> str | None:
        self.received(event.item_id, event.content_index, event.audio.ms)
        return None

    def received(self, item_id: str, content_index: int, ms: float) -> None:
        """So much sound of the agent's has come, of this part."""
        if len(self._received_ms) > LATEST:
            del self._received_ms[next(iter(self._received_ms))]
        part = f"{item_id}/{content_index}"
        self._received_ms[part] = self._received_ms.get(part, 0.0) + ms

    def _gave_up_waiting(self, note: Note) -> str | None:
        """A watchdog declares over what the model left open; then asking is right."""
        if note.kind == "watchdog":
            if note.reason == "request":
                self._unanswered = None
            elif note.reason in ("cancel", "response"):
                self._active.difference_update(note.ids)
        return None

    def _lost(
        self, what: events.ModelLost | effects.ReplaceModel | effects.ReleaseModel
    ) -> str | None:
        """A new session knows of nothing: it may be told again what the old one was."""
        self._unanswered, self._speaking = None, False
        self._active.clear()
        self._cancelled.clear()
        self._outputs.clear()
        return None


def _remember(ids: list[str], new: str, most: int = REMEMBERED) -> None:
    """The oldest gives way."""
    ids.append(new)
    del ids[:-most]


_CHECKS: dict[type, Callable[[Invariants, Any], str | None]] = {
    effects.CreateResponse: Invariants._create,
    effects.CancelResponse: Invariants._cancel,
    effects.AddToolOutput: Invariants._output,
    effects.TruncateItem: Invariants._truncate,
    effects.PlaceMark: Invariants._mark,
    effects.EndCall: Invariants._end,
    effects.ReplaceModel: Invariants._lost,
    effects.ReleaseModel: Invariants._lost,
    Note: Invariants._gave_up_waiting,
    events.ResponseCreated: Invariants._created,
    events.OutputItemAdded: Invariants._unannounced,
    events.ResponseDone: Invariants._done,
    events.ModelErred: Invariants._erred,
    events.SpeechStarted: Invariants._began,
    events.SpeechStopped: Invariants._fell_silent,
    events.TurnCommitted: Invariants._fell_silent,
    events.ModelSpoke: Invariants._spoke,
    events.ModelLost: Invariants._lost,
}

#: What :meth:`Invariants.observe` looks at.
CHECKED = frozenset(_CHECKS)

"""The two machines of the response lifecycle: state, identity and due time of each.

They only step through their tables and remember which ids are past; what a step leads to is
decided where both are seen (``response.py``).
"""

from collections import deque
from dataclasses import dataclass, field

from opusbridge.call.pending import Cause
from opusbridge.call.tables import (
    REQUEST_TABLE,
    RESPONSE_TABLE,
    Action,
    Request,
    RequestInput,
    Response,
    ResponseInput,
)

#: Ids kept to recognise what is late; a call has few in flight.
REMEMBERED = 64


def _ids() -> deque[str]:
    return deque(maxlen=REMEMBERED)


@dataclass(slots=True)
class RequestMachine:
    """What we asked for. ``due`` is when the model will have been silent too long."""

    state: Request = Request.NONE
    id: str | None = None
    due: float | None = None
    asked_at: float = 0.0
    asked_for: tuple[Cause, ...] = ()
    orphans: deque[str] = field(default_factory=_ids)
    """Requests given up unanswered: a response that shows up for one is cancelled."""
    disputed: str | None = None
    """Refused by an error that named no request: it may have been accepted all the same."""

    def step(self, given: RequestInput) -> Action:
        self.state, action = REQUEST_TABLE[self.state, given]
        if action is Action.DISOWN:
            assert self.id is not None
            self.orphans.append(self.id)
        if self.state is Request.NONE:
            self.id = self.due = None
        return action

    def sent(self, request_id: str, asked_for: tuple[Cause, ...], now: float, due: float) -> Action:
        self.id, self.asked_for, self.asked_at, self.due = request_id, asked_for, now, due
        self.disputed = None
        return self.step(RequestInput.ASKED)

    def is_orphan(self, request_id: str | None) -> bool:
        """Whether nobody wants its answer any more; said once."""
        if request_id is None or request_id not in self.orphans:
            return False
        self.orphans.remove(request_id)
        return True


@dataclass(slots=True)
class ResponseMachine:
    """What the model is really producing, whoever asked for it."""

    state: Response = Response.NONE
    id: str | None = None
    due: float | None = None
    covering: tuple[Cause, ...] = ()
    """What it answers: put back if it fails."""
    announced: bool = False
    """Its ``response.created`` came; else we know of it from a refusal."""
    stuck: bool = False
    """Cancelled by a watchdog, not by the caller."""
    sound_complete: bool = False
    """All it had to say has come; only its ``response.done`` lacks."""
    over: deque[str] = field(default_factory=_ids)
    freed: deque[str] = field(default_factory=_ids)
    """Declared over by us alone: the model may think otherwise."""

    def step(self, given: ResponseInput) -> Action:
        self.state, action = RESPONSE_TABLE[self.state, given]
        return action

    def begin(self, response_id: str) -> Action:
        """The slot is this one's from now on. REPLACE: one we knew of must be over."""
        action = self.step(ResponseInput.CREATED)
        if action is Action.REPLACE:
            assert self.id is not None
            self.over.append(self.id)
        self.id, self.stuck, self.sound_complete = response_id, False, False
        return action

    def forget(self, past: deque[str]) -> None:
        """It is past: ``over`` or ``freed`` keeps its id."""
        assert self.id is not None
        past.append(self.id)
        self.id = self.due = None
        self.covering = ()
        self.announced = self.stuck = self.sound_complete = False

    def is_past(self, response_id: str) -> bool:
        return response_id in self.over or response_id in self.freed

    def really_done(self, response_id: str) -> None:
        """A ``response.done`` came after all for one we had declared over."""
        if response_id in self.freed:
            self.freed.remove(response_id)
            self.over.append(response_id)


def is_due(at: float | None, now: float) -> bool:
    return at is not None and at <= now

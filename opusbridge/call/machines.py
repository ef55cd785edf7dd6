"""The two machines of the response lifecycle, and the caller's turn that holds its door.

They step through their tables and remember which ids are past and how long each wait may
take; what a step leads to is decided where all are seen (``response.py``).
"""

from dataclasses import dataclass, field

from opusbridge.call.pending import Cause, Why
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
REMEMBERED = 24


def remember(ids: list[str], *new: str) -> None:
    """The oldest give way. (A deque would do so itself, but keeps 0.6 KB while it is empty.)"""
    ids += new
    del ids[:-REMEMBERED]


@dataclass(slots=True)
class RequestMachine:
    """What we asked for. ``due`` is when the model will have been silent too long."""

    state: Request = Request.NONE
    id: str | None = None
    due: float | None = None
    asked_at: float = 0.0
    asked_for: tuple[Cause, ...] = ()
    orphans: list[str] = field(default_factory=list)
    """Requests given up unanswered: a response that shows up for one is cancelled."""
    orphan_due: float | None = None
    """When a response that accepted the latest of them will have been silent too long."""
    disputed: str | None = None
    """Refused by an error that named no request: it may have been accepted all the same."""

    def step(self, given: RequestInput) -> Action:
        self.state, action = REQUEST_TABLE[self.state, given]
        if action is Action.DISOWN:
            assert self.id is not None
            remember(self.orphans, self.id)
        if self.state is Request.NONE:
            self.id = self.due = None
        return action

    def sent(self, request_id: str, asked_for: tuple[Cause, ...], now: float, due: float) -> Action:
        """REPORT, and nothing is changed, if one is under way already."""
        action = self.step(RequestInput.ASKED)
        if action is not Action.REPORT:
            self.id, self.asked_for, self.asked_at, self.due = request_id, asked_for, now, due
            self.disputed = None
        return action

    def refused(self, by_name: bool) -> None:
        """Not ``by_name``: it may have been the model's own attempt that failed."""
        if not by_name and self.state is not Request.NONE:
            self.disputed = self.id
            self._disown_disputed(self.state is Request.ABANDONED)
        self.step(RequestInput.REFUSED)

    def interrupted(self) -> None:
        self._disown_disputed(True)
        self.step(RequestInput.INTERRUPTED)

    def accepted(self, by_name: bool) -> str | None:
        """Returns its id if nothing but the order says that it was."""
        taken_for = None if by_name else self.id
        if by_name:
            self.orphans.clear()  # there is one slot: none of those before it will be accepted
        elif self.state is Request.ABANDONED and self.id is not None:
            remember(self.orphans, self.id)  # if that was another's, its own is as little wanted
        self.step(RequestInput.ACCEPTED)
        return taken_for

    def is_orphan(self, request_id: str | None) -> bool:
        """Whether nobody wants its answer any more; said once."""
        if request_id is None or request_id not in self.orphans:
            return False
        self.orphans.remove(request_id)
        return True

    def due_of_blocker(self, due: float | None, now: float) -> float | None:
        """When the one in the way is overdue, where it can only be a response to one of ours.

        If it accepted a request that nobody answered, it has been silent since then already.
        """
        if due is None or self.orphan_due is None or not self.orphans:
            return due
        return min(due, max(now, self.orphan_due))

    def is_next_in_line(self) -> bool:
        """Whether the next to be answered is the one under way: they are answered in order."""
        if self.orphans and self.state is not Request.ABANDONED:
            del self.orphans[0]
            return False
        return self.state is not Request.NONE

    def _disown_disputed(self, unwanted: bool) -> None:
        if unwanted and self.disputed is not None:
            remember(self.orphans, self.disputed)
            self.disputed = None


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
    taken_for: str | None = None
    """The request it is believed to answer although it brought no token to prove it."""
    doubted: tuple[Cause, ...] = ()
    """What it does not answer if it does not answer that request."""
    besides: tuple[Cause, ...] = ()
    """What waited when it was created, and it answers all the same if it does not."""
    stuck: bool = False
    """Cancelled by a watchdog, not by the caller."""
    sound_complete: bool = False
    """All it had to say has come; only its ``response.done`` lacks."""
    at_work_until: float | None = None
    """The provider runs tools for it, this long at most, and tells nothing of it meanwhile."""
    over: list[str] = field(default_factory=list)
    freed: list[str] = field(default_factory=list)
    """Declared over by us alone: the model may think otherwise."""
    resting: tuple[Cause, ...] | None = None
    """What the latest of these answered, if it had said all, as it seemed, and nothing has begun
    or stopped since."""

    @property
    def rung(self) -> str:
        """What is overdue when ``due`` is."""
        return "response" if self.state is Response.ACTIVE else "cancel"

    def step(self, given: ResponseInput) -> Action:
        self.state, action = RESPONSE_TABLE[self.state, given]
        self.resting = None
        return action

    def begin(self, response_id: str) -> Action:
        """The slot is this one's from now on. REPLACE: one we knew of must be over.

        What that one was answering goes over to this one, which was created later and knows
        of it.
        """
        action = self.step(ResponseInput.CREATED)
        if action is Action.REPLACE:
            assert self.id is not None
            remember(self.over, self.id)
        if response_id in self.freed:
            self.freed.remove(response_id)
        else:  # there is one at a time: those we gave up on are really over
            remember(self.over, *self.freed)
            self.freed.clear()
        self.id, self.taken_for, self.at_work_until = response_id, None, None
        self.announced = self.stuck = self.sound_complete = False
        return action

    def progressed(self, due: float) -> None:
        """Something of it came: more is to follow by ``due``, or when its tools are done."""
        if self.state is Response.ACTIVE:
            self.due = max(due, self.at_work_until or due)

    def forget(self, past: list[str]) -> tuple[Cause, ...]:
        """It is past, ``over`` or ``freed`` keeps its id; returns what it was answering."""
        assert self.id is not None
        remember(past, self.id)
        covering, self.covering, self.doubted = self.covering, (), ()
        self.besides = ()
        self.id = self.due = self.taken_for = self.at_work_until = None
        self.announced = self.stuck = self.sound_complete = False
        return covering

    def rest(self) -> None:
        """It has said all, as it seems, and its end is not told: it is over."""
        self.step(ResponseInput.DONE)
        self.resting = self.forget(self.freed)

    def woken(self, response_id: str) -> tuple[Cause, ...] | None:
        """More came of this one: what it answers, if it only rested; told once."""
        if response_id not in self.freed[-1:]:
            return None
        resting, self.resting = self.resting, None
        return resting

    def lost(self, heard_in_part: bool, goes_on: bool, silent: bool) -> tuple[Cause, ...]:
        """The session is, and this with it; returns what is still owed of it.

        ``heard_in_part``: only the rest is, and a rest is asked for once, of words that only
        bridge a wait not at all. ``goes_on``: it called tools, and the reply to them is what
        follows. ``silent``: nothing was said.
        """
        self.step(ResponseInput.LOST)
        if self.id is None:
            return ()
        all_said = goes_on or (self.sound_complete and not silent)
        rest = Cause(Why.REST, self.id)
        covering = self.forget(self.over)
        if all_said or not (heard_in_part and covering):
            return () if all_said else covering
        enough = all(cause.why in (Why.REST, Why.PREAMBLE) for cause in covering)
        return () if enough else (rest,)

    def displaced_by(self, response_id: str) -> str | None:
        """The one that must be over if this one is created."""
        return None if response_id == self.id or self.is_past(response_id) else self.id

    def is_past(self, response_id: str) -> bool:
        return response_id in self.over or response_id in self.freed

    def really_done(self, response_id: str) -> None:
        """Another one's ``response.done`` came: late, or of one that was never announced."""
        if response_id in self.freed:
            self.freed.remove(response_id)
        if response_id not in self.over:
            remember(self.over, response_id)


@dataclass(slots=True)
class CallerTurn:
    """Where the caller is in his turn, and what the model owes us about it."""

    speaking: bool = False
    overrules: bool = False
    """He means to speak, and is not to be spoken over, whoever began to answer."""
    commit_due: float | None = None
    """He stopped, and the model is about to commit the turn."""
    answer_due: float | None = None
    """It committed the turn, and is about to begin its own response."""
    superseded: tuple[Cause, ...] = ()
    """What he cut short: answered after all if his speech turns out to have been no turn."""

    @property
    def due(self) -> float | None:
        return self.answer_due if self.commit_due is None else self.commit_due

    @property
    def under_way(self) -> bool:
        return self.speaking or self.due is not None

    def began(self) -> None:
        self.speaking, self.commit_due, self.answer_due = True, None, None
        self.overrules = False

    def cut_in(self, covering: tuple[Cause, ...]) -> None:
        self.overrules = True
        self.superseded += covering

    def stopped(self, commit_due: float) -> None:
        self.speaking, self.overrules, self.commit_due = False, False, commit_due

    def committed(self, answer_due: float | None) -> None:
        self.speaking, self.commit_due, self.answer_due = False, None, answer_due
        self.overrules = False
        self.superseded = ()

    def waited_in_vain(self) -> tuple[Cause, ...]:
        """The model owes nothing any more; returns what he cut short for nothing."""
        self.speaking, self.commit_due, self.answer_due = False, None, None
        self.overrules = False
        superseded, self.superseded = self.superseded, ()
        return superseded


def earliest(*due: float | None) -> float | None:
    """Of several deadlines; ``None``: nothing is waited for."""
    found = None
    for at in due:
        if at is not None and (found is None or at < found):
            found = at
    return found


def is_due(at: float | None, now: float) -> bool:
    return at is not None and at <= now

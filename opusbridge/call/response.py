"""Who is answering the caller, and what still waits for an answer.

Rule 1: everything that changes a response's state is in this file.
Rule 2: this file knows nothing of audio, telephony or JSON.

Two parties can begin a response, so there are two machines: *request* follows what we asked
for, *response* what the model really produces, whoever began it. Their tables (``tables.py``)
have an entry for every pair of state and input. They touch in two places only:

* a request that was abandoned before it was accepted cancels the response that accepts it;
* whenever both are idle and input is waiting, a response is requested (``door.py``).
What is stale is decided before the tables, by its id. Input is cleared only when a response
that covers it is accepted (``pending.py``), and comes back if that fails.
"""

from opusbridge import effects
from opusbridge.call.attribution import begun_for, is_ours
from opusbridge.call.door import Door
from opusbridge.call.machines import is_due, remember
from opusbridge.call.pending import Cause, PendingUserInput, Why
from opusbridge.call.policy import ResponsePolicy
from opusbridge.call.tables import Action, Request, RequestInput, Response, ResponseInput
from opusbridge.effects import Effect, Note


class ResponseLifecycle:
    """The two machines of one call, with their one door.

    Every method is told what happened and when (``now``, seconds on the shell's clock) and
    returns what to ask of the model, in order. After each, look at :attr:`given_up`.
    """

    def __init__(self, policy: ResponsePolicy) -> None:
        self.policy = policy
        self.door = Door(policy)
        self._request = self.door.request
        self._response = self.door.response
        self._turn = self.door.turn
        self._waiting = self.door.waiting
        self._retries = self.door.retries

    @property
    def request(self) -> Request:
        return self._request.state

    @property
    def response(self) -> Response:
        return self._response.state

    @property
    def request_id(self) -> str | None:
        return self._request.id

    @property
    def response_id(self) -> str | None:
        return self._response.id

    @property
    def response_active(self) -> bool:
        """True from ``response.created`` to its ``response.done``."""
        return self._response.state is not Response.NONE

    @property
    def pending_user_input(self) -> PendingUserInput | None:
        return self._waiting.pending

    @property
    def given_up(self) -> str | None:
        """A slug once asking again cannot help: ``model-silent`` or ``model-failed``."""
        return self._retries.given_up

    @property
    def caller_speaking(self) -> bool:
        return self._turn.speaking

    @property
    def caller_turn_under_way(self) -> bool:
        """The caller speaks, or the model has yet to take up what he said."""
        return self._turn.under_way

    @property
    def at_rest(self) -> bool:
        """Nothing asked, nothing produced, nothing waiting."""
        return self.door.at_rest

    @property
    def awaited(self) -> bool:
        """The model owes an answer."""
        return (self._request.due, self._response.due, self._turn.due) != (None, None, None)

    @property
    def deadline(self) -> float | None:
        return self.door.deadline

    def displaced_by(self, response_id: str) -> str | None:
        """The one that must be over if this one is created: there is one at a time."""
        return self._response.displaced_by(response_id)

    def may_play(self, response_id: str) -> bool:
        """Whether sound of this response is for the caller's ear."""
        current = self.response is Response.ACTIVE and response_id == self.response_id
        return current and not self.door.away

    def goes_on(self, response_id: str) -> bool:
        """The same, and there is no doubt whose it is: :meth:`seen` tells nothing but that."""
        return self._response.announced and self.may_play(response_id)

    # --- What the caller and the call did -----------------------------------------------

    def session_ready(self, now: float) -> list[Effect]:
        self.door.ready = True
        return self.door.settle(now)

    def user_input(self, cause: Cause, now: float) -> list[Effect]:
        """Something needs an answer: now if the door is open, else as soon as it opens."""
        return self.door.put(cause, now)

    def caller_began(self, now: float, doubtful: bool = False) -> list[Effect]:
        """``doubtful``: it may be no speech; :meth:`caller_cut_in` follows if it is."""
        self._turn.began()
        if not self.policy.interrupts:
            return []
        return [] if doubtful else self.caller_cut_in(now)

    def caller_cut_in(self, now: float) -> list[Effect]:
        """He means to speak: what is being answered gives way, whatever begins until he stops."""
        self._turn.cut_in(self._response.covering)
        return self.interrupted(now)

    def caller_stopped(self, now: float) -> list[Effect]:
        # The turn is about to be committed; the door stays shut until it is.
        self._turn.stopped(now + self.policy.created_timeout)
        return []

    def turn_committed(self, item_id: str, now: float, spared: bool = False) -> list[Effect]:
        # While a response that speech does not interrupt is active, the model's own
        # creation fails, silently or not (U1): then the turn simply waits here.
        free = self.response is not Response.ACTIVE or (self.policy.interrupts and not spared)
        awaited = self.policy.model_creates and free
        self._turn.committed(now + self.policy.created_timeout if awaited else None)
        return self.user_input(Cause(Why.TURN, item_id), now)

    def turn_passed_over(self, now: float) -> list[Effect]:
        """What he uttered was no turn: it stays in the conversation and wants no answer."""
        self._waiting.put_back(self._turn.waited_in_vain(), now)
        return self.door.settle(now)

    def close(self) -> None:
        """The call is ending: what begins from now on is cancelled."""
        self.door.closed = True

    def interrupted(self, now: float) -> list[Effect]:
        """Stop whatever is being answered: the caller, or a goodbye, comes first."""
        self._response.covering = ()  # superseded: what comes first takes its place
        self._request.interrupted()
        return self._step_response(ResponseInput.INTERRUPTED, now)

    def item_sent(self, item_id: str) -> None:
        self._waiting.item_sent(item_id)

    def item_acknowledged(self, item_id: str) -> None:
        self._waiting.item_acknowledged(item_id)

    # --- What the model did -------------------------------------------------------------

    def model_heard(self, now: float) -> None:
        """Any event of the model shows that it lives."""
        self._retries.model_heard(now)

    def outside(self, response_id: str) -> None:
        """A response out of band: it holds no slot and answers nobody."""
        remember(self._response.over, response_id)

    def seen(self, response_id: str, more_to_come: bool, now: float) -> list[Effect]:
        """An event of this response came: it makes progress.

        Output of a response nobody announced means that its ``response.created`` was lost.
        """
        slot = self._response
        resting = slot.woken(response_id) if more_to_come else None
        if resting is not None and self.request is Request.NONE and not self.door.unwelcoming:
            slot.covering = resting
            return self._begin(response_id, now, unwanted=False)
        if slot.is_past(response_id):
            return []
        if response_id == slot.id and slot.announced:
            slot.sound_complete &= not more_to_come
            slot.progressed(now + self.policy.progress_timeout)
            return []
        if slot.state is Response.NONE or response_id == slot.id:
            return self._accepted(response_id, None, now, announced=False)
        return []

    def sound_complete(self, response_id: str) -> None:
        """All that this response had to say has come; only its ``response.done`` lacks."""
        if self.may_play(response_id):
            self._response.sound_complete = True

    def created(self, response_id: str, request_id: str | None, now: float) -> list[Effect]:
        slot = self._response
        if slot.is_past(response_id) or (response_id == slot.id and slot.announced):
            return []
        return self._accepted(response_id, request_id, now, announced=True)

    def done(
        self,
        response_id: str,
        now: float,
        *,
        status: str = "completed",
        empty: bool = False,
        cut_off: bool = False,
        heard: bool = False,
        permanent: bool = False,
        retry_after: float | None = None,
    ) -> list[Effect]:
        """``cut_off``: a tool it meant to use is not run. ``heard``: the caller heard some of it.
        ``permanent``: it failed for a reason that asking again cannot mend."""
        slot = self._response
        if response_id != slot.id:
            slot.really_done(response_id)
            return [Note("stray", "response-done", (response_id,))]
        slot.step(ResponseInput.DONE)
        stuck, covering, found = slot.stuck, slot.forget(slot.over), list[Effect]()
        self._retries.slot_freed()
        if status == "failed":
            found = self.door.failed(covering, "failed", now, permanent=permanent, hint=retry_after)
        elif covering and stuck:
            self.door.waited_in_vain(covering, now)  # what it said since was not played
        elif covering and (empty or cut_off or status == "cancelled"):
            why = "cancelled" if status == "cancelled" else "empty" if empty else "cut-off"
            found = self.door.failed(covering, why, now, hint=retry_after)
        elif heard or status != "cancelled":
            self._retries.answered()
        return found + self.door.settle(now)

    def refused(
        self, request_id: str | None, active_response_id: str | None, now: float
    ) -> list[Effect]:
        """A response is active already. Without a request of ours it was the model's own creation
        that failed; its turn waits here already."""
        note = Note("conflict", self.request.name.lower(), self.door.ids(request_id))
        if request_id is not None and request_id != self._request.id:
            self.door.not_accepted(request_id, now)
            return [note]
        known = active_response_id or self._response.freed or self.response is Response.ACTIVE
        if known or self.request is Request.NONE:  # else the model has begun what answers it
            self._turn.answer_due = None
        if self.request is Request.NONE and self._response.taken_for is not None:
            self.door.not_accepted(self._response.taken_for, now)
        self._request.refused(by_name=request_id is not None)
        return [note, *self._learn_blocker(active_response_id, now), *self.door.settle(now)]

    def request_failed(
        self, request_id: str | None, permanent: bool, retry_after: float | None, now: float
    ) -> list[Effect]:
        """Our request was refused for a reason of its own."""
        found: list[Effect] = []
        if request_id is not None and request_id == self._request.id:
            self._request.refused(by_name=True)
            found = self.door.failed((), "refused", now, permanent=permanent, hint=retry_after)
        elif request_id is not None:
            self.door.not_accepted(request_id, now)
        if permanent:
            self._retries.give_up("model-failed")
        return found + self.door.settle(now)

    def lost(
        self, now: float, heard_in_part: bool = False, goes_on: bool = False, silent: bool = False
    ) -> None:
        """The model's socket is gone, and what is in flight with it."""
        self.door.ready = False
        self._request.step(RequestInput.LOST)
        owed = self._turn.waited_in_vain() + self._response.lost(heard_in_part, goes_on, silent)
        self._waiting.put_back(owed, now)
        self._waiting.conversation_lost()
        self._retries.start_over()

    def forgive(self) -> None:
        """The caller was told that it did not work: what waited is given up with that."""
        self._retries.start_over()
        self._waiting.pending = None

    def settle(self, now: float) -> list[Effect]:
        return self.door.settle(now)

    def timed_out(self, now: float, settle: bool = True) -> list[Effect]:
        """Call at :attr:`deadline`; without ``settle`` the caller of this does it after."""
        found: list[Effect] = []
        if is_due(self._turn.due, now):
            found.append(Note("watchdog", "commit", self.door.ids()))
            self._waiting.put_back(self._turn.waited_in_vain(), now)
        self._retries.timed_out(now)
        if is_due(self._request.due, now):
            found.append(Note("watchdog", "request", self.door.ids()))
            self._request.step(RequestInput.TIMED_OUT)
            self._request.orphan_due = self._request.asked_at + self.policy.progress_timeout
            self._retries.count_silence(self._request.asked_at)
            self.door.waited_in_vain((), now)
        if is_due(self._response.due, now):
            found += self._response_overdue(now)
        return found + self.door.settle(now) if settle else found

    def _response_overdue(self, now: float) -> list[Effect]:
        slot = self._response
        active = slot.state is Response.ACTIVE
        found: list[Effect] = [Note("watchdog", slot.rung, self.door.ids())]
        if active and slot.sound_complete:
            # All was said: asking again would say it twice.
            slot.rest()
            self._retries.answered()
            return found
        if active:
            self._retries.count_silence(now - self.policy.created_timeout)
        slot.stuck = active
        return found + self._step_response(ResponseInput.TIMED_OUT, now)

    # --- Steps --------------------------------------------------------------------------

    def _step_response(self, given: ResponseInput, now: float) -> list[Effect]:
        slot = self._response
        match slot.step(given):
            case Action.CANCEL_IT:
                slot.due = now + self.policy.cancel_timeout
                return [effects.CancelResponse(slot.id)]
            case Action.FREE:
                # The slot may be held all the same; a refusal of the next request tells.
                self.door.never_stopped(slot.forget(slot.freed), now)
            case _:
                pass
        return []

    def _accepted(
        self, response_id: str, request_id: str | None, now: float, announced: bool
    ) -> list[Effect]:
        """A response has begun: whose is it, what does it answer, does anybody want it?"""
        request, slot = self._request, self._response
        # A refusal told of it, before the turn was committed that the model is to take up.
        known = response_id == slot.id
        if slot.sound_complete and not known:
            slot.covering = ()  # the one it replaces was said to its end: once is enough
        if request.is_orphan(request_id):
            self._turn.answer_due = None
            return self._begin(response_id, now, unwanted=True)
        ours = is_ours(self.door, request_id, announced)
        unwanted = self.door.unwelcoming or (ours and request.state is Request.ABANDONED)
        cancelled = response_id == slot.id and slot.state is Response.CANCELLING
        if not (unwanted or cancelled):
            disputed = request_id is not None and request_id == request.disputed
            if announced:
                asked_for = request.asked_for if ours or disputed else None
                slot.covering += self.door.cover(asked_for)
            else:
                causes = () if known else begun_for(self.door, ours)
                slot.covering += self._waiting.cover_only(causes)
        taken_for = request.accepted(by_name=request_id is not None) if ours else None
        if not known:
            self._turn.answer_due = None
        found, slot.taken_for = self._begin(response_id, now, unwanted), taken_for
        slot.doubted = self._waiting.doubted(slot.covering, announced) if taken_for else ()
        slot.besides = self._waiting.known if taken_for and announced else ()
        return found

    def _begin(self, response_id: str, now: float, unwanted: bool) -> list[Effect]:
        """The slot is this response's from now on."""
        slot, ids = self._response, self.door.ids(response_id)
        found: list[Effect] = []
        if response_id != slot.id and slot.begin(response_id) is Action.REPLACE:
            found.append(Note("stray", "created-while-active", ids))
        slot.announced = True
        slot.progressed(now + self.policy.progress_timeout)
        if unwanted:
            # Only one that it replaced can have left anything here.
            self._waiting.put_back(slot.covering, now)
            slot.covering = ()
            found.append(Note("orphan", "", (response_id,)))
            found += self._step_response(ResponseInput.INTERRUPTED, now)
        return found

    # --- What went wrong ----------------------------------------------------------------

    def _learn_blocker(self, active_response_id: str | None, now: float) -> list[Effect]:
        """The id in a refusal tells the truth about the slot."""
        slot = self._response
        if active_response_id is None and slot.state is Response.NONE and slot.freed:
            active_response_id = slot.freed[-1]  # no name, so whom we gave up on too early
        if active_response_id is None or active_response_id in slot.over:
            if slot.state is Response.NONE:
                self._retries.at_once(now)
            return []  # else: the one we know of; its done opens the door
        if active_response_id == slot.id:
            return []
        given_up_on = active_response_id in slot.freed
        found = self._begin(active_response_id, now, unwanted=given_up_on)
        slot.announced = given_up_on  # if not, it may be on the wire still, and covers then
        if not self.policy.model_creates:
            slot.due = self._request.due_of_blocker(slot.due, now)
        return found

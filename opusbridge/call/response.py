"""Who is answering the caller, and what still waits for an answer.

Rule 1: everything that changes a response's state is in this file.
Rule 2: this file knows nothing of audio, telephony or JSON.

Two parties can begin a response, so there are two machines. The *request* machine follows
what we asked for; the *response* machine follows what the model is really producing,
whether we asked for it or its own turn detection did. Their tables (``tables.py``) have an
entry for every pair of state and input. They touch in two places only:

* a request that was abandoned before it was accepted cancels the response that accepts it;
* whenever both are idle and input is waiting, a response is requested (``_settle``). All
  input leaves by that one door; nothing else in the program sends ``response.create``.

What is stale is decided before the tables, by its id. Input is never cleared when a request
is sent, only when a response that covers it is accepted (``pending.py``), and it comes back
if that response fails.
"""

from opusbridge import effects
from opusbridge.call.machines import RequestMachine, ResponseMachine, is_due
from opusbridge.call.pending import Cause, PendingUserInput, Waiting, Why
from opusbridge.call.policy import ResponsePolicy
from opusbridge.call.retries import Retries
from opusbridge.call.tables import Action, Request, RequestInput, Response, ResponseInput
from opusbridge.effects import Effect, Note


class ResponseLifecycle:
    """The two machines of one call, with their one door.

    Every method is told what happened and when (``now``, seconds on the shell's clock) and
    returns what to ask of the model, in order. After each, look at :attr:`given_up`.
    """

    def __init__(self, policy: ResponsePolicy) -> None:
        self.policy = policy
        self.caller_speaking = False
        self._request = RequestMachine()
        self._response = ResponseMachine()
        self._waiting = Waiting()
        self._retries = Retries(policy.backoff)
        self._ready = self._closed = False
        self._requests = 0
        self._commit_due: float | None = None

    # --- What can be seen ---------------------------------------------------------------

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
    def at_rest(self) -> bool:
        """Nothing asked, nothing produced, nothing waiting."""
        idle = (self.request, self.response) == (Request.NONE, Response.NONE)
        return idle and self._waiting.pending is None

    @property
    def deadline(self) -> float | None:
        again = self._retries.ask_again_at
        due = (self._request.due, self._response.due, self._commit_due, again)
        return min((at for at in due if at is not None), default=None)

    def may_play(self, response_id: str) -> bool:
        """Whether sound of this response is for the caller's ear."""
        return self.response is Response.ACTIVE and response_id == self._response.id

    # --- What the caller and the call did -----------------------------------------------

    def session_ready(self, now: float) -> list[Effect]:
        self._ready = True
        return self._settle(now)

    def user_input(self, cause: Cause, now: float) -> list[Effect]:
        """Something needs an answer: now if the door is open, else as soon as it opens."""
        self._waiting.add([cause], now)
        held_by = self._held_by()
        return [Note("pending", held_by, self._ids())] if held_by else self._settle(now)

    def caller_began(self, now: float) -> list[Effect]:
        self.caller_speaking = True
        self._commit_due = None
        return self.interrupted(now) if self.policy.interrupts else []

    def caller_stopped(self, now: float) -> list[Effect]:
        """The turn is about to be committed; the door stays shut until it is."""
        self.caller_speaking = False
        self._commit_due = now + self.policy.created_timeout
        return []

    def turn_committed(self, item_id: str, now: float) -> list[Effect]:
        self.caller_speaking = False
        self._commit_due = None
        # While a response that speech does not interrupt is active, the model's own
        # creation fails, silently or not (U1): then the turn simply waits here.
        refused = self.response is Response.ACTIVE and not self.policy.interrupts
        if self.policy.model_creates and not refused:
            self._commit_due = now + self.policy.created_timeout
        return self.user_input(Cause(Why.TURN, item_id), now)

    def close(self) -> None:
        """The call is ending: nothing is asked for any more."""
        self._closed = True

    def interrupted(self, now: float) -> list[Effect]:
        """Stop whatever is being answered: the caller, or a goodbye, comes first."""
        self._response.covering = ()  # superseded: newer speech takes its place
        self._request.step(RequestInput.INTERRUPTED)
        return self._step_response(ResponseInput.INTERRUPTED, now)

    def item_sent(self, item_id: str) -> None:
        self._waiting.item_sent(item_id)

    def item_acknowledged(self, item_id: str) -> None:
        self._waiting.item_acknowledged(item_id)

    # --- What the model did -------------------------------------------------------------

    def model_heard(self, now: float) -> None:
        """Any event of the model shows that it lives."""
        self._retries.model_heard(now)

    def seen(self, response_id: str, more_to_come: bool, now: float) -> list[Effect]:
        """An event of this response came: it makes progress.

        Output of a response nobody announced means that its ``response.created`` was lost.
        """
        slot = self._response
        if slot.is_past(response_id):
            return []
        if response_id == slot.id and slot.announced:
            if more_to_come:
                slot.sound_complete = False
            if slot.state is Response.ACTIVE:
                slot.due = now + self.policy.progress_timeout
            return []
        if slot.state is Response.NONE or response_id == slot.id:
            return self.created(response_id, None, now)
        return []

    def sound_complete(self, response_id: str) -> None:
        """All that this response had to say has come; only its ``response.done`` lacks."""
        if response_id == self._response.id:
            self._response.sound_complete = True

    def created(self, response_id: str, request_id: str | None, now: float) -> list[Effect]:
        slot = self._response
        if slot.is_past(response_id) or (response_id == slot.id and slot.announced):
            return []
        self._commit_due = None
        if self._request.is_orphan(request_id):
            return self._begin(response_id, now, unwanted=True)
        ours = self._is_ours(request_id)
        unwanted = ours and self.request is Request.ABANDONED
        if ours:
            self._request.step(RequestInput.ACCEPTED)
        if not unwanted:
            disputed = request_id is not None and request_id == self._request.disputed
            asked_for = self._request.asked_for if ours or disputed else None
            slot.covering += self._waiting.cover(asked_for)
        return self._begin(response_id, now, unwanted)

    def done(
        self,
        response_id: str,
        now: float,
        *,
        status: str = "completed",
        empty: bool = False,
        permanent: bool = False,
        retry_after: float | None = None,
    ) -> list[Effect]:
        """``permanent``: it failed for a reason that asking again cannot mend."""
        self._response.really_done(response_id)
        if response_id != self._response.id:
            return []  # late, twice, given up on, or outside this conversation
        covering, stuck = self._response.covering, self._response.stuck
        self._response.step(ResponseInput.DONE)
        self._response.forget(self._response.over)
        self._retries.slot_freed()
        found: list[Effect] = []
        if status == "failed" or (status == "completed" and empty and covering):
            found = self._failed(covering, permanent, retry_after, now)
        elif status == "cancelled" and stuck:
            self._waiting.put_back(covering, now)
        elif status != "cancelled":
            self._retries.answered()
        return found + self._settle(now)

    def refused(
        self, request_id: str | None, active_response_id: str | None, now: float
    ) -> list[Effect]:
        """A response is active already, says the model.

        Without a request under way it was the model's own creation that failed; its turn
        waits here already.
        """
        note = Note("conflict", self.request.name.lower(), self._ids(request_id))
        if request_id is not None and request_id != self._request.id:
            self._request.is_orphan(request_id)
            return [note]
        self._commit_due = None
        asked = self._request.id
        self._request.step(RequestInput.REFUSED)
        self._request.disputed = asked if request_id is None else None
        return [note, *self._learn_blocker(active_response_id, now), *self._settle(now)]

    def request_failed(
        self, request_id: str | None, permanent: bool, retry_after: float | None, now: float
    ) -> list[Effect]:
        """Our request was refused for a reason of its own."""
        if self.request is Request.NONE or request_id != self._request.id:
            return []
        self._request.step(RequestInput.REFUSED)
        return self._failed((), permanent, retry_after, now) + self._settle(now)

    def lost(self, now: float) -> None:
        """The model's socket is gone, and everything in flight with it. Input is kept."""
        self._ready = self.caller_speaking = False
        self._request.step(RequestInput.LOST)
        self._waiting.put_back(self._response.covering, now)
        self._response.step(ResponseInput.LOST)
        if self._response.id is not None:
            self._response.forget(self._response.over)
        self._waiting.conversation_lost()
        self._commit_due = self._retries.ask_again_at = None

    # --- Time ---------------------------------------------------------------------------

    def timed_out(self, now: float) -> list[Effect]:
        """Call at :attr:`deadline`; each wait has its own due time and its own remedy."""
        found: list[Effect] = []
        if is_due(self._commit_due, now):
            self._commit_due = None
            found.append(Note("watchdog", "commit", self._ids()))
        if is_due(self._retries.ask_again_at, now):
            self._retries.ask_again_at = None
        if is_due(self._request.due, now):
            found.append(Note("watchdog", "request", self._ids()))
            self._request.step(RequestInput.TIMED_OUT)
            self._retries.count_silence(self._request.asked_at)
            self._retries.count_attempt()
        if is_due(self._response.due, now):
            found += self._response_overdue(now)
        return found + self._settle(now)

    def _response_overdue(self, now: float) -> list[Effect]:
        slot = self._response
        if slot.state is Response.CANCELLING:
            found: list[Effect] = [Note("watchdog", "cancel", self._ids())]
            return found + self._step_response(ResponseInput.TIMED_OUT, now)
        found = [Note("watchdog", "response", self._ids())]
        if slot.sound_complete:
            # All was said: asking again would say it twice.
            slot.step(ResponseInput.DONE)
            slot.forget(slot.freed)
            return found
        slot.stuck = True
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
                self._retries.count_silence(now - self.policy.cancel_timeout)
                self._waiting.put_back(slot.covering, now)
                slot.forget(slot.freed)
                if self._waiting.pending is not None:
                    self._retries.count_attempt()
            case _:
                pass
        return []

    def _begin(self, response_id: str, now: float, unwanted: bool) -> list[Effect]:
        """The slot is this response's from now on."""
        slot = self._response
        found: list[Effect] = []
        if response_id != slot.id:
            replaced = slot.id
            if slot.begin(response_id) is Action.REPLACE and replaced is not None:
                found.append(Note("stray", "created-while-active", (replaced, response_id)))
        slot.announced = True
        if slot.state is Response.ACTIVE:
            slot.due = now + self.policy.progress_timeout
        if unwanted:
            slot.covering = ()
            found.append(Note("orphan", "", (response_id,)))
            found += self._step_response(ResponseInput.INTERRUPTED, now)
        return found

    def _is_ours(self, request_id: str | None) -> bool:
        if self.request is Request.NONE:
            return False
        if request_id is None:
            # Where only we begin responses, it can answer nothing else.
            return not self.policy.model_creates
        return request_id == self._request.id

    # --- What went wrong ----------------------------------------------------------------

    def _learn_blocker(self, active_response_id: str | None, now: float) -> list[Effect]:
        """The id in a refusal tells the truth about the slot."""
        slot = self._response
        if active_response_id is None or active_response_id in slot.over:
            if self.response is Response.NONE:
                self._retries.at_once(now)
            return []  # else: the one we know of; its done opens the door
        if active_response_id == slot.id:
            return []
        given_up_on = active_response_id in slot.freed
        found = self._begin(active_response_id, now, unwanted=given_up_on)
        slot.announced = given_up_on  # if not, it may be on the wire still, and covers then
        return found

    def _failed(
        self, covering: tuple[Cause, ...], permanent: bool, hint: float | None, now: float
    ) -> list[Effect]:
        self._waiting.put_back(covering, now)
        if self._waiting.pending is None:
            return []  # it answered nobody: nothing to ask again
        if permanent:
            self._retries.given_up = "model-failed"
            return [Note("gave-up", "permanent", self._ids())]
        self._retries.after_failure(hint, now)
        if self._retries.given_up:
            return [Note("gave-up", "retries-spent", self._ids())]
        return [Note("retry", "failed", self._ids(), float(self._retries.attempts))]

    # --- The one door -------------------------------------------------------------------

    def _held_by(self) -> str | None:
        """What stands between waiting input and its request, or ``None``."""
        if self._closed:
            return "ending"
        if not self._ready:
            return "session"
        if self.response is not Response.NONE:
            return "response"
        if self.request is not Request.NONE:
            return "request"
        if self.caller_speaking:
            return "caller"
        if self._commit_due is not None:
            return "commit"
        if self._retries.ask_again_at is not None:
            return "back-off"
        return None

    def _settle(self, now: float) -> list[Effect]:
        """If input is waiting and nothing stands in its way, ask for a response."""
        pending = self._waiting.pending
        if pending is None or self.given_up or self._held_by() is not None:
            return []
        self._requests += 1
        request_id = f"request-{self._requests}"
        # Not cleared here: only an accepted response covers it (see ``created``).
        self._request.sent(request_id, pending.causes, now, now + self.policy.created_timeout)
        found: list[Effect] = []
        why, ids = pending.why, self._ids()
        if now > pending.since:
            found.append(Note("pending-wait", why, ids, now - pending.since))
        if len(pending.causes) > 1:
            found.append(Note("coalesced", why, ids, float(len(pending.causes))))
        only_greeting = pending.causes[0].why is Why.GREETING and len(pending.causes) == 1
        instructions = self.policy.greeting if only_greeting else None
        return [*found, effects.CreateResponse(request_id, why, instructions)]

    def _ids(self, *more: str | None) -> tuple[str, ...]:
        """The identifiers a reader of the trace will look for."""
        known = (self._request.id, self._response.id, *more)
        return tuple(dict.fromkeys(one for one in known if one is not None))

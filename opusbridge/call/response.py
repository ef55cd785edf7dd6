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

from collections import deque

from opusbridge import effects
from opusbridge.call.pending import Cause, PendingUserInput, Waiting, Why
from opusbridge.call.policy import ResponsePolicy
from opusbridge.call.retries import Retries
from opusbridge.call.tables import (
    REQUEST_TABLE,
    RESPONSE_TABLE,
    Action,
    Request,
    RequestInput,
    Response,
    ResponseInput,
)
from opusbridge.effects import Effect, Note

#: Ids of finished responses kept to recognise what is late; a call has few in flight.
REMEMBERED = 64


class ResponseLifecycle:
    """The two machines of one call, with their one door.

    Every method is told what happened and when (``now``, seconds on the shell's clock) and
    returns what to ask of the model, in order. After each, look at :attr:`given_up`.
    """

    def __init__(self, policy: ResponsePolicy) -> None:
        self.policy = policy
        self.request = Request.NONE
        self.response = Response.NONE
        self.request_id: str | None = None
        self.response_id: str | None = None
        self.caller_speaking = False
        self._waiting = Waiting()
        self._ready = self._closed = False
        self._requests = 0
        self._asked_for: tuple[Cause, ...] = ()
        self._covering: tuple[Cause, ...] = ()  # what the response under way answers
        self._created_seen = False
        self._stuck = False  # cancelled by a watchdog, not by the caller
        self._sound_complete = False
        self._orphans: deque[str] = deque(maxlen=REMEMBERED)
        self._over: deque[str] = deque(maxlen=REMEMBERED)
        self._freed: deque[str] = deque(maxlen=REMEMBERED)  # declared over by us alone
        self._disputed: str | None = None  # refused, perhaps, by an error that named nobody
        self._retries = Retries(policy.backoff)
        self._asked_at = 0.0
        self._request_due: float | None = None
        self._response_due: float | None = None
        self._commit_due: float | None = None

    # --- What can be seen ---------------------------------------------------------------

    @property
    def response_active(self) -> bool:
        """True from ``response.created`` to its ``response.done``."""
        return self.response is not Response.NONE

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
        idle = self.request is Request.NONE and self.response is Response.NONE
        return idle and self._waiting.pending is None

    @property
    def deadline(self) -> float | None:
        again = self._retries.ask_again_at
        due = (self._request_due, self._response_due, self._commit_due, again)
        return min((at for at in due if at is not None), default=None)

    def may_play(self, response_id: str) -> bool:
        """Whether sound of this response is for the caller's ear."""
        return self.response is Response.ACTIVE and response_id == self.response_id

    # --- What the caller and the call did -----------------------------------------------

    def session_ready(self, now: float) -> list[Effect]:
        self._ready = True
        return self._settle(now)

    def user_input(self, cause: Cause, now: float) -> list[Effect]:
        """Something needs an answer: now if the door is open, else as soon as it opens."""
        self._waiting.add([cause], now)
        held_by = self._held_by()
        if held_by is None:
            return self._settle(now)
        return [Note("pending", held_by, self._ids(), 0.0)]

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
        self._covering = ()  # superseded: newer speech takes its place
        found = self._step_request(RequestInput.INTERRUPTED, now)
        return found + self._step_response(ResponseInput.INTERRUPTED, now)

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
        if response_id in self._over or response_id in self._freed:
            return []
        if response_id == self.response_id and self._created_seen:
            if more_to_come:
                self._sound_complete = False
            if self.response is Response.ACTIVE:
                self._response_due = now + self.policy.progress_timeout
            return []
        if self.response is Response.NONE or response_id == self.response_id:
            return self.created(response_id, None, now)
        return []

    def sound_complete(self, response_id: str) -> None:
        """All that this response had to say has come; only its ``response.done`` lacks."""
        if response_id == self.response_id:
            self._sound_complete = True

    def created(self, response_id: str, request_id: str | None, now: float) -> list[Effect]:
        if response_id in self._over or response_id in self._freed:
            return []
        if response_id == self.response_id and self._created_seen:
            return []
        self._commit_due = None
        if request_id is not None and request_id in self._orphans:
            self._orphans.remove(request_id)
            return self._begin(response_id, now, unwanted=True)
        ours = self._is_ours(request_id)
        unwanted = ours and self.request is Request.ABANDONED
        if not unwanted:
            asked = ours or (request_id is not None and request_id == self._disputed)
            self._covering += self._waiting.cover(self._asked_for if asked else None)
        found = self._step_request(RequestInput.ACCEPTED, now) if ours else []
        return found + self._begin(response_id, now, unwanted)

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
        if response_id in self._freed:
            self._freed.remove(response_id)
            self._over.append(response_id)
        if response_id != self.response_id:
            return []  # late, twice, given up on, or outside this conversation
        covering, stuck = self._covering, self._stuck
        found = self._step_response(ResponseInput.DONE, now)
        self._retries.slot_freed()
        if status == "failed" or (status == "completed" and empty and covering):
            found += self._failed(covering, permanent, retry_after, now)
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
        if request_id is not None and request_id != self.request_id:
            if request_id in self._orphans:
                self._orphans.remove(request_id)
            return [note]
        self._commit_due = None
        self._disputed = self.request_id if request_id is None else None
        found = [note, *self._step_request(RequestInput.REFUSED, now)]
        found += self._learn_blocker(active_response_id, now)
        return found + self._settle(now)

    def request_failed(
        self, request_id: str | None, permanent: bool, retry_after: float | None, now: float
    ) -> list[Effect]:
        """Our request was refused for a reason of its own."""
        if self.request is Request.NONE or request_id != self.request_id:
            return []
        found = self._step_request(RequestInput.REFUSED, now)
        return found + self._failed((), permanent, retry_after, now) + self._settle(now)

    def lost(self, now: float) -> list[Effect]:
        """The model's socket is gone, and everything in flight with it. Input is kept."""
        self._ready = False
        covering = self._covering
        found = self._step_request(RequestInput.LOST, now)
        found += self._step_response(ResponseInput.LOST, now)
        self._waiting.put_back(covering, now)
        self._waiting.conversation_lost()
        self.caller_speaking = False
        self._commit_due = self._retries.ask_again_at = None
        return found

    # --- Time ---------------------------------------------------------------------------

    def timed_out(self, now: float) -> list[Effect]:
        """Call at :attr:`deadline`; each wait has its own due time and its own remedy."""
        found: list[Effect] = []
        if self._commit_due is not None and self._commit_due <= now:
            self._commit_due = None
            found.append(Note("watchdog", "commit", self._ids()))
        again = self._retries.ask_again_at
        if again is not None and again <= now:
            self._retries.ask_again_at = None
        if self._request_due is not None and self._request_due <= now:
            found.append(Note("watchdog", "request", self._ids(self.request_id)))
            found += self._step_request(RequestInput.TIMED_OUT, now)
        if self._response_due is not None and self._response_due <= now:
            found += self._response_overdue(now)
        return found + self._settle(now)

    def _response_overdue(self, now: float) -> list[Effect]:
        rung = "cancel" if self.response is Response.CANCELLING else "response"
        found: list[Effect] = [Note("watchdog", rung, self._ids())]
        if rung == "response":
            if self._sound_complete:
                # All was said: asking again would say it twice.
                assert self.response_id is not None
                self._freed.append(self.response_id)
                return found + self._step_response(ResponseInput.DONE, now)
            self._stuck = True
        return found + self._step_response(ResponseInput.TIMED_OUT, now)

    # --- The two steps ------------------------------------------------------------------

    def _step_request(self, given: RequestInput, now: float) -> list[Effect]:
        self.request, action = REQUEST_TABLE[self.request, given]
        request_id = self.request_id
        if self.request is Request.NONE:
            self.request_id = self._request_due = None
        match action:
            case Action.REPORT:
                return [Note("violation", f"request-{given.name.lower()}", self._ids())]
            case Action.DISOWN:
                assert request_id is not None
                self._orphans.append(request_id)
                self._retries.count_silence(self._asked_at)
                self._retries.count_attempt()
            case _:
                pass  # CANCEL_IT: ``created`` begins the response as unwanted
        return []

    def _step_response(self, given: ResponseInput, now: float) -> list[Effect]:
        response_id = self.response_id
        self.response, action = RESPONSE_TABLE[self.response, given]
        match action:
            case Action.CANCEL_IT:
                self._response_due = now + self.policy.cancel_timeout
                return [effects.CancelResponse(response_id)]
            case Action.FREE:
                # The slot may be held all the same; a refusal of the next request tells.
                assert response_id is not None
                self._retries.count_silence(now - self.policy.cancel_timeout)
                self._freed.append(response_id)
                self._waiting.put_back(self._covering, now)
                self._forget_response()
                if self._waiting.pending is not None:
                    self._retries.count_attempt()
            case Action.REPORT:
                return [Note("stray", f"response-{given.name.lower()}", self._ids())]
            case _:
                if self.response is Response.NONE and response_id is not None:
                    if response_id not in self._freed:
                        self._over.append(response_id)
                    self._forget_response()
        return []

    def _begin(self, response_id: str, now: float, unwanted: bool) -> list[Effect]:
        """The slot is this response's from now on."""
        found: list[Effect] = []
        if response_id != self.response_id:
            if self.response_id is not None:
                found.append(Note("stray", "created-while-active", (self.response_id,)))
                self._over.append(self.response_id)
            self._step_response(ResponseInput.CREATED, now)
            self._stuck = self._sound_complete = False
            self.response_id = response_id
        self._created_seen = True
        self._response_due = now + self.policy.progress_timeout
        if self.response is Response.CANCELLING:
            self._response_due = now + self.policy.cancel_timeout
        if unwanted:
            self._covering = ()
            found.append(Note("orphan", "", (response_id,)))
            found += self._step_response(ResponseInput.INTERRUPTED, now)
        return found

    def _forget_response(self) -> None:
        self.response_id = self._response_due = None
        self._covering = ()
        self._created_seen = self._stuck = self._sound_complete = False

    def _is_ours(self, request_id: str | None) -> bool:
        if self.request is Request.NONE:
            return False
        if request_id is None:
            # Where only we begin responses, it can answer nothing else.
            return not self.policy.model_creates
        return request_id == self.request_id

    # --- What went wrong ----------------------------------------------------------------

    def _learn_blocker(self, active_response_id: str | None, now: float) -> list[Effect]:
        """The id in a refusal tells the truth about the slot."""
        if active_response_id is None or active_response_id in self._over:
            if self.response is Response.NONE:
                self._retries.at_once(now)
            return []  # else: the one we know of; its done opens the door
        if active_response_id == self.response_id:
            return []
        given_up_on = active_response_id in self._freed
        found = self._begin(active_response_id, now, unwanted=given_up_on)
        self._created_seen = False  # it may be on the wire still, and covers then
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
        self.request_id = f"request-{self._requests}"
        found = self._step_request(RequestInput.ASKED, now)
        # Not cleared here: only an accepted response covers it (see ``created``).
        self._asked_for = pending.causes
        self._asked_at = now
        self._request_due = now + self.policy.created_timeout
        if now > pending.since:
            found.append(Note("pending-wait", pending.why, self._ids(), now - pending.since))
        if len(pending.causes) > 1:
            found.append(Note("coalesced", pending.why, self._ids(), float(len(pending.causes))))
        only_greeting = pending.causes[0].why is Why.GREETING and len(pending.causes) == 1
        instructions = self.policy.greeting if only_greeting else None
        return [*found, effects.CreateResponse(self.request_id, pending.why, instructions)]

    def _ids(self, *more: str | None) -> tuple[str, ...]:
        """The identifiers a reader of the trace will look for."""
        known = (self.request_id, self.response_id, *more)
        return tuple(dict.fromkeys(one for one in known if one is not None))

"""The one door: what waits for an answer, what stands in its way, and when it is asked again.

All input is put here and leaves by ``settle``; nothing else sends ``response.create``.
Whatever failed comes back to the front and counts, until asking again cannot help.
"""

from opusbridge import effects
from opusbridge.call.machines import CallerTurn, RequestMachine, ResponseMachine, earliest
from opusbridge.call.pending import Cause, PendingUserInput, Waiting, Why
from opusbridge.call.policy import ResponsePolicy
from opusbridge.call.retries import Retries
from opusbridge.call.tables import Action, Request, Response
from opusbridge.effects import Effect, Note


class Door:
    """Opens while the session is ready, both machines are idle and the caller is not speaking."""

    def __init__(self, policy: ResponsePolicy) -> None:
        self.policy = policy
        self.request = RequestMachine()
        self.response = ResponseMachine()
        self.turn = CallerTurn()
        self.waiting = Waiting()
        self.retries = Retries(policy.backoff)
        self.ready = self.closed = self.ringing = self.on_hold = self.away = False
        self._requests = 0

    @property
    def held_by(self) -> str | None:
        """What stands between waiting input and its request, or ``None``."""
        holds = {
            "ending": self.closed,
            "ringing": self.ringing,
            "hold": self.on_hold,
            "away": self.away,
            "session": not self.ready,
            "response": self.response.state is not Response.NONE,
            "request": self.request.state is not Request.NONE,
            "caller": self.turn.speaking,
            "commit": self.turn.due is not None,
            "back-off": self.retries.ask_again_at is not None,
        }
        return next((what for what, stands in holds.items() if stands), None)

    @property
    def out_of_reach(self) -> bool:
        """The caller neither hears the model nor is heard by it."""
        return self.ringing or self.on_hold or self.away

    @property
    def unwelcoming(self) -> bool:
        """Nobody is to hear what the model begins now."""
        return self.closed or self.out_of_reach or self.turn.overrules

    @property
    def at_rest(self) -> bool:
        states = self.request.state, self.response.state, self.waiting.pending
        return states == (Request.NONE, Response.NONE, None)

    @property
    def still(self) -> bool:
        """At rest, or on hold and as good as that: what waits is not begun before its end."""
        states = self.request.state, self.response.state
        return self.at_rest or (self.on_hold and states == (Request.NONE, Response.NONE))

    @property
    def greets(self) -> bool:
        """The greeting is still to be begun, or to be finished."""
        waiting = self.waiting.pending.causes if self.waiting.pending else ()
        return any(cause.why is Why.GREETING for cause in waiting + self.response.covering)

    def owes(self, item_id: str) -> bool:
        """Whether an answer to this item of ours waits, or is being made; or the rest of one to
        nobody knows what."""
        waiting = self.waiting.pending.causes if self.waiting.pending else ()
        owed = waiting + self.response.covering
        return any(item_id in cause.items or cause.why is Why.REST for cause in owed)

    @property
    def deadline(self) -> float | None:
        """When somebody will have waited long enough."""
        due = (self.request.due, self.response.due, self.turn.due, self.retries.due)
        return earliest(*due)

    def put(self, cause: Cause, now: float) -> list[Effect]:
        """Something to answer: now if nothing stands in its way, else when nothing does."""
        if cause.why is Why.TOOLS:
            self._preamble_is_late(cause.key)
        self.waiting.add([cause], now)
        held = self.held_by
        return [Note("pending", held, self.ids())] if held else self.settle(now)

    def at_work(self, until: float | None, now: float) -> None:
        """The provider runs tools for the response, ``until`` then at most; ``None``: no more."""
        self.response.at_work_until = until
        self.response.progressed(now + self.policy.progress_timeout)

    def not_accepted(self, request_id: str, now: float) -> None:
        """A request that is past was refused: what was taken for its response is another's.

        The model began that by itself, and it answers what it knew of all the same.
        """
        self.request.is_orphan(request_id)
        slot = self.response
        if slot.taken_for == request_id:
            unanswered = tuple(cause for cause in slot.covering if cause in slot.doubted)
            slot.covering = tuple(cause for cause in slot.covering if cause not in unanswered)
            if slot.state is Response.ACTIVE:  # one that was cancelled answers nobody
                slot.covering += self.waiting.cover_only(slot.besides)
            slot.taken_for = None
            self.waiting.put_back(unanswered, now)

    def unheard(self, speaks: bool, now: float) -> None:
        """The caller leaves us for a while: what he has not heard by now is said when he is back.

        ``speaks``: something of the agent's is on its way to him.
        """
        slot = self.response
        rest = (Cause(Why.REST, "unheard"),) if speaks else ()
        if speaks or not slot.sound_complete:
            self.waiting.put_back(slot.covering or rest, now)
        slot.covering = ()

    def settle(self, now: float) -> list[Effect]:
        """If input is waiting and nothing stands in its way, ask for a response."""
        if self.retries.just_given_up():
            return [Note("gave-up", self.retries.given_up or "", self.ids())]
        if self.waiting.pending is None or self.retries.given_up or self.held_by is not None:
            return []
        pending = self.waiting.coalesce()
        request_id = f"request-{self._requests + 1}"
        due = now + self.policy.created_timeout
        # Not cleared here: only an accepted response covers it.
        if self.request.sent(request_id, pending.causes, now, due) is Action.REPORT:
            return [Note("violation", "two-requests", self.ids())]
        self._requests += 1
        found: list[Effect] = []
        why, ids = pending.why, self.ids()
        if now > pending.since:
            found.append(Note("pending-wait", why, ids, now - pending.since))
        if len(pending.causes) > 1:
            found.append(Note("coalesced", why, ids, float(len(pending.causes))))
        return [*found, self._request(request_id, pending)]

    def _request(self, request_id: str, pending: PendingUserInput) -> effects.CreateResponse:
        told = self._own_words(pending.causes)
        # While a tool is at work the model would call it again.
        by_words = pending.why == Why.PREAMBLE
        return effects.CreateResponse(request_id, pending.why, told, by_words)

    def _own_words(self, causes: tuple[Cause, ...]) -> str | None:
        """What a response to these alone is told, in place of the session's instructions."""
        if len(causes) != 1:
            return None
        greets = causes[0].why is Why.GREETING
        return self.policy.greeting if greets else causes[0].instructions

    def cover(self, asked_for: tuple[Cause, ...] | None) -> tuple[Cause, ...]:
        """Take out what a response created now answers; ``asked_for`` if the request was ours."""
        if asked_for is not None and self._own_words(asked_for) is not None:
            return self.waiting.cover_only(asked_for)  # it says that, and nothing else
        return self.waiting.cover(asked_for)

    def _preamble_is_late(self, tools_of: str) -> None:
        """The tools it was to bridge are done: said now, it would only delay the answer."""
        self.waiting.withdraw_preamble(tools_of)
        self.response.covering = tuple(
            cause
            for cause in self.response.covering
            if (cause.why, cause.key) != (Why.PREAMBLE, tools_of)
        )

    def failed(
        self,
        unanswered: tuple[Cause, ...],
        why: str,
        now: float,
        *,
        permanent: bool = False,
        hint: float | None = None,
    ) -> list[Effect]:
        """Back to the front, and asked again after a wait; not at all if ``permanent``."""
        self.waiting.put_back(unanswered, now)
        if permanent:
            self.retries.give_up("model-failed")
        elif self.waiting.pending is not None:  # else it answered nobody
            self.retries.after_failure(hint, now)
            if self.retries.given_up is None:
                return [Note("retry", why, self.ids(), float(self.retries.attempts))]
        return []

    def waited_in_vain(self, unanswered: tuple[Cause, ...], now: float) -> None:
        """The model left us waiting: that was wait enough to ask again at once, but it counts."""
        self.waiting.put_back(unanswered, now)
        if self.waiting.pending is not None:
            self.retries.count_attempt()

    def never_stopped(self, unanswered: tuple[Cause, ...], now: float) -> None:
        """A cancel, which is always answered, was not."""
        policy = self.policy
        self.retries.count_silence(now - policy.cancel_timeout)
        # While the caller speaks a model that lives has nothing to say.
        patience = policy.progress_timeout if self.turn.speaking else policy.created_timeout
        self.retries.must_be_heard_by(now + patience)
        self.waited_in_vain(unanswered, now)

    def ids(self, *more: str | None) -> tuple[str, ...]:
        """The identifiers a reader of the trace will look for."""
        known = (self.request.id, self.response.id, *more)
        return tuple(dict.fromkeys(one for one in known if one is not None))

"""The response lifecycle against a model at the far end of two wires, in any order.

The far end knows the truth: what was in its conversation when it began a response, and
whether the caller heard it. An invariant sees a wrong step; only rest sees a forgotten input.
"""

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
)

from opusbridge.call.pending import Cause, Why
from opusbridge.call.policy import ResponsePolicy
from opusbridge.call.response import ResponseLifecycle
from opusbridge.call.tables import Request, Response
from opusbridge.effects import CancelResponse, CreateResponse, Effect, Note

pytestmark = pytest.mark.slow

#: More than the longest chain of watchdogs, retries and hints there can be.
LONGEST_REST_SECONDS = 200.0
MOST_STEPS_TO_REST = 600
#: What may go wrong in one run: enough to meet twice, too little to exhaust all retries each time.
MOST_FAULTS = 3


@dataclass(frozen=True)
class Habits:
    """What differs between servers."""

    echoes_tokens: bool = True
    names_refused: bool = True
    names_blocker: bool = True
    refuses_before_created: bool = False
    own_attempt_wins: bool = True
    tells_of_its_own_failure: bool = False


@dataclass
class Produced:
    """A response, as the far end knows it."""

    id: str
    knows: frozenset[str]
    cancelling: bool = False
    stuck: bool = False
    """Only a cancel ends it."""
    all_said: bool = False


@dataclass
class Owed:
    """An input the caller waits to have answered."""

    cause: Cause
    at: int
    """When it was made, counted in inputs and beginnings of speech."""
    known_as: frozenset[str] = field(default_factory=frozenset)


class ALifecycleAndItsModel(RuleBasedStateMachine):
    @initialize(
        model_creates=st.booleans(),
        interrupts=st.booleans(),
        habits=st.builds(
            Habits,
            echoes_tokens=st.booleans(),
            names_refused=st.booleans(),
            names_blocker=st.booleans(),
            refuses_before_created=st.booleans(),
            own_attempt_wins=st.booleans(),
            tells_of_its_own_failure=st.booleans(),
        ),
    )
    def a_call_begins(self, model_creates: bool, interrupts: bool, habits: Habits) -> None:
        self.lifecycle = ResponseLifecycle(
            ResponsePolicy(model_creates=model_creates, interrupts=interrupts)
        )
        self.policy, self.habits = self.lifecycle.policy, habits
        self.now = 100.0
        self.to_model: deque[Effect | str] = deque()
        self.to_us: deque[Callable[[], list[Effect]]] = deque()
        # the far end
        self.known: set[str] = set()
        self.producing: Produced | None = None
        self.produced: list[Produced] = []
        self.promised = False
        self.named = 0
        self.faults = 0
        self.dropped = False
        # the caller
        self.speaking = False
        self.instant = self.began_at = 0
        self.owed: list[Owed] = []
        self.turns: list[tuple[int, str]] = []
        self.heard: set[str] = set()
        # what we have been told, and what we asked
        self.told_speaking = False
        self.told_active: set[str] = set()
        self.unanswered: set[str] = set()
        self.hear(partial(self.lifecycle.session_ready, self.now))

    # --- Our side of the wires ----------------------------------------------------------

    def hear(self, step: Callable[[], list[Effect]]) -> None:
        for effect in step():
            match effect:
                case CreateResponse(request_id):
                    assert not self.told_speaking, "asked while the caller speaks"
                    assert not self.told_active, "asked while a response is active"
                    assert not self.unanswered, "asked twice"
                    self.unanswered.add(request_id)
                    self.to_model.append(effect)
                case CancelResponse(response_id):
                    assert response_id is not None, "cancelled without saying which"
                    self.to_model.append(effect)
                case Note("watchdog", rung):
                    self.faults += 1
                    if rung == "request":
                        self.unanswered.clear()
                    elif rung == "cancel" or self.lifecycle.response is not Response.CANCELLING:
                        self.told_active.clear()
                case Note("violation", what):
                    raise AssertionError(what)
                case _:
                    pass

    def created(
        self, response_id: str, request_id: str | None, asked_by: str | None
    ) -> list[Effect]:
        self.told_active = {response_id}
        self.unanswered.discard(asked_by or "")
        if asked_by is not None and request_id is None and not self.policy.model_creates:
            self.unanswered.clear()  # there is no telling which
        return self.lifecycle.created(response_id, request_id, self.now)

    def spoke(self, response_id: str) -> list[Effect]:
        before = self.lifecycle.response_id
        found = self.lifecycle.seen(response_id, True, self.now)
        if self.lifecycle.response_id != before:
            self.told_active = {response_id}
            if self.lifecycle.request is Request.NONE:
                self.unanswered.clear()
        if self.lifecycle.may_play(response_id):
            self.heard.add(response_id)
        return found

    def sound_complete(self, response_id: str) -> list[Effect]:
        self.lifecycle.sound_complete(response_id)
        return []

    def over(self, response_id: str, status: str, empty: bool) -> list[Effect]:
        self.told_active.discard(response_id)
        return self.lifecycle.done(response_id, self.now, status=status, empty=empty)

    def refused(
        self, request_id: str | None, named: str | None, blocker: str | None
    ) -> list[Effect]:
        if named is None:
            self.unanswered.clear()
        self.unanswered.discard(request_id or "")
        return self.lifecycle.refused(named, blocker, self.now)

    def acknowledged(self, item_id: str) -> list[Effect]:
        self.lifecycle.item_acknowledged(item_id)
        return []

    def speech_began(self) -> list[Effect]:
        self.told_speaking = True
        return self.lifecycle.caller_began(self.now)

    def speech_ended(self) -> list[Effect]:
        self.told_speaking = False
        return self.lifecycle.caller_stopped(self.now)

    def committed(self, item_id: str, began_at: int) -> list[Effect]:
        self.owed.append(Owed(Cause(Why.TURN, item_id), began_at, frozenset({item_id})))
        self.turns.append((began_at, item_id))
        return self.lifecycle.turn_committed(item_id, self.now)

    # --- The caller ---------------------------------------------------------------------

    @precondition(lambda self: not self.speaking)
    @rule()
    def the_caller_begins_to_speak(self) -> None:
        self.speaking = True
        self.instant += 1
        self.began_at = self.instant
        self.to_us.append(self.speech_began)
        if self.policy.interrupts:
            self.promised = False
            if self.producing is not None and not self.producing.stuck:
                self.end("cancelled")

    @precondition(lambda self: self.speaking)
    @rule()
    def the_caller_ends_his_turn(self) -> None:
        self.the_caller_made_only_a_noise()
        self.named += 1
        item_id = f"item_{self.named}"
        self.known.add(item_id)
        self.to_us.append(partial(self.committed, item_id, self.began_at))
        if not self.policy.model_creates:
            return
        if self.producing is None or self.producing.cancelling:
            self.promised = True
        elif self.habits.tells_of_its_own_failure:
            self.refuse(None, self.producing.id)

    @precondition(lambda self: self.speaking)
    @rule()
    def the_caller_made_only_a_noise(self) -> None:
        self.speaking = False
        self.to_us.append(self.speech_ended)

    @rule()
    def the_caller_finishes_a_turn_in_one_breath(self) -> None:
        if not self.speaking:
            self.the_caller_begins_to_speak()
        self.the_caller_ends_his_turn()

    @rule(why=st.sampled_from([Why.TOOLS, Why.KEYS]), outputs=st.integers(1, 2))
    def something_is_added_to_the_conversation(self, why: Why, outputs: int) -> None:
        self.instant += 1
        items = frozenset(f"added_{self.instant}_{number}" for number in range(outputs))
        for item in sorted(items):
            self.lifecycle.item_sent(item)
            self.to_model.append(item)
        cause = Cause(why, f"{why}_{self.instant}", items)
        self.owed.append(Owed(cause, self.instant, items))
        self.hear(partial(self.lifecycle.user_input, cause, self.now))

    # --- The far end --------------------------------------------------------------------

    def begin(self, request_id: str | None, announced: bool = True) -> Produced:
        self.named += 1
        new = Produced(f"resp_{self.named}", frozenset(self.known))
        self.producing = new
        self.produced.append(new)
        if announced:
            token = request_id if self.habits.echoes_tokens else None
            self.to_us.append(partial(self.created, new.id, token, request_id))
        return new

    def end(self, status: str, empty: bool = False, told: bool = True) -> None:
        assert self.producing is not None
        ended, self.producing = self.producing, None
        if told:
            self.to_us.append(partial(self.over, ended.id, status, empty))

    def refuse(self, request_id: str | None, blocker: str) -> None:
        named = request_id if self.habits.names_refused else None
        told = blocker if self.habits.names_blocker else None
        self.to_us.append(partial(self.refused, request_id, named, told))

    def keep_promise(self) -> None:
        self.promised = False
        self.begin(None)

    @precondition(lambda self: self.to_model)
    @rule(accepted_quietly=st.booleans())
    def the_model_hears_us(self, accepted_quietly: bool = False) -> None:
        match self.to_model.popleft():
            case str() as item_id:
                self.known.add(item_id)
                self.to_us.append(partial(self.acknowledged, item_id))
            case CreateResponse(request_id):
                if self.producing is None and self.promised and self.habits.own_attempt_wins:
                    self.keep_promise()
                    assert self.producing is not None
                    self.refuse(request_id, self.producing.id)
                    if self.habits.refuses_before_created:
                        refusal, announcement = self.to_us.pop(), self.to_us.pop()
                        self.to_us.extend([refusal, announcement])
                elif self.producing is not None:
                    self.refuse(request_id, self.producing.id)
                else:
                    quietly = accepted_quietly and self.may_fail()
                    self.begin(request_id, announced=not quietly)
                    self.promised = False
            case CancelResponse(response_id):
                if self.producing is not None and self.producing.id == response_id:
                    self.end("cancelled")
            case other:
                raise AssertionError(other)

    @precondition(lambda self: self.to_us)
    @rule()
    def we_hear_the_model(self) -> None:
        step = self.to_us.popleft()
        self.lifecycle.model_heard(self.now)
        self.hear(step)

    @rule()
    def both_wires_run_empty(self) -> None:
        while self.to_model or self.to_us:
            if self.to_model:
                self.the_model_hears_us()
            else:
                self.we_hear_the_model()

    @precondition(lambda self: self.promised and self.producing is None)
    @rule()
    def the_model_begins_by_itself(self) -> None:
        self.keep_promise()

    @precondition(lambda self: self.producing)
    @rule(complete=st.booleans())
    def the_model_speaks(self, complete: bool) -> None:
        assert self.producing is not None
        self.to_us.append(partial(self.spoke, self.producing.id))
        if complete:
            self.producing.all_said = True
            self.to_us.append(partial(self.sound_complete, self.producing.id))

    @precondition(lambda self: self.producing and not self.producing.stuck)
    @rule(status=st.sampled_from(["completed", "incomplete"]))
    def the_model_finishes(self, status: str = "completed") -> None:
        self.the_model_speaks(complete=True)
        self.end(status)

    def may_fail(self) -> bool:
        self.faults += 1
        return self.faults <= MOST_FAULTS

    def be_answering(self) -> bool:
        """Let a turn come as far as its response, unless one is under way."""
        if self.producing is None:
            self.the_caller_finishes_a_turn_in_one_breath()
            self.both_wires_run_empty()
        if self.promised and self.producing is None:
            self.keep_promise()
        self.both_wires_run_empty()
        return self.producing is not None

    @precondition(lambda self: self.faults < MOST_FAULTS)
    @rule(how=st.sampled_from(["failed", "empty", "cancelled", "untold", "stuck"]))
    def an_answer_goes_wrong(self, how: str) -> None:
        if not self.be_answering():
            return
        self.faults += 1
        assert self.producing is not None
        match how:
            case "empty":
                self.end("completed", empty=True)
            case "untold":
                self.the_model_speaks(complete=True)
                self.end("completed", told=False)
            case "stuck":
                self.producing.stuck = True
            case _:
                self.end(how)

    @rule()
    def a_noise_cuts_into_an_answer(self) -> None:
        if self.be_answering() and not self.speaking:
            self.the_caller_begins_to_speak()
            self.the_caller_made_only_a_noise()

    @precondition(lambda self: not self.dropped)
    @rule()
    def the_socket_drops_in_mid_answer(self) -> None:
        self.be_answering()
        self.the_socket_drops_and_a_new_session_is_restored()

    @precondition(lambda self: not self.dropped)
    @rule()
    def the_socket_drops_and_a_new_session_is_restored(self) -> None:
        """What we know of is restored; what was still on the wire to us is not."""
        self.dropped = True
        self.to_model.clear()
        self.to_us.clear()
        self.producing, self.promised = None, False
        self.speaking = self.told_speaking = False
        self.told_active.clear()
        self.unanswered.clear()
        self.lifecycle.lost(self.now)
        for owed in self.owed:
            self.known |= owed.known_as
        self.hear(partial(self.lifecycle.session_ready, self.now))

    # --- Time ---------------------------------------------------------------------------

    @rule(seconds=st.sampled_from([0.01, 0.06, 0.5, 2.5, 6.0]))
    def time_passes(self, seconds: float) -> None:
        until = self.now + seconds
        for _ in range(MOST_STEPS_TO_REST):
            due = self.lifecycle.deadline
            if due is None or due > until:
                self.now = until
                return
            self.now = max(self.now, due)
            self.hear(partial(self.lifecycle.timed_out, self.now))
        raise AssertionError("woken again and again")

    @invariant()
    def the_next_wake_is_in_the_future(self) -> None:
        due = self.lifecycle.deadline
        assert due is None or due > self.now

    @invariant()
    def the_machines_agree_with_their_ids(self) -> None:
        lifecycle = self.lifecycle
        assert (lifecycle.request is Request.NONE) == (lifecycle.request_id is None)
        assert (lifecycle.response is Response.NONE) == (lifecycle.response_id is None)
        assert lifecycle.response_active == (lifecycle.response_id is not None)

    # --- Rest ---------------------------------------------------------------------------

    def teardown(self) -> None:
        """Left alone, everything comes to rest and no input is forgotten."""
        if not hasattr(self, "lifecycle"):
            return
        left_alone_at = self.now
        self.faults = MOST_FAULTS
        if self.speaking:
            self.the_caller_ends_his_turn()
        for _ in range(MOST_STEPS_TO_REST):
            if not self.one_step_to_rest():
                break
        else:
            raise AssertionError("it never came to rest")
        if self.lifecycle.given_up:
            return  # aloud: the call plays its apology
        assert self.lifecycle.at_rest
        assert self.now < left_alone_at + LONGEST_REST_SECONDS
        self.nothing_was_forgotten()

    def one_step_to_rest(self) -> bool:
        if self.to_model:
            self.the_model_hears_us()
        elif self.to_us:
            self.we_hear_the_model()
        elif self.producing is not None and not self.producing.stuck:
            self.the_model_finishes()
        elif self.promised and self.producing is None:
            self.the_model_begins_by_itself()
        elif self.lifecycle.deadline is not None and not self.lifecycle.given_up:
            self.time_passes(self.lifecycle.deadline - self.now)
        else:
            return False
        return True

    def nothing_was_forgotten(self) -> None:
        answered: set[str] = set()
        for response in self.produced:
            if response.all_said and response.id in self.heard:
                answered |= response.knows
        last_speech = max((began for began, _ in self.turns), default=0)
        for owed in self.owed:
            superseded = self.policy.interrupts and owed.at < last_speech
            assert superseded or owed.known_as <= answered, owed.cause


TestALifecycleAndItsModel = ALifecycleAndItsModel.TestCase
TestALifecycleAndItsModel.settings = settings(
    max_examples=220, stateful_step_count=40, deadline=None, derandomize=True
)

"""One situation: the real lifecycle, two wires, and a strict model at the far end.

Everything but the lifecycle is immutable, so that a situation is copied by copying its
fields. The model has one slot. It is strict: it refuses a request while the slot is taken
and forgets it. What went wrong is bounded by a :class:`Budget`.

The referee's part is here too: what was asked and not answered, which speech was cut, whose
input is owed an answer. It believes only what left the lifecycle and what was handed to it.
"""

from collections.abc import Iterable
from dataclasses import dataclass, fields, replace
from enum import Enum, auto
from operator import attrgetter
from typing import NamedTuple

from opusbridge import effects
from opusbridge.call.pending import Cause, Why
from opusbridge.call.policy import ResponsePolicy
from opusbridge.call.response import ResponseLifecycle
from opusbridge.effects import Effect, Note
from opusbridge.sim.explorer.clone import Likeness, clone

#: Each step takes this long: nothing happens at the same instant, and all of them together
#: are far shorter than any wait.
STEP_SECONDS = 0.0001
#: Not zero, which machines may have as a beginning of their own.
BEGINS_AT = 100.0


class Violation(Exception):
    """What must never happen has happened; the argument is a sentence."""


class Phase(Enum):
    """Of the response that holds the model's slot."""

    HELD = auto()  # accepted, and nobody was told
    UNANNOUNCED = auto()  # it speaks, but its ``response.created`` was lost
    ACTIVE = auto()
    CANCELLING = auto()
    STUCK = auto()  # all was said but its ``response.done``; only a cancel frees the slot


class Slot(NamedTuple):
    response_id: str
    request_id: str | None
    phase: Phase
    covers: frozenset[str]
    """The inputs in the conversation when it was created."""


class Message(NamedTuple):
    """On a wire. To the model: ``create``, ``cancel``, ``item``; the others are to us."""

    kind: str
    one: str | None = None
    other: str | None = None
    covers: frozenset[str] = frozenset()
    last: bool = True

    def __str__(self) -> str:
        words = [self.kind, *(one for one in (self.one, self.other) if one)]
        return " ".join(words) + ("" if self.last else " (more follow)")


@dataclass(frozen=True, slots=True)
class Budget:
    """How often it may happen that …"""

    turns: int = 2
    """the caller takes a turn,"""
    keys: int = 1
    """presses keys,"""
    tools: int = 1
    """two tools finish,"""
    faults: int = 1
    """anything at all goes wrong: each of those counts here."""


@dataclass(slots=True)
class Scene:
    """See the module. ``story`` is kept only while somebody wants to read it."""

    life: ResponseLifecycle
    budget: Budget
    now: float = BEGINS_AT
    to_model: tuple[Message, ...] = ()
    to_us: tuple[Message, ...] = ()
    # The model.
    connected: bool = True
    frozen: bool = False
    slot: Slot | None = None
    promised: bool = False
    """It owes the last turn a response of its own."""
    speech: bool = False
    """Its turn detection hears the caller."""
    turn: str = ""
    """The caller's latest."""
    conversation: frozenset[str] = frozenset()
    made: int = 0
    # The referee.
    owed: frozenset[str] = frozenset()
    """Inputs we know of that no ear has heard an answer to."""
    cut_short: frozenset[str] = frozenset()
    """Inputs whose answer was cut by speech: excused once that speech is a turn. Until then
    they may be answered again, for nobody knows how much of it was heard."""
    unanswered: str | None = None
    active: Message | None = None
    cancelled: str | None = None
    speaking: bool = False
    heard_turn: str = ""
    """The latest we were told of."""
    awaiting: str = ""
    """``commit`` or ``begin`` when the model is about to do that by itself."""
    unwanted: frozenset[str] = frozenset()
    """Requests and responses whose sound must not be heard any more."""
    disturbed: bool = False
    """Something went wrong for which a conflict may be the consequence."""
    blurred: bool = False
    """Nobody can know what a response covered: asking once more than needed is right."""
    story: list[str] | None = None
    steps: int = 0

    def copy(self) -> "Scene":
        return Scene(clone(self.life), *_ALL_BUT_LIFE(self))

    @property
    def policy(self) -> ResponsePolicy:
        return self.life.policy

    def key(self) -> int:
        like = Likeness(self.now)
        owed = self.owed | self._coming
        for wire in (self.to_model, self.to_us):
            like.note(len(wire))
            for message in wire:
                like.note(message.kind)
                like.name(message.one)
                like.name(message.other)
                like.note(message.last)
                if message.covers:
                    like.names(message.covers & owed)
        if self.slot is not None:
            like.name(self.slot.response_id)
            like.name(self.slot.request_id)
            like.note(self.slot.phase)
            like.names(self.slot.covers & owed)
        if self.active is not None:
            like.name(self.active.one)
            like.names(self.active.covers & owed)
        like.note(
            (self.connected, self.frozen, self.promised, self.speech, self.speaking, self.awaiting)
        )
        like.note(
            (self.disturbed, self.blurred, self.active is None, self.slot is None, self.budget)
        )
        # A turn's id is only used again while the turn is under way.
        like.name(self.turn if self.speech else None)
        like.name(self.heard_turn if self.life.caller_turn_under_way else None)
        like.name(self.unanswered)
        like.name(self.cancelled)
        like.names(self.conversation & owed)
        like.names(self.owed)
        like.names(self.cut_short)
        like.machine(self.life)
        like.remembered(sorted(self.unwanted))
        return like.key()

    @property
    def _coming(self) -> frozenset[str]:
        """Turns we have not been told of yet."""
        return frozenset(m.one for m in self.to_us if m.kind == "committed" and m.one)

    def tell(self, step: str) -> None:
        assert self.story is not None
        self.steps += 1
        self.story.append(f"{self.steps:3}. {self.now - BEGINS_AT:6.2f} s  {step}")

    # --- The model's side of the wires --------------------------------------------------

    def say(self, *messages: Message) -> None:
        self.to_us += messages

    def new(self, kind: str) -> str:
        self.made += 1
        return f"{kind}-{self.made}"

    def spend(self, what: str) -> None:
        self.budget = replace(self.budget, **{what: getattr(self.budget, what) - 1})

    def fault(self, disturbs: bool = True) -> None:
        """``disturbs``: a conflict, or asking twice, may be what has to come of it."""
        self.spend("faults")
        self.disturbed = self.disturbed or disturbs

    # --- Our side of the wires ----------------------------------------------------------

    def perform(self, found: Iterable[Effect]) -> None:
        """Put on the wire what the lifecycle asks, having looked whether it may."""
        for effect in found:
            if self.story is not None:
                self.story.append(f"{'':15}{_shown(effect)}")
            match effect:
                case effects.CreateResponse(request_id):
                    self._asked(request_id)
                    self.send(Message("create", request_id))
                case effects.CancelResponse(response_id):
                    self.cancelled = response_id
                    self.unwanted |= {response_id} if response_id else set()
                    self.send(Message("cancel", response_id))
                case _:
                    pass

    def send(self, message: Message) -> None:
        if not self.frozen:
            self.to_model += (message,)

    def _asked(self, request_id: str) -> None:
        reasons = {
            "while a request was unanswered": self.unanswered is not None,
            "between a cancel and its done": self.cancelled is not None,
            "while a response was active": self.active is not None,
            "while the caller was speaking": self.speaking,
            f"while the model was about to {self.awaiting}": bool(self.awaiting),
            "of a socket that is not there": not self.connected,
            "although every input was answered": not (self.owed or self.cut_short or self.blurred),
            "after having given up": self.life.given_up is not None,
        }
        for reason, true in reasons.items():
            if true:
                raise Violation(f"a response was asked for {reason}")
        self.unanswered = request_id

    def input(self, why: Why, items: int) -> None:
        """Something of ours enters the conversation, as ``items`` items on the wire."""
        key = self.new(why.value)
        names = [f"{key}-{n}" for n in range(items)]
        for name in names:
            self.life.item_sent(name)
            self.send(Message("item", key, name, last=name == names[-1]))
        self.owed |= {key}
        self.perform(self.life.user_input(Cause(why, key, frozenset(names)), self.now))

    def look(self) -> None:
        """After each step: what was cut must not sound, and waits are believed."""
        for one in self.unwanted:
            if self.life.may_play(one):
                raise Violation(f"{one} was cut, and may be heard all the same")
        if self.active and self.slot and not self.to_us and not self.to_model:
            known, real = self.active.one, self.slot.response_id
            if known != real and not self.disturbed:
                raise Violation(f"{known} is believed active where {real} is")


_ALL_BUT_LIFE = attrgetter(*(f.name for f in fields(Scene)[1:]))


def _shown(effect: Effect) -> str:
    if isinstance(effect, Note):
        return f"note {effect.kind} {effect.reason} {' '.join(effect.ids)}".rstrip()
    if isinstance(effect, effects.CreateResponse):
        return f"response.create {effect.request_id} (for {effect.why})"
    if isinstance(effect, effects.CancelResponse):
        return f"response.cancel {effect.response_id}"
    return type(effect).__name__

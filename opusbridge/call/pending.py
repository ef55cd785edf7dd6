"""What waits for the model's next response, and what a response answers.

A response answers what was in the conversation when it was created. Three facts decide
whether a cause is covered by one:

* a turn that the model committed is covered by every response created after the commit, but
  for one that we told what to say (``door.py``): a greeting, or words that bridge a wait;
* what we sent ourselves is covered by our own request, if it was sent before that request;
* and by a response the model began, if its items were acknowledged before that.

A response whose ``response.created`` never came was created at an instant nobody knows: it
answers what it was begun for, and nothing more. Everything else stays, and is asked for with
the next request.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from enum import StrEnum


class Why(StrEnum):
    """Why the model is asked to speak."""

    GREETING = "greeting"
    TURN = "turn"
    TOOLS = "tools"
    KEYS = "keys"
    TEXT = "text"
    NUDGE = "nudge"  # the caller says nothing
    PREAMBLE = "preamble"  # something to say while a tool is still at work
    REST = "rest"  # of an answer that the loss of a session cut off


@dataclass(frozen=True, slots=True)
class Cause:
    why: Why
    key: str
    """What makes it one of its kind: the turn's item, the tool batch's response, …"""
    items: frozenset[str] = frozenset()
    """The items we sent for it, by the ids we gave them."""
    instructions: str | None = None
    """What a response to nothing but this is told, in place of the session's."""


@dataclass(frozen=True, slots=True)
class PendingUserInput:
    """What waits for the next response, since when, and why. Never empty."""

    causes: tuple[Cause, ...]
    since: float

    @property
    def why(self) -> str:
        """The kinds of causes, each once, in the order they came: ``turn+tools``."""
        return "+".join(dict.fromkeys(cause.why.value for cause in self.causes))


@dataclass(slots=True)
class Waiting:
    """The causes that wait, and which of our items the model has acknowledged."""

    pending: PendingUserInput | None = None
    _unacknowledged: set[str] = field(default_factory=set)

    @property
    def turns(self) -> tuple[Cause, ...]:
        causes = self.pending.causes if self.pending else ()
        return tuple(cause for cause in causes if cause.why is Why.TURN)

    @property
    def known(self) -> tuple[Cause, ...]:
        """What a response answers that the model begins by itself now."""
        causes = self.pending.causes if self.pending else ()
        return tuple(cause for cause in causes if self._covers(cause, None))

    def add(self, causes: Iterable[Cause], now: float) -> None:
        """Behind what waits already; a cause that waits already is not added again."""
        have = self.pending.causes if self.pending else ()
        new = tuple(cause for cause in dict.fromkeys(causes) if cause not in have)
        if new:
            since = self.pending.since if self.pending else now
            self.pending = PendingUserInput(have + new, since)

    def put_back(self, causes: tuple[Cause, ...], now: float) -> None:
        """In front of what waits: it was there first."""
        waiting = self.pending
        self.pending = None
        self.add(causes, waiting.since if waiting else now)
        if waiting:
            self.add(waiting.causes, waiting.since)

    def item_sent(self, item_id: str) -> None:
        self._unacknowledged.add(item_id)

    def item_acknowledged(self, item_id: str) -> None:
        self._unacknowledged.discard(item_id)

    def conversation_lost(self) -> None:
        """A new conversation will be made of what we know: nothing waits for its echo."""
        self._unacknowledged.clear()

    def cover(self, asked_for: tuple[Cause, ...] | None) -> tuple[Cause, ...]:
        """Take out what a response created now answers; ``asked_for`` if the request was ours."""
        return self._take(lambda cause: self._covers(cause, asked_for))

    def cover_only(self, begun_for: tuple[Cause, ...]) -> tuple[Cause, ...]:
        """Take out what a response answers of which only this is known."""
        return self._take(lambda cause: cause in begun_for)

    def doubted(self, covered: tuple[Cause, ...], announced: bool) -> tuple[Cause, ...]:
        """Of what a response created now is taken to answer, all that it may not if the model
        began it by itself; not ``announced``: nobody knows when it was created."""
        return tuple(one for one in covered if not (announced and self._covers(one, None)))

    def withdraw_preamble(self, key: str) -> None:
        """There is something better to say."""
        self._take(lambda cause: (cause.why, cause.key) == (Why.PREAMBLE, key))

    def coalesce(self) -> PendingUserInput:
        """What one request is to ask for of what waits, which must be something.

        Whatever answers anything else breaks the silence that a preamble would, and so does the
        latest of several; the others are withdrawn.
        """
        assert self.pending is not None
        words = [cause for cause in self.pending.causes if cause.why is Why.PREAMBLE]
        needless = words[:-1] if len(words) == len(self.pending.causes) else words
        self._take(lambda cause: cause in needless)
        return self.pending

    def _take(self, covered: Callable[[Cause], bool]) -> tuple[Cause, ...]:
        if self.pending is None:
            return ()
        taken = tuple(cause for cause in self.pending.causes if covered(cause))
        rest = tuple(cause for cause in self.pending.causes if cause not in taken)
        self.pending = PendingUserInput(rest, self.pending.since) if rest else None
        return taken

    def _covers(self, cause: Cause, asked_for: tuple[Cause, ...] | None) -> bool:
        if cause.why in (Why.TURN, Why.GREETING):
            return True  # a greeting after the conversation has begun would be a blunder
        if asked_for is not None:
            return cause in asked_for
        return not cause.items & self._unacknowledged

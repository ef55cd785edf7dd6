"""Exploring every interleaving, breadth first, and letting what is found come to rest.

Breadth first, so that the first violation found is also a shortest story. A situation is
met once, whatever way led to it. Whether all comes to rest needs to be tried only where the
exploration stops: everywhere else the first step towards rest is one of those explored.
"""

import gc
from array import array
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial

from opusbridge.call.pending import Why
from opusbridge.call.policy import ResponsePolicy
from opusbridge.call.response import ResponseLifecycle
from opusbridge.sim.explorer.moves import Move, at_best, possible, take
from opusbridge.sim.explorer.scene import Budget, Scene, Violation

#: More steps than any wait and retry together can take; beyond them it goes in circles.
MOST_STEPS_TO_REST = 400

_NOWHERE = -1
_IN_CIRCLES = "left alone, it goes in circles and never comes to rest"
_MOVES = tuple(Move)
_ORDINALS = {move: n for n, move in enumerate(_MOVES)}


@dataclass(frozen=True, slots=True)
class Limits:
    """Where the exploration stops; ``None``: nowhere."""

    depth: int | None = None
    states: int | None = None


@dataclass(slots=True)
class Exploration:
    """What was found. ``depth`` is the greatest to which every interleaving was taken."""

    states: int = 1
    transitions: int = 0
    depth: int = 0
    rested: int = 0
    """Situations that were let come to rest."""
    exhausted: bool = False
    """There was nothing left to explore."""
    violation: str | None = None
    story: list[str] = field(default_factory=list)
    """The shortest way to the violation, one step a line."""


class _Found(Exception):
    """A violation, and where: after these moves from a situation already met."""

    def __init__(self, index: int, moves: list[Move], violation: Violation) -> None:
        self.index, self.moves, self.violation = index, moves, violation


class Explorer:
    """Explores from the beginning of a call until its limits, or the first violation."""

    def __init__(
        self,
        policy: ResponsePolicy,
        budget: Budget,
        limits: Limits,
        lifecycle: Callable[[ResponsePolicy], ResponseLifecycle] = ResponseLifecycle,
    ) -> None:
        self.found = Exploration()
        self._limits = limits
        self._begin = partial(_begin, lifecycle, policy, budget)
        first = self._begin()
        # By ordinal: each situation's key, by which move it was met, from which other, and
        # which comes next if everybody behaves.
        self._met = {first.key(): 0}
        self._move, self._origin = array("b", [0]), array("l", [_NOWHERE])
        self._next = array("l", [_NOWHERE])
        self._frontier = [(0, first)]

    def explore(self, progress: Callable[[Exploration], None] = lambda found: None) -> Exploration:
        """``progress`` is told after each depth."""
        # The heap only grows: searching it for garbage takes longer than the exploration.
        collects = gc.isenabled()
        gc.disable()
        try:
            self._explore(progress)
        except _Found as found:
            self._violated(found)
        finally:
            if collects:
                gc.enable()
        return self.found

    def _explore(self, progress: Callable[[Exploration], None]) -> None:
        found, limits = self.found, self._limits
        while self._frontier and not self._full:
            if limits.depth is not None and found.depth >= limits.depth:
                break
            self._deeper()
            progress(found)
        found.exhausted = not self._frontier
        for index, scene in self._frontier:
            self._rest(index, scene)
        self._look_for_circles()

    @property
    def _full(self) -> bool:
        return self._limits.states is not None and self.found.states >= self._limits.states

    def _deeper(self) -> None:
        """Take every step there is from the frontier."""
        frontier, self._frontier = self._frontier, []
        for n, (index, scene) in enumerate(frontier):
            if self._full:
                # What was not expanded is to come to rest from where it is.
                self._frontier += frontier[n:]
                return
            best = at_best(scene)
            for move in possible(scene):
                following = self._step(index, scene.copy(), move)
                if move is best:
                    self._next[index] = following
            if best is None:
                self._rest(index, scene)
            else:
                assert self._next[index] != _NOWHERE, "the way to rest is not a possible one"
        self.found.depth += 1

    def _step(self, index: int, scene: Scene, move: Move) -> int:
        found = self.found
        found.transitions += 1
        try:
            take(scene, move)
        except Violation as violation:
            raise _Found(index, [move], violation) from violation
        ordinal = self._met.setdefault(scene.key(), found.states)
        if ordinal == found.states:
            found.states += 1
            self._move.append(_ORDINALS[move])
            self._origin.append(index)
            self._next.append(_NOWHERE)
            self._frontier.append((ordinal, scene))
        return ordinal

    def _rest(self, index: int, scene: Scene) -> None:
        """Everybody behaves from now on: does it end, and is nothing forgotten?"""
        self.found.rested += 1
        moves: list[Move] = []
        try:
            moves.extend(come_to_rest(scene))
        except Violation as violation:
            raise _Found(index, moves, violation) from violation

    def _look_for_circles(self) -> None:
        """The way to rest leads from each situation to one other: does it ever come back?"""
        looked_at = bytearray(len(self._next))
        for start in range(len(self._next)):
            way, index = set[int](), start
            while index != _NOWHERE and not looked_at[index]:
                looked_at[index] = 1
                way.add(index)
                index = self._next[index]
            if index in way:
                raise _Found(index, [], Violation(_IN_CIRCLES))

    def _violated(self, what: _Found) -> None:
        way, index = list[Move](), what.index
        while index > 0:
            way.append(_MOVES[self._move[index]])
            index = self._origin[index]
        self.found.violation = str(what.violation)
        self.found.story = tell(self._begin(), [*way[::-1], *what.moves])


def _begin(
    lifecycle: Callable[[ResponsePolicy], ResponseLifecycle], policy: ResponsePolicy, budget: Budget
) -> Scene:
    """A session that is ready, with a greeting to be said."""
    scene = Scene(lifecycle(policy), budget)
    scene.input(Why.GREETING, items=0)
    scene.conversation = scene.owed
    scene.perform(scene.life.session_ready(scene.now))
    return scene


def come_to_rest(scene: Scene) -> Iterator[Move]:
    """Each step is announced before it is taken.

    :raises Violation: it does not end, or an input was forgotten.
    """
    for _ in range(MOST_STEPS_TO_REST):
        move = at_best(scene)
        if move is None:
            check_rest(scene)
            return
        yield move
        take(scene, move)
    raise Violation(_IN_CIRCLES)


def check_rest(scene: Scene) -> None:
    """Nothing is left to do.

    :raises Violation: something was forgotten.
    """
    if not scene.life.at_rest:
        raise Violation("nothing is under way, and yet it is not at rest")
    if scene.owed:
        raise Violation(f"forgotten: {', '.join(sorted(scene.owed))}")


def tell(scene: Scene, moves: Sequence[Move]) -> list[str]:
    """The story of these moves, one step a line; what we do about a step is below it."""
    scene.story = story = list[str]()
    try:
        for move in moves:
            take(scene, move)
    except Violation:
        pass  # the last line shows it
    return story

"""Exploring every interleaving, breadth first, and letting what is found come to rest.

Breadth first, so that the first violation found is also a shortest story. A situation is
met once, whatever way led to it. Whether all comes to rest needs to be tried only where the
exploration stops: everywhere else the first step towards rest is one of those explored.
"""

from array import array
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field

from opusbridge.call.pending import Why
from opusbridge.call.policy import ResponsePolicy
from opusbridge.call.response import ResponseLifecycle
from opusbridge.sim.explorer.moves import Move, at_best, possible, take
from opusbridge.sim.explorer.scene import Budget, Scene, Violation

#: More steps than any wait and retry together can take; beyond them it goes in circles.
MOST_STEPS_TO_REST = 400

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


class Explorer:
    """Explores from the beginning of a call until its limits, or the first violation."""

    def __init__(self, policy: ResponsePolicy, budget: Budget, limits: Limits) -> None:
        self.found = Exploration()
        self._policy, self._budget, self._limits = policy, budget, limits
        # How each situation was met: by which move, from which other.
        self._origin, self._move = array("l", [-1]), array("b", [0])
        first = beginning(policy, budget)
        self._met = {first.key()}
        self._frontier = [(0, first)]

    def explore(self, progress: Callable[[Exploration], None] = lambda found: None) -> Exploration:
        """``progress`` is told after each depth."""
        found, limits = self.found, self._limits
        while self._frontier and not self._full:
            if limits.depth is not None and found.depth >= limits.depth:
                break
            if not self._deeper():
                return found
            progress(found)
        found.exhausted = not self._frontier
        while self._frontier:
            if not self._rest(*self._frontier.pop()):
                break
        return found

    @property
    def _full(self) -> bool:
        return self._limits.states is not None and self.found.states >= self._limits.states

    def _deeper(self) -> bool:
        """Take every step there is from the frontier; false at a violation."""
        found, frontier, beyond = self.found, self._frontier, list[tuple[int, Scene]]()
        for n, (index, scene) in enumerate(frontier):
            if self._full:
                # What was not expanded is to come to rest from where it is.
                self._frontier = beyond + frontier[n:]
                return True
            moves = possible(scene)
            for move in moves:
                new = scene.copy()
                found.transitions += 1
                try:
                    take(new, move)
                except Violation as violation:
                    self._violated(violation, [*self._way_to(index), move])
                    return False
                key = new.key()
                if key not in self._met:
                    self._met.add(key)
                    self._origin.append(index)
                    self._move.append(_ORDINALS[move])
                    beyond.append((found.states, new))
                    found.states += 1
            if not moves and not self._rest(index, scene):
                return False
        self._frontier = beyond
        found.depth += 1
        return True

    def _rest(self, index: int, scene: Scene) -> bool:
        """Everybody behaves from now on: does it end, and is nothing forgotten?"""
        self.found.rested += 1
        moves: list[Move] = []
        try:
            for move in come_to_rest(scene):
                moves.append(move)
        except Violation as violation:
            self._violated(violation, [*self._way_to(index), *moves])
            return False
        return True

    def _way_to(self, index: int) -> list[Move]:
        found: list[Move] = []
        while index > 0:
            found.append(_MOVES[self._move[index]])
            index = self._origin[index]
        return found[::-1]

    def _violated(self, violation: Violation, moves: list[Move]) -> None:
        self.found.violation = str(violation)
        self.found.story = tell(self._policy, self._budget, moves)


def beginning(policy: ResponsePolicy, budget: Budget) -> Scene:
    """A session that is ready, with a greeting to be said."""
    scene = Scene(ResponseLifecycle(policy), budget)
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
            break
        yield move
        take(scene, move)
    else:
        raise Violation("left alone, it never comes to rest")
    if scene.life.given_up is not None:
        return
    if scene.frozen and scene.speaking:
        return  # a model that has fallen silent cannot be told from one that listens
    if not scene.life.at_rest:
        raise Violation("nothing is under way, and yet it is not at rest")
    if scene.owed:
        raise Violation(f"forgotten: {', '.join(sorted(scene.owed))}")


def tell(policy: ResponsePolicy, budget: Budget, moves: Sequence[Move]) -> list[str]:
    """The story of these moves, one step a line; what we do about a step is below it."""
    scene = beginning(policy, budget)
    scene.story = []
    for move in moves:
        try:
            take(scene, move)
        except Violation as violation:
            return [*scene.story, f"     VIOLATION: {violation}"]
    return scene.story

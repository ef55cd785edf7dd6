"""What can happen next: one step of one party.

The caller speaks and stops (the model's turn detection says so and commits the turn), keys
are pressed, tools finish; the model takes in the head of its wire, begins, finishes, fails,
withholds, loses the socket; we take in the head of ours; or time passes to our next
deadline. Nothing here is chance: :func:`possible` lists every step there is.
"""

from collections.abc import Callable
from enum import StrEnum

from opusbridge.sim.explorer import steps
from opusbridge.sim.explorer.hearing import take_in, time_passed
from opusbridge.sim.explorer.scene import STEP_SECONDS, Phase, Scene

#: Nobody does anything new while more than this waits on a wire: it would only be more of
#: the same, and the wires must not grow without bound.
MOST_ON_A_WIRE = 4


class Move(StrEnum):
    """Named for the reader of a story."""

    SPEAK = "the caller begins to speak"
    STOP = "the caller stops; the model commits the turn"
    COUGH = "the caller stops; the model never commits that"
    KEYS = "keys were pressed"
    TOOLS = "the outputs of two tools are complete"
    MODEL_HEARS = "the model takes in"
    ACCEPT_SILENTLY = "the model accepts, and says nothing yet, of"
    LOSE_CREATED = "the model accepts and speaks, its response.created being lost, of"
    REJECT = "the model has an error of its own with"
    REFUSE_VAGUELY = "the model refuses without naming anything"
    WE_HEAR = "we take in"
    ANNOUNCE = "the model announces its response at last"
    FINISH = "the model finishes its response"
    FINISH_UNSAID = "the model finishes its response, and no response.done comes"
    GET_STUCK = "the model has said all, and keeps the slot until cancelled"
    FAIL = "the response fails"
    EMPTY = "the response is empty"
    END_CANCELLED = "the cancelled response ends"
    END_UNSAID = "the cancelled response ends, and no response.done comes"
    BEGIN = "the model begins a response by itself"
    BEGIN_REFUSED = "the model's own response is refused by an error that names no request"
    BEGIN_NEVER = "the model forgets to begin its own response"
    FREEZE = "the model falls silent for good, its socket open"
    NOTICE = "the model does not say that it is there; its session is replaced"
    LOSE = "the socket is lost"
    LOSE_HEARD = "the socket is lost, after a part of the answer was heard"
    READY = "a new session is ready, the conversation restored"
    GIVE_UP = "the caller is told that it did not work"
    TIME = "time passes to our next deadline"


def possible(scene: Scene) -> list[Move]:
    """Every step there is from here, in an order that never changes."""
    if scene.life.given_up is not None:
        return [Move.GIVE_UP]
    found: list[Move] = []
    if scene.frozen:
        found.append(Move.NOTICE)
    elif scene.connected:
        if len(scene.to_us) <= MOST_ON_A_WIRE and len(scene.to_model) <= MOST_ON_A_WIRE:
            found += _caller_can(scene)
        found += _model_can(scene)
        if scene.budget.faults:
            found += [Move.FREEZE, Move.LOSE]
            if scene.active and scene.life.may_play(scene.active.one or ""):
                found.append(Move.LOSE_HEARD)
    else:
        found.append(Move.READY)
    if scene.to_us:
        found.append(Move.WE_HEAR)
    if scene.life.deadline is not None and (_is_quiet(scene) or scene.budget.faults):
        found.append(Move.TIME)
    return found


def at_best(scene: Scene) -> Move | None:
    """The next step if everybody behaves from now on; none when all is at rest."""
    slot = scene.slot
    if scene.life.given_up is not None:
        return Move.GIVE_UP
    if scene.frozen:
        return Move.TIME if scene.life.deadline is not None else Move.NOTICE
    if not scene.connected:
        return Move.READY
    if scene.to_model:
        return Move.MODEL_HEARS
    if scene.to_us:
        return Move.WE_HEAR
    if scene.speech:
        return Move.STOP
    if slot is not None and slot.phase is Phase.CANCELLING:
        return Move.END_CANCELLED
    if scene.promised:
        taken = slot is not None
        return Move.BEGIN_REFUSED if taken else Move.BEGIN
    if slot is not None and slot.phase is not Phase.STUCK:
        return Move.FINISH
    return None if scene.life.deadline is None else Move.TIME


def take(scene: Scene, move: Move) -> None:
    """Change the scene by one step.

    :raises Violation: something happened that must never happen.
    """
    scene.now += STEP_SECONDS
    if move is Move.TIME:
        scene.now = max(scene.now, scene.life.deadline or 0.0)
    if scene.story is not None:
        wire = scene.to_model if move in _HEARS else scene.to_us
        what = f": {wire[0]}" if move in _HEARS or move is Move.WE_HEAR else ""
        scene.tell(f"{move}{what}")
    _STEPS[move](scene)
    scene.look()


# --- What each of them can do -----------------------------------------------------------


def _caller_can(scene: Scene) -> list[Move]:
    budget, found = scene.budget, list[Move]()
    if scene.speech:
        found.append(Move.STOP)
        if budget.faults:
            found.append(Move.COUGH)
    elif budget.turns:
        found.append(Move.SPEAK)
    if budget.keys:
        found.append(Move.KEYS)
    if budget.tools:
        found.append(Move.TOOLS)
    return found


def _model_can(scene: Scene) -> list[Move]:
    budget, slot, found = scene.budget, scene.slot, list[Move]()
    if scene.to_model:
        found.append(Move.MODEL_HEARS)
        if scene.to_model[0].kind == "create":
            if slot is not None and budget.faults:
                found.append(Move.REFUSE_VAGUELY)
            if slot is None and budget.faults:
                found += [Move.ACCEPT_SILENTLY, Move.LOSE_CREATED, Move.REJECT]
    if slot is not None:
        found += _slot_can(slot.phase, bool(budget.faults))
    if scene.promised:
        if slot is None:
            found.append(Move.BEGIN)
        elif slot.phase is not Phase.CANCELLING:
            found.append(Move.BEGIN_REFUSED)
        if budget.faults or slot is not None:
            found.append(Move.BEGIN_NEVER)
    return found


def _slot_can(phase: Phase, faults: bool) -> list[Move]:
    found: list[Move] = []
    if phase is Phase.CANCELLING:
        found.append(Move.END_CANCELLED)
        if faults:
            found.append(Move.END_UNSAID)
    elif phase is not Phase.STUCK:
        found.append(Move.FINISH)
        if phase is Phase.HELD:
            found.append(Move.ANNOUNCE)
        if phase is Phase.ACTIVE and faults:
            found += [Move.FINISH_UNSAID, Move.GET_STUCK]
        if faults:
            found += [Move.FAIL, Move.EMPTY]
    return found


def _is_quiet(scene: Scene) -> bool:
    """Nobody dawdles if time passes now: whatever is withheld was counted already."""
    slot = scene.slot
    idle = slot is None or slot.phase in (Phase.HELD, Phase.STUCK)
    return idle and not (scene.to_us or scene.to_model or scene.promised)


def _time(scene: Scene) -> None:
    if not _is_quiet(scene):
        scene.fault()
    time_passed(scene)


_STEPS: dict[Move, Callable[[Scene], None]] = {
    Move.SPEAK: steps.speak,
    Move.STOP: steps.stop,
    Move.COUGH: steps.cough,
    Move.KEYS: steps.keys,
    Move.TOOLS: steps.tools,
    Move.MODEL_HEARS: steps.model_hears,
    Move.ACCEPT_SILENTLY: steps.accept_silently,
    Move.LOSE_CREATED: steps.lose_created,
    Move.REJECT: steps.reject,
    Move.REFUSE_VAGUELY: steps.refuse_vaguely,
    Move.WE_HEAR: take_in,
    Move.ANNOUNCE: steps.announce,
    Move.FINISH: lambda scene: steps.end(scene, "completed"),
    Move.FINISH_UNSAID: steps.finish_unsaid,
    Move.GET_STUCK: steps.get_stuck,
    Move.FAIL: steps.fail,
    Move.EMPTY: steps.empty,
    Move.END_CANCELLED: lambda scene: steps.end(scene, "cancelled"),
    Move.END_UNSAID: steps.end_unsaid,
    Move.BEGIN: steps.begin_by_itself,
    Move.BEGIN_REFUSED: steps.begin_refused,
    Move.BEGIN_NEVER: steps.begin_never,
    Move.FREEZE: steps.freeze,
    Move.NOTICE: steps.notice,
    Move.LOSE: steps.lose,
    Move.LOSE_HEARD: steps.lose_heard,
    Move.READY: steps.ready,
    Move.GIVE_UP: steps.give_up,
    Move.TIME: _time,
}
#: These take the head of the wire to the model.
_HEARS = {
    Move.MODEL_HEARS,
    Move.ACCEPT_SILENTLY,
    Move.LOSE_CREATED,
    Move.REJECT,
    Move.REFUSE_VAGUELY,
}

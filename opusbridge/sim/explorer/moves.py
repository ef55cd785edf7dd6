"""What can happen next, and what it does: one step of one party.

The caller speaks and stops (the model's turn detection says so and commits the turn), keys
are pressed, tools finish; the model takes in the head of its wire, begins, finishes, fails,
withholds, loses the socket; we take in the head of ours; or time passes to our next
deadline. Nothing here is chance: :func:`possible` lists every step there is.
"""

from collections.abc import Callable
from enum import StrEnum

from opusbridge.call.pending import Why
from opusbridge.sim.explorer.hearing import socket_lost, take_in, time_passed
from opusbridge.sim.explorer.scene import STEP_SECONDS, Message, Phase, Scene, Slot

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
    LOSE = "the socket is lost"
    READY = "a new session is ready, the conversation restored"
    TIME = "time passes to our next deadline"


def possible(scene: Scene) -> list[Move]:
    """Every step there is from here, in an order that never changes."""
    if scene.life.given_up is not None:
        return []
    found: list[Move] = []
    if scene.frozen:
        pass
    elif scene.connected:
        if len(scene.to_us) <= MOST_ON_A_WIRE and len(scene.to_model) <= MOST_ON_A_WIRE:
            found += _caller_can(scene)
        found += _model_can(scene)
        if scene.budget.faults:
            found += [Move.FREEZE, Move.LOSE]
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
        return None
    if scene.frozen:
        return Move.TIME if scene.life.deadline is not None else None
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


# --- The caller, his keys, and the tools ------------------------------------------------


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


def _speak(scene: Scene) -> None:
    scene.spend("turns")
    scene.speech = True
    scene.say(Message("started"))
    if not scene.policy.interrupts:
        return
    if scene.promised:
        # What it owed for the turn before ends as it begins.
        scene.promised = False
        if scene.slot is None:
            _begin(scene)
    if scene.slot is not None and scene.slot.phase is not Phase.STUCK:
        scene.slot = scene.slot._replace(phase=Phase.CANCELLING)


def _stop(scene: Scene) -> None:
    turn = scene.new("turn")
    scene.speech = False
    scene.conversation |= {turn}
    scene.promised = scene.promised or scene.policy.model_creates
    scene.say(Message("stopped"), Message("committed", turn))


def _cough(scene: Scene) -> None:
    scene.speech = False
    scene.fault()
    scene.say(Message("stopped"))


def _keys(scene: Scene) -> None:
    scene.spend("keys")
    scene.input(Why.KEYS, items=1)


def _tools(scene: Scene) -> None:
    scene.spend("tools")
    scene.input(Why.TOOLS, items=2)


# --- The model --------------------------------------------------------------------------


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


def _model_hears(scene: Scene) -> None:
    message, scene.to_model = scene.to_model[0], scene.to_model[1:]
    slot = scene.slot
    match message.kind:
        case "create" if slot is not None:
            scene.say(Message("refused", message.one, slot.response_id))
        case "create":
            _begin(scene, message.one)
        case "item":
            if message.last and message.one:
                scene.conversation |= {message.one}
            scene.say(Message("added", message.other))
        case "cancel" if slot is not None and message.one in (None, slot.response_id):
            if slot.phase in (Phase.HELD, Phase.STUCK):
                scene.slot = None
                scene.say(Message("done", slot.response_id, "cancelled"))
            else:
                scene.slot = slot._replace(phase=Phase.CANCELLING)
        case _:
            pass  # nothing to cancel: an error that changes nothing


def _accept_silently(scene: Scene) -> None:
    scene.fault()
    scene.blurred = True
    message, scene.to_model = scene.to_model[0], scene.to_model[1:]
    _begin(scene, message.one, Phase.HELD)


def _lose_created(scene: Scene) -> None:
    scene.fault()
    scene.blurred = True
    message, scene.to_model = scene.to_model[0], scene.to_model[1:]
    _begin(scene, message.one, Phase.UNANNOUNCED)


def _reject(scene: Scene) -> None:
    scene.fault(disturbs=False)
    message, scene.to_model = scene.to_model[0], scene.to_model[1:]
    scene.say(Message("rejected", message.one))


def _refuse_vaguely(scene: Scene) -> None:
    scene.fault()
    scene.to_model = scene.to_model[1:]
    scene.say(Message("refused"))


def _begin(scene: Scene, request_id: str | None = None, phase: Phase = Phase.ACTIVE) -> None:
    response_id = scene.new("resp")
    scene.slot = Slot(response_id, request_id, phase, scene.conversation)
    if phase is Phase.ACTIVE:
        scene.say(Message("created", response_id, request_id, scene.conversation))


def _announce(scene: Scene) -> None:
    assert scene.slot is not None
    # It answers what is in the conversation when it is created, and that is now.
    slot = scene.slot._replace(phase=Phase.ACTIVE, covers=scene.conversation)
    scene.slot = slot
    scene.say(Message("created", slot.response_id, slot.request_id, slot.covers))


def _end(scene: Scene, status: str) -> None:
    slot, scene.slot = scene.slot, None
    assert slot is not None
    if slot.phase is Phase.UNANNOUNCED and status == "completed":
        scene.say(Message("sound", slot.response_id, None, slot.covers))
    audible = slot.phase in (Phase.ACTIVE, Phase.UNANNOUNCED)
    covers = slot.covers if audible else frozenset[str]()
    scene.say(Message("done", slot.response_id, status, covers))


def _finish_unsaid(scene: Scene) -> None:
    _say_all(scene)
    scene.slot = None


def _get_stuck(scene: Scene) -> None:
    _say_all(scene)
    assert scene.slot is not None
    scene.slot = scene.slot._replace(phase=Phase.STUCK)


def _say_all(scene: Scene) -> None:
    assert scene.slot is not None
    scene.fault()
    scene.say(Message("sound", scene.slot.response_id, None, scene.slot.covers))


def _fail(scene: Scene) -> None:
    scene.fault(disturbs=False)
    _end(scene, "failed")


def _empty(scene: Scene) -> None:
    scene.fault(disturbs=False)
    _end(scene, "empty")


def _end_unsaid(scene: Scene) -> None:
    scene.fault()
    scene.slot = None


def _begin_by_itself(scene: Scene) -> None:
    scene.promised = False
    _begin(scene)


def _begin_refused(scene: Scene) -> None:
    scene.promised = False
    assert scene.slot is not None
    scene.say(Message("refused", None, scene.slot.response_id))


def _begin_never(scene: Scene) -> None:
    scene.promised = False
    if scene.slot is None:
        scene.fault()


# --- The socket, and time ---------------------------------------------------------------


def _freeze(scene: Scene) -> None:
    """What it has said already may be on its way still, or not: as if it were not."""
    scene.fault()
    scene.frozen = True
    scene.to_model, scene.to_us, scene.slot = (), (), None
    scene.promised = scene.speech = False


def _lose(scene: Scene) -> None:
    scene.fault()
    scene.to_model, scene.to_us, scene.slot = (), (), None
    scene.connected = scene.promised = scene.speech = False
    # Turns we were never told of are lost with it; the rest is restored.
    scene.conversation = scene.owed
    socket_lost(scene)


def _ready(scene: Scene) -> None:
    scene.connected = True
    scene.perform(scene.life.session_ready(scene.now))


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
    Move.SPEAK: _speak,
    Move.STOP: _stop,
    Move.COUGH: _cough,
    Move.KEYS: _keys,
    Move.TOOLS: _tools,
    Move.MODEL_HEARS: _model_hears,
    Move.ACCEPT_SILENTLY: _accept_silently,
    Move.LOSE_CREATED: _lose_created,
    Move.REJECT: _reject,
    Move.REFUSE_VAGUELY: _refuse_vaguely,
    Move.WE_HEAR: take_in,
    Move.ANNOUNCE: _announce,
    Move.FINISH: lambda scene: _end(scene, "completed"),
    Move.FINISH_UNSAID: _finish_unsaid,
    Move.GET_STUCK: _get_stuck,
    Move.FAIL: _fail,
    Move.EMPTY: _empty,
    Move.END_CANCELLED: lambda scene: _end(scene, "cancelled"),
    Move.END_UNSAID: _end_unsaid,
    Move.BEGIN: _begin_by_itself,
    Move.BEGIN_REFUSED: _begin_refused,
    Move.BEGIN_NEVER: _begin_never,
    Move.FREEZE: _freeze,
    Move.LOSE: _lose,
    Move.READY: _ready,
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

"""What each step of the caller, the model and the socket does to the scene."""

from opusbridge.call.pending import Why
from opusbridge.sim.explorer.hearing import socket_lost
from opusbridge.sim.explorer.scene import Message, Phase, Scene, Slot

# --- The caller, his keys, and the tools ------------------------------------------------


def speak(scene: Scene) -> None:
    scene.spend("turns")
    scene.speech, scene.turn = True, scene.new("turn")
    scene.say(Message("started", scene.turn))
    if not scene.policy.interrupts:
        return
    if scene.promised:
        # What it owed for the turn before ends as it begins.
        scene.promised = False
        if scene.slot is None:
            begin(scene)
    if scene.slot is not None and scene.slot.phase is not Phase.STUCK:
        scene.slot = scene.slot._replace(phase=Phase.CANCELLING)


def stop(scene: Scene) -> None:
    scene.speech = False
    scene.conversation |= {scene.turn}
    scene.promised = scene.promised or scene.policy.model_creates
    scene.say(Message("stopped"), Message("committed", scene.turn))


def cough(scene: Scene) -> None:
    scene.speech = False
    scene.fault()
    scene.say(Message("stopped"))


def keys(scene: Scene) -> None:
    scene.spend("keys")
    scene.input(Why.KEYS, items=1)


def tools(scene: Scene) -> None:
    scene.spend("tools")
    scene.input(Why.TOOLS, items=2)


# --- The model --------------------------------------------------------------------------


def model_hears(scene: Scene) -> None:
    message, scene.to_model = scene.to_model[0], scene.to_model[1:]
    slot = scene.slot
    match message.kind:
        case "create" if slot is not None:
            scene.say(Message("refused", message.one, slot.response_id))
        case "create":
            begin(scene, message.one)
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


def accept_silently(scene: Scene) -> None:
    scene.fault()
    scene.blurred = True
    message, scene.to_model = scene.to_model[0], scene.to_model[1:]
    begin(scene, message.one, Phase.HELD)


def lose_created(scene: Scene) -> None:
    scene.fault()
    scene.blurred = True
    message, scene.to_model = scene.to_model[0], scene.to_model[1:]
    begin(scene, message.one, Phase.UNANNOUNCED)


def reject(scene: Scene) -> None:
    scene.fault(disturbs=False)
    message, scene.to_model = scene.to_model[0], scene.to_model[1:]
    scene.say(Message("rejected", message.one))


def refuse_vaguely(scene: Scene) -> None:
    scene.fault()
    scene.to_model = scene.to_model[1:]
    scene.say(Message("refused"))


def begin(scene: Scene, request_id: str | None = None, phase: Phase = Phase.ACTIVE) -> None:
    response_id = scene.new("resp")
    scene.slot = Slot(response_id, request_id, phase, scene.conversation)
    if phase is Phase.ACTIVE:
        scene.say(Message("created", response_id, request_id, scene.conversation))


def announce(scene: Scene) -> None:
    assert scene.slot is not None
    # It answers what is in the conversation when it is created, and that is now.
    slot = scene.slot._replace(phase=Phase.ACTIVE, covers=scene.conversation)
    scene.slot = slot
    scene.say(Message("created", slot.response_id, slot.request_id, slot.covers))


def end(scene: Scene, status: str) -> None:
    slot, scene.slot = scene.slot, None
    assert slot is not None
    if slot.phase is Phase.UNANNOUNCED and status == "completed":
        scene.say(Message("sound", slot.response_id, None, slot.covers))
    audible = slot.phase in (Phase.ACTIVE, Phase.UNANNOUNCED)
    covers = slot.covers if audible else frozenset[str]()
    scene.say(Message("done", slot.response_id, status, covers))


def finish_unsaid(scene: Scene) -> None:
    say_all(scene)
    scene.slot = None


def get_stuck(scene: Scene) -> None:
    say_all(scene)
    assert scene.slot is not None
    scene.slot = scene.slot._replace(phase=Phase.STUCK)


def say_all(scene: Scene) -> None:
    assert scene.slot is not None
    scene.fault()
    scene.say(Message("sound", scene.slot.response_id, None, scene.slot.covers))


def fail(scene: Scene) -> None:
    scene.fault(disturbs=False)
    end(scene, "failed")


def empty(scene: Scene) -> None:
    scene.fault(disturbs=False)
    end(scene, "empty")


def end_unsaid(scene: Scene) -> None:
    scene.fault()
    scene.slot = None


def begin_by_itself(scene: Scene) -> None:
    scene.promised = False
    begin(scene)


def begin_refused(scene: Scene) -> None:
    scene.promised = False
    assert scene.slot is not None
    scene.say(Message("refused", None, scene.slot.response_id))


def begin_never(scene: Scene) -> None:
    scene.promised = False
    if scene.slot is None:
        scene.fault()


# --- The socket, and time ---------------------------------------------------------------


def freeze(scene: Scene) -> None:
    """What it has said already may be on its way still, or not: as if it were not."""
    scene.fault()
    scene.frozen = True
    scene.to_model, scene.to_us, scene.slot = (), (), None
    scene.promised = scene.speech = False


def notice(scene: Scene) -> None:
    """As the call does it, whatever else is awaited (call/pulse.py)."""
    _session_over(scene, heard_in_part=False)


def lose(scene: Scene) -> None:
    scene.fault()
    _session_over(scene, heard_in_part=False)


def lose_heard(scene: Scene) -> None:
    scene.fault()
    _session_over(scene, heard_in_part=True)


def _session_over(scene: Scene, heard_in_part: bool) -> None:
    scene.to_model, scene.to_us, scene.slot = (), (), None
    scene.connected = scene.frozen = scene.promised = scene.speech = False
    socket_lost(scene, heard_in_part)
    # Turns we were never told of are lost with it; the rest is restored.
    scene.conversation = scene.owed | scene.cut_short


def ready(scene: Scene) -> None:
    scene.connected = True
    scene.perform(scene.life.session_ready(scene.now))


def give_up(scene: Scene) -> None:
    """A model that is silent is replaced; one that fails is forgiven, what waited forgotten."""
    if scene.life.given_up == "model-silent":
        _session_over(scene, heard_in_part=False)
        return
    scene.life.forgive()
    scene.owed = frozenset()

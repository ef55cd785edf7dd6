"""What is handed to the lifecycle, and what the referee concludes from it.

The referee knows only what the lifecycle was told, so that it never blames it for what was
still on a wire. An input is answered when the sound of a response that was created after it
may be heard to its end.
"""

from opusbridge.call.pending import Cause, Why
from opusbridge.effects import Note
from opusbridge.sim.explorer.scene import Message, Scene, Violation

_NONE: frozenset[str] = frozenset()


def take_in(scene: Scene) -> None:
    """The head of the wire to us."""
    message, scene.to_us = scene.to_us[0], scene.to_us[1:]
    life, now = scene.life, scene.now
    life.model_heard(now)
    match message.kind:
        case "started":
            _started(scene, _id(message))
        case "stopped":
            scene.speaking, scene.awaiting = False, "commit"
            scene.perform(life.caller_stopped(now))
        case "committed":
            _committed(scene, _id(message))
        case "added":
            life.item_acknowledged(_id(message))
        case "created":
            _created(scene, message)
        case "sound":
            _sound(scene, message)
        case "done":
            _done(scene, message)
        case "refused":
            _refused(scene, message)
        case "rejected":
            if message.one == scene.unanswered:
                scene.unanswered = None
            scene.perform(life.request_failed(message.one, False, None, now))
        case _:
            raise AssertionError(message.kind)


def time_passed(scene: Scene) -> None:
    """It is the lifecycle's deadline: waits may end, and what was waited for is given up."""
    life = scene.life
    found = life.timed_out(scene.now)
    rungs = {note.reason for note in found if isinstance(note, Note) and note.kind == "watchdog"}
    scene.disturbed = scene.disturbed or bool(rungs)
    if "commit" in rungs:
        scene.awaiting = ""
    if "request" in rungs and scene.unanswered is not None:
        scene.unwanted |= {scene.unanswered}
        scene.unanswered = None
    if rungs & {"response", "cancel"}:
        if scene.active is not None and life.response_id != scene.active.one:
            scene.active = None
        if life.response_id != scene.cancelled:
            scene.cancelled = None
    scene.perform(found)


def socket_lost(scene: Scene, heard_in_part: bool) -> None:
    """As the call does it: what the caller was saying is asked for again, as a turn."""
    life, now = scene.life, scene.now
    if heard_in_part and scene.active is not None:
        # The rest of it is asked for, but not for ever.
        scene.owed -= scene.active.covers
        scene.cut_short |= scene.active.covers
    scene.unanswered = scene.active = scene.cancelled = None
    scene.speaking, scene.awaiting = False, ""
    spoke = life.caller_turn_under_way
    life.lost(now, heard_in_part)
    if spoke:
        scene.owed |= {scene.heard_turn}
        scene.perform(life.user_input(Cause(Why.TURN, scene.heard_turn), now))


def _started(scene: Scene, turn: str) -> None:
    scene.speaking, scene.awaiting, scene.heard_turn = True, "", turn
    if scene.policy.interrupts:
        if scene.active is not None:
            scene.unwanted |= {_id(scene.active)}
            scene.cut_short |= scene.active.covers
        if scene.unanswered is not None:
            scene.unwanted |= {scene.unanswered}
    scene.perform(scene.life.caller_began(scene.now))


def _committed(scene: Scene, turn: str) -> None:
    scene.speaking = False
    # Its own creation fails while a response that speech does not interrupt is active.
    in_its_way = scene.active is not None and scene.cancelled is None
    begins = scene.policy.model_creates and (scene.policy.interrupts or not in_its_way)
    scene.awaiting = "begin" if begins else ""
    # The answer to newer speech is an answer to what it cut short, too.
    scene.owed = (scene.owed - scene.cut_short) | {turn}
    scene.cut_short = _NONE
    scene.perform(scene.life.turn_committed(turn, scene.now))


def _created(scene: Scene, message: Message) -> None:
    response_id = _id(message)
    if message.other in scene.unwanted:
        scene.unwanted |= {response_id}
    if message.other is not None and message.other == scene.unanswered:
        scene.unanswered = None
    if scene.awaiting == "begin":
        scene.awaiting = ""
    found = scene.life.created(response_id, message.other, scene.now)
    _believe_active(scene, message)
    scene.perform(found)


def _sound(scene: Scene, message: Message) -> None:
    """All of it, and so the answer has been given, whether ``response.done`` comes or not."""
    life, response_id = scene.life, _id(message)
    found = life.seen(response_id, False, scene.now)
    life.sound_complete(response_id)
    if life.request_id != scene.unanswered and life.response_id == response_id:
        scene.unanswered = None  # it can answer nothing else, where only we begin responses
    if scene.active is None or scene.active.one != response_id:
        _believe_active(scene, message)
        if scene.awaiting == "begin":
            scene.awaiting = ""  # for all anybody can know, this is what was to begin
    if life.may_play(response_id):
        scene.owed -= message.covers
    scene.perform(found)


def _done(scene: Scene, message: Message) -> None:
    life, response_id = scene.life, _id(message)
    empty = message.other == "empty"
    status = "completed" if empty else message.other
    assert status is not None
    if status == "completed" and not empty and life.may_play(response_id):
        scene.owed -= message.covers
    if scene.active is not None and scene.active.one == response_id:
        scene.active = None
    if scene.cancelled == response_id:
        scene.cancelled = None
    scene.perform(life.done(response_id, scene.now, status=status, empty=empty))


def _refused(scene: Scene, message: Message) -> None:
    request_id, in_its_way = message.one, message.other
    if not (scene.policy.model_creates or scene.disturbed):
        raise Violation("the model refused a request although nothing had gone wrong")
    if request_id in (None, scene.unanswered):
        scene.unanswered = None
        if scene.awaiting == "begin":
            scene.awaiting = ""
    found = scene.life.refused(request_id, in_its_way, scene.now)
    if in_its_way is not None and (scene.active is None or scene.active.one != in_its_way):
        _believe_active(scene, Message("created", in_its_way))
    scene.perform(found)


def _believe_active(scene: Scene, message: Message) -> None:
    """Unless the lifecycle has given up on it before: then a refusal will tell."""
    if scene.life.response_id == message.one:
        scene.active = message
        if scene.cancelled != message.one:
            scene.cancelled = None  # one at a time: that one must be over


def _id(message: Message) -> str:
    assert message.one is not None
    return message.one

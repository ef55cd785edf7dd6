"""Whose a response is, and what it was begun for, where the model says too little.

A token in ``response.created`` settles it. Old servers do not echo one, and sometimes the
event itself is lost: then what is known of the requests and the turns must do.
"""

from opusbridge.call.door import Door
from opusbridge.call.pending import Cause
from opusbridge.call.tables import Request


def is_ours(door: Door, request_id: str | None, announced: bool) -> bool:
    """Whether a response answers a request of ours, and not a turn by the model's own will.

    ``request_id`` is the token it came with; ``announced``: there was a ``response.created``.
    """
    if request_id is not None:
        return request_id == door.request.id
    # Without a token it answers one of our requests where only we begin responses; and
    # where nobody announced it, if the model owes no turn a response of its own.
    owed = announced or door.turn.answer_due is not None
    return not (door.policy.model_creates and owed) and door.request.is_next_in_line()


def begun_for(door: Door, ours: bool) -> tuple[Cause, ...]:
    """What a response must have been begun for whose ``response.created`` was lost."""
    if ours:
        return door.request.asked_for
    owed = door.turn.answer_due is not None and door.policy.interrupts
    if not owed or door.request.state is not Request.NONE:
        return ()
    return door.waiting.turns

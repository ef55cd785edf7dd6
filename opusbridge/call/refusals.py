"""What the model's errors mean for a call: one row each, as data.

An error event ends nothing by itself. What is not in the table is counted, told once in a
call, and survived. Sources are sections of ``openai-realtime``, the reference of the wire.
"""

from dataclasses import dataclass
from enum import Enum


class Reaction(Enum):
    BENIGN = "benign"  # expected now and then; changes nothing
    ASK_AGAIN = "ask again"  # what was refused is wanted all the same
    REPAIR = "repair"  # something of ours is missing on the other side: put it there
    REPLACE = "replace session"  # this session is over; another may not be
    END = "end call"  # no session will serve us


@dataclass(frozen=True, slots=True)
class Row:
    reaction: Reaction
    source: str
    """Where the fact comes from, and why it means that."""


#: By ``error.code`` (or, where it has none, ``error.type``).
BY_CODE: dict[str, Row] = {
    "conversation_already_has_active_response": Row(
        Reaction.ASK_AGAIN, "openai-realtime 5.2: one response at a time; it is not queued"
    ),
    "rate_limit_exceeded": Row(
        Reaction.ASK_AGAIN, "openai-realtime 5.4: wait as the text says, then ask again"
    ),
    "inference_rate_limit_exceeded": Row(
        Reaction.ASK_AGAIN, "openai-realtime 5.4: passing, mostly in response.done"
    ),
    "server_error": Row(
        Reaction.ASK_AGAIN, "openai-realtime 5.4, 8.3: code often null; repeated: reconnect"
    ),
    "response_cancel_not_active": Row(
        Reaction.BENIGN, "openai-realtime 5.3: the response ended first; its done event decides"
    ),
    "input_audio_buffer_commit_empty": Row(
        Reaction.BENIGN, "openai-realtime 4.4: less than 100 ms to commit, so there is no turn"
    ),
    "item_truncate_invalid_item_id": Row(
        Reaction.BENIGN, "openai-realtime 6.1: the item is gone already"
    ),
    "unsupported_content_type": Row(
        Reaction.BENIGN, "openai-realtime 6.1: the item has no sound to truncate"
    ),
    "item_delete_invalid_item_id": Row(
        Reaction.BENIGN, "openai-realtime 6.3: the item is gone already"
    ),
    "item_retrieve_invalid_item_id": Row(
        Reaction.BENIGN, "openai-realtime 6.3: the item is gone already"
    ),
    "invalid_tool_call_id": Row(
        Reaction.REPAIR, "openai-realtime 5.9: unknown there, after a new session or a deletion"
    ),
    "item_create_invalid_previous_item_id": Row(
        Reaction.REPAIR, "openai-realtime 6.2: the item was not added"
    ),
    "cannot_update_voice": Row(
        Reaction.REPAIR, "openai-realtime 2.3: locked after the first sound; send it without"
    ),
    "session_expired": Row(Reaction.REPLACE, "openai-realtime 1.4: 60 minutes, then close 1001"),
    "insufficient_quota": Row(Reaction.END, "openai-realtime 5.4: the account, for good"),
    "credit_balance_exhausted": Row(Reaction.END, "openai-realtime 5.4: the account, for good"),
    "invalid_api_key": Row(Reaction.END, "openai-realtime 1.3: close 3000 follows"),
    "invalid_model": Row(Reaction.END, "openai-realtime 1.3: close 4000 follows"),
    "missing_model": Row(Reaction.END, "openai-realtime 1.3: close 4000 follows"),
    "beta_api_shape_disabled": Row(Reaction.END, "openai-realtime 1.3: close 4000 follows"),
}

#: For codes that say only that a value was wrong: by the client event that was refused.
BY_ABOUT: dict[str, Row] = {
    "response.create": Row(
        Reaction.ASK_AGAIN, "openai-realtime 5.2: the request is lost, its input is not"
    ),
    "response.cancel": Row(Reaction.BENIGN, "openai-realtime 5.3: the done event decides"),
    "input_audio_buffer.commit": Row(Reaction.BENIGN, "openai-realtime 4.4: there is no turn"),
    "conversation.item.truncate": Row(
        Reaction.BENIGN, "openai-realtime 6.1: 'already shorter', its code null in 2025"
    ),
    "conversation.item.delete": Row(
        Reaction.BENIGN, "openai-realtime 6.3: the item stays, a blemish"
    ),
    "conversation.item.create": Row(Reaction.REPAIR, "openai-realtime 6.2: the item was not added"),
}


def reaction_to(code: str | None, kind: str | None, about: str | None) -> Reaction | None:
    """``kind`` is the error's type. ``None``: not in the table."""
    if about == "conversation.item.create" and is_passing(code, kind):
        return Reaction.REPAIR  # that it passes does not put the item there
    for row in (BY_CODE.get(code or ""), BY_ABOUT.get(about or ""), BY_CODE.get(kind or "")):
        if row is not None:
            return row.reaction
    return None


def is_passing(code: str | None, kind: str | None) -> bool:
    """Whether nothing was wrong with what was refused: the next time it may be taken."""
    row = BY_CODE.get(code or "") or BY_CODE.get(kind or "")
    return row is not None and row.reaction is Reaction.ASK_AGAIN

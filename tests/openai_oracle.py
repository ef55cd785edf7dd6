"""The provider's own client as a judge: is this event one that its types know?

The types of the ``openai`` package ignore what they do not know, so a misspelt field would
pass. Here every field must be one of theirs, all the way down, and of the right JSON type.
"""

from collections.abc import Iterator
from functools import cache
from typing import Any, get_args

import orjson
from openai.types.realtime import RealtimeClientEvent, RealtimeServerEvent
from openai.types.realtime.realtime_session_create_response import RealtimeSessionCreateResponse
from pydantic import BaseModel, TypeAdapter

#: Seen on the wire and in the documentation, not in the types: padding of deltas, and the
#: part an output item plays in the answer of a reasoning model.
WIRE_ONLY = frozenset({"obfuscation", "phase"})

#: The types give these two the client's session object, which lacks what a server adds.
FULL_SESSION = frozenset({"session.created", "session.updated"})


def assert_server_event(obj: dict[str, Any]) -> None:
    """Fail unless ``obj`` is a server event without a field or value unknown to the types."""
    if obj.get("type") in FULL_SESSION and obj["session"].get("type") == "realtime":
        text = orjson.dumps(obj["session"])
        session = RealtimeSessionCreateResponse.model_validate_json(text, strict=True)
        _assert_nothing_unknown(session, "session")
        obj = {**obj, "session": {"type": "realtime"}}
    _assert_event(RealtimeServerEvent, obj)


def assert_client_event(obj: dict[str, Any]) -> None:
    """Fail unless ``obj`` is a client event without a field or value unknown to the types."""
    _assert_event(RealtimeClientEvent, obj)


def _assert_event(union: Any, obj: dict[str, Any]) -> None:
    kind = obj.get("type")
    types = _types(union)
    assert kind in types, f"the provider knows no event of type {kind!r}"
    text = orjson.dumps(obj)
    # The one type first: its complaint is readable, the union's is forty complaints long.
    event = types[kind].model_validate_json(text, strict=True)
    assert type(_adapter(union).validate_json(text, strict=True)) is types[kind]
    _assert_nothing_unknown(event, kind)


@cache
def _types(union: Any) -> dict[str, type[BaseModel]]:
    members: tuple[type[BaseModel], ...] = get_args(get_args(union)[0])
    return {get_args(member.model_fields["type"].annotation)[0]: member for member in members}


@cache
def _adapter(union: Any) -> TypeAdapter[Any]:
    return TypeAdapter(union)


def _assert_nothing_unknown(value: object, path: str) -> None:
    unknown = list(_unknown(value, path))
    assert not unknown, f"the provider's types do not know {unknown}"


def _unknown(value: object, path: str) -> Iterator[str]:
    if isinstance(value, BaseModel):
        for name in set(value.model_extra or ()) - WIRE_ONLY:
            yield f"{path}.{name}"
        for name in value.model_fields_set & set(type(value).model_fields):
            yield from _unknown(getattr(value, name), f"{path}.{name}")
    elif isinstance(value, list):
        for index, entry in enumerate(value):
            yield from _unknown(entry, f"{path}[{index}]")

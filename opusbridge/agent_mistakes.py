"""What is wrong with an agent, in words: the key, and never its value."""

from collections.abc import Mapping, Sequence
from difflib import get_close_matches

from pydantic import BaseModel, ValidationError

from opusbridge.manners import NoInput
from opusbridge.tools.mcp import McpServer

#: In place of pydantic's words, which speak of its own types.
_IN_WORDS = {
    "bool_parsing": "must be true or false",
    "bool_type": "must be true or false",
    "callable_type": "must be a function",
    "float_parsing": "must be a number",
    "float_type": "must be a number",
    "is_instance_of": "must be a list",
    "string_type": "must be text",
    "tuple_type": "must be a list",
}

#: The tables among an agent's keys.
_TABLES: Mapping[str, type[BaseModel]] = {"no_input": NoInput, "mcp": McpServer}


def key_of(error: ValidationError) -> str:
    """The key that the first mistake is about."""
    # Of several types that a value may have, pydantic adds its name for the one it tried.
    parts = error.errors()[0]["loc"]
    return ".".join(str(part) for part in parts if part not in ("[key]", "constrained-float"))


def complaint(error: ValidationError, agent: type[BaseModel]) -> str:
    """The first mistake in words; ``agent`` is the class that has the keys."""
    first, key = error.errors()[0], key_of(error)
    if first["type"] == "extra_forbidden":
        return f"agent: {_unknown(key.split('.'), agent)}"
    if first["type"] == "missing":
        return f"agent: {key} is missing"
    said = _IN_WORDS.get(first["type"]) or first["msg"].removeprefix("Value error, ")
    return f"agent: {key}: {said}"


def _unknown(parts: Sequence[str], agent: type[BaseModel]) -> str:
    """A key that is none, and the one that may be meant."""
    table = _TABLES.get(parts[0]) if len(parts) > 1 else None
    of = "an agent" if table is None else parts[0]
    known = (table or agent).model_fields
    near = get_close_matches(parts[-1], known, 1, 0.5)
    hint = f"; did you mean {near[0]}?" if near else ""
    return f"{'.'.join(parts)} is not a key of {of}{hint}"

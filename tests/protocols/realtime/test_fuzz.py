"""Whatever the model's socket brings, it costs that one message."""

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from opusbridge.errors import RemoteProtocolError
from opusbridge.protocols.realtime import RealtimeProtocol

GOLDEN = Path(__file__).parents[1] / "golden" / "realtime"
MESSAGES = [json.loads(path.read_text()) for path in sorted(GOLDEN.glob("*.json"))]
KINDS = {"not-json", "not-an-object", "no-type", "bad-fields", "bad-base64"}

json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner),
    max_leaves=12,
)
AWKWARD: list[Any] = [
    *(None, "", "=", "\ud800", True, [], {}),
    *(0, -1, 10**400, 2**64, 1e300, float("nan"), float("inf")),
]
types = st.sampled_from(sorted({message["type"] for message in MESSAGES}))
deterministic = settings(max_examples=150, deadline=None, derandomize=True, database=None)


@st.composite
def mutated(draw: st.DrawFn) -> str:
    """A golden message with a few of its fields gone, strange or of another kind."""
    message = json.loads(json.dumps(draw(st.sampled_from(MESSAGES))))
    for _ in range(draw(st.integers(1, 3))):
        _mutate(draw, message)
    if draw(st.booleans()):
        message["type"] = draw(types)
    return json.dumps(message)


def _mutate(draw: st.DrawFn, node: Any) -> None:
    while isinstance(node, dict | list) and node:
        keys = sorted(node) if isinstance(node, dict) else list(range(len(node)))
        key = draw(st.sampled_from(keys))
        if isinstance(node[key], dict | list) and node[key] and draw(st.booleans()):
            node = node[key]
        elif draw(st.booleans()):
            del node[key]
            return
        else:
            node[key] = draw(json_values | st.sampled_from(AWKWARD))
            return


def survives(text: str) -> None:
    """It is understood or refused; anything else ends the test."""
    protocol = RealtimeProtocol()
    try:
        found = protocol.receive(text)
    except RemoteProtocolError as error:
        refused_as: str | None = error.kind
    else:
        refused_as = None
        repr(found)
    assert refused_as in {None, *KINDS}


@pytest.mark.slow
@deterministic
@given(st.text(max_size=40) | st.text(alphabet='{}[]":,\\ud80typen', max_size=40))
def test_any_text_is_an_event_or_a_refusal(text: str) -> None:
    survives(text)


@pytest.mark.slow
@deterministic
@given(json_values, types)
def test_any_json_is_an_event_or_a_refusal(value: Any, kind: str) -> None:
    survives(json.dumps(value))
    survives(json.dumps({"type": kind, "error": value, "response": value, "item": value}))


@pytest.mark.slow
@deterministic
@given(mutated())
def test_any_damage_to_a_message_is_an_event_or_a_refusal(text: str) -> None:
    survives(text)


@pytest.mark.slow
@deterministic
@given(st.sampled_from(MESSAGES), st.data())
def test_a_message_cut_short_is_refused(message: dict[str, Any], data: st.DataObject) -> None:
    text = json.dumps(message)

    with pytest.raises(RemoteProtocolError, match="not-json"):
        RealtimeProtocol().receive(text[: data.draw(st.integers(0, len(text) - 1))])


def test_deep_nesting_is_an_event_or_a_refusal() -> None:
    for depth in (100, 900, 1020, 1100, 100_000):
        deep = "[" * depth + "]" * depth
        survives(deep)
        survives('{"type":"error","error":{"message":' + deep + "}}")
        survives('{"type":"response.done","response":{"id":"r","metadata":{"a":' + deep + "}}}")

"""Nothing but RemoteProtocolError leaves ``receive``, and every answer is legal."""

import json
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from opusbridge.errors import REASONS, RemoteProtocolError
from opusbridge.events import CallerHungUp
from opusbridge.protocols.audiocodes import AudioCodesProtocol, messages
from tests.protocols.fuzzing import mutated, torn, values

GOLDEN = Path(__file__).parent.parent / "golden" / "audiocodes"
TEXTS = [path.read_text() for path in sorted(GOLDEN.glob("in-*.json"))]
INITIATE = (GOLDEN / "in-session-initiate.json").read_text()
STREAM_START = (GOLDEN / "in-user-stream-start.json").read_text()

KINDS = {
    "not-json",
    "not-an-object",
    "no-type",
    "bad-fields",
    "bad-base64",
    "media-before-start",
    "second-initiate",
    "unknown-conversation",
    "out-of-order",
}

TYPES = [json.loads(text)["type"] for text in TEXTS]
NAMES = ["start", "DTMF", "playFinished", "noUserInput", "transferStatus", "hangup", ""]
WORDS = [
    "type",
    "conversationId",
    "activities",
    "name",
    "value",
    "parameters",
    "participant",
    "audioChunk",
    "streamId",
    "status",
    "caller",
    "supportedMediaFormats",
]
VALUES = values(WORDS, [*TYPES, *NAMES, "event", "failed", "raw/mulaw", "AAAA"])
ACTIVITY = st.fixed_dictionaries(
    {"type": st.just("event"), "name": st.sampled_from(NAMES)},
    optional={"value": VALUES, "parameters": VALUES, "streamId": VALUES},
)


@st.composite
def typed(draw: st.DrawFn) -> str:
    rest = draw(st.dictionaries(st.sampled_from(WORDS), VALUES, max_size=4))
    return json.dumps(rest | {"type": draw(st.sampled_from(TYPES))})


ANYTHING = (
    st.text()
    | VALUES.map(json.dumps)
    | st.lists(ACTIVITY, max_size=3).map(
        lambda each: json.dumps({"type": "activities", "activities": each})
    )
    | typed()
    | mutated(TEXTS, VALUES)
    | torn(TEXTS)
    | st.sampled_from(TEXTS)
)


@pytest.mark.slow
@settings(derandomize=True, deadline=None, max_examples=120)
@given(st.lists(ANYTHING, max_size=8), st.sampled_from([[], [INITIATE], [INITIATE, STREAM_START]]))
def test_whatever_comes_is_understood_or_refused_by_name(
    texts: list[str], before: list[str]
) -> None:
    protocol, kinds, endings = AudioCodesProtocol(), set(), []
    for text in [*before, *texts]:
        try:
            heard = protocol.receive(text)
        except RemoteProtocolError as error:
            kinds.add(error.kind)
        else:
            endings += [event.reason for event in heard if isinstance(event, CallerHungUp)]
        for answer in protocol.messages_to_send():
            messages.TO_VAIC.validate_json(answer)
    assert kinds <= KINDS
    assert len(endings) <= 1
    assert set(endings) <= set(REASONS)


@pytest.mark.parametrize("depth", [10, 250, 254, 255, 300, 1000, 1024, 3000, 100_000])
@pytest.mark.parametrize("name", NAMES)
def test_depth_is_no_way_in(depth: int, name: str) -> None:
    deep = "[" * depth + "]" * depth
    activity = f'{{"type":"event","name":"{name}","value":{deep},"parameters":{{"a":{deep}}}}}'
    protocol = AudioCodesProtocol()
    protocol.receive(INITIATE)

    kind = ""
    try:
        protocol.receive(f'{{"type":"activities","activities":[{activity}]}}')
    except RemoteProtocolError as error:
        kind = error.kind

    assert kind == ("not-json" if depth > 1000 else "")

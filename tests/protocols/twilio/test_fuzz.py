"""Nothing but RemoteProtocolError leaves ``receive``, whatever came."""

import json
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from opusbridge import effects
from opusbridge.errors import RemoteProtocolError
from opusbridge.protocols.twilio import TwilioProtocol, messages
from opusbridge.sound import PCMU_8K, Audio
from tests.protocols.fuzzing import mutated, torn, values

GOLDEN = Path(__file__).parent.parent / "golden" / "twilio"
TEXTS = [path.read_text() for path in sorted(GOLDEN.glob("in-*.json"))]
START = (GOLDEN / "in-start.json").read_text()

KINDS = {
    "not-json",
    "not-an-object",
    "no-type",
    "bad-fields",
    "bad-base64",
    "bad-format",
    "media-before-start",
    "second-start",
    "unknown-stream",
    "out-of-order",
}

WORDS = ["event", "streamSid", "start", "media", "mark", "dtmf", "stop", "payload", "timestamp"]
VALUES = values(WORDS, ["inbound", "MZ00112233445566778899aabbccddeeff", "8000", "f38="])
EVENTS = st.sampled_from(["connected", "start", "media", "dtmf", "mark", "stop", "other"])


ANYTHING = (
    st.text()
    | VALUES.map(json.dumps)
    | st.builds(
        lambda event, rest: json.dumps({**rest, "event": event}),
        EVENTS,
        st.dictionaries(st.sampled_from(WORDS), VALUES, max_size=4),
    )
    | mutated(TEXTS, VALUES)
    | torn(TEXTS)
    | st.sampled_from(TEXTS)
)


@pytest.mark.slow
@settings(derandomize=True, deadline=None, max_examples=150)
@given(st.lists(ANYTHING, max_size=8), st.booleans())
def test_whatever_comes_is_understood_or_refused_by_name(texts: list[str], begun: bool) -> None:
    protocol, kinds = TwilioProtocol(), set()
    for text in [START, *texts] if begun else texts:
        try:
            protocol.receive(text)
        except RemoteProtocolError as error:
            kinds.add(error.kind)
    assert kinds <= KINDS
    assert protocol.messages_to_send() == []


@settings(derandomize=True, deadline=None, max_examples=50)
@given(st.text(min_size=1, max_size=128), st.text(min_size=1))
def test_whatever_the_names_what_we_say_is_what_twilio_reads(stream: str, mark: str) -> None:
    message = json.loads(START)
    message["start"]["streamSid"] = stream
    protocol = TwilioProtocol()
    protocol.receive(json.dumps(message))

    protocol.send(effects.PlayAudio(Audio("f38=", PCMU_8K)))
    protocol.send(effects.PlaceMark(mark))

    sound, placed = map(messages.TO_TWILIO.validate_json, protocol.messages_to_send())
    assert sound.streamSid == placed.streamSid == stream
    assert isinstance(placed, messages.SentMark)
    assert placed.mark.name == mark


@settings(derandomize=True, deadline=None, max_examples=50)
@given(st.integers(1, 3000), st.sampled_from(["[", '{"a":', '{"event":"media","media":']))
def test_depth_is_no_way_in(depth: int, opening: str) -> None:
    closing = "]" if opening == "[" else "}"
    text = opening * depth + "1" + closing * depth

    with pytest.raises(RemoteProtocolError):
        TwilioProtocol().receive(text)

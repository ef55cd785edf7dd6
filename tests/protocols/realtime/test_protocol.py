"""What the golden texts do not show: memory, tolerance, and what is refused."""

import json
from typing import Any, cast

import pytest

from opusbridge import effects, events
from opusbridge.errors import RemoteProtocolError
from opusbridge.privacy import Private
from opusbridge.protocols.realtime import RealtimeProtocol
from opusbridge.protocols.realtime.messages import SERVER_EVENTS
from opusbridge.protocols.realtime.protocol import TRANSLATIONS
from opusbridge.sound import PCM_24K, PCMA_8K, PCMU_8K, AudioFormat
from opusbridge.usage import Usage

PART: dict[str, Any] = {
    "response_id": "resp_1",
    "item_id": "item_1",
    "output_index": 0,
    "content_index": 0,
}


def receive(
    type: str, *, protocol: RealtimeProtocol | None = None, **fields: Any
) -> list[events.FromModel]:
    return (protocol or RealtimeProtocol()).receive(json.dumps({"type": type, **fields}))


def refused_as(text: str) -> str:
    with pytest.raises(RemoteProtocolError) as refused:
        RealtimeProtocol().receive(text)
    assert refused.value.peer == "model"
    return refused.value.kind


def configure(audio_format: AudioFormat, **more: Any) -> effects.ConfigureSession:
    return effects.ConfigureSession(effects.SessionConfig("Be kind.", audio_format, **more))


def spoken_format(protocol: RealtimeProtocol) -> AudioFormat:
    (spoke,) = receive("response.output_audio.delta", protocol=protocol, delta="AAAA", **PART)
    assert isinstance(spoke, events.ModelSpoke)
    return spoke.audio.format


# --- What is refused ---------------------------------------------------------------------


def test_each_way_of_being_unusable_has_its_slug() -> None:
    delta = {"type": "response.output_audio.delta", **PART}
    assert refused_as("hello") == "not-json"
    assert refused_as('{"type": NaN}') == "not-json"
    assert refused_as("\ud800") == "not-json"
    assert refused_as(r'"\ud800"') == "not-an-object"
    assert refused_as("[" * 5000 + "]" * 5000) == "not-json"
    assert refused_as("[]") == "not-an-object"
    assert refused_as("{}") == "no-type"
    assert refused_as('{"type": 7}') == "no-type"
    assert refused_as('{"type": "error"}') == "bad-fields"
    assert refused_as(json.dumps({**delta, "delta": 7})) == "bad-fields"
    assert refused_as(json.dumps({**delta, "delta": "AAAA", "item_id": None})) == "bad-fields"
    assert refused_as(json.dumps({**delta, "delta": "AAAA", "content_index": "x"})) == "bad-fields"
    assert refused_as(json.dumps({**delta, "delta": "no base64!"})) == "bad-base64"


@pytest.mark.parametrize(
    "text",
    ["AAA", "AA=", "A===", "====", "AAAA=", "AAAA===", "AAAA====", "AA==AA==", "AAA\n", "éAAA"],
)
def test_base64_is_whole_or_refused(text: str) -> None:
    delta = {"type": "response.output_audio.delta", **PART, "delta": text}

    assert refused_as(json.dumps(delta)) == "bad-base64"


@pytest.mark.parametrize("missing", ["call_id", "name"])
def test_a_tool_call_nobody_could_answer_is_refused(missing: str) -> None:
    item = {"id": "item_1", "type": "function_call", "name": "f", "call_id": "c", "arguments": ""}
    item[missing] = cast(Any, None)

    text = {"type": "response.output_item.done", "response_id": "resp_1", "item": item}
    assert refused_as(json.dumps(text)) == "bad-fields"


def test_a_refusal_quotes_nothing() -> None:
    with pytest.raises(RemoteProtocolError) as refused:
        RealtimeProtocol().receive('{"type": "error", "error": "my name is"}')

    assert str(refused.value) == "model sent a message we cannot use (bad-fields)"


# --- What is tolerated -------------------------------------------------------------------


def test_unknown_events_are_counted_and_nothing_else() -> None:
    protocol = RealtimeProtocol()

    assert receive("response.telepathy.delta", protocol=protocol) == []
    assert receive("rate_limits.updated", protocol=protocol) == []

    assert protocol.unknown_messages == 1


@pytest.mark.parametrize("said", [{}, {"response_id": None}, {"response_id": 7}])
def test_a_piece_of_arguments_of_nobody_knows_what_means_nothing(said: dict[str, Any]) -> None:
    assert receive("response.function_call_arguments.delta", **said) == []


def test_a_response_frees_its_slot_even_if_all_that_describes_it_is_rubbish() -> None:
    rubbish: dict[str, Any] = {
        "status": 7,
        "status_details": "x",
        "output": {},
        "metadata": [],
        "usage": [1],
    }

    done = receive("response.done", response={"id": "resp_1", **rubbish})

    assert done == [events.ResponseDone("resp_1", "unknown", empty=True)]


def test_usage_may_lack_its_parts() -> None:
    usage = {"input_token_details": None, "output_token_details": {"audio_tokens": 5}}

    (done,) = receive("response.done", response={"id": "resp_1", "usage": usage})

    assert isinstance(done, events.ResponseDone)
    assert done.usage == Usage(output_audio=5)


def test_an_unknown_status_passes_through() -> None:
    (done,) = receive("response.done", response={"id": "resp_1", "status": "paused"})

    assert isinstance(done, events.ResponseDone)
    assert done.status == "paused"


WRITTEN = {"type": "output_text", "text": "Hi"}
SPOKEN = {"type": "output_audio", "transcript": "Hi"}


@pytest.mark.parametrize(
    ("said", "empty"),
    [
        ({"output": []}, True),
        ({"output": None}, True),
        ({"output": [{"type": "function_call", "status": "incomplete"}]}, True),
        ({"output": [{"type": "function_call", "status": "completed"}]}, False),
        ({"output": [{"type": "message", "status": "incomplete"}]}, False),
        ({"output": [{"type": "message", "content": []}]}, True),
        ({"output": [{"type": "message", "content": [WRITTEN]}]}, True),
        ({"output": [{"type": "message", "content": [{"type": "text", "text": "Hi"}]}]}, True),
        ({"output": [{"type": "message", "content": [WRITTEN, SPOKEN]}]}, False),
        ({"output": [{"type": "message", "content": [SPOKEN]}]}, False),
        ({"output": [{"type": "message", "content": ["?"]}]}, False),
        ({"output": [{"type": "message", "content": None}]}, False),
        ({"output": [{}]}, False),
        ({"output": ["?"]}, False),
        ({}, False),
    ],
)
def test_a_response_is_empty_only_if_it_says_so(said: dict[str, Any], empty: bool) -> None:
    (done,) = receive("response.done", response={"id": "resp_1", "status": "completed", **said})

    assert isinstance(done, events.ResponseDone)
    assert done.empty is empty


@pytest.mark.parametrize(
    ("content", "written"),
    [([WRITTEN], True), ([WRITTEN, SPOKEN], False), ([], False), (None, False), (7, False)],
)
def test_a_message_is_written_if_all_of_it_is_text(content: object, written: bool) -> None:
    item = {"id": "item_1", "type": "message", "status": "completed", "content": content}

    (done,) = receive("response.output_item.done", response_id="resp_1", item=item)

    assert done == events.OutputItemDone("resp_1", "item_1", "message", "completed", written)


@pytest.mark.parametrize(
    ("output", "cut_off"),
    [
        ([{"type": "message"}, {"type": "function_call", "status": "incomplete"}], True),
        ([{"type": "function_call"}, {"type": "function_call", "status": "incomplete"}], True),
        ([{"type": "message"}, {"type": "mcp_call", "status": "incomplete"}], True),
        ([{"type": "mcp_call"}], False),
        ([{"type": "message", "status": "incomplete"}], False),
        ([{"type": "function_call", "status": "completed"}, "?"], False),
        (None, False),
    ],
)
def test_of_a_response_it_is_told_whether_a_tool_call_was_cut_off(
    output: list[Any] | None, cut_off: bool
) -> None:
    told = {"id": "resp_1", "status": "incomplete", "output": output}
    (done,) = receive("response.done", response=told)

    assert isinstance(done, events.ResponseDone)
    assert done.cut_off is cut_off


@pytest.mark.parametrize(
    ("said", "in_conversation"),
    [({"conversation_id": "conv_1"}, True), ({"conversation_id": None}, False), ({}, True)],
)
def test_only_a_null_conversation_is_out_of_band(
    said: dict[str, Any], in_conversation: bool
) -> None:
    (created,) = receive("response.created", response={"id": "resp_1", **said})
    (done,) = receive("response.done", response={"id": "resp_1", **said})

    assert created == events.ResponseCreated("resp_1", in_conversation=in_conversation)
    assert isinstance(done, events.ResponseDone)
    assert done.in_conversation is in_conversation


@pytest.mark.parametrize(
    "metadata", [None, {}, {"bridge_req": 7}, {"other": "x"}, "rc-1", ["rc-1"]]
)
def test_a_response_with_any_other_metadata_is_not_ours(metadata: object) -> None:
    created = receive("response.created", response={"id": "resp_1", "metadata": metadata})

    assert created == [events.ResponseCreated("resp_1", request_id=None)]


def test_a_function_call_that_does_not_say_how_it_ended_was_completed() -> None:
    item = {"id": "item_1", "type": "function_call", "name": "f", "call_id": "call_1"}

    assert receive("response.output_item.done", response_id="resp_1", item=item) == [
        events.ToolCalled("resp_1", "item_1", "call_1", "f", Private("")),
        events.OutputItemDone("resp_1", "item_1", "function_call", "completed"),
    ]


def test_empty_pieces_are_no_events() -> None:
    for kind in ("response.output_audio_transcript.delta", "response.output_text.delta"):
        assert receive(kind, delta="", **PART) == []
    transcription = "conversation.item.input_audio_transcription"
    assert receive(f"{transcription}.delta", item_id="item_1") == []
    assert receive(f"{transcription}.completed", item_id="item_1", transcript=None) == [
        events.CallerTranscribed("item_1", Private(""), final=True)
    ]


def test_milliseconds_with_a_fraction_are_rounded_and_a_missing_index_is_the_first() -> None:
    started = "input_audio_buffer.speech_started"
    assert receive(started, item_id="item_1", audio_start_ms=41.6) == [
        events.SpeechStarted("item_1", 42)
    ]
    missing: list[dict[str, Any]] = [{}, {"content_index": None}]
    for index in missing:
        part = {"response_id": "resp_1", "item_id": "item_1", **index}
        assert receive("response.output_audio.done", **part) == [
            events.ModelAudioDone("resp_1", "item_1", 0)
        ]


def test_a_session_without_an_id_is_a_session() -> None:
    assert receive("session.created", session={}) == [events.SessionCreated("")]


def test_what_was_said_does_not_print() -> None:
    (words,) = receive("response.output_text.done", text="my name is", **PART)

    assert "my name" not in repr(words)


# --- Formats -----------------------------------------------------------------------------


def test_the_model_speaks_what_the_session_says_else_what_we_configured() -> None:
    protocol = RealtimeProtocol()
    assert spoken_format(protocol) == PCM_24K

    protocol.send(configure(PCMU_8K))
    assert spoken_format(protocol) == PCMU_8K

    audio = {"output": {"format": {"type": "audio/pcma"}}}
    assert receive("session.updated", protocol=protocol, session={"audio": audio}) == [
        events.SessionConfigured(None, PCMA_8K)
    ]
    assert spoken_format(protocol) == PCMA_8K


@pytest.mark.parametrize(
    ("wire", "understood"),
    [
        ({"type": "audio/pcm", "rate": 24000}, PCM_24K),
        ({"type": "audio/pcm"}, PCM_24K),
        ({"type": "audio/pcm", "rate": 16000}, None),
        ({"type": "audio/pcmu"}, PCMU_8K),
        ({"type": "audio/pcma"}, PCMA_8K),
        ({"type": "audio/opus"}, None),
        ({}, None),
        ("pcm16", None),
        (None, None),
    ],
)
def test_a_format_is_one_we_speak_or_none(wire: object, understood: AudioFormat | None) -> None:
    session = {"audio": {"input": {"format": wire}, "output": None}}

    assert receive("session.updated", session=session) == [
        events.SessionConfigured(understood, None)
    ]


def test_a_format_that_is_not_understood_changes_nothing() -> None:
    protocol = RealtimeProtocol()
    protocol.send(configure(PCMU_8K))

    receive("session.updated", protocol=protocol, session={"audio": {"output": {"format": {}}}})

    assert spoken_format(protocol) == PCMU_8K


def test_an_mcp_item_that_does_not_say_what_it_is_about_costs_its_own_message() -> None:
    item = {"id": "mcp_1", "type": "mcp_call", "output": "done"}
    with pytest.raises(RemoteProtocolError):
        RealtimeProtocol().receive(json.dumps({"type": "conversation.item.done", "item": item}))


@pytest.mark.parametrize(
    ("kind", "written"),
    [("response.output_audio_transcript.delta", False), ("response.output_text.delta", True)],
)
def test_a_piece_of_words_is_the_same_however_its_part_is_named(kind: str, written: bool) -> None:
    piece: dict[str, Any] = {"response_id": "r", "item_id": "i"}
    words = events.ModelWords("r", "i", 0, Private("some "), final=False, written=written)
    named: list[dict[str, Any]] = [{}, {"content_index": 0}, {"content_index": None}]

    for part in named:
        assert receive(kind, **piece, **part, delta="some ") == [words]
        assert receive(kind, **piece, **part, delta="") == []
        assert refused_as(json.dumps({"type": kind, **piece, **part, "delta": 7})) == "bad-fields"


def test_every_event_that_means_something_has_a_translation() -> None:
    assert set(TRANSLATIONS) == set(SERVER_EVENTS.values())

"""One Twilio media stream, from both sides."""

import json
from pathlib import Path
from typing import Any, cast

import pytest

from opusbridge import effects, events
from opusbridge.effects import ToTelephony
from opusbridge.errors import LocalProtocolError, RemoteProtocolError
from opusbridge.events import FromTelephony
from opusbridge.privacy import Private
from opusbridge.protocols.twilio import TwilioProtocol, messages
from opusbridge.sound import PCM_8K, PCMU_8K, Audio

GOLDEN = Path(__file__).parent.parent / "golden" / "twilio"
FROM_TWILIO = {path.stem: path.read_text() for path in GOLDEN.glob("in-*.json")}
TO_TWILIO = {path.stem: path.read_text() for path in GOLDEN.glob("out-*.json")}

STREAM = "MZ00112233445566778899aabbccddeeff"
CALL = "CA0123456789abcdef0123456789abcdef"
FRAME = Audio("f39/f39/f38=", PCMU_8K)

WHAT_TWILIO_MEANS: dict[str, list[FromTelephony]] = {
    "in-connected": [],
    "in-start": [
        events.CallArrived(CALL, PCMU_8K, Private("+15550100001")),
        events.CallStarted(Private("+15550100001"), None, Private({"from": "+15550100001"})),
    ],
    "in-start-without-parameters": [events.CallArrived(CALL, PCMU_8K), events.CallStarted()],
    "in-media": [events.CallerSpoke(FRAME, at_ms=1153)],
    "in-dtmf": [events.DigitsPressed(Private("5"))],
    "in-mark": [events.MarkReached("g3.item_ABC.0.1400")],
    "in-stop": [events.CallerHungUp("caller-hung-up")],
}

WHAT_WE_SAY: dict[str, ToTelephony] = {
    "out-media": effects.PlayAudio(Audio("//////////8=", PCMU_8K)),
    "out-mark": effects.PlaceMark("g3.item_ABC.0.1400"),
    "out-clear": effects.ClearPlayout(),
}

MEANS_NOTHING_TO_TWILIO: list[ToTelephony] = [
    effects.ConfigureTelephony(barge_in=True),
    effects.AnswerCall(),
    effects.EndPlayout(),
    effects.TellSpeechStarted(),
    effects.TellSpeechStopped(),
    effects.TellSpeechCommitted(),
]


def changed(name: str, **fields: object) -> str:
    """A golden message with some of its top-level fields replaced; ``...`` removes one."""
    message: dict[str, Any] = json.loads(FROM_TWILIO[name]) | fields
    return json.dumps({key: value for key, value in message.items() if value is not ...})


def media(**fields: object) -> str:
    """The golden ``media`` with fields of its inner object replaced, or removed by ``...``."""
    inner = json.loads(FROM_TWILIO["in-media"])["media"] | fields
    return changed("in-media", media={k: v for k, v in inner.items() if v is not ...})


def start(**fields: object) -> str:
    inner = json.loads(FROM_TWILIO["in-start"])["start"] | fields
    return changed("in-start", start={k: v for k, v in inner.items() if v is not ...})


def live() -> TwilioProtocol:
    protocol = TwilioProtocol()
    protocol.receive(FROM_TWILIO["in-connected"])
    protocol.receive(FROM_TWILIO["in-start"])
    return protocol


def refusal(protocol: TwilioProtocol, text: str) -> str:
    with pytest.raises(RemoteProtocolError) as caught:
        protocol.receive(text)
    assert caught.value.peer == "twilio"
    return caught.value.kind


def said(protocol: TwilioProtocol) -> list[Any]:
    return [json.loads(text) for text in protocol.messages_to_send()]


# --- From Twilio ---------------------------------------------------------------------------


@pytest.mark.parametrize("name", sorted(FROM_TWILIO))
def test_every_documented_message_of_twilio_is_understood(name: str) -> None:
    protocol = live() if name not in ("in-connected",) and "start" not in name else TwilioProtocol()

    assert protocol.receive(FROM_TWILIO[name]) == WHAT_TWILIO_MEANS[name]
    assert protocol.unknown_messages == 0
    assert protocol.messages_to_send() == []


def test_every_golden_message_has_an_expectation() -> None:
    assert set(FROM_TWILIO) == set(WHAT_TWILIO_MEANS)
    assert set(TO_TWILIO) == set(WHAT_WE_SAY)


def test_a_stream_has_its_names_only_after_its_start() -> None:
    protocol = TwilioProtocol()
    assert (protocol.stream_sid, protocol.call_sid, protocol.account_sid) == (None, None, None)

    protocol.receive(FROM_TWILIO["in-start"])

    assert protocol.stream_sid == STREAM
    assert protocol.call_sid == CALL
    assert protocol.account_sid == "ACfedcba9876543210fedcba9876543210"
    assert protocol.custom_parameters.value == {"token": "v1.8f2c", "from": "+15550100001"}


def test_both_parties_come_from_the_parameters_and_the_token_stays_behind() -> None:
    parameters = {"token": "secret", "from": "+1", "to": "+2", "tenant": "north", "room": 12}

    arrived, started = TwilioProtocol().receive(start(customParameters=parameters))

    assert isinstance(arrived, events.CallArrived)
    assert isinstance(started, events.CallStarted)
    assert arrived.caller == Private("+1")
    assert (started.caller, started.callee) == (Private("+1"), Private("+2"))
    assert started.parameters.value == {"from": "+1", "to": "+2", "tenant": "north", "room": "12"}


def test_a_withheld_number_is_no_caller() -> None:
    assert TwilioProtocol().receive(start(customParameters={"from": "", "to": ""}))[0] == (
        events.CallArrived(CALL, PCMU_8K, None)
    )


def test_the_text_of_a_frame_is_passed_on_as_it_came() -> None:
    (spoke,) = live().receive(FROM_TWILIO["in-media"])

    assert isinstance(spoke, events.CallerSpoke)
    assert spoke.audio.text == "f39/f39/f38="


@pytest.mark.parametrize(("stamp", "at_ms"), [("1153", 1153), (1153, 1153), ("0", 0), (..., None)])
def test_a_timestamp_may_be_text_or_number_or_missing(stamp: object, at_ms: int | None) -> None:
    assert live().receive(media(timestamp=stamp)) == [events.CallerSpoke(FRAME, at_ms)]


@pytest.mark.parametrize("stamp", ["", "soon", "-5", -5, 1.5, True, "１２", "9" * 5000, [], {}])
def test_a_garbled_timestamp_costs_the_frame(stamp: object) -> None:
    assert refusal(live(), media(timestamp=stamp)) == "bad-fields"


@pytest.mark.parametrize("payload", ["f39", "f39/f3", "f3 9", "====", "f38=f38=", "_w==", "é"])
def test_a_payload_that_is_not_base64_costs_the_frame(payload: str) -> None:
    assert refusal(live(), media(payload=payload)) == "bad-base64"


@pytest.mark.parametrize("payload", ["", None, 7, ...])
def test_a_frame_without_sound_costs_itself(payload: object) -> None:
    assert refusal(live(), media(payload=payload)) == "bad-fields"


def test_a_frame_without_its_inner_object_costs_itself() -> None:
    assert refusal(live(), changed("in-media", media="f38=")) == "bad-fields"


def test_another_track_than_the_callers_is_tolerated_and_counted() -> None:
    protocol = live()

    assert protocol.receive(media(track="outbound")) == []
    assert protocol.unknown_messages == 1
    assert protocol.receive(media(track=...)) == [events.CallerSpoke(FRAME, 1153)]


def test_unknown_events_and_fields_are_tolerated_and_events_counted() -> None:
    protocol = live()

    assert protocol.receive('{"event":"cleared","streamSid":"x"}') == []
    assert protocol.receive(changed("in-mark", colour="blue")) == WHAT_TWILIO_MEANS["in-mark"]
    assert protocol.unknown_messages == 1


@pytest.mark.parametrize(
    ("digit", "key"), [("0", "0"), ("*", "*"), ("#", "#"), ("d", "D"), (5, "5")]
)
def test_a_key_is_one_of_sixteen(digit: object, key: str) -> None:
    text = changed("in-dtmf", dtmf={"digit": digit})

    assert live().receive(text) == [events.DigitsPressed(Private(key))]


@pytest.mark.parametrize("digit", ["", "E", "12", "5\n", "٣", None, True])
def test_anything_else_is_no_key(digit: object) -> None:
    assert refusal(live(), changed("in-dtmf", dtmf={"digit": digit})) == "bad-fields"


def test_a_key_is_not_printed() -> None:
    assert "5" not in repr(live().receive(FROM_TWILIO["in-dtmf"]))


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ("", "not-json"),
        ("{", "not-json"),
        ('{"event":NaN}', "not-json"),
        ('"\\ud800"', "not-an-object"),
        ("\ud800", "not-json"),
        ("[" * 100_000, "not-json"),
        ("[]", "not-an-object"),
        ("null", "not-an-object"),
        ("{}", "no-type"),
        ('{"event":5}', "no-type"),
        ('{"event":["media"]}', "no-type"),
    ],
)
def test_what_is_no_message_is_named(text: str, kind: str) -> None:
    assert refusal(live(), text) == kind


@pytest.mark.parametrize(
    "fields",
    [
        {"encoding": "audio/x-alaw", "sampleRate": 8000, "channels": 1},
        {"encoding": "audio/x-mulaw", "sampleRate": 16000, "channels": 1},
        {"encoding": "audio/x-mulaw", "sampleRate": 8000, "channels": 2},
    ],
)
def test_a_stream_in_another_format_is_refused(fields: dict[str, object]) -> None:
    protocol = TwilioProtocol()

    assert refusal(protocol, start(mediaFormat=fields)) == "bad-format"
    assert protocol.stream_sid is None


def test_numbers_of_the_format_may_be_text() -> None:
    sound = {"encoding": "audio/x-mulaw", "sampleRate": "8000", "channels": "1"}

    assert len(TwilioProtocol().receive(start(mediaFormat=sound))) == 2


@pytest.mark.parametrize(
    "broken",
    [
        {"streamSid": ""},
        {"streamSid": "M" * 129},
        {"callSid": ...},
        {"mediaFormat": 8000},
        {"customParameters": []},
    ],
)
def test_a_start_that_lacks_its_facts_does_not_start(broken: dict[str, object]) -> None:
    protocol = TwilioProtocol()

    assert refusal(protocol, start(**broken)) == "bad-fields"
    assert refusal(protocol, FROM_TWILIO["in-media"]) == "media-before-start"


def test_an_error_never_holds_what_the_peer_said() -> None:
    with pytest.raises(RemoteProtocolError) as caught:
        live().receive(changed("in-dtmf", dtmf={"digit": "4711"}))

    assert "4711" not in str(caught.value) + repr(caught.value)
    assert caught.value.__suppress_context__


# --- Order ---------------------------------------------------------------------------------


def test_nothing_but_a_greeting_may_come_before_the_start() -> None:
    protocol = TwilioProtocol()
    protocol.receive(FROM_TWILIO["in-connected"])

    assert refusal(protocol, FROM_TWILIO["in-media"]) == "media-before-start"
    assert refusal(protocol, FROM_TWILIO["in-dtmf"]) == "out-of-order"
    assert refusal(protocol, FROM_TWILIO["in-mark"]) == "out-of-order"
    assert refusal(protocol, FROM_TWILIO["in-stop"]) == "out-of-order"
    assert refusal(protocol, FROM_TWILIO["in-connected"]) == "out-of-order"


def test_a_second_start_changes_nothing() -> None:
    protocol = live()

    assert refusal(protocol, start(streamSid="MZ2")) == "second-start"
    assert protocol.stream_sid == STREAM


@pytest.mark.parametrize("name", ["in-media", "in-dtmf", "in-mark", "in-stop"])
def test_another_stream_is_not_ours(name: str) -> None:
    assert refusal(live(), changed(name, streamSid="MZ2")) == "unknown-stream"
    assert refusal(live(), changed(name, streamSid=...)) == "unknown-stream"


@pytest.mark.parametrize("name", sorted(FROM_TWILIO))
def test_after_the_stop_nothing_is_in_order(name: str) -> None:
    protocol = live()
    protocol.receive(FROM_TWILIO["in-stop"])

    assert refusal(protocol, FROM_TWILIO[name]) == "out-of-order"


# --- To Twilio -----------------------------------------------------------------------------


@pytest.mark.parametrize("name", sorted(TO_TWILIO))
def test_every_effect_is_said_exactly_as_documented(name: str) -> None:
    protocol = live()

    protocol.send(WHAT_WE_SAY[name])

    (text,) = protocol.messages_to_send()
    assert json.loads(text) == json.loads(TO_TWILIO[name])
    messages.TO_TWILIO.validate_json(text)


def test_what_was_taken_is_forgotten_and_the_order_is_kept() -> None:
    protocol = live()
    for effect in WHAT_WE_SAY.values():
        protocol.send(effect)

    assert [message["event"] for message in said(protocol)] == ["media", "mark", "clear"]
    assert protocol.messages_to_send() == []


def test_the_list_of_nothing_belongs_to_whoever_took_it() -> None:
    protocol = live()
    protocol.messages_to_send().append("mine")

    assert protocol.messages_to_send() == []


def test_names_are_escaped() -> None:
    protocol = TwilioProtocol()
    name = 'a"b\\c\n\u2028'
    protocol.receive(start(streamSid=name))

    protocol.send(effects.PlayAudio(FRAME))
    protocol.send(effects.PlaceMark(name))
    protocol.send(effects.ClearPlayout())

    sound, mark, clear = said(protocol)
    assert sound["streamSid"] == mark["streamSid"] == clear["streamSid"] == name
    assert mark["mark"]["name"] == name


def test_no_sound_is_no_message() -> None:
    protocol = live()

    protocol.send(effects.PlayAudio(Audio("", PCMU_8K)))

    assert protocol.messages_to_send() == []


def test_sound_in_another_format_is_a_bug_of_ours() -> None:
    with pytest.raises(LocalProtocolError):
        live().send(effects.PlayAudio(Audio("AAAA", PCM_8K)))


def test_a_mark_without_a_name_is_a_bug_of_ours() -> None:
    with pytest.raises(LocalProtocolError):
        live().send(effects.PlaceMark(""))


@pytest.mark.parametrize("name", sorted(WHAT_WE_SAY))
def test_nothing_may_be_said_before_the_start_or_after_the_stop(name: str) -> None:
    waiting, ended = TwilioProtocol(), live()
    ended.receive(FROM_TWILIO["in-stop"])

    for protocol in (waiting, ended):
        with pytest.raises(LocalProtocolError):
            protocol.send(WHAT_WE_SAY[name])
        assert protocol.messages_to_send() == []


@pytest.mark.parametrize("effect", MEANS_NOTHING_TO_TWILIO, ids=lambda e: type(e).__name__)
def test_what_means_nothing_to_twilio_is_accepted_and_not_said(effect: ToTelephony) -> None:
    for protocol in (TwilioProtocol(), live()):
        protocol.send(effect)
        assert protocol.messages_to_send() == []


@pytest.mark.parametrize(
    "effect", [effects.HangUp("agent-hung-up"), effects.TransferCall(Private("+15550100300"), "")]
)
def test_what_the_shell_must_do_is_not_taken(effect: ToTelephony) -> None:
    assert type(effect) in TwilioProtocol.by_other_means
    with pytest.raises(LocalProtocolError):
        live().send(effect)


def test_every_effect_is_decided() -> None:
    with pytest.raises(AssertionError):
        live().send(cast(Any, object()))

"""Our TwiML says the same as Twilio's own library would."""

from xml.etree import ElementTree

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from twilio.twiml.voice_response import Connect, Dial, VoiceResponse

from opusbridge.protocols.twilio import twiml

STREAM_URL = "wss://voice.example.com/twilio/media"

#: Anything XML can hold, but for the white space that its parsers may change.
TEXT = st.text(
    st.characters(exclude_categories=["Cs", "Cc"], exclude_characters="\ufffe\uffff"), max_size=40
)


def same(ours: str, theirs: VoiceResponse) -> bool:
    def canonical(text: str) -> str:
        return ElementTree.canonicalize(text)

    return canonical(ours) == canonical(str(theirs))


@pytest.mark.slow
@settings(derandomize=True, deadline=None)
@given(st.dictionaries(TEXT, TEXT, max_size=3))
def test_a_stream_is_joined_as_the_library_would(parameters: dict[str, str]) -> None:
    response, connect = VoiceResponse(), Connect()
    stream = connect.stream(url=STREAM_URL)
    for name, value in parameters.items():
        stream.parameter(name=name, value=value)
    response.append(connect)

    assert same(twiml.connect_stream(STREAM_URL, parameters), response)


def test_nothing_after_the_stream_keeps_the_line() -> None:
    document = ElementTree.fromstring(twiml.connect_stream(STREAM_URL, {"token": "a"}))

    assert [verb.tag for verb in document] == ["Connect"]


def test_a_parameter_stays_under_the_limit() -> None:
    twiml.connect_stream(STREAM_URL, {"name": "v" * 495})

    with pytest.raises(ValueError, match="500"):
        twiml.connect_stream(STREAM_URL, {"name": "v" * 496})


def test_a_query_would_be_dropped_so_it_is_refused() -> None:
    with pytest.raises(ValueError, match="query"):
        twiml.connect_stream(STREAM_URL + "?token=a", {})


@settings(derandomize=True, deadline=None)
@given(st.text(max_size=30))
def test_a_caller_may_be_called_anything(name: str) -> None:
    document = ElementTree.fromstring(twiml.connect_stream(STREAM_URL, {"from": name}).encode())

    (parameter,) = document.iter("Parameter")
    assert set(parameter.attrib["value"]) <= set(name)


def test_quotes_and_brackets_come_through() -> None:
    document = ElementTree.fromstring(twiml.connect_stream(STREAM_URL, {"n": "\"<&'>\n\t\r"}))

    (parameter,) = document.iter("Parameter")
    assert parameter.attrib["value"] == "\"<&'>\n\t\r"


@settings(derandomize=True, deadline=None)
@given(TEXT)
def test_a_message_is_said_and_the_line_is_free(message: str) -> None:
    response = VoiceResponse()
    response.say(message)
    response.hangup()

    assert same(twiml.say_and_hang_up(message), response)


@pytest.mark.parametrize("target", ["+15550100300", "tel:+15550100300", "tel:+1-(555).010-0300"])
def test_a_number_is_dialled_as_the_library_would(target: str) -> None:
    response, dialled = VoiceResponse(), Dial(answer_on_bridge=True, timeout=20)
    dialled.number("+15550100300")
    response.append(dialled)

    assert twiml.diallable(target)
    assert same(twiml.dial(target), response)


def test_twilio_asks_how_to_go_on_after_a_dial_where_it_is_told_to() -> None:
    where = "https://voice.example.com/twilio/after"
    response = VoiceResponse()
    dialled = Dial(answer_on_bridge=True, timeout=20, action=where, method="POST")
    dialled.number("+15550100300")
    response.append(dialled)

    assert same(twiml.dial("+15550100300", action=where), response)


def test_a_caller_is_hung_up_without_a_word() -> None:
    response = VoiceResponse()
    response.hangup()

    assert same(twiml.hang_up(), response)


@pytest.mark.parametrize("target", ["sip:front@example.com;transport=tls?X-A=1&X-B=2", "sips:a@b"])
def test_an_address_is_dialled_as_the_library_would(target: str) -> None:
    response = VoiceResponse()
    dialled = Dial(answer_on_bridge=True, timeout=7, caller_id="+15550100002")
    dialled.sip(target)
    response.append(dialled)

    assert same(twiml.dial(target, caller_id="+15550100002", timeout=7), response)


NUMBER, SIP, OWN = "+15550100300", "sip:front@example.com", "+15550100200"


@pytest.mark.parametrize(
    ("target", "caller", "shown"),
    [
        (NUMBER, "+15550104477", None),
        (NUMBER, "client:ann", OWN),
        (f"tel:{NUMBER}", "sip:ann@example.com", OWN),
        (NUMBER, "", OWN),
        (SIP, "client:ann", OWN),
        (SIP, "sip:ann@example.com", None),
    ],
)
def test_a_caller_twilio_would_not_show_is_shown_as_a_number_of_ours(
    target: str, caller: str, shown: str | None
) -> None:
    assert twiml.caller_id(target, caller, [None, "front-desk", OWN, "+15550100201"]) == shown


def test_without_a_number_of_ours_it_is_left_to_twilio() -> None:
    assert twiml.caller_id(NUMBER, "client:ann", [None, "client:front-desk"]) is None


@pytest.mark.parametrize(
    "target",
    [
        *["", "15550100300", "+0123", "+1555x", "+1", "+1555\n", "+١٢٣", "tel:sip:a", "http://a"],
        *["+1-555-010-0300", "tel:112", "tel:+15550100300;ext=5"],
    ],
)
def test_anything_else_is_not_dialled_and_not_repeated(target: str) -> None:
    assert not twiml.diallable(target)
    with pytest.raises(ValueError, match="SIP address") as caught:
        twiml.dial(target)

    assert not target or target not in str(caught.value)


def test_keys_are_played_and_twilio_asks_how_to_go_on() -> None:
    response = VoiceResponse()
    response.play(digits="12#")
    response.redirect("https://voice.example.com/twilio/after", method="POST")

    ours = twiml.press("12#", "https://voice.example.com/twilio/after")
    assert ElementTree.canonicalize(ours) == ElementTree.canonicalize(str(response))

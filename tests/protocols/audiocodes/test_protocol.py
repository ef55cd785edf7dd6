"""One AudioCodes socket, from both sides."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any, cast
from urllib.parse import unquote

import pytest

from opusbridge import effects, events
from opusbridge.effects import ToTelephony
from opusbridge.errors import REASONS, LocalProtocolError, RemoteProtocolError
from opusbridge.events import MessageRejected
from opusbridge.privacy import Private
from opusbridge.protocols.audiocodes import AudioCodesProtocol, messages
from opusbridge.protocols.audiocodes.caller_stream import MOST_OTHERS
from opusbridge.protocols.audiocodes.protocol import Heard
from opusbridge.sound import PCM_8K, PCM_16K, PCM_24K, PCMU_8K, Audio, AudioFormat

GOLDEN = Path(__file__).parent.parent / "golden" / "audiocodes"
FROM_VAIC = {path.stem: path.read_text() for path in GOLDEN.glob("in-*.json")}
TO_VAIC = {path.stem: path.read_text() for path in GOLDEN.glob("out-*.json")}
UNSENT = {path.stem: path.read_text() for path in GOLDEN.glob("unsent-*.json")}

CONVERSATION = "0f6c9a4e-7d55-4f3b-9b6d-3a0f0c7d2b11"
CALLER = Private("+15550104477")
CHUNK = Audio("AAAAAAAAAAAAAAAA", PCM_24K)

FIRST_ON_A_SOCKET = {
    "in-connection-validate",
    "in-session-initiate",
    "in-session-initiate-other-order",
    "in-session-initiate-one-format",
    "in-session-resume",
}

#: What a message of VAIC's means, and the golden messages that answer it.
WHAT_VAIC_MEANS: dict[str, tuple[Heard, list[str]]] = {
    "in-connection-validate": ([], ["out-connection-validated"]),
    "in-session-initiate": (
        [events.CallArrived(CONVERSATION, PCM_24K, CALLER)],
        ["out-session-accepted"],
    ),
    "in-session-initiate-other-order": (
        [events.CallArrived(CONVERSATION, PCM_24K, CALLER)],
        ["out-session-accepted"],
    ),
    "in-session-end": ([events.CallerHungUp("caller-hung-up")], []),
    "in-user-stream-start": ([events.CallerStreamStarted()], ["out-user-stream-started"]),
    "in-user-stream-chunk": ([events.CallerSpoke(CHUNK)], []),
    "in-user-stream-stop": ([events.CallerStreamStopped()], ["out-user-stream-stopped"]),
    "in-activities-start": (
        [
            events.CallStarted(
                CALLER,
                Private("+15550100200"),
                Private(
                    {
                        "vaigConversationId": CONVERSATION,
                        "locale": "en-US",
                        "caller": "+15550104477",
                        "callerHost": "sip.carrier.example",
                        "callee": "+15550100200",
                        "calleeHost": "sbc.example",
                    }
                ),
            )
        ],
        [],
    ),
    "in-activities-dtmf": ([events.DigitsPressed(Private("42#"))], []),
    "in-activities-play-finished": ([events.PlayFinished("7")], []),
    "in-activities-no-user-input": ([events.NoInputReported(1)], []),
    "in-activities-transfer-answered": ([events.TransferSucceeded()], []),
    "in-activities-transfer-failed": ([events.TransferFailed("busy")], []),
}

#: Understood in tests of their own: the answer is in no document, or there is no event.
TOLD_ELSEWHERE = {
    "in-session-initiate-one-format",
    "in-session-resume",
    "in-activities-hangup",
    "in-play-stream-mark-reached",
}

HANG_UP = effects.HangUp("caller request completed")
TRANSFER = effects.TransferCall(Private("+15550100300"), "billing question")
PLAY = effects.PlayAudio(CHUNK)

#: What we do, on a call whose six earlier play streams are over, and which of its messages.
WHAT_WE_SAY: dict[str, tuple[list[ToTelephony], int]] = {
    "out-user-stream-speech-started": ([effects.TellSpeechStarted()], 0),
    "out-user-stream-speech-stopped": ([effects.TellSpeechStopped()], 0),
    "out-user-stream-speech-committed": ([effects.TellSpeechCommitted()], 0),
    "out-play-stream-start": ([PLAY], 0),
    "out-play-stream-chunk": ([PLAY], 1),
    "out-play-stream-stop": ([PLAY, effects.EndPlayout()], 2),
    "out-activities-config": ([effects.ConfigureTelephony(barge_in=True)], 0),
    "out-activities-hangup": ([HANG_UP], 0),
    "out-activities-transfer": ([TRANSFER], 0),
    "out-activities-send-dtmf": ([effects.SendDTMF(Private("1234#"))], 0),
}

ANSWERS = {
    "out-connection-validated",
    "out-session-accepted",
    "out-session-error",
    "out-user-stream-started",
    "out-user-stream-stopped",
}

NEEDS_ACCEPTANCE: list[ToTelephony] = [
    effects.ConfigureTelephony(barge_in=False),
    effects.AnswerCall(),
    PLAY,
    effects.TellSpeechStarted(),
    effects.TellSpeechStopped(),
    effects.TellSpeechCommitted(),
    HANG_UP,
    TRANSFER,
]


def changed(name: str, **fields: object) -> str:
    """A golden message with some of its fields replaced; ``...`` removes one."""
    message: dict[str, Any] = json.loads(FROM_VAIC[name]) | fields
    return json.dumps({key: value for key, value in message.items() if value is not ...})


def activities(*each: object) -> str:
    return changed("in-activities-start", activities=list(each))


def event(name: str, **fields: object) -> dict[str, object]:
    return {"type": "event", "name": name, **fields}


def said(protocol: AudioCodesProtocol) -> list[Any]:
    """What waits to be sent, each checked against the closed wire models."""
    texts = protocol.messages_to_send()
    for text in texts:
        messages.TO_VAIC.validate_json(text)
        assert "null" not in text
    return [json.loads(text) for text in texts]


def golden(*names: str) -> list[Any]:
    return [json.loads(TO_VAIC[name]) for name in names]


def accepted(*formats: str) -> AudioCodesProtocol:
    protocol = AudioCodesProtocol()
    offer = list(formats) or ["raw/lpcm16_24"]
    protocol.receive(changed("in-session-initiate", supportedMediaFormats=offer))
    protocol.messages_to_send()
    return protocol


def listening(*formats: str) -> AudioCodesProtocol:
    protocol = accepted(*formats)
    protocol.receive(FROM_VAIC["in-user-stream-start"])
    protocol.messages_to_send()
    return protocol


def refusal(protocol: AudioCodesProtocol, text: str) -> str:
    with pytest.raises(RemoteProtocolError) as caught:
        protocol.receive(text)
    assert caught.value.peer == "audiocodes"
    return caught.value.kind


# --- The documents --------------------------------------------------------------------------


@pytest.mark.parametrize("name", sorted(WHAT_VAIC_MEANS))
def test_every_documented_message_of_vaic_is_understood_and_answered(name: str) -> None:
    protocol = AudioCodesProtocol() if name in FIRST_ON_A_SOCKET else accepted()
    if name in ("in-user-stream-chunk", "in-user-stream-stop"):
        protocol = listening()
    meaning, answers = WHAT_VAIC_MEANS[name]

    assert protocol.receive(FROM_VAIC[name]) == meaning
    assert said(protocol) == golden(*answers)
    assert protocol.unknown_messages == 0


@pytest.mark.parametrize("name", sorted(WHAT_WE_SAY))
def test_every_effect_is_said_exactly_as_documented(name: str) -> None:
    protocol = accepted()
    for _ in range(6):
        protocol.send(PLAY)
        protocol.send(effects.EndPlayout())
    protocol.messages_to_send()
    doing, which = WHAT_WE_SAY[name]

    for effect in doing:
        protocol.send(effect)

    assert said(protocol)[which] == golden(name)[0]


@pytest.mark.parametrize("name", sorted(UNSENT))
def test_what_is_documented_and_never_sent_is_known_to_the_wire_models(name: str) -> None:
    messages.TO_VAIC.validate_json(UNSENT[name])


def test_every_golden_message_has_an_expectation() -> None:
    assert set(FROM_VAIC) == set(WHAT_VAIC_MEANS) | TOLD_ELSEWHERE
    assert set(TO_VAIC) == set(WHAT_WE_SAY) | ANSWERS


# --- The first message ----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("offer", "chosen", "audio_format"),
    [
        (["raw/mulaw", "raw/lpcm16_24"], "raw/lpcm16_24", PCM_24K),
        (["raw/lpcm16_8", "raw/lpcm16", "wav/lpcm16_24", "raw/mulaw"], "raw/mulaw", PCMU_8K),
        (["raw/lpcm16_8", "raw/lpcm16"], "raw/lpcm16", PCM_16K),
        (["wav/lpcm16_8", 8, None, "raw/lpcm16_8"], "raw/lpcm16_8", PCM_8K),
    ],
)
def test_the_format_is_the_first_of_our_own_that_is_offered(
    offer: list[object], chosen: str, audio_format: AudioFormat
) -> None:
    protocol = AudioCodesProtocol()
    assert not protocol.accepted

    arrived = protocol.receive(changed("in-session-initiate", supportedMediaFormats=offer))

    assert arrived == [events.CallArrived(CONVERSATION, audio_format, CALLER)]
    assert said(protocol) == [{"type": "session.accepted", "mediaFormat": chosen}]
    assert protocol.accepted
    assert protocol.conversation_id == CONVERSATION
    assert (protocol.media_format, protocol.audio_format) == (chosen, audio_format)


def test_an_offer_of_one_format_is_taken() -> None:
    (arrived,) = AudioCodesProtocol().receive(FROM_VAIC["in-session-initiate-one-format"])

    assert arrived == events.CallArrived(CONVERSATION, PCM_16K, CALLER)


@pytest.mark.parametrize(
    ("offer", "told"),
    [
        ([], ()),
        (["wav/mulaw", "raw/opus"], ("wav/mulaw", "raw/opus")),
        (["raw/15550100001", "not a name", "", "x" * 33, 7, None], ("?",) * 6),
        ([f"raw/{number}" for number in range(50)], tuple(f"raw/{n}" for n in range(12))),
        (..., ()),
        (None, ()),
    ],
)
def test_no_common_format_is_refused_aloud_and_what_was_offered_is_told(
    offer: object, told: tuple[str, ...]
) -> None:
    protocol = AudioCodesProtocol()

    heard = protocol.receive(changed("in-session-initiate", supportedMediaFormats=offer))

    assert heard == [events.CallerHungUp("no-common-format", told)]
    assert said(protocol) == golden("out-session-error")
    assert not protocol.accepted


def test_text_mode_is_refused_with_a_hint() -> None:
    protocol = AudioCodesProtocol()

    heard = protocol.receive(changed("in-session-initiate", expectAudioMessages=False))

    assert heard == [events.CallerHungUp("text-mode")]
    (error,) = said(protocol)
    assert error["type"] == "session.error"
    assert "enable voice streaming" in error["reason"]


@pytest.mark.parametrize("expected", [True, None, ...])
def test_sound_is_expected_unless_it_is_said_otherwise(expected: object) -> None:
    protocol = AudioCodesProtocol()
    protocol.receive(changed("in-session-initiate", expectAudioMessages=expected))

    assert protocol.accepted


@pytest.mark.parametrize("caller", ["", None, ...])
def test_a_caller_may_be_withheld(caller: object) -> None:
    (arrived,) = AudioCodesProtocol().receive(changed("in-session-initiate", caller=caller))

    assert arrived == events.CallArrived(CONVERSATION, PCM_24K, None)


@pytest.mark.parametrize(
    "broken",
    [
        {"conversationId": ...},
        {"conversationId": ""},
        {"supportedMediaFormats": "raw/mulaw"},
        {"expectAudioMessages": "perhaps"},
        {"caller": ["+1"]},
    ],
)
def test_an_initiate_that_lacks_its_facts_is_declined(broken: dict[str, object]) -> None:
    protocol = AudioCodesProtocol()

    assert protocol.receive(changed("in-session-initiate", **broken)) == [
        MessageRejected("audiocodes", "bad-fields"),
        events.CallerHungUp("telephony-error"),
    ]
    assert said(protocol) == [{"type": "session.error", "reason": "session.initiate is malformed"}]
    assert not protocol.accepted


def test_one_that_is_too_long_is_declined_as_well_and_the_call_is_over() -> None:
    protocol = AudioCodesProtocol()

    assert protocol.receive(changed("in-session-initiate", more="x" * messages.LONGEST_TEXT)) == [
        MessageRejected("audiocodes", "oversized"),
        events.CallerHungUp("telephony-error"),
    ]
    assert said(protocol) == [{"type": "session.error", "reason": "session.initiate is malformed"}]


@pytest.mark.parametrize("kind", ["session.initiate", "session.resume"])
def test_of_a_call_that_goes_on_what_is_too_long_costs_itself(kind: str) -> None:
    protocol = accepted() if kind == "session.initiate" else AudioCodesProtocol()

    assert refusal(protocol, f'{{"type":"{kind}"}}' + " " * messages.LONGEST_TEXT) == "oversized"
    assert said(protocol) == []


def test_a_resumed_call_is_unknown_to_a_new_socket() -> None:
    protocol = AudioCodesProtocol()

    assert protocol.receive(FROM_VAIC["in-session-resume"]) == [
        events.CallerHungUp("telephony-error")
    ]
    assert said(protocol) == [{"type": "session.error", "reason": "conversation not found"}]


def test_a_check_of_the_connection_is_no_call() -> None:
    protocol = AudioCodesProtocol()
    assert not protocol.validated

    assert protocol.receive(changed("in-connection-validate", conversationId="any")) == []

    assert protocol.validated
    assert protocol.conversation_id is None


def test_an_outbound_call_may_end_before_it_began() -> None:
    assert AudioCodesProtocol().receive(changed("in-session-end", reasonCode="busy")) == [
        events.CallerHungUp("not-answered")
    ]


def test_nothing_of_a_call_may_come_before_it() -> None:
    protocol = AudioCodesProtocol()

    assert refusal(protocol, FROM_VAIC["in-activities-start"]) == "out-of-order"
    assert refusal(protocol, FROM_VAIC["in-user-stream-start"]) == "out-of-order"
    assert refusal(protocol, FROM_VAIC["in-user-stream-stop"]) == "out-of-order"
    assert refusal(protocol, FROM_VAIC["in-user-stream-chunk"]) == "media-before-start"
    assert protocol.receive('{"type":"session.news"}') == []
    assert protocol.unknown_messages == 1


@pytest.mark.parametrize("conversation", [CONVERSATION, "another"])
def test_a_second_initiate_changes_nothing(conversation: str) -> None:
    protocol = accepted()

    text = changed("in-session-initiate", conversationId=conversation)

    assert refusal(protocol, text) == "second-initiate"
    assert protocol.conversation_id == CONVERSATION
    assert protocol.accepted


def test_a_call_under_way_is_not_resumed_on_its_own_socket() -> None:
    assert refusal(accepted(), FROM_VAIC["in-session-resume"]) == "out-of-order"


# --- Any message ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ("", "not-json"),
        ("hello", "not-json"),
        ('{"type":Infinity}', "not-json"),
        ("\ud800", "not-json"),
        (r'"\ud800"', "not-an-object"),
        ('{"a":' * 5000, "not-json"),
        ("[]", "not-an-object"),
        ("{}", "no-type"),
        ('{"type":null}', "no-type"),
        ('{"type":{"type":"session.end"}}', "no-type"),
        ('{"type":"activities"}', "bad-fields"),
        ('{"type":"activities"}' + " " * messages.LONGEST_TEXT, "oversized"),
        ('{"type":"activities","activities":{}}', "bad-fields"),
        ('{"type":"userStream.start","participant":["caller"]}', "bad-fields"),
    ],
)
def test_what_is_no_message_is_named(text: str, kind: str) -> None:
    assert refusal(accepted(), text) == kind


@pytest.mark.parametrize("name", sorted(set(FROM_VAIC) - FIRST_ON_A_SOCKET))
def test_another_conversation_is_not_ours(name: str) -> None:
    assert refusal(listening(), changed(name, conversationId="another")) == "unknown-conversation"


@pytest.mark.parametrize("nameless", [..., None])
def test_a_message_need_not_name_the_conversation_of_its_socket(nameless: object) -> None:
    text = changed("in-user-stream-chunk", conversationId=nameless)

    assert listening().receive(text) == [events.CallerSpoke(CHUNK)]


@pytest.mark.parametrize("later", [4711, "4711"])
def test_a_conversation_may_be_a_number(later: object) -> None:
    protocol = AudioCodesProtocol()
    protocol.receive(changed("in-session-initiate", conversationId=4711))
    assert protocol.conversation_id == "4711"

    protocol.receive(changed("in-user-stream-start", conversationId=later))
    chunk = changed("in-user-stream-chunk", conversationId=later)
    assert [type(one) for one in protocol.receive(chunk)] == [events.CallerSpoke]
    another = changed("in-user-stream-chunk", conversationId=4712)
    assert refusal(protocol, another) == "unknown-conversation"
    assert protocol.receive(changed("in-session-end", conversationId=later))


def test_unknown_messages_are_tolerated_and_counted() -> None:
    protocol = accepted()

    assert protocol.receive(FROM_VAIC["in-play-stream-mark-reached"]) == []
    assert protocol.receive(FROM_VAIC["in-activities-hangup"]) == []
    assert protocol.unknown_messages == 2
    assert protocol.accepted


# --- The caller's stream --------------------------------------------------------------------


def test_a_chunk_is_passed_on_as_the_text_it_came_as() -> None:
    (spoke,) = listening().receive(FROM_VAIC["in-user-stream-chunk"])

    assert isinstance(spoke, events.CallerSpoke)
    assert spoke.audio.text == "AAAAAAAAAAAAAAAA"


def test_chunks_before_the_stream_are_refused_and_after_it_ignored() -> None:
    protocol = accepted()
    assert refusal(protocol, FROM_VAIC["in-user-stream-chunk"]) == "media-before-start"

    protocol.receive(FROM_VAIC["in-user-stream-start"])
    protocol.receive(FROM_VAIC["in-user-stream-stop"])

    assert protocol.receive(FROM_VAIC["in-user-stream-chunk"]) == []
    assert protocol.stray_chunks == 1


def test_a_stream_may_be_opened_again() -> None:
    protocol = listening()
    protocol.receive(FROM_VAIC["in-user-stream-stop"])

    assert protocol.receive(FROM_VAIC["in-user-stream-start"]) == [events.CallerStreamStarted()]
    assert protocol.receive(FROM_VAIC["in-user-stream-chunk"]) == [events.CallerSpoke(CHUNK)]


def test_what_is_said_twice_is_answered_twice_and_happens_once() -> None:
    protocol = listening()

    assert protocol.receive(FROM_VAIC["in-user-stream-start"]) == []
    assert len(protocol.receive(FROM_VAIC["in-user-stream-stop"])) == 1
    assert protocol.receive(FROM_VAIC["in-user-stream-stop"]) == []
    assert said(protocol) == golden(
        "out-user-stream-started", "out-user-stream-stopped", "out-user-stream-stopped"
    )


def test_a_participant_is_echoed_and_a_second_one_not_listened_to() -> None:
    protocol = accepted()
    protocol.receive(changed("in-user-stream-start", participant="caller"))
    protocol.receive(changed("in-user-stream-start", participant="callee"))

    chunk = changed("in-user-stream-chunk", participant="callee")
    assert protocol.receive(chunk) == []
    assert protocol.stray_chunks == 1
    assert protocol.receive(changed("in-user-stream-stop", participant="callee")) == []
    chunk = changed("in-user-stream-chunk", participant="caller")
    assert protocol.receive(chunk) == [events.CallerSpoke(CHUNK)]
    protocol.send(effects.TellSpeechStarted())
    assert said(protocol) == [
        {"type": "userStream.started", "participant": "caller"},
        {"type": "userStream.started", "participant": "callee"},
        {"type": "userStream.stopped", "participant": "callee"},
        {"type": "userStream.speech.started", "participant": "caller"},
    ]


@pytest.mark.parametrize("at_start", [{}, {"participant": None}, {"participant": "caller"}])
@pytest.mark.parametrize("later", [{}, {"participant": ""}, {"participant": "caller"}])
def test_the_only_stream_is_the_callers_however_it_is_named(
    at_start: dict[str, Any], later: dict[str, Any]
) -> None:
    protocol = accepted()
    protocol.receive(changed("in-user-stream-start", **at_start))

    chunk = changed("in-user-stream-chunk", **later)
    assert protocol.receive(chunk) == [events.CallerSpoke(CHUNK)]
    stop = changed("in-user-stream-stop", **later)
    assert protocol.receive(stop) == [events.CallerStreamStopped()]
    assert protocol.frame(chunk) is None
    assert protocol.stray_chunks == 0


def test_a_participant_may_be_a_number() -> None:
    protocol = accepted()
    protocol.receive(changed("in-user-stream-start", participant=1))

    chunk = changed("in-user-stream-chunk", participant=1)
    assert protocol.receive(chunk) == [events.CallerSpoke(CHUNK)]
    assert protocol.receive(changed("in-user-stream-chunk", participant=2)) == []
    stop = changed("in-user-stream-stop", participant=1)
    assert protocol.receive(stop) == [events.CallerStreamStopped()]


@pytest.mark.parametrize("first", [{}, {"participant": "caller"}])
def test_of_two_streams_the_first_is_heard_named_or_not(first: dict[str, Any]) -> None:
    protocol = accepted()
    protocol.receive(changed("in-user-stream-start", **first))
    of_another = f'{{"type":"userStream.chunk","participant":"callee","audioChunk":"{CHUNK.text}"}}'
    protocol.receive(of_another)
    assert (protocol.frame(of_another) is None) == bool(first), "whose it is, nobody has said"
    protocol.receive(changed("in-user-stream-start", participant="callee"))

    assert protocol.frame(of_another) is None
    assert protocol.receive(of_another) == []
    assert protocol.receive(changed("in-user-stream-stop", participant="callee")) == []
    unnamed = FROM_VAIC["in-user-stream-chunk"]
    assert protocol.receive(unnamed) == [events.CallerSpoke(CHUNK)]
    assert protocol.receive(FROM_VAIC["in-user-stream-stop"]) == [events.CallerStreamStopped()]


def test_of_a_caller_without_a_name_all_the_others_are_told_apart() -> None:
    protocol = accepted()
    protocol.receive(FROM_VAIC["in-user-stream-start"])
    for party in ("agent", "supervisor"):
        protocol.receive(changed("in-user-stream-start", participant=party))

    for party in ("agent", "supervisor"):
        assert protocol.receive(changed("in-user-stream-chunk", participant=party)) == []
        stop = changed("in-user-stream-stop", participant=party)
        assert [*protocol.receive(stop), *protocol.receive(stop)] == []
        assert protocol.receive(FROM_VAIC["in-user-stream-chunk"]) == [events.CallerSpoke(CHUNK)]
    assert protocol.stray_chunks == 2


def test_beside_a_caller_with_a_name_one_without_is_another() -> None:
    protocol = accepted()
    protocol.receive(changed("in-user-stream-start", participant="caller"))
    protocol.receive(FROM_VAIC["in-user-stream-start"])
    chunk, named = FROM_VAIC["in-user-stream-chunk"], {"participant": "caller"}
    assert protocol.receive(chunk) == [events.CallerSpoke(CHUNK)], "it may be his"

    assert protocol.receive(changed("in-user-stream-chunk", **named)) == [events.CallerSpoke(CHUNK)]
    assert protocol.receive(chunk) == []
    assert protocol.frame(chunk) is None
    assert protocol.receive(FROM_VAIC["in-user-stream-stop"]) == []
    assert protocol.receive(FROM_VAIC["in-user-stream-stop"]) == [events.CallerStreamStopped()]


@pytest.mark.parametrize("caller", [{}, {"participant": "caller"}])
def test_once_all_have_stopped_the_callers_place_is_still_his(caller: dict[str, Any]) -> None:
    another = {"participant": "callee"}
    protocol = accepted()
    for party in (caller, another):
        protocol.receive(changed("in-user-stream-start", **party))
    stopped = protocol.receive(changed("in-user-stream-stop", **caller))
    assert stopped == [events.CallerStreamStopped()]
    assert protocol.receive(changed("in-user-stream-stop", **another)) == []

    assert protocol.receive(changed("in-user-stream-start", **another)) == []
    assert protocol.receive(changed("in-user-stream-chunk", **another)) == []
    again = protocol.receive(changed("in-user-stream-start", **caller))
    assert again == [events.CallerStreamStarted()]
    chunk = protocol.receive(changed("in-user-stream-chunk", **caller))
    assert chunk == [events.CallerSpoke(CHUNK)]
    assert len(said(protocol)) == 6


@pytest.mark.parametrize("name", [{}, {"participant": "caller-2"}])
def test_who_was_never_seen_beside_him_may_be_him_under_another_name(name: dict[str, Any]) -> None:
    protocol = accepted()
    protocol.receive(changed("in-user-stream-start", participant="caller"))
    if not name:  # nor is a start said twice anybody else's
        protocol.receive(FROM_VAIC["in-user-stream-start"])
    protocol.receive(changed("in-user-stream-stop", participant="caller"))

    again = protocol.receive(changed("in-user-stream-start", **name))
    assert again == [events.CallerStreamStarted()]


def test_so_many_others_are_told_apart_and_no_more() -> None:
    protocol = accepted()
    for party in ({}, *({"participant": f"p{number}"} for number in range(MOST_OTHERS + 1))):
        protocol.receive(changed("in-user-stream-start", **party))

    last, first_of_all = f"p{MOST_OTHERS}", "p0"
    assert protocol.receive(changed("in-user-stream-chunk", participant=first_of_all)) == []
    heard = protocol.receive(changed("in-user-stream-chunk", participant=last))
    assert heard == [events.CallerSpoke(CHUNK)]


def test_a_sample_cut_in_two_is_put_together_again() -> None:
    protocol = listening()
    heard = b""
    for piece in (b"\x01", b"\x02\x03", b"\x04", b"\x05", b"\x06\x07\x08\x09"):
        text = changed("in-user-stream-chunk", audioChunk=Audio.of(piece, PCM_24K).text)
        for spoke in protocol.receive(text):
            assert isinstance(spoke, events.CallerSpoke)
            assert spoke.audio.size_bytes % 2 == 0
            heard += spoke.audio.raw

    assert heard == bytes(range(1, 9))


def test_half_a_sample_does_not_outlive_its_stream() -> None:
    protocol = listening()
    protocol.receive(changed("in-user-stream-chunk", audioChunk="AQ=="))
    protocol.receive(FROM_VAIC["in-user-stream-stop"])
    protocol.receive(FROM_VAIC["in-user-stream-start"])

    assert protocol.receive(FROM_VAIC["in-user-stream-chunk"]) == [events.CallerSpoke(CHUNK)]


def test_a_byte_of_mulaw_is_whole() -> None:
    spoke = listening("raw/mulaw").receive(changed("in-user-stream-chunk", audioChunk="/w=="))

    assert spoke == [events.CallerSpoke(Audio("/w==", PCMU_8K))]


@pytest.mark.parametrize(
    ("chunk", "kind"),
    [
        ("", "bad-fields"),
        (None, "bad-fields"),
        (..., "bad-fields"),
        (5, "bad-fields"),
        ("AAA", "bad-base64"),
        ("AA A", "bad-base64"),
        ("__==", "bad-base64"),
        ("ÄÄÄÄ", "bad-base64"),
    ],
)
def test_a_chunk_without_usable_sound_costs_itself(chunk: object, kind: str) -> None:
    assert refusal(listening(), changed("in-user-stream-chunk", audioChunk=chunk)) == kind


# --- Activities -----------------------------------------------------------------------------


def test_every_activity_counts_and_in_order() -> None:
    heard = accepted().receive(
        activities(
            event("DTMF", value="1"),
            event("playFinished"),
            event("dtmf", value=2),
            event("DTMF", value="#d"),
        )
    )

    assert heard == [
        events.DigitsPressed(Private("1")),
        events.PlayFinished(None),
        events.DigitsPressed(Private("2")),
        events.DigitsPressed(Private("#D")),
    ]


@pytest.mark.parametrize(
    "broken",
    [
        5,
        None,
        {},
        {"type": "event"},
        {"type": "event", "name": ["DTMF"]},
        event(""),
        event("start", parameters=["caller"]),
        event("DTMF"),
        event("DTMF", value=""),
        event("DTMF", value="12x"),
        event("DTMF", value=1.5),
        event("DTMF", value=True),
        event("transferStatus"),
        event("transferStatus", value={"reasonCode": "busy"}),
        event("playFinished", streamId=["7"]),
    ],
)
def test_a_malformed_activity_costs_only_itself(broken: object) -> None:
    heard = accepted().receive(
        activities(event("DTMF", value="1"), broken, event("DTMF", value="2"))
    )

    assert heard == [
        events.DigitsPressed(Private("1")),
        MessageRejected("audiocodes", "bad-activity"),
        events.DigitsPressed(Private("2")),
    ]


@pytest.mark.parametrize(
    ("value", "times"),
    [(2, 2), (True, 0), (..., 0), (None, 0), ("often", 0), (-1, 0), (1.5, 0), ({"times": 2}, 0)],
)
def test_how_often_nobody_has_said_anything_need_not_be_told(value: object, times: int) -> None:
    fields = {} if value is ... else {"value": value}

    heard = accepted().receive(activities(event("noUserInput", **fields)))
    assert heard == [events.NoInputReported(times)]


@pytest.mark.parametrize("name", ["START", "start", "Start"])
def test_names_of_events_are_matched_whatever_their_case(name: str) -> None:
    (started,) = accepted().receive(activities(event(name)))

    assert started == events.CallStarted(CALLER, None, Private({}))


def test_parameters_become_text() -> None:
    parameters = {
        "caller": 4477,
        "callee": "",
        "agentConnected": True,
        "dialoutMetadata": {"order": [1, None]},
        "nothing": None,
    }

    (started,) = accepted().receive(activities(event("start", parameters=parameters)))

    assert isinstance(started, events.CallStarted)
    assert started.caller == Private("4477")
    assert started.callee is None
    assert started.parameters.value == {
        "caller": "4477",
        "callee": "",
        "agentConnected": "true",
        "dialoutMetadata": '{"order":[1,null]}',
    }


def test_a_parameter_too_deep_to_write_down_does_not_cost_the_call() -> None:
    deep = "[" * 500 + "]" * 500
    text = activities(event("start", parameters={"deep": "HERE", "a": "b"}))

    (started,) = accepted().receive(text.replace('"HERE"', deep))

    assert isinstance(started, events.CallStarted)
    assert started.parameters.value == {"deep": "", "a": "b"}


@pytest.mark.parametrize("parameters", [..., None])
def test_a_start_needs_no_parameters(parameters: object) -> None:
    fields = {} if parameters is ... else {"parameters": parameters}

    assert accepted().receive(activities(event("start", **fields))) == [events.CallStarted(CALLER)]


def test_a_call_starts_once() -> None:
    protocol = accepted()
    protocol.receive(FROM_VAIC["in-activities-start"])

    assert protocol.receive(FROM_VAIC["in-activities-start"]) == [
        MessageRejected("audiocodes", "second-start")
    ]


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        ({"status": "failed", "reasonCode": "no-answer"}, "no-answer"),
        ({"status": "failed", "reasonCode": "declined"}, "declined"),
        ({"status": "failed", "reasonCode": "+15550100300"}, "error"),
        ({"status": "failed", "reasonCode": ["busy"]}, "error"),
        ({"status": "failed"}, "error"),
    ],
)
def test_a_failed_transfer_has_a_reason_from_a_closed_list(
    value: dict[str, object], reason: str
) -> None:
    heard = accepted().receive(activities(event("transferStatus", value=value)))

    assert heard == [events.TransferFailed(reason)]


@pytest.mark.parametrize(
    "activity",
    [
        event("transferStatus", value={"status": "ringing"}),
        event("voiceDetected"),
        {"type": "message", "text": "hello"},
        {"type": "message", "name": None, "text": "hello"},
        {"type": "config", "name": "start"},
    ],
)
def test_unknown_activities_are_tolerated_and_counted(activity: object) -> None:
    protocol = accepted()

    assert protocol.receive(activities(activity)) == []
    assert protocol.unknown_messages == 1


# --- The end --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("code", "reason"),
    [
        *messages.END_REASONS.items(),
        ("meteor", "unknown"),
        (None, "unknown"),
        (..., "unknown"),
        ([], "unknown"),
    ],
)
def test_every_end_has_a_reason_from_our_list(code: object, reason: str) -> None:
    protocol = accepted()
    protocol.send(PLAY)

    assert protocol.receive(changed("in-session-end", reasonCode=code)) == [
        events.CallerHungUp(reason)
    ]
    assert reason in REASONS
    assert not protocol.accepted
    assert protocol.open_stream is None


@pytest.mark.parametrize("name", sorted(FROM_VAIC))
def test_after_the_end_nothing_is_in_order(name: str) -> None:
    protocol = listening()
    protocol.receive(FROM_VAIC["in-session-end"])

    assert refusal(protocol, FROM_VAIC[name]) == "out-of-order"
    assert said(protocol) == []


@pytest.mark.parametrize("begun", [AudioCodesProtocol, listening])
def test_a_call_may_be_refused_at_any_time_and_once(begun: Any) -> None:
    protocol: AudioCodesProtocol = begun()

    protocol.refuse("the model cannot be reached")
    protocol.refuse("again")

    assert said(protocol) == [{"type": "session.error", "reason": "the model cannot be reached"}]
    assert not protocol.accepted


def test_what_was_on_its_way_when_we_refused_is_nobodys_fault() -> None:
    protocol = listening()
    protocol.send(PLAY)
    protocol.refuse("fault")
    protocol.messages_to_send()

    assert protocol.open_stream is None
    assert protocol.receive(FROM_VAIC["in-user-stream-chunk"]) == []
    assert protocol.receive(FROM_VAIC["in-activities-dtmf"]) == []
    assert protocol.receive(FROM_VAIC["in-user-stream-stop"]) == []
    assert said(protocol) == []
    assert protocol.receive(changed("in-session-end", reasonCode="error")) == [
        events.CallerHungUp("telephony-error")
    ]
    protocol.refuse("too late")
    assert said(protocol) == []


def test_a_declined_call_ends_once() -> None:
    protocol = AudioCodesProtocol()
    protocol.receive(changed("in-session-initiate", supportedMediaFormats=[]))

    assert protocol.receive(changed("in-session-end", reasonCode="error")) == []


def test_a_call_that_we_end_is_given_up_aloud() -> None:
    protocol = listening()
    protocol.call_ended("no-start")

    assert said(protocol) == [{"type": "session.error", "reason": "no-start"}]
    assert not protocol.accepted


LEAVING = (effects.HangUp("done"), effects.TransferCall(Private("+15550100300"), "billing"))


@pytest.mark.parametrize("leaves", LEAVING)
def test_one_that_vaic_was_told_to_end_is_its_own_to_end(leaves: ToTelephony) -> None:
    protocol = listening()
    protocol.send(leaves)
    assert [one["type"] for one in said(protocol)] == ["activities"]
    protocol.call_ended("agent-hung-up")

    assert said(protocol) == []


@pytest.mark.parametrize("told", [True, False])
def test_and_stays_that_though_something_comes_late(told: bool) -> None:
    """What came of a transfer that was not waited for, or sound of ours."""
    protocol = listening()
    protocol.send(LEAVING[1])
    protocol.send(LEAVING[0])
    if told:
        protocol.receive(FROM_VAIC["in-activities-transfer-failed"])
    else:
        protocol.send(PLAY)
    said(protocol)
    protocol.call_ended("agent-hung-up")

    assert said(protocol) == []


@pytest.mark.parametrize("told", [True, False])
def test_one_that_was_not_handed_over_is_ours_again_to_give_up(told: bool) -> None:
    """Whether VAIC says so, or never says what came of it and he hears us again."""
    protocol = listening()
    protocol.send(LEAVING[1])
    if told:
        protocol.receive(FROM_VAIC["in-activities-transfer-failed"])
    else:
        protocol.send(PLAY)
    said(protocol)
    protocol.call_ended("telephony-too-slow")

    assert said(protocol) == [{"type": "session.error", "reason": "telephony-too-slow"}]


def test_nobody_is_told_of_the_end_of_a_call_that_never_began() -> None:
    protocol = AudioCodesProtocol()
    protocol.call_ended("no-start")

    assert said(protocol) == []


# --- To VAIC --------------------------------------------------------------------------------


def test_a_stream_opens_with_the_first_sound_and_every_stream_is_new() -> None:
    protocol = accepted()
    for effect in (PLAY, PLAY, effects.EndPlayout(), PLAY, effects.EndPlayout()):
        protocol.send(effect)

    assert [(each["type"], each["streamId"]) for each in said(protocol)] == [
        ("playStream.start", "1"),
        ("playStream.chunk", "1"),
        ("playStream.chunk", "1"),
        ("playStream.stop", "1"),
        ("playStream.start", "2"),
        ("playStream.chunk", "2"),
        ("playStream.stop", "2"),
    ]


@pytest.mark.parametrize("closed_already", [True, False])
def test_a_clear_also_stops_what_plays_on_after_the_stream_is_closed(closed_already: bool) -> None:
    protocol = accepted()
    protocol.send(PLAY)
    if closed_already:
        protocol.send(effects.EndPlayout())
    protocol.send(effects.ClearPlayout())

    stop, abort = said(protocol)[-2:]
    assert stop == {"type": "playStream.stop", "streamId": "1"}
    assert abort == {
        "type": "activities",
        "activities": [{"type": "event", "name": "abortPrompts"}],
    }


def test_it_shows_which_stream_is_open() -> None:
    protocol = accepted()
    assert protocol.open_stream is None

    protocol.send(PLAY)
    assert protocol.open_stream == "1"

    protocol.send(effects.EndPlayout())
    assert protocol.open_stream is None


@pytest.mark.parametrize(
    "effect", [effects.EndPlayout(), effects.ClearPlayout(), effects.PlaceMark("mark-1")]
)
def test_what_changes_nothing_is_not_said(effect: ToTelephony) -> None:
    for protocol in (AudioCodesProtocol(), accepted()):
        protocol.send(effect)
        assert said(protocol) == []


def test_no_sound_opens_no_stream() -> None:
    protocol = accepted()

    protocol.send(effects.PlayAudio(Audio("", PCM_24K)))

    assert said(protocol) == []
    assert protocol.open_stream is None


@pytest.mark.parametrize("audio", [Audio("AAAA", PCM_24K), Audio("AAAA", PCMU_8K)])
def test_half_samples_and_other_formats_are_bugs_of_ours(audio: Audio) -> None:
    protocol = accepted()

    with pytest.raises(LocalProtocolError):
        protocol.send(effects.PlayAudio(audio))

    assert said(protocol) == []


@pytest.mark.parametrize(
    ("name", "audio_format", "zero"),
    [("raw/lpcm16_24", PCM_24K, 0), ("raw/lpcm16", PCM_16K, 0), ("raw/mulaw", PCMU_8K, 0xFF)],
)
def test_the_phone_is_answered_with_a_fifth_of_a_second_of_silence(
    name: str, audio_format: AudioFormat, zero: int
) -> None:
    protocol = accepted(name)

    protocol.send(effects.AnswerCall())

    start, chunk, stop = said(protocol)
    assert start == {"type": "playStream.start", "streamId": "1", "mediaFormat": name}
    assert stop == {"type": "playStream.stop", "streamId": "1"}
    silence = Audio(chunk["audioChunk"], audio_format)
    assert silence.ms == 200
    assert set(silence.raw) == {zero}


def test_a_phone_that_was_answered_is_not_answered_again() -> None:
    protocol = accepted()
    protocol.send(PLAY)
    protocol.messages_to_send()

    protocol.send(effects.AnswerCall())

    assert said(protocol) == []
    assert protocol.open_stream == "1"


@pytest.mark.parametrize("effect", [HANG_UP, TRANSFER], ids=["hang-up", "transfer"])
def test_an_open_stream_is_closed_before_the_call_is_given_away(effect: ToTelephony) -> None:
    protocol = accepted()
    protocol.send(PLAY)
    protocol.messages_to_send()

    protocol.send(effect)

    assert [each["type"] for each in said(protocol)] == ["playStream.stop", "activities"]
    assert protocol.open_stream is None


@pytest.mark.parametrize(
    ("target", "address"),
    [
        ("+15550100300", "tel:+15550100300"),
        ("tel:+15550100300", "tel:+15550100300"),
        ("sip:front@example.com", "sip:front@example.com"),
        ("sips:front@example.com", "sips:front@example.com"),
    ],
)
def test_a_transfer_goes_to_an_address(target: str, address: str) -> None:
    protocol = accepted()

    protocol.send(effects.TransferCall(Private(target), ""))

    (message,) = said(protocol)
    assert message["activities"][0]["activityParams"] == {
        "transferTarget": address,
        "transferNotifications": True,
    }


def test_a_transfer_to_no_address_is_a_bug_of_ours_and_is_not_repeated() -> None:
    with pytest.raises(LocalProtocolError) as caught:
        accepted().send(effects.TransferCall(Private("15550100300"), "x"))

    assert "15550100300" not in str(caught.value)


def test_a_reason_with_half_a_character_is_still_said() -> None:
    protocol = accepted()

    protocol.send(effects.TransferCall(Private("+15550100300"), "\ud83d"))

    (text,) = protocol.messages_to_send()
    assert text.isascii()


@pytest.mark.parametrize("effect", NEEDS_ACCEPTANCE, ids=lambda each: type(each).__name__)
def test_nothing_is_said_outside_an_accepted_session(effect: ToTelephony) -> None:
    refused, ended = listening(), listening()
    refused.refuse("fault")
    refused.messages_to_send()
    ended.receive(FROM_VAIC["in-session-end"])

    for protocol in (AudioCodesProtocol(), refused, ended):
        with pytest.raises(LocalProtocolError):
            protocol.send(effect)
        assert said(protocol) == []


def test_this_wire_carries_every_effect() -> None:
    assert AudioCodesProtocol.by_other_means == frozenset()
    with pytest.raises(AssertionError):
        accepted().send(cast(Any, object()))


def test_the_list_of_nothing_belongs_to_whoever_took_it() -> None:
    protocol = accepted()
    protocol.messages_to_send().append("mine")

    assert protocol.messages_to_send() == []


@pytest.mark.parametrize(
    "text", ['{"type":"session.end"}', '{"type":"playStream.stop","streamId":null}']
)
def test_the_wire_models_know_what_a_bot_may_not_say(text: str) -> None:
    with pytest.raises(ValueError):
        messages.TO_VAIC.validate_json(text)


def test_a_summary_goes_with_a_transfer_as_a_sip_header_of_bounded_length() -> None:
    protocol = listening()
    said(protocol)
    protocol.send(replace(TRANSFER, summary="Zoë paid twice.\r\nX-Evil: 1"))
    protocol.send(replace(TRANSFER, summary="ë" * 200))

    ordinary, long = (
        message["activities"][0]["activityParams"]["transferSipHeaders"]
        for message in said(protocol)
    )
    assert ordinary == [
        {"name": "X-Handover-Summary", "value": "Zo%C3%AB paid twice.%0D%0AX-Evil: 1"}
    ]
    assert long[0]["value"] == "%C3%AB" * 50


@pytest.mark.parametrize(
    ("summary", "shown"),
    [
        ("a" * 400, "a" * 300),
        ("a" * 300, "a" * 300),
        ("a" * 298 + "%", "a" * 298),
        ("a" + "ë" * 200, "a" + "ë" * 49),
        ("ab" + "字" * 100, "ab" + "字" * 33),
        ("abc" + "\U0001f600" * 100, "abc" + "\U0001f600" * 24),
        ("\ud800", "?"),
    ],
)
def test_a_summary_is_shortened_by_whole_characters(summary: str, shown: str) -> None:
    value = messages.summary_header(summary)["value"]

    assert len(value) <= messages.LONGEST_HEADER
    assert unquote(value, errors="strict") == shown

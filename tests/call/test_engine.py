"""Text in, text out: a whole engine, with the texts the peers would send."""

from dataclasses import replace
from typing import Any

import orjson
import pytest

from opusbridge import effects, events
from opusbridge.call.call import Call
from opusbridge.call.engine import (
    LONGEST_TELEPHONY_TEXT,
    Engine,
    Observer,
    Outgoing,
    TelephonyProtocol,
    by_type,
)
from opusbridge.call.patience import MOST_BAD_MESSAGES, UNKNOWN_AT_ONCE
from opusbridge.call.policy import (
    AUDIOCODES,
    TWILIO,
    CallPolicy,
    Clip,
    TelephonyTraits,
    model_format,
)
from opusbridge.effects import Effect, Note, SessionConfig, TurnDetection
from opusbridge.errors import ending
from opusbridge.events import Event
from opusbridge.privacy import Private
from opusbridge.protocols.audiocodes import AudioCodesProtocol
from opusbridge.protocols.audiocodes.messages import LONGEST_CHUNK
from opusbridge.protocols.realtime import RealtimeProtocol
from opusbridge.protocols.twilio import TwilioProtocol
from opusbridge.sound import PCM_16K, PCM_24K, PCMU_8K

SESSION = SessionConfig(
    "Be kind.", PCMU_8K, turn_detection=TurnDetection("server_vad", False, True)
)


def text(event: str, **body: Any) -> str:
    return orjson.dumps({"event": event, "streamSid": "MZ1", **body}).decode()


def said(type: str, **body: Any) -> str:
    return orjson.dumps({"type": type, **body}).decode()


def media(payload: str, at_ms: int = 100) -> str:
    return text("media", media={"track": "inbound", "timestamp": str(at_ms), "payload": payload})


START = text(
    "start",
    start={
        "streamSid": "MZ1",
        "accountSid": "AC1",
        "callSid": "CA1",
        "mediaFormat": {"encoding": "audio/x-mulaw", "sampleRate": 8000, "channels": 1},
    },
)
FORMAT = {"format": {"type": "audio/pcmu"}}
READY = said("session.updated", session={"audio": {"input": FORMAT, "output": FORMAT}})
DELTA = said(
    "response.output_audio.delta",
    response_id="resp_1",
    item_id="item_1",
    content_index=0,
    delta="VVVV" * 200,  # 600 bytes
)


def on_twilio(*observers: Observer) -> Engine:
    call = Call(CallPolicy(TWILIO, SESSION), 0.0)
    return Engine(call, TwilioProtocol(), RealtimeProtocol(), observers)


def in_conversation(*observers: Observer) -> Engine:
    """The caller is there, the model is ready, and nothing was said yet."""
    engine = on_twilio(*observers)
    engine.telephony_said(START, 1.0)
    engine.model_said(said("session.created", session={"id": "sess_1"}), 1.0)
    engine.model_said(READY, 1.0)
    return engine


def answering(*observers: Observer) -> Engine:
    """A turn of the caller's was committed, and a response accepted for it."""
    engine = in_conversation(*observers)
    for kind, body in (
        ("input_audio_buffer.speech_started", {"audio_start_ms": 0}),
        ("input_audio_buffer.speech_stopped", {"audio_end_ms": 500}),
        ("input_audio_buffer.committed", {}),
    ):
        engine.model_said(said(kind, item_id="item_0", **body), 2.0)
    response = {"id": "resp_1", "status": "in_progress", "metadata": {"bridge_req": "request-1"}}
    engine.model_said(said("response.created", response=response), 2.1)
    return engine


def types(texts: list[str], key: str = "type") -> list[str]:
    return [orjson.loads(one)[key] for one in texts]


def test_a_callers_frame_reaches_the_model_as_the_text_it_came_as() -> None:
    engine = in_conversation()

    assert engine.telephony_said(media("VVVV"), 2.0) == Outgoing(
        [], ['{"type":"input_audio_buffer.append","audio":"VVVV"}'], []
    )


def test_the_models_speech_reaches_the_caller_in_frames_with_a_mark_behind() -> None:
    engine = answering()

    out = engine.model_said(DELTA, 2.5)

    assert types(out.to_telephony, "event") == ["media", "mark"]
    assert out.to_model == []


def test_one_text_may_mean_several_things_and_each_is_decided_in_order() -> None:
    seen: list[Event | Effect] = []
    engine = on_twilio(lambda what, now: seen.append(what))

    engine.telephony_said(START, 1.0)

    kinds = [type(what) for what in seen]
    assert kinds.index(events.CallArrived) < kinds.index(events.CallStarted)
    assert engine.call.provider_call_id == "CA1"


@pytest.mark.parametrize(
    ("bad", "kind"),
    [
        ("{", "not-json"),
        ("[]", "not-an-object"),
        (" " * LONGEST_TELEPHONY_TEXT + "{}", "oversized"),
    ],
)
def test_a_text_of_the_telephony_side_that_cannot_be_used_costs_itself(bad: str, kind: str) -> None:
    engine = in_conversation()

    out = engine.telephony_said(bad, 2.0)

    (note,) = out.effects
    assert isinstance(note, Note)
    assert note.kind == "bad-message"
    assert note.reason == f"twilio:{kind}"
    assert engine.telephony_said(media("VVVV"), 2.1).to_model


def test_audiocodes_may_send_a_second_of_sound_at_once_and_nothing_else() -> None:
    seen: list[Event | Effect] = []
    call = Call(CallPolicy(AUDIOCODES, SESSION), 0.0)
    protocol, show = AudioCodesProtocol(), lambda what, now: seen.append(what)
    engine = Engine(call, protocol, RealtimeProtocol(), [show])
    offer = ["raw/lpcm16_24"]
    engine.telephony_said(
        said("session.initiate", conversationId="c-1", supportedMediaFormats=offer), 0.1
    )
    engine.telephony_said(said("userStream.start"), 0.2)
    chunk = said("userStream.chunk", audioChunk="AAAA" * 17_600)
    assert len(chunk) > LONGEST_TELEPHONY_TEXT
    for text in (chunk, chunk + " " * LONGEST_CHUNK, said("activities", activities=[chunk])):
        engine.telephony_said(text, 1.3)

    assert [what.audio.ms for what in seen if isinstance(what, events.CallerSpoke)] == [1100.0]
    rejected = [what.kind for what in seen if isinstance(what, events.MessageRejected)]
    assert rejected == ["oversized", "oversized"]


def test_the_longest_text_of_the_telephony_side_is_still_read() -> None:
    text = media("VVVV")

    padded = text + " " * (LONGEST_TELEPHONY_TEXT - len(text))

    assert in_conversation().telephony_said(padded, 2.0).to_model


def test_a_text_of_the_model_that_cannot_be_used_costs_itself() -> None:
    engine = in_conversation()

    assert engine.model_said("{", 2.0).effects == [Note("bad-message", "model:not-json")]
    assert engine.ended is None


def test_messages_of_unknown_kinds_are_noted_and_never_end_a_call() -> None:
    engine = in_conversation()

    for _ in range(MOST_BAD_MESSAGES + 1):
        told = engine.telephony_said(text("news"), 2.0)
        answered = engine.model_said(said("response.news"), 2.0)
        assert told.effects == [Note("unknown-message", "twilio")]
        assert answered.effects == [Note("unknown-message", "model")]

    assert engine.ended is None
    assert engine.model_said(said("response.content_part.added"), 2.0).effects == []


def test_one_message_of_an_unknown_kind_with_each_frame_never_ends_a_call() -> None:
    engine = in_conversation()

    for number in range(3_000):
        assert engine.telephony_said(text("news"), 2.0 + number / 50).effects[0] == Note(
            "unknown-message", "twilio"
        )
    assert engine.ended is None


def test_a_flood_of_unknown_messages_ends_the_call_at_once_and_only_a_flood() -> None:
    """Ten thousand a second would keep all other calls waiting."""
    engine = in_conversation()
    at_once = 0
    while engine.telephony_said(text("news"), 2.0).effects == [Note("unknown-message", "twilio")]:
        at_once += 1
    assert at_once == UNKNOWN_AT_ONCE
    for number in range(MOST_BAD_MESSAGES):
        assert engine.ended is None
        engine.telephony_said(text("news"), 2.0 + number / 10_000)

    assert engine.ended == ending("telephony-unintelligible")


def test_a_model_with_a_new_kind_of_event_for_each_piece_of_a_word_is_listened_to() -> None:
    engine = in_conversation()
    for _ in range(2 * (UNKNOWN_AT_ONCE + MOST_BAD_MESSAGES)):
        noted = engine.model_said(said("response.news"), 2.0).effects
        assert noted == [Note("unknown-message", "model")]

    assert engine.ended is None


def test_observers_see_every_event_and_effect_in_order_with_the_time() -> None:
    seen: list[tuple[float, type]] = []
    engine = in_conversation(lambda what, now: seen.append((now, type(what))))
    seen.clear()

    engine.telephony_said(media("VVVV"), 2.0)

    assert seen == [(2.0, events.CallerSpoke), (2.0, effects.AppendAudio)]


def test_the_latency_of_an_answer_is_shown_to_observers_and_handed_to_the_shell() -> None:
    seen: list[Event | Effect] = []
    engine = answering(lambda what, now: seen.append(what))

    out = engine.model_said(DELTA, 2.5)

    note, *_ = (effect for effect in out.effects if isinstance(effect, Note))
    assert note.kind == "turn-latency"
    assert note in seen
    assert engine.tally.notes["turn-latency"] == 1


def test_what_a_protocol_owes_by_itself_leaves_with_the_next_step() -> None:
    call = Call(CallPolicy(AUDIOCODES, SESSION), 0.0)
    engine = Engine(call, AudioCodesProtocol(), RealtimeProtocol())
    initiate = said(
        "session.initiate",
        conversationId="c-1",
        expectAudioMessages=True,
        supportedMediaFormats=["raw/lpcm16"],
    )

    assert types(engine.telephony_said(initiate, 0.1).to_telephony) == ["session.accepted"]


def test_what_the_wire_cannot_carry_is_handed_to_the_shell() -> None:
    engine = in_conversation()

    out = engine.happened(events.HangUpRequested("hung-up-by-operator"), 2.0)

    assert effects.HangUp("hung-up-by-operator") in out.effects
    assert out.to_telephony == []


def test_where_the_wire_can_carry_it_the_shell_need_not() -> None:
    call = Call(CallPolicy(AUDIOCODES, SESSION), 0.0)
    engine = Engine(call, AudioCodesProtocol(), RealtimeProtocol())
    engine.telephony_said(
        said(
            "session.initiate",
            conversationId="c-1",
            expectAudioMessages=True,
            supportedMediaFormats=["raw/lpcm16"],
        ),
        0.1,
    )
    start = {"type": "event", "name": "start", "parameters": {}}
    engine.telephony_said(said("activities", conversationId="c-1", activities=[start]), 0.2)

    out = engine.happened(events.HangUpRequested("hung-up-by-operator"), 2.0)

    assert any("hangup" in text for text in out.to_telephony)
    assert not any(isinstance(effect, effects.HangUp) for effect in out.effects)


def test_a_tool_is_run_by_the_shell_and_its_output_goes_to_the_model() -> None:
    engine = answering()
    call = {"id": "item_1", "type": "function_call", "status": "completed", "name": "look_up"}
    item = {**call, "call_id": "call_1", "arguments": "{}"}
    out = engine.model_said(said("response.output_item.done", response_id="resp_1", item=item), 2.5)
    assert effects.RunTool("call_1", "look_up", Private("{}")) in out.effects

    out = engine.happened(events.ToolFinished("call_1", Private("42")), 3.0)

    assert types(out.to_model) == ["conversation.item.create"]


def test_a_call_that_we_end_is_ended_on_its_wire_too() -> None:
    engine = Engine(
        Call(CallPolicy(AUDIOCODES, SESSION), 0.0), AudioCodesProtocol(), RealtimeProtocol()
    )
    offer = ["raw/mulaw"]
    initiate = said("session.initiate", conversationId="c-1", supportedMediaFormats=offer)
    engine.telephony_said(initiate, 0.1)
    stalled = events.PeerStalled("telephony")

    assert types(engine.happened(stalled, 1.0).to_telephony) == ["session.error"]


def test_a_telephony_socket_that_is_gone_ends_the_call() -> None:
    engine = in_conversation()

    out = engine.happened(events.TelephonyLost(), 2.0)

    assert out.effects == [effects.EndCall(ending("telephony-lost"))]
    assert engine.ended == ending("telephony-lost")
    assert engine.deadline is None
    assert engine.telephony_said(media("VVVV"), 2.1) == Outgoing([], [], [])


def test_a_model_that_is_gone_is_told_to_the_call() -> None:
    engine = in_conversation()
    engine.happened(events.ModelLost("model-refused-us", True), 2.0)
    assert engine.deadline is not None

    out = engine.happened(events.DeadlineReached(), engine.deadline + 1.0)

    assert effects.HangUp("model-refused-us") in out.effects


def test_a_new_session_is_met_with_a_new_protocol() -> None:
    engine = in_conversation()
    of_the_old_session = engine.model

    out = engine.happened(events.ModelLost("model-lost"), 2.0)

    assert effects.ReplaceModel("model-lost") in out.effects
    assert engine.model is not of_the_old_session


def test_the_model_speaks_the_lines_own_format_where_it_can() -> None:
    assert model_format(PCMU_8K) == PCMU_8K
    assert model_format(PCM_16K) == PCM_24K


def test_a_call_that_is_configured_first_has_its_frames_kept_and_its_model_dialled() -> None:
    policy = CallPolicy(TWILIO, SESSION, configure_seconds=3.0)
    engine = Engine(Call(policy, 0.0), TwilioProtocol(), RealtimeProtocol())
    assert not engine.wants_model
    assert engine.telephony_said(START, 1.0).effects == [effects.ConfigureCall()]
    assert (engine.wants_model, engine.configurable, engine.deadline) == (True, True, 4.0)
    assert engine.passes(media("/" * 160), 1.1) is None  # the short cut leads past the prelude
    engine.telephony_said(media("/" * 160), 1.1)
    assert engine.model_said(said("session.created", session={"id": "s"}), 1.2).to_model == []

    other = replace(policy, session=replace(SESSION, instructions="Speak Danish."))
    (update,) = engine.configured(other, 2.0).to_model

    assert "Speak Danish." in update
    assert (engine.configurable, engine.wants_model) == (False, True)
    appended = engine.model_said(READY, 2.1).to_model
    assert ["input_audio_buffer.append" in one for one in appended] == [True]
    late = engine.configured(None, 3.0).effects
    assert late == [Note("stray", "configured")]


CLIPS = {"greeting": Clip(8_000, b"\x01\x00" * 800)}
INITIATE = {
    "conversationId": "conversation-1",
    "expectAudioMessages": True,
    "supportedMediaFormats": ["raw/mulaw"],
    "caller": "+15550100001",
}
ON_AUDIOCODES = [
    said("session.initiate", **INITIATE),
    said("activities", activities=[{"type": "event", "name": "start"}]),
    said("session.end", reasonCode="client-disconnected", reason="Client Side"),
]


@pytest.mark.parametrize(
    ("traits", "protocol", "texts"),
    [
        (AUDIOCODES, AudioCodesProtocol, ON_AUDIOCODES),
        (TWILIO, TwilioProtocol, [START, text("stop", stop={"callSid": "CA1"})]),
    ],
    ids=["audiocodes", "twilio"],
)
def test_a_caller_who_hangs_up_before_it_is_known_how_to_conduct_the_call_ends_it(
    traits: TelephonyTraits, protocol: type[TelephonyProtocol], texts: list[str]
) -> None:
    policy = CallPolicy(traits, SESSION, greet=True, clips=CLIPS, configure_seconds=3.0)
    engine = Engine(Call(policy, 0.0), protocol(), RealtimeProtocol())

    for one in texts:
        out = engine.telephony_said(one, 1.0)

    assert out.to_telephony == []
    assert out.effects[-1] == effects.EndCall(ending("caller-hung-up"))


@pytest.mark.parametrize("configure_seconds", [0.0, 3.0])
def test_a_call_that_is_over_wants_no_model(configure_seconds: float) -> None:
    policy = CallPolicy(AUDIOCODES, SESSION, configure_seconds=configure_seconds)
    engine = Engine(Call(policy, 0.0), AudioCodesProtocol(), RealtimeProtocol())
    engine.telephony_said(ON_AUDIOCODES[0], 0.0)
    assert engine.wants_model == (configure_seconds == 0.0)

    engine.telephony_said(ON_AUDIOCODES[-1], 20.0)  # before anybody answered
    assert not engine.wants_model


def test_a_caller_who_returns_does_so_on_a_line_of_his_own() -> None:
    engine = on_twilio()
    engine.telephony_said(START, 0.0)
    old = engine.telephony
    engine.happened(events.TransferUnderWay(), 1.0)
    assert engine.telephony is old
    engine.happened(events.CallerReturns("busy"), 2.0)

    assert engine.telephony is not old
    assert isinstance(engine.telephony, TwilioProtocol)


def test_those_who_watch_are_asked_in_their_order_for_what_they_want_to_see() -> None:
    seen: list[str] = []
    watching: list[tuple[Observer, list[type]]] = [
        (lambda what, now: seen.append("first"), [events.CallStarted, events.CallerSpoke]),
        (lambda what, now: seen.append("second"), [events.CallStarted]),
    ]
    found = by_type(watching)

    for observe in found[events.CallStarted]:
        observe(events.CallStarted(), 0.0)
    assert seen == ["first", "second"]
    assert len(found[events.CallerSpoke]) == 1

"""A call that waits to be told how it is to be conducted."""

from dataclasses import replace

import pytest

from opusbridge import events
from opusbridge.call.arrival import ARRIVAL_SECONDS, RINGING_SECONDS
from opusbridge.call.call import ANSWER_SECONDS, Call
from opusbridge.call.media import HELD_MS
from opusbridge.call.policy import (
    AUDIOCODES,
    TWILIO,
    CallPolicy,
    Clip,
    ResponsePolicy,
    TelephonyTraits,
)
from opusbridge.call.prelude import Prelude
from opusbridge.effects import (
    AnswerCall,
    AppendAudio,
    CommitAudio,
    ConfigureCall,
    ConfigureSession,
    ConfigureTelephony,
    CreateResponse,
    Effect,
    EndCall,
    HangUp,
    Note,
    PauseRecording,
    PlayAudio,
    ReplaceModel,
    SessionConfig,
    TurnDetection,
)
from opusbridge.errors import ending
from opusbridge.events import Event
from opusbridge.privacy import Private
from opusbridge.sound import PCM_24K, PCMU_8K, Audio

SESSION = SessionConfig(
    "Be kind.", PCM_24K, turn_detection=TurnDetection("server_vad", False, True)
)
STARTED = events.CallStarted(Private("+15550100001"), Private("+15550100002"))
CONFIGURED = events.CallConfigured(True)
READY = (events.SessionCreated("sess_1"), events.SessionConfigured(PCMU_8K, PCMU_8K))


def policy(traits: TelephonyTraits = TWILIO, instructions: str = "Be kind.") -> CallPolicy:
    session = replace(SESSION, instructions=instructions)
    responses = ResponsePolicy(greeting=instructions)
    return CallPolicy(traits, session, responses, greet=True, configure_seconds=3.0)


def waiting(traits: TelephonyTraits = TWILIO) -> tuple[Call, Prelude]:
    call = Call(policy(traits), 0.0)
    return call, Prelude(call)


def arrive(prelude: Prelude, now: float = 0.0) -> list[Effect]:
    found = prelude.handle(events.CallArrived("provider-1", PCMU_8K), now)
    return found + prelude.handle(STARTED, now)


def kinds(found: list[Effect]) -> list[type]:
    return [type(effect) for effect in found]


def test_a_call_that_nobody_configures_has_no_prelude() -> None:
    call = Call(replace(policy(), configure_seconds=0.0), 0.0)

    assert Prelude(call).over


def test_it_is_asked_as_soon_as_it_is_known_who_calls_and_once() -> None:
    call, prelude = waiting()

    assert prelude.handle(events.CallArrived("provider-1", PCMU_8K), 0.0) == []
    assert not prelude.started, "as long as it may ring no model is needed"
    assert prelude.handle(STARTED, 1.0) == [ConfigureCall()]
    assert prelude.started
    assert (call.caller, call.callee) == (STARTED.caller, STARTED.callee)
    assert prelude.handle(STARTED, 1.1) == []
    assert prelude.deadline == 4.0


def test_the_model_is_told_nothing_before_and_then_what_the_offer_says() -> None:
    call, prelude = waiting()
    assert arrive(prelude) == [ConfigureCall()]
    assert prelude.handle(READY[0], 0.5) == []
    prelude.offer(policy(instructions="Speak Danish."))

    found = prelude.handle(CONFIGURED, 1.0)

    assert prelude.over
    assert prelude.deadline == call.deadline
    sessions = [one.session for one in found if isinstance(one, ConfigureSession)]
    assert [one.instructions for one in sessions] == ["Speak Danish."]
    greeted = [
        one.instructions for one in call.handle(READY[1], 1.1) if isinstance(one, CreateResponse)
    ]
    assert greeted == ["Speak Danish."]


def test_what_comes_after_the_answer_is_too_late() -> None:
    call, prelude = waiting()
    arrive(prelude)
    prelude.handle(events.CallConfigured(False), 1.0)

    assert call.handle(CONFIGURED, 2.0) == [Note("stray", "configured")]


def test_it_waits_so_long_and_no_longer() -> None:
    call, prelude = waiting()
    arrive(prelude)
    prelude.handle(READY[0], 0.5)

    assert prelude.handle(events.DeadlineReached(), 2.9) == []
    found = prelude.handle(events.DeadlineReached(), 3.0)

    assert found[0] == Note("configure-overdue")
    assert ConfigureSession in kinds(found)
    assert call.policy.session.instructions == "Be kind."


def test_the_phone_is_answered_in_time_and_once() -> None:
    call, prelude = waiting(AUDIOCODES)
    assert arrive(prelude, 1.0) == [ConfigureCall()]
    assert prelude.deadline == 1.0 + ANSWER_SECONDS

    found = prelude.handle(events.DeadlineReached(), 1.0 + ANSWER_SECONDS)
    assert kinds(found) == [AnswerCall, Note]
    assert call.answered_at == 1.0 + ANSWER_SECONDS
    assert prelude.deadline == 4.0

    found = prelude.handle(CONFIGURED, 2.0)
    assert ConfigureTelephony in kinds(found)
    while call.deadline is not None and call.deadline < 5.0:
        found += call.handle(events.DeadlineReached(), call.deadline)
    assert AnswerCall not in kinds(found)


def by_stream(offered: CallPolicy) -> CallPolicy:
    """The end of the caller's stream ends his turn, and there is no barge-in."""
    session = replace(offered.session, turn_detection=None)
    responses = replace(offered.responses, interrupts=False)
    return replace(offered, session=session, responses=responses, barge_in=False)


@pytest.mark.parametrize(("sound", "asked"), [(b"\xff", "greeting"), (b"\x10", "greeting+turn")])
def test_a_stream_that_stops_because_we_answered_ends_a_turn_only_if_he_spoke(
    sound: bytes, asked: str
) -> None:
    call, prelude = waiting(AUDIOCODES)
    arrive(prelude)
    prelude.handle(READY[0], 0.05)
    prelude.handle(events.CallerSpoke(Audio.of(sound * 1600, PCMU_8K)), 0.2)
    prelude.handle(events.DeadlineReached(), ANSWER_SECONDS)
    prelude.handle(events.CallerStreamStopped(), 0.3)
    prelude.offer(by_stream(policy(AUDIOCODES)))
    found = prelude.handle(CONFIGURED, 0.6) + call.handle(READY[1], 0.7)
    if CommitAudio() in found:
        found += call.handle(events.TurnCommitted("item_1"), 0.8)

    assert [one.why for one in found if isinstance(one, CreateResponse)] == [asked]


def test_what_is_said_behind_the_silence_that_answered_is_heard_after_it() -> None:
    call, prelude = waiting(AUDIOCODES)
    arrive(prelude)
    prelude.handle(events.DeadlineReached(), 0.25)
    greeting = {"greeting": Clip(8000, bytes(16000))}
    prelude.offer(replace(policy(AUDIOCODES), clips=greeting))
    prelude.handle(CONFIGURED, 0.27)
    assert call.conversation is not None

    answer = AnswerCall()
    heard_from = 0.25 + answer.silence_ms / 1000 + AUDIOCODES.wire_seconds
    assert call.conversation.voice.silent_at(0.27) == pytest.approx(heard_from + 1.0)


def appended(prelude: Prelude, call: Call, now: float) -> list[bytes]:
    """What the model is given once there is one, and it is known how."""
    prelude.handle(READY[0], now)
    prelude.handle(CONFIGURED, now)
    found = call.handle(READY[1], now)
    return [one.audio.raw for one in found if isinstance(one, AppendAudio)]


def words(first: int, count: int, ms: int = 20) -> list[events.CallerSpoke]:
    """Frames that differ from one another."""
    each = [one.to_bytes(2) * (4 * ms) for one in range(first, first + count)]
    return [events.CallerSpoke(Audio.of(raw, PCMU_8K)) for raw in each]


@pytest.mark.parametrize("ms", [5, 20, 40])
def test_the_callers_words_are_kept_for_the_model_however_they_are_cut(ms: int) -> None:
    call, prelude = waiting()
    arrive(prelude)
    spoken = words(0, 2900 // ms, ms)
    for index, spoke in enumerate(spoken):
        assert prelude.handle(spoke, index * ms / 1000) == []

    assert appended(prelude, call, 2.95) == [one.audio.raw for one in spoken]


def test_what_rings_before_the_call_starts_is_not_the_callers() -> None:
    call, prelude = waiting(AUDIOCODES)
    prelude.handle(events.CallArrived("provider-1", PCMU_8K), 0.0)
    ringing, said = words(0, 350), words(350, 50)
    for index, spoke in enumerate(ringing):
        prelude.handle(spoke, 0.02 * index)
    prelude.handle(STARTED, 7.0)
    for index, spoke in enumerate(said):
        prelude.handle(spoke, 7.0 + 0.02 * index)

    assert appended(prelude, call, 8.0) == [one.audio.raw for one in said]


def test_nor_is_a_key_pressed_while_it_rings() -> None:
    call, prelude = waiting(AUDIOCODES)
    prelude.handle(events.CallArrived("provider-1", PCMU_8K), 0.0)
    prelude.handle(events.DigitsPressed(Private("1#")), 1.0)
    prelude.handle(STARTED, 7.0)
    prelude.handle(events.DigitsPressed(Private("2#")), 7.1)

    prelude.handle(CONFIGURED, 8.0)
    typed = [item["text"] for item in call.transcript.items() if item["speaker"] == "caller"]
    assert typed == ["Keypad: 2#"]


def test_of_a_piece_longer_than_is_kept_the_end_is() -> None:
    call, prelude = waiting(AUDIOCODES)
    arrive(prelude)
    prelude.handle(words(0, 1)[0], 0.02)
    (long,) = words(1, 1, HELD_MS + 1000)
    prelude.handle(long, 6.0)

    assert appended(prelude, call, 6.1) == [long.audio.raw[8 * 1000 :]]


def test_what_is_said_while_nobody_can_take_it_is_still_owned_up_to() -> None:
    call, prelude = waiting(AUDIOCODES)
    prelude.handle(events.CallArrived("provider-1", PCMU_8K), 0.0)
    prelude.handle(STARTED, 0.0)
    for index, spoke in enumerate(words(0, HELD_MS // 20)):
        prelude.handle(spoke, 0.02 * index)
    prelude.handle(CONFIGURED, 5.0)
    call.handle(words(250, 1)[0], 5.0)

    assert call.conversation is not None
    assert call.conversation.line.dropped_ms == 20.0


def test_of_a_line_that_rang_nothing_was_lost() -> None:
    call, prelude = waiting(AUDIOCODES)
    prelude.handle(events.CallArrived("provider-1", PCMU_8K), 0.0)
    for index, spoke in enumerate(words(0, 350)):
        prelude.handle(spoke, 0.02 * index)
    prelude.handle(STARTED, 7.0)
    prelude.handle(READY[0], 7.1)
    prelude.handle(CONFIGURED, 7.2)
    for index, spoke in enumerate(words(350, 20)):
        call.handle(spoke, 7.2 + 0.02 * index)

    found = call.handle(READY[1], 7.6)
    assert len([one for one in found if isinstance(one, AppendAudio)]) == 20
    assert not [one for one in found if isinstance(one, Note) and one.kind == "audio-dropped"]


@pytest.mark.parametrize(
    ("event", "reason"),
    [
        (events.CallerHungUp("caller-hung-up"), "caller-hung-up"),
        (events.TelephonyLost(), "telephony-lost"),
        (events.PeerStalled("telephony"), "telephony-too-slow"),
    ],
)
def test_what_ends_a_call_does_not_wait(event: Event, reason: str) -> None:
    call, prelude = waiting()
    arrive(prelude)

    found = prelude.handle(event, 1.0)

    assert found[-1] == EndCall(ending(reason))
    assert call.ended == ending(reason)


def test_a_model_lost_meanwhile_is_replaced() -> None:
    _, prelude = waiting()
    arrive(prelude)
    prelude.handle(READY[0], 0.5)
    assert prelude.handle(events.ModelLost("model-lost"), 1.0) == []

    assert ReplaceModel("model-lost") in prelude.handle(CONFIGURED, 2.0)


def test_a_pause_of_the_recording_is_one_at_once() -> None:
    call, prelude = waiting()
    arrive(prelude)

    found = prelude.handle(events.RecordingPauseRequested("operator"), 1.0)

    assert PauseRecording() in found
    assert call.transcript.paused
    assert not prelude.over


def test_a_socket_that_never_says_who_calls_ends_as_any_other() -> None:
    _, prelude = waiting()

    assert prelude.deadline == ARRIVAL_SECONDS
    found = prelude.handle(events.DeadlineReached(), ARRIVAL_SECONDS)

    assert found == [EndCall(ending("no-start"))]


def test_one_that_rings_is_waited_for_as_long_as_telephones_ring() -> None:
    call, prelude = waiting(AUDIOCODES)
    prelude.handle(events.CallArrived("provider-1", PCMU_8K), 1.0)
    while call.ended is None:
        assert prelude.deadline is not None
        at = prelude.deadline
        prelude.handle(events.DeadlineReached(), at)

    assert (at, call.ended) == (1.0 + RINGING_SECONDS, ending("no-start"))


def test_one_that_rings_is_waited_for_no_longer_for_a_wish_that_comes_between() -> None:
    call, prelude = waiting(AUDIOCODES)
    prelude.handle(events.CallArrived("provider-1", PCMU_8K), 0.0)
    prelude.handle(events.TransferRequested(Private("sip:front@example.com")), 170.0)
    for event in READY:
        call.handle(event, 170.0)
    while call.ended is None:
        assert call.deadline is not None
        at = call.deadline
        call.handle(events.DeadlineReached(), at)

    assert (at, call.ended) == (RINGING_SECONDS, ending("no-start"))


def test_an_adopted_policy_is_the_whole_calls() -> None:
    call, prelude = waiting()
    arrive(prelude)
    prelude.offer(replace(policy(), greet=False, max_call_seconds=5.0))
    found = prelude.handle(CONFIGURED, 1.0)
    for event in READY:
        found += call.handle(event, 1.0)

    assert not any(isinstance(one, PlayAudio | CreateResponse) for one in found)
    gone_at = None
    while gone_at is None:
        assert call.deadline is not None
        due = call.deadline
        if HangUp("too-long") in call.handle(events.DeadlineReached(), due):
            gone_at = due
    assert gone_at >= 6.0

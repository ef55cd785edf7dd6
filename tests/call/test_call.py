"""One call from its arrival to its one ending."""

from collections.abc import Mapping
from dataclasses import replace

import pytest

from opusbridge import events
from opusbridge.call.arrival import AGAIN_SECONDS, ARRIVAL_SECONDS, RINGING_SECONDS
from opusbridge.call.call import ANSWER_SECONDS, Call
from opusbridge.call.farewell import (
    HANG_UP_SECONDS,
    KEEP_MODEL_SECONDS,
    LINE_KEPT,
    LOOK_SECONDS,
    REPLY_SECONDS,
    TAIL_SECONDS,
    TRANSFER_SECONDS,
)
from opusbridge.call.patience import MOST_BAD_MESSAGES
from opusbridge.call.policy import (
    AUDIOCODES,
    TWILIO,
    CallPolicy,
    Clip,
    KeyAction,
    TelephonyTraits,
)
from opusbridge.call.pulse import ASK_SECONDS, BUSY_ANSWER_SECONDS
from opusbridge.effects import (
    AddText,
    AddToolOutput,
    AnswerCall,
    AppendAudio,
    CancelResponse,
    ClearPlayout,
    ConfigureSession,
    ConfigureTelephony,
    CreateResponse,
    Effect,
    EndCall,
    FeelPulse,
    HangUp,
    Note,
    PauseRecording,
    PlayAudio,
    ReleaseModel,
    ReplaceModel,
    ResumeRecording,
    RunTool,
    SessionConfig,
    TransferCall,
    TurnDetection,
)
from opusbridge.errors import Ending, Outcome, ending
from opusbridge.events import Event
from opusbridge.privacy import Private
from opusbridge.sound import PCM_16K, PCM_24K, PCMU_8K, Audio, AudioFormat

SESSION = SessionConfig(
    "Be kind.", PCM_24K, turn_detection=TurnDetection("server_vad", False, True)
)
#: Half a second, and a whole one.
CLIPS = {"sorry": Clip(8_000, bytes(8_000)), "goodbye": Clip(8_000, bytes(16_000))}
CLIP_WORDS = {"sorry": "It went wrong.", "goodbye": "Until next time."}
TARGET = Private("sip:front@example.com")
AGENT_HANGS_UP = events.HangUpRequested("agent-hung-up")
BY_OPERATOR = events.HangUpRequested("hung-up-by-operator")
DRAINED = events.HangUpRequested("drained", goodbye=True)
NINE = events.DigitsPressed(Private("9"))


def policy(traits: TelephonyTraits = TWILIO, greet: bool = False) -> CallPolicy:
    return CallPolicy(traits, SESSION, greet=greet, clips=CLIPS, clip_words=CLIP_WORDS)


def format_of(traits: TelephonyTraits) -> AudioFormat:
    return PCMU_8K if traits is TWILIO else PCM_16K


def arrived(how: CallPolicy | None = None) -> Call:
    """At 0.0 the telephony side said what it speaks; the line is not ours yet."""
    how = how or policy()
    call = Call(how, 0.0)
    call.handle(events.CallArrived("provider-1", format_of(how.telephony)), 0.0)
    return call


def configured(how: CallPolicy) -> events.SessionConfigured:
    model = PCMU_8K if how.telephony is TWILIO else PCM_24K
    return events.SessionConfigured(model, model)


def started(how: CallPolicy | None = None) -> Call:
    """The line is ours, and the model ready, at 0.0."""
    how = how or policy()
    call = arrived(how)
    call.handle(events.SessionCreated("sess_1"), 0.0)
    call.handle(configured(how), 0.0)
    call.handle(events.CallStarted(), 0.0)
    return call


def answering(call: Call, at: float, ms: int = 1000) -> None:
    """``resp_1`` answers a turn with so much sound, all at once."""
    call.handle(events.TurnCommitted("item_1"), at)
    call.handle(events.ResponseCreated("resp_1", "request-1"), at)
    if ms:
        sound = Audio.of(bytes(8 * ms), PCMU_8K)
        call.handle(events.ModelSpoke("resp_1", "item_2", 0, sound), at)


def calls_a_tool(call: Call, at: float) -> list[Effect]:
    return call.handle(
        events.ToolCalled("resp_1", "item_3", "call_1", "hang_up", Private("{}")), at
    )


def told(found: list[Effect]) -> list[str]:
    """What the model is, by us."""
    return [one.text.value for one in found if isinstance(one, AddText)]


def finished(response_id: str = "resp_1") -> events.ResponseDone:
    return events.ResponseDone(response_id, "completed")


def wait(call: Call, until: float, alive: bool = True) -> list[tuple[float, Effect]]:
    """Nothing happens but time, and a model that says it is there, if ``alive``, when it is
    asked; what was done when, without the notes."""
    found: list[tuple[float, Effect]] = []
    for _ in range(2000):
        due = call.deadline
        if due is None or due > until:
            return found
        for effect in call.handle(events.DeadlineReached(), due):
            if isinstance(effect, FeelPulse) and alive:
                call.handle(events.SessionConfigured(PCMU_8K, PCMU_8K), due)
            elif not isinstance(effect, Note):
                found.append((due, effect))
    raise AssertionError("woken again and again")


def when(found: list[tuple[float, Effect]], kind: type) -> list[float]:
    return [at for at, effect in found if isinstance(effect, kind)]


def kinds(effects: list[Effect]) -> list[type]:
    return [type(one) for one in effects if not isinstance(one, Note)]


# --- Arrival and answering --------------------------------------------------------------


def test_a_call_knows_who_calls_from_its_arrival_and_more_from_its_start() -> None:
    call = Call(policy(), 0.0)
    caller, callee = Private("one"), Private("two")
    parameters: Private[Mapping[str, str]] = Private({"key": "value"})
    call.handle(events.CallArrived("provider-1", PCMU_8K, caller), 0.5)
    call.handle(events.CallStarted(None, callee, parameters), 1.0)

    assert call.provider_call_id == "provider-1"
    assert (call.caller, call.callee, call.parameters) == (caller, callee, parameters)


def test_a_model_dialled_while_the_phone_still_rang_is_configured_on_arrival() -> None:
    call = Call(policy(), 0.0)
    assert call.handle(events.SessionCreated("sess_1"), 0.1) == []
    assert call.handle(events.ItemDeleted("item_1"), 0.2) == []

    found = call.handle(events.CallArrived("provider-1", PCMU_8K), 0.5)
    assert found == [ConfigureSession(replace(SESSION, audio_format=PCMU_8K))]


def test_a_model_dialled_on_arrival_is_configured_when_it_is_there() -> None:
    call = arrived()

    assert kinds(call.handle(events.SessionCreated("sess_1"), 0.1)) == [ConfigureSession]


def test_a_line_that_does_not_ring_is_answered_when_it_starts() -> None:
    call = arrived()

    assert call.handle(events.CallStarted(), 1.0) == [
        ConfigureTelephony(barge_in=True),
        Note("answered", value=1.0),
    ]
    assert call.answered_at == 1.0


def test_without_a_greeting_a_ringing_phone_is_answered_at_once() -> None:
    call = arrived(policy(AUDIOCODES))
    call.handle(events.CallStarted(), 1.0)

    assert wait(call, 1.0) == [(1.0, AnswerCall())]
    assert call.answered_at == 1.0


def test_a_greeting_that_takes_too_long_leaves_the_phone_to_be_answered_with_silence() -> None:
    call = arrived(policy(AUDIOCODES, greet=True))
    call.handle(events.CallStarted(), 1.0)

    assert wait(call, 2.0) == [(1.0 + ANSWER_SECONDS, AnswerCall())]


def test_a_greeting_in_time_answers_the_phone_itself() -> None:
    call = started(policy(AUDIOCODES, greet=True))
    call.handle(events.ResponseCreated("resp_1", "request-1"), 0.1)
    sound = Audio.of(bytes(48 * 200), PCM_24K)

    found = call.handle(events.ModelSpoke("resp_1", "item_1", 0, sound), 0.2)
    assert kinds(found) == [PlayAudio]
    assert call.answered_at == 0.2
    assert when(wait(call, 2.0), AnswerCall) == []


def test_the_greeting_is_asked_for_once() -> None:
    call = started(policy(greet=True))
    call.handle(events.ResponseCreated("resp_1", "request-1"), 0.1)
    call.handle(finished(), 1.0)

    assert call.handle(events.CallStarted(), 1.1) == [Note("stray", "start")]
    assert call.handle(events.CallArrived("provider-2", PCMU_8K), 1.2) == [Note("stray", "arrival")]
    assert call.provider_call_id == "provider-1"


def test_the_greeting_waits_for_the_model() -> None:
    call = arrived(policy(greet=True))
    call.handle(events.CallStarted(), 0.1)

    assert kinds(call.handle(configured(call.policy), 0.4)) == [CreateResponse]


def test_a_start_without_an_arrival_is_not_believed() -> None:
    assert Call(policy(), 0.0).handle(events.CallStarted(), 0.1) == [Note("stray", "start")]


@pytest.mark.parametrize("arrives", [True, False])
def test_a_line_that_never_becomes_ours_is_not_waited_for(arrives: bool) -> None:
    call = arrived(policy(TWILIO)) if arrives else Call(policy(), 0.0)

    assert wait(call, 60.0) == [(ARRIVAL_SECONDS, EndCall(ending("no-start")))]


def ringing(greet: bool = True, how: CallPolicy | None = None) -> Call:
    """At 0.0 the model is ready, and nobody has answered yet."""
    call = arrived(how or policy(AUDIOCODES, greet))
    call.handle(events.SessionCreated("sess_1"), 0.0)
    call.handle(configured(call.policy), 0.0)
    return call


def test_one_that_rings_is_waited_for_as_long_as_telephones_ring() -> None:
    call = ringing()

    assert wait(call, 300.0)[-1] == (RINGING_SECONDS, EndCall(ending("no-start")))


@pytest.mark.parametrize("greet", [True, False])
def test_a_model_does_not_wait_for_as_long_as_that(greet: bool) -> None:
    call = ringing(greet)
    assert wait(call, 90.0) == [(KEEP_MODEL_SECONDS, ReleaseModel())]
    call.handle(events.CallerSpoke(Audio.of(bytes(96_000), PCM_16K)), 90.0)  # the ringing

    assert ReplaceModel("model-lost") in call.handle(events.CallStarted(), 100.0)
    call.handle(events.SessionCreated("sess_2"), 100.5)
    found = call.handle(configured(call.policy), 101.0)
    assert told(found) == []
    assert (CreateResponse in kinds(found)) == greet


def rings(call: Call, begin: float, until: float) -> list[tuple[float, Effect]]:
    """With the line open, so that the ringing is heard; what was done when."""
    found: list[tuple[float, Effect]] = []
    for at in range(round(begin * 50), round(until * 50)):
        found += wait(call, at / 50)
        call.handle(events.CallerSpoke(Audio.of(bytes(640), PCM_16K)), at / 50)
    return found


@pytest.mark.parametrize("why", ["released", "lost"])
def test_who_answers_late_has_not_waited_and_has_missed_nothing(why: str) -> None:
    call = ringing(greet=False)
    rings(call, 0.0, 20.0)
    if why == "lost":
        call.handle(events.ModelLost("model-lost"), 20.0)
    rings(call, 20.0, 38.0)

    done = call.handle(events.CallStarted(), 38.0)
    for at in range(125):  # 2.5 s of what he says, while a session is dialled
        done += [one for _, one in wait(call, 38.0 + at / 50)]
        done += call.handle(events.CallerSpoke(Audio.of(bytes([at]) * 640, PCM_16K)), 38 + at / 50)
    done += call.handle(events.SessionCreated("sess_2"), 40.5)
    done += call.handle(configured(call.policy), 40.5)

    assert told(done) == []
    assert not [
        one for one in done if isinstance(one, Note) and one.kind in ("hold", "audio-dropped")
    ]
    heard = sum(one.audio.ms for one in done if isinstance(one, AppendAudio))
    assert heard == pytest.approx(2500, abs=2)


def test_one_who_answers_waits_for_as_long_as_any_other_before_he_is_asked_to_hold() -> None:
    call = ringing()
    wait(call, 60.0)
    found = call.handle(events.CallStarted(), 60.0)
    assert "hold" not in [one.kind for one in found if isinstance(one, Note)]

    held: list[Effect] = []
    while not held:
        assert call.deadline is not None
        due = call.deadline
        held = [one for one in call.handle(events.DeadlineReached(), due) if one == Note("hold")]
    assert 60.0 + call.policy.hold_after <= due < 61.0 + call.policy.hold_after


def test_a_session_lost_while_it_rings_is_no_interruption() -> None:
    call = ringing(greet=False)
    call.handle(events.ModelLost("model-lost"), 1.0)
    rings(call, 1.0, 4.0)
    call.handle(events.SessionCreated("sess_2"), 4.0)

    assert told(call.handle(configured(call.policy), 4.0)) == []


RINGBACK = events.CallerSpoke(Audio.of(b"\x00\x40\x00\xc0" * 160, PCM_16K))


@pytest.mark.parametrize(
    "how",
    [
        policy(AUDIOCODES),
        replace(policy(AUDIOCODES), confirm_ms=250),
        replace(policy(AUDIOCODES), session=replace(SESSION, turn_detection=None)),
        replace(policy(AUDIOCODES), keys={"9": KeyAction("transfer", TARGET)}),
    ],
    ids=["at once", "confirmed", "by stream", "keys that act"],
)
def test_nothing_of_a_line_that_rings_reaches_the_model(how: CallPolicy) -> None:
    call = ringing(how=how)
    found: list[Effect] = []
    for at in range(50):
        found += call.handle(RINGBACK, at / 50)
        assert call.open_line is None
    found += call.handle(events.CallerStreamStopped(), 1.0)
    found += call.handle(NINE, 1.0)
    found += [one for _, one in wait(call, 2.9)]
    assert found == []

    kinds_then = kinds(call.handle(events.CallStarted(), 4.0))
    assert kinds_then == [ConfigureTelephony]
    assert kinds(call.handle(RINGBACK, 4.1)) == [AppendAudio]


def test_what_is_to_be_said_waits_until_somebody_has_answered() -> None:
    call = ringing(greet=False)
    found = call.handle(events.TextInjected(Private("hurry")), 1.0)
    assert found == [AddText("text-1", "system", Private("hurry")), Note("pending", "ringing")]

    assert CreateResponse("request-1", "text") in call.handle(events.CallStarted(), 2.0)


def test_a_stored_greeting_goes_before_what_was_to_be_said_while_it_rang() -> None:
    how = policy(AUDIOCODES, greet=True)
    call = ringing(how=replace(how, clips={"greeting": CLIPS["sorry"]}))
    call.handle(events.TextInjected(Private("hurry")), 1.0)

    found = kinds(call.handle(events.CallStarted(), 2.0))
    assert found.index(PlayAudio) < found.index(CreateResponse)


def test_what_the_model_begins_while_it_rings_is_heard_by_nobody() -> None:
    call = ringing(greet=False)
    found = call.handle(events.ResponseCreated("resp_1", None), 1.0)
    sound = Audio.of(bytes(48 * 200), PCM_24K)
    found += call.handle(events.ModelSpoke("resp_1", "item_1", 0, sound), 1.1)

    assert found == [Note("orphan", "", ("resp_1",)), CancelResponse("resp_1")]
    assert call.answered_at is None


def test_one_that_is_answered_soon_has_the_model_that_was_dialled() -> None:
    call = ringing()

    found = call.handle(events.CallStarted(), KEEP_MODEL_SECONDS - 1)
    assert CreateResponse in kinds(found)
    assert ReplaceModel not in kinds(found)
    assert ReleaseModel not in [type(one) for _, one in wait(call, 60.0)]


def test_a_model_that_is_not_ready_is_not_let_go() -> None:
    call = arrived(policy(AUDIOCODES))
    call.handle(events.ModelLost("model-lost"), KEEP_MODEL_SECONDS - 1)

    assert ReleaseModel not in [type(one) for _, one in wait(call, KEEP_MODEL_SECONDS + 1)]


def test_a_model_that_is_ready_again_is_let_go_a_little_later() -> None:
    call = ringing()
    wait(call, KEEP_MODEL_SECONDS - 1)
    call.handle(events.ModelLost("model-lost"), KEEP_MODEL_SECONDS - 1)
    wait(call, KEEP_MODEL_SECONDS + 0.5)
    call.handle(events.SessionCreated("sess_2"), KEEP_MODEL_SECONDS + 0.5)
    call.handle(configured(call.policy), KEEP_MODEL_SECONDS + 0.5)

    done = wait(call, RINGING_SECONDS - 1)
    assert done == [(KEEP_MODEL_SECONDS + AGAIN_SECONDS, ReleaseModel())]


@pytest.mark.parametrize(("reason", "goodbye"), [("hung-up-by-operator", False), ("drained", True)])
def test_one_that_rings_is_hung_up_at_once(reason: str, goodbye: bool) -> None:
    call = arrived(policy(AUDIOCODES))

    found = call.handle(events.HangUpRequested(reason, goodbye), 5.0)
    assert found == [HangUp(reason), EndCall(ending(reason))]


def test_one_that_somebody_has_answered_is_taken_leave_of() -> None:
    call = arrived(policy(AUDIOCODES))
    call.handle(events.CallStarted(), 30.0)

    found = call.handle(events.HangUpRequested("hung-up-by-operator"), 31.0)
    assert EndCall not in kinds(found)


# --- In between -------------------------------------------------------------------------


def test_the_callers_voice_goes_to_the_model_as_it_came() -> None:
    call = started()
    sound = Audio.of(bytes(160), PCMU_8K)

    assert call.handle(events.CallerSpoke(sound), 1.0) == [AppendAudio(sound)]


def test_a_voice_before_the_arrival_is_nobodys() -> None:
    call = Call(policy(), 0.0)

    assert call.handle(events.CallerSpoke(Audio.of(b"", PCMU_8K)), 1.0) == []


def test_keys_pressed_close_together_are_one_text_and_one_request() -> None:
    call = started()
    assert call.handle(events.DigitsPressed(Private("1")), 1.0) == []
    assert call.handle(events.DigitsPressed(Private("2")), 2.0) == []

    assert wait(call, 3.5) == [
        (3.5, AddText("text-1", "user", Private("Keypad: 12"))),
        (3.5, CreateResponse("request-1", "keys")),
    ]


def test_a_hash_ends_the_keys_at_once() -> None:
    call = started()

    assert call.handle(events.DigitsPressed(Private("12#")), 1.0) == [
        AddText("text-1", "user", Private("Keypad: 12#")),
        CreateResponse("request-1", "keys"),
    ]


def test_keys_before_the_arrival_are_nobodys() -> None:
    call = Call(policy(), 0.0)

    assert call.handle(events.DigitsPressed(Private("1#")), 1.0) == []


def test_an_operators_text_goes_through_the_same_door() -> None:
    call = started()

    assert call.handle(events.TextInjected(Private("hurry")), 1.0) == [
        AddText("text-1", "system", Private("hurry")),
        CreateResponse("request-1", "text"),
    ]


def test_a_tool_runs_and_its_output_is_answered() -> None:
    call = started()
    answering(call, 1.0)
    assert kinds(calls_a_tool(call, 1.1)) == [RunTool]
    call.handle(finished(), 1.2)

    found = call.handle(events.ToolFinished("call_1", Private("{}")), 2.0)
    assert kinds(found) == [AddToolOutput, CreateResponse]


@pytest.mark.parametrize(
    "early",
    [
        events.MarkReached("mark-1"),
        events.CallerStreamStopped(),
        events.PlayFinished(None),
        events.ToolFinished("call_1", Private("")),
        events.TextInjected(Private("")),
        events.DeadlineReached(),
    ],
)
def test_what_comes_before_the_arrival_changes_nothing(early: Event) -> None:
    assert Call(policy(), 0.0).handle(early, 0.1) == []


@pytest.mark.parametrize(
    "idle", [events.CallerStreamStarted(), events.NoInputReported(1), events.PlayFinished("1")]
)
def test_what_needs_no_answer_gets_none(idle: Event) -> None:
    assert started().handle(idle, 1.0) == []


def test_a_stream_that_stops_is_handed_on() -> None:
    call = started()
    call.handle(events.CallerSpoke(Audio.of(bytes(800), PCMU_8K)), 1.0)
    call.handle(events.SpeechStarted("item_1", 0), 1.0)

    assert kinds(call.handle(events.CallerStreamStopped(), 1.1)) == [AppendAudio]


def test_a_mark_nobody_placed_is_a_stray() -> None:
    assert started().handle(events.MarkReached("theirs"), 1.0) == [Note("stray", "mark")]


@pytest.mark.parametrize("late", [events.MarkReached("mark-1"), events.PlayFinished("1")])
def test_an_acknowledgement_after_the_end_is_counted_and_changes_nothing(late: Event) -> None:
    call = started()
    call.handle(events.CallerHungUp("caller-hung-up"), 1.0)

    assert call.handle(late, 1.1) == [Note("stray", "after-end")]
    assert call.handle(events.CallerStreamStarted(), 1.2) == []


# --- The recording pauses ---------------------------------------------------------------


def test_a_pause_of_the_recording_withholds_what_is_said_until_all_want_it_kept_again() -> None:
    call = started()
    call.handle(events.SpeechStarted("item_1", 0), 1.0)

    assert call.handle(events.RecordingPauseRequested("agent"), 1.5) == [
        PauseRecording(),
        Note("withheld", "", ("item_1",)),
    ]
    assert call.handle(events.RecordingPauseRequested("operator"), 1.6) == []
    assert call.handle(events.DigitsPressed(Private("4711")), 2.0) == []
    assert call.handle(events.RecordingResumeRequested("agent"), 2.1) == []
    assert call.handle(events.RecordingResumeRequested("operator"), 2.2) == [ResumeRecording()]
    # Begun in the pause, complete behind it.
    found = call.handle(events.DigitsPressed(Private("#")), 2.3)

    assert found[-1] == Note("withheld", "", ("text-1",))
    assert "4711" not in str(call.transcript_changes(4.0))
    assert "4711" not in str(call.transcript.snapshot("call_1"))


def test_a_pause_before_the_call_has_a_line_holds_as_well() -> None:
    call = Call(policy(), 0.0)

    assert call.handle(events.RecordingPauseRequested("operator"), 0.1) == [PauseRecording()]
    assert call.transcript_changes(0.2) == {
        "order": [],
        "order_from": 0,
        "pauses": [{"started_ms": 100, "ended_ms": None}],
    }


def test_the_transcript_can_be_followed_while_the_agent_is_heard() -> None:
    call = started()
    answering(call, 1.0, 2000)
    words = Private("one two six ten")
    call.handle(events.ModelWords("resp_1", "item_2", 0, words, final=True), 1.1)

    item = call.transcript_changes(2.0)["items"]["item_2"]

    assert (item["heard"], item["unheard"], item["started_ms"]) == ("one two", "six ten", 1050)
    assert call.transcript_changes(2.5)["items"]["item_2"]["heard"] == "one two six"


# --- The agent hangs up -----------------------------------------------------------------


def agent_says_goodbye_and_hangs_up(ms: int = 1000) -> Call:
    """In one response, from 1.0 on; the model is done with it at 1.2."""
    call = started()
    answering(call, 1.0, ms)
    calls_a_tool(call, 1.1)
    assert call.handle(AGENT_HANGS_UP, 1.1) == []
    call.handle(events.ToolFinished("call_1", Private("{}")), 1.1)
    call.handle(finished(), 1.2)
    return call


def test_a_farewell_waits_for_the_ear() -> None:
    call = agent_says_goodbye_and_hangs_up()
    call.handle(events.MarkReached("mark-1"), 2.1)

    [hung_up] = when(wait(call, 5.0), HangUp)
    assert 2.1 + TAIL_SECONDS <= hung_up <= 2.1 + TAIL_SECONDS + LOOK_SECONDS


def test_a_farewell_does_not_wait_for_a_mark_that_never_comes_back() -> None:
    call = agent_says_goodbye_and_hangs_up()

    assert len(when(wait(call, 6.0), HangUp)) == 1


def test_a_farewell_still_to_be_said_is_waited_for() -> None:
    call = started()
    answering(call, 1.0, ms=0)
    calls_a_tool(call, 1.1)
    call.handle(AGENT_HANGS_UP, 1.1)
    call.handle(finished(), 1.2)
    found = call.handle(events.ToolFinished("call_1", Private("{}")), 1.2)
    assert kinds(found) == [AddToolOutput, CreateResponse]
    call.handle(events.ResponseCreated("resp_2", "request-2"), 1.5)
    assert when(wait(call, 3.0), HangUp) == []

    call.handle(events.ModelSpoke("resp_2", "item_4", 0, Audio.of(bytes(800), PCMU_8K)), 3.0)
    call.handle(finished("resp_2"), 3.1)
    call.handle(events.MarkReached("mark-1"), 3.1)
    assert when(wait(call, 4.0), HangUp)


def test_a_farewell_that_is_never_said_is_said_for_it_and_not_waited_for_for_ever() -> None:
    call = started(replace(policy(), hold_after=60.0))
    answering(call, 1.0, ms=0)
    calls_a_tool(call, 1.1)
    call.handle(AGENT_HANGS_UP, 1.1)
    found = wait(call, 60.0)

    assert when(found, PlayAudio)[0] == pytest.approx(1.1 + REPLY_SECONDS, abs=LOOK_SECONDS)
    [(hung_up, how)] = [(at, one) for at, one in found if isinstance(one, HangUp)]
    assert how == HangUp("agent-hung-up")
    assert hung_up >= when(found, PlayAudio)[0] + 1.0 + TAIL_SECONDS, "he has heard it"


def test_nor_is_it_by_one_who_may_not_keep_the_line_and_speaks_on() -> None:
    call = started(replace(policy(), farewell_interruptible=False))
    answering(call, 1.0, ms=0)
    calls_a_tool(call, 1.1)
    call.handle(AGENT_HANGS_UP, 1.1)
    call.handle(events.SpeechStarted("item_4", 0), 1.2)
    call.handle(events.ToolFinished("call_1", Private("{}")), 1.3)
    call.handle(finished(), 1.4)
    found = wait(call, 60.0)

    assert when(found, HangUp)[0] > when(found, PlayAudio)[0] >= 1.1 + REPLY_SECONDS


def test_a_caller_who_speaks_cancels_the_farewell() -> None:
    call = agent_says_goodbye_and_hangs_up(ms=2000)

    found = call.handle(events.SpeechStarted("item_4", 0), 1.5)
    assert Note("farewell-cancelled") in found
    assert told(found) == [LINE_KEPT.format(what="hang-up")]
    call.handle(events.SpeechStopped("item_4", 0), 2.5)
    assert CreateResponse in kinds(call.handle(events.TurnCommitted("item_4"), 2.5))
    assert when(wait(call, 3.0), HangUp) == []


def confirming_goodbye(confirm_ms: int | None = 250, interruptible: bool = True) -> Call:
    """The agent says goodbye for two seconds from 1.0 on, and means to hang up after that."""
    how = replace(policy(), confirm_ms=confirm_ms, farewell_interruptible=interruptible)
    call = started(how)
    answering(call, 1.0, 2000)
    calls_a_tool(call, 1.1)
    call.handle(AGENT_HANGS_UP, 1.1)
    call.handle(events.ToolFinished("call_1", Private("{}")), 1.1)
    call.handle(finished(), 1.2)
    return call


def speaks(call: Call, at: float, ms: int, like: bytes = b"\x10\x90") -> list[Effect]:
    """Loudly, in frames of 20 ms."""
    found: list[Effect] = []
    for nth in range(ms // 20):
        frame = events.CallerSpoke(Audio.of(like * 80, PCMU_8K))
        found += call.handle(frame, at + nth * 0.02)
    return found


def begins_a_sound(call: Call) -> None:
    """At 1.5, says the model, which counts 300 ms before it; until then there was silence."""
    speaks(call, 0.02, 1500, like=b"\xff\xff")
    call.handle(events.SpeechStarted("item_4", 1200), 1.5)


def test_where_barge_in_is_to_be_confirmed_a_cough_does_not_cancel_the_farewell() -> None:
    call = confirming_goodbye()
    begins_a_sound(call)
    speaks(call, 1.5, 160)
    call.handle(events.SpeechStopped("item_4", 0), 2.1)
    found = call.handle(events.TurnCommitted("item_4"), 2.1)
    assert kinds(found) == []

    # What he had not heard was 1.5 s long, and is heard from 2.1 at the latest.
    [hung_up] = when(wait(call, 9.0), HangUp)
    assert 3.4 <= hung_up <= 6.0


def test_where_barge_in_is_to_be_confirmed_speech_that_lasts_cancels_the_farewell() -> None:
    call = confirming_goodbye()
    begins_a_sound(call)
    found = speaks(call, 1.5, 400)

    assert Note("farewell-cancelled") in found
    assert when(wait(call, 20.0), HangUp) == []


def test_an_agent_that_hangs_up_while_the_caller_coughs_hangs_up() -> None:
    call = started(replace(policy(), confirm_ms=250))
    answering(call, 1.0, 2000)
    call.handle(finished(), 1.2)
    begins_a_sound(call)

    assert call.handle(AGENT_HANGS_UP, 1.6) == []
    call.handle(events.SpeechStopped("item_4", 0), 2.1)
    call.handle(events.TurnCommitted("item_4"), 2.1)
    assert len(when(wait(call, 9.0), HangUp)) == 1


def test_by_policy_a_caller_who_speaks_does_not_cancel_the_farewell() -> None:
    call = confirming_goodbye(None, interruptible=False)
    assert kinds(call.handle(events.SpeechStarted("item_4", 0), 1.5)) == []
    call.handle(events.SpeechStopped("item_4", 0), 2.1)
    assert kinds(call.handle(events.TurnCommitted("item_4"), 2.1)) == []
    call.handle(events.MarkReached("mark-1"), 3.0)

    assert when(wait(call, 3.5), HangUp) == [pytest.approx(3.0 + TAIL_SECONDS, abs=LOOK_SECONDS)]


def test_by_policy_a_stored_greeting_is_heard_out_and_the_turn_answered() -> None:
    clips = {**CLIPS, "greeting": CLIPS["goodbye"]}
    call = started(replace(policy(greet=True), clips=clips, greeting_interruptible=False))

    assert kinds(call.handle(events.SpeechStarted("item_4", 0), 0.5)) == []
    call.handle(events.SpeechStopped("item_4", 0), 0.9)
    assert CreateResponse in kinds(call.handle(events.TurnCommitted("item_4"), 0.9))
    call.handle(events.MarkReached("mark-1"), 1.0)
    assert CancelResponse not in kinds(call.handle(events.SpeechStarted("item_5", 0), 1.5))


def test_by_policy_neither_does_one_who_is_speaking_already() -> None:
    how = replace(policy(), farewell_interruptible=False)
    call = started(how)
    call.handle(events.SpeechStarted("item_4", 0), 1.0)

    assert Note("farewell-cancelled") not in call.handle(AGENT_HANGS_UP, 1.1)
    assert len(when(wait(call, 30.0), HangUp)) == 1


def test_a_caller_who_is_speaking_already_is_not_hung_up_on() -> None:
    call = started()
    call.handle(events.SpeechStarted("item_4", 0), 1.0)

    found = call.handle(AGENT_HANGS_UP, 1.1)
    assert Note("farewell-cancelled") in found
    assert told(found) == [LINE_KEPT.format(what="hang-up")]
    assert kinds(found) == [AddText], "his turn is answered in any case"
    assert when(wait(call, 20.0), HangUp) == []


def test_an_agent_whose_transfer_the_caller_stopped_is_told_and_may_ask_again() -> None:
    call = started()
    answering(call, 1.0)
    call.handle(events.TransferRequested(TARGET, tool_call_id="call_1"), 1.1)
    call.handle(finished(), 1.2)

    found = call.handle(events.SpeechStarted("item_4", 0), 1.5)
    assert told(found) == [LINE_KEPT.format(what="transfer")]
    call.handle(events.TurnCommitted("item_4"), 2.0)
    call.handle(events.ResponseCreated("resp_2", "request-2"), 2.1)
    call.handle(events.ModelSpoke("resp_2", "item_5", 0, Audio.of(bytes(160), PCMU_8K)), 2.1)
    call.handle(events.TransferRequested(TARGET, tool_call_id="call_1"), 2.2)
    call.handle(finished("resp_2"), 2.3)
    assert TransferCall in [type(one) for _, one in wait(call, 3.0)]


def test_of_an_operators_transfer_that_the_caller_stopped_the_agent_is_not_told() -> None:
    call = started()
    answering(call, 1.0)
    call.handle(events.TransferRequested(TARGET), 1.1)

    found = call.handle(events.SpeechStarted("item_4", 0), 1.5)
    assert Note("farewell-cancelled") in found
    assert told(found) == []
    found = call.handle(events.TransferRequested(TARGET), 1.6)
    assert (Note("farewell-cancelled") in found, told(found)) == (True, [])


def test_the_later_of_two_wishes_of_an_operator_is_done() -> None:
    call = started()
    answering(call, 1.0)
    call.handle(events.HangUpRequested("hung-up-by-operator"), 1.1)
    call.handle(events.TransferRequested(TARGET, tool_call_id="call_1"), 1.2)
    call.handle(events.TransferRequested(TARGET, Private("asked")), 1.3)
    call.handle(finished(), 1.4)

    assert when(wait(call, 9.0), TransferCall)


def test_the_line_is_given_up_if_nobody_ends_the_call_after_we_hung_up() -> None:
    call = started()
    by_operator = events.HangUpRequested("hung-up-by-operator")
    assert call.handle(by_operator, 1.0) == [HangUp("hung-up-by-operator")]

    assert wait(call, 60.0) == [(1.0 + HANG_UP_SECONDS, EndCall(ending("hung-up-by-operator")))]
    assert call.ended == Ending(Outcome.COMPLETED, "hung-up-by-operator")


def test_the_ending_says_who_hung_up_whatever_the_line_says_afterwards() -> None:
    call = started()
    call.handle(AGENT_HANGS_UP, 1.0)
    wait(call, 2.0)

    assert call.handle(events.CallerHungUp("caller-hung-up"), 2.1) == [
        EndCall(ending("agent-hung-up"))
    ]


def test_an_operators_hang_up_is_not_cancelled_by_speech() -> None:
    call = started()
    answering(call, 1.0)
    call.handle(events.HangUpRequested("hung-up-by-operator"), 1.1)
    call.handle(events.SpeechStarted("item_3", 0), 1.2)

    assert when(wait(call, 3.0), HangUp)


def test_who_hangs_up_before_the_line_is_ours_hangs_up_when_it_is() -> None:
    call = Call(policy(), 0.0)
    assert call.handle(events.HangUpRequested("hung-up-by-operator"), 0.1) == []
    call.handle(events.CallArrived("provider-1", PCMU_8K), 0.5)

    assert HangUp in kinds(call.handle(events.CallStarted(), 1.0))


def test_once_the_line_is_handed_over_nobody_hangs_up_or_transfers_again() -> None:
    call = started()
    call.handle(events.HangUpRequested("hung-up-by-operator"), 1.0)
    wait(call, 1.5)
    call.handle(events.TransferRequested(TARGET), 1.6)
    call.handle(events.TransferSucceeded(), 1.7)

    assert wait(call, 60.0) == [(1.0 + HANG_UP_SECONDS, EndCall(ending("hung-up-by-operator")))]


def test_what_the_agent_wishes_afterwards_takes_an_operators_hang_up_from_nobody() -> None:
    call = started()
    answering(call, 1.0)
    call.handle(events.HangUpRequested("hung-up-by-operator"), 1.1)
    call.handle(AGENT_HANGS_UP, 1.2)
    call.handle(events.TransferRequested(TARGET, tool_call_id="call_1"), 1.3)

    found = call.handle(events.SpeechStarted("item_3", 0), 1.4)
    assert Note("farewell-cancelled") not in found
    call.handle(finished(), 1.5)
    left = [one for _, one in wait(call, 4.0) if isinstance(one, HangUp | TransferCall)]
    assert left == [HangUp("hung-up-by-operator")]


# --- Transfers --------------------------------------------------------------------------


def transferring(traits: TelephonyTraits = TWILIO, how: CallPolicy | None = None) -> Call:
    """Since 1.0."""
    call = started(how or policy(traits))
    wait(call, 0.9)
    found = call.handle(events.TransferRequested(TARGET, Private("billing")), 1.0)
    assert found == [TransferCall(TARGET, "billing")]
    return call


def test_a_transfer_that_succeeds_ends_the_call_within_a_bounded_time() -> None:
    call = transferring()
    call.handle(events.TransferSucceeded(), 20.0)

    assert wait(call, 60.0) == [(20.0 + HANG_UP_SECONDS, EndCall(ending("transferred")))]


def test_a_transferred_caller_who_leaves_our_line_was_transferred() -> None:
    call = transferring()

    assert call.handle(events.CallerHungUp("caller-hung-up"), 20.0) == [
        EndCall(ending("transferred"))
    ]


@pytest.mark.parametrize(
    ("event", "reason"),
    [
        (events.CallerHungUp("caller-hung-up"), "caller-hung-up"),
        (events.CallerHungUp("telephony-error"), "telephony-error"),
        (events.CallerHungUp("not-answered"), "not-answered"),
        (events.TelephonyLost(), "telephony-lost"),
        (events.CallerHungUp("transferred"), "transferred"),
        (events.CallerHungUp("agent-hung-up"), "transferred"),  # that is all it shows of us
        (events.CallerHungUp("unknown"), "transferred"),
    ],
)
def test_what_ended_it_while_it_still_rang_elsewhere_is_believed(event: Event, reason: str) -> None:
    call = transferring(AUDIOCODES)

    assert call.handle(event, 20.0) == [EndCall(ending(reason))]


def test_a_stream_that_is_lost_while_the_caller_is_handed_over_ends_as_that_does() -> None:
    call = transferring()

    assert call.handle(events.TelephonyLost(), 20.0) == [EndCall(ending("transferred"))]


@pytest.mark.parametrize("reason", ["caller-hung-up", "transferred", "agent-hung-up"])
def test_once_somebody_answered_there_the_caller_was_transferred(reason: str) -> None:
    call = transferring(AUDIOCODES)
    call.handle(events.TransferSucceeded(), 19.0)

    assert call.handle(events.CallerHungUp(reason), 20.0) == [EndCall(ending("transferred"))]


def test_a_transfer_that_fails_gives_the_caller_back_to_the_agent() -> None:
    call = transferring()

    found = call.handle(events.TransferFailed("busy"), 20.0)
    assert found[0] == Note("transfer-failed", "busy")
    assert kinds(found) == [AddText, CreateResponse]
    assert call.handle(events.TransferFailed("busy"), 20.1) == [Note("stray", "transfer")]


def test_a_transfer_nobody_answers_has_failed() -> None:
    call = transferring()

    found = wait(call, 1.0 + TRANSFER_SECONDS)
    assert [type(effect) for _, effect in found] == [AddText, CreateResponse]
    assert call.ended is None


@pytest.mark.parametrize("traits", [AUDIOCODES, TWILIO], ids=lambda one: one.name)
def test_an_operators_hang_up_while_it_rings_waits_for_what_comes_of_it(
    traits: TelephonyTraits,
) -> None:
    call = transferring(traits)
    assert call.handle(BY_OPERATOR, 5.0) == []
    assert wait(call, 9.0) == []

    found = call.handle(events.TransferFailed("busy"), 10.0)
    assert found == [Note("transfer-failed", "busy"), HangUp("hung-up-by-operator")]


def test_an_operator_who_hung_up_on_a_caller_who_was_answered_there_leaves_him_there() -> None:
    call = transferring(AUDIOCODES)
    call.handle(BY_OPERATOR, 5.0)
    call.handle(events.TransferSucceeded(), 10.0)

    assert wait(call, 60.0) == [(10.0 + HANG_UP_SECONDS, EndCall(ending("transferred")))]


def by_key() -> CallPolicy:
    return replace(policy(AUDIOCODES), keys={"9": KeyAction("hang_up")})


@pytest.mark.parametrize(
    ("wished", "reason"),
    [([DRAINED], "drained"), ([BY_OPERATOR, DRAINED], "drained"), ([NINE], "agent-hung-up")],
    ids=["drained", "twice", "key"],
)
def test_a_goodbye_that_is_due_while_it_rings_is_said_when_it_fails(
    wished: list[Event], reason: str
) -> None:
    call = transferring(how=by_key())
    for event in wished:
        assert not when([(5.0, one) for one in call.handle(event, 5.0)], PlayAudio)
    call.handle(AGENT_HANGS_UP, 6.0)
    assert wait(call, 9.0) == []

    found = call.handle(events.TransferFailed("busy"), 10.0)
    assert PlayAudio in kinds(found)
    assert told(found) == [], "the model has nothing more to say"
    [(at, hung_up)] = [(at, one) for at, one in wait(call, 15.0) if isinstance(one, HangUp)]
    assert hung_up == HangUp(reason)
    assert at >= 11.0 + TAIL_SECONDS, "he has heard it"


def test_a_failure_while_it_rings_is_no_reason_to_go_when_it_fails() -> None:
    call = transferring(AUDIOCODES)
    call.handle(events.PeerStalled("model"), 5.0)

    assert told(call.handle(events.TransferFailed("busy"), 10.0)) != []


def test_a_model_lost_during_a_transfer_is_missed_only_if_that_fails() -> None:
    call = transferring()
    assert kinds(call.handle(events.ModelLost("model-lost", permanent=True), 5.0)) == []

    found = call.handle(events.TransferFailed("busy"), 20.0)
    assert kinds(found) == [ReplaceModel]
    assert wait(call, 60.0)[-1][1] == EndCall(ending("model-silent"))


def test_a_call_that_becomes_too_long_during_a_transfer_ends_when_that_fails() -> None:
    call = started(replace(policy(), max_call_seconds=10.0))
    call.handle(events.TransferRequested(TARGET), 5.0)

    found = wait(call, 200.0)
    assert found[-1][1] == EndCall(ending("too-long"))


# --- We end the call --------------------------------------------------------------------


def test_a_lost_model_is_a_stored_sorry_and_goodbye_then_the_hang_up() -> None:
    call = started()
    answering(call, 1.0, ms=3000)

    found = call.handle(events.ModelLost("model-lost", permanent=True), 1.5)
    assert kinds(found).index(ClearPlayout) < kinds(found).index(PlayAudio)
    played = sum(one.audio.ms for one in found if isinstance(one, PlayAudio))
    assert played == pytest.approx(1500, abs=40)

    later = wait(call, 60.0)
    assert [type(effect) for _, effect in later] == [HangUp, EndCall]
    assert later[0][0] >= 1.5 + 1.5
    assert later[1][1] == EndCall(ending("model-lost"))


def test_what_the_clips_say_is_in_the_transcript() -> None:
    call = started()
    call.handle(events.ModelLost("model-lost", permanent=True), 1.5)
    wait(call, 60.0)

    assert call.conversation is not None
    items = call.conversation.transcript.snapshot("call")["items"]
    assert [one["heard"] for one in items] == [CLIP_WORDS["sorry"], CLIP_WORDS["goodbye"]]


def test_what_was_not_heard_when_the_call_ended_never_was() -> None:
    call = started()
    answering(call, 1.0, ms=3000)
    call.handle(events.MarkReached("mark-9"), 1.1)
    call.handle(events.CallerHungUp("caller-hung-up"), 1.5)

    assert call.conversation is not None
    assert call.conversation.transcript.item("item_2", "agent").status == "interrupted"


@pytest.mark.parametrize(
    ("event", "reason"),
    [
        (events.PeerStalled("model"), "model-too-slow"),
        (events.Broke(), "internal-error"),
        (events.HangUpRequested("drained", goodbye=True), "drained"),
        (events.ModelErred("invalid_api_key"), "model-refused-us"),
    ],
)
def test_whatever_ends_the_call_from_our_side_is_said_before_it_ends(
    event: Event, reason: str
) -> None:
    call = started()

    assert PlayAudio in kinds(call.handle(event, 1.0))
    found = wait(call, 60.0)
    assert [type(effect) for _, effect in found] == [HangUp, EndCall]
    assert call.ended == ending(reason)


def test_a_drained_call_says_goodbye_and_no_sorry() -> None:
    call = started()
    found = call.handle(events.HangUpRequested("drained", goodbye=True), 1.0)

    played = sum(one.audio.ms for one in found if isinstance(one, PlayAudio))
    assert played == pytest.approx(1000, abs=40)


def test_a_model_that_is_silent_is_given_up_aloud() -> None:
    call = started(replace(policy(), resume_grace=0.0))
    call.handle(events.TurnCommitted("item_1"), 1.0)

    found = wait(call, 60.0, alive=False)
    assert when(found, PlayAudio)[0] == 1.0 + ASK_SECONDS + BUSY_ANSWER_SECONDS
    assert call.ended == ending("model-silent")


def test_so_is_one_that_only_says_that_it_is_there() -> None:
    call = started(replace(policy(), resume_grace=0.0))
    call.handle(events.TurnCommitted("item_1"), 1.0)

    found = wait(call, 60.0)
    assert when(found, CreateResponse) == [6.0, 11.0, 16.0]
    assert when(found, PlayAudio)[0] == 21.0


def test_a_session_that_is_never_ready_is_given_up_aloud() -> None:
    call = arrived(policy(greet=True))
    call.handle(events.CallStarted(), 0.5)

    found = wait(call, 60.0)
    assert when(found, PlayAudio)
    assert call.ended == ending("model-silent")


def test_a_call_that_is_too_long_ends_with_a_goodbye() -> None:
    call = started(replace(policy(), max_call_seconds=100.0))

    found = wait(call, 200.0)
    assert when(found, PlayAudio)[0] == 100.0
    assert call.ended == ending("too-long")


def test_a_second_reason_to_end_the_call_changes_nothing() -> None:
    call = started()
    call.handle(events.ModelLost("model-lost", permanent=True), 1.0)

    assert call.handle(events.Broke(), 1.1) == []
    call.handle(AGENT_HANGS_UP, 1.2)
    wait(call, 60.0)
    assert call.ended == ending("model-lost")


def test_a_caller_who_hangs_up_on_the_last_words_leaves_their_reason() -> None:
    call = started()
    call.handle(events.ModelLost("model-lost", permanent=True), 1.0)

    assert call.handle(events.CallerHungUp("caller-hung-up"), 1.1) == [
        EndCall(ending("model-lost"))
    ]


def test_last_words_cannot_be_interrupted_and_nothing_goes_to_the_model_any_more() -> None:
    call = started()
    call.handle(events.HangUpRequested("drained", goodbye=True), 1.0)

    assert call.handle(events.SpeechStarted("item_1", 0), 1.1) == []
    assert call.handle(events.CallerSpoke(Audio.of(bytes(160), PCMU_8K)), 1.2) == []
    assert kinds(call.handle(events.TurnCommitted("item_1"), 1.3)) == []
    assert kinds(call.handle(events.ResponseCreated("resp_9"), 1.4)) == [CancelResponse]


def test_without_stored_speech_the_call_ends_unspoken() -> None:
    call = started(replace(policy(), clips={}))

    assert PlayAudio not in kinds(call.handle(events.ModelLost("model-lost", permanent=True), 1.0))
    assert [type(effect) for _, effect in wait(call, 60.0)] == [HangUp, EndCall]


def test_a_ringing_phone_is_answered_by_the_last_words() -> None:
    call = arrived(policy(AUDIOCODES, greet=True))
    call.handle(events.CallStarted(), 1.0)
    call.handle(events.ModelLost("model-unreachable", permanent=True), 1.1)

    assert call.answered_at == 1.1
    assert when(wait(call, 60.0), AnswerCall) == []


@pytest.mark.parametrize("arrives", [True, False])
def test_a_model_lost_before_the_line_is_ours_is_told_when_it_is(arrives: bool) -> None:
    call = arrived() if arrives else Call(policy(), 0.0)
    assert kinds(call.handle(events.ModelLost("model-refused-us", permanent=True), 0.1)) == []
    if not arrives:
        assert kinds(call.handle(events.CallArrived("provider-1", PCMU_8K), 0.2)) == []

    assert PlayAudio in kinds(call.handle(events.CallStarted(), 0.5))
    wait(call, 60.0)
    assert call.ended == ending("model-refused-us")


def test_a_caller_who_never_comes_to_hear_it_is_not_waited_for() -> None:
    call = Call(policy(), 0.0)
    call.handle(events.ModelLost("model-lost", permanent=True), 0.1)

    assert wait(call, 60.0) == [(ARRIVAL_SECONDS, EndCall(ending("model-lost")))]


@pytest.mark.parametrize(
    ("peer", "reason"),
    [("model", "model-unintelligible"), ("twilio", "telephony-unintelligible")],
)
def test_a_peer_is_not_understood_once_too_often(peer: str, reason: str) -> None:
    call = started()
    bad = events.MessageRejected(peer, "not-json")
    for _ in range(MOST_BAD_MESSAGES):
        assert call.handle(bad, 1.0) == [Note("bad-message", f"{peer}:not-json")]

    assert PlayAudio in kinds(call.handle(bad, 1.1))
    assert kinds(call.handle(bad, 1.2)) == []
    wait(call, 60.0)
    assert call.ended == ending(reason)


# --- The end ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("event", "reason"),
    [
        (events.CallerHungUp("caller-hung-up"), "caller-hung-up"),
        (events.CallerHungUp("machine-detected"), "machine-detected"),
        (events.TelephonyLost(), "telephony-lost"),
        (events.PeerStalled("telephony"), "telephony-too-slow"),
    ],
)
@pytest.mark.parametrize("at_all", [True, False])
def test_where_nobody_hears_us_the_call_ends_at_once(
    event: Event, reason: str, at_all: bool
) -> None:
    call = started() if at_all else Call(policy(), 0.0)

    assert call.handle(event, 1.0) == [EndCall(ending(reason))]
    assert call.ended == ending(reason)


def test_formats_that_were_offered_in_vain_are_told_with_the_end() -> None:
    for offered in (("raw/opus",), ()):
        call = Call(policy(), 0.0)

        assert call.handle(events.CallerHungUp("no-common-format", offered), 1.0) == [
            Note("declined", "no-common-format", offered),
            EndCall(ending("no-common-format")),
        ]


def test_nothing_happens_after_the_end() -> None:
    call = started()
    call.handle(events.TelephonyLost(), 1.0)

    assert call.deadline is None
    for event in (
        events.TelephonyLost(),
        events.TurnCommitted("item_1"),
        events.CallerSpoke(Audio.of(bytes(160), PCMU_8K)),
        events.DeadlineReached(),
    ):
        assert call.handle(event, 2.0) == []


def test_a_call_nobody_waits_for_asks_only_whether_the_model_is_there() -> None:
    call = started()

    assert call.deadline == ASK_SECONDS
    assert call.handle(events.DeadlineReached(), 1.0) == []

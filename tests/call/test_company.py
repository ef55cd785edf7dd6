"""What is said into a silence, in whole calls: greeting, nudges, a warning before the end."""

from dataclasses import replace

import pytest

from opusbridge import events
from opusbridge.call.call import Call
from opusbridge.call.farewell import TAIL_SECONDS
from opusbridge.call.policy import (
    AUDIOCODES,
    TWILIO,
    CallPolicy,
    Clip,
    ResponsePolicy,
    SilencePolicy,
)
from opusbridge.call.pulse import ANSWER_SECONDS, ASK_SECONDS, BUSY_ANSWER_SECONDS
from opusbridge.effects import (
    AddText,
    AnswerCall,
    ClearPlayout,
    CreateResponse,
    DeleteItem,
    Effect,
    EndCall,
    FeelPulse,
    HangUp,
    Note,
    PlayAudio,
    ReplaceModel,
    SessionConfig,
    TransferCall,
    TurnDetection,
)
from opusbridge.errors import ending
from opusbridge.privacy import Private
from opusbridge.sound import PCM_16K, PCM_24K, PCMU_8K, Audio
from tests.call.lines import wait

WORDS = "Good morning, this is the front desk."
#: Two seconds, half a second and one.
CLIPS = {
    "greeting": Clip(8_000, bytes(32_000)),
    "goodbye": Clip(8_000, bytes(8_000)),
    "one-moment": Clip(8_000, bytes(16_000)),
}
SESSION = SessionConfig(
    "Be kind.", PCM_24K, turn_detection=TurnDetection("server_vad", False, True)
)
LADDER = SilencePolicy((5.0, 5.0, 5.0), ("Ask.", "Warn."), "Say goodbye.")
#: Told of no wire: what is sent is heard at once.
NEAR = replace(TWILIO, wire_seconds=0.0)
POLICY = CallPolicy(NEAR, SESSION, clips=CLIPS, clip_words={"greeting": WORDS})
READY = (events.SessionCreated("sess_1"), events.SessionConfigured(PCMU_8K, PCMU_8K))


def started(policy: CallPolicy, ready: bool = True) -> tuple[Call, list[Effect]]:
    """At 0.0, with what that led to."""
    call = Call(policy, 0.0)
    form = PCMU_8K if policy.telephony is NEAR else PCM_16K
    found = call.handle(events.CallArrived("provider-1", form), 0.0)
    if ready:
        for event in READY:
            call.handle(event, 0.0)
    return call, found + call.handle(events.CallStarted(), 0.0)


def texts(found: list[tuple[float, Effect]]) -> list[tuple[float, str]]:
    return [(at, one.text.value) for at, one in found if isinstance(one, AddText)]


def of(kind: type, found: list[tuple[float, Effect]]) -> list[float]:
    return [at for at, one in found if isinstance(one, kind)]


def answer(call: Call, request: int, at: float, ms: int = 500) -> None:
    """The model answers this request at once, with so much sound."""
    response, item = f"resp_{request}", f"answer_{request}"
    call.handle(events.ResponseCreated(response, f"request-{request}"), at)
    call.handle(events.ModelSpoke(response, item, 0, Audio.of(bytes(8 * ms), PCMU_8K)), at)
    call.handle(events.OutputItemDone(response, item, "message", "completed"), at)
    call.handle(events.ModelAudioDone(response, item, 0), at)
    call.handle(events.ResponseDone(response, "completed"), at)


# --- Holding ----------------------------------------------------------------------------


def test_a_session_that_froze_while_the_caller_spoke_is_not_believed_that_he_still_does() -> None:
    whose = ResponsePolicy(model_creates=True, interrupts=False)
    call, _ = started(replace(POLICY, barge_in=False, responses=whose))
    call.handle(events.SpeechStarted("item_1", 0), 1.0)
    call.handle(events.TurnCommitted("item_1", None), 2.0)
    call.handle(events.ResponseCreated("resp_1", "request-1"), 2.5)
    call.handle(events.SpeechStarted("item_2", 2400), 3.0)

    found = []
    while (due := call.deadline) is not None and due < 13.0:
        found += [(due, effect) for effect in call.handle(events.DeadlineReached(), due)]

    (asked,) = of(FeelPulse, found)
    assert asked == 3.0 + ASK_SECONDS
    assert of(PlayAudio, found)[0] == asked + ANSWER_SECONDS  # one moment please
    assert of(ReplaceModel, found) == [asked + BUSY_ANSWER_SECONDS]


def test_while_a_dial_for_an_expired_session_goes_on_the_caller_is_asked_to_hold() -> None:
    call, _ = started(replace(POLICY, barge_in=False))
    call.handle(events.SpeechStarted("item_1", 0), 1.0)  # he is not waiting yet
    found = call.handle(events.ModelErred("session_expired"), 1.5)
    assert of(ReplaceModel, [(1.5, one) for one in found])

    due = call.deadline  # and nothing else would wake it
    assert due is not None
    held = call.handle(events.DeadlineReached(), due)
    assert [one for one in held if isinstance(one, PlayAudio)]
    assert due == 1.5 + POLICY.hold_after


# --- An answer that may not be said to its end ------------------------------------------

FILTERED = events.ResponseDone("resp_1", "incomplete", "content_filter")


def half_an_answer() -> Call:
    """The caller is hearing the beginning of it at 1.2."""
    clips = {**CLIPS, "sorry": Clip(8_000, bytes(3_840))}
    call, _ = started(replace(POLICY, clips=clips))
    call.handle(events.TurnCommitted("item_1"), 1.0)
    call.handle(events.ResponseCreated("resp_1", "request-1"), 1.0)
    call.handle(events.ModelSpoke("resp_1", "item_2", 0, Audio.of(bytes(8_000), PCMU_8K)), 1.1)
    return call


def test_of_an_answer_that_may_not_be_said_to_its_end_the_caller_is_told() -> None:
    found = half_an_answer().handle(FILTERED, 1.2)

    assert Note("apology", "content-filter") in found
    assert sum(one.audio.ms for one in found if isinstance(one, PlayAudio)) == 240.0


def test_he_is_not_told_of_it_where_more_is_to_be_said_anyhow() -> None:
    call = half_an_answer()
    call.handle(events.TextInjected(Private("Mention the sale.")), 1.2)
    found = call.handle(FILTERED, 1.3)

    assert [one for one in found if isinstance(one, CreateResponse)]
    assert Note("apology", "content-filter") not in found
    found = call.handle(events.DeadlineReached(), 1.4)
    assert Note("apology", "content-filter") not in found


# --- The greeting -----------------------------------------------------------------------


def test_a_stored_greeting_is_heard_at_once_while_the_model_is_still_dialled() -> None:
    call, found = started(replace(POLICY, greet=True), ready=False)

    assert sum(one.audio.ms for one in found if isinstance(one, PlayAudio)) == 2000.0
    assert not [one for one in found if isinstance(one, AddText | CreateResponse)]
    assert call.answered_at == 0.0


def test_it_answers_the_phone_where_that_rings() -> None:
    call, found = started(replace(POLICY, telephony=AUDIOCODES, greet=True), ready=False)

    assert [one for one in found if isinstance(one, PlayAudio)]
    assert call.answered_at == 0.0
    assert of(AnswerCall, wait(call, 1.0)) == []


def test_the_model_is_told_that_it_said_so_and_is_not_asked_to_greet() -> None:
    call, _ = started(replace(POLICY, greet=True), ready=False)
    found = [effect for event in READY for effect in call.handle(event, 1.0)]

    assert AddText("said-1", "assistant", Private(WORDS)) in found
    assert not [one for one in found if isinstance(one, CreateResponse)]


def test_of_a_greeting_cut_short_the_model_knows_what_was_heard() -> None:
    call, _ = started(replace(POLICY, greet=True))
    found = call.handle(events.SpeechStarted("item_1", 0), 1.0)

    assert DeleteItem("said-1") in found
    again = [one for one in found if isinstance(one, AddText)]
    assert [one.item_id for one in again] == ["said-1-heard"]
    assert WORDS.startswith(again[0].text.value)
    assert again[0].text.value not in ("", WORDS)


def test_what_was_said_in_its_name_is_restored_to_another_session() -> None:
    call, _ = started(replace(POLICY, greet=True))
    call.handle(events.ModelLost("model-lost"), 3.0)
    found = [effect for event in READY for effect in call.handle(event, 4.0)]

    assert AddText("said-1", "assistant", Private(WORDS)) in found


# --- Nudges -----------------------------------------------------------------------------


def test_a_caller_who_says_nothing_is_nudged_twice_and_then_let_go() -> None:
    call, _ = started(replace(POLICY, no_input=LADDER))
    told: list[tuple[float, str]] = []
    for request, due in ((1, 5.0), (2, 10.5), (3, 16.0)):
        told += texts(wait(call, due))
        answer(call, request, due)
    leaving = wait(call, 18.0)
    over = call.handle(events.CallerHungUp("caller-hung-up"), 18.0)

    silence = "The caller has said nothing for 5 seconds. "
    assert told == [
        (5.0, silence + "Ask."),
        (10.5, silence + "Warn."),
        (16.0, silence + "Say goodbye."),
    ]
    assert of(HangUp, leaving)[0] >= 16.5 + TAIL_SECONDS  # said, and heard
    assert over == [EndCall(ending("no-input"))]


def test_every_nudge_leaves_by_the_one_door() -> None:
    call, _ = started(replace(POLICY, no_input=LADDER))
    found = [effect for _, effect in wait(call, 5.0)]

    requests = [one for one in found if isinstance(one, CreateResponse)]
    assert [one.why for one in requests] == ["nudge"]
    assert Note("no-input", "nudge", (), 1.0) in found


def test_silence_is_counted_from_the_end_that_was_heard() -> None:
    call, _ = started(replace(POLICY, no_input=LADDER))
    call.handle(events.TurnCommitted("item_1"), 1.0)
    answer(call, 1, 1.0, ms=4000)

    assert [at for at, _ in texts(wait(call, 12.0))] == [10.0]


def test_nobody_is_nudged_while_a_tool_runs() -> None:
    call, _ = started(replace(POLICY, no_input=LADDER))
    call.handle(events.TurnCommitted("item_1"), 1.0)
    call.handle(events.ResponseCreated("resp_1", "request-1"), 1.0)
    call.handle(events.ToolCalled("resp_1", "item_2", "call_1", "look", Private("{}")), 1.0)
    call.handle(events.ResponseDone("resp_1", "completed"), 1.0)

    assert texts(wait(call, 60.0)) == []


def test_a_caller_who_is_to_type_has_a_time_limit_of_his_own() -> None:
    call, _ = started(replace(POLICY, no_input=LADDER))
    call.handle(events.DigitsWanted("digits-1", 4, "#", 20.0, False), 0.0)

    assert texts(wait(call, 19.0)) == []


def test_nobody_is_nudged_who_speaks() -> None:
    call, _ = started(replace(POLICY, no_input=LADDER))
    call.handle(events.SpeechStarted("item_1", 0), 4.0)

    assert texts(wait(call, 12.0)) == []


def test_who_answers_a_nudge_is_patiently_waited_for_again() -> None:
    call, _ = started(replace(POLICY, no_input=LADDER))
    wait(call, 5.0)
    answer(call, 1, 5.0)
    call.handle(events.SpeechStarted("item_1", 0), 6.0)
    call.handle(events.TurnCommitted("item_1"), 7.0)
    answer(call, 2, 7.0)

    assert texts(wait(call, 13.0)) == [(12.5, "The caller has said nothing for 5 seconds. Ask.")]


#: Nothing tells when the caller begins to speak.
BY_STREAM = replace(POLICY, session=replace(SESSION, turn_detection=None))


def test_where_only_his_turns_are_known_a_turn_is_an_answer_to_a_nudge() -> None:
    call, _ = started(replace(BY_STREAM, no_input=LADDER))
    wait(call, 5.0)
    answer(call, 1, 5.0)
    call.handle(events.TurnCommitted("item_1"), 7.0)
    answer(call, 2, 7.0)

    assert texts(wait(call, 13.0)) == [(12.5, "The caller has said nothing for 5 seconds. Ask.")]


@pytest.mark.parametrize("interruptible", [True, False])
def test_and_a_turn_during_the_goodbye_keeps_the_line_where_speech_may(
    interruptible: bool,
) -> None:
    goodbye = SilencePolicy((5.0,), (), "Say goodbye.")
    how = replace(BY_STREAM, no_input=goodbye, farewell_interruptible=interruptible)
    call, _ = started(how)
    wait(call, 5.0)
    call.handle(events.ResponseCreated("resp_1", "request-1"), 5.1)
    goodbye_sound = Audio.of(bytes(8_000), PCMU_8K)
    call.handle(events.ModelSpoke("resp_1", "answer_1", 0, goodbye_sound), 5.1)
    call.handle(events.TurnCommitted("item_1"), 5.5)
    found = call.handle(events.ResponseDone("resp_1", "completed"), 6.0)

    assert any(isinstance(one, CreateResponse) for one in found) == interruptible
    if interruptible:
        answer(call, 2, 6.0)
    assert (of(HangUp, wait(call, 11.0)) == []) == interruptible


def test_a_key_is_an_answer_too() -> None:
    call, _ = started(replace(POLICY, no_input=LADDER))
    wait(call, 5.0)
    answer(call, 1, 5.0)
    call.handle(events.DigitsPressed(Private("1#")), 6.0)
    answer(call, 2, 6.0)

    assert [words for _, words in texts(wait(call, 12.0))] == [
        "The caller has said nothing for 5 seconds. Ask."
    ]


def test_who_speaks_during_the_goodbye_keeps_the_line() -> None:
    call, _ = started(replace(POLICY, no_input=SilencePolicy((5.0,), (), "Say goodbye.")))
    wait(call, 5.0)
    call.handle(events.ResponseCreated("resp_1", "request-1"), 5.1)
    found = call.handle(events.SpeechStarted("item_1", 0), 5.5)

    assert Note("farewell-cancelled") in found
    assert AddText not in [type(one) for one in found], "it was not the agent that would go"
    assert of(HangUp, wait(call, 12.0)) == []


LATER = events.ModelErred(
    "rate_limit_exceeded",
    retry_after_seconds=2.0,
    about="conversation.item.create",
    item_id="text-1",
)
KEY = Private("2")
GOODBYE = replace(POLICY, no_input=SilencePolicy((5.0,), (), "Say goodbye."))


def test_nobody_hangs_up_before_a_goodbye_that_is_told_again() -> None:
    call, _ = started(GOODBYE)
    wait(call, 5.0)
    call.handle(LATER, 5.1)
    answer(call, 1, 5.2)
    found = wait(call, 7.5)

    assert [at for at, _ in texts(found)] == [7.1]
    assert of(HangUp, found) == []
    answer(call, 2, 7.5)
    assert len(of(HangUp, wait(call, 9.0))) == 1


def test_one_who_is_hung_up_on_is_told_nothing_again() -> None:
    call, _ = started(GOODBYE)
    wait(call, 5.0)
    call.handle(LATER, 5.1)
    answer(call, 1, 5.2)
    call.handle(events.HangUpRequested("hung-up-by-operator"), 5.3)
    found = wait(call, 9.0)

    assert len(of(HangUp, found)) == 1
    assert texts(found) == []


def test_a_nudge_that_waits_is_not_told_to_one_who_has_come_back() -> None:
    call, _ = started(replace(POLICY, no_input=LADDER))
    wait(call, 5.0)
    call.handle(LATER, 5.1)
    answer(call, 1, 5.2)
    call.handle(events.DigitsPressed(Private("2#")), 6.0)
    answer(call, 2, 6.1)

    assert texts(wait(call, 8.0)) == []


def test_nor_is_one_that_is_refused_only_then() -> None:
    call, _ = started(replace(POLICY, no_input=LADDER))
    wait(call, 5.0)
    call.handle(events.SpeechStarted("item_1", 0), 5.1)
    call.handle(LATER, 5.2)

    assert texts(wait(call, 8.0)) == []


@pytest.mark.parametrize("back", [events.SpeechStarted("item_1", 0), events.DigitsPressed(KEY)])
def test_nor_is_a_goodbye_told_to_one_who_keeps_the_line(back: events.Event) -> None:
    call, _ = started(GOODBYE)
    wait(call, 5.0)
    call.handle(LATER, 5.1)
    answer(call, 1, 5.2)
    assert Note("farewell-cancelled") in call.handle(back, 6.0)

    assert "Say goodbye" not in str(texts(wait(call, 8.0)))


def test_one_who_may_not_keep_the_line_is_still_told_goodbye() -> None:
    call, _ = started(replace(GOODBYE, farewell_interruptible=False))
    wait(call, 5.0)
    call.handle(LATER, 5.1)
    answer(call, 1, 5.2)
    call.handle(events.DigitsPressed(KEY), 6.0)

    assert [at for at, words in texts(wait(call, 7.2)) if "goodbye" in words] == [7.1]


SPOKEN, STORED = SilencePolicy((5.0,), (), "Say goodbye."), SilencePolicy((5.0,), (), None)


@pytest.mark.parametrize("ladder", [SPOKEN, STORED], ids=["spoken", "stored"])
@pytest.mark.parametrize("keys", ["1#", "1"])
@pytest.mark.parametrize("interruptible", [True, False])
def test_who_presses_a_key_during_the_goodbye_keeps_the_line_too(
    ladder: SilencePolicy, keys: str, interruptible: bool
) -> None:
    how = replace(POLICY, no_input=ladder, farewell_interruptible=interruptible)
    call, _ = started(how)
    wait(call, 5.0)
    if ladder is SPOKEN:
        answer(call, 1, 5.0)
    found = call.handle(events.DigitsPressed(Private(keys)), 5.2)
    found += [one for _, one in wait(call, 9.0 if interruptible else 20.0)]

    assert (Note("farewell-cancelled") in found) == interruptible
    assert (HangUp("no-input") in found) != interruptible
    if interruptible:
        said = [one.text.value for one in found if isinstance(one, AddText)]
        assert said == ["Keypad: 1#" if "#" in keys else "Keypad: 1"]


def test_a_key_stops_no_agent_that_leaves_of_its_own_accord() -> None:
    call, _ = started(POLICY)
    call.handle(events.TurnCommitted("item_1"), 1.0)
    answer(call, 1, 1.0)
    call.handle(events.HangUpRequested("agent-hung-up"), 1.1)

    assert Note("farewell-cancelled") not in call.handle(events.DigitsPressed(Private("1")), 1.2)
    assert of(HangUp, wait(call, 8.0))


def test_the_stored_goodbye_is_said_once() -> None:
    call, _ = started(replace(POLICY, no_input=STORED))

    course = wait(call, 20.0)
    assert len(of(HangUp, course)) == 1
    assert Note("hold", "goodbye") not in [one for _, one in course]


def test_who_speaks_during_the_stored_goodbye_keeps_the_line_and_is_answered() -> None:
    call, _ = started(replace(POLICY, no_input=STORED))
    wait(call, 5.0)
    found = call.handle(events.SpeechStarted("item_1", 0), 5.2)
    assert Note("farewell-cancelled") in found
    assert ClearPlayout in [type(one) for one in found]
    found = call.handle(events.TurnCommitted("item_1"), 6.0)

    assert [one.why for one in found if isinstance(one, CreateResponse)] == ["turn"]
    answer(call, 1, 6.0)
    assert of(HangUp, wait(call, 8.0)) == []


def test_a_transfer_in_place_of_the_goodbye_that_fails_begins_at_the_foot_again() -> None:
    call, _ = started(replace(POLICY, no_input=SilencePolicy((5.0, 5.0), ("Ask.",), "Bye.")))
    wait(call, 5.0)
    answer(call, 1, 5.0)
    wait(call, 10.5)
    call.handle(events.TransferRequested(Private("+15550100300")), 10.5)
    answer(call, 2, 10.5)
    assert of(TransferCall, wait(call, 12.0))
    call.handle(events.TransferFailed("busy"), 12.0)
    answer(call, 3, 12.0)

    assert texts(wait(call, 18.0)) == [(17.5, "The caller has said nothing for 5 seconds. Ask.")]


def test_the_stored_goodbye_needs_no_model() -> None:
    call, _ = started(replace(POLICY, no_input=SilencePolicy((5.0,), (), None)))
    found = wait(call, 8.0)

    assert texts(found) == []
    assert of(PlayAudio, found)[0] == 5.0
    assert of(HangUp, found)[0] >= 5.5 + TAIL_SECONDS


def test_nobody_is_nudged_out_of_a_call_that_is_being_left() -> None:
    call, _ = started(replace(POLICY, no_input=LADDER))
    call.handle(events.TransferRequested(Private("+15550100300")), 1.0)

    assert texts(wait(call, 60.0)) == []


# --- The longest a call may last --------------------------------------------------------

SHORT = replace(POLICY, max_call_seconds=100.0, warning_seconds=20.0)


def test_before_the_longest_a_call_may_last_the_caller_is_told() -> None:
    call, _ = started(SHORT)
    found = wait(call, 80.0)

    assert Note("warned", value=20.0) in [one for _, one in found]
    ((at, words),) = texts(found)
    assert at == 80.0
    assert "20 seconds" in words
    assert of(CreateResponse, found) == [80.0]


def test_after_the_warning_comes_the_goodbye() -> None:
    call, _ = started(SHORT)
    wait(call, 80.0)
    answer(call, 1, 80.0)
    found = wait(call, 103.0)

    assert of(PlayAudio, found) == [100.0]
    assert of(HangUp, found)[0] >= 100.5 + TAIL_SECONDS


@pytest.mark.parametrize("asked_at", [50.0, 80.0])
def test_who_is_being_handed_over_is_not_warned(asked_at: float) -> None:
    call, _ = started(SHORT)
    wait(call, asked_at - 1)
    call.handle(events.TransferRequested(Private("+15550100300")), asked_at)

    assert texts(wait(call, 99.0)) == []

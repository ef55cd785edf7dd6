"""Sound from a file, keys for the other end, hold, and what goes with a transfer."""

from dataclasses import replace

import pytest

from opusbridge import events
from opusbridge.call.call import Call
from opusbridge.call.farewell import REPLY_SECONDS
from opusbridge.call.policy import (
    AUDIOCODES,
    TWILIO,
    CallPolicy,
    Clip,
    ResponsePolicy,
    SilencePolicy,
    TelephonyTraits,
    ToolTraits,
)
from opusbridge.call.wishes import BACK, MOST_HELD_SECONDS
from opusbridge.effects import (
    AddText,
    AddToolOutput,
    AppendAudio,
    CancelResponse,
    ClearPlayout,
    CommitAudio,
    CreateResponse,
    Effect,
    FeelPulse,
    Handover,
    HangUp,
    Note,
    PlayAudio,
    ReplaceModel,
    SendDTMF,
    SessionConfig,
    TellSpeechCommitted,
    TellSpeechStarted,
    TransferCall,
    TurnDetection,
)
from opusbridge.privacy import Private
from opusbridge.sound import PCM_24K, PCMU_8K, Audio

TARGET = Private("+15550100300")
POLICY = CallPolicy(
    TWILIO,
    SessionConfig("Be kind.", PCM_24K, turn_detection=TurnDetection("server_vad", False, True)),
    clips={"one-moment": Clip(8_000, bytes(8_000))},
    no_input=SilencePolicy((5.0,), (), None),
)
FRAME = Audio.of(bytes(160), PCMU_8K)
HOLD, UNHOLD = events.HoldRequested(True), events.HoldRequested(False)


def play(words: str = "", by: str = "") -> events.PlayRequested:
    """Half a second."""
    return events.PlayRequested(8_000, bytes(8_000), Private(words), by)


def started(policy: CallPolicy = POLICY) -> Call:
    call = Call(policy, 0.0)
    call.handle(events.CallArrived("provider-1", PCMU_8K), 0.0)
    call.handle(events.SessionCreated("sess_1"), 0.0)
    call.handle(events.SessionConfigured(PCMU_8K, PCMU_8K), 0.0)
    call.handle(events.CallStarted(), 0.0)
    return call


def wait(call: Call, until: float) -> list[Effect]:
    """Nothing happens but time; the model is there when it is asked."""
    found: list[Effect] = []
    for _ in range(2000):
        due = call.deadline
        if due is None or due > until:
            return found
        came = call.handle(events.DeadlineReached(), due)
        found += came
        if FeelPulse() in came:
            call.handle(events.SessionConfigured(PCMU_8K, PCMU_8K), due)
    raise AssertionError("woken again and again")


def of(kind: type, found: list[Effect]) -> list[Effect]:
    return [one for one in found if isinstance(one, kind)]


def answering(call: Call, at: float, ms: int = 1000) -> None:
    call.handle(events.TurnCommitted("item_1"), at)
    call.handle(events.ResponseCreated("resp_1", "request-1"), at)
    call.handle(events.ModelWords("resp_1", "item_2", 0, Private("One two three four."), True), at)
    sound = Audio.of(bytes(8 * ms), PCMU_8K)
    call.handle(events.ModelSpoke("resp_1", "item_2", 0, sound), at)


# --- Sound and keys ---------------------------------------------------------------------


def test_a_file_is_heard_behind_what_is_being_said() -> None:
    call = started()
    answering(call, 1.0)
    call.handle(events.ResponseDone("resp_1", "completed"), 1.4)
    (played,) = of(PlayAudio, call.handle(play(), 1.5))

    assert isinstance(played, PlayAudio)
    assert played.starts_at == pytest.approx(2.05)


def heard(found: list[Effect]) -> list[tuple[str, float]]:
    """Of which response, and from when on; a file is of none."""
    return [(one.response_id, one.starts_at) for one in found if isinstance(one, PlayAudio)]


def test_a_file_waits_for_the_rest_of_what_is_being_said() -> None:
    call = started()
    answering(call, 1.3, ms=500)
    assert call.handle(play(), 1.35) == call.handle(play("Hold the line."), 1.35) == []
    sound = Audio.of(bytes(4000), PCMU_8K)
    found = call.handle(events.ModelSpoke("resp_1", "item_2", 0, sound), 1.4)
    found += call.handle(events.ResponseDone("resp_1", "completed"), 1.5)

    assert [whose for whose, _ in heard(found)] == ["resp_1", "", ""]
    assert [at for _, at in heard(found)] == pytest.approx([1.85, 2.35, 2.85])
    assert of(AddText, found) == [AddText("said-2", "assistant", Private("Hold the line."))]


def test_or_for_its_being_cut() -> None:
    call = started()
    answering(call, 1.0)
    call.handle(play(), 1.2)
    found = call.handle(HOLD, 1.5)

    assert [type(one) for one in found if isinstance(one, ClearPlayout | PlayAudio)] == [
        ClearPlayout,
        PlayAudio,
    ]


def test_a_caller_who_speaks_cuts_the_file_that_waits_too() -> None:
    call = started()
    answering(call, 1.0)
    call.handle(play(), 1.2)
    found = call.handle(events.SpeechStarted("item_3", 0), 1.5)
    found += call.handle(events.ResponseDone("resp_1", "cancelled"), 1.6)

    assert of(ClearPlayout, found)
    assert heard(found) == []


def test_where_barge_in_is_to_be_confirmed_it_is_cut_when_it_is() -> None:
    call = started(replace(POLICY, confirm_ms=100))
    answering(call, 1.0)
    call.handle(play(), 1.2)
    found = call.handle(events.SpeechStarted("item_3", 1200), 1.5)
    loud = events.CallerSpoke(Audio.of(b"\x10\x90" * 80, PCMU_8K))
    for nth in range(10):
        found += call.handle(loud, 1.5 + nth * 0.02)
    found += call.handle(events.ResponseDone("resp_1", "cancelled"), 1.8)

    assert Note("barge-in") in found
    assert heard(found) == []


def test_where_speech_cuts_nothing_the_file_is_heard_behind_the_sentence() -> None:
    how = replace(POLICY, barge_in=False, responses=replace(POLICY.responses, interrupts=False))
    call = started(how)
    answering(call, 1.0)
    call.handle(play(), 1.2)
    assert heard(call.handle(events.SpeechStarted("item_3", 0), 1.5)) == []

    assert len(heard(call.handle(events.ResponseDone("resp_1", "completed"), 1.6))) == 1


def test_who_types_what_is_collected_cuts_the_file_that_waits_too() -> None:
    call = started()
    answering(call, 1.0)
    call.handle(play(), 1.2)
    call.handle(events.DigitsWanted("digits-1", 4, "#", 5.0, False), 1.3)
    found = call.handle(events.DigitsPressed(Private("1")), 1.5)
    found += call.handle(events.ResponseDone("resp_1", "cancelled"), 1.6)

    assert of(ClearPlayout, found)
    assert heard(found) == []


def test_a_file_that_waits_is_not_played_into_the_last_words() -> None:
    call = started()
    answering(call, 1.0)
    call.handle(play(), 1.2)

    assert heard(call.handle(events.HangUpRequested("drained", goodbye=True), 1.5)) == []
    assert heard(call.handle(events.ResponseDone("resp_1", "cancelled"), 1.6)) == []


def test_before_anything_is_said_a_file_is_heard_at_once() -> None:
    call = started()
    call.handle(events.TurnCommitted("item_1"), 1.0)
    call.handle(events.ResponseCreated("resp_1", "request-1"), 1.0)

    assert len(heard(call.handle(play(), 1.1))) == 1


def test_the_model_is_told_of_words_and_not_of_music() -> None:
    call = started()

    assert of(AddText, call.handle(play(), 1.0)) == []
    assert of(AddText, call.handle(play("Hold the line."), 1.0)) == [
        AddText("said-2", "assistant", Private("Hold the line."))
    ]


@pytest.mark.parametrize("reply", ["never", "if_silent", "always"])
@pytest.mark.parametrize("hang_up_first", [False, True])
@pytest.mark.parametrize("slow", [False, True])
def test_a_goodbye_that_the_agent_plays_itself_is_not_followed_by_another(
    reply: str, hang_up_first: bool, slow: bool
) -> None:
    goodbye = {"goodbye": Clip(8_000, bytes(8_000))}
    call = started(replace(POLICY, tools={"bye": ToolTraits(reply=reply)}, clips=goodbye))
    call.handle(events.TurnCommitted("item_1"), 1.0)
    call.handle(events.ResponseCreated("resp_1", "request-1"), 1.0)
    call.handle(events.ToolCalled("resp_1", "item_3", "call_1", "bye", Private("{}")), 1.0)
    wishes: list[events.Event] = [
        play("Thank you, goodbye.", "call_1"),
        events.HangUpRequested("agent-hung-up"),
    ]
    for wish in reversed(wishes) if hang_up_first else wishes:
        call.handle(wish, 1.1)
    found = [] if slow else call.handle(events.ToolFinished("call_1", Private("{}")), 1.1)
    found += call.handle(events.ResponseDone("resp_1", "completed"), 1.2)
    # Of the result of one that runs yet something is to be said, for all that anybody knows.
    found += wait(call, 1.2 + REPLY_SECONDS if slow and reply == "always" else 2.2)

    assert Note("hold", "goodbye") not in found
    assert of(CreateResponse, found) == []
    assert len(of(HangUp, found)) == 1


def test_what_somebody_else_plays_is_no_answer_to_a_tool() -> None:
    call = started(replace(POLICY, tools={"look_up": ToolTraits(reply="if_silent")}))
    call.handle(events.TurnCommitted("item_1"), 1.0)
    call.handle(events.ResponseCreated("resp_1", "request-1"), 1.0)
    call.handle(events.ToolCalled("resp_1", "item_3", "call_1", "look_up", Private("{}")), 1.0)
    call.handle(events.ResponseDone("resp_1", "completed"), 1.1)
    call.handle(play("This call is recorded."), 1.2)

    found = call.handle(events.ToolFinished("call_1", Private("{}")), 3.0)

    assert len(of(CreateResponse, found + wait(call, 5.0))) == 1


def test_keys_are_pressed_at_once() -> None:
    keys = Private("12#")

    assert started().handle(events.DTMFRequested(keys), 1.0) == [SendDTMF(keys)]


def test_nothing_is_played_to_who_is_being_handed_over() -> None:
    call = started()
    assert of(TransferCall, call.handle(events.TransferRequested(TARGET), 1.0))

    assert call.handle(play(), 2.0) == []


def test_nothing_is_played_before_the_line_is_ours() -> None:
    call = Call(POLICY, 0.0)
    assert call.handle(play(), 0.0) == []
    call.handle(events.CallArrived("provider-1", PCMU_8K), 0.0)

    assert call.handle(play(), 0.1) == []


# --- Hold -------------------------------------------------------------------------------


def test_who_is_on_hold_is_heard_by_nobody_and_hears_no_agent() -> None:
    call = started()
    answering(call, 1.0)
    found = call.handle(HOLD, 1.5)

    assert Note("on-hold") in found
    assert of(ClearPlayout, found)
    assert call.handle(events.CallerSpoke(FRAME), 2.0) == []


def test_what_the_model_begins_by_itself_meanwhile_waits_until_he_is_back() -> None:
    call = started(replace(POLICY, responses=ResponsePolicy(model_creates=True)))
    call.handle(events.SpeechStarted("item_1", 0), 1.0)
    call.handle(HOLD, 1.5)
    call.handle(events.SpeechStopped("item_1", 1500), 2.3)
    call.handle(events.TurnCommitted("item_1"), 2.3)
    found = call.handle(events.ResponseCreated("resp_1", None), 2.4)
    sound = Audio.of(bytes(800), PCMU_8K)
    found += call.handle(events.ModelSpoke("resp_1", "item_2", 0, sound), 2.6)
    found += call.handle(events.ResponseDone("resp_1", "cancelled"), 2.7)

    assert CancelResponse("resp_1") in found
    assert of(PlayAudio, found) == of(CreateResponse, found) == []
    assert [one.why for one in call.handle(UNHOLD, 9.0) if isinstance(one, CreateResponse)] == [
        "turn+text"
    ]


def test_a_word_from_before_the_hold_cuts_no_music_and_is_answered_when_he_is_back() -> None:
    call = started()
    answering(call, 0.2)
    call.handle(HOLD, 1.0)
    call.handle(events.ResponseDone("resp_1", "cancelled"), 1.04)
    call.handle(play(), 1.05)
    found = call.handle(events.SpeechStarted("item_3", 600), 1.2)
    found += call.handle(events.SpeechStopped("item_3", 1000), 1.4)
    found += call.handle(events.TurnCommitted("item_3"), 1.4)

    assert of(ClearPlayout, found) == of(CreateResponse, found) == []
    assert Note("barge-in") not in found
    assert [one.why for one in call.handle(UNHOLD, 9.0) if isinstance(one, CreateResponse)] == [
        "turn+text"
    ]


def doubted_and_held(telephony: TelephonyTraits = TWILIO) -> Call:
    """It is still to be seen whether he speaks or coughs when he is put on hold."""
    call = started(replace(POLICY, telephony=telephony, confirm_ms=250))
    answering(call, 2.0, ms=4000)
    found = call.handle(events.SpeechStarted("item_3", 2400), 3.0)
    assert [one for one in found if isinstance(one, Note) and one.kind == "paused"]
    call.handle(HOLD, 3.05)
    call.handle(events.ResponseDone("resp_1", "cancelled"), 3.1)
    return call


@pytest.mark.parametrize("lost", [False, True])
def test_nor_is_one_doubted_any_more_that_he_has_just_begun(lost: bool) -> None:
    call = doubted_and_held()
    if lost:
        found = call.handle(events.ModelLost("model-lost"), 3.2)
    else:
        found = call.handle(events.SpeechStopped("item_3", 3000), 3.5)
        found += call.handle(events.TurnCommitted("item_3"), 3.5)

    assert "false-interruption" not in [one.kind for one in found if isinstance(one, Note)]
    assert call.conversation is not None
    pending = call.conversation.response.pending_user_input
    assert pending is not None
    assert pending.why == "turn"


def test_but_it_keeps_him_from_no_transfer() -> None:
    call = doubted_and_held()

    found = call.handle(events.TransferRequested(TARGET, tool_call_id="call_1"), 3.2)
    assert of(TransferCall, found + wait(call, 4.0))


@pytest.mark.parametrize("turn_ends", [False, True])
def test_nor_when_the_hold_was_over_before_his_turn(turn_ends: bool) -> None:
    call = doubted_and_held()
    call.handle(UNHOLD, 3.3)
    if turn_ends:
        call.handle(events.SpeechStopped("item_3", 2800), 3.4)
    found = call.handle(events.TransferRequested(TARGET, tool_call_id="call_1"), 3.45)

    assert Note("farewell-cancelled") not in found
    assert call.departure.wished


@pytest.mark.parametrize("before", [False, True])
def test_unless_he_is_heard_to_speak_on(before: bool) -> None:
    call = doubted_and_held()
    call.handle(UNHOLD, 3.3)
    wish = events.TransferRequested(TARGET, tool_call_id="call_1")
    found = call.handle(wish, 3.3) if before else []
    for nth in range(15):
        loud = Audio.of(b"\x10\x90" * 80, PCMU_8K)
        found += call.handle(events.CallerSpoke(loud), 3.32 + nth / 50)
    found += [] if before else call.handle(wish, 3.7)

    assert found.count(Note("farewell-cancelled")) == 1
    assert not call.departure.wished


def test_nor_does_a_turn_that_only_its_end_tells_of() -> None:
    session = replace(POLICY.session, turn_detection=None)
    call = started(replace(POLICY, telephony=AUDIOCODES, session=session))
    answering(call, 0.2)
    for nth in range(10):
        call.handle(events.CallerSpoke(FRAME), 0.5 + nth / 50)
    call.handle(HOLD, 1.0)
    call.handle(events.ResponseDone("resp_1", "cancelled"), 1.04)
    call.handle(play(), 1.05)
    found = call.handle(events.CallerStreamStopped(), 1.2)
    found += call.handle(events.TurnCommitted("item_3"), 1.3)

    assert of(CommitAudio, found)
    assert of(ClearPlayout, found) == of(TellSpeechCommitted, found) == []
    assert Note("barge-in") not in found
    assert [one.why for one in call.handle(UNHOLD, 9.0) if isinstance(one, CreateResponse)] == [
        "turn+text"
    ]


@pytest.mark.parametrize("began_at", [0.9, 1.1])
def test_audiocodes_which_would_cut_the_music_is_not_told_of_it(began_at: float) -> None:
    call = started(replace(POLICY, telephony=AUDIOCODES))
    began = events.SpeechStarted("item_3", 600)
    found = call.handle(began, began_at) if began_at < 1.0 else []
    call.handle(HOLD, 1.0)
    call.handle(play(), 1.05)
    found += call.handle(began, began_at) if began_at > 1.0 else []
    call.handle(events.SpeechStopped("item_3", 1000), 1.4)

    assert len(of(TellSpeechStarted, found)) == (1 if began_at < 1.0 else 0)
    assert of(TellSpeechCommitted, call.handle(events.TurnCommitted("item_3"), 1.4)) == []


def test_nor_of_the_end_of_what_was_doubtful_then() -> None:
    call = doubted_and_held(AUDIOCODES)
    call.handle(UNHOLD, 3.3)
    call.handle(play("Thanks for waiting."), 3.35)
    call.handle(events.SpeechStopped("item_3", 3000), 3.6)

    assert of(TellSpeechCommitted, call.handle(events.TurnCommitted("item_3"), 3.6)) == []


def test_he_is_asked_to_hold_and_not_whether_he_is_there() -> None:
    call = started()
    call.handle(HOLD, 1.0)
    found = wait(call, 20.0)

    assert found.count(Note("hold")) == 2
    assert [one.kind for one in found if isinstance(one, Note)].count("no-input") == 0


def test_nothing_is_asked_of_the_model_meanwhile() -> None:
    call = started()
    call.handle(HOLD, 1.0)
    call.handle(events.TextInjected(Private("Hurry.")), 2.0)
    assert of(CreateResponse, wait(call, 8.0)) == []
    found = call.handle(UNHOLD, 8.0)

    assert len(of(CreateResponse, found)) == 1
    assert of(AppendAudio, call.handle(events.CallerSpoke(FRAME), 8.1))


def test_back_from_hold_the_agent_speaks_first() -> None:
    call = started()
    call.handle(HOLD, 1.0)
    found = call.handle(UNHOLD, 21.0)

    (told,) = of(AddText, found)
    assert isinstance(told, AddText)
    assert "20 seconds" in told.text.value
    assert Note("off-hold", value=20.0) in found
    assert len(of(CreateResponse, found)) == 1


def test_music_ends_with_the_hold_and_words_do_not() -> None:
    said = "We are about to find it."
    for files, cleared in (([""], 1), (["", ""], 1), ([said], 0), (["", said], 0)):
        call = started()
        call.handle(HOLD, 1.0)
        for words in files:
            call.handle(play(words), 1.1)

        assert len(of(ClearPlayout, call.handle(UNHOLD, 1.3))) == cleared, files


@pytest.mark.parametrize(
    ("wish", "done"),
    [
        (events.HangUpRequested("hung-up-by-operator"), HangUp),
        (events.TransferRequested(TARGET), TransferCall),
        (events.DTMFRequested(Private("12")), SendDTMF),
    ],
)
def test_nor_is_the_end_of_the_music_waited_for_by_who_wants_the_line(
    wish: events.FromShell, done: type
) -> None:
    call = started(replace(POLICY, telephony=replace(TWILIO, transfers_return=True)))
    call.handle(HOLD, 1.0)
    for _ in range(3):
        call.handle(events.PlayRequested(8_000, bytes(160_000), Private("")), 1.0)

    assert ClearPlayout in [type(one) for one in call.handle(wish, 2.0)]
    assert len(of(done, wait(call, 3.0))) == 1


def with_a_turn_that_waits(call: Call) -> None:
    """From 0.9 on he is on hold, and would be answered after that; from 1.2 on he hears music."""
    call.handle(events.SpeechStarted("item_1", 0), 0.5)
    call.handle(HOLD, 0.9)
    call.handle(events.SpeechStopped("item_1", 500), 1.0)
    call.handle(events.TurnCommitted("item_1"), 1.1)
    call.handle(events.PlayRequested(8_000, bytes(16 * 20_000), Private("")), 1.2)


@pytest.mark.parametrize(
    ("wish", "done"),
    [
        (events.TransferRequested(TARGET), TransferCall),
        (events.DTMFRequested(Private("12")), SendDTMF),
    ],
)
def test_nor_is_what_waits_for_the_end_of_the_hold(wish: events.FromShell, done: type) -> None:
    call = started(replace(POLICY, telephony=replace(TWILIO, transfers_return=True)))
    with_a_turn_that_waits(call)

    assert ClearPlayout in [type(one) for one in call.handle(wish, 2.0)]
    assert len(of(done, wait(call, 2.5))) == 1


def test_a_goodbye_that_may_come_when_the_hold_ends_is_waited_for_with_music() -> None:
    call = started()
    with_a_turn_that_waits(call)

    found = call.handle(events.HangUpRequested("agent-hung-up"), 2.0)
    assert of(ClearPlayout, found + wait(call, 2.0 + REPLY_SECONDS - 0.1)) == []
    found = wait(call, 2.0 + REPLY_SECONDS + 1.0)
    assert len(of(ClearPlayout, found)) == len(of(HangUp, found)) == 1


def test_and_so_is_what_keys_wait_for() -> None:
    call = started(replace(POLICY, telephony=replace(TWILIO, transfers_return=True)))
    answering(call, 0.5)
    call.handle(HOLD, 1.0)
    call.handle(events.PlayRequested(8_000, bytes(16 * 20_000), Private("")), 1.1)

    assert of(ClearPlayout, call.handle(events.DTMFRequested(Private("12")), 1.2)) == []
    assert of(ClearPlayout, call.handle(events.ResponseDone("resp_1", "cancelled"), 1.4))
    assert len(of(SendDTMF, wait(call, 2.0))) == 1


def test_but_words_are_heard_to_their_end() -> None:
    call = started()
    call.handle(HOLD, 1.0)
    call.handle(play("Please hold."), 1.5)
    call.handle(play(), 1.5)

    found = call.handle(events.TransferRequested(TARGET), 1.6)
    assert of(ClearPlayout, found) == []
    found = wait(call, 2.05)
    assert of(ClearPlayout, found) + of(TransferCall, found) == []
    assert [type(one) for one in wait(call, 2.5) if not isinstance(one, Note)] == [
        ClearPlayout,  # of the music behind them
        TransferCall,
    ]


def test_what_was_not_listened_to_on_hold_is_no_hole_of_the_line() -> None:
    call = started()
    for ms in range(0, 2000, 20):
        call.handle(events.CallerSpoke(FRAME, at_ms=ms), 1.0 + ms / 1000)
    call.handle(HOLD, 3.0)
    call.handle(UNHOLD, 8.0)
    found = call.handle(events.CallerSpoke(FRAME, at_ms=7000), 8.0)

    assert found == [AppendAudio(FRAME)], "five seconds of silence would go before it"


def test_of_what_he_said_while_nobody_listened_nobody_asks_him() -> None:
    call = started()
    call.handle(HOLD, 1.0)
    found: list[Effect] = []
    while not of(ReplaceModel, found) and call.deadline is not None:  # it is frozen
        found = call.handle(events.DeadlineReached(), call.deadline)
    call.handle(events.SessionCreated("sess_2"), 8.0)
    found += call.handle(events.SessionConfigured(PCMU_8K, PCMU_8K), 8.1)
    found += call.handle(UNHOLD, 9.0)

    told = [one.text.value for one in found if isinstance(one, AddText)]
    assert told == [BACK.format(seconds=8)]


def test_unless_a_tool_has_still_something_to_say() -> None:
    call = started()
    answering(call, 1.0)
    call.handle(events.ToolCalled("resp_1", "item_3", "call_1", "ask", Private("{}")), 1.0)
    call.handle(events.ResponseDone("resp_1", "completed"), 1.0)
    call.handle(HOLD, 3.0)
    assert of(CreateResponse, call.handle(UNHOLD, 9.0)) == []
    found = call.handle(events.ToolFinished("call_1", Private("yes")), 10.0)

    assert of(AddToolOutput, found)
    assert len(of(CreateResponse, found)) == 1


def test_a_tool_that_says_nothing_of_its_result_does_not_keep_the_agent_from_speaking() -> None:
    call = started(replace(POLICY, tools={"ask": ToolTraits(reply="never")}))
    answering(call, 1.0)
    at_work(call, "call_1", 1.0)
    call.handle(events.ResponseDone("resp_1", "completed"), 1.0)
    call.handle(HOLD, 3.0)

    assert len(of(CreateResponse, call.handle(UNHOLD, 9.0))) == 1


def test_to_hold_twice_is_to_hold_once() -> None:
    call = started()
    call.handle(HOLD, 1.0)

    assert call.handle(HOLD, 2.0) == []
    call.handle(UNHOLD, 3.0)
    assert call.handle(UNHOLD, 4.0) == []


def at_work(call: Call, name: str, at: float) -> events.HoldRequested:
    """A tool, and its wish that the caller be held."""
    call.handle(events.ToolCalled("resp_1", f"item-{name}", name, "ask", Private("{}")), at)
    return events.HoldRequested(True, name)


@pytest.mark.parametrize("failed", [False, True])
def test_a_hold_ends_with_the_tool_that_asked_for_it(failed: bool) -> None:
    call = started()
    answering(call, 1.0)
    first, second = at_work(call, "call_1", 1.0), at_work(call, "call_2", 1.0)
    call.handle(events.ResponseDone("resp_1", "completed"), 1.0)
    call.handle(first, 3.0)
    call.handle(second, 3.0)
    found = call.handle(events.ToolFinished("call_2", Private("yes"), failed), 5.0)
    assert Note("off-hold", value=2.0) not in found, "the other one wants him held"
    found = call.handle(events.ToolFinished("call_1", Private("yes"), failed), 6.0)

    assert Note("off-hold", value=3.0) in found
    assert len(of(AddText, found)) == len(of(CreateResponse, found)) == 1
    assert of(AppendAudio, call.handle(events.CallerSpoke(FRAME), 6.1))


def test_a_hold_that_nobody_ends_is_over_after_its_time() -> None:
    call = started()
    call.handle(HOLD, 1.0)
    call.handle(HOLD, 11.0)  # he is wanted for longer
    latest = 11.0 + MOST_HELD_SECONDS

    assert Note("off-hold", value=10.0 + MOST_HELD_SECONDS) not in wait(call, latest - 0.1)
    found = wait(call, latest)
    assert Note("off-hold", value=10.0 + MOST_HELD_SECONDS) in found
    assert len(of(AddText, found)) == 1


def test_a_hold_from_outside_outlives_a_tool_and_a_tools_outlives_its_time() -> None:
    call = started()
    answering(call, 1.0)
    wish = at_work(call, "call_1", 1.0)
    call.handle(events.ResponseDone("resp_1", "completed"), 1.0)
    call.handle(wish, 3.0)
    call.handle(HOLD, 3.0)
    found = wait(call, 4.0 + MOST_HELD_SECONDS)
    call.handle(HOLD, 400.0)
    found += call.handle(events.ToolFinished("call_1", Private("yes")), 401.0)
    assert "off-hold" not in [one.kind for one in found if isinstance(one, Note)]

    found = call.handle(UNHOLD, 402.0)
    assert Note("off-hold", value=399.0) in found


def test_who_asks_after_its_end_is_somebody_outside() -> None:
    call = started()
    call.handle(events.HoldRequested(True, "call_1"), 1.0)

    assert Note("off-hold", value=MOST_HELD_SECONDS) in wait(call, 1.0 + MOST_HELD_SECONDS)


def test_a_tool_that_holds_him_to_hand_him_over_has_nothing_more_to_say() -> None:
    call = started()
    answering(call, 1.0)
    wish = at_work(call, "call_1", 1.0)
    call.handle(events.ResponseDone("resp_1", "completed"), 1.0)
    call.handle(wish, 3.0)
    call.handle(events.TransferRequested(TARGET), 3.0)
    found = call.handle(events.ToolFinished("call_1", Private("yes")), 5.0)

    assert Note("off-hold", value=2.0) in found
    assert "text" not in [
        one.why for one in of(CreateResponse, found) if isinstance(one, CreateResponse)
    ]


def test_who_is_handed_over_from_hold_is_not_held_when_he_comes_back() -> None:
    call = started()
    call.handle(HOLD, 1.0)
    call.handle(events.TransferRequested(TARGET), 1.0)
    assert of(TransferCall, wait(call, 5.0))

    assert call.handle(UNHOLD, 6.0) == [Note("off-hold", value=5.0)]
    assert call.handle(HOLD, 6.0) == []
    assert of(CreateResponse, call.handle(events.TransferFailed("busy"), 7.0))


# --- The hand-over packet ---------------------------------------------------------------


def transfer_for(reason: str, summary: str) -> events.TransferRequested:
    return events.TransferRequested(TARGET, Private(reason), Private(summary))


def test_what_was_heard_and_found_out_goes_with_the_caller() -> None:
    call, asked = started(), transfer_for("a bill", "Paid twice.")
    answering(call, 1.0, ms=4000)
    call.handle(events.CallerTranscribed("item_1", Private("My bill."), final=True), 1.2)
    call.handle(events.ToolCalled("resp_1", "item_3", "call_1", "look", Private("{}")), 1.5)
    call.handle(events.ToolFinished("call_1", Private("paid twice")), 1.6)
    call.handle(events.ToolCalled("resp_1", "item_4", "call_2", "look", Private("{}")), 1.6)
    call.handle(events.SpeechStarted("item_5", 0), 3.0)  # two of four seconds were heard
    call.handle(events.DigitsPressed(Private("12#")), 3.2)
    call.handle(asked, 3.5)
    assert call.departure.handover is None  # the caller speaks: he keeps the line
    call.handle(events.TurnCommitted("item_5"), 4.0)
    call.handle(asked, 4.1)
    (transfer,) = of(TransferCall, wait(call, 40.0))

    heard = (("caller", "My bill."), ("agent", "One two"), ("caller", "Keypad: 12#"))
    packet = Handover("a bill", "Paid twice.", heard, (("look", "paid twice"),))
    assert isinstance(transfer, TransferCall)
    assert (transfer.summary, transfer.handover) == ("Paid twice.", packet)
    assert call.departure.handover == packet
    assert "bill" not in repr(packet)


def test_what_was_found_out_and_asked_for_in_a_pause_is_in_no_packet() -> None:
    call, asked = started(), transfer_for("card 4711", "Pays by card 4711.")
    answering(call, 1.0, ms=1000)
    call.handle(events.ToolCalled("resp_1", "item_3", "call_1", "look", Private("{}")), 1.5)
    call.handle(events.ToolFinished("call_1", Private("paid twice")), 1.6)
    call.handle(events.ToolCalled("resp_1", "item_4", "call_2", "card", Private("{}")), 1.7)
    call.handle(events.RecordingPauseRequested("agent"), 1.8)
    call.handle(events.ToolFinished("call_2", Private("4711")), 1.9)
    call.handle(asked, 2.0)
    call.handle(events.RecordingResumeRequested("agent"), 2.1)
    found = wait(call, 40.0)
    (transfer,) = of(TransferCall, found)

    packet = call.departure.handover
    assert packet is not None
    assert found[found.index(transfer) - 1] == Note("withheld", "transfer")
    assert (packet.reason, packet.summary) == ("[withheld]", "[withheld]")
    assert packet.results == (("look", "paid twice"),)
    assert isinstance(transfer, TransferCall)
    assert transfer.summary == "Pays by card 4711."  # for him who takes the caller over

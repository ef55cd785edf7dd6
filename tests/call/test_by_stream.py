"""Turns without turn detection: the end of the caller's stream is the end of what he says."""

from dataclasses import replace

import pytest

from opusbridge import events
from opusbridge.call.call import Call
from opusbridge.call.policy import AUDIOCODES, CallPolicy, ResponsePolicy, SilencePolicy
from opusbridge.effects import (
    AppendAudio,
    CancelResponse,
    ClearPlayout,
    CommitAudio,
    CreateResponse,
    Effect,
    FeelPulse,
    HangUp,
    Note,
    SessionConfig,
    TellSpeechCommitted,
    TruncateItem,
)
from opusbridge.sound import PCM_24K, PCMU_8K, Audio

NEAR = replace(AUDIOCODES, wire_seconds=0.0)
POLICY = CallPolicy(NEAR, SessionConfig("Be kind.", PCM_24K))
NO_BARGE_IN = replace(POLICY, barge_in=False, responses=ResponsePolicy(interrupts=False))
LADDER = SilencePolicy((5.0, 5.0), ("Ask.",), None)
READY = events.SessionConfigured(PCMU_8K, PCMU_8K)
STOPPED = events.CallerStreamStopped()


def started(policy: CallPolicy = POLICY) -> Call:
    """At 0.0; the model is still dialled."""
    call = Call(policy, 0.0)
    call.handle(events.CallArrived("provider-1", PCMU_8K), 0.0)
    call.handle(events.CallStarted(), 0.0)
    return call


def ready(policy: CallPolicy = POLICY) -> Call:
    call = started(policy)
    call.handle(READY, 0.0)
    return call


def speaks(call: Call, ms: int, at: float, sound: bytes = b"\x10") -> None:
    call.handle(events.CallerSpoke(Audio.of(sound * (8 * ms), PCMU_8K)), at)


def answering(policy: CallPolicy = POLICY, ms: int = 4000) -> Call:
    """``resp_1`` is heard from 1.0 on, for so long."""
    call = ready(policy)
    speaks(call, 500, 0.5)
    call.handle(STOPPED, 0.5)
    call.handle(events.TurnCommitted("item_1"), 0.9)
    call.handle(events.ResponseCreated("resp_1", "request-1"), 1.0)
    call.handle(events.ModelSpoke("resp_1", "item_2", 0, Audio.of(bytes(8 * ms), PCMU_8K)), 1.0)
    return call


def passes(call: Call, until: float) -> list[Effect]:
    """Nothing happens but time, and the model is there when it is asked."""
    found: list[Effect] = []
    while (due := call.deadline) is not None and due <= until:
        came = call.handle(events.DeadlineReached(), due)
        found += came
        if FeelPulse() in came:
            call.handle(READY, due)
    return found


def kinds(found: list[Effect]) -> list[type]:
    return [type(one) for one in found if not isinstance(one, Note)]


def whys(found: list[Effect]) -> list[str]:
    return [one.why for one in found if isinstance(one, CreateResponse)]


# --- Before there is a session ----------------------------------------------------------


@pytest.mark.parametrize(("greet", "why"), [(False, "turn"), (True, "greeting+turn")])
def test_a_turn_that_ended_before_the_session_was_ready_is_answered(greet: bool, why: str) -> None:
    call = started(replace(POLICY, greet=greet))
    speaks(call, 900, 1.0)
    assert call.handle(STOPPED, 1.1) == []

    found = call.handle(READY, 1.6)
    assert kinds(found) == [AppendAudio, CommitAudio]
    assert whys(call.handle(events.TurnCommitted("item_1"), 1.7)) == [why]


def test_what_is_too_short_for_a_turn_is_none_then_either() -> None:
    call = started()
    speaks(call, 80, 1.0)
    call.handle(STOPPED, 1.1)

    assert kinds(call.handle(READY, 1.6)) == [AppendAudio]


def test_a_turn_that_ended_before_the_session_is_not_one_with_what_he_says_next() -> None:
    call = started()
    speaks(call, 900, 1.0)
    call.handle(STOPPED, 1.1)
    speaks(call, 400, 1.5)

    assert kinds(call.handle(READY, 1.7)) == [AppendAudio, CommitAudio, AppendAudio]
    call.handle(events.TurnCommitted("item_1"), 1.8)
    assert kinds(call.handle(STOPPED, 2.0)) == [CommitAudio]


def test_of_a_turn_that_is_long_gone_nothing_is_left_to_commit() -> None:
    call = started()
    speaks(call, 900, 1.0)
    call.handle(STOPPED, 1.1)
    for number in range(60):
        speaks(call, 100, 1.5 + number / 10)

    assert CommitAudio not in kinds(call.handle(READY, 8.0))


def test_a_turn_that_was_ended_is_ended_once() -> None:
    call = started()
    speaks(call, 900, 1.0)
    call.handle(STOPPED, 1.1)
    call.handle(READY, 1.6)
    call.handle(events.TurnCommitted("item_1"), 1.7)
    speaks(call, 900, 2.0)
    call.handle(STOPPED, 2.1)
    call.handle(events.ModelLost("model-lost"), 2.2)
    speaks(call, 900, 2.5)

    assert CommitAudio not in kinds(call.handle(READY, 3.0))


# --- No input ---------------------------------------------------------------------------


def nudges(found: list[Effect]) -> list[float]:
    return [one.value for one in found if isinstance(one, Note) and one.kind == "no-input"]


def lives(call: Call, since: float, until: float, sound: bytes = b"\xff") -> list[Effect]:
    """His line sounds like that."""
    found: list[Effect] = []
    for tenth in range(round(since * 10), round(until * 10)):
        found += passes(call, tenth / 10)
        speaks(call, 100, tenth / 10, sound)
    return found


@pytest.mark.parametrize("barge_in", [False, True])
def test_who_speaks_is_not_asked_whether_he_is_there(barge_in: bool) -> None:
    call = ready(replace(POLICY if barge_in else NO_BARGE_IN, no_input=LADDER))
    assert nudges(lives(call, 0.5, 8.0, b"\x10")) == []
    call.handle(STOPPED, 8.0)
    call.handle(events.TurnCommitted("item_1"), 8.1)

    assert nudges(passes(call, 30.0)) == []


def test_who_has_fallen_silent_is_asked_though_his_stream_goes_on() -> None:
    call = ready(replace(POLICY, no_input=LADDER))
    lives(call, 0.5, 2.0, b"\x10")

    assert nudges(lives(call, 2.0, 6.9)) == []
    assert nudges(lives(call, 6.9, 12.1)) == [1.0]


def test_one_sound_puts_the_question_off_from_when_it_was_heard() -> None:
    call = ready(replace(POLICY, no_input=LADDER))
    passes(call, 1.0)
    speaks(call, 100, 1.0)

    assert nudges(passes(call, 5.9)) == []
    assert nudges(passes(call, 6.1)) == [1.0]


def test_the_echo_of_a_nudge_is_no_answer_to_it() -> None:
    call = ready(replace(POLICY, no_input=LADDER))
    found = passes(call, 5.5)
    speaks(call, 500, 5.5)
    call.handle(events.ResponseCreated("resp_1", "request-1"), 5.6)
    call.handle(events.ModelSpoke("resp_1", "item_2", 0, Audio.of(bytes(8000), PCMU_8K)), 5.6)
    call.handle(events.ResponseDone("resp_1", "completed"), 5.7)
    speaks(call, 500, 6.5)

    assert nudges(found + passes(call, 20.0)) == [1.0, 2.0]


# --- Over the agent ---------------------------------------------------------------------


def test_a_stream_that_stops_because_we_begin_to_play_ends_no_turn() -> None:
    call = answering(NO_BARGE_IN)
    speaks(call, 200, 1.05, b"\xff")
    assert call.handle(STOPPED, 1.1) == []
    call.handle(events.ModelAudioDone("resp_1", "item_2", 0), 1.5)
    call.handle(events.ResponseDone("resp_1", "completed"), 1.5)
    passes(call, 6.0)
    speaks(call, 500, 6.0)

    assert kinds(call.handle(STOPPED, 6.0)) == [CommitAudio]


def test_what_he_had_said_when_we_began_to_play_is_a_turn_all_the_same() -> None:
    call = answering(NO_BARGE_IN)
    speaks(call, 200, 1.02)
    speaks(call, 200, 1.04, b"\xff")

    assert kinds(call.handle(STOPPED, 1.1)) == [CommitAudio]
    speaks(call, 200, 1.2, b"\xff")
    assert call.handle(STOPPED, 1.3) == []


def test_what_he_goes_on_to_say_before_the_session_is_there_is_a_turn_too() -> None:
    call = started(NO_BARGE_IN)
    speaks(call, 900, 1.0)
    call.handle(STOPPED, 1.1)
    speaks(call, 400, 1.5)
    call.handle(READY, 1.7)
    call.handle(events.TurnCommitted("item_1"), 1.8)
    call.handle(events.ResponseCreated("resp_1", "request-1"), 1.9)
    call.handle(events.ModelSpoke("resp_1", "item_2", 0, Audio.of(bytes(8000), PCMU_8K)), 2.0)

    assert kinds(call.handle(STOPPED, 2.1)) == [CommitAudio]


def test_what_a_lost_session_was_told_makes_no_turn_of_silence() -> None:
    call = ready(NO_BARGE_IN)
    speaks(call, 400, 1.0)
    call.handle(events.ModelLost("model-lost"), 1.1)
    call.handle(READY, 1.5)
    speaks(call, 400, 1.9, b"\xff")
    call.handle(events.ResponseCreated("resp_1", "request-1"), 2.0)
    call.handle(events.ModelSpoke("resp_1", "item_2", 0, Audio.of(bytes(8000), PCMU_8K)), 2.0)

    assert call.handle(STOPPED, 2.1) == []


def test_a_turn_over_a_long_answer_cuts_it() -> None:
    call = answering()
    speaks(call, 900, 2.9)

    found = call.handle(STOPPED, 3.0)
    assert kinds(found) == [ClearPlayout, CommitAudio, CancelResponse, TruncateItem]
    assert Note("barge-in") in found
    assert whys(call.handle(events.TurnCommitted("item_3"), 3.1)) == []
    assert whys(call.handle(events.ResponseDone("resp_1", "cancelled"), 3.2)) == ["turn"]


def test_a_turn_over_silence_cuts_nothing() -> None:
    call = ready()
    speaks(call, 900, 1.0)

    assert call.handle(STOPPED, 1.0) == [CommitAudio()]


def test_a_greeting_that_is_to_be_heard_is() -> None:
    call = ready(replace(POLICY, greet=True, greeting_interruptible=False))
    call.handle(events.ResponseCreated("resp_1", "request-1"), 1.0)
    call.handle(events.ModelSpoke("resp_1", "item_1", 0, Audio.of(bytes(8000), PCMU_8K)), 1.0)
    speaks(call, 900, 1.5)

    assert kinds(call.handle(STOPPED, 1.5)) == [CommitAudio]
    # It would cut the greeting by that.
    assert TellSpeechCommitted not in kinds(call.handle(events.TurnCommitted("item_2"), 1.6))


def test_that_a_turn_is_over_audiocodes_is_told_though_not_that_it_began() -> None:
    call = ready()
    speaks(call, 900, 1.0)
    call.handle(STOPPED, 1.0)

    told = kinds(call.handle(events.TurnCommitted("item_1"), 1.1))
    assert told == [TellSpeechCommitted, CreateResponse]


def test_a_turn_that_ended_before_the_goodbye_is_answered() -> None:
    call = answering(replace(POLICY, farewell_interruptible=False), ms=1000)
    call.handle(events.ResponseDone("resp_1", "completed"), 1.5)
    speaks(call, 900, 2.5)
    call.handle(STOPPED, 2.5)
    call.handle(events.HangUpRequested("agent-hung-up"), 2.6)

    assert whys(call.handle(events.TurnCommitted("item_3"), 2.7)) == ["turn"]


def test_a_turn_keeps_the_line_from_its_end_on() -> None:
    call = answering(ms=1000)
    call.handle(events.HangUpRequested("agent-hung-up"), 1.5)
    call.handle(events.ResponseDone("resp_1", "completed"), 1.5)
    speaks(call, 900, 1.9)

    found = call.handle(STOPPED, 1.9)
    assert Note("farewell-cancelled") in found
    assert HangUp not in kinds(passes(call, 3.0))


def test_what_was_said_before_a_hold_does_not_take_the_floor_on_it() -> None:
    call = ready()
    talk = call.conversation
    assert talk is not None
    for hold, takes in ((True, False), (False, True)):
        speaks(call, 500, 1.0)
        talk.response.door.on_hold = hold
        talk.barge_in.stream_stopped(1.5)
        assert talk.barge_in.floor_taken() is takes
        talk.barge_in.turn_committed(events.TurnCommitted(f"item_{hold}"), 1.6)
        assert talk.barge_in.floor_taken() is takes


def test_nor_does_it_when_the_hold_is_over_by_the_time_its_end_is_confirmed() -> None:
    call = ready()
    speaks(call, 500, 1.0)
    call.handle(events.HoldRequested(True), 1.0)
    call.handle(events.HangUpRequested("agent-hung-up"), 1.0)
    call.handle(STOPPED, 1.1)
    call.handle(events.HoldRequested(False), 1.2)
    found = call.handle(events.TurnCommitted("item_1"), 1.3)

    assert TellSpeechCommitted not in kinds(found)
    assert Note("farewell-cancelled") not in found

    speaks(call, 500, 2.0)
    call.handle(STOPPED, 2.0)
    assert TellSpeechCommitted in kinds(call.handle(events.TurnCommitted("item_2"), 2.1))

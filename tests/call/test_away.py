"""A caller whom a transfer takes from our line, and who may come back on another."""

from dataclasses import replace

import pytest

from opusbridge import effects, events
from opusbridge.call.call import Call
from opusbridge.call.farewell import (
    HANG_UP_THERE_SECONDS,
    KEEP_MODEL_SECONDS,
    KEY_SECONDS,
    LEAVE_SECONDS,
    LOOK_SECONDS,
    MOST_KEYS,
    RETURN_SECONDS,
    TAIL_SECONDS,
    TURN_SECONDS,
)
from opusbridge.call.policy import TWILIO, CallPolicy, Clip, ResponsePolicy, SilencePolicy
from opusbridge.call.wishes import BACK
from opusbridge.effects import AddText, CreateResponse, Effect, EndCall, HangUp, Note, SessionConfig
from opusbridge.errors import ending
from opusbridge.privacy import Private
from opusbridge.sound import PCM_24K, PCMU_8K, Audio

RETURNING = replace(TWILIO, transfers_return=True)
POLICY = CallPolicy(
    RETURNING,
    SessionConfig("Be kind.", PCM_24K),
    no_input=SilencePolicy((5.0, 5.0), ("Ask.",), None),
    clips={"goodbye": Clip(24_000, bytes(4_800))},
)
TARGET = Private("+15550100300")
LEFT = 1.1
"""When the caller's line leaves us, in most stories."""


def transferring(policy: CallPolicy = POLICY) -> Call:
    """Twilio was asked at 1.0 to take the caller."""
    call = Call(policy, 0.0)
    call.handle(events.CallArrived("CA1", PCMU_8K), 0.0)
    call.handle(events.SessionCreated("sess_1"), 0.0)
    call.handle(events.SessionConfigured(PCMU_8K, PCMU_8K), 0.0)
    call.handle(events.CallStarted(), 0.0)
    found = call.handle(events.TransferRequested(TARGET), 1.0)
    assert effects.TransferCall(TARGET, "") in found
    return call


def away(policy: CallPolicy = POLICY) -> Call:
    call = transferring(policy)
    found = call.handle(events.CallerHungUp("caller-hung-up"), LEFT)
    assert found == [Note("away")]
    return call


def passes(call: Call, until: float) -> list[tuple[float, Effect]]:
    """Nothing happens but time, and a model that says it is there when it is asked."""
    found: list[tuple[float, Effect]] = []
    while (due := call.deadline) is not None and due <= until:
        done = call.handle(events.DeadlineReached(), due)
        found += [(due, one) for one in done]
        if effects.FeelPulse() in done:
            call.handle(events.SessionConfigured(PCMU_8K, PCMU_8K), due)
    return found


def told(found: list[Effect]) -> list[str]:
    return [one.text.value for one in found if isinstance(one, AddText)]


def comes_back(call: Call, at: float, reason: str = "busy") -> list[Effect]:
    assert call.handle(events.CallerReturns(reason), at) == []
    assert call.handle(events.CallArrived("CA1", PCMU_8K), at + 0.5) == []
    return call.handle(events.CallStarted(), at + 0.5)


def answers(call: Call, nth: int, at: float) -> list[Effect]:
    """The nth request, with a word; what is done when that is over."""
    response_id = f"resp_{nth}"
    call.handle(events.ResponseCreated(response_id, f"request-{nth}"), at)
    word = Audio.of(bytes(160), PCMU_8K)
    call.handle(events.ModelSpoke(response_id, f"item_{response_id}", 0, word), at)
    return call.handle(events.ResponseDone(response_id, "completed"), at + 0.1)


def sounds(found: list[Effect]) -> list[type]:
    return [type(one) for one in found if isinstance(one, effects.ToTelephony)]


# --- Leaving ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    "event", [events.CallerHungUp("caller-hung-up"), events.TelephonyLost()], ids=["stop", "close"]
)
def test_a_line_that_ends_while_it_is_handed_over_is_not_the_end(
    event: events.CallerHungUp | events.TelephonyLost,
) -> None:
    call = transferring()

    assert call.handle(event, LEFT) == [Note("away")]
    assert call.handle(events.TelephonyLost(), LEFT + 0.1) == []
    assert call.ended is None


def test_he_is_being_handed_over_until_twilio_says_what_came_of_it() -> None:
    call = transferring()
    assert call.departure.handing_over

    call.handle(events.CallerHungUp("caller-hung-up"), LEFT)
    assert call.departure.handing_over
    comes_back(call, 5.0)
    assert not call.departure.handing_over


def test_where_nobody_comes_back_the_end_of_the_line_is_the_end() -> None:
    call = transferring(replace(POLICY, telephony=TWILIO))

    found = call.handle(events.CallerHungUp("caller-hung-up"), LEFT)
    assert found == [EndCall(ending("transferred"))]


def test_while_he_is_away_nobody_nudges_warns_or_hangs_up() -> None:
    call = away(replace(POLICY, max_call_seconds=600.0, warning_seconds=60.0))

    done = [one for _, one in passes(call, 590.0) if not isinstance(one, effects.FeelPulse)]
    assert done == [Note("model-released"), effects.ReleaseModel()]


def test_twilio_that_was_asked_and_does_nothing_gives_the_caller_back() -> None:
    call = transferring()
    assert call.handle(events.TransferUnderWay(), 1.2) == []

    found = passes(call, 1.2 + LEAVE_SECONDS)
    assert found[-1][0] == pytest.approx(1.2 + LEAVE_SECONDS)
    assert Note("transfer-failed", "no-answer") in [one for _, one in found]


def test_that_twilio_took_him_may_be_heard_after_it_is_seen() -> None:
    call = away()
    assert call.handle(events.TransferUnderWay(), LEFT + 0.2) == []

    assert [one for _, one in passes(call, 25.0) if isinstance(one, Note)] == []
    assert call.departure.away


def test_what_he_did_not_hear_is_cut_without_a_word_to_a_line_that_is_gone() -> None:
    call = transferring()
    call.handle(events.TurnCommitted("item_1"), 1.01)
    call.handle(events.ResponseCreated("resp_1", "request-1"), 1.02)
    audio = Audio.of(bytes(8_000), PCMU_8K)
    call.handle(events.ModelSpoke("resp_1", "item_2", 0, audio), 1.03)

    found = call.handle(events.CallerHungUp("caller-hung-up"), LEFT)
    assert sounds(found) == []
    (cut,) = (one for one in found if isinstance(one, effects.CutPlayout))
    assert cut.heard_until == pytest.approx(LEFT, abs=0.1)
    assert effects.CancelResponse("resp_1") in found
    assert any(isinstance(one, effects.TruncateItem | effects.DeleteItem) for one in found)


def test_sound_for_a_caller_who_is_away_is_for_nobody() -> None:
    call = away()
    call.handle(events.ResponseCreated("resp_9", None), 2.0)

    audio = Audio.of(bytes(8_000), PCMU_8K)
    assert sounds(call.handle(events.ModelSpoke("resp_9", "item_9", 0, audio), 2.1)) == []


# --- What came of it --------------------------------------------------------------------


@pytest.mark.parametrize(("keys", "why"), [(False, "turn+text"), (True, "turn")])
def test_what_the_model_begins_by_itself_meanwhile_answers_nobody(keys: bool, why: str) -> None:
    how = replace(POLICY, responses=ResponsePolicy(model_creates=True))
    call = asked_for_keys(how) if keys else transferring(how)
    call.handle(events.CallerHungUp("caller-hung-up"), LEFT)
    call.handle(events.TurnCommitted("item_1"), 1.2)
    found = call.handle(events.ResponseCreated("resp_1", None), 1.3)
    found += call.handle(events.ResponseDone("resp_1", "cancelled"), 1.4)

    assert effects.CancelResponse("resp_1") in found
    asked = [one for one in comes_back(call, 2.0) if isinstance(one, CreateResponse)]
    assert [one.why for one in asked] == [why]


def test_a_transfer_that_was_answered_ends_the_call_as_one() -> None:
    found = away().handle(events.TransferSucceeded(), 300.0)

    assert found == [EndCall(ending("transferred"))]


def test_who_hangs_up_while_it_still_rings_there_hung_up() -> None:
    for told in (events.CallerGaveUp(), events.CallerHungUp("caller-hung-up")):
        found = away().handle(told, 12.0)

        assert found == [EndCall(ending("caller-hung-up"))]


def test_that_he_gave_up_may_be_heard_before_his_line_has_ended() -> None:
    call = transferring()
    call.handle(events.TransferUnderWay(), 1.05)

    found = call.handle(events.CallerGaveUp(), LEFT)
    assert found == [EndCall(ending("caller-hung-up"))]


def test_a_caller_nobody_took_comes_back_to_the_same_conversation() -> None:
    call = away()

    found = comes_back(call, 20.0)
    assert Note("transfer-failed", "busy") in found
    assert told(found) == ["The transfer failed (busy): the caller is still with you. Say so."]
    assert [type(one) for one in found][-1] is CreateResponse
    assert not call.departure.away
    # From now on his line is ours, and its end the end.
    assert call.handle(events.CallerHungUp("caller-hung-up"), 30.0) == [
        EndCall(ending("caller-hung-up"))
    ]


def test_the_word_that_he_comes_back_may_overtake_the_end_of_his_line() -> None:
    call = transferring()

    assert call.handle(events.CallerReturns("busy"), LEFT) == [Note("away")]
    found = call.handle(events.CallStarted(), 2.0)
    assert Note("transfer-failed", "busy") in found


def test_who_came_back_may_be_transferred_again() -> None:
    call = away()
    comes_back(call, 20.0)
    answers(call, 1, 20.6)

    found = call.handle(events.TransferRequested(TARGET), 22.0)
    assert effects.TransferCall(TARGET, "") in found
    assert call.handle(events.CallerHungUp("caller-hung-up"), 22.1) == [Note("away")]


def test_a_caller_who_was_to_come_back_and_does_not_is_lost() -> None:
    call = away()
    call.handle(events.CallerReturns("busy"), 20.0)

    (*_, (at, end)) = passes(call, 100.0)
    assert (at, end) == (20.0 + RETURN_SECONDS, EndCall(ending("telephony-lost")))


@pytest.mark.parametrize(
    ("event", "reason"),
    [
        (events.CallerHungUp("caller-hung-up"), "caller-hung-up"),
        (events.TelephonyLost(), "telephony-lost"),
    ],
    ids=["stop", "close"],
)
def test_who_left_and_was_not_transferred_had_left_by_himself(
    event: events.CallerHungUp | events.TelephonyLost, reason: str
) -> None:
    call = transferring()
    call.handle(event, LEFT)

    assert call.handle(events.TransferFailed("error"), 2.0) == [EndCall(ending(reason))]


def test_the_clock_of_the_new_line_makes_no_hole() -> None:
    call = transferring()
    silence = Audio.of(bytes(160), PCMU_8K)
    call.handle(events.CallerSpoke(silence, 20), 1.05)
    call.handle(events.CallerHungUp("caller-hung-up"), LEFT)
    comes_back(call, 20.0)

    found = call.handle(events.CallerSpoke(silence, 5_000), 20.6)
    assert [type(one) for one in found] == [effects.AppendAudio]


def test_whatever_is_owed_waits_until_he_is_back() -> None:
    call = away()

    found = call.handle(events.TextInjected(Private("Mention the sale.")), 2.0)
    assert told(found) == ["Mention the sale."]
    assert Note("pending", "away") in found
    assert CreateResponse in [type(one) for one in comes_back(call, 20.0)]


def test_the_word_of_a_transfer_there_is_none_of_changes_nothing() -> None:
    call = away()
    comes_back(call, 20.0)

    for event in (events.TransferUnderWay(), events.CallerReturns("busy")):
        assert call.handle(event, 21.0) == []
    assert call.ended is None


def test_a_late_mark_of_the_line_he_left_is_a_stray() -> None:
    call = away()

    assert call.handle(events.MarkReached("mark-9"), 2.0) == [Note("stray", "mark")]


# --- The model meanwhile ----------------------------------------------------------------


def test_the_models_session_is_kept_while_it_may_still_ring() -> None:
    call = away()

    done = [(at, one) for at, one in passes(call, 120.0) if isinstance(one, effects.ReleaseModel)]
    assert [at for at, _ in done] == [pytest.approx(LEFT + KEEP_MODEL_SECONDS)]


def test_who_comes_back_late_finds_another_session_and_nothing_is_forgotten() -> None:
    call = away()
    passes(call, 100.0)

    found = comes_back(call, 100.0)
    assert effects.ReplaceModel in [type(one) for one in found]
    call.handle(events.SessionCreated("sess_2"), 101.0)
    found = call.handle(events.SessionConfigured(PCMU_8K, PCMU_8K), 101.1)
    assert told(found)[-1].startswith("The transfer failed (busy)")
    assert type(found[-1]) is CreateResponse


def test_a_session_lost_while_he_is_away_is_replaced_when_he_is_back() -> None:
    call = away()
    call.handle(events.ModelLost("model-lost", permanent=False), 5.0)
    assert passes(call, 60.0) == []

    assert effects.ReplaceModel in [type(one) for one in comes_back(call, 60.0)]


def test_a_session_that_would_not_be_replaced_is_not_given_up() -> None:
    call = away(replace(POLICY, resume_grace=0.0))

    assert effects.ReleaseModel() not in [one for _, one in passes(call, 120.0)]


# --- Ends from our side -----------------------------------------------------------------


def test_nobody_waits_for_a_caller_longer_than_a_call_may_last() -> None:
    call = away(replace(POLICY, max_call_seconds=900.0))

    assert passes(call, 1000.0)[-1] == (900.0, EndCall(ending("transferred")))


def test_a_process_that_ends_leaves_him_where_he_is() -> None:
    found = away().handle(events.HangUpRequested("drained", goodbye=True), 5.0)

    assert found == [EndCall(ending("transferred"))]


def test_an_operator_may_hang_up_on_a_caller_who_is_away() -> None:
    call = away()

    assert call.handle(events.HangUpRequested("hung-up-by-operator"), 5.0) == [
        HangUp("hung-up-by-operator")
    ]
    assert call.handle(events.HangUpRequested("hung-up-by-operator"), 6.0) == [], "it was asked for"
    assert call.handle(events.TelephonyLost(), 7.0) == [], "the line that he left"
    # However long the provider takes to do it.
    end = EndCall(ending("hung-up-by-operator"))
    assert call.handle(events.CallerHungUp("caller-hung-up"), 60.0) == [end]


def hung_up_there() -> Call:
    """Asked for at 5.0."""
    call = away()
    call.handle(events.HangUpRequested("hung-up-by-operator"), 5.0)
    return call


def test_one_whom_the_provider_does_not_hang_up_stays_with_the_other() -> None:
    call = hung_up_there()
    assert call.handle(events.HangUpFailed(), 20.0) == []

    assert call.departure.with_another
    assert call.handle(events.HangUpRequested("hung-up-by-operator"), 30.0) == [
        HangUp("hung-up-by-operator")
    ]
    call.handle(events.HangUpFailed(), 31.0)
    found = call.handle(events.TransferSucceeded(), 300.0)
    assert found == [EndCall(ending("transferred"))]


def test_one_who_comes_back_though_he_was_to_be_hung_up_on_is_hung_up_on_then() -> None:
    call = hung_up_there()
    call.handle(events.HangUpFailed(), 20.0)

    found = comes_back(call, 60.0)
    assert told(found) == []
    found += [one for _, one in passes(call, 65.0)]
    assert HangUp("hung-up-by-operator") in found


def test_nobody_says_that_he_was_hung_up_who_does_not_know_it() -> None:
    (*_, last) = passes(hung_up_there(), 300.0)

    assert last == (5.0 + HANG_UP_THERE_SECONDS, EndCall(ending("telephony-lost")))


def test_that_nobody_hung_up_means_nothing_on_a_line_that_is_ours() -> None:
    call = away()
    assert call.handle(events.HangUpFailed(), 5.0) == []
    comes_back(call, 20.0)

    assert call.handle(events.HangUpFailed(), 21.0) == []
    assert call.ended is None


def test_one_who_hung_up_just_before_he_left_hangs_up_on_him_there() -> None:
    call = transferring()
    assert call.handle(events.HangUpRequested("hung-up-by-operator"), 1.05) == []

    found = call.handle(events.CallerHungUp("caller-hung-up"), LEFT)
    assert found == [Note("away"), HangUp("hung-up-by-operator")]
    assert call.handle(events.TelephonyLost(), LEFT + 0.1) == [], "the socket of that line"
    assert call.handle(events.TransferUnderWay(), LEFT + 0.2) == []
    end = EndCall(ending("hung-up-by-operator"))
    assert call.handle(events.CallerHungUp("caller-hung-up"), 3.0) == [end]


def test_a_process_that_ends_just_before_he_left_leaves_him_where_he_is() -> None:
    call = transferring()
    assert sounds(call.handle(events.HangUpRequested("drained", goodbye=True), 1.05)) == []

    found = call.handle(events.CallerHungUp("caller-hung-up"), LEFT)
    assert found == [EndCall(ending("transferred"))]


@pytest.mark.parametrize("goodbye", [False, True])
def test_a_hang_up_while_he_is_on_his_way_back_waits_for_him(goodbye: bool) -> None:
    call = away()
    call.handle(events.CallerReturns("busy"), 20.0)
    assert call.handle(events.HangUpRequested("drained", goodbye=goodbye), 20.1) == []
    found = call.handle(events.CallStarted(), 20.5)

    assert told(found) == []
    assert (effects.PlayAudio in sounds(found)) == goodbye
    found += [one for _, one in passes(call, 25.0)]
    assert HangUp("drained") in found


def test_a_wish_that_is_no_hang_up_is_not_for_a_caller_who_is_away() -> None:
    call = away()

    assert call.handle(events.TransferRequested(TARGET), 5.0) == []


# --- Keys for the other end -------------------------------------------------------------


def asked_for_keys(policy: CallPolicy = POLICY) -> Call:
    call = Call(policy, 0.0)
    call.handle(events.CallArrived("CA1", PCMU_8K), 0.0)
    call.handle(events.SessionCreated("sess_1"), 0.0)
    call.handle(events.SessionConfigured(PCMU_8K, PCMU_8K), 0.0)
    call.handle(events.CallStarted(), 0.0)
    call.handle(events.DTMFRequested(Private("12")), 1.0)
    return call


def pressing() -> Call:
    """His line left us at 1.1, for keys."""
    call = asked_for_keys()
    assert call.departure.pressing
    assert call.handle(events.TransferUnderWay(), 1.05) == []
    assert call.handle(events.CallerHungUp("caller-hung-up"), LEFT) == [Note("away")]
    return call


def begun() -> Call:
    """At 0.0, with a session that is ready."""
    call = Call(POLICY, 0.0)
    call.handle(events.CallArrived("CA1", PCMU_8K), 0.0)
    call.handle(events.SessionCreated("sess_1"), 0.0)
    call.handle(events.SessionConfigured(PCMU_8K, PCMU_8K), 0.0)
    call.handle(events.CallStarted(), 0.0)
    return call


def answered(ms: int) -> Call:
    """From 0.5 on the agent is heard for so long; all of it has come."""
    call = begun()
    call.handle(events.ResponseCreated("resp_1", None), 0.5)
    audio = Audio.of(bytes([0x20]) * (8 * ms), PCMU_8K)
    call.handle(events.ModelSpoke("resp_1", "item_2", 0, audio), 0.5)
    call.handle(events.ResponseDone("resp_1", "completed"), 0.6)
    return call


def test_keys_are_pressed_when_everything_was_heard_and_together() -> None:
    call = answered(2_000)

    for digits in ("12", "3#"):
        assert call.handle(events.DTMFRequested(Private(digits)), 1.0) == []
    ((at, keys),) = [one for one in passes(call, 5.0) if isinstance(one[1], effects.SendDTMF)]
    assert at >= 2.5
    assert keys == effects.SendDTMF(Private("123#"))


def test_they_wait_for_what_is_to_be_told_again() -> None:
    call = begun()
    call.handle(events.TextInjected(Private("Greet him.")), 0.5)
    refused = events.ModelErred(
        "rate_limit_exceeded",
        retry_after_seconds=4.0,
        about="conversation.item.create",
        item_id="text-1",
    )
    call.handle(refused, 0.6)
    answers(call, 1, 0.7)
    call.handle(events.DTMFRequested(Private("12")), 1.0)

    assert effects.SendDTMF not in [type(one) for _, one in passes(call, 5.0)]
    answers(call, 2, 5.0)
    assert effects.SendDTMF(Private("12")) in [one for _, one in passes(call, 6.0)]


def in_a_turn() -> Call:
    """He began to speak at 0.5, and was still at it when the keys were asked for at 1.0."""
    call = begun()
    call.handle(events.SpeechStarted("item_1", 0), 0.5)
    assert call.handle(events.DTMFRequested(Private("12")), 1.0) == []
    return call


def test_keys_wait_for_the_end_of_his_turn_and_for_the_answer() -> None:
    call = in_a_turn()
    assert effects.SendDTMF not in [type(one) for _, one in passes(call, 2.0)]
    call.handle(events.TurnCommitted("item_1"), 2.0)
    assert effects.SendDTMF not in [type(one) for _, one in passes(call, 5.0)]
    answers(call, 1, 5.1)

    assert effects.SendDTMF(Private("12")) in [one for _, one in passes(call, 6.0)]


def test_they_wait_as_long_for_a_turn_that_begins_in_the_meantime() -> None:
    call = answered(6_000)
    assert call.handle(events.DTMFRequested(Private("12")), 1.0) == []
    passes(call, 5.0)
    call.handle(events.SpeechStarted("item_1", 0), 5.0)

    ((at, _),) = [one for one in passes(call, 12.0) if type(one[1]) is effects.SendDTMF]

    assert at > 5.0 + TURN_SECONDS


def test_but_not_for_a_turn_that_never_ends() -> None:
    ((at, _),) = [one for one in passes(in_a_turn(), 9.0) if type(one[1]) is effects.SendDTMF]

    assert at == pytest.approx(1.0 + TURN_SECONDS, abs=3 * LOOK_SECONDS)


@pytest.mark.parametrize(
    ("how_far", "why"), [("asked", "turn"), ("begun", "turn"), ("said", "turn"), ("over", "rest")]
)
def test_an_answer_he_leaves_before_he_has_heard_it_is_given_when_he_is_back(
    how_far: str, why: str
) -> None:
    call = asked_for_keys()
    audio = Audio.of(bytes([0x20]) * 16_000, PCMU_8K)
    steps: list[tuple[str, list[events.Event]]] = [
        ("asked", [events.TurnCommitted("item_1")]),
        ("begun", [events.ResponseCreated("resp_1", "request-1")]),
        (
            "said",
            [
                events.ModelSpoke("resp_1", "item_2", 0, audio),
                events.ModelAudioDone("resp_1", "item_2", 0),
            ],
        ),
        ("over", [events.ResponseDone("resp_1", "completed")]),
    ]
    for step, came in steps:
        for event in came:
            call.handle(event, 1.1)
        if step == how_far:
            break
    call.handle(events.CallerHungUp("caller-hung-up"), 1.2)
    if how_far == "asked":
        call.handle(events.ResponseCreated("resp_1", "request-1"), 1.3)
    call.handle(events.ResponseDone("resp_1", "cancelled"), 1.4)

    assert [one.why for one in comes_back(call, 2.0) if isinstance(one, CreateResponse)] == [why]


def test_one_that_he_has_heard_is_not_given_again() -> None:
    call = asked_for_keys()
    call.handle(events.TurnCommitted("item_1"), 1.1)
    call.handle(events.ResponseCreated("resp_1", "request-1"), 1.1)
    audio = Audio.of(bytes([0x20]) * 800, PCMU_8K)
    call.handle(events.ModelSpoke("resp_1", "item_2", 0, audio), 1.1)
    call.handle(events.ModelAudioDone("resp_1", "item_2", 0), 1.1)
    passes(call, 2.9)
    call.handle(events.CallerHungUp("caller-hung-up"), 3.0)
    call.handle(events.ResponseDone("resp_1", "completed"), 3.1)

    assert CreateResponse not in [type(one) for one in comes_back(call, 4.0)]


def test_a_caller_is_back_from_the_keys_without_a_word() -> None:
    call = pressing()
    call.handle(events.TextInjected(Private("Mention the sale.")), 1.3)

    found = comes_back(call, 2.0, "error")
    assert Note("keys-pressed") in found
    assert told(found) == []
    assert CreateResponse in [type(one) for one in found], "what waited is asked for"
    assert not call.departure.under_way
    assert call.handle(events.CallerHungUp("caller-hung-up"), 30.0) == [
        EndCall(ending("caller-hung-up"))
    ]


def test_keys_that_could_not_be_pressed_are_told() -> None:
    call = asked_for_keys()

    found = call.handle(events.TransferFailed("error"), 1.2)
    assert Note("keys-failed", "error") in found
    assert told(found) == ["The keys could not be pressed."]
    assert not call.departure.under_way


def test_who_does_not_come_back_from_the_keys_is_lost() -> None:
    (*_, (at, end)) = passes(pressing(), 100.0)

    expected = LEFT + RETURN_SECONDS + 2 * KEY_SECONDS
    assert (at, end) == (expected, EndCall(ending("telephony-lost")))


def test_a_hang_up_that_is_wished_meanwhile_waits_until_he_is_back() -> None:
    call = pressing()
    call.handle(events.HangUpRequested("hung-up-by-operator"), 1.3)
    assert [one for _, one in passes(call, 2.0)] == []

    assert HangUp("hung-up-by-operator") in comes_back(call, 2.0, "error")


def test_a_goodbye_that_was_heard_before_them_is_not_said_again() -> None:
    call = answered(2_000)
    call.handle(events.DTMFRequested(Private("12")), 1.0)
    call.handle(events.HangUpRequested("agent-hung-up"), 1.1)
    pressed = [at for at, one in passes(call, 5.0) if isinstance(one, effects.SendDTMF)]
    assert len(pressed) == 1
    call.handle(events.CallerHungUp("caller-hung-up"), 5.1)

    found = comes_back(call, 6.0) + [one for _, one in passes(call, 20.0)]
    assert HangUp("agent-hung-up") in found
    assert effects.PlayAudio not in sounds(found)


def test_nothing_is_said_to_a_line_that_is_away_for_keys() -> None:
    call = pressing()

    assert sounds(call.handle(events.HangUpRequested("drained", goodbye=True), 1.3)) == []
    assert [one for _, one in passes(call, 2.0)] == []


def test_a_goodbye_that_was_promised_meanwhile_is_said_when_he_is_back() -> None:
    call = pressing()
    assert sounds(call.handle(events.HangUpRequested("drained", goodbye=True), 1.3)) == []
    found = comes_back(call, 2.0)

    assert Note("keys-pressed") in found
    assert effects.PlayAudio in sounds(found)
    assert HangUp("drained") not in found
    ((at, _),) = [one for one in passes(call, 9.0) if one[1] == HangUp("drained")]
    assert at >= 2.5 + 0.1 + TAIL_SECONDS, "he has heard it"


def test_a_goodbye_waits_for_keys_that_cannot_be_pressed_after_all() -> None:
    call = asked_for_keys()
    assert sounds(call.handle(events.HangUpRequested("drained", goodbye=True), 1.1)) == []
    found = call.handle(events.TransferFailed("error"), 1.2)

    assert effects.PlayAudio in sounds(found)
    assert told(found) == [], "the model has nothing more to say"


def test_further_keys_are_pressed_when_he_is_back_from_the_first() -> None:
    call = pressing()
    assert call.handle(events.DTMFRequested(Private("34")), 1.3) == []
    assert [one for _, one in passes(call, 2.0)] == []

    assert effects.SendDTMF(Private("34")) in comes_back(call, 2.0)
    assert call.departure.pressing


def with_many_keys() -> Call:
    """More were asked for while the first were pressed than can be at once."""
    call = pressing()
    for digits in ("1" * 20, "2" * 20):
        call.handle(events.DTMFRequested(Private(digits)), 1.3)
    return call


def test_no_more_keys_are_pressed_at_once_than_twilio_takes() -> None:
    call = with_many_keys()

    first = effects.SendDTMF(Private("1" * 20 + "2" * (MOST_KEYS - 20)))
    assert first in comes_back(call, 2.0)
    call.handle(events.CallerHungUp("caller-hung-up"), 3.0)
    assert effects.SendDTMF(Private("2" * (40 - MOST_KEYS))) in comes_back(call, 20.0)


def test_many_keys_take_their_time() -> None:
    call = with_many_keys()
    comes_back(call, 2.0)
    call.handle(events.CallerHungUp("caller-hung-up"), 3.0)

    (*_, (at, end)) = passes(call, 100.0)
    assert (at, end) == (
        3.0 + RETURN_SECONDS + MOST_KEYS * KEY_SECONDS,
        EndCall(ending("telephony-lost")),
    )


def test_the_rest_of_keys_that_could_not_be_pressed_is_not_pressed_either() -> None:
    call = with_many_keys()
    comes_back(call, 2.0)

    found = call.handle(events.TransferFailed("error"), 3.0)
    assert told(found) == ["The keys could not be pressed."]
    assert effects.SendDTMF not in [type(one) for one in found]
    assert call.departure.idle


def test_a_file_that_is_to_be_played_meanwhile_is_heard_when_he_is_back() -> None:
    call = pressing()
    file = events.PlayRequested(8_000, bytes(8_000), Private("Hold the line."))
    assert call.handle(file, 1.3) == []
    assert [one for _, one in passes(call, 2.0)] == []

    assert effects.PlayAudio in sounds(comes_back(call, 2.0))


def test_who_is_to_be_held_meanwhile_is_on_hold_when_he_is_back() -> None:
    call = pressing()
    assert call.handle(events.HoldRequested(True), 1.3) == [Note("on-hold")]
    call.handle(events.TextInjected(Private("Mention the sale.")), 1.4)
    assert CreateResponse not in [type(one) for one in comes_back(call, 2.0)]

    found = call.handle(events.HoldRequested(False), 11.3)
    assert told(found) == [BACK.format(seconds=10)]
    assert CreateResponse in [type(one) for one in found]


def test_a_hold_that_ends_while_the_keys_are_pressed_is_told_and_answered_afterwards() -> None:
    call = asked_for_keys()
    call.handle(events.TransferUnderWay(), 1.05)
    call.handle(events.HoldRequested(True), 1.06)
    call.handle(events.CallerHungUp("caller-hung-up"), LEFT)
    found = call.handle(events.HoldRequested(False), 1.3)

    assert told(found) == [BACK.format(seconds=0)]
    assert CreateResponse not in [type(one) for one in found]
    assert CreateResponse in [type(one) for one in comes_back(call, 2.0)]


def test_what_is_wished_of_a_call_that_is_over_after_the_keys_is_not_done() -> None:
    call = pressing()
    call.handle(events.PlayRequested(8_000, bytes(8_000), Private("")), 1.3)
    call.handle(events.HangUpRequested("drained", goodbye=True), 1.4)
    assert call.handle(events.DTMFRequested(Private("34")), 1.5) == []
    comes_back(call, 2.0)

    found = [type(one) for _, one in passes(call, 9.0)]
    assert HangUp in found
    assert effects.SendDTMF not in found

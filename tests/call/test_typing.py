"""Keys in whole calls: what is delivered, what is written, who hears it."""

from dataclasses import replace
from typing import Any

import pytest

from opusbridge import events
from opusbridge.call.call import Call
from opusbridge.call.engine import Engine
from opusbridge.call.policy import TWILIO, CallPolicy, Clip, KeyAction
from opusbridge.effects import (
    AddText,
    AppendAudio,
    ClearPlayout,
    CreateResponse,
    DeliverDigits,
    Effect,
    HangUp,
    Note,
    PlayAudio,
    SessionConfig,
    TransferCall,
    TurnDetection,
)
from opusbridge.events import Event
from opusbridge.privacy import Private
from opusbridge.protocols.realtime.protocol import RealtimeProtocol
from opusbridge.protocols.twilio.protocol import TwilioProtocol
from opusbridge.sound import PCM_24K, PCMU_8K, Audio

TARGET = Private("+15550100300")
POLICY = CallPolicy(
    TWILIO,
    SessionConfig("Be kind.", PCM_24K, turn_detection=TurnDetection("server_vad", False, True)),
    clips={"goodbye": Clip(8_000, bytes(8_000))},
    keys={
        "0": KeyAction("transfer", TARGET),
        "9": KeyAction("hang_up"),
        "1": KeyAction("say", words="We open at nine."),
    },
)
LOUD = Audio.of(b"\x01" * 160, PCMU_8K)
SILENT = Audio.of(b"\xff" * 160, PCMU_8K)


def started() -> Call:
    call = Call(POLICY, 0.0)
    call.handle(events.CallArrived("provider-1", PCMU_8K), 0.0)
    call.handle(events.SessionCreated("sess_1"), 0.0)
    call.handle(events.SessionConfigured(PCMU_8K, PCMU_8K), 0.0)
    call.handle(events.CallStarted(), 0.0)
    return call


def wanted(secret: bool = False) -> events.DigitsWanted:
    return events.DigitsWanted("digits-1", 4, "#", 5.0, secret)


def press(call: Call, keys: str, now: float) -> list[Effect]:
    return call.handle(events.DigitsPressed(Private(keys)), now)


def transcript(call: Call) -> list[str]:
    assert call.conversation is not None
    shown: list[dict[str, Any]] = call.conversation.transcript.snapshot("")["items"]
    return [item["text"] for item in shown]


@pytest.mark.parametrize(
    ("secret", "written"), [(False, "Keypad: 1234"), (True, "Keypad: [secret]")]
)
def test_what_was_typed_is_delivered_and_written_unless_it_is_secret(
    secret: bool, written: str
) -> None:
    call = started()
    call.handle(wanted(secret), 1.0)
    found = press(call, "1234", 2.0)

    assert found == [DeliverDigits("digits-1", Private("1234"), "length", secret)]
    assert transcript(call) == [written]


def test_of_nothing_typed_nothing_is_written() -> None:
    call = started()
    call.handle(wanted(), 1.0)

    assert call.deadline is not None
    found = call.handle(events.DeadlineReached(), 6.0)

    assert DeliverDigits("digits-1", Private(""), "timeout") in found
    assert transcript(call) == []


@pytest.mark.parametrize("end", ["terminator", "timeout"])
def test_digits_of_a_pause_are_withheld_though_they_end_after_it(end: str) -> None:
    call = started()
    call.handle(events.RecordingPauseRequested("operator"), 1.0)
    call.handle(wanted(), 1.1)
    press(call, "471", 2.0)
    call.handle(events.RecordingResumeRequested("operator"), 3.0)
    late = press(call, "#", 3.5) if end == "terminator" else timed_out(call, 7.0)

    assert DeliverDigits("digits-1", Private("471"), end) in late
    assert transcript(call) == ["[withheld]"]


def test_digits_that_were_typed_ahead_in_a_pause_are_withheld_as_well() -> None:
    call = started()
    call.handle(events.RecordingPauseRequested("operator"), 1.0)
    press(call, "471", 1.5)
    call.handle(events.RecordingResumeRequested("operator"), 2.0)
    call.handle(wanted(), 2.1)
    press(call, "#", 2.2)

    assert transcript(call) == ["[withheld]"]


def timed_out(call: Call, now: float) -> list[Effect]:
    return call.handle(events.DeadlineReached(), now)


def test_before_the_call_has_started_nobody_types_and_nothing_is_waited_for() -> None:
    call = Call(POLICY, 0.0)

    assert call.handle(wanted(), 0.0) == [DeliverDigits("digits-1", Private(""), "timeout")]
    call.handle(events.CallArrived("provider-1", PCMU_8K), 0.1)
    assert call.handle(wanted(), 0.2) == [DeliverDigits("digits-1", Private(""), "timeout")]
    assert call.handle(events.DigitsUnwanted("digits-1"), 0.3) == []


def test_a_tool_that_is_gone_gets_nothing() -> None:
    call = started()
    call.handle(wanted(secret=True), 1.0)
    assert call.secret
    call.handle(events.DigitsUnwanted("digits-1"), 2.0)

    assert press(call, "12", 2.5) == []  # yet they are the secret's


def test_keys_before_the_call_has_begun_lead_nowhere() -> None:
    assert press(Call(POLICY, 0.0), "12#", 0.1) == []


def test_a_key_of_the_map_hands_over_whoever_speaks() -> None:
    call = started()
    call.handle(events.SpeechStarted("item_1", 0), 1.0)
    press(call, "0", 1.2)
    found = call.handle(events.DeadlineReached(), 2.0)

    transfers = [one for one in found if isinstance(one, TransferCall)]
    assert [(one.target, one.reason) for one in transfers] == [(TARGET, "key")]


def test_a_key_of_the_map_ends_the_call_after_the_stored_goodbye() -> None:
    call = started()
    found = press(call, "9", 1.0)
    assert [one for one in found if isinstance(one, PlayAudio)]

    assert HangUp("agent-hung-up") in call.handle(events.DeadlineReached(), 4.0)


@pytest.mark.parametrize("keys", ["0", "9", "1", "1234"], ids=["away", "end", "say", "collected"])
def test_no_key_cuts_the_last_words(keys: str) -> None:
    call = started()
    if len(keys) > 1:
        call.handle(wanted(), 0.5)
    said = call.handle(events.HangUpRequested("drained", goodbye=True), 1.0)
    assert [one for one in said if isinstance(one, PlayAudio)]
    found = press(call, keys, 1.2)

    assert not [one for one in found if isinstance(one, ClearPlayout | CreateResponse)]
    assert Note("key", "transfer") not in found
    found = call.handle(events.DeadlineReached(), 1.8)
    assert not [one for one in found if isinstance(one, HangUp)], "it lasts for half a second"
    assert HangUp("drained") in call.handle(events.DeadlineReached(), 5.0)


def test_what_a_key_says_leaves_by_the_one_door() -> None:
    found = press(started(), "1", 1.0)

    told = [(one.role, one.text.value) for one in found if isinstance(one, AddText)]
    assert told[0] == ("user", "Keypad: 1")
    assert told[1][0] == "system"
    assert told[1][1].endswith("We open at nine.")
    assert [one.why for one in found if isinstance(one, CreateResponse)] == ["keys"]


# --- Secrets ----------------------------------------------------------------------------


def engine() -> tuple[Engine, list[Event | Effect]]:
    seen: list[Event | Effect] = []
    call = started()
    found = Engine(call, TwilioProtocol(), RealtimeProtocol(), [lambda what, _: seen.append(what)])
    return found, seen


def spoken(seen: list[Event | Effect]) -> list[bytes]:
    heard = [one.audio for one in seen if isinstance(one, events.CallerSpoke | AppendAudio)]
    return [audio.raw for audio in heard]


def test_while_a_secret_is_typed_nobody_hears_the_callers_line() -> None:
    call, seen = engine()
    call.happened(wanted(secret=True), 1.0)
    call.happened(events.CallerSpoke(LOUD, 0), 1.1)

    assert spoken(seen) == [SILENT.raw, SILENT.raw]


def test_before_it_and_after_it_everybody_does() -> None:
    call, seen = engine()
    call.happened(events.CallerSpoke(LOUD), 0.5)
    call.happened(wanted(secret=True), 1.0)
    call.happened(events.DigitsPressed(Private("1234")), 2.0)
    call.happened(events.CallerSpoke(LOUD), 2.5)
    call.happened(events.DeadlineReached(), 3.5)
    call.happened(events.CallerSpoke(LOUD), 3.6)

    assert spoken(seen) == [*[LOUD.raw] * 2, *[SILENT.raw] * 2, *[LOUD.raw] * 2]


def test_what_is_asked_for_close_behind_it_lets_nobody_hear_its_last_key() -> None:
    call, seen = engine()
    call.happened(wanted(secret=True), 1.0)
    call.happened(events.DigitsPressed(Private("1234")), 2.0)
    call.happened(wanted(), 2.01)
    call.happened(events.CallerSpoke(LOUD), 2.02)
    key = '{"event":"dtmf","streamSid":"MZ1","dtmf":{"digit":"5"}}'
    assert '"5"' not in call.for_the_record(key)
    call.happened(events.DigitsPressed(Private("5#")), 2.3)

    assert set(spoken(seen)) == {SILENT.raw}
    assert DeliverDigits("digits-1", Private("5"), "terminator", secret=True) in seen
    assert transcript(call.call) == ["Keypad: [secret]"] * 2


def test_a_text_is_written_down_as_it_came_unless_it_may_hold_a_secret() -> None:
    call, _ = engine()
    text = '{"event":"dtmf","streamSid":"MZ1","dtmf":{"digit":"4"}}'
    assert call.for_the_record(text) == text
    call.happened(wanted(secret=True), 1.0)

    assert '"4"' not in call.for_the_record(text)


def test_an_agent_without_a_goodbye_says_none() -> None:
    call = Call(replace(POLICY, clips={}), 0.0)
    call.handle(events.CallArrived("provider-1", PCMU_8K), 0.0)
    call.handle(events.CallStarted(), 0.0)

    assert not [one for one in press(call, "9", 1.0) if isinstance(one, PlayAudio)]

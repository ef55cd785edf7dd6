"""Twilio from the other side: what it says, what it does with what it hears."""

import json
from base64 import b64decode, b64encode
from random import Random
from typing import Any

import pytest

from opusbridge.sim.callers import (
    DropLine,
    HangUp,
    Person,
    Press,
    Say,
    SimulatedTwilio,
    Step,
    TwilioHabits,
    Wait,
)

SID = "MZ" + "2" * 32
HELLO = Say(b"\x00\x20" * 320, 8000, "Hello.")  # two frames


def twilio(*steps: Step, habits: TwilioHabits | None = None) -> SimulatedTwilio:
    """A caller whose call begins at 0.0."""
    caller = SimulatedTwilio(Person(steps), "CA" + "1" * 32, SID, {"token": "t"}, Random(1), habits)
    caller.wake(0.0)
    return caller


def said(caller: SimulatedTwilio, event: str | None = None) -> list[dict[str, Any]]:
    messages = [json.loads(text) for text in caller.texts_to_send()]
    return [m for m in messages if event is None or m["event"] == event]


def let_pass(caller: SimulatedTwilio, until: float) -> None:
    while caller.deadline is not None and caller.deadline <= until:
        caller.wake(caller.deadline)


def media(ms: int, code: bytes = b"\x20") -> str:
    payload = b64encode(code * 8 * ms).decode()
    return json.dumps({"event": "media", "streamSid": SID, "media": {"payload": payload}})


def mark(name: str) -> str:
    return json.dumps({"event": "mark", "streamSid": SID, "mark": {"name": name}})


CLEAR = json.dumps({"event": "clear", "streamSid": SID})


def test_a_stream_begins_with_connected_and_start_its_numbers_as_strings() -> None:
    connected, start = said(twilio())

    assert connected == {"event": "connected", "protocol": "Call", "version": "1.0.0"}
    assert start["sequenceNumber"] == "1"
    assert start["start"]["customParameters"] == {"token": "t"}
    assert start["start"]["mediaFormat"]["sampleRate"] == 8000


def test_somebody_has_answered_before_there_is_a_stream() -> None:
    caller = twilio(Wait(9.0))
    caller.new_twiml(0.5)
    caller.another_stream("MZ3", {}, 3.0)

    assert caller.answered_at == 0.0


def test_the_line_carries_160_bytes_every_20_ms_under_one_counter() -> None:
    caller = twilio(Wait(0.06), HELLO)
    let_pass(caller, 0.12)

    frames = said(caller, "media")
    assert [m["sequenceNumber"] for m in frames] == ["2", "3", "4", "5", "6", "7"]
    assert [m["media"]["chunk"] for m in frames] == ["1", "2", "3", "4", "5", "6"]
    assert [m["media"]["timestamp"] for m in frames][:3] == ["100", "120", "140"]
    payloads = [b64decode(m["media"]["payload"]) for m in frames]
    assert {len(payload) for payload in payloads} == {160}
    assert payloads[0] == b"\xff" * 160
    assert payloads[3] != b"\xff" * 160


def test_a_late_wake_is_followed_by_a_burst_and_no_drift() -> None:
    caller = twilio()
    caller.wake(1.005)

    assert len(said(caller, "media")) == 50
    assert caller.deadline == pytest.approx(1.02)


def test_a_mark_comes_back_when_its_sound_was_heard() -> None:
    caller = twilio()
    caller.receive(media(100), 0.1)
    caller.receive(mark("m1"), 0.1)
    let_pass(caller, 0.19)
    assert said(caller, "mark") == []

    let_pass(caller, 0.21)
    (echo,) = said(caller, "mark")
    assert echo["mark"] == {"name": "m1"}


def test_a_mark_with_nothing_queued_comes_back_at_once() -> None:
    caller = twilio()
    caller.receive(mark("m1"), 0.1)

    assert len(said(caller, "mark")) == 1


def test_a_clear_silences_and_sends_all_marks_back_in_order() -> None:
    caller = twilio()
    for name in ("m1", "m2"):
        caller.receive(media(1000), 0.1)
        caller.receive(mark(name), 0.1)
    caller.receive(CLEAR, 0.3)

    assert [m["mark"]["name"] for m in said(caller, "mark")] == ["m1", "m2"]
    let_pass(caller, 3.0)
    assert caller.heard[-1].ended_at == pytest.approx(0.3)


def test_a_clear_may_take_its_time_but_spares_what_came_after_it() -> None:
    caller = twilio(habits=TwilioHabits(clear_delay=(0.2, 0.2)))
    caller.receive(media(1000), 0.1)
    caller.receive(mark("old"), 0.1)
    caller.receive(CLEAR, 0.3)
    caller.receive(media(100, b"\x30"), 0.4)
    caller.receive(mark("new"), 0.4)
    let_pass(caller, 0.49)
    assert said(caller, "mark") == []

    let_pass(caller, 1.0)
    assert [m["mark"]["name"] for m in said(caller, "mark")] == ["old", "new"]
    assert caller.heard[-1].ended_at == pytest.approx(0.6)
    assert bytes(caller.heard[-1].sound[-800:]) == b"\x30" * 800


def test_keys_come_one_by_one() -> None:
    caller = twilio(Press("1#"))
    let_pass(caller, 0.5)

    digits = said(caller, "dtmf")
    assert [m["dtmf"] for m in digits] == [
        {"track": "inbound_track", "digit": "1"},
        {"track": "inbound_track", "digit": "#"},
    ]


def test_nobody_hangs_up_with_the_finger_on_a_key() -> None:
    caller = twilio(Press("1234"), HangUp())
    let_pass(caller, 1.0)

    messages = said(caller)
    assert [m["dtmf"]["digit"] for m in messages if m["event"] == "dtmf"] == ["1", "2", "3", "4"]
    assert messages[-1]["event"] == "stop"
    assert not caller.person.cut_short


def test_keys_that_were_never_sent_cut_the_caller_short() -> None:
    caller = twilio(Press("1234"), Wait(1.0))
    let_pass(caller, 0.2)
    caller.hang_up_by_rest(0.2)

    (told,) = caller.person.left_undone()
    assert told.endswith("at step 1 of 2, and 2 of the keys were never sent")


def test_hanging_up_is_stop_and_a_proper_close() -> None:
    caller = twilio(Wait(0.1), HangUp())
    let_pass(caller, 1.0)

    assert said(caller)[-1]["event"] == "stop"
    assert caller.closing is not None
    assert (caller.closing.code, caller.deadline) == (1000, None)


def test_a_lost_line_says_nothing() -> None:
    caller = twilio(Wait(0.1), DropLine())
    let_pass(caller, 1.0)

    assert said(caller)[-1]["event"] == "media"
    assert caller.closing is not None
    assert caller.closing.code is None


def test_rest_ends_the_stream_once() -> None:
    caller = twilio()
    caller.hang_up_by_rest(0.5)
    caller.new_twiml(0.6)

    assert len(said(caller, "stop")) == 1


def test_a_socket_closed_by_the_bridge_is_logged_as_31921() -> None:
    caller = twilio()
    caller.gone(0.5)

    assert (caller.console, caller.deadline, caller.violations) == ([31921], None, [])


@pytest.mark.parametrize(
    ("message", "what"),
    [
        ([], "an unknown event"),
        ({"event": ["media"]}, "an unknown event"),
        ({"event": "hangup", "streamSid": SID}, "an unknown event"),
        ({"event": "clear"}, "clear with a wrong streamSid or none"),
        ({"event": "clear", "stream_sid": SID}, "clear with a wrong streamSid or none"),
        ({"event": "clear", "streamSid": "MZ0"}, "clear with a wrong streamSid or none"),
        ({"event": "clear", "streamSid": SID, "x": 1}, "clear with keys missing or too many"),
        ({"event": "mark", "streamSid": SID}, "mark with keys missing or too many"),
        ({"event": "mark", "streamSid": SID, "mark": {}}, "mark without its name, or with more"),
        ({"event": "mark", "streamSid": SID, "mark": {"name": ""}}, "mark with an empty name"),
        (
            {"event": "media", "streamSid": SID, "media": {"payload": "AA==", "track": "x"}},
            "media without its payload, or with more",
        ),
        ({"event": "media", "streamSid": SID, "media": {"payload": "A?"}}, "media with bad base64"),
    ],
)
def test_what_the_schema_forbids_is_a_violation(message: Any, what: str) -> None:
    caller = twilio()
    caller.receive(json.dumps(message), 0.1)
    caller.receive(json.dumps(message), 0.2)

    assert caller.violations == [f"31951: {what}"] * 2
    assert caller.console == [31951], "Twilio logs each number once"
    assert caller.verdict() == caller.violations


def test_what_is_no_json_is_a_violation() -> None:
    caller = twilio()
    caller.receive("nonsense", 0.1)

    assert caller.violations == ["31950: not JSON"]


def test_odd_payloads_are_irregular_but_played() -> None:
    caller = twilio()
    caller.receive(media(25), 0.1)
    let_pass(caller, 1.0)

    assert caller.violations == []
    assert caller.irregularities == ["a payload of 200 bytes, not whole frames"]
    assert caller.heard[0].ended_at == pytest.approx(0.125)


def test_more_than_ten_minutes_are_discarded() -> None:
    caller = twilio()
    caller.receive(media(600_000), 0.1)
    caller.receive(media(20), 0.1)

    assert caller.console == [31931]


def test_the_oracle_puts_the_heard_on_a_time_line_from_the_beginning() -> None:
    caller = SimulatedTwilio(Person([]), "CA", SID, {}, Random(1))
    caller.wake(10.0)
    caller.receive(media(100), 10.5)
    let_pass(caller, 11.0)

    samples = memoryview(caller.heard_pcm(8000)).cast("h")
    assert len(samples) == 0.6 * 8000
    assert samples[3999] == 0
    assert samples[4001] != 0


def test_gaps_keep_the_clock_and_send_nothing() -> None:
    caller = twilio(habits=TwilioHabits(gap_chance=0.5))
    let_pass(caller, 1.0)

    stamps = [int(m["media"]["timestamp"]) for m in said(caller, "media")]
    assert 10 < len(stamps) < 40
    assert max(stamps) > 900


def test_a_stall_is_followed_by_a_burst_in_order() -> None:
    caller = twilio(habits=TwilioHabits(stall_chance=0.1))
    sizes, stamps = [], []
    for n in range(1, 51):
        caller.wake(n / 50)
        frames = said(caller, "media")
        sizes.append(len(frames))
        stamps += [int(m["media"]["timestamp"]) for m in frames]

    assert max(sizes) == 10
    assert stamps == sorted(stamps)


def test_a_strange_twilio_says_what_nobody_expects() -> None:
    events = [m["event"] for m in said(twilio(habits=TwilioHabits(strange_events=True)))]

    assert events == ["connected", "start", "weather", "mark"]


def test_what_comes_after_the_end_is_not_looked_at() -> None:
    caller = twilio()
    caller.hang_up_by_rest(0.5)
    caller.receive("nonsense", 0.6)

    assert caller.violations == []


def test_another_stream_of_a_call_begins_its_numbers_and_its_clock_anew() -> None:
    caller = twilio(Wait(9.0))
    caller.receive(media(2000), 0.0)
    caller.receive(mark("m1"), 0.0)
    caller.new_twiml(0.5)
    assert said(caller, "stop")
    caller.another_stream("MZ3", {"token": "u"}, 3.0)
    let_pass(caller, 3.05)

    _, start, first, *_ = said(caller)
    assert (start["streamSid"], start["sequenceNumber"]) == ("MZ3", "1")
    assert start["start"]["customParameters"] == {"token": "u"}
    assert (first["media"]["chunk"], first["media"]["timestamp"]) == ("1", "100")
    # What was left of the old one is heard by nobody, and its mark is not sent back.
    let_pass(caller, 6.0)
    assert said(caller, "mark") == []
    assert sum(span.ended_at - span.started_at for span in caller.heard) == pytest.approx(0.5)


def test_keys_that_a_transfer_took_the_line_from_are_told_of_by_their_step() -> None:
    caller = twilio(Wait(0.1), Press("1234"), Wait(9.0), HangUp())
    let_pass(caller, 0.3)
    caller.new_twiml(0.3)
    caller.another_stream("MZ3", {}, 3.0)
    let_pass(caller, 30.0)

    assert said(caller)[-1]["event"] == "stop"
    assert not caller.person.cut_short
    assert caller.person.left_undone() == ["step 2: 2 of the keys were never sent"]


def test_the_old_streams_name_is_wrong_on_the_new_one() -> None:
    caller = twilio(Wait(9.0))
    caller.new_twiml(0.5)
    caller.another_stream("MZ3", {}, 1.0)
    caller.receive(media(20), 1.1)

    assert caller.violations == ["31951: media with a wrong streamSid or none"]

"""VoiceAI Connect from the other side, as a strict referee."""

import json
from base64 import b64decode, b64encode
from random import Random
from typing import Any

import pytest

from opusbridge.sim.callers import (
    AudioCodesHabits,
    DropLine,
    HangUp,
    Mode,
    Person,
    Press,
    Say,
    SimulatedAudioCodes,
    Step,
    UserStream,
    Wait,
)

HELLO = Say(b"\x00\x20" * 320, 8000, "Hello.")  # two frames


def dialled(*steps: Step, **habits: Any) -> SimulatedAudioCodes:
    """A caller whose socket opened at 0.0."""
    caller = SimulatedAudioCodes(Person(steps), "c-1", Random(1), AudioCodesHabits(**habits))
    caller.wake(0.0)
    return caller


def accepted(*steps: Step, media_format: str = "raw/mulaw", **habits: Any) -> SimulatedAudioCodes:
    """One whose session was accepted at 0.1."""
    caller = dialled(*steps, **habits)
    hear(caller, 0.1, "session.accepted", mediaFormat=media_format)
    return caller


def answered(*steps: Step, **habits: Any) -> SimulatedAudioCodes:
    """One whose phone was answered at 0.2, the user stream open and nothing playing."""
    caller = accepted(*steps, **habits)
    let_pass(caller, 0.12)
    hear(caller, 0.12, "userStream.started")
    play(caller, 0.2, "hello", ms=0)
    said(caller)
    let_pass(caller, 0.22)
    if not caller.barge_in:
        hear(caller, 0.22, "userStream.stopped")
        let_pass(caller, 0.24)
        hear(caller, 0.24, "userStream.started")
    said(caller)
    return caller


def hear(caller: SimulatedAudioCodes, at: float, kind: str, **fields: Any) -> None:
    caller.receive(json.dumps({"type": kind, **fields}), at)


def activity(caller: SimulatedAudioCodes, at: float, name: str, **fields: Any) -> None:
    hear(caller, at, "activities", activities=[{"type": "event", "name": name, **fields}])


def play(caller: SimulatedAudioCodes, at: float, stream: str, ms: int, stop: bool = True) -> None:
    hear(caller, at, "playStream.start", streamId=stream, mediaFormat="raw/mulaw")
    if ms:
        audio = b64encode(b"\x20" * 8 * ms).decode()
        hear(caller, at, "playStream.chunk", streamId=stream, audioChunk=audio)
    if stop:
        hear(caller, at, "playStream.stop", streamId=stream)


def said(caller: SimulatedAudioCodes, kind: str | None = None) -> list[dict[str, Any]]:
    messages = [json.loads(text) for text in caller.texts_to_send()]
    return [m for m in messages if kind is None or m["type"] == kind]


def kinds(caller: SimulatedAudioCodes) -> list[str]:
    return [m["type"] for m in said(caller) if m["type"] != "userStream.chunk"]


def events_of(caller: SimulatedAudioCodes) -> list[dict[str, Any]]:
    return [a for m in said(caller, "activities") for a in m["activities"]]


def let_pass(caller: SimulatedAudioCodes, until: float) -> None:
    while caller.deadline is not None and caller.deadline <= until + 1e-9:
        caller.wake(caller.deadline)


# --- The beginning ----------------------------------------------------------------------


def test_a_session_begins_with_an_offer_and_waits_for_the_answer() -> None:
    caller = dialled()
    let_pass(caller, 1.0)

    (initiate,) = said(caller)
    assert initiate["type"] == "session.initiate"
    assert initiate["expectAudioMessages"] is True
    assert initiate["supportedMediaFormats"][0] == "raw/lpcm16_8"
    assert initiate["conversationId"] == "c-1"


def test_an_accepted_session_starts_the_call_and_then_the_stream() -> None:
    caller = accepted()
    let_pass(caller, 0.2)

    assert kinds(caller) == ["session.initiate", "activities", "userStream.start"]


def test_the_stream_may_come_before_the_start() -> None:
    caller = accepted(stream_before_start=True)

    assert kinds(caller) == ["session.initiate", "userStream.start", "activities"]


def test_chunks_wait_for_the_stream_to_be_confirmed() -> None:
    caller = accepted()
    let_pass(caller, 0.5)
    assert said(caller, "userStream.chunk") == []

    hear(caller, 0.5, "userStream.started")
    let_pass(caller, 0.6)
    assert len(said(caller, "userStream.chunk")) == 5


def test_the_phone_rings_until_the_first_play_stream() -> None:
    caller = accepted(Wait(0.1), HangUp())
    let_pass(caller, 2.0)
    assert (caller.answered_at, caller.closing) == (None, None)

    play(caller, 2.0, "1", ms=20)
    let_pass(caller, 3.0)
    assert caller.seconds_to_answer == 2.0
    assert caller.closing is not None


def test_nobody_lets_it_ring_for_ever() -> None:
    caller = accepted(ring_seconds=3.0)
    let_pass(caller, 0.12)
    hear(caller, 0.12, "userStream.started")
    let_pass(caller, 5.0)

    assert said(caller)[-1]["reasonCode"] == "client-disconnected"
    assert caller.verdict() == ["waited in vain for an answer"]


def test_a_bot_may_be_set_to_answer_at_once() -> None:
    assert accepted(connect_on_prompt=False).answered_at == 0.1


@pytest.mark.parametrize("rings_on_it", [True, False])
def test_it_may_ring_before_the_start_and_somebody_answers_then(rings_on_it: bool) -> None:
    caller = accepted(start_seconds=40.0, stream_before_start=rings_on_it)
    first = said(caller)
    assert [one["type"] for one in first if one["type"] != "session.initiate"] == [
        "userStream.start"
    ] * rings_on_it
    if rings_on_it:
        hear(caller, 0.2, "userStream.started")
    let_pass(caller, 40.0)
    assert {one["type"] for one in said(caller)} == ({"userStream.chunk"} if rings_on_it else set())
    assert caller.answered_at is None

    let_pass(caller, 40.2)
    told = [one for one in said(caller) if one["type"] == "activities"]
    assert [one["activities"][0]["name"] for one in told] == ["start"]
    assert caller.answered_at == pytest.approx(40.1, abs=0.03)


@pytest.mark.parametrize("odd", [False, True])
def test_the_ringing_is_on_the_line_until_then(odd: bool) -> None:
    caller = accepted(start_seconds=7.0, stream_before_start=True, odd_splits=odd)
    hear(caller, 0.1, "userStream.started")
    loud: list[float] = []
    for at in range(5, 500):
        let_pass(caller, at / 50)
        chunks = [b64decode(one["audioChunk"]) for one in said(caller, "userStream.chunk")]
        loud += [at / 50] * any(set(one) - {0xFF} for one in chunks)

    assert {round(at) for at in loud} <= {0, 1, 5, 6}, "a second of it, every five"
    assert 1.9 < len(loud) / 50 < 2.2


def test_nothing_may_be_played_before_the_start() -> None:
    caller = accepted(start_seconds=7.0)
    play(caller, 1.0, "hello", ms=20)
    assert caller.verdict() == ["playStream.start before start"]


def told_of_silence(caller: SimulatedAudioCodes) -> list[int]:
    each = [one for message in said(caller, "activities") for one in message["activities"]]
    return [one["value"] for one in each if one["name"] == "noUserInput"]


def test_of_a_silence_of_both_the_bot_is_told_each_time_with_its_number() -> None:
    caller = answered(no_input=True, no_input_seconds=2.0, barge_in=True)
    let_pass(caller, 2.0)
    assert told_of_silence(caller) == []
    let_pass(caller, 4.4)
    assert told_of_silence(caller) == [1, 2]

    hear(caller, 4.5, "userStream.speech.started")
    let_pass(caller, 6.4)
    assert told_of_silence(caller) == []
    let_pass(caller, 6.6)
    assert told_of_silence(caller) == [1]


def test_what_is_said_by_either_is_no_silence() -> None:
    hello = Say(b"\x00\x20" * 16_000, 8000, "Hello.")  # two seconds
    caller = answered(hello, Wait(60.0), no_input=True, no_input_seconds=2.0, barge_in=True)
    let_pass(caller, 4.1)
    assert told_of_silence(caller) == []
    play(caller, 4.1, "sooner", ms=1000)
    let_pass(caller, 7.0)
    assert told_of_silence(caller) == []
    let_pass(caller, 7.3)
    assert told_of_silence(caller) == [1]


def test_it_is_told_only_where_the_bot_asks_for_it_and_after_what_that_says() -> None:
    caller = answered(barge_in=True)
    let_pass(caller, 9.0)
    assert told_of_silence(caller) == []

    asked = {"sendEventsToBot": ["noUserInput"], "userNoInputTimeoutMS": 3000}
    activity(caller, 9.0, "config", sessionParams=asked)
    let_pass(caller, 12.2)
    assert told_of_silence(caller) == [1]

    activity(caller, 12.2, "config", sessionParams={"userNoInputTimeoutMS": 0})
    let_pass(caller, 99.0)
    assert told_of_silence(caller) == [], "that switches it off"


def test_text_mode_is_offered_as_such() -> None:
    caller = dialled(expect_audio=False)
    hear(caller, 0.1, "session.error", reason="voice only")

    assert said(caller)[0]["expectAudioMessages"] is False
    assert (caller.refused, caller.verdict()) == ("voice only", [])
    assert caller.closing is not None


def test_the_validate_button_wants_one_answer() -> None:
    caller = dialled(mode=Mode.VALIDATE)
    assert said(caller) == [{"type": "connection.validate"}]

    hear(caller, 0.1, "connection.validated", success=True)
    assert (caller.validated, caller.verdict()) == (True, [])
    assert caller.closing is not None


def test_a_wrong_answer_to_the_validate_button_is_noticed() -> None:
    caller = dialled(mode=Mode.VALIDATE)
    hear(caller, 0.1, "session.accepted", mediaFormat="raw/mulaw")

    assert caller.validated is False
    assert caller.violations == ["session.accepted in answer to connection.validate"]


def test_an_unknown_conversation_must_not_be_resumed() -> None:
    caller = dialled(mode=Mode.RESUME_UNKNOWN)
    assert kinds(caller) == ["session.resume"]

    hear(caller, 0.1, "session.accepted", mediaFormat="raw/mulaw")
    assert caller.violations == ["an unknown conversation was resumed"]


@pytest.mark.parametrize("waiting_for", ["session.initiate", "userStream.start"])
def test_silence_of_the_bridge_is_a_violation(waiting_for: str) -> None:
    caller = dialled() if waiting_for == "session.initiate" else accepted()
    let_pass(caller, 11.0)

    assert caller.violations == [f"no answer to {waiting_for}"]


# --- The person's voice -----------------------------------------------------------------


def test_the_voice_comes_in_the_accepted_format() -> None:
    caller = accepted(HELLO, media_format="raw/lpcm16_24", connect_on_prompt=False)
    let_pass(caller, 0.12)
    hear(caller, 0.12, "userStream.started")
    let_pass(caller, 0.3)

    sizes = {len(b64decode(m["audioChunk"])) for m in said(caller, "userStream.chunk")}
    assert sizes == {960}
    assert caller.media_format is not None


def test_chunks_may_be_of_any_size_and_lose_nothing() -> None:
    caller = accepted(media_format="raw/lpcm16", odd_splits=True, noise_amplitude=100)
    let_pass(caller, 0.12)
    hear(caller, 0.12, "userStream.started")
    let_pass(caller, 1.12)

    chunks = [b64decode(m["audioChunk"]) for m in said(caller, "userStream.chunk")]
    assert {len(chunk) % 2 for chunk in chunks} == {1}
    assert 50 * 640 - 640 < sum(map(len, chunks)) <= 50 * 640


def test_chunks_may_be_longer_than_a_frame() -> None:
    caller = accepted(HELLO, chunk_ms=60, connect_on_prompt=False)
    let_pass(caller, 0.12)
    hear(caller, 0.12, "userStream.started")
    let_pass(caller, 0.3)

    chunks = said(caller, "userStream.chunk")
    assert [len(b64decode(m["audioChunk"])) for m in chunks] == [480] * 3


def test_without_barge_in_the_voice_is_withheld_until_playback_ended() -> None:
    caller = answered()
    play(caller, 1.0, "1", ms=500)
    assert kinds(caller) == ["userStream.stop"]

    hear(caller, 1.02, "userStream.stopped")
    let_pass(caller, 1.48)
    assert said(caller) == []

    let_pass(caller, 1.52)
    assert kinds(caller) == ["userStream.start"]
    assert caller.verdict() == []


def test_an_open_play_stream_withholds_the_voice_though_nothing_is_heard() -> None:
    caller = answered()
    play(caller, 1.0, "1", ms=20, stop=False)
    hear(caller, 1.02, "userStream.stopped")
    said(caller)
    let_pass(caller, 3.0)

    assert said(caller) == []


def test_with_barge_in_the_voice_goes_on_and_speech_clears_the_playout() -> None:
    caller = answered(barge_in=True)
    play(caller, 1.0, "1", ms=2000)
    let_pass(caller, 1.5)
    assert len(said(caller, "userStream.chunk")) > 20

    hear(caller, 1.5, "userStream.speech.started")
    let_pass(caller, 4.0)
    assert caller.heard[-1].ended_at == pytest.approx(1.5)
    assert [c.effective_at for c in caller.clearings] == [1.5]


def test_without_barge_in_speech_clears_nothing() -> None:
    caller = answered()
    play(caller, 1.0, "1", ms=1000)
    hear(caller, 1.5, "userStream.speech.started")
    let_pass(caller, 4.0)

    assert caller.heard[-1].ended_at == pytest.approx(2.0)


def test_barge_in_is_set_live_by_config() -> None:
    caller = answered()
    activity(caller, 0.5, "config", sessionParams={"bargeIn": True, "sendDTMF": False})
    play(caller, 1.0, "1", ms=1000)
    assert "userStream.stop" not in kinds(caller)

    activity(caller, 1.1, "config", sessionParams={"bargeIn": False})
    play(caller, 2.5, "2", ms=20)
    assert "userStream.stop" in kinds(caller)


def test_stop_lets_what_was_sent_play_out_unless_it_is_read_otherwise() -> None:
    for stop_cuts, ended_at in ((False, 2.0), (True, 1.2)):
        caller = answered(barge_in=True, stop_cuts=stop_cuts)
        play(caller, 1.0, "1", ms=1000, stop=False)
        hear(caller, 1.2, "playStream.stop", streamId="1")
        let_pass(caller, 3.0)

        assert caller.heard[-1].ended_at == pytest.approx(ended_at)


def test_a_turn_that_is_committed_cuts_nothing_unless_it_is_read_otherwise() -> None:
    for cuts, ended_at in ((False, 2.0), (True, 1.2)):
        caller = answered(barge_in=True, committed_cuts=cuts)
        play(caller, 1.0, "1", ms=1000)
        hear(caller, 1.2, "userStream.speech.committed")
        let_pass(caller, 3.0)

        assert caller.heard[-1].ended_at == pytest.approx(ended_at)


def test_abort_prompts_silences_at_once() -> None:
    caller = answered()
    play(caller, 1.0, "1", ms=1000)
    activity(caller, 1.2, "abortPrompts")
    let_pass(caller, 3.0)

    assert caller.heard[-1].ended_at == pytest.approx(1.2)


def test_play_finished_is_told_when_asked_for_and_not_after_a_cut() -> None:
    caller = answered(barge_in=True)
    activity(caller, 0.5, "config", sessionParams={"sendEventsToBot": ["playFinished"]})
    play(caller, 1.0, "1", ms=100)
    let_pass(caller, 1.2)
    assert [(e["name"], e["streamId"]) for e in events_of(caller)] == [("playFinished", "1")]

    play(caller, 2.0, "2", ms=1000)
    hear(caller, 2.1, "userStream.speech.started")
    let_pass(caller, 4.0)
    assert events_of(caller) == []


# --- Keys, transfers, ends --------------------------------------------------------------


def test_keys_come_together_or_one_by_one_and_in_either_case() -> None:
    together = answered(Wait(0.2), Press("12#"))
    let_pass(together, 1.0)
    assert [(e["name"], e["value"]) for e in events_of(together)] == [("DTMF", "12#")]

    apart = answered(Wait(0.2), Press("12"), digits_together=False, dtmf_name="dtmf")
    let_pass(apart, 1.0)
    assert [(e["name"], e["value"]) for e in events_of(apart)] == [("dtmf", "1"), ("dtmf", "2")]

    untold = answered(Wait(0.2), Press("12"), send_dtmf=False)
    let_pass(untold, 1.0)
    assert events_of(untold) == []


def test_the_caller_hangs_up_with_session_end() -> None:
    caller = answered(Wait(0.2), HangUp())
    let_pass(caller, 1.0)

    assert said(caller)[-1]["reasonCode"] == "client-disconnected"
    assert caller.closing is not None
    assert caller.closing.code == 1000


def test_the_bridge_hangs_up_with_an_activity() -> None:
    caller = answered()
    hang_up = {"type": "event", "name": "hangup", "activityParams": {"hangupReason": "done"}}
    hear(caller, 1.0, "activities", activities=[hang_up, {"type": "event", "name": "config"}])

    assert said(caller)[-1]["reasonCode"] == "bot-disconnected"
    caller.gone(1.1)
    assert not caller.reconnect_wanted


def test_a_transfer_ends_the_session_at_once_unless_news_are_wanted() -> None:
    caller = answered()
    activity(caller, 1.0, "transfer", activityParams={"transferTarget": "tel:+1"})
    assert said(caller)[-1]["reasonCode"] == "transferred"

    caller = answered()
    wanted = {"transferTarget": "tel:+1", "transferNotifications": True}
    activity(caller, 1.0, "handover", activityParams=wanted)
    let_pass(caller, 1.9)
    assert caller.closing is None
    let_pass(caller, 2.1)
    last_but_one, last = said(caller)[-2:]
    assert last_but_one["activities"][0]["value"] == {"status": "answered"}
    assert last["reasonCode"] == "transferred"


def test_a_failed_transfer_gives_the_call_back() -> None:
    caller = answered(transfer_outcome="busy")
    wanted = {"transferTarget": "tel:+1", "transferNotifications": True}
    activity(caller, 1.0, "transfer", activityParams=wanted)
    let_pass(caller, 2.5)

    (status,) = events_of(caller)
    assert status["value"]["reasonCode"] == "busy"
    assert caller.closing is None


def test_tones_are_recorded() -> None:
    caller = answered()
    activity(caller, 1.0, "sendDtmf", activityParams={"dtmfDigits": "12#"})

    assert (caller.dtmf_sent, caller.verdict()) == (["12#"], [])


def test_a_socket_closed_without_hangup_is_dialled_again() -> None:
    caller = answered()
    caller.gone(1.0)
    assert caller.reconnect_wanted

    caller.resume(1.5)
    assert said(caller)[0]["type"] == "session.resume"
    hear(caller, 1.6, "playStream.start", streamId="9", mediaFormat="raw/mulaw")
    hear(caller, 1.7, "session.accepted", mediaFormat="raw/mulaw")
    let_pass(caller, 1.8)
    assert "userStream.start" in kinds(caller)
    assert caller.violations == ["playStream.start before session.accepted"]


def test_a_lost_line_is_dialled_again_too() -> None:
    caller = answered(Wait(0.5), DropLine())
    let_pass(caller, 2.0)

    assert caller.closing is not None
    assert (caller.closing.code, caller.reconnect_wanted) == (None, True)


def test_a_socket_closed_before_anything_was_accepted_is_a_violation() -> None:
    caller = dialled()
    caller.gone(1.0)

    assert caller.violations == ["the socket was closed without a session.error"]


# --- What is forbidden ------------------------------------------------------------------

START = {"type": "playStream.start", "streamId": "1", "mediaFormat": "raw/mulaw"}
CHUNK = {"type": "playStream.chunk", "streamId": "1", "audioChunk": "IA=="}
WIDE = {**START, "mediaFormat": "raw/lpcm16"}


def asking(name: Any = "hangup", **fields: Any) -> dict[str, Any]:
    return {"type": "activities", "activities": [{"type": "event", "name": name, **fields}]}


@pytest.mark.parametrize(
    ("messages", "what"),
    [
        ([START, {**START, "streamId": "2"}], "a second play stream while one is open"),
        (
            [START, {"type": "playStream.stop", "streamId": "1"}, START],
            "a streamId used again",
        ),
        ([CHUNK], "playStream.chunk for a stream that is not open"),
        ([START, {**CHUNK, "streamId": "2"}], "playStream.chunk for a stream that is not open"),
        (
            [{**START, "mediaFormat": "wav/mulaw"}],
            "playStream.start with a format not offered, or with a WAV header",
        ),
        (
            [{**START, "mediaFormat": "raw/opus"}],
            "playStream.start with a format not offered, or with a WAV header",
        ),
        ([START, {**CHUNK, "audioChunk": "?"}], "playStream.chunk with bad base64"),
        ([START, {**CHUNK, "audioChunk": ""}], "an empty playStream.chunk"),
        ([WIDE, CHUNK], "playStream.chunk with half a sample"),
        (
            [{"type": "playStream.stop", "streamId": "1"}],
            "playStream.stop for a stream that is not open",
        ),
        ([{"type": "session.end"}], "an unknown message type"),
        ([{"type": "userStream.chunk"}], "an unknown message type"),
        ([{"type": ["x"]}], "an unknown message type"),
        ([{"type": "playStream.start"}], "playStream.start without a proper streamId"),
        ([{**START, "altText": None}], "playStream.start with a null field"),
        ([{"type": "userStream.stopped"}], "userStream.stopped out of turn"),
        ([{"type": "userStream.started"}], "userStream.started out of turn"),
        ([{"type": "session.accepted", "mediaFormat": "raw/mulaw"}], "session.accepted twice"),
        (
            [{"type": "connection.validated", "success": True}],
            "connection.validated without a question",
        ),
        (
            [{"type": "activities", "activities": [{"type": "event", "name": "sing"}]}],
            "an activity that is no event of the list",
        ),
        (
            [{"type": "activities", "activities": [{"type": "message", "text": "hi"}]}],
            "an activity that is no event of the list",
        ),
        (
            [{"type": "activities", "activities": ["hangup"]}],
            "an activity that is no event of the list",
        ),
        (
            [{"type": "activities", "activities": [{"type": "event", "name": "transfer"}]}],
            "transfer without a transferTarget",
        ),
        (
            [{"type": "activities", "activities": [{"type": "event", "name": "sendDtmf"}]}],
            "sendDtmf without proper dtmfDigits",
        ),
        ([asking(name=["hangup"])], "an activity that is no event of the list"),
        ([asking(activityParams=[])], "hangup with activityParams that are no object"),
        ([asking(activityParams=None)], "activities with a null field"),
        ([asking("config", sessionParams=None)], "activities with a null field"),
        ([asking("config", sessionParams=["x"])], "config with sessionParams that are no object"),
        (
            [asking("config", sessionParams={"sendEventsToBot": None})],
            "activities with a null field",
        ),
        (
            [asking("config", sessionParams={"sendEventsToBot": "playFinished"})],
            "config with sendEventsToBot that is no list",
        ),
    ],
)
def test_what_the_documents_forbid_is_a_violation(
    messages: list[dict[str, Any]], what: str
) -> None:
    caller = answered()
    for message in messages:
        caller.receive(json.dumps(message), 1.0)

    assert caller.violations == [what]


def test_what_is_no_json_is_a_violation() -> None:
    caller = answered()
    caller.receive("nonsense", 1.0)

    assert caller.violations == ["a message that is not JSON"]


@pytest.mark.parametrize("name", ["raw/opus", "wav/mulaw"])
def test_a_format_that_cannot_be_is_a_violation_and_the_end(name: str) -> None:
    caller = accepted(media_format=name)

    assert caller.violations == ["session.accepted with a format not offered, or with a WAV header"]
    assert caller.closing is not None


def test_a_message_before_the_session_is_accepted_is_a_violation() -> None:
    caller = dialled()
    play(caller, 0.1, "1", ms=0, stop=False)

    assert caller.violations == ["playStream.start before session.accepted"]


def test_settings_in_the_wrong_place_are_irregular() -> None:
    caller = answered()
    activity(caller, 1.0, "config", activityParams={"bargeIn": True})

    assert caller.irregularities == ["config in activityParams does not last"]
    assert caller.barge_in is False


def test_a_stop_may_cross_with_the_answer_to_the_start_before_it() -> None:
    caller = accepted()
    let_pass(caller, 0.12)
    play(caller, 0.13, "1", ms=20)
    hear(caller, 0.14, "userStream.started")
    hear(caller, 0.15, "userStream.stopped")

    assert caller.violations == []
    assert caller.user_stream is UserStream.CLOSED

from dataclasses import replace

import pytest

from opusbridge import effects
from opusbridge.call.policy import AUDIOCODES, TWILIO, Clip, TelephonyTraits
from opusbridge.call.transcript import Transcript
from opusbridge.call.voice import AgentVoice
from opusbridge.effects import (
    ClearPlayout,
    DeleteItem,
    Effect,
    EndPlayout,
    MovePlayout,
    Note,
    PingTelephony,
    PlaceMark,
    PlayAudio,
    TruncateItem,
)
from opusbridge.events import MarkReached, ModelSpoke, PingAnswered
from opusbridge.sound import PCM_24K, PCMU_8K, Audio, AudioFormat


def sound(ms: float, sample: bytes = b"\x55") -> Audio:
    return Audio.of(sample * int(8 * ms), PCMU_8K)


class Speaking:
    """A voice, what it asked for, and its transcript."""

    def __init__(
        self,
        traits: TelephonyTraits = TWILIO,
        telephony: AudioFormat = PCMU_8K,
        model: AudioFormat = PCMU_8K,
        wire_seconds: float = 0.0,
        pings: bool = False,
    ) -> None:
        self.transcript = Transcript()
        self.voice = AgentVoice(
            replace(traits, wire_seconds=wire_seconds),
            telephony,
            model,
            self.transcript,
            lambda at: round(1000 * at),
            pings=pings,
        )

    def hears(
        self, item_id: str, audio: Audio, now: float, index: int = 0, response_id: str = "resp_1"
    ) -> list[Effect]:
        return self.voice.model_spoke(ModelSpoke(response_id, item_id, index, audio), now)

    def item(self, item_id: str) -> dict[str, object]:
        shown = self.transcript.snapshot("call_1")["items"]
        (found,) = (item for item in shown if item["item_id"] == item_id)
        assert isinstance(found, dict)
        return found


def played(found: list[Effect]) -> bytes:
    return b"".join(effect.audio.raw for effect in found if isinstance(effect, PlayAudio))


def marks(found: list[Effect]) -> list[str]:
    return [effect.name for effect in found if isinstance(effect, PlaceMark)]


def told(found: list[Effect]) -> list[Effect]:
    return [effect for effect in found if not isinstance(effect, Note)]


# --- Speaking ---------------------------------------------------------------------------


def test_what_is_said_after_the_silence_that_answered_the_phone_is_heard_after_it() -> None:
    speaking = Speaking(AUDIOCODES)
    assert speaking.voice.answer(1.0) == [effects.AnswerCall()]

    assert speaking.hears("item_1", sound(100), 1.05) == [
        PlayAudio(sound(100), 1.2, follows=True, response_id="resp_1")
    ]
    assert speaking.voice.silent_at(1.05) == pytest.approx(1.3)


def test_speech_is_heard_one_way_after_it_left_and_what_follows_it_behind_it() -> None:
    speaking = Speaking(AUDIOCODES, wire_seconds=0.05)
    (first,) = speaking.hears("item_1", sound(100), 1.0)
    (second,) = speaking.hears("item_1", sound(50), 1.0)

    assert isinstance(first, PlayAudio)
    assert isinstance(second, PlayAudio)
    assert first.starts_at == pytest.approx(1.05)
    assert second.starts_at == pytest.approx(1.15)
    assert [first.follows, second.follows] == [False, True]


def test_speech_is_played_and_marked_where_marks_come_back() -> None:
    speaking = Speaking()
    assert not speaking.voice.spoke

    assert speaking.hears("item_1", sound(200), 1.0) == [
        PlayAudio(sound(200), 1.0, response_id="resp_1"),
        PlaceMark("mark-1"),
    ]
    assert speaking.voice.sound_done("item_1", 0, 1.1) == [EndPlayout()]
    assert speaking.voice.timed_out(1.2) == []
    assert speaking.voice.spoke


def test_speech_is_paced_where_nothing_comes_back() -> None:
    speaking = Speaking(AUDIOCODES)
    found = speaking.hears("item_1", sound(1000), 1.0)
    found += speaking.voice.sound_done("item_1", 0, 1.0)
    assert 200 <= len(played(found)) / 8 <= 300
    assert not marks(found)

    while speaking.voice.deadline is not None:
        found += speaking.voice.timed_out(speaking.voice.deadline)

    assert played(found) == sound(1000).raw
    assert found[-1] == EndPlayout()
    assert found.count(EndPlayout()) == 1


def test_each_piece_of_paced_sound_is_of_one_response_or_of_stored_speech() -> None:
    speaking = Speaking(AUDIOCODES)
    clip = Clip(8000, bytes(2 * 8 * 100))
    found = speaking.hears("item_1", sound(400), 1.0)
    found += speaking.voice.say("hold", clip, "One moment.", 1.0)
    found += speaking.voice.timed_out(1.9)  # late: what is left leaves in one step

    pieces = [one for one in found if isinstance(one, PlayAudio)]
    whose = [(one.response_id, one.audio.ms) for one in pieces]
    assert whose == [("resp_1", 300), ("resp_1", 100), ("", 100)]


def test_less_than_a_frame_waits_and_is_padded_only_at_the_end() -> None:
    speaking = Speaking()

    assert speaking.hears("item_1", sound(15), 1.0) == []
    assert played(speaking.hears("item_1", sound(10), 1.1)) == sound(20).raw
    end = speaking.voice.sound_done("item_1", 0, 1.2)
    assert played(end) == sound(5).raw + b"\xff" * 120
    assert end[-1] == EndPlayout()


def test_the_rest_of_an_item_is_played_before_the_next_item_and_not_as_a_part_of_it() -> None:
    speaking = Speaking()
    first = played(speaking.hears("item_1", sound(25, b"\x01"), 1.0))

    second = played(speaking.hears("item_2", sound(25, b"\x02"), 1.0))

    assert first == b"\x01" * 160
    assert second == b"\x01" * 40 + b"\xff" * 120 + b"\x02" * 160


def test_an_item_that_ends_late_does_not_break_into_the_one_that_speaks() -> None:
    speaking = Speaking()
    speaking.hears("item_1", sound(25), 1.0)
    speaking.hears("item_2", sound(25), 1.0)

    assert speaking.voice.sound_done("item_1", 0, 1.1) == [EndPlayout()]
    assert len(played(speaking.hears("item_2", sound(15), 1.2))) == 160


def test_a_delta_that_fits_no_frame_is_not_truncated_beyond_what_was_received() -> None:
    speaking = Speaking()
    (mark,) = marks(speaking.hears("item_1", sound(33), 1.0))
    speaking.voice.sound_done("item_1", 0, 1.0)
    speaking.voice.mark_reached(mark, 1.02)

    _, cut = speaking.voice.cut(1.038)

    assert told(cut) == [TruncateItem("item_1", 0, 33)]


def test_an_end_ends_its_own_part_only_and_only_once() -> None:
    speaking = Speaking()
    speaking.hears("item_1", sound(20), 1.0)

    assert speaking.voice.sound_done("item_1", 1, 1.0) == []
    assert speaking.voice.sound_done("item_2", 0, 1.0) == []
    assert speaking.voice.sound_done("item_1", 0, 1.0) == [EndPlayout()]
    assert speaking.voice.sound_done("item_1", 0, 1.0) == []


def test_a_response_that_is_over_ends_whatever_of_it_was_left_open() -> None:
    speaking = Speaking()
    speaking.hears("item_1", sound(25), 1.0)
    speaking.hears("item_2", sound(20), 1.0, response_id="resp_2")

    assert speaking.voice.response_over("resp_1", 1.0) == [EndPlayout()]
    assert speaking.voice.response_over("resp_1", 1.0) == []
    assert speaking.voice.response_over("resp_2", 1.0) == [EndPlayout()]


def test_the_click_that_a_lost_session_leaves_behind_is_not_played_into_the_silence() -> None:
    speaking = Speaking()
    speaking.hears("item_1", sound(25), 1.0)

    speaking.voice.session_lost()

    assert speaking.voice.response_over("resp_1", 9.0) == [EndPlayout()]
    assert played(speaking.hears("item_2", sound(20, b"\x02"), 10.0)) == sound(20, b"\x02").raw


def test_speech_is_converted_for_a_line_of_another_format() -> None:
    speaking = Speaking(TWILIO, PCMU_8K, PCM_24K)
    found = speaking.hears("item_1", Audio.of(bytes(48 * 100), PCM_24K), 1.0)
    found += speaking.voice.sound_done("item_1", 0, 1.0)

    assert len(played(found)) == 800


# --- Stored speech ----------------------------------------------------------------------


def test_stored_speech_is_played_through_the_same_ledger() -> None:
    speaking = Speaking()
    speaking.hears("item_1", sound(100), 1.0)
    speaking.voice.sound_done("item_1", 0, 1.0)

    found = speaking.voice.say("sorry", Clip(24_000, bytes(48 * 110)), "Sorry about that.", 1.0)

    first = found[0]
    assert isinstance(first, PlayAudio)
    assert first.starts_at == 1.1
    assert len(played(found)) == 8 * 120
    assert found[-1] == EndPlayout()
    assert speaking.voice.silent_at(1.0) == pytest.approx(1.22)


def test_stored_speech_of_the_lines_own_rate_needs_no_tail() -> None:
    speaking = Speaking(AUDIOCODES, PCM_24K, PCM_24K)

    found = speaking.voice.say("sorry", Clip(24_000, bytes(48 * 100)), "Sorry.", 1.0)

    assert len(played(found)) == 48 * 100


def test_stored_speech_is_in_the_transcript_as_far_as_it_was_heard() -> None:
    speaking = Speaking()
    clip = Clip(8_000, bytes(16 * 1000))
    (mark,) = marks(speaking.voice.say("sorry", clip, "One two.", 1.0))
    speaking.voice.say("sorry", clip, "Six ten.", 1.0)
    speaking.voice.mark_reached(mark, 2.0)

    assert speaking.voice.cut(2.5) == ([ClearPlayout()], [])  # the model knows nothing of it

    first, second = speaking.item("clip:sorry-1"), speaking.item("clip:sorry-2")
    assert (first["heard"], first["status"]) == ("One two.", "completed")
    assert (second["heard"], second["unheard"]) == ("Six", "ten.")
    assert second["status"] == "interrupted"


# --- Being heard ------------------------------------------------------------------------


def test_what_was_heard_to_its_end_is_written_down_with_its_times() -> None:
    speaking = Speaking()
    speaking.transcript.words("item_2", "agent", "Well, yes.", final=True)
    speaking.hears("item_1", sound(500), 1.0)
    (mark,) = marks(speaking.hears("item_2", sound(500), 1.1))
    for item_id in ("item_1", "item_2"):
        speaking.voice.sound_done(item_id, 0, 1.2)
    assert speaking.voice.audible(1.9)

    (moved,) = speaking.voice.mark_reached(mark, 2.1)

    assert isinstance(moved, effects.MovePlayout)
    assert moved.by_seconds == pytest.approx(0.05)
    item = speaking.item("item_2")
    assert (item["heard"], item["unheard"]) == ("Well, yes.", "")
    assert (item["started_ms"], item["ended_ms"]) == (1550, 2050)
    assert not speaking.voice.audible(2.1)


def test_an_item_is_written_down_as_ended_when_it_was_however_late_we_look() -> None:
    speaking = Speaking(AUDIOCODES)
    speaking.hears("item_1", sound(200), 1.0)
    speaking.voice.sound_done("item_1", 0, 1.0)

    speaking.voice.settle(60.0)

    assert speaking.item("item_1")["ended_ms"] == 1200


def test_a_pause_before_the_next_item_does_not_make_the_first_one_longer() -> None:
    speaking = Speaking(AUDIOCODES)
    for item_id, now in (("item_1", 1.0), ("item_2", 30.0)):
        speaking.hears(item_id, sound(200), now)
        speaking.voice.sound_done(item_id, 0, now)

    speaking.voice.settle(60.0)

    assert speaking.item("item_1")["ended_ms"] == 1200
    assert speaking.item("item_2")["started_ms"] == 30_000


def test_the_parts_of_an_item_are_one_entry_from_its_first_sound_to_its_last() -> None:
    speaking = Speaking()
    for index in (0, 1):
        speaking.hears("item_1", sound(500), 1.0, index)
        speaking.voice.sound_done("item_1", index, 1.0)

    speaking.voice.stop(3.0)

    item = speaking.item("item_1")
    assert (item["started_ms"], item["ended_ms"], item["status"]) == (1000, 2000, "in_progress")


def test_a_strange_mark_is_noted() -> None:
    assert Speaking().voice.mark_reached("mark-9", 1.0) == [Note("stray", "mark")]


def test_an_older_prompt_played_out_does_not_make_newer_sound_heard() -> None:
    speaking = Speaking(AUDIOCODES)
    speaking.hears("item_1", sound(100), 1.0)
    speaking.voice.sound_done("item_1", 0, 1.0)
    speaking.hears("item_2", sound(200), 1.15)
    speaking.voice.sound_done("item_2", 0, 1.15)

    speaking.voice.play_finished(1.2)  # of item_1: it had its way to go

    assert speaking.item("item_1")["ended_ms"] == 1100
    assert speaking.voice.audible(1.2)
    assert told(speaking.voice.cut(1.25)[1]) == [TruncateItem("item_2", 0, 100)]


# --- Pings ------------------------------------------------------------------------------


def test_a_ping_goes_behind_the_first_sound_and_sets_the_clock_right() -> None:
    speaking = Speaking(AUDIOCODES, wire_seconds=0.05, pings=True)
    found = speaking.hears("item_1", sound(150), 1.0)
    assert found == [
        PlayAudio(sound(150), 1.05, response_id="resp_1"),
        PingTelephony("ping-1"),
    ]
    assert speaking.hears("item_1", sound(50), 1.1) == [
        PlayAudio(sound(50), 1.2, follows=True, response_id="resp_1")
    ]

    (moved,) = speaking.voice.echoed(PingAnswered("ping-1"), 1.02)

    assert isinstance(moved, MovePlayout)
    assert moved.by_seconds == pytest.approx(-0.04)
    assert speaking.voice.silent_at(1.1) == pytest.approx(1.21)


def test_the_silence_that_answers_the_phone_is_followed_by_a_ping_too() -> None:
    speaking = Speaking(AUDIOCODES, pings=True)

    assert speaking.voice.answer(1.0) == [effects.AnswerCall(), PingTelephony("ping-1")]


def test_before_there_is_sound_the_wire_is_asked_as_well_and_where_marks_come_only_then() -> None:
    speaking = Speaking(wire_seconds=0.05, pings=True)
    assert speaking.voice.ping(0.5) == [PingTelephony("ping-1")]
    assert speaking.voice.ping(0.55) == []
    assert speaking.voice.deadline == pytest.approx(0.6)
    assert speaking.voice.timed_out(0.6) == [PingTelephony("ping-2")]
    for number in (1, 2):
        assert speaking.voice.echoed(PingAnswered(f"ping-{number}"), 0.7) == []

    played_now, mark = speaking.hears("item_1", sound(100), 1.0)
    assert isinstance(played_now, PlayAudio)
    assert played_now.starts_at == pytest.approx(1.05)  # the pongs took 100 ms and more
    assert isinstance(mark, PlaceMark)
    assert speaking.voice.echoed(MarkReached(mark.name), 1.2) == []


def test_a_strange_pong_is_noted() -> None:
    assert Speaking(pings=True).voice.echoed(PingAnswered("ping-9"), 1.0) == [Note("stray", "pong")]


def test_a_line_that_carries_no_pings_is_asked_for_none() -> None:
    speaking = Speaking(AUDIOCODES)
    assert speaking.voice.ping(0.5) == []
    assert PingTelephony not in map(type, speaking.hears("item_1", sound(100), 1.0))


# --- Being cut --------------------------------------------------------------------------


def test_a_cut_is_silence_first_and_then_the_truth_about_what_was_heard() -> None:
    speaking = Speaking()
    speaking.transcript.words("item_1", "agent", "one two six ten", final=True)
    speaking.hears("item_1", sound(2000), 1.0)

    clear, cut = speaking.voice.cut(2.0)

    assert clear == [ClearPlayout()]
    assert cut == [
        TruncateItem("item_1", 0, 1000),
        Note("truncated", "", ("item_1",), 1000.0),
    ]
    item = speaking.item("item_1")
    assert (item["heard"], item["status"]) == ("one two", "interrupted")
    assert (item["started_ms"], item["ended_ms"]) == (1000, 2000)


def test_where_nothing_sounds_there_is_nothing_to_cut() -> None:
    assert Speaking().voice.cut(1.0) == ([], [])


def test_what_was_heard_completely_keeps_its_words() -> None:
    speaking = Speaking()
    speaking.hears("item_1", sound(500), 1.0)
    speaking.voice.sound_done("item_1", 0, 1.0)

    assert speaking.voice.cut(2.6) == ([], [])
    assert speaking.item("item_1")["status"] == "in_progress"


def test_what_the_far_side_held_back_and_still_plays_is_cut_though_the_clock_ran_on() -> None:
    speaking = Speaking()
    names = [marks(speaking.hears("item_1", sound(200), 0.0)) for _ in range(20)]
    speaking.voice.sound_done("item_1", 0, 0.0)
    speaking.voice.settle(5.1)  # nothing has come back for a second longer than it all takes
    assert speaking.voice.being_heard == set()
    for nth, (name,) in enumerate(names[:4]):
        speaking.voice.mark_reached(name, 5.4 + 0.2 * nth)

    assert speaking.voice.silent_at(6.1) > 8.0
    assert speaking.voice.cut(6.1) == ([ClearPlayout()], [])
    assert speaking.voice.cut(6.1) == ([], [])


def test_the_silence_that_answers_the_phone_is_not_worth_a_cut() -> None:
    speaking = Speaking(AUDIOCODES)
    speaking.voice.answer(1.0)

    assert speaking.voice.silent_at(1.1) > 1.1
    assert speaking.voice.cut(1.1) == ([], [])


def test_the_item_at_the_ear_is_truncated_and_those_behind_it_deleted() -> None:
    speaking = Speaking()
    for item_id in ("item_1", "item_2", "item_3"):
        speaking.hears(item_id, sound(500), 1.0)
        speaking.voice.sound_done(item_id, 0, 1.0)

    _, cut = speaking.voice.cut(1.25)

    assert told(cut) == [
        TruncateItem("item_1", 0, 250),
        DeleteItem("item_2"),
        DeleteItem("item_3"),
    ]
    assert speaking.item("item_3")["started_ms"] is None
    assert speaking.item("item_3")["ended_ms"] is None


def test_every_truncation_is_a_whole_number_within_what_was_received() -> None:
    speaking = Speaking(AUDIOCODES, PCM_24K, PCM_24K)
    speaking.hears("item_1", Audio.of(bytes(4799), PCM_24K), 1.0)

    (truncated,) = told(speaking.voice.cut(5.0)[1])

    assert truncated == TruncateItem("item_1", 0, 99)
    assert isinstance(truncated, effects.TruncateItem)
    assert type(truncated.audio_end_ms) is int


def test_a_part_behind_a_heard_one_is_truncated_to_the_least_and_not_deleted() -> None:
    speaking = Speaking(AUDIOCODES)
    speaking.hears("item_1", sound(100), 1.0, 0)
    speaking.voice.sound_done("item_1", 0, 1.0)
    speaking.voice.settle(1.1)
    speaking.hears("item_1", sound(500), 1.1, 1)

    assert told(speaking.voice.cut(1.1)[1]) == [TruncateItem("item_1", 1, 1)]


def test_a_part_too_short_to_truncate_is_left_alone_behind_a_heard_one() -> None:
    speaking = Speaking()
    speaking.hears("item_1", sound(500), 1.0, 0)
    speaking.hears("item_1", sound(0.5), 1.0, 1)

    assert told(speaking.voice.cut(1.2)[1]) == [TruncateItem("item_1", 0, 200)]


def test_an_unheard_item_of_two_parts_is_deleted_once() -> None:
    speaking = Speaking()
    speaking.hears("item_1", sound(500), 1.0, 0)
    speaking.hears("item_1", sound(500), 1.0, 1)

    assert told(speaking.voice.cut(1.0)[1]) == [DeleteItem("item_1")]


def test_sound_still_in_the_framer_is_cut_with_the_rest() -> None:
    speaking = Speaking()
    speaking.hears("item_1", sound(30), 1.0)
    speaking.voice.cut(1.0)

    assert played(speaking.hears("item_2", sound(30, b"\x02"), 1.1)) == b"\x02" * 160
    assert speaking.voice.response_over("resp_2", 1.2) == []


def test_a_line_that_is_gone_leaves_what_was_heard_in_the_transcript() -> None:
    speaking = Speaking(AUDIOCODES)
    speaking.transcript.words("item_1", "agent", "one two six ten", final=True)
    speaking.hears("item_1", sound(400), 1.0)

    speaking.voice.stop(1.2)

    item = speaking.item("item_1")
    assert (item["heard"], item["unheard"]) == ("one two", "six ten")
    assert speaking.voice.cut(1.2) == ([], [])


def test_what_was_heard_by_now_is_shown_before_anything_is_final() -> None:
    speaking = Speaking()
    speaking.hears("item_1", sound(1000), 1.0)
    speaking.hears("item_2", sound(1000), 1.0)
    for item_id in ("item_1", "item_2"):
        speaking.transcript.words(item_id, "agent", "one two", final=True)

    speaking.voice.show_progress(1.5)

    assert [speaking.item(one)["heard"] for one in ("item_1", "item_2")] == ["one", ""]
    assert speaking.item("item_1")["started_ms"] == 1000
    assert speaking.item("item_2")["started_ms"] is None
    assert speaking.item("item_1")["status"] == "in_progress"


def test_when_an_item_began_is_told_better_once_an_echo_tells() -> None:
    speaking = Speaking(wire_seconds=0.05)
    (mark,) = marks(speaking.hears("item_1", sound(1000), 1.0))
    speaking.hears("item_1", sound(1000), 1.0, index=1)
    speaking.transcript.words("item_1", "agent", "one two", final=True)

    speaking.voice.show_progress(1.1)
    assert speaking.item("item_1")["started_ms"] == 1050
    speaking.voice.mark_reached(mark, 2.5)  # so much later than foretold
    speaking.voice.show_progress(2.6)
    assert speaking.item("item_1")["started_ms"] == 1250
    speaking.voice.show_progress(2.9)  # the second part is heard
    speaking.voice.stop(3.0)
    assert speaking.item("item_1")["started_ms"] == 1250

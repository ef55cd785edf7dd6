"""Barge-in that is to be confirmed: a cough lets the agent go on, speech that lasts cuts it."""

import pytest

from opusbridge import events
from opusbridge.call.judge import QUIET_SECONDS
from opusbridge.call.pending import Cause, Why
from opusbridge.call.policy import CallPolicy, Clip
from opusbridge.effects import (
    CancelResponse,
    ClearPlayout,
    CreateResponse,
    DeleteItem,
    Effect,
    Note,
    PlaceMark,
    PlayAudio,
    TellSpeechCommitted,
    TellSpeechStarted,
    TellSpeechStopped,
    TruncateItem,
)
from opusbridge.privacy import Private
from opusbridge.sound import PCMU_8K, Audio
from tests.call.lines import (
    LOUD,
    SILENCE,
    SOFT,
    Line,
    both_sides,
    confirming,
    kinds,
    without_notes,
)

WORDS = Private("{}")
#: What AudioCodes hears of the caller's speech.
TOLD = (TellSpeechStarted, TellSpeechStopped, TellSpeechCommitted)


def coughs(line: Line, ms: int = 160, item_id: str = "item_9") -> None:
    """And the model, told by 100 ms of it, takes it for speech until 500 ms after."""
    line.live(100, LOUD)
    line.starts(item_id, ago_ms=100)
    line.live(ms - 100, LOUD)
    line.live(500)
    line.stops(item_id)


def speaking(
    ms: int, heard_ms: int = 1000, *, how: CallPolicy | None = None, done: bool = False
) -> Line:
    """An answer of that length, heard for so long; ``done``: the model has said all of it."""
    line = Line(how)
    line.begins(ms)
    if done:
        line.finishes()
    line.live(heard_ms)
    return line


def paused(
    ms: int, heard_ms: int = 1000, *, how: CallPolicy | None = None, done: bool = False
) -> Line:
    """The same, and the model has heard the caller begin."""
    line = speaking(ms, heard_ms, how=how, done=done)
    line.starts()
    return line


def paused_before_a_tools_answer() -> Line:
    """The words before a tool are being heard, and what follows from it is asked for."""
    line = Line()
    line.begins(2000)
    line.tell(events.ToolCalled("resp_1", "item_3", "call_1", "f", WORDS))
    line.finishes()
    line.perform(line.talk.tools.finished("call_1", WORDS, False, line.now))
    line.live(400)
    line.starts()
    return line


# --- It was none ------------------------------------------------------------------------


@both_sides
def test_after_a_cough_every_byte_is_heard_once_and_in_order(audiocodes: bool) -> None:
    line = Line(confirming(audiocodes))
    line.begins(4000)
    line.finishes()
    line.live(1011 // 20 * 20)
    line.wait(0.0037, [])
    coughs(line)
    line.live(6000)

    assert bytes(line.heard) == bytes(line.said)
    assert line.asked(TruncateItem) == line.asked(CancelResponse) == []
    assert len(line.notes("false-interruption")) == 1


@both_sides
def test_the_pause_is_silence_at_once_and_nothing_is_played_in_it(audiocodes: bool) -> None:
    line = speaking(2000, 500, how=confirming(audiocodes))

    assert kinds(line.starts())[0] is ClearPlayout
    heard = bytes(line.heard)
    line.speaks(1000)
    assert not any(isinstance(one, PlayAudio) for one in line.live(260))
    assert bytes(line.heard) == heard


@both_sides
def test_what_the_model_says_during_the_pause_follows_after_it(audiocodes: bool) -> None:
    line = paused(1000, 500, how=confirming(audiocodes))
    line.speaks(1000)
    line.speaks(600)
    line.finishes()
    line.live(400)
    line.stops()
    line.live(4000)

    assert bytes(line.heard) == bytes(line.said)
    line.talk.voice.settle(line.now)
    assert line.talk.transcript.item("item_2", "agent").heard_ms == 2600
    assert line.talk.transcript.item("item_2", "agent").status != "interrupted"


@both_sides
def test_two_coughs_in_a_row_cost_two_pauses_and_no_word(audiocodes: bool) -> None:
    line = speaking(5000, 600, how=confirming(audiocodes))
    coughs(line)
    coughs(line, item_id="item_10")
    line.finishes()
    line.live(6000)

    assert bytes(line.heard) == bytes(line.said)
    assert len(line.notes("paused")) == len(line.notes("false-interruption")) == 2


def test_marks_tell_what_was_heard_of_what_was_sent_again() -> None:
    line = Line()
    line.begins(400)
    for _ in range(9):
        line.speaks(400)
    line.live(600)
    coughs(line)
    line.live(700)
    assert line.talk.voice.silent_at(line.now) > line.now + 1.5
    coughs(line, item_id="item_10")
    line.finishes()
    line.live(6000)

    assert bytes(line.heard) == bytes(line.said)


def test_each_piece_of_what_is_sent_again_is_marked_again() -> None:
    line = Line()
    line.begins(400)
    for _ in range(9):
        line.speaks(400)
    line.live(600)
    before = len(line.done)
    coughs(line)
    again = [type(one) for one in line.done[before:] if isinstance(one, PlayAudio | PlaceMark)]

    assert again == 9 * [PlayAudio, PlaceMark]


def test_the_agent_goes_on_when_the_caller_is_quiet_and_not_only_when_the_model_says_so() -> None:
    line = speaking(3000)
    line.live(100, LOUD)
    line.starts(ago_ms=100)
    began = line.now
    resumed = line.live(1000)

    assert PlayAudio in kinds(resumed)
    assert Note("resumed") in resumed
    assert line.talk.voice.audible(began + QUIET_SECONDS + 0.1)


def test_a_line_that_sends_nothing_when_it_is_silent_is_quiet_too() -> None:
    line = paused(3000)
    found: list[Effect] = []
    line.wait(QUIET_SECONDS + 0.01, found)

    assert PlayAudio in kinds(found)


def test_a_false_interruption_is_not_answered_and_stays_in_the_conversation() -> None:
    line = speaking(4000)
    asked = len(line.asked(CreateResponse))
    coughs(line)
    line.finishes()
    line.live(5000)

    assert len(line.asked(CreateResponse)) == asked
    assert line.asked(DeleteItem) == []
    assert line.talk.response.at_rest
    assert line.talk.transcript.item("item_9", "caller").status == "completed"


def test_what_waits_meanwhile_is_asked_for_when_the_cough_is_over() -> None:
    line = Line()
    line.begins(2000)
    tool = events.ToolCalled("resp_1", "item_3", "call_1", "f", WORDS)
    line.tell(tool)
    line.finishes()
    line.live(400)
    line.starts()
    line.perform(line.talk.tools.finished("call_1", WORDS, False, line.now))
    assert len(line.asked(CreateResponse)) == 1
    line.live(500)

    assert CreateResponse in kinds(line.stops())


def test_a_response_that_begins_during_the_pause_is_kept_for_after_it() -> None:
    line = paused_before_a_tools_answer()
    line.accepts("resp_2")
    line.speaks(1000, "resp_2", "item_4")
    line.live(500)
    line.stops()
    line.finishes("resp_2", "item_4")
    line.live(4000)

    assert line.asked(CancelResponse) == []
    assert bytes(line.heard) == bytes(line.said)


@both_sides
def test_a_call_that_ends_in_a_pause_has_heard_what_was_heard(audiocodes: bool) -> None:
    line = paused(2000, 500, how=confirming(audiocodes))
    line.live(200)
    line.talk.voice.stop(line.now)

    item = line.talk.transcript.item("item_2", "agent")
    assert (item.heard_ms, item.started_ms, item.ended_ms) == (500, 0, 500)


def test_a_pause_in_the_middle_of_a_frame_goes_on_in_whole_frames() -> None:
    line = speaking(2000, 500)
    line.wait(0.0133, [])
    line.starts()
    [first, *_] = [one for one in line.live(400) if isinstance(one, PlayAudio)]

    assert first.audio.size_bytes % 160 == 0
    assert first.audio.raw.startswith(SILENCE[PCMU_8K])
    assert first.response_id == "resp_1"


# --- It was speech ----------------------------------------------------------------------


@both_sides
def test_speech_that_lasts_cancels_and_truncates_to_what_was_heard(audiocodes: bool) -> None:
    line = paused(4000, how=confirming(audiocodes))
    found = line.live(400, LOUD)

    assert without_notes(found) == [CancelResponse("resp_1"), TruncateItem("item_2", 0, 1000)]
    assert bytes(line.heard) == bytes(line.said[: len(line.heard)])
    assert line.speaks(200) == []
    line.finishes()
    assert CreateResponse in kinds(line.stops())
    assert line.notes("false-interruption") == []


def test_it_is_cut_after_so_much_voice_and_not_before() -> None:
    line = paused(4000, how=confirming(ms=400))

    assert CancelResponse not in kinds(line.live(380, LOUD))
    assert CancelResponse in kinds(line.live(40, LOUD))


def test_words_in_an_outage_of_which_the_model_tells_late_are_no_cough() -> None:
    line = speaking(8000, done=True)
    line.tell(events.ModelLost("model-lost"))
    line.live(600, LOUD)
    line.live(800)
    line.tell(events.SessionConfigured(line.format, line.format))
    line.live(1000)
    line.tell(events.SpeechStarted("item_9", 0))
    line.tell(events.SpeechStopped("item_9", 1100))
    line.tell(events.TurnCommitted("item_9"))

    assert line.notes("false-interruption") == []
    assert len(line.notes("barge-in")) == 1
    assert CreateResponse in kinds(line.done[-3:])


def test_what_was_spoken_before_the_model_told_of_it_counts() -> None:
    line = speaking(4000)
    line.live(260, LOUD)
    found = line.starts(ago_ms=260)

    assert kinds(found) == [ClearPlayout, CancelResponse, TruncateItem]


def test_where_the_line_comes_in_long_frames_the_agent_does_not_go_on_between_two() -> None:
    line = Line(confirming(ms=700))
    line.begins(6000)
    found: list[Effect] = []
    for quiet_ms in (500, 200, 0):
        line.wait(0.05, found)
        if quiet_ms == 0:
            found += line.tell(events.SpeechStarted("item_9", 400))
        line.wait(0.45, found)
        raw = SILENCE[PCMU_8K] * (8 * quiet_ms) + LOUD[PCMU_8K] * (4 * (500 - quiet_ms))
        spoke = events.CallerSpoke(Audio.of(raw, PCMU_8K))
        found += line.perform(line.talk.barge_in.caller_spoke(spoke, line.now))

    judged = [one.kind for one in found if isinstance(one, Note)]
    assert judged == ["paused", "truncated", "barge-in"]


def test_what_is_doubtful_on_audiocodes_is_told_of_once_silence_was_asked_for() -> None:
    line = speaking(4000, how=confirming(audiocodes=True))

    assert kinds(line.starts()) == [ClearPlayout, TellSpeechStarted]


def test_a_cough_is_no_turn_for_audiocodes() -> None:
    line = speaking(4000, how=confirming(audiocodes=True))
    before = len(line.done)
    coughs(line)

    assert len(line.notes("false-interruption")) == 1
    told = [one for one in kinds(line.done[before:]) if one in TOLD]
    assert told == [TellSpeechStarted, TellSpeechStopped]


def test_who_goes_on_after_a_pause_for_breath_is_heard_out_all_the_same() -> None:
    line = speaking(6000)
    line.live(160, LOUD)
    line.starts(ago_ms=160)
    assert PlayAudio in kinds(line.live(400))
    found = line.live(200, LOUD)

    assert kinds(found) == [ClearPlayout, CancelResponse, TruncateItem]


def test_after_the_response_was_done_there_is_nothing_to_cancel() -> None:
    line = paused(4000, done=True)

    assert without_notes(line.live(400, LOUD)) == [TruncateItem("item_2", 0, 1000)]


def test_an_item_that_only_came_in_the_pause_is_deleted() -> None:
    line = paused(1000, 500)
    line.speaks(1000, item_id="item_3")

    assert DeleteItem("item_3") in line.live(400, LOUD)


def test_a_response_that_began_during_the_pause_gives_way_with_the_rest() -> None:
    line = paused_before_a_tools_answer()
    line.accepts("resp_2")

    assert CancelResponse("resp_2") in line.live(400, LOUD)


def test_what_begins_while_a_caller_speaks_who_means_it_is_cancelled() -> None:
    line = paused_before_a_tools_answer()
    line.live(400, LOUD)
    line.accepts("resp_2")

    assert CancelResponse("resp_2") in line.done


# --- Never doubtful ---------------------------------------------------------------------


def test_a_short_word_into_silence_is_a_turn() -> None:
    line = Line()
    line.live(500)
    line.live(100, LOUD)
    line.starts(ago_ms=100)
    line.live(500)

    assert CreateResponse in kinds(line.stops())
    assert line.notes("paused") == []


def test_a_word_before_the_first_sound_of_the_answer_cancels_it() -> None:
    line = Line()
    line.begins()

    assert kinds(line.starts()) == [CancelResponse]


def test_a_sound_that_began_before_the_agent_was_heard_is_no_sound_over_it() -> None:
    line = Line()
    line.live(1000)
    line.begins()
    line.live(100, LOUD)
    line.speaks(2000)
    line.live(20, LOUD)

    assert kinds(line.starts(ago_ms=120)) == [ClearPlayout, CancelResponse, TruncateItem]


def test_a_short_answer_to_the_agents_last_words_is_answered_when_they_were_heard() -> None:
    line = speaking(2000, done=True)
    coughs(line, ms=200)
    assert len(line.asked(CreateResponse)) == 2
    line.live(3000)

    assert bytes(line.heard) == bytes(line.said)
    assert line.notes("false-interruption") == []


def test_nor_does_audiocodes_cut_them_when_that_is_committed() -> None:
    line = speaking(2000, how=confirming(audiocodes=True), done=True)
    before = len(line.done)
    coughs(line, ms=200)

    assert line.notes("false-interruption") == []
    told = [one for one in kinds(line.done[before:]) if one in TOLD]
    assert told == [TellSpeechStarted, TellSpeechStopped]


def test_a_cough_at_the_last_words_of_a_goodbye_keeps_nobody_on_the_line() -> None:
    line = Line()
    line.talk.barge_in.leaving = True
    line.begins(2000)
    line.finishes()
    line.live(1000)
    coughs(line)

    assert not line.talk.barge_in.floor_taken()
    assert len(line.notes("false-interruption")) == 1


# --- The echo ---------------------------------------------------------------------------


def test_the_agents_own_echo_is_not_the_callers_voice() -> None:
    line = speaking(6000)
    line.live(200, SOFT)
    line.starts(ago_ms=200)
    line.live(300, SOFT)
    line.live(500)
    line.stops()
    line.finishes()
    line.live(6000)

    assert bytes(line.heard) == bytes(line.said)
    assert len(line.notes("false-interruption")) == 1


def test_a_soft_voice_is_heard_once_the_echo_has_died_away() -> None:
    line = speaking(6000)
    line.live(200, SOFT)
    line.starts(ago_ms=200)

    assert CancelResponse in kinds(line.live(1600, SOFT))


# --- The session is lost, the call ends ---------------------------------------------------


def test_a_session_lost_in_a_pause_leaves_the_agent_to_be_heard_out() -> None:
    line = paused(2000, 500, done=True)
    found = line.tell(events.ModelLost("model-lost"))
    line.live(3000)

    assert PlayAudio in kinds(found)
    assert line.talk.response.pending_user_input is None
    assert bytes(line.heard) == bytes(line.said)


def test_a_session_lost_after_a_cough_owes_no_answer_to_it() -> None:
    line = speaking(4000, done=True)
    line.live(100, LOUD)
    line.starts(ago_ms=100)
    line.live(500)
    line.stops(commits=False)
    line.tell(events.ModelLost("model-lost"))

    assert line.talk.response.pending_user_input is None


def test_a_session_lost_while_he_means_to_speak_owes_him_an_answer() -> None:
    line = paused(4000)
    line.live(400, LOUD)
    line.tell(events.ModelLost("model-lost"))

    pending = line.talk.response.pending_user_input
    assert pending is not None
    assert "item_9" in [cause.key for cause in pending.causes]


def test_closing_in_a_pause_drops_what_was_kept_back() -> None:
    line = paused(4000)
    found = line.perform(line.talk.close(line.now))

    assert kinds(found) == [CancelResponse, TruncateItem]
    assert line.talk.barge_in.deadline is None
    clip = line.talk.policy.clips["goodbye"]
    assert PlayAudio in kinds(line.talk.voice.say("goodbye", clip, "Goodbye.", line.now))


def test_a_stored_sentence_is_paused_and_goes_on_like_any_other() -> None:
    line = Line(confirming(audiocodes=True))
    clip = line.talk.policy.clips["goodbye"]
    line.perform(line.talk.voice.say("goodbye", clip, "Goodbye.", line.now))
    line.live(400)
    coughs(line)
    line.live(2000)

    assert bytes(line.heard).rstrip(b"\0") == clip.pcm.rstrip(b"\0")
    line.talk.voice.settle(line.now)
    assert line.talk.transcript.item("clip:goodbye-1", "agent").heard_ms == 1000


def begins_over_a_filler() -> Line:
    """The answer begins while the agent is paused, and with it a filler of six seconds."""
    line = Line()
    line.tell(events.TurnCommitted("item_1"))
    filler = Clip(8_000, line.sound(2 * 6000))
    line.perform(line.talk.voice.say("filler:typing", filler, "[sound]", line.now))
    line.live(1000)
    line.starts()
    line.accepts("resp_1")
    line.speaks(500)
    line.speaks(500)
    line.finishes()
    return line


def test_an_answer_that_begins_in_a_pause_is_not_kept_waiting_by_a_filler() -> None:
    line = begins_over_a_filler()
    before = len(line.heard)
    line.live(200)
    assert len(line.heard) == before, "the agent stays silent until the caller does"
    line.live(400)
    line.stops(commits=False)
    line.live(1000)

    assert bytes(line.heard[before:]) == bytes(line.said)
    filler = line.talk.transcript.item("clip:filler:typing-1", "agent")
    assert (filler.heard_ms, filler.ended_ms) == (1000, 1000)


def test_and_who_means_to_speak_hears_neither() -> None:
    line = begins_over_a_filler()
    before = len(line.heard)
    found = line.live(600, LOUD)
    line.live(1000)

    assert Note("barge-in") in found
    assert DeleteItem("item_2") in found
    assert len(line.heard) == before


def test_last_words_are_not_told_to_be_spoken_over() -> None:
    line = Line(confirming(audiocodes=True))
    line.talk.close(line.now)

    assert TellSpeechStarted not in kinds(line.starts())


def test_last_words_that_begin_while_he_speaks_are_not_cut_when_he_stops() -> None:
    line = speaking(4000, how=confirming(audiocodes=True, ms=None))
    line.starts()
    line.talk.close(line.now)

    assert TellSpeechCommitted not in kinds(line.stops())


def test_nor_is_a_farewell_that_is_heard_out() -> None:
    line = speaking(4000, how=confirming(audiocodes=True, ms=None, farewell=False))
    line.talk.barge_in.leaving = True

    assert [one for one in kinds(line.starts() + line.stops()) if one in TOLD] == []


@pytest.mark.parametrize("stopped", [False, True])
def test_a_turn_that_the_session_took_with_it_is_over_for_audiocodes(stopped: bool) -> None:
    line = Line(confirming(audiocodes=True))
    line.starts()
    found = line.stops(commits=False) if stopped else []
    for _ in range(2):
        found += line.tell(events.ModelLost("model-lost"))

    assert kinds(found).count(TellSpeechStopped) == 1


# --- The end of a turn that was lost on the way -------------------------------------------


def test_a_commit_without_the_end_of_speech_ends_the_doubt() -> None:
    line = paused(4000)
    line.live(100)
    found = line.tell(events.TurnCommitted("item_9"))

    assert PlayAudio in kinds(found)
    assert CreateResponse not in kinds(found)


def test_a_second_beginning_without_an_end_is_doubted_anew() -> None:
    line = paused(4000)
    line.live(400)
    line.starts("item_10")
    line.live(400)
    line.stops("item_10")
    line.finishes()
    line.live(5000)

    assert bytes(line.heard) == bytes(line.said)


def test_who_is_doubted_when_such_a_farewell_begins_does_not_cut_it_either() -> None:
    line = paused(4000, how=confirming(farewell=False), done=True)
    line.talk.barge_in.leaving = True

    assert CancelResponse not in kinds(line.live(600, LOUD))
    line.live(500)
    line.stops()
    line.live(4000)
    assert bytes(line.heard) == bytes(line.said)


# --- A farewell that is not to be interrupted ---------------------------------------------


@both_sides
def test_a_farewell_that_may_not_be_interrupted_is_heard_to_its_end(audiocodes: bool) -> None:
    line = Line(confirming(audiocodes, ms=None, farewell=False))
    line.talk.barge_in.leaving = True
    line.begins(2000)
    line.finishes()
    line.live(500)
    asked = len(line.asked(CreateResponse))

    assert line.starts() == []
    line.live(1000, LOUD)
    line.stops()
    line.live(2000)
    assert bytes(line.heard) == bytes(line.said)
    assert len(line.asked(CreateResponse)) == asked
    assert not line.talk.barge_in.floor_taken()


# --- A greeting that is not to be interrupted ---------------------------------------------


def greeted(how: CallPolicy) -> Line:
    """For two seconds from 0.0 on; the model is not done with it."""
    line = Line(how)
    line.perform(line.talk.response.user_input(Cause(Why.GREETING, "greeting"), line.now))
    line.accepts("resp_1")
    line.speaks(2000)
    return line


@pytest.mark.parametrize("ms", [None, 250], ids=["at once", "confirmed"])
@pytest.mark.parametrize("all_sent", [False, True])
@both_sides
def test_such_a_greeting_is_heard_to_its_end_and_the_turn_answered_after_it(
    audiocodes: bool, all_sent: bool, ms: int | None
) -> None:
    line = greeted(confirming(audiocodes, ms, greeting=False))
    if all_sent:
        line.finishes()
    line.live(500)
    assert line.starts() == []
    line.live(600, LOUD)
    line.live(500)
    found = line.stops()
    assert (CreateResponse in kinds(found)) == all_sent
    if not all_sent:
        assert CreateResponse in kinds(line.finishes())
    line.live(3000)

    assert bytes(line.heard) == bytes(line.said)
    assert line.asked(CancelResponse) == line.asked(TruncateItem) == []


def test_who_speaks_before_such_a_greeting_has_begun_does_not_cancel_it() -> None:
    line = Line(confirming(ms=None, greeting=False))
    line.perform(line.talk.response.user_input(Cause(Why.GREETING, "greeting"), line.now))
    line.starts()
    line.accepts("resp_1")

    assert PlayAudio in kinds(line.speaks(500))
    assert line.asked(CancelResponse) == []


def test_after_such_a_greeting_speech_cuts_as_ever() -> None:
    line = greeted(confirming(ms=None, greeting=False))
    line.finishes()
    line.live(2500)
    line.begins(2000, "resp_2", "item_5")
    line.live(500)

    assert kinds(line.starts()) == [ClearPlayout, CancelResponse, TruncateItem]


def test_a_greeting_is_cut_like_any_other_answer_unless_it_may_not_be() -> None:
    line = greeted(confirming(ms=None))
    line.live(500)

    assert kinds(line.starts()) == [ClearPlayout, CancelResponse, TruncateItem]


def test_over_such_a_greeting_a_model_that_would_answer_by_itself_cannot() -> None:
    line = greeted(confirming(ms=None, greeting=False, by_model=True))
    line.live(500)
    line.starts()
    line.live(500, LOUD)
    line.stops()

    assert CreateResponse in kinds(line.finishes())


def test_what_audiocodes_was_not_told_of_does_not_end_for_it_either() -> None:
    line = greeted(confirming(audiocodes=True, ms=None, greeting=False))
    line.live(500)
    line.starts()

    assert [one for one in kinds(line.stops()) if one in TOLD] == []

"""The conversation with the model: who speaks, what is told to whom, and in which order."""

from dataclasses import replace

import pytest

from opusbridge import events
from opusbridge.call.conversation import Conversation
from opusbridge.call.history import UNHEARD
from opusbridge.call.model_side import MOST_SERVER_ERRORS, SESSION_SECONDS
from opusbridge.call.pending import Why
from opusbridge.call.policy import AUDIOCODES, TWILIO, CallPolicy, ResponsePolicy
from opusbridge.call.pulse import ANSWER_SECONDS, ASK_SECONDS, BUSY_ANSWER_SECONDS, DIAL_SECONDS
from opusbridge.call.tool_use import TOO_MANY_TOOLS
from opusbridge.call.tools import MOST_RUNNING
from opusbridge.call.transcript import Transcript
from opusbridge.effects import (
    AddText,
    AddToolOutput,
    AppendAudio,
    CancelResponse,
    ClearPlayout,
    CommitAudio,
    ConfigureSession,
    CreateResponse,
    DeleteItem,
    Effect,
    EndPlayout,
    FeelPulse,
    Note,
    PlaceMark,
    PlayAudio,
    RunTool,
    SessionConfig,
    TellSpeechCommitted,
    TellSpeechStarted,
    TellSpeechStopped,
    TruncateItem,
    TurnDetection,
)
from opusbridge.privacy import Private
from opusbridge.protocols.realtime.errors import PERMANENT_CODES
from opusbridge.sound import PCM_16K, PCM_24K, PCMU_8K, Audio

SESSION = SessionConfig(
    "Be kind.", PCM_24K, turn_detection=TurnDetection("server_vad", False, True)
)
WITHOUT_DETECTION = replace(SESSION, turn_detection=None)
CONFIGURED = events.SessionConfigured(PCMU_8K, PCMU_8K)
WORDS = Private("words")


def sound(ms: int) -> Audio:
    return Audio.of(b"\x55" * 8 * ms, PCMU_8K)


def policy(barge_in: bool = True, by_model: bool = False) -> CallPolicy:
    return CallPolicy(
        replace(TWILIO, wire_seconds=0.0),
        SESSION,
        ResponsePolicy(model_creates=by_model, interrupts=barge_in),
        barge_in=barge_in,
    )


def begun(how: CallPolicy | None = None) -> Conversation:
    """On Twilio, at 0.0; the session has not taken its settings."""
    return Conversation(how or policy(), PCMU_8K, Transcript(), lambda at: round(at * 1000), 0.0)


def ready(how: CallPolicy | None = None) -> Conversation:
    talk = begun(how)
    assert talk.handle(CONFIGURED, 0.0) == []
    return talk


def answering(how: CallPolicy | None = None) -> Conversation:
    """``resp_1`` has been answering the turn ``item_1`` since 1.0; nothing was said of it yet."""
    talk = ready(how)
    talk.handle(events.TurnCommitted("item_1"), 1.0)
    talk.handle(events.ResponseCreated("resp_1", "request-1"), 1.0)
    return talk


def spoke(ms: int, response_id: str = "resp_1", item_id: str = "item_2") -> events.ModelSpoke:
    return events.ModelSpoke(response_id, item_id, 0, sound(ms))


def called(tool_call_id: str = "call_1", response_id: str = "resp_1") -> events.ToolCalled:
    return events.ToolCalled(response_id, f"item_{tool_call_id}", tool_call_id, "f", Private("{}"))


def done(response_id: str = "resp_1", status: str = "completed") -> events.ResponseDone:
    return events.ResponseDone(response_id, status)


def without_notes(effects: list[Effect]) -> list[Effect]:
    return [one for one in effects if not isinstance(one, Note)]


def kinds(effects: list[Effect]) -> list[type]:
    return [type(one) for one in without_notes(effects)]


# --- The session ------------------------------------------------------------------------


def test_the_session_is_configured_with_the_format_that_needs_no_conversion() -> None:
    talk = begun()

    assert talk.handle(events.SessionCreated("sess_1"), 0.1) == [
        ConfigureSession(replace(SESSION, audio_format=PCMU_8K))
    ]


def test_the_callers_first_words_are_held_until_the_session_is_ready_and_go_first() -> None:
    talk = begun()
    talk.line.spoke(events.CallerSpoke(sound(20)), 0.1)
    talk.add_text(Why.TEXT, "system", WORDS, 0.1)

    assert kinds(talk.handle(CONFIGURED, 0.2)) == [AddText, AppendAudio, CreateResponse]


def test_a_session_configured_twice_is_opened_once() -> None:
    talk = ready()

    assert talk.handle(events.SessionConfigured(None, None), 0.2) == []
    assert talk.model.failure is None


@pytest.mark.parametrize("formats", [(PCM_24K, PCMU_8K), (PCMU_8K, PCM_24K), (None, None)])
def test_a_session_in_another_format_would_be_heard_as_static(formats: tuple[None, None]) -> None:
    talk = begun()
    talk.handle(events.SessionConfigured(*formats), 0.1)

    assert talk.model.failure == "model-refused-us"


def test_a_session_that_is_never_ready_is_given_up() -> None:
    talk = begun()
    assert talk.deadline == SESSION_SECONDS

    assert talk.timed_out(SESSION_SECONDS) == [Note("watchdog", "session")]
    assert talk.model.worn_out == "model-silent"
    assert talk.deadline is None


def test_a_session_that_is_ready_is_waited_for_no_more() -> None:
    talk = ready()

    assert talk.deadline == ASK_SECONDS
    assert talk.timed_out(ASK_SECONDS) == [FeelPulse()]


# --- Is it still there? -----------------------------------------------------------------


def test_a_model_that_says_nothing_and_owes_nothing_is_asked_whether_it_is_there() -> None:
    talk = ready()
    assert talk.timed_out(ASK_SECONDS) == [FeelPulse()]

    assert talk.handle(CONFIGURED, 3.2) == []
    assert talk.deadline == 3.2 + ASK_SECONDS
    assert talk.timed_out(6.2) == [FeelPulse()]
    talk.handle(events.ItemDeleted("item_0"), 6.3)  # any event is an answer
    assert talk.timed_out(6.2 + ANSWER_SECONDS) == []


def test_one_that_does_not_answer_that_is_dead() -> None:
    talk = ready()
    talk.timed_out(ASK_SECONDS)

    assert talk.timed_out(ASK_SECONDS + ANSWER_SECONDS) == [Note("watchdog", "silence")]
    assert talk.model.worn_out == "model-silent"
    assert talk.deadline is None


def told_by_the_next(talk: Conversation) -> list[str]:
    """Another session is ready at 5.1; what it is told, but for the conversation."""
    talk.handle(events.SessionCreated("sess_2"), 5.0)
    return [one.text.value for one in talk.handle(CONFIGURED, 5.1) if isinstance(one, AddText)]


def test_of_one_that_ends_instead_of_answering_nobody_knows_what_it_heard() -> None:
    talk = ready()
    assert talk.timed_out(ASK_SECONDS) == [FeelPulse()]
    talk.handle(events.ModelLost("model-lost"), 4.5)

    assert talk.line.dropped_ms == 4500.0
    assert talk.owes_since == DIAL_SECONDS, "the wait counts from the last sign of life"
    assert told_by_the_next(talk) == [UNHEARD]


def test_one_that_ends_before_it_is_asked_heard_him_until_then() -> None:
    talk = ready()
    talk.handle(events.ModelLost("model-lost"), 2.5)

    assert talk.line.dropped_ms == 0.0
    assert talk.owes_since == 2.5 + DIAL_SECONDS
    assert told_by_the_next(talk) == []


@pytest.mark.parametrize("why", ["on_hold", "away", "ringing"])
def test_who_was_out_of_reach_said_nothing_to_it(why: str) -> None:
    talk = ready()
    setattr(talk.response.door, why, True)
    talk.timed_out(ASK_SECONDS)
    talk.handle(events.ModelLost("model-lost"), 4.5)

    assert talk.line.dropped_ms == 0.0
    assert told_by_the_next(talk) == []


def test_it_is_asked_while_the_caller_speaks_as_well() -> None:
    talk = ready()
    talk.handle(events.SpeechStarted("item_1", 0), 1.0)

    assert FeelPulse() in talk.timed_out(1.0 + ASK_SECONDS)


def test_one_that_owes_an_answer_is_given_more_time() -> None:
    talk = answering()
    assert talk.timed_out(1.0 + ASK_SECONDS) == [FeelPulse()]
    overdue = 1.0 + ASK_SECONDS + BUSY_ANSWER_SECONDS

    assert not talk.model.pulse.weak(overdue - BUSY_ANSWER_SECONDS + ANSWER_SECONDS - 0.1)
    assert talk.model.pulse.weak(overdue - BUSY_ANSWER_SECONDS + ANSWER_SECONDS)
    assert talk.deadline == overdue
    assert talk.timed_out(overdue) == [Note("watchdog", "silence")]


def test_for_last_words_nobody_asks_whether_it_is_there() -> None:
    talk = ready()
    talk.close(1.0)

    assert talk.deadline is None


def test_a_turn_whose_commit_was_lost_is_known_by_its_item() -> None:
    talk = ready()
    talk.handle(events.SpeechStarted("item_1", 0), 1.0)
    talk.handle(events.SpeechStopped("item_1", 900), 2.0)

    found = talk.handle(events.ItemAdded("item_1", None, "message", "user"), 2.1)
    assert CreateResponse("request-1", "turn") in found
    assert talk.handle(events.TurnCommitted("item_1"), 2.2) == []


def test_so_is_one_that_we_committed_ourselves() -> None:
    found = ready().handle(events.ItemAdded("item_1", None, "message", "user"), 2.1)

    assert found == [CreateResponse("request-1", "turn")]


def test_a_turn_committed_twice_is_answered_once() -> None:
    talk = answering()
    talk.handle(events.ResponseDone("resp_1", "completed"), 2.0)

    assert talk.handle(events.TurnCommitted("item_1"), 2.1) == []
    assert talk.handle(events.ItemAdded("item_1", None, "message", "user"), 2.1) == []


# --- The agent speaks -------------------------------------------------------------------


def test_what_the_model_says_is_played_and_marked() -> None:
    talk = answering()

    assert talk.handle(spoke(20), 1.1) == [
        PlayAudio(sound(20), 1.1, response_id="resp_1"),
        PlaceMark("mark-1"),
    ]


def test_the_end_of_the_sound_is_the_end_of_the_utterance() -> None:
    talk = answering()
    talk.handle(spoke(20), 1.1)

    assert EndPlayout in kinds(talk.handle(events.ModelAudioDone("resp_1", "item_2", 0), 1.2))
    assert talk.handle(done(), 1.3) == []


def test_a_response_that_is_over_ends_whatever_sound_was_left_open() -> None:
    talk = answering()
    talk.handle(spoke(20), 1.1)

    assert kinds(talk.handle(done(), 1.3)) == [EndPlayout]


def test_sound_of_a_response_whose_created_was_lost_is_played() -> None:
    talk = ready()
    talk.handle(events.TurnCommitted("item_1"), 1.0)

    assert PlayAudio in kinds(talk.handle(spoke(20), 1.5))
    assert talk.response.response_id == "resp_1"


@pytest.mark.parametrize(
    "progress",
    [
        events.OutputItemAdded("resp_1", "item_2", "message"),
        events.OutputItemDone("resp_1", "item_2", "message", "completed"),
        events.ModelWords("resp_1", "item_2", 0, WORDS, final=False),
        events.ModelAudioDone("resp_1", "item_2", 0),
        events.ResponseWentOn("resp_1"),
        spoke(20),
        called(),
    ],
)
def test_every_event_of_a_response_is_progress(progress: events.FromModel) -> None:
    talk = answering()
    talk.handle(progress, 5.0)

    assert talk.response.deadline == 25.0


def test_an_item_is_put_down_as_it_ended() -> None:
    talk = answering()
    talk.handle(events.ItemAdded("item_2", "item_1", "message", "assistant"), 1.0)
    talk.handle(events.ItemAdded("item_9", None, "message", "system"), 1.0)
    talk.handle(events.ModelWords("resp_1", "item_2", 0, WORDS, final=True), 1.1)
    talk.handle(events.OutputItemDone("resp_1", "item_2", "message", "incomplete"), 1.2)
    talk.handle(events.OutputItemDone("resp_1", "item_3", "function_call", "completed"), 1.2)

    shown = talk.transcript.snapshot("call")["items"]
    assert [(one["item_id"], one["text"], one["status"]) for one in shown] == [
        ("item_1", "", "empty"),
        ("item_2", "words", "incomplete"),
    ]


def test_an_items_words_are_those_of_all_its_parts() -> None:
    talk = answering()
    first, second = Private("One moment."), Private("There it is.")
    talk.handle(events.ModelWords("resp_1", "item_2", 0, first, final=True), 1.1)
    talk.handle(events.ModelWords("resp_1", "item_2", 1, second, final=True), 1.2)

    shown = talk.transcript.snapshot("call")["items"]
    assert shown[-1]["text"] == "One moment. There it is."


def test_what_was_cut_stays_interrupted_however_it_ended_at_the_model() -> None:
    talk = answering()
    talk.handle(spoke(1000), 1.0)
    talk.handle(events.SpeechStarted("item_3", 0), 1.5)
    talk.handle(events.OutputItemDone("resp_1", "item_2", "message", "completed"), 1.6)

    assert talk.transcript.item("item_2", "agent").status == "interrupted"


def test_an_item_of_which_nothing_was_played_is_taken_out_of_the_conversation() -> None:
    talk = answering()
    talk.handle(events.SpeechStarted("item_3", 0), 1.5)
    talk.handle(spoke(1000), 1.6)

    item_done = events.OutputItemDone("resp_1", "item_2", "message", "incomplete")
    assert talk.handle(item_done, 1.7) == [DeleteItem("item_2")]
    assert talk.handle(item_done, 1.8) == []


def test_so_it_is_where_its_end_is_told_with_the_responses_only() -> None:
    talk = answering()
    talk.handle(events.SpeechStarted("item_3", 0), 1.5)
    talk.handle(spoke(1000), 1.6)
    talk.handle(events.SpeechStopped("item_3", 1000), 1.7)
    talk.handle(events.TurnCommitted("item_3"), 1.7)

    found = talk.handle(done(status="cancelled"), 1.8)
    assert kinds(found) == [DeleteItem, CreateResponse]
    assert DeleteItem("item_2") in found


def test_an_item_that_was_cut_while_it_was_played_stays_as_far_as_it_was_heard() -> None:
    talk = answering()
    talk.handle(spoke(1000), 1.0)
    talk.handle(events.SpeechStarted("item_3", 0), 1.5)
    talk.handle(spoke(1000), 1.6)

    assert DeleteItem not in kinds(talk.handle(done(status="cancelled"), 1.8))


def test_of_its_words_those_were_heard_that_all_its_sound_has_time_for() -> None:
    talk = answering()
    talk.handle(spoke(1000), 1.0)
    talk.hush(1.5)
    talk.handle(spoke(2000), 1.6)
    words = Private("one two three four five six")
    talk.handle(events.ModelWords("resp_1", "item_2", 0, words, final=True), 1.7)

    item = talk.transcript.items()[-1]
    assert (item["heard"], item["unheard"]) == ("one", "two three four five six")


def test_an_item_of_which_the_caller_hears_what_came_in_time_stays() -> None:
    talk = answering()
    talk.handle(spoke(60_000), 1.0)
    assert CancelResponse in kinds(talk.timed_out(21.0))  # nothing more came of it, until now
    talk.handle(spoke(20), 21.1)

    item_done = events.OutputItemDone("resp_1", "item_2", "message", "incomplete")
    assert DeleteItem not in kinds(talk.handle(item_done, 21.2))
    assert talk.voice.silent_at(21.2) == 61.0


def test_another_session_has_no_item_that_was_not_played() -> None:
    talk = answering()
    talk.handle(events.SpeechStarted("item_3", 0), 1.5)
    talk.handle(spoke(1000), 1.6)
    talk.handle(events.ModelLost("model-lost"), 1.7)
    talk.handle(CONFIGURED, 2.0)
    talk.handle(events.ResponseCreated("resp_2"), 2.1)

    assert DeleteItem not in kinds(talk.handle(done("resp_2"), 2.2))


@pytest.mark.parametrize(
    "fact",
    [
        events.TranscriptionFailed("item_1"),
        events.ItemTruncated("item_2", 100),
        events.ItemDeleted("item_2"),
    ],
)
def test_facts_that_change_nothing_change_nothing(fact: events.FromModel) -> None:
    assert answering().handle(fact, 1.5) == []


def test_what_happens_out_of_band_holds_no_slot_and_frees_none() -> None:
    talk = answering()
    talk.handle(events.ResponseCreated("resp_9", None, in_conversation=False), 1.1)
    talk.handle(events.ResponseDone("resp_9", "completed", in_conversation=False), 1.2)
    assert talk.response.response_id == "resp_1"

    talk.handle(done(), 1.3)
    talk.handle(events.OutputItemAdded("resp_9", "item_9", "message"), 1.4)
    assert not talk.response.response_active


# --- The caller speaks ------------------------------------------------------------------


def test_barge_in_silences_then_cancels_then_truncates_to_what_was_heard() -> None:
    talk = answering()
    talk.handle(spoke(2000), 1.0)

    found = talk.handle(events.SpeechStarted("item_3", 0), 1.4)

    assert kinds(found)[:2] == [ClearPlayout, CancelResponse]
    assert Note("barge-in") in found


def test_speech_still_on_the_wire_after_barge_in_is_not_played() -> None:
    talk = answering()
    talk.handle(spoke(2000), 1.0)
    talk.handle(events.SpeechStarted("item_3", 0), 1.4)

    assert talk.handle(spoke(200), 1.5) == []


def test_barge_in_after_the_response_was_done_still_cuts_what_is_heard() -> None:
    talk = Conversation(
        replace(policy(), telephony=AUDIOCODES),
        PCM_24K,
        Transcript(),
        lambda at: round(at * 1000),
        0.0,
    )
    talk.handle(events.SessionConfigured(PCM_24K, PCM_24K), 0.0)
    talk.handle(events.TurnCommitted("item_1"), 1.0)
    talk.handle(events.ResponseCreated("resp_1", "request-1"), 1.0)
    second = Audio.of(bytes(48_000), PCM_24K)
    talk.handle(events.ModelSpoke("resp_1", "item_2", 0, second), 1.0)
    talk.handle(done(), 1.1)
    talk.timed_out(1.2)  # more of it leaves

    found = talk.handle(events.SpeechStarted("item_3", 0), 1.4)

    assert without_notes(found) == [
        ClearPlayout(),
        TellSpeechStarted(),
        TruncateItem("item_2", 0, 400),  # by when the clear is there
    ]


def test_speech_into_silence_is_no_barge_in() -> None:
    assert ready().handle(events.SpeechStarted("item_1", 0), 1.0) == []


def test_with_barge_in_off_the_caller_does_not_silence_the_agent() -> None:
    talk = answering(policy(barge_in=False))
    talk.handle(spoke(2000), 1.0)

    assert talk.handle(events.SpeechStarted("item_3", 0), 1.4) == []
    assert PlayAudio in kinds(talk.handle(spoke(20), 1.5))


def test_a_telephony_side_that_must_be_told_of_speech_is_told() -> None:
    talk = Conversation(
        replace(policy(), telephony=AUDIOCODES),
        PCM_16K,
        Transcript(),
        lambda at: round(at * 1000),
        0.0,
    )
    talk.handle(events.SessionConfigured(PCM_24K, PCM_24K), 0.0)
    told = talk.handle(events.SpeechStarted("item_1", 0), 1.0)
    told += talk.handle(events.SpeechStopped("item_1", 500), 2.0)
    told += talk.handle(events.TurnCommitted("item_1"), 2.0)

    assert without_notes(told) == [
        TellSpeechStarted(),
        TellSpeechStopped(),
        TellSpeechCommitted(),
        CreateResponse("request-1", "turn"),
    ]


@pytest.mark.parametrize(
    ("detection", "started_ms", "ago"),
    [
        (TurnDetection("server_vad", False, True, silence_ms=500), 800, 0.5),
        (TurnDetection("server_vad", False, True, silence_ms=500, prefix_ms=100), 600, 0.5),
        (TurnDetection("semantic_vad", False, True), 800, 0.0),
    ],
)
def test_speech_ended_when_the_silence_began_that_turn_detection_waited_for(
    detection: TurnDetection, started_ms: int, ago: float
) -> None:
    talk = ready(replace(policy(), session=replace(SESSION, turn_detection=detection)))
    talk.line.spoke(events.CallerSpoke(sound(2000)), 2.0)
    talk.handle(events.SpeechStarted("item_1", 500), 2.0)

    found = talk.handle(events.SpeechStopped("item_1", 2000), 2.0)

    assert found == [Note("speech-ended", "", ("item_1",), ago)]
    item = talk.transcript.item("item_1", "caller")
    # Turn detection counts so much before the first sound to the turn; the transcript does not.
    assert (item.started_ms, item.ended_ms) == (started_ms, round((2.0 - ago) * 1000))


def test_the_callers_words_are_written_down_whenever_they_come() -> None:
    talk = ready()
    talk.handle(events.TurnCommitted("item_1"), 1.0)
    talk.handle(events.CallerTranscribed("item_1", WORDS, final=True), 9.0)

    shown = talk.transcript.snapshot("call")["items"]
    assert [(one["speaker"], one["text"]) for one in shown] == [("caller", "words")]


def test_a_stream_that_stops_is_a_commit_only_without_turn_detection() -> None:
    talk = ready(replace(policy(), session=replace(SESSION, turn_detection=None)))
    talk.line.spoke(events.CallerSpoke(sound(200)), 1.0)

    assert talk.stream_stopped(1.2) == [CommitAudio()]
    assert talk.stream_stopped(1.3) == []  # nothing new to commit
    talk.handle(events.SpeechStopped("item_1", 0), 1.35)
    assert kinds(talk.handle(events.TurnCommitted("item_1"), 1.4)) == [CreateResponse]


def test_a_stream_that_stops_in_mid_speech_is_silence_until_the_model_ends_the_turn() -> None:
    talk = ready()
    talk.line.spoke(events.CallerSpoke(sound(200)), 1.0)
    talk.handle(events.SpeechStarted("item_1", 0), 1.1)

    assert kinds(talk.stream_stopped(1.2)) == [AppendAudio]
    assert talk.line.deadline is not None
    assert kinds(talk.timed_out(talk.line.deadline)) == [AppendAudio]


# --- Texts and tools --------------------------------------------------------------------


def test_a_callers_text_is_an_item_a_response_and_a_line_of_the_transcript() -> None:
    talk = ready()

    assert talk.add_text(Why.KEYS, "user", WORDS, 2.0) == [
        AddText("text-1", "user", WORDS),
        CreateResponse("request-1", "keys"),
    ]
    assert talk.transcript.snapshot("call")["items"][0]["text"] == "words"


def test_an_operators_text_is_not_part_of_what_was_said() -> None:
    talk = ready()
    talk.add_text(Why.TEXT, "system", WORDS, 2.0)

    assert len(talk.transcript) == 0


def test_an_acknowledged_text_is_answered_by_what_the_model_begins_afterwards() -> None:
    talk = answering(policy(by_model=True))
    talk.handle(events.ResponseCreated("resp_1"), 1.0)
    talk.add_text(Why.KEYS, "user", WORDS, 2.0)
    talk.handle(events.ItemAdded("text-1", None, "message", "user"), 2.1)
    talk.handle(done(), 2.2)
    talk.handle(events.ResponseCreated("resp_2"), 2.3)

    assert talk.response.pending_user_input is None


def test_a_tool_runs_at_once_and_its_output_goes_at_once_but_its_answer_waits() -> None:
    talk = answering()
    assert talk.handle(called(), 1.1) == [RunTool("call_1", "f", Private("{}"))]

    assert talk.tools.finished("call_1", WORDS, False, 1.2) == [
        AddToolOutput("output-1", "call_1", WORDS)
    ]

    assert kinds(talk.handle(done(), 1.3)) == [CreateResponse]


def test_one_answer_for_all_the_tools_of_a_response() -> None:
    talk = answering()
    talk.handle(called("call_1"), 1.1)
    talk.handle(called("call_2"), 1.1)
    assert talk.handle(done(), 1.2) == []
    assert kinds(talk.tools.finished("call_1", WORDS, False, 2.0)) == [AddToolOutput]

    assert kinds(talk.tools.finished("call_2", WORDS, True, 3.0)) == [AddToolOutput, CreateResponse]
    statuses = [one["status"] for one in talk.transcript.snapshot("call")["items"]]
    assert statuses == ["empty", "completed", "failed"]


def test_the_tools_of_a_response_join_what_waits_for_its_end() -> None:
    talk = answering(policy(barge_in=False))
    talk.handle(called(), 1.1)
    talk.tools.finished("call_1", WORDS, False, 1.2)
    talk.handle(events.TurnCommitted("item_3"), 1.3)

    found = without_notes(talk.handle(done(), 1.4))
    assert found == [CreateResponse("request-2", "turn+tools")]


def test_a_running_tool_holds_back_nobodys_answer() -> None:
    talk = answering()
    talk.handle(called(), 1.1)
    talk.handle(done(), 1.2)

    assert kinds(talk.handle(events.TurnCommitted("item_3"), 2.0)) == [CreateResponse]


def test_a_tool_call_that_was_cut_off_behind_a_few_words_is_asked_for_again() -> None:
    talk = answering()
    talk.handle(spoke(1000), 1.1)
    talk.handle(events.OutputItemDone("resp_1", "item_2", "message", "completed"), 1.2)
    talk.handle(events.OutputItemDone("resp_1", "item_3", "function_call", "incomplete"), 1.4)
    told = replace(done(status="incomplete"), reason="max_output_tokens", cut_off=True)

    assert [one.reason for one in talk.handle(told, 1.5) if isinstance(one, Note)] == ["cut-off"]
    assert kinds(talk.timed_out(3.5)) == [CreateResponse]


def test_an_answer_in_text_is_unsaid_and_asked_for_again() -> None:
    talk = answering()
    talk.handle(events.ModelWords("resp_1", "item_2", 0, Private("Hi"), final=False), 1.1)
    written = events.OutputItemDone("resp_1", "item_2", "message", "completed", written=True)

    assert talk.handle(written, 1.2) == [DeleteItem("item_2")]
    assert talk.handle(replace(done(), empty=True), 1.3) == [Note("retry", "empty", (), 1.0)]
    assert kinds(talk.timed_out(3.3)) == [CreateResponse]


@pytest.mark.parametrize("status", ["completed", "cancelled"])
def test_so_is_one_that_only_its_response_tells_the_end_of(status: str) -> None:
    talk = answering()
    text = events.ModelWords("resp_1", "item_2", 0, Private("Hi"), final=False, written=True)
    talk.handle(text, 1.1)
    talk.handle(replace(text, final=True), 1.2)

    found = talk.handle(replace(done(status=status), empty=True), 1.3)
    assert without_notes(found) == [DeleteItem("item_2")]
    assert kinds(talk.timed_out(3.3)) == [CreateResponse]


def test_text_beside_sound_is_left_with_it() -> None:
    talk = answering()
    text = events.ModelWords("resp_1", "item_2", 0, Private("Hi"), final=False, written=True)
    talk.handle(text, 1.1)
    talk.handle(spoke(1000), 1.2)

    assert DeleteItem not in kinds(talk.handle(done(), 1.3))


@pytest.mark.parametrize(
    "item",
    [
        events.OutputItemDone("resp_1", "item_2", "message", "completed", written=True),
        events.OutputItemDone("resp_1", "item_2", "message", "completed"),
        events.OutputItemDone("resp_1", "item_2", "function_call", "incomplete"),
    ],
)
def test_one_that_nobody_heard_is_asked_for_again_though_its_end_is_never_told(
    item: events.OutputItemDone,
) -> None:
    talk = answering()
    talk.handle(item, 1.2)
    talk.handle(CONFIGURED, 21.1)  # the session is there

    assert kinds(talk.timed_out(21.2)) == [CancelResponse]
    assert kinds(talk.timed_out(23.2)) == [CreateResponse]


@pytest.mark.parametrize("event", [spoke(1000), called()])
def test_one_that_was_heard_or_used_a_tool_is_not(event: events.OfResponse) -> None:
    talk = answering()
    talk.handle(event, 1.1)
    talk.handle(events.OutputItemDone("resp_1", "item_2", "message", "completed"), 1.2)

    assert CancelResponse not in kinds(talk.timed_out(21.2))
    assert not talk.response.response_active


def test_an_answer_that_comes_long_after_its_first_words_is_heard() -> None:
    talk = answering()
    talk.handle(spoke(1000), 1.1)
    talk.handle(events.OutputItemDone("resp_1", "item_2", "message", "completed"), 1.2)
    talk.handle(CONFIGURED, 21.1)  # it thinks
    talk.timed_out(21.2)
    assert talk.at_rest

    talk.handle(events.OutputItemAdded("resp_1", "item_3", "message"), 22.0)
    assert PlayAudio in kinds(talk.handle(spoke(1000, item_id="item_3"), 22.1))
    talk.handle(events.OutputItemDone("resp_1", "item_3", "message", "completed"), 22.2)
    assert DeleteItem not in kinds(talk.handle(done(), 22.3))
    assert talk.at_rest


@pytest.mark.parametrize("reason", ["content_filter", "max_output_tokens"])
def test_an_answer_cut_short_before_it_was_heard_is_asked_for_again(reason: str) -> None:
    talk = answering()
    talk.handle(events.OutputItemAdded("resp_1", "item_2", "message"), 1.1)
    talk.handle(events.ModelWords("resp_1", "item_2", 0, Private("I"), final=False), 1.1)
    talk.handle(events.OutputItemDone("resp_1", "item_2", "message", "incomplete"), 1.2)

    found = talk.handle(replace(done(status="incomplete"), reason=reason), 1.3)

    assert found == [Note("retry", "empty", (), 1.0)]
    assert not talk.silenced()
    assert kinds(talk.timed_out(3.3)) == [CreateResponse]


def test_so_is_one_that_was_completed_but_whose_sound_never_came() -> None:
    talk = answering()
    talk.handle(events.OutputItemAdded("resp_1", "item_2", "message"), 1.1)
    talk.handle(events.OutputItemDone("resp_1", "item_2", "message", "completed"), 1.2)

    assert talk.handle(done(), 1.3) == [Note("retry", "empty", (), 1.0)]
    assert kinds(talk.timed_out(3.3)) == [CreateResponse]


def test_one_of_which_something_was_heard_is_not() -> None:
    talk = answering()
    talk.handle(spoke(1000), 1.1)
    talk.handle(replace(done(status="incomplete"), reason="max_output_tokens"), 1.3)

    assert talk.quiet
    assert not talk.silenced()


def test_nor_is_one_whose_tools_go_on() -> None:
    talk = answering()
    talk.handle(called(), 1.1)
    talk.handle(replace(done(status="incomplete"), reason="max_output_tokens"), 1.3)
    assert talk.response.at_rest

    found = talk.tools.finished("call_1", WORDS, False, 1.4)
    assert kinds(found) == [AddToolOutput, CreateResponse]


def test_an_answer_that_may_not_be_said_to_its_end_is_known_at_once_and_once() -> None:
    talk = answering()
    talk.handle(spoke(1000), 1.1)
    filtered = replace(done(status="incomplete"), reason="content_filter")
    talk.handle(filtered, 1.3)

    assert talk.silenced()
    assert not talk.silenced()
    talk.handle(filtered, 1.4)  # told again: it is over
    assert not talk.silenced()


def test_a_tool_call_seen_twice_runs_once() -> None:
    talk = answering()
    talk.handle(called(), 1.1)

    assert talk.handle(called(), 1.1) == [Note("stray", "tool-call", ("call_1",))]


def test_an_output_nobody_waits_for_is_not_sent() -> None:
    assert ready().tools.finished("call_1", WORDS, False, 1.0) == [
        Note("stray", "tool-output", ("call_1",))
    ]


def test_a_model_that_asks_for_too_many_tools_is_told_so() -> None:
    talk = answering()
    for number in range(MOST_RUNNING):
        talk.handle(called(f"call_{number}"), 1.1)

    assert talk.handle(called("call_x"), 1.2) == [
        Note("dropped-tool", "too-many", ("call_x",)),
        AddToolOutput("output-1", "call_x", Private(TOO_MANY_TOOLS)),
    ]


def test_a_tool_of_a_response_that_was_given_up_on_is_answered_all_the_same() -> None:
    talk = answering()
    talk.handle(events.SpeechStarted("item_3", 0), 2.0)
    talk.timed_out(4.0)  # no done came
    talk.handle(events.SpeechStopped("item_3", 0), 4.5)
    talk.handle(events.TurnCommitted("item_3"), 4.5)
    talk.handle(events.ResponseCreated("resp_2", "request-2"), 4.6)
    talk.handle(called(), 4.7)
    talk.tools.finished("call_1", WORDS, False, 4.8)
    talk.handle(spoke(20, "resp_2"), 4.9)

    assert talk.response.pending_user_input is not None
    assert CreateResponse in kinds(talk.handle(done("resp_2"), 5.0))


def test_a_tool_of_a_response_whose_done_was_lost_is_answered_after_the_next() -> None:
    talk = answering()
    talk.handle(called(), 1.1)
    talk.handle(events.ResponseCreated("resp_2"), 2.0)  # the first must be over
    talk.tools.finished("call_1", WORDS, False, 2.1)
    talk.handle(spoke(20, "resp_2"), 2.2)

    assert CreateResponse in kinds(talk.handle(done("resp_2"), 3.0))


@pytest.mark.parametrize("acknowledged", [True, False])
def test_or_by_that_if_it_knew_of_the_output(acknowledged: bool) -> None:
    talk = answering(policy(barge_in=False, by_model=True))
    talk.handle(called(), 1.1)
    talk.tools.finished("call_1", WORDS, False, 1.2)
    if acknowledged:
        talk.handle(events.ItemAdded("output-1", "item_2", "function_call_output"), 1.3)
    talk.handle(events.TurnCommitted("item_3"), 2.0)
    talk.handle(events.ResponseCreated("resp_2"), 2.1)  # the first must be over
    talk.handle(events.ResponseCreated("resp_1", "request-1"), 2.2)  # late: it is over
    talk.handle(spoke(20, "resp_2"), 2.3)

    asked = CreateResponse in kinds(talk.handle(done("resp_2"), 3.0))
    assert asked is not acknowledged


def test_a_tool_of_a_response_that_only_lacks_its_done_is_answered_when_it_is_freed() -> None:
    talk = answering()
    talk.handle(called(), 1.1)
    talk.handle(events.OutputItemDone("resp_1", "item_2", "function_call", "completed"), 1.2)
    talk.tools.finished("call_1", WORDS, False, 1.3)

    talk.handle(CONFIGURED, 20.0)  # it lives
    assert kinds(talk.timed_out(21.2)) == [CreateResponse]


def test_and_joins_what_has_waited_for_that_as_well() -> None:
    talk = answering(policy(barge_in=False))
    talk.handle(called(), 1.1)
    talk.handle(events.OutputItemDone("resp_1", "item_2", "function_call", "completed"), 1.2)
    talk.tools.finished("call_1", WORDS, False, 1.3)
    talk.handle(events.TurnCommitted("item_3"), 2.0)

    talk.handle(CONFIGURED, 20.0)
    found = without_notes(talk.timed_out(21.2))
    assert found == [CreateResponse("request-2", "turn+tools")]


def test_an_agent_that_leaves_after_it_spoke_owes_its_tools_no_reply() -> None:
    talk = answering()
    talk.handle(spoke(20), 1.1)
    talk.handle(called(), 1.2)
    talk.barge_in.leaving = talk.tools.leave_taken = True
    talk.handle(done(), 1.3)

    assert kinds(talk.tools.finished("call_1", WORDS, False, 1.4)) == [AddToolOutput]
    assert talk.response.at_rest


def test_an_agent_that_leaves_without_a_word_has_its_goodbye_still_to_say() -> None:
    talk = answering()
    talk.handle(called(), 1.2)
    talk.barge_in.leaving = True
    talk.handle(done(), 1.3)

    assert CreateResponse in kinds(talk.tools.finished("call_1", WORDS, False, 1.4))


# --- What goes wrong --------------------------------------------------------------------


def test_a_refusal_because_one_is_active_is_no_error() -> None:
    talk = ready()
    talk.handle(events.TurnCommitted("item_1"), 1.0)
    refusal = events.ModelErred(
        None,
        about="response.create",
        request_id="request-1",
        response_active=True,
        active_response_id="resp_9",
    )

    assert talk.handle(refusal, 1.1) == [Note("conflict", "sent", ("request-1",))]
    assert kinds(talk.handle(done("resp_9"), 1.5)) == [CreateResponse]


def test_a_request_refused_for_a_reason_of_its_own_is_counted_and_asked_again() -> None:
    talk = ready()
    talk.handle(events.TurnCommitted("item_1"), 1.0)
    refusal = events.ModelErred("server_error", about="response.create", request_id="request-1")

    found = talk.handle(refusal, 1.1)
    assert found == [Note("refused", "server_error"), Note("retry", "refused", (), 1.0)]
    assert kinds(talk.timed_out(3.1)) == [CreateResponse]


@pytest.mark.parametrize(
    ("erred", "code"),
    [
        (events.ModelErred("response_cancel_not_active", about="response.cancel"), None),
        (events.ModelErred("input_audio_buffer_commit_empty"), None),
        (events.ModelErred(None, type="server_error"), "server_error"),
        (events.ModelErred(None), "unknown"),
    ],
)
def test_benign_refusals_are_counted_and_change_nothing(
    erred: events.ModelErred, code: str | None
) -> None:
    talk = answering()

    found = talk.handle(erred, 1.5)
    assert found[0] == Note("refused", code or erred.code or "")
    assert found[1:] == ([Note("unknown-error", "unknown")] if code == "unknown" else [])
    assert (talk.model.failure, talk.response.response_id) == (None, "resp_1")


@pytest.mark.parametrize("code", sorted(PERMANENT_CODES))
def test_a_permanent_error_is_the_end_of_the_service(code: str) -> None:
    talk = ready()
    talk.handle(events.ModelErred(code), 1.0)

    assert talk.model.failure == "model-refused-us"


def test_refused_settings_are_fatal_before_the_session_is_ready_and_harmless_after() -> None:
    refusal = events.ModelErred("invalid_value", about="session.update")
    talk = begun()
    talk.handle(refusal, 0.1)
    assert talk.model.failure == "model-refused-us"

    talk = ready()
    talk.handle(refusal, 0.1)
    assert talk.model.failure is None


def test_a_permanent_failure_of_a_response_gives_up() -> None:
    talk = answering()
    talk.handle(events.ResponseDone("resp_1", "failed", error_code="insufficient_quota"), 1.5)

    assert talk.response.given_up == "model-failed"


def test_a_failed_response_is_asked_again_after_the_servers_hint() -> None:
    talk = answering()
    failed = events.ResponseDone("resp_1", "failed", error_code="x", retry_after_seconds=0.5)
    talk.handle(failed, 1.5)

    assert talk.deadline == 2.0


@pytest.mark.parametrize(("heard", "attempts"), [(True, 0), (False, 1)])
def test_a_model_that_was_heard_again_has_recovered_though_it_was_cut_short(
    heard: bool, attempts: int
) -> None:
    talk = answering()
    talk.handle(done(status="failed"), 1.5)
    talk.timed_out(3.5)
    talk.handle(events.ResponseCreated("resp_2", "request-2"), 3.6)
    if heard:
        talk.handle(spoke(500, "resp_2"), 3.7)
    talk.handle(events.SpeechStarted("item_4", 0), 3.9)
    talk.handle(done("resp_2", "cancelled"), 4.0)

    assert talk.response.door.retries.attempts == attempts


def test_a_lost_model_ends_what_it_was_saying_and_not_the_conversation() -> None:
    talk = answering()
    talk.handle(spoke(20), 1.1)
    talk.handle(called(), 1.2)

    found = talk.handle(events.ModelLost("session-expired"), 1.5)
    assert kinds(found) == [EndPlayout]
    assert not talk.model.ready
    assert talk.model.failure is None  # another session may serve us
    assert talk.response.pending_user_input is None  # the reply to the tool will go on


# --- The end ----------------------------------------------------------------------------


def test_closing_silences_then_cancels_then_truncates() -> None:
    talk = answering()
    talk.handle(spoke(2000), 1.0)

    assert kinds(talk.close(1.4))[:2] == [ClearPlayout, CancelResponse]


def test_last_words_are_not_cut_by_the_caller() -> None:
    talk = ready()
    talk.close(1.0)

    assert talk.handle(events.SpeechStarted("item_1", 0), 1.1) == []


def test_sound_dropped_while_closing_is_not_worth_telling_the_model() -> None:
    talk = answering()
    talk.close(1.0)
    talk.handle(spoke(20), 1.1)

    item_done = events.OutputItemDone("resp_1", "item_2", "message", "incomplete")
    assert talk.handle(item_done, 1.2) == []
    assert DeleteItem not in kinds(talk.handle(done(status="cancelled"), 1.3))


# --- The transcript ---------------------------------------------------------------------


def test_the_parts_of_an_answer_do_not_overwrite_each_others_words() -> None:
    talk = answering()
    for part, words in enumerate(("Good morning.", "How can I help?")):
        talk.handle(events.ModelWords("resp_1", "item_2", part, Private(words), final=True), 1.1)

    (item,) = (one for one in talk.transcript.items() if one["item_id"] == "item_2")
    assert item["text"] == "Good morning. How can I help?"


def test_a_turn_whose_words_were_lost_is_marked_failed() -> None:
    talk = ready()
    talk.handle(events.SpeechStarted("item_1", 0), 1.0)
    talk.handle(events.TurnCommitted("item_1"), 2.0)
    talk.handle(events.TranscriptionFailed("item_1"), 2.5)

    assert talk.transcript.items()[0]["status"] == "failed"


@pytest.mark.parametrize(
    ("told", "status"),
    [
        (events.TranscriptionFailed("item_1"), "failed"),
        (events.CallerTranscribed("item_1", WORDS, final=True), "completed"),
    ],
)
@pytest.mark.parametrize("turn_detection", [True, False])
def test_a_turn_is_answered_though_its_transcription_came_before_its_commit(
    told: events.FromModel, status: str, turn_detection: bool
) -> None:
    talk = ready(policy() if turn_detection else replace(policy(), session=WITHOUT_DETECTION))
    if turn_detection:
        talk.handle(events.SpeechStarted("item_1", 0), 1.0)
        talk.handle(events.SpeechStopped("item_1", 900), 2.0)
    talk.handle(told, 2.0)

    found = talk.handle(events.TurnCommitted("item_1"), 2.1)

    assert kinds(found) == [CreateResponse]
    assert talk.handle(events.ItemAdded("item_1", None, "message", "user"), 2.2) == []
    assert talk.transcript.items()[0]["status"] == status


def test_an_answer_that_failed_midway_is_marked_failed() -> None:
    talk = answering()
    talk.handle(events.OutputItemAdded("resp_1", "item_2", "message"), 1.0)
    talk.handle(events.ModelWords("resp_1", "item_2", 0, Private("Good"), final=False), 1.1)
    talk.handle(events.OutputItemDone("resp_1", "item_2", "message", "incomplete"), 1.2)
    talk.handle(events.ResponseDone("resp_1", "failed", error_code="server_error"), 1.2)

    (item,) = (one for one in talk.transcript.items() if one["item_id"] == "item_2")
    assert item["status"] == "failed"


def test_an_answer_whose_session_was_lost_is_marked_failed() -> None:
    talk = answering()
    talk.handle(events.OutputItemAdded("resp_1", "item_2", "message"), 1.0)
    talk.handle(events.ModelLost("model-lost"), 1.1)

    (item,) = (one for one in talk.transcript.items() if one["item_id"] == "item_2")
    assert item["status"] == "failed"


def test_a_failure_that_is_told_again_is_one_failure() -> None:
    talk = ready()
    talk.handle(events.TurnCommitted("item_1"), 1.0)
    talk.handle(events.ResponseCreated("resp_1", "request-1"), 1.1)
    for _ in range(MOST_SERVER_ERRORS):
        talk.handle(events.ResponseDone("resp_1", "failed", error_code="server_error"), 1.2)

    assert talk.model.worn_out is None

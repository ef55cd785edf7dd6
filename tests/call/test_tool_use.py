"""The model uses tools: when it is asked to speak afterwards, and what fills the wait."""

import pytest

from opusbridge import events
from opusbridge.call.call import Call
from opusbridge.call.conversation import Conversation
from opusbridge.call.farewell import LOOK_SECONDS, REPLY_SECONDS, TAIL_SECONDS
from opusbridge.call.policy import AUDIOCODES, TWILIO, CallPolicy, Clip, ToolTraits
from opusbridge.call.transcript import Transcript
from opusbridge.effects import (
    AddToolOutput,
    CancelResponse,
    ClearPlayout,
    CreateResponse,
    Effect,
    HangUp,
    Note,
    PlaceMark,
    PlayAudio,
    SessionConfig,
    TransferCall,
    TurnDetection,
)
from opusbridge.privacy import Private
from opusbridge.sound import PCM_16K, PCM_24K, PCMU_8K, Audio
from opusbridge.tools import hang_up
from tests.call.lines import wait

SESSION = SessionConfig(
    "Be kind.", PCM_24K, turn_detection=TurnDetection("server_vad", False, True)
)
TOOLS = {
    "if_silent": ToolTraits(reply="if_silent"),
    "never": ToolTraits(reply="never"),
    "slow": ToolTraits(say_first="Say: one moment."),
    "slow_and_shy": ToolTraits(reply="if_silent", say_first="Say: one moment."),
    "slow_and_mute": ToolTraits(reply="never", say_first="Say: one moment."),
    "hang_up": ToolTraits(reply=hang_up.manners.reply),
    "never_filled": ToolTraits(reply="never", filler_after=2.0),
    "filled": ToolTraits(filler_after=2.0),
    "filled_later": ToolTraits(filler_after=3.0),
}
#: Three seconds, and a half.
CLIPS = {
    "filler:filled": Clip(8_000, bytes(48_000)),
    "filler:never_filled": Clip(8_000, bytes(48_000)),
    "one-moment": Clip(8_000, bytes(8_000)),
    "goodbye": Clip(8_000, bytes(8_000)),
}
POLICY = CallPolicy(TWILIO, SESSION, tools=TOOLS, clips=CLIPS)
RESULT = Private("{}")


def begun() -> Conversation:
    """``resp_1`` has been answering a turn since 1.0."""
    talk = Conversation(POLICY, PCMU_8K, Transcript(), lambda at: round(at * 1000), 0.0)
    talk.handle(events.SessionConfigured(PCMU_8K, PCMU_8K), 0.0)
    talk.handle(events.TurnCommitted("item_1"), 1.0)
    talk.handle(events.ResponseCreated("resp_1", "request-1"), 1.0)
    return talk


def calls(name: str, response_id: str = "resp_1") -> events.ToolCalled:
    return events.ToolCalled(response_id, f"item_{name}", f"call_{name}", name, Private("{}"))


def says(response_id: str, ms: int = 400) -> events.ModelSpoke:
    sound = Audio.of(b"\x55" * 8 * ms, PCMU_8K)
    return events.ModelSpoke(response_id, f"item_{response_id}", 0, sound)


def says_to_its_end(call: Call, response_id: str, at: float, ms: int = 400) -> list[Effect]:
    found = call.handle(says(response_id, ms), at)
    return found + call.handle(events.ModelAudioDone(response_id, f"item_{response_id}", 0), at)


def heard_out(call: Call, response_id: str, at: float, ms: int = 400) -> None:
    """It says that, and the far side tells when it was played."""
    said = says_to_its_end(call, response_id, at, ms)
    wait(call, at + ms / 1000)
    for mark in (one for one in said if isinstance(one, PlaceMark)):
        call.handle(events.MarkReached(mark.name), at + ms / 1000)
    assert call.conversation is not None
    assert not call.conversation.voice.audible(at + ms / 1000)


def done(response_id: str = "resp_1", status: str = "completed") -> events.ResponseDone:
    return events.ResponseDone(response_id, status)


def requests(found: list[Effect]) -> list[CreateResponse]:
    return [one for one in found if isinstance(one, CreateResponse)]


# --- Whether the model is asked to speak ------------------------------------------------


@pytest.mark.parametrize(
    ("names", "spoken", "failed", "replies"),
    [
        (("never",), False, False, False),
        (("if_silent",), False, False, True),
        (("if_silent",), True, False, False),
        (("never", "if_silent"), True, False, False),
        (("never", "usual"), True, False, True),
        (("never",), True, True, True),
        (("if_silent",), True, True, True),
    ],
)
def test_the_model_speaks_of_a_result_if_the_tool_asks_for_it_or_failed(
    names: tuple[str, ...], spoken: bool, failed: bool, replies: bool
) -> None:
    talk = begun()
    if spoken:
        talk.handle(says("resp_1"), 1.1)
    for name in names:
        talk.handle(calls(name), 1.5)
    talk.handle(done(), 1.6)

    found: list[Effect] = []
    for name in names:
        found += talk.tools.finished(f"call_{name}", RESULT, failed, 2.0)

    assert len([one for one in found if isinstance(one, AddToolOutput)]) == len(names)
    assert [one.why for one in requests(found)] == (["tools"] if replies else [])


def test_what_the_agent_says_after_the_call_breaks_the_silence_too() -> None:
    talk = begun()
    talk.handle(calls("if_silent"), 1.5)
    talk.handle(done(), 1.6)
    talk.handle(events.TurnCommitted("item_2"), 2.0)
    talk.handle(events.ResponseCreated("resp_2", "request-2"), 2.1)
    talk.handle(says("resp_2"), 2.2)
    talk.handle(done("resp_2"), 2.3)

    assert requests(talk.tools.finished("call_if_silent", RESULT, False, 3.0)) == []


REFUSED = events.ModelErred(
    "invalid_tool_call_id", about="conversation.item.create", item_id="output-1"
)


@pytest.mark.parametrize("name", ["never", "if_silent"])
def test_a_result_that_wants_no_reply_wants_none_in_words_either(name: str) -> None:
    talk = begun()
    talk.handle(says("resp_1"), 1.1)
    talk.handle(calls(name), 1.5)
    talk.handle(done(), 1.6)
    talk.tools.finished(f"call_{name}", RESULT, False, 2.0)

    talk.handle(REFUSED, 2.1)
    assert talk.response.at_rest


def test_nor_does_one_of_the_response_that_took_leave() -> None:
    talk = begun()
    talk.handle(says("resp_1"), 1.1)
    talk.handle(calls("usual"), 1.5)
    talk.barge_in.leaving = talk.tools.leave_taken = True
    talk.handle(done(), 1.6)
    talk.tools.finished("call_usual", RESULT, False, 2.0)

    talk.handle(REFUSED, 2.1)
    assert talk.response.at_rest


def test_one_in_words_waits_for_the_other_tools_of_its_response() -> None:
    talk = begun()
    for name in ("usual", "if_silent"):
        talk.handle(calls(name), 1.5)
    talk.handle(done(), 1.6)
    talk.tools.finished("call_usual", RESULT, False, 2.0)

    assert requests(talk.handle(REFUSED, 2.1)) == []
    assert talk.response.pending_user_input is None
    found = talk.tools.finished("call_if_silent", RESULT, False, 3.0)
    assert [one.why for one in requests(found)] == ["tools"]


# --- Something to say first -------------------------------------------------------------


def test_a_slow_tool_is_bridged_by_the_words_it_asks_for_and_answered_once() -> None:
    talk = begun()
    talk.handle(calls("slow"), 1.5)

    (request,) = requests(talk.handle(done(), 1.6))
    assert request == CreateResponse("request-2", "preamble", "Say: one moment.", True)
    talk.handle(events.ResponseCreated("resp_2", "request-2"), 1.7)
    talk.handle(says("resp_2"), 1.8)
    assert requests(talk.handle(done("resp_2"), 1.9)) == []

    (answer,) = requests(talk.tools.finished("call_slow", RESULT, False, 4.0))
    assert (answer.why, answer.instructions, answer.by_words_only) == ("tools", None, False)


def test_what_is_to_be_said_first_is_asked_for_once() -> None:
    talk = begun()
    talk.handle(calls("slow"), 1.5)
    asked = talk.handle(done(), 1.6)
    assert len([one for one in asked if isinstance(one, Note) and one.kind == "pending"]) == 1
    talk.handle(events.ResponseCreated("resp_2", "request-2"), 1.7)
    talk.handle(says("resp_2"), 1.8)
    talk.handle(done("resp_2"), 1.9)

    assert requests(talk.handle(done(), 2.0)) == []
    assert talk.response.pending_user_input is None


def test_nor_does_it_follow_on_a_caller_who_spoke_when_it_was_due() -> None:
    talk = begun()
    talk.handle(calls("slow"), 1.5)
    talk.handle(events.SpeechStarted("item_2", 0), 1.55)
    talk.handle(done(status="cancelled"), 1.6)
    talk.handle(events.TurnCommitted("item_2"), 2.0)
    talk.handle(events.ResponseCreated("resp_2", "request-2"), 2.1)
    talk.handle(done("resp_2"), 2.2)

    assert requests(talk.handle(done(status="cancelled"), 2.3)) == []


def test_words_said_first_are_no_answer() -> None:
    talk = begun()
    talk.handle(calls("slow_and_shy"), 1.5)
    talk.handle(done(), 1.6)
    talk.handle(events.ResponseCreated("resp_2", "request-2"), 1.7)
    talk.handle(says("resp_2"), 1.8)
    talk.handle(done("resp_2"), 1.9)

    found = talk.tools.finished("call_slow_and_shy", RESULT, False, 4.0)
    assert [one.why for one in requests(found)] == ["tools"]


def test_a_model_that_said_something_itself_is_not_made_to_say_it_again() -> None:
    talk = begun()
    talk.handle(says("resp_1"), 1.1)
    talk.handle(calls("slow"), 1.5)

    assert requests(talk.handle(done(), 1.6)) == []


def test_a_tool_that_was_quicker_needs_no_bridge() -> None:
    talk = begun()
    talk.handle(calls("slow"), 1.5)
    talk.tools.finished("call_slow", RESULT, False, 1.55)

    assert [one.why for one in requests(talk.handle(done(), 1.6))] == ["tools"]


def test_a_caller_who_is_speaking_needs_no_bridge() -> None:
    talk = begun()
    talk.handle(calls("slow"), 1.5)
    talk.handle(events.SpeechStarted("item_2", 0), 1.55)
    talk.handle(done(status="cancelled"), 1.6)

    assert talk.response.pending_user_input is None


def test_a_result_that_comes_while_the_words_are_on_their_way_is_answered_after_them() -> None:
    talk = begun()
    talk.handle(calls("slow"), 1.5)
    talk.handle(done(), 1.6)

    assert requests(talk.tools.finished("call_slow", RESULT, False, 1.65)) == []
    talk.handle(events.ResponseCreated("resp_2", "request-2"), 1.7)
    talk.handle(says("resp_2"), 1.8)
    assert [one.why for one in requests(talk.handle(done("resp_2"), 1.9))] == ["tools"]


def test_words_that_a_loss_cut_off_were_enough_and_the_result_is_spoken_of() -> None:
    talk = begun()
    talk.handle(calls("slow_and_shy"), 1.5)
    talk.handle(done(), 1.6)
    talk.handle(events.ResponseCreated("resp_2", "request-2"), 1.7)
    talk.handle(says("resp_2"), 1.8)
    talk.handle(events.ModelWords("resp_2", "item_resp_2", 0, Private("One"), False), 1.8)
    talk.handle(events.ModelLost("model-lost"), 1.9)

    assert requests(talk.handle(events.SessionConfigured(PCMU_8K, PCMU_8K), 2.0)) == []
    found = talk.tools.finished("call_slow_and_shy", RESULT, False, 5.0)
    assert [one.why for one in requests(found)] == ["tools"]


def test_words_that_failed_are_not_said_when_the_result_is_there() -> None:
    talk = begun()
    talk.handle(calls("slow"), 1.5)
    talk.handle(done(), 1.6)
    talk.handle(events.ResponseCreated("resp_2", "request-2"), 1.7)
    talk.tools.finished("call_slow", RESULT, False, 1.8)
    talk.handle(done("resp_2", "failed"), 1.9)

    pending = talk.response.pending_user_input
    assert pending is not None
    assert pending.why == "tools"


# --- Something to hear meanwhile --------------------------------------------------------


def at_work(*names: str, audiocodes: bool = False) -> Call:
    """Tools begun at 1.0 by a response that said nothing and is over; if any, else it spoke."""
    policy = CallPolicy(AUDIOCODES, SESSION, tools=TOOLS, clips=CLIPS) if audiocodes else POLICY
    call = Call(policy, 0.0)
    call.handle(events.CallArrived("provider-1", PCM_16K if audiocodes else PCMU_8K), 0.0)
    call.handle(events.SessionCreated("sess_1"), 0.0)
    form = PCM_24K if audiocodes else PCMU_8K
    call.handle(events.SessionConfigured(form, form), 0.0)
    call.handle(events.CallStarted(), 0.0)
    call.handle(events.TurnCommitted("item_1"), 0.9)
    call.handle(events.ResponseCreated("resp_1", "request-1"), 0.9)
    for name in names:
        call.handle(calls(name), 1.0)
    if not names:
        call.handle(says("resp_1", 20), 1.0)
    call.handle(done(), 1.0)
    return call


FILLED = Note("hold", "filler")


def fillers(found: list[tuple[float, Effect]]) -> list[float]:
    return [at for at, one in found if one == FILLED]


def test_the_filler_of_a_tool_is_played_after_a_while_and_the_usual_words_after_that() -> None:
    call = at_work("filled", "filled_later")

    found = wait(call, 17.0)
    assert fillers(found) == [3.0]  # it lasts three seconds, and would be played again at 22.5
    assert [at for at, one in found if isinstance(one, PlayAudio)] == [3.0, 12.05]
    assert [at for at, one in found if one == Note("hold")] == [12.05]


@pytest.mark.parametrize(
    ("came", "retried"), [([], True), ([says("resp_1")], False), ([calls("never")], False)]
)
def test_a_response_is_not_empty_because_it_says_so(
    came: list[events.FromModel], retried: bool
) -> None:
    talk = begun()
    for event in came:
        talk.handle(event, 1.1)
    found = talk.handle(events.ResponseDone("resp_1", "completed", empty=True), 2.0)

    assert any(isinstance(one, Note) and one.kind == "retry" for one in found) is retried


def asked_anew(talk: Conversation, name: str) -> list[str]:
    """What for, when the session is lost at 1.5, the tool ends and there is another session."""
    talk.handle(events.ModelLost("model-lost"), 1.5)
    found = talk.tools.told(events.ToolFinished(f"call_{name}", RESULT), 1.6)
    found += talk.handle(events.SessionConfigured(PCMU_8K, PCMU_8K), 2.0)
    return [one.why for one in found if isinstance(one, CreateResponse)]


def item_done(name: str) -> events.OutputItemDone:
    return events.OutputItemDone("resp_1", f"item_{name}", "function_call", "completed")


@pytest.mark.parametrize("complete", [False, True])
def test_a_turn_to_which_no_reply_came_before_the_loss_is_asked_again(complete: bool) -> None:
    talk = begun()
    talk.handle(calls("never"), 1.1)
    if complete:
        talk.handle(item_done("never"), 1.1)

    assert asked_anew(talk, "never") == ["turn"]


def test_one_to_which_the_reply_to_a_tool_will_come_is_asked_for_that_alone() -> None:
    talk = begun()
    talk.handle(calls("if_silent"), 1.1)

    assert asked_anew(talk, "if_silent") == ["tools"]


def test_what_was_said_before_a_tool_without_a_reply_was_the_answer() -> None:
    talk = begun()
    talk.handle(says("resp_1"), 1.1)
    talk.handle(calls("never"), 1.2)
    talk.handle(item_done("never"), 1.2)

    assert asked_anew(talk, "never") == []


def test_what_was_being_said_behind_it_is_to_be_continued() -> None:
    talk = begun()
    talk.handle(calls("if_silent"), 1.1)
    talk.handle(item_done("if_silent"), 1.1)
    talk.handle(events.ModelWords("resp_1", "item_resp_1", 0, Private("It is"), False), 1.2)
    talk.handle(says("resp_1"), 1.2)

    assert asked_anew(talk, "if_silent") == ["rest"]


def test_a_filler_stops_when_the_answer_begins() -> None:
    call = at_work("filled")
    wait(call, 3.0)
    call.handle(events.ToolFinished("call_filled", RESULT), 4.0)
    call.handle(events.ResponseCreated("resp_2", "request-2"), 4.1)

    found = call.handle(says("resp_2"), 4.5)
    kinds = [type(one) for one in found if not isinstance(one, Note)]
    assert kinds[:2] == [ClearPlayout, PlayAudio]
    assert ClearPlayout not in map(type, call.handle(says("resp_2"), 4.6))

    assert call.conversation is not None
    items = call.conversation.transcript.snapshot("call")["items"]
    (filler,) = (one for one in items if one["item_id"].startswith("clip:filler"))
    assert (filler["status"], filler["ended_ms"]) == ("interrupted", 4550)


def test_one_that_was_heard_to_its_end_need_not_be_stopped() -> None:
    call = at_work("filled")
    wait(call, 7.0)
    for mark in range(1, 5):
        call.handle(events.MarkReached(f"m{mark}"), 7.0)
    call.handle(events.ToolFinished("call_filled", RESULT), 7.0)
    call.handle(events.ResponseCreated("resp_2", "request-2"), 7.1)

    found = call.handle(says("resp_2"), 9.5)
    assert ClearPlayout not in map(type, found)


def test_the_usual_one_moment_please_is_heard_to_its_end() -> None:
    call = at_work("usual")
    assert [at for at, one in wait(call, 7.0) if one == Note("hold")] == [6.9]
    call.handle(events.ToolFinished("call_usual", RESULT), 7.1)
    call.handle(events.ResponseCreated("resp_2", "request-2"), 7.2)

    assert ClearPlayout not in map(type, call.handle(says("resp_2"), 7.3))


@pytest.mark.parametrize("audiocodes", [False, True])
def test_no_filler_is_played_over_the_caller_nor_after_the_tool(audiocodes: bool) -> None:
    call = at_work("filled", audiocodes=audiocodes)
    call.handle(events.SpeechStarted("item_2", 0), 2.9)
    assert fillers(wait(call, 3.5)) == []
    call.handle(events.SpeechStopped("item_2", 600), 3.6)
    assert fillers(wait(call, 5.5)) == []

    call.handle(events.ToolFinished("call_filled", RESULT), 5.55)
    assert fillers(wait(call, 9.0)) == []


def test_a_caller_who_speaks_cuts_a_filler() -> None:
    call = at_work("filled")
    wait(call, 3.0)

    assert ClearPlayout in map(type, call.handle(events.SpeechStarted("item_2", 0), 3.5))


def test_a_filler_is_not_played_when_the_call_is_being_left() -> None:
    call = at_work("filled")
    call.handle(events.HangUpRequested("hung-up-by-operator"), 2.0)

    assert fillers(wait(call, 20.0)) == []


# --- Tools that owe no reply ------------------------------------------------------------


def held(found: list[tuple[float, Effect]]) -> list[float]:
    return [at for at, one in found if one == Note("hold")]


@pytest.mark.parametrize(
    ("names", "spoken", "waits"),
    [
        (("never",), True, False),
        (("never",), False, False),
        (("if_silent",), True, False),
        (("if_silent",), False, True),
        (("never", "usual"), True, True),
    ],
)
def test_nobody_waits_for_a_tool_of_which_nothing_is_to_be_said(
    names: tuple[str, ...], spoken: bool, waits: bool
) -> None:
    call = at_work()
    call.handle(events.TurnCommitted("item_2"), 1.0)
    call.handle(events.ResponseCreated("resp_2", "request-2"), 1.0)
    if spoken:
        call.handle(says("resp_2"), 1.0)
    for name in names:
        call.handle(calls(name, "resp_2"), 1.0)
    call.handle(done("resp_2"), 1.0)

    assert bool(held(wait(call, 12.0))) is waits


def test_a_result_that_waits_for_one_of_which_nothing_is_to_be_said_is_owed() -> None:
    call = at_work("usual", "never")
    call.handle(events.ToolFinished("call_usual", RESULT), 2.0)

    assert held(wait(call, 12.0)) == [6.9]


def test_its_filler_is_played_all_the_same() -> None:
    assert fillers(wait(at_work("never_filled"), 4.0)) == [3.0]


@pytest.mark.parametrize("name", ["never", "usual"])
def test_the_goodbye_waits_for_the_tools_that_are_answered(name: str) -> None:
    call = hangs_up_beside(at_work(), name, goodbye_ms=400)

    hung_up = [at for at, one in wait(call, 4.0) if isinstance(one, HangUp)]
    assert bool(hung_up) is (name == "never")


def hangs_up_beside(call: Call, *names: str, goodbye_ms: int) -> Call:
    """``resp_2`` does, from 1.0 on, and is over; these tools of its go on."""
    call.handle(events.TurnCommitted("item_2"), 1.0)
    call.handle(events.ResponseCreated("resp_2", "request-2"), 1.0)
    if goodbye_ms:
        says_to_its_end(call, "resp_2", 1.0, goodbye_ms)
    for name in (*names, "hang_up"):
        call.handle(calls(name, "resp_2"), 1.0)
    call.handle(events.HangUpRequested("agent-hung-up"), 1.1)
    call.handle(events.ToolFinished("call_hang_up", RESULT), 1.1)
    call.handle(done("resp_2"), 1.2)
    return call


def heard_and_left(call: Call) -> tuple[list[Note], list[float]]:
    """What was said for the agent, and when it hung up."""
    course = wait(call, 30.0)
    said = [one for _, one in course if isinstance(one, Note) and one.kind == "hold"]
    return said, [at for at, one in course if isinstance(one, HangUp)]


@pytest.mark.parametrize("goodbye_ms", [400, 5000], ids=["short", "long"])
@pytest.mark.parametrize("names", [("usual",), ("if_silent", "usual"), ("never", "usual")])
def test_a_goodbye_that_was_heard_is_not_said_again_however_long_its_tools_take(
    names: tuple[str, ...], goodbye_ms: int
) -> None:
    said, [hung_up] = heard_and_left(hangs_up_beside(at_work(), *names, goodbye_ms=goodbye_ms))

    assert said == []
    assert hung_up == pytest.approx(1.1 + REPLY_SECONDS, abs=LOOK_SECONDS)


def test_nor_is_it_where_a_tool_of_an_earlier_response_takes_as_long() -> None:
    said, [_] = heard_and_left(hangs_up_beside(at_work("usual"), goodbye_ms=400))

    assert said == []


def test_of_what_comes_of_it_when_the_line_is_being_closed_nobody_hears() -> None:
    call = hangs_up_beside(at_work("usual"), goodbye_ms=400)
    left = [at for at, one in wait(call, 11.2) if isinstance(one, HangUp)]
    assert len(left) == 1

    found = call.handle(events.ToolFinished("call_usual", RESULT), 11.3)
    assert requests(found) == []
    found = call.handle(events.ResponseCreated("resp_3"), 11.4)
    assert CancelResponse("resp_3") in found
    assert call.handle(says("resp_3"), 11.5) == []


@pytest.mark.parametrize("name", ["usual", "slow"])
def test_one_that_was_not_said_beside_its_tools_is_said_for_it(name: str) -> None:
    said, [_] = heard_and_left(hangs_up_beside(at_work(), name, goodbye_ms=0))

    assert said == [Note("hold", "goodbye")]


BY_USUAL = events.HangUpRequested("agent-hung-up", tool_call_id="call_usual")
HANG_UP_NOW = HangUp("agent-hung-up")


def hung_up_on(call: Call, response_id: str, tool_call_id: str, at: float) -> list[Effect]:
    """The response calls ``hang_up``, and is over."""
    wanted = events.ToolCalled(response_id, f"item_{at}", tool_call_id, "hang_up", Private("{}"))
    found = call.handle(wanted, at)
    wish = events.HangUpRequested("agent-hung-up", tool_call_id=tool_call_id)
    found += call.handle(wish, at)
    found += call.handle(events.ToolFinished(tool_call_id, RESULT), at)
    return found + call.handle(done(response_id), at)


def test_nor_is_one_that_was_over_just_before_the_hang_up_was_wished() -> None:
    call = at_work()
    call.handle(events.TurnCommitted("item_2"), 1.0)
    call.handle(events.ResponseCreated("resp_2", "request-2"), 1.0)
    heard_out(call, "resp_2", 1.0)

    assert requests(hung_up_on(call, "resp_2", "call_1", 1.5)) == []
    said, [hung_up] = heard_and_left(call)
    assert said == []
    assert hung_up < 2.0


def test_who_says_goodbye_each_time_it_wishes_to_hang_up_is_made_to_say_one() -> None:
    """Where a tool that is to be spoken of hangs up by itself."""
    call = one_moment(at_work())
    wait(call, 5.0)
    call.handle(BY_USUAL, 5.0)
    assert requests(call.handle(events.ToolFinished("call_usual", RESULT), 5.0))
    call.handle(events.ResponseCreated("resp_3", "request-3"), 5.1)
    heard_out(call, "resp_3", 5.1)
    wanted = events.ToolCalled("resp_3", "item_4", "call_4", "usual", Private("{}"))
    call.handle(wanted, 5.6)
    call.handle(done("resp_3"), 5.6)
    call.handle(events.HangUpRequested("agent-hung-up", tool_call_id="call_4"), 6.7)

    found = call.handle(events.ToolFinished("call_4", RESULT), 6.7)
    assert requests(found) == []
    assert HangUp("agent-hung-up") in found


@pytest.mark.parametrize("takes", [2.0, 60.0])
def test_nor_does_another_tool_of_its_response_bring_it_back(takes: float) -> None:
    call = at_work()
    call.handle(events.TurnCommitted("item_2"), 1.0)
    call.handle(events.ResponseCreated("resp_2", "request-2"), 1.0)
    heard_out(call, "resp_2", 1.0)
    call.handle(calls("usual", "resp_2"), 1.5)
    hung_up_on(call, "resp_2", "call_1", 1.5)

    course = wait(call, takes)
    found = call.handle(events.ToolFinished("call_usual", RESULT), takes)
    assert requests([*found, *(one for _, one in course)]) == []
    assert not held(course)
    left = [at for at, one in course + [(takes, one) for one in found] if one == HANG_UP_NOW]
    assert left == [pytest.approx(min(takes, 1.5 + REPLY_SECONDS), abs=LOOK_SECONDS)]


TRANSFER = events.TransferRequested(Private("sip:front@example.com"), tool_call_id="call_usual")


@pytest.mark.parametrize("wish", [BY_USUAL, TRANSFER])
def test_whatever_the_model_wishes_again_it_has_no_more_time(wish: events.FromShell) -> None:
    call = hangs_up_beside(at_work(), "usual", goodbye_ms=400)
    wait(call, 6.0)
    call.handle(wish, 6.0)

    course = wait(call, 30.0)
    [left] = [at for at, one in course if isinstance(one, HangUp | TransferCall)]
    assert left == pytest.approx(1.1 + REPLY_SECONDS, abs=LOOK_SECONDS)


def one_moment(call: Call, name: str = "usual") -> Call:
    """Said from 1.1 to 1.9, beside a tool that goes on for long."""
    call.handle(events.TurnCommitted("item_2"), 1.0)
    call.handle(events.ResponseCreated("resp_2", "request-2"), 1.0)
    call.handle(says("resp_2", 800), 1.1)
    call.handle(calls(name, "resp_2"), 1.2)
    call.handle(done("resp_2"), 1.3)
    return call


def test_words_of_long_before_anybody_wished_to_leave_are_no_goodbye() -> None:
    call = one_moment(at_work())
    wait(call, 5.0)
    call.handle(events.HangUpRequested("agent-hung-up"), 5.0)

    said, [_] = heard_and_left(call)
    assert said == [Note("hold", "goodbye")]


def test_nor_do_they_spare_a_tool_that_hangs_up_by_itself_its_reply() -> None:
    call = one_moment(at_work())
    wait(call, 5.0)
    call.handle(BY_USUAL, 5.0)

    found = call.handle(events.ToolFinished("call_usual", RESULT), 5.1)
    assert [one.why for one in requests(found)] == ["tools"]


@pytest.mark.parametrize("name", ["never", "if_silent"])
def test_where_that_tool_wants_none_the_goodbye_is_said_for_it(name: str) -> None:
    call = one_moment(at_work(), name)
    wait(call, 5.0)

    by = events.HangUpRequested("agent-hung-up", tool_call_id=f"call_{name}")
    found = call.handle(by, 5.0)
    found += call.handle(events.ToolFinished(f"call_{name}", RESULT), 5.0)
    assert requests(found) == []
    assert found.count(Note("hold", "goodbye")) == 1
    said, [hung_up] = heard_and_left(call)
    assert said == []
    assert hung_up == pytest.approx(5.5 + TAIL_SECONDS, abs=LOOK_SECONDS)


def test_before_a_transfer_they_do() -> None:
    call = one_moment(at_work())
    wait(call, 5.0)
    call.handle(TRANSFER, 5.0)

    found = call.handle(events.ToolFinished("call_usual", RESULT), 5.1)
    assert requests(found) == []
    assert any(isinstance(one, TransferCall) for one in found)


def test_those_that_are_said_after_it_are_one() -> None:
    call = one_moment(at_work())
    wait(call, 5.0)
    call.handle(events.TurnCommitted("item_3"), 5.0)
    call.handle(events.ResponseCreated("resp_3", "request-3"), 5.0)
    call.handle(calls("hang_up", "resp_3"), 5.0)
    call.handle(events.HangUpRequested("agent-hung-up"), 5.0)
    call.handle(events.ToolFinished("call_hang_up", RESULT), 5.0)
    call.handle(done("resp_3"), 5.1)
    call.handle(events.ResponseCreated("resp_4", "request-4"), 5.2)
    call.handle(says("resp_4"), 5.3)
    call.handle(done("resp_4"), 5.4)

    said, [hung_up] = heard_and_left(call)
    assert said == []
    assert hung_up == pytest.approx(5.0 + REPLY_SECONDS, abs=LOOK_SECONDS)


@pytest.mark.parametrize("asks", [False, True])
def test_nor_does_one_of_a_servers_that_follows_the_goodbye_make_it_say_that_twice(
    asks: bool,
) -> None:
    call = hangs_up_beside(at_work(), goodbye_ms=0)
    call.handle(events.ResponseCreated("resp_3", "request-3"), 1.3)
    call.handle(says("resp_3"), 1.4)
    begun = events.OutputItemAdded("resp_3", "mcp_1", "mcp_call")
    asked = events.ApprovalAsked("mcpr_1", "crm", "note", Private("{}"), "resp_3")
    call.handle(asked if asks else begun, 1.5)
    call.handle(done("resp_3"), 1.6)

    said, [_] = heard_and_left(call)
    assert said == []


def test_what_a_tool_made_it_say_first_is_none() -> None:
    call = one_moment(at_work())
    wait(call, 4.0)
    call.handle(events.TurnCommitted("item_3"), 4.0)
    call.handle(events.ResponseCreated("resp_3", "request-3"), 4.0)
    call.handle(calls("slow_and_mute", "resp_3"), 4.0)
    call.handle(done("resp_3"), 4.1)
    call.handle(events.HangUpRequested("agent-hung-up"), 4.2)
    call.handle(events.ResponseCreated("resp_4", "request-4"), 4.2)
    call.handle(says("resp_4"), 4.3)
    call.handle(done("resp_4"), 4.4)

    said, [_] = heard_and_left(call)
    assert said == [Note("hold", "goodbye")]


# --- Pauses of the recording ------------------------------------------------------------


@pytest.mark.parametrize(("kind", "withheld"), [("function_call", True), ("message", False)])
def test_a_call_that_the_model_began_in_a_pause_is_withheld_though_it_is_complete_after_it(
    kind: str, withheld: bool
) -> None:
    talk = begun()
    talk.transcript.pause("operator", 1100, ())
    talk.handle(events.OutputItemAdded("resp_1", "item_usual", kind), 1.2)
    talk.transcript.resume("operator", 1300)
    talk.handle(calls("usual"), 1.4)
    talk.tools.finished("call_usual", RESULT, False, 1.5)

    assert talk.transcript.withholds("call_usual") is withheld
    assert talk.model.history.results == (() if withheld else (("usual", "{}"),))

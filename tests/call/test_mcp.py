"""Tools of MCP servers: run by the provider, allowed by us, answered once."""

from dataclasses import replace

import pytest

from opusbridge import events
from opusbridge.call.conversation import Conversation
from opusbridge.call.mcp import MOST_SECONDS
from opusbridge.call.policy import TWILIO, CallPolicy
from opusbridge.call.tools import MOST_KNOWN
from opusbridge.call.transcript import Transcript
from opusbridge.effects import (
    AddApproval,
    AddText,
    AskApproval,
    CancelResponse,
    CreateResponse,
    Effect,
    FeelPulse,
    Note,
    SessionConfig,
    TurnDetection,
)
from opusbridge.privacy import Private
from opusbridge.sound import PCM_24K, PCMU_8K, Audio

SESSION = SessionConfig(
    "Be kind.", PCM_24K, turn_detection=TurnDetection("server_vad", False, True)
)
CONFIGURED = events.SessionConfigured(PCMU_8K, PCMU_8K)
USE = ("crm", "find", Private("{}"))
ASKED = events.ApprovalAsked("mcpr_1", *USE, response_id="resp_1")
USED = events.McpUsed("mcp_1", *USE, Private("Ada"), False, "mcpr_1")
DONE = events.ResponseDone("resp_1", "completed")


def calling(*tools: str | events.OutputItemAdded) -> Conversation:
    """``resp_1`` has been answering since 1.0, and uses these tools; of what is a mere id it is
    not told which it is."""
    talk = Conversation(
        CallPolicy(TWILIO, SESSION), PCMU_8K, Transcript(), lambda at: round(at * 1000), 0.0
    )
    talk.handle(CONFIGURED, 0.0)
    talk.handle(events.TurnCommitted("item_1"), 1.0)
    talk.handle(events.ResponseCreated("resp_1", "request-1"), 1.0)
    for one in tools:
        begun = events.OutputItemAdded("resp_1", one, "mcp_call") if isinstance(one, str) else one
        talk.handle(begun, 1.1)
    return talk


def asked(*item_ids: str) -> Conversation:
    talk = calling(*item_ids)
    talk.handle(ASKED, 1.2)
    talk.handle(DONE, 1.3)
    return talk


def decide(talk: Conversation, approve: bool, at: float = 2.0) -> list[Effect]:
    return talk.tools.told(events.ApprovalDecided("mcpr_1", approve), at)


def speaks(response_id: str) -> events.ModelSpoke:
    return events.ModelSpoke(response_id, f"item_{response_id}", 0, Audio.of(bytes(800), PCMU_8K))


def requests(found: list[Effect]) -> int:
    return len([one for one in found if isinstance(one, CreateResponse)])


def notes(found: list[Effect]) -> list[str]:
    return [one.reason for one in found if isinstance(one, Note) and one.kind == "mcp"]


def transcript(talk: Conversation) -> list[tuple[str, str]]:
    items = talk.transcript.snapshot("call")["items"]
    return [(one["text"], one["status"]) for one in items if one["speaker"] == "tool"]


def test_a_model_that_says_nothing_of_the_result_is_asked_to() -> None:
    talk = calling("mcp_1", "mcp_2")
    assert talk.tools.running == 2
    talk.handle(events.McpSettled("mcp_1"), 1.5)
    assert requests(talk.handle(DONE, 1.6)) == 0  # the other one is still at work

    assert requests(talk.handle(events.McpSettled("mcp_2"), 2.0)) == 1
    assert talk.handle(events.McpSettled("mcp_2"), 2.1) == []


def test_a_model_that_goes_on_by_itself_is_not_asked() -> None:
    talk = calling("mcp_1")
    talk.handle(events.McpSettled("mcp_1"), 1.5)
    talk.handle(speaks("resp_1"), 1.6)

    assert requests(talk.handle(DONE, 1.7)) == 0


def test_what_it_said_before_the_tool_was_done_is_not_the_answer() -> None:
    talk = calling()
    talk.handle(speaks("resp_1"), 1.05)
    talk.handle(events.OutputItemAdded("resp_1", "mcp_1", "mcp_call"), 1.1)
    talk.handle(events.McpSettled("mcp_1"), 1.5)

    assert requests(talk.handle(DONE, 1.7)) == 1


def test_a_tool_that_is_begun_twice_is_one() -> None:
    talk = calling("mcp_1", "mcp_1")

    assert talk.tools.running == 1


def time_passes(talk: Conversation, until: float) -> list[Effect]:
    """What the passing of time alone leads to; the session answers when it is asked for a sign."""
    found: list[Effect] = []
    while (due := talk.deadline) is not None and due <= until:
        found += (came := talk.timed_out(due))
        if FeelPulse() in came:
            talk.handle(CONFIGURED, due)
    return found


def test_a_tool_that_takes_long_is_waited_for_as_long_as_it_may_take() -> None:
    talk = calling("mcp_1")

    assert not any(isinstance(one, CancelResponse) for one in time_passes(talk, 1.0 + MOST_SECONDS))
    talk.handle(events.McpSettled("mcp_1"), 1.05 + MOST_SECONDS)
    talk.handle(speaks("resp_1"), 1.05 + MOST_SECONDS)
    assert requests(talk.handle(DONE, 2.0 + MOST_SECONDS)) == 0


def test_when_it_is_done_the_response_must_go_on_as_any_other() -> None:
    talk = calling("mcp_1", "mcp_2")
    talk.handle(events.McpSettled("mcp_1"), 30.0)
    assert CancelResponse("resp_1") not in time_passes(talk, 51.0)
    talk.handle(events.McpSettled("mcp_2"), 52.0)

    assert CancelResponse("resp_1") not in time_passes(talk, 71.9)
    assert CancelResponse("resp_1") in time_passes(talk, 72.0)


def test_one_that_is_never_done_is_given_up_with_its_response_and_spoken_of() -> None:
    talk = calling("mcp_1")

    found = time_passes(talk, 1.1 + MOST_SECONDS)
    found += talk.handle(events.ResponseDone("resp_1", "cancelled"), 1.2 + MOST_SECONDS)

    assert notes(found) == ["overdue"]
    assert found.count(CancelResponse("resp_1")) == 1
    assert [one.why for one in found if isinstance(one, CreateResponse)] == ["turn+tools"]


INCOMPLETE = replace(DONE, status="incomplete", reason="max_output_tokens")


@pytest.mark.parametrize("over", [INCOMPLETE, replace(DONE, empty=True)])
@pytest.mark.parametrize("news", [ASKED, USED])
def test_a_response_that_used_a_tool_is_not_asked_for_again_because_it_said_no_more(
    over: events.ResponseDone, news: events.OfMcp
) -> None:
    talk = calling("mcp_1")
    talk.handle(news, 1.2)

    found = talk.handle(over, 1.3)
    found += time_passes(talk, 4.0)

    assert [one for one in found if isinstance(one, Note) and one.kind == "retry"] == []
    asked_again = [one.why for one in found if isinstance(one, CreateResponse)]
    assert asked_again == (["tools"] if news is USED else [])


def test_our_own_tools_and_a_servers_are_answered_together() -> None:
    talk = calling("mcp_1")
    talk.handle(events.ToolCalled("resp_1", "item_2", "call_1", "f", Private("{}")), 1.2)
    talk.handle(DONE, 1.3)
    assert requests(talk.handle(events.McpSettled("mcp_1"), 1.5)) == 0

    assert requests(talk.tools.finished("call_1", Private("{}"), False, 2.0)) == 1


def test_the_policy_is_asked_once_and_its_yes_goes_to_the_model_at_once() -> None:
    talk = calling("mcp_1")

    assert talk.handle(ASKED, 1.2) == [AskApproval("mcpr_1", *USE)]
    assert talk.handle(ASKED, 1.2) == []
    assert decide(talk, True) == [
        Note("mcp", "approved", ("mcpr_1",)),
        AddApproval("output-1", "mcpr_1", True),
    ]
    assert decide(talk, False) == [Note("stray", "approval", ("mcpr_1",))]


def test_an_approved_tool_is_answered_when_it_is_done_long_after_its_response() -> None:
    talk = asked("mcp_1")
    assert requests(decide(talk, True)) == 0

    assert requests(talk.handle(events.McpSettled("mcp_1"), 3.0)) == 1
    assert talk.handle(USED, 3.0) == []
    assert talk.handle(USED, 3.0) == []
    assert transcript(talk) == [
        ("crm.find({}) -> approved", "completed"),
        ("crm.find({}) -> Ada", "completed"),
    ]


def test_an_approved_tool_that_the_model_speaks_of_by_itself_is_spoken_of_once() -> None:
    talk = asked("mcp_1")
    decide(talk, True)
    assert requests(talk.handle(events.McpSettled("mcp_1"), 3.0)) == 1

    talk.handle(events.ResponseCreated("resp_2", None), 3.1)
    refusal = events.ModelErred(
        "conversation_already_has_active_response",
        about="response.create",
        request_id="request-2",
        response_active=True,
        active_response_id="resp_2",
    )
    talk.handle(refusal, 3.2)
    talk.handle(speaks("resp_2"), 3.3)
    assert requests(talk.handle(events.ResponseDone("resp_2", "completed"), 4.0)) == 0
    assert talk.at_rest


def run_by_another(talk: Conversation, settles: bool) -> list[Effect]:
    """What was approved is run by ``resp_2``, which the model began itself."""
    decide(talk, True)
    found = talk.handle(events.ResponseCreated("resp_2", None), 3.0)
    found += talk.handle(events.OutputItemAdded("resp_2", "mcp_2", "mcp_call"), 3.0)
    if settles:
        found += talk.handle(events.McpSettled("mcp_2"), 3.1)
    return found + talk.handle(replace(USED, item_id="mcp_2"), 3.1)


LIST = ("crm", "list")
#: It needs no yes.
SLOW = events.OutputItemAdded("resp_1", "mcp_0", "mcp_call", *LIST)
#: With the tool that ``ASKED`` is about.
SLOW_AND_ASKED_FOR = SLOW, events.OutputItemAdded("resp_1", "mcp_1", "mcp_call", *USE[:2])
SLOW_IS_DONE = events.McpUsed("mcp_0", *LIST, Private("{}"), Private("Ada, Bob"), False)
RUN_DONE = events.ResponseDone("resp_2", "completed")


@pytest.mark.parametrize("settles", [False, True])
@pytest.mark.parametrize("shown", [(), ("mcp_1",)], ids=["unseen", "shown"])
def test_one_that_another_response_runs_and_speaks_of_is_spoken_of_once(
    shown: tuple[str, ...], settles: bool
) -> None:
    talk = asked(*shown)
    found = run_by_another(talk, settles)
    found += talk.handle(speaks("resp_2"), 3.3) + talk.handle(RUN_DONE, 4.0)

    assert requests(found + time_passes(talk, 100.0)) == 0
    assert not talk.tools.busy


@pytest.mark.parametrize("settles", [False, True])
def test_one_that_another_response_runs_and_says_nothing_of_is_asked_about_once(
    settles: bool,
) -> None:
    talk = asked("mcp_1")
    run_by_another(talk, settles)

    assert requests(talk.handle(RUN_DONE, 4.0)) == 1
    assert not talk.tools.busy


def test_what_else_was_asked_for_beside_it_is_waited_for() -> None:
    talk = calling("mcp_1")
    talk.handle(events.ApprovalAsked("mcpr_9", *USE, response_id="resp_1"), 1.2)
    talk.handle(ASKED, 1.2)
    talk.handle(DONE, 1.3)
    run_by_another(talk, True)

    assert talk.tools.running == 2


def test_another_tool_that_still_runs_is_waited_for_and_spoken_of() -> None:
    talk = calling(*SLOW_AND_ASKED_FOR)
    talk.handle(ASKED, 1.2)
    talk.handle(DONE, 1.3)
    found = run_by_another(talk, settles=False)
    found += talk.handle(speaks("resp_2"), 3.3) + talk.handle(RUN_DONE, 4.0)
    assert requests(found) == 0
    assert (talk.tools.running, talk.tools.owing) == (1, True)

    assert requests(talk.handle(SLOW_IS_DONE, 6.0)) == 1


def test_so_is_one_beside_a_tool_that_is_refused() -> None:
    talk = calling(*SLOW_AND_ASKED_FOR)
    talk.handle(ASKED, 1.2)
    talk.handle(DONE, 1.3)
    assert requests(decide(talk, False)) == 0
    assert talk.tools.running == 1

    assert requests(talk.handle(SLOW_IS_DONE, 6.0)) == 1


def test_one_that_is_done_settles_no_request_for_another_tool() -> None:
    talk = calling(SLOW)
    talk.handle(ASKED, 1.2)
    talk.handle(DONE, 1.3)
    decide(talk, True)
    assert requests(talk.handle(SLOW_IS_DONE, 3.0)) == 0

    assert requests(talk.handle(USED, 6.0)) == 1


def test_a_call_that_only_shows_when_it_is_done_is_known_by_its_request() -> None:
    talk = asked()
    decide(talk, True)

    assert requests(talk.handle(USED, 3.0)) == 1


def test_a_request_that_does_not_say_its_response_belongs_to_the_latest() -> None:
    talk = calling("mcp_1")
    talk.handle(events.ApprovalAsked("mcpr_1", *USE), 1.2)
    talk.handle(DONE, 1.3)
    decide(talk, True)

    assert requests(talk.handle(events.McpSettled("mcp_1"), 3.0)) == 1


def test_a_refused_tool_is_spoken_of_and_not_waited_for() -> None:
    talk = asked("mcp_1")

    found = decide(talk, False)
    assert found[:2] == [
        Note("mcp", "refused", ("mcpr_1",)),
        AddApproval("output-1", "mcpr_1", False),
    ]
    assert requests(found) == 1
    assert talk.tools.running == 0
    assert transcript(talk) == [("crm.find({}) -> refused", "failed")]


def server_error() -> events.ModelErred:
    return events.ModelErred("server_error", about="conversation.item.create", item_id="output-1")


def told_again(found: list[Effect]) -> list[Effect]:
    return [one for one in found if isinstance(one, AddApproval | CreateResponse)]


def test_a_yes_that_the_server_did_not_take_is_told_again_as_often_as_an_answer_is() -> None:
    talk = asked("mcp_1")
    decide(talk, True)

    yes = AddApproval("output-1", "mcpr_1", True)
    for _ in talk.policy.responses.backoff:
        assert told_again(talk.handle(server_error(), 2.1)) == [yes]
        talk.model.answered()
    assert talk.handle(server_error(), 2.1) == [Note("refused", "server_error")]


def test_so_is_a_no_and_spoken_of_by_a_reply_that_knows_of_it() -> None:
    talk = asked("mcp_1")
    assert requests(decide(talk, False)) == 1

    found = talk.handle(server_error(), 2.1)
    assert Note("repaired", "approval", ("output-1",)) in found
    assert told_again(found) == [AddApproval("output-1", "mcpr_1", False)]
    talk.handle(events.ResponseCreated("resp_2", "request-2"), 2.2)
    talk.handle(speaks("resp_2"), 2.3)
    assert requests(talk.handle(replace(DONE, response_id="resp_2"), 2.4)) == 1


def test_while_another_of_them_is_still_asked_about_nothing_is_given_up() -> None:
    talk = calling("mcp_1", "mcp_2")
    talk.handle(ASKED, 1.2)
    talk.handle(events.ApprovalAsked("mcpr_2", *USE, response_id="resp_1"), 1.2)
    talk.handle(DONE, 1.3)

    assert requests(decide(talk, False)) == 0
    assert talk.tools.running == 3
    talk.tools.told(events.ApprovalDecided("mcpr_2", True), 2.1)
    talk.handle(events.McpSettled("mcp_2"), 3.0)
    assert talk.tools.running == 1  # whose it was nobody said; it is given up in time
    found = talk.timed_out(1.1 + MOST_SECONDS)
    assert notes(found) == ["overdue"]
    assert requests(found) == 1


def test_what_the_provider_never_finishes_is_given_up_and_spoken_of() -> None:
    talk = asked("mcp_1")
    decide(talk, True)
    assert talk.tools.deadline == 1.1 + MOST_SECONDS

    assert notes(talk.timed_out(1.1 + MOST_SECONDS)) == ["overdue"]
    found = talk.timed_out(1.2 + MOST_SECONDS)
    assert notes(found) == ["overdue"]
    assert requests(found) == 1
    assert talk.tools.deadline is None


def test_a_session_that_is_lost_takes_its_tools_with_it_and_another_is_told_the_results() -> None:
    talk = asked("mcp_1")
    talk.handle(events.McpUsed("mcp_0", *USE, Private("Bob"), False), 1.4)
    talk.handle(events.ModelLost("model-lost"), 2.0)

    pending = talk.response.pending_user_input
    assert pending is not None
    assert pending.why == "tools"
    assert decide(talk, True) == [Note("stray", "approval", ("mcpr_1",))]
    found = talk.handle(CONFIGURED, 3.0)
    told = [one.text.value for one in found if isinstance(one, AddText)]
    assert "The tool find gave this result: Bob" in told
    assert requests(found) == 1


def test_a_server_whose_tools_are_not_listed_is_noted() -> None:
    talk = calling()

    assert talk.handle(events.McpListFailed("mcpl_1"), 1.2) == [
        Note("mcp", "unlisted", ("mcpl_1",))
    ]


def test_a_tool_at_work_in_a_pause_is_withheld_though_it_began_before_and_is_done_after() -> None:
    talk = calling("mcp_1")
    talk.transcript.pause("agent", 1200, ())
    talk.transcript.resume("agent", 1300)
    talk.handle(events.OutputItemAdded("resp_1", "mcp_2", "mcp_call"), 1.4)
    for item_id in ("mcp_1", "mcp_2"):
        talk.handle(events.McpSettled(item_id), 1.5)
        talk.handle(events.McpUsed(item_id, *USE, Private("Ada"), False, None), 1.5)

    withheld = {one["item_id"] for one in talk.transcript.written() if "withheld" in one}
    assert withheld == {"mcp_1"}


def test_what_the_model_began_to_ask_in_a_pause_is_withheld_though_it_is_complete_after_it() -> (
    None
):
    talk = calling()
    talk.transcript.pause("agent", 1100, ())
    talk.handle(events.OutputItemAdded("resp_1", "mcpr_1", "mcp_approval_request"), 1.1)
    talk.transcript.resume("agent", 1200)
    talk.handle(ASKED, 1.3)

    assert transcript(talk) == [("[withheld]", "in_progress")]


def test_of_tools_without_end_only_the_latest_are_known_by_when_they_began() -> None:
    talk = calling(*(f"mcp_{number}" for number in range(MOST_KNOWN + 1)))
    talk.transcript.pause("agent", 1200, ())
    talk.transcript.resume("agent", 1300)
    for number in (0, 1):
        talk.handle(events.McpUsed(f"mcp_{number}", *USE, Private("Ada"), False, None), 1.5)

    withheld = {one["item_id"] for one in talk.transcript.written() if "withheld" in one}
    assert withheld == {"mcp_1"}


def test_what_was_called_or_asked_for_in_a_pause_is_withheld_though_it_is_done_after_it() -> None:
    talk = calling()
    talk.transcript.pause("agent", 1100, ())
    talk.handle(events.OutputItemAdded("resp_1", "mcp_2", "mcp_call"), 1.1)
    talk.handle(ASKED, 1.2)
    decide(talk, True, 1.3)
    talk.transcript.resume("agent", 1400)
    for item_id, request_id in (("mcp_1", "mcpr_1"), ("mcp_0", None), ("mcp_2", None)):
        talk.handle(events.McpSettled(item_id), 1.5)
        used = events.McpUsed(item_id, *USE, Private("Ada"), False, request_id)
        talk.handle(used, 1.5)

    withheld = {one["item_id"] for one in talk.transcript.written() if "withheld" in one}
    assert withheld == {"mcpr_1", "mcp_1", "mcp_2"}
    assert {"mcp-1", "mcp-3"} <= set(talk.transcript.newly_withheld())


# --- A response that is cut short -------------------------------------------------------


@pytest.mark.parametrize("status", ["cancelled", "failed"])
def test_the_tools_of_a_response_that_was_cut_short_are_dropped_with_it(status: str) -> None:
    talk = calling("mcp_1", "mcp_2")
    talk.handle(events.SpeechStarted("item_2", 0), 4.0)
    talk.handle(events.ResponseDone("resp_1", status), 4.1)
    talk.handle(events.TurnCommitted("item_2"), 5.0)
    talk.handle(events.ResponseCreated("resp_2", "request-2"), 5.1)
    talk.handle(speaks("resp_2"), 5.2)
    talk.handle(events.ResponseDone("resp_2", "completed"), 5.3)

    assert talk.quiet
    assert {type(one) for one in time_passes(talk, 100.0)} == {FeelPulse}
    assert talk.handle(events.McpSettled("mcp_1"), 100.0) == []  # it was not stopped after all


def test_what_one_of_our_own_tools_found_out_meanwhile_is_spoken_of() -> None:
    talk = calling("mcp_1")
    talk.handle(events.ToolCalled("resp_1", "item_2", "call_1", "f", Private("{}")), 1.2)
    talk.tools.finished("call_1", Private("{}"), False, 1.3)

    found = talk.handle(events.ResponseDone("resp_1", "cancelled"), 1.4)
    assert [one.why for one in found if isinstance(one, CreateResponse)] == []
    found = talk.timed_out(3.4)
    assert [one.why for one in found if isinstance(one, CreateResponse)] == ["turn+tools"]


CUT_OFF = events.OutputItemDone("resp_1", "mcp_1", "mcp_call", "incomplete")


def test_one_that_was_cut_off_itself_is_not_waited_for_but_asked_for_again() -> None:
    talk = calling("mcp_1")
    talk.handle(CUT_OFF, 1.3)
    assert (talk.tools.busy, talk.tools.running) == (True, 0)
    talk.handle(events.ResponseDone("resp_1", "incomplete", cut_off=True), 1.4)

    assert not talk.tools.busy
    assert requests(talk.timed_out(3.4)) == 1


def test_what_another_gave_is_spoken_of_though_it_comes_after_the_response() -> None:
    talk = calling("mcp_1", "mcp_2")
    talk.handle(events.McpSettled("mcp_2"), 1.2)
    assert requests(talk.handle(DONE, 1.3)) == 0

    assert requests(talk.handle(CUT_OFF, 1.4)) == 1


def test_a_message_that_was_cut_off_is_no_tool() -> None:
    talk = calling("mcp_1")
    talk.handle(replace(CUT_OFF, item_id="item_2", kind="message"), 1.3)

    assert talk.tools.running == 1


def test_what_may_yet_be_approved_is_not_dropped() -> None:
    talk = calling("mcp_1")
    talk.handle(ASKED, 1.2)
    talk.handle(events.SpeechStarted("item_2", 0), 1.3)
    talk.handle(events.ResponseDone("resp_1", "cancelled"), 1.4)
    talk.handle(events.TurnCommitted("item_2"), 2.0)
    talk.handle(events.ResponseCreated("resp_2", "request-2"), 2.0)
    talk.handle(speaks("resp_2"), 2.0)
    talk.handle(events.ResponseDone("resp_2", "completed"), 2.1)
    decide(talk, True, 2.2)

    assert requests(talk.handle(events.McpSettled("mcp_1"), 3.0)) == 1

import pytest

from opusbridge.call.pending import Cause, Why
from opusbridge.call.policy import ToolTraits
from opusbridge.call.tools import MOST_KNOWN, ToolDesk

USUAL = ToolTraits()


def test_the_tools_of_one_response_are_answered_together_when_the_last_output_was_sent() -> None:
    desk = ToolDesk()
    assert desk.called("resp_1", "call_1", "f", USUAL)
    assert desk.called("resp_1", "call_2", "f", USUAL)
    assert desk.running == 2

    assert desk.response_over("resp_1") is None
    assert desk.finished("call_2", "output_1") is None
    assert desk.finished("call_1", "output_2") == Cause(
        Why.TOOLS, "resp_1", frozenset({"output_1", "output_2"})
    )
    assert desk.running == 0


def test_outputs_sent_before_the_response_is_over_are_answered_when_it_is() -> None:
    desk = ToolDesk()
    desk.called("resp_1", "call_1", "f", USUAL)

    assert desk.finished("call_1", "output_1") is None
    assert desk.response_over("resp_1") == Cause(Why.TOOLS, "resp_1", frozenset({"output_1"}))


def test_a_response_over_twice_is_answered_once() -> None:
    desk = ToolDesk()
    desk.called("resp_1", "call_1", "f", USUAL)
    desk.finished("call_1", "output_1")
    desk.response_over("resp_1")

    assert desk.response_over("resp_1") is None


def test_a_response_without_tools_is_answered_by_nothing() -> None:
    assert ToolDesk().response_over("resp_1") is None


def test_two_responses_have_each_its_own_batch() -> None:
    desk = ToolDesk()
    desk.called("resp_1", "call_1", "f", USUAL)
    desk.response_over("resp_1")
    desk.called("resp_2", "call_2", "f", USUAL)
    desk.response_over("resp_2")

    assert desk.finished("call_2", "output_1") == Cause(
        Why.TOOLS, "resp_2", frozenset({"output_1"})
    )
    assert desk.is_running("call_1")


def test_a_call_seen_twice_does_not_run_twice() -> None:
    desk = ToolDesk()
    desk.called("resp_1", "call_1", "f", USUAL)

    assert not desk.called("resp_1", "call_1", "f", USUAL)
    assert not desk.called("resp_2", "call_1", "f", USUAL)
    assert desk.running == 1

    desk.finished("call_1", "output_1")
    desk.response_over("resp_1")
    assert not desk.called("resp_1", "call_1", "f", USUAL)


def test_a_call_of_a_response_that_was_given_up_on_is_answered_all_the_same() -> None:
    desk = ToolDesk()
    desk.response_over("resp_1")
    desk.called("resp_1", "call_1", "f", USUAL)

    assert desk.finished("call_1", "output_1") == Cause(
        Why.TOOLS, "resp_1", frozenset({"output_1"})
    )


def test_a_call_runs_until_its_output_was_sent_and_a_strange_one_never() -> None:
    desk = ToolDesk()
    desk.called("resp_1", "call_1", "f", USUAL)

    assert desk.is_running("call_1")
    assert not desk.is_running("call_2")
    desk.finished("call_1", "output_1")
    assert not desk.is_running("call_1")
    desk.response_over("resp_1")
    assert not desk.is_running("call_1")


def test_a_reply_is_owed_in_words_until_the_agent_has_spoken_beside_the_tools() -> None:
    desk = ToolDesk()
    desk.called("resp_1", "call_1", "f", USUAL)
    desk.called("resp_1", "call_2", "f", ToolTraits(reply="never"))
    assert desk.owing_words
    desk.finished("call_1", "output_1")
    assert desk.owing_words

    desk.agent_spoke()
    assert not desk.owing_words
    assert desk.owing(None)


@pytest.mark.parametrize("in_a_file", [False, True])
def test_words_in_a_file_are_not_taken_for_what_a_tool_gave(in_a_file: bool) -> None:
    desk = ToolDesk()
    desk.called("resp_1", "call_1", "f", ToolTraits(reply="unless_it_goes_on"))
    desk.finished("call_1", None)
    if in_a_file:
        desk.file_spoke("resp_1")
    else:
        desk.agent_spoke()

    assert (desk.response_over("resp_1") is not None) == in_a_file


@pytest.mark.parametrize("by", ["resp_1", "resp_2"])
def test_a_file_of_one_response_is_not_the_answer_to_the_tools_of_another(by: str) -> None:
    desk = ToolDesk()
    desk.called("resp_1", "call_1", "f", ToolTraits(reply="if_silent"))
    desk.called("resp_2", "call_2", "f", ToolTraits(reply="if_silent"))
    desk.file_spoke(by)
    desk.file_spoke("resp_3")
    desk.response_over("resp_1")

    assert (desk.finished("call_1", "output_1") is not None) == (by == "resp_2")


def test_none_is_owed_by_what_is_done_nor_where_none_is_asked_for() -> None:
    desk = ToolDesk()
    desk.called("resp_1", "call_1", "f", USUAL)
    desk.finished("call_1", "output_1")
    desk.called("resp_2", "call_2", "f", ToolTraits(reply="never"))

    assert not desk.owing_words


def test_of_a_long_call_only_the_latest_ids_are_known_and_what_runs() -> None:
    desk = ToolDesk()
    desk.called("resp_0", "slow", "f", USUAL)
    for number in range(2 * MOST_KNOWN):
        desk.called(f"resp_{number}", f"call_{number}", "f", USUAL)
        desk.finished(f"call_{number}", f"output_{number}")
        desk.response_over(f"resp_{number}")

    assert desk.is_running("slow")
    assert not desk.called("resp_0", "slow", "f", USUAL)
    assert not desk.called("resp_1", f"call_{2 * MOST_KNOWN - 1}", "f", USUAL)
    assert len(desk._batch_of) == MOST_KNOWN
    assert len(desk._over) < MOST_KNOWN
    assert desk.finished("slow", "output") == Cause(
        Why.TOOLS, "resp_0", frozenset({"output", "output_0"})
    )


def test_of_very_many_that_run_none_is_forgotten() -> None:
    desk = ToolDesk()
    for number in range(MOST_KNOWN + 10):
        desk.called("resp_1", f"call_{number}", "f", USUAL)

    assert desk.running == MOST_KNOWN + 10
    assert not desk.called("resp_1", "call_0", "f", USUAL)

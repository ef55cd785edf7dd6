"""What no client may do, and what none may leave undone."""

from typing import Any

from opusbridge.sim.model import Knobs, Reply, ReplyScript, SimulatedModel, ToolCallReply
from opusbridge.sim.tones import voice
from tests.sim.model.client import Client

LONG = "This answer takes a while to say. " * 4
CALLS = (ToolCallReply("one"), ToolCallReply("two"))


def client(*faults: str, replies: tuple[Reply, ...] = (), grace_seconds: float = 0.5) -> Client:
    model = SimulatedModel(
        Knobs.parse(*faults),
        replies=ReplyScript(replies or [Reply(LONG)] * 8),
        grace_seconds=grace_seconds,
    )
    return Client(model)


def create(one: Client, **asked: Any) -> None:
    one.say("response.create", response=asked)
    one.run(10)


def output(one: Client, number: int) -> None:
    done = one.of("response.output_item.done")
    calls = [e["item"]["call_id"] for e in done if e["item"]["type"] == "function_call"]
    item = {"type": "function_call_output", "call_id": calls[number], "output": "{}"}
    one.say("conversation.item.create", item=item)


def called() -> Client:
    """A client whose model has just called two tools."""
    one = client(replies=(Reply("One moment.", tool_calls=CALLS), Reply("Here it is.")))
    create(one)
    return one


def test_a_well_behaved_client_has_a_clean_verdict() -> None:
    one = called()
    output(one, 0)
    output(one, 1)
    create(one)
    one.speak()
    one.run(10)

    assert one.model.verdict(patience_seconds=0) == []
    assert one.model.conflicts == 0


def test_no_create_comes_between_a_cancel_and_its_done() -> None:
    one = client("cancel-latency=0.5")
    one.say("response.create")
    one.run(0.5)
    one.say("response.cancel")
    one.say("response.create")

    assert one.model.violations == ["a response was asked for between a cancel and its done"]


def test_no_create_follows_another_unanswered() -> None:
    one = client("create-delay=1")
    one.say("response.create")
    one.say("response.create")

    assert one.model.violations == ["a response was asked for while a request was unanswered"]


def test_a_request_unanswered_for_long_may_be_repeated() -> None:
    one = client("created-withheld", replies=(Reply("x", delay_seconds=30),))
    one.say("response.create")
    one.run(5)
    one.say("response.create")

    assert one.model.violations == []


def test_no_create_comes_while_the_caller_speaks() -> None:
    one = client()
    one.detect(create_response=False)
    one.append(voice(800))
    one.say("response.create")

    assert one.model.violations == ["a response was asked for while the caller was speaking"]


def test_a_create_that_meets_the_news_of_speech_on_its_way_is_a_race() -> None:
    one = client()
    one.detect(create_response=False)
    one.append(voice(300))
    one.say("response.create")

    assert one.model.violations == []


def test_no_create_comes_while_a_turn_awaits_the_services_own_response() -> None:
    one = client("auto-create-delay=2")
    one.speak()
    one.run(1)
    one.say("response.create")

    assert one.model.violations == [
        "a response was asked for while a turn awaited the service's own"
    ]
    assert one.model.conflicts == 0  # it is refused once the other is announced
    one.run(2)
    assert one.model.conflicts == 1


def test_what_is_out_of_band_may_be_asked_for_at_any_time() -> None:
    one = client("auto-create-delay=2")
    one.speak()
    one.run(1)
    one.say("response.create", response={"conversation": "none"})

    assert one.model.violations == []


def test_what_is_out_of_band_answers_no_request() -> None:
    one = client("create-delay=1")
    one.say("response.create", response={"conversation": "none"})
    one.run(0.5)
    one.say("response.create")
    one.run(0.6)
    one.say("response.create")

    assert one.model.violations == ["a response was asked for while a request was unanswered"]


def test_a_create_after_the_done_of_a_cancel_is_right() -> None:
    one = client("cancel-latency=0.2")
    one.say("response.create")
    one.run(0.5)
    one.say("response.cancel")
    one.run(0.3)
    one.say("response.create")

    assert one.model.violations == []


def test_speech_that_was_cleared_or_lost_holds_nothing_back() -> None:
    for end in ("clear", "update"):
        one = client()
        one.append(voice(800))
        if end == "clear":
            one.say("input_audio_buffer.clear")
        else:
            one.update(audio={"input": {"turn_detection": None}})
        one.run(1)
        one.say("response.create")

        assert one.model.violations == [], end


def test_every_tool_call_gets_an_output() -> None:
    one = called()
    output(one, 0)

    (violation,) = one.model.verdict(patience_seconds=5)
    assert violation.endswith("never got its output")
    assert one.model.verdict(patience_seconds=15) == []


def test_whoever_has_left_owes_nothing_from_then_on() -> None:
    one = called()
    one.run(40)  # so long nobody tells the service, on a slow wire
    assert len(one.model.verdict()) == len(one.model.verdict(over_at=30)) == 2
    assert one.model.verdict(over_at=20) == []

    output(one, 0)  # it had left before
    (violation,) = one.model.verdict(over_at=30)
    assert violation.endswith("never got its output")


def test_no_tool_call_gets_two_outputs() -> None:
    one = called()
    output(one, 0)
    output(one, 0)

    (violation,) = one.model.violations
    assert violation.endswith("got a second output")


def test_a_batch_of_tool_calls_is_answered_when_it_is_whole() -> None:
    one = called()
    output(one, 0)
    create(one)

    assert one.model.violations == [
        "a response was asked for before every tool call had its output"
    ]


def test_a_running_tool_does_not_hold_back_the_answer_to_a_turn() -> None:
    one = called()
    one.detect(create_response=False)
    output(one, 0)
    one.speak()
    create(one)
    output(one, 1)
    create(one)

    assert one.model.verdict(patience_seconds=0) == []


def test_nor_does_it_hold_back_a_second_try_at_that_answer() -> None:
    one = client("failed=2", replies=(Reply("One moment.", tool_calls=CALLS), Reply("Here.")))
    one.detect(create_response=False)
    create(one)
    one.speak()
    create(one)
    output(one, 0)
    create(one)

    assert one.model.violations == []


def test_what_was_cancelled_too_late_answered_nobody() -> None:
    one = client(replies=(Reply("One moment.", tool_calls=CALLS),) * 3)
    create(one)
    output(one, 0)
    output(one, 1)
    one.detect(create_response=False)
    one.speak()
    create(one)  # takes in the turn and both outputs, and calls two tools more
    one.say("response.cancel", response_id=one.of("response.created")[-1]["response"]["id"])
    output(one, 2)
    create(one)

    assert one.model.violations == []


def test_one_batch_is_answered_once() -> None:
    one = called()
    output(one, 0)
    output(one, 1)
    create(one)
    create(one)

    assert one.model.violations == ["a second response was asked for one batch of tool outputs"]


def test_a_prompt_of_its_own_may_follow_an_answered_batch() -> None:
    one = called()
    output(one, 0)
    output(one, 1)
    create(one)
    create(one, instructions="Ask whether the caller is still there.")

    assert one.model.violations == []


def test_outputs_must_be_answered() -> None:
    one = called()
    output(one, 0)
    output(one, 1)
    one.run(10)

    (violation,) = one.model.verdict(patience_seconds=5)
    assert violation.endswith("was never answered")
    assert one.model.verdict(patience_seconds=5, over_at=16) == [violation]
    assert one.model.verdict(patience_seconds=5, over_at=14) == []


def test_a_committed_turn_must_be_answered() -> None:
    one = client()
    one.detect(create_response=False)
    one.speak()
    one.run(30)

    (violation,) = one.model.verdict()
    assert violation.startswith("the turn item_")
    assert one.model.verdict(patience_seconds=60) == []


SAY = {"type": "message", "role": "system", "content": [{"type": "input_text", "text": "Sale."}]}


def test_what_was_asked_for_and_failed_must_be_asked_for_again() -> None:
    greeting = client("failed=1")
    create(greeting)
    greeting.run(20)
    (violation,) = greeting.model.verdict()
    assert violation == "the request at 0.00 s was never answered"
    create(greeting)
    assert greeting.model.verdict(patience_seconds=0) == []

    said = client("failed=2")
    create(said)
    said.say("conversation.item.create", item=SAY)
    create(said)
    assert [why[:11] for why in said.model.verdict(patience_seconds=5)] == ["the request"]


def test_a_request_that_was_refused_must_be_repeated_for_what_came_meanwhile() -> None:
    one = client()
    one.say("response.create")
    one.run(1)
    one.say("response.create")  # nothing is new: the first is the answer to it
    one.run(30)
    assert one.model.verdict(patience_seconds=5) == one.model.violations

    other = client()
    other.say("response.create")
    other.run(1)
    other.say("conversation.item.create", item=SAY)
    other.say("response.create")
    other.run(30)
    told = set(other.model.verdict(patience_seconds=5)) - set(other.model.violations)
    assert [why[:11] for why in told] == ["the request"]


def test_newer_speech_supersedes_a_turn() -> None:
    one = client()
    one.detect(create_response=False)
    one.speak()
    assert len(one.model.verdict(patience_seconds=0)) == 1

    one.append(voice(200))

    assert one.model.verdict(patience_seconds=0) == []


def test_a_failed_or_empty_answer_is_none() -> None:
    for fault in ("failed", "empty", "contentless", "written", "created-withheld"):
        one = client(fault)
        one.speak()
        one.run(20)
        assert len(one.model.verdict(patience_seconds=5)) == 1, fault

        create(one)
        assert one.model.verdict(patience_seconds=0) == [], fault


def test_an_answer_of_which_a_call_was_cut_off_is_asked_for_again() -> None:
    both = Reply(
        "One moment.", tool_calls=(ToolCallReply("one", '{"order": "a long one indeed"}'),)
    )
    one = client("incomplete=2", replies=(Reply("", tool_calls=CALLS), both, Reply("Here it is.")))
    create(one)
    output(one, 0)
    output(one, 1)
    create(one)
    one.run(20)
    last = one.of("response.done")[-1]["response"]
    assert [item["status"] for item in last["output"]] == ["completed", "incomplete"]
    (violation,) = one.model.verdict(patience_seconds=5)
    assert violation.endswith("was never answered")

    create(one)
    assert one.model.verdict(patience_seconds=0) == []


def test_four_failures_may_be_given_up() -> None:
    one = client("failed=1", "failed=2", "failed=3", "failed=4")
    one.speak()
    for tries in range(1, 4):
        one.run(10)
        assert one.model.verdict(patience_seconds=1) != [], tries
        create(one)

    assert one.model.verdict(patience_seconds=0) == []


def test_nothing_is_owed_to_a_session_the_service_has_lost() -> None:
    one = called()
    one.model = model = SimulatedModel(Knobs(session_limit=30))
    one = Client(model)
    one.detect(create_response=False)
    one.speak()
    one.run(40)

    assert model.closing is not None
    assert model.verdict(patience_seconds=0) == []


def test_restored_history_is_nobodys_debt() -> None:
    one = client()
    call = {"type": "function_call", "name": "f", "call_id": "call_old", "arguments": "{}"}
    one.say("conversation.item.create", item=call)
    item = {"type": "function_call_output", "call_id": "call_old", "output": ""}
    one.say("conversation.item.create", item=item)

    assert one.model.verdict(patience_seconds=0) == []

"""The door as the bridge itself sees it: every way of asking at the wrong time is found out."""

from typing import Any

import orjson
import pytest

from opusbridge.sim.door import (
    CANCEL_SECONDS,
    OWN_SECONDS,
    PROGRESS_SECONDS,
    REQUEST_SECONDS,
    DoorWatch,
)

OURS = ("response.create", "response.cancel", "conversation.item.create")


def text(kind: str, **fields: Any) -> str:
    return orjson.dumps({"type": kind, **fields}).decode()


def asked(token: str) -> str:
    return text("response.create", event_id=token)


def created(response_id: str, token: str | None = None, conversation: str | None = "conv") -> str:
    metadata = None if token is None else {"bridge_req": token}
    response = {"id": response_id, "conversation_id": conversation, "metadata": metadata}
    return text("response.created", response=response)


def done(response_id: str, status: str = "completed", *items: dict[str, Any]) -> str:
    response = {"id": response_id, "conversation_id": "conv", "metadata": None, "status": status}
    output = items or ({"type": "message", "status": status},)
    return text("response.done", response={**response, "output": output})


def refused(token: str | None, message: str = "Conversation already has an active response") -> str:
    return text("error", error={"message": message, "event_id": token})


def what_is_wrong(*said_and_heard: tuple[float, str]) -> list[str]:
    watch = DoorWatch()
    for at, message in said_and_heard:
        ours = orjson.loads(message)["type"] in OURS
        (watch.said if ours else watch.heard)(message, at)
    return [violation.partition(" for ")[2].rpartition(",")[0] for violation in watch.violations]


def test_one_after_the_other_is_well() -> None:
    assert (
        what_is_wrong(
            (0.0, asked("r1")),
            (0.1, created("a", "r1")),
            (1.0, done("a")),
            (1.0, asked("r2")),
            (1.1, refused("r2")),
            (1.2, asked("r3")),
        )
        == []
    )


def test_a_request_beside_one_that_is_unanswered_is_found_out() -> None:
    wrong = ["while a request was unanswered"]

    assert what_is_wrong((0.0, asked("r1")), (1.0, asked("r2"))) == wrong
    assert what_is_wrong((0.0, asked("r1")), (REQUEST_SECONDS, asked("r2"))) == []
    other = refused("something", "Cancellation failed: no active response found")
    assert what_is_wrong((0.0, asked("r1")), (0.5, other), (1.0, asked("r2"))) == wrong
    assert what_is_wrong((0.0, asked("r1")), (0.5, refused(None)), (1.0, asked("r2"))) == []


def test_a_request_beside_an_active_response_is_found_out_until_it_stands_still() -> None:
    begun = [(0.0, asked("r1")), (0.1, created("a", "r1"))]
    delta = (5.0, text("response.output_audio.delta", response_id="a"))
    wrong = ["while a response was active"]

    assert what_is_wrong(*begun, (PROGRESS_SECONDS, asked("r2"))) == wrong
    assert what_is_wrong(*begun, (PROGRESS_SECONDS + 0.1, asked("r2"))) == []
    assert what_is_wrong(*begun, delta, (PROGRESS_SECONDS + 0.1, asked("r2"))) == wrong


def test_a_response_the_model_began_by_itself_is_as_active_as_ours() -> None:
    assert what_is_wrong((0.0, created("a")), (1.0, asked("r1"))) == ["while a response was active"]
    out_of_band = created("a", conversation=None)
    assert what_is_wrong((0.0, out_of_band), (1.0, asked("r1"))) == []


def test_a_response_whose_created_was_lost_is_known_by_its_output() -> None:
    output = text("response.output_item.added", response_id="a")

    assert (
        what_is_wrong((0.0, asked("r1")), (0.5, output), (0.9, done("a")), (1.0, asked("r2"))) == []
    )
    assert what_is_wrong((0.0, asked("r1")), (0.5, output), (1.0, asked("r2"))) == [
        "while a response was active"
    ]


def test_a_request_between_a_cancel_and_its_done_is_found_out() -> None:
    begun = [
        (0.0, created("a")),
        (1.0, text("response.cancel", response_id="a")),
    ]

    assert what_is_wrong(*begun, (1.5, asked("r1"))) == ["between a cancel and its done"]
    assert what_is_wrong(*begun, (1.5, done("a")), (1.5, asked("r1"))) == []
    assert what_is_wrong(*begun, (1.0 + CANCEL_SECONDS, asked("r1"))) == []


def test_a_request_while_the_caller_speaks_is_found_out() -> None:
    began = (0.0, text("input_audio_buffer.speech_started"))
    stopped = (1.0, text("input_audio_buffer.speech_stopped"))

    assert what_is_wrong(began, (0.5, asked("r1"))) == ["while the caller was speaking"]
    assert what_is_wrong(began, stopped, (1.0, asked("r1"))) == []


def updated(creates: bool | None) -> str:
    turns = None if creates is None else {"create_response": creates}
    return text("session.updated", session={"audio": {"input": {"turn_detection": turns}}})


COMMITTED = text("input_audio_buffer.committed")


def test_a_request_while_a_turn_awaits_the_services_own_is_found_out() -> None:
    awaited = [(0.0, updated(True)), (0.0, COMMITTED)]
    wrong = ["while a turn awaited the service's own"]

    assert what_is_wrong(*awaited, (1.0, asked("r1"))) == wrong
    assert what_is_wrong(*awaited, (OWN_SECONDS, asked("r1"))) == []
    assert what_is_wrong(*awaited, (0.5, refused(None)), (1.0, asked("r1"))) == []
    own = [(0.1, created("a")), (0.5, done("a"))]
    assert what_is_wrong(*awaited, *own, (1.0, asked("r1"))) == []
    for creates in (False, None):
        assert what_is_wrong((0.0, updated(creates)), (0.0, COMMITTED), (1.0, asked("r1"))) == []


def test_while_a_response_is_active_the_service_may_not_answer_a_turn_by_itself() -> None:
    busy = [(0.0, updated(True)), (0.0, created("a")), (0.5, COMMITTED), (1.0, done("a"))]

    assert what_is_wrong(*busy, (1.0, asked("r1"))) == []


def called(response_id: str, *call_ids: str) -> list[tuple[float, str]]:
    """A response that is over, and what it called."""
    items = [{"type": "function_call", "status": "completed", "call_id": one} for one in call_ids]
    calls = [text("response.output_item.done", response_id=response_id, item=one) for one in items]
    return [(0.0, one) for one in (created(response_id), *calls, done(response_id))]


def output(call_id: str) -> str:
    item = {"type": "function_call_output", "call_id": call_id}
    return text("conversation.item.create", item=item)


TYPED = text("conversation.item.create", item={"type": "message"})


def test_a_request_for_half_a_batch_is_found_out() -> None:
    half = [*called("a", "call_1", "call_2"), (1.0, output("call_1"))]

    assert what_is_wrong(*half, (1.0, asked("r1"))) == ["before every tool call had its output"]
    assert what_is_wrong(*half, (1.0, output("call_2")), (1.0, asked("r1"))) == []
    for other in (COMMITTED, TYPED):
        assert what_is_wrong(*half, (1.0, other), (1.0, asked("r1"))) == []
    to_say = text("response.create", event_id="r1", response={"instructions": "Say that."})
    assert what_is_wrong(*half, (1.0, to_say)) == []


def test_a_second_answer_to_one_batch_is_found_out() -> None:
    batch = [*called("a", "call_1"), (1.0, output("call_1")), (1.0, asked("r1"))]
    answered = [*batch, (1.1, created("b", "r1")), (2.0, done("b", "completed", EMPTY, SPOKEN))]

    assert what_is_wrong(*answered, (3.0, asked("r2"))) == ["again for one batch of tool outputs"]
    for news in (COMMITTED, TYPED, output("restored")):
        assert what_is_wrong(*answered, (2.5, news), (3.0, asked("r2"))) == []


CUT_OFF = {"type": "function_call", "status": "incomplete"}
SPOKEN = {"type": "message", "status": "completed", "content": [{"type": "output_audio"}]}
WRITTEN = {"type": "message", "status": "completed", "content": [{"type": "output_text"}]}
EMPTY = {"type": "message", "status": "completed", "content": []}


@pytest.mark.parametrize(
    "came",
    [
        [created("b", "r1"), done("b", "failed")],
        [created("b", "r1"), done("b", "incomplete", CUT_OFF)],
        [created("b", "r1"), done("b", "incomplete", SPOKEN, CUT_OFF)],
        [created("b", "r1"), done("b", "completed", WRITTEN)],
        [created("b", "r1"), done("b", "completed", EMPTY)],
        [created("b", "r1"), text("response.cancel", response_id="b"), done("b")],
        [created("b", "r1"), text("response.cancel"), done("b")],
        [refused("r1")],
    ],
)
def test_a_batch_whose_answer_came_to_nothing_is_asked_for_again(came: list[str]) -> None:
    batch = [*called("a", "call_1"), (1.0, output("call_1")), (1.0, asked("r1"))]

    assert what_is_wrong(*batch, *((2.0, one) for one in came), (9.0, asked("r2"))) == []


def test_what_came_behind_the_request_is_not_answered_by_it() -> None:
    batch = [*called("a", "call_1", "call_2"), (1.0, output("call_1")), (1.0, COMMITTED)]
    late = [*batch, (1.0, asked("r1")), (1.1, output("call_2")), (1.2, created("b", "r1"))]

    assert what_is_wrong(*late, (2.0, done("b")), (2.0, asked("r2"))) == []


def test_with_its_session_everything_that_was_open_is_over() -> None:
    watch = DoorWatch()
    watch.said(asked("r1"), 0.0)
    watch.heard(created("a"), 0.1)
    watch.heard(text("input_audio_buffer.speech_started"), 0.2)
    watch.session_over()
    watch.said(asked("r2"), 0.3)

    assert watch.violations == []
    assert watch.requests == 2

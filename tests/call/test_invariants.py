"""The invariants watched in production: each breach is seen, and nothing that is right is one."""

from collections.abc import Iterable

import pytest

from opusbridge.call.invariants import LATEST, REMEMBERED, Invariants
from opusbridge.effects import (
    AddToolOutput,
    CancelResponse,
    ClearPlayout,
    CreateResponse,
    Effect,
    EndCall,
    Note,
    PlaceMark,
    ReplaceModel,
    TruncateItem,
)
from opusbridge.errors import ending
from opusbridge.events import (
    Event,
    ModelErred,
    ModelLost,
    ModelSpoke,
    OutputItemAdded,
    ResponseCreated,
    ResponseDone,
    SpeechStarted,
    SpeechStopped,
    TurnCommitted,
)
from opusbridge.privacy import Private
from opusbridge.sound import PCMU_8K, Audio

ASK, AGAIN = CreateResponse("request-1"), CreateResponse("request-2")
CREATED, DONE = ResponseCreated("resp_1", "request-1"), ResponseDone("resp_1", "completed")
SPEAKS, STOPS = SpeechStarted("u1", 0), SpeechStopped("u1", 500)
OUTPUT = AddToolOutput("output-1", "call_1", Private("found"))
BEGUN = OutputItemAdded("resp_1", "item_1", "message")


def said(ms: int, item_id: str = "item_1", part: int = 0) -> ModelSpoke:
    return ModelSpoke("resp_1", item_id, part, Audio.of(b"\x55" * 8 * ms, PCMU_8K))


def breaches(*story: Event | Effect) -> list[str]:
    return _all(Invariants(), story)


def _all(books: Invariants, story: Iterable[Event | Effect]) -> list[str]:
    notes = [note for what in story for note in books.observe(what, 1.0)]
    assert all(note.kind == "violation" for note in notes)
    return [note.reason for note in notes]


@pytest.mark.parametrize(
    ("story", "breach"),
    [
        ([ASK, AGAIN], "create-while-unanswered"),
        ([ASK, CREATED, AGAIN], "create-while-active"),
        ([ResponseCreated("resp_1"), AGAIN], "create-while-active"),
        ([ASK, CREATED, CancelResponse("resp_1"), AGAIN], "create-before-cancelled-done"),
        ([SPEAKS, ASK], "create-while-speaking"),
        ([OUTPUT, OUTPUT], "two-outputs-for-one-call"),
        ([said(100), TruncateItem("item_1", 0, 101)], "truncated-beyond-received"),
        ([said(100), TruncateItem("item_1", 1, 1)], "truncated-beyond-received"),
        ([PlaceMark("mark-2"), PlaceMark("mark-2")], "mark-reused"),
        ([PlaceMark("mark-2"), PlaceMark("mark-1")], "mark-reused"),
        ([EndCall(ending("unknown")), EndCall(ending("unknown"))], "two-endings"),
    ],
)
def test_a_breach_is_seen(story: list[Event | Effect], breach: str) -> None:
    assert breaches(*story) == [breach]


@pytest.mark.parametrize(
    "story",
    [
        [ASK, CREATED, DONE, AGAIN],
        [ASK, CREATED, CancelResponse("resp_1"), DONE, AGAIN],
        [CancelResponse(None), ASK],
        # The model may not say whose it is; another one may come instead of the one we know.
        [ASK, ResponseCreated("resp_1"), DONE, AGAIN],
        [ASK, CREATED, ResponseCreated("resp_2"), ResponseDone("resp_2", "completed"), AGAIN],
        # Out of band holds no slot.
        [ASK, CREATED, DONE, ResponseCreated("resp_2", None, in_conversation=False), AGAIN],
        # Its announcement was lost, but not it.
        [ASK, BEGUN, DONE, AGAIN],
        [ASK, DONE, AGAIN],
        # Refused, by name or not.
        [ASK, ModelErred("x", about="response.create"), AGAIN],
        [ASK, ModelErred(None, response_active=True), AGAIN],
        # A watchdog declared over what was left open.
        [ASK, Note("watchdog", "request", ("request-1",)), AGAIN],
        [ASK, CREATED, Note("watchdog", "response", ("resp_1",)), AGAIN],
        [ASK, CREATED, CancelResponse("resp_1"), Note("watchdog", "cancel", ("resp_1",)), AGAIN],
        [SPEAKS, STOPS, ASK],
        [SPEAKS, TurnCommitted("u1"), ASK],
        [OUTPUT, AddToolOutput("output-2", "call_2", Private("found"))],
        [said(60), said(40), TruncateItem("item_1", 0, 100)],
        [PlaceMark("mark-1"), PlaceMark("mark-2")],
    ],
)
def test_what_is_right_is_no_breach(story: list[Event | Effect]) -> None:
    assert breaches(*story) == []


@pytest.mark.parametrize(
    "story",
    [
        [ASK, ResponseCreated("resp_1", "request-0"), ResponseDone("resp_1", "failed"), AGAIN],
        [ASK, ModelErred("x", about="session.update"), AGAIN],
        [ASK, Note("watchdog", "commit", ("request-1",)), AGAIN],
        [ASK, Note("retry"), AGAIN],
        [ASK, CREATED, ResponseDone("resp_0", "completed"), AGAIN],
    ],
)
def test_what_answers_something_else_leaves_a_request_open(story: list[Event | Effect]) -> None:
    assert len(breaches(*story)) == 1


@pytest.mark.parametrize("over", [ModelLost("model-lost"), ReplaceModel("model-silent")])
def test_with_a_session_everything_that_was_open_in_it_is_over(over: Event | Effect) -> None:
    cancelled = ResponseCreated("resp_1"), CancelResponse("resp_1")

    assert breaches(OUTPUT, SPEAKS, *cancelled, over, ASK, OUTPUT) == []
    assert breaches(ASK, over, AGAIN) == []


def test_what_concerns_nothing_it_watches_is_passed_over() -> None:
    assert breaches(Note("hold"), ClearPlayout()) == []


def test_of_tool_calls_and_responses_the_latest_are_remembered() -> None:
    books = Invariants()
    outputs = [AddToolOutput("output", f"call_{n}", Private("")) for n in range(REMEMBERED + 1)]
    assert _all(books, outputs) == []
    assert _all(books, [outputs[-1], outputs[1]]) == ["two-outputs-for-one-call"] * 2
    assert _all(books, [outputs[0]]) == []

    created = [ResponseCreated(f"resp_{n}", in_conversation=False) for n in range(LATEST)]
    assert _all(books, [ResponseCreated("resp"), ASK, *created]) == ["create-while-active"]
    assert _all(books, [ResponseDone("resp", "completed"), AGAIN]) == []  # forgotten: it answers


def test_of_sound_the_latest_parts_are_remembered() -> None:
    books = Invariants()
    parts = [said(100, f"item_{n}") for n in range(LATEST + 10)]

    assert _all(books, parts) == []
    assert _all(books, [TruncateItem(f"item_{LATEST + 9}", 0, 100)]) == []
    assert _all(books, [TruncateItem("item_0", 0, 100)]) == ["truncated-beyond-received"]

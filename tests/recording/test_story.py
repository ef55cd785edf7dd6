from typing import Any

import pytest

from opusbridge.effects import NOTES
from opusbridge.recording.facts import NAMES
from opusbridge.recording.story import MARKS, Mark, Span, read_story

Line = dict[str, Any]


def model_said(t: float, kind: str, **rest: Any) -> Line:
    return {"t": t, "peer": "model", "dir": "in", "text": {"type": kind, **rest}}


def asked(t: float, token: str, **metadata: str) -> Line:
    response = {"metadata": {"token": token, **metadata}}
    text = {"type": "response.create", "event_id": token, "response": response}
    return {"t": t, "peer": "model", "dir": "out", "text": text}


def created(
    t: float, response_id: str, token: str | None = None, conversation_id: str | None = None
) -> Line:
    metadata = token and {"token": token}
    response = {"id": response_id, "conversation_id": conversation_id, "metadata": metadata}
    return model_said(t, "response.created", response=response)


def done(t: float, response_id: str, status: str, **details: str) -> Line:
    response = {"id": response_id, "status": status, "status_details": details or None}
    return model_said(t, "response.done", response=response)


def test_a_request_lasts_until_the_response_that_answers_it_and_that_until_its_done() -> None:
    story = read_story(
        [
            asked(1.0, "r1", why="greeting"),
            created(1.5, "resp_1", "r1"),
            done(3, "resp_1", "completed"),
        ]
    )

    assert story.requests == [Span(1.0, 1.5, "request", "request", "token: r1, why: greeting")]
    assert story.responses == [Span(1.5, 3.0, "completed", "resp_1", "completed")]
    assert story.ends_at == 3.0


def test_a_response_the_model_began_by_itself_answers_no_request() -> None:
    story = read_story([asked(1.0, "r1"), created(1.5, "resp_1")])

    assert [span.end for span in story.requests] == [None]
    assert story.responses[0].details == "begun by the model itself"


def test_a_refused_request_ends_with_the_refusal() -> None:
    error = {"code": "conversation_already_has_active_response", "event_id": "r1"}
    story = read_story([asked(1.0, "r1"), model_said(1.2, "error", error=error)])

    (span,) = story.requests
    assert (span.end, span.kind, span.details) == (1.2, "refused", error["code"])


def conflict(t: float, *ids: str) -> Line:
    return {"t": t, "note": "conflict", "reason": "sent", "ids": [*ids]}


def test_a_refusal_that_names_no_request_ends_the_one_that_waits() -> None:
    error = {"code": "conversation_already_has_active_response", "event_id": None}
    refused = model_said(1.2, "error", error=error)
    over = {"t": 9.0, "note": "ended", "outcome": "completed", "reason": "caller-hung-up"}
    story = read_story([asked(1.0, "r1"), refused, conflict(1.2, "r1", "resp_0"), over])

    (span,) = story.requests
    assert (span.end, span.kind, span.details) == (1.2, "refused", error["code"])
    assert read_story([refused, conflict(1.2, "resp_0"), conflict(1.3)]).requests == []


def test_a_refusal_of_a_request_that_is_past_leaves_the_one_that_waits_open() -> None:
    named, other = {"event_id": "r1"}, {"code": "invalid_value"}
    story = read_story(
        [
            model_said(0.9, "error", error=other),
            asked(1.0, "r1"),
            asked(1.5, "r2"),
            model_said(1.6, "error", error=named),
            conflict(1.6, "r2", "r1"),
        ]
    )

    assert [(span.end, span.kind) for span in story.requests] == [
        (1.6, "refused"),
        (None, "request"),
    ]


def test_a_request_that_was_taken_up_after_all_was_not_refused() -> None:
    """The refusal may have been that of a response the model meant to begin by itself."""
    refused = model_said(1.2, "error", error={"code": "conversation_already_has_active_response"})
    story = read_story(
        [asked(1.0, "r1", why="turn"), refused, conflict(1.2, "r1"), created(1.4, "a", "r1")]
    )

    assert story.requests == [Span(1.0, 1.4, "request", "request", "token: r1, why: turn")]
    assert story.responses[0].details == ""


def test_a_response_whose_done_never_came_ends_where_the_next_takes_its_place() -> None:
    story = read_story(
        [
            created(1.0, "a", conversation_id="conv"),
            created(1.5, "beside"),
            created(4.0, "b", conversation_id="conv"),
            done(4.5, "a", "completed"),
            done(5.0, "beside", "completed"),
            created(6.0, "c", conversation_id="conv"),
        ]
    )

    assert [(span.label, span.end, span.kind) for span in story.responses] == [
        ("a", 4.0, "lost"),
        ("beside", 5.0, "completed"),
        ("b", 6.0, "lost"),
        ("c", None, "active"),
    ]


def test_a_request_that_was_given_up_ends_where_it_is_repeated() -> None:
    story = read_story([asked(1.0, "r1"), asked(6.0, "r2"), created(6.5, "b", "r2")])
    late = read_story([asked(1.0, "r1"), asked(6.0, "r2"), created(6.5, "a", "r1")])

    assert [(span.end, span.kind) for span in story.requests] == [(6.0, "lost"), (6.5, "request")]
    assert [(span.end, span.kind) for span in late.requests] == [
        (6.5, "request"),
        (None, "request"),
    ]


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        ("cancelled", "cancelled"),
        ("failed", "failed"),
        ("incomplete", "incomplete"),
        ("?", "incomplete"),
    ],
)
def test_how_a_response_ended_is_told(status: str, kind: str) -> None:
    story = read_story([created(1.0, "a"), done(2.0, "a", status, reason="turn_detected")])

    (span,) = story.responses
    assert (span.kind, span.end) == (kind, 2.0)
    assert span.details.endswith("turn_detected")


def test_what_is_missing_is_left_open() -> None:
    story = read_story(
        [
            done(0.5, "never begun", "completed"),
            model_said(0.6, "input_audio_buffer.speech_stopped"),
            model_said(0.7, "error"),
            model_said(1.0, "input_audio_buffer.speech_started"),
            {"t": 2.0, "note": "tool-finished", "ids": ["never started"]},
            {"t": 2.5, "note": "tool-started", "ids": [], "reason": "lookup"},
        ]
    )

    assert [span.end for span in story.speech] == [None]
    assert [span.end for span in story.tools] == [None]
    assert story.responses == []


def test_speech_tools_and_waits_are_stretches() -> None:
    story = read_story(
        [
            model_said(1.0, "input_audio_buffer.speech_started"),
            model_said(2.0, "input_audio_buffer.speech_stopped"),
            {"t": 3.0, "note": "tool-started", "ids": ["c"], "reason": "lookup"},
            {"t": 3.5, "note": "tool-started", "ids": ["d"], "reason": "lookup"},
            {"t": 4.0, "note": "tool-finished", "ids": ["c"], "reason": ""},
            {"t": 4.5, "note": "tool-finished", "ids": ["d"], "reason": "failed"},
            {"t": 5.0, "note": "pending-wait", "value": 0.75, "reason": "turn"},
            {"t": 5.0, "note": "pending-wait", "value": "nonsense"},
        ]
    )

    assert [(span.start, span.end) for span in story.speech] == [(1.0, 2.0)]
    assert [(span.end, span.kind) for span in story.tools] == [(4.0, "tool"), (4.5, "tool-failed")]
    assert [(span.start, span.end) for span in story.waits] == [(4.25, 5.0), (5.0, 5.0)]


def mcp(t: float, kind: str, item_id: str = "mcp_1") -> Line:
    return model_said(t, f"response.mcp_call.{kind}", item_id=item_id)


def begun(t: float, **item: str) -> Line:
    item = {"type": "mcp_call", **item}
    return model_said(t, "response.output_item.added", response_id="resp_1", item=item)


@pytest.mark.parametrize(("how", "kind"), [("completed", "tool"), ("failed", "tool-failed")])
def test_a_tool_of_an_mcp_server_is_a_stretch_like_the_agents_own(how: str, kind: str) -> None:
    story = read_story(
        [begun(1.0, id="mcp_1", name="look_up"), mcp(1.5, "in_progress"), mcp(9.5, how)]
    )

    assert story.tools == [Span(1.5, 9.5, kind, "look_up", "mcp_1")]


@pytest.mark.parametrize(
    "over",
    [
        model_said(4.0, "response.output_item.done", item={"id": "mcp_1", "status": "incomplete"}),
        {"t": 4.0, "note": "mcp", "reason": "overdue", "ids": ["mcp_1"]},
        {"t": 4.0, "note": "model-lost", "reason": "model-lost"},
    ],
    ids=["cut off", "given up", "session lost"],
)
def test_a_tool_of_an_mcp_server_that_never_ends_is_lost(over: Line) -> None:
    story = read_story([mcp(1.5, "in_progress"), over, mcp(5.0, "completed")])

    assert story.tools == [Span(1.5, 4.0, "lost", "mcp", "mcp_1")]


@pytest.mark.parametrize("status", ["cancelled", "failed"])
def test_a_tool_of_an_mcp_server_is_over_with_the_response_that_was_done(status: str) -> None:
    story = read_story(
        [
            begun(1.0, id="mcp_1", name="look_up"),
            mcp(1.2, "in_progress"),
            done(1.5, "resp_0", status),
            done(2.0, "resp_1", status),
            {"t": 300.0, "note": "ended", "outcome": "caller", "reason": "caller-hung-up"},
        ]
    )

    assert story.tools == [Span(1.2, 2.0, "lost", "look_up", "mcp_1")]


def test_a_tool_of_an_mcp_server_may_outlive_its_response() -> None:
    called = [begun(1.0, id="mcp_1", name="look_up"), mcp(1.2, "in_progress")]
    for status in ("completed", "cancelled"):
        story = read_story([*called, done(2.0, "resp_1", status), mcp(5.0, "completed")])

        assert story.tools == [Span(1.2, 5.0, "tool", "look_up", "mcp_1")], status


def test_notes_become_marks_and_unknown_ones_do_not() -> None:
    story = read_story(
        [
            {"t": 1.0, "note": "barge-in", "reason": "", "ids": None},
            {"t": 2.0, "note": "watchdog", "reason": "created"},
            {"t": 3.0, "note": "something-new"},
        ]
    )

    assert story.marks == [Mark(1.0, "caller", "barge-in"), Mark(2.0, "bad", "watchdog: created")]


def test_what_a_lost_session_owed_ends_with_it() -> None:
    story = read_story(
        [
            asked(1.0, "r1"),
            created(1.5, "a", "r1"),
            asked(2.0, "r2"),
            model_said(2.5, "input_audio_buffer.speech_started"),
            {"t": 3.0, "note": "model-lost", "reason": "model-lost"},
            asked(4.0, "r3"),
            created(4.5, "b", "r3"),
            {"t": 5.0, "note": "ended", "outcome": "completed", "reason": "caller-hung-up"},
            done(6.0, "b", "completed"),
        ]
    )

    assert [(span.end, span.kind) for span in story.responses] == [(3.0, "lost"), (5.0, "lost")]
    assert [(span.end, span.kind) for span in story.requests] == [
        *((1.5, "request"), (3.0, "lost"), (4.5, "request"))
    ]
    assert [(span.start, span.end) for span in story.speech] == [(2.5, 3.0)]
    assert (story.outcome, story.reason) == ("completed", "caller-hung-up")


@pytest.mark.parametrize(
    ("reason", "kind"), [("agent-hung-up", "plain"), ("telephony-lost", "bad")]
)
def test_a_line_that_goes_when_the_call_is_over_is_no_loss(reason: str, kind: str) -> None:
    story = read_story(
        [
            {"t": 2.0, "note": "telephony-lost"},
            {"t": 2.0, "note": "ended", "outcome": "completed", "reason": reason},
        ]
    )

    assert [mark.kind for mark in story.marks] == [kind, "end"]


def test_a_line_that_leaves_with_a_transfer_is_told_as_that() -> None:
    story = read_story(
        [
            {"t": 2.0, "note": "telephony-lost"},
            {"t": 2.0, "note": "ended", "outcome": "completed", "reason": "transferred"},
        ]
    )

    assert [mark.label for mark in story.marks] == [
        "line left with the transfer",
        "ended: transferred",
    ]


@pytest.mark.parametrize(
    "line",
    [
        {},
        {"t": "soon", "note": "barge-in"},
        {"t": 1.0, "peer": "telephony", "dir": "in", "text": {"type": "response.created"}},
        {"t": 1.0, "peer": "model", "dir": "in", "text": "raw"},
        {"t": 1.0, "peer": "model", "dir": "in", "media": "response.output_audio.delta"},
        {"t": 1.0, "peer": "model", "dir": "out", "text": {"type": "session.update"}},
        {"t": 1.0, "peer": "model", "dir": "in", "text": {}},
    ],
)
def test_what_tells_nothing_is_passed_over(line: Line) -> None:
    story = read_story([line])

    assert not any(
        (story.speech, story.requests, story.responses, story.waits, story.tools, story.marks)
    )


#: Notes that are drawn as stretches of time, not as marks.
STRETCHES = frozenset({"tool-started", "tool-finished", "pending-wait"})


def test_every_note_that_is_drawn_can_occur() -> None:
    the_recorders_own = {"flight-gap", "flight-full"}
    can_occur = {*NOTES, *NAMES.values(), *the_recorders_own}

    assert set(MARKS) | STRETCHES <= can_occur


#: What other lanes and the tables of the page show, or what nobody misses.
NOT_DRAWN = {
    *("pending", "paused", "resumed", "false-interruption", "speech-ended", "turn-latency"),
    *("turn-interval", "withheld", "refused", "gap-filled", "stray", "unknown-message"),
}


def test_every_note_is_drawn_or_known_not_to_be() -> None:
    assert set(NOTES) - set(MARKS) - STRETCHES == NOT_DRAWN


def test_whatever_happened_beside_the_sockets_is_drawn_under_a_name_of_its_own() -> None:
    names = sorted(NAMES.values())

    assert names == sorted(set(names)), "two facts under one name cannot be told apart"
    assert set(names) <= set(MARKS) | STRETCHES


def test_a_name_of_a_fact_is_no_note_s_name_as_well() -> None:
    assert not set(NAMES.values()) & set(NOTES)

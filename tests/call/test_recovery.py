"""Recovery word for word: the texts a server would send, and the texts it gets.

For what the simulated model would never do: refuse what is right, lock a voice, lose its
memory. Whole calls with it are in ``test_replacement``.
"""

from collections.abc import Callable
from typing import Any

import orjson
import pytest

from opusbridge import effects, events
from opusbridge.call.call import Call
from opusbridge.call.engine import Engine, Outgoing
from opusbridge.call.history import CONTINUE
from opusbridge.call.model_side import MOST_SERVER_ERRORS
from opusbridge.call.policy import TWILIO, CallPolicy
from opusbridge.call.rescue import MOST_IN_A_ROW, PAUSES, READY_SECONDS
from opusbridge.effects import Effect, Note, SessionConfig, TurnDetection
from opusbridge.privacy import Private
from opusbridge.protocols.realtime import RealtimeProtocol
from opusbridge.protocols.twilio import TwilioProtocol
from opusbridge.sound import PCMU_8K
from tests.call.replacing import CLIPS, WORDS

SESSION = SessionConfig(
    "Be kind.", PCMU_8K, turn_detection=TurnDetection("server_vad", False, True)
)
POLICY = CallPolicy(TWILIO, SESSION, clips=CLIPS, clip_words=WORDS)
FORMAT = {"format": {"type": "audio/pcmu"}}
START = {
    "streamSid": "MZ1",
    "accountSid": "AC1",
    "callSid": "CA1",
    "mediaFormat": {"encoding": "audio/x-mulaw", "sampleRate": 8000, "channels": 1},
}
SECOND = "V" * 10_666 + "VV"  # of G.711 in base64, about


class Line:
    """An engine on Twilio with a server that says what it is told to say."""

    def __init__(self, policy: CallPolicy = POLICY) -> None:
        self.engine = Engine(Call(policy, 0.0), TwilioProtocol(), RealtimeProtocol())
        self.now = 1.0
        self.to_model: list[dict[str, Any]] = []
        self.done: list[Effect] = []
        start = {"event": "start", "streamSid": "MZ1", "start": START}
        self._take(self.engine.telephony_said(orjson.dumps(start).decode(), self.now))
        self.session()

    def session(self) -> None:
        """Another one, ready."""
        self.says("session.created", session={"id": "sess_1"})
        self.says("session.updated", session={"audio": {"input": FORMAT, "output": FORMAT}})

    def says(self, type: str, **body: Any) -> list[dict[str, Any]]:
        """What the model was told because of it."""
        before = len(self.to_model)
        text = orjson.dumps({"type": type, **body}).decode()
        self._take(self.engine.model_said(text, self.now))
        return self.to_model[before:]

    def refuses(self, code: str | None, event_id: str | None = None) -> list[dict[str, Any]]:
        error = {"type": "invalid_request_error", "code": code, "message": "no"}
        return self.says("error", error={**error, "param": None, "event_id": event_id})

    def happens(self, event: events.FromShell) -> list[dict[str, Any]]:
        before = len(self.to_model)
        self._take(self.engine.happened(event, self.now))
        return self.to_model[before:]

    def loses(self, permanent: bool = False) -> None:
        self._take(self.engine.happened(events.ModelLost("model-lost", permanent), self.now))

    def waits(self, seconds: float) -> None:
        until, rings = self.now + seconds, 0
        while (due := self.engine.deadline) is not None and due <= until:
            rings += 1
            assert rings < 1000, "a deadline that stays in the past"
            self.now = max(due, self.now)
            self._take(self.engine.happened(events.DeadlineReached(), self.now))
        self.now = until

    def notes(self, kind: str) -> list[Note]:
        return [what for what in self.done if isinstance(what, Note) and what.kind == kind]

    def replaced(self) -> int:
        return sum(isinstance(what, effects.ReplaceModel) for what in self.done)

    # --- A turn, and an answer to it ----------------------------------------------------

    def asks(self, item_id: str = "u1") -> str:
        """The caller does, and the bridge for him; the token of its request."""
        self.says("input_audio_buffer.speech_started", item_id=item_id, audio_start_ms=0)
        self.says("input_audio_buffer.speech_stopped", item_id=item_id, audio_end_ms=500)
        told = self.says("input_audio_buffer.committed", item_id=item_id, previous_item_id=None)
        (request,) = (text for text in told if text["type"] == "response.create")
        return str(request["event_id"])

    def begins(self, token: str, response_id: str = "resp_1") -> None:
        metadata = {"bridge_req": token}
        response = {"id": response_id, "status": "in_progress", "conversation_id": "conv"}
        self.says("response.created", response={**response, "metadata": metadata})

    def speaks(
        self, words: str, seconds: int = 1, item_id: str = "a1", response_id: str = "resp_1"
    ) -> None:
        where = {"response_id": response_id, "item_id": item_id, "content_index": 0}
        if words:
            self.says("response.output_audio_transcript.delta", **where, delta=words)
        for _ in range(seconds):
            self.says("response.output_audio.delta", **where, delta=SECOND)

    def calls_a_tool(self, response_id: str = "resp_1") -> None:
        item = {"id": "f1", "type": "function_call", "call_id": "call_1", "name": "look_up"}
        item |= {"arguments": "{}", "status": "completed"}
        self.says("response.output_item.done", response_id=response_id, item=item)

    def ends(self, response_id: str = "resp_1", status: str = "completed") -> list[dict[str, Any]]:
        output = [{"id": "a1", "type": "message"}]
        response = {"id": response_id, "status": status, "conversation_id": "conv"}
        return self.says("response.done", response={**response, "output": output})

    def fails(self, response_id: str) -> None:
        """After a first blip of its sound."""
        self.speaks("Your", 1, f"a_{response_id}", response_id)
        response = {"id": response_id, "status": "failed", "conversation_id": "conv", "output": []}
        details = {"type": "failed", "error": {"type": "server_error", "code": "server_error"}}
        self.says("response.done", response={**response, "status_details": details})

    def _take(self, out: Outgoing) -> None:
        self.to_model += [orjson.loads(text) for text in out.to_model]
        self.done += out.effects


def types(told: list[dict[str, Any]]) -> list[str]:
    return [text["type"] for text in told]


def items(told: list[dict[str, Any]]) -> list[tuple[str, str]]:
    """Of what the model was told, the items: their role or type, and the text."""
    made = [text["item"] for text in told if text["type"] == "conversation.item.create"]
    return [
        (item["role"], item["content"][0]["text"])
        if item["type"] == "message"
        else (item["type"], item["call_id"])
        for item in made
    ]


FOUND = events.ToolFinished("call_1", Private('{"found": 7}'), failed=False)


# --- What is refused --------------------------------------------------------------------


def test_a_refused_tool_output_is_told_in_words_and_an_answer_to_it_asked_for() -> None:
    line = Line()
    line.begins(line.asks())
    line.calls_a_tool()
    line.ends()
    told = line.happens(FOUND)
    assert types(told) == ["conversation.item.create", "response.create"]

    repaired = line.refuses("invalid_tool_call_id", told[0]["event_id"])

    assert items(repaired) == [("system", 'The tool look_up gave this result: {"found": 7}')]
    assert [note.kind for note in line.notes("repaired")] == ["repaired"]
    # The request sent with the output does not know of these words: they wait for one more.
    line.begins(told[1]["event_id"], "resp_2")
    line.speaks("One moment.", 1, "a2", "resp_2")
    assert types(line.ends("resp_2")) == ["response.create"]


def test_a_refusal_that_names_no_item_or_none_of_a_tool_repairs_nothing() -> None:
    line = Line()
    keyed = line.happens(events.TextInjected(Private("Mention the sale.")))

    assert line.refuses("invalid_tool_call_id") == []
    assert line.refuses("invalid_value", keyed[0]["event_id"]) == []
    assert line.notes("repaired") == []


def test_an_error_nobody_has_heard_of_is_survived_and_told_once() -> None:
    line = Line()
    for _ in range(3):
        assert line.refuses("never_heard_of") == []

    assert [note.reason for note in line.notes("unknown-error")] == ["never_heard_of"]
    assert len(line.notes("refused")) == 3
    assert line.asks() != ""


def test_a_locked_voice_is_left_out_and_the_session_is_ours() -> None:
    line = Line()

    (update,) = line.refuses("cannot_update_voice")

    assert update["type"] == "session.update"
    assert "voice" not in update["session"]["audio"]["output"]
    assert line.engine.ended is None


def test_an_account_that_is_empty_ends_the_call_aloud() -> None:
    line = Line()
    line.refuses("insufficient_quota")
    line.waits(10.0)

    assert effects.HangUp("model-refused-us") in line.done
    assert line.replaced() == 0


@pytest.mark.parametrize("alive", [True, False])
def test_sessions_that_take_no_settings_are_replaced_until_the_grace_is_over(alive: bool) -> None:
    line = Line()
    line.loses()
    assert line.replaced() == 1
    if alive:
        line.says("session.created", session={"id": "sess_2"})

    line.waits(READY_SECONDS + 1.0)

    assert line.replaced() == 2
    line.waits(30.0)
    # The grace counts from the first loss.
    assert line.replaced() == 1 + 30.0 // READY_SECONDS
    assert effects.HangUp("model-silent") in line.done


def test_settings_that_a_new_session_refuses_for_now_are_sent_again_and_then_to_another() -> None:
    line = Line()
    line.loses()
    told = line.says("session.created", session={"id": "sess_2"})
    for _ in range(MOST_SERVER_ERRORS - 1):
        told = line.refuses("server_error", told[0]["event_id"])
        assert types(told) == ["session.update"]
    assert line.replaced() == 1

    assert line.refuses("server_error", told[0]["event_id"]) == []
    line.waits(PAUSES[0])

    assert line.replaced() == 2
    line.session()
    assert line.asks() != ""


def test_a_session_that_is_there_again_is_told_once_however_often_it_was_dialled() -> None:
    line = Line()
    line.loses()
    line.loses()
    line.waits(PAUSES[0])
    assert (line.replaced(), line.notes("model-back")) == (2, [])

    line.session()

    assert line.notes("model-back") == [Note("model-back", "model-lost")]


@pytest.mark.parametrize(
    "kind", ["response.function_call_arguments.delta", "response.mcp_call_arguments.delta"]
)
def test_a_response_that_writes_to_a_tool_for_long_is_no_silent_one(kind: str) -> None:
    line = Line()
    line.begins(line.asks())
    item = {"id": "f1", "type": "function_call", "status": "in_progress"}
    line.says("response.output_item.added", response_id="resp_1", item=item)

    for _ in range(50):
        line.waits(0.5)
        line.says(kind, response_id="resp_1", item_id="f1", delta='{"')

    assert "response.cancel" not in types(line.to_model)
    assert line.notes("watchdog") == []


def is_heard(line: Line, token: str, response_id: str) -> None:
    """A second of it."""
    line.begins(token, response_id)
    line.speaks("Your order left our house.", 5, f"item_{response_id}", response_id)
    line.waits(1.0)


def test_sessions_lost_after_the_caller_cut_in_on_their_answers_did_give_answers() -> None:
    line = Line()
    token = line.asks()
    for nth in range(5):
        is_heard(line, token, f"resp_{nth}")
        line.says("input_audio_buffer.speech_started", item_id=f"v{nth}", audio_start_ms=0)
        line.ends(f"resp_{nth}", "cancelled")
        line.loses()
        line.session()
        token = line.to_model[-1]["event_id"]  # what he began to say there is asked about

    assert line.replaced() == 5
    assert not line.engine.call.departure.under_way


def test_so_did_those_lost_in_the_middle_of_them() -> None:
    line = Line()
    for nth in range(3):
        is_heard(line, line.asks(f"u{nth}"), f"resp_{nth}")
        line.loses()
        line.session()
        is_heard(line, line.to_model[-1]["event_id"], f"rest_{nth}")
        line.loses()
        line.session()

    assert line.replaced() == 6
    assert not line.engine.call.departure.under_way


def test_one_that_cuts_off_every_answer_before_its_first_word_is_not_replaced_for_ever() -> None:
    line = Line()
    line.asks()
    for nth in range(3):
        line.begins(line.to_model[-1]["event_id"], f"resp_{nth}")
        line.speaks("", 1, f"a{nth}", f"resp_{nth}")
        line.loses()
        line.session()

    assert line.replaced() == 2
    assert line.engine.call.departure.under_way


def is_not_heard(line: Line, response_id: str) -> None:
    """Though it says of itself that all is well."""
    part = {"type": "output_audio", "transcript": "Hi"}
    message = {"id": "a1", "type": "message", "status": "completed", "content": [part]}
    response = {"id": response_id, "status": "completed", "conversation_id": "conv"}
    line.says("response.done", response={**response, "output": [message]})


def is_cut_off(line: Line, response_id: str, status: str = "incomplete") -> None:
    """Before it could use the tool it speaks of."""
    line.speaks("One moment.", 1, f"a_{response_id}", response_id)
    if status == "cancelled":
        line.says("input_audio_buffer.speech_started", item_id=f"b_{response_id}", audio_start_ms=0)
    call = {"id": "f1", "type": "function_call", "name": "look_up", "status": "incomplete"}
    response = {"id": response_id, "status": status, "conversation_id": "conv"}
    line.says("response.done", response={**response, "output": [call]})


@pytest.mark.parametrize("comes_to_nothing", [Line.fails, is_not_heard, is_cut_off])
def test_sessions_lost_after_what_was_no_answer_are_not_replaced_for_ever(
    comes_to_nothing: Callable[[Line, str], None],
) -> None:
    line = Line()
    token = line.asks()
    for nth in range(3):
        line.begins(token, f"resp_{nth}")
        comes_to_nothing(line, f"resp_{nth}")
        line.loses()
        line.session()
        token = line.to_model[-1].get("event_id", "")

    assert line.replaced() == 2
    assert line.engine.call.departure.under_way


def test_but_one_that_the_caller_cut_there_was_an_answer() -> None:
    line = Line()
    line.asks()
    for nth in range(3):
        line.begins(line.to_model[-1]["event_id"], f"resp_{nth}")
        is_cut_off(line, f"resp_{nth}", "cancelled")
        line.loses()
        line.session()

    assert line.replaced() == 3
    assert not line.engine.call.departure.under_way


def test_nor_is_a_server_that_fails_in_the_middle_of_every_answer_asked_for_ever() -> None:
    line = Line()
    line.asks()
    most = (MOST_IN_A_ROW + 1) * MOST_SERVER_ERRORS + 1
    for nth in range(most):
        line.begins(line.to_model[-1]["event_id"], f"resp_{nth}")
        before = line.replaced()
        line.fails(f"resp_{nth}")
        if line.replaced() > before:
            line.session()
        else:
            line.waits(POLICY.responses.backoff[nth % MOST_SERVER_ERRORS])

    assert line.replaced() == MOST_IN_A_ROW
    assert line.notes("apology")


# --- What is restored -------------------------------------------------------------------


def test_an_answer_whose_words_never_came_is_asked_for_anew_not_continued() -> None:
    line = Line()
    line.begins(line.asks())
    line.speaks("", seconds=1)
    line.loses()
    line.to_model.clear()

    line.session()

    assert ("system", CONTINUE) not in items(line.to_model)
    assert line.to_model[-1]["response"]["metadata"]["why"] == "turn"


def test_an_answer_that_was_all_said_is_not_owed_any_more() -> None:
    line = Line()
    line.begins(line.asks())
    line.speaks("All right.", seconds=1)
    line.says("response.output_audio.done", response_id="resp_1", item_id="a1", content_index=0)
    line.loses()
    line.to_model.clear()

    line.session()

    assert "response.create" not in types(line.to_model)
    assert items(line.to_model)[1:] == [("assistant", "All right.")]


def test_after_a_tool_call_the_reply_to_it_is_the_continuation() -> None:
    line = Line()
    line.begins(line.asks())
    line.speaks("Let me see.", seconds=1)
    line.calls_a_tool()
    second = {"id": "f2", "type": "function_call", "call_id": "call_2", "name": "look_up"}
    line.says("response.output_item.added", response_id="resp_1", item=second)
    line.loses()
    line.to_model.clear()

    line.session()

    assert items(line.to_model)[1:] == [
        ("assistant", "Let me see."),
        ("function_call", "call_1"),
    ]
    assert "response.create" not in types(line.to_model)
    assert types(line.happens(FOUND)) == ["conversation.item.create", "response.create"]


def test_speech_over_a_restored_answer_leaves_in_the_session_what_was_heard() -> None:
    line = Line()
    line.begins(line.asks())
    line.speaks("One two three four five six seven eight.", seconds=8)
    line.ends()
    line.loses()
    line.session()
    line.says(
        "conversation.item.added",
        previous_item_id="reconnected",
        item={"id": "a1", "type": "message", "role": "assistant"},
    )
    line.waits(4.0)

    told = line.says("input_audio_buffer.speech_started", item_id="u2", audio_start_ms=0)

    assert types(told) == ["conversation.item.delete", "conversation.item.create"]
    ((role, heard),) = items(told)
    assert role == "assistant"
    assert heard.startswith("One two")
    assert "eight" not in heard
    talk = line.engine.call.conversation
    assert talk is not None
    shown = talk.transcript.snapshot("")["items"]
    assert [item["item_id"] for item in shown] == ["u1", "a1", "u2"]


def test_what_is_cut_while_there_is_no_session_is_told_to_the_next_as_it_was_heard() -> None:
    line = Line()
    line.begins(line.asks())
    line.speaks("one two three four five six", seconds=3)
    line.ends()
    line.waits(1.6)
    line.loses()

    assert line.happens(events.HoldRequested(on=True)) == []

    assert [note.ids for note in line.notes("truncated")] == [("a1",)]
    line.session()
    assert items(line.to_model)[1:] == [("assistant", "one two")]


def test_what_a_session_knows_nothing_of_is_not_cut_in_it() -> None:
    line = Line()
    line.begins(line.asks())
    line.speaks("", seconds=3)  # its words had not come yet
    line.ends()
    line.loses()
    line.session()
    line.waits(1.6)

    assert line.happens(events.HoldRequested(on=True)) == []

    assert [note.ids for note in line.notes("truncated")] == [("a1",)]


def test_items_the_new_session_acknowledges_do_not_reorder_the_transcript() -> None:
    line = Line()
    for n in (1, 2):
        line.begins(line.asks(f"u{n}"), f"resp_{n}")
        line.speaks("Yes.", item_id=f"a{n}", response_id=f"resp_{n}")
        line.ends(f"resp_{n}")
        line.waits(3.0)
    line.loses()
    line.session()
    for before, item_id in (("reconnected", "a1"), ("a1", "a2")):
        item = {"id": item_id, "type": "message", "role": "assistant"}
        line.says("conversation.item.added", previous_item_id=before, item=item)

    talk = line.engine.call.conversation
    assert talk is not None
    shown = [item["item_id"] for item in talk.transcript.snapshot("")["items"]]
    assert shown == ["u1", "a1", "u2", "a2"]


def test_a_session_lost_before_it_was_ready_has_nothing_to_restore() -> None:
    line = Line.__new__(Line)
    line.engine = Engine(Call(POLICY, 0.0), TwilioProtocol(), RealtimeProtocol())
    line.now, line.to_model, line.done = 1.0, [], []
    start = {"event": "start", "streamSid": "MZ1", "start": START}
    line._take(line.engine.telephony_said(orjson.dumps(start).decode(), 1.0))
    assert line.happens(events.TextInjected(Private("Mention the sale."))) == []
    line.loses()

    line.session()

    assert items(line.to_model) == [("system", "Mention the sale.")]
    assert line.notes("restored") == []
    assert types(line.to_model)[-1] == "response.create"


def test_while_the_line_is_handed_over_a_lost_model_is_not_replaced() -> None:
    line = Line()
    line.happens(events.TransferRequested(Private("+15550100300"), Private("because")))
    line.waits(12.0)
    assert any(isinstance(what, effects.TransferCall) for what in line.done)
    line.loses()
    assert line.replaced() == 0

    line._take(line.engine.happened(events.TransferFailed("busy"), line.now))

    assert line.replaced() == 1
    line.session()
    assert items(line.to_model)[-1][1].startswith("The transfer failed (busy)")
    assert types(line.to_model)[-1] == "response.create"


def test_whoever_is_being_dialled_is_dialled_on_while_the_line_is_handed_over() -> None:
    line = Line()
    line.loses()
    line.loses()  # nobody answered the first dial
    line.happens(events.TransferRequested(Private("+15550100300"), Private("because")))
    line.waits(0.5)
    assert any(isinstance(what, effects.TransferCall) for what in line.done)
    assert line.replaced() == 1

    line.waits(1.0)
    assert line.replaced() == 2
    line.loses()
    line.waits(3.0)

    assert line.replaced() == 3


def test_for_last_words_nobody_is_dialled_any_more() -> None:
    line = Line()
    line.loses()
    line.loses()
    line.happens(events.HangUpRequested("drained", goodbye=True))

    line.waits(10.0)

    assert line.replaced() == 1
    assert effects.HangUp("drained") in line.done


def test_the_live_invariants_hold_through_all_of_this() -> None:
    line = Line()
    line.begins(line.asks())
    line.calls_a_tool()
    line.ends()
    line.happens(FOUND)
    line.loses()
    line.session()
    line.begins("request-3", "resp_3")
    line.refuses("session_expired")
    line.session()
    line.waits(3.0)

    assert line.replaced() == 2
    assert line.notes("violation") == []

"""The model's side: when it is ready, what it is told first, and what its refusals lead to."""

from dataclasses import replace

import pytest

from opusbridge.call.history import RECONNECTED, ToolUse
from opusbridge.call.machines import ResponseMachine
from opusbridge.call.model_side import MOST_SERVER_ERRORS, SESSION_SECONDS, ModelSide
from opusbridge.call.pending import Cause, PendingUserInput, Why
from opusbridge.call.transcript import Transcript
from opusbridge.effects import (
    AddText,
    ConfigureSession,
    Effect,
    Note,
    SessionConfig,
    TruncateItem,
    TurnDetection,
)
from opusbridge.events import ModelErred, ResponseDone, SessionConfigured
from opusbridge.privacy import Private
from opusbridge.sound import PCM_24K, PCMU_8K

DETECTION = TurnDetection("server_vad", False, True)
SESSION = SessionConfig("Be kind.", PCMU_8K, voice="marin", turn_detection=DETECTION)
READY = SessionConfigured(PCMU_8K, PCMU_8K)
HELLO = AddText("text-1", "user", Private("Hello."))


def a_side(ready: bool = False) -> ModelSide:
    transcript = Transcript()
    side = ModelSide(SESSION, transcript, 0.0)
    if ready:
        assert side.configured(READY)
        assert side.tell_all(None, ()) == []
    return side


def erred(code: str | None, about: str | None = None, type: str | None = None) -> ModelErred:
    return ModelErred(code, type=type, about=about)


def test_a_session_is_ready_once_it_took_our_formats() -> None:
    side = a_side()

    assert side.created() == [ConfigureSession(SESSION)]
    assert side.configured(READY)
    assert side.ready
    assert not side.configured(READY)  # said again in mid-call: nothing new


@pytest.mark.parametrize(
    "taken", [SessionConfigured(PCM_24K, PCMU_8K), SessionConfigured(PCMU_8K, None)]
)
def test_a_session_in_another_format_is_none(taken: SessionConfigured) -> None:
    side = a_side()

    assert not side.configured(taken)
    assert (side.ready, side.failure) == (False, "model-refused-us")


def test_what_comes_before_the_first_session_is_told_as_soon_as_it_is_there() -> None:
    side = a_side()
    assert side.tell(HELLO) == []
    side.lost()  # the first dial failed
    side.configured(READY)

    assert side.tell_all(None, ()) == [HELLO]
    assert side.tell(HELLO) == [HELLO]


def test_a_later_session_is_told_the_conversation_and_what_waits_of_it() -> None:
    side = a_side(ready=True)
    side.history.note_added(HELLO)
    side.lost()
    assert side.tell(HELLO) == []
    side.configured(READY)

    pending = PendingUserInput((Cause(Why.REST, "resp_1"),), 1.0)
    reconnected, hello, cut_off, note = side.tell_all(pending, ())

    assert reconnected == AddText("reconnected", "system", Private(RECONNECTED))
    assert hello == HELLO
    assert isinstance(cut_off, AddText)
    assert cut_off.item_id == "cut-off"
    assert note == Note("restored", value=3.0)


# --- Refusals ---------------------------------------------------------------------------


def test_what_is_harmless_is_counted_and_changes_nothing() -> None:
    side = a_side(ready=True)

    assert side.refused(erred("response_cancel_not_active")) == [
        Note("refused", "response_cancel_not_active")
    ]
    assert (side.failure, side.worn_out) == (None, None)


def test_what_is_unknown_is_survived_and_told_once_in_a_call() -> None:
    side = a_side(ready=True)

    assert side.refused(erred("never_heard_of")) == [
        Note("refused", "never_heard_of"),
        Note("unknown-error", "never_heard_of"),
    ]
    side.lost()
    assert side.refused(erred(None)) == [Note("refused", "unknown")]
    assert side.refused(erred(None, type="odd")) == [Note("refused", "odd")]
    assert (side.failure, side.worn_out) == (None, None)


def test_settings_that_are_refused_make_no_session_of_ours() -> None:
    side = a_side()
    refused = ModelErred("invalid_value", about="session.update", param="session.audio")
    assert side.refused(refused)[1:] == [Note("model-refused", "invalid_value", ("session.audio",))]
    assert side.failure == "model-refused-us"

    later = a_side(ready=True)
    later.refused(erred("unknown_parameter", about="session.update"))
    assert later.failure is None


def test_an_expired_session_is_worn_out_and_an_empty_account_ends_it_all() -> None:
    side = a_side(ready=True)
    side.refused(erred("session_expired"))
    assert (side.failure, side.worn_out) == (None, "session-expired")
    side.lost()
    assert side.worn_out is None

    assert side.refused(erred("insufficient_quota"))[1:] == [
        Note("model-refused", "insufficient_quota")
    ]
    assert side.failure == "model-refused-us"


def test_a_server_that_fails_again_and_again_is_worn_out_unless_it_answers_between() -> None:
    side = a_side(ready=True)
    for _ in range(MOST_SERVER_ERRORS - 1):
        side.refused(erred(None, type="server_error"))
    side.answered()
    for _ in range(MOST_SERVER_ERRORS - 1):
        side.count_failure("server_error")
    side.count_failure(None)
    side.refused(erred("rate_limit_exceeded"))
    assert side.worn_out is None

    side.refused(erred("server_error"))

    assert side.worn_out == "model-failed"


def test_one_that_answers_after_all_is_worth_keeping() -> None:
    side = a_side(ready=True)
    for _ in range(MOST_SERVER_ERRORS):
        side.count_failure("server_error")
    side.answered()
    assert side.worn_out is None

    side.refused(erred("session_expired"))
    side.answered()
    assert side.worn_out == "session-expired"


@pytest.mark.parametrize(
    ("status", "cut_off", "stuck", "answers"),
    [
        ("completed", False, False, True),
        ("failed", False, False, False),
        ("incomplete", True, False, False),
        ("cancelled", False, True, True),
        ("cancelled", True, True, False),  # it stood still in a tool's call
        ("cancelled", True, False, True),  # the caller cut in
    ],
)
def test_what_was_heard_is_an_answer_unless_the_model_came_to_grief_in_it(
    status: str, cut_off: bool, stuck: bool, answers: bool
) -> None:
    side = a_side(ready=True)
    slot = ResponseMachine(id="resp_1", stuck=stuck)
    side.got_through(ResponseDone("resp_1", status, cut_off=cut_off), slot)

    assert side.served == answers


def test_what_one_session_has_answered_says_nothing_of_the_next() -> None:
    side = a_side(ready=True)
    assert not side.served
    side.answered()
    assert side.served

    side.lost()
    assert not side.served


def test_an_old_session_is_spent_in_the_moment_that_is_idle_and_in_no_other() -> None:
    side = a_side(ready=True)
    side.renew_at = 10.0
    side.alive(True, 9.9)
    assert (side.spent(True, 9.9), side.pulse.old) == (None, False)
    side.alive(False, 10.0)
    assert (side.spent(True, 10.0), side.pulse.old) == (None, True)
    side.alive(True, 11.0)
    assert side.spent(False, 11.0) is None
    assert side.spent(True, 11.1) is None
    side.alive(True, 12.0)
    assert side.spent(True, 12.0) == "session-expired"

    side.lost()
    side.alive(True, 13.0)
    assert (side.spent(True, 13.0), side.pulse.old) == (None, False)


def test_where_no_turn_is_told_of_nobody_knows_an_idle_moment() -> None:
    side = ModelSide(replace(SESSION, turn_detection=None), Transcript(), 0.0)
    side.configured(READY)
    side.renew_at = 10.0
    side.alive(True, 10.0)

    assert side.spent(True, 10.0) is None


def test_a_server_that_fails_may_still_be_asked_if_there_is_no_other() -> None:
    side = a_side(ready=True)
    side.worn_out = "model-failed"
    assert (side.spent(False, 1.0), side.spent(True, 1.0)) == (None, "model-failed")
    side.worn_out = "model-silent"
    assert side.spent(False, 1.0) == "model-silent"


@pytest.mark.parametrize("code", ["server_error", "rate_limit_exceeded"])
def test_settings_that_are_refused_for_now_are_sent_again_but_not_for_ever(code: str) -> None:
    side = a_side()
    refused, again = Note("refused", code), ConfigureSession(SESSION)
    for _ in range(MOST_SERVER_ERRORS - 1):
        assert side.refused(erred(code, "session.update")) == [refused, again]
    assert side.worn_out is None

    assert side.refused(erred(code)) == [refused]  # it need not say what it speaks of
    assert side.worn_out == "model-failed"


def test_another_session_has_refused_nothing_yet_though_the_one_before_was_never_lost() -> None:
    side = a_side()
    side.refused(erred("cannot_update_voice", "session.update"))
    for _ in range(MOST_SERVER_ERRORS - 1):
        side.refused(erred("server_error", "session.update"))

    assert side.created() == [ConfigureSession(SESSION)]

    for _ in range(MOST_SERVER_ERRORS - 1):
        side.refused(erred("server_error", "session.update"))
    assert side.worn_out is None


def test_a_session_that_took_its_settings_in_the_end_is_as_good_as_any() -> None:
    side = a_side()
    side.refused(erred("server_error", "session.update"))
    side.configured(READY)
    for _ in range(MOST_SERVER_ERRORS - 1):
        assert side.refused(erred("server_error")) == [Note("refused", "server_error")]

    assert side.worn_out is None


def test_a_locked_voice_is_left_out_once() -> None:
    side = a_side()

    assert side.refused(erred("cannot_update_voice", "session.update")) == [
        Note("refused", "cannot_update_voice"),
        Note("repaired", "cannot_update_voice"),
        ConfigureSession(replace(SESSION, voice=None)),
    ]
    again = side.refused(erred("cannot_update_voice", "session.update"))
    assert again == [Note("refused", "cannot_update_voice")]
    side.lost()
    assert side.created() == [ConfigureSession(SESSION)]


def test_what_is_cut_is_told_to_a_session_that_is_there_and_to_no_other() -> None:
    side = a_side(ready=True)
    cut: list[Effect] = [TruncateItem("a1", 0, 500), Note("truncated")]
    assert side.cut(cut) == cut

    side.lost()

    assert side.cut(cut) == [Note("truncated")]


def test_of_stored_speech_the_first_session_is_told_only_what_was_heard() -> None:
    transcript = Transcript()
    side = ModelSide(SESSION, transcript, 0.0)
    transcript.words("said-1", "agent", "Hello there, dear caller.", final=True)
    side.history.said_for_it("said-1")
    assert side.tell(AddText("said-1", "assistant", Private("Hello there, dear caller."))) == []
    transcript.heard("said-1", 500.0, 1000.0)
    side.configured(READY)

    assert side.tell_all(None, ()) == [AddText("said-1", "assistant", Private("Hello there,"))]


def test_an_item_that_was_refused_is_the_conversations_to_repair() -> None:
    side = a_side(ready=True)
    side.history.tool_called("c", ToolUse("r", "i", "look_up", Private("{}")))

    assert side.refused(erred("invalid_tool_call_id")) == [Note("refused", "invalid_tool_call_id")]


def test_a_session_that_takes_no_settings_in_time_is_worth_no_more() -> None:
    side = a_side()
    assert side.timed_out(SESSION_SECONDS - 0.1) == []

    assert side.timed_out(SESSION_SECONDS) == [Note("watchdog", "session")]
    assert (side.worn_out, side.session_due) == ("model-silent", None)


def test_one_that_took_them_has_no_limit() -> None:
    assert a_side(ready=True).session_due is None

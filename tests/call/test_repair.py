"""What the model refuses of what it was told or asked, and how it is told or asked again."""

from dataclasses import replace

import pytest

from opusbridge import events
from opusbridge.call.conversation import Conversation
from opusbridge.call.model_side import MOST_SERVER_ERRORS
from opusbridge.call.pending import Why
from opusbridge.call.policy import TWILIO, CallPolicy
from opusbridge.call.repair import MOST_TEXTS
from opusbridge.call.retries import LONGEST_HINT_SECONDS
from opusbridge.call.transcript import Transcript
from opusbridge.effects import (
    AddText,
    AddToolOutput,
    CreateResponse,
    Effect,
    Note,
    SessionConfig,
    TurnDetection,
)
from opusbridge.privacy import Private
from opusbridge.sound import PCM_24K, PCMU_8K, Audio

SESSION = SessionConfig(
    "Be kind.", PCM_24K, turn_detection=TurnDetection("server_vad", False, True)
)
KEYS = AddText("text-1", "user", Private("Keypad: 123#"))
SOUND = Audio.of(bytes(800), PCMU_8K)


def ready() -> Conversation:
    """On Twilio, since 0.0."""
    talk = Conversation(
        CallPolicy(TWILIO, SESSION), PCMU_8K, Transcript(), lambda at: round(at * 1000), 0.0
    )
    talk.handle(events.SessionConfigured(PCMU_8K, PCMU_8K), 0.0)
    return talk


def refusal(item_id: str | None, code: str | None = "server_error") -> events.ModelErred:
    return events.ModelErred(code, about="conversation.item.create", item_id=item_id)


def told(found: list[Effect]) -> list[Effect]:
    return [one for one in found if isinstance(one, AddText | AddToolOutput | CreateResponse)]


def answer(talk: Conversation, request: int, at: float) -> list[Effect]:
    """All of it; and what is asked then."""
    talk.handle(events.ResponseCreated(f"resp_{request}", f"request-{request}"), at)
    talk.handle(events.ModelSpoke(f"resp_{request}", f"answer_{request}", 0, SOUND), at)
    return told(talk.handle(events.ResponseDone(f"resp_{request}", "completed"), at))


def test_keys_that_a_failing_server_did_not_take_are_told_again_and_answered() -> None:
    talk = ready()
    assert told(talk.add_text(Why.KEYS, "user", KEYS.text, 1.0))[0] == KEYS

    found = talk.handle(refusal("text-1"), 1.1)

    assert found[:3] == [
        Note("refused", "server_error"),
        Note("repaired", "text", ("text-1",)),
        KEYS,
    ]
    # The request sent with the keys knows nothing of them.
    assert answer(talk, 1, 1.2) == [CreateResponse("request-2", "keys")]
    assert answer(talk, 2, 1.3) == []
    assert [item["text"] for item in talk.transcript.items()] == ["Keypad: 123#"]


LIMIT = "rate_limit_exceeded"


def test_they_are_told_as_often_as_a_response_is_asked_for_and_asked_about_each_time() -> None:
    talk, now = ready(), 1.0
    assert told(talk.add_text(Why.KEYS, "user", KEYS.text, now))[0] == KEYS
    for time, wait in enumerate(talk.policy.responses.backoff, 1):
        assert told(talk.handle(refusal("text-1", LIMIT), now)) == []
        assert answer(talk, time, now) == []
        assert (talk.quiet, talk.owes_sound) == (False, True)

        assert talk.repair.deadline == now + wait
        assert told(talk.timed_out(now + wait - 0.01)) == []
        now += wait
        again = [KEYS, CreateResponse(f"request-{time + 1}", "keys")]
        assert told(talk.timed_out(now)) == again
        assert told(talk.timed_out(now)) == []

    assert talk.handle(refusal("text-1", LIMIT), now) == [Note("refused", LIMIT)]
    assert talk.repair.deadline is None


@pytest.mark.parametrize(("hint", "wait"), [(0.5, 0.5), (90.0, LONGEST_HINT_SECONDS)])
@pytest.mark.parametrize("code", [LIMIT, "server_error"])
def test_a_server_that_says_when_is_told_again_then(code: str, hint: float, wait: float) -> None:
    talk = ready()
    talk.add_text(Why.KEYS, "user", KEYS.text, 1.0)

    assert told(talk.handle(replace(refusal("text-1", code), retry_after_seconds=hint), 1.0)) == []

    assert talk.repair.deadline == 1.0 + wait
    assert KEYS in talk.timed_out(1.0 + wait)


def test_a_server_that_takes_no_item_is_as_bad_as_one_that_gives_no_answer() -> None:
    talk = ready()
    talk.add_text(Why.KEYS, "user", KEYS.text, 1.0)
    for _ in range(MOST_SERVER_ERRORS):
        talk.handle(refusal("text-1"), 1.1)

    assert talk.model.worn_out == "model-failed"


def test_a_text_that_asks_for_nothing_asks_for_nothing_again() -> None:
    talk = ready()
    talk.add_text(None, "system", Private("The line is bad."), 1.0)

    note = AddText("text-1", "system", Private("The line is bad."))
    assert told(talk.handle(refusal("text-1"), 1.1)) == [note]
    talk.handle(refusal("text-1", LIMIT), 1.2)
    assert talk.quiet
    assert told(talk.timed_out(talk.repair.deadline or 0.0)) == [note]


@pytest.mark.parametrize(
    "erred", [refusal("text-1", "invalid_value"), refusal("text-9"), refusal(None)]
)
def test_what_would_be_refused_again_or_is_unknown_is_not_told_again(
    erred: events.ModelErred,
) -> None:
    talk = ready()
    talk.add_text(Why.KEYS, "user", KEYS.text, 1.0)

    assert told(talk.handle(erred, 1.1)) == []


def test_only_the_latest_may_still_be_refused_and_of_this_session_only() -> None:
    talk = ready()
    for _ in range(MOST_TEXTS + 1):
        talk.add_text(None, "system", Private("The line is bad."), 1.0)
    assert told(talk.handle(refusal("text-1"), 1.1)) == []
    assert told(talk.handle(refusal("text-2"), 1.1)) != []
    talk.handle(refusal("text-3", LIMIT), 1.1)

    in_another_session(talk, 1.2)

    assert talk.repair.deadline is None
    assert told(talk.handle(refusal("text-4"), 1.4)) == []


RESULT = AddText("text-1", "system", Private("The tool look_up gave this result: 7"))


def looked_up() -> Conversation:
    """The model is asked at 1.3 to speak of a tool's result."""
    talk = ready()
    talk.handle(events.TurnCommitted("item_1"), 1.0)
    talk.handle(events.ResponseCreated("resp_1", "request-1"), 1.0)
    talk.handle(events.ToolCalled("resp_1", "item_2", "call_1", "look_up", Private("{}")), 1.1)
    talk.handle(events.ResponseDone("resp_1", "completed"), 1.2)
    talk.tools.finished("call_1", Private("7"), False, 1.3)
    return talk


def in_another_session(talk: Conversation, at: float) -> list[Effect]:
    talk.handle(events.ModelLost("model-lost"), at)
    return told(talk.handle(events.SessionConfigured(PCMU_8K, PCMU_8K), at))


def test_an_output_that_a_failing_server_did_not_take_is_told_in_words_and_those_again() -> None:
    talk = looked_up()

    assert told(talk.handle(refusal("output-1"), 1.4)) == [RESULT]
    assert told(talk.handle(refusal("text-1"), 1.5)) == [RESULT]
    assert answer(talk, 2, 1.6) == [CreateResponse("request-3", "tools")]


@pytest.mark.parametrize(
    ("tool_call_id", "repaired"), [("call_1", True), ("call_9", False), (None, False)]
)
def test_an_output_is_known_by_its_call_where_the_server_names_no_item(
    tool_call_id: str | None, repaired: bool
) -> None:
    talk = looked_up()
    unnamed = replace(refusal(None, "invalid_tool_call_id"), tool_call_id=tool_call_id)

    assert told(talk.handle(unnamed, 1.4)) == ([RESULT] if repaired else [])
    assert answer(talk, 2, 1.6) == ([CreateResponse("request-3", "tools")] if repaired else [])


def test_a_call_that_has_no_output_yet_has_none_to_tell() -> None:
    talk = ready()
    talk.handle(events.ToolCalled("resp_1", "item_2", "call_1", "look_up", Private("{}")), 1.1)

    unnamed = replace(refusal(None, "invalid_tool_call_id"), tool_call_id="call_1")
    assert told(talk.handle(unnamed, 1.2)) == []


def test_a_result_that_was_spoken_of_is_not_again_because_another_session_did_not_take_it() -> None:
    talk = looked_up()
    assert answer(talk, 2, 1.5) == []
    in_another_session(talk, 100.0)

    assert told(talk.handle(refusal("output-1"), 100.1)) == [RESULT]
    assert talk.quiet


@pytest.mark.parametrize("begun", [False, True])
def test_one_that_still_waits_for_its_answer_is_spoken_of(begun: bool) -> None:
    talk = looked_up()
    assert CreateResponse("request-3", "tools") in in_another_session(talk, 2.0)
    if begun:
        talk.handle(events.ResponseCreated("resp_3", "request-3"), 2.1)

    assert told(talk.handle(refusal("output-1"), 2.1)) == [RESULT]
    assert answer(talk, 3, 2.2) == [CreateResponse("request-4", "tools")]


@pytest.mark.parametrize("begun", [False, True])
def test_one_of_which_the_rest_is_still_to_be_said_is_spoken_of(begun: bool) -> None:
    talk = looked_up()
    talk.handle(events.ResponseCreated("resp_2", "request-2"), 1.4)
    talk.handle(events.ModelSpoke("resp_2", "item_3", 0, SOUND), 1.5)
    talk.handle(events.ModelWords("resp_2", "item_3", 0, Private("Your balance is"), False), 1.5)
    assert CreateResponse("request-3", "rest") in in_another_session(talk, 4.0)
    if begun:
        talk.handle(events.ResponseCreated("resp_3", "request-3"), 4.1)

    refused = refusal("output-1", "invalid_tool_call_id")
    assert told(talk.handle(refused, 4.4)) == [RESULT]
    assert answer(talk, 3, 4.5) == [CreateResponse("request-4", "tools")]


# --- While one waits --------------------------------------------------------------------


def waiting(hint: float = 4.0) -> Conversation:
    """Keys of 1.0 wait to be told again, and the request sent with them was answered."""
    talk = ready()
    talk.add_text(Why.KEYS, "user", KEYS.text, 1.0)
    talk.handle(replace(refusal("text-1", LIMIT), retry_after_seconds=hint), 1.1)
    assert answer(talk, 1, 2.0) == []
    return talk


def test_what_waits_when_the_session_is_lost_is_answered_in_the_next() -> None:
    talk = waiting()

    found = in_another_session(talk, 3.0)

    assert found[-1] == CreateResponse("request-2", "keys")
    assert KEYS in found
    assert talk.repair.deadline is None


def test_what_is_still_to_be_answered_is_told_again_if_the_next_does_not_take_it() -> None:
    talk = ready()
    talk.add_text(Why.KEYS, "user", KEYS.text, 1.0)
    assert KEYS in in_another_session(talk, 1.1)

    assert told(talk.handle(refusal("text-1"), 1.2)) == [KEYS]
    assert answer(talk, 2, 1.3) == [CreateResponse("request-3", "keys")]


def test_so_is_a_turn_of_the_callers_but_not_what_was_answered() -> None:
    talk = ready()
    talk.handle(events.TurnCommitted("item_1"), 1.0)
    talk.handle(events.CallerTranscribed("item_1", Private("Hello."), final=True), 1.0)
    assert answer(talk, 1, 1.1) == []
    talk.handle(events.TurnCommitted("item_2"), 2.0)
    talk.handle(events.CallerTranscribed("item_2", Private("And now?"), final=True), 2.0)
    turns = [AddText("item_1", "user", Private("Hello."))]
    turns += [AddText("item_2", "user", Private("And now?"))]
    assert set(turns) <= set(in_another_session(talk, 2.1))

    assert told(talk.handle(refusal("item_1"), 2.2)) == []
    assert told(talk.handle(refusal("item_2"), 2.2)) == turns[1:]
    assert answer(talk, 3, 2.3) == [CreateResponse("request-4", "text")]


def test_what_asks_for_nothing_is_not_asked_about_in_the_next() -> None:
    talk = ready()
    talk.add_text(None, "system", Private("The line is bad."), 1.0)
    talk.handle(refusal("text-1", LIMIT), 1.1)

    assert not any(isinstance(one, CreateResponse) for one in in_another_session(talk, 1.2))


def test_it_is_not_forgotten_for_newer_ones() -> None:
    talk = waiting()
    for _ in range(2 * MOST_TEXTS):
        talk.add_text(None, "system", Private("The line is bad."), 2.1)

    assert told(talk.timed_out(5.1)) == [KEYS, CreateResponse("request-2", "keys")]


def test_nothing_is_told_again_when_the_last_words_are_said() -> None:
    talk = waiting()
    talk.close(3.0)

    assert talk.repair.deadline is None
    assert told(talk.timed_out(6.0)) == []

"""What a refusal means: which of our events it speaks of, how long to wait, whether to try."""

import pytest

from opusbridge import errors as endings
from opusbridge.events import ModelErred, ModelLost
from opusbridge.protocols.realtime import PERMANENT_CODES, loss, refusal
from opusbridge.protocols.realtime.errors import erred, retry_after_seconds
from opusbridge.protocols.realtime.messages import RealtimeError

ACTIVE = "conversation_already_has_active_response"


def read(**fields: object) -> ModelErred:
    sent = {"rc-1": "response.create", "trunc-2": "conversation.item.truncate"}
    return erred(RealtimeError.model_validate(fields), sent)


def test_an_echoed_event_id_tells_what_was_refused_whatever_the_code() -> None:
    assert read(code="invalid_value", event_id="trunc-2").about == "conversation.item.truncate"
    assert read(code="response_cancel_not_active", event_id="rc-1").about == "response.create"


def test_only_a_refused_request_has_a_token() -> None:
    assert read(code=ACTIVE, event_id="rc-1").request_id == "rc-1"
    assert read(code="invalid_value", event_id="trunc-2").request_id is None


def test_a_refusal_without_an_echo_is_of_a_request_but_not_of_a_certain_one() -> None:
    refused = read(code=ACTIVE, event_id=None)

    assert (refused.about, refused.request_id) == ("response.create", None)
    assert read(code=ACTIVE, event_id="a stranger").request_id is None


@pytest.mark.parametrize(
    "message",
    [
        "Conversation already has an active response",
        "conversation already has an active response in progress: none",
        "Error: Conversation Already Has An Active Response.",
    ],
)
def test_an_active_response_is_told_by_the_text_where_the_code_is_missing(message: str) -> None:
    refused = read(code=None, message=message)

    assert refused.response_active
    assert refused.about == "response.create"
    assert refused.active_response_id is None


def test_the_response_that_holds_the_slot_is_named_in_that_refusal_only() -> None:
    text = "in progress: resp_Ab-1_z. Wait until …"

    assert read(code=ACTIVE, message=text).active_response_id == "resp_Ab-1_z"
    assert read(code="invalid_value", message=text).active_response_id is None
    assert not read(code="invalid_value", message=text).response_active


@pytest.mark.parametrize(
    ("message", "about"),
    [
        ("Cancellation failed: no active response found", "response.cancel"),
        ("Error committing input audio buffer: the buffer is empty.", "input_audio_buffer.commit"),
        ("Audio content of 1ms is already shorter than 2ms", "conversation.item.truncate"),
        ("Only model output audio messages can be truncated", "conversation.item.truncate"),
        ("Tool call ID 'call_1' not found in conversation.", "conversation.item.create"),
        ("Something else", None),
        (None, None),
    ],
)
def test_without_a_code_the_text_tells_what_was_refused(
    message: str | None, about: str | None
) -> None:
    assert read(code=None, message=message).about == about


def test_an_output_that_was_refused_names_its_call() -> None:
    text = "Tool call ID 'call_Ab1' not found in conversation."
    long = f"Tool call ID '{'a' * 101}' not found in conversation."

    assert read(code="invalid_tool_call_id", message=text).tool_call_id == "call_Ab1"
    assert read(code=None, message=text).tool_call_id == "call_Ab1"
    assert read(code="invalid_tool_call_id", message=long).tool_call_id is None
    assert read(code="invalid_tool_call_id").tool_call_id is None


def test_refused_settings_are_told_by_the_field_they_name() -> None:
    assert read(code="invalid_value", param="session.type").about == "session.update"
    assert read(code="invalid_value", param="type").about is None


def test_the_key_that_was_refused_is_named_if_it_is_one() -> None:
    assert read(param="session.tools[0].name").param == "session.tools[0].name"
    assert read(param="what the caller said").param is None
    assert read(param="a" * 101).param is None
    assert read().param is None


def test_a_message_does_not_print() -> None:
    refused = read(code=None, message="Invalid value: 'my name is'")

    assert refused.message.value == "Invalid value: 'my name is'"
    assert "my name" not in repr(refused)


@pytest.mark.parametrize(
    ("message", "seconds"),
    [
        ("Please try again in 1.5s. Visit the site.", 1.5),
        ("Please try again in 20ms.", 0.02),
        ("Please try again in 6m0s.", 360.0),
        ("Please try again in 1h2m3.5s.", 3723.5),
        ("Please try again in 2 s", 2.0),
        ("please TRY AGAIN IN 3 Seconds", 3.0),
        ("Please retry after 10 seconds.", 10.0),
        ("Please retry in 250 milliseconds", 0.25),
        ("Try again in 1 min 30 secs", 90.0),
        ("Please try again in 2 hours", 7200.0),
        ("Please try again in 5 more tries", None),
        ("Please try again in 5", None),
        ("Please try again later.", None),
        ("It took 5s.", None),
        ("", None),
        (None, None),
    ],
)
def test_the_wait_is_read_from_the_text(message: str | None, seconds: float | None) -> None:
    read = retry_after_seconds(RealtimeError(message=message))

    assert read == (seconds if seconds is None else pytest.approx(seconds))


def test_a_text_without_end_is_not_read_to_its_end() -> None:
    assert retry_after_seconds(RealtimeError(message="try again in " + "1s" * 50_000)) == 4.0
    assert retry_after_seconds(RealtimeError(message="try again in " + "9" * 100_000)) is None


@pytest.mark.parametrize(
    ("field", "seconds"), [(2, 2.0), (0.5, 0.5), (0, 0.0), (-1, 7.0), ("soon", 7.0), (None, 7.0)]
)
def test_a_number_of_the_server_s_own_comes_before_its_text(field: object, seconds: float) -> None:
    error = {"retry_after": field, "message": "try again in 7s"}

    assert retry_after_seconds(RealtimeError.model_validate(error)) == seconds


def test_what_is_permanent_is_not_what_passes() -> None:
    assert {"insufficient_quota", "invalid_api_key", "missing_model"} <= PERMANENT_CODES
    assert not {ACTIVE, "rate_limit_exceeded", "server_error"} & PERMANENT_CODES


@pytest.mark.parametrize(
    ("code", "reason", "lost"),
    [
        (3000, "invalid_request_error.invalid_api_key", ModelLost("model-refused-us", True)),
        (3000, "invalid_request_error", ModelLost("model-refused-us", True)),
        (4000, "invalid_request_error.missing_model", ModelLost("model-refused-us", True)),
        (
            1001,
            "Your session hit the maximum duration of 60 minutes.",
            ModelLost("session-expired"),
        ),
        (1001, "invalid_request_error.session_expired", ModelLost("session-expired")),
        (1001, "going away", ModelLost("model-lost")),
        (1000, "", ModelLost("model-lost")),
        (1006, "", ModelLost("model-lost")),
        (1011, "maximum duration", ModelLost("model-lost")),
        (None, "", ModelLost("model-lost")),
    ],
)
def test_a_close_says_whether_trying_again_can_help(
    code: int | None, reason: str, lost: ModelLost
) -> None:
    assert loss(code, reason) == lost
    assert lost.reason in endings.REASONS


@pytest.mark.parametrize("status", [400, 401, 403, 404])
def test_a_refused_upgrade_is_final(status: int) -> None:
    assert refusal(status) == ModelLost("model-refused-us", permanent=True)


@pytest.mark.parametrize("status", [408, 429, 500, 503, 302])
def test_any_other_answer_to_the_upgrade_may_pass(status: int) -> None:
    assert refusal(status) == ModelLost("model-unreachable")

"""What Twilio says of a transfer that is over."""

import pytest

from opusbridge import events
from opusbridge.protocols.twilio.dial import dial_result


@pytest.mark.parametrize("status", ["completed", "answered"])
def test_a_call_that_somebody_took_was_transferred(status: str) -> None:
    for caller in ("in-progress", "completed"):
        told = {"DialCallStatus": status, "CallStatus": caller}
        assert dial_result(told) == events.TransferSucceeded()


@pytest.mark.parametrize(
    ("status", "reason"),
    [
        ("busy", "busy"),
        ("no-answer", "no-answer"),
        ("canceled", "no-answer"),
        ("failed", "error"),
        ("something-new", "error"),
    ],
)
def test_a_caller_whom_nobody_took_comes_back(status: str, reason: str) -> None:
    told = {"DialCallStatus": status, "CallStatus": "in-progress"}
    assert dial_result(told) == events.CallerReturns(reason)


def test_a_form_that_says_nothing_is_a_transfer_that_failed() -> None:
    assert dial_result({}) == events.CallerReturns("error")


@pytest.mark.parametrize("caller", ["completed", "canceled", "failed", "busy", "no-answer"])
def test_a_caller_who_hung_up_while_it_rang_does_not_come_back(caller: str) -> None:
    told = {"DialCallStatus": "canceled", "CallStatus": caller}
    assert dial_result(told) == events.CallerGaveUp()

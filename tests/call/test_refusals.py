"""The table of errors: total over what was seen, each row with its source."""

import pytest

from opusbridge.call.refusals import BY_ABOUT, BY_CODE, Reaction, is_passing, reaction_to
from opusbridge.protocols.realtime.errors import PERMANENT_CODES


def test_every_row_names_its_source() -> None:
    rows = [*BY_CODE.values(), *BY_ABOUT.values()]

    assert all(row.source.startswith("openai-realtime ") for row in rows)
    assert {row.reaction for row in rows} == set(Reaction)


def test_what_the_wire_calls_permanent_ends_the_call_and_nothing_else_does() -> None:
    ends = {code for code, row in BY_CODE.items() if row.reaction is Reaction.END}

    assert ends == PERMANENT_CODES


@pytest.mark.parametrize(
    ("code", "kind", "about", "reaction"),
    [
        ("response_cancel_not_active", "invalid_request_error", None, Reaction.BENIGN),
        ("session_expired", "invalid_request_error", None, Reaction.REPLACE),
        # The code says only that a value was wrong: what was refused decides.
        ("invalid_value", "invalid_request_error", "conversation.item.truncate", Reaction.BENIGN),
        (None, "invalid_request_error", "conversation.item.truncate", Reaction.BENIGN),
        ("invalid_value", "invalid_request_error", "response.create", Reaction.ASK_AGAIN),
        ("invalid_value", "invalid_request_error", "conversation.item.create", Reaction.REPAIR),
        # A passing failure does not say that the item is not there.
        ("server_error", None, "conversation.item.create", Reaction.REPAIR),
        ("rate_limit_exceeded", "tokens", "conversation.item.create", Reaction.REPAIR),
        (None, "server_error", "conversation.item.create", Reaction.REPAIR),
        ("server_error", None, "response.create", Reaction.ASK_AGAIN),
        # A code of the table says more than what was refused.
        ("insufficient_quota", None, "response.create", Reaction.END),
        ("insufficient_quota", None, "conversation.item.create", Reaction.END),
        # No code: the type, if nothing better is known.
        (None, "server_error", None, Reaction.ASK_AGAIN),
        ("unknown_parameter", "invalid_request_error", "session.update", None),
        ("never_heard_of", "odd_error", None, None),
        (None, None, None, None),
    ],
)
def test_how_an_error_is_met(
    code: str | None, kind: str | None, about: str | None, reaction: Reaction | None
) -> None:
    assert reaction_to(code, kind, about) is reaction


@pytest.mark.parametrize(
    ("code", "kind", "passes"),
    [
        ("server_error", None, True),
        (None, "server_error", True),
        ("inference_rate_limit_exceeded", "invalid_request_error", True),
        ("invalid_value", "invalid_request_error", False),
        ("session_expired", "invalid_request_error", False),
        (None, None, False),
    ],
)
def test_what_passes_lies_with_the_server(code: str | None, kind: str | None, passes: bool) -> None:
    assert is_passing(code, kind) is passes

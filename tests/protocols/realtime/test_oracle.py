"""The judge itself: what it must refuse."""

from typing import Any

import pytest
from pydantic import ValidationError

from tests.openai_oracle import assert_client_event, assert_server_event


def test_an_unknown_event_is_refused() -> None:
    with pytest.raises(AssertionError, match=r"knows no event of type 'response\.audio\.delta'"):
        assert_server_event({"type": "response.audio.delta", "event_id": "event_1"})
    with pytest.raises(AssertionError, match="knows no event"):
        assert_client_event({"type": "session.created"})


def test_a_field_of_the_beta_is_refused_however_deep() -> None:
    session: dict[str, Any] = {"type": "realtime", "audio": {"output": {"modalities": ["audio"]}}}
    with pytest.raises(AssertionError, match=r"session\.audio\.output\.modalities"):
        assert_client_event({"type": "session.update", "session": session})

    item = {"type": "message", "role": "user", "content": [{"type": "input_text", "txt": ""}]}
    with pytest.raises(AssertionError, match=r"content\[0\]\.txt"):
        assert_client_event({"type": "conversation.item.create", "item": item})

    full = {"type": "realtime", "object": "realtime.session", "id": "sess_1", "voice": "alloy"}
    with pytest.raises(AssertionError, match=r"session\.voice"):
        assert_server_event({"type": "session.created", "event_id": "event_1", "session": full})


def test_a_number_is_not_a_text_and_half_a_millisecond_is_none() -> None:
    truncate = {"type": "conversation.item.truncate", "item_id": "item_1", "content_index": 0}
    assert_client_event({**truncate, "audio_end_ms": 1})
    for wrong in ("1", 1.5, None):
        with pytest.raises(ValidationError):
            assert_client_event({**truncate, "audio_end_ms": wrong})


def test_a_session_of_the_server_has_an_id() -> None:
    with pytest.raises(ValidationError):
        assert_server_event(
            {"type": "session.updated", "event_id": "event_1", "session": {"type": "realtime"}}
        )

"""What is left of a message whose words must not be kept."""

from typing import Any

import pytest

from opusbridge.recording import withholding as module
from opusbridge.recording.withholding import WITHHELD, Withholding

DONE: dict[str, Any] = {
    "type": "response.done",
    "event_id": "event_1",
    "response": {
        "id": "resp_1",
        "status": "completed",
        "metadata": {"token": "request-1"},
        "output": [{"id": "item_2", "role": "assistant", "content": [{"transcript": "4711"}]}],
        "usage": {"total_tokens": 12},
    },
}


def test_without_a_pause_a_message_is_kept_as_it_is() -> None:
    assert Withholding().applied(DONE) is DONE


def test_in_a_pause_kinds_ids_and_numbers_are_kept_and_no_words() -> None:
    withholding = Withholding()
    withholding.paused = True

    assert withholding.applied(DONE) == {
        "type": "response.done",
        "event_id": "event_1",
        "response": {
            "id": "resp_1",
            "status": "completed",
            "metadata": {"token": "request-1"},
            "output": [
                {"id": "item_2", "role": "assistant", "content": [{"transcript": WITHHELD}]}
            ],
            "usage": {"total_tokens": 12},
        },
    }


def test_what_is_said_later_of_an_item_of_the_pause_is_not_kept_either() -> None:
    withholding = Withholding()
    withholding.paused = True
    withholding.applied({"type": "a", "item_id": "item_1", "previous_item_id": "item_0"})
    withholding.paused = False

    late = {"type": "b", "item_id": "item_1", "response_id": "resp_9", "transcript": "4711"}
    assert withholding.applied(late)["transcript"] == WITHHELD
    of_the_same = {"type": "c", "response_id": "resp_9", "delta": "4711"}
    assert withholding.applied(of_the_same)["delta"] == WITHHELD
    before = {"type": "d", "item_id": "item_0", "transcript": "Hello"}
    assert withholding.applied(before) is before
    behind = {"type": "e", "item_id": "item_8", "previous_item_id": "item_1", "delta": "Bye"}
    assert withholding.applied(behind) is behind


def test_an_item_named_by_the_call_is_withheld_wherever_it_stands_in_a_message() -> None:
    withholding = Withholding()
    withholding.add(["item_2"])

    assert "4711" not in str(withholding.applied(DONE))


def test_a_text_in_a_list_or_under_no_known_key_is_withheld() -> None:
    withholding = Withholding()
    withholding.paused = True

    kept = withholding.applied({"digits": ["4", "7"], "id": 5, "yes": True, "none": None})
    assert kept == {"digits": [WITHHELD, WITHHELD], "id": 5, "yes": True, "none": None}


@pytest.mark.parametrize(
    ("said", "kept"),
    [
        (
            {"logprobs": [{"token": "47", "logprob": -0.1, "bytes": [52, 55]}]},
            {"logprobs": WITHHELD},
        ),
        ({"logprobs": None, "bytes": [52, 55]}, {"logprobs": None, "bytes": WITHHELD}),
        ({"name": "DTMF", "value": 4711}, {"name": WITHHELD, "value": WITHHELD}),
        ({"name": "noUserInput", "value": 3}, {"name": WITHHELD, "value": 3}),
        ({"dtmf": {"digit": 4}}, {"dtmf": {"digit": WITHHELD}}),
        ({"text": 4711, "audio_end_ms": 4711}, {"text": WITHHELD, "audio_end_ms": 4711}),
        ({"output": {"4711": True}, "arguments": {}}, {"output": WITHHELD, "arguments": WITHHELD}),
        (
            {"output": [4711, True, {"pin": 4711}], "arguments": [[{"4711": True}]]},
            {"output": [WITHHELD, True, WITHHELD], "arguments": [[WITHHELD]]},
        ),
        (
            {"error": {"type": "x", "code": 5, "retry_after": 2.5, "pin": 4711, "n": [4711]}},
            {
                "error": {
                    "type": "x",
                    "code": 5,
                    "retry_after": 2.5,
                    "pin": WITHHELD,
                    "n": [WITHHELD],
                }
            },
        ),
        (
            {"error": {"type": "x", "data": {"4711": True}, "content": [{"4711": True}]}},
            {"error": {"type": "x", "data": WITHHELD, "content": [WITHHELD]}},
        ),
        ({"error": 4711}, {"error": WITHHELD}),
        (
            {"audio": {"output": {"format": {"type": "audio/pcm", "rate": 24000}, "voice": "x"}}},
            {
                "audio": {
                    "output": {"format": {"type": "audio/pcm", "rate": 24000}, "voice": WITHHELD}
                }
            },
        ),
        (
            {"input_audio_format": "pcm16", "output_audio_format": "pcm16", "voice": "x"},
            {"input_audio_format": "pcm16", "output_audio_format": "pcm16", "voice": WITHHELD},
        ),
    ],
)
def test_words_in_other_clothes_are_withheld(said: dict[str, Any], kept: dict[str, Any]) -> None:
    withholding = Withholding()
    withholding.paused = True

    assert withholding.applied(said) == kept
    assert withholding.applied(kept) == kept


def test_a_peer_that_runs_wild_cannot_fill_the_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MOST_IDS", 2)
    withholding = Withholding()
    withholding.add(["item_1", "item_2", "item_3"])

    first, last = ({"item_id": one, "delta": "x"} for one in ("item_1", "item_3"))
    assert withholding.applied(first) is first
    assert withholding.applied(last)["delta"] == WITHHELD


def test_the_next_transfer_after_it_was_withheld_says_nothing_and_everything_else_does() -> None:
    withholding = Withholding()
    withholding.transfer = True
    params = {"handoverReason": "card 4711", "transferNotifications": True}
    transfer = {"activities": [{"type": "event", "name": "transfer", "activityParams": params}]}

    others: list[Any] = [{"activities": ["x", {"name": "config"}]}, {"activities": "x"}, DONE, "x"]
    assert [withholding.applied(one) for one in others] == others
    assert withholding.active
    kept = withholding.applied(transfer)
    assert kept["activities"][0]["activityParams"] == {
        "handoverReason": WITHHELD,
        "transferNotifications": True,
    }
    assert withholding.applied(transfer) is transfer

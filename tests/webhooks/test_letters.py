from pathlib import Path

import orjson

from opusbridge.tools.outcome import CallOutcome
from opusbridge.webhooks.letters import call_ended

DATA = Path("data")
ITEMS = {"call_id": "call-1", "items": [{"text": "Hello."}]}


def outcome(folder: Path | None) -> CallOutcome:
    return CallOutcome("call-1", {"call_id": "call-1"}, ITEMS, folder, {"pin": object()})


def test_a_letter_has_the_call_and_says_where_its_files_are() -> None:
    told = orjson.loads(call_ended(outcome(DATA / "calls" / "call-1"), DATA, transcript=True))

    assert (told["id"], told["type"]) == ("call-1", "call.ended")
    assert told["call"] == {"call_id": "call-1"}
    assert told["transcript"] == ITEMS
    assert told["files"] == "calls/call-1"


def test_half_a_character_in_what_was_said_costs_no_letter() -> None:
    items = {"items": [{"text": "Hello \ud83d"}]}
    text = call_ended(CallOutcome("call-1", {}, items, None, {}), DATA, transcript=True)

    assert orjson.loads(text)["transcript"]["items"] == [{"text": "Hello \ufffd"}]


def test_where_nothing_is_to_be_kept_of_what_was_said_nothing_is_told() -> None:
    text = call_ended(outcome(None), DATA, transcript=False)

    assert b"Hello" not in text
    assert orjson.loads(text)["files"] is None


def test_without_a_transcript_a_hand_over_is_told_without_words() -> None:
    packet = {
        "reason": "a bill",
        "summary": "Hello.",
        "heard": [{"speaker": "caller", "text": "Hello."}],
        "tools": [{"name": "look", "output": "Hello."}],
    }
    call = {"call_id": "call-1", "handover": packet}
    text = call_ended(CallOutcome("call-1", call, ITEMS, None, {}), DATA, transcript=False)

    assert b"Hello" not in text
    handover = orjson.loads(text)["call"]["handover"]
    assert handover == {"reason": "a bill", "tools": [{"name": "look"}]}
    assert call["handover"] is packet  # the agent's own hook is told all of it


def test_files_that_are_elsewhere_are_named_whole() -> None:
    told = orjson.loads(call_ended(outcome(Path("demo/call-1")), DATA, transcript=True))

    assert told["files"] == "demo/call-1"

import pytest

from opusbridge.call import transcript as module
from opusbridge.call.transcript import Transcript, split_by_share


def ids(transcript: Transcript) -> list[str]:
    return [item["item_id"] for item in transcript.snapshot("call_1")["items"]]


def only(transcript: Transcript) -> dict[str, object]:
    (item,) = transcript.snapshot("call_1")["items"]
    assert isinstance(item, dict)
    return item


def test_an_item_is_shown_with_every_field_of_the_contract() -> None:
    transcript = Transcript()
    item = transcript.item("item_1", "caller")
    transcript.words("item_1", "caller", "Hello there.", final=True)
    item.started_ms, item.ended_ms, item.status = 100, 900, "completed"

    assert transcript.snapshot("call_1") == {
        "call_id": "call_1",
        "items": [
            {
                "item_id": "item_1",
                "speaker": "caller",
                "text": "Hello there.",
                "heard": "Hello there.",
                "unheard": "",
                "started_ms": 100,
                "ended_ms": 900,
                "status": "completed",
            }
        ],
    }


def test_words_come_in_pieces_and_all_of_them_at_the_end() -> None:
    transcript = Transcript()
    for piece in (" I would", " like"):
        transcript.words("item_1", "caller", piece, final=False)
    assert only(transcript)["text"] == "I would like"

    transcript.words("item_1", "caller", "I'd like tea.", final=True)
    assert only(transcript)["text"] == "I'd like tea."


def test_the_words_of_a_further_part_do_not_replace_those_of_the_first() -> None:
    transcript = Transcript()
    transcript.words("item_1", "agent", "One mo", final=False, part=0)
    transcript.words("item_1", "agent", "There", final=False, part=1)
    transcript.words("item_1", "agent", "There it is.", final=True, part=1)
    transcript.words("item_1", "agent", "One moment. ", final=True, part=0)

    assert only(transcript)["text"] == "One moment. There it is."


# --- The order of the conversation ------------------------------------------------------


def test_an_item_stands_behind_the_one_it_follows_however_late_that_is_known() -> None:
    transcript = Transcript()
    for item_id in ("item_1", "item_2", "item_3"):
        transcript.item(item_id, "caller")

    transcript.item("item_3", "caller", after="item_1")
    transcript.item("item_4", "agent", after="item_3")

    assert ids(transcript) == ["item_1", "item_3", "item_4", "item_2"]
    assert len(transcript) == 4


def test_an_unknown_predecessor_moves_nothing() -> None:
    transcript = Transcript()
    transcript.item("item_1", "caller")
    transcript.item("item_2", "agent", after="item_9")
    transcript.item("item_1", "caller", after=None)

    assert ids(transcript) == ["item_1", "item_2"]


def test_an_item_named_as_its_own_predecessor_stays_where_it_is() -> None:
    transcript = Transcript()
    transcript.item("item_1", "caller")
    transcript.item("item_1", "caller", after="item_1")

    assert ids(transcript) == ["item_1"]


def test_a_peer_that_runs_wild_cannot_fill_the_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MOST_ITEMS", 2)
    transcript = Transcript()
    for number in range(5):
        transcript.words(f"item_{number}", "agent", "words", final=True)
    transcript.item("item_9", "agent", after="item_0")

    assert ids(transcript) == ["item_0", "item_1"]


# --- What was heard ---------------------------------------------------------------------


def test_an_answer_heard_to_its_end_has_nothing_unheard() -> None:
    transcript = Transcript()
    transcript.words("item_1", "agent", "Good morning to you.", final=True)
    transcript.heard("item_1", 1500, 1500)

    assert only(transcript)["heard"] == "Good morning to you."
    assert only(transcript)["unheard"] == ""
    assert only(transcript)["status"] == "in_progress"  # the model says when it is complete


def test_an_answer_cut_short_is_cut_where_it_was_cut() -> None:
    transcript = Transcript()
    transcript.words("item_1", "agent", "Good morning to you.", final=True)
    transcript.heard("item_1", 1000, 2000)

    assert only(transcript)["heard"] == "Good morning"
    assert only(transcript)["unheard"] == "to you."
    assert only(transcript)["status"] == "interrupted"


def test_an_answer_that_never_reached_the_ear_was_not_heard() -> None:
    transcript = Transcript()
    transcript.words("item_1", "agent", "Good morning.", final=True)

    assert (only(transcript)["heard"], only(transcript)["unheard"]) == ("", "Good morning.")


def test_the_parts_of_an_item_are_heard_together() -> None:
    transcript = Transcript()
    transcript.words("item_1", "agent", "one two six ten", final=True)
    transcript.heard("item_1", 1000, 1000)
    transcript.heard("item_1", 0, 1000)

    assert only(transcript)["heard"] == "one two"
    assert only(transcript)["status"] == "interrupted"


def test_a_tool_is_shown_whole() -> None:
    transcript = Transcript()
    transcript.item("call_1", "tool").say("look_up({}) -> []")

    assert only(transcript)["heard"] == "look_up({}) -> []"


def test_a_turn_without_words_is_empty_until_they_come() -> None:
    transcript = Transcript()
    transcript.item("item_1", "caller").status = "completed"
    assert only(transcript)["status"] == "empty"

    transcript.words("item_1", "caller", "Yes.", final=True)
    assert only(transcript)["status"] == "completed"


@pytest.mark.parametrize(
    ("share", "heard"), [(0.0, ""), (0.1, ""), (0.2, "aaa"), (0.7, "aaa bbb"), (1.0, "aaa bbb ccc")]
)
def test_a_word_was_heard_when_half_of_it_was(share: float, heard: str) -> None:
    text = "aaa bbb\n ccc"

    assert split_by_share(text, share)[0] == heard
    assert " ".join(filter(None, split_by_share(text, share))) == "aaa bbb ccc"


def test_no_words_cannot_be_heard() -> None:
    assert split_by_share("", 1.0) == ("", "")

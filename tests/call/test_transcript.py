import pytest

from opusbridge.call import transcript as module
from opusbridge.call import transcript_item
from opusbridge.call.transcript import Transcript
from opusbridge.call.transcript_item import WITHHELD


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


def test_stored_speech_stays_between_the_turn_it_followed_and_the_answer_it_bridged() -> None:
    transcript = Transcript()
    transcript.item("item_1", "caller")
    transcript.aside("clip:one-moment-1", "agent")
    transcript.item("item_3", "caller")  # he speaks before the answer is known of

    transcript.item("item_2", "agent", after="item_1")
    transcript.committed("item_3", after="item_2")

    assert ids(transcript) == ["item_1", "clip:one-moment-1", "item_2", "item_3"]


def test_a_tool_stands_where_the_conversation_has_its_call() -> None:
    transcript = Transcript()
    transcript.item("item_1", "caller")
    transcript.item("item_3", "caller")
    transcript.place("item_2", after="item_1")  # the call, before its arguments are complete
    transcript.used("call_1", "item_2", "look_up({})", 900)
    transcript.place("output-1", after="item_2")
    transcript.committed("item_3", after="output-1")
    transcript.item("item_4", "agent", after="item_3")

    assert ids(transcript) == ["item_1", "call_1", "item_3", "item_4"]


def test_a_turn_committed_between_a_tools_call_and_its_output_stands_behind_the_tool() -> None:
    transcript = Transcript()
    transcript.place("item_1", None)
    transcript.used("call_1", "item_1", "look_up({})", 900)

    transcript.committed("item_2", after="item_1")

    assert ids(transcript) == ["call_1", "item_2"]


def test_what_another_session_is_told_moves_nothing() -> None:
    transcript = Transcript()
    for item_id in ("item_1", "clip:sorry-1", "item_2"):
        transcript.item(item_id, "agent")
    transcript.settle()

    transcript.place("reconnected", None)
    transcript.place("item_1", after="reconnected")
    transcript.place("item_2", after="item_1")
    transcript.place("cut-off", after="item_2")
    transcript.item("item_3", "caller", after="cut-off")

    assert ids(transcript) == ["item_1", "clip:sorry-1", "item_2", "item_3"]


def test_places_are_limited_like_items(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MOST_PLACES", 2)
    transcript = Transcript()
    for number in range(5):
        transcript.place(f"hidden_{number}", None)
    transcript.item("item_1", "caller", after="hidden_0")

    assert ids(transcript) == []


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


def test_each_part_has_its_own_words_and_is_cut_by_its_own_sound() -> None:
    transcript = Transcript()
    transcript.words("item_1", "agent", "Good m", final=False, part=0)
    transcript.words("item_1", "agent", "How can I help?", final=True, part=1)
    transcript.words("item_1", "agent", "Good morning.", final=True, part=0)
    transcript.heard("item_1", 900, 900, part=0)
    transcript.heard("item_1", 1000, 2000, part=1)

    assert only(transcript)["text"] == "Good morning. How can I help?"
    assert only(transcript)["heard"] == "Good morning. How can"
    assert only(transcript)["unheard"] == "I help?"


def test_an_item_of_endless_parts_cannot_fill_the_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(transcript_item, "MOST_PARTS", 2)
    transcript = Transcript()
    for part in range(5):
        transcript.words("item_1", "agent", f"{part}", final=True, part=part)

    assert only(transcript)["text"] == "0 1"


def test_while_it_is_played_an_answer_is_split_at_the_ear() -> None:
    transcript = Transcript()
    transcript.words("item_1", "agent", "one two six ten", final=True)
    transcript.playing("item_1", 1000, 2000)
    assert only(transcript)["heard"] == "one two"

    transcript.heard("item_1", 2000, 2000)
    assert only(transcript)["heard"] == "one two six ten"


def test_a_tool_is_shown_whole() -> None:
    transcript = Transcript()
    transcript.used("call_1", "item_1", "look_up({})", 100)
    transcript.answered("call_1", "[]", False, 300)

    assert only(transcript)["heard"] == "look_up({}) -> []"


@pytest.mark.parametrize(
    ("ended", "status"),
    [
        ("failed", "failed"),
        ("cancelled", "interrupted"),
        ("completed", "completed"),
        ("incomplete", "incomplete"),
        ("a new word", "incomplete"),
    ],
)
def test_an_answer_its_response_left_open_ended_as_the_response_did(
    ended: str, status: str
) -> None:
    transcript = Transcript()
    transcript.answers("item_1", "resp_1")
    transcript.answers("item_1", "resp_1")
    transcript.words("item_1", "agent", "Good", final=False)
    transcript.answers("item_2", "resp_1")
    transcript.words("item_2", "agent", "Good morning.", final=False)
    transcript.item("item_2", "agent").status = "interrupted"

    transcript.response_over("resp_1", ended)
    transcript.response_over("resp_1", "failed")

    shown = transcript.snapshot("call_1")["items"]
    assert [item["status"] for item in shown] == [status, "interrupted"]


def test_a_turn_without_words_is_empty_until_they_come() -> None:
    transcript = Transcript()
    transcript.item("item_1", "caller").status = "completed"
    assert only(transcript)["status"] == "empty"

    transcript.words("item_1", "caller", "Yes.", final=True)
    assert only(transcript)["status"] == "completed"


# --- Pauses of the recording ------------------------------------------------------------


def withheld(transcript: Transcript) -> list[str]:
    items = transcript.snapshot("call_1")["items"]
    for item in items:
        assert item.get("withheld", False) == (item["text"] == WITHHELD)
        assert not item.get("withheld") or (item["heard"], item["unheard"]) == ("", "")
    return [item["item_id"] for item in items if item.get("withheld")]


def said(transcript: Transcript, item_id: str, at_ms: int) -> None:
    """A whole turn of the caller's."""
    transcript.began(item_id, at_ms)
    transcript.committed(item_id, None)
    transcript.words(item_id, "caller", "4711 0815", final=True)


def test_what_is_said_during_a_pause_is_withheld_and_the_rest_is_not() -> None:
    transcript = Transcript()
    said(transcript, "before", 100)
    assert transcript.pause("agent", 1000, ())
    said(transcript, "within", 1200)
    transcript.typed("keys", "Keypad: 4711#", 1500, 1800)
    transcript.used("tool", "item_1", "charge(4711)", 1900)
    assert transcript.resume("agent", 2000)
    said(transcript, "after", 2000)
    transcript.answered("tool", "charged 4711", False, 2100)

    assert withheld(transcript) == ["within", "keys", "tool"]
    assert transcript.newly_withheld() == ("within", "keys", "tool")
    assert transcript.newly_withheld() == ()
    assert transcript.snapshot("")["pauses"] == [{"started_ms": 1000, "ended_ms": 2000}]


def test_what_is_told_by_another_name_in_a_pause_or_of_one_is_withheld_as_well() -> None:
    transcript = Transcript()
    transcript.words("before", "agent", "Hello.", final=True)
    transcript.pause("agent", 1000, ())
    transcript.told_as("text-1")
    transcript.words("within", "agent", "4711", final=True)
    transcript.resume("agent", 2000)
    transcript.words("after", "agent", "Hello.", final=True)
    transcript.told_as("text-2")
    transcript.told_as("text-3", "within")
    transcript.told_as("text-4", "after")

    assert transcript.newly_withheld() == ("before", "text-1", "within", "text-3")


def test_what_was_open_when_the_pause_began_is_withheld_whole() -> None:
    transcript = Transcript()
    transcript.began("caller", 100)
    transcript.words("agent", "agent", "Your card ends in 4711.", final=True)
    transcript.item("agent", "agent").status = "completed"
    transcript.words("heard", "agent", "Hello.", final=True)
    transcript.item("heard", "agent").status = "completed"

    transcript.pause("operator", 200, {"agent"})  # it is on its way to the ear
    transcript.resume("operator", 300)
    transcript.committed("caller", None)
    transcript.words("caller", "caller", "It is 4711", final=True)

    assert withheld(transcript) == ["caller", "agent"]


def test_speech_that_began_in_the_pause_is_withheld_though_it_is_known_of_later() -> None:
    transcript = Transcript()
    transcript.pause("agent", 1000, ())
    transcript.resume("agent", 2000)

    said(transcript, "item_1", 1999)
    transcript.typed("keys", "Keypad: 4711#", 1999, 2600)
    said(transcript, "item_2", 2000)

    assert withheld(transcript) == ["item_1", "keys"]


def test_a_turn_whose_beginning_nobody_knows_is_withheld_if_there_was_a_pause_in_it() -> None:
    transcript = Transcript()
    transcript.committed("item_1", None)
    transcript.pause("agent", 1000, ())
    transcript.resume("agent", 2000)
    transcript.committed("item_2", None)
    transcript.committed("item_3", None)
    for item_id in ("item_1", "item_2", "item_3"):
        transcript.words(item_id, "caller", "4711", final=True)

    assert withheld(transcript) == ["item_2"]


def test_nothing_is_written_down_until_nobody_wants_it_withheld() -> None:
    transcript = Transcript()
    assert not transcript.resume("agent", 50)
    assert transcript.pause("agent", 100, ())
    assert not transcript.pause("operator", 200, ())
    assert not transcript.pause("operator", 250, ())

    assert not transcript.resume("agent", 300)
    assert transcript.paused
    said(transcript, "item_1", 400)
    assert transcript.resume("operator", 500)

    assert not transcript.paused
    assert withheld(transcript) == ["item_1"]
    assert transcript.snapshot("")["pauses"] == [{"started_ms": 100, "ended_ms": 500}]


def test_the_model_is_told_again_what_no_file_holds() -> None:
    transcript = Transcript()
    transcript.pause("agent", 0, ())
    said(transcript, "item_1", 100)

    assert transcript.items()[0]["text"] == "4711 0815"
    assert "4711" not in str(transcript.snapshot("")) + str(transcript.changes())


def test_what_is_too_much_and_said_in_a_pause_is_no_news(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MOST_ITEMS", 1)
    transcript = Transcript()
    said(transcript, "item_1", 100)
    transcript.changes()
    transcript.pause("agent", 1000, ())
    transcript.typed("keys", "Keypad: 4711#", 1500, 1800)
    transcript.words("item_1", "caller", "0815", final=True)

    assert [*transcript.changes()["items"]] == ["item_1"]
    assert transcript.newly_withheld() == ("keys",)


def test_only_the_last_pauses_are_told_one_by_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MOST_PAUSES", 2)
    transcript = Transcript()
    for ms in (0, 100, 200):
        transcript.pause("agent", ms, ())
        transcript.resume("agent", ms + 50)

    assert [one["started_ms"] for one in transcript.snapshot("")["pauses"]] == [100, 200]


# --- Written as the call goes -----------------------------------------------------------


def test_the_changes_put_together_are_the_snapshot() -> None:
    transcript = Transcript()
    order: list[str] = []
    items: dict[str, object] = {}
    pauses: list[object] = []

    def follow() -> dict[str, object]:
        new = transcript.changes()
        order[new.get("order_from", 0) :] = new.get("order", order)
        items.update(new.get("items", {}))
        pauses[:] = new.get("pauses", pauses)
        shown = {"call_id": "call_1", "items": [items[one] for one in order]}
        assert {**shown, **({"pauses": pauses} if pauses else {})} == transcript.snapshot("call_1")
        return new

    assert follow() == {"order": [], "order_from": 0}
    said(transcript, "item_1", 100)
    assert set(follow()) == {"order", "order_from", "items"}
    transcript.words("item_1", "caller", "Better.", final=True)
    assert set(follow()) == {"items"}
    assert follow() == {}
    said(transcript, "item_2", 300)
    transcript.place("hidden", None)
    transcript.place("item_1", after="item_2")
    follow()
    transcript.pause("agent", 400, {"item_1"})
    assert set(follow()["items"]) == {"item_1"}  # type: ignore[call-overload]  # a dict

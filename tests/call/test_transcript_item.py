from opusbridge.call.transcript_item import WITHHELD, TranscriptItem


def item() -> TranscriptItem:
    found = TranscriptItem("item_1", "agent", "resp_1", 100, None, "incomplete")
    found.said("How can", False, 1)
    found.said(" I help?", False, 1)
    found.said("Good morning. ", True, 0)
    found.part(0).heard_ms, found.part(0).received_ms = 900.5, 900.5
    found.part(1).playing = (500.0, 1000.0)
    return found


def test_an_item_can_be_made_again_of_its_row() -> None:
    before = item()
    before.aside = before.withheld = before.settled = True
    after = TranscriptItem.of_row(before.row())

    assert after.row() == before.row()
    assert after.shown() == before.shown()
    assert [one.complete for one in after.parts.values()] == [False, True]
    assert (after.aside, after.withheld, after.settled) == (True, True, True)
    for one in (before, after):
        one.part(1).words.append(" Today?")
    assert after.shown() == before.shown()


def test_it_has_all_its_words_once_each_part_has() -> None:
    one = item()
    assert not one.has_all_words

    one.said("How can I help you?", True, 1)

    assert one.has_all_words
    assert one.shown()["text"] == "Good morning. How can I help you?"


def test_how_it_ended_is_told_once() -> None:
    one = TranscriptItem("item_1", "agent")

    one.done("incomplete")
    one.done("completed")

    assert one.status == "incomplete"


def test_words_that_were_not_understood_are_none() -> None:
    one = TranscriptItem("item_1", "caller")
    one.said("", True, 0)

    assert not one.has_all_words


def test_what_is_withheld_is_told_to_the_model_and_not_written() -> None:
    one = item()
    assert one.written() == one.shown()

    one.withheld = True

    assert one.shown()["heard"] == "Good morning. How can"
    words = {one.written()[key] for key in ("text", "heard", "unheard")}
    assert words == {WITHHELD, ""}
    assert one.written()["withheld"]


def test_parts_are_measured_together() -> None:
    one = item()
    one.part(1).received_ms = 1000

    assert (one.heard_ms, one.received_ms) == (900.5, 1900.5)


def test_a_turn_without_words_has_failed_once_it_is_committed_whichever_comes_first() -> None:
    early, late = TranscriptItem("item_1", "caller"), TranscriptItem("item_2", "caller")

    early.transcription_failed()
    assert early.status == "in_progress"
    early.committed()
    late.committed()
    assert late.status == "completed"
    late.transcription_failed()

    assert (early.status, late.status) == ("failed", "failed")

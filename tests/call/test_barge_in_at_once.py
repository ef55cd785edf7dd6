"""Barge-in as it is by default: the caller's speech cuts at once, whenever it comes."""

from time import perf_counter

import pytest

from opusbridge import events
from opusbridge.effects import (
    CancelResponse,
    ClearPlayout,
    CreateResponse,
    DeleteItem,
    Effect,
    Note,
    PlayAudio,
    TellSpeechStarted,
    TruncateItem,
)
from opusbridge.privacy import Private
from tests.call.lines import LOUD, Line, both_sides, confirming, kinds

NOTHING = Private("{}")

#: From the model's ``speech_started`` to the text that clears, in seconds.
SOON_ENOUGH = 0.005


def line_of(audiocodes: bool) -> Line:
    return Line(confirming(audiocodes, ms=None))


def without_telling(effects: list[Effect]) -> list[Effect]:
    return [one for one in effects if not isinstance(one, Note | TellSpeechStarted)]


@both_sides
def test_silence_then_the_cancel_then_the_truth_about_each_item(audiocodes: bool) -> None:
    line = line_of(audiocodes)
    line.begins(1000)
    line.tell(events.ModelAudioDone("resp_1", "item_2", 0))
    line.speaks(1000, item_id="item_3")
    line.speaks(1000, item_id="item_4")
    line.live(1400)
    found = line.starts()

    assert without_telling(found) == [
        ClearPlayout(),
        CancelResponse("resp_1"),
        TruncateItem("item_3", 0, 400),
        DeleteItem("item_4"),
    ]
    assert kinds(found)[0] is ClearPlayout
    assert bytes(line.heard) == bytes(line.said[: len(line.heard)])


@both_sides
def test_a_response_that_is_done_is_not_cancelled_while_it_is_heard(audiocodes: bool) -> None:
    line = line_of(audiocodes)
    line.begins(2000)
    line.finishes()
    line.live(500)

    assert without_telling(line.starts()) == [ClearPlayout(), TruncateItem("item_2", 0, 500)]


@both_sides
def test_before_the_first_sound_there_is_a_cancel_and_nothing_else(audiocodes: bool) -> None:
    line = line_of(audiocodes)
    line.begins()

    assert without_telling(line.starts()) == [CancelResponse("resp_1")]
    assert line.speaks(200) == []


@both_sides
def test_a_tools_preamble_is_cut_and_the_tool_answered_with_the_turn(audiocodes: bool) -> None:
    line = line_of(audiocodes)
    line.begins(2000)
    line.tell(events.ToolCalled("resp_1", "item_3", "call_1", "f", NOTHING))
    line.live(500)
    found = without_telling(line.starts())
    assert found == [ClearPlayout(), CancelResponse("resp_1"), TruncateItem("item_2", 0, 500)]

    line.tell(events.ResponseDone("resp_1", "cancelled"))
    line.perform(line.talk.tools.finished("call_1", NOTHING, False, line.now))
    assert len(line.asked(CreateResponse)) == 1
    assert kinds(line.stops())[-1] is CreateResponse


@both_sides
def test_twice_in_a_row_each_cuts_what_was_said_in_between(audiocodes: bool) -> None:
    line = line_of(audiocodes)
    line.begins(2000)
    line.live(500)
    line.starts()
    line.tell(events.ResponseDone("resp_1", "cancelled"))
    line.stops()
    line.accepts("resp_2")
    line.speaks(2000, "resp_2", "item_5")
    line.live(300)

    assert without_telling(line.starts("item_10")) == [
        ClearPlayout(),
        CancelResponse("resp_2"),
        TruncateItem("item_5", 0, 300),
    ]


@both_sides
def test_of_a_cut_response_nothing_is_heard_any_more(audiocodes: bool) -> None:
    line = line_of(audiocodes)
    line.begins(2000)
    line.live(500)
    line.starts()
    heard = len(line.heard)
    late = [*line.speaks(400), *line.speaks(400, item_id="item_3")]
    late += line.live(2000, LOUD)

    assert PlayAudio not in kinds(late)
    assert len(line.heard) == heard


@pytest.mark.slow
@pytest.mark.parametrize("ms", [None, 250], ids=["at once", "confirmed"])
@both_sides
def test_the_clear_leaves_soon_enough_however_much_is_queued(
    audiocodes: bool, ms: int | None
) -> None:
    def once() -> float:
        line = Line(confirming(audiocodes, ms=ms))
        line.begins(200)
        line.speaks(10_000)
        line.live(500)
        began = perf_counter()
        found = line.talk.handle(events.SpeechStarted("item_9", 200), line.now)
        took = perf_counter() - began
        assert kinds(found)[0] is ClearPlayout
        return took

    assert min(once() for _ in range(3)) < SOON_ENOUGH

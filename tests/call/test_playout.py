"""The ledger by example; ``test_playout_against_a_far_end.py`` has it in any order."""

import pytest

from opusbridge.call import playout as module
from opusbridge.call.kept import KeptSound
from opusbridge.call.playout import PlayoutLedger
from opusbridge.call.segments import Ended, Segment, Sent
from opusbridge.call.wire_delay import LONGEST_HELD_SECONDS, NEWS_SECONDS, WireDelay
from opusbridge.sound import PCMU_8K, Audio


def sound(ms: int) -> Audio:
    return Audio.of(b"\x55" * (8 * ms), PCMU_8K)


def buffering() -> PlayoutLedger:
    """For a far side that buffers and reports marks, at the end of no wire."""
    return PlayoutLedger(PCMU_8K, lead_seconds=None, wire=WireDelay(0.0))


def paced() -> PlayoutLedger:
    """For a far side that reports nothing."""
    return PlayoutLedger(PCMU_8K, lead_seconds=0.3, wire=WireDelay(0.0))


def say(
    ledger: PlayoutLedger, item_id: str, ms: int, now: float
) -> tuple[Segment, list[Sent | Ended]]:
    """All that was received is played, as it came."""
    segment = ledger.segment("resp_1", item_id, 0)
    segment.received_ms += ms
    return segment, ledger.play(segment, sound(ms), now)


def sent_ms(leaving: list[Sent | Ended]) -> list[float]:
    return [one.audio.ms for one in leaving if isinstance(one, Sent)]


# --- The clock --------------------------------------------------------------------------


def test_sound_is_heard_in_real_time_from_when_it_was_sent() -> None:
    ledger = buffering()
    segment, leaving = say(ledger, "item_1", 1000, now=5.0)

    assert leaving == [Sent(sound(1000), 5.0)]
    assert ledger.heard_ms(segment, 5.4) == pytest.approx(400, abs=0.2)
    assert ledger.heard_ms(segment, 7.0) == 1000


def test_sound_sent_ahead_is_heard_behind_what_was_sent_before() -> None:
    ledger = buffering()
    first, _ = say(ledger, "item_1", 500, now=1.0)
    second, leaving = say(ledger, "item_2", 500, now=1.1)

    assert leaving == [Sent(sound(500), 1.5, follows=True)]
    assert ledger.heard_ms(first, 1.7) == 500
    assert ledger.heard_ms(second, 1.7) == pytest.approx(200, abs=0.2)
    assert second.starts_at == 1.5


def test_a_pause_of_the_model_is_not_heard_as_its_speech() -> None:
    ledger = buffering()
    segment, _ = say(ledger, "item_1", 200, now=1.0)
    assert ledger.heard_ms(segment, 4.9) == 200

    say(ledger, "item_1", 200, now=5.0)

    assert ledger.heard_ms(segment, 5.0) == 200
    assert ledger.heard_ms(segment, 5.1) == pytest.approx(300, abs=0.2)


def test_no_more_is_heard_than_was_received_though_the_last_frame_was_padded() -> None:
    ledger = buffering()
    segment = ledger.segment("resp_1", "item_1", 0)
    segment.received_ms = 31.5
    ledger.play(segment, sound(40), 1.0)

    assert ledger.heard_ms(segment, 9.0) == 31.5


def test_a_part_heard_to_its_end_was_heard_as_long_as_it_was_received() -> None:
    ledger = buffering()
    segment = ledger.segment("resp_1", "item_1", 0)
    segment.received_ms = 40.02
    ledger.play(segment, sound(40), 1.0)
    ledger.complete(segment, 1.0)

    assert ledger.heard_ms(segment, 9.0) == 40.02


def test_nothing_was_heard_of_what_was_not_sent_yet() -> None:
    ledger = buffering()
    segment = ledger.segment("resp_1", "item_1", 0)

    assert ledger.heard_ms(segment, 9.0) == 0


def test_each_item_is_heard_by_its_own_sound_when_two_come_by_turns() -> None:
    ledger = buffering()
    first, _ = say(ledger, "item_1", 100, now=1.0)
    second, _ = say(ledger, "item_2", 100, now=1.0)
    say(ledger, "item_1", 100, now=1.0)

    assert ledger.heard_ms(first, 1.15) == 100
    assert ledger.heard_ms(second, 1.15) == pytest.approx(50, abs=0.2)
    assert ledger.heard_ms(first, 1.25) == pytest.approx(150, abs=0.2)


def test_sound_after_a_part_was_said_to_be_complete_is_a_part_of_its_own() -> None:
    ledger = buffering()
    first, _ = say(ledger, "item_1", 100, now=1.0)
    ledger.complete(first, 1.0)

    again = ledger.segment("resp_1", "item_1", 0)

    assert again is not first
    assert ledger.segment("resp_1", "item_1", 0) is again
    assert ledger.segment("resp_1", "item_1", 1) is not again


def test_where_the_way_is_to_be_known_soon_the_beginning_of_a_run_is_cut_for_marks() -> None:
    ledger = buffering()
    ledger.early_marks = True

    _, first = say(ledger, "item_1", 300, now=1.0)
    _, second = say(ledger, "item_1", 2000, now=1.0)
    _, third = say(ledger, "item_1", 500, now=1.0)
    _, fourth = say(ledger, "item_2", 120, now=9.0)

    assert sent_ms(first) == [120, 120, 60]
    assert sent_ms(second) == [120] * 6 + [1280]
    assert sent_ms(third) == [500]
    assert sent_ms(fourth) == [120]


# --- Marks ------------------------------------------------------------------------------


def test_a_mark_outstanding_holds_the_clock_and_its_echo_sets_it_right() -> None:
    ledger = buffering()
    segment, _ = say(ledger, "item_1", 100, now=1.0)
    mark = ledger.place_mark()
    say(ledger, "item_1", 100, now=1.0)
    ledger.place_mark()

    assert ledger.heard_ms(segment, 1.18) == 100  # the far side is behind
    assert ledger.mark_reached(mark, 1.18)  # 80 ms late, of which half is the way back
    assert ledger.heard_ms(segment, 1.18) == pytest.approx(140, abs=0.2)
    assert ledger.heard_ms(segment, 1.23) == pytest.approx(190, abs=0.2)
    assert ledger.silent_at(1.18) == pytest.approx(1.24)


def test_a_mark_that_comes_early_tells_that_more_was_heard() -> None:
    ledger = buffering()
    segment, _ = say(ledger, "item_1", 500, now=1.0)
    mark = ledger.place_mark()

    ledger.mark_reached(mark, 1.4)

    assert ledger.heard_ms(segment, 1.4) == 500


@pytest.mark.parametrize("now", [1.1, 1000.1, 87_654.321, 1_000_000.3])
def test_an_echo_proves_its_sound_to_the_last_byte_however_old_the_clock_is(now: float) -> None:
    ledger = buffering()
    first, _ = say(ledger, "item_1", 110, now)
    ledger.complete(first, now)
    mark = ledger.place_mark()
    for number in range(7):
        say(ledger, f"item_{number + 2}", 110, now)

    ledger.mark_reached(mark, now + 0.3)

    assert ledger.settle(now + 0.3) == [first]


def test_an_echo_proves_the_marks_before_it_whose_echoes_were_lost() -> None:
    ledger = buffering()
    segment, _ = say(ledger, "item_1", 100, now=1.0)
    lost = ledger.place_mark()
    say(ledger, "item_1", 100, now=1.0)
    mark = ledger.place_mark()

    assert ledger.mark_reached(mark, 1.25)
    assert ledger.heard_ms(segment, 1.25) == 200
    assert ledger.mark_reached(lost, 1.3)  # ours, only late; it takes nothing back
    assert ledger.heard_ms(segment, 1.3) == 200


def test_a_lost_mark_holds_the_clock_for_a_second_and_not_for_ever() -> None:
    ledger = buffering()
    segment, _ = say(ledger, "item_1", 100, now=1.0)
    ledger.place_mark()
    say(ledger, "item_1", 2000, now=1.0)

    assert ledger.heard_ms(segment, 2.0) == 100
    assert ledger.heard_ms(segment, 2.1) == pytest.approx(1100, abs=0.2)


def test_behind_a_lost_mark_the_next_one_still_holds_the_clock() -> None:
    ledger = buffering()
    segment, _ = say(ledger, "item_1", 100, now=1.0)
    ledger.place_mark()
    say(ledger, "item_1", 500, now=1.0)
    ledger.place_mark()
    say(ledger, "item_1", 3000, now=1.0)
    ledger.place_mark()

    assert ledger.heard_ms(segment, 2.2) == 600


def test_what_was_heard_is_never_taken_back() -> None:
    ledger = buffering()
    segment, _ = say(ledger, "item_1", 100, now=1.0)
    mark = ledger.place_mark()
    say(ledger, "item_1", 4900, now=1.0)
    assert ledger.heard_ms(segment, 3.0) == pytest.approx(2000, abs=0.2)

    ledger.mark_reached(mark, 3.0)  # not lost: the far side had stood still

    assert ledger.heard_ms(segment, 3.0) == pytest.approx(2000, abs=0.2)
    assert ledger.heard_ms(segment, 3.4) == pytest.approx(2000, abs=0.2)
    assert ledger.heard_ms(segment, 6.0) == pytest.approx(3550, abs=0.2)


def test_a_far_side_whose_echoes_come_ever_later_is_not_followed_for_ever() -> None:
    ledger = buffering()
    echoes: list[tuple[str, float]] = []
    for now in range(300):
        while echoes and now >= echoes[0][1]:
            ledger.mark_reached(echoes.pop(0)[0], now)
        if now < 120:
            segment, _ = say(ledger, "item_1", 1000, now=now)
            # Just before it would be taken for lost.
            echoes.append((ledger.place_mark(), ledger.silent_at(now) + 29.0))
        assert ledger.heard_ms(segment, now) <= segment.received_ms
        assert ledger.silent_at(now) <= min(now, 119) + 1.0 + LONGEST_HELD_SECONDS

    assert ledger.heard_ms(segment, 300.0) == segment.received_ms


def test_an_echo_that_comes_twice_changes_nothing() -> None:
    ledger = buffering()
    segment, _ = say(ledger, "item_1", 100, now=1.0)
    mark = ledger.place_mark()
    say(ledger, "item_1", 1000, now=1.0)
    assert ledger.mark_reached(mark, 1.15)

    assert not ledger.mark_reached(mark, 1.3)
    assert ledger.heard_ms(segment, 1.3) == pytest.approx(275, abs=0.2)


def test_an_echo_half_a_minute_late_sets_nothing_right_any_more() -> None:
    ledger = buffering()
    segment, _ = say(ledger, "item_1", 100, now=1.0)
    mark = ledger.place_mark()
    say(ledger, "item_1", 60_000, now=1.0)
    before = ledger.heard_ms(segment, 31.2)

    assert ledger.mark_reached(mark, 31.2)  # ours, but long given up
    assert ledger.heard_ms(segment, 32.2) == pytest.approx(before + 1000, abs=0.2)
    assert not ledger.mark_reached(mark, 32.2)


def test_a_far_side_that_never_echoes_cannot_fill_the_memory(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(module, "MOST_STALE_MARKS", 3)
    ledger = buffering()
    marks = []
    for second in range(6):
        say(ledger, "item_1", 100, now=second)
        marks.append(ledger.place_mark())
        ledger.cut(second + 0.05)

    assert [ledger.mark_reached(mark, 9.0) for mark in marks] == [False] * 3 + [True] * 3


def test_a_glance_at_the_ledger_changes_nothing() -> None:
    ledger = buffering()
    segment, _ = say(ledger, "item_1", 100, now=1.0)
    mark = ledger.place_mark()
    say(ledger, "item_1", 4900, now=1.0)

    ((seen, heard_ms),) = ledger.glance(3.0)
    assert seen is segment
    assert heard_ms == pytest.approx(2000, abs=0.2)

    # Had anybody else asked then, this could not be taken back.
    ledger.mark_reached(mark, 3.0)
    assert ledger.heard_ms(segment, 3.0) == pytest.approx(550, abs=0.2)


def test_a_name_we_never_placed_is_not_ours() -> None:
    ledger = buffering()
    ledger.place_mark()

    assert not ledger.mark_reached("mark-7", 1.0)


def test_marks_flushed_by_a_clear_count_for_nothing() -> None:
    ledger = buffering()
    say(ledger, "item_1", 1000, now=1.0)
    flushed = ledger.place_mark()
    ledger.cut(1.2)
    segment, _ = say(ledger, "item_2", 1000, now=1.2)
    ledger.place_mark()

    assert ledger.mark_reached(flushed, 1.3)
    assert ledger.heard_ms(segment, 1.3) == pytest.approx(100, abs=0.2)


def test_no_mark_bears_a_name_twice_not_even_after_a_clear() -> None:
    ledger = buffering()
    names = [ledger.place_mark(), ledger.place_mark()]
    ledger.cut(1.0)
    names.append(ledger.place_mark())

    assert len(set(names)) == 3


# --- Pacing -----------------------------------------------------------------------------


def test_paced_sound_leaves_with_a_bounded_lead() -> None:
    ledger = paced()
    _, leaving = say(ledger, "item_1", 1000, now=1.0)
    at_once = sum(sent_ms(leaving))
    assert 200 <= at_once <= 300

    now = 1.0
    while ledger.deadline is not None:
        assert ledger.deadline >= now
        now = ledger.deadline
        leaving = ledger.release(now)
        assert sent_ms(leaving) == [100]  # each waking is worth it
        at_once += 100
        assert at_once - (now - 1.0) * 1000 <= 300.1

    assert at_once == 1000


def test_before_its_time_nothing_more_leaves() -> None:
    ledger = paced()
    say(ledger, "item_1", 1000, now=1.0)

    assert ledger.deadline is not None
    assert ledger.release(ledger.deadline - 0.001) == []


def test_the_end_of_a_paced_utterance_leaves_behind_its_last_sound() -> None:
    ledger = paced()
    segment, _ = say(ledger, "item_1", 450, now=1.0)
    assert ledger.complete(segment, 1.0) == []

    leaving: list[Sent | Ended] = []
    while ledger.deadline is not None:
        leaving += ledger.release(ledger.deadline)

    assert sent_ms(leaving)[-1] == 50
    assert leaving[-1] == Ended()


def test_where_all_is_sent_at_once_so_is_the_end() -> None:
    ledger = buffering()
    segment, _ = say(ledger, "item_1", 450, now=1.0)

    assert ledger.complete(segment, 1.0) == [Ended()]
    assert ledger.complete(segment, 1.0) == []
    assert ledger.deadline is None


def test_a_part_without_sound_has_no_end_and_leaves_no_trace() -> None:
    ledger = buffering()
    other = ledger.segment("resp_1", "item_1", 0)
    silent = ledger.segment("resp_1", "item_1", 1)

    assert ledger.complete(silent, 1.0) == []
    assert ledger.segments == [other]


def test_paced_sound_is_audible_while_any_of_it_waits() -> None:
    ledger = paced()
    assert not ledger.audible(1.0)
    segment, _ = say(ledger, "item_1", 1000, now=1.0)

    assert ledger.silent_at(1.0) == pytest.approx(2.0)
    assert ledger.audible(9.0)  # nobody woke us: it waits still
    assert ledger.silent_at(9.0) == pytest.approx(9.0 + 1.0 - segment.sent / 8000)

    ledger.release(9.0)
    ledger.cut(9.1)
    assert not ledger.audible(9.1)
    assert ledger.silent_at(9.1) == 9.1


# --- Out of the ledger ------------------------------------------------------------------


def test_a_part_leaves_the_ledger_once_it_was_heard_to_its_end() -> None:
    ledger = buffering()
    segment, _ = say(ledger, "item_1", 500, now=1.0)
    ledger.complete(segment, 1.0)

    assert ledger.settle(1.4) == []
    assert ledger.settle(3.0) == [segment]
    assert (segment.heard_ms, segment.ends_at) == (500, 1.5)
    assert ledger.settle(3.0) == []


def test_a_part_the_model_may_add_to_does_not_leave() -> None:
    ledger = buffering()
    say(ledger, "item_1", 500, now=1.0)

    assert ledger.settle(3.0) == []


def test_a_paced_part_that_waits_in_part_does_not_leave() -> None:
    ledger = paced()
    segment, _ = say(ledger, "item_1", 1000, now=1.0)
    ledger.complete(segment, 1.0)

    assert ledger.settle(5.0) == []


def test_an_item_finished_out_of_order_leaves_before_the_one_that_is_not() -> None:
    ledger = buffering()
    first, _ = say(ledger, "item_1", 100, now=1.0)
    second, _ = say(ledger, "item_2", 100, now=1.0)
    ledger.complete(second, 1.0)

    assert ledger.settle(3.0) == [second]
    ledger.complete(first, 3.0)
    assert ledger.settle(3.0) == [first]


def test_a_cut_tells_how_much_was_heard_of_each_and_forgets_the_rest() -> None:
    ledger = buffering()
    first, _ = say(ledger, "item_1", 500, now=1.0)
    second, _ = say(ledger, "item_2", 500, now=1.0)

    assert ledger.cut(1.7) == [first, second]
    assert first.heard_ms == 500
    assert second.heard_ms == pytest.approx(200, abs=0.2)
    assert second.ends_at == 1.7
    assert not ledger.audible(1.7)
    assert ledger.cut(1.7) == []


# --- The wire ---------------------------------------------------------------------------


def far() -> PlayoutLedger:
    """For a far side that reports marks, 50 ms away as far as is known."""
    return PlayoutLedger(PCMU_8K, lead_seconds=None, wire=WireDelay(0.05))


def test_sound_is_heard_one_way_after_it_was_sent() -> None:
    ledger = far()
    segment, leaving = say(ledger, "item_1", 100, now=1.0)

    assert leaving == [Sent(sound(100), 1.05)]
    assert ledger.heard_ms(segment, 1.05) == 0
    assert ledger.heard_ms(segment, 1.1) == pytest.approx(50, abs=0.2)
    assert ledger.silent_at(1.0) == pytest.approx(1.15)  # who waits for the last word waits so long
    assert ledger.audible(1.14)
    assert not ledger.audible(1.16)


def test_an_echo_says_what_was_heard_one_way_ago() -> None:
    ledger = far()
    segment, _ = say(ledger, "item_1", 100, now=1.0)
    mark = ledger.place_mark()
    say(ledger, "item_1", 300, now=1.0)

    ledger.mark_reached(mark, 1.16)  # 30 ms there, 30 ms back

    assert ledger.heard_ms(segment, 1.16) == pytest.approx(130, abs=0.2)
    assert segment.starts_at == pytest.approx(1.03)
    assert segment.ends_at == ledger.silent_at(1.16) == pytest.approx(1.43)
    _, (later,) = say(ledger, "item_2", 100, now=3.0)
    assert isinstance(later, Sent)
    assert later.starts_at == pytest.approx(3.03)


def test_a_mark_outstanding_holds_the_clock_one_way_beyond_it() -> None:
    ledger = far()
    segment, _ = say(ledger, "item_1", 100, now=1.0)
    ledger.place_mark()
    say(ledger, "item_1", 900, now=1.0)

    assert ledger.heard_ms(segment, 1.19) == pytest.approx(140, abs=0.2)
    assert ledger.heard_ms(segment, 1.9) == 150


def test_what_was_heard_stays_heard_when_the_way_turns_out_longer() -> None:
    ledger = far()
    segment, _ = say(ledger, "item_1", 1000, now=1.0)
    mark = ledger.place_mark()
    say(ledger, "item_1", 1000, now=1.0)
    assert ledger.heard_ms(segment, 2.2) == 1050

    ledger.pinged(0.02, None, 2.2)
    ledger.mark_reached(mark, 2.2)  # there 145 ms or so, not 50

    assert ledger.heard_ms(segment, 2.2) == pytest.approx(1100, abs=0.2)
    assert ledger.heard_ms(segment, 2.25) == pytest.approx(1150, abs=0.2)


def test_the_echoes_of_an_earlier_run_do_not_move_a_later_one() -> None:
    ledger = far()
    first, _ = say(ledger, "item_1", 100, now=1.0)
    mark = ledger.place_mark()
    _, (leaving,) = say(ledger, "item_2", 100, now=1.12)
    assert isinstance(leaving, Sent)
    assert not leaving.follows

    ledger.mark_reached(mark, 1.5)

    assert ledger.heard_ms(first, 1.5) == 100
    assert ledger.silent_at(1.5) == pytest.approx(1.27)
    assert ledger.wire.seconds == 0.05


def test_the_marks_a_clear_brings_back_say_nothing_of_the_way() -> None:
    ledger = far()
    say(ledger, "item_1", 5000, now=1.0)
    flushed = ledger.place_mark()
    ledger.cut(1.2)
    ledger.mark_reached(flushed, 1.21)

    assert ledger.wire.seconds == 0.05
    _, (leaving,) = say(ledger, "item_2", 100, now=1.21)
    assert leaving == Sent(sound(100), 1.26)


def test_who_was_told_when_sound_is_heard_is_told_how_far_it_moved() -> None:
    ledger = far()
    assert ledger.moved(1.0) == 0.0
    say(ledger, "item_1", 100, now=1.0)
    marks = [ledger.place_mark()]
    say(ledger, "item_1", 100, now=1.0)
    marks.append(ledger.place_mark())
    assert ledger.moved(1.0) == 0.0

    ledger.mark_reached(marks[0], 1.16)
    assert ledger.moved(1.16) == pytest.approx(-0.02)
    assert ledger.moved(1.16) == 0.0
    ledger.mark_reached(marks[1], 1.258)  # quicker, but not worth a word
    assert ledger.moved(1.258) == 0.0


def test_where_the_far_side_stood_still_later_the_beginning_was_heard_when_it_was() -> None:
    ledger = far()
    say(ledger, "item_1", 1000, now=1.0)
    mark = ledger.place_mark()

    ledger.mark_reached(mark, 1.0 + NEWS_SECONDS + 0.1)

    assert ledger.silent_at(2.6) > 2.2
    assert ledger.moved(1.0 + NEWS_SECONDS + 0.1) == 0.0


def test_a_part_said_before_a_pause_and_after_it_began_when_it_did() -> None:
    ledger = far()
    segment, _ = say(ledger, "item_1", 100, now=1.0)
    say(ledger, "item_1", 100, now=2.0)
    mark = ledger.place_mark()
    other, _ = say(ledger, "item_2", 100, now=2.0)
    waiting = ledger.segment("resp_1", "item_3", 0)

    ledger.mark_reached(mark, 2.14)

    assert segment.starts_at == pytest.approx(1.05)
    assert segment.ends_at == pytest.approx(2.12)
    assert other.starts_at == pytest.approx(2.12)
    assert waiting.starts_at == 0.0


def test_the_end_of_an_earlier_run_is_not_moved_by_a_later_ones_echo() -> None:
    ledger = far()
    before, _ = say(ledger, "item_1", 100, now=1.0)
    say(ledger, "item_2", 100, now=2.0)
    ledger.mark_reached(ledger.place_mark(), 2.14)

    assert before.ends_at == pytest.approx(1.15)


def test_silence_the_far_side_has_to_play_comes_before_what_is_said() -> None:
    ledger = far()
    ledger.silent_until(1.2)
    ledger.silent_until(1.1)
    _, (leaving,) = say(ledger, "item_1", 100, now=1.0)

    assert isinstance(leaving, Sent)
    assert leaving.starts_at == pytest.approx(1.25)


def test_the_wire_does_not_eat_the_lead() -> None:
    near, away = paced(), PlayoutLedger(PCMU_8K, lead_seconds=0.3, wire=WireDelay(0.25))
    for ledger in (near, away):
        say(ledger, "item_1", 1000, now=1.0)

    assert near.deadline == pytest.approx(away.deadline)


def test_a_ping_that_left_with_the_first_sound_says_where_it_is_heard() -> None:
    ledger = PlayoutLedger(PCMU_8K, lead_seconds=0.3, wire=WireDelay(0.05))
    segment, _ = say(ledger, "item_1", 200, now=1.0)
    run = ledger.run
    assert run is not None

    ledger.pinged(0.02, run, 1.02)

    assert segment.starts_at == pytest.approx(1.01)
    assert ledger.heard_ms(segment, 1.11) == pytest.approx(100, abs=0.2)
    assert ledger.moved(1.11) == pytest.approx(-0.04)


def test_a_ping_before_all_sound_says_where_the_first_will_be_heard() -> None:
    ledger = far()
    for _ in range(3):
        ledger.pinged(0.02, None, 0.5)
    _, (leaving,) = say(ledger, "item_1", 100, now=1.0)

    assert isinstance(leaving, Sent)
    assert leaving.starts_at == pytest.approx(1.01)


def test_a_pong_that_comes_when_other_sound_is_heard_does_not_move_that() -> None:
    ledger = PlayoutLedger(PCMU_8K, lead_seconds=0.3, wire=WireDelay(0.05))
    say(ledger, "item_1", 100, now=1.0)
    run = ledger.run
    later, _ = say(ledger, "item_2", 100, now=3.0)

    ledger.pinged(2.01, run, 3.01)

    assert later.starts_at == pytest.approx(3.05)


# --- A clear on its way -----------------------------------------------------------------


def test_what_is_heard_until_the_clear_arrives_was_heard() -> None:
    ledger = far()
    segment, _ = say(ledger, "item_1", 1000, now=1.0)

    assert ledger.cut(1.55, ledger.cleared_at(1.55)) == [segment]

    assert segment.heard_ms == pytest.approx(550, abs=0.2)
    assert segment.ends_at == pytest.approx(1.6)


def test_a_clear_that_overtakes_nothing_finds_nothing_heard_that_was_not_there() -> None:
    ledger = far()
    segment, _ = say(ledger, "item_1", 1000, now=1.0)
    ledger.cut(1.02, ledger.cleared_at(1.02))  # both are on their way

    assert segment.heard_ms == pytest.approx(20, abs=0.2)


def test_a_mark_outstanding_holds_what_is_heard_until_the_clear_arrives_as_well() -> None:
    ledger = far()
    segment, _ = say(ledger, "item_1", 100, now=1.0)
    ledger.place_mark()
    say(ledger, "item_1", 900, now=1.0)
    ledger.cut(1.9, ledger.cleared_at(1.9))

    assert segment.heard_ms == 200


def test_a_part_that_ends_before_the_clear_arrives_is_cut_all_the_same() -> None:
    ledger = far()
    first, _ = say(ledger, "item_1", 500, now=1.0)
    ledger.complete(first, 1.0)
    second, _ = say(ledger, "item_2", 500, now=1.0)

    assert ledger.settle(1.52) == []
    assert ledger.cut(1.52, ledger.cleared_at(1.52)) == [first, second]
    assert first.heard_ms == 500
    assert first.ends_at == pytest.approx(1.55)
    assert second.heard_ms == pytest.approx(20, abs=0.2)


def test_what_is_paused_goes_on_from_where_the_clear_will_find_it() -> None:
    ledger = far()
    ledger.kept = KeptSound()
    segment, _ = say(ledger, "item_1", 1000, now=1.0)
    ledger.pause(1.55)
    assert ledger.heard_ms(segment, 1.9) == pytest.approx(550, abs=0.2)

    again = ledger.resume(1.9, 1)

    assert sum(sent_ms(again)) == pytest.approx(450, abs=0.2)


def test_where_it_is_buffered_it_leaves_in_the_pieces_in_which_it_came() -> None:
    ledger = far()
    ledger.kept = KeptSound()
    for _ in range(4):
        say(ledger, "item_1", 200, now=1.0)
    ledger.pause(1.09)
    segment, _ = say(ledger, "item_1", 250, now=1.5)
    ledger.complete(segment, 1.5)

    again = ledger.resume(1.9, 160)

    assert sent_ms(again) == [120, 200, 200, 200, 100, 100, 50]
    assert again[-1] == Ended()
    assert [one.follows for one in again[:-1] if isinstance(one, Sent)] == [False] + 6 * [True]

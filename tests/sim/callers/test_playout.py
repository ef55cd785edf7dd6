"""The playout is the oracle: what was heard, and when."""

import pytest

from opusbridge.sim.callers.playout import Ear, Playout, is_audible
from opusbridge.sound import PCM_24K, PCMU_8K

MS_100 = bytes(range(1, 101)) * 8  # 100 ms of mu-law, loud


def playout() -> tuple[Playout, Ear]:
    ear = Ear(0.7)
    return Playout(ear), ear


def test_sound_is_heard_in_real_time_from_the_instant_it_arrives() -> None:
    line, ear = playout()
    line.add(MS_100, PCMU_8K, 1.0)
    line.advance(1.03)

    (span,) = ear.heard
    assert (span.started_at, span.ended_at, bytes(span.sound)) == (1.0, 1.03, MS_100[:240])
    assert line.queued_ms == 70


def test_sound_sent_in_one_burst_is_heard_as_one_stretch() -> None:
    line, ear = playout()
    line.add(MS_100, PCMU_8K, 0.0)
    line.add(MS_100, PCMU_8K, 0.0)
    line.advance(5.0)

    (span,) = ear.heard
    assert (span.ended_at, len(span.sound), line.empty) == (0.2, 1600, True)


def test_an_underrun_is_a_gap_in_what_was_heard() -> None:
    line, ear = playout()
    line.add(MS_100, PCMU_8K, 0.0)
    line.advance(0.3)
    line.add(MS_100, PCMU_8K, 0.3)
    line.advance(1.0)

    assert [(s.started_at, s.ended_at) for s in ear.heard] == [(0.0, 0.1), (0.3, 0.4)]


def test_a_mark_is_reached_when_all_before_it_was_heard() -> None:
    line, _ = playout()
    line.add(MS_100, PCMU_8K, 0.0)

    assert line.add_mark("m") is True
    assert line.advance(0.09) == []
    assert line.advance(0.11) == ["m"]


def test_a_mark_on_an_empty_queue_does_not_wait() -> None:
    line, _ = playout()

    assert line.add_mark("m") is False


def test_a_clear_drops_what_was_queued_before_it_and_nothing_later() -> None:
    line, ear = playout()
    line.add(MS_100, PCMU_8K, 0.0)
    line.add_mark("old")
    epoch = line.next_epoch()
    line.add(MS_100, PCMU_8K, 0.01)
    line.add_mark("new")
    line.advance(0.05)  # the clear takes effect here

    assert line.clear(epoch, 0.05) == ["old"]
    assert line.queued_ms == 100
    assert line.advance(1.0) == ["new"]
    assert [len(span.sound) for span in ear.heard] == [400 + 800]
    assert ear.heard[0].ended_at == pytest.approx(0.15)


def test_whole_samples_only_reach_the_ear() -> None:
    line, ear = playout()
    line.add(b"\x01\x02" * 4800, PCM_24K, 0.0)
    line.advance(0.0000500)

    assert len(ear.heard[0].sound) == 2


def test_a_stretch_in_another_format_is_a_span_of_its_own() -> None:
    line, ear = playout()
    line.add(MS_100, PCMU_8K, 0.0)
    line.add(bytes(4800), PCM_24K, 0.0)
    line.advance(1.0)

    assert [span.format for span in ear.heard] == [PCMU_8K, PCM_24K]


def test_silence_and_hiss_are_not_audible_in_either_encoding() -> None:
    assert not is_audible(b"\xff\x7f" * 80, PCMU_8K)
    assert not is_audible(b"\x40\x01\xc0\xfe" * 80, PCM_24K)
    assert is_audible(b"\x20" * 160, PCMU_8K)
    assert is_audible(b"\x00\x20" * 160, PCM_24K)
    assert not is_audible(b"", PCMU_8K)


def test_an_utterance_begins_anew_after_a_pause() -> None:
    ear = Ear(0.7)
    ear.hear(b"\x20" * 160, PCMU_8K, 1.0, 1.02)
    ear.hear(b"\x20" * 160, PCMU_8K, 1.5, 1.52)
    assert (ear.utterance_at, ear.audible_at) == (1.0, 1.52)

    ear.hear(b"\x20" * 160, PCMU_8K, 3.0, 3.02)
    assert ear.utterance_at == 3.0


def test_what_has_come_and_was_not_heard_is_known_in_order() -> None:
    line, _ = playout()
    assert line.unheard == []
    line.add(MS_100, PCMU_8K, 0.0)
    line.add_mark("one")
    line.add(MS_100, PCM_24K, 0.0)
    line.advance(0.03)

    assert line.unheard == [(MS_100[240:], PCMU_8K), (MS_100, PCM_24K)]

from math import inf

import pytest

from opusbridge.call.judge import Judge
from opusbridge.call.kept import ECHO_KEPT_SECONDS, MOST_KEPT_MS, KeptSound
from opusbridge.call.segments import Segment
from opusbridge.sound import PCM_8K, PCMU_8K, Audio

SEGMENT = Segment("resp_1", "item_1", 0)
LOUD, QUIET = b"\x10\x90", b"\xff\x7f"


def sound(ms: int, like: bytes = LOUD) -> Audio:
    return Audio.of(like * (4 * ms), PCMU_8K)


def agents(ms: int, level: int) -> Audio:
    """A square wave of that height of 32768."""
    high, low = level.to_bytes(2, "little"), (-level).to_bytes(2, "little", signed=True)
    return Audio.of((high + low) * (4 * ms), PCM_8K)


def test_what_lies_behind_the_heard_byte_comes_back_in_order() -> None:
    kept = KeptSound()
    other = Segment("resp_1", "item_2", 0)
    kept.add(SEGMENT, Audio.of(bytes(range(100)), PCMU_8K), 0, 1.0, 0, 1.0)
    kept.add(other, Audio.of(b"abc", PCMU_8K), 100, 1.0125, 0, 1.0)

    assert kept.unheard(0) == [(SEGMENT, bytes(range(100))), (other, b"abc")]
    assert kept.unheard(98) == [(SEGMENT, b"bc"), (other, b"abc")]
    assert kept.unheard(100) == [(other, b"abc")]
    assert kept.unheard(103) == []


def test_what_was_heard_is_kept_no_longer_than_its_echo_lasts() -> None:
    kept = KeptSound()
    kept.add(SEGMENT, sound(1000), 0, 1.0, 0, 1.0)
    later = 2.0 + ECHO_KEPT_SECONDS
    kept.add(SEGMENT, sound(20), 8000, later, 8000, later - 0.1)
    assert kept.loudest(1.0, 2.0) > -10

    kept.add(SEGMENT, sound(20), 8160, later, 8000, later + 0.1)
    assert kept.loudest(1.0, 2.0) == -inf


def test_an_echo_of_which_the_judge_is_told_late_is_known_for_one() -> None:
    kept = KeptSound()
    judge = Judge(250, kept.loudest)
    now = 1.0
    for nth in range(150):
        kept.add(SEGMENT, agents(20, 16_384), 320 * nth, now, 320 * nth, now)
        now += 0.02
        judge.hear(agents(20, 4_096), now)  # 12 dB below
    judge.open(now - 1.9, now)

    assert judge.voice_ms == 0


def test_what_is_late_to_be_heard_is_kept_however_late() -> None:
    kept = KeptSound()
    kept.add(SEGMENT, sound(1000), 0, 1.0, 0, 1.0)
    kept.add(SEGMENT, sound(20), 8000, 60.0, 7000, 60.0)

    assert len(kept.unheard(7000)[0][1]) == 1000


def test_more_than_the_longest_response_is_given_up() -> None:
    kept = KeptSound()
    half = sound(int(MOST_KEPT_MS / 2))
    for nth in range(3):
        kept.add(SEGMENT, half, nth * half.size_bytes, 0.0, 0, 0.0)

    assert not kept.has_all_after(half.size_bytes - 1)
    assert kept.has_all_after(half.size_bytes)
    kept.cut(1.0)
    assert kept.has_all_after(0)


def test_after_a_cut_nothing_is_unheard_and_the_echo_ends() -> None:
    kept = KeptSound()
    kept.add(SEGMENT, sound(1000), 0, 1.0, 0, 1.0)
    kept.add(SEGMENT, sound(1000), 8000, 2.0, 0, 1.0)
    kept.cut(1.5)

    assert kept.unheard(0) == []
    assert kept.loudest(1.4, 1.6) > -10
    assert kept.loudest(1.5, 3.0) == -inf


@pytest.mark.parametrize(
    ("since", "until", "loud"),
    [(0.0, 1.0, False), (0.9, 1.1, True), (1.2, 1.3, True), (1.5, 1.9, False), (2.1, 2.2, False)],
)
def test_it_tells_how_loud_what_was_heard_in_between_was(
    since: float, until: float, loud: bool
) -> None:
    kept = KeptSound()
    both = Audio.of(sound(400).raw + sound(600, QUIET).raw, PCMU_8K)
    kept.add(SEGMENT, both, 0, 1.0, 0, 1.0)

    assert (kept.loudest(since, until) > -10) == loud

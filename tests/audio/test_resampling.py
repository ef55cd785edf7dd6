from itertools import permutations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from opusbridge.audio.resampling import COEFFICIENT_BITS, RATES_HZ, Resampler, kernel
from tests.audio.signals import noise, pcm_of, samples_of, tone

PAIRS = sorted(permutations(RATES_HZ, 2))
EVERY_PAIR = pytest.mark.parametrize(("from_hz", "to_hz"), PAIRS)
steadily = settings(derandomize=True, deadline=None, max_examples=60)


def all_of(pcm: bytes, from_hz: int, to_hz: int) -> bytes:
    resampler = Resampler(from_hz, to_hz)
    return resampler.convert(pcm) + resampler.flush()


def rms(pcm: bytes) -> float:
    return float(np.sqrt(np.mean(samples_of(pcm) ** 2)))


@steadily
@given(st.sampled_from(PAIRS), st.integers(0, 2**32), st.lists(st.integers(0, 700), max_size=12))
def test_how_the_sound_is_cut_changes_no_bit(
    pair: tuple[int, int], seed: int, pieces: list[int]
) -> None:
    pcm = noise(seed, sum(pieces))
    resampler, at, got = Resampler(*pair), 0, b""

    for samples in pieces:
        got += resampler.convert(pcm[at : at + 2 * samples])
        at += 2 * samples
    got += resampler.flush()

    assert got == all_of(pcm, *pair)


@EVERY_PAIR
def test_a_long_sound_in_one_piece_is_the_same_in_frames(from_hz: int, to_hz: int) -> None:
    pcm, frame = noise(1, 2 * from_hz), from_hz // 50 * 2
    resampler = Resampler(from_hz, to_hz)

    got = b"".join(resampler.convert(pcm[at : at + frame]) for at in range(0, len(pcm), frame))

    assert got + resampler.flush() == all_of(pcm, from_hz, to_hz)


@EVERY_PAIR
def test_every_sum_is_exact_in_a_double(from_hz: int, to_hz: int) -> None:
    coefficients = kernel(from_hz // 8_000, to_hz // 8_000) * 2.0**COEFFICIENT_BITS

    assert np.array_equal(coefficients, np.rint(coefficients))
    assert np.abs(coefficients).sum(axis=0).max() * 32768 < 2**53


@EVERY_PAIR
def test_every_sample_is_the_nearest_to_what_the_filter_is_by_definition(
    from_hz: int, to_hz: int
) -> None:
    sound = np.rint(samples_of(noise(3, 240)) / 4)

    got = samples_of(all_of(pcm_of(sound), from_hz, to_hz))

    silence = 100
    inputs = np.arange(-silence, len(sound) + silence) / from_hz
    outputs = np.arange(len(got)) / to_hz
    distance = (inputs[None, :] - outputs[:, None]) * min(from_hz, to_hz)
    weights = np.sinc(distance) * np.i0(7.86 * np.sqrt(np.clip(1 - (distance / 16) ** 2, 0, None)))
    weights[np.abs(distance) > 15.999] = 0
    weights /= weights.sum(axis=1, keepdims=True)
    assert np.abs(got - weights @ np.pad(sound, silence)).max() < 0.55


@steadily
@given(st.sampled_from(PAIRS), st.integers(0, 2_000))
def test_the_length_is_exact_and_rounded_up(pair: tuple[int, int], samples: int) -> None:
    from_hz, to_hz = pair

    got = all_of(noise(1, samples), from_hz, to_hz)

    assert len(got) == 2 * -(-samples * to_hz // from_hz)


@EVERY_PAIR
def test_sound_is_held_back_by_two_milliseconds_at_most(from_hz: int, to_hz: int) -> None:
    got = Resampler(from_hz, to_hz).convert(noise(1, from_hz))

    held_ms = (to_hz - len(got) // 2) / to_hz * 1000
    assert held_ms <= (1.125 if min(from_hz, to_hz) == 16_000 else 2.125)


@pytest.mark.parametrize("rate_hz", sorted(RATES_HZ))
def test_the_same_rate_changes_nothing_and_holds_nothing_back(rate_hz: int) -> None:
    resampler = Resampler(rate_hz, rate_hz)

    assert resampler.convert(noise(1, 100)) == noise(1, 100)
    assert resampler.flush() == b""


@EVERY_PAIR
def test_a_steady_level_stays_exactly_what_it_is(from_hz: int, to_hz: int) -> None:
    got = samples_of(all_of(pcm_of(np.full(from_hz // 10, 12_345.0)), from_hz, to_hz))

    edge = to_hz // 400
    assert set(got[edge:-edge]) == {12_345}


@EVERY_PAIR
def test_what_is_too_loud_is_clipped_and_never_wraps(from_hz: int, to_hz: int) -> None:
    half = from_hz // 100
    square = np.tile(np.repeat([32767.0, -32768.0], half), 10)

    got = samples_of(all_of(pcm_of(square), from_hz, to_hz))

    inside = to_hz // 800
    plateaus = got.reshape(20, -1)[:, inside:-inside]
    assert plateaus[0::2].min() > 30_000
    assert plateaus[1::2].max() < -30_000
    assert got.max() == 32767
    assert got.min() == -32768


@EVERY_PAIR
def test_the_sound_keeps_its_place_in_time(from_hz: int, to_hz: int) -> None:
    click = np.zeros(from_hz // 10)
    click[from_hz // 20] = 30_000

    got = samples_of(all_of(pcm_of(click), from_hz, to_hz))

    assert np.argmax(got) == to_hz // 20
    # Both sides alike: no frequency is late. (The ends are not alike: an even length.)
    assert np.array_equal(got[1 : to_hz // 20], got[: to_hz // 20 : -1])


@pytest.mark.parametrize(
    ("from_hz", "to_hz", "hz"),
    [
        (24_000, 8_000, 5_000),  # would be heard at 3 kHz
        (24_000, 8_000, 4_640),
        (24_000, 8_000, 7_000),
        (24_000, 8_000, 11_500),
        (16_000, 8_000, 5_000),
        (16_000, 8_000, 7_500),
        (24_000, 16_000, 9_280),
        (24_000, 16_000, 11_000),
    ],
)
def test_what_the_lower_rate_cannot_hold_is_silenced_not_folded(
    from_hz: int, to_hz: int, hz: int
) -> None:
    sound = tone(hz, from_hz, 0.2, peak=32_000)

    got = all_of(sound, from_hz, to_hz)

    middle = got[len(got) // 4 & ~1 : len(got) * 3 // 4 & ~1]
    assert rms(middle) < rms(sound) * 10 ** (-77 / 20)


@pytest.mark.parametrize(
    ("from_hz", "to_hz", "hz"),
    [(8_000, 24_000, 3_000), (8_000, 16_000, 3_300), (16_000, 24_000, 6_500)],
)
def test_a_higher_rate_brings_no_mirror_images(from_hz: int, to_hz: int, hz: int) -> None:
    got = samples_of(all_of(tone(hz, from_hz, 0.4, peak=32_000), from_hz, to_hz))

    middle = got[len(got) // 4 : len(got) * 3 // 4]
    spectrum = np.abs(np.fft.rfft(middle * np.blackman(len(middle))))
    heard = np.fft.rfftfreq(len(middle), 1 / to_hz)
    image = spectrum[heard > from_hz / 2].max()
    assert 20 * np.log10(spectrum.max() / image) > 77


@EVERY_PAIR
def test_after_a_flush_or_a_reset_nothing_of_the_past_is_heard(from_hz: int, to_hz: int) -> None:
    resampler = Resampler(from_hz, to_hz)
    fresh = all_of(noise(2, 500), from_hz, to_hz)

    resampler.convert(noise(1, 333))
    resampler.flush()
    assert resampler.convert(noise(2, 500)) + resampler.flush() == fresh

    resampler.convert(noise(1, 333))
    resampler.reset()
    assert resampler.convert(noise(2, 500)) + resampler.flush() == fresh


def test_half_a_sample_is_a_mistake_of_the_caller() -> None:
    with pytest.raises(AssertionError):
        Resampler(8_000, 16_000).convert(b"\x00")


def test_a_rate_of_no_telephone_is_refused() -> None:
    with pytest.raises(AssertionError):
        Resampler(44_100, 8_000)

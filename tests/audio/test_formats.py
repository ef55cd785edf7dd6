from itertools import product
from math import inf

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from opusbridge.audio.formats import (
    Transcoder,
    level_dbfs,
    levels_dbfs,
    silence,
    silence_byte,
)
from opusbridge.sound import PCM_8K, PCM_16K, PCM_24K, PCMA_8K, PCMU_8K, Audio, AudioFormat
from tests.audio.signals import name, noise, tone

FORMATS = [PCMU_8K, PCMA_8K, PCM_8K, PCM_16K, PCM_24K]
PAIRS = list(product(FORMATS, FORMATS))
EVERY_PAIR = pytest.mark.parametrize(("source", "target"), PAIRS, ids=name)
steadily = settings(derandomize=True, deadline=None, max_examples=60)


def all_of(raw: bytes, source: AudioFormat, target: AudioFormat) -> bytes:
    transcoder = Transcoder(source, target)
    return transcoder.convert(raw) + transcoder.flush()


@pytest.mark.parametrize("format", FORMATS, ids=name)
def test_silence_is_as_long_as_asked_and_silent(format: AudioFormat) -> None:
    quiet = silence(format, 20)

    assert quiet.ms == 20
    # A-law has no zero; its least value is 8.
    assert level_dbfs(all_of(quiet.raw, format, PCM_8K)) <= -72


def test_silence_has_a_byte_of_its_own_in_each_encoding() -> None:
    assert [silence_byte(format) for format in (PCMU_8K, PCMA_8K, PCM_24K)] == [
        b"\xff",
        b"\xd5",
        b"\x00",
    ]


@pytest.mark.parametrize("source", [PCMU_8K, PCM_8K, PCM_16K, PCM_24K], ids=name)
@pytest.mark.parametrize("target", FORMATS, ids=name)
def test_silence_stays_silence_in_every_format(source: AudioFormat, target: AudioFormat) -> None:
    assert all_of(silence(source, 100).raw, source, target) == silence(target, 100).raw


def test_loudness_is_measured_against_a_square_wave_of_full_scale() -> None:
    assert level_dbfs(b"\x00\x80" * 100) == 0
    assert level_dbfs(tone(1_000, 8_000, 1, peak=32_767)) == pytest.approx(-3.01, abs=0.01)
    assert level_dbfs(tone(1_000, 8_000, 1, peak=327.67)) == pytest.approx(-43.01, abs=0.05)


def test_nothing_and_digital_silence_are_infinitely_quiet() -> None:
    assert level_dbfs(b"") == -inf
    assert level_dbfs(b"\x00\x00" * 160) == -inf


@pytest.mark.parametrize("format", [PCM_8K, PCM_24K, PCMU_8K, PCMA_8K])
def test_loudness_is_told_in_windows_whatever_the_format(format: AudioFormat) -> None:
    loud = Transcoder(PCM_8K, format).convert((b"\x00\x40" * 8 + b"\x00\xc0" * 8) * 30)
    quiet = silence(format, 30).raw
    levels = levels_dbfs(Audio.of((loud + quiet)[: 70 * format.bytes_per_ms], format))

    assert len(levels) == 4
    assert levels[0] == pytest.approx(-6.0, abs=1.5)
    assert levels[3] < -60
    assert levels_dbfs(Audio.of(b"\x00", PCM_8K)) == []


@pytest.mark.parametrize("format", FORMATS, ids=name)
def test_equal_formats_pass_every_byte_as_it_is(format: AudioFormat) -> None:
    transcoder = Transcoder(format, format)

    assert transcoder.passes_through
    assert transcoder.convert(noise(1, 100)) == noise(1, 100)
    assert transcoder.flush() == b""


def test_unequal_formats_do_not_pass_through() -> None:
    assert not Transcoder(PCMU_8K, PCMA_8K).passes_through
    assert not Transcoder(PCM_8K, PCM_16K).passes_through


def test_passing_through_still_keeps_samples_whole() -> None:
    transcoder = Transcoder(PCM_24K, PCM_24K)

    assert transcoder.convert(b"abc") == b"ab"
    assert transcoder.convert(b"d") == b"cd"


@steadily
@given(st.sampled_from(PAIRS), st.integers(0, 2**32), st.lists(st.integers(0, 999), max_size=8))
def test_how_the_bytes_are_cut_changes_none_of_them(
    pair: tuple[AudioFormat, AudioFormat], seed: int, pieces: list[int]
) -> None:
    raw = noise(seed, sum(pieces))[: sum(pieces)]
    transcoder, at, got = Transcoder(*pair), 0, b""

    for size in pieces:
        piece = transcoder.convert(raw[at : at + size])
        assert len(piece) % pair[1].sample_bytes == 0
        got += piece
        at += size
    got += transcoder.flush()

    assert got == all_of(raw, *pair)


@EVERY_PAIR
@pytest.mark.parametrize("samples", [0, 1, 2, 3, 160, 161, 1_001])
def test_the_length_is_exact_and_rounded_up(
    source: AudioFormat, target: AudioFormat, samples: int
) -> None:
    got = all_of(noise(1, samples)[: samples * source.sample_bytes], source, target)

    assert len(got) == target.sample_bytes * -(-samples * target.rate_hz // source.rate_hz)


@EVERY_PAIR
def test_after_a_flush_or_a_reset_nothing_of_the_past_is_heard(
    source: AudioFormat, target: AudioFormat
) -> None:
    transcoder = Transcoder(source, target)
    fresh = all_of(noise(2, 400), source, target)

    transcoder.convert(noise(1, 333) + b"\x01")
    transcoder.flush()
    assert transcoder.convert(noise(2, 400)) + transcoder.flush() == fresh

    transcoder.convert(noise(1, 333) + b"\x01")
    transcoder.reset()
    assert transcoder.convert(noise(2, 400)) + transcoder.flush() == fresh

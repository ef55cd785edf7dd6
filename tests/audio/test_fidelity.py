"""How much of a sound survives. Measured against sounds computed, and against soxr."""

from itertools import pairwise, permutations, product

import numpy as np
import pytest
import soxr

from opusbridge.audio.formats import Transcoder
from opusbridge.audio.resampling import RATES_HZ, Resampler
from opusbridge.sim.voices import load
from opusbridge.sound import PCM_8K, PCM_16K, PCM_24K, PCMA_8K, PCMU_8K, AudioFormat, Encoding
from opusbridge.speech import load_clip
from tests.audio.signals import name, noise, pcm_of, samples_of, snr_below_db, snr_db, tone

FORMATS = [PCMU_8K, PCMA_8K, PCM_8K, PCM_16K, PCM_24K]
EVERY_PAIR = pytest.mark.parametrize(
    ("source", "target"), [(a, b) for a, b in product(FORMATS, FORMATS) if a != b], ids=name
)
PCM_OF_RATE = {8_000: PCM_8K, 16_000: PCM_16K, 24_000: PCM_24K}
#: What the filter leaves untouched, as a part of the lower rate (resampling.py).
FLAT = 0.84 / 2


def through(raw: bytes, *formats: AudioFormat) -> bytes:
    """From format to format, in pieces of 20 ms."""
    for source, target in pairwise(formats):
        transcoder, piece = Transcoder(source, target), 20 * source.bytes_per_ms
        pieces = [raw[at : at + piece] for at in range(0, len(raw), piece)]
        raw = b"".join(map(transcoder.convert, pieces)) + transcoder.flush()
    return raw


def as_pcm(format: AudioFormat) -> AudioFormat:
    return PCM_OF_RATE[format.rate_hz]


def promised_snr_db(*formats: AudioFormat) -> float:
    return 60 if all(format.encoding is Encoding.PCM for format in formats) else 35


@EVERY_PAIR
def test_a_tone_arrives_in_every_format_as_it_would_have_been_made_there(
    source: AudioFormat, target: AudioFormat
) -> None:
    sent = through(tone(1_004, source.rate_hz, 1.0), as_pcm(source), source)

    got = through(sent, source, target, as_pcm(target))

    wanted = tone(1_004, target.rate_hz, 1.0)
    assert snr_db(wanted, got) >= promised_snr_db(source, target)


@EVERY_PAIR
def test_speech_survives_the_way_there_and_back(source: AudioFormat, target: AudioFormat) -> None:
    rate_hz, speech = load_clip("busy")
    # Three whole seconds, so that there and back is the same length.
    spoken = through(speech[: 3 * 2 * rate_hz], PCM_OF_RATE[rate_hz], as_pcm(source))
    sent = through(spoken, as_pcm(source), source)

    got = through(sent, source, target, source, as_pcm(source))

    flat_hz = FLAT * min(source.rate_hz, target.rate_hz)
    wanted = through(sent, source, as_pcm(source))
    assert snr_below_db(flat_hz, source.rate_hz, wanted, got) >= promised_snr_db(source, target)


@pytest.mark.parametrize("law", [PCMU_8K, PCMA_8K], ids=name)
@pytest.mark.parametrize("slug", ["opening-hours", "hours-of-the-week"])
def test_speech_survives_g711(law: AudioFormat, slug: str) -> None:
    _, speech = load(slug)

    assert snr_db(speech, through(speech, PCM_8K, law, PCM_8K)) >= 35


@pytest.mark.parametrize(("from_hz", "to_hz"), sorted(permutations(RATES_HZ, 2)))
@pytest.mark.parametrize("material", ["speech", "noise"])
def test_resampling_agrees_with_soxr(from_hz: int, to_hz: int, material: str) -> None:
    rate_hz, speech = load_clip("busy")
    heard = pcm_of(soxr.resample(samples_of(speech), rate_hz, from_hz, "VHQ"))
    # A third of full scale, so that nothing clips.
    sound = heard if material == "speech" else pcm_of(samples_of(noise(1, from_hz)) / 3)
    ours = Resampler(from_hz, to_hz)

    got = ours.convert(sound) + ours.flush()

    wanted = pcm_of(soxr.resample(samples_of(sound), from_hz, to_hz, "VHQ"))
    length = min(len(wanted), len(got))
    flat_hz = FLAT * min(from_hz, to_hz)
    assert abs(len(wanted) - len(got)) <= 2
    assert snr_below_db(flat_hz, to_hz, wanted[:length], got[:length]) >= 60


@pytest.mark.slow
@pytest.mark.parametrize(("from_hz", "to_hz"), [(24_000, 8_000), (16_000, 24_000)])
def test_ten_minutes_in_frames_do_not_drift(from_hz: int, to_hz: int) -> None:
    frames, samples = 10 * 60 * 50, from_hz // 50
    # A whole number of waves a second, but not a frame, so that a frame lost or late is heard.
    second = tone(997, from_hz, 1.0)
    cut = [second[2 * samples * i : 2 * samples * (i + 1)] for i in range(50)]
    resampler = Resampler(from_hz, to_hz)

    got = [resampler.convert(cut[frame % 50]) for frame in range(frames)]
    rest = resampler.flush()

    # The first frame is short by what is held back; from then on a frame in is a frame out.
    assert {len(frame) for frame in got[1:]} == {to_hz // 50 * 2}
    assert sum(map(len, got)) + len(rest) == 600 * to_hz * 2
    last_second = (b"".join(got[-51:]) + rest)[-2 * to_hz :]
    assert snr_db(tone(997, to_hz, 1.0), last_second) >= 60


def test_the_measure_sees_a_shift_of_one_sample() -> None:
    sound = samples_of(tone(1_000, 24_000, 1.0))

    assert snr_db(pcm_of(sound), pcm_of(np.roll(sound, 1))) < 20

"""Sounds to measure with, and the measures."""

import numpy as np
from numpy.typing import NDArray

from opusbridge.sound import AudioFormat

Samples = NDArray[np.float64]


def name(format: AudioFormat) -> str:
    """For the names of cases."""
    return f"{format.encoding}-{format.rate_hz}"


def pcm_of(samples: Samples) -> bytes:
    return np.rint(samples).astype("<i2").tobytes()


def samples_of(pcm: bytes) -> Samples:
    return np.frombuffer(pcm, "<i2").astype(np.float64)


def tone(hz: float, rate_hz: int, seconds: float, peak: float = 16_000) -> bytes:
    """A sine that begins at zero, rising."""
    at = np.arange(round(rate_hz * seconds)) / rate_hz
    return pcm_of(peak * np.sin(2 * np.pi * hz * at))


def noise(seed: int, samples: int) -> bytes:
    """All of 16 bits, every value as likely."""
    return np.random.default_rng(seed).integers(-32768, 32768, samples).astype("<i2").tobytes()


def snr_db(wanted: bytes, got: bytes) -> float:
    """Of the same sound, unshifted; 10 ms at each end, where the filter sees silence, apart."""
    a, b = samples_of(wanted), samples_of(got)
    assert len(a) == len(b)
    edge = len(a) // 50
    a, b = a[edge:-edge], b[edge:-edge]
    return ratio_db(a, b - a)


def snr_below_db(hz: float, rate_hz: int, wanted: bytes, got: bytes) -> float:
    """The same, of what lies below a frequency only."""
    a, b = samples_of(wanted), samples_of(got)
    assert len(a) == len(b)
    # A window, so that the ends do not leak over all frequencies.
    window = np.hanning(len(a))
    heard = np.fft.rfftfreq(len(a), 1 / rate_hz) < hz
    return ratio_db(np.fft.rfft(a * window)[heard], np.fft.rfft((b - a) * window)[heard])


def ratio_db(signal: NDArray[np.number], error: NDArray[np.number]) -> float:
    return float(20 * np.log10(np.linalg.norm(signal) / (np.linalg.norm(error) + 1e-9)))

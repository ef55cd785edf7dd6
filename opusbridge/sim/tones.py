"""Sounds made out of nothing: tones, silence, and something that measures like speech.

All are signed 16-bit little-endian PCM, and the same arguments always give the same bytes.
"""

from functools import lru_cache
from zlib import crc32

import numpy as np

#: How long a spoken character takes: about a thousand a minute, which is how people talk.
MS_PER_CHARACTER = 60

#: The shortest thing anyone says.
SHORTEST_SPEECH_MS = 300

#: Speech on the telephone, as an RMS level under full scale.
SPEECH_DBFS = -20.0

_SYLLABLES_A_SECOND = 4.5


def silence(ms: int, rate_hz: int = 24_000) -> bytes:
    return bytes(2 * (rate_hz * ms // 1000))


def tone(hz: float, ms: int, rate_hz: int = 24_000, dbfs: float = SPEECH_DBFS) -> bytes:
    """A sine whose RMS level is ``dbfs`` under full scale."""
    t = np.arange(rate_hz * ms // 1000) / rate_hz
    return _at_level(np.sin(2 * np.pi * hz * t), dbfs)


def noise(ms: int, rate_hz: int = 24_000, dbfs: float = -60.0, seed: int = 0) -> bytes:
    """What a quiet line sounds like."""
    return _at_level(np.random.default_rng(seed).normal(size=rate_hz * ms // 1000), dbfs)


def speech_ms(text: str) -> int:
    """How long :func:`speech` takes to say this."""
    return max(SHORTEST_SPEECH_MS, MS_PER_CHARACTER * len(text))


def speech(text: str, rate_hz: int = 24_000, dbfs: float = SPEECH_DBFS) -> bytes:
    """A hum with the rhythm of syllables, as long as the text takes to say.

    The text decides the pitch too, so that two texts do not sound alike.
    """
    return voice(speech_ms(text), rate_hz, dbfs, seed=crc32(text.encode()))


@lru_cache(maxsize=256)
def voice(ms: int, rate_hz: int = 24_000, dbfs: float = SPEECH_DBFS, seed: int = 0) -> bytes:
    """``ms`` of humming; it swells and fades but never falls silent."""
    t = np.arange(rate_hz * ms // 1000) / rate_hz
    pitch = 95 + seed % 11_000 / 100
    sway = 3.0 * np.sin(2 * np.pi * 0.7 * t)
    phase = 2 * np.pi * (pitch * t + np.cumsum(sway) / rate_hz)
    hum = sum(np.sin(k * phase) / k for k in range(1, 9))
    swell = 0.65 + 0.35 * np.sin(2 * np.pi * _SYLLABLES_A_SECOND * t + seed % 7)
    return _at_level(hum * swell, dbfs)


def _at_level(wave: "np.typing.NDArray[np.float64]", dbfs: float) -> bytes:
    rms = float(np.sqrt(np.mean(wave**2))) if wave.size else 0.0
    scaled = wave * (10 ** (dbfs / 20) * 32768 / rms) if rms else wave
    return np.clip(np.round(scaled), -32768, 32767).astype("<i2").tobytes()

"""How loud sound is, in few numbers, and sound that is as loud.

A call that judges the caller's speech by its loudness (barge-in ``confirmed``) can be played
again from a flight without its sound: each 20 ms are told by their level, and something as loud
stands in for them.
"""

from math import isfinite

import numpy as np
from numpy.typing import NDArray

from opusbridge.audio.formats import WINDOW_MS, Transcoder, levels_dbfs
from opusbridge.sound import PCM_8K, PCM_16K, PCM_24K, PCMU_8K, Audio, AudioFormat, Encoding

#: AudioCodes' names.
_FORMATS = {
    "raw/mulaw": PCMU_8K,
    "raw/lpcm16": PCM_16K,
    "raw/lpcm16_8": PCM_8K,
    "raw/lpcm16_24": PCM_24K,
}

#: Hundredths of a decibel: finer than any threshold.
STEPS_A_DB = 100
SILENT = -100 * STEPS_A_DB

_FULL_SCALE = 32768
_ALL_PCMU = np.frombuffer(Transcoder(PCMU_8K, PCM_8K).convert(bytes(range(256))), "<i2")
#: Every magnitude that mu-law knows.
_PCMU_STEPS = np.array(sorted(set(np.abs(_ALL_PCMU).tolist())))


class Line:
    """The formats in which both peers speak, as far as the messages have told.

    Twilio's unless AudioCodes agreed on another; the model's as the call asks for it. Either
    measures the sound that comes or makes sound as loud: in the order of the messages.
    """

    def __init__(self) -> None:
        self.telephony = PCMU_8K
        self._spare = b""  # of a sample that AudioCodes has cut in two

    def said(self, message: object) -> None:
        """Any message of either side, but those of sound."""
        match message:
            case {"type": "session.accepted", "mediaFormat": str(name)}:
                self.telephony = _FORMATS.get(name, PCMU_8K)
            case {"type": "userStream.start"}:
                self._spare = b""

    def levels(self, peer: str, raw: bytes) -> list[int]:
        """Of each 20 ms, in hundredths of dBFS."""
        format = self._of(peer)
        if peer == "telephony":
            raw = self._spare + raw
            self._spare = raw[len(raw) - len(raw) % format.sample_bytes :]
        return levels(raw, format)

    def as_loud(self, peer: str, told: list[int], size_bytes: int) -> bytes:
        """``size_bytes`` of something with these levels."""
        format, cut = self._of(peer), self._spare if peer == "telephony" else b""
        whole = (len(cut) + size_bytes) // format.sample_bytes * format.sample_bytes
        raw = as_loud(told, whole, format)[len(cut) :]
        spare = bytes(size_bytes - len(raw))
        if peer == "telephony":
            self._spare = spare
        return raw + spare

    def _of(self, peer: str) -> AudioFormat:
        if peer == "telephony" or self.telephony == PCMU_8K:
            return self.telephony
        return PCM_24K


def may_judge(policy: object) -> bool:
    """Whether a call conducted so may come to judge its caller by loudness."""
    asked = getattr(policy, "configure_seconds", 0) > 0  # it may yet be told to
    listens = getattr(policy, "listens", False)
    return asked or listens or getattr(policy, "confirm_ms", None) is not None


def levels(raw: bytes, format: AudioFormat) -> list[int]:
    """Of each 20 ms, in hundredths of dBFS."""
    found = levels_dbfs(Audio.of(raw, format))
    return [round(level * STEPS_A_DB) if isfinite(level) else SILENT for level in found]


def as_loud(told: list[int], size_bytes: int, format: AudioFormat) -> bytes:
    """So many bytes, of whole samples, with these levels."""
    window = WINDOW_MS * format.rate_hz // 1000
    samples = np.zeros(size_bytes // format.sample_bytes, np.int64)
    for level, start in zip(told, range(0, len(samples), window), strict=False):
        if level > SILENT:
            stretch = samples[start : start + window]
            stretch[:] = _steady(level / STEPS_A_DB, len(stretch), format)
    pcm = AudioFormat(Encoding.PCM, format.rate_hz)  # the same rate: only the codes are others
    return Transcoder(pcm, format).convert(samples.astype("<i2").tobytes())


def _steady(level_dbfs: float, count: int, format: AudioFormat) -> NDArray[np.int64]:
    """Two neighbouring magnitudes, so many of each that their energy is right."""
    amplitude = min(_FULL_SCALE * 10 ** (level_dbfs / 20), _FULL_SCALE - 1)
    if format.encoding is Encoding.PCMU:
        above = int(np.searchsorted(_PCMU_STEPS, amplitude).clip(1, len(_PCMU_STEPS) - 1))
        low, high = int(_PCMU_STEPS[above - 1]), int(_PCMU_STEPS[above])
    else:
        low, high = int(amplitude), int(amplitude) + 1
    share = (amplitude**2 - low**2) / (high**2 - low**2)
    loud = min(max(round(share * count), 0), count)
    return np.array([high] * loud + [low] * (count - loud), np.int64)

"""From one format to another, and what silence and loudness are in each."""

from collections.abc import Callable
from math import inf, log10

import numpy as np

from opusbridge.audio import g711
from opusbridge.audio.framing import SampleAligner
from opusbridge.audio.resampling import Resampler
from opusbridge.sound import Audio, AudioFormat, Encoding

_SILENCE = {Encoding.PCM: b"\x00", Encoding.PCMU: b"\xff", Encoding.PCMA: b"\xd5"}

_DECODE: dict[Encoding, Callable[[bytes], bytes]] = {
    Encoding.PCM: bytes,
    Encoding.PCMU: g711.pcmu_decode,
    Encoding.PCMA: g711.pcma_decode,
}
_ENCODE: dict[Encoding, Callable[[bytes], bytes]] = {
    Encoding.PCM: bytes,
    Encoding.PCMU: g711.pcmu_encode,
    Encoding.PCMA: g711.pcma_encode,
}


def silence_byte(format: AudioFormat) -> bytes:
    """The one byte that silence consists of. A-law knows no zero: its least is 8 of 32768."""
    return _SILENCE[format.encoding]


def silence(format: AudioFormat, ms: int) -> Audio:
    return Audio.of(silence_byte(format) * (ms * format.bytes_per_ms), format)


def quietly(audio: Audio) -> Audio:
    """Silence of the same length."""
    return Audio.of(silence_byte(audio.format) * audio.size_bytes, audio.format)


def level_dbfs(pcm: bytes) -> float:
    """How loud 16-bit PCM is: its RMS against a square wave of full scale.

    So a sine of full scale is -3.01. Nothing at all, and digital silence, are minus infinity.
    """
    samples = np.frombuffer(pcm, "<i2").astype(np.float64)
    energy = float(samples @ samples)
    return 10 * log10(energy / len(samples) / 32768**2) if energy else -inf


#: How long the windows are in which loudness is told: a syllable spans several.
WINDOW_MS = 20


def levels_dbfs(audio: Audio) -> list[float]:
    """How loud sound in any format is, in windows of 20 ms; the last one may be shorter."""
    raw, sample = audio.raw, audio.format.sample_bytes
    pcm = _DECODE[audio.format.encoding](raw[: len(raw) - len(raw) % sample])
    size = 2 * WINDOW_MS * audio.format.rate_hz // 1000
    return [level_dbfs(pcm[at : at + size]) for at in range(0, len(pcm), size)]


class Transcoder:
    """One direction of one stream, from format to format; has a state, so never share one.

    The pieces may be cut anywhere, through a sample too. The sound keeps its place in time
    (resampling.py, rule 1); ``n`` samples in give, after ``flush``, exactly
    ``ceil(n * target.rate_hz / source.rate_hz)`` samples out.
    """

    def __init__(self, source: AudioFormat, target: AudioFormat) -> None:
        self.passes_through = source == target
        """The formats are equal: bytes go through as they are, only aligned to samples."""
        self._aligner = SampleAligner(source.sample_bytes)
        self._resampler = Resampler(source.rate_hz, target.rate_hz)
        self._decode, self._encode = _DECODE[source.encoding], _ENCODE[target.encoding]

    def convert(self, raw: bytes) -> bytes:
        """Bytes of the source in, whole samples of the target out, as far as they are known."""
        aligned = self._aligner.push(raw)
        if self.passes_through:
            return aligned
        return self._encode(self._resampler.convert(self._decode(aligned)))

    def flush(self) -> bytes:
        """The end of the sound, then begin anew. Half a sample is no sample: it is dropped."""
        self._aligner.clear()
        return self._encode(self._resampler.flush())

    def reset(self) -> None:
        """Begin anew: what was held back is forgotten."""
        self._aligner.clear()
        self._resampler.reset()

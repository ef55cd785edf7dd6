"""Spoken lines as frames of the line's format, made once and kept.

A simulated hour has 180,000 frames; a line of a script is the same bytes in every call, so
its resampling, companding and base64 are done on first use only.
"""

from base64 import b64encode
from functools import lru_cache
from random import Random

import numpy as np

from opusbridge.audio.g711 import pcmu_decode, pcmu_encode
from opusbridge.audio.resampling import Resampler
from opusbridge.sim.callers.person import Say, frames_in
from opusbridge.sim.callers.playout import HeardSpan
from opusbridge.sound import AudioFormat, Encoding

#: Different frames of line noise; a second of them does not sound repeated.
_NOISE_FRAMES = 50


def frame_bytes(format: AudioFormat) -> int:
    return 20 * format.bytes_per_ms


def silence(format: AudioFormat) -> bytes:
    """20 ms of nothing: 0xFF in mu-law, whose 0x00 is full scale."""
    return (b"\xff" if format.encoding is Encoding.PCMU else b"\x00") * frame_bytes(format)


def noise(format: AudioFormat, amplitude: int, random: Random) -> tuple[bytes, ...]:
    """Frames of a hissing line, ``amplitude`` of 32767; just silence for 0."""
    if amplitude == 0:
        return (silence(format),)
    seconds_of_pcm = np.array(
        [
            [random.randint(-amplitude, amplitude) for _ in range(format.rate_hz // 50)]
            for _ in range(_NOISE_FRAMES)
        ],
        dtype="<i2",
    )
    return tuple(_encoded(frame.tobytes(), format) for frame in seconds_of_pcm)


def speech(say: Say, format: AudioFormat) -> tuple[bytes, ...]:
    """The frames of a spoken line, the last filled with silence."""
    return _speech(say.pcm, say.rate_hz, frames_in(say), format)


def speech_text(say: Say, format: AudioFormat) -> tuple[str, ...]:
    """The same, as base64."""
    return _speech_text(say.pcm, say.rate_hz, frames_in(say), format)


@lru_cache(maxsize=64)
def _speech(pcm: bytes, rate_hz: int, frames: int, format: AudioFormat) -> tuple[bytes, ...]:
    if rate_hz != format.rate_hz:
        pcm = resampled(pcm, rate_hz, format.rate_hz)
    sound, size = _encoded(pcm, format), frame_bytes(format)
    sound += silence(format)  # for the last frame, which is seldom whole
    return tuple(sound[at : at + size] for at in range(0, frames * size, size))


@lru_cache(maxsize=64)
def _speech_text(pcm: bytes, rate_hz: int, frames: int, format: AudioFormat) -> tuple[str, ...]:
    return tuple(as_text(frame) for frame in _speech(pcm, rate_hz, frames, format))


def as_text(sound: bytes) -> str:
    return b64encode(sound).decode("ascii")


def _encoded(pcm: bytes, format: AudioFormat) -> bytes:
    return pcmu_encode(pcm) if format.encoding is Encoding.PCMU else pcm


def resampled(pcm: bytes, from_hz: int, to_hz: int) -> bytes:
    resampler = Resampler(from_hz, to_hz)
    return resampler.convert(pcm) + resampler.flush()


def on_one_time_line(spans: list[HeardSpan], begun_at: float, rate_hz: int) -> bytes:
    """What was heard as 16-bit PCM at ``rate_hz``, from ``begun_at`` to the last sound."""
    if not spans:
        return b""
    line = bytearray(2 * round((spans[-1].ended_at - begun_at) * rate_hz))
    for span in spans:
        pcm = bytes(span.sound)
        if span.format.encoding is Encoding.PCMU:
            pcm = pcmu_decode(pcm)
        if span.format.rate_hz != rate_hz:
            pcm = resampled(pcm, span.format.rate_hz, rate_hz)
        at = 2 * round((span.started_at - begun_at) * rate_hz)
        room = len(line) - at
        line[at : at + min(len(pcm), room)] = pcm[:room]
    return bytes(line)

"""Where in a sound a line is, and how alike: told by correlation, as an ear would."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from opusbridge.audio.wav import Wav, read_wav
from opusbridge.sim import voices
from opusbridge.sim.callers import Caller
from opusbridge.sim.callers.sounds import resampled

#: Everything is compared at this rate, which is all that a telephone carries.
RATE_HZ = 8_000

Samples = NDArray[np.float64]


def samples(pcm: bytes, rate_hz: int = RATE_HZ) -> Samples:
    at_rate = pcm if rate_hz == RATE_HZ else resampled(pcm, rate_hz, RATE_HZ)
    return np.frombuffer(at_rate, "<i2").astype(np.float64)


def line(slug: str) -> Samples:
    """How a shipped line sounds."""
    rate_hz, pcm = voices.load(slug)
    return samples(pcm, rate_hz)


def ear_of(caller: Caller) -> Samples:
    """All that was heard, from the call's beginning."""
    return samples(caller.heard_pcm(RATE_HZ))


def find(wanted: Samples, track: Samples) -> tuple[float, float]:
    """Where it is, in seconds, and how alike: 1 is the same, 0 has nothing of it."""
    track = np.pad(track, (0, max(0, len(wanted) - len(track))))
    size = 1 << (len(track) + len(wanted)).bit_length()
    dot = np.fft.irfft(np.fft.rfft(track, size) * np.conj(np.fft.rfft(wanted, size)), size)
    energy = np.concatenate(([0.0], np.cumsum(track**2)))
    local = energy[len(wanted) :] - energy[: len(energy) - len(wanted)]
    # Of near silence anything may be a likeness: as loud as 30 of 32767 at least.
    floor = len(wanted) * 30.0**2
    alike = dot[: len(local)] / np.sqrt(np.maximum(local, floor) * float(np.sum(wanted**2)))
    at = int(np.argmax(alike))
    return at / RATE_HZ, float(alike[at])


def likeness(slug: str, track: Samples) -> float:
    return find(line(slug), track)[1]


@dataclass(frozen=True, slots=True)
class Files:
    """What one call left behind."""

    call: dict[str, Any]
    transcript: dict[str, Any]
    recording: Wav

    @property
    def seconds(self) -> float:
        return len(self.recording.pcm) / (4 * self.recording.rate_hz)

    def lane(self, number: int) -> Samples:
        """0: the caller, 1: the agent."""
        both = np.frombuffer(self.recording.pcm, "<i2").reshape(-1, 2)
        return samples(both[:, number].astype("<i2").tobytes(), self.recording.rate_hz)


def files_of(data_dir: Path, provider_call_id: str) -> Files:
    for path in data_dir.glob("calls/*/*/call.json"):
        call = json.loads(path.read_text("utf-8"))
        if call["provider_call_id"] == provider_call_id:
            transcript = json.loads((path.parent / "transcript.json").read_text("utf-8"))
            recording = read_wav((path.parent / "recording.wav").read_bytes())
            return Files(call, transcript, recording)
    raise AssertionError("the call left nothing")

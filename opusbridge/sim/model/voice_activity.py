"""Is the caller speaking? Decided by loudness, in windows of 20 ms of what was appended."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from opusbridge.audio.formats import level_dbfs
from opusbridge.audio.g711 import pcma_decode, pcmu_decode
from opusbridge.sound import AudioFormat, Encoding

WINDOW_MS = 20

#: A click is shorter than this; a word is not.
ONSET_MS = 40

#: How long semantic turn detection waits, by eagerness. The real one reads the sentence and
#: waits 8, 4 or 2 seconds at most, but mostly far less.
SEMANTIC_SILENCE_MS = {"low": 1200, "auto": 800, "medium": 800, "high": 400}

_SEMANTIC_THRESHOLD = 0.5
_SEMANTIC_PREFIX_MS = 300

_DECODERS: dict[Encoding, Callable[[bytes], bytes]] = {
    Encoding.PCM: lambda raw: raw,
    Encoding.PCMU: pcmu_decode,
    Encoding.PCMA: pcma_decode,
}


def threshold_dbfs(threshold: float) -> float:
    """A threshold of 0..1 as a level: 0.5 is -40 dBFS.

    Speech on a telephone is near -20, comfort noise under -50, and the silence of G.711 is none
    at all. At 1.0 only a voice close to the microphone passes.
    """
    return -60.0 + 40.0 * threshold


@lru_cache(maxsize=4096)
def window_dbfs(window: bytes, format: AudioFormat) -> float:
    """RMS level under full scale; digital silence is ``-inf``.

    Most windows of a simulated call are silence, or lines that were said before.
    """
    return level_dbfs(_DECODERS[format.encoding](window))


@dataclass(frozen=True, slots=True)
class SpeechStarted:
    audio_start_ms: int
    """Where the speech begins on the input clock, the padding before it included."""


@dataclass(frozen=True, slots=True)
class SpeechStopped:
    audio_end_ms: int
    """Where it ends, the silence that ended it included."""


class VoiceActivity:
    def __init__(self, settings: Mapping[str, Any]) -> None:
        """``settings``: the session's ``turn_detection``, of either type."""
        if settings["type"] == "server_vad":
            threshold = settings["threshold"]
            self.prefix_ms: int = settings["prefix_padding_ms"]
            self._silence_ms: int = settings["silence_duration_ms"]
        else:
            threshold = _SEMANTIC_THRESHOLD
            self.prefix_ms = _SEMANTIC_PREFIX_MS
            self._silence_ms = SEMANTIC_SILENCE_MS[settings["eagerness"]]
        self._level = threshold_dbfs(threshold)
        self.speaking = False
        self._loud_ms = 0
        self._quiet_ms = 0

    def window(
        self, window: bytes, format: AudioFormat, end_ms: int
    ) -> SpeechStarted | SpeechStopped | None:
        """Judge the next 20 ms, which end at ``end_ms`` on the input clock."""
        loud = window_dbfs(window, format) >= self._level
        self._loud_ms = self._loud_ms + WINDOW_MS if loud else 0
        self._quiet_ms = 0 if loud else self._quiet_ms + WINDOW_MS
        if not self.speaking and self._loud_ms >= ONSET_MS:
            self.speaking = True
            return SpeechStarted(end_ms - self._loud_ms - self.prefix_ms)
        if self.speaking and self._quiet_ms >= max(self._silence_ms, WINDOW_MS):
            self.reset()
            return SpeechStopped(end_ms)
        return None

    def reset(self) -> None:
        """The turn is over, by whoever's word."""
        self.speaking = False
        self._loud_ms = self._quiet_ms = 0

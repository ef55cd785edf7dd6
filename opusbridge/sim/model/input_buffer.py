"""The caller's sound on its way in: a clock that counts bytes, and the turn not yet committed."""

from __future__ import annotations

from collections.abc import Iterator

from opusbridge.sim.model.shapes import Refused
from opusbridge.sim.model.voice_activity import (
    ONSET_MS,
    WINDOW_MS,
    SpeechStarted,
    SpeechStopped,
    VoiceActivity,
)
from opusbridge.sound import AudioFormat

#: Least sound that makes an item.
SHORTEST_COMMIT_MS = 100

#: A millisecond of every format is a whole number of bytes, and 48 is a multiple of them all: a
#: clock in 48ths is exact whatever was appended.
_TICKS_A_MS = 48


class InputBuffer:
    def __init__(self, format: AudioFormat) -> None:
        self.format = format
        self.detection: VoiceActivity | None = None
        self._clock = 0  # ticks appended in this session, whole windows
        self._uncommitted = 0  # ticks since the last commit or clear
        self._kept = bytearray()  # the end of what was appended, as much as an item may need
        self._unjudged = bytearray()  # less than one window

    @property
    def clock_ms(self) -> float:
        """Milliseconds of sound appended in this session: the only clock the service has."""
        return self._judged_ms + len(self._unjudged) / self.format.bytes_per_ms

    @property
    def uncommitted_ms(self) -> float:
        return self._uncommitted / _TICKS_A_MS + len(self._unjudged) / self.format.bytes_per_ms

    @property
    def speaking(self) -> bool:
        return self.detection is not None and self.detection.speaking

    def use(self, format: AudioFormat, detection: VoiceActivity | None) -> None:
        """A new format or a new way of detecting turns. Speech under way is lost to it."""
        if format is not self.format:
            self._judge_rest()
            self._kept.clear()
            self._unjudged.clear()
        self.format, self.detection = format, detection

    def append(self, raw: bytes) -> Iterator[SpeechStarted | SpeechStopped]:
        """Take sound in; what turn detection notices comes out as it is noticed.

        Whoever iterates may :meth:`take_turn` in between; the rest of ``raw`` then counts for the
        next turn.
        """
        self._unjudged += raw
        size = WINDOW_MS * self.format.bytes_per_ms
        while len(self._unjudged) >= size:
            window = bytes(self._unjudged[:size])
            del self._unjudged[:size]
            self._count(window)
            if self.detection is None:
                continue
            if not self.detection.speaking:
                # Padding may reach back this far and no farther; the count goes on.
                self._keep_last(self.detection.prefix_ms + ONSET_MS)
            noticed = self.detection.window(window, self.format, int(self._judged_ms))
            if isinstance(noticed, SpeechStarted):
                yield SpeechStarted(max(noticed.audio_start_ms, self._kept_from_ms))
            elif noticed is not None:
                yield noticed

    def take_turn(self) -> bytes:
        """The sound of the turn that turn detection has just ended; it is committed."""
        turn = bytes(self._kept)
        self._kept.clear()
        self._uncommitted = 0
        return turn

    def commit(self) -> bytes:
        """A client ends the turn, and the speech if there is one; the turn's sound comes back.

        :raises Refused: there is less than 100 ms of it.
        """
        self._judge_rest()
        if self.uncommitted_ms < SHORTEST_COMMIT_MS:
            raise Refused(
                "input_audio_buffer_commit_empty",
                "Error committing input audio buffer: buffer too small. Expected at least "
                f"100ms of audio, but buffer only has {self.uncommitted_ms:.2f}ms of audio.",
            )
        turn = self.take_turn()
        self.clear()
        return turn

    def clear(self) -> None:
        """Discard what is uncommitted, a beginning of speech included. The clock goes on."""
        self._judge_rest()
        self.take_turn()
        if self.detection is not None:
            self.detection.reset()

    @property
    def _judged_ms(self) -> float:
        return self._clock / _TICKS_A_MS

    @property
    def _kept_from_ms(self) -> int:
        return int(self._judged_ms) - len(self._kept) // self.format.bytes_per_ms

    def _count(self, raw: bytes) -> None:
        ticks = len(raw) * _TICKS_A_MS // self.format.bytes_per_ms
        self._clock += ticks
        self._uncommitted += ticks
        self._kept += raw

    def _keep_last(self, ms: int) -> None:
        spare = len(self._kept) - self.format.bytes_per_ms * ms
        if spare > 0:
            del self._kept[:spare]

    def _judge_rest(self) -> None:
        """What is too short for turn detection is sound all the same, but for half a sample."""
        whole = len(self._unjudged) // self.format.sample_bytes * self.format.sample_bytes
        self._count(bytes(self._unjudged[:whole]))
        del self._unjudged[:whole]

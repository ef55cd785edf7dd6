"""``recording.wav``: decodes, resamples and writes what a call sounded like.

Used by the writer's thread only. The file is a valid WAV at every moment, and as long as what
has been written; memory does not grow with the call.
"""

from binascii import a2b_base64
from bisect import bisect_left
from collections.abc import Sequence
from pathlib import Path

from opusbridge.audio.formats import Transcoder
from opusbridge.audio.wav import wav_header
from opusbridge.recording.files import open_private, write_all
from opusbridge.recording.mixing import StereoTimeline
from opusbridge.sound import PCM_8K, PCM_24K, Audio, AudioFormat

#: How often sound goes to the disk; a crash loses no more than this and the second for which
#: the caller's voice may still change (``mixing``).
FLUSH_SECONDS = 1.0

#: Longest stretch written at once, for lines that were silent for long.
STEP_SECONDS = 10.0

#: A WAV counts its bytes in 32 bits: twelve hours at 24 kHz. What comes later is not recorded.
MOST_BYTES = 2**32 - 2**10


class Soundtrack:
    """All times are seconds from the start of the recording, and never run backwards."""

    def __init__(self, path: Path, telephony_format: AudioFormat) -> None:
        """Telephony at 8 kHz is kept at 8 kHz, everything else at 24 kHz. May raise OSError."""
        self._format = PCM_8K if telephony_format.rate_hz == PCM_8K.rate_hz else PCM_24K
        self._timeline = StereoTimeline(self._format.rate_hz)
        self._caller = _Decoder(self._format)
        self._agent = _Decoder(self._format)
        self._data_bytes = 0
        self._flush_at = FLUSH_SECONDS
        self._file = open_private(path)
        try:
            self._write(b"")
        except OSError:
            self.close()
            raise

    def caller_spoke(self, audio: Audio, at: float) -> None:
        self._flush_if_due(at)
        self._timeline.caller(self._caller.pcm(audio), at)

    def caller_passed(
        self, sounds: Sequence[str], format: AudioFormat, at: Sequence[float], *, alike: bool
    ) -> None:
        """The same as :meth:`caller_spoke` for each: frames in base64, and when they came.

        ``alike``: all are of one size.
        """
        one_by_one = not alike or format.rate_hz != self._format.rate_hz
        start = 0
        while start < len(sounds):
            self._flush_if_due(at[start])
            stop = start + 1 if one_by_one else bisect_left(at, self._flush_at, start + 1)
            raw = b"".join(map(a2b_base64, sounds[start:stop]))
            pcm = self._caller.pcm(Audio.of(raw, format))
            self._timeline.caller_run(pcm, len(pcm) // (stop - start), at[start:stop])
            start = stop

    def due(self, now: float) -> bool:
        """Whether what comes then writes what was heard before."""
        return now >= self._flush_at

    def agent_played(self, audio: Audio, starts_at: float, now: float, follows: bool) -> None:
        self._flush_if_due(now)
        # What is sent now was not heard before now, whatever the ledger hopes.
        self._timeline.agent(self._agent.pcm(audio), max(starts_at, now), follows)

    def agent_moved(self, by_seconds: float) -> None:
        """What was played last is heard at another time than was foretold."""
        self._timeline.move(by_seconds)

    def cleared(self, now: float) -> None:
        self._timeline.clear(now)
        # The next sound is another sentence: nothing of this one's end belongs to it.
        self._agent = _Decoder(self._format)

    def pause(self, now: float) -> None:
        """Nothing that is heard from now on is kept, by neither voice; time goes on."""
        self._timeline.pause(now)

    def resume(self, now: float) -> None:
        self._timeline.resume(now)

    def finish(self, now: float) -> None:
        """The call ended: exactly this long, and nothing beyond it. May raise OSError."""
        try:
            self._flush(now)
            self._write(self._timeline.finish(now))
        finally:
            self.close()

    def close(self) -> None:
        self._file.close()

    def _flush_if_due(self, now: float) -> None:
        if now >= self._flush_at:
            self._flush_at = now + FLUSH_SECONDS
            self._flush(now)

    def _flush(self, now: float) -> None:
        until = self._timeline.taken_s
        while until < now:
            until = min(until + STEP_SECONDS, now)
            if frames := self._timeline.take(until):
                self._write(frames)

    def _write(self, frames: bytes) -> None:
        frames = frames[: MOST_BYTES - self._data_bytes]
        header = wav_header(self._format.rate_hz, 2, self._data_bytes + len(frames))
        # Sound before size: a header must never promise what is not there.
        self._file.seek(len(header) + self._data_bytes)
        write_all(self._file, frames)
        self._file.seek(0)
        write_all(self._file, header)
        self._data_bytes += len(frames)


class _Decoder:
    """One voice to PCM at the recording's rate; made for the format its sound turns out to be."""

    def __init__(self, target: AudioFormat) -> None:
        self._target = target
        self._source: AudioFormat | None = None

    def pcm(self, audio: Audio) -> bytes:
        if audio.format != self._source:
            self._source = audio.format
            self._transcoder = Transcoder(audio.format, self._target)
        return self._transcoder.convert(audio.raw)

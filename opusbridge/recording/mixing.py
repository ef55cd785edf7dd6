"""Both voices of a call on one time line, as they were heard.

The caller's sound is laid down when it arrives. A line delivers its frames unevenly, so a
frame goes where the one before it ended, unless it is too late for that to be true.

The agent's sound is laid down where the caller hears it, which is mostly in the future: the
model speaks faster than real time, and what is cleared before its time was never heard.
:meth:`StereoTimeline.take` therefore hands out only what nothing can change any more. When
it turns out that he heard it earlier or later, an utterance is moved whole, with no hole in
its words, as long as nothing of it was handed out.

Times are seconds from the start of the recording. They may not run backwards: after
``take(until_s)`` nothing may be reported that happened before ``until_s``.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

#: A frame this much later than the end of the one before it is late, not after a pause.
#: Three frames of 20 ms: what the networks of telephony providers do on an ordinary day.
CALLER_JITTER_SECONDS = 0.06

#: A frame after a pause began this long before it arrived, at most. Providers send frames of
#: 20 to 500 ms, and networks hold them up; the recording stays this far behind.
LONGEST_FRAME_SECONDS = 1.0

#: Sound that starts this soon after the end of what was played belongs to it: resamplers
#: hold 1 to 2 ms back, and a chunk may be rounded by a sample.
AGENT_SNAP_SECONDS = 0.004

#: Sound queued behind other sound is heard right after it, however the clock that foretold both
#: was set right meanwhile; by more than this it is not.
AGENT_DRIFT_SECONDS = 1.0

#: Sound further ahead than this is not kept: no answer is so long, and a clock gone wrong must
#: not fill the memory (24 kHz: 14 MB for this long).
LONGEST_LEAD_SECONDS = 300.0

#: The same of sound right behind other sound, which no clock foretold: files for a long hold.
LONGEST_QUEUE_SECONDS = 1800.0

_BYTES = 2  # a sample


class StereoTimeline:
    """Left the caller, right the agent; 16-bit little-endian samples at ``rate_hz``."""

    def __init__(self, rate_hz: int) -> None:
        self.rate_hz = rate_hz
        self._caller, self._agent = _Voice(), _Voice()
        self._taken = 0
        self._pauses: list[tuple[int, int | None]] = []  # not wholly handed out yet
        self._jitter = self._samples(CALLER_JITTER_SECONDS)
        self._longest_frame = self._samples(LONGEST_FRAME_SECONDS)
        self._snap = self._samples(AGENT_SNAP_SECONDS)
        self._drift = self._samples(AGENT_DRIFT_SECONDS)
        self._longest_lead = self._samples(LONGEST_LEAD_SECONDS)
        self._longest_queue = self._samples(LONGEST_QUEUE_SECONDS)

    @property
    def taken_s(self) -> float:
        """How much has been handed out."""
        return self._taken / self.rate_hz

    def caller(self, pcm: bytes, at_s: float) -> None:
        """The caller's line brought ``pcm``, whose last sample was heard at ``at_s``."""
        length = min(len(pcm) // _BYTES, self._longest_frame)
        began = self._samples(at_s) - length
        # What comes sooner than it can have been spoken was held up: so it was no pause.
        settled = self._samples(at_s) - self._longest_frame
        self._caller.close_hole(self._caller.end - began, max(settled, self._taken))
        self._lay(self._caller, pcm, began, self._jitter)

    def caller_run(self, pcm: bytes, frame_bytes: int, at_s: Sequence[float]) -> None:
        """The same as :meth:`caller` for each frame of ``frame_bytes`` that came at ``at_s``.

        As long as each goes where the one before it ended, they are laid down at once.
        """
        voice, length = self._caller, frame_bytes // _BYTES
        since = max(self._samples(at_s[0]) - self._longest_frame, self._taken)
        if voice.whole(since) and length <= self._longest_frame:
            began = (self._samples(at) - nth * length for nth, at in enumerate(at_s, 1))
            near = voice.end + length * len(at_s) - self._taken <= self._longest_lead
            if near and max(began) <= voice.end + self._jitter:
                voice.lay(voice.end, pcm)
                return
        for nth, at in enumerate(at_s):
            self.caller(pcm[nth * frame_bytes : (nth + 1) * frame_bytes], at)

    def agent(self, pcm: bytes, starts_at_s: float, follows: bool = False) -> None:
        """The caller will hear ``pcm`` from ``starts_at_s``, or after what is queued already.

        ``follows``: it is queued behind that, so there is no silence between.
        """
        tolerance = self._drift if follows and self._agent.end else self._snap
        self._agent.begin(follows)
        self._lay(self._agent, pcm, self._samples(starts_at_s), tolerance)

    def move(self, by_s: float) -> None:
        """The agent's sound since the last that did not follow is heard so much later, or earlier.

        What was handed out stays where it is, and so does the rest of its utterance.
        """
        self._agent.move(self._samples(by_s), self._taken)

    def clear(self, at_s: float) -> None:
        """What of the agent is not heard at ``at_s`` never will be."""
        self._agent.cut(self._samples(at_s))

    def pause(self, at_s: float) -> None:
        """From here on both are silent, whatever was or will be reported, until :meth:`resume`."""
        if not self._pauses or self._pauses[-1][1] is not None:
            self._pauses.append((self._samples(at_s), None))

    def resume(self, at_s: float) -> None:
        if self._pauses and self._pauses[-1][1] is None:
            self._pauses[-1] = (self._pauses[-1][0], self._samples(at_s))

    def take(self, until_s: float) -> bytes:
        """The frames not taken yet that nothing reported from ``until_s`` on can change."""
        until = self._samples(until_s)
        return self._interleaved(
            min(
                self._caller.settled(until - self._longest_frame, self._jitter),
                self._agent.settled(until, self._snap),
            )
        )

    def finish(self, until_s: float) -> bytes:
        """The rest of a call that ends at ``until_s``: padded and cut to that very length."""
        return self._interleaved(self._samples(until_s))

    def _lay(self, voice: "_Voice", pcm: bytes, start: int, tolerance: int) -> None:
        assert len(pcm) % _BYTES == 0, "half a sample"
        if not pcm:
            return
        longest = self._longest_lead
        if start <= voice.end + tolerance:
            start = voice.end
            if voice is self._agent:
                longest = self._longest_queue
        start = max(start, self._taken)
        if start - self._taken <= longest:
            voice.lay(start, pcm)

    def _interleaved(self, until: int) -> bytes:
        count = max(until - self._taken, 0)
        frames: NDArray[np.int16] = np.zeros((count, 2), dtype="<i2")
        for channel, voice in enumerate((self._caller, self._agent)):
            heard = voice.take(count, self._taken)
            frames[: len(heard), channel] = heard
        for begin, end in self._pauses:
            frames[max(begin - self._taken, 0) : None if end is None else end - self._taken] = 0
        self._taken += count
        self._pauses = [one for one in self._pauses if one[1] is None or one[1] > self._taken]
        return frames.tobytes()

    def _samples(self, seconds: float) -> int:
        return round(seconds * self.rate_hz)


class _Voice:
    """The samples of one voice that are not handed out yet; positions count from the start."""

    def __init__(self) -> None:
        self.end = 0  # where its last sample ends, taken or not
        self._hole = (0, 0)  # the last pause within it
        self._utterance = (0, 0)  # the last: where what is before it ends, and where it begins
        self._begins = True  # with what is laid next
        self._pending = bytearray()  # ends at ``end``, begins where taking stopped or later

    def begin(self, follows: bool) -> None:
        """What is laid next belongs to what is there, or is an utterance of its own."""
        self._begins = self._begins or not follows

    def lay(self, start: int, pcm: bytes) -> None:
        if start > self.end:
            self._hole = (self.end, start)
        if self._begins:
            self._utterance, self._begins = (self.end, start), False
        if self._pending:
            self._pending += bytes(_BYTES * (start - self.end))
        self._pending += pcm
        self.end = start + len(pcm) // _BYTES

    def cut(self, at: int) -> None:
        if at < self.end:
            kept = max(len(self._pending) - _BYTES * (self.end - at), 0)
            del self._pending[kept:]
            self.end = at

    def move(self, samples: int, since: int) -> None:
        """The last utterance comes so much later, if nothing of it is before ``since``."""
        before, began = self._utterance
        if not since <= began < self.end:
            return
        samples = max(samples, max(before, since) - began)
        first = _BYTES * (began - self.end) + len(self._pending)
        if samples > 0:
            self._pending[first:first] = bytes(_BYTES * samples)
        else:
            del self._pending[max(first + _BYTES * samples, 0) : first]
        self.end += samples
        self._utterance = (before, began + samples)

    def settled(self, earliest: int, tolerance: int) -> int:
        """Up to where nothing can change, if what comes yet starts at ``earliest`` or later.

        Sound that starts within ``tolerance`` of the end goes to the end, so the silence
        after it is known to be silence only when nothing can start so early any more.
        """
        return earliest if earliest > self.end + tolerance else min(earliest, self.end)

    def whole(self, since: int) -> bool:
        """Whether there is no hole after ``since`` that could be closed."""
        return self._hole[1] <= since

    def close_hole(self, samples: int, since: int) -> None:
        """Take back so much of the last hole, as far as it is there after ``since``."""
        began, ended = self._hole
        samples = min(samples, ended - max(began, since))
        if samples <= 0:
            return
        begins = self.end - len(self._pending) // _BYTES
        first = max(ended - samples - begins, 0)
        del self._pending[_BYTES * first : _BYTES * max(ended - begins, 0)]
        self._hole = (began, ended - samples)
        self.end -= samples

    def take(self, count: int, taken: int) -> NDArray[np.int16]:
        """The next ``count`` samples from ``taken`` on, or as many as there are."""
        begins = self.end - len(self._pending) // _BYTES
        silence = min(max(begins - taken, 0), count)
        size = _BYTES * (count - silence)
        heard = np.frombuffer(bytes(_BYTES * silence) + self._pending[:size], dtype="<i2")
        del self._pending[:size]
        return heard

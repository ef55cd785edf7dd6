"""Is that speech, or only a cough? Judged by loudness, on the caller's own line.

Turn detection tells that the caller began to make a sound, not whether he means to speak. So
what he utters while the agent is heard is measured: it is meant once there was enough voice.
Two things are not his voice: the silence of a line, which is quieter than any, and the echo of
what he was hearing, which is fainter than that was.

Levels are measured only while a judgement is open; else the line's last seconds are kept, since
turn detection tells of a sound when a part of it has passed, and the way is long at times; and
of what was held for a session that was not ready it tells when there is one.
"""

from collections import deque
from collections.abc import Callable
from math import inf

from opusbridge.audio.formats import levels_dbfs
from opusbridge.call.media import HELD_MS, LATE_SECONDS
from opusbridge.sound import Audio

#: Speech on the telephone is near -20 dBFS, a soft voice near -35, a quiet line under -50.
VOICE_DBFS = -40.0

#: An echo comes back at least this much fainter. Networks cancel it far better; where nobody
#: does, a voice has to be about as loud as the agent's until its echo has died away.
ECHO_LOSS_DB = 10.0

#: How late it may come back: both ways over the wire, and the far side's buffers.
ECHO_SECONDS = 0.7

#: A syllable fades and swells: what is loud so soon after his voice is his voice still.
FADE_SECONDS = 0.1

#: Shorter silences are within a word; where frames are longer, so is what nobody knows yet.
QUIET_SECONDS = 0.3

#: Turn detection tells of a sound within two seconds of hearing it.
RECENT_MS = HELD_MS + 2_000.0


class Judge:
    """``echo_of(since, until)`` tells how loud, in dBFS, the agent was heard in between."""

    def __init__(self, enough_ms: float, echo_of: Callable[[float, float], float]) -> None:
        self.voice_ms = 0.0
        """Of the caller's, since the judgement was opened."""
        self._enough_ms, self._echo_of = enough_ms, echo_of
        self._recent: deque[tuple[float, Audio]] = deque()
        self._recent_ms = 0.0
        self._open = False
        self._patience = QUIET_SECONDS  # longer than the next frame can take to come
        self._loud_at = 0.0  # his voice or an echo: not silence
        self._voice_at = -inf  # no echo, by its loudness

    @property
    def is_speech(self) -> bool:
        return self.voice_ms >= self._enough_ms

    @property
    def quiet_at(self) -> float:
        """From then on he has fallen silent, if he makes no further sound."""
        return self._loud_at + self._patience

    def open(self, since: float, now: float) -> None:
        """A sound began ``since``; it is loud now, says whoever told us."""
        self._open, self.voice_ms, self._loud_at, self._voice_at = True, 0.0, now, -inf
        for at, audio in self._recent:
            if at > since:
                self._weigh(audio, at)

    def close(self) -> None:
        self._open = False

    def hear(self, audio: Audio, now: float) -> None:
        """A stretch of the caller's line that ended now."""
        self._recent.append((now, audio))
        self._recent_ms += audio.ms
        self._patience = max(QUIET_SECONDS, audio.ms / 1000 + LATE_SECONDS)
        while self._recent_ms > RECENT_MS:
            self._recent_ms -= self._recent.popleft()[1].ms
        if self._open:
            self._weigh(audio, now)

    def _weigh(self, audio: Audio, at: float) -> None:
        levels = levels_dbfs(audio)
        for level in levels:
            if level < VOICE_DBFS:
                continue
            self._loud_at = max(self._loud_at, at)
            if level > self._echo_of(at - ECHO_SECONDS, at) - ECHO_LOSS_DB:
                self._voice_at = at
            if at - self._voice_at <= FADE_SECONDS:
                self.voice_ms += audio.ms / len(levels)

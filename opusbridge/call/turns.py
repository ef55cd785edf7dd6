"""The caller's speech and keys: what reaches the model of them, and when.

Turn detection hears only what is appended; its clock is the appended audio. So a line that
goes quiet by sending nothing would never end a turn, and silence is put in its place:

* a hole in the provider's own timestamps is filled, up to a limit;
* while the model believes that the caller speaks and nothing comes, silence is appended in
  real time until the turn ends. AudioCodes stops the stream by itself when barge-in is off;
  that is never a commit.
"""

from opusbridge import effects
from opusbridge.audio.formats import silence
from opusbridge.call.media import CallerPath, HeldAudio
from opusbridge.effects import Effect, Note
from opusbridge.events import CallerSpoke
from opusbridge.privacy import Private
from opusbridge.sound import AudioFormat

#: A hole smaller than this is jitter of the provider's clock.
HOLE_MS = 60
#: A longer hole says that the timestamps are wrong, not that the caller was silent.
LONGEST_HOLE_MS = 10_000
#: Nothing came for this long in mid-speech: the line sends no silence of its own.
QUIET_SECONDS = 0.75
#: Silence is appended in pieces of this length, in real time.
FEED_MS = 100
#: After this much of it, a turn that still has not ended never will by silence.
MOST_FED_MS = 15_000
#: Less uncommitted audio than this is refused by the model.
LEAST_COMMIT_MS = 100.0


class CallerLine:
    """The caller's audio on its way to the model. Times are seconds, ``ms`` are of audio."""

    def __init__(self, telephony: AudioFormat, model: AudioFormat) -> None:
        self._path = CallerPath(telephony, model)
        self._held = HeldAudio()
        self._open = False
        self._uncommitted_ms = 0.0
        self._expected_ms: float | None = None
        self._speaking = False
        self._came_at = 0.0
        self._feed_at: float | None = None
        self._fed_ms = 0.0
        self._filled_ms = 0.0

    # --- Sound --------------------------------------------------------------------------

    def spoke(self, event: CallerSpoke, now: float) -> list[Effect]:
        found = self._fill_hole(event) if event.at_ms is not None else []
        self._came_at = now
        if self._speaking:
            self._feed_at = now + QUIET_SECONDS
        audio = self._path.convert(event.audio)
        if audio is None:
            return found
        if self._open:
            self._uncommitted_ms += audio.ms
            found.append(effects.AppendAudio(audio))
            return found
        dropped = self._held.hold(audio)
        return [*found, Note("audio-dropped", "", (), dropped)] if dropped else found

    def open(self, now: float) -> list[Effect]:
        """The session is ready: what was held goes first."""
        self._open = True
        held = self._held.take()
        self._uncommitted_ms += sum(audio.ms for audio in held)
        return [effects.AppendAudio(audio) for audio in held]

    def close(self) -> None:
        """No session for now: hold again."""
        self._open = self._speaking = False
        self._feed_at = None

    def commit(self) -> list[Effect]:
        """End the turn ourselves, where no turn detection does and there is enough of it."""
        if not self._open or self._uncommitted_ms < LEAST_COMMIT_MS:
            return []
        self._uncommitted_ms = 0.0
        return [effects.CommitAudio()]

    def committed(self) -> None:
        self._uncommitted_ms = 0.0

    def seconds_since(self, audio_ms: float, now: float) -> float:
        """How long ago this instant of the appended audio was on the line."""
        behind = (self._path.appended_ms - audio_ms) / 1000
        return max(0.0, behind + (now - self._came_at))

    # --- Silence in place of nothing ----------------------------------------------------

    @property
    def deadline(self) -> float | None:
        return self._feed_at

    def speech_started(self, now: float) -> None:
        self._speaking = True
        self._fed_ms = 0.0
        self._feed_at = max(now, self._came_at + QUIET_SECONDS)

    def speech_stopped(self) -> None:
        self._speaking = False
        self._feed_at = None

    def stream_stopped(self, now: float) -> None:
        """Nothing more will come for now: do not wait to find out."""
        if self._speaking:
            self._feed_at = now

    def feed(self, now: float) -> list[Effect]:
        """Call at :attr:`deadline`: a piece of silence, while the model awaits the end."""
        if self._feed_at is None or self._feed_at > now:
            return []
        if not self._open or self._fed_ms >= MOST_FED_MS:
            self._feed_at = None
            return []
        self._feed_at = now + FEED_MS / 1000
        self._fed_ms += FEED_MS
        self._filled_ms += FEED_MS
        return self._silence(FEED_MS)

    def _fill_hole(self, event: CallerSpoke) -> list[Effect]:
        assert event.at_ms is not None
        expected, self._expected_ms = self._expected_ms, event.at_ms + event.audio.ms
        if expected is None:
            return []
        hole = event.at_ms - expected - self._filled_ms
        self._filled_ms = 0.0
        if not self._open or not HOLE_MS <= hole <= LONGEST_HOLE_MS:
            return []
        return [Note("gap-filled", "", (), hole), *self._silence(hole)]

    def _silence(self, ms: float) -> list[Effect]:
        audio = silence(self._path.model_format, int(ms))
        self._path.appended_ms += audio.ms
        self._uncommitted_ms += audio.ms
        return [effects.AppendAudio(audio)]


class Keypad:
    """Keys pressed close together are one input; ``#`` ends it at once."""

    def __init__(self, gap_seconds: float) -> None:
        self._gap = gap_seconds
        self._pressed = ""
        self.deadline: float | None = None

    def press(self, digits: Private[str], now: float) -> list[Private[str]]:
        """The inputs that are complete now, oldest first."""
        complete: list[Private[str]] = []
        for digit in digits.value:
            self._pressed += digit
            if digit == "#":
                complete += self.take()
        self.deadline = now + self._gap if self._pressed else None
        return complete

    def take(self) -> list[Private[str]]:
        """What waits is complete: its time has come."""
        pressed, self._pressed, self.deadline = self._pressed, "", None
        return [Private(pressed)] if pressed else []

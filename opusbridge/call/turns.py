"""The caller's speech and keys: what reaches the model of them, and when.

Turn detection hears only what is appended; its clock is the appended audio. So a line that
goes quiet by sending nothing would never end a turn, and silence is put in its place:

* a hole in the provider's own timestamps is filled, up to a limit;
* while the model believes that the caller speaks and nothing comes, silence is appended in
  real time until the turn ends. AudioCodes stops the stream by itself when barge-in is off;
  that is never a commit.
"""

from math import inf

from opusbridge import effects
from opusbridge.audio.formats import levels_dbfs, silence
from opusbridge.call.judge import VOICE_DBFS
from opusbridge.call.line_clock import LineClock
from opusbridge.call.media import HELD_AFTER_LOSS_MS, LATE_SECONDS, CallerPath, HeldAudio
from opusbridge.effects import Effect, Note
from opusbridge.events import CallerSpoke
from opusbridge.privacy import Private
from opusbridge.sound import Audio, AudioFormat

#: A hole smaller than this is jitter of the provider's clock.
HOLE_MS = 60
#: A longer hole says that the timestamps are wrong, not that the caller was silent.
LONGEST_HOLE_MS = 10_000
#: Nothing came for this long in mid-speech, nor when the next was due: the line sends no silence
#: of its own.
QUIET_SECONDS = 0.75
#: Silence is appended in pieces of this length, in real time.
FEED_MS = 100
#: After this much of it at a stretch, a turn that still has not ended never will by silence.
MOST_FED_MS = 15_000
#: Less uncommitted audio than this is refused by the model.
LEAST_COMMIT_MS = 100.0


class CallerLine:
    """The caller's audio on its way to the model. Times are seconds, ``ms`` are of audio."""

    def __init__(self, telephony: AudioFormat, model: AudioFormat) -> None:
        self.clock = LineClock()
        self._path = CallerPath(telephony, model)
        self._bytes_per_ms = telephony.bytes_per_ms
        self._held = HeldAudio()
        self._open = False
        self.dropped_ms = 0.0
        """Of his sound, lost since there was a session to take it."""
        self._appended_ms = 0.0  # how much the session was given: its clock counts exactly this
        self._line_ms = 0.0  # of that, up to the end of the line's own last sound
        self._came_at = 0.0  # when that came
        self._quiet_at = QUIET_SECONDS  # when nothing more has come
        self._uncommitted_ms = 0.0
        self._commit_asked = False
        self.owes_commit = False
        """His turn ended while there was no session to be told so."""
        self.listens = False
        """Whether to listen for his voice."""
        self.voiced = False
        """It was heard since his last turn was over; where nobody listens, never."""
        self.voice_at = -inf
        """When it was heard last; where nobody listens, never."""
        self.rings = False
        """Nobody is on it yet: what it brings goes nowhere, and is no loss."""
        self._expected_ms: float | None = None
        self._speaking = False
        self._feed_at: float | None = None
        self._fed_ms = 0  # since the line's own last sound

    # --- Sound --------------------------------------------------------------------------

    def spoke(self, event: CallerSpoke, now: float) -> list[Effect]:
        ms = event.audio.ms
        self.clock.came(ms, event.at_ms, now)
        found = [] if event.at_ms is None else self._fill_hole(event.at_ms, ms)
        self._came_at, self._fed_ms = now, 0
        self._quiet_at = now + max(QUIET_SECONDS, ms / 1000 + LATE_SECONDS)
        if self._speaking:
            self._feed_at = self._quiet_at
        if self.listens and max(levels_dbfs(event.audio), default=-inf) > VOICE_DBFS:
            self.voiced, self.voice_at = True, now
        audio = self._path.convert(event.audio)
        if audio is None:
            return found
        if self._open:
            found.append(self._append(audio, ms if audio is event.audio else audio.ms))
            self._line_ms = self._appended_ms
            return found
        self.dropped_ms += self._held.hold(audio)
        return found

    def answered(self) -> None:
        """Somebody is on it from here on: a session lost before that was nothing to him."""
        if self.rings:
            self.rings, self._held = False, HeldAudio()

    def restarts(self) -> None:
        """The provider's clock begins anew: what it says is no hole."""
        self._expected_ms = None
        self.clock.restart()

    @property
    def as_it_comes(self) -> bool:
        """Whether his sound goes on to the model as it comes; then ask :meth:`passes`."""
        return self._open and not (self.rings or self.listens) and self._path.as_it_comes

    def passes(self, size_bytes: int, at_ms: int | None, now: float) -> bool:
        """The same as :meth:`spoke` of whole samples that go on as they came.

        ``False``, and as if never asked, where more than that would come of them.
        """
        ms, expected = size_bytes / self._bytes_per_ms, self._expected_ms
        if self._speaking and self._feed_at is None:
            return False
        if at_ms is not None:
            if expected is not None and at_ms - expected - self._fed_ms >= HOLE_MS:
                return False
            self._expected_ms = at_ms + ms
        self._quiet_at = now + max(QUIET_SECONDS, ms / 1000 + LATE_SECONDS)
        if self._speaking:
            self._feed_at = self._quiet_at
        self._came_at, self._fed_ms = now, 0
        self.clock.came(ms, at_ms, now)
        self._appended_ms += ms
        self._uncommitted_ms += ms
        self._line_ms = self._appended_ms
        return True

    def open(self, now: float) -> list[Effect]:
        """A session is ready, with a clock of its own: what was held goes first.

        Where a turn ended meanwhile, up to there: then :meth:`go_on`.
        """
        dropped = self.dropped_ms
        self._open, self._commit_asked = True, False
        self._appended_ms = self._uncommitted_ms = self.dropped_ms = 0.0
        found: list[Effect] = self._let_go(of_turn=self.owes_commit)
        return [Note("audio-dropped", "", (), dropped), *found] if dropped else found

    def go_on(self) -> list[Effect]:
        """The rest of what was held."""
        return self._let_go(of_turn=False)

    def _let_go(self, of_turn: bool) -> list[Effect]:
        found: list[Effect] = [self._append(one, one.ms) for one in self._held.take(of_turn)]
        self._line_ms = self._appended_ms
        return found

    def close(self, unheard_ms: float = 0.0, most_ms: int = HELD_AFTER_LOSS_MS) -> None:
        """The session is lost: hold again, for another; ``most_ms`` at the most.

        ``unheard_ms``: what it was given last, and may not have heard any more.
        """
        if self._open:  # else a dial failed, and what was said of the session holds
            self.dropped_ms += unheard_ms
            self._held.most_ms = most_ms
        self._open = self._speaking = self.voiced = False
        self._feed_at = None

    def commit(self) -> list[Effect]:
        """End the turn ourselves, where no turn detection does and there is enough of it.

        Without a session it is owed; ask again when there is one.
        """
        owed, self.owes_commit = self.owes_commit, not self._open
        if not self._open:
            self._held.turn_over()
            self.voiced = False
        if not self._open or self._uncommitted_ms < LEAST_COMMIT_MS:
            return []
        self._uncommitted_ms, self._commit_asked = 0.0, True
        self.voiced = owed and self.voiced  # in what he has said since
        return [effects.CommitAudio()]

    def committed(self) -> None:
        # What was appended after our own request is not part of that turn.
        if not self._commit_asked:
            self._uncommitted_ms = 0.0
        self._commit_asked = False

    def seconds_since(self, audio_ms: float, now: float) -> float:
        """How long ago this instant of the appended audio was on the line."""
        return max(0.0, now - self._came_at + (self._line_ms - audio_ms) / 1000)

    def _append(self, audio: Audio, ms: float) -> effects.AppendAudio:
        self._appended_ms += ms
        self._uncommitted_ms += ms
        return effects.AppendAudio(audio)

    # --- Silence in place of nothing ----------------------------------------------------

    @property
    def deadline(self) -> float | None:
        return self._feed_at

    def speech_started(self, now: float) -> None:
        self._speaking = True
        self._feed_at = max(now, self._quiet_at)

    def speech_stopped(self) -> None:
        self._speaking = False
        self._feed_at = None

    def stream_stopped(self, now: float) -> None:
        """Nothing more will come for now: do not wait to find out."""
        self.clock.stopped(now)
        self._quiet_at = now
        if self._speaking:
            self._feed_at = now

    def feed(self, now: float) -> list[Effect]:
        """Call at :attr:`deadline`: the silence due by now, while the model awaits the end."""
        if self._feed_at is None or now < self._feed_at:
            return []
        # Each piece is due when the one before it is over, however late we were woken.
        pieces = 1 + int((now - self._feed_at) * 1000) // FEED_MS
        ms = min(pieces * FEED_MS, MOST_FED_MS - self._fed_ms)
        if not self._open or ms <= 0:
            self._feed_at = None
            return []
        self._fed_ms += ms
        self._feed_at += ms / 1000
        return [self._silence(ms)]

    def _fill_hole(self, at_ms: int, length_ms: float) -> list[Effect]:
        expected, self._expected_ms = self._expected_ms, at_ms + length_ms
        if expected is None:
            return []
        hole = at_ms - expected - self._fed_ms
        if not HOLE_MS <= hole <= LONGEST_HOLE_MS or not self._open:
            return []
        return [Note("gap-filled", "", (), hole), self._silence(int(hole))]

    def _silence(self, ms: int) -> effects.AppendAudio:
        return self._append(silence(self._path.model_format, ms), ms)


class Keypad:
    """Keys pressed close together are one input; ``#`` ends it at once."""

    def __init__(self, gap_seconds: float) -> None:
        self._gap = gap_seconds
        self._pressed = ""
        self.deadline: float | None = None
        self.since = 0.0
        """When the first key of the latest input was pressed."""

    def press(self, digits: Private[str], now: float) -> list[Private[str]]:
        """The inputs that are complete now, oldest first."""
        complete: list[Private[str]] = []
        for digit in digits.value:
            self.since = self.since if self._pressed else now
            self._pressed += digit
            if digit == "#":
                complete += self.take()
        self.deadline = now + self._gap if self._pressed else None
        return complete

    def take(self) -> list[Private[str]]:
        """What waits is complete: its time has come."""
        pressed, self._pressed, self.deadline = self._pressed, "", None
        return [Private(pressed)] if pressed else []

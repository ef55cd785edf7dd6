"""Before a call is conducted: somebody is asked how, and what happens meanwhile is kept.

An agent may be chosen or changed for each call, once it is known who calls; that takes a
lookup somewhere. Until the answer is there, or is overdue, what happens does not reach the
call; then it does, in order. The phone is answered in time all the same, what ends a call
ends it at once, and a pause of the recording is one from that instant.
"""

from opusbridge import effects, events
from opusbridge.call.call import ANSWER_SECONDS, Call
from opusbridge.call.machines import is_due
from opusbridge.call.media import HELD_MS
from opusbridge.call.policy import CallPolicy
from opusbridge.effects import Effect, Note
from opusbridge.events import Event

#: What does not wait.
_AT_ONCE = (
    events.RecordingPauseRequested,
    events.RecordingResumeRequested,
    events.MessageRejected,
)
#: What the caller's line brought, which counts from when it came.
_ON_HIS_LINE = (events.CallerSpoke, events.CallerStreamStopped)
#: What leaves nobody who would wait.
_NO_LONGER = (
    events.CallerHungUp,
    events.TelephonyLost,
    events.HangUpRequested,
    events.TransferRequested,
    events.PeerStalled,
    events.Broke,
)


class Prelude:
    """Stands before ``call`` until :attr:`over`. ``now`` is in seconds, as everywhere."""

    def __init__(self, call: Call) -> None:
        self._call = call
        self._seconds = call.policy.configure_seconds
        self.over = self._seconds == 0
        self._offered: CallPolicy | None = None
        self._kept: list[tuple[Event, float]] = []
        self._kept_ms = 0.0  # of the caller's sound
        self._due: float | None = None
        self._answer_at: float | None = None
        self._answered_at: float | None = None

    @property
    def started(self) -> bool:
        """Somebody is there: the model is worth dialling."""
        return self._due is not None

    @property
    def deadline(self) -> float | None:
        """When to hand in ``DeadlineReached``; ``None``: nothing is waited for."""
        if self._due is None:
            return self._call.deadline  # should nobody come
        return self._due if self._answer_at is None else min(self._due, self._answer_at)

    def offer(self, policy: CallPolicy | None) -> None:
        """How the call is to be conducted, from ``CallConfigured`` on; ``None``: as it is."""
        self._offered = policy

    def handle(self, event: Event, now: float) -> list[Effect]:
        """As :meth:`Call.handle`, which is asked as soon as it may be."""
        if isinstance(event, events.CallConfigured):
            return self._begin(now)
        if isinstance(event, events.DeadlineReached):
            return self._timed_out(now)
        if isinstance(event, _AT_ONCE):
            return self._call.handle(event, now)
        if isinstance(event, _NO_LONGER):
            found = self._begin(now)
            if isinstance(event, events.CallerHungUp):
                # His line is closed already: nothing may be said on it any more.
                found = [one for one in found if not isinstance(one, effects.ToTelephony)]
            return found + self._call.handle(event, now)
        if isinstance(event, events.CallArrived):
            self._call.arrival.told(now)
        self._kept.append((event, now))
        if isinstance(event, events.CallerSpoke):
            self._kept_ms += event.audio.ms
            self._let_the_oldest_go()
        return self._started(event, now) if isinstance(event, events.CallStarted) else []

    def _let_the_oldest_go(self) -> None:
        """As much of his sound is kept as his line holds for a model that is not ready: more than
        he can say until the answer is overdue. Of a single piece the line keeps the end."""
        while self._kept_ms > HELD_MS:
            spoke = (isinstance(event, events.CallerSpoke) for event, _ in self._kept)
            oldest = next(index for index, so in enumerate(spoke) if so)
            if oldest == len(self._kept) - 1:
                return
            gone, _ = self._kept.pop(oldest)
            assert isinstance(gone, events.CallerSpoke)
            self._kept_ms -= gone.audio.ms

    def _started(self, event: events.CallStarted, now: float) -> list[Effect]:
        call = self._call
        if self._due is not None:
            return []  # said again: the call will know what to think of it
        call.introduce(event)
        self._due = now + self._seconds
        found: list[Effect] = [effects.ConfigureCall()]
        if call.policy.telephony.rings:
            self._answer_at = now + ANSWER_SECONDS
            # Nobody was on the line until now.
            self._kept = [one for one in self._kept if not isinstance(one[0], _ON_HIS_LINE)]
            self._kept_ms = 0.0
        return found

    def _timed_out(self, now: float) -> list[Effect]:
        if self._due is None:
            return self._call.handle(events.DeadlineReached(), now)  # nobody came
        found: list[Effect] = []
        if is_due(self._answer_at, now):
            self._answer_at, self._answered_at = None, now
            found += [effects.AnswerCall(), *self._call.answered(now)]
        if is_due(self._due, now):
            found += [Note("configure-overdue"), *self._begin(now)]
        return found

    def _begin(self, now: float) -> list[Effect]:
        """What the caller's line brought counts from when it came, all else from now."""
        call, kept = self._call, self._kept
        somebody, self.over, self._kept = self.started, True, []
        self._due = self._answer_at = None
        if self._offered is not None:
            call.adopt(self._offered)
        found: list[Effect] = []
        for event, at in sorted(kept, key=_rank):
            found += call.handle(event, at if isinstance(event, _ON_HIS_LINE) else now)
            talk = call.conversation
            if isinstance(event, events.CallArrived) and talk and somebody:
                talk.line.answered()
                if self._answered_at is not None:
                    talk.voice.answered(self._answered_at)
        return found


def _rank(entry: tuple[Event, float]) -> int:
    """Stable: who calls, what he has said so far, and everything else in its order."""
    event, _ = entry
    if isinstance(event, events.CallArrived):
        return 0
    return 1 if isinstance(event, _ON_HIS_LINE) else 2

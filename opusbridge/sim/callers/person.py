"""What the human at the far end does: speaks, waits, interrupts, presses keys, hangs up.

A person works through steps in order. ``tick`` is called for every 20 ms of line; between
two ticks nothing happens. A person speaks and listens at the same time, as people do.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import assert_never

from opusbridge.sim.callers.playout import Ear

FRAME_SECONDS = 0.02

#: An agent silent this long has finished; shorter pauses are breaths.
UTTERANCE_GAP_SECONDS = 0.7

#: An interruption whose moment never came is said after this much silence all the same.
MISSED_MOMENT_SECONDS = 2.0


@dataclass(frozen=True, slots=True, eq=False)
class Say:
    """Speak: signed 16-bit little-endian PCM, one channel, at 8, 16 or 24 kHz."""

    pcm: bytes = field(repr=False)
    rate_hz: int
    text: str

    @property
    def silent(self) -> bool:
        """Digital silence is no speech to whoever listens."""
        return self.pcm.count(0) == len(self.pcm)


@dataclass(frozen=True, slots=True)
class Wait:
    seconds: float


@dataclass(frozen=True, slots=True)
class WaitForAgent:
    """Until the agent has been heard since the last own words, and has been silent again."""

    timeout: float = 30.0
    silence_ms: int = 700


@dataclass(frozen=True, slots=True)
class WaitForSound:
    """Until the agent has been heard since the last own words: at once, if that was before."""

    timeout: float = 30.0


@dataclass(frozen=True, slots=True)
class WaitForSilence:
    """Until the agent has not been heard for so long, whether or not it ever was."""

    seconds: float


@dataclass(frozen=True, slots=True)
class Interrupt:
    """Speak over the agent once it has been speaking for ``after_ms`` in this utterance."""

    after_ms: int
    say: Say
    timeout: float = 30.0


@dataclass(frozen=True, slots=True)
class Press:
    """Keys: ``0-9 * # A-D``."""

    digits: str


@dataclass(frozen=True, slots=True)
class DropLine:
    """The provider's socket is lost without a goodbye."""

    back_after: float | None = None
    """Seconds until the provider dials again, if it is one that does and this is not ``None``."""


@dataclass(frozen=True, slots=True)
class HangUp:
    pass


Step = (
    Say
    | Wait
    | WaitForAgent
    | WaitForSound
    | WaitForSilence
    | Interrupt
    | Press
    | DropLine
    | HangUp
)

#: What a person does to the telephone, beyond speaking into it.
Action = Press | DropLine | HangUp


@dataclass(frozen=True, slots=True)
class Spoken:
    """``started_at`` is when the first frame left, ``ended_at`` one frame after the last."""

    started_at: float
    ended_at: float
    text: str
    silent: bool = False


@dataclass(frozen=True, slots=True)
class Carried:
    """A frame of a saying."""

    at: float
    began: float
    """When the saying did."""
    say: Say
    frame: int


@dataclass(frozen=True, slots=True)
class Deed:
    """A line of the diary, for whoever tells the story of the call."""

    at: float
    kind: str
    """``speaks``, ``interrupts``, ``presses``, ``hangs-up``, ``drops``, ``gives-up-waiting``."""
    text: str = ""


class Person:
    """Someone on the telephone.

    ``saying`` and ``frame`` tell what the line carries in this tick. A wait that ran out is
    noted in ``in_vain`` and the person goes on with the next step; when there is none left,
    it stays on the line for ``patience_seconds`` and then hangs up.
    """

    def __init__(self, steps: Sequence[Step], *, patience_seconds: float = 30.0) -> None:
        self.ear = Ear(UTTERANCE_GAP_SECONDS)
        self.saying: Say | None = None
        self.frame = 0
        self.spoken: list[Spoken] = []
        self.in_vain: list[str] = []
        self.diary: list[Deed] = []
        self.carries: list[Carried] | None = None
        """What of their words the line has taken, if anybody wants to know."""
        self.now = 0.0
        self.keys_left = 0
        """Of those pressed, how many the line has not carried; whoever has the line counts them."""
        self._lost: list[str] = []
        self._steps = list(steps)
        self._patience = patience_seconds
        self._step = 0
        self._step_began: float | None = None
        self._frames = 0
        self._spoke_from = 0.0
        self._listening_since = float("-inf")

    @property
    def done(self) -> bool:
        """Nothing left to do but listen."""
        return self.saying is None and self._step >= len(self._steps)

    @property
    def speaking_since(self) -> float | None:
        """When they began what they are saying, if they are."""
        return None if self.saying is None or self.saying.silent else self._spoke_from

    @property
    def cut_short(self) -> bool:
        """Something was still to be said, pressed or heard: an end now is none of theirs."""
        if self.keys_left:
            return True
        heard = self.ear.audible_at is not None and self.ear.audible_at > self._listening_since
        for step in self._steps[self._step :]:
            match step:
                case WaitForAgent() | WaitForSound() if heard:
                    pass  # the last word was heard, if not the silence after it
                case Wait() | WaitForSilence() | HangUp() | DropLine() | Say(silent=True):
                    pass
                case _:
                    return True
        return self.saying is not None and not self.saying.silent

    @property
    def at_step(self) -> str:
        """How far they came, for a person to read."""
        begun = self._step + (self.saying is None and not self.keys_left)
        return f"step {min(begun, len(self._steps))} of {len(self._steps)}"

    def lose_keys(self) -> None:
        """The line that was to carry the rest of them is gone, while the person stays."""
        if self.keys_left:
            self._lost.append(f"step {self._step}: {self.keys_left} of the keys were never sent")
            self.keys_left = 0

    def left_undone(self) -> list[str]:
        """A sentence for the keys of each step that were lost, and one if the end of the call cut
        them short."""
        if not self.cut_short:
            return self._lost
        keys = f", and {self.keys_left} of the keys were never sent" if self.keys_left else ""
        told = "the call ended before the caller had done all in the script"
        return [*self._lost, f"{told}, at {self.at_step}{keys}"]

    def carried(self) -> None:
        """The line takes what they say in this tick."""
        if self.saying is not None and self.carries is not None:
            self.carries.append(Carried(self.now, self._spoke_from, self.saying, self.frame))

    def tick(self, now: float) -> Action | None:
        """Live 20 ms; the answer is what to do to the telephone at its beginning, if anything."""
        self.now = now
        if self.saying is not None:
            self.frame += 1
            if self.frame < self._frames:
                return None
            self._finish_saying(now)
        if self._step_began is None:
            self._step_began = now
        while self._step < len(self._steps):
            step = self._steps[self._step]
            if not self._due(step, now):
                return None
            self._step += 1
            self._step_began = now
            action = self._do(step, now)
            if action is not None or self.saying is not None:
                return action
        return self._outstay(now)

    def _due(self, step: Step, now: float) -> bool:
        assert self._step_began is not None
        waited = now - self._step_began
        match step:
            case Say() | Press() | DropLine() | HangUp():
                return True
            case Wait(seconds):
                return waited >= seconds - 1e-9
            case WaitForAgent(timeout, silence_ms):
                heard = self.ear.audible_at
                if heard is not None and heard > self._listening_since:
                    return now - heard >= silence_ms / 1000 - 1e-9
                return self._gave_up(waited, timeout, "agent to speak", now)
            case WaitForSound(timeout):
                heard = self.ear.audible_at
                if heard is not None and heard > self._listening_since:
                    return True
                return self._gave_up(waited, timeout, "agent to begin", now)
            case WaitForSilence(seconds):
                since = max(self._step_began, self.ear.audible_at or 0.0)
                return now - since >= seconds - 1e-9
            case Interrupt(after_ms, _, timeout):
                return self._moment_to_interrupt(after_ms, now) or self._gave_up(
                    waited, timeout, "moment to interrupt", now
                )
            case _:
                assert_never(step)

    def _moment_to_interrupt(self, after_ms: int, now: float) -> bool:
        heard = self.ear.audible_at
        if heard is None or heard <= self._listening_since:
            return False
        if now - heard >= MISSED_MOMENT_SECONDS:
            self._note_in_vain("moment to interrupt", now)
            return True
        began = max(self.ear.utterance_at, self._listening_since)
        return now - heard < UTTERANCE_GAP_SECONDS and heard - began >= after_ms / 1000 - 1e-9

    def _gave_up(self, waited: float, timeout: float, for_what: str, now: float) -> bool:
        if waited < timeout:
            return False
        self._note_in_vain(for_what, now)
        return True

    def _note_in_vain(self, for_what: str, now: float) -> None:
        last = self._step >= len(self._steps)
        where = "after the last step" if last else f"step {self._step + 1}"
        self.in_vain.append(f"{where}: waited in vain for the {for_what}")
        self.diary.append(Deed(now, "gives-up-waiting", for_what))

    def _do(self, step: Step, now: float) -> Action | None:
        match step:
            case Say():
                self._begin_saying(step, "speaks", now)
            case Interrupt(_, say):
                self._begin_saying(say, "interrupts", now)
            case Press(digits):
                self.diary.append(Deed(now, "presses", digits))
                self._listening_since = now
                return step
            case HangUp():
                self.diary.append(Deed(now, "hangs-up"))
                return step
            case DropLine():
                self.diary.append(Deed(now, "drops"))
                return step
            case Wait() | WaitForAgent() | WaitForSound() | WaitForSilence():
                pass
            case _:
                assert_never(step)
        return None

    def _begin_saying(self, say: Say, how: str, now: float) -> None:
        self.saying, self.frame = say, 0
        self._frames = frames_in(say)
        self._spoke_from = now
        self.diary.append(Deed(now, how, say.text))

    def _finish_saying(self, now: float) -> None:
        assert self.saying is not None
        said = self.saying
        self.spoken.append(Spoken(self._spoke_from, now, said.text, said.silent))
        self.saying = None
        self._listening_since = self._step_began = now

    def _outstay(self, now: float) -> Action | None:
        assert self._step_began is not None
        last_event = max(self._step_began, self.ear.audible_at or 0.0)
        if now - last_event < self._patience:
            return None
        self._note_in_vain("end of the call; end with hang_up, or have the agent hang up", now)
        self._step_began = now
        self.diary.append(Deed(now, "hangs-up"))
        return HangUp()


def frames_in(say: Say) -> int:
    """How many frames of 20 ms it takes to say this; at least one."""
    samples_per_frame = say.rate_hz // 50
    return max(1, -(-len(say.pcm) // (2 * samples_per_frame)))

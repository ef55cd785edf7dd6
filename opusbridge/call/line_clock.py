"""The caller's line as the far side's clock: when did what comes now leave there?

His frames leave the far side evenly, each when its sound is over, and nothing overtakes on a
socket. So what arrives between two of them left between them, however long the wire held all
three up; and how late the frames come tells how much longer than the quickest they were on
their way. Where the provider says the time of each frame, that is the clock (Twilio); else the
sound that came (AudioCodes has no time stamps: count samples).

Not every line is one: some send nothing for silence, and some stop while the agent speaks.
"""

from math import inf

#: From so few frames on the quickest of them is near the quickest there is.
FEWEST_FRAMES = 10

#: Between longer frames anything may have left.
LONGEST_FRAME_SECONDS = 0.06

#: A hole in the time stamps longer than this: for silence the line sends nothing.
HOLE_SECONDS = 0.06

#: What comes so long after the last frame was not held up with the next.
LONGEST_SECONDS = 0.3

#: Two clocks that drift apart by 50 ppm are 1 to 2 ms apart after one or two of these.
WINDOW_SECONDS = 20.0

#: A line that stopped tells of what comes so soon behind that.
STOPPED_SECONDS = 0.15

#: What comes then left at any time since: likely soon, for the line stopped because of it.
STOPPED_SHARE = 2 / 3

#: The middle of how late the frames are is looked for in steps of this, longer ones at first.
STEP_SECONDS = 0.001
FIRST_STEPS_SECONDS = 0.02
_FIRST = 20


class LineClock:
    """Seconds: ``now`` on our clock, everything that is *left* on the far side's."""

    def __init__(self) -> None:
        self.era = 0
        """What it said in another is of another clock."""
        self.restart()

    def __repr__(self) -> str:
        return f"LineClock({vars(self)})"

    def restart(self) -> None:
        """The frames that come now have another time line."""
        self.era += 1
        self._frames = 0
        self._steady = True
        self._left = self._frame = 0.0
        self._usual = 0.0
        self._least = self._least_before = inf
        self._most = self._most_before = -inf
        self._turns_at = -inf
        self._stopped_at = inf

    def came(self, ms: float, at_ms: int | None, now: float) -> None:
        """A frame; ``at_ms``: when its sound began, where the provider says so."""
        if self._stopped_at < inf:
            self.restart()
        before, self._frame = self._left, ms / 1000
        if at_ms is None:
            self._left = before + self._frame
        else:
            self._left = (at_ms + ms) / 1000
            if self._frames and self._left - self._frame - before > HOLE_SECONDS:
                self._steady = False
        late = now - self._left
        self._frames += 1
        if now >= self._turns_at:
            self._turn(late, now)
        elif late < self._least:
            self._least = late
        elif late > self._most:
            self._most = late
        step = STEP_SECONDS if self._frames > _FIRST else FIRST_STEPS_SECONDS / self._frames
        self._usual += step if late > self._usual else -step

    def stopped(self, now: float) -> None:
        """No more frames come, for now; those that come later have another time line."""
        self._stopped_at = now

    def left(self, now: float) -> float | None:
        """When that left which comes now, give or take half a frame; ``None``: it does not tell."""
        if self._frames < FEWEST_FRAMES or not self._steady:
            return None
        if self._frame > LONGEST_FRAME_SECONDS or now - self._stopped_at > STOPPED_SECONDS:
            return None
        late, most = now - self._left, max(self._most, self._most_before)
        held_up = late - self._frame / 2 - self.behind
        if late > most + self._frame or held_up > LONGEST_SECONDS:
            return None  # later than any frame was: the line has fallen silent
        if self._stopped_at < inf:
            held_up *= STOPPED_SHARE
        return now - self.behind - held_up

    @property
    def behind(self) -> float:
        """So much later than it left came the frame that came quickest."""
        return min(self._least, self._least_before)

    @property
    def usual(self) -> float:
        """How much longer than the quickest the frames are on their way: the middle."""
        return max(0.0, self._usual - self.behind)

    def _turn(self, late: float, now: float) -> None:
        """Frames of the window before the last are forgotten."""
        if self._frames == 1:
            self._usual = late
        self._least_before, self._least = self._least, late
        self._most_before, self._most = self._most, late
        self._turns_at = now + WINDOW_SECONDS

"""A caller who says nothing: a nudge, another, then a goodbye.

Counted from the heard end of what the agent said, and only while nobody owes anybody
anything: while a tool's result, or an answer, is due or the caller speaks, no time passes here.
"""

from dataclasses import dataclass

from opusbridge.call.policy import SilencePolicy

#: What the model is told before what it should say; how long, in whole seconds.
NOTHING_HEARD = "The caller has said nothing for {seconds} seconds. "


@dataclass(slots=True)
class Ladder:
    policy: SilencePolicy | None
    """``None``: the agent waits for as long as it takes."""
    deadline: float | None = None
    rung: int = 0
    """How often the caller was nudged since he was last heard."""
    _quiet_since: float | None = None

    def caller_heard(self) -> None:
        """He speaks or presses a key: the next silence is the first again."""
        self.rung = 0
        self.deadline = self._quiet_since = None

    def look(self, quiet: bool, silent_at: float, now: float) -> None:
        """``quiet``: it is the caller's turn, and he is silent. ``silent_at``: when all that
        is on its way to his ear will have been heard."""
        if self.policy is None or not quiet:
            self.deadline = self._quiet_since = None
            return
        if self._quiet_since is None:
            self._quiet_since = now
        wait = self.policy.after_seconds[min(self.rung, len(self.policy.nudges))]
        self.deadline = max(self._quiet_since, silent_at) + wait

    def due(self, now: float) -> bool:
        """Whether to say the next thing now; true once for each."""
        if self.policy is None or self.deadline is None or now < self.deadline:
            return False
        self.deadline = self._quiet_since = None
        self.rung = min(self.rung, len(self.policy.nudges)) + 1  # the goodbye, once more
        return True

    @property
    def words(self) -> str | None:
        """What the model is to be told now; ``None``: the stored goodbye is all there is."""
        assert self.policy is not None
        said = (*self.policy.nudges, self.policy.goodbye)[self.rung - 1]
        waited = self.policy.after_seconds[self.rung - 1]
        return None if said is None else NOTHING_HEARD.format(seconds=f"{waited:g}") + said

    @property
    def spent(self) -> bool:
        """That was the goodbye."""
        return self.policy is not None and self.rung > len(self.policy.nudges)

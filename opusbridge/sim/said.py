"""The words of what left on a person's line, for whoever is to transcribe the turns of it.

Two sayings may make one turn, one may make two, and one that was withheld makes none: so the
words are told by the frames that left, and not one saying for each turn.
"""

from collections.abc import Sequence
from functools import lru_cache
from itertools import groupby
from math import inf

from opusbridge.call.words import split_by_share
from opusbridge.effects import Effect, Note
from opusbridge.events import Event
from opusbridge.sim.callers import Person, Say
from opusbridge.sim.callers.person import Carried
from opusbridge.sim.callers.playout import is_audible
from opusbridge.sound import PCM_8K

#: Sound that left so lately may not have arrived.
ON_ITS_WAY_SECONDS = 0.15


class Said:
    """An observer of the call, too, where there is one: on hold the bridge hears nobody."""

    def __init__(self, person: Person, stalls: Sequence[tuple[float, float]] = ()) -> None:
        """From now on. ``stalls``: from when to when, on the person's clock, the network holds
        back what leaves."""
        self._person, self._stalls = person, stalls
        self._unheard_since = inf
        self._carried: list[Carried] = []
        person.carries = self._carried

    def __call__(self, what: Event | Effect, now: float) -> None:
        match what:
            case Note("on-hold"):
                self._unheard_since = self._person.now
            case Note("off-hold"):
                self._leave_out_unheard()
                self._unheard_since = inf

    def lately(self) -> str:
        """The words of what has arrived since this was asked; what no ear would notice has none."""
        self._leave_out_unheard()
        now = self._person.now
        held = [begins for begins, ends in self._stalls if begins <= now < ends]
        until = min([now - ON_ITS_WAY_SECONDS, *held])
        due = [one for one in self._carried if one.at <= until]
        del self._carried[: len(due)]
        sayings = [list(frames) for _, frames in groupby(due, key=lambda one: one.began)]
        return " ".join(filter(None, (_words(frames[0], frames[-1]) for frames in sayings)))

    def _leave_out_unheard(self) -> None:
        self._carried[:] = [one for one in self._carried if one.at < self._unheard_since]


def _words(first: Carried, last: Carried) -> str:
    """From the one to the other, by their share of what is audible."""
    audible, text = _audible(first.say), first.say.text
    if not audible[-1]:
        return ""
    before, _ = split_by_share(text, audible[first.frame] / audible[-1])
    upto, _ = split_by_share(text, audible[last.frame + 1] / audible[-1])
    return upto[len(before) :].strip()


@lru_cache(maxsize=64)
def _audible(say: Say) -> tuple[int, ...]:
    """For each frame, and for the end, how many of those before it are audible."""
    size, found = say.rate_hz // 50 * 2, [0]
    for at in range(0, len(say.pcm), size):
        found.append(found[-1] + is_audible(say.pcm[at : at + size], PCM_8K))  # of whatever rate
    return tuple(found)

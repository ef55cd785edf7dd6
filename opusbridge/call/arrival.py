"""Before a call starts: how long it is waited for, and for how long a model waits with it.

Who opens a socket says soon who calls, or never. Where a line rings until somebody answers, the
call may be there before that, whoever has placed it: it starts when it is answered.
"""

from math import inf

from opusbridge import effects
from opusbridge.call.conversation import Conversation
from opusbridge.call.farewell import KEEP_MODEL_SECONDS
from opusbridge.call.machines import earliest, is_due
from opusbridge.effects import Effect, Note

#: A telephony socket that has not told us who calls by then never will.
ARRIVAL_SECONDS = 10.0
#: Nobody lets a telephone ring for longer, nor any network.
RINGING_SECONDS = 180.0
#: A session that cannot be let go when it should be, for it is not ready, may be so by then.
AGAIN_SECONDS = 5.0


def declined(offered: tuple[str, ...] | None) -> list[Effect]:
    """Of a call that was over before it began: what nobody could tell from its ending alone."""
    return [] if offered is None else [Note("declined", "no-common-format", offered)]


class Arrival:
    """``now`` is in seconds, as everywhere; ``rings``: whether the line does."""

    def __init__(self, now: float, *, rings: bool) -> None:
        self._rings = rings
        self._due: float | None = now + ARRIVAL_SECONDS
        self._release_at: float | None = None  # when it has rung for longer than most do
        self._told = self._released = False

    @property
    def deadline(self) -> float | None:
        """When to ask :meth:`in_vain` and :meth:`release_model` again."""
        return earliest(self._due, self._release_at)

    def told(self, now: float) -> None:
        """It is known who calls, or is called: it may ring from the first time on."""
        if self._rings and not self._told:
            self._told = True
            self._due, self._release_at = now + RINGING_SECONDS, now + KEEP_MODEL_SECONDS

    def rings_on(self, talk: Conversation) -> None:
        """Nobody is on the line yet, if it rings: nothing is to be heard or said on it."""
        talk.line.rings = talk.response.door.ringing = self._rings

    def started(self, talk: Conversation) -> bool:
        """Whether the model's session was let go meanwhile: then another is needed."""
        self._due = self._release_at = None
        talk.line.answered()
        talk.response.door.ringing = False
        if not talk.model.ready:
            talk.model.pulse.deaf_since = inf  # to nobody: whoever is there now has not waited
        return self._released

    def in_vain(self, now: float) -> bool:
        """Whether it is waited for no longer."""
        return is_due(self._due, now)

    def release_model(self, talk: Conversation | None, again: bool, now: float) -> list[Effect]:
        """The session of a call that rings for long, once, if there may be another ``again``."""
        if not is_due(self._release_at, now):
            return []
        if talk is None or not (again and talk.model.ready):
            self._release_at = now + AGAIN_SECONDS
            return []
        self._release_at, self._released = None, True
        return [*talk.lost(now), Note("model-released"), effects.ReleaseModel()]

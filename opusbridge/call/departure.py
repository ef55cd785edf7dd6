"""Leaving: how a call is ended or handed over from our side, and what may still stop it.

Three stages, each with its own way back:

* a *farewell* waits until the caller has heard everything; the agent's own gives way to a
  caller who speaks;
* *closing* has none: only the last words remain to be heard;
* *parting* is after the telephony side was told. It has to follow within its time, and only
  a transfer may still come back.
"""

from opusbridge import effects
from opusbridge.call.conversation import Conversation
from opusbridge.call.farewell import HANG_UP_SECONDS, LOOK_SECONDS, TRANSFER_SECONDS, Farewell
from opusbridge.call.handover import with_handover
from opusbridge.call.machines import is_due
from opusbridge.call.stored import say_stored
from opusbridge.effects import Effect, Note
from opusbridge.errors import Ending, ending

#: Hang-ups of the agent's own: a caller who speaks keeps the line.
GIVES_WAY = frozenset({"agent-hung-up", "no-input"})


class Departure:
    def __init__(self) -> None:
        self.closing: Ending | None = None
        """There is no way back: how the call will have ended."""
        self.parting: Ending | None = None
        """The telephony side was told: how the call will have ended if it follows."""
        self.unsaid: tuple[str, ...] = ()
        """The clips of the last words, for a line that is not ours yet."""
        self.handover: effects.Handover | None = None
        """What went with the latest transfer, if there was one."""
        self._farewell: Farewell | None = None
        self._transferring = False  # of the two ways to part, the one that may fail
        self._look_at: float | None = None
        self._gone_at: float | None = None  # we parted: when to stop waiting

    @property
    def under_way(self) -> bool:
        """Whether nothing but the end, or a transfer that fails, may follow."""
        return self.closing is not None or self.parting is not None

    @property
    def wished(self) -> bool:
        """Whether the call will be left, once everything was heard or already now."""
        return self._farewell is not None or self.under_way

    @property
    def hanging_up(self) -> Ending | None:
        """How the call will have ended if the line is to be closed after the last word."""
        if self._farewell is None or not isinstance(self._farewell.then, effects.HangUp):
            return None
        return ending(self._farewell.then.reason)

    def ending(self, otherwise: str, told: bool = False) -> Ending:
        """How the call ends if the line goes now; ``otherwise`` if that is not our doing.

        ``told``: the telephony side knows that, and says so in ``otherwise``.
        """
        if told and self._transferring and otherwise == "caller-hung-up":
            return ending(otherwise)  # while it still rang, there, before anybody answered
        return self.parting or self.closing or ending(otherwise)

    # --- Wishing ------------------------------------------------------------------------

    def wish(
        self,
        then: effects.HangUp | effects.TransferCall,
        talk: Conversation | None,
        now: float,
        by_caller: bool = False,
    ) -> list[Effect]:
        """Once everything was heard; the agent's own wish gives way to the caller's speech."""
        gives_way = isinstance(then, effects.TransferCall) or then.reason in GIVES_WAY
        by_agent = gives_way and not by_caller
        if self.under_way:
            return []
        if by_agent and talk is not None and talk.barge_in.keeps_the_line:
            return [Note("farewell-cancelled")]
        self._farewell = Farewell(then, now, by_agent, awaits_reply=by_agent)
        if talk is not None:
            talk.barge_in.leaving = by_agent
        return []

    def caller_spoke(self, talk: Conversation) -> list[Effect]:
        if self._farewell is None or not self._farewell.by_agent:
            return []
        self._farewell, talk.barge_in.leaving = None, False
        return [Note("farewell-cancelled")]

    def part(
        self,
        how: Ending,
        clips: tuple[str, ...],
        talk: Conversation | None,
        started: bool,
        now: float,
    ) -> list[Effect]:
        """End the call from our side: stored words, heard to their end, then hang up.

        A caller who is not there yet (``started``: the line is ours) is waited for: he hears
        why. Nothing happens if the call is being left already.
        """
        if self.under_way:
            return []
        self.closing, self.unsaid = how, clips
        self._farewell = Farewell(effects.HangUp(how.reason), now, False, awaits_reply=False)
        if talk is None:
            return []
        return talk.close(now) + (say_stored(talk, clips, now) if started else [])

    # --- Parting ------------------------------------------------------------------------

    def look(self, talk: Conversation, started: bool, now: float) -> list[Effect]:
        """Has the last word been heard? ``started``: the line is ours to part from."""
        self._look_at = None
        farewell = self._farewell
        if farewell is None or not started:
            return []
        at_rest = talk.response.at_rest and not talk.tools.running
        voice = talk.voice
        if not farewell.due(now, at_rest, voice.audible(now), voice.silent_at(now)):
            self._look_at = now + LOOK_SECONDS
            return []
        self._farewell = None
        self._transferring = isinstance(farewell.then, effects.TransferCall)
        if isinstance(farewell.then, effects.HangUp):
            self.parting = ending(farewell.then.reason)
            self._gone_at = now + HANG_UP_SECONDS
            return [farewell.then]
        self.parting, self._gone_at = ending("transferred"), now + TRANSFER_SECONDS
        transfer = with_handover(farewell.then, talk)
        self.handover = transfer.handover
        return [transfer]

    def transfer_succeeded(self, now: float) -> None:
        if self._transferring:
            self._transferring, self._gone_at = False, now + HANG_UP_SECONDS

    def transfer_failed(self) -> bool:
        """The caller is ours again. Whether a transfer was on its way at all."""
        if not self._transferring:
            return False
        self.parting = self._gone_at = None
        self._transferring = False
        return True

    # --- Time ---------------------------------------------------------------------------

    @property
    def deadline(self) -> float | None:
        due = (self._look_at, self._gone_at)
        return min((at for at in due if at is not None), default=None)

    @property
    def gone_at(self) -> float | None:
        """When the telephony side must have followed; ``None``: we have not parted."""
        return self._gone_at

    def overdue(self, now: float) -> bool:
        return is_due(self._gone_at, now)

    def followed(self) -> Ending | None:
        """How the call ended when nothing more came; ``None``: a transfer came to nothing."""
        return None if self._transferring else self.parting

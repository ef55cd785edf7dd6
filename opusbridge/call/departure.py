"""Leaving: how a call is ended or handed over from our side, and what may still stop it.

Three stages, each with its own way back:

* a *farewell* waits until the caller has heard everything; the agent's own gives way to a
  caller who speaks;
* *closing* has none: only the last words remain to be heard;
* *parting* is after the telephony side was told. It has to follow within its time, and only
  a transfer may still come back: a hang-up that somebody wished meanwhile is made then.

Where a transfer takes the caller's line from us, he is *away* from then on: nothing is heard or
said, and the call waits for what came of it. Refused there, he comes back on another line. Keys for
the other end take it likewise, for as long as they are *pressing*; whatever is wished meanwhile,
further keys as well, waits until he is back.
"""

from opusbridge import effects, events
from opusbridge.call.conversation import Conversation
from opusbridge.call.farewell import (
    HANDED_OVER,
    HANG_UP_SECONDS,
    HANG_UP_THERE_SECONDS,
    KEEP_MODEL_SECONDS,
    LEAVE_SECONDS,
    LOOK_SECONDS,
    PRESSED,
    RETURN_SECONDS,
    TRANSFER_SECONDS,
    UNHEARD,
    Farewell,
    KeysToPress,
    Then,
    gives_way,
)
from opusbridge.call.handover import with_handover
from opusbridge.call.machines import earliest, is_due
from opusbridge.call.pending import Why
from opusbridge.call.stored import say_stored
from opusbridge.effects import Effect, Note
from opusbridge.errors import Ending, Outcome, ending
from opusbridge.events import FromTelephony
from opusbridge.privacy import Private


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
        self.away = False
        """The caller's line has left us with a transfer, and he may come back."""
        self.pressing = False
        """It has left us, or will at once, only to have keys pressed."""
        self._keys = KeysToPress()
        self._left_as = "caller-hung-up"  # or he was lost, if nobody took him from us
        self._comes_back: str | None = None  # he does, for this reason
        self._release_at: float | None = None  # when nobody may need the model any more
        self._farewell: Farewell | None = None
        self._undone: Farewell | None = None  # there; it is made up for if he comes back
        self._transferring = False  # of the two ways to part, the one that may fail
        self._last_resort = False  # and then there is no other way
        self._look_at: float | None = None
        self._gone_at: float | None = None  # we parted: when to stop waiting

    @property
    def under_way(self) -> bool:
        """Whether nothing may follow but the end, or his coming back to us."""
        return self.leaving or self.pressing

    @property
    def leaving(self) -> bool:
        """Whether the call is: nothing but the end, or a transfer that fails, may follow."""
        return self.closing is not None or self.parting is not None

    @property
    def wished(self) -> bool:
        """Whether the call will be left, once everything was heard or already now."""
        return self._farewell is not None or self.leaving

    @property
    def idle(self) -> bool:
        """Whether nobody leaves, is away, or wants keys pressed."""
        return not (self.wished or self.away or self._transferring or self._keys.digits)

    def awaits_words(self, talk: Conversation, now: float) -> bool:
        """Whether the agent may still say something before its line is taken."""
        if self._keys.digits and not self.under_way:
            return not self._keys.at_rest(talk)
        wished = self._farewell
        return wished is not None and wished.awaits_words(now, wished.at_rest(talk))

    @property
    def hanging_up(self) -> Ending | None:
        """How the call will have ended if the line is to be closed after the last word."""
        return None if self._farewell is None else self._farewell.hanging_up

    def ending(self, otherwise: str, told: bool = False) -> Ending:
        """How the call ends if the line goes now; ``otherwise`` if that is not our doing.

        ``told``: the telephony side knows that, and says so in ``otherwise``.
        """
        if told and self._transferring and otherwise not in HANDED_OVER:
            return ending(otherwise)  # while it still rang, there, before anybody answered
        return self.parting or self.closing or ending(otherwise)

    # --- Wishing ------------------------------------------------------------------------

    def wish(
        self,
        then: Then,
        talk: Conversation | None,
        now: float,
        by: str = "",
        tool_call_id: str = "",
    ) -> list[Effect]:
        """Once everything was heard; the agent's own wish gives way to the caller's speech.

        ``by``: a transfer is asked for by a "tool", an "operator" or the "caller", or by us: as the
        "last resort" of a call whose model gives no answer. ``tool_call_id``: a hang-up, by this.
        """
        farewell = Farewell(then, now, gives_way(then) and by != "caller", by)
        by_agent = farewell.by_agent
        if self.with_another and isinstance(then, effects.HangUp):
            return self._hang_up_there(then, now)
        if not self._may_wish(farewell):
            return []
        if by_agent and talk is not None and talk.barge_in.keeps_the_line:
            return self._line_kept(farewell, talk, now)
        if talk is not None:
            talk.barge_in.leaving = by_agent
            talk.tools.leave_taken &= self.hanging_up is not None  # this is the same wish, again
            talk.tools.leave_taken |= talk.tools.said_beside(tool_call_id, now)
            talk.tools.leave_taken |= isinstance(then, effects.TransferCall)
        self._farewell = farewell.instead_of(self._farewell)
        return []

    def _may_wish(self, farewell: Farewell) -> bool:
        """Whether it changes anything."""
        if self.leaving:  # should the transfer fail, it is still wanted
            hang_up = farewell.hanging_up is not None and not farewell.by_agent
            return hang_up and self._transferring and self.closing is None
        return self._farewell is None or farewell.outweighs(self._farewell)

    def caller_spoke(self, talk: Conversation, now: float) -> list[Effect]:
        if self._farewell is None or not self._farewell.by_agent:
            return []
        kept, self._farewell, talk.barge_in.leaving = self._farewell, None, False
        talk.repair.caller_heard()
        return self._line_kept(kept, talk, now)

    def key_pressed(self, talk: Conversation | None, now: float) -> list[Effect]:
        """It tells that he is there, if that was the question."""
        silent = self._farewell is not None and self._farewell.then == UNHEARD
        if talk is None or not (silent and talk.policy.farewell_interruptible):
            return []
        return self.caller_spoke(talk, now)

    def _line_kept(self, kept: Farewell, talk: Conversation, now: float) -> list[Effect]:
        """The agent is told, or it would believe its tool; its answer is owed in any case."""
        noted = Note("farewell-cancelled")
        if not kept.by_tool:
            return [noted]
        return [noted, *talk.add_text(None, "system", kept.line_kept, now)]

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
        why. Nothing happens if the call is being left already; by a transfer it is only if that
        succeeds, so what was wished, and is not for a failure, waits for it.
        """
        waits = self._transferring and how.outcome is Outcome.COMPLETED
        if self.closing is not None or (self.parting is not None and not waits):
            return []
        self.closing, self.unsaid = how, clips
        self._farewell = Farewell(effects.HangUp(how.reason), now)
        if talk is None:
            return []
        heard = started and not self.away and not self._transferring
        return talk.close(now) + (say_stored(talk, clips, now) if heard else [])

    def let_go(self, talk: Conversation, now: float) -> list[Effect]:
        """Of a caller who says nothing: the stored goodbye, which gives way as the agent's own."""
        if not talk.policy.farewell_interruptible:
            return self.part(ending(UNHEARD.reason), ("goodbye",), talk, True, now)
        found = say_stored(talk, ("goodbye",), now) + self.wish(UNHEARD, talk, now)
        talk.tools.leave_taken = True
        return found

    def press(self, digits: Private[str], talk: Conversation, now: float) -> list[Effect]:
        """Keys for the other end: at once, or, where they take the line, when all was heard."""
        if not talk.policy.telephony.transfers_return:
            return [effects.SendDTMF(digits)]
        self._keys.digits += digits.value
        return []

    # --- Parting ------------------------------------------------------------------------

    def look(self, talk: Conversation, started: bool, now: float) -> list[Effect]:
        """Has the last word been heard? ``started``: the line is ours to part from."""
        self._look_at = None
        farewell, voice = self._farewell, talk.voice
        if farewell is not None and voice.agent_audible(now):
            talk.tools.leave_taken |= voice.hears(talk.tools.words_of)
        if self._keys.digits and not self.under_way:
            return self._look_for_keys(talk, now)
        if farewell is not None and self.with_another and isinstance(farewell.then, effects.HangUp):
            return self._hang_up_there(farewell.then, now)
        if farewell is None or not started or self.parting is not None or self.pressing:
            return []
        self._look_at = now + LOOK_SECONDS
        if not farewell.due(now, farewell.at_rest(talk), voice.audible(now), voice.silent_at(now)):
            return []
        if (how := farewell.unsaid(talk.took_leave)) is not None:
            return [Note("hold", "goodbye"), *self.part(how, ("goodbye",), talk, True, now)]
        self._farewell = self._look_at = None
        self._transferring = isinstance(farewell.then, effects.TransferCall)
        self._last_resort = farewell.last_resort
        if isinstance(farewell.then, effects.HangUp):
            self.parting = ending(farewell.then.reason)
            self._gone_at = now + HANG_UP_SECONDS
            return [*talk.close(now, heard_out=True), farewell.then]
        self.parting, self._gone_at = ending("transferred"), now + TRANSFER_SECONDS
        transfer = with_handover(farewell.then, talk)
        self.handover = transfer.handover
        return [Note("withheld", "transfer"), transfer] if transfer.withheld else [transfer]

    def _hang_up_there(self, then: effects.HangUp, now: float) -> list[Effect]:
        """There is a line to close, if not to us, and nobody on ours to wait for."""
        self._farewell, self._transferring = None, False
        self._undone = Farewell(then, now)
        self.parting, self._gone_at = ending(then.reason), now + HANG_UP_THERE_SECONDS
        return [then]

    def _look_for_keys(self, talk: Conversation, now: float) -> list[Effect]:
        if not self._keys.due(talk, now):
            self._look_at = now + LOOK_SECONDS
            return []
        self.pressing = self._transferring = True
        self._gone_at = now + TRANSFER_SECONDS
        return [effects.SendDTMF(self._keys.taken())]

    def transfer_succeeded(self, now: float) -> None:
        if self._transferring:
            self._transferring, self._gone_at = False, now + HANG_UP_SECONDS

    def transfer_failed(self) -> bool:
        """The caller is ours again. Whether a transfer was on its way at all."""
        if not self._transferring:
            return False
        self.parting = self._gone_at = None
        self._transferring = self.pressing = False
        return True

    def give_back(self, reason: str, talk: Conversation, now: float) -> list[Effect] | None:
        """The transfer failed: the agent is told, and is to say so, unless nobody was left to tell.
        ``None``: there was none."""
        pressing = self.pressing
        if not self.transfer_failed():
            return None
        if pressing:
            return self._pressed(reason, talk, now)
        talk.barge_in.leaving = False
        self._farewell, self._undone = self._farewell or self._undone, None
        noted = Note("transfer-failed", reason)
        if self.closing is not None:
            return [noted, *say_stored(talk, self.unsaid, now)]
        if self._farewell is not None:
            return [noted]  # somebody wants to hang up, and has waited for this
        if self._last_resort:  # a model that gave no answer would give none to this
            last_words = "sorry", "goodbye"
            return [noted, *self.part(ending("model-failed"), last_words, talk, True, now)]
        words = Private(f"The transfer failed ({reason}): the caller is still with you. Say so.")
        return [noted, *talk.add_text(Why.TEXT, "system", words, now)]

    def _pressed(self, reason: str, talk: Conversation, now: float) -> list[Effect]:
        pressed = reason == PRESSED
        noted = Note("keys-pressed") if pressed else Note("keys-failed", reason)
        self._keys.digits = self._keys.digits if pressed else ""  # the rest would be another number
        if self.closing is not None:  # meanwhile, and nobody has told him why
            return [noted, *say_stored(talk, self.unsaid, now)]
        if pressed:
            return [noted, *talk.response.settle(now)]
        words = Private("The keys could not be pressed.")
        return [noted, *talk.add_text(Why.TEXT, "system", words, now)]

    # --- Away ---------------------------------------------------------------------------

    @property
    def handing_over(self) -> bool:
        """A transfer is on its way, and nobody has said yet what came of it."""
        return self._transferring

    @property
    def with_another(self) -> bool:
        """The caller is away, and nobody has said yet that he comes back, or is to be hung up."""
        staying = self._comes_back is None and self._transferring
        return self.away and staying and not self.pressing

    def told(
        self, event: FromTelephony, talk: Conversation | None, now: float
    ) -> list[Effect] | Ending | None:
        """What follows from it for a caller who is away, or about to be; ``None``: nothing."""
        if self.away and not self._transferring:
            return self._told_there(event)
        if not (self._transferring and talk and talk.policy.telephony.transfers_return):
            return None
        match event:
            case events.TransferUnderWay():
                self._gone_at = self._gone_at if self.away else now + LEAVE_SECONDS
                return []
            case events.CallerHungUp() | events.TelephonyLost() if not self.away:
                if self.closing is not None and not self.pressing:
                    return ending("transferred")  # he is in good hands
                lost = isinstance(event, events.TelephonyLost)
                self._left_as = "telephony-lost" if lost else "caller-hung-up"
                return self._leave(talk, now)
            case events.CallerHungUp(reason):
                return ending(reason)
            case events.TelephonyLost():
                return []  # the line that he left
            case events.TransferSucceeded():
                return ending("transferred")
            case events.TransferFailed() if self.away:
                return ending(self._left_as)  # refused when his line was gone already
            case events.CallerReturns(reason):
                reason = PRESSED if self.pressing else reason
                return ([] if self.away else self._leave(talk, now)) + self._expect(reason, now)
            case _:
                return None

    def _told_there(self, event: FromTelephony) -> list[Effect] | Ending | None:
        """He is being hung up on: the provider says when that is done."""
        if isinstance(event, events.HangUpFailed):
            self._transferring, self._gone_at, self.parting = True, None, ending("transferred")
            return []
        return [] if isinstance(event, events.TelephonyLost) else None  # the line that he left

    def back(self, talk: Conversation) -> str:
        """His line is ours again, another one. Why nobody took him."""
        reason, self._comes_back = self._comes_back or "error", None
        self.away = talk.response.door.away = False
        self._release_at = None
        talk.line.restarts()
        return reason

    def _leave(self, talk: Conversation, now: float) -> list[Effect]:
        self.away = talk.response.door.away = True
        self._gone_at, self._release_at = None, now + KEEP_MODEL_SECONDS
        if self.pressing:  # nobody is asked anything: he is back when they are pressed
            self._gone_at, self._release_at = now + self._keys.seconds, None
            talk.response.door.unheard(talk.voice.agent_audible(now), now)
        return [Note("away"), *talk.hush(now, line_gone=True)]

    def _expect(self, reason: str, now: float) -> list[Effect]:
        self._comes_back, self._gone_at = reason, now + RETURN_SECONDS
        self._release_at = None
        return []

    def release_model(self, talk: Conversation, again: bool, now: float) -> list[Effect]:
        """The session of a caller who is away for long, once, if there may be another ``again``."""
        if not is_due(self._release_at, now):
            return []
        self._release_at = None
        if not (again and talk.model.ready):
            return []
        return [*talk.lost(now), Note("model-released"), effects.ReleaseModel()]

    # --- Time ---------------------------------------------------------------------------

    @property
    def deadline(self) -> float | None:
        return earliest(self._look_at, self._gone_at, self._release_at)

    @property
    def gone_at(self) -> float | None:
        """When the telephony side must have followed; ``None``: we have not parted."""
        return self._gone_at

    def overdue(self, now: float) -> bool:
        return is_due(self._gone_at, now)

    def followed(self) -> Ending | None:
        """How the call ended when nothing more came; ``None``: a transfer came to nothing."""
        if self.away:
            return ending("telephony-lost")
        return None if self._transferring else self.parting

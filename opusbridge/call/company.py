"""What is said into a silence, and the clip that says it.

* An answer is owed and the caller hears nothing: he is asked to hold (``hold.py``).
* A tool is at work that has a filler: that is played after a while, until the answer begins.
* It is his turn and he says nothing: he is nudged, and in the end let go (``silence.py``).
* The call must end soon: he is told.
* The model gives no answer for all our asking: that is owned up to.
* The model was not allowed to say the rest of its answer: he is told that it did not work.
"""

from math import inf

from opusbridge.call.conversation import Conversation
from opusbridge.call.departure import Departure
from opusbridge.call.farewell import UNHEARD
from opusbridge.call.hold import Hold
from opusbridge.call.machines import earliest, is_due
from opusbridge.call.pending import Why
from opusbridge.call.policy import CallPolicy
from opusbridge.call.silence import Ladder
from opusbridge.call.stored import say_stored
from opusbridge.call.voice import FILLER
from opusbridge.effects import Effect, Note, TransferCall
from opusbridge.errors import ending
from opusbridge.privacy import Private

#: What the model is told before the call has lasted for as long as it may.
WARNING = (
    "This call must end in {seconds} seconds. Tell the caller so now in one short sentence, "
    "then go on."
)


class Company:
    def __init__(self, policy: CallPolicy) -> None:
        self._hold = Hold(policy.hold_after)
        self._filler = Hold(inf)  # of silence while a tool is at work; the tool says how long
        self._ladder = Ladder(policy.no_input)
        self._warning_seconds = policy.warning_seconds
        self._warn_at: float | None = None
        self._doubt_at: float | None = None
        """When the session, asked whether it is there, is taken to be deaf."""

    def call_ends(self, at: float) -> None:
        """The latest end of the call is known."""
        if self._warning_seconds:
            self._warn_at = at - self._warning_seconds

    def caller_heard(self, talk: Conversation | None, departure: Departure) -> None:
        self._ladder.caller_heard()
        if talk is not None and not departure.wished:  # else that decides whether he stays
            talk.repair.caller_heard()

    def nobody(self, now: float) -> None:
        """The call is being left: nobody is kept waiting, nudged or warned."""
        self._warn_at = None if is_due(self._warn_at, now) else self._warn_at
        self._doubt_at = None
        self._hold.look(False, now, now)
        self._filler.look(False, now, now)
        self._ladder.look(False, now, now)

    def keep(
        self,
        talk: Conversation,
        departure: Departure,
        started: bool,
        now: float,
        typing: bool = False,
        held: bool = False,
    ) -> list[Effect]:
        """Never silent: look after every event, and say what is due.

        ``typing``: the caller is to type, and has a time limit of his own for that. ``held``:
        he is on hold, and waits for our return.
        """
        silent_at = talk.voice.silent_at(now)
        deaf = not talk.model.ready or talk.model.pulse.weak(now)
        asked = talk.model.pulse.asked and not deaf
        self._doubt_at = talk.model.pulse.due(busy=False) if asked else None
        # Of somebody who was speaking when the session froze it does not tell that he has stopped.
        awaits = talk.owes_sound or (deaf and not talk.quiet)
        owed = started and (held or (awaits and not typing))
        since = now if held else talk.owes_since
        self._hold.look(owed, silent_at, now, since, deaf)
        quiet = started and not departure.wished and talk.quiet and not (held or typing)
        # A voice on his line puts it off, but may be an echo: that is no answer to a nudge.
        self._ladder.look(quiet, max(silent_at, talk.line.voice_at), now)
        silent = started and not (held or typing or talk.response.caller_speaking)
        found: list[Effect] = []
        if talk.silenced() and talk.quiet:
            found += [Note("apology", "content-filter"), *say_stored(talk, ("sorry",), now)]
        found += self._fill(talk, silent, silent_at, now)
        if not found and self._hold.due(now):
            found += self._ask_to_hold(talk, departure, now)
        if is_due(self._warn_at, now):
            found += self._warn(talk, departure, now)
        if self._ladder.due(now):
            found += self._nudge(talk, departure, now)
        return found

    def _fill(self, talk: Conversation, silent: bool, silent_at: float, now: float) -> list[Effect]:
        self._filler.after_seconds, name = talk.tools.filler or (inf, "")
        self._filler.look(silent and bool(name), silent_at, now)
        if not self._filler.due(now):
            return []
        return [Note("hold", "filler"), *say_stored(talk, (f"{FILLER}{name}",), now)]

    def _ask_to_hold(self, talk: Conversation, departure: Departure, now: float) -> list[Effect]:
        if departure.hanging_up is None:
            return [Note("hold"), *say_stored(talk, ("one-moment",), now)]
        if talk.took_leave:
            return []  # it leaves when its tools are done, and not much later if they are not
        # The agent's own goodbye does not come.
        parted = departure.part(departure.hanging_up, ("goodbye",), talk, True, now)
        return [Note("hold", "goodbye"), *parted]

    def _nudge(self, talk: Conversation, departure: Departure, now: float) -> list[Effect]:
        words, spent = self._ladder.words, self._ladder.spent
        rung = "goodbye" if spent else "nudge"
        found: list[Effect] = [Note("no-input", rung, (), float(self._ladder.rung))]
        if words is None:
            return found + departure.let_go(talk, now)
        found += talk.add_text(Why.NUDGE, "system", Private(words), now)
        if spent:
            found += departure.wish(UNHEARD, talk, now)
        return found

    def _warn(self, talk: Conversation, departure: Departure, now: float) -> list[Effect]:
        """In the model's own words, and when it may."""
        self._warn_at = None
        if departure.wished:
            return []
        left = self._warning_seconds
        words = Private(WARNING.format(seconds=f"{left:g}"))
        return [Note("warned", value=left), *talk.add_text(Why.TEXT, "system", words, now)]

    def apologise(
        self, talk: Conversation, departure: Departure, started: bool, now: float
    ) -> list[Effect]:
        """The retries are spent: say so, then do as the agent's policy says."""
        talk.response.forgive()
        how, target = talk.policy.give_up, talk.policy.give_up_target
        noted = Note("apology", how)
        if how == "hang_up":
            failed = ending("model-failed")
            return [noted, *departure.part(failed, ("sorry", "goodbye"), talk, started, now)]
        found = [noted, *say_stored(talk, ("sorry",), now)]
        if how == "transfer" and target is not None:
            then = TransferCall(target, "no answer")
            found += departure.wish(then, talk, now, by="last resort")
        return found

    @property
    def deadline(self) -> float | None:
        silences = (self._hold.deadline, self._filler.deadline, self._ladder.deadline)
        return earliest(*silences, self._warn_at, self._doubt_at)

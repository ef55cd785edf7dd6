"""Ending a call when its last word was heard, and not before."""

from dataclasses import dataclass

from opusbridge.call.conversation import Conversation
from opusbridge.effects import HangUp, TransferCall
from opusbridge.errors import Ending, ending
from opusbridge.privacy import Private

#: How long a goodbye the model still has to say may take to begin.
REPLY_SECONDS = 10.0
#: What was played out at the far side reaches the ear this much later: the carrier's way takes
#: up to 300 ms (twilio-media-streams 4.1). The way to the far side is in the ledger's clock.
TAIL_SECONDS = 0.3
#: A mark that does not come back holds up the end for no longer than this.
GRACE_SECONDS = 2.0
#: While a farewell waits, the ear is asked again this often.
LOOK_SECONDS = 0.1
#: After we hung up, the telephony side ends the call by itself within this.
HANG_UP_SECONDS = 5.0
#: One who is with another party is hung up on by a request, which is asked again where the provider
#: is busy: it has been answered, or given up, within this.
HANG_UP_THERE_SECONDS = 90.0
#: Keys that take the line wait so long for the end of a turn; a menu that talks may have none.
TURN_SECONDS = 3.0
#: A transfer that is neither answered nor refused by then has failed: longer than a phone rings.
TRANSFER_SECONDS = 90.0
#: What an end may be called that came of a transfer; all other names say what came between.
HANDED_OVER = frozenset({"transferred", "agent-hung-up", "unknown"})
#: Where a transferred caller may come back: his line leaves us within this, or never.
LEAVE_SECONDS = 10.0
#: Nobody took his call, and his line is to be ours again: it is within this, or he is gone.
RETURN_SECONDS = 15.0
#: So many keys can be pressed at once (Twilio's ``<Play digits>``), and each takes so long.
MOST_KEYS = 32
KEY_SECONDS = 0.5
#: Why he comes back from having them pressed.
PRESSED = "keys"
#: While he is away the model's session is kept for so long: longer than a telephone rings.
KEEP_MODEL_SECONDS = 30.0

Then = HangUp | TransferCall

#: Of a caller who says nothing; the agent was told to say goodbye, and no more.
UNHEARD = HangUp("no-input")
#: Hang-ups of the agent's own: a caller who speaks keeps the line.
GIVES_WAY = frozenset({"agent-hung-up", "no-input"})

#: What the model is told when the caller has kept the line: its tool said that it would be done.
LINE_KEPT = (
    "The caller spoke, so the {what} was not made, whatever the tool answered: the caller is "
    "still with you. If it is still wanted, call the tool again."
)


def gives_way(then: Then) -> bool:
    """Whether the agent wishes it, and no more: it may still be kept from it."""
    return isinstance(then, TransferCall) or then.reason in GIVES_WAY


@dataclass(slots=True)
class Farewell:
    """What is to happen once the caller has heard everything."""

    then: Then
    asked_at: float
    by_agent: bool = False
    """The agent's own wish: a caller who speaks cancels it. It still says goodbye: wait for that
    too."""
    by: str = ""
    """Who asks for a transfer."""

    @property
    def by_tool(self) -> bool:
        """The model believes in it: it is told if nothing comes of it."""
        return self.by == "tool" or self.then.reason == "agent-hung-up"

    @property
    def last_resort(self) -> bool:
        """The model gave no answer: if nothing comes of it, nobody is there to go on."""
        return self.by == "last resort"

    @property
    def own(self) -> bool:
        """The agent's, and nobody else's that gives way as it does."""
        return self.by_agent and self.by not in ("operator", "last resort")

    def outweighs(self, earlier: "Farewell") -> bool:
        """What the agent wishes itself, and our last resort, take the place of nobody else's."""
        if self.own or self.last_resort:
            return earlier.own
        hang_up = isinstance(self.then, HangUp)
        return hang_up or self.by == "operator" or earlier.by_agent

    def instead_of(self, earlier: "Farewell | None") -> "Farewell":
        """An agent that wishes again has no more time for its goodbye."""
        if earlier is not None and self.own and earlier.own:
            self.asked_at = earlier.asked_at
        return self

    def at_rest(self, talk: Conversation) -> bool:
        """Whether the model says nothing and owes nothing that it may say before this.

        On hold it says nothing; when that ends it may still say goodbye.
        """
        if isinstance(self.then, HangUp):
            return talk.at_rest
        return talk.response.door.still and not (talk.tools.owing or talk.repair.owing)

    def awaits_words(self, now: float, at_rest: bool) -> bool:
        """Whether there is still time for what the model owes."""
        return self.by_agent and not at_rest and now < self.asked_at + REPLY_SECONDS

    def due(self, now: float, at_rest: bool, audible: bool, silent_at: float) -> bool:
        if self.awaits_words(now, at_rest):
            return False
        return now >= silent_at + (GRACE_SECONDS if audible else TAIL_SECONDS)

    def unsaid(self, took_leave: bool) -> Ending | None:
        """How the call will have ended if, once due, this lacks the goodbye that was awaited."""
        return self.hanging_up if self.by_agent and not took_leave else None

    @property
    def hanging_up(self) -> Ending | None:
        """How the call will have ended if the line is to be closed then."""
        return ending(self.then.reason) if isinstance(self.then, HangUp) else None

    @property
    def line_kept(self) -> Private[str]:
        """For the model, when the caller spoke."""
        what = "hang-up" if isinstance(self.then, HangUp) else "transfer"
        return Private(LINE_KEPT.format(what=what))


@dataclass(slots=True)
class KeysToPress:
    """For the other end, where they take the line: when everything was heard, and together."""

    digits: str = ""
    seconds: float = RETURN_SECONDS
    """Within which he is back from those that were taken."""
    _turn_until: float | None = None
    """How long they wait for the end of a turn."""

    def at_rest(self, talk: Conversation) -> bool:
        """As for a transfer; but it may well be a tool that runs yet which asked for them."""
        return talk.response.door.still and not talk.repair.owing

    def due(self, talk: Conversation, now: float) -> bool:
        if not self.at_rest(talk) or now < talk.voice.silent_at(now) + TAIL_SECONDS:
            self._turn_until = None
            return False
        if not talk.response.caller_turn_under_way:
            return True
        self._turn_until = self._turn_until or now + TURN_SECONDS
        return now >= self._turn_until

    def taken(self) -> Private[str]:
        """As many as can be pressed at once; the others are when he is back from that."""
        taken, self.digits = self.digits[:MOST_KEYS], self.digits[MOST_KEYS:]
        self._turn_until, self.seconds = None, RETURN_SECONDS + KEY_SECONDS * len(taken)
        return Private(taken)

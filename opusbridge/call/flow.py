"""The agent's answer in mid-flow, by the shortest way: more sound, words, a mark come back.

Ten times a second of speech something comes that leads to nothing but the next of its kind.
Whether that is so is asked once after each step of another kind (:func:`flow_of`): then nobody
leaves, types, holds, uses tools or is judged, and no deadline can come any earlier. So nothing
is concluded from it: what a deadline counts from is looked at when the old one is reached.

What is done here is what the general way does of the same, no more and no less.
"""

from opusbridge.call.call import Call
from opusbridge.call.conversation import Conversation
from opusbridge.call.segments import Sent
from opusbridge.effects import Effect
from opusbridge.events import Delta

#: What counts from the end of what is said counts seconds: so much too long is nobody's business.
SOONER_SECONDS = 0.05


class Flow:
    """Every method takes ``now`` in seconds; ``None`` or false, and as if never asked, for all
    that is not so simple."""

    def __init__(self, call: Call, talk: Conversation) -> None:
        self._call, self._talk = call, talk
        self._sooner_by = 0.0
        """So much less is still to be heard than when it was last looked at."""

    def sound(self, delta: Delta, now: float) -> list[tuple[Sent, str]] | None:
        """Of an item that is being said: what leaves, each with the name of the mark behind it."""
        talk, (_, response_id, item_id, content_index, sound) = self._talk, delta
        if (response_id, item_id) != talk.sounding or not talk.response.goes_on(response_id):
            return None
        leaving = talk.voice.goes_on(item_id, content_index, sound, now)
        if leaving is not None:
            self._heard(response_id, True, now)
        return leaving

    def words(self, delta: Delta, now: float) -> bool:
        """A further piece of an item's that is known, or all of them."""
        what, response_id, item_id, content_index, words = delta
        talk = self._talk
        known = item_id in talk.transcript and talk.response.goes_on(response_id)
        if not known or talk.voice.would_ping(now):
            return False
        self._heard(response_id, False, now)
        talk.transcript.words(item_id, "agent", words, what == "all words", content_index)
        return True

    def mark(self, name: str, now: float) -> tuple[list[Effect], bool] | None:
        """The next that is due; nothing that waits for the end of what is said is due with it.
        Or one that was flushed: nothing at all is.

        What comes of it, and whether what counts from the end of what is said is to be looked at.
        """
        talk = self._talk
        if not talk.voice.awaits(name, more=not talk.response.response_active):
            return None
        silent_at = talk.voice.silent_at(now)
        found = talk.voice.mark_reached(name, now)
        self._sooner_by += max(silent_at - talk.voice.silent_at(now), 0.0)
        self._call.reckoned = False
        if not found and self._sooner_by < SOONER_SECONDS:
            return found, False
        self._sooner_by = 0.0
        return [*found, *self._call.conclude(now)], True

    def _heard(self, response_id: str, more_to_come: bool, now: float) -> None:
        talk, self._call.reckoned = self._talk, False
        talk.response.model_heard(now)
        talk.model.pulse.heard(now)
        talk.response.seen(response_id, more_to_come, now)


def flow_of(call: Call) -> Flow | None:
    """``None`` while more may come of what the agent says than that it is heard."""
    talk = call.conversation
    if talk is None or not call.calm or call.transcript.paused:
        return None
    if talk.tools.busy or talk.barge_in.judges or talk.model.pulse.asked:
        return None
    return Flow(call, talk)

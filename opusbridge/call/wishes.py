"""What the caller's keys, the agent's tools and operators ask of the line, and what comes of it.

Keys and digits, sound from a file, tones for the other end, hold. Leaving the call is asked for
here by a key only; how that goes is ``departure.py``'s.
"""

from typing import assert_never

from opusbridge import effects, events
from opusbridge.call.conversation import Conversation
from opusbridge.call.departure import Departure
from opusbridge.call.keys import KeyDesk, Pressed
from opusbridge.call.machines import earliest, is_due
from opusbridge.call.pending import Why
from opusbridge.call.policy import CallPolicy, Clip, KeyAction
from opusbridge.call.stored import say_as_agent
from opusbridge.call.voice import MUSIC
from opusbridge.effects import Effect, Note
from opusbridge.errors import ending
from opusbridge.privacy import Private

#: What stands in the transcript for keys that are nobody's to read.
SECRET = "[secret]"
#: What the model is told before the words of a key of the agent's map.
SAY_NOW = "The caller pressed a key that asks for this. Say it now: "
BACK = "The caller was on hold for {seconds:.0f} seconds and is back."
#: How long a hold lasts that nobody ends, unless it is asked for again: whoever asked is not in
#: the call, and the caller can do nothing about it. A tool's ends with the tool.
MOST_HELD_SECONDS = 300.0
#: Who is behind a hold that no tool at work has asked for.
OUTSIDE = ""


class Wishes:
    def __init__(self, policy: CallPolicy, departure: Departure) -> None:
        self.keys = KeyDesk(policy)
        self._departure = departure
        self._held_since: float | None = None
        self._held_by: set[str] = set()  # tool calls, or OUTSIDE
        self._held_until: float | None = None  # by OUTSIDE
        self._to_play: list[events.PlayRequested] = []

    @property
    def held(self) -> bool:
        """Whether the caller is on hold: nobody listens to him."""
        return self._held_since is not None

    @property
    def unheard(self) -> bool:
        """Whether nobody listens to the caller, or ever will again."""
        return self.held or self._departure.closing is not None

    @property
    def deaf(self) -> bool:
        """The same, or what he types now is not for everybody."""
        return self.unheard or self.keys.secret

    @property
    def idle(self) -> bool:
        """Whether he is not on hold, and nobody waits for digits."""
        return not self.held and not self.keys.collecting

    def caller_spoke(self, talk: Conversation, now: float) -> list[Effect]:
        """He means it: what he cuts short takes the files behind it along."""
        if not talk.mid_sentence:
            self._to_play.clear()
        return self._departure.caller_spoke(talk, now)

    def pressed(self, digits: Private[str], talk: Conversation | None, now: float) -> list[Effect]:
        if talk is not None and talk.response.door.ringing:
            return []  # nobody has pressed them
        return self._typed(self.keys.press(digits, now), talk, now)

    @property
    def deadline(self) -> float | None:
        return earliest(self.keys.deadline, self._held_until)

    def look(self, talk: Conversation, now: float) -> list[Effect]:
        """After every event: may a file be played now? Does who wants the caller held still do?"""
        found = self._play(talk, now)
        if not self.held:
            return found
        if not (self._departure.idle or self._departure.awaits_words(talk, now)):
            found += talk.voice.stop_filler(now, MUSIC)  # who wants the line does not wait for it
        if is_due(self._held_until, now):
            self._held_by.discard(OUTSIDE)
            self._held_until = None
        running = talk.tools.is_running
        self._held_by = {one for one in self._held_by if one == OUTSIDE or running(one)}
        return found if self._held_by else found + self._unhold(talk, now)

    def timed_out(self, talk: Conversation | None, now: float) -> list[Effect]:
        if not is_due(self.keys.deadline, now):
            return []
        return self._typed(self.keys.timed_out(now), talk, now)

    def wished(self, event: events.Wish, talk: Conversation | None, now: float) -> list[Effect]:
        """``talk`` is ``None`` until the call has started: nobody hears or types anything."""
        if talk is None:
            if isinstance(event, events.DigitsWanted):
                return [effects.DeliverDigits(event.collection_id, Private(""), "timeout")]
            return []
        match event:
            case events.DigitsWanted():
                return self._typed(self.keys.want(event, now), talk, now)
            case events.DigitsUnwanted(collection_id):
                self.keys.drop(collection_id, now)
                return []
            case events.HoldRequested(on=False):
                return self._unhold(talk, now)
            case _ if self._departure.leaving:
                return []
            case events.DTMFRequested(digits):
                return self._departure.press(digits, talk, now)
            case events.PlayRequested():
                self._to_play.append(event)
                return self._play(talk, now)
            case events.HoldRequested(tool_call_id=by):
                return self._hold(by if talk.tools.is_running(by) else OUTSIDE, talk, now)
            case _:
                assert_never(event)

    def _play(self, talk: Conversation, now: float) -> list[Effect]:
        """Behind what is being said, of which there is more to come until its response is over;
        and not before a caller whose line presses keys is back."""
        if self._departure.leaving:
            self._to_play.clear()
        if not self._to_play or talk.mid_sentence or self._departure.pressing:
            return []
        files, self._to_play = self._to_play, []
        found: list[Effect] = []
        for file in files:
            clip, words = Clip(file.rate_hz, file.pcm), file.words.value
            if words:
                item_id, said = say_as_agent(talk, clip, words, now)
                talk.tools.file_spoke(item_id, file.tool_call_id)
                found += said
            else:
                found += talk.voice.say("file", clip, "[sound]", now)
        return found

    # --- Keys ---------------------------------------------------------------------------

    def _typed(self, typed: Pressed, talk: Conversation | None, now: float) -> list[Effect]:
        if talk is None:
            return []
        found: list[Effect] = []
        last_words = self._departure.closing is not None
        if (typed.taken or typed.action) and not last_words:  # who types has heard enough
            found += talk.hush(now)
            self._to_play.clear()
        if typed.delivery is not None:
            found.append(typed.delivery)
            if typed.delivery.digits.value:
                shown = SECRET if typed.secret else typed.delivery.digits.value
                talk.note_keys(f"Keypad: {shown}", typed.delivered_since, now)
        for keys in typed.inputs:
            text = Private(f"Keypad: {keys.value}")
            found += talk.add_text(Why.KEYS, "user", text, now, typed.since)
        if typed.action is not None and not last_words:
            found += self._act(typed.action, typed.digit, talk, now)
        return found

    def _act(self, action: KeyAction, digit: str, talk: Conversation, now: float) -> list[Effect]:
        """What the agent's map says; the model is told, and asked for nothing but words."""
        found: list[Effect] = [Note("key", action.kind)]
        found += talk.add_text(None, "user", Private(f"Keypad: {digit}"), now)
        if action.kind == "say":
            return found + talk.add_text(Why.KEYS, "system", Private(SAY_NOW + action.words), now)
        if action.kind == "transfer" and action.target is not None:
            then = effects.TransferCall(action.target, "key")
            return found + self._departure.wish(then, talk, now, by="caller")
        how = ending("agent-hung-up")
        return found + self._departure.part(how, ("goodbye",), talk, True, now)

    # --- Hold ---------------------------------------------------------------------------

    def _hold(self, by: str, talk: Conversation, now: float) -> list[Effect]:
        self._held_by.add(by)
        if by == OUTSIDE:
            self._held_until = now + MOST_HELD_SECONDS
        if self.held:
            return []
        self._held_since, talk.response.door.on_hold = now, True
        found = [Note("on-hold"), *talk.hush(now)]
        talk.barge_in.put_on_hold()
        return found

    def _unhold(self, talk: Conversation, now: float) -> list[Effect]:
        """For everybody who wanted him held."""
        since = self._held_since
        if since is None:
            return []
        self._held_since, talk.response.door.on_hold = None, False
        self._held_by, self._held_until = set(), None
        noted = Note("off-hold", value=now - since)
        talk.line.restarts()  # what he said meanwhile is no hole of the line's
        if self._departure.leaving:
            return [noted]  # there is nobody to take back, or only by a transfer that fails
        # The reply to a tool, and a farewell, are to come anyway; else the agent speaks first.
        why = None if talk.tools.owing or self._departure.wished else Why.TEXT
        music = talk.voice.stop_filler(now, MUSIC)
        told = talk.add_text(why, "system", Private(BACK.format(seconds=now - since)), now)
        return [noted, *music, *told, *talk.response.settle(now)]

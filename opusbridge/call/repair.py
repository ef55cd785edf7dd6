"""What the model refuses, and what is done about it: asked or told again, or in another form.

What a refusal means is a table (``refusals.py``); what it means for the session is for the
model's side to know (``model_side.py``).
"""

from collections.abc import Callable
from dataclasses import dataclass

from opusbridge import effects, events
from opusbridge.call.machines import earliest, is_due
from opusbridge.call.model_side import Item, ModelSide
from opusbridge.call.pending import Cause, PendingUserInput, Why
from opusbridge.call.refusals import Reaction, is_passing, reaction_to
from opusbridge.call.response import ResponseLifecycle
from opusbridge.call.retries import LONGEST_HINT_SECONDS
from opusbridge.effects import Effect, Note

#: Texts that may still be refused: that is told within round trips. Those that were, and wait to be
#: told again, are kept before newer ones.
MOST_TEXTS = 16


@dataclass(slots=True)
class _Text:
    """Or the answer to an approval, which is no more than a word."""

    added: effects.AddText | effects.AddApproval
    why: Why | None
    times_again: int = 0
    again_at: float | None = None
    """When to tell it again, if that waits."""


class Repair:
    """Every method takes ``now`` in seconds and returns effects in the order they must go."""

    def __init__(
        self,
        response: ResponseLifecycle,
        model: ModelSide,
        add_text: Callable[..., list[Effect]],
        tell: Callable[[Item], list[Effect]],
    ) -> None:
        """``add_text`` and ``tell`` are the conversation's."""
        self._response, self._model = response, model
        self._add_text, self._tell = add_text, tell
        self._texts: dict[str, _Text] = {}

    def text_added(self, added: effects.AddText, why: Why | None) -> None:
        """The model is told this, and asked for a response if there is a ``why``."""
        self._keep(_Text(added, why))

    def sent(self, item: Item) -> None:
        """The session has it, or will say no. The answer to an MCP approval is told again as a
        text is: nothing goes on without a yes, and a reply is asked for that knows of the no."""
        self._response.item_sent(item.item_id)
        if isinstance(item, effects.AddApproval) and item.item_id not in self._texts:
            self._keep(_Text(item, None if item.approve else Why.TOOLS))

    def all_told(self, told: list[Effect], pending: PendingUserInput | None) -> None:
        """To a new session. What is still to be answered of that may be refused as well."""
        causes = pending.causes if pending else ()
        for item in told:
            if isinstance(item, Item):
                self.sent(item)
            if isinstance(item, effects.AddText):
                whys = (one.why for one in causes if item.item_id in (one.key, *one.items))
                if (why := next(whys, None)) is not None:
                    # Here a turn is a text as any other, which the request under way may not know.
                    self.text_added(item, Why.TEXT if why is Why.TURN else why)

    def session_lost(self, now: float) -> list[Effect]:
        """Another is told of them with all the rest, in its place: not to be told at the end.

        What was to be told again is answered there; the others' requests know of themselves.
        """
        waiting = self._waiting
        self._texts.clear()
        return [effect for text in waiting for effect in self._ask(text, now)]

    def caller_heard(self) -> None:
        """He is there: what was to be said into his silence is not told him again."""
        nudges = [item_id for item_id, text in self._texts.items() if text.why is Why.NUDGE]
        for item_id in nudges:
            del self._texts[item_id]

    def give_up(self) -> None:
        """There is nothing left to say: nobody is told anything again."""
        self._texts.clear()

    def refused(self, event: events.ModelErred, now: float) -> list[Effect]:
        if event.response_active:
            return self._response.refused(event.request_id, event.active_response_id, now)
        found = self._model.refused(event)
        # Not every server says which of our items it speaks of.
        item_id = event.item_id or self._model.history.output_item(event.tool_call_id)
        match reaction_to(event.code, event.type, event.about):
            case Reaction.ASK_AGAIN:
                hint = event.retry_after_seconds
                found += self._response.request_failed(event.request_id, False, hint, now)
            case Reaction.REPAIR if item_id is not None:
                self._response.item_acknowledged(item_id)  # it will never come
                # The request behind the item is on its way already: these ask for another.
                found += self._put_otherwise(item_id, now)
                if is_passing(event.code, event.type):
                    found += self._put_again(event, item_id, now)
            case _:
                pass
        return found

    def _put_otherwise(self, item_id: str, now: float) -> list[Effect]:
        """Say in words what a tool gave, where it could not be told as that.

        What belongs to the conversation so far was answered in it, unless that still waits. Of
        what no reply was asked for, none is now: it is unwanted, or other tools are waited for.
        """
        history = self._model.history
        if (found := history.in_words(item_id)) is None:
            return []
        tool_call_id, words = found
        note = Note("repaired", "tool-output", (item_id,))
        past = history.is_restored(item_id) and not self._response.door.owes(item_id)
        why = Why.TOOLS if history.has_reply(item_id) and not past else None
        return [note, *self._add_text(why, "system", words, now, of=tool_call_id)]

    def _put_again(self, event: events.ModelErred, item_id: str, now: float) -> list[Effect]:
        """As often as a response is asked for; a limit is waited for, a mishap is not."""
        text, backoff = self._texts.get(item_id), self._response.policy.backoff
        if text is None or text.times_again >= len(backoff):
            return []
        hint, mishap = event.retry_after_seconds, "server_error" in (event.code, event.type)
        if hint is None and mishap:
            return self._tell_again(text, now)
        wait = backoff[text.times_again] if hint is None else min(hint, LONGEST_HINT_SECONDS)
        text.again_at = now + wait
        return []

    def _tell_again(self, text: _Text, now: float) -> list[Effect]:
        """As the same item: there is none of that name."""
        item_id = text.added.item_id
        text.times_again, text.again_at = text.times_again + 1, None
        what = "approval" if isinstance(text.added, effects.AddApproval) else "text"
        told = [Note("repaired", what, (item_id,)), *self._tell(text.added)]
        return told + self._ask(text, now)

    def _ask(self, text: _Text, now: float) -> list[Effect]:
        if text.why is None:
            return []
        item_id = text.added.item_id
        again = Cause(text.why, f"{item_id}-again-{text.times_again}", frozenset({item_id}))
        return self._response.user_input(again, now)

    def _keep(self, text: _Text) -> None:
        self._texts[text.added.item_id] = text
        if len(self._texts) > MOST_TEXTS:
            del self._texts[next(one for one, text in self._texts.items() if text.again_at is None)]

    # --- Time ---------------------------------------------------------------------------

    @property
    def owing(self) -> bool:
        """Whether the caller waits for an answer to what is still to be told again."""
        return any(text.why is not None for text in self._waiting)

    @property
    def deadline(self) -> float | None:
        return earliest(*(text.again_at for text in self._waiting))

    def timed_out(self, now: float) -> list[Effect]:
        due = [text for text in self._waiting if is_due(text.again_at, now)]
        return [effect for text in due for effect in self._tell_again(text, now)]

    @property
    def _waiting(self) -> list[_Text]:
        return [text for text in self._texts.values() if text.again_at is not None]

"""What the model refuses, and what is done about it: asked again, or told in another form.

What a refusal means is a table (``refusals.py``); what it means for the session is for the
model's side to know (``model_side.py``).
"""

from collections.abc import Callable

from opusbridge import events
from opusbridge.call.model_side import ModelSide
from opusbridge.call.pending import Why
from opusbridge.call.refusals import Reaction, reaction_to
from opusbridge.call.response import ResponseLifecycle
from opusbridge.effects import Effect, Note


class Repair:
    """Every method takes ``now`` in seconds and returns effects in the order they must go."""

    def __init__(
        self,
        response: ResponseLifecycle,
        model: ModelSide,
        add_text: Callable[..., list[Effect]],
    ) -> None:
        """``add_text`` is the conversation's."""
        self._response, self._model, self._add_text = response, model, add_text

    def refused(self, event: events.ModelErred, now: float) -> list[Effect]:
        if event.response_active:
            return self._response.refused(event.request_id, event.active_response_id, now)
        found = self._model.refused(event)
        match reaction_to(event.code, event.type, event.about):
            case Reaction.ASK_AGAIN:
                hint = event.retry_after_seconds
                found += self._response.request_failed(event.request_id, False, hint, now)
            case Reaction.REPAIR if event.item_id is not None:
                found += self._put_otherwise(event.item_id, now)
            case _:
                pass
        return found

    def _put_otherwise(self, item_id: str, now: float) -> list[Effect]:
        """Say in another form what could not be put into the conversation."""
        self._response.item_acknowledged(item_id)  # it will never come
        if (found := self._model.history.in_words(item_id)) is None:
            return []
        tool_call_id, words = found
        note = Note("repaired", "tool-output", (item_id,))
        # The request behind the output is on its way already: this asks for another.
        return [note, *self._add_text(Why.TOOLS, "system", words, now, of=tool_call_id)]

"""What a new model session must be told, so that the conversation goes on.

A session cannot be resumed: a new socket is an empty conversation. It is filled with what
was said, as far as the caller heard it, as texts; and with the tools' calls before their
outputs, because an output alone is refused. What the bridge said itself (stored speech) no
session ever knew of.
"""

from collections.abc import Collection, Iterable
from dataclasses import dataclass, replace
from typing import Any

from opusbridge import effects
from opusbridge.call.transcript import Transcript
from opusbridge.call.voice import CLIP
from opusbridge.effects import Effect
from opusbridge.privacy import Private

#: The latest items of a conversation: what a session of 32k tokens surely holds.
MOST_ITEMS = 100

RECONNECTED = (
    "The connection was interrupted and restored. What follows is the conversation so far; "
    "the caller noticed at most a pause. Do not greet again."
)
LOST_WORDS = "The caller's last words were lost. Ask the caller to repeat them."
UNHEARD = (
    "The connection was interrupted for some seconds, in which the caller could not be heard. "
    "Ask whether the caller said anything."
)
CONTINUE = "Your last answer was cut off by the interruption. Continue it where it stopped."


@dataclass(slots=True)
class ToolUse:
    """A call of a tool, and its output once there is one."""

    response_id: str
    item_id: str
    name: str
    arguments: Private[str]
    output: Private[str] | None = None
    output_item_id: str = ""
    replied: bool = False
    """A reply was asked for that speaks of the output."""


class History:
    """Keeps beside the transcript what only the model was told."""

    def __init__(self, transcript: Transcript) -> None:
        self._transcript = transcript
        self._tools: dict[str, ToolUse] = {}
        self._notes: list[tuple[str | None, effects.AddText]] = []
        self._texts: set[str] = set()  # the agent's items that this session has as texts
        self._earlier: set[str] = set()  # what may be cut of the sessions before it
        self._restored_outputs: set[str] = set()  # of tools, which an earlier one was told of

    # --- What the model is told ---------------------------------------------------------

    def tool_called(self, tool_call_id: str, use: ToolUse) -> None:
        self._tools[tool_call_id] = use
        if len(self._tools) > MOST_ITEMS:
            answered = (key for key, use in self._tools.items() if use.output is not None)
            self._tools.pop(next(answered, ""), None)

    def tool_answered(self, tool_call_id: str, item_id: str, output: Private[str]) -> None:
        use = self._tools[tool_call_id]
        use.output, use.output_item_id = output, item_id

    def reply_asked(self, items: Collection[str]) -> None:
        """To the outputs that were sent as these."""
        for use in self._tools.values():
            use.replied |= use.output_item_id in items

    def note_added(self, note: effects.AddText, of: str | None = None) -> None:
        """A text of ours that is no part of what was said; it keeps its place in it.

        ``of``: the item of the transcript whose words it repeats.
        """
        self._transcript.told_as(note.item_id, of)
        latest = self._transcript.items(1)
        self._notes.append((latest[0]["item_id"] if latest else None, note))
        del self._notes[:-MOST_ITEMS]

    def said_for_it(self, item_id: str) -> None:
        """Stored speech in the agent's name, which this session has as a text."""
        self._texts.add(item_id)

    # --- What it was told ---------------------------------------------------------------

    def called_a_tool(self, response_id: str | None) -> bool:
        """Whether this response did."""
        return any(use.response_id == response_id for use in self._tools.values())

    @property
    def results(self) -> tuple[tuple[str, str], ...]:
        """The tools that answered, by name, with what they said; none that is withheld."""
        return tuple(
            (use.name, use.output.value)
            for tool_call_id, use in self._tools.items()
            if use.output is not None and not self._transcript.withholds(tool_call_id)
        )

    def in_words(self, item_id: str) -> tuple[str, Private[str]] | None:
        """The output that was sent as this item: the tool call's id, and a text that tells it."""
        for tool_call_id, use in self._tools.items():
            if use.output is not None and use.output_item_id == item_id:
                return tool_call_id, told_result(use.name, use.output.value)
        return None

    def output_item(self, tool_call_id: str | None) -> str | None:
        """The item that the output of this call was sent as; ``None``: there is none."""
        use = self._tools.get(tool_call_id or "")
        return use.output_item_id or None if use else None

    def has_reply(self, item_id: str) -> bool:
        """Whether one was asked for to the output that was sent as this."""
        return any(use.replied for use in self._tools.values() if use.output_item_id == item_id)

    def is_restored(self, item_id: str) -> bool:
        """Whether this session has this tool's output with the conversation before it."""
        return item_id in self._restored_outputs

    def is_text(self, item_id: str) -> bool:
        """Whether we put this item of the agent's there: no speech will come of it."""
        return item_id in self._texts

    def cut(self, told: Iterable[Effect]) -> list[Effect]:
        """What to say instead where a cut item is a text: it is put anew, as far as heard; and
        nothing of what only an earlier session knew."""
        found: list[Effect] = []
        for effect in told:
            if not isinstance(effect, effects.TruncateItem | effects.DeleteItem):
                found.append(effect)
                continue
            item_id = effect.item_id
            if not self.is_text(item_id):
                found += [] if item_id in self._earlier else [effect]
                continue
            if f"{item_id}-heard" in self._texts:
                continue  # another part of the same item
            found.append(effects.DeleteItem(item_id))
            heard = self._said(item_id, ())
            self._texts.add(f"{item_id}-heard")
            self._transcript.told_as(f"{item_id}-heard", item_id)
            if heard:
                found.append(effects.AddText(f"{item_id}-heard", "assistant", Private(heard)))
        return found

    # --- The first session --------------------------------------------------------------

    def as_heard(self, items: Iterable[Effect], being_heard: Collection[str]) -> list[Effect]:
        """What was to be told while nobody was there yet: our stored speech as far as it was, or
        still will be, heard."""
        found: list[Effect] = []
        for one in items:
            if isinstance(one, effects.AddText) and self.is_text(one.item_id):
                said = self._said(one.item_id, being_heard)
                found += [replace(one, text=Private(said))] if said else []
            else:
                found.append(one)
        return found

    # --- A new session ------------------------------------------------------------------

    def restore(
        self, unanswered: Collection[str], being_heard: Collection[str], cut_off: bool
    ) -> list[Effect]:
        """The items of a new conversation, in order; nothing if nothing was said yet.

        ``unanswered``: the caller's items that still wait. ``being_heard``: the agent's items
        on their way to the ear, which will be heard to their end. ``cut_off``: an answer was
        under way and is to be continued.
        """
        items = self._transcript.items(MOST_ITEMS)
        known = {item["item_id"] for item in items}
        self._earlier = {*being_heard, *known}
        found: list[Effect] = [note for after, note in self._notes if after not in known]
        lost_words = False
        self._texts.clear()
        self._restored_outputs.clear()
        for item in items:
            found += self._restored(item, being_heard)
            found += [note for after, note in self._notes if after == item["item_id"]]
            waits = item["speaker"] == "caller" and item["item_id"] in unanswered
            lost_words |= waits and not self._transcript.has_all_words(item["item_id"])
        if found:
            found.insert(0, effects.AddText("reconnected", "system", Private(RECONNECTED)))
        if lost_words:
            found.append(effects.AddText("lost-words", "system", Private(LOST_WORDS)))
        if cut_off:
            found.append(effects.AddText("cut-off", "system", Private(CONTINUE)))
        return found

    def _restored(self, item: dict[str, Any], being_heard: Collection[str]) -> list[Effect]:
        item_id, text = item["item_id"], item["text"]
        if item["speaker"] == "tool":
            return self._restored_tool(item_id)
        if item["speaker"] == "caller":
            return [effects.AddText(item_id, "user", Private(text))] if text else []
        said = _said(item, being_heard)
        if not said or item_id.startswith(CLIP):
            return []
        self._texts.add(item_id)
        return [effects.AddText(item_id, "assistant", Private(said))]

    def _restored_tool(self, tool_call_id: str) -> list[Effect]:
        use = self._tools.get(tool_call_id)
        if use is None:
            return []
        call = effects.AddToolCall(use.item_id, tool_call_id, use.name, use.arguments)
        if use.output is None:
            return [call]
        self._restored_outputs.add(use.output_item_id)
        return [call, effects.AddToolOutput(use.output_item_id, tool_call_id, use.output)]

    def _said(self, item_id: str, being_heard: Collection[str]) -> str:
        item = self._transcript.shown(item_id)
        return _said(item, being_heard) if item else ""


def told_result(name: str, output: str) -> Private[str]:
    """What a tool gave, where it cannot be told as that."""
    return Private(f"The tool {name} gave this result: {output}")


def _said(item: dict[str, Any], being_heard: Collection[str]) -> str:
    words: str = item["text" if item["item_id"] in being_heard else "heard"]
    return words

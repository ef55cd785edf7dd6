"""The default conversation: its items in order, and what may be done to them."""

from __future__ import annotations

from base64 import b64encode
from dataclasses import dataclass, field
from typing import Any

from opusbridge.sim.model.shapes import Refused
from opusbridge.sound import PCM_24K, AudioFormat


@dataclass(slots=True, eq=False)
class Entry:
    """An item and its sound: what the model heard, or what it has sent so far."""

    item: dict[str, Any]
    audio: bytearray = field(default_factory=bytearray)
    format: AudioFormat = PCM_24K
    truncated: bool = False

    @property
    def id(self) -> str:
        return str(self.item["id"])

    @property
    def audio_ms(self) -> int:
        return len(self.audio) // self.format.bytes_per_ms

    @property
    def is_model_speech(self) -> bool:
        return self.item.get("role") == "assistant" and bool(self.audio)


class Conversation:
    def __init__(self, conversation_id: str) -> None:
        self.id = conversation_id
        self.entries: list[Entry] = []

    @property
    def tail_id(self) -> str | None:
        return self.entries[-1].id if self.entries else None

    @property
    def assistant_spoke(self) -> bool:
        """Whether the voice is locked."""
        return any(entry.is_model_speech for entry in self.entries)

    def append(self, entry: Entry) -> str | None:
        """Put it last; its ``previous_item_id`` comes back.

        An id that is taken already is taken again, and the item then follows itself: a habit of
        the real service.
        """
        previous = entry.id if self._find(entry.id) else self.tail_id
        self.entries.append(entry)
        return previous

    def before(self, entry: Entry) -> str | None:
        """The id of the item that it follows, as things stand now."""
        if entry not in self.entries:
            return None  # deleted while it was being said
        place = self.entries.index(entry)
        return self.entries[place - 1].id if place else None

    def insert(self, entry: Entry, after: str | None) -> str | None:
        """Where a client wants it: at the end (``None`` or empty), at the ``root``, or after an id.

        :raises Refused: there is no such id, or no such tool call to be the output of.
        """
        self._check_tool_call(entry.item)
        if not after:
            return self.append(entry)
        if after == "root":
            self.entries.insert(0, entry)
            return None
        place = self._find(after)
        if place is None:
            raise Refused(
                "item_create_invalid_previous_item_id",
                f"Error adding item: the previous item with id '{after}' does not exist.",
            )
        self.entries.insert(self.entries.index(place) + 1, entry)
        return after

    def retrieve(self, item_id: str) -> dict[str, Any]:
        """The item with its sound."""
        entry = self._find(item_id)
        if entry is None:
            raise Refused(
                "item_retrieve_invalid_item_id",
                f"Error retrieving item: the item with id '{item_id}' does not exist.",
            )
        item = dict(entry.item)
        if entry.audio and item["content"]:
            first, *others = item["content"]
            item["content"] = [{**first, "audio": b64encode(entry.audio).decode()}, *others]
        return item

    def delete(self, item_id: str) -> None:
        entry = self._find(item_id)
        if entry is None:
            raise Refused(
                "item_delete_invalid_item_id",
                f"Error deleting item: the item with id '{item_id}' does not exist.",
            )
        self.entries.remove(entry)

    def truncate(self, item_id: str, content_index: int, audio_end_ms: int) -> None:
        """Forget what was not heard, and with it the whole transcript of the item.

        :raises Refused: there is no such item, it has no sound of the model's (yet), or it is
            already shorter.
        """
        entry = self._find(item_id)
        if entry is None:
            raise Refused(
                "item_truncate_invalid_item_id", f"Item with item_id not found: {item_id}"
            )
        if not entry.is_model_speech or content_index != 0:
            raise Refused(
                "unsupported_content_type", "Only model output audio messages can be truncated"
            )
        if audio_end_ms > entry.audio_ms:
            raise Refused(
                "invalid_value",
                f"Audio content of {entry.audio_ms}ms is already shorter than {audio_end_ms}ms",
            )
        entry.truncated = True
        del entry.audio[audio_end_ms * entry.format.bytes_per_ms :]
        entry.item["content"] = [{"type": "output_audio", "transcript": ""}]

    def extent(self) -> tuple[float, int]:
        """Milliseconds of the caller's sound, and characters of everything written."""
        heard_ms = sum(e.audio_ms for e in self.entries if e.item.get("role") == "user")
        length = 0
        for entry in self.entries:
            item = entry.item
            length += len(item.get("arguments") or "") + len(item.get("output") or "")
            for part in item.get("content", ()):
                length += len(part.get("text") or "") + len(part.get("transcript") or "")
        return heard_ms, length

    def sent_ms(self, item_id: str) -> int | None:
        """How much of the model's sound an item has; ``None`` if it has none or does not exist."""
        entry = self._find(item_id)
        return entry.audio_ms if entry is not None and entry.is_model_speech else None

    def _find(self, item_id: str) -> Entry | None:
        found = (entry for entry in reversed(self.entries) if entry.id == item_id)
        return next(found, None)

    def _check_tool_call(self, item: dict[str, Any]) -> None:
        if item["type"] != "function_call_output":
            return
        call_id = item["call_id"]
        known = (e.item.get("call_id") for e in self.entries if e.item["type"] == "function_call")
        if call_id not in known:
            raise Refused(
                "invalid_tool_call_id", f"Tool call ID '{call_id}' not found in conversation."
            )


def shown(item: dict[str, Any]) -> dict[str, Any]:
    """An item as item events show it: without its sound."""
    if item["type"] != "message":
        return dict(item)
    content = []
    for part in item["content"]:
        part = {name: value for name, value in part.items() if name != "audio"}
        if part["type"] == "input_audio":
            part.setdefault("transcript", None)
        content.append(part)
    return {**item, "content": content}

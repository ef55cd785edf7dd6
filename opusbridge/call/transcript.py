"""What was said, in the order of the conversation, cut where it was cut."""

from dataclasses import dataclass, field
from typing import Any

#: A call of two hours has a few hundred items; this is for a peer that runs wild.
MOST_ITEMS = 10_000


@dataclass(slots=True)
class TranscriptItem:
    """Words are kept as they are: this is the one place for them. Times in ms of the call."""

    item_id: str
    speaker: str
    """``caller``, ``agent`` or ``tool``."""
    parts: dict[int, list[str]] = field(default_factory=dict)
    """The pieces of each content part; the model numbers an item's parts from 0."""
    started_ms: int | None = None
    ended_ms: int | None = None
    status: str = "in_progress"
    """Then ``completed``, ``interrupted``, ``failed`` or ``incomplete``."""
    heard_ms: float = 0.0
    """Of its sound, all parts together; it is final for ``received_ms`` of it."""
    received_ms: float = 0.0

    def say(self, text: str, final: bool = True, part: int = 0) -> None:
        """A further piece of a part's words or, if ``final``, all of them."""
        if final:
            self.parts[part] = [text]
        else:
            self.parts.setdefault(part, []).append(text)

    @property
    def text(self) -> str:
        """All the words, part after part."""
        parts = ("".join(self.parts[part]).strip() for part in sorted(self.parts))
        return " ".join(filter(None, parts))


class Transcript:
    def __init__(self) -> None:
        self._items: dict[str, TranscriptItem] = {}
        self._order: list[str] = []

    def __len__(self) -> int:
        return len(self._order)

    def __contains__(self, item_id: str) -> bool:
        return item_id in self._items

    def item(self, item_id: str, speaker: str, after: str | None = None) -> TranscriptItem:
        """The item of that id, made now if it is new, behind ``after`` where that is known."""
        found = self._items.get(item_id)
        if found is None:
            found = TranscriptItem(item_id, speaker)
            if len(self._order) < MOST_ITEMS:
                self._items[item_id] = found
                self._order.append(item_id)
        # The model may name an item as its own predecessor (openai-realtime 6.2).
        if after in self._items and item_id in self._items and after != item_id:
            self._order.remove(item_id)
            self._order.insert(self._order.index(after) + 1, item_id)
        return found

    def words(self, item_id: str, speaker: str, text: str, final: bool, part: int = 0) -> None:
        """A further piece of a part of an item's words or, if ``final``, all of that part's."""
        self.item(item_id, speaker).say(text, final, part)

    def has_words(self, item_id: str) -> bool:
        return item_id in self._items and bool(self._items[item_id].parts)

    def heard(self, item_id: str, heard_ms: float, received_ms: float) -> None:
        """How much of a part of an agent's item reached the ear; once for each part."""
        item = self.item(item_id, "agent")
        item.heard_ms += heard_ms
        item.received_ms += received_ms
        if heard_ms < received_ms:
            item.status = "interrupted"

    def snapshot(self, call_id: str) -> dict[str, Any]:
        """As transcript.json has it."""
        return {"call_id": call_id, "items": [self._shown(one) for one in self._order]}

    def _shown(self, item_id: str) -> dict[str, Any]:
        item = self._items[item_id]
        text = item.text
        heard, unheard = text, ""
        if item.speaker == "agent":
            share = item.heard_ms / item.received_ms if item.received_ms > 0 else 0.0
            heard, unheard = split_by_share(text, share)
        return {
            "item_id": item_id,
            "speaker": item.speaker,
            "text": text,
            "heard": heard,
            "unheard": unheard,
            "started_ms": item.started_ms,
            "ended_ms": item.ended_ms,
            "status": "empty" if item.status == "completed" and not text else item.status,
        }


def split_by_share(text: str, share: float) -> tuple[str, str]:
    """The words that fit into the first ``share`` of the sound, and the others.

    Speech is even enough that letters are a fair measure of time. A word counts as heard
    when half of it was.
    """
    heard: list[str] = []
    words = text.split()
    budget, used = share * sum(len(word) + 1 for word in words), 0.0
    for word in words:
        if used + (len(word) + 1) / 2 > budget:
            break
        used += len(word) + 1
        heard.append(word)
    return " ".join(heard), " ".join(words[len(heard) :])

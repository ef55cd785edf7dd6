"""What was said, in the order of the conversation, cut where it was cut.

The order is the conversation's, which the model tells item by item; what it does not know
(stored speech) or knows by another name (a tool's use) stays behind what it followed.

Words come late, in pieces and for several parts of one item; each part is cut by its own
share of the sound. While the recording is paused nothing that is said is written down: an
item that was open at any moment of a pause is withheld, its words whole.
"""

from collections.abc import Collection
from dataclasses import dataclass, field
from typing import Any

from opusbridge.call.words import split_by_share

#: A call of two hours has a few hundred items; this is for a peer that runs wild.
MOST_ITEMS = 10_000
#: The same with the items that are not shown: tools' calls and outputs, and what we told it.
MOST_PLACES = 3 * MOST_ITEMS
#: As many parts as any answer has had, and many more.
MOST_PARTS = 100
#: Pauses of the recording that are written down one by one.
MOST_PAUSES = 1_000

#: What stands for the words of an item that was said while the recording was paused.
WITHHELD = "[withheld]"

#: What became of an answer that was open when its response ended so.
_ENDED = {"failed": "failed", "cancelled": "interrupted", "completed": "completed"}


@dataclass(slots=True)
class _Part:
    """One content part of an item."""

    words: list[str] = field(default_factory=list)
    heard_ms: float = 0.0
    received_ms: float = 0.0
    playing: tuple[float, float] = (0.0, 0.0)
    """The same of what is on its way to the ear."""

    @property
    def share(self) -> float:
        """How much of its sound was heard by now."""
        received_ms = self.received_ms + self.playing[1]
        return (self.heard_ms + self.playing[0]) / received_ms if received_ms > 0 else 0.0

    @property
    def text(self) -> str:
        return "".join(self.words).strip()


@dataclass(slots=True)
class TranscriptItem:
    """Words are kept as they are: this is the one place for them. Times in ms of the call."""

    item_id: str
    speaker: str
    """``caller``, ``agent`` or ``tool``."""
    response_id: str = ""
    started_ms: int | None = None
    ended_ms: int | None = None
    status: str = "in_progress"
    """Then ``completed``, ``interrupted``, ``failed`` or ``incomplete``."""
    aside: bool = False
    """The conversation has no item of this name."""
    withheld: bool = False
    parts: dict[int, _Part] = field(default_factory=dict)

    @property
    def heard_ms(self) -> float:
        """Of its sound, all parts together; it is final for :attr:`received_ms` of it."""
        return sum(part.heard_ms for part in self.parts.values())

    @property
    def received_ms(self) -> float:
        return sum(part.received_ms for part in self.parts.values())

    def part(self, index: int) -> _Part:
        if index not in self.parts and len(self.parts) >= MOST_PARTS:
            return _Part()
        return self.parts.setdefault(index, _Part())

    def split(self) -> tuple[str, str, str]:
        """All its words, those heard and those not."""
        ordered = [part for _, part in sorted(self.parts.items())]
        text = " ".join(filter(None, (part.text for part in ordered)))
        if self.speaker != "agent":
            return text, text, ""
        cuts = [split_by_share(part.text, part.share) for part in ordered]
        heard = " ".join(filter(None, (heard for heard, _ in cuts)))
        return text, heard, " ".join(filter(None, (unheard for _, unheard in cuts)))


class Transcript:
    def __init__(self) -> None:
        self._items: dict[str, TranscriptItem] = {}
        # The conversation as far as we know it: items that are not shown hold their place too.
        self._order: list[str] = []
        self._places: set[str] = set()
        self._settled: set[str] = set()
        self._of_response: dict[str, list[str]] = {}
        self._changed: dict[str, None] = {}
        self._order_changed = True
        self._pauses: list[tuple[int, int | None]] = []
        self._paused_by: set[str] = set()
        self._paused_in_turn = False
        self._newly_withheld: list[str] = []

    def __len__(self) -> int:
        return len(self._items)

    def __contains__(self, item_id: str) -> bool:
        return item_id in self._items

    # --- What is said -------------------------------------------------------------------

    def item(self, item_id: str, speaker: str, after: str | None = None) -> TranscriptItem:
        """The item of that id, made now if it is new, behind ``after`` where that is known."""
        found = self._items.get(item_id)
        if found is None:
            found = TranscriptItem(item_id, speaker)
            if len(self._items) >= MOST_ITEMS:
                return found
            self._items[item_id] = found
            self._hold_place(item_id)
            if self.paused:
                self._withhold(found)
        self._changed[item_id] = None
        self.place(item_id, after)
        return found

    def aside(self, item_id: str, speaker: str, after: str | None = None) -> TranscriptItem:
        """What the conversation does not know by this name: it stays where it is put."""
        found = self.item(item_id, speaker, after)
        found.aside = True
        return found

    def place(self, item_id: str, after: str | None) -> None:
        """An item of the conversation, shown or not, follows ``after``; told once, it stays."""
        self._hold_place(item_id)
        # The model may name an item as its own predecessor (openai-realtime 6.2).
        if after not in self._places or after == item_id or item_id not in self._places:
            return
        if item_id in self._settled:
            return
        if item_id in self._items:
            self._settled.add(item_id)
        order = self._order
        behind, here = order.index(after) + 1, order.index(item_id)
        if here >= behind and all(map(self._is_aside, order[behind:here])):
            return
        order.remove(item_id)
        behind = order.index(after) + 1
        while behind < len(order) and self._is_aside(order[behind]):
            behind += 1
        order.insert(behind, item_id)
        self._order_changed = True

    def settle(self) -> None:
        """What another session is told of the conversation so far moves nothing in it."""
        self._settled.update(self._items)

    def began(self, item_id: str, at_ms: int) -> None:
        """The caller's item began then, which may be known late."""
        item = self.item(item_id, "caller")
        item.started_ms = at_ms
        if self._pauses and at_ms < (self._pauses[-1][1] or at_ms + 1):
            self._withhold(item)

    def committed(self, item_id: str, after: str | None) -> bool:
        """The caller's turn is complete; whether that is news."""
        item = self.item(item_id, "caller", after)
        if item.status != "in_progress":
            return False
        item.status = "completed"
        if item.started_ms is None and self._paused_in_turn:
            self._withhold(item)  # when it began nobody can say
        self._paused_in_turn = self.paused
        return True

    def words(self, item_id: str, speaker: str, text: str, final: bool, part: int = 0) -> None:
        """A further piece of the words of an item's part or, if ``final``, all of them."""
        words = self.item(item_id, speaker).part(part).words
        if final:
            words.clear()
        words.append(text)

    def typed(self, item_id: str, text: str, began_ms: int, at_ms: int) -> None:
        """The caller pressed keys; or somebody wrote in his name."""
        self.began(item_id, began_ms)
        self.words(item_id, "caller", text, final=True)
        item = self.item(item_id, "caller")
        item.status, item.ended_ms = "completed", at_ms

    def used(self, tool_call_id: str, item_id: str, wanted: str, at_ms: int) -> None:
        """The agent uses a tool; the conversation knows that as ``item_id``."""
        self.aside(tool_call_id, "tool", item_id).started_ms = at_ms
        self.words(tool_call_id, "tool", wanted, final=True)

    def answered(self, tool_call_id: str, output: str, failed: bool, at_ms: int) -> None:
        item = self.item(tool_call_id, "tool")
        item.part(0).words.append(f" -> {output}")
        item.status, item.ended_ms = "failed" if failed else "completed", at_ms

    def started_ms(self, item_id: str) -> int | None:
        """When the item began to be said; ``None`` if that is not known."""
        item = self._items.get(item_id)
        return item.started_ms if item else None

    def has_words(self, item_id: str) -> bool:
        return item_id in self._items and bool(self._items[item_id].split()[0])

    def answers(self, item_id: str, response_id: str) -> None:
        """This item of the agent's belongs to that response."""
        if self.item(item_id, "agent").response_id != response_id:
            self.item(item_id, "agent").response_id = response_id
            self._of_response.setdefault(response_id, []).append(item_id)

    def response_over(self, response_id: str, status: str) -> None:
        """Its items that were not completed ended as it did."""
        for item_id in self._of_response.pop(response_id, []):
            item = self.item(item_id, "agent")
            if item.status in ("in_progress", "incomplete"):
                item.status = _ENDED.get(status, "incomplete")

    def heard(self, item_id: str, heard_ms: float, received_ms: float, part: int = 0) -> None:
        """How much of a part of an agent's item reached the ear, and never will be more."""
        item = self.item(item_id, "agent")
        one = item.part(part)
        one.heard_ms += heard_ms
        one.received_ms += received_ms
        one.playing = (0.0, 0.0)
        if heard_ms < received_ms:
            item.status = "interrupted"

    def playing(self, item_id: str, heard_ms: float, received_ms: float, part: int = 0) -> None:
        """The same while it is played: so much by now."""
        self.item(item_id, "agent").part(part).playing = (heard_ms, received_ms)

    # --- Pauses of the recording --------------------------------------------------------

    @property
    def paused(self) -> bool:
        return bool(self._paused_by)

    def pause(self, by: str, at_ms: int, being_heard: Collection[str]) -> bool:
        """Withhold what is said from now on, and what is open; whether that is news."""
        news, self._paused_in_turn = not self._paused_by, True
        self._paused_by.add(by)
        if news:
            self._pauses.append((at_ms, None))
            del self._pauses[:-MOST_PAUSES]
            for item in self._items.values():
                if item.status == "in_progress" or item.item_id in being_heard:
                    self._withhold(item)
        return news

    def resume(self, by: str, at_ms: int) -> bool:
        """Write down what is said again once nobody wants it withheld; whether that is so now."""
        if by not in self._paused_by:
            return False
        self._paused_by.discard(by)
        if self._paused_by:
            return False
        self._pauses[-1] = (self._pauses[-1][0], at_ms)
        return True

    def withholds(self, item_id: str) -> bool:
        """Whether no file may keep what it says; so it is with one that was never taken in."""
        found = self._items.get(item_id)
        return found is None or found.withheld

    def newly_withheld(self) -> tuple[str, ...]:
        """The items withheld since last asked."""
        found, self._newly_withheld = tuple(self._newly_withheld), []
        return found

    def _withhold(self, item: TranscriptItem) -> None:
        if not item.withheld:
            item.withheld = True
            self._changed[item.item_id] = None
            self._newly_withheld.append(item.item_id)

    # --- Written down -------------------------------------------------------------------

    def items(self) -> list[dict[str, Any]]:
        """As they were said, in order: for the model, never for a file."""
        return [_shown(self._items[one]) for one in self._order if one in self._items]

    def snapshot(self, call_id: str) -> dict[str, Any]:
        """As transcript.json has it."""
        items = [_written(self._items[one]) for one in self._order if one in self._items]
        return {"call_id": call_id, "items": items, **self._written_pauses()}

    def changes(self) -> dict[str, Any]:
        """What is new in the snapshot since last asked: ``items`` by id, and ``order`` and
        ``pauses`` where they are others; empty if nothing is."""
        changed, self._changed = self._changed, {}
        found: dict[str, Any] = {}
        if self._order_changed:
            found["order"] = [one for one in self._order if one in self._items]
            self._order_changed = False
        if changed:
            found["items"] = {one: _written(self._items[one]) for one in changed}
        return {**found, **self._written_pauses()} if found else {}

    def _written_pauses(self) -> dict[str, Any]:
        pauses = [{"started_ms": begin, "ended_ms": end} for begin, end in self._pauses]
        return {"pauses": pauses} if pauses else {}

    def _hold_place(self, item_id: str) -> None:
        if item_id not in self._places and len(self._order) < MOST_PLACES:
            self._places.add(item_id)
            self._order.append(item_id)
            self._order_changed = True

    def _is_aside(self, item_id: str) -> bool:
        return item_id in self._items and self._items[item_id].aside


def _written(item: TranscriptItem) -> dict[str, Any]:
    shown = _shown(item)
    if item.withheld:
        shown |= {"text": WITHHELD, "heard": "", "unheard": "", "withheld": True}
    return shown


def _shown(item: TranscriptItem) -> dict[str, Any]:
    text, heard, unheard = item.split()
    return {
        "item_id": item.item_id,
        "speaker": item.speaker,
        "text": text,
        "heard": heard,
        "unheard": unheard,
        "started_ms": item.started_ms,
        "ended_ms": item.ended_ms,
        "status": "empty" if item.status == "completed" and not text else item.status,
    }

"""What was said, in the order of the conversation, cut where it was cut.

The order is the conversation's, which the model tells item by item; what it does not know
(stored speech) or knows by another name (a tool's use) stays behind what it followed.

Words come late, in pieces and for several parts of one item; each part is cut by its own
share of the sound. While the recording is paused nothing that is said is written down: an
item that was open at any moment of a pause is withheld, its words whole.

What lies far back is put away (archive.py), all but what is open. It is looked at where it is;
whatever is said of it later takes it out again: a single item if that is about its words, or
everything from there on if it is about the order. So nobody can tell that it was away.
"""

from collections.abc import Collection, Iterator
from itertools import islice
from typing import Any

from opusbridge.call.archive import Archive, Row, id_of
from opusbridge.call.transcript_item import TranscriptItem

#: A call of two hours has a few hundred items; this is for a peer that runs wild.
MOST_ITEMS = 10_000
#: The same with the items that are not shown: tools' calls and outputs, and what we told it.
MOST_PLACES = 3 * MOST_ITEMS
#: The latest places are looked at all the time: late words are seconds late, not minutes.
LATEST_PLACES = 16
#: So many are put away together: more of them compress hardly better.
PIECE_PLACES = 10
#: Pauses of the recording that are written down one by one.
MOST_PAUSES = 1_000

#: What became of an answer that was open when its response ended so.
_ENDED = {"failed": "failed", "cancelled": "interrupted", "completed": "completed"}


class Transcript:
    def __init__(self, latest: int = LATEST_PLACES, piece: int = PIECE_PLACES) -> None:
        """All but the ``latest`` places are put away, so many at once as a ``piece``."""
        self._latest, self._piece = latest, piece
        # What is at the latest places, and what is open at any.
        self._items: dict[str, TranscriptItem] = {}
        self._count = 0
        # The conversation as far as we know it: items that are not shown hold their place too.
        self._archive = Archive()
        self._order: list[str] = []  # what follows it
        self._places: set[str] = set()
        self._of_response: dict[str, list[str]] = {}
        self._changed: dict[str, None] | None = None  # from when somebody asked
        self._order_changed = True
        self._pauses: list[tuple[int, int | None]] = []
        self.pauses = 0
        """How many have begun."""
        self._paused_by: set[str] = set()
        self._paused_in_turn = False
        self._newly_withheld: list[str] = []

    def __len__(self) -> int:
        return self._count

    def __contains__(self, item_id: str) -> bool:
        return item_id in self._items or self._look_up(item_id) is not None

    # --- What is said -------------------------------------------------------------------

    def item(self, item_id: str, speaker: str, after: str | None = None) -> TranscriptItem:
        """The item of that id, made now if it is new, behind ``after`` where that is known."""
        found = self._items.get(item_id) or self._taken_out(item_id)
        if found is None:
            found = TranscriptItem(item_id, speaker)
            if self._count >= MOST_ITEMS:
                return found
            self._show(found)
        if self._changed is not None:
            self._changed[item_id] = None
        if after is not None:
            self.place(item_id, after)
        return found

    def _show(self, item: TranscriptItem) -> None:
        if (number := self._put_away_in(item.item_id)) is not None:
            self._take_back(number)  # where it is counted how many of its places are shown
        self._hold_place(item.item_id)
        self._items[item.item_id] = item
        self._count += 1
        self._order_changed = True  # its place may be an old one
        if self.paused:
            self._withhold(item)

    def aside(self, item_id: str, speaker: str, after: str | None = None) -> TranscriptItem:
        """What the conversation does not know by this name: it stays where it is put."""
        found = self.item(item_id, speaker, after)
        found.aside = True
        return found

    def place(self, item_id: str, after: str | None) -> None:
        """An item of the conversation, shown or not, follows ``after``; told once, it stays."""
        self._hold_place(item_id)
        # The model may name an item as its own predecessor (openai-realtime 6.2).
        if after is None or after == item_id:
            return
        found = self._look_up(item_id)
        if (found and found.settled) or not (self._has_place(after) and self._has_place(item_id)):
            return
        away = self._put_away_in(item_id), self._put_away_in(after)
        if numbers := [number for number in away if number is not None]:
            self._take_back(min(numbers))
        if item_id in self._items:
            self._items[item_id].settled = True
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
        for piece in self._archive.pieces:
            piece.settled = True
        for item in self._items.values():
            item.settled = True

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
        item.committed()
        if item.started_ms is None and self._paused_in_turn:
            self._withhold(item)  # when it began nobody can say
        self._paused_in_turn = self.paused
        return True

    def words(self, item_id: str, speaker: str, text: str, final: bool, part: int = 0) -> None:
        """A further piece of the words of an item's part or, if ``final``, all of them."""
        self.item(item_id, speaker).said(text, final, part)

    def typed(self, item_id: str, text: str, began_ms: int, at_ms: int) -> None:
        """The caller pressed keys; or somebody wrote in his name."""
        self.began(item_id, began_ms)
        self.words(item_id, "caller", text, final=True)
        item = self.item(item_id, "caller")
        item.status, item.ended_ms = "completed", at_ms

    def used(
        self, tool_call_id: str, item_id: str, wanted: str, at_ms: int, withheld: bool = False
    ) -> None:
        """The agent uses a tool; the conversation knows that as ``item_id``."""
        item = self.aside(tool_call_id, "tool", item_id)
        item.started_ms = at_ms
        if withheld:
            self._withhold(item)
        self.words(tool_call_id, "tool", wanted, final=True)

    def answered(self, tool_call_id: str, output: str, failed: bool, at_ms: int) -> None:
        item = self.item(tool_call_id, "tool")
        item.part(0).words.append(f" -> {output}")
        item.status, item.ended_ms = "failed" if failed else "completed", at_ms

    def has_words(self, item_id: str) -> bool:
        item = self._look_up(item_id)
        return item is not None and bool(item.split()[0])

    def has_all_words(self, item_id: str) -> bool:
        item = self._look_up(item_id)
        return item is not None and item.has_all_words

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
            self.pauses += 1
            self._pauses.append((at_ms, None))
            del self._pauses[:-MOST_PAUSES]
            for item_id in being_heard:
                self._taken_out(item_id)
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
        found = self._look_up(item_id)
        return found is None or found.withheld

    def told_as(self, item_id: str, of: str | None = None) -> None:
        """The model is told by this name, which is none of ours, what may have to be withheld:
        in a pause, and if it is what ``of`` says, which is withheld."""
        if self.paused or (of is not None and self.withholds(of)):
            self._newly_withheld.append(item_id)

    def newly_withheld(self) -> tuple[str, ...]:
        """The items withheld since last asked."""
        found, self._newly_withheld = tuple(self._newly_withheld), []
        return found

    def _withhold(self, item: TranscriptItem) -> None:
        if not item.withheld:
            item.withheld = True
            if self._changed is not None and item.item_id in self._items:
                self._changed[item.item_id] = None
            self._newly_withheld.append(item.item_id)

    # --- Written down -------------------------------------------------------------------

    def items(self, latest: int = MOST_ITEMS) -> list[dict[str, Any]]:
        """The latest, as they were said, in order: for the model, never for a file."""
        return [item.shown() for item in islice(self._backwards(), latest)][::-1]

    def shown(self, item_id: str) -> dict[str, Any] | None:
        """One of them."""
        item = self._look_up(item_id)
        return item.shown() if item else None

    def written(self) -> Iterator[dict[str, Any]]:
        """As transcript.json has them, the last first."""
        return (item.written() for item in self._backwards())

    def snapshot(self, call_id: str) -> dict[str, Any]:
        """As transcript.json has it."""
        items = [*self.written()][::-1]
        return {"call_id": call_id, "items": items, **self._written_pauses()}

    def changes(self) -> dict[str, Any]:
        """What is new in the snapshot since last asked; empty if nothing is.

        ``items`` by id; and where they are others, ``pauses``, and ``order``: the ids from the
        place ``order_from`` on (before it nothing moved). To be asked often: what was not told
        is not put away, once anybody asked.
        """
        found: dict[str, Any] = {}
        if self._changed is None:  # nobody was told anything
            self._take_back(0)
            self._changed = dict.fromkeys(self._items)
        changed, self._changed = self._changed, {}
        if self._order_changed:
            found["order"] = [one for one in self._order if one in self._items]
            found["order_from"] = self._archive.shown
            self._order_changed = False
        if changed:
            found["items"] = {one: self._items[one].written() for one in changed}
        self._put_away()
        return {**found, **self._written_pauses()} if found else {}

    def _written_pauses(self) -> dict[str, Any]:
        pauses = [{"started_ms": begin, "ended_ms": end} for begin, end in self._pauses]
        return {"pauses": pauses} if pauses else {}

    def _backwards(self) -> Iterator[TranscriptItem]:
        yield from (self._items[one] for one in reversed(self._order) if one in self._items)
        for number in reversed(range(len(self._archive.pieces))):
            piece = self._archive.pieces[number]
            for row in reversed(self._archive.rows(number)):
                item = self._of_row(row, piece.settled)
                if item is not None:
                    yield item

    # --- Places -------------------------------------------------------------------------

    def _hold_place(self, item_id: str) -> None:
        if self._has_place(item_id) or len(self._archive) + len(self._order) >= MOST_PLACES:
            return
        if self._changed is None:
            self._put_away()
        self._places.add(item_id)
        self._order.append(item_id)
        self._order_changed = True

    def _has_place(self, item_id: str) -> bool:
        return item_id in self._places or self._put_away_in(item_id) is not None

    def _is_aside(self, item_id: str) -> bool:
        return item_id in self._items and self._items[item_id].aside

    # --- Put away -----------------------------------------------------------------------

    def _put_away(self) -> None:
        """The first of the latest places. Nobody may hold an item of them now."""
        if len(self._order) < self._latest + self._piece:
            return
        places, self._order = self._order[: self._piece], self._order[self._piece :]
        self._places.difference_update(places)
        shown = sum(one in self._items for one in places)
        self._archive.put_away([self._row(one) for one in places], shown)
        # And what was still open when its place was, or was looked for again since.
        for item in [one for one in self._items.values() if one.item_id not in self._places]:
            number = None if item.status == "in_progress" else self._archive.find(item.item_id)
            if number is not None:
                self._archive.replace(number, self._row(item.item_id))

    def _row(self, item_id: str) -> Row:
        item = self._items.get(item_id)
        if item is None or item.status == "in_progress":  # what is open goes on
            return item_id
        del self._items[item_id]
        return item.row()

    def _put_away_in(self, item_id: str) -> int | None:
        return None if item_id in self._places else self._archive.find(item_id)

    def _of_row(self, row: Row, settled: bool) -> TranscriptItem | None:
        """``None`` for a place where nothing is shown."""
        open_item = self._items.get(id_of(row))  # or taken out since
        if open_item is not None or isinstance(row, str):
            return open_item
        item = TranscriptItem.of_row(row)
        item.settled = item.settled or settled
        return item

    def _look_up(self, item_id: str) -> TranscriptItem | None:
        """To be looked at only."""
        if item_id in self._items or item_id in self._places:
            return self._items.get(item_id)
        found = self._archive.row(item_id)
        return self._of_row(found[0], found[1].settled) if found else None

    def _taken_out(self, item_id: str) -> TranscriptItem | None:
        """The item, which may be changed again; its place stays where it is."""
        item = self._look_up(item_id)
        if item is not None:
            self._items[item_id] = item
        return item

    def _take_back(self, number: int) -> None:
        """All places from this piece on."""
        places: list[str] = []
        for row, piece in self._archive.take_back(number):
            places.append(id_of(row))
            item = self._of_row(row, piece.settled)
            if item is not None:
                self._items[item.item_id] = item
        self._order[:0] = places
        self._places.update(places)

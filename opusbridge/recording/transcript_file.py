"""``transcript.json`` while the call goes on, so that a crash costs no more than its last seconds.

What lies far back in the conversation is kept as the text it is in the file, compressed, and the
longer the file, the less often it is written: in a call of hours neither memory nor writing grows
with all that was said.
"""

import time
import zlib
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import orjson

from opusbridge.recording import files

#: A file up to this size, as most are, is written whenever there is news, which is after 0.75 s.
SMALL_BYTES = 75_000
#: Beyond it so much is written in the long run: a file of 1 MB every ten seconds.
BYTES_PER_SECOND = 100_000

#: So many items are put away together.
PIECE_ITEMS = 20

#: So an item has it, and nothing that is said.
_WITHHELD = b'"withheld": true'

_BETWEEN = b",\n    "


class TranscriptFile:
    def __init__(
        self, path: Path, call_id: str, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._path, self._call_id, self._clock = path, call_id, clock
        self._pieces: list[bytes] = []
        self._put_away = 0  # how many items are in them
        self._order: list[str] = []  # what follows them
        self._texts: dict[str, bytes] = {}
        self._pauses: dict[str, Any] = {}
        self._unwritten = False
        self._new: set[str] = set()  # items of which the file has nothing
        self._due_at = 0.0
        self._exposed = False  # the file may have what is to be withheld by now

    def tell(self, news: dict[str, Any]) -> None:
        """As :meth:`Transcript.changes <opusbridge.call.transcript.Transcript.changes>` has it."""
        items, begin = news.get("items", {}), news.get("order_from", 0)
        if "order" in news:
            if begin < self._put_away:
                self._take_back()
            self._order[begin - self._put_away :] = news["order"]
        if not items.keys() - self._texts.keys() <= set(self._order):
            self._take_back()  # something far back has changed
        withheld = [an_id for an_id, item in items.items() if "withheld" in item]
        self._new |= items.keys() - self._texts.keys()
        self._expose(withheld)
        self._texts |= {an_id: _text(item) for an_id, item in items.items()}
        self._pauses = {"pauses": news["pauses"]} if "pauses" in news else self._pauses
        self._unwritten = True
        if withheld:
            self._due_at = 0.0  # its words may be in the file
        if "order" in news and begin - self._put_away >= PIECE_ITEMS:
            self._put_away_until(begin)

    def write_if_due(self) -> None:
        """As :meth:`write`, but not too often, and only what is new."""
        if self._unwritten and self._clock() >= self._due_at:
            self.write()

    def write(self) -> None:
        """Raises OSError; what could not be written will be with what comes next."""
        text = self._whole()
        rest_seconds = len(text) / BYTES_PER_SECOND if len(text) > SMALL_BYTES else 0.0
        self._due_at = self._clock() + rest_seconds
        self._replace(text)
        self._unwritten = False

    def complete(self, transcript: dict[str, Any]) -> None:
        """It is this, whatever was told before. Raises OSError."""
        items = transcript.get("items", ())
        if withheld := [one["item_id"] for one in items if "withheld" in one]:
            self._take_back()
            self._expose(withheld)
        self._replace(files.as_json(transcript))

    def _expose(self, withheld: Iterable[str]) -> None:
        written = (an_id for an_id in withheld if an_id not in self._new)
        told = (self._texts.get(an_id, _WITHHELD) for an_id in written)
        self._exposed |= any(_WITHHELD not in text for text in told)

    def _replace(self, text: bytes) -> None:
        try:
            files.write_whole(self._path, text)
        except OSError:
            if self._exposed:
                files.take_away(self._path)
            raise
        self._exposed = False
        self._new.clear()

    def _whole(self) -> bytes:
        frame = files.as_json({"call_id": self._call_id, "items": [], **self._pauses})
        texts = [zlib.decompress(piece) for piece in self._pieces]
        texts += [self._texts[one] for one in self._order if one in self._texts]
        if not texts:
            return frame
        # The first brackets: an id of a call has none.
        return frame.replace(b"[]", b"[\n    " + _BETWEEN.join(texts) + b"\n  ]", 1)

    def _put_away_until(self, place: int) -> None:
        count = place - self._put_away
        texts = [self._texts.pop(one) for one in self._order[:count]]
        self._pieces.append(zlib.compress(_BETWEEN.join(texts)))
        self._put_away = place
        del self._order[:count]

    def _take_back(self) -> None:
        texts = _BETWEEN.join(map(zlib.decompress, self._pieces))
        items = {item["item_id"]: _text(item) for item in orjson.loads(b"[" + texts + b"]")}
        self._texts = {**items, **self._texts}
        self._order[:0] = items
        self._pieces, self._put_away = [], 0


def merged(news: dict[str, Any], more: dict[str, Any]) -> dict[str, Any]:
    """What both tell, ``more`` being the later."""
    found = {**news, **more, "items": {**news.get("items", {}), **more.get("items", {})}}
    if "order" in news and "order" in more:
        begin, later = news.get("order_from", 0), more.get("order_from", 0)
        if later > begin:
            found["order"] = [*news["order"][: later - begin], *more["order"]]
            found["order_from"] = begin
    return found


def _text(item: dict[str, Any]) -> bytes:
    """As it is in the file."""
    return files.as_json(item).replace(b"\n", b"\n    ")

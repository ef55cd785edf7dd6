"""What lies far back in a long call, put away in little space until somebody asks for it.

A call remembers everything said in it, but looks at the latest only. The rest is kept in pieces,
each as compressed JSON: about a tenth of what it takes as objects. What is put away is in no file
and may hold what no file may.
"""

import json
import zlib
from array import array
from bisect import bisect_left, insort
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

#: Of the hash of an id so many bits, and behind them as many for the piece it is in.
_HASH_BITS, _PIECE_BITS = 48, 16

Row = str | list[Any]
"""A place by its id; or what is at it, of which the first is the id."""


def packed(rows: list[Any]) -> bytes:
    """As few bytes as can be had in a tenth of a millisecond, for a piece of a transcript."""
    text = json.dumps(rows, ensure_ascii=False, separators=(",", ":"))
    # Pieces are small: with tables for more it would take thrice as long, and 270 KB meanwhile.
    small = zlib.compressobj(wbits=12, memLevel=5)
    # A tool's words may be no Unicode at all.
    return small.compress(text.encode("utf-8", "surrogatepass")) + small.flush()


def unpacked(piece: bytes) -> list[Any]:
    found: list[Any] = json.loads(zlib.decompress(piece).decode("utf-8", "surrogatepass"))
    return found


@dataclass(slots=True)
class Piece:
    packed: bytes
    shown: int
    """How many of its places are shown in a transcript."""
    settled: bool = False
    """Told after it was put away: all that is shown of it stays where it is."""


class Archive:
    """Rows in order, from the first of all on; each has an id of its own."""

    def __init__(self) -> None:
        self.pieces: list[Piece] = []
        self._keys = array("Q")  # sorted: a set of ids would be most of what is kept

    def __len__(self) -> int:
        return len(self._keys)

    @property
    def shown(self) -> int:
        return sum(piece.shown for piece in self.pieces)

    def put_away(self, rows: list[Row], shown: int) -> None:
        """These follow what is there."""
        number = len(self.pieces)
        self.pieces.append(Piece(packed(rows), shown))
        for row in rows:
            insort(self._keys, _hashed(id_of(row)) << _PIECE_BITS | number)

    def find(self, an_id: str) -> int | None:
        """The number of the piece it is in."""
        hashed = _hashed(an_id)
        at = bisect_left(self._keys, hashed << _PIECE_BITS)
        while at < len(self._keys) and self._keys[at] >> _PIECE_BITS == hashed:
            number = self._keys[at] % (1 << _PIECE_BITS)
            if any(id_of(row) == an_id for row in self.rows(number)):
                return number
            at += 1
        return None

    def row(self, an_id: str) -> tuple[Row, Piece] | None:
        """What is kept of this id, and in which piece."""
        number = self.find(an_id)
        if number is None:
            return None
        found = next(row for row in self.rows(number) if id_of(row) == an_id)
        return found, self.pieces[number]

    def replace(self, number: int, row: Row) -> None:
        """That is at the place of its id from now on, which is in this piece."""
        an_id = id_of(row)
        rows = [row if id_of(one) == an_id else one for one in self.rows(number)]
        self.pieces[number].packed = packed(rows)

    def rows(self, number: int) -> list[Row]:
        return unpacked(self.pieces[number].packed)

    def take_back(self, number: int) -> Iterator[tuple[Row, Piece]]:
        """All from this piece on, in order; the archive ends before it then."""
        taken, self.pieces[number:] = self.pieces[number:], []
        left = (key for key in self._keys if key % (1 << _PIECE_BITS) < number)
        self._keys = array("Q", left)
        return ((row, piece) for piece in taken for row in unpacked(piece.packed))


def id_of(row: Row) -> str:
    an_id: str = row if isinstance(row, str) else row[0]
    return an_id


def _hashed(an_id: str) -> int:
    return hash(an_id) % (1 << _HASH_BITS)

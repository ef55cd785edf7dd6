"""Our own copy of the sound on its way to the ear, and of what reached it just now.

Where barge-in is to be confirmed (``judge.py``), sound that was thrown away at the far side may
have to be sent again, from the heard byte on; and the caller's line is compared with what he
was hearing: is that his voice, or our echo?
"""

from collections import deque
from dataclasses import dataclass
from math import inf

from opusbridge.audio.formats import levels_dbfs
from opusbridge.call.judge import ECHO_SECONDS, RECENT_MS
from opusbridge.call.segments import Segment
from opusbridge.sound import Audio

#: Of sound not yet heard. The longest response is under four minutes; more than this is given
#: up, for an hour of it would be kept as well.
MOST_KEPT_MS = 300_000.0

#: What was heard is kept this much longer, for the echo of it to be known by: the judge asks of
#: the oldest sound that it weighs, too.
ECHO_KEPT_SECONDS = RECENT_MS / 1000 + ECHO_SECONDS


@dataclass(slots=True, eq=False)
class Piece:
    segment: Segment
    audio: Audio
    begin: int
    """Where it lies in the epoch's stream, in bytes."""
    starts_at: float
    ends_at: float
    """When it was heard, by the clock."""
    levels: list[float] | None = None

    @property
    def end(self) -> int:
        return self.begin + self.audio.size_bytes


class KeptSound:
    """Instants are ``now`` seconds, positions bytes since the ledger's epoch began."""

    def __init__(self) -> None:
        self._pieces: deque[Piece] = deque()
        self._ms = 0.0
        self._lost_to = 0  # up to there this epoch's sound was given up

    def add(
        self,
        segment: Segment,
        audio: Audio,
        begin: int,
        starts_at: float,
        heard: int,
        now: float,
    ) -> None:
        """Sent just now, to be heard from ``starts_at``; the ear has come as far as ``heard``."""
        while self._pieces and self._is_past(self._pieces[0], heard, now):
            self._drop()
        self._pieces.append(Piece(segment, audio, begin, starts_at, starts_at + audio.ms / 1000))
        self._ms += audio.ms
        while self._ms > MOST_KEPT_MS:
            self._lost_to = self._pieces[0].end
            self._drop()

    def has_all_after(self, position: int) -> bool:
        """Whether nothing that lies behind it was given up."""
        return position >= self._lost_to

    def unheard(self, position: int) -> list[tuple[Segment, bytes]]:
        """What lies behind it, in the order it was sent."""
        return [
            (one.segment, one.audio.raw[max(0, position - one.begin) :])
            for one in self._pieces
            if one.end > position
        ]

    def cut(self, at: float) -> None:
        """Nothing of this was heard after that instant; a new epoch begins."""
        while self._pieces and self._pieces[-1].starts_at >= at:
            self._ms -= self._pieces.pop().audio.ms
        for piece in self._pieces:
            piece.ends_at = min(piece.ends_at, at)
            piece.begin -= piece.end  # before everything of the new epoch
        self._lost_to = 0

    def loudest(self, since: float, until: float) -> float:
        """In dBFS, of what was heard in between; silence is minus infinity."""
        found = -inf
        for piece in self._pieces:
            begin, end = max(since, piece.starts_at), min(until, piece.ends_at)
            if begin >= end:
                continue
            if piece.levels is None:
                piece.levels = levels_dbfs(piece.audio)
            window = piece.audio.ms / 1000 / len(piece.levels)
            first = int((begin - piece.starts_at) / window)
            last = int((end - piece.starts_at) / window)
            found = max(found, *piece.levels[first : last + 1], -inf)
        return found

    def _is_past(self, piece: Piece, heard: int, now: float) -> bool:
        return piece.end <= heard and piece.ends_at < now - ECHO_KEPT_SECONDS

    def _drop(self) -> None:
        self._ms -= self._pieces.popleft().audio.ms

"""One thing that was said: its words, how much of them was heard, how it is written down."""

from dataclasses import dataclass, field
from typing import Any

from opusbridge.call.words import split_by_share

#: As many parts as any answer has had, and many more.
MOST_PARTS = 100

#: What stands for the words of an item that was said while the recording was paused.
WITHHELD = "[withheld]"


@dataclass(slots=True)
class _Part:
    """One content part of an item."""

    words: list[str] = field(default_factory=list)
    heard_ms: float = 0.0
    received_ms: float = 0.0
    playing: tuple[float, float] = (0.0, 0.0)
    """The same of what is on its way to the ear."""
    complete: bool = False
    """These are all its words."""

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
    settled: bool = False
    """Its place in the conversation is known: told once, it stays."""
    parts: dict[int, _Part] = field(default_factory=dict)
    untranscribed: bool = False
    """Nobody will tell its words; known before it was committed, that is not its status yet."""

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

    def said(self, text: str, final: bool, part: int) -> None:
        """A further piece of the words of a part or, if ``final``, all of them."""
        one = self.part(part)
        if final:
            one.words.clear()
            one.complete = True
        one.words.append(text)

    @property
    def has_all_words(self) -> bool:
        """Whether there are any, and no more will come."""
        return bool(self.split()[0]) and all(part.complete for part in self.parts.values())

    def transcription_failed(self) -> None:
        """Of the caller's, at any time: whether it is committed is told by nothing else."""
        self.untranscribed = True
        if self.status != "in_progress":
            self.status = "failed"

    def committed(self) -> None:
        self.status = "failed" if self.untranscribed else "completed"

    def done(self, status: str) -> None:
        """Of the agent's: the model makes no more of it."""
        if self.status == "in_progress":
            self.status = status

    def split(self) -> tuple[str, str, str]:
        """All its words, those heard and those not."""
        ordered = [part for _, part in sorted(self.parts.items())]
        text = " ".join(filter(None, (part.text for part in ordered)))
        if self.speaker != "agent":
            return text, text, ""
        cuts = [split_by_share(part.text, part.share) for part in ordered]
        heard = " ".join(filter(None, (heard for heard, _ in cuts)))
        return text, heard, " ".join(filter(None, (unheard for _, unheard in cuts)))

    # --- Written down -------------------------------------------------------------------

    def shown(self) -> dict[str, Any]:
        """For the model, never for a file."""
        text, heard, unheard = self.split()
        return {
            "item_id": self.item_id,
            "speaker": self.speaker,
            "text": text,
            "heard": heard,
            "unheard": unheard,
            "started_ms": self.started_ms,
            "ended_ms": self.ended_ms,
            "status": "empty" if self.status == "completed" and not text else self.status,
        }

    def written(self) -> dict[str, Any]:
        """As transcript.json has it."""
        shown = self.shown()
        if self.withheld:
            shown |= {"text": WITHHELD, "heard": "", "unheard": "", "withheld": True}
        return shown

    # --- Put away -----------------------------------------------------------------------

    def row(self) -> list[Any]:
        """All that it is, its id first, to be put away; :meth:`of_row` makes it again."""
        parts = [
            [index, "".join(one.words), one.heard_ms, one.received_ms, one.complete, *one.playing]
            for index, one in self.parts.items()
        ]
        times = self.started_ms, self.ended_ms
        signs = self.aside, self.withheld, self.settled
        return [self.item_id, self.speaker, self.response_id, *times, self.status, *signs, *parts]

    @classmethod
    def of_row(cls, row: list[Any]) -> "TranscriptItem":
        item = cls(*row[:9])
        for index, words, heard_ms, received_ms, complete, *playing in row[9:]:
            heard = heard_ms, received_ms, (playing[0], playing[1])
            item.parts[index] = _Part([words], *heard, complete)
        return item

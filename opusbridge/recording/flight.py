"""``flight.jsonl``: everything that came to a call and left it, in order and with its time.

One JSON object a line; ``t`` is seconds from the start of the recording. What came in and what
went out is numbered (``n``), and what came in has the exact time on the shell's clock (``at``):
that is enough to hand it all to an engine again (:mod:`opusbridge.replay`). It is read by
:mod:`opusbridge.recording.reading`.

* the first line: ``{"flight": 4, "version", "call_id", "format", "began_at", "whole",
  "policy"}``, ``policy`` being how the call was to be conducted;
* a message: ``{"t", "n", "peer", "dir", "text"}``, ``text`` being the object it was, or the text
  itself where it was none; with ``at`` if it came, with the beginning of its hash (``sha``) if
  it left;
* sound: ``{"t", "n", "peer", "dir", "media", "ms", "bytes", "sizes", "sha256"}``: the messages
  of one kind (``media``) within a second, when each came after ``t`` (``ms``), how many bytes of
  sound each held (``sizes``: one number if all are alike) and one hash of their base64; ``gaps``
  are the steps from ``n`` to their own numbers as pairs of step and count, ``at`` their times as
  base64 of 64-bit floats; ``of`` says what they belong to and ``stamps_ms`` what Twilio's clock
  said, where given; ``sound`` is what came, if it was asked for whole;
* what came in mid-flow: ``{"t", "n", "flow", "at"}``, ``flow`` having a letter for each:
  ``f``, a frame of the caller's that went to the model as it came; ``s``, more of the agent's
  sound, which left for the caller with a mark behind it; ``p``, where it left in several pieces,
  a further one, and its mark; ``w``, more of his words, or all of them; ``e``, a mark that came
  back. They have the next numbers, two for an ``f`` or ``p`` and three for an ``s``, but where
  ``skips`` says that at a place others have so many. ``frames`` holds of their sound what a
  second of sound does; ``sounds`` the same, once for all ``pieces`` of one owner and with what
  they ``left`` as (and in what ``sizes``, if these are others; the hash is that of both);
  ``marks``, ``words`` and ``echoes`` are the texts;
* what the shell told the call: ``{"t", "n", "at", "event", "fields"}``; its waking at a deadline
  is a run like sound: ``{"t", "n", "wakes", "gaps", "at"}``;
* while the recording is paused, and whenever a message is about an item said in a pause, or a
  transfer asked for in one, every text in it but names, kinds and ids is ``<withheld>``, and
  ``withheld`` is true; sound is hashed as ever, and never kept;
* what else happened to the call, for a reader: ``{"t", "note", …}``.

Lines stand in the order in which they were complete: a second of sound comes after the
messages that passed meanwhile. Sort by ``t``, or by ``n``.
"""

from binascii import a2b_base64
from collections.abc import Iterable, Mapping
from math import inf
from pathlib import Path
from typing import Any

import orjson
from orjson import Fragment

from opusbridge import events
from opusbridge.recording.batch import FRAME, WORDS, Columns
from opusbridge.recording.files import open_private, write_all
from opusbridge.recording.loudness import Line, may_judge
from opusbridge.recording.midflow import Stretch
from opusbridge.recording.plain import plain
from opusbridge.recording.redaction import redacted, redacted_policy
from opusbridge.recording.runs import Run
from opusbridge.recording.shapes import Shaper, Sound, digest
from opusbridge.recording.withholding import WITHHELD
from opusbridge.sound import AudioFormat
from opusbridge.texts import as_json
from opusbridge.version import VERSION

#: Of the file's language.
FLIGHT_VERSION = 4

#: No call needs more: at 6 kB a second of lively talk this is three hours.
LIMIT_BYTES = 64 * 2**20
#: The same with all that was heard: over an hour of the widest sound.
WHOLE_LIMIT_BYTES = 512 * 2**20

#: Kept free for the line that says the recording is full.
_LAST_LINE_BYTES = 100

RUN_SECONDS = 1.0


class FlightRecording:
    """Used by the writer's thread only. Every method but ``close`` may raise ``OSError``.

    ``now`` is in seconds on the shell's clock.
    """

    def __init__(
        self,
        path: Path,
        call_id: str,
        telephony_format: AudioFormat | None,
        limit: int | None = None,
        *,
        began_at: float = 0.0,
        policy: Any = None,
        whole: bool = False,
    ) -> None:
        """``policy``: how the call is conducted, a dataclass; ``whole``: keep sound that comes."""
        limit = limit or (WHOLE_LIMIT_BYTES if whole else LIMIT_BYTES)
        self._room = limit - _LAST_LINE_BYTES
        self._full = False
        self._began_at, self._whole = began_at, whole
        self._number = 0
        self._runs: dict[tuple[Any, ...], Run] = {}
        self._run_ends = inf  # the first of them
        #: By what stands before its sound: the run of what leaves, and what stands after it.
        self._leaving: dict[str, tuple[Run, str]] = {}
        self._stretch: Stretch | None = None
        self._lines: list[bytes] = []
        self._shaper = Shaper()
        self._levels: Line | None = None
        self._judges(policy)
        header = {
            "flight": FLIGHT_VERSION,
            "version": VERSION,
            "call_id": call_id,
            "format": telephony_format and plain(telephony_format),
            "began_at": began_at,
            "whole": whole,
            "policy": redacted_policy(plain(policy, whole=whole)),
        }
        self._line(header, 0.0)
        self._file = open_private(path)

    def look_at(self, texts: Iterable[str]) -> None:
        """All that comes before :meth:`flush`: looked at together they cost a tenth."""
        self._shaper.look_at(texts)

    def said(self, peer: str, direction: str, text: str, now: float) -> None:
        self._next(now)
        if direction == "out" and self._leaving:
            # Our own messages of one stream differ in nothing but the sound.
            start = text.rfind(':"') + 2
            known = self._leaving.get(text[:start])
            if known is not None and text.endswith(known[1]):
                run, tail = known
                run.add(self._number, now)
                run.sounds.append(text[start : -len(tail)])
                return
        self._said(peer, direction, text, now)

    def _said(self, peer: str, direction: str, text: str, now: float) -> None:
        shaper = self._shaper
        if self._levels is None:
            shaped = shaper.shape_unless_kept(peer, direction, text)
        else:
            shaped = shaper.shape(peer, direction, text)
        if shaped is None:
            return self._kept(peer, direction, text, now)
        if isinstance(shaped, Sound):
            run = self._sound(peer, direction, shaped, now)
            if direction == "out" and (around := shaped.around(text)) is not None:
                self._leaving[around[0]] = run, around[1]
            return
        t = self._t(now)
        line: dict[str, Any] = {"t": t, "n": self._number, "peer": peer, "dir": direction}
        if direction == "in":
            line["at"] = now
        if self._levels is not None:
            self._levels.said(shaped.line.get("text"))
        self._line(line | shaped.line, t)

    def _kept(self, peer: str, direction: str, text: str, now: float) -> None:
        """A message of one line, just as it is."""
        t, n = self._t(now), self._number
        more = f',"at":{now}' if direction == "in" else f',"sha":"{digest(text)}"'
        line = f'{{"t":{t},"n":{n},"peer":"{peer}","dir":"{direction}"{more},"text":{text}}}\n'
        self._write(line.encode(), t)

    def flowed(self, kind: str, columns: Columns, start: int, stop: int) -> None:
        """What came in mid-flow, from one place to another; frames are of that ``kind``.

        The same as :meth:`said` of all that came, and of what left with it.
        """
        stretch, keeps = self._stretch, self._whole and not self._shaper.paused
        if stretch is None or stretch.columns is not columns or stretch.keeps is not keeps:
            self._fold()
            stretch = self._stretch = Stretch(kind, columns, start, keeps)
        self._number = stretch.goes_on(stop, self._number)
        if columns.count(WORDS, start, stop):
            first = columns.count(WORDS, 0, start)
            texts = columns.words[first : first + columns.count(WORDS, start, stop)]
            for text in texts:
                if self._shaper.keeps(text):
                    stretch.words.append(Fragment(text))
                else:
                    stretch.says(self._shaper.words(text))
        if self._levels is not None and columns.frames:
            first = columns.count(FRAME, 0, start)
            frames = columns.frames[first : first + columns.count(FRAME, start, stop)]
            levels = self._levels.levels
            stretch.levels += [levels("telephony", a2b_base64(sound)) for sound in frames]

    def _fold(self) -> None:
        """Write what came in mid-flow so far."""
        if self._stretch is not None:
            t, line = self._stretch.line(self._began_at)
            self._stretch = None
            self._line(line, t)

    def happened(self, event: events.Event, now: float, policy: Any = None) -> None:
        """The shell told the call: a tool finished, the deadline has come, …

        ``policy``: how the call is to be conducted from now on, if the event says so.
        """
        self._next(now)
        if isinstance(event, events.DeadlineReached):
            self._run(("wakes",), {}, now).add(self._number, now)
            return
        t = self._t(now)
        about = getattr(event, "tool_call_id", "")
        hidden = self._shaper.hides(about)
        keeps = self._whole and not self._shaper.paused
        kept = plain(event, whole=keeps, private=WITHHELD if hidden else None)
        line = {"t": t, "n": self._number, "at": now, "event": type(event).__name__}
        line["fields"] = redacted(kept)
        if policy is not None:
            self._judges(policy)
            line["policy"] = redacted_policy(plain(policy, whole=self._whole))
        self._line(line | ({"withheld": True} if hidden else {}), t)

    def noted(self, note: Mapping[str, Any], now: float) -> None:
        """``note`` has the key ``note`` and nothing of what a caller said or is called."""
        t = self._t(now)
        self._line({"t": t, **note}, t)

    def lost(self, count: int, now: float) -> None:
        """So many things were not written: whoever counts will miss them."""
        self._number += count
        self.noted({"note": "flight-gap", "value": count}, now)

    def pause(self) -> None:
        """Keep the shape of what is said from now on, and none of its words."""
        self._shaper.paused = True

    def resume(self) -> None:
        self._shaper.paused = False

    def withhold(self, ids: Iterable[str], reason: str = "") -> None:
        """Whatever is said of these items, now or later, is not kept.

        ``reason``: ``transfer``: nor what the next transfer is for.
        """
        self._shaper.withhold(ids, reason)

    def flush(self) -> None:
        """To the disk with everything."""
        self._fold()
        self._end_runs(None)
        lines, self._lines = self._lines, []
        self._shaper.look_at(())
        write_all(self._file, b"".join(lines))

    def finish(self) -> None:
        try:
            self.flush()
        finally:
            self.close()

    def close(self) -> None:
        self._file.close()

    def _judges(self, policy: Any) -> None:
        """A call that may judge by loudness is played again by loudness."""
        if self._levels is None and may_judge(policy):
            self._levels = Line()

    def _t(self, now: float) -> float:
        return round(now - self._began_at, 6)

    def _next(self, now: float) -> None:
        """A further thing came or went: what was complete before is written."""
        self._number += 1
        if now >= self._run_ends:
            self._end_runs(now)

    def _sound(self, peer: str, direction: str, sound: Sound, now: float) -> Run:
        incoming = direction == "in"
        keeps = incoming and self._whole and not self._shaper.paused
        of, kind = sound.of, sound.kind
        key = (peer, direction, kind, *of.items(), sound.stamp_ms is None, keeps)
        if (run := self._runs.get(key)) is None:
            head = {"peer": peer, "dir": direction, "media": kind}
            run = self._run(key, head | ({"of": of} if of else {}), now)
            run.keeps = keeps
        run.add(self._number, now)
        run.sounds.append(sound.text)
        if sound.stamp_ms is not None:
            run.stamps.append(sound.stamp_ms)
        if incoming and self._levels is not None:
            run.levels.append(self._levels.levels(peer, sound.raw))
        return run

    def _run(self, key: tuple[Any, ...], head: dict[str, Any], now: float) -> Run:
        if key not in self._runs:
            self._runs[key] = Run(self._t(now), now, head)
            self._run_ends = min(self._run_ends, now + RUN_SECONDS)
        return self._runs[key]

    def _end_runs(self, now: float | None) -> None:
        """Write the runs that are a second old by ``now``; ``None``: all of them."""
        if not self._runs:
            return
        runs = self._runs.items()
        over = [k for k, run in runs if now is None or now >= run.began + RUN_SECONDS]
        for key in over:
            run = self._runs.pop(key)
            self._line(run.line(), run.t)
        self._leaving = {}
        left = (run.began + RUN_SECONDS for run in self._runs.values())
        self._run_ends = min(left, default=inf)

    def _line(self, line: dict[str, Any], t: float) -> None:
        self._write(as_json(line, option=orjson.OPT_APPEND_NEWLINE), t)

    def _write(self, text: bytes, t: float) -> None:
        if self._full:
            return
        if len(text) > self._room:
            self._full = True
            text = orjson.dumps({"t": round(t, 6), "note": "flight-full"}) + b"\n"
        self._room -= len(text)
        self._lines.append(text)

"""The writer's side of a call's files: what came together is decoded, mixed and written here.

Only the writer's thread runs this. A slow or broken disk costs the recording, never the call.
"""

import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, suppress
from errno import errorcode
from functools import partial
from pathlib import Path
from typing import Any

from opusbridge import effects, events
from opusbridge.logs import Log
from opusbridge.recording import files
from opusbridge.recording.batch import FRAME, SHELL, Batch, Columns
from opusbridge.recording.facts import fact
from opusbridge.recording.flight import FlightRecording
from opusbridge.recording.runs import sizes_of
from opusbridge.recording.soundtrack import Soundtrack
from opusbridge.recording.transcript_file import TranscriptFile
from opusbridge.sound import PCMU_8K, AudioFormat

#: The writer's thread lets the calls' thread have the interpreter after so many entries, about
#: half a millisecond; else a frame could wait for the interpreter's switch interval, 5 ms.
YIELD_EVERY = 128

#: What most wires call a frame.
FRAME_KIND = "media"

log = Log(__name__)


class CallFiles:
    """Nothing is opened before the first entries come."""

    def __init__(
        self,
        folder: Path,
        call_id: str,
        telephony_format: AudioFormat | None,
        started_at: float,
        *,
        record: bool,
        flight: bool | str,
    ) -> None:
        self._folder, self._format, self._started_at = folder, telephony_format, started_at
        self.policy: object = None
        self.frame_kind = FRAME_KIND
        self._call_id = call_id
        self._record = record
        self._opened = not record and not flight  # then there is nothing to open
        self._flight_wanted, self._whole = bool(flight), flight == "whole"
        self._soundtrack: Soundtrack | None = None
        self._flight: FlightRecording | None = None
        self._written_until = started_at
        self._dropped = self._lost = 0
        self._transcript = TranscriptFile(folder / files.TRANSCRIPT, call_id)
        self.failed = 0
        self.nothing_kept = False

    def write(self, batch: Batch, dropped: int, news: dict[str, Any]) -> Iterator[None]:
        """``dropped``: entries of this call lost so far; ``news``: of the transcript. In three
        parts: what is heard and said; the flight; its way to the disk."""
        self._format = self._format or _format_of(batch)
        self._open()
        if news:
            self._transcript.tell(news)
        # What is wrong with the disk is told at the latest when the call is over.
        with suppress(OSError):
            self._transcript.write_if_due()
        if self._soundtrack and not self._try(partial(self._mix, self._soundtrack, batch)):
            self._give_up(self._soundtrack)
            self._soundtrack = None
        if self._flight is None:
            return
        yield
        self._lost, self._dropped = dropped - self._dropped, dropped
        self._note(self._flight, batch)
        yield
        # Unless one of the same call's before it found the disk broken meanwhile.
        if self._flight and not self._try(self._flight.flush):
            self._give_up(self._flight)
            self._flight = None

    def finish(
        self,
        batch: Batch,
        dropped: int,
        call: dict[str, Any],
        transcript: dict[str, Any] | None,
        now: float,
    ) -> Iterator[None]:
        """The last batch, in the same parts, and everything that completes the files.

        ``transcript``: all of it, or ``None``: what was told of it before must do.
        """
        # Each, even where a bug of ours has spoilt another; the last first.
        with ExitStack() as rest:
            rest.callback(self._sum_up, call, transcript)
            rest.callback(self._finish_flight)
            rest.callback(self._finish_soundtrack, now)
            yield from self.write(batch, dropped, {})

    def _finish_soundtrack(self, now: float) -> None:
        if self._soundtrack:
            self._try(partial(self._soundtrack.finish, now - self._started_at))

    def _finish_flight(self) -> None:
        if self._flight:
            self._try(self._flight.finish)

    def _sum_up(self, call: dict[str, Any], transcript: dict[str, Any] | None) -> None:
        self._try(partial(files.make_folder, self._folder))
        if self._record:
            write = self._transcript.write
            if transcript is not None:
                write = partial(self._transcript.complete, transcript)
            self._try(write)
        self._try(partial(files.write_json, self._folder / files.CALL, call))
        self.nothing_kept = self.failed > 0 and not files.any_in(self._folder)

    def _open(self) -> None:
        if self._opened:
            return
        self._opened = True
        if self._try(partial(files.make_folder, self._folder)):
            if self._flight_wanted:
                self._try(self._open_flight)
            if self._record:
                self._try(self._open_soundtrack)

    def _open_flight(self) -> None:
        path = self._folder / files.FLIGHT
        self._flight = FlightRecording(
            path,
            self._call_id,
            self._format,
            began_at=self._started_at,
            policy=self.policy,
            whole=self._whole,
        )

    def _open_soundtrack(self) -> None:
        self._soundtrack = Soundtrack(self._folder / files.RECORDING, self._format or PCMU_8K)

    def _mix(self, soundtrack: Soundtrack, batch: Batch) -> None:
        passed = _Passed(batch.flow, self._format or PCMU_8K, self._started_at)
        for count, (_, stop, entry) in enumerate(batch.stretches(), 1):
            if entry is None or entry[1]:
                continue  # a text
            now, _, _, what = entry
            t = now - self._started_at
            # The voices are independent: of the caller's all at once, while nothing is written.
            if isinstance(what, events.CallerSpoke) or soundtrack.due(t):
                passed.heard(soundtrack, stop)
            match what:
                case events.CallerSpoke():
                    soundtrack.caller_spoke(what.audio, t)
                case effects.PlayAudio():
                    starts_at = what.starts_at - self._started_at
                    soundtrack.agent_played(what.audio, starts_at, t, what.follows)
                case effects.MovePlayout():
                    soundtrack.agent_moved(what.by_seconds)
                case effects.ClearPlayout() | effects.CutPlayout():
                    soundtrack.cleared(max(t, what.heard_until - self._started_at))
                case effects.PauseRecording():
                    soundtrack.pause(t)
                case effects.ResumeRecording():
                    soundtrack.resume(t)
            if count % YIELD_EVERY == 0:
                time.sleep(0)
        passed.heard(soundtrack, len(batch.flow))

    def _note(self, flight: FlightRecording, batch: Batch) -> None:
        if self._lost:
            flight.lost(self._lost, self._written_until)
        words = batch.flow.words
        flight.look_at([*words, *(one[3] for one in batch.entries if type(one[3]) is str)])
        for count, (start, stop, entry) in enumerate(batch.stretches(), 1):
            if start < stop:
                flight.flowed(self.frame_kind, batch.flow, start, stop)
            if entry is not None:
                self._note_one(flight, *entry)
            if count % YIELD_EVERY == 0:
                time.sleep(0)

    def _note_one(
        self, flight: FlightRecording, now: float, peer: str, direction: str, what: Any
    ) -> None:
        if peer == SHELL:
            flight.happened(what[0], now, what[1])
        elif peer:
            flight.said(peer, direction, what, now)
        else:
            self._note_fact(flight, what, now)

    def _note_fact(self, flight: FlightRecording, what: object, now: float) -> None:
        if isinstance(what, effects.Note):
            if what.kind == "withheld":
                flight.withhold(what.ids, what.reason)
        elif isinstance(what, effects.PauseRecording):
            flight.pause()
        elif isinstance(what, effects.ResumeRecording):
            flight.resume()
        if (line := fact(what)) is not None:
            flight.noted(line, now)
        self._written_until = now

    def _try(self, act: Callable[[], None]) -> bool:
        try:
            act()
        except OSError as error:
            if not self.failed:
                log.warning(
                    "a call's files cannot be written",
                    call_id=self._call_id,
                    error=errorcode.get(error.errno or 0, "unknown"),
                )
            self.failed += 1
            return False
        return True

    def _give_up(self, file: Soundtrack | FlightRecording) -> None:
        # What is written stays readable; a hole and a second part would not be.
        with suppress(OSError):
            file.close()


def _format_of(batch: Batch) -> AudioFormat | None:
    for _, _, _, what in batch.entries:
        match what:
            case events.CallArrived():
                return what.audio_format
            case events.CallerSpoke() | effects.PlayAudio():
                return what.audio.format
    return None


class _Passed:
    """The frames of a batch, as they are mixed."""

    def __init__(self, columns: Columns, format: AudioFormat, began_at: float) -> None:
        self._columns, self._format = columns, format
        self._sounds = columns.frames
        self._alike = type(sizes_of(self._sounds)) is int
        self._at = [now - began_at for now in columns.times_of(FRAME)]
        self._done = 0

    def heard(self, soundtrack: Soundtrack, stop: int) -> None:
        """Up to that place of the columns."""
        start, self._done = self._done, self._columns.count(FRAME, 0, stop)
        some = slice(start, self._done)
        sounds, at = self._sounds[some], self._at[some]
        soundtrack.caller_passed(sounds, self._format, at, alike=self._alike)

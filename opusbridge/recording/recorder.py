"""Keeps what a call was: its sound, its messages, its transcript and its summary.

The bridge hands everything over as it happens (:class:`CallRecorder`); that costs a frame of
audio about a microsecond, because nothing is looked at. About twice a second what
came together goes to the writer's thread, where :class:`_Files` decodes, mixes and writes it.
A slow or broken disk costs the recording, never the call.
"""

import asyncio
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from contextlib import suppress
from errno import errorcode
from functools import partial
from pathlib import Path
from typing import Any

import structlog

from opusbridge import effects, events
from opusbridge.effects import Effect
from opusbridge.events import Event
from opusbridge.recording import files
from opusbridge.recording.facts import FACTS, fact
from opusbridge.recording.flight import FlightRecording
from opusbridge.recording.soundtrack import Soundtrack
from opusbridge.recording.writer import Writer
from opusbridge.sound import PCMU_8K, Audio, AudioFormat

#: How long things come together before the writer gets them: a thread woken for every frame
#: would take the processor from the calls; with the writing itself a crash costs a second.
HAND_OVER_SECONDS = 0.5

#: What keeping one entry costs beside its text or sound, roughly.
ENTRY_BYTES = 200

#: The writer's thread lets the calls' thread have the interpreter after so many entries, about
#: half a millisecond; else a frame could wait for the interpreter's switch interval, 5 ms.
YIELD_EVERY = 128

#: In place of the peer: a caller's frame that went through both sockets unchanged. The kind of
#: its message stands in place of the direction.
PASSED = "passed"

#: The peer of what came over neither socket.
SHELL = "shell"

#: When it happened; the peer and the direction of a text, or two empty ones; text or thing.
Entry = tuple[float, str, str, Any]

_NOTHING: frozenset[type] = frozenset()
_SOUND: frozenset[type] = frozenset(
    {
        events.CallerSpoke,
        effects.PlayAudio,
        effects.MovePlayout,
        effects.ClearPlayout,
    }
)
#: What everything after it depends on.
_VITAL: frozenset[type] = frozenset(
    {events.CallArrived, effects.PauseRecording, effects.ResumeRecording}
)

log = structlog.get_logger(__name__)


class CallRecorder:
    """The recorder of one call. Times are seconds on the shell's clock.

    Nothing here blocks or raises, whatever the disk does. :meth:`finish` must be called once,
    after everything else.
    """

    def __init__(
        self,
        folder: Path,
        telephony_format: AudioFormat | None,
        started_at: float,
        *,
        record: bool,
        flight: bool | str,
        writer: Writer,
        call_id: str | None = None,
    ) -> None:
        """``folder`` is the call's own (:func:`~opusbridge.recording.files.call_folder`).

        Its name is the call's id, unless ``call_id`` says otherwise. ``telephony_format`` may
        be unknown yet: the first sound tells. ``record``: recording and transcript;
        ``flight``: what came and what left; ``"whole"``: with the sound that came.
        """
        name = call_id or folder.name
        self.folder = folder
        self._files = _Files(
            folder, name, telephony_format, started_at, record=record, flight=flight
        )
        self._writer = writer
        self._flight = bool(flight)
        self.keeps_words = record
        self.wanted = (_SOUND if record else _NOTHING) | (FACTS if flight else _NOTHING) | _VITAL
        """What :meth:`observe` makes anything of."""
        self._changes: Callable[[float], dict[str, Any]] | None = None
        self._news: dict[str, Any] = {}  # of the transcript, not handed over yet
        self._entries: list[Entry] = []
        self._size_bytes = 0
        self.hand_over_at = started_at + HAND_OVER_SECONDS
        """When what came together is due to go to the writer."""
        self._done: Future[None] = Future()
        # Whoever stops waiting in ``closed`` must not cancel it for the others.
        self._done.set_running_or_notify_cancel()
        self.dropped = 0
        """Entries lost because the writer could not keep up."""

    @property
    def failed(self) -> int:
        """How many files could not be written, or not to their end."""
        return self._files.failed

    def follow(self, changes: Callable[[float], dict[str, Any]], policy: object = None) -> None:
        """``changes(now)`` tells what is new in the transcript: it is written as the call goes.

        As :meth:`Call.transcript_changes <opusbridge.call.call.Call.transcript_changes>`.
        ``policy`` says how the call is conducted: a dataclass, for the flight's first line.
        """
        self._changes = changes if self.keeps_words else None
        self._files.policy = policy

    def hand_over_if_due(self, now: float) -> None:
        """To be called at :attr:`hand_over_at`: a silent line must not keep what is known."""
        if now >= self.hand_over_at:
            self._hand_over(now)

    def observe(self, what: Event | Effect, now: float) -> None:
        """Every event and effect of the call, in order."""
        if type(what) in self.wanted:
            size = ENTRY_BYTES
            if isinstance(what, events.CallerSpoke | effects.PlayAudio):
                size += what.audio.size_bytes
            self._keep((now, "", "", what), size)

    def said(self, peer: str, direction: str, text: str, now: float) -> None:
        """Every text of both sockets; ``peer`` is ``telephony`` or ``model``.

        ``direction`` is ``in`` for what the peer says, ``out`` for what we say.
        """
        if self._flight:
            self._keep((now, peer, direction, text), ENTRY_BYTES + len(text))

    def passed(self, kind: str, frame: tuple[str, int | None], now: float) -> None:
        """A caller's frame, a message of that ``kind``, went to the model as it came.

        The same as :meth:`said` of both texts, and :meth:`observe` of what they mean, without
        either: ``frame`` is the sound in base64, and what its wire's clock said.
        """
        if self._flight or self.keeps_words:
            self._entries.append((now, PASSED, kind, frame))
            self._size_bytes += ENTRY_BYTES + len(frame[0])
            if now >= self.hand_over_at:
                self._hand_over(now)

    def told(self, event: Event, now: float, policy: object = None) -> None:
        """The shell is about to hand this to the call: what came over neither socket.

        ``policy``: how the call is to be conducted from now on, if this says so.
        """
        if self._flight:
            self._keep((now, SHELL, "in", (event, policy)), ENTRY_BYTES)

    def finish(self, call: dict[str, Any], transcript: dict[str, Any], now: float) -> None:
        """The call is over: complete all its files.

        Writes ``call.json`` and ``transcript.json`` from these values, which must not be
        changed afterwards.
        """
        last = partial(self._files.finish, self._entries, self.dropped, call, transcript, now)
        self._writer.submit_last(partial(self._complete, last), self._size_bytes)
        self._entries, self._flight = [], False

    async def closed(self) -> None:
        """Returns when everything is on the disk, or cannot be. After :meth:`finish`."""
        await asyncio.wrap_future(self._done)

    def _keep(self, entry: Entry, size_bytes: int) -> None:
        self._entries.append(entry)
        self._size_bytes += size_bytes
        if entry[0] >= self.hand_over_at:
            self._hand_over(entry[0])

    def _hand_over(self, now: float) -> None:
        self.hand_over_at = now + HAND_OVER_SECONDS
        self._follow(now)
        if not self._entries and not self._news:
            return
        entries, self._entries = self._entries, []
        size = self._size_bytes + ENTRY_BYTES * len(self._news.get("items", ()))
        self._size_bytes = 0
        if self._writer.submit(partial(self._files.write, entries, self.dropped, self._news), size):
            self._news = {}
            return
        # Everything may be lost but the word that nothing is to be kept.
        self._entries = [entry for entry in entries if _is_vital(entry[3])]
        self.dropped += len(entries) - len(self._entries)

    def _follow(self, now: float) -> None:
        new = self._changes(now) if self._changes is not None else {}
        if new:
            items = {**self._news.get("items", {}), **new.get("items", {})}
            self._news = {**self._news, **new, "items": items}

    def _complete(self, job: partial[None]) -> None:
        try:
            job()
        finally:
            self._done.set_result(None)


class _Files:
    """The writer's side of a call. Nothing is opened before the first entries come."""

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
        self._call_id = call_id
        self._record = record
        self._opened = not record and not flight  # then there is nothing to open
        self._flight_wanted, self._whole = bool(flight), flight == "whole"
        self._soundtrack: Soundtrack | None = None
        self._flight: FlightRecording | None = None
        self._written_until = started_at
        self._dropped = 0
        self._transcript: dict[str, Any] = {"items": {}, "order": []}
        self.failed = 0

    def write(self, entries: list[Entry], dropped: int, news: dict[str, Any]) -> None:
        """``dropped``: entries of this call lost so far; ``news``: of the transcript."""
        self._open(entries)
        if news:
            # What is wrong with the disk is told at the latest when the call is over.
            with suppress(OSError):
                self._write_transcript(news)
        if self._soundtrack and not self._try(partial(self._mix, self._soundtrack, entries)):
            self._give_up(self._soundtrack)
            self._soundtrack = None
        if self._flight and not self._try(partial(self._note, self._flight, entries, dropped)):
            self._give_up(self._flight)
            self._flight = None

    def finish(
        self,
        entries: list[Entry],
        dropped: int,
        call: dict[str, Any],
        transcript: dict[str, Any],
        now: float,
    ) -> None:
        try:
            self.write(entries, dropped, {})
            if self._soundtrack:
                self._try(partial(self._soundtrack.finish, now - self._started_at))
            if self._flight:
                self._try(self._flight.finish)
        finally:
            # Even where a bug of ours has spoilt the rest.
            self._try(partial(files.make_folder, self._folder))
            if self._record:
                self._try(partial(files.write_json, self._folder / files.TRANSCRIPT, transcript))
            self._try(partial(files.write_json, self._folder / files.CALL, call))

    def _write_transcript(self, news: dict[str, Any]) -> None:
        known = self._transcript
        items = {**known["items"], **news["items"]}
        self._transcript = {**known, **news, "items": items}
        shown = [items[one] for one in self._transcript["order"] if one in items]
        pauses = {key: news[key] for key in ("pauses",) if key in news}
        text = {"call_id": self._call_id, "items": shown, **pauses}
        files.write_json(self._folder / files.TRANSCRIPT, text)

    def _open(self, entries: list[Entry]) -> None:
        if self._opened:
            return
        self._opened = True
        self._format = self._format or _format_of(entries)
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

    def _mix(self, soundtrack: Soundtrack, entries: list[Entry]) -> None:
        for now, peer, _, what in _yielding(entries):
            if not peer:
                t = now - self._started_at
                match what:
                    case events.CallerSpoke():
                        soundtrack.caller_spoke(what.audio, t)
                    case effects.PlayAudio():
                        starts_at = what.starts_at - self._started_at
                        soundtrack.agent_played(what.audio, starts_at, t, what.follows)
                    case effects.MovePlayout():
                        soundtrack.agent_moved(what.by_seconds)
                    case effects.ClearPlayout():
                        soundtrack.cleared(max(t, what.heard_until - self._started_at))
                    case effects.PauseRecording():
                        soundtrack.pause(t)
                    case effects.ResumeRecording():
                        soundtrack.resume(t)
            elif peer == PASSED:
                audio = Audio(what[0], self._format or PCMU_8K)
                soundtrack.caller_spoke(audio, now - self._started_at)

    def _note(self, flight: FlightRecording, entries: list[Entry], dropped: int) -> None:
        if dropped > self._dropped:
            lost, self._dropped = dropped - self._dropped, dropped
            flight.lost(lost, self._written_until)
        for now, peer, direction, what in _yielding(entries):
            if peer == PASSED:
                flight.passed(direction, what, now)
                continue
            if peer == SHELL:
                flight.happened(what[0], now, what[1])
                continue
            if peer:
                flight.said(peer, direction, what, now)
                continue
            match what:
                case effects.PauseRecording():
                    flight.pause()
                case effects.ResumeRecording():
                    flight.resume()
                case effects.Note("withheld", _, ids):
                    flight.withhold(ids)
            if (line := fact(what)) is not None:
                flight.noted(line, now)
            self._written_until = now
        flight.flush()

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


def _is_vital(what: object) -> bool:
    return type(what) in _VITAL or (isinstance(what, effects.Note) and what.kind == "withheld")


def _format_of(entries: list[Entry]) -> AudioFormat | None:
    for _, _, _, what in entries:
        match what:
            case events.CallArrived():
                return what.audio_format
            case events.CallerSpoke() | effects.PlayAudio():
                return what.audio.format
    return None


def _yielding(entries: list[Entry]) -> Iterator[Entry]:
    for count, entry in enumerate(entries, 1):
        yield entry
        if count % YIELD_EVERY == 0:
            time.sleep(0)

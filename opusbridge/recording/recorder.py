"""Keeps what a call was: its sound, its messages, its transcript and its summary.

The bridge hands everything over as it happens (:class:`CallRecorder`), into the journal of all
calls; ten times a second that is sorted, and of a frame where nobody needs more no more than its
hash is kept. Every second or so what came together goes to the writer's thread, where
:class:`.CallFiles` decodes, mixes and writes it.
A slow or broken disk costs the recording, never the call.
"""

import asyncio
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future
from functools import cache, partial
from hashlib import sha256
from pathlib import Path
from typing import Any

from opusbridge import effects, events
from opusbridge.effects import Effect
from opusbridge.events import Event
from opusbridge.logs import Log
from opusbridge.recording.batch import SHELL, Around, Batch, Columns, Entry, Frame
from opusbridge.recording.call_files import FRAME_KIND, CallFiles
from opusbridge.recording.facts import FACTS
from opusbridge.recording.journal import SORT_SECONDS, Journal, tell
from opusbridge.recording.loudness import may_judge
from opusbridge.recording.transcript_file import merged
from opusbridge.recording.writer import Writer
from opusbridge.sound import AudioFormat

#: How long things come together before the writer gets them: a thread woken for every frame
#: would take the processor from the calls; with what the writer waits a crash costs a second.
HAND_OVER_SECONDS = 0.75

#: The same where only the flight is kept, and of the frames no more than their hash. A batch has
#: costs of its own: half as many are a fourth less for the writer, and a crash may cost a flight
#: a second more than a recording.
FLIGHT_SECONDS = 1.5

#: What keeping one entry costs beside its text or sound, roughly, and one in mid-flow.
ENTRY_BYTES = 200
FLOW_BYTES = 100

_NOTHING: frozenset[type] = frozenset()
_SOUND: frozenset[type] = frozenset(
    {
        events.CallerSpoke,
        effects.PlayAudio,
        effects.MovePlayout,
        effects.ClearPlayout,
        effects.CutPlayout,
    }
)
#: What everything after it depends on.
_VITAL: frozenset[type] = frozenset(
    {events.CallArrived, effects.PauseRecording, effects.ResumeRecording}
)

log = Log(__name__)


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
        journal: Journal | None = None,
        call_id: str | None = None,
    ) -> None:
        """``folder`` is the call's own (:func:`~opusbridge.recording.files.call_folder`).

        Its name is the call's id, unless ``call_id`` says otherwise. ``telephony_format`` may
        be unknown yet: the first sound tells. ``record``: recording and transcript;
        ``flight``: what came and what left; ``"whole"``: with the sound that came.
        ``journal``: that of all calls of this loop; without, the call has its own.
        """
        self._name = name = call_id or folder.name
        self.folder = folder
        self._files = CallFiles(
            folder, name, telephony_format, started_at, record=record, flight=flight
        )
        self._writer, self.journal = writer, journal or Journal()
        self._flight = bool(flight)
        self._takes_frames = record or self._flight
        self.keeps_words = record
        self.wanted = _wanted(record, bool(flight))
        """What :meth:`observe` makes anything of."""
        self._changes: Callable[[float], dict[str, Any]] | None = None
        self._news: dict[str, Any] = {}  # of the transcript, not handed over yet
        self._whole = flight == "whole"
        self._hashes_frames = self._flight and not (record or self._whole)
        self._begin_batch()
        self.hand_over_at = started_at + self._batch_seconds
        """When what came together is due to go to the writer."""
        self._done: Future[None] | None = None  # from ``finish`` on
        self._broken = False
        self.dropped = 0
        """Entries lost because the writer could not keep up."""

    @property
    def failed(self) -> int:
        """How many files could not be written, or not to their end."""
        return self._files.failed

    @property
    def nothing_kept(self) -> bool:
        """Whether not one of the files is there; known once :meth:`closed` has returned."""
        return self._files.nothing_kept

    @property
    def silent_at(self) -> float:
        """If nothing has been handed over by then, nobody else sees to it. Who looked sooner would
        have the journal of all calls sorted time and again, for a few things each."""
        return self.hand_over_at + 2 * SORT_SECONDS

    def follow(
        self,
        changes: Callable[[float], dict[str, Any]],
        policy: object = None,
        frame_kind: str = FRAME_KIND,
    ) -> None:
        """``changes(now)`` tells what is new in the transcript: it is written as the call goes.

        As :meth:`Call.transcript_changes <opusbridge.call.call.Call.transcript_changes>`. To be
        called before anything else.

        ``policy`` says how the call is conducted: a dataclass, for the flight's first line;
        ``frame_kind`` what the wire calls the messages of the caller's frames.
        """
        self._changes = changes if self.keeps_words else None
        self._files.policy, self._files.frame_kind = policy, frame_kind
        if self._hashes_frames and may_judge(policy):  # by how loud they are
            self._hashes_frames = False
            self._begin_batch()
            self.hand_over_at += HAND_OVER_SECONDS - FLIGHT_SECONDS

    def hand_over_if_due(self, now: float) -> None:
        """To be called at :attr:`silent_at`: a silent line must not keep what is known."""
        if now >= self.hand_over_at:
            self.journal.sort(now)
            tell(self, now)

    def sorted(self, now: float) -> None:
        """The journal has been: hand over if that is due."""
        if now >= self.hand_over_at:
            self._hand_over(now)

    def broke(self, error: Exception) -> None:
        """Something was lost by a bug of ours; said once, for what follows may meet it as well."""
        self._changes = None  # lest it keep what else there is: all of it is written at the end
        if not self._broken:
            self._broken = True
            log.error("keeping a call broke", call_id=self._name, error=type(error).__name__)

    def observe(self, what: Event | Effect, now: float) -> None:
        """Every event and effect of the call, in order."""
        if type(what) in self.wanted:
            self._put(self._take_entry, (now, "", "", what), now)

    def said(self, peer: str, direction: str, text: str, now: float) -> None:
        """Every text of both sockets; ``peer`` is ``telephony`` or ``model``.

        ``direction`` is ``in`` for what the peer says, ``out`` for what we say.
        """
        if self._flight:
            self._put(self._take_entry, (now, peer, direction, text), now)

    def passed(self, frame: Frame, now: float) -> None:
        """A caller's frame went to the model as it came.

        The same as :meth:`said` of both texts, and :meth:`observe` of what they mean, without
        either: ``frame`` is what :meth:`Engine.passes <opusbridge.call.engine.Engine.passes>` gave.
        """
        self._put(self.take_frame, frame, now)

    def streamed(
        self, delta: events.Delta, around: Around, left: Sequence[str], now: float
    ) -> None:
        """The model's text was more of its answer in sound, and led to nothing but what ``left``.

        That is the same, whole or in pieces, with this ``around`` each and a mark behind it. The
        same as :meth:`said` of all.
        """
        if self._flight:
            self._put(self._take_sound, (delta, around, left), now)

    def worded(self, text: str, now: float) -> None:
        """The model's text was more of its answer in words, or all of it, and led to nothing.

        The same as :meth:`said`.
        """
        if self._flight:
            self._put(self._take_words, text, now)

    def echoed(self, text: str, now: float) -> None:
        """A mark of ours came back, and led to nothing. The same as :meth:`said`."""
        if self._flight:
            self._put(self._take_echo, text, now)

    def told(self, event: Event, now: float, policy: object = None) -> None:
        """The shell is about to hand this to the call: what came over neither socket.

        ``policy``: how the call is to be conducted from now on, if this says so.
        """
        if self._flight:
            self._put(self._take_entry, (now, SHELL, "in", (event, policy)), now)

    def finish(self, call: dict[str, Any], transcript: dict[str, Any] | None, now: float) -> None:
        """The call is over: complete all its files.

        Writes ``call.json`` and ``transcript.json`` from these values, which must not be
        changed afterwards. ``None``: what was told of the transcript as the call went must do.
        """
        self.journal.sort(now)
        self._done = done = Future[None]()
        # Whoever stops waiting in ``closed`` must not cancel it for the others.
        done.set_running_or_notify_cancel()
        last = partial(self._files.finish, self._batch, self.dropped, call, transcript, now)
        self._writer.submit_last(partial(_complete, last, done), self._size())
        # Whatever else is heard of the call comes too late for its files.
        self._flight, self._takes_frames, self.wanted = False, False, _NOTHING
        self._begin_batch()
        self._news, self._changes = {}, None

    async def closed(self) -> None:
        """Returns when everything is on the disk, or cannot be. After :meth:`finish`."""
        assert self._done is not None
        await asyncio.wrap_future(self._done)

    def _put(self, take: Callable[[Any, float], None], what: Any, now: float) -> None:
        journal = self.journal
        journal.put((self, take, what, now))
        if now >= journal.due:
            journal.sort(now)

    # --- What was put down, as the journal gives it back ----------------------------------

    def _take_entry(self, entry: Entry, _: float) -> None:
        self._batch.keep(entry)
        self._size_bytes += ENTRY_BYTES + _size_of(entry[3])

    def _take_sound(self, what: tuple[events.Delta, Around, Sequence[str]], now: float) -> None:
        delta, around, left = what
        self._batch.flow.spoke(delta, around, left, now)
        self._size_bytes += len(delta[4]) if self._whole else len(left[1])

    def _take_words(self, text: str, now: float) -> None:
        self._batch.flow.said(text, now)
        self._size_bytes += len(text)

    def _take_echo(self, text: str, now: float) -> None:
        self._batch.flow.echoed(text, now)
        self._size_bytes += len(text)

    # --- To the writer --------------------------------------------------------------------

    @property
    def _batch_seconds(self) -> float:
        return FLIGHT_SECONDS if self._hashes_frames else HAND_OVER_SECONDS

    def _begin_batch(self) -> None:
        flow = Columns(self._whole, sha256() if self._hashes_frames else None)
        self._batch, self._size_bytes = Batch(flow), 0
        self.take_frame = flow.passed if self._takes_frames else _leave
        """What takes a frame from the journal, until the next that is put down: for whoever puts
        them there himself, as :meth:`passed` does. Fifty times a second one call less."""

    def _hand_over(self, now: float) -> None:
        self.hand_over_at = now + self._batch_seconds
        if self._changes is not None:
            self._follow(self._changes(now))
        batch, size = self._batch, self._size()
        if not batch.flow and not batch.entries and not self._news:
            return
        self._begin_batch()
        if self._writer.submit(partial(self._files.write, batch, self.dropped, self._news), size):
            self._news = {}
            return
        # Everything may be lost but the word that nothing is to be kept.
        for entry in filter(_is_vital, batch.entries):
            self._batch.keep(entry)
        self.dropped += len(batch) - len(self._batch)

    def _size(self) -> int:
        """Of what came together, in bytes, roughly."""
        flow, told = self._batch.flow, len(self._news.get("items", ()))
        kept = sum(map(len, flow.frames)) + FLOW_BYTES * len(flow)
        return self._size_bytes + kept + ENTRY_BYTES * told

    def _follow(self, new: dict[str, Any]) -> None:
        """What is new in the transcript."""
        if new:
            self._news = merged(self._news, new)


def _leave(frame: Frame, now: float) -> None:
    """Nobody needs it."""


def _size_of(what: object) -> int:
    """What an entry keeps in memory that is worth counting, in bytes."""
    if isinstance(what, events.CallerSpoke | effects.PlayAudio):
        return what.audio.size_bytes
    return len(what) if isinstance(what, str) else 0


def _complete(job: partial[Iterator[None]], done: Future[None]) -> Iterator[None]:
    try:
        yield from job()
    finally:
        done.set_result(None)


@cache
def _wanted(record: bool, flight: bool) -> frozenset[type]:
    """The same for all calls that are kept alike."""
    return (_SOUND if record else _NOTHING) | (FACTS if flight else _NOTHING) | _VITAL


def _is_vital(entry: Entry) -> bool:
    what = entry[3]
    return type(what) in _VITAL or (isinstance(what, effects.Note) and what.kind == "withheld")

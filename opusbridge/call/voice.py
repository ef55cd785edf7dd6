"""The agent's voice: from the model's audio to what the caller heard of it.

Joins the path of conversion, the ledger and the transcript, so that what was played, what
was heard and what the model is told about it cannot disagree.
"""

from collections.abc import Callable
from math import inf

from opusbridge import effects, events
from opusbridge.call.kept import KeptSound
from opusbridge.call.line_clock import LineClock
from opusbridge.call.machines import earliest, remember
from opusbridge.call.media import AgentPath
from opusbridge.call.playout import PlayoutLedger
from opusbridge.call.policy import Clip, TelephonyTraits
from opusbridge.call.segments import Ended, Segment, Sent
from opusbridge.call.transcript import Transcript
from opusbridge.call.transcript_item import TranscriptItem
from opusbridge.call.wire_delay import Pings, WireDelay
from opusbridge.effects import Effect, Note
from opusbridge.sound import PCM_8K, PCM_16K, PCM_24K, Audio, AudioFormat, sound_bytes

PCM_AT = {form.rate_hz: form for form in (PCM_8K, PCM_16K, PCM_24K)}

#: Item ids of stored speech begin so; the model knows nothing of these items.
CLIP = "clip:"
#: Of them those that fill the silence while a tool is at work.
FILLER = "filler:"
#: And those that fill it on hold: files without words.
MUSIC = "file-"


class AgentVoice:
    """Every method takes ``now`` in seconds and returns effects in the order they must go."""

    def __init__(
        self,
        traits: TelephonyTraits,
        telephony: AudioFormat,
        model: AudioFormat,
        transcript: Transcript,
        call_ms: Callable[[float], int],
        may_pause: bool = False,
        pings: bool = False,
        clock: LineClock | None = None,
    ) -> None:
        """``may_pause``: a copy of what is on its way is kept, so that it can be sent again;
        ``pings``: the wire is asked how long it is; ``clock``: the caller's line."""
        self._traits = traits
        self._telephony = telephony
        self._path = AgentPath(model, telephony, traits.frame_bytes)
        wire = WireDelay(traits.wire_seconds, clock or LineClock())
        self._ledger = PlayoutLedger(telephony, traits.lead_seconds, wire)
        self._ledger.early_marks = pings and traits.marks
        self._pings = Pings(pings, of_every_run=not traits.marks)
        self._kept = KeptSound() if may_pause else None
        self._ledger.kept = self._kept
        self._on_path: Segment | None = None  # whose sound conversion may hold back
        self._transcript = transcript
        self._first_parts: dict[str, int] = {}  # of items at the ear
        self._call_ms = call_ms
        self._clips = 0
        self._unplayed: list[str] = []  # items of which something was not
        self.spoke = False
        """Something was played: the phone is answered."""

    # --- Speaking -----------------------------------------------------------------------

    def model_spoke(self, event: events.ModelSpoke, now: float) -> list[Effect]:
        """The caller of this has made sure that the response is for the caller's ear."""
        segment = self._ledger.segment(event.response_id, event.item_id, event.content_index)
        found: list[Effect] = []
        if segment is not self._on_path:
            found = self._rest(now)
            self._on_path = segment
        segment.received_ms += event.audio.ms
        audio = self._path.convert(event.audio)
        return found if audio is None else found + self._play(segment, audio, now)

    def came_too_late(self, event: events.ModelSpoke) -> None:
        """What was being said is cut, and this was on the wire already."""
        self.not_played(event.item_id)
        if self._was_played(event.item_id):  # its words come too, and are heard by their share
            part = event.content_index
            self._transcript.heard(event.item_id, 0.0, event.audio.ms, part)

    def worded(self, event: events.ModelWords) -> None:
        """The words of what is said; or text, which nobody hears."""
        words, part = event.text.value, event.content_index
        self._transcript.words(event.item_id, "agent", words, event.final, part)
        if event.written:
            self.not_played(event.item_id)

    def not_played(self, item_id: str) -> None:
        """Something of it is not for the caller's ear: it came too late, or as text."""
        if item_id not in self._unplayed:
            remember(self._unplayed, item_id)

    def never_played(self, item_id: str | None = None) -> list[Effect]:
        """The item is done, or all are: where nothing of it was ever played, the model must not
        believe that it said it."""
        ended = [one for one in self._unplayed if item_id in (None, one)]
        self._unplayed = [one for one in self._unplayed if one not in ended]
        return [effects.DeleteItem(one) for one in ended if not self._was_played(one)]

    def _was_played(self, item_id: str) -> bool:
        """Or is on its way to the ear."""
        item = self._transcript.item(item_id, "agent")
        return item_id in self.being_heard or item.received_ms > 0

    def goes_on(
        self, item_id: str, content_index: int, sound: str, now: float
    ) -> list[tuple[Sent, str]] | None:
        """The same of more sound of the part that came last, in base64: pieces, with their marks.

        ``None``, and as if never asked, where more than that would come of it.
        """
        segment, size_bytes = self._on_path, sound_bytes(sound)
        if segment is None or segment.item_id != item_id or self.would_ping(now):
            return None
        at_once = self._traits.marks and self._ledger.flows and self._path.passes(size_bytes)
        if segment.content_index != content_index or not at_once:
            return None
        segment.received_ms += size_bytes / self._telephony.bytes_per_ms
        leaving = self._ledger.play_at_once(segment, Audio(sound, self._telephony), now)
        return [(sent, self._ledger.place_mark(sent)) for sent in leaving]

    def sound_done(self, item_id: str, content_index: int, now: float) -> list[Effect]:
        """All the sound of this part has come: its end is played out and marked."""
        found: list[Effect] = []
        for segment in list(self._ledger.segments):
            if segment.item_id == item_id and segment.content_index == content_index:
                found += self._finish(segment, now)
        return found

    def response_over(self, response_id: str, now: float) -> list[Effect]:
        """Nothing more comes of it, whatever was left open."""
        found: list[Effect] = []
        for segment in list(self._ledger.segments):
            if segment.response_id == response_id:
                found += self._finish(segment, now)
        return found

    def session_lost(self) -> None:
        """What conversion holds back is no more than a click in what has become silence."""
        self._path.flush()
        self._on_path = None
        self._unplayed.clear()

    def say(self, name: str, clip: Clip, words: str, now: float) -> list[Effect]:
        """Stored speech, through the same ledger as everything the caller hears."""
        self._clips += 1
        return self._say(f"{CLIP}{name}-{self._clips}", clip, words, now)

    def say_as_agent(self, clip: Clip, words: str, now: float) -> tuple[str, list[Effect]]:
        """The same as an item of the conversation; with its id, for the model to be told."""
        self._clips += 1
        item_id = f"said-{self._clips}"
        return item_id, self._say(item_id, clip, words, now)

    def stop_filler(self, now: float, kind: str = FILLER) -> list[Effect]:
        """The answer begins: what only filled the silence before it, clips of this kind, is over,
        unless something else is being heard, too."""
        waits, paused = self.being_heard, self.paused
        if not waits or not all(one.startswith(CLIP + kind) for one in waits):
            return []
        cleared_at = now if paused else self._ledger.cleared_at(now)
        cut = self.stop(now, cleared_at)
        self._ledger.paused = paused  # then all is silent already, and stays so
        return [effects.ClearPlayout(cleared_at)] if cut and not paused else []

    def _say(self, item_id: str, clip: Clip, words: str, now: float) -> list[Effect]:
        self._transcript.words(item_id, "agent", words, final=True)
        self._transcript.aside(item_id, "agent").status = "completed"
        path = AgentPath(PCM_AT[clip.rate_hz], self._telephony, self._traits.frame_bytes)
        segment = self._ledger.segment("", item_id, 0)
        source = Audio.of(clip.pcm, PCM_AT[clip.rate_hz])
        segment.received_ms = source.ms
        found: list[Effect] = []
        for audio in (path.convert(source), path.flush()):
            if audio is not None:
                found += self._play(segment, audio, now)
        return found + self._leave(self._ledger.complete(segment, now), now)

    def _play(self, segment: Segment, audio: Audio, now: float) -> list[Effect]:
        return self._leave(self._ledger.play(segment, audio, now), now)

    def _finish(self, segment: Segment, now: float) -> list[Effect]:
        found = self._rest(now) if segment is self._on_path else []
        return found + self._leave(self._ledger.complete(segment, now), now)

    def _rest(self, now: float) -> list[Effect]:
        """What conversion still holds back belongs to the part that came through it last."""
        segment, self._on_path = self._on_path, None
        rest = self._path.flush() if segment is not None else None
        return [] if segment is None or rest is None else self._play(segment, rest, now)

    def _leave(self, leaving: list[Sent | Ended], now: float) -> list[Effect]:
        found: list[Effect] = []
        for one in leaving:
            if isinstance(one, Ended):
                found.append(effects.EndPlayout())
                continue
            found.append(one.effect)
            if self._traits.marks:
                found.append(effects.PlaceMark(self._ledger.place_mark(one)))
        self.spoke = self.spoke or bool(found)
        return found + self._ping_behind_sound(now)

    def answer(self, now: float) -> list[Effect]:
        """Silence answers the phone; what is said is heard after it."""
        self.answered(now)
        return [effects.AnswerCall(), *self._ping_behind_sound(now)]

    def answered(self, at: float) -> None:
        """Silence did, at that instant."""
        self._ledger.silent_until(at + effects.AnswerCall().silence_ms / 1000)

    # --- Being heard --------------------------------------------------------------------

    def echoed(self, event: events.MarkReached | events.PingAnswered, now: float) -> list[Effect]:
        """Something came back that went out with the sound."""
        if isinstance(event, events.MarkReached):
            return self.mark_reached(event.name, now)
        return self.ping_answered(event.name, now)

    def mark_reached(self, name: str, now: float) -> list[Effect]:
        if not self._ledger.mark_reached(name, now):
            return [Note("stray", "mark")]
        return self._set_right(now)

    def ping(self, now: float) -> list[Effect]:
        """How far away is the ear? Early in the call, and then while nothing is heard."""
        due = self.would_ping(now)
        return [effects.PingTelephony(self._pings.ask(None, now))] if due else []

    def would_ping(self, now: float) -> bool:
        """Whether :meth:`ping` would."""
        return self._pings.due(not self._ledger.segments, now)

    def awaits(self, name: str, more: bool) -> bool:
        """Whether this is the next mark; ``more``: and sound that was sent follows it. Or one
        that was flushed or lost, and says nothing."""
        return self._ledger.is_stale(name) or self._ledger.awaits(name, more)

    def ping_answered(self, name: str, now: float) -> list[Effect]:
        answered = self._pings.answered(name, now)
        if answered is None:
            return [Note("stray", "pong")]
        self._ledger.pinged(*answered, now)
        return self._set_right(now)

    def _ping_behind_sound(self, now: float) -> list[Effect]:
        run = self._ledger.run
        due = self._pings.due_behind(run)
        return [effects.PingTelephony(self._pings.ask(run, now))] if due else []

    def _set_right(self, now: float) -> list[Effect]:
        """The clock may have been: what was heard by it is written down, and who asked told."""
        self.settle(now)
        by_seconds = self._ledger.moved(now)
        return [effects.MovePlayout(by_seconds)] if by_seconds else []

    def play_finished(self, now: float) -> None:
        """Nothing the clock has not said before (playout.py): an occasion to write it down."""
        self.settle(now)

    def settle(self, now: float) -> None:
        """Write down what was heard to its end."""
        for segment in self._ledger.settle(now):
            self._write(segment)

    def stop(self, now: float, at: float | None = None) -> list[Segment]:
        """The line is silent, from ``at`` on: what is not heard by then never will be. Returns
        what was cut."""
        self.settle(now)
        unheard = self._ledger.cut(now, at)
        self._path.clear()
        self._on_path = None
        for segment in unheard:
            self._write(segment)
        return unheard

    def show_progress(self, now: float) -> None:
        """Write down what was heard by now, for a reader who looks before the end."""
        for segment, heard_ms in self._ledger.glance(now):
            part = segment.content_index
            self._transcript.playing(segment.item_id, heard_ms, segment.received_ms, part)
            if heard_ms > 0:
                item = self._transcript.item(segment.item_id, "agent")
                self._began(item, segment)

    def _began(self, item: TranscriptItem, segment: Segment) -> None:
        """As far as it is known: an echo may still tell better while its first part is heard."""
        if item.started_ms is None:
            self._first_parts[item.item_id] = segment.content_index
        if self._first_parts.get(item.item_id) == segment.content_index:
            item.started_ms = self._call_ms(segment.starts_at)

    def audible(self, now: float) -> bool:
        return self._ledger.audible(now)

    def agent_audible(self, now: float) -> bool:
        """The same of what the agent says itself: stored speech is not its."""
        self.settle(now)
        return any(not item_id.startswith(CLIP) for item_id in self.being_heard)

    def silent_at(self, now: float) -> float:
        return self._ledger.silent_at(now)

    def hears(self, what: str | None) -> bool:
        """Whether sound of this response, or item, is on its way to the ear."""
        return any(what in (one.response_id, one.item_id) for one in self._ledger.segments)

    @property
    def being_heard(self) -> set[str]:
        """The items on their way to the ear."""
        return {segment.item_id for segment in self._ledger.segments}

    @property
    def deadline(self) -> float | None:
        return earliest(self._ledger.deadline, self._pings.deadline)

    def timed_out(self, now: float) -> list[Effect]:
        """Paced sound whose time has come, and early pings."""
        return self.ping(now) + self._leave(self._ledger.release(now), now)

    # --- Pausing ------------------------------------------------------------------------

    @property
    def paused(self) -> bool:
        return self._ledger.paused

    def may_pause(self, sounding_at: float, now: float) -> bool:
        """Whether it is heard, was at that earlier instant, and can be sent again."""
        began = min((one.starts_at for one in self._ledger.segments if one.sent), default=now)
        return began <= sounding_at and self._ledger.may_pause(now)

    def pause(self, now: float) -> list[Effect]:
        """Silence, until :meth:`resume` or :meth:`cut`; what comes meanwhile waits."""
        self.settle(now)
        self._ledger.pause(now)
        return [effects.ClearPlayout(self._ledger.cleared_at(now))]

    def resume(self, now: float) -> list[Effect]:
        """From where the caller stopped hearing it."""
        return self._leave(self._ledger.resume(now, self._traits.frame_bytes), now)

    def loudest(self, since: float, until: float) -> float:
        """In dBFS, of what was heard in between."""
        return -inf if self._kept is None else self._kept.loudest(since, until)

    # --- Being cut ----------------------------------------------------------------------

    def cut(self, now: float, line_gone: bool = False) -> tuple[list[Effect], list[Effect]]:
        """Silence, and what to tell the model: two lists, for other things go between.

        The item at the ear is cut to what was heard of it, those behind it are deleted; what
        was heard completely, or taken for it and held up, is left alone, since a truncation
        destroys its words. ``line_gone``: there is nothing any more to clear.
        """
        silence: list[Effect] = []
        cleared_at = now
        if not self.paused:
            cleared_at = self._ledger.cleared_at(now)
            silenced = effects.CutPlayout if line_gone else effects.ClearPlayout
            silence = [silenced(cleared_at)]
        held_up = self._ledger.held_up(now)
        unheard = self.stop(now, cleared_at)
        if not unheard and not held_up:
            return [], []
        told: list[Effect] = []
        deleted: set[str] = set()
        for segment in unheard:
            item_id, heard_ms = segment.item_id, int(segment.heard_ms)
            if item_id.startswith(CLIP):
                continue
            item_heard = self._transcript.item(item_id, "agent").heard_ms >= 1
            if heard_ms < 1 and item_heard:
                # A part behind a heard one: 0 is not documented to work.
                heard_ms = min(1, int(segment.received_ms))
            if heard_ms >= 1:
                told.append(effects.TruncateItem(item_id, segment.content_index, heard_ms))
                told.append(Note("truncated", "", (item_id,), float(heard_ms)))
            elif not item_heard and item_id not in deleted:
                deleted.add(item_id)
                told.append(effects.DeleteItem(item_id))
        return silence, told

    def _write(self, segment: Segment) -> None:
        item = self._transcript.item(segment.item_id, "agent")
        part = segment.content_index
        self._transcript.heard(segment.item_id, segment.heard_ms, segment.received_ms, part)
        if segment.heard_ms > 0:
            self._began(item, segment)
            item.ended_ms = self._call_ms(segment.ends_at)
        if self._first_parts.get(item.item_id) == part:
            del self._first_parts[item.item_id]

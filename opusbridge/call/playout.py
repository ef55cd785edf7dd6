"""What the caller has heard: one ledger, the source of truth for everything that asks.

Sent is not heard. The model speaks faster than real time and the telephony side buffers,
so the ledger keeps, for each audio part of each item, what was received from the model,
what was sent to the telephony side and what has reached the ear.

Where barge-in is to be confirmed, playing can be paused: what the far side holds is thrown away
there, but not here, and is sent again from the heard byte on.

The clock says how far the far side has played: it plays in real time whatever it has, and
begins one way over the wire after it was sent (``wire_delay``). Where it reports marks, each
mark that comes back sets the clock right: its sound was heard one way ago, and the caller's own
frames tell how long that was (``line_clock``). A mark that has not
come back holds it: heard is never more than one way beyond the next outstanding mark (for a
bounded time, since a mark may be lost). A clear begins a new epoch: the far side returns the
marks of what it threw away too, and those are not "heard", nor tell how long the way is.

Where nothing is reported, sound is kept back here and sent with a bounded lead, so that
little is lost, or wrongly believed heard, when the caller cuts in; a ping behind the first sound
tells how long that was on its way. A "that
prompt was played" (AudioCodes' ``playFinished``) can correct nothing: whether it says of which
sound, and what it says of cut ones, is not documented, and it would mark newer sound heard.
"""

from dataclasses import dataclass, field

from opusbridge.audio.formats import silence_byte
from opusbridge.call.kept import KeptSound
from opusbridge.call.segments import Ended, Segment, Sent, marked
from opusbridge.call.wire_delay import Run, Trip, WireDelay
from opusbridge.sound import Audio, AudioFormat

#: Paced sound leaves in pieces of this length: ten wakes a second are cheap, and a fifth
#: of a second of lead is always left.
PIECE_MS = 100

#: How long an outstanding mark may hold the clock after its sound should have been heard:
#: the wire's delay and the far side's own buffer are far below.
MARK_PATIENCE_SECONDS = 1.0

#: The far side may play on for so long after a clear has left us.
CLEAR_SECONDS = 0.3

#: After so long an outstanding mark is taken to be lost, and its echo would set nothing right.
MARK_LOST_SECONDS = 30.0

#: Names of marks that a clear flushed, or that were lost, known until they come back: as many
#: as the far side can hold, and far more than were ever outstanding.
MOST_STALE_MARKS = 10_000


@dataclass(slots=True)
class PlayoutLedger:
    """Every method takes ``now`` in seconds; positions are bytes since the epoch began."""

    format: AudioFormat
    lead_seconds: float | None
    wire: WireDelay
    kept: KeptSound | None = None
    """A copy of what was sent, where playing may be paused."""
    early_marks: bool = False  # the beginning of a run is cut for more
    paused: bool = False
    segments: list[Segment] = field(default_factory=list)
    """Not yet completely heard, in the order in which they began."""
    _waiting: list[tuple[Segment, bytes | None]] = field(default_factory=list)
    _sent: int = 0
    _empties_at: float = 0.0
    """When everything sent was heard."""
    _run: Run | None = None
    _heard: int = 0
    _marks: list[tuple[str, int, float]] = field(default_factory=list)
    _stale_marks: dict[str, None] = field(default_factory=dict)
    _marks_placed: int = 0

    # --- Sound comes in -----------------------------------------------------------------

    def segment(self, response_id: str, item_id: str, content_index: int) -> Segment:
        """The one for this part; a new one is heard after all the others."""
        for segment in reversed(self.segments):
            same = segment.item_id == item_id and segment.content_index == content_index
            if same and not segment.complete:
                return segment
        segment = Segment(response_id, item_id, content_index)
        self.segments.append(segment)
        return segment

    def play(self, segment: Segment, audio: Audio, now: float) -> list[Sent | Ended]:
        """Take sound in the telephony format, whole samples; what may leave now is returned."""
        if self.flows:
            return [*self.play_at_once(segment, audio, now)]
        segment.taken += audio.size_bytes
        raw, piece = audio.raw, PIECE_MS * self.format.bytes_per_ms
        for start in range(0, len(raw), piece):
            self._waiting.append((segment, raw[start : start + piece]))
        return self.release(now)

    @property
    def flows(self) -> bool:
        """Whether what comes now leaves now."""
        return self.lead_seconds is None and not self.paused

    def _begun(self, now: float) -> int:
        """How much of the run was sent that what comes now belongs to."""
        run = self._run if self._follows(now) else None
        return 0 if run is None else self._sent - run.begins

    def play_at_once(self, segment: Segment, audio: Audio, now: float) -> list[Sent]:
        """All of it, in the pieces that are to be marked; only while it :attr:`flows`."""
        segment.taken += audio.size_bytes
        pieces = marked(audio, self._begun(now)) if self.early_marks else [audio]
        return [self._send(segment, piece, now) for piece in pieces]

    def complete(self, segment: Segment, now: float) -> list[Sent | Ended]:
        """The model will add nothing to this part; the utterance ends behind it."""
        if segment.complete:
            return []
        segment.complete = True
        if segment.taken == 0:
            self.segments.remove(segment)
            return []
        self._waiting.append((segment, None))
        return self.release(now)

    def release(self, now: float) -> list[Sent | Ended]:
        """What may leave now: all of it where the far side buffers, in the pieces in which it
        came, for each has a mark; else the lead's worth, in as few pieces as can be, each of one
        response: a ping behind them tells of the first."""
        found: list[Sent | Ended] = []
        paced = self.lead_seconds is not None
        while self._waiting and not self.paused:
            segment, raw = self._waiting[0]
            if raw is None:
                found.append(Ended())
            elif paced and now < self._room_at:
                break
            else:
                sent = self._send(segment, Audio.of(raw, self.format), now)
                before = found[-1] if paced and found and sent.follows else None
                if isinstance(before, Sent) and before.response_id == sent.response_id:
                    found[-1] = before.and_then(sent)
                else:
                    found.append(sent)
            del self._waiting[0]
        return found

    def _send(self, segment: Segment, audio: Audio, now: float) -> Sent:
        run, follows = self._run, self._follows(now)
        if run is None or not follows:
            run = self._begin(now)
        starts_at = self._empties_at
        begin, end = self._sent, self._sent + audio.size_bytes
        if self.kept is not None:
            self.kept.add(segment, audio, begin, starts_at, self.heard_position(now), now)
        if not segment.sent:
            segment.starts_at = starts_at
        if segment.stretches and segment.stretches[-1][1] == begin:
            begin = segment.stretches.pop()[0]
        segment.stretches.append((begin, end))
        segment.sent += audio.size_bytes
        self._sent = end
        self._empties_at = segment.ends_at = run.heard_at(end)
        return Sent(audio, starts_at, end, follows, segment.response_id)

    def _follows(self, now: float) -> bool:
        """Whether what is sent now finds the far side playing."""
        return self._run is not None and now + self.wire.seconds <= self._empties_at

    def _begin(self, sent_at: float) -> Run:
        """What comes is heard after a pause."""
        rate, delay = self.format.bytes_per_ms * 1000, self.wire.seconds
        self._run = run = Run(self._sent, sent_at, rate, delay, delay)
        self._empties_at = run.heard_at(self._sent)
        return run

    @property
    def _room_at(self) -> float:
        """When the next piece of paced sound fits into the lead, which the wire does not eat."""
        delay = 0.0 if self._run is None else self._run.delay
        return self._empties_at - delay - (self.lead_seconds or 0.0) + PIECE_MS / 1000

    @property
    def deadline(self) -> float | None:
        """When the next waiting sound may leave."""
        return self._room_at if self._waiting and not self.paused else None

    # --- What is known of the ear -------------------------------------------------------

    def place_mark(self, sent: Sent | None = None) -> str:
        """A name never used before, for the end of that; ``None``: of all sent so far."""
        self._marks_placed += 1
        name = f"mark-{self._marks_placed}"
        end, due = self._sent, self._empties_at
        if sent is not None:
            end, due = sent.end, sent.starts_at + sent.audio.ms / 1000
        self._marks.append((name, end, due))
        return name

    def mark_reached(self, name: str, now: float) -> bool:
        """Whether the name was one of ours; a mark flushed by a clear changes nothing."""
        if name in self._stale_marks:
            del self._stale_marks[name]
            return True
        if not self.awaits(name, False) and all(name != placed for placed, _, _ in self._marks):
            return False
        while True:
            placed, position, _ = self._marks.pop(0)
            if placed == name:
                break  # those before it were heard too; their echoes were lost
            self._spoil([placed])
        self._heard = max(self._heard, position)
        if self._run is not None and position > self._run.begins:
            self._run.came_back(position, now, self.wire)
            self._set_right(self._run)
        return True

    def is_stale(self, name: str) -> bool:
        """Whether the mark was flushed by a clear, or lost: it changes nothing but that."""
        return name in self._stale_marks

    def awaits(self, name: str, more: bool) -> bool:
        """Whether this is the next mark; ``more``: and sound that was sent follows it."""
        if not self._marks or self._marks[0][0] != name:
            return False
        return not more or self._marks[0][1] < self._sent

    def pinged(self, trip: float, run: Run | None, now: float) -> None:
        """A ping took so long, there and back; ``run``: it left with its first sound."""
        if run is None or run is not self._run:
            self.wire.came_back(Trip(), trip, now)
            return
        run.pinged(trip, now, self.wire)
        self._set_right(run)

    def _set_right(self, run: Run) -> None:
        """By an echo: that says when its sound was heard, and so all the run's."""
        self._empties_at = run.heard_at(self._sent)
        for segment in self.segments:
            segment.heard_with(run.begins, run.heard_at)

    def moved(self, now: float) -> float:
        """How much later than foretold the sound sent last is heard, since last asked."""
        return 0.0 if self._run is None else self._run.moved(now)

    @property
    def run(self) -> Run | None:
        """The sound sent last, as far as it is heard without a pause."""
        return self._run

    def silent_until(self, at: float) -> None:
        """The far side has silence to play until then, which is no part's."""
        if at + self.wire.seconds > self._empties_at:
            self._begin(at)

    def heard_position(self, now: float) -> int:
        """Bytes of this epoch that have reached the ear; never runs backwards."""
        while self._marks and now >= self._marks[0][2] + MARK_LOST_SECONDS:
            self._spoil([self._marks.pop(0)[0]])
        self._heard = self._position(now)
        return self._heard

    def cleared_at(self, now: float) -> float:
        """When a clear that leaves now reaches the far side: until then it plays on."""
        return now + self.wire.seconds

    def _position(self, now: float, at: float | None = None) -> int:
        """At ``at``, which is now or soon, as far as it is known now."""
        at = now if at is None else at
        position = self._sent - self._bytes(max(0.0, self._empties_at - at))
        for _, held, due in self._marks:
            if now < due + MARK_PATIENCE_SECONDS:
                position = min(position, held + self._bytes(self.wire.seconds + at - now))
                break  # the others are further on; those before it are taken to be lost
        return max(self._heard, position)

    def heard_ms(self, segment: Segment, now: float) -> float:
        """How much of this part was heard, never more than was received of it."""
        return self._heard_of(segment, self.heard_position(now))

    def glance(self, now: float) -> list[tuple[Segment, float]]:
        """What was heard by now of each part on its way; for showing, it changes nothing."""
        position = self._position(now)
        return [(one, self._heard_of(one, position)) for one in self.segments]

    def _heard_of(self, segment: Segment, position: int) -> float:
        heard = segment.heard_bytes(position)
        if segment.complete and heard == segment.taken:
            return segment.received_ms
        return min(heard / self.format.bytes_per_ms, segment.received_ms)

    def silent_at(self, now: float) -> float:
        """When the caller will have heard everything; ``now`` or earlier if he has."""
        waiting = sum([len(raw) for _, raw in self._waiting if raw]) if self._waiting else 0
        return max(self._empties_at, now if waiting else 0.0) + self._seconds(waiting)

    def audible(self, now: float) -> bool:
        """Whether the caller is, or is about to be, listening to the agent."""
        return bool(self._waiting) or self.heard_position(now) < self._sent

    def held_up(self, now: float) -> bool:
        """Whether by its late echoes something is still to be heard, though the clock, which ran
        on without them, may have taken it for heard."""
        return bool(self._marks) and now < self._empties_at

    # --- Pausing ------------------------------------------------------------------------

    def may_pause(self, now: float) -> bool:
        """Whether something is on its way to the ear, and all of it could be sent again."""
        kept = self.kept is not None and self.kept.has_all_after(self.heard_position(now))
        return kept and not self.paused and self.audible(now)

    def pause(self, now: float) -> None:
        """Nothing leaves any more, and what was sent but not heard waits again; a new epoch.

        Only where :meth:`may_pause`; the far side must be cleared.
        """
        assert self.kept is not None
        cleared_at = self.cleared_at(now)
        position = self._position(now, cleared_at)
        position -= position % self.format.sample_bytes
        again = self.kept.unheard(position)
        for segment in self.segments:
            segment.heard_before = segment.heard_bytes(position)
            segment.sent, segment.stretches = segment.heard_before, []
            segment.ends_at = min(cleared_at, segment.ends_at)
        # Where the end of an utterance has left already, it is behind its sound again.
        open_ended = {segment for segment, raw in self._waiting if raw is None}
        last = {segment: at for at, (segment, _) in enumerate(again)}
        back: list[tuple[Segment, bytes | None]] = []
        for at, (segment, raw) in enumerate(again):
            back.append((segment, raw))
            if segment.complete and last[segment] == at and segment not in open_ended:
                back.append((segment, None))
        self._waiting[:0] = back
        self.kept.cut(now + CLEAR_SECONDS)
        self._begin_epoch(now)
        self.paused = True

    def resume(self, now: float, frame_bytes: int) -> list[Sent | Ended]:
        """From the heard byte on, behind as much silence as makes the first frame whole."""
        self.paused = False
        first = self._waiting[0][1] if self._waiting else None
        silence = silence_byte(self.format) * (-len(first or b"") % frame_bytes)
        if silence:
            run = self._begin(now)
            starts_at = self._empties_at
            self._sent += len(silence)
            self._empties_at = run.heard_at(self._sent)
        found = self.release(now)
        if silence and isinstance(found[0], Sent):
            whole = Audio.of(silence + found[0].audio.raw, self.format)
            found[0] = Sent(whole, starts_at, found[0].end, False, found[0].response_id)
        return found

    # --- Sound goes out of the ledger ---------------------------------------------------

    def settle(self, now: float) -> list[Segment]:
        """Those heard to their end since last asked; they leave the ledger."""
        position = self.heard_position(now)
        done = [one for one in self.segments if one.complete and one.is_heard(position)]
        for segment in done:
            self.segments.remove(segment)
            segment.heard_ms = segment.received_ms
            segment.ends_at = min(now, segment.ends_at)
        return done

    def cut(self, now: float, at: float | None = None) -> list[Segment]:
        """Everything not completely heard by now, with how much was, or will be until ``at``; a
        new epoch begins. What ends so soon may well be heard, but nobody can vouch for it."""
        at = now if at is None else at
        unheard, position = self.segments, self._position(now, at)
        for segment in unheard:
            segment.heard_ms = self._heard_of(segment, position)
            segment.ends_at = min(at, segment.ends_at)
        self.segments = []
        self._waiting.clear()
        self.paused = False
        if self.kept is not None:
            self.kept.cut(at)
        self._begin_epoch(now)
        return unheard

    def _begin_epoch(self, now: float) -> None:
        self._spoil([name for name, _, _ in self._marks])
        self._marks.clear()
        self._sent = self._heard = 0
        self._empties_at, self._run = now, None

    def _spoil(self, names: list[str]) -> None:
        """Their echoes will say nothing, but they are ours."""
        self._stale_marks.update(dict.fromkeys(names))
        while len(self._stale_marks) > MOST_STALE_MARKS:
            del self._stale_marks[next(iter(self._stale_marks))]

    def _bytes(self, seconds: float) -> int:
        return round(seconds * 1000 * self.format.bytes_per_ms)

    def _seconds(self, size_bytes: int) -> float:
        return size_bytes / (self.format.bytes_per_ms * 1000)

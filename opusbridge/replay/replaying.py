"""Runs the engine on what once came to it, and compares what leaves with what left.

Nothing waits: the time is what the recording says. Control messages must be the same to the
byte, sound must be as long as it was, and the same where the recording kept all that came.
What was withheld or redacted cannot be handed in again; once the engine goes another way after
that, nothing more can be told.
"""

import hashlib
from base64 import b64encode
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import orjson

from opusbridge import effects, events
from opusbridge.call.call import Call
from opusbridge.call.engine import Engine, Outgoing, TelephonyProtocol
from opusbridge.call.policy import CallPolicy
from opusbridge.privacy import Private
from opusbridge.protocols.audiocodes import AudioCodesProtocol
from opusbridge.protocols.realtime import RealtimeProtocol
from opusbridge.protocols.twilio import TwilioProtocol
from opusbridge.recording.loudness import Line as SpokenLine
from opusbridge.recording.reading import Salvage, salvage
from opusbridge.recording.redaction import REDACTED, redacted
from opusbridge.recording.shapes import Said, Shaper, Sound, composed, digest
from opusbridge.recording.withholding import WITHHELD, wordless
from opusbridge.replay.moments import Line, Moment, moments
from opusbridge.replay.values import built
from opusbridge.sound import Audio
from opusbridge.texts import from_json

_PROTOCOLS: dict[str, Callable[[], TelephonyProtocol]] = {
    "twilio": TwilioProtocol,
    "audiocodes": AudioCodesProtocol,
}

#: For where a caller went in a pause: no wire takes just any text.
SOMEWHERE = Private(f"sip:{WITHHELD}")

#: Lines shown before a difference.
CONTEXT = 8

#: Why another sound may leave.
UNHEARD = "some of the sound, such as that of a pause, is not in the file"

#: Why what comes next cannot be told.
DAMAGED = "the file is cut off or damaged"

#: Why what is made of a tool's words may be another.
SECRET = "what looks like a secret in a tool's words is not in the file"

#: Characters shown of a message on either side of where two begin to differ.
AROUND = 120


@dataclass(frozen=True, slots=True)
class Difference:
    """The first thing that did not go as it went."""

    t: float
    expected: str
    """What left then, as the recording has it."""
    came: str
    """What leaves now."""
    context: tuple[str, ...]
    """What happened just before, a line each, with nothing of what was said."""

    def __str__(self) -> str:
        before = "\n".join(f"  {line}" for line in self.context)
        return (
            f"the first difference is at {self.t:.3f} s, after\n{before}\n"
            f"  expected: {self.expected}\n  came:     {self.came}"
        )


@dataclass(slots=True)
class Replay:
    """What came of it."""

    call_id: str
    telephony: str
    messages: int = 0
    """Control messages that left as they did."""
    frames: int = 0
    """Messages with sound that did."""
    seconds: float = 0.0
    """Replayed so far, of the call."""
    difference: Difference | None = None
    stopped: str = ""
    """Why it could not be replayed to its end; empty: it was."""
    unread: str = ""
    """What of the file cannot be read, in a few words; empty: nothing."""

    @property
    def exact(self) -> bool:
        """Nothing differed, as far as it could be replayed."""
        return self.difference is None

    def __str__(self) -> str:
        if self.difference is not None:
            return f"call {self.call_id}: {self.difference}"
        told = (
            f"call {self.call_id} over {self.telephony}: {self.messages} messages and "
            f"{self.frames} of sound as they were, {self.seconds:.1f} s"
        )
        return f"{told}; then {self.stopped}" if self.stopped else told


def replay(flight: Path) -> Replay:
    """Play a flight recording again, up to the first difference.

    Raises ``ValueError``, with one line of text, for a file that is none, and ``OSError``.
    """
    found = salvage(flight)
    played = _Player(found).play()
    played.unread = str(found)
    return played


def assert_replays(flight: Path, *, messages: int = 0, ended: bool = False) -> None:
    """For tests: the call goes as it went. Raises ``AssertionError`` with the difference.

    What cannot be replayed is no difference; but so many ``messages`` must leave as they did,
    and with ``ended`` the call must come to its end.
    """
    played = replay(flight)
    if not played.exact:
        raise AssertionError(str(played))
    if played.messages < messages:
        raise AssertionError(f"only {played.messages} messages of {messages} were proved: {played}")
    if ended and played.stopped:
        raise AssertionError(f"it did not come to its end: {played}")


@dataclass(slots=True)
class _Left:
    """What leaves now."""

    peer: str
    shape: Sound | Said
    text: str


@dataclass(slots=True)
class _Hashes:
    """Of the sound of runs under way."""

    by_run: dict[int, Any] = field(default_factory=dict)

    def agree(self, run: int, sound: Sound, sha256: str | None) -> bool:
        """``sha256`` is of the run, with its last piece."""
        so_far = self.by_run.setdefault(run, hashlib.sha256())
        so_far.update(sound.text.encode())
        if sha256 is None:
            return True
        del self.by_run[run]
        return bool(so_far.hexdigest() == sha256)


class _Player:
    def __init__(self, found: Salvage) -> None:
        header, *lines = found.lines
        self._moments = moments(lines, found.places[1:])
        self._lines, self._damaged = lines, bool(found.unread)
        try:
            self._policy = built(CallPolicy, header["policy"])
            began_at = float(header["began_at"])
            protocol = _PROTOCOLS[self._policy.telephony.name]()
        except (KeyError, TypeError, ValueError, AttributeError, StopIteration):
            raise ValueError("a flight recording without the policy of its call") from None
        self._engine = Engine(Call(self._policy, began_at), protocol, RealtimeProtocol())
        self._shaper, self._line = Shaper(), SpokenLine()
        self._whole, self._hashes = header.get("whole") is True, _Hashes()
        self._leaving: deque[_Left] = deque()
        self._before: deque[str] = deque(maxlen=CONTEXT)
        self._hidden = ""
        self._unheard = self._redacted = False
        self._broke = ""
        self._played = Replay(str(header.get("call_id")), self._policy.telephony.name)

    def play(self) -> Replay:
        played = self._played
        for number, moment in enumerate(self._moments, 1):
            if moment.number != number:
                played.stopped = self._why_missing() or DAMAGED
                return played
            if moment.at is not None:
                self._nothing_left(moment)
                if played.difference is None and not played.stopped:
                    self._take(moment, moment.at)
            else:
                self._compare(moment)
            if played.difference is not None or played.stopped:
                return played
            self._before.append(str(moment))
            self._line.said((moment.line or {}).get("text"))
            played.seconds = moment.t
        self._finish()
        return played

    # --- In -----------------------------------------------------------------------------

    def _take(self, moment: Moment, now: float) -> None:
        if moment.withheld:
            self._hidden = "the words of a pause are withheld"
        elif moment.secret:
            self._hidden = "keys that were typed in secret are not in the file"
        if moment.unheard and self._whole:
            self._unheard = True  # how loud it was is there, where that matters
        self._redacted = self._redacted or moment.redacted
        try:
            out = self._handed_in(moment, now)
        except Exception as error:  # noqa: BLE001  # as the shell: the next thing that came is Broke
            self._broke = f" (the engine raised {type(error).__name__})"
            return
        self._broke = ""
        for effect in out.effects:
            match effect:
                case effects.PauseRecording():
                    self._shaper.paused = True
                case effects.ResumeRecording():
                    self._shaper.paused = False
                case effects.Note("withheld", reason, ids):
                    self._shaper.withhold(ids, reason)
        for peer, texts in (("telephony", out.to_telephony), ("model", out.to_model)):
            self._leaving += (
                _Left(peer, self._shaper.shape(peer, "out", text), text) for text in texts
            )

    def _handed_in(self, moment: Moment, now: float) -> Outgoing:
        engine = self._engine
        if moment.peer == "shell":
            return self._told(moment, now)
        if moment.passed and moment.sound is not None:
            sound = self._heard(moment.sound, moment)
            audio = Audio.of(sound.raw, self._line.telephony)
            return engine.happened(events.CallerSpoke(audio, sound.stamp_ms), now)
        text = moment.text if moment.sound is None else composed(self._heard(moment.sound, moment))
        self._shaper.shape(moment.peer, "in", text)  # what it is about may have to be withheld
        said = engine.telephony_said if moment.peer == "telephony" else engine.model_said
        return said(text, now)

    def _told(self, moment: Moment, now: float) -> Outgoing:
        event = moment.event
        if isinstance(event, events.TransferRequested) and moment.withheld:
            event = replace(event, target=SOMEWHERE)
        if not isinstance(event, events.CallConfigured):
            return self._engine.happened(event, now)
        if event.changed:
            assert moment.line is not None
            self._policy = built(CallPolicy, moment.line["policy"])
        return self._engine.configured(self._policy if event.changed else None, now)

    def _heard(self, sound: Sound, moment: Moment) -> Sound:
        """As loud as it was, where that is all that is known."""
        if moment.levels is None:
            return sound
        raw = self._line.as_loud(moment.peer, moment.levels, len(sound.raw))
        return replace(sound, text=b64encode(raw).decode())

    # --- Out ----------------------------------------------------------------------------

    def _nothing_left(self, moment: Moment) -> None:
        if self._leaving:
            left = self._leaving[0]
            self._differ(moment, "nothing more", _told(left))

    def _compare(self, moment: Moment) -> None:
        if not self._leaving:
            self._differ(moment, _as_it_was(moment), f"nothing{self._broke}")
            return
        left = self._leaving.popleft()
        if left.peer != moment.peer:
            self._differ(moment, _as_it_was(moment), _told(left))
        elif moment.sound is not None:
            self._compare_sound(moment, moment.sound, left)
        else:
            self._compare_message(moment, left)

    def _compare_sound(self, moment: Moment, was: Sound, left: _Left) -> None:
        now = left.shape
        alike = isinstance(now, Sound) and (now.kind, now.of) == (was.kind, was.of)
        if not isinstance(now, Sound) or not alike or len(now.raw) != len(was.raw):
            self._differ(moment, _as_it_was(moment), _told(left))
        elif self._whole and not self._hashes.agree(moment.run, now, moment.sha256):
            self._hidden = self._hidden or (UNHEARD if self._unheard else "")
            self._differ(moment, _as_it_was(moment), "other sound of that length")
        else:
            self._played.frames += 1

    def _compare_message(self, moment: Moment, left: _Left) -> None:
        assert moment.line is not None
        if _same(moment.line, left):
            self._played.messages += 1
            return
        wanted, told = _as_it_was(moment), _told(left)
        if self._redacted and REDACTED in wanted:
            self._hidden = self._hidden or SECRET
        if wanted == told:
            told = "the same with another hash: the file was changed, or we spell it otherwise now"
            self._differ(moment, _around(wanted, 0), told)
            return
        self._differ(moment, *_where_they_differ(wanted, told))

    # --- What came of it ----------------------------------------------------------------

    def _differ(self, moment: Moment, expected: str, came: str) -> None:
        t = moment.t
        if self._hidden:
            self._played.stopped = f"not reproducible from {t:.1f} s on: {self._hidden}"
        elif self._deaf:
            self._played.stopped = (
                f"not reproducible from {t:.1f} s on: barge-in was judged by loudness, and the "
                "sound is not in the file (OPUSBRIDGE_FLIGHT=whole keeps it)"
            )
        else:
            self._played.difference = Difference(t, expected, came, tuple(self._before))

    @property
    def _deaf(self) -> bool:
        """The engine listens to what it was not given."""
        judges = self._policy.listens or self._policy.confirm_ms is not None
        judges = judges and not self._whole
        return judges and all(moment.levels is None for moment in self._moments)

    def _finish(self) -> None:
        endings = [line for line in self._lines if line.get("note") == "ended"]
        if not endings:
            self._played.stopped = "the file ends, before the call does"
            return
        self._hidden = self._hidden or self._why_missing()  # it may be what came last
        if self._moments:
            self._nothing_left(self._moments[-1])
        now = self._engine.ended
        was = str(endings[-1].get("reason"))
        came = "no ending" if now is None else f"the ending {now.reason}"
        if came != f"the ending {was}" and self._moments and not self._played.difference:
            self._differ(self._moments[-1], f"the ending {was}", came)

    def _why_missing(self) -> str:
        """Empty: the file does not say that anything is."""
        notes = {line.get("note") for line in self._lines}
        if "flight-full" in notes:
            return "the file had reached its limit"
        if "flight-gap" in notes:
            return "something is missing that could not be written in time"
        return DAMAGED if self._damaged else ""


def _same(was: Line, left: _Left) -> bool:
    """Whether a message left as it did: by its hash, or, without one, by what is kept of it.

    The file may be older than what would be withheld or redacted by now.
    """
    if "sha" in was:
        return bool(was["sha"] == digest(left.text))
    if isinstance(left.shape, Sound):
        return False
    kept = redacted(was["text"])
    if "withheld" in was:
        return bool(left.shape.line["text"] == wordless(kept))
    return bool(redacted(from_json(left.text)) == kept)


def _as_it_was(moment: Moment) -> str:
    if moment.sound is not None:
        return f"{moment.what} for the {moment.peer}"
    assert moment.line is not None
    return _shown(moment.line["text"])


def _told(left: _Left) -> str:
    if isinstance(left.shape, Sound):
        size = len(left.shape.raw)
        return f"{left.shape.kind}, {size} bytes of sound for the {left.peer}"
    return _shown(left.shape.line["text"])


def _shown(text: Any) -> str:
    return text if isinstance(text, str) else orjson.dumps(text).decode()


def _where_they_differ(one: str, other: str) -> tuple[str, str]:
    """Both, around the first character in which they differ."""
    same = next((n for n, (a, b) in enumerate(zip(one, other, strict=False)) if a != b), 0)
    return _around(one, same), _around(other, same)


def _around(text: str, at: int) -> str:
    start, end = max(at - AROUND, 0), at + AROUND
    return ("…" if start else "") + text[start:end] + ("…" if end < len(text) else "")

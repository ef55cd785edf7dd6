"""A line without any delay, to play a conversation on: who speaks when, and what is heard."""

from dataclasses import replace

import pytest

from opusbridge import effects, events
from opusbridge.call.call import Call
from opusbridge.call.conversation import Conversation
from opusbridge.call.policy import AUDIOCODES, TWILIO, CallPolicy, Clip, ResponsePolicy
from opusbridge.call.transcript import Transcript
from opusbridge.effects import AppendAudio, Effect, FeelPulse, Note, SessionConfig, TurnDetection
from opusbridge.sound import PCM_24K, PCMU_8K, Audio, AudioFormat

FRAME_MS = 20
SILENCE = {PCMU_8K: b"\xff", PCM_24K: b"\x00"}
#: A square wave far louder than any telephone, and one as soft as a whisper near it.
LOUD = {PCMU_8K: b"\x10\x90", PCM_24K: b"\x00\x40\x00\xc0"}
SOFT = {PCMU_8K: b"\x50\xd0", PCM_24K: b"\x00\x04\x00\xfc"}


both_sides = pytest.mark.parametrize("audiocodes", [False, True], ids=["twilio", "audiocodes"])


def without_notes(done: list[Effect]) -> list[Effect]:
    """What was done beside passing the caller's sound on."""
    return [one for one in done if not isinstance(one, Note | AppendAudio)]


def kinds(done: list[Effect]) -> list[type]:
    return [type(one) for one in without_notes(done)]


def confirming(
    audiocodes: bool = False,
    ms: int | None = 250,
    farewell: bool = True,
    greeting: bool = True,
    by_model: bool = False,
) -> CallPolicy:
    return CallPolicy(
        replace(AUDIOCODES if audiocodes else TWILIO, wire_seconds=0.0),
        SessionConfig(
            "Be kind.", PCM_24K, turn_detection=TurnDetection("server_vad", False, ms is None)
        ),
        ResponsePolicy(model_creates=by_model),
        confirm_ms=ms,
        greeting_interruptible=greeting,
        farewell_interruptible=farewell,
        clips={"goodbye": Clip(24_000, bytes(48_000))},
        clip_words={"goodbye": "Goodbye."},
    )


class Line:
    """The far end plays what it has in real time and is cleared at once."""

    def __init__(self, policy: CallPolicy | None = None) -> None:
        policy = policy or confirming()
        self.format: AudioFormat = PCM_24K if policy.telephony.name == AUDIOCODES.name else PCMU_8K
        self.talk = Conversation(
            policy, self.format, Transcript(), lambda at: round(at * 1000), 0.0
        )
        self.now = 0.0
        self.done: list[Effect] = []
        self.heard = bytearray()
        self.said = bytearray()  # by the model, in all
        self._queue = b""
        self._frames = self._sounds = 0
        self._marks: list[tuple[int, str]] = []
        self._played = 0
        self.tell(events.SessionConfigured(self.format, self.format))

    # --- What happens -------------------------------------------------------------------

    def tell(self, event: events.FromModel) -> list[Effect]:
        return self.perform(self.talk.handle(event, self.now))

    def begins(self, ms: int = 0, response_id: str = "resp_1", item_id: str = "item_2") -> None:
        """A response to a turn that was just committed, with so much sound."""
        self.tell(events.TurnCommitted(f"turn_of_{response_id}"))
        self.accepts(response_id)
        if ms:
            self.speaks(ms, response_id, item_id)

    def accepts(self, response_id: str) -> None:
        [request] = [one for one in self.done if isinstance(one, effects.CreateResponse)][-1:]
        self.tell(events.ResponseCreated(response_id, request.request_id))

    def speaks(self, ms: int, response_id: str = "resp_1", item_id: str = "item_2") -> list[Effect]:
        sound = self.sound(ms)
        self.said += sound
        audio = Audio.of(sound, self.format)
        return self.tell(events.ModelSpoke(response_id, item_id, 0, audio))

    def finishes(self, response_id: str = "resp_1", item_id: str = "item_2") -> list[Effect]:
        self.tell(events.ModelAudioDone(response_id, item_id, 0))
        return self.tell(events.ResponseDone(response_id, "completed"))

    def sound(self, ms: int) -> bytes:
        """Of the agent: no two samples near each other are alike, and none is silence."""
        size = ms * self.format.bytes_per_ms
        self._sounds += 1
        return bytes((at * 7 + at // 97 + 31 * self._sounds) % 113 + 4 for at in range(size))

    def live(self, ms: int, like: dict[AudioFormat, bytes] = SILENCE) -> list[Effect]:
        """Time passes, and the caller's line sounds like that; what was done in it."""
        found: list[Effect] = []
        until = self.now + ms / 1000
        while self.now < until - 1e-9:
            self._frames += 1
            self.wait(FRAME_MS / 1000, found)
            size = FRAME_MS * self.format.bytes_per_ms
            raw = (like[self.format] * size)[:size]
            event = events.CallerSpoke(Audio.of(raw, self.format))
            found += self.perform(self.talk.barge_in.caller_spoke(event, self.now))
        return found

    def wait(self, seconds: float, found: list[Effect]) -> None:
        """Time passes, and nothing comes over the line."""
        until = self.now + seconds
        while True:
            due = self.talk.deadline
            at = min(until, due if due is not None else until)
            self._play(max(0.0, at - self.now))
            self.now = max(self.now, at)
            if due is None or due > until:
                return
            found += self.perform(self.talk.timed_out(self.now))

    def starts(self, item_id: str = "item_9", ago_ms: int = 0) -> list[Effect]:
        """The model heard the caller begin, so long ago (and counts 300 ms before that)."""
        heard_ms = FRAME_MS * self._frames
        return self.tell(events.SpeechStarted(item_id, heard_ms - ago_ms - 300))

    def stops(self, item_id: str = "item_9", commits: bool = True) -> list[Effect]:
        found = self.tell(events.SpeechStopped(item_id, FRAME_MS * self._frames))
        if commits:
            found += self.tell(events.TurnCommitted(item_id))
        return found

    # --- What comes of it ---------------------------------------------------------------

    def perform(self, found: list[Effect]) -> list[Effect]:
        for effect in found:
            match effect:
                case effects.PlayAudio(audio):
                    self._queue += audio.raw
                case effects.ClearPlayout():
                    self._queue = b""
                    for _, name in self._marks:
                        self.talk.voice.mark_reached(name, self.now)
                    self._marks = []
                case effects.PlaceMark(name):
                    self._marks.append((self._played + len(self._queue), name))
                case _:
                    pass
        self.done += found
        return found

    def _play(self, seconds: float) -> None:
        size = round(seconds * 1000 * self.format.bytes_per_ms)
        played, self._queue = self._queue[:size], self._queue[size:]
        self._played += len(played)
        self.heard += played.replace(SILENCE[PCMU_8K], b"") if self.format == PCMU_8K else played
        while self._marks and self._marks[0][0] <= self._played:
            self.talk.voice.mark_reached(self._marks.pop(0)[1], self.now + seconds)

    def notes(self, kind: str) -> list[Note]:
        return [one for one in self.done if isinstance(one, Note) and one.kind == kind]

    def asked(self, kind: type) -> list[Effect]:
        return [one for one in self.done if isinstance(one, kind)]


def wait(call: Call, until: float) -> list[tuple[float, Effect]]:
    """Nothing happens but time; the model is there when it is asked."""
    found: list[tuple[float, Effect]] = []
    for _ in range(2000):
        due = call.deadline
        if due is None or due > until:
            return found
        came = call.handle(events.DeadlineReached(), due)
        found += [(due, effect) for effect in came]
        if FeelPulse() in came:
            call.handle(events.SessionConfigured(PCMU_8K, PCMU_8K), due)
    raise AssertionError("woken again and again")

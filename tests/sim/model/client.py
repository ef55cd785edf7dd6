"""A client for the tests: it says what it is told, and has everything it hears judged."""

import json
from base64 import b64decode, b64encode
from typing import Any

from opusbridge.audio.formats import Transcoder
from opusbridge.sim.model import SimulatedModel
from opusbridge.sim.tones import silence, voice
from opusbridge.sound import PCM_24K, AudioFormat
from tests.openai_oracle import assert_server_event

Event = dict[str, Any]


class Client:
    def __init__(self, model: SimulatedModel | None = None) -> None:
        self.model = model or SimulatedModel()
        self.now = 0.0
        self.events: list[Event] = []
        self._read = 0
        self._listen()

    def say(self, type: str, **fields: Any) -> list[Event]:
        """Send an event; what came back at once is returned."""
        return self.say_text(json.dumps({"type": type, **fields}))

    def say_text(self, text: str) -> list[Event]:
        before = len(self.events)
        self.model.receive(text, self.now)
        self._listen()
        return self.events[before:]

    def refused(self, type: str, **fields: Any) -> Event:
        """Send an event that must bring one error and nothing else; the error's detail."""
        events = self.say(type, **fields)
        assert [event["type"] for event in events] == ["error"]
        error: Event = events[0]["error"]
        return error

    def run(self, seconds: float) -> list[Event]:
        """Let time pass; what came is returned."""
        before, until = len(self.events), self.now + seconds
        while (due := self.model.deadline) is not None and due <= until:
            self.now = due
            self.model.wake(due)
            self._listen()
        self.now = until
        self.model.wake(until)
        self._listen()
        return self.events[before:]

    def update(self, **settings: Any) -> list[Event]:
        return self.say("session.update", session={"type": "realtime", **settings})

    def detect(self, **detection: Any) -> None:
        """Use server turn detection with these settings."""
        detection = {"type": "server_vad", **detection}
        self.update(audio={"input": {"turn_detection": detection}})

    def append(self, pcm24k: bytes, format: AudioFormat = PCM_24K) -> list[Event]:
        """Send sound in real time, 20 ms at once; what came meanwhile is returned."""
        before = len(self.events)
        transcoder = Transcoder(PCM_24K, format)
        sound = transcoder.convert(pcm24k) + transcoder.flush()
        size = 20 * format.bytes_per_ms
        for start in range(0, len(sound), size):
            self.run(0.02)
            piece = sound[start : start + size]
            self.say("input_audio_buffer.append", audio=b64encode(piece).decode())
        return self.events[before:]

    def speak(self, ms: int = 500, silence_ms: int = 300) -> list[Event]:
        """One turn of the caller's, and the silence that ends it."""
        return self.append(voice(ms) + silence(silence_ms))

    def of(self, type: str) -> list[Event]:
        return [event for event in self.events if event["type"] == type]

    def one(self, type: str) -> Event:
        (event,) = self.of(type)
        return event

    def last(self, type: str) -> Event:
        return self.of(type)[-1]

    def audio(self, response_id: str) -> bytes:
        """All the sound of one response."""
        deltas = self.of("response.output_audio.delta")
        return b"".join(b64decode(d["delta"]) for d in deltas if d["response_id"] == response_id)

    def _listen(self) -> None:
        for text in self.model.texts_to_send():
            event = json.loads(text)
            self.events.append(event)
            known = {name: value for name, value in event.items() if name != "x_never_heard_of"}
            if event["type"] != "x.never.heard_of":
                assert_server_event(known)


def types(events: list[Event]) -> list[str]:
    return [event["type"] for event in events]

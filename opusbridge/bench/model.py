"""A model that speaks and listens without thinking: the far end of a load test.

A caller's turn is five seconds: one of speech, then an answer of seventeen deltas of 200 ms at
the pace of real time, with a transcript. Every fourth answer does not end by itself: the next
turn begins in its midst, which is a barge-in. In all 3.5 deltas and six other events a second,
a barge-in every 20 s. A session that does not create its responses itself gets them from here.
"""

import asyncio
import time
from collections import deque
from dataclasses import dataclass
from typing import Any

import orjson

from opusbridge.bench import stamps
from opusbridge.bench.frames import LeanSocket

BEAT_SECONDS = 0.2
TURN_BEATS = 25
SPEECH_BEATS = 5
ANSWER_DELTAS = 17
BARGE_IN_EVERY = 4
_DELTA_MS = 200

#: Bytes of sound in a millisecond, by the format of the session.
_MS_BYTES = {"audio/pcm": 48, "audio/pcmu": 8, "audio/pcma": 8}
_APPEND = b'"input_audio_buffer.append"'
_AUDIO = b'"audio":"'


class Hall:
    """All sessions of one model server, and what they saw."""

    def __init__(self, frame_bytes: int) -> None:
        """``frame_bytes`` of sound make 20 ms; whatever else comes is counted, not judged."""
        self.heard = stamps.Arrivals()
        self.frame_tail = stamps.tail(frame_bytes).encode()
        self.unstamped_letters = 0
        """Letters of base64, from callers whose sound does not arrive as it was sent."""
        self.barge_ins: list[tuple[int, int]] = []
        """Call and nanoseconds of each speech that began over the agent's."""
        self.withdrawn: list[stamps.Stretch] = []
        """Deltas of answers that the other side has cancelled: nobody wants to hear them."""
        self.errors = 0
        """Requests while a response was active."""
        self.sessions: list[_Session] = []

    def session(self) -> LeanSocket:
        """A new one's socket."""
        self.sessions.append(_Session(self, len(self.sessions)))
        return self.sessions[-1].socket

    @property
    def deltas_sent(self) -> dict[int, int]:
        """By call."""
        return {one.call: one.deltas for one in self.sessions}


@dataclass(slots=True)
class _Sound:
    """The deltas of a response, by their numbers."""

    response: str
    first: int
    last: int


class _Session:
    """``number`` spreads the sessions over the turns and the beats."""

    def __init__(self, hall: Hall, number: int) -> None:
        self.socket = LeanSocket()
        self.socket.said, self.socket.closed = self._said, self._closed
        self.socket.ready = self._ready
        self.call = self.deltas = 0
        self._hall = hall
        self._loop = asyncio.get_running_loop()
        self._timer: asyncio.TimerHandle | None = None
        self._frames = 0
        self._beat = SPEECH_BEATS + number * 7 % ANSWER_DELTAS  # a greeting is asked for first
        self._next = 0.0
        self._turns = number % BARGE_IN_EVERY
        self._responses = self._spoken = 0
        self._response: str | None = None
        self._sound: deque[_Sound] = deque(maxlen=4)
        self._creates = True
        self._tail = self._part = ""

    def _ready(self) -> None:
        self._say('{"type":"session.created","session":{"id":"sess_bench"}}')

    def _say(self, text: str) -> None:
        self.socket.send(text.encode())

    def _closed(self) -> None:
        if self._timer is not None:
            self._timer.cancel()

    # --- What the client says -----------------------------------------------------------

    def _said(self, text: bytes) -> None:
        if text.find(_APPEND, 0, 64) >= 0:
            at = text.index(_AUDIO) + len(_AUDIO)
            payload = text[at : text.index(b'"', at)]
            hall = self._hall
            call = hall.heard.note(payload, hall.frame_tail, time.monotonic_ns())
            if call:
                self.call = call
            else:
                hall.unstamped_letters += len(payload)
            self._frames += 1
            return
        message = orjson.loads(text)
        match message["type"]:
            case "session.update":
                self._configured(message["session"])
            case "response.create":
                self._create(message.get("response") or {})
            case "response.cancel":
                self._cancelled(message.get("response_id"))
            case "conversation.item.truncate":
                self._say(
                    f'{{"type":"conversation.item.truncated","item_id":"{message["item_id"]}",'
                    f'"content_index":0,"audio_end_ms":{message["audio_end_ms"]}}}'
                )

    def _cancelled(self, which: str | None) -> None:
        which = which or self._response
        # What was under way of one that is over meanwhile is not wanted, either.
        for one in self._sound:
            if one.response == which:
                self._hall.withdrawn.append((self.call, one.first, one.last))
        if which == self._response:
            self._over("cancelled")

    def _configured(self, session: dict[str, Any]) -> None:
        audio = session.get("audio")
        if audio is None:  # only whether we are still here, which a load may well make doubtful
            return self._say('{"type":"session.updated","session":{"type":"realtime"}}')
        detection = audio["input"].get("turn_detection") or {}
        self._creates = bool(detection.get("create_response", True))
        size = _MS_BYTES[audio["output"]["format"]["type"]] * _DELTA_MS
        self._tail = stamps.tail(size)
        told = {"type": "session.updated", "session": {"type": "realtime", "audio": audio}}
        self.socket.send(orjson.dumps(told))
        if self._timer is None:
            self._next = self._loop.time() + BEAT_SECONDS
            self._timer = self._loop.call_at(self._next, self._tick)

    # --- What happens by itself ---------------------------------------------------------

    def _tick(self) -> None:
        self._next += BEAT_SECONDS
        self._timer = self._loop.call_at(self._next, self._tick)
        self._beat = (self._beat + 1) % TURN_BEATS
        if self._response is not None:
            self._speak()  # before a barge-in, which so always has something to silence
        if self._beat == 0:
            self._caller_begins()
        elif self._beat == SPEECH_BEATS:
            self._caller_ends()

    def _caller_begins(self) -> None:
        self._turns += 1
        if self._response is not None:
            self._hall.barge_ins.append((self.call, time.monotonic_ns()))
        self._say(
            '{"type":"input_audio_buffer.speech_started","event_id":"event_1",'
            f'"item_id":"item_u{self._turns}","audio_start_ms":{self._frames * 20}}}'
        )
        self._over("cancelled")

    def _caller_ends(self) -> None:
        item = f"item_u{self._turns}"
        self._say(
            f'{{"type":"input_audio_buffer.speech_stopped","event_id":"event_2","item_id":"{item}",'
            f'"audio_end_ms":{self._frames * 20}}}'
        )
        self._say(
            f'{{"type":"input_audio_buffer.committed","event_id":"event_3","item_id":"{item}"}}'
        )
        self._say(
            f'{{"type":"conversation.item.added","event_id":"event_4","item":{{"id":"{item}",'
            '"type":"message","role":"user","content":[]}}'
        )
        self._say(
            '{"type":"conversation.item.input_audio_transcription.completed","event_id":"event_5",'
            f'"item_id":"{item}","content_index":0,"transcript":"Some words of a caller."}}'
        )
        if self._creates:
            self._create({})

    def _create(self, asked: dict[str, Any]) -> None:
        if self._response is not None:
            self._hall.errors += 1
            return
        self._responses += 1
        self._response, self._spoken = f"resp_{self._responses}", 0
        self._sound.append(_Sound(self._response, self.deltas + 1, self.deltas))
        item = f"item_a{self._responses}"
        response: dict[str, Any] = {
            "id": self._response,
            "object": "realtime.response",
            "status": "in_progress",
            "output": [],
            "conversation_id": "conv_bench",
            "metadata": asked.get("metadata"),
        }
        created = {"type": "response.created", "event_id": "event_6", "response": response}
        self.socket.send(orjson.dumps(created))
        of = f'"response_id":"{self._response}","output_index":0'
        shown = f'"item":{{"id":"{item}","type":"message","role":"assistant","content":[]}}'
        self._say(f'{{"type":"response.output_item.added","event_id":"event_7",{of},{shown}}}')
        self._say(f'{{"type":"conversation.item.added","event_id":"event_8",{shown}}}')
        self._part = f'{of},"item_id":"{item}","content_index":0'
        self._speak()

    def _speak(self) -> None:
        barged = self._turns % BARGE_IN_EVERY == BARGE_IN_EVERY - 1
        if self._spoken >= ANSWER_DELTAS and not barged:
            self._over("completed")
            return
        self._spoken += 1
        self.deltas += 1
        self._sound[-1].last = self.deltas
        self._say(
            '{"type":"response.output_audio_transcript.delta","event_id":"event_9",'
            f'{self._part},"delta":"some words "}}'
        )
        stamp = stamps.stamp(self.call, self.deltas, time.monotonic_ns())
        self._say(
            f'{{"type":"response.output_audio.delta","event_id":"event_10",{self._part},'
            f'"delta":"{stamp}{self._tail}"}}'
        )

    def _over(self, status: str) -> None:
        response, self._response = self._response, None
        if response is None:
            return
        part, item = self._part, f"item_a{self._responses}"
        text = "some words " * self._spoken
        self._say(f'{{"type":"response.output_audio.done","event_id":"event_11",{part}}}')
        self._say(
            '{"type":"response.output_audio_transcript.done","event_id":"event_12",'
            f'{part},"transcript":"{text}"}}'
        )
        kept = "completed" if status == "completed" else "incomplete"
        output = {"id": item, "type": "message", "role": "assistant", "status": kept}
        shown = orjson.dumps(output).decode()
        self._say(
            '{"type":"response.output_item.done","event_id":"event_13",'
            f'"response_id":"{response}","output_index":0,"item":{shown}}}'
        )
        reason = '"type":"cancelled","reason":"turn_detected"' if status == "cancelled" else ""
        self._say(
            f'{{"type":"response.done","event_id":"event_14","response":{{"id":"{response}",'
            f'"status":"{status}","status_details":{{{reason}}},"conversation_id":"conv_bench",'
            f'"output":[{shown}],"usage":{{"total_tokens":10,"input_tokens":5,'
            '"output_tokens":5}}}'
        )

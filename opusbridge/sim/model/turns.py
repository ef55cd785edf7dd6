"""The caller's turns: from sound appended, by turn detection or a client's word, to items."""

from __future__ import annotations

import binascii
from base64 import b64decode
from functools import partial

from opusbridge.sim.model.conversation import Conversation, Entry, shown
from opusbridge.sim.model.input_buffer import InputBuffer
from opusbridge.sim.model.knobs import Knobs
from opusbridge.sim.model.referee import Referee
from opusbridge.sim.model.replies import ReplyScript
from opusbridge.sim.model.response import Response
from opusbridge.sim.model.responses import Responses
from opusbridge.sim.model.schedule import Later, Schedule
from opusbridge.sim.model.session import Session
from opusbridge.sim.model.shapes import Refused
from opusbridge.sim.model.voice_activity import SpeechStarted, VoiceActivity
from opusbridge.sim.model.wire import Wire
from opusbridge.sound import AudioFormat

_TRANSCRIPTION = "conversation.item.input_audio_transcription"


class Turns:
    def __init__(
        self,
        wire: Wire,
        schedule: Schedule,
        session: Session,
        conversation: Conversation,
        responses: Responses,
        replies: ReplyScript,
        knobs: Knobs,
        referee: Referee,
    ) -> None:
        self.buffer = InputBuffer(session.input_format)
        self._wire = wire
        self._schedule = schedule
        self._session = session
        self._conversation = conversation
        self._responses = responses
        self._replies = replies
        self._knobs = knobs
        self._referee = referee
        self._detection: object = None
        self._announced_id: str | None = None  # the item that the speech under way will be
        self._idle: Later | None = None
        self.session_changed()

    def session_changed(self) -> None:
        """Follow the session's format and turn detection; what did not change goes on."""
        session, settings = self._session, self._session.turn_detection
        if settings == self._detection and session.input_format is self.buffer.format:
            return
        if self._announced_id is not None:
            self._announced_id = None
            self._referee.turn_over()
        self._detection = settings
        detection = VoiceActivity(settings) if settings is not None else None
        self.buffer.use(session.input_format, detection)

    def append(self, audio: str) -> None:
        """:raises Refused: this is not base64."""
        for noticed in self.buffer.append(decoded(audio, "audio")):
            if isinstance(noticed, SpeechStarted):
                self._speech_started(noticed.audio_start_ms)
            else:
                self._speech_stopped(noticed.audio_end_ms)

    def commit(self) -> None:
        """A client's commit. With turn detection on, it ends the speech early.

        :raises Refused: there is less than 100 ms to commit.
        """
        sound = self.buffer.commit()
        answered = self._session.creates_responses and self._knobs.auto_response_on_client_commit
        self._committed(self._take_announced_id(), sound, answered)

    def clear(self) -> None:
        self.buffer.clear()
        self._announced_id = None
        self._referee.turn_over()
        self._wire.say("input_audio_buffer.cleared")

    def response_done(self, response: Response) -> None:
        """The caller may be silent for so long after hearing all of it."""
        self._stop_waiting()
        settings = self._session.turn_detection or {}
        if settings.get("idle_timeout_ms") is not None:
            seconds = (response.audio_ms + settings["idle_timeout_ms"]) / 1000
            begun_ms = int(self.buffer.clock_ms)
            self._idle = self._schedule.after(seconds, partial(self._idle_too_long, begun_ms))

    def _speech_started(self, audio_start_ms: int) -> None:
        self._stop_waiting()
        self._announced_id = item_id = self._wire.new_id("item")
        self._wire.say(
            "input_audio_buffer.speech_started", audio_start_ms=audio_start_ms, item_id=item_id
        )
        self._referee.speech_started(self._schedule.now)
        if self._session.interrupts_responses:
            self._responses.caller_interrupts()

    def _speech_stopped(self, audio_end_ms: int) -> None:
        sound = self.buffer.take_turn()
        item_id = self._take_announced_id()
        self._wire.say(
            "input_audio_buffer.speech_stopped", audio_end_ms=audio_end_ms, item_id=item_id
        )
        self._committed(item_id, sound, self._session.creates_responses)

    def _idle_too_long(self, begun_ms: int) -> None:
        if self.buffer.speaking or self._responses.active is not None:
            return
        item_id = self._wire.new_id("item")
        self._wire.say(
            "input_audio_buffer.timeout_triggered",
            audio_start_ms=begun_ms,
            audio_end_ms=int(self.buffer.clock_ms),
            item_id=item_id,
        )
        self._committed(item_id, self.buffer.take_turn(), True)

    def _committed(self, item_id: str, sound: bytes, answered: bool) -> None:
        """``answered``: the server begins a response to this by itself."""
        item = {
            "id": item_id,
            "object": "realtime.item",
            "type": "message",
            "status": "completed",
            "role": "user",
            "content": [{"type": "input_audio", "transcript": None}],
        }
        entry = Entry(item, bytearray(sound), self.buffer.format)
        text, transcribed = self._replies.next_heard(), self._transcribed
        if transcribed and self._knobs.transcription_order == "before-commit":
            self._transcribe(entry, text)
            transcribed = False
        previous = self._conversation.append(entry)
        self._wire.say("input_audio_buffer.committed", previous_item_id=previous, item_id=item_id)
        for event in ("conversation.item.added", "conversation.item.done"):
            self._wire.say(event, previous_item_id=previous, item=shown(item))
        # Beside a response that speech does not interrupt, the service's own creation may fail,
        # silently: nobody can be asked to wait for it.
        taken = self._responses.active is not None and not self._session.interrupts_responses
        self._referee.turn_committed(item_id, answered and not taken, self._schedule.now)
        if transcribed:
            delay = self._knobs.transcription_delay
            self._schedule.after(delay, partial(self._transcribe, entry, text))
        if answered:
            self._responses.turn_to_answer()

    @property
    def _transcribed(self) -> bool:
        return self._session.transcribes and self._knobs.transcription != "absent"

    def _transcribe(self, entry: Entry, text: str) -> None:
        ids = {"item_id": entry.id, "content_index": 0}
        if self._knobs.transcription == "failed":
            error = {
                "type": "server_error",
                "code": "transcription_failed",
                "message": "The transcription of this item failed.",
                "param": None,
            }
            self._wire.say(f"{_TRANSCRIPTION}.failed", **ids, error=error)
            return
        for number, word in enumerate(text.split(" ")):
            self._wire.say(f"{_TRANSCRIPTION}.delta", **ids, delta=" " * bool(number) + word)
        entry.item["content"] = [{"type": "input_audio", "transcript": text}]
        heard, written = entry.audio_ms // 100, len(text) // 4
        usage = {
            "type": "tokens",
            "total_tokens": heard + written,
            "input_tokens": heard,
            "input_token_details": {"text_tokens": 0, "audio_tokens": heard},
            "output_tokens": written,
        }
        self._wire.say(f"{_TRANSCRIPTION}.completed", **ids, transcript=text, usage=usage)

    def _take_announced_id(self) -> str:
        item_id, self._announced_id = self._announced_id, None
        return item_id or self._wire.new_id("item")

    def _stop_waiting(self) -> None:
        if self._idle is not None:
            self._idle.call_off()


def decoded(audio: str, path: str) -> bytes:
    """The bytes of a client's base64 text."""
    try:
        return b64decode(audio, validate=True)
    except (binascii.Error, ValueError):
        raise Refused(
            "invalid_value",
            f"Invalid '{path}'. Expected base64-encoded audio bytes but got an invalid value.",
            path,
        ) from None


def audio_of_item(item: dict[str, object], format: AudioFormat) -> Entry:
    """The entry of an item that a client made, with the sound it brought."""
    sound = bytearray()
    content = item.get("content")
    for index, part in enumerate(content if isinstance(content, list) else []):
        if part["type"] == "input_audio":
            sound += decoded(part["audio"], f"item.content[{index}].audio")
    return Entry(item, sound, format)

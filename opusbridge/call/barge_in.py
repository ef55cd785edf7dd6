"""The caller's speech, as the model hears it: his turns, and what they cut short.

Silence first: the caller should not wait for our bookkeeping. Then the response is cancelled,
and then the model is told how much of it was heard.
"""

from collections.abc import Callable

from opusbridge import effects, events
from opusbridge.call.model_side import ModelSide
from opusbridge.call.policy import CallPolicy
from opusbridge.call.response import ResponseLifecycle
from opusbridge.call.transcript import Transcript
from opusbridge.call.turns import CallerLine
from opusbridge.call.voice import AgentVoice
from opusbridge.effects import Effect, Note


class BargeIn:
    """Every method takes ``now`` in seconds and returns effects in the order they must go."""

    def __init__(
        self,
        policy: CallPolicy,
        line: CallerLine,
        voice: AgentVoice,
        response: ResponseLifecycle,
        model: ModelSide,
        transcript: Transcript,
        call_ms: Callable[[float], int],
    ) -> None:
        self.closed = False
        """The last words of the call are said to their end."""
        self.fell_silent_at = 0.0
        """When the caller really did, as far as turn detection says; it hears of it later."""
        self._policy = policy
        self._line, self._voice, self._response = line, voice, response
        self._model, self._transcript, self._call_ms = model, transcript, call_ms
        self._told_of_speech = policy.telephony.told_of_speech
        self._turn: str | None = None  # the caller's, from its first sound to its commit

    def speech_started(self, event: events.SpeechStarted, now: float) -> list[Effect]:
        self._turn = event.item_id
        self._line.speech_started(now)
        ago = self._line.seconds_since(event.audio_start_ms, now)
        self._transcript.began(event.item_id, self._call_ms(now - ago))
        stop = self._response.caller_began(now)
        tell: list[Effect] = [effects.TellSpeechStarted()] if self._told_of_speech else []
        if not self._policy.barge_in or self.closed:
            return tell + stop
        clear, cut = self._voice.cut(now)
        noted: list[Effect] = [Note("barge-in")] if clear or stop else []
        return [*clear, *tell, *stop, *self._model.history.cut(cut), *noted]

    def speech_stopped(self, event: events.SpeechStopped, now: float) -> list[Effect]:
        self._line.speech_stopped()
        detection = self._policy.session.turn_detection
        waited = detection.silence_ms if detection and detection.kind == "server_vad" else 0
        ago = self._line.seconds_since(event.audio_end_ms - waited, now)
        self.fell_silent_at = now - ago
        item = self._transcript.item(event.item_id, "caller")
        item.ended_ms = self._call_ms(self.fell_silent_at)
        tell: list[Effect] = [effects.TellSpeechStopped()] if self._told_of_speech else []
        note = Note("speech-ended", "", (event.item_id,), ago)
        return [*tell, note, *self._response.caller_stopped(now)]

    def turn_committed(self, event: events.TurnCommitted, now: float) -> list[Effect]:
        if not self._transcript.committed(event.item_id, event.previous_item_id):
            return []  # said twice, or after it was seen in the conversation
        self._turn = None
        self._line.committed()
        self._line.speech_stopped()
        tell: list[Effect] = [effects.TellSpeechCommitted()] if self._told_of_speech else []
        return tell + self._response.turn_committed(event.item_id, now)

    def item_added(self, event: events.ItemAdded, now: float) -> list[Effect]:
        """The caller's item is in the conversation, so his turn was committed: were that lost,
        nobody would answer it. Items of our own are in the transcript already."""
        if event.item_id != self._turn and event.item_id in self._transcript:
            return []
        committed = events.TurnCommitted(event.item_id, event.previous_item_id)
        return self.turn_committed(committed, now)

    def session_lost(self) -> str | None:
        """The turn the caller was in the middle of: of what he said nothing is left."""
        turn, self._turn = self._turn, None
        return turn if self._response.caller_turn_under_way else None

"""The conversation with the model: everything the model says, and everything it is told.

Joins the response lifecycle, the agent's voice, the caller's line, the tools and the
transcript. Whether the call goes on is decided elsewhere (``call.py``); a conversation
that cannot go on says so in :attr:`failure`.
"""

from collections.abc import Callable
from dataclasses import replace
from typing import assert_never

from opusbridge import effects, events
from opusbridge.call.machines import is_due
from opusbridge.call.pending import Cause, Why
from opusbridge.call.policy import CallPolicy, model_format
from opusbridge.call.response import ResponseLifecycle
from opusbridge.call.tools import MOST_RUNNING, ToolDesk
from opusbridge.call.transcript import Transcript
from opusbridge.call.turns import CallerLine
from opusbridge.call.voice import AgentVoice
from opusbridge.effects import Effect, Note
from opusbridge.privacy import Private
from opusbridge.protocols.realtime.errors import PERMANENT_CODES
from opusbridge.sound import AudioFormat

#: The dial has its own, shorter limit; a session that takes no settings by then never will.
SESSION_SECONDS = 20.0

TOO_MANY_TOOLS = '{"error": "too many tools are running"}'

OfResponse = (
    events.ResponseCreated
    | events.OutputItemAdded
    | events.ModelSpoke
    | events.ModelAudioDone
    | events.ModelWords
    | events.ToolCalled
    | events.OutputItemDone
    | events.ResponseDone
)


class Conversation:
    """Begins once the telephony side's format is known; before that nothing can be said."""

    def __init__(
        self,
        policy: CallPolicy,
        telephony: AudioFormat,
        call_ms: Callable[[float], int],
        now: float,
    ) -> None:
        self.policy = policy
        self.response = ResponseLifecycle(policy.responses)
        self.tools = ToolDesk()
        self.transcript = Transcript()
        self.model_format = model_format(telephony)
        self.line = CallerLine(telephony, self.model_format)
        self.voice = AgentVoice(
            policy.telephony, telephony, self.model_format, self.transcript, call_ms
        )
        self.failure: str | None = None
        """One of errors.REASONS once the model will not, or no longer, serve us."""
        self.leaving = False
        """The agent means to end the call: having spoken, it owes its tools no reply."""
        self._call_ms = call_ms
        self._ready = self._closed = False
        self._session_due: float | None = now + SESSION_SECONDS
        self._sounding: str | None = None  # the last response that made sound
        self._dropped: set[str] = set()  # items whose sound came too late to be played
        self._texts = 0
        self._told_of_speech = policy.telephony.told_of_speech

    # --- The model ----------------------------------------------------------------------

    def session_created(self) -> list[Effect]:
        return [
            effects.ConfigureSession(replace(self.policy.session, audio_format=self.model_format))
        ]

    def handle(self, event: events.FromModel, now: float) -> list[Effect]:
        self.response.model_heard(now)
        before = self.response.response_id
        return self._understood(event, now) + self._tidied(before, now)

    def _understood(self, event: events.FromModel, now: float) -> list[Effect]:
        match event:
            case events.SpeechStarted():
                return self._speech_started(event, now)
            case events.SpeechStopped():
                return self._speech_stopped(event, now)
            case events.TurnCommitted():
                return self._turn_committed(event, now)
            case events.CallerTranscribed():
                self.transcript.words(event.item_id, "caller", event.text.value, event.final)
            case events.ModelErred():
                return self._erred(event, now)
            case events.ItemAdded():
                return self._item_added(event)
            case events.SessionConfigured():
                return self._configured(event, now)
            case events.ModelLost():
                return self._lost(event, now)
            case events.SessionCreated():
                return self.session_created()
            case events.TranscriptionFailed() | events.ItemTruncated() | events.ItemDeleted():
                pass
            case _:
                return self._answered(event, now)
        return []

    def _answered(self, event: OfResponse, now: float) -> list[Effect]:
        match event:
            case events.ModelSpoke():
                return self._model_spoke(event, now)
            case events.ModelWords():
                words = event.text.value
                self.transcript.words(event.item_id, "agent", words, event.final)
                return self.response.seen(event.response_id, False, now)
            case events.ResponseCreated() if event.in_conversation:
                return self.response.created(event.response_id, event.request_id, now)
            case events.ResponseCreated():
                self.response.outside(event.response_id)
            case events.OutputItemAdded():
                return self.response.seen(event.response_id, True, now)
            case events.OutputItemDone():
                return self._item_done(event, now)
            case events.ModelAudioDone():
                found = self.response.seen(event.response_id, False, now)
                self.response.sound_complete(event.response_id)
                return found + self.voice.sound_done(event.item_id, event.content_index, now)
            case events.ToolCalled():
                return self._tool_called(event, now)
            case events.ResponseDone() if event.in_conversation:
                return self._response_done(event, now)
            case events.ResponseDone():
                pass
            case _:
                assert_never(event)
        return []

    def _configured(self, event: events.SessionConfigured, now: float) -> list[Effect]:
        if self._ready:
            return []
        formats = (event.input_format, event.output_format)
        if formats != (self.model_format, self.model_format):
            # Anything else would be heard as loud static.
            self.failure = "model-refused-us"
            return []
        self._ready, self._session_due = True, None
        return self.line.open(now) + self.response.session_ready(now)

    def _lost(self, event: events.ModelLost, now: float) -> list[Effect]:
        self._ready, self._session_due = False, None
        self.failure = event.reason
        self.line.close()
        self.response.lost(now)
        return []

    def _erred(self, event: events.ModelErred, now: float) -> list[Effect]:
        permanent = event.code in PERMANENT_CODES
        if event.response_active:
            return self.response.refused(event.request_id, event.active_response_id, now)
        if event.about == "response.create":
            found = self.response.request_failed(
                event.request_id, permanent, event.retry_after_seconds, now
            )
        else:
            found = []
            if permanent or (event.about == "session.update" and not self._ready):
                self.failure = "model-refused-us"
        return [Note("refused", event.code or event.type or "unknown"), *found]

    # --- The agent speaks ---------------------------------------------------------------

    def _model_spoke(self, event: events.ModelSpoke, now: float) -> list[Effect]:
        found = self.response.seen(event.response_id, True, now)
        if not self.response.may_play(event.response_id):
            self._dropped.add(event.item_id)
            return found  # speech that was already on the wire when the caller cut in
        self._sounding = event.response_id
        return found + self.voice.model_spoke(event, now)

    def _item_added(self, event: events.ItemAdded) -> list[Effect]:
        self.response.item_acknowledged(event.item_id)
        if event.kind == "message" and event.role == "assistant":
            self.transcript.item(event.item_id, "agent", event.previous_item_id)
        return []

    def _item_done(self, event: events.OutputItemDone, now: float) -> list[Effect]:
        found = self.response.seen(event.response_id, False, now)
        self.response.sound_complete(event.response_id)
        if event.kind == "message":
            item = self.transcript.item(event.item_id, "agent")
            if item.status == "in_progress":
                item.status = event.status
            if event.item_id in self._dropped and not item.received_ms and not self._closed:
                # Nothing of it was ever played: the model must not believe that it said it.
                found.append(effects.DeleteItem(event.item_id))
        self._dropped.discard(event.item_id)
        return found

    def _response_done(self, event: events.ResponseDone, now: float) -> list[Effect]:
        self._dropped.clear()  # its items are all done by now
        # The tools' answer joins what waits before the door opens, or it would come apart.
        return self._response_gone(event.response_id, now) + self.response.done(
            event.response_id,
            now,
            status=event.status,
            empty=event.empty,
            permanent=event.error_code in PERMANENT_CODES,
            retry_after=event.retry_after_seconds,
        )

    def _response_gone(self, response_id: str, now: float) -> list[Effect]:
        found = self.voice.response_over(response_id, now)
        return found + self._answer_tools(self.tools.response_over(response_id), now)

    def _tidied(self, before: str | None, now: float) -> list[Effect]:
        """What belonged to the response that was there ``before``, if it has left the slot."""
        if before is None or before == self.response.response_id:
            return []
        return self._response_gone(before, now)

    # --- The caller speaks --------------------------------------------------------------

    def _speech_started(self, event: events.SpeechStarted, now: float) -> list[Effect]:
        self.line.speech_started(now)
        item = self.transcript.item(event.item_id, "caller")
        item.started_ms = self._call_ms(now - self.line.seconds_since(event.audio_start_ms, now))
        stop = self.response.caller_began(now)
        tell: list[Effect] = [effects.TellSpeechStarted()] if self._told_of_speech else []
        if not self.policy.barge_in or self._closed:
            return tell + stop  # last words are said to their end
        # Silence first: the caller should not wait for our bookkeeping.
        clear, cut = self.voice.cut(now)
        noted: list[Effect] = [Note("barge-in")] if clear or stop else []
        return [*clear, *tell, *stop, *cut, *noted]

    def _speech_stopped(self, event: events.SpeechStopped, now: float) -> list[Effect]:
        self.line.speech_stopped()
        detection = self.policy.session.turn_detection
        waited = detection.silence_ms if detection and detection.kind == "server_vad" else 0
        ago = self.line.seconds_since(event.audio_end_ms - waited, now)
        self.transcript.item(event.item_id, "caller").ended_ms = self._call_ms(now - ago)
        tell: list[Effect] = [effects.TellSpeechStopped()] if self._told_of_speech else []
        note = Note("speech-ended", "", (event.item_id,), ago)
        return [*tell, note, *self.response.caller_stopped(now)]

    def _turn_committed(self, event: events.TurnCommitted, now: float) -> list[Effect]:
        self.line.committed()
        self.line.speech_stopped()
        item = self.transcript.item(event.item_id, "caller", event.previous_item_id)
        item.status = "completed"
        tell: list[Effect] = [effects.TellSpeechCommitted()] if self._told_of_speech else []
        return tell + self.response.turn_committed(event.item_id, now)

    def stream_stopped(self, now: float) -> list[Effect]:
        """AudioCodes sends no more for now. A commit only where no turn detection does it."""
        if self.policy.session.turn_detection is None:
            return self.line.commit()
        self.line.stream_stopped(now)
        return self.line.feed(now)

    # --- What is added beside the speech ------------------------------------------------

    def add_text(self, why: Why, role: str, text: Private[str], now: float) -> list[Effect]:
        """A text item, and a response that takes account of it."""
        self._texts += 1
        item_id = f"text-{self._texts}"
        if role == "user":
            item = self.transcript.item(item_id, "caller")
            item.pieces, item.status = [text.value], "completed"
            item.started_ms = item.ended_ms = self._call_ms(now)
        self.response.item_sent(item_id)
        cause = Cause(why, item_id, frozenset({item_id}))
        added = effects.AddText(item_id, role, text)
        return [added, *self.response.user_input(cause, now)]

    def _tool_called(self, event: events.ToolCalled, now: float) -> list[Effect]:
        found = self.response.seen(event.response_id, True, now)
        if not self.tools.called(event.response_id, event.tool_call_id):
            return [*found, Note("stray", "tool-call", (event.tool_call_id,))]
        item = self.transcript.item(event.tool_call_id, "tool")
        item.pieces = [f"{event.name}({event.arguments.value})"]
        item.started_ms = self._call_ms(now)
        if self.tools.running > MOST_RUNNING:
            found.append(Note("dropped-tool", "too-many", (event.tool_call_id,)))
            refusal = Private(TOO_MANY_TOOLS)
            return found + self.tool_finished(event.tool_call_id, refusal, failed=True, now=now)
        return [*found, effects.RunTool(event.tool_call_id, event.name, event.arguments)]

    def tool_finished(
        self, tool_call_id: str, output: Private[str], failed: bool, now: float
    ) -> list[Effect]:
        """The output goes at once; the reply to it through the door."""
        if not self.tools.is_running(tool_call_id):
            return [Note("stray", "tool-output", (tool_call_id,))]
        item = self.transcript.item(tool_call_id, "tool")
        item.pieces.append(f" -> {output.value}")
        item.status, item.ended_ms = "failed" if failed else "completed", self._call_ms(now)
        self._texts += 1
        item_id = f"output-{self._texts}"
        self.response.item_sent(item_id)
        found: list[Effect] = [effects.AddToolOutput(item_id, tool_call_id, output)]
        return found + self._answer_tools(self.tools.finished(tool_call_id, item_id), now)

    def _answer_tools(self, cause: Cause | None, now: float) -> list[Effect]:
        if cause is None or (self.leaving and cause.key == self._sounding):
            return []
        return self.response.user_input(cause, now)

    def close(self, now: float) -> list[Effect]:
        """Stop the agent for last words that are not its own; the model says no more."""
        self._closed = True
        self.response.close()
        clear, cut = self.voice.cut(now)
        return [*clear, *self.response.interrupted(now), *cut]

    # --- Time ---------------------------------------------------------------------------

    @property
    def deadline(self) -> float | None:
        heart, voice, line = self.response.deadline, self.voice.deadline, self.line.deadline
        due = (heart, voice, line, self._session_due)
        return min((at for at in due if at is not None), default=None)

    def timed_out(self, now: float) -> list[Effect]:
        found = self.voice.timed_out(now) + self.line.feed(now)
        if is_due(self._session_due, now):
            self._session_due, self.failure = None, "model-silent"
            found.append(Note("watchdog", "session"))
        if is_due(self.response.deadline, now):
            before = self.response.response_id
            found += self.response.timed_out(now)
            found += self._tidied(before, now)
        self.voice.settle(now)
        return found

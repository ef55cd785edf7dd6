"""The conversation with the model: everything the model says, and everything it is told.

Joins the response lifecycle, the agent's voice, the caller's line, the tools and the
transcript. Whether the call goes on is decided elsewhere (``call.py``); a conversation
that cannot go on says so in :attr:`model`.
"""

from collections.abc import Callable
from dataclasses import replace
from math import inf
from typing import assert_never

from opusbridge import effects, events
from opusbridge.call.barge_in import BargeIn
from opusbridge.call.history import UNHEARD
from opusbridge.call.machines import earliest, is_due
from opusbridge.call.media import HELD_AFTER_LOSS_MS, HELD_MS
from opusbridge.call.model_side import Item, ModelSide
from opusbridge.call.pending import Cause, Why
from opusbridge.call.policy import CallPolicy, model_format
from opusbridge.call.pulse import DIAL_SECONDS
from opusbridge.call.repair import Repair
from opusbridge.call.response import ResponseLifecycle
from opusbridge.call.tool_use import ToolWork
from opusbridge.call.transcript import Transcript
from opusbridge.call.turns import CallerLine
from opusbridge.call.voice import AgentVoice
from opusbridge.effects import Effect
from opusbridge.privacy import Private
from opusbridge.protocols.realtime.errors import PERMANENT_CODES
from opusbridge.sound import AudioFormat


class Conversation:
    """Begins once the telephony side's format is known; before that nothing can be said."""

    def __init__(
        self,
        policy: CallPolicy,
        telephony: AudioFormat,
        transcript: Transcript,
        call_ms: Callable[[float], int],
        now: float,
    ) -> None:
        self.policy = policy
        self.response = ResponseLifecycle(policy.responses)
        self.transcript = transcript
        self.model_format = model_format(telephony)
        self.line = CallerLine(telephony, self.model_format)
        self.voice = AgentVoice(
            policy.telephony,
            telephony,
            self.model_format,
            transcript,
            call_ms,
            policy.confirms,
            policy.pings,
            self.line.clock,
        )
        session = replace(policy.session, audio_format=self.model_format)
        self.model = ModelSide(session, self.transcript, now)
        self.barge_in = BargeIn(
            policy, self.line, self.voice, self.response, self.model, self.transcript, call_ms
        )
        self.tools = ToolWork(
            policy,
            self.response,
            self.model.history,
            transcript,
            self.barge_in,
            self.tell,
            call_ms,
        )
        self.repair = Repair(self.response, self.model, self.add_text, self.tell)
        self._call_ms = call_ms
        self.sounding: tuple[str | None, str] = (None, "")
        """The last response that made sound, and the item it was of."""
        self._texts, self._silenced = 0, False

    # --- The model ----------------------------------------------------------------------

    def handle(self, event: events.FromModel, now: float) -> list[Effect]:
        self._silenced = False
        if not isinstance(event, events.ModelLost):  # which is no sign of life
            self.response.model_heard(now)
            self.model.pulse.heard(now)
        before = self.response.response_id
        return self._understood(event, now) + self._tidied(before, now) + self.voice.ping(now)

    def _understood(self, event: events.FromModel, now: float) -> list[Effect]:
        match event:
            case events.ModelSpoke() | events.ModelWords():  # more than all the others together
                return self._answered(event, now)
            case events.SpeechStarted():
                return self.barge_in.speech_started(event, now)
            case events.SpeechStopped():
                return self.barge_in.speech_stopped(event, now)
            case events.TurnCommitted():
                return self.barge_in.turn_committed(event, now)
            case events.CallerTranscribed():
                self.transcript.words(event.item_id, "caller", event.text.value, event.final)
            case events.ModelErred():
                return self.repair.refused(event, now)
            case events.ItemAdded():
                return self._item_added(event, now)
            case events.SessionConfigured():
                return self._configured(event, now)
            case events.ModelLost():
                return self.lost(now)
            case events.SessionCreated():
                return self.model.created()
            case events.TranscriptionFailed():
                self.transcript.item(event.item_id, "caller").transcription_failed()
            case events.ItemTruncated() | events.ItemDeleted():
                pass
            case (
                events.McpListFailed()
                | events.ApprovalAsked()
                | events.McpSettled()
                | events.McpUsed()
            ):
                return self.tools.mcp(event, now)
            case _:
                return self._answered(event, now)
        return []

    def _answered(self, event: events.OfResponse, now: float) -> list[Effect]:
        match event:
            case events.ModelSpoke():
                return self._model_spoke(event, now)
            case events.ModelWords():
                self.voice.worded(event)
                return self.response.seen(event.response_id, False, now)
            case events.ResponseWentOn():
                return self.response.seen(event.response_id, True, now)
            case events.ResponseCreated() if event.in_conversation:
                return self._response_created(event, now)
            case events.ResponseCreated():
                self.response.outside(event.response_id)
            case events.OutputItemAdded():
                if event.kind == "message":
                    self.transcript.answers(event.item_id, event.response_id)
                return self.tools.item_begun(event, now)
            case events.OutputItemDone():
                return self._item_done(event, now)
            case events.ModelAudioDone():
                found = self.response.seen(event.response_id, False, now)
                self.response.sound_complete(event.response_id)
                return found + self.voice.sound_done(event.item_id, event.content_index, now)
            case events.ToolCalled():
                return self.tools.called(event, now)
            case events.ResponseDone() if event.in_conversation:
                return self._response_done(event, now)
            case events.ResponseDone():
                pass
            case _:
                assert_never(event)
        return []

    def _configured(self, event: events.SessionConfigured, now: float) -> list[Effect]:
        if not self.model.configured(event):
            self.model.alive(self.quiet and not self.voice.audible(now), now)
            return []
        self.model.renew_at = now + self.policy.renew_after
        pending = self.response.pending_user_input
        found = self.model.tell_all(pending, self.voice.being_heard)
        self.repair.all_told(found, pending)
        if pending is None and self.line.dropped_ms and not self.voice.agent_audible(now):
            found += self.add_text(Why.TEXT, "system", Private(UNHEARD), now)
        found += self.line.open(now) + self.barge_in.session_ready(now)
        return found + self.response.session_ready(now)

    @property
    def at_rest(self) -> bool:
        """Whether the agent says nothing and owes nothing."""
        return self.response.at_rest and not (self.tools.owing or self.repair.owing)

    @property
    def took_leave(self) -> bool:
        """The same of one that leaves, and has said goodbye beside the tools that run yet."""
        owing = self.tools.owing_words or self.repair.owing
        return self.response.at_rest and self.tools.leave_taken and not owing

    @property
    def quiet(self) -> bool:
        """Whether nobody owes anybody anything. While there is no session nobody can know."""
        return self.model.ready and self.at_rest and not self.response.caller_turn_under_way

    @property
    def owes_sound(self) -> bool:
        """Whether the caller, who is silent himself, waits for an answer."""
        return not self.quiet and not self.response.caller_speaking

    @property
    def mid_sentence(self) -> bool:
        """Whether the agent says something of which more is to come."""
        response_id = self.sounding[0]
        return response_id is not None and self.response.may_play(response_id)

    def silenced(self) -> bool:
        """Whether the model was just kept from the rest of an answer; true once each time."""
        silenced, self._silenced = self._silenced, False
        return silenced

    @property
    def owes_since(self) -> float:
        """Since when, if that is longer than it has been known."""
        if not self.model.ready:
            return self.model.pulse.deaf_since + DIAL_SECONDS
        under_way = self.response.caller_turn_under_way
        return self.barge_in.fell_silent_at if under_way else inf

    def lost(self, now: float) -> list[Effect]:
        """The session is over; what waits is kept for another."""
        most_ms = HELD_MS if self.model.renews(now) else HELD_AFTER_LOSS_MS
        over = self.response.response_id
        sounded = over == self.sounding[0]
        begun = sounded and self.transcript.has_words(self.sounding[1])
        self.model.lost(begun)
        self.transcript.settle()
        deaf_ms = 1000 * self.model.pulse.lost(now)
        self.line.close(0.0 if self.response.door.out_of_reach else deaf_ms, most_ms)
        self.voice.session_lost()
        turn, resumed = self.barge_in.session_lost(now)
        self.response.lost(now, begun, self.tools.go_on_from(over), silent=not sounded)
        found = resumed + self.repair.session_lost(now)
        found += self.tools.lost(now) + self._tidied(over, now)
        if turn is not None:
            # He was in the middle of it, and what he has said so far is gone.
            found += self.response.user_input(Cause(Why.TURN, turn), now)
        return found

    # --- The agent speaks ---------------------------------------------------------------

    def _model_spoke(self, event: events.ModelSpoke, now: float) -> list[Effect]:
        found = self.response.seen(event.response_id, True, now)
        agreed = event.audio.format == self.model_format  # not before the session is ours
        if not (agreed and self.response.may_play(event.response_id)):
            self.voice.came_too_late(event)
            return found  # speech that was already on the wire when the caller cut in
        self.sounding = event.response_id, event.item_id
        self.barge_in.agent_spoke(event.response_id)
        self.tools.agent_spoke(event.response_id)
        return found + self.voice.stop_filler(now) + self.voice.model_spoke(event, now)

    def _item_added(self, event: events.ItemAdded, now: float) -> list[Effect]:
        self.response.item_acknowledged(event.item_id)
        if (event.kind, event.role) == ("message", "user"):
            found = self.barge_in.item_added(event, now)
            self.transcript.place(event.item_id, event.previous_item_id)
            return found
        ours = self.model.history.is_text(event.item_id)
        if event.kind == "message" and event.role == "assistant" and not ours:
            self.transcript.item(event.item_id, "agent", event.previous_item_id)
        else:
            self.transcript.place(event.item_id, event.previous_item_id)
        return []

    def _item_done(self, event: events.OutputItemDone, now: float) -> list[Effect]:
        found = self.tools.item_done(event, now)
        if event.response_id == self.sounding[0] or self.tools.used_by(event.response_id):
            self.response.sound_complete(event.response_id)
        if event.kind == "message":
            self.transcript.item(event.item_id, "agent").done(event.status)
            if event.written:
                self.voice.not_played(event.item_id)
        return found if self.barge_in.closed else found + self.voice.never_played(event.item_id)

    def _response_created(self, event: events.ResponseCreated, now: float) -> list[Effect]:
        before = self.response.displaced_by(event.response_id)
        # Its tools wait for their answer by now, and this may well be it.
        found = self._response_gone(before, now) if before is not None else []
        waited = self.response.pending_user_input
        found += self.response.created(event.response_id, event.request_id, now)
        if self.response.pending_user_input is None:
            self.tools.response_created(event.response_id, waited)
        return found

    def _response_done(self, event: events.ResponseDone, now: float) -> list[Effect]:
        # Its items are all done by now, whether that was told or not.
        found = [] if self.barge_in.closed else self.voice.never_played()
        if event.response_id not in self.response.door.response.over:
            self.model.count_failure(event.error_code)
        permanent = event.error_code in PERMANENT_CODES
        if permanent:
            self.model.failure = "model-failed"
        heard = event.response_id == self.sounding[0]
        filtered = (event.status, event.reason) == ("incomplete", "content_filter")
        self._silenced = filtered and heard and self.response.may_play(event.response_id)
        # Whatever it says of itself; and what its tools gave is answered by itself.
        goes_on = heard or self.tools.used_by(event.response_id)
        broken_off = event.status in ("cancelled", "failed")
        if goes_on:
            self.model.got_through(event, self.response.door.response)
        self.transcript.response_over(event.response_id, event.status)
        # The tools' answer joins what waits before the door opens, or it would come apart.
        found += self._response_gone(event.response_id, now, broken_off)
        return found + self.response.done(
            event.response_id,
            now,
            status=event.status,
            empty=not goes_on and (event.empty or event.status in ("completed", "incomplete")),
            cut_off=event.cut_off,
            heard=heard,
            permanent=permanent,
            retry_after=event.retry_after_seconds,
        )

    def _response_gone(
        self, response_id: str, now: float, broken_off: bool = False
    ) -> list[Effect]:
        self.transcript.response_over(response_id, "failed")  # unless it told how it ended
        found = self.voice.response_over(response_id, now)
        return found + self.tools.response_over(response_id, now, broken_off)

    def _tidied(self, before: str | None, now: float) -> list[Effect]:
        """What belonged to the response that was there ``before``, if it has left the slot."""
        if before is None or before == self.response.response_id:
            return []
        return self._response_gone(before, now)

    def stream_stopped(self, now: float) -> list[Effect]:
        """AudioCodes sends no more for now."""
        self.line.stream_stopped(now)
        return self.barge_in.stream_stopped(now)

    # --- What is added beside the speech ------------------------------------------------

    def add_text(
        self,
        why: Why | None,
        role: str,
        text: Private[str],
        now: float,
        since: float | None = None,
        of: str | None = None,
    ) -> list[Effect]:
        """A text item, begun at ``since`` or repeating ``of``; no ``why``: it asks for nothing."""
        self._texts += 1
        item_id = f"text-{self._texts}"
        if role == "user":
            began_at = now if since is None else since
            self.transcript.typed(item_id, text.value, self._call_ms(began_at), self._call_ms(now))
        added = effects.AddText(item_id, role, text)
        if role != "user":
            self.model.history.note_added(added, of)
        self.repair.text_added(added, why)
        told = self.tell(added)
        if why is None:
            return told
        cause = Cause(why, item_id, frozenset({item_id}))
        return [*told, *self.response.user_input(cause, now)]

    def note_keys(self, text: str, since: float, now: float) -> None:
        self._texts += 1  # the model is told by who collected them
        self.transcript.typed(f"keys-{self._texts}", text, self._call_ms(since), self._call_ms(now))

    def tell(self, item: Item) -> list[Effect]:
        told = self.model.tell(item)
        if told:
            self.repair.sent(item)
        return told

    def close(self, now: float, heard_out: bool = False) -> list[Effect]:
        """The model says no more: it was ``heard_out``, or stops for last words not its own."""
        self.barge_in.close()
        self.response.close()
        self.repair.give_up()
        return self.response.interrupted(now) if heard_out else self.hush(now)

    def hush(self, now: float, line_gone: bool = False) -> list[Effect]:
        """Silence first, and the agent says no more of this."""
        clear, cut = self.voice.cut(now, line_gone)
        return [*clear, *self.response.interrupted(now), *self.model.cut(cut)]

    # --- Time ---------------------------------------------------------------------------

    @property
    def deadline(self) -> float | None:
        """Of everything but the line, which has its own."""
        talk = self.response.deadline, self.voice.deadline, self.barge_in.deadline
        told = self.tools.deadline, self.repair.deadline
        return earliest(*talk, *told, self.model.session_due, self._pulse_due)

    @property
    def _pulse_due(self) -> float | None:
        return None if self.barge_in.closed else self.model.pulse_due(self.response.awaited)

    def timed_out(self, now: float) -> list[Effect]:
        found = self.voice.timed_out(now) + self.line.feed(now) + self.barge_in.timed_out(now)
        found += self.tools.timed_out(now) + self.repair.timed_out(now) + self.model.timed_out(now)
        if is_due(self.response.deadline, now):
            before = self.response.response_id
            found += self.response.timed_out(now, settle=False)
            # The answer to its tools joins what waits before the door opens.
            found += self._tidied(before, now) + self.response.settle(now)
        if is_due(self._pulse_due, now):
            found += self.model.feel_pulse(now)
        self.voice.settle(now)
        return found

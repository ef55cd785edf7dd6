"""One telephone call: everything that happens to it comes in here, in order, with the time.

``handle(event, now)`` returns what to do about it; nothing else goes in or out. The call
itself knows how a call begins, how it ends and what it may still do in between; what is
said lies with the conversation.
"""

from collections.abc import Mapping
from typing import Any, assert_never, get_args

from opusbridge import effects, events
from opusbridge.call.arrival import Arrival, declined
from opusbridge.call.company import Company
from opusbridge.call.conversation import Conversation
from opusbridge.call.departure import Departure
from opusbridge.call.handover import transfer_for, who_asks
from opusbridge.call.machines import earliest, is_due
from opusbridge.call.patience import FLOOD, Patience
from opusbridge.call.pending import Why
from opusbridge.call.policy import CallPolicy
from opusbridge.call.rescue import Rescue
from opusbridge.call.stored import greet, say_stored
from opusbridge.call.transcript import Transcript
from opusbridge.call.turns import CallerLine
from opusbridge.call.wishes import Wishes
from opusbridge.effects import Effect, Note
from opusbridge.errors import Ending, ending
from opusbridge.events import Event
from opusbridge.privacy import Private

#: How long the greeting may keep the phone ringing before silence answers it.
ANSWER_SECONDS = 0.25

FROM_MODEL = frozenset(get_args(events.FromModel))


class Call:
    """``now`` is in seconds on the shell's clock, never running backwards."""

    def __init__(self, policy: CallPolicy, now: float) -> None:
        self.policy = policy
        self.ended: Ending | None = None
        self.provider_call_id = ""
        self.caller: Private[str] | None = None
        self.callee: Private[str] | None = None
        self.parameters: Private[Mapping[str, str]] = Private({})
        self.answered_at: float | None = None
        self.conversation: Conversation | None = None
        """``None`` until the telephony side has said what it speaks."""
        self.transcript = Transcript()
        self.began_at = now
        self._session_waits = False
        self._started = False
        self._answer_at: float | None = None
        self._too_long_at: float | None = None
        self.arrival = Arrival(now, rings=policy.telephony.rings)
        self.departure = Departure()
        self._wishes = Wishes(policy, self.departure)
        self._patience = Patience()
        self._company = Company(policy)
        self.reckoned = False  # whether ``_due`` still holds
        self._due: float | None = None
        self._rescue = Rescue(policy.resume_grace)

    def handle(self, event: Event, now: float) -> list[Effect]:
        """What to do about it, in the order it must be done; nothing once the call ended."""
        if self.ended is not None:
            late = isinstance(event, events.MarkReached | events.PlayFinished)
            return [Note("stray", "after-end")] if late else []
        if type(event) is events.CallerSpoke:
            talk = self.conversation
            if talk is None or talk.line.rings or self._wishes.unheard:
                return []
            if talk.barge_in.judges:
                self.reckoned = False
            found = talk.barge_in.caller_spoke(event, now)
            if not talk.barge_in.floor_taken():
                return found
            self.reckoned = False
            return found + self._wishes.caller_spoke(talk, now) + self.conclude(now)
        self.reckoned = False
        found = self._decide(event, now)
        if self.ended is None:
            found += self.conclude(now)
        withheld = self.transcript.newly_withheld()
        return [*found, Note("withheld", "", withheld)] if withheld else found

    # --- Deciding -----------------------------------------------------------------------

    def _decide(self, event: Event, now: float) -> list[Effect]:
        if type(event) in FROM_MODEL:
            return self._from_model(event, now)  # type: ignore[arg-type]  # by FROM_MODEL
        if isinstance(event, events.FromTelephony):
            return self._from_telephony(event, now)
        assert isinstance(event, events.FromShell)
        return self._from_shell(event, now)

    def _from_model(self, event: events.FromModel, now: float) -> list[Effect]:
        talk = self.conversation
        if talk is None:
            # The model was dialled while the phone still rang: it is configured on arrival.
            self._session_waits |= isinstance(event, events.SessionCreated)
            if isinstance(event, events.ModelLost):
                return self._part_badly(event.reason, now)
            return []
        found = talk.handle(event, now)
        match event:
            case events.ModelLost(reason, permanent):
                found += self._replace_model(reason, permanent, now)
            case events.SessionConfigured() if talk.model.ready:
                found = self._rescue.ready() + found
            case events.ResponseDone() if talk.model.served:
                self._rescue.answered()
            case events.SpeechStarted() | events.TurnCommitted():
                self._company.caller_heard(talk, self.departure)
            case _:
                pass
        return found

    def _from_telephony(self, event: events.FromTelephony, now: float) -> list[Effect]:
        talk = self.conversation
        known = self.policy.telephony.tells_who_ended
        told = self.departure.told(event, talk, now)
        if told is not None:
            return self._end(told, now) if isinstance(told, Ending) else told
        match event:
            case events.MarkReached() | events.PingAnswered():
                return talk.voice.echoed(event, now) if talk else []
            case events.CallArrived():
                return self._arrived(event, now)
            case events.CallStarted():
                return self._call_started(event, now)
            case events.CallerStreamStopped():
                return talk.stream_stopped(now) if talk else []
            case events.DigitsPressed(digits):
                self._company.caller_heard(talk, self.departure)
                kept = self.departure.key_pressed(talk, now)
                return kept + self._wishes.pressed(digits, talk, now)
            case events.PlayFinished():
                if talk:
                    talk.voice.play_finished(now)
            case events.TransferSucceeded():
                self.departure.transfer_succeeded(now)
            case events.TransferFailed(reason):
                return self._transfer_failed(reason, now)
            case events.CallerHungUp(reason, offered):
                return declined(offered) + self._end(self.departure.ending(reason, known), now)
            case events.CallerGaveUp():
                return self._end(ending("caller-hung-up"), now)
            case events.TelephonyLost():
                return self._end(self.departure.ending("telephony-lost", known), now)
            case events.TransferUnderWay() | events.CallerReturns() | events.CallerSpoke():
                pass
            case events.CallerStreamStarted() | events.NoInputReported() | events.HangUpFailed():
                pass
            case _:
                assert_never(event)
        return []

    def _from_shell(self, event: events.FromShell, now: float) -> list[Effect]:
        talk = self.conversation
        if isinstance(event, events.Wish):
            return self._wishes.wished(event, talk if self._started else None, now)
        match event:
            case events.DeadlineReached():
                return self._timed_out(now)
            case events.ToolFinished() | events.ApprovalDecided():
                return talk.tools.told(event, now) if talk else []
            case events.HangUpRequested(reason, goodbye, by):
                if talk and not self._started and self.policy.telephony.rings:  # nobody hears it
                    return [effects.HangUp(reason), *self._end(ending(reason), now)]
                if goodbye and self.departure.with_another:
                    return self._end(ending("transferred"), now)  # he is in good hands
                if goodbye:
                    return self._part(ending(reason), ("goodbye",), now)
                return self.departure.wish(effects.HangUp(reason), talk, now, tool_call_id=by)
            case events.TransferRequested():
                then = transfer_for(event, withheld=self.transcript.paused)
                return self.departure.wish(then, talk, now, who_asks(event))
            case events.RecordingPauseRequested(by):
                heard = talk.voice.being_heard if talk else ()
                news = self.transcript.pause(by, self.call_ms(now), heard)
                return [effects.PauseRecording()] if news else []
            case events.RecordingResumeRequested(by):
                over = self.transcript.resume(by, self.call_ms(now))
                return [effects.ResumeRecording()] if over else []
            case events.CallConfigured():
                return [Note("stray", "configured")]
            case events.TextInjected(text):
                return talk.add_text(Why.TEXT, "system", text, now) if talk else []
            case events.MessageRejected(peer, kind):
                return self._rejected(peer, kind, now)
            case events.PeerStalled(peer):
                if peer == "model":
                    return self._part_badly("model-too-slow", now)
                return self._end(ending("telephony-too-slow"), now)
            case events.Broke():
                return self._part_badly("internal-error", now)
            case _:
                assert_never(event)

    # --- Beginning ----------------------------------------------------------------------

    def _arrived(self, event: events.CallArrived, now: float) -> list[Effect]:
        if self.conversation is not None:
            return [] if self.departure.away else [Note("stray", "arrival")]
        self.arrival.told(now)
        self.provider_call_id, self.caller = event.provider_call_id, event.caller
        form, transcript = event.audio_format, self.transcript
        talk = self.conversation = Conversation(self.policy, form, transcript, self.call_ms, now)
        self.arrival.rings_on(talk)
        if self.departure.closing is not None:
            return talk.close(now)  # there are only last words to say
        return talk.model.created() if self._session_waits else []

    def _call_started(self, event: events.CallStarted, now: float) -> list[Effect]:
        talk = self.conversation
        if talk is not None and self.departure.away:
            return self._transfer_failed(self.departure.back(talk), now)
        if talk is None or self._started:
            return [Note("stray", "start")]
        self._started, dials = True, self.arrival.started(talk)
        self.introduce(event)
        self._too_long_at = now + self.policy.max_call_seconds
        found: list[Effect] = [effects.ConfigureTelephony(self.policy.barge_in)]
        found += self._replace_model("model-lost", False, now) if dials else []
        if not self.policy.telephony.rings:
            found += self.answered(now)
        elif self.answered_at is None:
            self._answer_at = now + (ANSWER_SECONDS if self.policy.greet else 0.0)
        if self.departure.closing is not None:
            return found + say_stored(talk, self.departure.unsaid, now)
        self._company.call_ends(self._too_long_at)
        return found + greet(talk, now)

    def introduce(self, event: events.CallStarted) -> None:
        """Who calls whom, and what else was said of it."""
        self.caller, self.callee = event.caller or self.caller, event.callee
        self.parameters = event.parameters

    def adopt(self, policy: CallPolicy) -> None:
        """Be conducted in this way; only before the call arrives."""
        self.policy, self._company = policy, Company(policy)
        self._wishes = Wishes(policy, self.departure)

    def answered(self, now: float) -> list[Effect]:
        self.answered_at, self._answer_at = now, None
        return [Note("answered", value=now - self.began_at)]

    # --- In between ---------------------------------------------------------------------

    @property
    def secret(self) -> bool:
        """Whether what the caller's line carries now may be a secret he types."""
        return self._wishes.keys.secret

    @property
    def open_line(self) -> CallerLine | None:
        """The caller's line, while all that comes of his sound is that it goes on to the model."""
        talk, wishes = self.conversation, self._wishes
        if talk is None or self.ended is not None or wishes.deaf or talk.barge_in.judges:
            return None
        return talk.line if talk.line.as_it_comes else None

    @property
    def calm(self) -> bool:
        """Whether nobody leaves, holds, types or dials."""
        idle = self._wishes.idle and self.departure.idle and not self._rescue.under_way
        return idle and self.ended is None and self.answered_at is not None

    def _rejected(self, peer: str, kind: str, now: float) -> list[Effect]:
        found: list[Effect] = [Note("bad-message", f"{peer}:{kind}")]
        lost = self._patience.tried("model" if peer == "model" else "telephony")
        if lost and kind == FLOOD:
            return found + self._end(ending(lost), now)  # a goodbye would cost the other calls
        return found + (self._part_badly(lost, now) if lost else [])

    # --- Ending -------------------------------------------------------------------------

    def _part_badly(self, reason: str, now: float) -> list[Effect]:
        return self._part(ending(reason), ("sorry", "goodbye"), now)

    def _part(self, how: Ending, clips: tuple[str, ...], now: float) -> list[Effect]:
        return self.departure.part(how, clips, self.conversation, self._started, now)

    def conclude(self, now: float) -> list[Effect]:
        """After everything: is it hopeless, or has the last word been heard?"""
        talk = self.conversation
        if talk is None:
            return []
        taken = talk.barge_in.floor_taken()
        found = self._wishes.caller_spoke(talk, now) if taken else []
        found += self._wishes.look(talk, now) + self._look_after(talk, now)
        found += self.departure.look(talk, self._started, now)
        if talk.voice.spoke and self.answered_at is None:
            found += self.answered(now)
        return found

    def _look_after(self, talk: Conversation, now: float) -> list[Effect]:
        """Is there still a model that will answer, and does the caller hear something?"""
        if self.departure.under_way:
            self._company.nobody(now)
            if self.departure.closing is not None:
                self._rescue.over()  # nor is anybody dialled for last words
            return self._rescue.dial(now)
        if talk.model.failure:
            return self._part_badly(talk.model.failure, now)
        given_up = talk.response.given_up
        worn_out = talk.model.spent(self._rescue.possible, now)
        worn_out = given_up if given_up == "model-silent" else worn_out
        if worn_out:
            found = talk.lost(now) + self._replace_model(worn_out, False, now)
            return found + self._company.keep(talk, self.departure, self._started, now)
        if given_up:
            return self._company.apologise(talk, self.departure, self._started, now)
        found, wishes = self._rescue.dial(now), self._wishes
        wishes.keys.look(talk.voice.silent_at(now))
        typing, held = wishes.keys.collecting, wishes.held
        return found + self._company.keep(talk, self.departure, self._started, now, typing, held)

    def _replace_model(self, reason: str, permanent: bool, now: float) -> list[Effect]:
        leaving = self.departure
        if leaving.closing is not None or (leaving.parting and not self._rescue.under_way):
            return []  # should a transfer fail, that is soon enough
        cut_short = self.conversation is not None and self.conversation.model.cut_short
        again = not permanent and self._rescue.lost(reason, now, cut_short)
        return self._rescue.dial(now) if again else self._part_badly(reason, now)

    def _transfer_failed(self, reason: str, now: float) -> list[Effect]:
        talk = self.conversation
        found = self.departure.give_back(reason, talk, now) if talk is not None else None
        if talk is None or found is None:
            return [Note("stray", "transfer")]
        self._company.caller_heard(talk, self.departure)  # his silence begins anew
        if not talk.model.ready and not self._rescue.under_way:
            found += self._replace_model("model-lost", False, now)  # while we waited
        return found

    def _end(self, how: Ending, now: float) -> list[Effect]:
        if self.conversation is not None:
            self.conversation.voice.stop(now)
        self.ended = how
        return [effects.EndCall(how)]

    # --- Time ---------------------------------------------------------------------------

    def transcript_changes(self, now: float) -> dict[str, Any]:
        """As :meth:`Transcript.changes`, with what was heard by now; changes nothing else."""
        if self.conversation is not None:
            self.conversation.voice.show_progress(now)
        return self.transcript.changes()

    def call_ms(self, at: float) -> int:
        """An instant, in ms from the start of the recording."""
        return max(0, round((at - self.began_at) * 1000))

    @property
    def deadline(self) -> float | None:
        """When to hand in ``DeadlineReached``; ``None``: nothing is waited for."""
        if self.ended is not None:
            return None
        if not self.reckoned:
            self.reckoned, self._due = True, self._other_deadline()
        line = self.conversation.line.deadline if self.conversation is not None else None
        return earliest(line, self._due)

    def _other_deadline(self) -> float | None:
        """Of all but the caller's line: only that changes with each frame of his."""
        talking = self.conversation.deadline if self.conversation else None
        own = earliest(self._answer_at, self._too_long_at, self._rescue.deadline)
        ends = self.arrival.deadline, self.departure.deadline
        return earliest(talking, self._wishes.deadline, self._company.deadline, own, *ends)

    def _timed_out(self, now: float) -> list[Effect]:
        if self.arrival.in_vain(now):
            return self._end(self.departure.ending("no-start"), now)
        found: list[Effect] = []
        if self.departure.overdue(now):
            followed = self.departure.followed()
            if followed is not None:
                return self._end(followed, now)
            found += self._transfer_failed("no-answer", now)
        if is_due(self._answer_at, now) and self.conversation is not None:
            found += [*self.conversation.voice.answer(now), *self.answered(now)]
        found += self._wishes.timed_out(self.conversation, now)
        again = self._rescue.possible and not self._rescue.under_way
        found += self.arrival.release_model(self.conversation, again, now)
        if self.conversation is not None:
            found += self.conversation.timed_out(now)
            found += self.departure.release_model(self.conversation, again, now)
        if self._rescue.expired(now):
            found += self._part_badly(self._rescue.reason, now)
        if is_due(self._too_long_at, now) and self.departure.with_another:
            return self._end(ending("transferred"), now)
        if is_due(self._too_long_at, now):
            # While we hand over or hang up, that decides; a transfer may fail.
            self._too_long_at = self.departure.gone_at
            found += self._part(ending("too-long"), ("goodbye",), now)
        return found

"""The model's side of a conversation: is a session there, is it worth keeping, what does it know?

Sessions come and go during a call; what they were told is kept (``history.py``), so that
another can be told it too.
"""

from collections.abc import Collection, Iterable
from dataclasses import replace
from math import inf
from typing import assert_never

from opusbridge import effects, events
from opusbridge.call.history import History
from opusbridge.call.machines import ResponseMachine, is_due
from opusbridge.call.pending import PendingUserInput, Why
from opusbridge.call.pulse import Pulse
from opusbridge.call.refusals import Reaction, reaction_to
from opusbridge.call.transcript import Transcript
from opusbridge.effects import Effect, Note, SessionConfig

#: Answers that a failing server owes us in a row: its session is worth no more.
MOST_SERVER_ERRORS = 3

#: The dial has its own, shorter limit; a session that takes no settings by then never will.
SESSION_SECONDS = 20.0

Item = effects.AddText | effects.AddToolOutput | effects.AddApproval


class ModelSide:
    def __init__(self, session: SessionConfig, transcript: Transcript, now: float) -> None:
        """``session`` is what every session of this call is to be."""
        self.ready = False
        """The session took our settings and is not lost."""
        self.begun = False
        """Some session did, now or earlier."""
        self.failure: str | None = None
        """One of errors.REASONS once no session will serve us."""
        self.worn_out: str | None = None
        """One of errors.REASONS once this session will not, though another may."""
        self.history = History(transcript)
        self.served = False
        """This session has given an answer."""
        self.cut_short = False
        """The session lost last was in the middle of an answer, of which words were heard."""
        self.pulse = Pulse()
        self.session_due: float | None = now + SESSION_SECONDS
        """When the first session must have taken our settings."""
        self.renew_at = inf
        """When this session is old, and is to give way to another in a quiet moment."""
        self._renews_at: float | None = None  # the last such moment
        self._session = session
        self._early: list[Item] = []
        self._voice_refused = self._told_of_unknown = False
        self._server_errors = 0

    # --- Sessions come and go -----------------------------------------------------------

    def created(self) -> list[Effect]:
        """There is a session: it is told what it is to be. Whatever one before it refused."""
        self._voice_refused, self._server_errors = False, 0
        return self._configure()

    def _configure(self) -> list[Effect]:
        voice = None if self._voice_refused else self._session.voice
        return [effects.ConfigureSession(replace(self._session, voice=voice))]

    def configured(self, event: events.SessionConfigured) -> bool:
        """Whether this makes it ready; then it wants to be told the conversation."""
        if self.ready:
            return False
        wanted = self._session.audio_format
        if (event.input_format, event.output_format) != (wanted, wanted):
            # Anything else would be heard as loud static.
            self.failure = "model-refused-us"
            return False
        self.ready, self.session_due, self._server_errors = True, None, 0
        return True

    def tell_all(
        self, pending: PendingUserInput | None, being_heard: Collection[str]
    ) -> list[Effect]:
        """What a session that is ready must know before anything else."""
        if not self.begun:
            self.begun = True
            early, self._early = self._early, []
            return self.history.as_heard(early, being_heard)
        causes = pending.causes if pending else ()
        unanswered = {cause.key for cause in causes}
        cut_off = any(cause.why is Why.REST for cause in causes)
        told = self.history.restore(unanswered, being_heard, cut_off)
        return [*told, Note("restored", value=float(len(told)))]

    def tell(self, item: Item) -> list[Effect]:
        """Now, or as soon as there is a session that understands it."""
        if self.ready:
            return [item]
        if not self.begun:
            self._early.append(item)
        return []  # a later session is told the whole conversation anyway

    def cut(self, told: Iterable[Effect]) -> list[Effect]:
        """What to tell of what the voice has cut; to no session, which is told it as heard."""
        if self.ready:
            return self.history.cut(told)
        return [one for one in told if isinstance(one, Note)]

    def pulse_due(self, awaited: bool) -> float | None:
        """When to :meth:`feel_pulse`. ``awaited``: it owes us an answer."""
        if not self.ready or self.worn_out:
            return None
        return self.pulse.due(awaited)

    def feel_pulse(self, now: float) -> list[Effect]:
        if self.pulse.asked:
            self.worn_out = "model-silent"
            return [Note("watchdog", "silence")]
        self.pulse.ask(now)
        return [effects.FeelPulse()]

    def alive(self, idle: bool, now: float) -> None:
        """It answered for the sake of that only. ``idle``: nobody speaks or waits for anything.

        So nothing that the caller says is lost if it goes now, and not much if he begins to.
        """
        turns_are_told = self._session.turn_detection is not None
        self.pulse.old = now >= self.renew_at and turns_are_told
        self._renews_at = now if self.pulse.old and idle else None

    def renews(self, now: float) -> bool:
        """Whether another takes its place now because it is old, and the moment a quiet one."""
        return self._renews_at == now

    def spent(self, replaceable: bool, now: float) -> str | None:
        """Why this session is given up now, if it is: one of errors.REASONS."""
        if replaceable and self.renews(now):
            return self.worn_out or "session-expired"
        # A server that fails may still be asked; one that says nothing may not.
        return self.worn_out if replaceable or self.worn_out != "model-failed" else None

    def lost(self, cut_short: bool = False) -> None:
        self.served, self.cut_short = False, cut_short
        self.ready = self._voice_refused = self.pulse.old = False
        self.renew_at, self._renews_at = inf, None
        self.worn_out, self._server_errors, self.session_due = None, 0, None

    def timed_out(self, now: float) -> list[Effect]:
        if not is_due(self.session_due, now):
            return []
        self.session_due, self.worn_out = None, "model-silent"
        return [Note("watchdog", "session")]

    # --- What it refuses ----------------------------------------------------------------

    def refused(self, event: events.ModelErred) -> list[Effect]:
        """By the table; what it does not know is counted, told once and survived.

        What is to be asked again or put in another way is the conversation's to do.
        """
        slug = event.code or event.type or "unknown"
        found: list[Effect] = [Note("refused", slug)]
        reaction = reaction_to(event.code, event.type, event.about)
        match reaction:
            case Reaction.ASK_AGAIN if not self.ready:
                found += self._settings_refused()
            case Reaction.ASK_AGAIN:
                self.count_failure(event.code or event.type)
            case Reaction.REPAIR if event.code == "cannot_update_voice":
                found += self._leave_voice_out()
            case Reaction.REPLACE:
                self.worn_out = "session-expired"
            case Reaction.END:
                found += self._refuses_us(slug, event.param)
            case None if event.about == "session.update" and not self.ready:
                found += self._refuses_us(slug, event.param)  # it will not be what we need
            case None:
                if not self._told_of_unknown:
                    found.append(Note("unknown-error", slug))
                self._told_of_unknown = True
            case Reaction.REPAIR:
                self.count_failure(event.code or event.type)
            case Reaction.BENIGN:
                pass
            case _:
                assert_never(reaction)
        return found

    def _settings_refused(self) -> list[Effect]:
        """For now only; nothing else is said to a session before it took them."""
        self.count_failure("server_error")
        return [] if self.worn_out else self._configure()

    def _refuses_us(self, slug: str, param: str | None) -> list[Effect]:
        self.failure = "model-refused-us"
        return [Note("model-refused", slug, (param,) if param else ())]

    def count_failure(self, code: str | None) -> None:
        """It failed to answer, for this reason."""
        if code == "server_error":
            self._server_errors += 1
            if self._server_errors >= MOST_SERVER_ERRORS:
                self.worn_out = "model-failed"

    def got_through(self, done: events.ResponseDone, slot: ResponseMachine) -> None:
        """Something was heard of that response, or tools were used: an answer, unless it failed, or
        was cut off in a tool's call by itself or by our watchdog."""
        stuck = slot.stuck and slot.id == done.response_id
        by_caller = done.status == "cancelled" and not stuck
        if done.status != "failed" and (by_caller or not done.cut_off):
            self.answered()

    def answered(self) -> None:
        """It does serve us, whatever was thought of it."""
        self.served, self._server_errors = True, 0
        if self.worn_out == "model-failed":
            self.worn_out = None

    def _leave_voice_out(self) -> list[Effect]:
        if self._voice_refused:
            return []  # it is among the agent's own session keys: not ours to leave out
        self._voice_refused = True
        return [Note("repaired", "cannot_update_voice"), *self._configure()]

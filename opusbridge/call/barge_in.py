"""The caller's speech, as the model hears it: his turns, and what they cut short.

Silence first: the caller should not wait for our bookkeeping. Then the response is cancelled,
and then the model is told how much of it was heard.

Where it is to be confirmed (``CallPolicy.confirm_ms``), a sound of the caller's over the agent
is *doubtful* at first: the agent pauses, what it still says is kept back, and the judge listens.

* There was enough voice: he means to speak. What is kept back is dropped, and all goes as above.
* He fell silent before: the agent goes on from the very byte where he stopped hearing it. He may
  still prove to be speaking until the model, too, says that he has stopped.
* If he has not by then, it was a false interruption. The model has it as a turn of the caller's,
  and keeps it, but nobody answers it. Unless the agent was at its last words: then a short word
  is no interruption but the answer to them (a "yes", a "no"), and is answered as any other.

A sound that began before the agent was heard is never doubtful, however short.
"""

from collections.abc import Callable

from opusbridge import effects, events
from opusbridge.call.judge import Judge
from opusbridge.call.machines import is_due
from opusbridge.call.model_side import ModelSide
from opusbridge.call.policy import CallPolicy
from opusbridge.call.response import ResponseLifecycle
from opusbridge.call.transcript import Transcript
from opusbridge.call.turns import CallerLine
from opusbridge.call.voice import AgentVoice
from opusbridge.effects import Effect, Note

#: What the agent says within this of its end, people answer before they have heard it all.
LAST_WORDS_SECONDS = 1.5


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
        self.leaving = False
        """The agent means to end the call: having taken leave, it owes its tools no reply."""
        self.greeting: str | None = None
        """What greets, once it was heard: the response, or the item of a stored greeting."""
        self._policy = policy
        self._line, self._voice, self._response = line, voice, response
        self._model, self._transcript, self._call_ms = model, transcript, call_ms
        self._told_of_speech = policy.telephony.told_of_speech
        detection = policy.session.turn_detection
        self._prefix_ms = detection.prefix_ms if detection else 0
        line.listens = policy.listens
        self._was_unheeded: bool | None = None  # when the turn ended that is to be committed
        self._was_on_hold = False  # likewise
        enough_ms = policy.confirm_ms if policy.barge_in else None
        self._judge = None if enough_ms is None else Judge(enough_ms, voice.loudest)
        self._turn: str | None = None  # the caller's, from its first sound to its commit
        self._doubtful: str | None = None  # the same, while it may be none
        self._passed_over: str | None = None  # a turn that wants no answer, until its commit
        self._spared: str | None = None  # a turn that cut nothing: over the greeting, or on hold
        self._held_turn: str | None = None  # one of these: doubtful when the hold began
        self._told_of: str | None = None  # the turn that AudioCodes is told of
        self._resumed_at = 0.0
        self._floor_taken = False

    @property
    def keeps_the_line(self) -> bool:
        """Whether the agent that would leave now must not: he speaks, or waits for an answer.

        What he began on hold, or just before, and nobody knows to be speech, is no reason.
        """
        spared = self._on_hold and self._turn is not None and self._turn == self._spared
        waits = spared or self._held
        return self._policy.farewell_interruptible and self._caller_has_floor and not waits

    @property
    def judges(self) -> bool:
        """His sound itself decides something, so each stretch of it may."""
        return self._judge is not None

    @property
    def _held(self) -> bool:
        """Whether his turn was doubtful when a hold began, and nobody knows more of it yet."""
        return self._turn is not None and self._turn == self._held_turn

    def floor_taken(self) -> bool:
        """Whether he has begun to speak, and means it; true once each time."""
        taken, self._floor_taken = self._floor_taken, False
        return taken

    # --- What he says -------------------------------------------------------------------

    def caller_spoke(self, event: events.CallerSpoke, now: float) -> list[Effect]:
        """A stretch of his line, of which most is silence."""
        found = self._line.spoke(event, now)
        if self._judge is None:
            return found
        self._judge.hear(event.audio, now)
        return found + self._judged(now)

    def agent_spoke(self, response_id: str) -> None:
        if self.greeting is None and self._response.door.greets:
            self.greeting = response_id

    def speech_started(self, event: events.SpeechStarted, now: float) -> list[Effect]:
        found = self._speech_over(now)  # if its end was lost
        self._passed_over = None
        self._turn = event.item_id
        self._line.speech_started(now)
        ago = self._line.seconds_since(event.audio_start_ms, now)
        sounding_at = now - self._line.seconds_since(event.audio_start_ms + self._prefix_ms, now)
        self._transcript.began(event.item_id, self._call_ms(sounding_at))
        spared = self._on_hold or self._spares_greeting(now)
        # Of what is to be heard out AudioCodes must not hear that it is spoken over: it would
        # cut it.
        heard_out = spared or self._unheeded or self.closed
        told = self._told_of_speech and not heard_out
        self._told_of = event.item_id if told else None
        tell: list[Effect] = [effects.TellSpeechStarted()] if told else []
        if self._unheeded or spared:
            self._passed_over = event.item_id if self._unheeded else None
            self._spared = event.item_id if spared else None
            return [*found, *self._response.caller_began(now, doubtful=True)]
        if self._judge is not None and self._voice.may_pause(sounding_at, now):
            return [*found, *self._paused(self._judge, event.item_id, now - ago, tell, now)]
        self._floor_taken = True
        stop = self._response.caller_began(now)
        if not self._policy.barge_in or self.closed:
            return [*found, *tell, *stop]
        clear, cut = self._voice.cut(now)
        noted: list[Effect] = [Note("barge-in")] if clear or stop else []
        return [*found, *clear, *tell, *stop, *self._model.cut(cut), *noted]

    def speech_stopped(self, event: events.SpeechStopped, now: float) -> list[Effect]:
        self._line.speech_stopped()
        detection = self._policy.session.turn_detection
        waited = detection.silence_ms if detection and detection.kind == "server_vad" else 0
        ago = self._line.seconds_since(event.audio_end_ms - waited, now)
        self.fell_silent_at = now - ago
        item = self._transcript.item(event.item_id, "caller")
        item.ended_ms = max(self._call_ms(self.fell_silent_at), item.started_ms or 0)
        tell: list[Effect] = [] if self._told_of is None else [effects.TellSpeechStopped()]
        over = self._speech_over(now)
        note = Note("speech-ended", "", (event.item_id,), ago)
        return [*over, *tell, note, *self._response.caller_stopped(now)]

    def stream_stopped(self, now: float) -> list[Effect]:
        """Nothing more comes of his sound for now: a commit only where no turn detection does it.

        AudioCodes stops the stream of its own accord when barge-in is off and we begin to play:
        then it is the end of a turn only if he has said anything.
        """
        if self._policy.session.turn_detection is not None or self._line.rings:
            return self._line.feed(now)
        ours = not self._policy.barge_in and self._voice.silent_at(now) > now
        return [] if ours and not self._line.voiced else self._turn_over(now)

    def session_ready(self, now: float) -> list[Effect]:
        """The line is open: a turn that ended before that is over now."""
        return [*self._turn_over(now), *self._line.go_on()] if self._line.owes_commit else []

    def _turn_over(self, now: float) -> list[Effect]:
        """Nobody told when he began: what his speech cuts is cut at its end."""
        commit = self._line.commit()
        if not commit:
            return []
        self.fell_silent_at = now
        self._was_unheeded, self._was_on_hold = self._unheeded, self._on_hold
        self._floor_taken = not (self._unheeded or self._on_hold)
        heard_out = self._unheeded or self._on_hold or self._spares_greeting(now)
        stop = self._response.caller_began(now, doubtful=heard_out)
        held = self._response.caller_stopped(now)
        if heard_out or self.closed or not self._policy.barge_in:
            return [*commit, *stop, *held]
        clear, cut = self._voice.cut(now)
        noted: list[Effect] = [Note("barge-in")] if clear or stop else []
        return [*clear, *commit, *stop, *held, *self._model.cut(cut), *noted]

    def turn_committed(self, event: events.TurnCommitted, now: float) -> list[Effect]:
        if not self._transcript.committed(event.item_id, event.previous_item_id):
            return []  # said twice, or after it was seen in the conversation
        self._turn_gone()
        if self._policy.session.turn_detection is None:  # nobody has told that he began
            was, self._was_unheeded = self._was_unheeded, None
            unheeded = self._unheeded if was is None else was
            self._floor_taken = not (unheeded or self._was_on_hold or self._on_hold)
            self._passed_over = event.item_id if unheeded else None
        over = self._speech_over(now)
        self._line.committed()
        self._line.speech_stopped()
        told = self._tells_end_of(event.item_id, now)
        self._was_on_hold = False
        tell: list[Effect] = [effects.TellSpeechCommitted()] if told else []
        if self._passed_over == event.item_id:
            self._passed_over = None
            return [*over, *tell, *self._response.turn_passed_over(now)]
        spared, self._spared = self._spared == event.item_id, None
        return [*over, *tell, *self._response.turn_committed(event.item_id, now, spared)]

    def _tells_end_of(self, item_id: str, now: float) -> bool:
        """Whether AudioCodes is told that the turn is over: by that, too, it knows of barge-in."""
        if self.closed or self._on_hold or self._passed_over == item_id:
            return False
        if self._policy.session.turn_detection is None:  # nor has it heard that he began
            heard_out = self._was_on_hold or self._spares_greeting(now)
            return self._told_of_speech and not heard_out
        return self._told_of == item_id and self._spared != item_id

    def item_added(self, event: events.ItemAdded, now: float) -> list[Effect]:
        """The caller's item is in the conversation, so his turn was committed: were that lost,
        nobody would answer it. Items of our own are in the transcript already."""
        if event.item_id != self._turn and event.item_id in self._transcript:
            return []
        committed = events.TurnCommitted(event.item_id, event.previous_item_id)
        return self.turn_committed(committed, now)

    def session_lost(self, now: float) -> tuple[str | None, list[Effect]]:
        """The turn the caller was in the middle of, if any: of what he said nothing is left."""
        turn = self._turn_gone()
        spoke, self._passed_over = self._caller_has_floor, None
        found = self._resumed(now) if self._doubtful is not None else []
        if self._told_of is not None and self._response.caller_speaking:
            found.append(effects.TellSpeechStopped())  # nobody else will say so
        self._doubtful = self._told_of = None
        return (turn if spoke else None), found

    def put_on_hold(self) -> None:
        """The agent does not go on, so there is no doubt left: what he utters is a turn that waits
        until the hold ends. If it goes on after that, it may still prove to be speech."""
        if self._doubtful is not None:
            self._spared = self._held_turn = self._doubtful
            self._doubtful = None

    def _turn_gone(self) -> str | None:
        """The caller's is over, or lost; which that was."""
        if self._judge is not None and self._held:
            self._judge.close()
        turn, self._turn = self._turn, None
        return turn

    def close(self) -> None:
        """From now on nothing that he says cuts anything."""
        self.closed = True
        self._doubtful = None

    @property
    def _caller_has_floor(self) -> bool:
        doubtful = self._doubtful is not None or self._passed_over is not None
        return self._response.caller_turn_under_way and not doubtful

    @property
    def _unheeded(self) -> bool:
        """The agent is leaving, and hears the caller no more."""
        return self.leaving and not self._policy.farewell_interruptible

    @property
    def _on_hold(self) -> bool:
        """Nobody hears him: what comes of his speech yet began before, cuts nothing, and waits."""
        return self._response.door.on_hold

    def _spares_greeting(self, now: float) -> bool:
        """The greeting is still to be heard, and not to be interrupted."""
        if self._policy.greeting_interruptible:
            return False
        self._voice.settle(now)
        return self._response.door.greets or self._voice.hears(self.greeting)

    # --- Whether he means it ------------------------------------------------------------

    def _paused(
        self, judge: Judge, item_id: str, since: float, tell: list[Effect], now: float
    ) -> list[Effect]:
        pause = self._voice.pause(now)
        self._doubtful = item_id
        doubt = self._response.caller_began(now, doubtful=True)
        judge.open(since, now)
        return [*pause, *tell, *doubt, Note("paused", "", (item_id,)), *self._judged(now)]

    def _judged(self, now: float) -> list[Effect]:
        held = self._held
        if not (self._doubtful or held) or self._judge is None or self._unheeded:
            return []
        if not self._judge.is_speech:
            return []
        self._doubtful, self._held_turn, self._floor_taken = None, None, True
        self._judge.close()
        if held:
            return []  # what there was to cut was cut by the hold
        clear, cut = self._voice.cut(now)
        stop = self._response.caller_cut_in(now)
        return [*clear, *stop, *self._model.cut(cut), Note("barge-in")]

    def _resumed(self, now: float) -> list[Effect]:
        if not self._voice.paused:
            return []
        self._resumed_at = now
        return [Note("resumed"), *self._voice.resume(now)]

    def _speech_over(self, now: float) -> list[Effect]:
        """He has stopped: what was doubtful is no more."""
        item_id, self._doubtful = self._doubtful, None
        if item_id is None or self._judge is None:
            return []
        self._judge.close()
        self._told_of = None  # of its end: the agent goes on, and is to be heard
        found = self._resumed(now)
        if self._at_last_words(now):
            self._floor_taken = True
            return found
        self._passed_over = item_id
        voice_seconds = self._judge.voice_ms / 1000
        return [*found, Note("false-interruption", "", (item_id,), voice_seconds)]

    def _at_last_words(self, now: float) -> bool:
        """Whether nothing of weight was left to say where he stopped hearing it."""
        if self.leaving or not self._response.at_rest:
            return False
        return self._voice.silent_at(now) - self._resumed_at <= LAST_WORDS_SECONDS

    # --- Time ---------------------------------------------------------------------------

    @property
    def deadline(self) -> float | None:
        """When a caller of whom nothing more comes has fallen silent."""
        waits = self._doubtful is not None and self._voice.paused
        return self._judge.quiet_at if self._judge is not None and waits else None

    def timed_out(self, now: float) -> list[Effect]:
        return self._resumed(now) if is_due(self.deadline, now) else []

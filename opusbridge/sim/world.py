"""Whole calls in virtual time: one thread, one seed, a clock that jumps.

A call is a caller, a model and an engine between them. Here the world performs what the
shell performs on real sockets: it carries texts, wakes at deadlines, runs tools, posts to
Twilio's REST interface and closes what is to be closed. It decides nothing but how long
things take, and that by its seed.
"""

from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import partial

from opusbridge import effects, events
from opusbridge.call.policy import CallPolicy
from opusbridge.effects import Effect
from opusbridge.errors import Ending
from opusbridge.events import Event
from opusbridge.sim import checks
from opusbridge.sim.between import EngineLike, OutgoingLike
from opusbridge.sim.callers import Caller, SimulatedAudioCodes, SimulatedTwilio
from opusbridge.sim.clock import Alarm
from opusbridge.sim.clock import World as World  # which whoever makes a call needs, too
from opusbridge.sim.faults import INDEPENDENT, MOST_WAITING, Faults, Mishap
from opusbridge.sim.party import Dial, ModelParty
from opusbridge.sim.rest import Deed, PretendRest
from opusbridge.sim.surroundings import Surroundings
from opusbridge.sim.toolbox import Toolbox, Tools
from opusbridge.sim.wire import Line
from opusbridge.sim.witness import Witness

#: How the call is to be conducted; ``None``: as it is.
Configure = Callable[[], CallPolicy | None]

#: AudioCodes dials again so long after it lost its socket, unless the script says otherwise.
BACK_AFTER_SECONDS = 0.5
#: What ``session.resume`` leads to: the server declines it, and that call has lost its line.
DECLINED = Mishap(kind="drop", side="telephony", at=0)


class SimulatedCall:
    """One call from its first frame to rest.

    ``tools`` are those of the agent; ``hang_up`` and ``transfer_call`` are always there and
    ask the engine as the real ones do, ``destinations`` being the agent's. ``durations`` are
    those of tools, in seconds. Without ``dial`` the model's session cannot be replaced.
    """

    def __init__(
        self,
        world: World,
        caller: Caller,
        model: ModelParty,
        engine: EngineLike,
        *,
        tools: Tools | None = None,
        destinations: Mapping[str, str] | None = None,
        durations: Mapping[str, float] | None = None,
        dial: Dial | None = None,
        configure: Configure | None = None,
        surroundings: Surroundings | None = None,
        faults: Faults | None = None,
        begins_at: float = 0.0,
    ) -> None:
        self.world, self.caller, self.model, self.engine = world, caller, model, engine
        self.faults = faults or Faults()
        usual = surroundings or Surroundings()
        self.surroundings = replace(
            usual,
            slowest_telephony=self.faults.telephony_jitter or usual.slowest_telephony,
            slowest_model=self.faults.model_jitter or usual.slowest_model,
        )
        self.endings: list[Ending] = []
        self.endings_at: list[float] = []
        self.notes: list[effects.Note] = []
        self.toolbox = Toolbox(tools or {}, destinations or {}, durations or {}, self.happened)
        self._rest, self._configure = PretendRest(caller, self, self.surroundings), configure
        self._skew = 1.0 + self.faults.clock_skew
        self.witness = Witness(self._skew)
        self._telephony_line = self._lay_telephony_line()
        self.given_up: list[ModelParty] = []
        """The models of the sessions that were replaced."""
        self._dial, self._sessions, self._dials_to_refuse = dial, 1, self.faults.refused_dials
        self._model_lost_by_network = self._telephony_cut = False
        self._model_line = self._lay_model_line()
        self._caller_gone = self._model_gone = self._stalled = False
        self._alarms = (
            Alarm(world, self._caller_deadline, self._wake_caller),
            Alarm(world, lambda: self.model.deadline, self._wake_model),
            Alarm(world, lambda: engine.deadline, partial(self.happened, events.DeadlineReached())),
        )
        self._set_out(begins_at)

    def _set_out(self, begins_at: float) -> None:
        self.world.at(begins_at, self._begin)
        for mishap in self.faults.network:
            self.world.at(begins_at + mishap.at, partial(self._befall, mishap))

    @property
    def over_at(self) -> float:
        """When the bridge ended it; still under way, it may end now."""
        return min(self.endings_at, default=self.world.now)

    @property
    def at_rest(self) -> bool:
        """Everybody has gone home: nobody wants waking any more."""
        parties = (self.caller.deadline, self.model.deadline, self.engine.deadline)
        return self.engine.ended is not None and parties == (None, None, None)

    def to_caller(self, deed: Deed) -> None:
        """Something is done to him by another way than his socket, on his own clock."""
        deed(self._caller_now())
        self._look_after_caller()

    def let_go(self) -> None:
        """The bridge wants no more of the caller's line: what is under way is lost."""
        self._telephony_line.lose()

    def happens(self, event: Event, at: float) -> None:
        """Something of the shell's comes between, unless the call has ended by then."""
        self.world.at(at, partial(self.happened, event))

    def run(self, most_seconds: float = 600.0) -> bool:
        """Let the world go on until this call is at rest, but not for longer; whether it is."""
        until = self.world.now + most_seconds
        while not self.at_rest and self.world.now < until:
            self.world.run(min(self.world.now + 1.0, until))
        return self.at_rest

    def heard_words(self) -> str:
        """What the agent said, as far as the person heard it."""
        return self.witness.heard_words(self.caller)

    def silences(self) -> list[float]:
        """How long the person waited to hear anything, after each of the own turns."""
        caller = self.caller
        return checks.silences(caller.spoken, caller.heard, caller.ended_at or self.world.now)

    def verdict(self) -> list[str]:
        """Everything that was not as it must be; to be asked when the world is at rest."""
        found = [
            *(f"caller: {what}" for what in self.caller.verdict()),
            *(f"model: {what}" for what in self._of_model()),
            *(f"model: {what}" for model in self.given_up for what in model.violations),
            *checks.one_ending(self.endings),
            *checks.at_rest(
                ended=self.engine.ended is not None,
                caller=self.caller.deadline,
                model=self.model.deadline,
                engine=self.engine.deadline,
            ),
            *(f"engine: {note.reason}" for note in self.notes if note.kind == "violation"),
            *self.witness.door.violations,
            *self.witness.verdict(
                self.caller,
                self.surroundings.slowest_telephony + self.faults.lateness(self.over_at),
                self.caller.slowest_clear,
                parted=self._telephony_cut
                or any(note.kind == "hold" and note.reason == "goodbye" for note in self.notes)
                or any(ending.reason in checks.OVER_ITS_HEAD for ending in self.endings),
            ),
        ]
        if isinstance(self.caller, SimulatedTwilio):
            found += checks.marks_unique(self.caller.marks)
        return found

    def _of_model(self) -> list[str]:
        # What the network took away nobody owes any more, nor what came up when all was over.
        left_at = min(self.over_at, self.witness.handed_over_at)
        return self.model.violations if self._model_lost_by_network else self.model.verdict(left_at)

    # --- Carrying -----------------------------------------------------------------------

    def _begin(self) -> None:
        self.model.wake(self.world.now)
        self._look_after_model()
        self._wake_caller()
        self._alarms[0].set()

    def _caller_now(self) -> float:
        """The telephony side has a clock of its own."""
        return self.world.now * self._skew

    def _caller_deadline(self) -> float | None:
        deadline = self.caller.deadline
        return None if deadline is None else deadline / self._skew

    def _wake_caller(self) -> None:
        self.caller.wake(self._caller_now())
        self._look_after_caller()

    def _caller_hears(self, text: str) -> None:
        self.caller.receive(text, self._caller_now())
        self._look_after_caller()

    def _look_after_caller(self) -> None:
        for text in self.caller.texts_to_send():
            self._telephony_line.to_bridge.send(text)
        if self.caller.closing is not None and not self._caller_gone:
            self._caller_gone = True
            self._telephony_line.to_bridge.then(partial(self.happened, events.TelephonyLost()))
            self._perhaps_back()
        self._alarms[0].set()

    def _wake_model(self) -> None:
        self.model.wake(self.world.now)
        self._look_after_model()

    def _model_hears(self, text: str) -> None:
        self.model.receive(text, self.world.now)
        self._look_after_model()

    def _look_after_model(self) -> None:
        line = self._model_line.to_bridge
        for text in self.model.texts_to_send():
            self.witness.model_said(text, self.world.now)
            if self.faults.reorder and text.startswith(INDEPENDENT):
                line.aside(text, self.faults.reorder)
            else:
                line.send(text)
        if self.model.closing is not None and not self._model_gone:
            self._model_gone = True
            line.then(partial(self._lose_model, self._sessions))
        self._alarms[1].set()

    def _lay_telephony_line(self) -> Line:
        slowest = self.surroundings.slowest_telephony
        return Line(self.world, self._telephony_said, self._caller_hears, slowest)

    def _lay_model_line(self) -> Line:
        """One for each session."""
        slowest = self.surroundings.slowest_model
        return Line(self.world, self._model_said, self._model_hears, slowest)

    # --- What the network does ----------------------------------------------------------

    def _befall(self, mishap: Mishap) -> None:
        if self.engine.ended is not None:
            return
        telephony = mishap.side == "telephony"
        line = self._telephony_line if telephony else self._model_line
        lost = self._telephony_lost if telephony else partial(self._model_cut, self._sessions)
        match mishap.kind:
            case "stall":
                line.stall(mishap.seconds)
            case "slow":
                line.to_peer.slow(mishap.seconds)
            case "drop" | "half-open":
                self._telephony_cut = self._telephony_cut or telephony
                self._model_lost_by_network = self._model_lost_by_network or not telephony
                line.lose()
                self.world.at(self.world.now + mishap.noticed_after, lost)

    def _telephony_lost(self) -> None:
        # Whoever hung up on a dead line was not heard: the bridge learns of it now.
        if not self._caller_gone:
            self._caller_gone = True
            self._close_caller(cut=True)
        self.happened(events.TelephonyLost())
        self._perhaps_back()

    def _model_cut(self, session: int) -> None:
        if session == self._sessions and not self._model_gone:
            self._close_model()
            self._lose_model(session)

    def _perhaps_back(self) -> None:
        """A provider that lost its socket may dial again, if there is still a call."""
        caller = self.caller
        if isinstance(caller, SimulatedAudioCodes) and caller.reconnect_wanted:
            after = caller.back_after
            wait = BACK_AFTER_SECONDS if after is None else after
            self.world.at(self.world.now + wait, partial(self._befall, DECLINED))

    def again(self, deed: Deed) -> None:
        """That is done on the caller's next line, if there is still a call."""
        if self.engine.ended is None:
            self._telephony_line = self._lay_telephony_line()
            self._caller_gone = False
            self.to_caller(deed)

    def _check_stalled(self) -> None:
        """A peer too far behind is given up, as the shell's outboxes have it."""
        for side, line in (("telephony", self._telephony_line), ("model", self._model_line)):
            if line.to_peer.waiting > MOST_WAITING and not self._stalled:
                self._stalled = True
                self.happened(events.PeerStalled(side))

    def _replace_model(self) -> None:
        self.model.gone(self.world.now)
        self._model_gone = True
        self._model_line.lose()  # with all that is under way
        self._sessions += 1
        self._model_line = self._lay_model_line()
        self._model_lost_by_network = False
        self.later(self.surroundings.dial_seconds, self._dialled)

    def _dialled(self) -> None:
        if self.engine.ended is not None:
            return
        refused, self._dials_to_refuse = self._dials_to_refuse > 0, self._dials_to_refuse - 1
        dial = None if refused else self._dial
        model = dial(self.world.now) if dial is not None else None
        if model is None:
            reason = "model-lost" if self._dial is None else "model-unreachable"
            self.happened(events.ModelLost(reason, self._dial is None))
            return
        self.given_up.append(self.model)
        self.model, self._model_gone = model, False
        self.witness.model_replaced()
        self._look_after_model()

    def _telephony_said(self, text: str) -> None:
        if self.engine.ended is None:
            self.witness.telephony_said(text)
            self._perform(self.engine.telephony_said(text, self.world.now))

    def _model_said(self, text: str) -> None:
        if self.engine.ended is None:
            self.witness.bridge_heard(text, self.world.now)
            self._perform(self.engine.model_said(text, self.world.now))

    def _lose_model(self, session: int) -> None:
        if session == self._sessions:
            self.happened(events.ModelLost("model-lost", permanent=False))

    def _conduct(self) -> None:
        if self.engine.ended is None:
            policy = self._configure() if self._configure is not None else None
            self._perform(self.engine.configured(policy, self.world.now))

    def happened(self, event: Event) -> None:
        if self.engine.ended is None:
            self._perform(self.engine.happened(event, self.world.now))

    # --- Performing ---------------------------------------------------------------------

    def _perform(self, outgoing: OutgoingLike) -> None:
        for text in outgoing.to_telephony:
            self.witness.telephony_told(text, self.world.now)
            self._telephony_line.to_peer.send(text)
        for text in outgoing.to_model:
            self.witness.bridge_said(text, self.world.now)
            self._model_line.to_peer.send(text)
        for effect in outgoing.effects:
            self._perform_effect(effect)
        self._alarms[2].set()
        self._check_stalled()

    def _perform_effect(self, effect: Effect) -> None:
        match effect:
            case effects.RunTool():
                seconds = self.toolbox.seconds(effect.name, self.surroundings.tool_seconds)
                self.later(seconds, partial(self.toolbox.use, effect))
            case effects.AskApproval():
                self.later(self.surroundings.rest_seconds, partial(self.toolbox.asked, effect))
            case effects.HangUp():
                self._rest.hang_up()
            case effects.TransferCall(target):
                self._rest.transfer(target.value)
            case effects.SendDTMF(digits):
                self._rest.press(digits.value)
            case effects.PingTelephony(name):
                pong = partial(self.happened, events.PingAnswered(name))
                self._telephony_line.ping(pong, self.surroundings.pong_seconds)
            case _ if isinstance(effect, effects.ToRecorder):
                pass  # who sees it by observing
            case effects.ConfigureCall():
                self.world.at(self.world.now, self._conduct)
            case effects.DeliverDigits():
                self.world.at(self.world.now, partial(self.toolbox.delivered, effect))
            case effects.Note():
                self.notes.append(effect)
            case effects.ReplaceModel():
                self._replace_model()
            case effects.EndCall(ending):
                self.endings.append(ending)
                self.endings_at.append(self.world.now)
                self._telephony_line.to_peer.then(self._close_caller)
                self._model_line.to_peer.then(self._close_model)
            case _:
                raise AssertionError(f"the world cannot perform {type(effect).__name__}")

    def later(self, seconds: tuple[float, float], act: Callable[[], None]) -> None:
        self.world.at(self.world.now + self.world.random.uniform(*seconds), act)

    def _close_caller(self, *, cut: bool = False) -> None:
        self.caller.gone(self._caller_now(), cut=cut)
        self._look_after_caller()

    def _close_model(self) -> None:
        self.model.gone(self.world.now)
        self._look_after_model()

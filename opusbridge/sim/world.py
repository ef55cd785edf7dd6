"""Whole calls in virtual time: one thread, one seed, a clock that jumps.

A call is a caller, a model and an engine between them. Here the world performs what the
shell performs on real sockets: it carries texts, wakes at deadlines, runs tools, posts to
Twilio's REST interface and closes what is to be closed. It decides nothing but how long
things take, and that by its seed.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from heapq import heappop, heappush
from itertools import count
from json import JSONDecodeError, dumps, loads
from random import Random

from opusbridge import effects, events
from opusbridge.effects import Effect
from opusbridge.errors import REASONS, Ending, Outcome
from opusbridge.events import Event
from opusbridge.privacy import Private
from opusbridge.sim import checks
from opusbridge.sim.between import EngineLike, OutgoingLike
from opusbridge.sim.callers import Caller, SimulatedTwilio
from opusbridge.sim.party import Dial, ModelParty
from opusbridge.sim.wire import Wire
from opusbridge.sim.witness import Witness


class World:
    """Where simulated calls happen. The same seed gives the same world, to the last byte."""

    def __init__(self, seed: int) -> None:
        self.seed = seed
        self.now = 0.0
        self.random = Random(seed)
        self._due: list[tuple[float, int, Callable[[], None]]] = []
        self._order = count()  # what is due at the same instant happens in the order asked

    def at(self, when: float, act: Callable[[], None]) -> None:
        """Do this then, or now if then is past."""
        heappush(self._due, (when if when > self.now else self.now, next(self._order), act))

    def run(self, until: float) -> None:
        """Let everything due until then happen; afterwards it is then."""
        due = self._due
        while due and due[0][0] <= until:
            self.now, _, act = heappop(due)
            act()
        self.now = max(self.now, until)


#: Whoever wants waking so often at one instant will never be content.
MOST_RINGS_AT_ONCE = 1000


class Alarm:
    """Wakes somebody at the deadline it shows, which it may move at any time.

    Deadlines mostly move later, fifty times a second; so a ring that comes too early looks
    again, rather than each move paying for a new entry.
    """

    __slots__ = ("_armed_at", "_deadline", "_rang_at", "_ring", "_rings", "_world")

    def __init__(
        self, world: World, deadline: Callable[[], float | None], ring: Callable[[], None]
    ) -> None:
        """``ring`` is called at each deadline."""
        self._world, self._deadline, self._ring = world, deadline, ring
        self._armed_at: float | None = None
        self._rang_at, self._rings = -1.0, 0

    def set(self) -> None:
        """To be called whenever the deadline may have moved."""
        deadline = self._deadline()
        if deadline is None or (self._armed_at is not None and self._armed_at <= deadline):
            return
        self._armed_at = deadline
        self._world.at(deadline, lambda: self._due(deadline))

    def _due(self, armed_at: float) -> None:
        if armed_at != self._armed_at:
            return  # one that was set for earlier has taken its place
        self._armed_at = None
        deadline = self._deadline()
        if deadline is not None and deadline <= self._world.now:
            self._count()
            self._ring()
        self.set()

    def _count(self) -> None:
        self._rings = self._rings + 1 if self._rang_at == self._world.now else 1
        self._rang_at = self._world.now
        if self._rings > MOST_RINGS_AT_ONCE:
            raise RuntimeError("somebody's deadline stays in the past however often it is met")


@dataclass(frozen=True, slots=True)
class Surroundings:
    """How long things take around the engine, in seconds, least and most; and what fails."""

    slowest_telephony: float = 0.12
    slowest_model: float = 0.12
    tool_seconds: tuple[float, float] = (0.02, 1.5)
    rest_seconds: tuple[float, float] = (0.05, 0.4)
    dial_seconds: tuple[float, float] = (0.1, 0.6)
    transfer_fails: str | None = None
    """Twilio: why a transfer does not succeed, as in ``TransferFailed``; ``None``: it does."""


#: Endings in which the bridge stops the model in mid-speech and says the last word itself.
OVER_ITS_HEAD = frozenset(
    ["drained", "too-long", "internal-error"]
    + [reason for reason, outcome in REASONS.items() if outcome is Outcome.MODEL]
)

#: A tool takes the model's JSON text and gives the output text; ValueError means it failed.
Tools = Mapping[str, Callable[[str], str]]


class SimulatedCall:
    """One call from its first frame to rest.

    ``tools`` are those of the agent; ``hang_up`` and ``transfer_call`` are always there and
    ask the engine as the real ones do, ``destinations`` being the agent's. Without ``dial``
    the model's session cannot be replaced.
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
        dial: Dial | None = None,
        surroundings: Surroundings | None = None,
        begins_at: float = 0.0,
    ) -> None:
        self.world, self.caller, self.model, self.engine = world, caller, model, engine
        self.surroundings = surroundings or Surroundings()
        self.endings: list[Ending] = []
        self.endings_at: list[float] = []
        self.notes: list[effects.Note] = []
        self.tools_run: list[str] = []
        self.witness = Witness()
        self._tools = dict(tools or {})
        self._destinations = dict(destinations or {})
        telephony = self.surroundings.slowest_telephony
        self._from_caller = Wire(world, self._telephony_said, telephony)
        self._to_caller = Wire(world, self._caller_hears, telephony)
        self.given_up: list[ModelParty] = []
        """The models of the sessions that were replaced."""
        self._dial, self._line = dial, 0
        self._lay_model_wires()
        self._caller_gone = self._model_gone = False
        self._alarms = (
            Alarm(world, lambda: caller.deadline, self._wake_caller),
            Alarm(world, lambda: self.model.deadline, self._wake_model),
            Alarm(world, lambda: engine.deadline, self._wake_engine),
        )
        world.at(begins_at, self._begin)

    @property
    def at_rest(self) -> bool:
        """Everybody has gone home: nobody wants waking any more."""
        parties = (self.caller.deadline, self.model.deadline, self.engine.deadline)
        return self.engine.ended is not None and parties == (None, None, None)

    def happens(self, event: Event, at: float) -> None:
        """Something of the shell's comes between, unless the call has ended by then."""
        self.world.at(at, partial(self._happened, event))

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
            *(f"model: {what}" for what in self.model.verdict()),
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
                self.surroundings.slowest_telephony,
                self.caller.slowest_clear,
                parted=any(ending.reason in OVER_ITS_HEAD for ending in self.endings),
            ),
        ]
        if isinstance(self.caller, SimulatedTwilio):
            found += checks.marks_unique(self.caller.marks)
        return found

    # --- Carrying -----------------------------------------------------------------------

    def _begin(self) -> None:
        self.model.wake(self.world.now)
        self._look_after_model()
        self._wake_caller()
        self._alarms[0].set()

    def _wake_caller(self) -> None:
        self.caller.wake(self.world.now)
        self._look_after_caller()

    def _caller_hears(self, text: str) -> None:
        self.caller.receive(text, self.world.now)
        self._look_after_caller()

    def _look_after_caller(self) -> None:
        for text in self.caller.texts_to_send():
            self._from_caller.send(text)
        if self.caller.closing is not None and not self._caller_gone:
            self._caller_gone = True
            self._from_caller.then(self._telephony_gone)
        self._alarms[0].set()

    def _wake_model(self) -> None:
        self.model.wake(self.world.now)
        self._look_after_model()

    def _model_hears(self, text: str) -> None:
        self.model.receive(text, self.world.now)
        self._look_after_model()

    def _look_after_model(self) -> None:
        for text in self.model.texts_to_send():
            self.witness.model_said(text, self.world.now)
            self._from_model.send(text)
        if self.model.closing is not None and not self._model_gone:
            self._model_gone = True
            self._from_model.then(partial(self._lose_model, self._line))
        self._alarms[1].set()

    def _lay_model_wires(self) -> None:
        """For a session; what is on the wires of the one before is lost."""
        self._line += 1
        line, slowest = self._line, self.surroundings.slowest_model

        def of_now(act: Callable[[str], None]) -> Callable[[str], None]:
            return lambda text: act(text) if self._line == line else None

        self._from_model = Wire(self.world, of_now(self._model_said), slowest)
        self._to_model = Wire(self.world, of_now(self._model_hears), slowest)

    def _replace_model(self) -> None:
        self.model.gone(self.world.now)
        self._model_gone = True
        self._lay_model_wires()
        self._after(self.surroundings.dial_seconds, self._dialled)

    def _dialled(self) -> None:
        if self.engine.ended is not None:
            return
        model = self._dial(self.world.now) if self._dial is not None else None
        if model is None:
            reason = "model-lost" if self._dial is None else "model-unreachable"
            gone = self.engine.model_gone(reason, self._dial is None, self.world.now)
            self._perform(gone)
            return
        self.given_up.append(self.model)
        self.model, self._model_gone = model, False
        self.witness.model_replaced()
        self._look_after_model()

    def _telephony_said(self, text: str) -> None:
        if self.engine.ended is None:
            self._perform(self.engine.telephony_said(text, self.world.now))

    def _model_said(self, text: str) -> None:
        if self.engine.ended is None:
            self.witness.bridge_heard(text, self.world.now)
            self._perform(self.engine.model_said(text, self.world.now))

    def _telephony_gone(self) -> None:
        if self.engine.ended is None:
            self._perform(self.engine.telephony_gone(self.world.now))

    def _lose_model(self, line: int) -> None:
        if self.engine.ended is None and line == self._line:
            self._perform(self.engine.model_gone("model-lost", False, self.world.now))

    def _wake_engine(self) -> None:
        if self.engine.ended is None:
            self._perform(self.engine.deadline_reached(self.world.now))

    def _happened(self, event: Event) -> None:
        if self.engine.ended is None:
            self._perform(self.engine.happened(event, self.world.now))

    # --- Performing ---------------------------------------------------------------------

    def _perform(self, outgoing: OutgoingLike) -> None:
        for text in outgoing.to_telephony:
            self._to_caller.send(text)
        for text in outgoing.to_model:
            self.witness.bridge_said(text, self.world.now)
            self._to_model.send(text)
        for effect in outgoing.effects:
            self._perform_effect(effect)
        self._alarms[2].set()

    def _perform_effect(self, effect: Effect) -> None:
        match effect:
            case effects.RunTool():
                self._after(self.surroundings.tool_seconds, partial(self._run_tool, effect))
            case effects.HangUp():
                self._after(self.surroundings.rest_seconds, self._hang_up_by_rest)
            case effects.TransferCall():
                self._after(self.surroundings.rest_seconds, self._transfer_by_rest)
            case effects.PauseRecording() | effects.ResumeRecording():
                pass  # for whoever keeps it, and sees it by observing
            case effects.Note():
                self.notes.append(effect)
            case effects.ReplaceModel():
                self._replace_model()
            case effects.EndCall(ending):
                self.endings.append(ending)
                self.endings_at.append(self.world.now)
                self._to_caller.then(self._close_caller)
                self._to_model.then(self._close_model)
            case _:
                raise AssertionError(f"the world cannot perform {type(effect).__name__}")

    def _after(self, seconds: tuple[float, float], act: Callable[[], None]) -> None:
        self.world.at(self.world.now + self.world.random.uniform(*seconds), act)

    def _close_caller(self) -> None:
        self.caller.gone(self.world.now)
        self._look_after_caller()

    def _close_model(self) -> None:
        self.model.gone(self.world.now)
        self._look_after_model()

    def _run_tool(self, effect: effects.RunTool) -> None:
        self.tools_run.append(effect.name)
        output, failed = self._output_of(effect.name, effect.arguments.value)
        self._happened(events.ToolFinished(effect.tool_call_id, Private(output), failed))

    def _output_of(self, name: str, arguments: str) -> tuple[str, bool]:
        if name in self._tools:
            try:
                return self._tools[name](arguments), False
            except ValueError:
                return dumps({"error": "the tool failed"}), True
        if name == "hang_up":
            self._happened(events.HangUpRequested("agent-hung-up"))
            return dumps({"status": "hanging up"}), False
        if name == "transfer_call" and (target := self._target(arguments)) is not None:
            self._happened(events.TransferRequested(Private(target)))
            return dumps({"status": "transferring"}), False
        return dumps({"error": "no such tool or destination"}), True

    def _target(self, arguments: str) -> str | None:
        try:
            wanted = loads(arguments)
        except JSONDecodeError:
            return None
        return self._destinations.get(wanted.get("destination", ""))

    def _hang_up_by_rest(self) -> None:
        assert isinstance(self.caller, SimulatedTwilio), "only Twilio is hung up by REST"
        self.caller.hang_up_by_rest(self.world.now)
        self._look_after_caller()

    def _transfer_by_rest(self) -> None:
        assert isinstance(self.caller, SimulatedTwilio), "only Twilio is transferred by REST"
        if self.surroundings.transfer_fails is not None:
            self._happened(events.TransferFailed(self.surroundings.transfer_fails))
            return
        self._happened(events.TransferSucceeded())
        self.caller.new_twiml(self.world.now)
        self._look_after_caller()

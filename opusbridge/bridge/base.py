"""The shell of a call: two sockets, one clock, the tools. It decides nothing.

Whoever reads a text hands it to the engine at once; what the engine wants sent goes to an
outbox for each peer; one timer wakes the engine at its deadline. Everything runs in one task
group that ends with the call, so nothing of a call outlives it.
"""

import asyncio
import time
from abc import abstractmethod
from collections.abc import Callable, Coroutine, Iterable, Mapping, Sequence
from contextvars import Context, copy_context
from datetime import UTC, datetime
from typing import Any
from uuid import uuid4

from opusbridge import effects, events
from opusbridge.agent import Agent
from opusbridge.bridge.alarm import Alarm
from opusbridge.bridge.asking import Asking
from opusbridge.bridge.conduct import call_policy
from opusbridge.bridge.control import Control
from opusbridge.bridge.flag import Flag
from opusbridge.bridge.hooks import OnOutcome, configured, tell_of_end
from opusbridge.bridge.keeping import files_complete, keep_sent, keep_told, write_as_it_goes
from opusbridge.bridge.line import TelephonyLine
from opusbridge.bridge.metrics import CallMetrics
from opusbridge.bridge.model import ConnectModel, ModelLink
from opusbridge.bridge.outbox import Socket
from opusbridge.bridge.pinging import PingSocket
from opusbridge.bridge.shortcuts import ShortCuts
from opusbridge.bridge.summary import as_kept, complete, describe, show_note
from opusbridge.bridge.tools import SideWork, run_tool
from opusbridge.call.call import Call
from opusbridge.call.engine import Engine, Observer, Outgoing, TelephonyProtocol, by_type
from opusbridge.call.policy import CallPolicy, TelephonyTraits
from opusbridge.config import Settings
from opusbridge.effects import Effect
from opusbridge.errors import Ending, PeerGone, ending
from opusbridge.events import Event
from opusbridge.logs import BadMessages, Log, of_call, places
from opusbridge.privacy import Private
from opusbridge.protocols.realtime.protocol import RealtimeProtocol
from opusbridge.recording.recorder import CallRecorder
from opusbridge.tools.context import CallContext
from opusbridge.tools.outcome import CallOutcome

log = Log("opusbridge.bridge")

RecorderFactory = Callable[[str, datetime, float], CallRecorder]
"""Makes the recorder of a call: its id, when it began, and the same on the shell's clock."""

#: The last words on the wire (a hang-up activity, a close) have this long to leave.
FLUSH_SECONDS = 1.0


class RealtimeBridge(Asking):
    """One call on its sockets. Run it once; everything else may be asked at any time."""

    traits: TelephonyTraits

    def __init__(
        self,
        telephony_socket: Socket,
        connect_model: ConnectModel | Socket,
        settings: Settings,
        agent: Agent,
        *,
        metrics: CallMetrics | None = None,
        recorder: RecorderFactory | None = None,
        observers: Sequence[Observer] = (),
        on_outcome: OnOutcome | None = None,
        call_id: str | None = None,
    ) -> None:
        """``connect_model`` opens a model session when called; an open socket is accepted too.

        ``metrics`` counts the call and ``recorder`` keeps it; without them neither is done.
        ``observers`` are shown every event and effect; they must be quick and change nothing.
        ``on_outcome`` is told of the whole call when it is over, as the agent's ``on_end`` is.
        """
        self.call_id = call_id or uuid4().hex
        self.agent = agent
        self._given, self._on_outcome = settings, on_outcome
        self.settings = agent.applied_to(settings)
        self._telephony_socket = telephony_socket
        self._connect_model = connect_model
        self._metrics = metrics
        self._recorder_factory = recorder
        self._observers = tuple(observers)
        self._recorder: CallRecorder | None = None
        self._policy = self._conducted_by(agent)
        self._engine: Engine | None = None
        self._ended: Ending | None = None
        self._started_at = datetime.now(UTC)
        self._clock, self._clock_began = time.monotonic, 0.0  # the loop's, once it runs
        self._names = Context()  # what the logs know the call by
        self._alarm = Alarm(self._wake)
        self._over, self._finished = Flag(), Flag()
        self._broke = False
        self._bad_messages = BadMessages("opusbridge.bridge")
        self._state: dict[str, Any] = {}
        self._side_work: SideWork | None = None
        self.control = Control(agent, self._asked, self._may_transfer, self._may_send_keys)
        """What may be asked of the call, by tools and by operators."""
        self._outcome: CallOutcome | None = None
        self.on_started: Callable[[Mapping[str, str]], None] | None = None
        """Told what the telephony side hands over, when the call starts; set it before."""

    # --- What differs -------------------------------------------------------------------

    @abstractmethod
    def _protocol(self) -> TelephonyProtocol:
        """A fresh protocol object for the telephony side."""

    @abstractmethod
    async def _control(self, effect: effects.ByOtherMeans) -> None:
        """Do what the telephony side's wire cannot carry."""

    @abstractmethod
    def _may_transfer(self, target: Private[str]) -> None:
        """Raises :class:`TransferRefused` where a transfer there cannot be made at all."""

    @abstractmethod
    def _may_send_keys(self) -> None:
        """Raises :class:`WishRefused` where no keys can be sent."""

    # --- What can be seen and asked -----------------------------------------------------

    @property
    def ended(self) -> bool:
        return self._ended is not None

    @property
    def _call(self) -> Call | None:
        return self._engine.call if self._engine else None

    def describe(self) -> dict[str, Any]:
        """The call for an operator, as ``GET /api/calls`` shows it."""
        return describe(self.call_id, self.traits.name, self._started_at, self._engine, self._ended)

    def rejected(self, kind: str) -> None:
        """A frame of the telephony side could not even be read as text."""
        self._asked(events.MessageRejected(self.traits.name, kind))

    def _asked(self, event: events.FromShell | events.FromTelephony) -> None:
        """From outside the call's tasks: what comes of it is logged as the call's all the same,
        by the timer and the tasks it begins, too."""
        with of_call(self.call_id):
            self._happened(event)

    # --- Running ------------------------------------------------------------------------

    async def run(self) -> Ending:
        """The whole call. Returns how it ended, when its files are complete or the disk hangs."""
        loop = asyncio.get_running_loop()
        self._clock, self._clock_began = loop.time, loop.time()
        watching: list[tuple[Observer, Iterable[type]]] = []
        call, protocol = Call(self._policy, self._clock_began), self._protocol()
        if (make := self._recorder_factory) is not None:
            self._recorder = make(self.call_id, self._started_at, self._clock_began)
            self._recorder.follow(call.transcript_changes, self._policy, protocol.frame_kind)
            watching.append((self._recorder.observe, self._recorder.wanted))
        if self._metrics is not None:  # counted once nothing can break before its end is
            self._metrics.call_began()
            watching.append((self._metrics.observe, self._metrics.wanted))
        if self.on_started is not None:
            watching.append((self._started, [events.CallStarted]))
        made = protocol, RealtimeProtocol(), self._observers, by_type(watching)
        engine = self._engine = Engine(call, *made)
        ways = self._said, self._also, self._short_way_broke
        short = ShortCuts(engine, self._recorder, self._clock, *ways)
        self._line = TelephonyLine(
            self._telephony_socket,
            short.telephony_said,
            lambda: self._happened(events.TelephonyLost()),
            lambda: self._happened(events.PeerStalled("telephony")),
            lambda name: self._asked(events.PingAnswered(name)),
        )
        self._model = ModelLink(
            self._connect_model,
            short.model_said,
            self._model_gone,
            lambda: self._happened(events.PeerStalled("model")),
        )
        short.lead_to(self._line, self._model)
        with of_call(self.call_id):
            self._names = copy_context()
            log.info("call began", telephony=self.traits.name)
            try:
                await self._carry()
            finally:
                if self._ended is None:  # cancelled from outside, or broken beyond speech
                    self._end(ending("internal-error" if self._broke else "cancelled"))
                await self._close()
        assert self._ended is not None
        return self._ended

    async def _carry(self) -> None:
        try:
            await self._run_tasks()
        except (Exception, BaseExceptionGroup) as error:  # a bug of ours, outside of any step
            self._broke = True
            log.error("call broke", raised=places(error))
            raise

    async def _run_tasks(self) -> None:
        async with asyncio.TaskGroup() as tasks:
            self._side_work = SideWork(tasks)
            running = [
                tasks.create_task(self._line.carry()),
                tasks.create_task(self._model.carry()),
                tasks.create_task(write_as_it_goes(self._recorder)),
            ]
            self._set_alarm()
            await self._over.wait()
            await self._line.emptied(FLUSH_SECONDS)
            # Nobody waits for the model, which answers a close late or never.
            await self._line.socket.close()
            for task in running:
                task.cancel()
            self._side_work.cancel()

    def _started(self, event: Event | Effect, at: float) -> None:
        assert isinstance(event, events.CallStarted)
        assert self.on_started is not None
        self.on_started(event.parameters.value)

    def _model_gone(self, gone: PeerGone) -> None:
        if gone.reason == "model-refused-us":
            log.error("the model refused us", code=gone.code)
        self._happened(events.ModelLost(gone.reason, gone.permanent))

    # --- One step -----------------------------------------------------------------------

    def _said(self, peer: str, text: str, now: float) -> None:
        self._names.run(self._step, peer, text, now)

    def _step(self, peer: str, text: str, now: float) -> None:
        engine = self._engine
        assert engine is not None
        said = engine.model_said if peer == "model" else engine.telephony_said
        if self._recorder is not None and self._ended is None:
            self._recorder.said(peer, "in", self._for_the_record(peer, text), now)
        self._perform(lambda at: said(text, at), now)

    def _for_the_record(self, peer: str, text: str) -> str:
        assert self._engine is not None
        return text if peer == "model" else self._engine.for_the_record(text)

    def _happened(self, event: Event, now: float | None = None) -> None:
        """What came over neither socket; ``now`` if it is not this instant."""
        if (engine := self._engine) is not None:
            at = keep_told(self._recorder, event, now)
            self._perform(lambda at: engine.happened(event, at), at)

    def _perform(self, step: Callable[[float], Outgoing], at: float) -> None:
        """Let the engine decide, then carry out what it decided."""
        if self._ended is not None:
            return
        try:
            out = step(at)
        except Exception as error:  # noqa: BLE001  # the outermost loop of the shell
            self._step_broke(error)
            return
        self._came_of_it(out, at)
        if self._engine is not None and self._engine.wants_model:
            self._model.want()

    def _also(self, out: Outgoing, now: float) -> None:
        self._names.run(self._came_of_it, out, now)

    def _came_of_it(self, out: Outgoing, now: float) -> None:
        keep_sent(self._recorder, out, now)
        if out.to_telephony:
            self._line.put(out.to_telephony)
        if out.to_model:
            self._model.put(out.to_model)
        for effect in out.effects:
            self._perform_effect(effect)
        self._set_alarm()

    def _short_way_broke(self, error: Exception) -> None:
        self._names.run(self._step_broke, error)

    def _step_broke(self, error: Exception) -> None:
        log.error("call broke", raised=places(error))
        engine = self._engine
        if engine is not None and engine.ended is not None:
            self._end(engine.ended)  # which is what was lost of the step
            return
        if self._broke or engine is None:
            self._end(ending("internal-error"))
            return
        self._broke = True
        self._happened(events.Broke())

    def _perform_effect(self, effect: Effect) -> None:
        match effect:
            case effects.RunTool(tool_call_id):
                context = self._context(tool_call_id)
                self._begin(run_tool(self.agent, effect, context, self._happened))
            case effects.AskApproval():
                self._begin(run_tool(self.agent, effect, self._context(), self._happened))
            case effects.ConfigureCall():
                self._begin(self._configure())
            case effects.HangUp() | effects.TransferCall() | effects.SendDTMF():
                self._begin(self._control(effect))
            case effects.DeliverDigits():
                self.control.deliver(effect)
            case effects.ReplaceModel(reason):
                log.warning("another model session is dialled", reason=reason)
                self._model.replace()
            case effects.ReleaseModel():
                self._model.release()
            case effects.PauseRecording() | effects.ResumeRecording():
                log.info("recording paused or resumed", what=type(effect).__name__)
            case effects.MovePlayout() | effects.CutPlayout():
                pass  # for the recorder, which sees it by observing
            case effects.PingTelephony(name):
                self._line.ping(name)
            case effects.Note():
                show_note(effect, self._bad_messages)
            case effects.EndCall(how):
                self._end(how)
            case _:
                raise AssertionError("the engine carries all other effects itself")

    def _begin(self, work: Coroutine[Any, Any, None]) -> None:
        assert self._side_work is not None
        self._side_work.begin(work)

    def _set_alarm(self) -> None:
        engine = self._engine
        self._alarm.set(engine.deadline if engine is not None and self._ended is None else None)

    def _wake(self, at: float) -> None:
        due = self._engine.deadline if self._engine is not None else None
        if due is None or due > at:
            self._set_alarm()  # frames that passed have put it off
        else:
            self._happened(events.DeadlineReached(), at)

    # --- Tools --------------------------------------------------------------------------

    def _context(self, tool_call_id: str = "") -> CallContext:
        call = self._call
        assert call is not None
        return CallContext(
            self.call_id,
            caller=call.caller.value if call.caller else None,
            callee=call.callee.value if call.callee else None,
            parameters=call.parameters.value,
            control=self.control.of_tool(tool_call_id) if tool_call_id else self.control,
            state=self._state,
        )

    def _conducted_by(self, agent: Agent) -> CallPolicy:
        return call_policy(
            self.traits, self.settings, agent, pings=isinstance(self._telephony_socket, PingSocket)
        )

    async def _configure(self) -> None:
        """As the agent's own hook says, unless it comes too late."""
        changed = await configured(self.agent, self._given, self.traits, self._context())
        engine, policy = self._engine, None
        assert engine is not None
        if changed is not None and engine.configurable:
            self.agent = self.control.agent = changed
            self.settings = changed.applied_to(self._given)
            policy = self._conducted_by(changed)
        at = keep_told(self._recorder, events.CallConfigured(policy is not None), None, policy)
        self._perform(lambda at: engine.configured(policy, at), at)

    # --- The end ------------------------------------------------------------------------

    def _end(self, how: Ending) -> None:
        if self._ended is None:
            self._ended = how
            log.info("call ended", outcome=how.outcome.value, reason=how.reason)
            now = asyncio.get_running_loop().time()
            try:
                if self._metrics is not None:  # which counts it once, whoever tells it
                    self._metrics.observe(effects.EndCall(how), now)
                if self._engine is not None:
                    known = self.describe(), self._engine, how, self._started_at, now
                    self._outcome = complete(*known, self._recorder, self._state)
            finally:  # also if that breaks: nobody ends it a second time
                self.control.call_ended()
                self._over.set()

    async def _close(self) -> None:
        self._alarm.set(None)
        try:
            await self._line.socket.close()
            await files_complete(self._recorder)
        finally:
            self._finished.set()
            if self._outcome is not None:
                outcome = as_kept(self._outcome, self._recorder)
                await tell_of_end(self.agent.on_end, self._on_outcome, outcome)

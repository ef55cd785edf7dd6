"""A whole bridge without sockets and without waiting: real parties, a clock that jumps.

The event loop is asyncio's own; only its selector never sleeps, it moves the clock instead.
So timers, time-outs and task switches are the real ones, and a minute takes milliseconds.
"""

import asyncio
import selectors
from collections import deque
from collections.abc import Awaitable, Callable, Coroutine
from dataclasses import dataclass, field
from random import Random
from typing import Any, TypeVar

import orjson
import pytest

from opusbridge import events
from opusbridge.agent import Agent
from opusbridge.bridge import keeping
from opusbridge.bridge.audiocodes import TelephonyRealtimeBridge
from opusbridge.bridge.base import RecorderFactory
from opusbridge.bridge.outbox import Socket
from opusbridge.bridge.twilio import TwilioRealtimeBridge
from opusbridge.config import Settings
from opusbridge.effects import Effect
from opusbridge.errors import Ending, PeerGone
from opusbridge.events import Event
from opusbridge.privacy import Private
from opusbridge.sim.callers import (
    AudioCodesHabits,
    Caller,
    Person,
    SimulatedAudioCodes,
    SimulatedTwilio,
    Step,
)
from opusbridge.sim.model import Knobs, ReplyScript, SimulatedModel
from opusbridge.sim.party import Party

T = TypeVar("T")

BRIDGES = (TelephonyRealtimeBridge, TwilioRealtimeBridge)
AnyBridge = TelephonyRealtimeBridge | TwilioRealtimeBridge

AGENT = Agent(name="front-desk", instructions="Be kind.", greeting=None)


#: Real seconds that a thread may take when everybody else waits, and how often.
THREAD_SECONDS = 0.5
THREAD_PATIENCE = 20


class _Clock(selectors.SelectSelector):
    """Waiting for nothing takes no time; waiting for ever is a test that will never end."""

    def __init__(self) -> None:
        super().__init__()
        self.now = 1_000.0

    def select(self, timeout: float | None = None) -> Any:
        ready = super().select(0)
        if ready or timeout == 0:
            return ready
        if timeout is None:
            # A thread may still have something to tell: the recorder's, at the end. Asked often,
            # for a machine that stands still for seconds does so for the thread as well.
            for _ in range(THREAD_PATIENCE):
                if told := super().select(THREAD_SECONDS):
                    return told
            raise RuntimeError("everybody waits and nobody will come")
        self.now += timeout
        return ready


class VirtualLoop(asyncio.SelectorEventLoop):
    def __init__(self) -> None:
        self._virtual = _Clock()
        super().__init__(self._virtual)

    def time(self) -> float:
        return self._virtual.now


def in_virtual_time(story: Coroutine[Any, Any, T]) -> T:
    """Run it to its end; threads must not be involved, but for the recorder's."""
    with pytest.MonkeyPatch.context() as patch, asyncio.Runner(loop_factory=VirtualLoop) as runner:
        patch.setattr(keeping, "FILES_SECONDS", None)  # a disk's time is real
        return runner.run(story)


class PartySocket:
    """The bridge's end of a socket with a simulated party at the other."""

    def __init__(self, party: Party) -> None:
        self.party = party
        self.sent: list[tuple[float, dict[str, Any]]] = []
        """By the bridge, with the time; sound left out."""
        self.after_each: Callable[[str], None] = lambda text: None
        """Called when the bridge has dealt with a text, with that text."""
        self.pong_seconds: float | None = 0.0
        """How long the other end takes to answer a ping; ``None``: it never does."""
        self.pings: list[tuple[float, bytes]] = []
        self.on_pong: Callable[[bytes], None] = lambda payload: None
        self.closed = False
        self.was_closed = asyncio.Event()
        self._inbox: deque[str] = deque()
        self._stirred = asyncio.Event()
        self._handed_over: str | None = None

    async def receive_text(self) -> str:
        if self._handed_over is not None:
            self.after_each(self._handed_over)
            self._handed_over = None
        clock = asyncio.get_running_loop().time
        while True:
            self.party.wake(clock())
            self._inbox.extend(self.party.texts_to_send())
            if self._inbox:
                self._handed_over = self._inbox.popleft()
                return self._handed_over
            if self.closed or self.party.closing is not None:
                raise PeerGone("a party", "model-lost")
            self._stirred.clear()
            try:
                async with asyncio.timeout_at(self.party.deadline):
                    await self._stirred.wait()
            except TimeoutError:
                pass

    async def send_text(self, text: str) -> None:
        if self.closed:
            raise PeerGone("a party", "model-lost")
        now = asyncio.get_running_loop().time()
        if '"input_audio_buffer.append"' not in text[:60] and '"audioChunk"' not in text:
            self.sent.append((now, orjson.loads(text)))
        self.party.receive(text, now)
        self._stirred.set()

    def ping(self, payload: bytes) -> None:
        loop = asyncio.get_running_loop()
        self.pings.append((loop.time(), payload))
        if self.pong_seconds is not None:
            loop.call_later(self.pong_seconds, lambda: self.on_pong(payload))

    async def close(self, code: int = 1000, reason: str = "") -> None:
        if not self.closed:
            self.closed = True
            self.was_closed.set()
            self.party.gone(asyncio.get_running_loop().time())
            self._stirred.set()


def caller_for(
    bridge_class: type[AnyBridge], steps: list[Step], patience_seconds: float = 6.0
) -> Caller:
    """A person who does this on the telephony side that the bridge is for."""
    person = Person(steps, patience_seconds=patience_seconds)
    if issubclass(bridge_class, TwilioRealtimeBridge):
        return SimulatedTwilio(person, "CA" + "1" * 32, "MZ" + "2" * 32, {}, Random(1))
    return SimulatedAudioCodes(person, "call-1", Random(1), AudioCodesHabits())


@dataclass
class Stage:
    """One call: who takes part in it, and what can be seen of it."""

    bridge: AnyBridge
    caller: Caller
    model: SimulatedModel
    telephony: PartySocket
    model_socket: PartySocket
    seen: list[tuple[float, Event | Effect]] = field(default_factory=list)

    def requests(self) -> list[tuple[float, dict[str, Any]]]:
        return self.to_model("response.create")

    def to_model(self, kind: str) -> list[tuple[float, dict[str, Any]]]:
        return [(at, text) for at, text in self.model_socket.sent if text["type"] == kind]

    def at(self, kind: type) -> list[float]:
        """When events or effects of this kind were."""
        return [at for at, what in self.seen if type(what) is kind]

    def commits(self) -> list[str]:
        """The items of the caller's turns."""
        return [w.item_id for _, w in self.seen if isinstance(w, events.TurnCommitted)]

    async def until(self, condition: Callable[[], bool], seconds: float = 30.0) -> None:
        """Look every 10 ms; ``AssertionError`` when it does not come true in time."""
        clock = asyncio.get_running_loop().time
        last = clock() + seconds
        while not condition():
            assert clock() < last, "it never came true"
            await asyncio.sleep(0.01)

    def verdict(self) -> list[str]:
        return self.caller.verdict() + self.model.verdict()


async def play(
    bridge_class: type[AnyBridge],
    steps: list[Step],
    *,
    knobs: Knobs | None = None,
    replies: ReplyScript | None = None,
    agent: Agent = AGENT,
    during: Callable[[Stage], Awaitable[None]] | None = None,
    dial_seconds: float = 0.0,
    another_model: bool = False,
    recorder: RecorderFactory | None = None,
    seeing: bool = True,
    **settings: Any,
) -> tuple[Stage, Ending]:
    """A whole call; ``during`` runs beside it. Dialling the model takes ``dial_seconds``; once its
    session was closed there is ``another_model``, or none.

    ``seeing`` closes the short cuts for what comes in mid-flow.
    """
    clock = asyncio.get_running_loop().time
    caller = caller_for(bridge_class, steps)
    model = SimulatedModel(knobs, Random(1), replies, now=clock())
    telephony, model_socket = PartySocket(caller), PartySocket(model)
    seen: list[tuple[float, Event | Effect]] = []

    async def connect() -> Socket:
        await asyncio.sleep(dial_seconds)
        if another_model and stage.model_socket.closed:
            stage.model = SimulatedModel(knobs, Random(1), replies, now=clock())
            stage.model_socket = PartySocket(stage.model)
        return stage.model_socket

    bridge = bridge_class(
        telephony,
        connect,
        Settings(openai_api_key=Private("sk-test"), **settings),
        agent,
        recorder=recorder,
        observers=[lambda what, now: seen.append((now, what))] if seeing else [],
    )
    stage = Stage(bridge, caller, model, telephony, model_socket, seen)
    async with asyncio.TaskGroup() as tasks:
        running = tasks.create_task(bridge.run(), name="the call")
        if during is not None:
            await during(stage)
        ending = await running
    return stage, ending

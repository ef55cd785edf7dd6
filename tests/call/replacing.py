"""Whole calls in virtual time whose model sessions are lost, silent or failing."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace
from random import Random
from typing import Any, TypeVar

from opusbridge import effects, events
from opusbridge.call.call import Call
from opusbridge.call.engine import Engine
from opusbridge.call.policy import AUDIOCODES, TWILIO, CallPolicy, Clip, ResponsePolicy
from opusbridge.effects import Effect, Note, SessionConfig, TurnDetection
from opusbridge.events import Event
from opusbridge.protocols.audiocodes.protocol import AudioCodesProtocol
from opusbridge.protocols.realtime.protocol import RealtimeProtocol
from opusbridge.protocols.twilio.protocol import TwilioProtocol
from opusbridge.sim import tones
from opusbridge.sim.callers import Caller, Person, Say, SimulatedAudioCodes, SimulatedTwilio, Step
from opusbridge.sim.model import Knobs, Reply, ReplyScript, SimulatedModel
from opusbridge.sim.surroundings import Surroundings
from opusbridge.sim.world import SimulatedCall, World
from opusbridge.sound import PCMU_8K

Seen = TypeVar("Seen")

WORDS = {
    "one-moment": "One moment please, I am still looking.",
    "sorry": "Sorry.",
    "goodbye": "Goodbye.",
}
CLIPS = {name: Clip(24_000, tones.speech(words, 24_000)) for name, words in WORDS.items()}

#: What the caller asks, and what the agent says: no two lines alike.
QUESTION = "Where is my order?"
REPLIES = (
    Reply("Hello, this is the front desk, and how may I help you today?"),
    Reply("Your order left our house yesterday, and it will be with you before the evening."),
    Reply("It was sent by a courier, and he will ring the bell twice, and he will wait for you."),
    Reply("We are glad to have been of help, and we wish you a very pleasant evening."),
)

SESSION = SessionConfig(
    "Be brief.",
    PCMU_8K,
    turn_detection=TurnDetection("server_vad", False, True),
    transcription_model="some",
)
POLICY = CallPolicy(
    TWILIO,
    SESSION,
    ResponsePolicy(greeting="Say hello."),
    greet=True,
    clips=CLIPS,
    clip_words=WORDS,
)


def asks(ms: int = 900) -> Say:
    return Say(tones.voice(ms, 8_000), 8_000, QUESTION)


@dataclass
class Story:
    """One call, everything that happened in it, and every model session it had."""

    call: SimulatedCall
    models: list[SimulatedModel]
    seen: list[tuple[float, Event | Effect]] = field(default_factory=list)

    def all_of(self, kind: type[Seen], after: float = -1.0) -> list[tuple[float, Seen]]:
        return [(at, what) for at, what in self.seen if isinstance(what, kind) and at > after]

    def at(self, kind: type[Any]) -> list[float]:
        return [at for at, _ in self.all_of(kind)]

    def ready_after(self, lost: float) -> float:
        """When the session was ready that took the place of the one lost then."""
        return self.all_of(events.SessionConfigured, after=lost)[0][0]

    def notes(self, kind: str) -> list[tuple[float, Note]]:
        return [(at, note) for at, note in self.all_of(Note) if note.kind == kind]

    def told(self) -> list[Effect]:
        """The items the present session was given, in order."""
        (since,) = self.at(effects.ReplaceModel)[-1:] or [-1.0]
        items = effects.AddText | effects.AddToolCall | effects.AddToolOutput
        return [what for at, what in self.seen if isinstance(what, items) and at > since]

    def texts(self) -> list[tuple[str, str]]:
        """Of those the texts, with their roles."""
        return [(t.role, t.text.value) for t in self.told() if isinstance(t, effects.AddText)]

    def clips(self) -> list[tuple[str, str]]:
        """The stored speech that was said, and what was heard of it."""
        return [
            (item["item_id"].removeprefix("clip:").rpartition("-")[0], item["heard"])
            for item in self.transcript()
            if item["item_id"].startswith("clip:")
        ]

    def transcript(self) -> list[dict[str, Any]]:
        talk = self.engine.call.conversation
        assert talk is not None
        items: list[dict[str, Any]] = talk.transcript.snapshot("c")["items"]
        return items

    @property
    def engine(self) -> Engine:
        assert isinstance(self.call.engine, Engine)
        return self.call.engine

    def reasons(self) -> list[str]:
        return [ending.reason for ending in self.call.endings]

    def words_heard(self) -> str:
        return self.call.heard_words()


def story(
    steps: Sequence[Step],
    *sessions: Knobs | None,
    telephony: str = "twilio",
    replies: Iterable[Reply] = REPLIES,
    surroundings: Surroundings | None = None,
    policy: Callable[[CallPolicy], CallPolicy] = lambda policy: policy,
    replaceable: bool = True,
    **more: Any,
) -> Story:
    """A call that begins at 0.0; a session of ``None`` is a dial that nobody answers, and
    beyond those given nobody answers either."""
    world, seen = World(1), list[tuple[float, Event | Effect]]()
    script = ReplyScript(list(replies), usually_heard=QUESTION)
    waiting = list(sessions)
    models: list[SimulatedModel] = []

    def dial(now: float) -> SimulatedModel | None:
        knobs = waiting.pop(0) if waiting else None
        if knobs is not None:
            models.append(SimulatedModel(knobs, Random(len(models)), script, now=now))
            return models[-1]
        return None

    caller: Caller
    person = Person(steps)
    if telephony == "twilio":
        how, protocol = policy(POLICY), TwilioProtocol()
        caller = SimulatedTwilio(person, "CA" + "1" * 32, "MZ" + "2" * 32, {}, Random(1))
        engine = Engine(Call(how, 0.0), protocol, RealtimeProtocol(), [_into(seen)])
    else:
        how = policy(replace(POLICY, telephony=AUDIOCODES))
        caller = SimulatedAudioCodes(person, "call-1", Random(1))
        engine = Engine(Call(how, 0.0), AudioCodesProtocol(), RealtimeProtocol(), [_into(seen)])
    first = dial(0.0)
    assert first is not None
    around = surroundings or Surroundings()
    again = dial if replaceable else None
    call = SimulatedCall(world, caller, first, engine, dial=again, surroundings=around, **more)
    return Story(call, models, seen)


def _into(seen: list[tuple[float, Event | Effect]]) -> Callable[[Event | Effect, float], None]:
    return lambda what, now: seen.append((now, what))

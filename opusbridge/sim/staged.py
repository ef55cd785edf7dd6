"""A written call in virtual time: the real engine between a pretend caller and a pretend model."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from random import Random
from typing import Any

from opusbridge.call.call import Call
from opusbridge.call.engine import Engine, Observer
from opusbridge.call.policy import CallPolicy
from opusbridge.effects import AskApproval
from opusbridge.protocols.audiocodes.protocol import AudioCodesProtocol
from opusbridge.protocols.realtime.protocol import RealtimeProtocol
from opusbridge.protocols.twilio.protocol import TwilioProtocol
from opusbridge.sim.callers import (
    AudioCodesHabits,
    Caller,
    Person,
    SimulatedAudioCodes,
    SimulatedTwilio,
    TwilioHabits,
)
from opusbridge.sim.clock import World
from opusbridge.sim.evidence import Evidence, Watch, seen_from_inside
from opusbridge.sim.faults import Faults
from opusbridge.sim.model import ReplyScript, SimulatedModel
from opusbridge.sim.said import Said
from opusbridge.sim.script import CallScript
from opusbridge.sim.script.expect import Finding
from opusbridge.sim.script.places import Path as Key
from opusbridge.sim.surroundings import Surroundings
from opusbridge.sim.toolbox import Tools
from opusbridge.sim.world import Configure, SimulatedCall

#: Virtual seconds beyond which a call has not come to rest.
LONGEST_CALL = 7200.0

#: Who calls whom over Twilio: its stream tells what our TwiML told it.
PARTIES = {"from": "+15550104477", "to": "+15550100200"}

#: A network and a service on an ordinary day.
ORDINARY = Surroundings(slowest_telephony=0.05, slowest_model=0.05)


@dataclass(slots=True)
class Cast:
    """What the agent brings to a call."""

    tools: Tools = field(default_factory=dict)
    durations: Mapping[str, float] = field(default_factory=dict)
    """Of the tools, in seconds."""
    close: Callable[[], None] = lambda: None
    """When the call is over."""
    approves: Callable[[AskApproval], bool] = lambda asked: False
    """Its policy about the tools of MCP servers."""
    configure: Configure = lambda: None
    """Asked once it is known who calls, if the policy says so."""
    problems: list[str] = field(default_factory=list)
    """What of its own goes wrong in the course of the call."""


class Sessions:
    """The model's sessions of one call, the same in virtual time and on sockets.

    Each goes on where the one before was left: with its replies, and with the numbers of the
    responses, so that what is to befall one befalls it once.
    """

    def __init__(
        self, script: CallScript, seed: int | None = None, *, said: Said | None = None
    ) -> None:
        """``said``: what is heard of each turn is what they said in it."""
        self.begun: list[SimulatedModel] = []
        self._knobs, self._replies = script.model.behaviour(), script.reply_script()
        self._chance = Random(script.seed if seed is None else seed)
        if said is not None:
            self._replies.listens = said.lately

    @property
    def replies(self) -> ReplyScript:
        """Of all of them together."""
        return self._replies

    @property
    def responses(self) -> int:
        """So many there were, in all of them."""
        return sum(one.responses for one in self.begun)

    def begin(self, now: float, **came: Any) -> SimulatedModel:
        """``came``: how the client did, as :class:`SimulatedModel` has it."""
        knobs = self._knobs
        if self.begun:
            before = self.responses
            left = {n - before: fault for n, fault in knobs.faults.items() if n > before}
            knobs = replace(knobs, faults=left, freeze_at=None, drop_at=None)
        self.begun.append(SimulatedModel(knobs, self._chance, self._replies, now=now, **came))
        return self.begun[-1]


class Staged:
    """One script on one telephony side, to be :meth:`run` once."""

    def __init__(
        self,
        script: CallScript,
        policy: CallPolicy,
        cast: Callable[["Staged"], Cast] | None = None,
        *,
        seed: int | None = None,
        faults: Faults | None = None,
        observers: Sequence[Observer] = (),
    ) -> None:
        """``policy`` decides the telephony side, too. ``cast`` is asked once, for tools that
        may want to know the call. ``seed`` and ``faults``: in place of the script's own."""
        self.script = script
        self.telephony = policy.telephony.name
        self.watch = Watch()
        seed = script.seed if seed is None else seed
        faults = script.faults if faults is None else faults
        # What the caller hears he hears by his own clock.
        rate = 1.0 + faults.clock_skew
        self.caller = _caller(script, self.telephony, Random(seed))
        said = Said(self.caller.person, _stalls(faults, rate))
        twilio = self.telephony == "twilio"
        self.engine = Engine(
            Call(policy, 0.0),
            TwilioProtocol() if twilio else AudioCodesProtocol(),
            RealtimeProtocol(),
            [lambda what, now: self.watch(what, now * rate), said, *observers],
        )
        self._sessions = sessions = Sessions(script, seed, said=said)
        given = cast(self) if cast is not None else Cast()
        self._close, self.problems, self.traits = given.close, given.problems, policy.telephony
        self.call = SimulatedCall(
            World(seed),
            self.caller,
            sessions.begin(0.0),
            self.engine,
            tools=given.tools,
            durations=given.durations,
            configure=given.configure,
            dial=sessions.begin,
            surroundings=_surroundings(script, policy),
            faults=faults,
        )
        self.call.toolbox.approves = given.approves

    def run(self) -> bool:
        """To its end and beyond, until nobody waits for anything; whether that came."""
        try:
            return self.call.run(LONGEST_CALL)
        finally:
            self._close()

    def transcript(self) -> list[dict[str, object]]:
        talk = self.engine.call.conversation
        items: list[dict[str, object]] = talk.transcript.snapshot("")["items"] if talk else []
        return items

    def said_sorry(self) -> bool:
        """Whether the caller heard the stored apology."""
        sorry = (
            item for item in self.transcript() if str(item["item_id"]).startswith("clip:sorry")
        )
        return any(item["heard"] for item in sorry)

    def evidence(self) -> Evidence:
        return seen_from_inside(self.caller, self.watch, self.transcript())

    @property
    def replies(self) -> ReplyScript:
        """What the model has left of them."""
        return self._sessions.replies

    def never_befell(self) -> list[Key]:
        """The script's faults that the call was too short for."""
        return self.script.never_befell(self._sessions.responses, self.call.over_at)

    def findings(self) -> list[Finding]:
        return self.script.findings(self.evidence())


def _stalls(faults: Faults, rate: float) -> list[tuple[float, float]]:
    """From when to when, on the caller's clock."""
    return [
        (mishap.at * rate, (mishap.at + mishap.seconds) * rate)
        for mishap in faults.network
        if mishap.kind == "stall"
    ]


def _surroundings(script: CallScript, policy: CallPolicy) -> Surroundings:
    """Whom Twilio does not give back it does not take, either."""
    outcome = script.transfer_outcome
    if policy.telephony.transfers_return:
        return replace(ORDINARY, transfers_return=True)
    return replace(ORDINARY, transfer_fails=None if outcome == "answered" else outcome)


def _caller(script: CallScript, telephony: str, random: Random) -> Caller:
    if telephony != "twilio":
        return audiocodes_caller(script, f"{random.getrandbits(128):032x}", random)
    call_sid, stream_sid = (f"{kind}{random.getrandbits(128):032x}" for kind in ("CA", "MZ"))
    habits = twilio_habits(script)
    return SimulatedTwilio(script.person(), call_sid, stream_sid, PARTIES, random, habits)


def twilio_habits(script: CallScript) -> TwilioHabits:
    """What comes of a transfer: the same in virtual time and on sockets."""
    return TwilioHabits(transfer_outcome=script.transfer_outcome)


def audiocodes_caller(
    script: CallScript, name: str, random: Random, person: Person | None = None
) -> SimulatedAudioCodes:
    """Who calls, in the conversation of that name, and what comes of a transfer; likewise."""
    habits = AudioCodesHabits(transfer_outcome=script.transfer_outcome)
    return SimulatedAudioCodes(person or script.person(), name, random, habits)

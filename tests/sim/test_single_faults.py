"""After any single fault, at any moment, the caller hears something within 8 s of his turn's end.

One fault befalls a short call: a message of the model's or of ours is lost, the session freezes
or is dropped at some instant, or a response goes wrong in any of the ways there are. The whole
experiment has thousands of calls; here is a seeded choice, of which ``TRIES`` says how large it is.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from random import Random

import orjson
import pytest

from opusbridge.call.call import Call
from opusbridge.call.engine import Engine
from opusbridge.call.policy import AUDIOCODES, TWILIO, ResponsePolicy
from opusbridge.effects import TurnDetection
from opusbridge.protocols.audiocodes.protocol import AudioCodesProtocol
from opusbridge.protocols.realtime.protocol import RealtimeProtocol
from opusbridge.protocols.twilio.protocol import TwilioProtocol
from opusbridge.sim.callers import (
    Caller,
    HangUp,
    Person,
    SimulatedAudioCodes,
    SimulatedTwilio,
    Step,
    Wait,
    WaitForAgent,
    WaitForSound,
)
from opusbridge.sim.model import Fault, FaultKind, Knobs, ReplyScript, SimulatedModel
from opusbridge.sim.seeded import LONGEST_SILENCE_SECONDS
from opusbridge.sim.world import SimulatedCall, World
from tests.call.replacing import POLICY, QUESTION, REPLIES, asks

#: Calls tried, of each manner.
TRIES = 5


@dataclass(frozen=True, slots=True)
class Manner:
    telephony: str
    model_creates: bool
    barge_in: bool
    interrupts: bool = False
    """The caller speaks into the greeting."""


MANNERS = [
    Manner(telephony, model_creates, barge_in, interrupts)
    for telephony in ("twilio", "audiocodes")
    for model_creates in (False, True)
    for barge_in, interrupts in ((True, True), (True, False), (False, False))
]


@dataclass(frozen=True, slots=True)
class SingleFault:
    """``said`` and ``heard``: the number of the model's message that is lost, sound not counted;
    or of ours."""

    knobs: Knobs
    said: int = 0
    heard: int = 0

    def __str__(self) -> str:
        if self.said or self.heard:
            return f"message {self.said or self.heard} {'of the model' if self.said else 'to it'}"
        where = (("frozen", self.knobs.freeze_at), ("dropped", self.knobs.drop_at))
        when = [f"{name} at {at:.2f}" for name, at in where if at is not None]
        return when[0] if when else f"{dict(self.knobs.faults)}"


class LosesOne(SimulatedModel):
    """Of what it says, or hears, one message is lost."""

    fault = SingleFault(Knobs())
    said = heard = 0

    def texts_to_send(self) -> list[str]:
        return [text for text in super().texts_to_send() if not self._is_lost(text)]

    def receive(self, text: str, now: float) -> None:
        if orjson.loads(text)["type"] != "input_audio_buffer.append":
            self.heard += 1
            if self.heard == self.fault.heard:
                return
        super().receive(text, now)

    def _is_lost(self, text: str) -> bool:
        if orjson.loads(text)["type"] == "response.output_audio.delta":
            return False
        self.said += 1
        return self.said == self.fault.said


def faulty_call(how: Manner, fault: SingleFault) -> SimulatedCall:
    detection = TurnDetection("server_vad", how.model_creates, how.barge_in)
    policy = replace(
        POLICY,
        telephony=TWILIO if how.telephony == "twilio" else AUDIOCODES,
        session=replace(POLICY.session, turn_detection=detection),
        responses=ResponsePolicy(how.model_creates, how.barge_in, greeting="Say hello."),
        barge_in=how.barge_in,
    )
    opening: list[Step] = [WaitForAgent(20.0), Wait(0.5)]
    if how.interrupts:
        opening = [WaitForSound(20.0), Wait(0.6)]
    steps = [*opening, asks(), Wait(24.0), asks(700), Wait(12.0), HangUp()]
    person, replies = Person(steps), ReplyScript(list(REPLIES), usually_heard=QUESTION)
    model = LosesOne(fault.knobs, Random(1), replies, now=0.0)
    model.fault = fault
    caller: Caller
    if how.telephony == "twilio":
        caller = SimulatedTwilio(person, "CA" + "1" * 32, "MZ" + "2" * 32, {}, Random(1))
        engine = Engine(Call(policy, 0.0), TwilioProtocol(), RealtimeProtocol())
    else:
        caller = SimulatedAudioCodes(person, "call-1", Random(1))
        engine = Engine(Call(policy, 0.0), AudioCodesProtocol(), RealtimeProtocol())
    call = SimulatedCall(
        World(1),
        caller,
        model,
        engine,
        dial=lambda now: SimulatedModel(Knobs(), Random(2), replies, now=now),
    )
    assert call.run(180.0)
    return call


#: A call in which nothing goes wrong takes about this long, and has about so many messages.
SECONDS, SAID, HEARD = 45.0, 75, 9


def faults(random: Random) -> Iterator[SingleFault]:
    """One after the other, without end."""
    while True:
        match random.randrange(5):
            case 0:
                yield SingleFault(Knobs(), said=random.randint(1, SAID))
            case 1:
                yield SingleFault(Knobs(), heard=random.randint(1, HEARD))
            case 2:
                yield SingleFault(Knobs(freeze_at=random.uniform(0.0, SECONDS)))
            case 3:
                yield SingleFault(Knobs(drop_at=random.uniform(0.0, SECONDS)))
            case _:
                kind = random.choice(list(FaultKind))
                yield SingleFault(Knobs(faults={random.randint(1, 3): Fault(kind)}))


@pytest.mark.slow
@pytest.mark.parametrize("how", MANNERS, ids=str)
def test_whatever_single_thing_goes_wrong_the_caller_soon_hears_something(how: Manner) -> None:
    tried = faults(Random(str(how)))
    longest = {
        str(fault): max(faulty_call(how, fault).silences())
        for fault, _ in zip(tried, range(TRIES), strict=False)
    }

    assert {fault: one for fault, one in longest.items() if one > LONGEST_SILENCE_SECONDS} == {}


@pytest.mark.slow
@pytest.mark.parametrize("frozen_at", [5.2, 5.6, 6.2])
def test_a_model_that_freezes_as_the_caller_speaks_is_the_worst_of_it(frozen_at: float) -> None:
    call = faulty_call(MANNERS[1], SingleFault(Knobs(freeze_at=frozen_at)))

    assert 4.0 < max(call.silences()) < LONGEST_SILENCE_SECONDS
    assert call.heard_words() != ""

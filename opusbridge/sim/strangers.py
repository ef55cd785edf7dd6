"""Who calls in a random call, over what, and what they do: drawn by its seed.

The order of the draws is part of what a seed means.
"""

from dataclasses import dataclass, replace
from functools import cache
from random import Random

from opusbridge.sim import tones
from opusbridge.sim.callers import (
    AudioCodesHabits,
    Caller,
    DropLine,
    HangUp,
    Interrupt,
    Person,
    Press,
    Say,
    SimulatedAudioCodes,
    SimulatedTwilio,
    Step,
    TwilioHabits,
    Wait,
    WaitForAgent,
    WaitForSound,
)
from opusbridge.sim.callers.audiocodes_words import LIVE_HUB_OFFER, OTHER_OFFER
from opusbridge.sim.coughs import with_coughs

#: Longer than any remedy of the bridge takes: a response given up, and asked for again.
PATIENCE_SECONDS = 45.0

#: Of the calls in which barge-in could be confirmed, so many are.
CONFIRMING = 0.4


@dataclass(frozen=True, slots=True)
class Manner:
    """What was drawn for a call, for whoever reads about it."""

    telephony: str
    barge_in: bool
    model_creates: bool
    detection: str
    greets: bool
    confirms: bool = False
    """Barge-in is to be confirmed, and the caller coughs now and then."""
    returns: str | None = None
    """Twilio says what came of a transfer: that; ``None``: it is not asked to."""

    @property
    def hears_everything(self) -> bool:
        """Whether all the caller says reaches the bridge: AudioCodes withholds some."""
        return self.telephony == "twilio" or self.barge_in

    def __str__(self) -> str:
        by = "model" if self.model_creates else "bridge"
        way = "barge-in" if self.barge_in else "no barge-in"
        way = "confirmed barge-in" if self.confirms else way
        return f"{self.telephony}, {way}, responses by the {by}, {self.detection}"


def _returns(seed: int) -> str | None:
    """Of its own, as are all draws that were thought of later."""
    return Random(f"returns {seed}").choice([None, "answered", "busy", "no-answer"])


def later_draws(seed: int) -> Random:
    """For what was thought of when the seeds had their calls already: those stay as they are."""
    return Random(f"{seed} confirms")


def drawn(seed: int, random: Random, later: Random) -> Manner:
    """The first draws of ``random``; ``later`` is of :func:`later_draws`."""
    returns = _returns(seed)
    how = Manner(
        telephony=random.choice(["twilio", "audiocodes"]),
        barge_in=random.random() < 0.7,
        model_creates=random.random() < 0.5,
        detection=random.choice(["server_vad", "server_vad", "semantic_vad"]),
        greets=random.random() < 0.8,
    )
    possible = how.barge_in and not how.model_creates
    return replace(
        how,
        confirms=possible and later.random() < CONFIRMING,
        returns=returns if how.telephony == "twilio" else None,
    )


def stranger(how: Manner, random: Random, later: Random) -> Caller:
    steps = _steps(how, random)
    if how.confirms:
        steps = [one for step in steps for one in with_coughs(step, later)]
    person = Person(steps, patience_seconds=PATIENCE_SECONDS)
    identity = Random(random.random())
    if how.telephony == "twilio":
        habits = _twilio_habits(random)
        if how.returns is not None:
            habits = replace(habits, transfer_outcome=how.returns)
        return SimulatedTwilio(person, "CA" + "1" * 32, "MZ" + "2" * 32, {}, identity, habits)
    over = _and_more(_audiocodes_habits(random), later)
    return SimulatedAudioCodes(person, "call-1", identity, over)


def _steps(how: Manner, random: Random) -> list[Step]:
    steps: list[Step] = []
    if how.greets and random.random() < 0.7:
        waits: list[Step] = [WaitForAgent(PATIENCE_SECONDS), WaitForSound()]
        steps.append(random.choice(waits))
    else:
        steps.append(Wait(random.uniform(0.2, 3.0)))
    for _ in range(random.randint(1, 4)):
        steps += _deed(how, random)
    ends: list[Step] = [HangUp(), HangUp(), HangUp(), HangUp(), DropLine()]
    end = random.choice(ends)
    return [*steps, Wait(random.choice([0.1, 2.0, 6.0])), end]


def _deed(how: Manner, random: Random) -> list[Step]:
    """One thing a caller does, and whether it is worth waiting for what comes of it."""
    line, wait = random.choice(_lines()), WaitForAgent(PATIENCE_SECONDS)
    kinds = ["ask", "ask", "ask", "interrupt", "rapid", "press", "talk-on"]
    match random.choice(kinds if how.hears_everything else kinds[:3] + kinds[4:]):
        case "interrupt":
            after_ms = random.choice([0, 300, 1000, 2500])
            return [Interrupt(after_ms, line, timeout=10.0), wait]
        case "rapid":
            pauses = [Wait(random.uniform(0.3, 1.2)) for _ in range(random.randint(1, 3))]
            return [*(step for pause in pauses for step in (line, pause)), line, wait]
        case "press":
            return [Press(random.choice(["1", "12#", "4711#", "99"])), wait]
        case "talk-on":
            return [line, Wait(random.uniform(0.2, 4.0))]
        case _:
            return [Wait(random.uniform(0.0, 1.5)), line, wait]


@cache
def _lines() -> tuple[Say, ...]:
    """Of a word to a whole sentence; the same objects always: their frames are kept."""
    lengths = (320, 400, 700, 1200, 2600)
    return tuple(Say(tones.voice(ms, 8_000, seed=ms), 8_000, "something") for ms in lengths)


def _twilio_habits(random: Random) -> TwilioHabits:
    return TwilioHabits(
        first_timestamp_ms=random.choice([90, 100, 170]),
        clear_delay=random.choice([(0.0, 0.0), (0.0, 0.1), (0.05, 0.3)]),
        noise_amplitude=random.choice([0, 0, 60]),
        gap_chance=random.choice([0.0, 0.0, 0.02, 1.0]),
        stall_chance=random.choice([0.0, 0.0, 0.002]),
        strange_events=random.random() < 0.3,
    )


def _audiocodes_habits(random: Random) -> AudioCodesHabits:
    split = random.random()
    habits = AudioCodesHabits(
        offer=random.choice([LIVE_HUB_OFFER, OTHER_OFFER, ("raw/mulaw",), ("raw/lpcm16",)]),
        connect_on_prompt=random.random() < 0.8,
        stream_before_start=random.random() < 0.3,
        noise_amplitude=random.choice([0, 0, 60]),
        clear_delay=random.choice([(0.0, 0.0), (0.0, 0.1), (0.05, 0.3)]),
        play_finished=random.random() < 0.3,
        dtmf_name=random.choice(["DTMF", "dtmf"]),
        digits_together=random.random() < 0.5,
        transfer_outcome=random.choice(["answered", "busy", "no-answer"]),
    )
    if split < 0.2:
        return replace(habits, odd_splits=True)
    return replace(habits, chunk_ms=40 if split < 0.4 else 20)


def _and_more(habits: AudioCodesHabits, later: Random) -> AudioCodesHabits:
    """Where the caller's stream comes before the start, it may ring on it; and it may be told
    that nobody says anything."""
    seconds = later.choice([0.0, 0.0, 0.0, 0.5, 3.0, 9.0])
    habits = replace(habits, no_input=later.random() < 0.3)
    return replace(habits, start_seconds=seconds) if habits.stream_before_start else habits

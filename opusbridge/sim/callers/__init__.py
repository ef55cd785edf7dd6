"""AudioCodes and Twilio from the other side, each with a person on the line."""

from opusbridge.sim.callers.audiocodes import SimulatedAudioCodes, UserStream
from opusbridge.sim.callers.audiocodes_habits import AudioCodesHabits, Mode
from opusbridge.sim.callers.caller import Caller
from opusbridge.sim.callers.person import (
    DropLine,
    HangUp,
    Interrupt,
    Person,
    Press,
    Say,
    Step,
    Wait,
    WaitForAgent,
    WaitForSilence,
    WaitForSound,
)
from opusbridge.sim.callers.playout import HeardSpan
from opusbridge.sim.callers.twilio import SimulatedTwilio, TwilioHabits

__all__ = [
    "AudioCodesHabits",
    "Caller",
    "DropLine",
    "HangUp",
    "HeardSpan",
    "Interrupt",
    "Mode",
    "Person",
    "Press",
    "Say",
    "SimulatedAudioCodes",
    "SimulatedTwilio",
    "Step",
    "TwilioHabits",
    "UserStream",
    "Wait",
    "WaitForAgent",
    "WaitForSilence",
    "WaitForSound",
]

"""Random whole calls: one number decides who calls, over what, and everything that goes wrong.

The same seed gives the same call, to the last byte; so a seed that failed is a bug report.
Used by the tests, the soak and ``opusbridge simulate``.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from functools import cache
from random import Random
from string import ascii_lowercase

from opusbridge import events
from opusbridge.call.call import Call
from opusbridge.call.engine import Engine, Observer, Outgoing, TelephonyProtocol
from opusbridge.call.policy import (
    AUDIOCODES,
    TWILIO,
    CallPolicy,
    Clip,
    ResponsePolicy,
    TelephonyTraits,
)
from opusbridge.effects import SessionConfig, TurnDetection
from opusbridge.events import Event
from opusbridge.privacy import Private
from opusbridge.protocols.audiocodes.protocol import AudioCodesProtocol
from opusbridge.protocols.realtime.protocol import RealtimeProtocol, append
from opusbridge.protocols.twilio.protocol import TwilioProtocol
from opusbridge.sim import checks, guarantees, tones
from opusbridge.sim.clock import World
from opusbridge.sim.coughs import COUGH
from opusbridge.sim.faults import Faults
from opusbridge.sim.model import Knobs, Reply, ReplyScript, SimulatedModel, ToolCallReply
from opusbridge.sim.model.production import converted
from opusbridge.sim.strangers import Manner, drawn, later_draws, stranger
from opusbridge.sim.surroundings import Surroundings
from opusbridge.sim.world import SimulatedCall
from opusbridge.sound import PCMU_8K, AudioFormat

#: What the stored clips say.
SORRY, GOODBYE = "Sorry, something is wrong.", "Goodbye."
ONE_MOMENT = "One moment please."

#: Whoever has spoken hears something within this, whatever goes wrong.
LONGEST_SILENCE_SECONDS = 8.0

#: A stored line is sought in such pieces.
_PIECE_MS = 40

_WORDS = (
    "the order of yesterday has left our house and will be with you before the evening comes "
    "so please be at home or name a neighbour who can take it in while you are at work"
)

_DESTINATIONS = {"billing": "+15550100300"}

_TOOLS: dict[str, Callable[[str], str]] = {}


def _tool(act: Callable[[str], str]) -> Callable[[str], str]:
    _TOOLS[act.__name__] = act
    return act


@_tool
def look_up(arguments: str) -> str:
    return '{"status": "on its way"}'


@_tool
def count(arguments: str) -> str:
    return "3"


@_tool
def break_down(arguments: str) -> str:
    raise ValueError("this one never works")


class ShortCutEngine(Engine):
    """Goes the ways that a bridge's shell goes: the shortest that is open. With an observer, who
    is to see everything, that is the general one."""

    def telephony_said(self, text: str, now: float) -> Outgoing:
        if (frame := self.passes(text, now)) is not None:
            return Outgoing([], [append(frame[0])], [])
        echoed = self.echoes(text, now)
        return super().telephony_said(text, now) if echoed is None else echoed

    def model_said(self, text: str, now: float) -> Outgoing:
        if (flowed := self.flows(text, now)) is not None:
            return Outgoing([*flowed.to_telephony], [], [])
        return super().model_said(text, now)


def manner(seed: int) -> Manner:
    """How the call of this seed is conducted."""
    return drawn(seed, Random(seed), later_draws(seed))


def seeded_call(
    seed: int, observers: Sequence[Observer] = (), faults: Faults | None = None
) -> SimulatedCall:
    """A call nobody has thought of, ready to :meth:`~SimulatedCall.run`.

    ``observers`` are shown every event and effect of its engine. ``faults``: of the network.
    """
    random, later = Random(seed), later_draws(seed)
    how = drawn(seed, random, later)
    world = World(seed)
    caller = stranger(how, random, later)
    protocol: TelephonyProtocol
    protocol = TwilioProtocol() if how.telephony == "twilio" else AudioCodesProtocol()
    call_of = Call(_policy(how, random), 0.0)
    engine = ShortCutEngine(call_of, protocol, RealtimeProtocol(), observers)
    replies, knobs, chance = _replies(random), Knobs.random(random), Random(random.random())
    frozen_at = _frozen_at(Random(f"freeze {seed}"))  # of its own: the other draws stay

    def session(now: float) -> SimulatedModel:
        """The replies go on where the session before left them; what failed it does not."""
        failing = replace(knobs, freeze_at=frozen_at) if now == 0.0 else knobs.with_faults({})
        return SimulatedModel(failing, chance, replies, now=now)

    model = session(0.0)
    call = SimulatedCall(
        world,
        caller,
        model,
        engine,
        tools=_TOOLS,
        destinations=_DESTINATIONS,
        dial=session if random.random() < 0.8 else None,
        surroundings=replace(_surroundings(random), transfers_return=how.returns is not None),
        faults=faults,
    )
    if random.random() < 0.3:
        call.happens(_intrusion(random), at=random.uniform(2.0, 20.0))
    return call


def judged(call: SimulatedCall) -> list[str]:
    """The verdict on a seeded call at rest, with what only its own manner can excuse left out."""
    found = guarantees.judged(call, _heard(call, _clip(SORRY)))
    coughs = guarantees.coughs(call)
    if len(coughs) > sum(spoken.text == COUGH for spoken in call.caller.spoken):
        found.append("speech was taken for a cough")
    if guarantees.hears_everything(call) and call.faults == Faults():
        each = zip(call.caller.spoken, call.silences(), strict=True)
        owed = [silence for spoken, silence in each if spoken.text != COUGH]  # which asks nothing
        found += checks.never_silent(owed, LONGEST_SILENCE_SECONDS)
    if any(ending.reason == "model-failed" for ending in call.endings):
        found.append("the bridge gave up, though no two responses in a row can fail")
    return found


def _heard(call: SimulatedCall, clip: Clip) -> bool:
    """Whether the person heard this stored line, to its end, in however many pieces it came.

    What came to his end and was cut off by a hang-up that a stall kept close behind it counts.
    """
    heard = [(bytes(span.sound), span.format) for span in call.caller.heard]
    if guarantees.hung_up_in_stall(call):
        heard += _in_one(call.caller.playout.unheard)
    for audio_format in {one for _, one in heard}:
        line, size = converted(clip.pcm, audio_format), _PIECE_MS * audio_format.bytes_per_ms
        pieces = [line[at : at + size] for at in range(0, len(line) - size, size)]
        lost = sum(all(piece not in sound for sound, _ in heard) for piece in pieces)
        if lost <= len(pieces) // 10:  # what the line cut in two is found in neither half
            return True
    return False


def _in_one(pieces: Iterable[tuple[bytes, AudioFormat]]) -> list[tuple[bytes, AudioFormat]]:
    """Sound that comes in pieces, each format's together."""
    found: dict[AudioFormat, bytes] = {}
    for sound, audio_format in pieces:
        found[audio_format] = found.get(audio_format, b"") + sound
    return [(sound, audio_format) for audio_format, sound in found.items()]


def _policy(how: Manner, random: Random) -> CallPolicy:
    eagerness = random.choice(["low", "medium", "high", "auto"])
    silence_ms = random.choice([200, 500, 500, 800])
    return CallPolicy(
        _traits(how),
        SessionConfig(
            "Be brief.",
            PCMU_8K,  # the call puts what suits the telephony side
            turn_detection=TurnDetection(
                how.detection,
                create_response=how.model_creates,
                interrupt_response=how.barge_in and not how.confirms,
                silence_ms=silence_ms,
                eagerness=eagerness,
            ),
            transcription_model=random.choice([None, "a-recogniser"]),
        ),
        responses=ResponsePolicy(
            model_creates=how.model_creates,
            interrupts=how.barge_in,
            greeting="Say hello.",
        ),
        pings=True,
        greet=how.greets,
        barge_in=how.barge_in,
        confirm_ms=250 if how.confirms else None,
        clips={
            "one-moment": _clip(ONE_MOMENT),
            "sorry": _clip(SORRY),
            "goodbye": _clip(GOODBYE),
        },
    )


def _traits(how: Manner) -> TelephonyTraits:
    if how.telephony == "twilio":
        return replace(TWILIO, transfers_return=how.returns is not None)
    return AUDIOCODES


@cache
def _clip(words: str) -> Clip:
    return Clip(24_000, tones.speech(words, 24_000))


def _surroundings(random: Random) -> Surroundings:
    return Surroundings(
        slowest_telephony=random.choice([0.03, 0.08, 0.12]),
        slowest_model=random.choice([0.03, 0.08, 0.12]),
        tool_seconds=random.choice([(0.0, 0.05), (0.02, 1.5), (0.5, 6.0)]),
        transfer_fails=random.choice([None, None, "error"]),
    )


def _intrusion(random: Random) -> Event:
    """What somebody else does to the call."""
    text = events.TextInjected(Private("Mention the sale."))
    choices: list[Event] = [
        text,
        text,
        text,
        events.HangUpRequested("hung-up-by-operator"),
        events.HangUpRequested("drained", goodbye=True),
        events.TransferRequested(Private(_DESTINATIONS["billing"])),
    ]
    return random.choice(choices)


# --- The model --------------------------------------------------------------------------


def _frozen_at(random: Random) -> float | None:
    """When, if at all, the first session falls silent for good: in a pause, or in mid-speech."""
    return random.uniform(1.0, 40.0) if random.random() < 0.1 else None


def _replies(random: Random) -> ReplyScript:
    replies = [_reply(nth, random) for nth in range(random.randint(3, 8))]
    if random.random() < 0.5:
        leave = random.choice(["hang_up", "hang_up", "transfer_call"])
        arguments = '{"destination": "billing"}' if leave == "transfer_call" else "{}"
        call = ToolCallReply(leave, arguments)
        replies.append(Reply(random.choice(["", "Thank you and goodbye."]), None, (call,)))
    usual = tuple(Reply(_sentence(nth, 5 + nth % 4)) for nth in range(9, 19))
    return ReplyScript(replies, usual=usual)


def _reply(nth: int, random: Random) -> Reply:
    words = _sentence(nth, random.choice([1, 4, 8, 15, 22]))
    delay = random.choice([0.0, 0.0, 0.0, random.uniform(0.2, 4.0)])
    if random.random() < 0.7:
        return Reply(words, None, (), delay)
    names = [*_TOOLS, "there_is_no_such_tool"]
    calls = tuple(ToolCallReply(random.choice(names)) for _ in range(random.choice([1, 1, 2, 3])))
    return Reply(random.choice(["", words]), None, calls, delay)


def _sentence(nth: int, words: int) -> str:
    """No two replies of a call have a word in common: what is heard can only be of one."""
    mark = ascii_lowercase[nth]
    return " ".join(word + mark for word in _WORDS.split()[:words])

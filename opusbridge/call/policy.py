"""What the call is told before it begins: how this call is to be conducted."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from opusbridge.effects import SessionConfig
from opusbridge.privacy import Private
from opusbridge.sound import PCM_24K, PCMU_8K, AudioFormat


@dataclass(frozen=True, slots=True)
class ResponsePolicy:
    """How a call's responses come about; durations in seconds."""

    model_creates: bool = False
    """The model's turn detection begins a response after each committed turn."""
    interrupts: bool = True
    """The caller's speech cuts the response short."""
    created_timeout: float = 5.0
    """For a request, and for the model's own response after a commit."""
    progress_timeout: float = 20.0
    cancel_timeout: float = 2.0
    """A cancelled response is usually over within one round trip."""
    backoff: tuple[float, ...] = (2.0, 4.0, 8.0)
    greeting: str | None = None
    """Instructions of the response that greets, in place of the session's."""


@dataclass(frozen=True, slots=True)
class TelephonyTraits:
    """What differs between the telephony sides, as far as the call must know."""

    name: str
    marks: bool
    """It tells us what was heard. Where it does not, sound is sent paced and the clock rules."""
    lead_seconds: float | None
    """How far ahead of the ear sound is sent; ``None``: at once, the far side buffers."""
    wire_seconds: float
    """How long sound is on its way to the ear, until something came back of it."""
    frame_bytes: int
    """Sound goes out in whole multiples of this."""
    rings: bool
    """The line rings until the first sound."""
    told_of_speech: bool
    """Its barge-in and timers rely on our saying when the caller speaks."""
    tells_who_ended: bool
    """Its end is said with its cause. Where not, a line that ends while it is handed over was
    handed over: the stream's end is all there is to see of that."""
    transfers_return: bool = False
    """A transfer takes the caller's line from us, and what came of it is told later: he may come
    back, on another."""


#: One way, where nothing is known of it: between that of one city (10 ms) and of one continent
#: (80 to 100 ms), so that it is wrong by no more than half a syllable.
ASSUMED_WIRE_SECONDS = 0.05

#: 160 bytes are 20 ms of mu-law: odd sizes were heard as clicks (twilio-media-streams 3.5).
TWILIO = TelephonyTraits(
    "twilio",
    marks=True,
    lead_seconds=None,
    wire_seconds=ASSUMED_WIRE_SECONDS,
    frame_bytes=160,
    rings=False,
    told_of_speech=False,
    tells_who_ended=False,
)

#: 300 ms bounds what is lost or wrongly believed heard at a barge-in (audiocodes 3.4).
AUDIOCODES = TelephonyTraits(
    "audiocodes",
    marks=False,
    lead_seconds=0.3,
    wire_seconds=ASSUMED_WIRE_SECONDS,
    frame_bytes=2,
    rings=True,
    told_of_speech=True,
    tells_who_ended=True,
)


@dataclass(frozen=True, slots=True)
class Clip:
    """Stored speech: 16-bit mono PCM."""

    rate_hz: int
    pcm: bytes


@dataclass(frozen=True, slots=True)
class ToolTraits:
    """How the call behaves around one of the agent's tools."""

    reply: str = "always"
    """Whether the model is asked to speak when the tool is done: ``always``, ``if_silent`` (it
    has said nothing since its response began), ``unless_it_goes_on`` (nothing since the tool was
    done) or ``never``. A tool that failed is always spoken of."""
    say_first: str | None = None
    """Instructions for something to say while it runs, if the model itself said nothing."""
    filler_after: float | None = None
    """After so many seconds of silence its filler is played: the clip ``filler:NAME``."""


@dataclass(frozen=True, slots=True)
class SilencePolicy:
    """What follows when it is the caller's turn and he says nothing."""

    after_seconds: tuple[float, ...]
    """Of silence before each nudge, and before the goodbye: one more than the nudges."""
    nudges: tuple[str, ...]
    """What the model is told to say."""
    goodbye: str | None
    """The same for the end; ``None``: the stored goodbye."""


@dataclass(frozen=True, slots=True)
class KeyAction:
    """What a key does without the model being asked."""

    kind: str
    """``transfer``, ``hang_up`` or ``say``."""
    target: Private[str] | None = None
    """Where ``transfer`` goes."""
    words: str = ""
    """What ``say`` has the model say."""


@dataclass(frozen=True, slots=True)
class CallPolicy:
    """How one call is conducted; durations in seconds."""

    telephony: TelephonyTraits
    session: SessionConfig
    """Its ``audio_format`` is replaced by what suits the telephony side's."""
    responses: ResponsePolicy = field(default_factory=ResponsePolicy)
    pings: bool = False
    """The telephony side's socket can carry pings of ours."""
    greet: bool = False
    barge_in: bool = True
    confirm_ms: int | None = None
    """With barge-in, speech over the agent must last this long to cut it: until then the agent
    only pauses. ``None``: it is cut at once."""
    greeting_interruptible: bool = True
    """Speech over the greeting cuts it; else it waits, and is answered after the greeting."""
    farewell_interruptible: bool = True
    """A caller who speaks keeps the agent from hanging up or handing over."""
    dtmf_gap: float = 1.5
    max_call_seconds: float = 7200.0
    warning_seconds: float = 0.0
    """So long before that the model tells the caller; 0: not at all."""
    no_input: SilencePolicy | None = None
    keys: Mapping[str, KeyAction] = field(default_factory=dict)
    """By the key pressed; the others are the model's to read."""
    tools: Mapping[str, ToolTraits] = field(default_factory=dict)
    """By the tool's name; one that is not here has the usual ones."""
    hold_after: float = 6.0
    """An answer is owed and the caller has heard nothing for this long: one moment please."""
    resume_grace: float = 30.0
    """How long a call outlives its model session while another is dialled."""
    renew_after: float = 3480.0
    """So old, a model session gives way to another in a quiet moment, where turn detection tells
    that it is one. At 3600 s it is over, whoever is speaking (openai-realtime 1.4). Not much
    sooner: it goes before another is known to come."""
    give_up: str = "wait"
    """After an apology: ``wait`` for the caller, ``transfer`` or ``hang_up``."""
    give_up_target: Private[str] | None = None
    """Where ``transfer`` goes."""
    configure_seconds: float = 0.0
    """How long the call waits to be told how it is to be conducted; 0: as it is."""
    clips: Mapping[str, Clip] = field(default_factory=dict)
    """``one-moment``, ``sorry`` and ``goodbye``; without one nothing is said in its place.

    ``greeting``, if it is there, is said in place of the model's own.
    """
    clip_words: Mapping[str, str] = field(default_factory=dict)
    """What the clips say, for the transcript."""

    @property
    def listens(self) -> bool:
        """Whether only the caller's loudness tells that he speaks, or has spoken: no turn
        detection does, and a stream may end in mid-speech, or last through his silence."""
        asked = not self.barge_in or self.no_input is not None
        return self.session.turn_detection is None and asked

    @property
    def confirms(self) -> bool:
        """Whether speech over the agent may turn out to be none."""
        return self.barge_in and self.confirm_ms is not None


def model_format(telephony: AudioFormat) -> AudioFormat:
    """What the model session should speak, so that as little as possible is converted."""
    return telephony if telephony == PCMU_8K else PCM_24K

"""How a simulated VoiceAI Connect is configured and behaves."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum, auto
from typing import Any

from opusbridge.sim.callers.audiocodes_words import LIVE_HUB_OFFER


class Mode(Enum):
    CALL = auto()
    VALIDATE = auto()  # the "Validate" button: one question on a socket of its own
    RESUME_UNKNOWN = auto()  # resume a conversation the bridge has never heard of


@dataclass(frozen=True, slots=True)
class AudioCodesHabits:
    """How this VoiceAI Connect is configured and behaves; open points are choices here."""

    mode: Mode = Mode.CALL
    offer: tuple[str, ...] = LIVE_HUB_OFFER
    """``supportedMediaFormats``, in this order."""
    expect_audio: bool = True
    """``False``: text mode, which the bridge must decline."""
    barge_in: bool = False
    """The bot's setting before any ``config``."""
    connect_on_prompt: bool = True
    """``False``: answered at once, without ringing."""
    stream_before_start: bool = False
    """``userStream.start`` comes before the ``start`` activity."""
    start_seconds: float = 0.0
    """How long it rings before ``start``, at somebody who answers then; where the caller's stream
    comes before that, the ringing is on it."""
    chunk_ms: int = 20
    odd_splits: bool = False
    """Chunks end anywhere, also in the middle of a 16-bit sample."""
    noise_amplitude: int = 0
    clear_delay: tuple[float, float] = (0.0, 0.0)
    stop_cuts: bool = False
    """With barge-in on, ``playStream.stop`` drops what was sent: the less likely reading."""
    committed_cuts: bool = False
    """With barge-in on, ``userStream.speech.committed`` is taken for a barge-in, too."""
    play_finished: bool = False
    """``playFinished`` is among ``sendEventsToBot``."""
    no_input: bool = False
    """``noUserInput`` is among ``sendEventsToBot``."""
    no_input_seconds: float = 5.0
    """It is told after so much silence of both, and again after as much more."""
    send_dtmf: bool = True
    dtmf_name: str = "DTMF"
    digits_together: bool = True
    """All keys of a press in one activity, or one activity each."""
    ring_seconds: float = 30.0
    """How long the person lets it ring."""
    dialout_metadata: Mapping[str, Any] | str | None = None
    """Of a call that was ordered, what its order gave along: an object, or by one version of the
    documents its text."""
    transfer_seconds: float = 1.0
    transfer_outcome: str = "answered"
    """``answered``, or why it failed: ``no-answer``, ``busy``, ``declined``, ``error``."""

"""What a call asks of the model."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from opusbridge.privacy import Private
from opusbridge.sound import Audio, AudioFormat


@dataclass(frozen=True, slots=True)
class TurnDetection:
    kind: str
    """``server_vad`` or ``semantic_vad``."""
    create_response: bool
    interrupt_response: bool
    threshold: float = 0.5
    silence_ms: int = 500
    eagerness: str = "auto"
    prefix_ms: int = 300
    """So much before the first sound is counted to a turn; the server's own default, said aloud."""


@dataclass(frozen=True, slots=True)
class SessionConfig:
    """What the model session is to be; ``audio_format`` holds in both directions."""

    instructions: str
    audio_format: AudioFormat
    voice: str | None = "marin"
    """``None``: leave it as it is there."""
    tools: tuple[Mapping[str, Any], ...] = ()
    """As the wire has them; what is secret in them is :class:`Private`."""
    turn_detection: TurnDetection | None = None
    transcription_model: str | None = None
    language: str | None = None
    noise_reduction: str | None = None
    """``near_field``, ``far_field`` or ``None``."""
    extra: Mapping[str, Any] = field(default_factory=dict)
    """Merged into the session object as it is, last."""


@dataclass(frozen=True, slots=True)
class ConfigureSession:
    session: SessionConfig


@dataclass(frozen=True, slots=True)
class FeelPulse:
    """Ask for a sign of life: the session is told to change nothing, and says that it did."""


@dataclass(frozen=True, slots=True)
class AppendAudio:
    audio: Audio


@dataclass(frozen=True, slots=True)
class CommitAudio:
    pass


@dataclass(frozen=True, slots=True)
class CreateResponse:
    request_id: str
    """Unique in the call; travels as ``event_id`` and in the response's metadata."""
    why: str = ""
    """The causes, joined: for the metadata, the metrics and the reader of a trace."""
    instructions: str | None = None
    """For this response only, in place of the session's."""
    by_words_only: bool = False
    """It may call no tools."""


@dataclass(frozen=True, slots=True)
class CancelResponse:
    response_id: str | None


@dataclass(frozen=True, slots=True)
class TruncateItem:
    """Make the model forget what was not heard of an item."""

    item_id: str
    content_index: int
    audio_end_ms: int


@dataclass(frozen=True, slots=True)
class DeleteItem:
    item_id: str


@dataclass(frozen=True, slots=True)
class AddToolOutput:
    item_id: str
    tool_call_id: str
    output: Private[str]


@dataclass(frozen=True, slots=True)
class AddApproval:
    """The answer to a model that asked to use an MCP server's tool."""

    item_id: str
    approval_request_id: str
    approve: bool


@dataclass(frozen=True, slots=True)
class AddText:
    item_id: str
    role: str
    """``user`` or ``system``; ``assistant`` when a conversation is restored."""
    text: Private[str]


@dataclass(frozen=True, slots=True)
class AddToolCall:
    """A call of an earlier session, put where its output will be understood."""

    item_id: str
    tool_call_id: str
    name: str
    arguments: Private[str]


ToModel = (
    ConfigureSession
    | FeelPulse
    | AppendAudio
    | CommitAudio
    | CreateResponse
    | CancelResponse
    | TruncateItem
    | DeleteItem
    | AddToolOutput
    | AddApproval
    | AddText
    | AddToolCall
)

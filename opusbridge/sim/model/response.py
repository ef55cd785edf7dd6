"""One response: what was asked for, what it has said so far, and how it is written on the wire."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from opusbridge.sim.model.conversation import shown
from opusbridge.sim.model.knobs import Fault
from opusbridge.sim.model.session import FORMATS, Session
from opusbridge.sound import AudioFormat


@dataclass(frozen=True, slots=True)
class Outcome:
    status: str
    details: Mapping[str, Any] | None = None


COMPLETED = Outcome("completed")


def cancelled(reason: str) -> Outcome:
    """``reason``: ``client_cancelled`` or ``turn_detected``."""
    return Outcome("cancelled", {"type": "cancelled", "reason": reason})


def incomplete(reason: str) -> Outcome:
    return Outcome("incomplete", {"type": "incomplete", "reason": reason})


def failed(code: str) -> Outcome:
    """In the words the service uses for this code; a broken server has none."""
    message = {
        "server_error": "The server had an error while processing your request. "
        "Sorry about that! You can retry your request.",
        "rate_limit_exceeded": "Rate limit reached. Please try again in 1.5 s.",
        "inference_rate_limit_exceeded": "too many tokens",
        "insufficient_quota": "You exceeded your current quota.",
        "credit_balance_exhausted": "Your credit balance is exhausted.",
    }[code]
    broken = code == "server_error"
    error = {
        "type": "server_error" if broken else "invalid_request_error",
        "code": None if broken else code,
        "message": message,
    }
    return Outcome("failed", {"type": "failed", "error": error})


@dataclass(slots=True, eq=False)
class Response:
    id: str
    conversation_id: str | None
    """``None``: out of band."""
    asked: Mapping[str, Any]
    """The ``response`` of ``response.create``; empty if turn detection began it."""
    modalities: list[str]
    audio: Mapping[str, Any]
    """The output's format and voice, as the wire writes them."""
    max_output_tokens: int | str
    event_id: str | None = None
    """The ``event_id`` of the client's request, if it gave one."""
    auto: bool = False
    """Begun by the server itself."""
    fault: Fault | None = None
    announced: bool = False
    """``response.created`` was sent, or would have been."""
    cancelling: Outcome | None = None
    """What it will end as, once somebody has said stop."""
    items: list[dict[str, Any]] = field(default_factory=list)
    audio_ms: float = 0.0
    """Sound sent so far."""
    text_length: int = 0
    outcome: Outcome | None = None

    @classmethod
    def asked_for(
        cls,
        response_id: str,
        conversation_id: str | None,
        session: Session,
        asked: Mapping[str, Any],
        event_id: str | None = None,
        auto: bool = False,
    ) -> Response:
        """The request's own wishes over the session's settings."""
        settings = session.settings
        output = settings["audio"]["output"]
        wished = asked.get("audio", {}).get("output", {})
        return cls(
            response_id,
            conversation_id,
            asked,
            asked.get("output_modalities", settings["output_modalities"]),
            {name: wished.get(name, output[name]) for name in ("format", "voice")},
            asked.get("max_output_tokens", settings["max_output_tokens"]),
            event_id,
            auto,
        )

    @property
    def out_of_band(self) -> bool:
        return self.conversation_id is None

    @property
    def format(self) -> AudioFormat:
        return FORMATS[self.audio["format"]["type"]]

    @property
    def speaks(self) -> bool:
        return self.modalities == ["audio"]

    def object(self, spent: Mapping[str, Any] | None, metadata_echoed: bool) -> dict[str, Any]:
        """As ``response.created`` and ``response.done`` carry it."""
        outcome = self.outcome
        return {
            "object": "realtime.response",
            "id": self.id,
            "status": outcome.status if outcome else "in_progress",
            "status_details": outcome.details if outcome else None,
            "output": [shown(item) for item in self.items],
            "conversation_id": self.conversation_id,
            "output_modalities": self.modalities,
            "max_output_tokens": self.max_output_tokens,
            "audio": {"output": self.audio},
            "usage": spent,
            "metadata": self.asked.get("metadata") if metadata_echoed else None,
        }


def usage(heard: int, read: int, spoken: int, written: int) -> dict[str, Any]:
    """Tokens of sound and of text, in and out, as the wire writes them."""
    cached = read // 2
    return {
        "total_tokens": heard + read + spoken + written,
        "input_tokens": heard + read,
        "output_tokens": spoken + written,
        "input_token_details": {
            "text_tokens": read,
            "audio_tokens": heard,
            "image_tokens": 0,
            "cached_tokens": cached,
            "cached_tokens_details": {"text_tokens": cached, "audio_tokens": 0, "image_tokens": 0},
        },
        "output_token_details": {"text_tokens": written, "audio_tokens": spoken},
    }

"""Watches the one door of a simulated call from the bridge's own end of the wires.

The model's referee judges by what it knows, and must forgive what was still on its way. Here
nothing is on its way: whoever asks for a response against what he has already been told, or
has himself already said, does wrong, and no network can be blamed.
"""

from dataclasses import dataclass, field
from typing import Any

import orjson

#: A request may be given up after this long without an answer, a cancel without its done
#: after this long, a response without any event after this long (``response-lifecycle`` §3.8).
REQUEST_SECONDS = 5.0
CANCEL_SECONDS = 2.0
PROGRESS_SECONDS = 20.0

_SETTLES_SPEECH = ("input_audio_buffer.speech_stopped", "input_audio_buffer.committed")
_TYPE = '{"type":"'


@dataclass(slots=True)
class DoorWatch:
    """Every text of the model's socket is shown to it, in order, as the bridge meets it."""

    violations: list[str] = field(default_factory=list)
    requests: int = 0
    speaking: bool = False
    _asked_at: float | None = None
    _token: str | None = None
    _active: dict[str, float] = field(default_factory=dict)  # id, last event
    _cancelled: dict[str, float] = field(default_factory=dict)  # id, when the bridge said so

    def heard(self, text: str, now: float) -> None:
        """The bridge takes this text of the model's in."""
        kind = _kind(text)
        match kind:
            case "response.created":
                self._created(orjson.loads(text)["response"], now)
            case "response.done":
                self._done(orjson.loads(text)["response"], now)
            case "response.output_item.added":
                self._begun(orjson.loads(text)["response_id"], now)
            case "error":
                self._refused(orjson.loads(text)["error"])
            case "input_audio_buffer.speech_started":
                self.speaking = True
            case _ if kind in _SETTLES_SPEECH:
                self.speaking = False
            case _:
                for response_id in self._active:
                    if response_id in text[:300]:
                        self._active[response_id] = now

    def said(self, text: str, now: float) -> None:
        """The bridge sends this text to the model."""
        kind = _kind(text)
        if kind == "response.create":
            self._asked(orjson.loads(text), now)
        elif kind == "response.cancel":
            response_id = orjson.loads(text).get("response_id")
            self._cancelled.setdefault(response_id, now)

    def _created(self, response: dict[str, Any], now: float) -> None:
        if response.get("conversation_id") is None:
            return
        if (response.get("metadata") or {}).get("bridge_req") in (self._token, None):
            self._asked_at = None
        # One at a time is the service's own law: whatever was before is over.
        self._active = {response["id"]: now}

    def _begun(self, response_id: str, now: float) -> None:
        """There is output of it: if nobody announced it, that was lost, and it answers us."""
        if response_id not in self._active:
            self._asked_at = None
            self._active = {response_id: now}

    def _done(self, response: dict[str, Any], now: float) -> None:
        if response["id"] not in self._active:
            self._created(response, now)
        self._active.pop(response["id"], None)
        self._cancelled.pop(response["id"], None)

    def _refused(self, error: dict[str, Any]) -> None:
        conflict = "active response" in error["message"] and "Cancellation" not in error["message"]
        if error["event_id"] == self._token or (conflict and error["event_id"] is None):
            self._asked_at = None

    def _asked(self, request: dict[str, Any], now: float) -> None:
        self.requests += 1
        if self._asked_at is not None and now - self._asked_at < REQUEST_SECONDS - 0.001:
            self._object("while a request was unanswered", now)
        if self.speaking:
            self._object("while the caller was speaking", now)
        for response_id, last_event_at in self._active.items():
            cancelled_at = self._cancelled.get(response_id)
            if cancelled_at is not None:
                if now - cancelled_at < CANCEL_SECONDS - 0.001:
                    self._object("between a cancel and its done", now)
            elif now - last_event_at < PROGRESS_SECONDS - 0.001:
                self._object("while a response was active", now)
        self._asked_at, self._token = now, request["event_id"]

    def _object(self, what: str, now: float) -> None:
        self.violations.append(f"door: a response was asked for {what}, at {now:.2f}")


def _kind(text: str) -> str:
    """The simulators' texts and ours begin with their type."""
    if text.startswith(_TYPE):
        return text[len(_TYPE) : text.index('"', len(_TYPE))]
    return str(orjson.loads(text)["type"])

"""Watches the one door of a simulated call from the bridge's own end of the wires.

The model's referee judges by what it knows, and must forgive what was still on its way. Here
nothing is on its way: whoever asks for a response against what he has already been told, or
has himself already said, does wrong, and no network can be blamed.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import orjson

from opusbridge.protocols.realtime.outputs import cut_off_call, soundless

#: A request may be given up after this long without an answer, a cancel without its done
#: after this long, a response without any event after this long (``response-lifecycle`` §3.8).
REQUEST_SECONDS = 5.0
CANCEL_SECONDS = 2.0
PROGRESS_SECONDS = 20.0

#: The service's own response to a turn may be given up after this long.
OWN_SECONDS = 5.0

_TYPE = '{"type":"'


#: What is new to the service and no output of a tool.
_OTHER = ""


@dataclass(slots=True)
class _Batches:
    """The tool calls of each response, and what is new since the service last answered: outputs
    by the names of their calls, and whether there is anything else."""

    _calls: dict[str, str] = field(default_factory=dict)  # of which response
    _outputs: set[str] = field(default_factory=set)
    _new: set[str] = field(default_factory=set)
    _late: set[str] = field(default_factory=set)  # the same since the last request
    _covered: set[str] = field(default_factory=set)  # what the latest response is about
    _latest: str = ""
    _answered: bool = False  # by it, as far as the bridge can know
    _unwanted: set[str] = field(default_factory=set)  # responses

    def heard(self, kind: str, text: str) -> None:
        if kind == "response.output_item.done":
            event = orjson.loads(text)
            item = event["item"]
            if item.get("type") == "function_call" and item.get("status") == "completed":
                self._calls[item["call_id"]] = event["response_id"]
        elif kind == "input_audio_buffer.committed" or kind.startswith("response.mcp_call."):
            self._is_new(_OTHER)

    def told(self, item: dict[str, Any]) -> None:
        """The bridge adds it to the conversation; an output of no call is history."""
        call_id = item.get("call_id")
        if item["type"] == "function_call_output" and call_id in self._calls:
            self._outputs.add(call_id)
            self._is_new(call_id)
        else:
            self._is_new(_OTHER)

    def cancelled(self, response_id: str | None) -> None:
        self._unwanted.add(response_id or self._latest)

    def created(self, response_id: str) -> None:
        """What came between the request and this it does not answer."""
        self._latest, self._answered = response_id, False
        self._covered, self._new = self._new, set(self._late)

    def done(self, response: dict[str, Any]) -> None:
        if response["id"] != self._latest:
            return
        came = _came(response.get("output") or ())
        good = came and response.get("status") in ("completed", "incomplete")
        self._answered = good and self._latest not in self._unwanted
        if not self._answered:
            self._new |= self._covered

    def asked(self, response: dict[str, Any]) -> list[str]:
        """What is wrong with that: how a response was asked for."""
        found = []
        if not response.keys() & {"instructions", "input"}:
            if _outputs_only(self._new) and all(self._open(call_id) for call_id in self._new):
                found.append("before every tool call had its output")
            if not self._new and _outputs_only(self._covered) and self._answered:
                found.append("again for one batch of tool outputs")
        self._late.clear()
        return found

    def _is_new(self, what: str) -> None:
        self._new.add(what)
        self._late.add(what)

    def _open(self, call_id: str) -> bool:
        """Whether another call of the same response has no output yet."""
        mine = self._calls[call_id]
        return any(one not in self._outputs for one, of in self._calls.items() if of == mine)


def _outputs_only(what: set[str]) -> bool:
    return bool(what) and _OTHER not in what


def _came(items: Sequence[dict[str, Any]]) -> bool:
    """Whether that is an answer (``response-lifecycle``, rule 6): something is to be heard of it
    or to be run, and no call was cut off."""
    return not all(map(soundless, items)) and not any(map(cut_off_call, items))


@dataclass(slots=True)
class DoorWatch:
    """Every text of the model's socket is shown to it, in order, as the bridge meets it."""

    violations: list[str] = field(default_factory=list)
    requests: int = 0
    speaking: bool = False
    _batches: _Batches = field(default_factory=_Batches)
    _creates: bool = False  # the service answers turns by itself
    _own_since: float | None = None  # since when it owes an answer
    _asked_at: float | None = None
    _token: str | None = None
    _active: dict[str, float] = field(default_factory=dict)  # id, last event
    _cancelled: dict[str, float] = field(default_factory=dict)  # id, when the bridge said so

    def heard(self, text: str, now: float) -> None:
        """The bridge takes this text of the model's in."""
        kind = _kind(text)
        self._batches.heard(kind, text)
        match kind:
            case "session.updated":
                turns = orjson.loads(text)["session"]["audio"]["input"]["turn_detection"]
                self._creates = bool((turns or {}).get("create_response"))
            case "input_audio_buffer.committed":
                self.speaking = False
                free = not self._active and self._asked_at is None
                self._own_since = now if self._creates and free else None
            case "response.created":
                self._created(orjson.loads(text)["response"], now)
            case "response.done":
                self._done(orjson.loads(text)["response"], now)
            case "response.output_item.added":
                self._begun(orjson.loads(text)["response_id"], now)
            case "error":
                self._refused(orjson.loads(text)["error"])
            case "input_audio_buffer.speech_started":
                self.speaking, self._own_since = True, None
            case "input_audio_buffer.speech_stopped":
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
            self._batches.cancelled(response_id)
        elif kind == "conversation.item.create":
            self._batches.told(orjson.loads(text)["item"])

    def session_over(self) -> None:
        """With it everything that was open; only the objections stay."""
        self._asked_at, self.speaking, self._own_since = None, False, None
        self._active.clear()
        self._cancelled.clear()
        self._batches = _Batches()

    def _created(self, response: dict[str, Any], now: float) -> None:
        if response.get("conversation_id") is None:
            return
        if (response.get("metadata") or {}).get("bridge_req") in (self._token, None):
            self._asked_at = None
        self._own_since = None
        self._batches.created(response["id"])
        # One at a time is the service's own law: whatever was before is over.
        self._active = {response["id"]: now}

    def _begun(self, response_id: str, now: float) -> None:
        """There is output of it: if nobody announced it, that was lost, and it answers us."""
        if response_id not in self._active:
            self._asked_at = self._own_since = None
            self._active = {response_id: now}
            self._batches.created(response_id)

    def _done(self, response: dict[str, Any], now: float) -> None:
        if response["id"] not in self._active:
            self._created(response, now)
        self._active.pop(response["id"], None)
        self._cancelled.pop(response["id"], None)
        self._batches.done(response)

    def _refused(self, error: dict[str, Any]) -> None:
        conflict = "active response" in error["message"] and "Cancellation" not in error["message"]
        if error["event_id"] == self._token or (conflict and error["event_id"] is None):
            self._asked_at = None
        if conflict:
            self._own_since = None  # it may have been the service's own that was refused

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
        if self._own_since is not None and now - self._own_since < OWN_SECONDS - 0.001:
            self._object("while a turn awaited the service's own", now)
        for what in self._batches.asked(request.get("response") or {}):
            self._object(what, now)
        self._asked_at, self._token = now, request["event_id"]

    def _object(self, what: str, now: float) -> None:
        self.violations.append(f"door: a response was asked for {what}, at {now:.2f}")


def _kind(text: str) -> str:
    """The simulators' texts and ours begin with their type."""
    if text.startswith(_TYPE):
        return text[len(_TYPE) : text.index('"', len(_TYPE))]
    return str(orjson.loads(text)["type"])

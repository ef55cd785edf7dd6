"""What a flight recording tells: stretches and instants, ready to be drawn.

A reader of history, forgiving by design: a recording may begin late, end early or have gaps,
and what is missing is left open, never guessed.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

Line = dict[str, Any]

#: Notes worth a mark on the time line, and how they are to be read: as what went wrong, as
#: what the caller did, or as ordinary.
MARKS: dict[str, str] = {
    "barge-in": "caller",
    "conflict": "bad",
    "retry": "bad",
    "gave-up": "bad",
    "watchdog": "bad",
    "violation": "bad",
    "bad-message": "bad",
    "message-rejected": "bad",
    "dropped-tool": "bad",
    "audio-dropped": "bad",
    "peer-stalled": "bad",
    "hold": "bad",
    "apology": "bad",
    "model-replaced": "bad",
    "unknown-error": "bad",
    "broke": "bad",
    "telephony-lost": "bad",
    "model-lost": "bad",
    "recording-paused": "plain",
    "recording-resumed": "plain",
    "flight-gap": "bad",
    "flight-full": "bad",
    "model-back": "good",
    "restored": "good",
    "repaired": "plain",
    "orphan": "plain",
    "truncated": "plain",
    "coalesced": "plain",
    "answered": "good",
    "hang-up-requested": "plain",
    "transfer-requested": "plain",
    "caller-returns": "plain",
    "caller-gave-up": "plain",
    "hang-up-failed": "bad",
    "transfer-failed": "bad",
    "away": "plain",
    "keys-pressed": "plain",
    "keys-failed": "bad",
    "key": "caller",
    "no-input": "plain",
    "on-hold": "plain",
    "off-hold": "plain",
    "warned": "plain",
    "farewell-cancelled": "caller",
    "declined": "bad",
    "model-released": "plain",
    "model-refused": "bad",
    "mcp": "plain",
    "text-injected": "plain",
    "configure-asked": "plain",
    "configured": "plain",
    "configure-overdue": "bad",
    "digits-wanted": "plain",
    "digits-delivered": "plain",
    "dtmf-requested": "plain",
    "play-requested": "plain",
    "ended": "end",
}


@dataclass(slots=True)
class Span:
    """A stretch of time, in seconds from the start; ``end`` is ``None`` while it is open."""

    start: float
    end: float | None
    kind: str
    """How it is drawn: a slug that is also a CSS class."""
    label: str
    details: str = ""


@dataclass(slots=True)
class Mark:
    at: float
    kind: str
    label: str
    silent_from: float | None = None
    """Of a barge-in that had to be confirmed: when the agent fell silent for it."""


@dataclass(slots=True)
class Story:
    speech: list[Span] = field(default_factory=list)
    """The caller speaking: from when the model told of it until it told of the end. Their
    details are the items' ids."""
    requests: list[Span] = field(default_factory=list)
    responses: list[Span] = field(default_factory=list)
    waits: list[Span] = field(default_factory=list)
    """Input that waited for a response."""
    tools: list[Span] = field(default_factory=list)
    """The agent's own, and those of MCP servers, which the model's provider runs."""
    echoes: list[Span] = field(default_factory=list)
    """The telephony side's marks, from their leaving to their return (Twilio)."""
    marks: list[Mark] = field(default_factory=list)
    ends_at: float = 0.0
    """When the last thing happened."""
    outcome: str = ""
    """How the call ended, and why; empty: the recording does not say."""
    reason: str = ""


def read_story(lines: Iterable[Line]) -> Story:
    """From the lines of a flight recording, in the order of their time."""
    reader = _Reader()
    for line in lines:
        t = line.get("t")
        if isinstance(t, int | float):
            reader.read(line, float(t))
    return reader.story


class _Reader:
    def __init__(self) -> None:
        self.story = Story()
        self._speech: Span | None = None
        self._paused_at: float | None = None
        self._requests: dict[str, Span] = {}
        self._unnamed = ""  # the last error, if it named no request
        self._disputed: dict[str, str] = {}  # refused by such a one: what else they were
        self._responses: dict[str, Span] = {}
        self._latest = ""  # of them, in the conversation: one at a time is the service's law
        self._tools: dict[str, Span] = {}
        self._mcp_names: dict[str, str] = {}
        self._mcp_responses: dict[str, str] = {}  # that called them
        self._mcp_tools: dict[str, Span] = {}
        self._echoes: dict[str, Span] = {}

    def read(self, line: Line, t: float) -> None:
        self.story.ends_at = max(self.story.ends_at, t)
        if "note" in line:
            self._note(line, t)
        elif line.get("peer") == "model" and isinstance(text := line.get("text"), dict):
            kind = str(text.get("type"))
            if line.get("dir") == "out":
                self._we_said(kind, text, t)
            else:
                self._model_said(kind, text, t)
        elif line.get("peer") == "telephony" and isinstance(text := line.get("text"), dict):
            self._telephony(text, line.get("dir") == "out", t)

    def _telephony(self, text: Line, placed: bool, t: float) -> None:
        if text.get("event") != "mark":
            return
        name = str(_inner(text, "mark").get("name"))
        if placed:
            self._echoes[name] = Span(t, None, "echoed", name, f"sent at {t:.2f} s")
            self.story.echoes.append(self._echoes[name])
        elif name in self._echoes:
            self._echoes.pop(name).end = t

    def _we_said(self, kind: str, text: Line, t: float) -> None:
        if kind == "response.create":
            why = _inner(_inner(text, "response"), "metadata")
            for given_up in self._requests.values():
                if given_up.end is None:  # though it may be taken up after all
                    given_up.end, given_up.kind = t, "lost"
            span = Span(t, None, "request", "request", _pairs(why))
            self._requests[str(text.get("event_id", ""))] = span
            self.story.requests.append(span)

    def _model_said(self, kind: str, text: Line, t: float) -> None:
        response = _inner(text, "response")
        match kind:
            case "response.created":
                self._created(str(response.get("id", "")), response, t)
            case "response.done":
                self._done(str(response.get("id", "")), response, t)
            case "error":
                self._refused(_inner(text, "error"), t)
            case "input_audio_buffer.speech_started":
                self._speech = Span(t, None, "speech", "caller speaks", str(text.get("item_id")))
                self.story.speech.append(self._speech)
                self._paused_at = None
            case "input_audio_buffer.speech_stopped" if self._speech is not None:
                self._speech.end, self._speech = t, None
            case _:
                self._of_mcp(kind, text, t)

    def _of_mcp(self, kind: str, text: Line, t: float) -> None:
        item = _inner(text, "item")
        item_id = str(item.get("id") or text.get("item_id"))
        match kind:
            case "response.output_item.added" if item.get("type") == "mcp_call":
                self._mcp_names[item_id] = str(item.get("name") or "")
                self._mcp_responses[item_id] = str(text.get("response_id", ""))
            case "response.mcp_call.in_progress":
                name = self._mcp_names.get(item_id) or "mcp"
                self._mcp_tools[item_id] = Span(t, None, "tool", name, item_id)
                self.story.tools.append(self._mcp_tools[item_id])
            case "response.mcp_call.completed":
                self._mcp_over(item_id, "tool", t)
            case "response.mcp_call.failed":
                self._mcp_over(item_id, "tool-failed", t)
            case "response.output_item.done":  # of one that is still at work: it was cut off
                self._mcp_over(item_id, "lost", t)

    def _mcp_over(self, item_id: str, kind: str, t: float) -> None:
        if span := self._mcp_tools.pop(item_id, None):
            span.end, span.kind = t, kind

    def _broken_off(self, response_id: str, t: float) -> None:
        """The tools of MCP servers that ran for it are over, unless more comes of one after all."""
        for item_id, span in self._mcp_tools.items():
            if span.end is None and self._mcp_responses.get(item_id) == response_id:
                span.end, span.kind = t, "lost"

    def _created(self, response_id: str, response: Line, t: float) -> None:
        tokens = map(str, _inner(response, "metadata").values())
        ours = next((token for token in tokens if token in self._requests), None)
        if ours is not None:
            request = self._requests.pop(ours)
            request.end, request.kind = t, "request"
            request.details = self._disputed.pop(ours, request.details)
        if response.get("conversation_id") is not None:
            if displaced := self._responses.pop(self._latest, None):
                displaced.end, displaced.kind = t, "lost"
            self._latest = response_id
        span = Span(t, None, "active", response_id, "" if ours else "begun by the model itself")
        self._responses[response_id] = span
        self.story.responses.append(span)

    def _done(self, response_id: str, response: Line, t: float) -> None:
        status = str(response.get("status"))
        if status in ("cancelled", "failed"):
            self._broken_off(response_id, t)
        if (span := self._responses.pop(response_id, None)) is None:
            return
        span.end = t
        span.kind = status if status in ("completed", "cancelled", "failed") else "incomplete"
        reason = _inner(response, "status_details").get("reason")
        span.details = ", ".join(filter(None, (span.details, status, str(reason or ""))))

    def _refused(self, error: Line, t: float) -> None:
        event_id, code = error.get("event_id"), str(error.get("code") or "refused")
        self._unnamed = code if event_id is None else ""
        if span := self._requests.pop(str(event_id), None):
            span.end, span.kind, span.details = t, "refused", code

    def _conflict(self, request_id: str, t: float) -> None:
        """It was the one under way that was refused, unless it is taken up after all."""
        code, self._unnamed = self._unnamed, ""
        span = self._requests.get(request_id)
        if code and span is not None:
            self._disputed[request_id] = span.details
            span.end, span.kind, span.details = t, "refused", code

    def _note(self, line: Line, t: float) -> None:
        note, reason = str(line["note"]), str(line.get("reason") or "")
        ids = line.get("ids")
        first_id = str(ids[0]) if isinstance(ids, list) and ids else ""
        match note:
            case "tool-started":
                self._tools[first_id] = Span(t, None, "tool", reason, first_id)
                self.story.tools.append(self._tools[first_id])
            case "tool-finished" if first_id in self._tools:
                span = self._tools.pop(first_id)
                span.end, span.kind = t, "tool-failed" if reason else "tool"
            case "pending-wait":
                waited = max(_number(line.get("value")), 0.0)
                span = Span(max(t - waited, 0.0), t, "wait", f"waited {waited:.2f} s", reason)
                self.story.waits.append(span)
            case "paused" | "resumed":
                self._paused_at = t if note == "paused" else None
            case _ if note in MARKS:
                mark = Mark(t, MARKS[note], ": ".join(filter(None, (note, reason))))
                self.story.marks.append(mark)
                if note == "barge-in":
                    mark.silent_from, self._paused_at = self._paused_at, None
        if note == "conflict":
            self._conflict(first_id, t)
        if note == "mcp" and reason in ("overdue", "lost"):
            self._mcp_over(first_id, "lost", t)
        if note in ("model-lost", "model-replaced", "ended"):
            self._session_over(t)
        if note == "ended":
            self._ended(str(line.get("outcome") or ""), reason)

    def _session_over(self, t: float) -> None:
        """What was asked of that session, and what it was saying, nobody will finish."""
        owed = self._requests, self._responses, self._mcp_tools
        for span in (span for spans in owed for span in spans.values()):
            if span.end is None:
                span.end, span.kind = t, "lost"
        for spans in owed:
            spans.clear()
        if self._speech is not None:
            self._speech.end, self._speech = t, None

    def _ended(self, outcome: str, reason: str) -> None:
        self.story.outcome, self.story.reason = outcome, reason
        for mark in self.story.marks:
            # Of a call that was over anyway, the line had to go some time.
            if mark.label == "telephony-lost" and reason != "telephony-lost":
                mark.kind = "plain"
                if reason == "transferred":
                    mark.label = "line left with the transfer"


def _inner(value: Line, key: str) -> Line:
    inner = value.get(key)
    return inner if isinstance(inner, dict) else {}


def _pairs(values: Line) -> str:
    return ", ".join(f"{key}: {value}" for key, value in values.items())


def _number(value: object) -> float:
    return float(value) if isinstance(value, int | float) else 0.0

"""What a client of this service must never do, and what it must not leave undone.

The service would forgive most of it; the caller would not. What only the network can be blamed
for is no violation: a create that met news still on its way to the client is a race, and races
are what the service is there to lose and win. ``grace_seconds`` is the longest such way.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from opusbridge.protocols.realtime.outputs import cut_off_call
from opusbridge.sim.model.knobs import UNHEARD
from opusbridge.sim.model.response import Response

#: A client that has waited this long may rightly believe that no answer will come.
CLIENT_PATIENCE_SECONDS = 4.0

#: A cancel without a done may be given up after this long.
CANCEL_PATIENCE_SECONDS = 1.5

#: One try and three more; who gives up then, aloud, is forgiven.
MOST_TRIES = 4


@dataclass(slots=True)
class _Owed:
    what: str
    since: float
    answered_by: str | None = None
    tries: int = 0
    asked_for: bool = False
    """By the client, for whatever it has: a greeting, what an operator says."""


@dataclass(slots=True)
class Referee:
    grace_seconds: float = 0.5
    violations: list[str] = field(default_factory=list)
    conflicts: int = 0
    """Creates refused because a response was active: races lost, unless they are violations too."""
    session_lost: bool = False
    """By the server's own fault; nothing is owed any more."""
    _speech_since: float | None = None
    _awaiting_since: float | None = None
    _cancel_since: float | None = None
    _request_since: float | None = None
    _owed: list[_Owed] = field(default_factory=list)
    _calls: dict[str, tuple[str, float]] = field(default_factory=dict)  # response, called at
    _outputs: dict[str, int] = field(default_factory=dict)
    _approvals: dict[str, float | None] = field(default_factory=dict)  # asked at, till answered
    _new: set[str] = field(default_factory=set)  # what no response has taken in yet
    _new_outputs: set[str] = field(default_factory=set)  # of which calls
    _late: set[str] = field(default_factory=set)  # what came since the client's last request
    _late_outputs: set[str] = field(default_factory=set)
    _covered: set[str] = field(default_factory=set)  # what the latest response took in
    _covered_outputs: set[str] = field(default_factory=set)
    _latest_id: str = ""
    _latest_at: float = 0.0
    _latest_good: bool = False

    # -- what the caller does

    def speech_started(self, now: float) -> None:
        self._speech_since = now
        self._owed.clear()  # newer speech supersedes: the next answer is for all of it

    def turn_over(self) -> None:
        self._speech_since = None

    def turn_committed(self, item_id: str, awaits_response: bool, now: float) -> None:
        """``awaits_response``: the service will answer it by itself."""
        self.turn_over()
        self._owed.append(_Owed(f"the turn {item_id}", now))
        self._new.add("turn")
        if awaits_response:
            self._awaiting_since = now

    # -- what the service does

    def auto_response_settled(self) -> None:
        """It began, or it failed; it is awaited no longer."""
        self._awaiting_since = None

    def created(self, response: Response, now: float, told: bool = True) -> None:
        """``told``: the client was, and can know which turns it answers."""
        if response.out_of_band:
            return
        self._latest_id, self._latest_at, self._latest_good = response.id, now, False
        # What came between the client's request and this the client does not count as answered.
        late = set() if response.auto else self._late
        self._covered, self._new = self._new, set(late)
        self._covered_outputs = self._new_outputs
        self._new_outputs = self._new_outputs & self._late_outputs if late else set()
        if not told and response.auto and "turn" in self._covered:
            self._new.add("turn")
        for owed in self._owed:
            owed.answered_by = owed.answered_by or response.id

    def request_settled(self) -> None:
        """The client's create was answered, either way."""
        self._request_since = None

    def done(self, response: Response, now: float) -> None:
        if response.out_of_band or response.outcome is None:
            return
        self._cancel_since = None
        status = response.outcome.status
        good = status == "cancelled" or (status in ("completed", "incomplete") and _came(response))
        self._latest_good = bool(good)
        if not good:
            self._new |= self._covered
            self._new_outputs |= self._covered_outputs
        for owed in [owed for owed in self._owed if owed.answered_by == response.id]:
            if good:
                self._owed.remove(owed)
            else:
                owed.answered_by, owed.since, owed.tries = None, now, owed.tries + 1

    def tool_called(self, call_id: str, response_id: str, now: float) -> None:
        self._calls[call_id] = response_id, now

    def approval_asked(self, request_id: str, now: float) -> None:
        self._approvals[request_id] = now

    def mcp_done(self, item_id: str, now: float) -> None:
        """A tool of an MCP server is done, and nothing was said of it yet."""
        self._new.add("text")
        self._owed.append(_Owed(f"the result of {item_id}", now))

    # -- what the client does

    def create_received(self, asked: Mapping[str, Any], now: float) -> None:
        if asked.get("conversation") == "none":
            return
        if self._within(self._cancel_since, now, 0.0, CANCEL_PATIENCE_SECONDS):
            self._violated("a response was asked for between a cancel and its done")
        if self._within(self._request_since, now, 0.0, CLIENT_PATIENCE_SECONDS):
            self._violated("a response was asked for while a request was unanswered")
        if self._within(self._speech_since, now, self.grace_seconds):
            self._violated("a response was asked for while the caller was speaking")
        if self._within(self._awaiting_since, now, self.grace_seconds, CLIENT_PATIENCE_SECONDS):
            self._violated("a response was asked for while a turn awaited the service's own")
        if not asked.keys() & {"instructions", "input"}:
            self._check_batch(now)
        self._request_since = now
        self._late.clear()
        self._late_outputs.clear()
        if all(owed.answered_by for owed in self._owed):  # else it is for what is owed already
            self._owed.append(_Owed(f"the request at {now:.2f} s", now, asked_for=True))

    def conflict(self) -> None:
        self.conflicts += 1
        if "text" not in self._new:  # all that it was about is owed by itself, or being answered
            self._owed = [owed for owed in self._owed if not owed.asked_for or owed.answered_by]

    def cancel_received(self, response: Response, now: float) -> None:
        if not response.out_of_band:
            self._cancel_since = now

    def cancelled_too_late(self, response_id: str) -> None:
        """It was over already; the client did not want it, so to him it answered nothing."""
        if response_id == self._latest_id:
            self._new |= self._covered
            self._new_outputs |= self._covered_outputs

    def item_received(self, item: Mapping[str, Any], now: float) -> None:
        if item["type"] == "mcp_approval_response":
            self._approval_received(item["approval_request_id"])
        if item["type"] != "function_call_output":
            self._new.add("text")
            self._late.add("text")
            return
        call_id = item["call_id"]
        if call_id not in self._calls:
            self._new.add("text")  # history that the client restored
            return
        self._new.add("output")
        self._new_outputs.add(call_id)
        self._late.add("output")
        self._late_outputs.add(call_id)
        self._outputs[call_id] = self._outputs.get(call_id, 0) + 1
        if self._outputs[call_id] > 1:
            self._violated(f"the tool call {call_id} got a second output")
        elif not self._batch_open(self._calls[call_id][0]):
            self._owed.append(_Owed(f"the output of {call_id}", now))

    def _approval_received(self, request_id: str) -> None:
        if self._approvals.get(request_id) is None:
            known = request_id in self._approvals
            how = "a second time" if known else "which does not exist"
            self._violated(f"the approval request {request_id} was answered, {how}")
        self._approvals[request_id] = None

    def truncate_received(self, item_id: str, audio_end_ms: int, sent_ms: int | None) -> None:
        if sent_ms is not None and audio_end_ms > sent_ms:
            self._violated(f"{item_id} was truncated at {audio_end_ms} of {sent_ms} ms")

    # -- at the end

    def verdict(self, now: float, patience_seconds: float) -> list[str]:
        """All violations; what is owed for less than ``patience_seconds`` is none yet."""
        found = list(self.violations)
        if self.session_lost:
            return found
        for call_id, (_, called_at) in self._calls.items():
            if not self._outputs.get(call_id) and now - called_at >= patience_seconds:
                found.append(f"the tool call {call_id} never got its output")
        for request_id, asked_at in self._approvals.items():
            if asked_at is not None and now - asked_at >= patience_seconds:
                found.append(f"the approval request {request_id} was never answered")
        for owed in self._owed:
            waited = now - owed.since >= patience_seconds
            if owed.answered_by is None and waited and owed.tries < MOST_TRIES:
                found.append(f"{owed.what} was never answered")
        return found

    def _check_batch(self, now: float) -> None:
        batches = {self._calls[call_id][0] for call_id in self._new_outputs}
        if self._new == {"output"} and batches and all(map(self._batch_open, batches)):
            self._violated("a response was asked for before every tool call had its output")
        answered = self._latest_good and now - self._latest_at > self.grace_seconds
        if not self._new and self._covered == {"output"} and answered:
            self._violated("a second response was asked for one batch of tool outputs")

    def _batch_open(self, response_id: str) -> bool:
        return any(
            batch == response_id and call_id not in self._outputs
            for call_id, (batch, _) in self._calls.items()
        )

    @staticmethod
    def _within(since: float | None, now: float, least: float, most: float = float("inf")) -> bool:
        return since is not None and least <= now - since < most

    def _violated(self, sentence: str) -> None:
        self.violations.append(sentence)


def _came(response: Response) -> bool:
    """Whether it answers: writing is not heard, and a call that was cut off is not run."""
    if response.fault is not None and response.fault.kind in UNHEARD:
        return False
    return bool(response.items) and not any(map(cut_off_call, response.items))

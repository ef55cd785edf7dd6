"""Who is answering: the one slot of the default conversation, and those out of band beside it.

* At most one response writes to the default conversation, whoever began it. It holds the slot
  from the moment its creation is accepted until its ``response.done``, cancelled or not.
* A client's create that finds the slot taken is refused and forgotten.
* A turn that is to be answered by itself promises the slot to a response of the server's own.
  Who gets it when a client asks in that moment too is a knob.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import partial
from random import Random
from typing import Any

from opusbridge.sim.model.conversation import Conversation
from opusbridge.sim.model.knobs import FaultKind, Knobs
from opusbridge.sim.model.mcp import McpHost
from opusbridge.sim.model.production import Production
from opusbridge.sim.model.referee import Referee
from opusbridge.sim.model.replies import ReplyScript
from opusbridge.sim.model.response import (
    COMPLETED,
    Outcome,
    Response,
    cancelled,
    failed,
    incomplete,
    usage,
)
from opusbridge.sim.model.schedule import Later, Schedule
from opusbridge.sim.model.session import Session
from opusbridge.sim.model.shapes import Refused
from opusbridge.sim.model.wire import Wire

#: After these the reply is still unsaid, and the next response says it.
LEAVES_REPLY = {
    FaultKind.FAILED,
    FaultKind.FAILED_MIDWAY,
    FaultKind.EMPTY,
    FaultKind.CONTENTLESS,
    FaultKind.WRITTEN,
    FaultKind.CREATED_WITHHELD,
    FaultKind.FREEZE,
    FaultKind.DROP,
}


@dataclass(slots=True, eq=False)
class _Run:
    """A response under way."""

    response: Response
    production: Production
    steps: Iterator[float]
    waits: list[Later] = field(default_factory=list)
    cancel_event_id: str | None = None
    cancelled_by_client: bool = False


@dataclass(slots=True, eq=False)
class _Promise:
    """The slot is promised to a response that answers a turn."""

    response: Response
    later: Later
    """When it is to be kept."""
    waits_for_done: bool = False
    refused: list[str | None] = field(default_factory=list)
    """Creates that lost to it and will hear so once it is announced."""


class Responses:
    def __init__(
        self,
        wire: Wire,
        schedule: Schedule,
        session: Session,
        conversation: Conversation,
        replies: ReplyScript,
        knobs: Knobs,
        random: Random,
        referee: Referee,
        mcp: McpHost,
        done: Callable[[Response], None],
    ) -> None:
        """``done`` hears of every response of the default conversation that has ended."""
        self.active: Response | None = None
        """Holds the slot, announced or not."""
        self._promise: _Promise | None = None
        self._runs: dict[str, _Run] = {}
        self.accepted = 0
        """In the default conversation: what a fault's number counts."""
        self._wire = wire
        self._schedule = schedule
        self._session = session
        self._conversation = conversation
        self._replies = replies
        self._knobs = knobs
        self._random = random
        self._referee = referee
        self._mcp = mcp
        self._done = done

    # -- what begins a response

    def requested(self, asked: Mapping[str, Any], event_id: str | None) -> None:
        """A client's ``response.create``, already known to be well-formed."""
        out_of_band = asked.get("conversation") == "none"
        response = self._response(asked, event_id, out_of_band=out_of_band)
        if not out_of_band:
            occupier = self.active
            if occupier is None and self._promise and self._knobs.race_winner == "server":
                occupier = self._promise.response
            if occupier is not None:
                self._refuse(event_id, occupier)
                return
            self._take_slot(response)
        self._schedule.after(self._knobs.create_delay, partial(self._begin, response))

    def turn_to_answer(self) -> None:
        """A turn was committed that the server answers by itself."""
        if self._promise is not None:
            return  # one answer for both turns
        later = self._schedule.after(self._knobs.auto_create_delay, self._keep_promise)
        self._promise = promise = _Promise(self._response({}, None, auto=True), later)
        rival = self.active
        if rival and not rival.announced and not rival.auto and self._knobs.race_winner == "server":
            # It was accepted a moment ago, but nobody was told; now it never was.
            self.active = None
            self.accepted -= 1
            rival.outcome = cancelled("turn_detected")
            self._refuse(rival.event_id, promise.response)

    def caller_interrupts(self) -> None:
        """The caller has begun to speak, and that interrupts whatever is being said."""
        if self._promise is not None:
            if self.active is None:
                self._keep_promise()
            else:
                self._break_promise()
        if self.active is not None and self.active.cancelling is None:
            self._cancel(self.active, cancelled("turn_detected"))

    # -- what ends one

    def cancel(self, response_id: str | None, event_id: str | None) -> None:
        """A client's ``response.cancel``; without an id it means the default conversation's.

        :raises Refused: there is nothing to cancel, or there no longer is.
        """
        target = self.active if response_id is None else self._running(response_id)
        if target is None or not target.announced:
            self._referee.cancelled_too_late(response_id or "")
            raise _nothing_to_cancel()
        if target.cancelling is not None:
            return
        self._referee.cancel_received(target, self._schedule.now)
        run = self._runs[target.id]
        if self._knobs.cancel_finds_it_finished and target.fault is None:
            for _ in run.steps:
                pass
            self._end(target, COMPLETED)
            self._referee.cancelled_too_late(target.id)
            raise _nothing_to_cancel()
        run.cancelled_by_client, run.cancel_event_id = True, event_id
        self._cancel(target, cancelled("client_cancelled"))

    # -- steps

    def _response(
        self,
        asked: Mapping[str, Any],
        event_id: str | None,
        out_of_band: bool = False,
        auto: bool = False,
    ) -> Response:
        conversation_id = None if out_of_band else self._conversation.id
        return Response.asked_for(
            self._wire.new_id("resp"), conversation_id, self._session, asked, event_id, auto
        )

    def _take_slot(self, response: Response) -> None:
        self.active = response
        self.accepted += 1
        response.fault = self._knobs.faults.get(self.accepted)

    def _keep_promise(self) -> None:
        promise = self._promise
        assert promise is not None
        if self.active is not None and self.active.cancelling is not None:
            promise.waits_for_done = True
            return
        if self.active is not None:
            self._break_promise()
            if self._knobs.auto_create_refusal == "error":
                self._say_conflict(None, self.active.id)
            return
        self._promise = None
        promise.later.call_off()
        self._take_slot(promise.response)
        self._begin(promise.response)
        for event_id in promise.refused:
            self._refuse(event_id, promise.response)

    def _break_promise(self) -> None:
        promise, self._promise = self._promise, None
        assert promise is not None
        promise.later.call_off()
        self._referee.auto_response_settled()

    def _begin(self, response: Response) -> None:
        if response.outcome is not None:
            return  # it lost the slot before it was announced
        response.announced = True
        script = self._replies
        reply = script.out_of_band if response.out_of_band else script.next_reply()
        kind = response.fault.kind if response.fault else None
        if not response.out_of_band and kind not in LEAVES_REPLY:
            script.used(response.items)
        production = Production(
            response,
            reply,
            self._wire,
            self._conversation,
            self._knobs,
            self._random,
            partial(self._tool_called, response),
            self._mcp,
        )
        run = self._runs[response.id] = _Run(response, production, production.steps())
        self._announce(response, kind)
        if kind is FaultKind.WRITTEN:
            response.modalities = ["text"]
        if response.cancelling is not None:
            self._end(response, response.cancelling)
        elif kind is FaultKind.CREATED_WITHHELD:
            self._wait(run, production.natural_seconds(), partial(self._end, response, COMPLETED))
        elif kind is FaultKind.FAILED and response.fault:
            self._end(response, failed(response.fault.detail))
        elif kind is FaultKind.EMPTY:
            self._end(response, COMPLETED)
        else:
            self._step(run)

    def _announce(self, response: Response, kind: FaultKind | None) -> None:
        if kind is not FaultKind.CREATED_WITHHELD:
            if kind is not FaultKind.CREATED_LOST:
                self._say_response("response.created", response, None)
            if self._knobs.rate_limits == "early":
                self._say_rate_limits()
            if not response.auto and not response.out_of_band:
                self._referee.request_settled()
        if response.auto:
            self._referee.auto_response_settled()
        told = kind not in (FaultKind.CREATED_WITHHELD, FaultKind.CREATED_LOST)
        self._referee.created(response, self._schedule.now, told)

    def _step(self, run: _Run) -> None:
        """Go on saying it, until there is something to wait for."""
        for wait in run.steps:
            if self._met_its_fault(run):
                return
            if wait > 0:
                self._wait(run, wait, partial(self._step, run))
                return
        self._end(run.response, COMPLETED)

    def _met_its_fault(self, run: _Run) -> bool:
        fault = run.response.fault
        if fault is None or not run.production.half_said:
            return False
        match fault.kind:
            case FaultKind.FREEZE:
                self._wire.frozen = self._referee.session_lost = True
            case FaultKind.DROP:
                self._referee.session_lost = True
                self._wire.close(None)
            case FaultKind.FAILED_MIDWAY:
                self._stop(run, failed(fault.detail))
            case FaultKind.INCOMPLETE:
                self._stop(run, incomplete(fault.detail))
            case _:
                return False
        return True

    def _cancel(self, response: Response, outcome: Outcome) -> None:
        response.cancelling = outcome
        if not response.announced:
            return  # it will end as soon as it has begun
        run = self._runs[response.id]
        if self._knobs.cancel_latency > 0:
            self._wait(run, self._knobs.cancel_latency, partial(self._stop, run, outcome))
        else:
            self._stop(run, outcome)

    def _stop(self, run: _Run, outcome: Outcome) -> None:
        left_open = outcome.status == "cancelled" and self._knobs.stopped_items == "left-open"
        run.production.close_open_item(unsaid=left_open)
        self._end(run.response, outcome)

    def _end(self, response: Response, outcome: Outcome) -> None:
        run = self._runs[response.id]
        kind = response.fault.kind if response.fault else None
        if kind is FaultKind.DONE_STUCK and response.cancelling is None:
            return  # the slot stays taken; only a cancel will free it
        del self._runs[response.id]
        for later in run.waits:
            later.call_off()
        response.outcome = outcome
        unsaid = kind is FaultKind.DONE_WITHHELD or (
            kind is FaultKind.CREATED_WITHHELD and outcome is COMPLETED
        )
        if not unsaid:
            self._say_response("response.done", response, self._usage(response))
            if self._knobs.rate_limits == "late":
                self._say_rate_limits()
        self._referee.done(response, self._schedule.now)
        if run.cancelled_by_client and outcome is COMPLETED:
            late = _nothing_to_cancel()
            self._wire.error(late.code, late.message, None, run.cancel_event_id)
        if response is self.active:
            self.active = None
            self._done(response)
            if self._promise is not None and self._promise.waits_for_done:
                self._keep_promise()

    def _refuse(self, event_id: str | None, occupier: Response) -> None:
        promise = self._promise
        later = self._knobs.refusal_order == "after-created"
        if promise is not None and occupier is promise.response and later:
            promise.refused.append(event_id)
            return
        say = partial(self._say_conflict, event_id, occupier.id)
        if self._knobs.refusal_delay > 0:
            self._schedule.after(self._knobs.refusal_delay, say)
        else:
            say()

    def _say_conflict(self, event_id: str | None, occupier_id: str) -> None:
        self._referee.conflict()
        self._referee.request_settled()
        code: str | None = "conversation_already_has_active_response"
        message = "Conversation already has an active response"
        if self._knobs.refusal_text == "current":
            message += (
                f" in progress: {occupier_id}. "
                "Wait until the response is finished before creating a new one."
            )
        elif self._knobs.refusal_text == "january-2025":
            code = None
        self._wire.error(code, message, None, event_id)

    def _running(self, response_id: str) -> Response | None:
        run = self._runs.get(response_id)
        return run.response if run else None

    def _wait(self, run: _Run, seconds: float, act: Callable[[], None]) -> None:
        run.waits = [later for later in run.waits if later.at >= self._schedule.now]
        run.waits.append(self._schedule.after(seconds, act))

    def _tool_called(self, response: Response, call_id: str) -> None:
        self._referee.tool_called(call_id, response.id, self._schedule.now)

    def _usage(self, response: Response) -> dict[str, Any] | None:
        if self._knobs.usage == "null":
            return None
        if self._knobs.usage == "zero" or not response.items:
            return usage(0, 0, 0, 0)
        heard_ms, length = self._conversation.extent()
        spoken, written = int(response.audio_ms / 50), response.text_length // 4
        return usage(int(heard_ms / 100), 40 + length // 4, spoken, written)

    def _say_response(self, type: str, response: Response, usage: Mapping[str, Any] | None) -> None:
        self._wire.say(type, response=response.object(usage, self._knobs.metadata_echoed))

    def _say_rate_limits(self) -> None:
        limit = {"name": "tokens", "limit": 15_000_000, "remaining": 14_999_716}
        self._wire.say("rate_limits.updated", rate_limits=[{**limit, "reset_seconds": 0.001}])


def _nothing_to_cancel() -> Refused:
    return Refused("response_cancel_not_active", "Cancellation failed: no active response found")

"""What an operator sees and does: health, metrics, the calls, and a hand on each of them."""

from collections.abc import Callable
from typing import ClassVar, TypeVar

from prometheus_client import CollectorRegistry
from prometheus_client.exposition import CONTENT_TYPE_LATEST
from pydantic import BaseModel, ConfigDict, Field
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from opusbridge.bridge.metrics import as_text
from opusbridge.errors import TransferRefused
from opusbridge.logs import Log
from opusbridge.web.access import DRAINING, FULL, Access
from opusbridge.web.bodies import read_model
from opusbridge.web.calls import Bridge, Calls
from opusbridge.web.load import LoopLag
from opusbridge.web.outbound import NOT_YET_ANSWERED, Outbound

#: The model's context is finite, and nobody says more than this to a caller at once.
MAX_SAID_LENGTH = 4000

_log = Log(__name__)


class ActionBody(BaseModel):
    model_config = ConfigDict(extra="forbid", hide_input_in_errors=True)

    action: ClassVar[str]


class HangUpBody(ActionBody):
    action = "hangup"

    reason: str = Field(default="", max_length=200)


class TransferBody(ActionBody):
    action = "transfer"

    destination: str = Field(min_length=1, max_length=200)
    reason: str = Field(default="", max_length=200)


class SayBody(ActionBody):
    action = "say"

    text: str = Field(min_length=1, max_length=MAX_SAID_LENGTH)


class RecordingBody(ActionBody):
    action = "recording"

    paused: bool = Field(strict=True)


Body = TypeVar("Body", bound=ActionBody)


class Live:
    """The endpoints that need no telephony."""

    def __init__(
        self,
        access: Access,
        calls: Calls,
        outbound: Outbound,
        registry: CollectorRegistry,
        lag: LoopLag,
    ) -> None:
        self._access = access
        self._outbound = outbound
        self._calls = calls
        self._registry = registry
        self._lag = lag

    async def healthz(self, request: Request) -> Response:
        return JSONResponse({"status": "alive"})

    async def readyz(self, request: Request) -> Response:
        """For a balancer; being full is nothing to warn about, so it is not a refusal."""
        load = {
            "calls": self._calls.count,
            "max_calls": self._calls.limit,
            "loop_lag_ms": round(self._lag.worst_seconds * 1000, 1),
        }
        if self._calls.welcome:
            return JSONResponse({"status": "ready", **load})
        reason = (DRAINING if self._calls.draining else FULL).reason
        return JSONResponse({"status": reason, **load}, 503)

    async def metrics(self, request: Request) -> Response:
        refused = self._refused(request, "/metrics")
        if refused is not None:
            return refused
        return Response(as_text(self._registry), media_type=CONTENT_TYPE_LATEST)

    async def list_calls(self, request: Request) -> Response:
        refused = self._refused(request, "/api")
        if refused is not None:
            return refused
        orders = self._outbound
        found = [*orders.dialling(), *orders.calls(), *orders.ended_orders()]
        return JSONResponse({"calls": found})

    async def one_call(self, request: Request) -> Response:
        refused = self._refused(request, "/api")
        if refused is not None:
            return refused
        found = self._outbound.describe(request.path_params["call_id"])
        return _error(404, "unknown-call") if found is None else JSONResponse(found)

    async def hang_up(self, request: Request) -> Response:
        return await self._act(request, HangUpBody, _hang_up)

    async def transfer(self, request: Request) -> Response:
        return await self._act(request, TransferBody, _transfer)

    async def say(self, request: Request) -> Response:
        return await self._act(request, SayBody, _say)

    async def recording(self, request: Request) -> Response:
        return await self._act(request, RecordingBody, _recording)

    async def _act(
        self, request: Request, model: type[Body], act: Callable[[Bridge, Body], None]
    ) -> Response:
        refused = self._refused(request, "/api")
        if refused is not None:
            return refused
        body = await read_model(request, model)
        call_id = request.path_params["call_id"]
        # Looked for after the body was read: the call may have ended meanwhile.
        bridge, found = self._calls.live(call_id), self._outbound.describe(call_id)
        if found is None:
            return _error(404, "unknown-call")
        hang_up = isinstance(body, HangUpBody)
        may_ring = hang_up and self._outbound.may_ring(call_id)
        if bridge is None and found["state"] != "dialling" and not may_ring:
            return _error(409, "call-ended")
        if isinstance(body, str):
            return _error(422, "bad-body", detail=body)
        if bridge is None:
            refusal = await self._outbound.hang_up(call_id) if hang_up else NOT_YET_ANSWERED
            if refusal is not None:
                return _error(refusal.status, refusal.reason)
        else:
            try:
                act(bridge, body)
            except TransferRefused as why:
                return _error(422, "transfer-refused", detail=str(why))
        _log.info("operator acted", call_id=call_id, action=model.action)
        return JSONResponse({"status": "accepted"}, 202)

    def _refused(self, request: Request, endpoint: str) -> Response | None:
        refusal = self._access.refuse_admin(request)
        return None if refusal is None else self._access.answer(endpoint, refusal)


def _hang_up(bridge: Bridge, body: HangUpBody) -> None:
    bridge.hang_up()  # the reason may name somebody: it is kept nowhere


def _transfer(bridge: Bridge, body: TransferBody) -> None:
    bridge.transfer(body.destination, body.reason)


def _say(bridge: Bridge, body: SayBody) -> None:
    bridge.say(body.text)


def _recording(bridge: Bridge, body: RecordingBody) -> None:
    if body.paused:
        bridge.pause_recording()
    else:
        bridge.resume_recording()


def _error(status: int, error: str, **more: str) -> Response:
    return JSONResponse({"error": error, **more}, status)

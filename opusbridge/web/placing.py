"""Placing calls by HTTP, and what Twilio tells of them on the way."""

import re
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, StringConstraints
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from opusbridge.config import Settings
from opusbridge.errors import ending
from opusbridge.protocols.twilio.dial import ENDED
from opusbridge.web.access import MACHINE, STATUS, Access, Refusal
from opusbridge.web.announced import Announcements
from opusbridge.web.bodies import read_form, read_model
from opusbridge.web.calls import Calls
from opusbridge.web.outbound import Outbound

#: Twilio's words for a call that was not answered, and ours.
NOT_ANSWERED = {
    "busy": "not-answered",
    "no-answer": "not-answered",
    "canceled": "not-answered",
    "failed": "telephony-error",
}

#: Twilio's words for what answered, as far as it is no person.
_MACHINES = re.compile(r"machine_.*|fax")

_E164 = r"\+[1-9][0-9]{6,14}"
_SIP = r"sips?:[A-Za-z0-9._~%+-]+@[A-Za-z0-9.-]+(:[0-9]{1,5})?(;[A-Za-z0-9=;._-]+)?"

Party = Annotated[str, StringConstraints(pattern=rf"^({_E164}|{_SIP})$", max_length=256)]


class PlaceBody(BaseModel):
    """What ``POST /api/calls`` takes."""

    model_config = ConfigDict(extra="forbid", hide_input_in_errors=True)

    telephony: Literal["audiocodes", "twilio"]
    to: Party
    from_: Party | None = Field(default=None, alias="from")
    agent: str | None = None
    idempotency_key: Annotated[str, StringConstraints(min_length=1, max_length=200)] | None = None
    machine_detection: bool = Field(default=False, strict=True)


class Placing:
    def __init__(
        self,
        settings: Settings,
        agent_name: str,
        access: Access,
        calls: Calls,
        outbound: Outbound,
        announcements: Announcements,
    ) -> None:
        self._settings, self._agent_name, self._access = settings, agent_name, access
        self._calls, self._outbound = calls, outbound
        self._announcements = announcements

    async def place(self, request: Request) -> Response:
        refusal = self._access.refuse_admin(request)
        if refusal is not None:
            return self._access.answer("/api", refusal)
        body = await read_model(request, PlaceBody)
        if isinstance(body, str):
            return _error(Refusal(422, "bad-body"), detail=body)
        if body.agent not in (None, self._agent_name):
            return _error(Refusal(422, "unknown-agent"))
        caller = body.from_ or (self._settings.twilio_from if body.telephony == "twilio" else None)
        if caller is None:
            return _error(Refusal(422, "no-from"))
        placed = await self._outbound.place(
            body.telephony,
            body.to,
            caller,
            machine_detection=body.machine_detection,
            key=body.idempotency_key,
        )
        if isinstance(placed, Refusal):
            return _error(placed)
        return JSONResponse({"call_id": placed}, 202)

    async def status(self, request: Request) -> Response:
        """Twilio's last word on a call: what the stream did not tell, because there was none."""
        form = await self._said(request, STATUS)
        if isinstance(form, Response):
            return form
        call_id, status = _call_of(request), form.get("CallStatus", "")
        if status in ENDED:
            self._announcements.withdraw(form.get("CallSid", ""))
        reason = NOT_ANSWERED.get(status)
        if status == "completed" and self._calls.describe(call_id) is None:
            reason = "no-start"  # somebody answered, and it was over before its stream came
        elif status == "completed":
            bridge = self._announcements.living(form.get("CallSid", ""))
            if bridge is not None:
                bridge.call_over()
        if reason is not None:
            await self._outbound.ended(call_id, ending(reason))
        return Response(status_code=204)

    async def machine(self, request: Request) -> Response:
        """A machine answered, or a person: the first is no one to talk to."""
        form = await self._said(request, MACHINE)
        if isinstance(form, Response):
            return form
        if _MACHINES.fullmatch(form.get("AnsweredBy", "")):
            call_id = _call_of(request)
            if self._outbound.expects(call_id, "twilio", form.get("CallSid", "")):
                await self._leave(call_id)
        return Response(status_code=204)

    async def _leave(self, call_id: str) -> None:
        bridge = self._calls.live(call_id)
        if bridge is None:
            await self._outbound.hang_up(call_id, "machine-detected")
        else:
            bridge.say_goodbye("machine-detected", aloud=False)

    async def _said(self, request: Request, endpoint: str) -> dict[str, str] | Response:
        fields = await read_form(request)
        if isinstance(fields, Refusal):
            return self._access.answer(endpoint, fields)
        form = dict(fields)
        refusal = self._access.refuse_webhook(request, fields)
        refusal = refusal or self._access.refuse_account(form.get("AccountSid", ""))
        return form if refusal is None else self._access.answer(endpoint, refusal)


def _call_of(request: Request) -> str:
    return request.query_params.get("call", "")


def _error(refusal: Refusal, **more: str) -> Response:
    return JSONResponse({"error": refusal.reason, **more}, refusal.status)

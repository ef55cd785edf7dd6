"""Twilio's REST interface, as much of it as a call needs: hang up, go on with other TwiML, and
look whether it is still there.

One client is kept for the life of the process: making one reads the certificates, which takes
long enough to be heard.
"""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any
from urllib.parse import quote

import httpx2
import orjson

from opusbridge.bridge.unanswered import REQUEST_SECONDS, RestError, why_unanswered
from opusbridge.outgoing import http_client
from opusbridge.privacy import Private
from opusbridge.protocols.twilio.dial import ENDED

#: Seconds to connect, and for each further step. The caller waits on the line meanwhile.
TIMEOUT = httpx2.Timeout(10.0, connect=5.0)
#: Seconds to wait before asking again when Twilio says 429; then we give up.
BACKOFF_SECONDS = (0.5, 1.0, 2.0)
#: Twilio's "no such call": it has ended already.
NO_LONGER_THERE = 20404


class TwilioRestError(RestError):
    """Twilio did not do what was asked of it."""

    def __init__(
        self, wish: str, status: int | None, code: int | None = None, why: str = "refused"
    ) -> None:
        super().__init__(wish, status, code, why)
        self.wish, self.status, self.code, self.why = wish, status, code, why

    def __str__(self) -> str:
        if self.status is None:
            return f"Twilio gave no answer when asked to {self.wish} ({self.why})"
        code = "" if self.code is None else f", code {self.code}"
        return f"Twilio refused to {self.wish} (status {self.status}{code})"


class TwilioRest:
    """Requests in the name of one account. :meth:`close` it in the end."""

    def __init__(
        self,
        account_sid: str,
        auth_token: Private[str],
        base_url: str = "https://api.twilio.com",
        *,
        pause: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        """``pause`` waits that many seconds. Raises :class:`ConfigurationError`."""
        self._account = quote(account_sid, safe="")
        self._base_url = base_url.rstrip("/")
        self._pause = pause
        self._client = http_client(
            base_url,
            auth=(account_sid, auth_token.value),
            headers={"Accept": "application/json"},
            timeout=TIMEOUT,
        )

    async def hang_up(self, call_sid: str) -> None:
        """End the call now; fine if it has ended already. Raises :class:`TwilioRestError`.

        One that still rings ends, too: ``canceled`` would do that only as long as it rings.
        """
        try:
            await self._update(call_sid, "hang up", {"Status": "completed"})
        except TwilioRestError as refused:
            if refused.status != 404 and refused.code != NO_LONGER_THERE:
                raise

    async def redirect(self, call_sid: str, twiml: str) -> None:
        """Drop what the call is doing, its stream too, and run ``twiml`` (at most 4000
        characters). Raises :class:`TwilioRestError`."""
        await self._update(call_sid, "run other TwiML", {"Twiml": twiml})

    async def is_over(self, call_sid: str) -> bool:
        """Whether the call has ended, as far as Twilio knows. Raises :class:`TwilioRestError`."""
        try:
            found = await self._order("GET", _of(call_sid), "look at a call")
        except TwilioRestError as refused:
            if refused.status != 404:
                raise
            return True
        return found.get("status") in ENDED

    async def place_call(
        self, to: str, from_: str, url: str, status: str, *, machine: str | None = None
    ) -> str | None:
        """Place a call, which asks ``url`` for TwiML once it is answered; returns its SID.

        ``status`` is told when it is over; ``machine``, if given, what answered. Asked once:
        without an answer nobody knows whether it was placed. Only where Twilio says that it did
        not look at the request (429) it is asked again. Raises :class:`TwilioRestError`.
        """
        form = {"To": to, "From": from_, "StatusCallback": status}
        if machine is not None:
            # In its own time: who answers is not kept waiting for the verdict.
            form |= {"MachineDetection": "Enable", "AsyncAmd": "true"}
            form["AsyncAmdStatusCallback"] = machine
        body = await self._order("POST", "Calls.json", "place a call", {**form, "Url": url})
        sid = body.get("sid")
        return sid if isinstance(sid, str) else None

    async def close(self) -> None:
        await self._client.aclose()

    async def _update(self, call_sid: str, wish: str, form: dict[str, str]) -> None:
        await self._order("POST", _of(call_sid), wish, form)

    async def _order(
        self, method: str, path: str, wish: str, form: dict[str, str] | None = None
    ) -> dict[str, Any]:
        url = f"{self._base_url}/2010-04-01/Accounts/{self._account}/{path}"
        answer = await self._request(method, url, wish, form)
        for seconds in BACKOFF_SECONDS:
            if answer.status_code != 429:
                break
            await self._pause(seconds)
            answer = await self._request(method, url, wish, form)
        if not answer.is_success:
            raise TwilioRestError(wish, answer.status_code, _code(answer.content))
        return _read(answer.content)

    async def _request(
        self, method: str, url: str, wish: str, form: dict[str, str] | None
    ) -> httpx2.Response:
        try:
            async with asyncio.timeout(REQUEST_SECONDS):
                return await self._client.request(method, url, data=form)
        except (httpx2.HTTPError, TimeoutError) as error:
            raise TwilioRestError(wish, None, why=why_unanswered(error)) from None


def _of(call_sid: str) -> str:
    return f"Calls/{quote(call_sid, safe='')}.json"


def _code(body: bytes) -> int | None:
    code = _read(body).get("code")
    return code if isinstance(code, int) else None


def _read(body: bytes) -> dict[str, Any]:
    try:
        found = orjson.loads(body)
    except orjson.JSONDecodeError:
        return {}
    return found if isinstance(found, dict) else {}

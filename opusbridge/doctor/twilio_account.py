"""Twilio's side: the account, the numbers that point here, and what its console complains of.

Resources: https://www.twilio.com/docs/iam/api/account ,
https://www.twilio.com/docs/phone-numbers/api/incomingphonenumber-resource ,
https://www.twilio.com/docs/usage/monitor-alert .
"""

from collections import Counter
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import quote

import orjson
from httpx2 import AsyncClient, HTTPError

from opusbridge.config import Settings
from opusbridge.doctor.explanations import TWILIO
from opusbridge.doctor.findings import USE_ANOTHER_PROXY, Finding, failed, fine, skipped, warning
from opusbridge.errors import ConfigurationError
from opusbridge.outgoing import http_client
from opusbridge.web.access import VOICE

_API, _MONITOR = "https://api.twilio.com", "https://monitor.twilio.com"
#: How far back its complaints are looked at.
ALERT_DAYS = 7
_MOST_NUMBERS = 1000
#: Where one of these is set, Twilio goes by that and not by the number's webhook.
_BEFORE_WEBHOOK = ("trunk_sid", "voice_application_sid")


async def check_twilio(settings: Settings) -> list[Finding]:
    sid, token = settings.twilio_account_sid, settings.twilio_auth_token
    if token is None:
        return [skipped("Twilio", "OPUSBRIDGE_TWILIO_AUTH_TOKEN is not set")]
    if sid is None:
        return [
            warning(
                "Twilio",
                "without an account calls are answered, and can be neither transferred nor hung up",
                "set OPUSBRIDGE_TWILIO_ACCOUNT_SID",
            )
        ]
    try:
        client = http_client(settings.twilio_api_url, auth=(sid, token.value), timeout=10.0)
    except ConfigurationError as error:
        return [failed("Twilio", str(error), USE_ANOTHER_PROXY)]
    async with client:
        return await _Account(client, settings, sid).look()


class _Account:
    def __init__(self, client: AsyncClient, settings: Settings, sid: str) -> None:
        self._client = client
        self._settings = settings
        self._base = f"{settings.twilio_api_url}/2010-04-01/Accounts/{quote(sid, safe='')}"

    async def look(self) -> list[Finding]:
        status, account = await self._get(f"{self._base}.json")
        if account is None:
            return [_refused(status)]
        found = [_account(account)]
        if found[0].cure and account.get("status") != "active":
            return found
        return [*found, await self._numbers(), *await self._alerts()]

    async def _numbers(self) -> Finding:
        about, url = "Twilio's numbers", self._settings.public_url
        if url is None:
            return skipped(about, "without OPUSBRIDGE_PUBLIC_URL none can point here")
        query = f"?PageSize={_MOST_NUMBERS}"
        status, page = await self._get(f"{self._base}/IncomingPhoneNumbers.json{query}")
        if page is None:
            return skipped(about, _not_shown(status))
        numbers = page.get("incoming_phone_numbers", [])
        ours = [one for one in numbers if str(one.get("voice_url")).rstrip("/") == url + VOICE]
        cure = f"set a number's webhook for incoming calls to {url}{VOICE}, method POST"
        if not ours:
            # A TwiML application, a SIP domain or a Studio flow may still lead here.
            return warning(about, f"none of {len(numbers)} has its webhook here", cure)
        if any(str(one.get("voice_method", "POST")).upper() != "POST" for one in ours):
            return failed(about, "one that points here asks by GET", cure)
        for field in _BEFORE_WEBHOOK:
            if any(one.get(field) for one in ours):
                what = f"one that points here has a {field}, so its webhook is not asked"
                return warning(about, what, f"unless it leads here as well: {cure}, and no {field}")
        return fine(about, f"{len(ours)} of {len(numbers)} point here")

    async def _alerts(self) -> list[Finding]:
        """What the console's debugger shows for the last days, each code explained."""
        base = self._settings.twilio_api_url
        base = _MONITOR if base == _API else base
        since = (datetime.now(UTC) - timedelta(days=ALERT_DAYS)).strftime("%Y-%m-%d")
        status, page = await self._get(f"{base}/v1/Alerts?StartDate={since}&PageSize=200")
        about = "Twilio's debugger"
        if page is None:
            return [skipped(about, _not_shown(status))]
        codes = Counter(str(one.get("error_code")) for one in page.get("alerts", []))
        if not codes:
            return [fine(about, f"no complaint in {ALERT_DAYS} days")]
        return [_alert(about, code, times) for code, times in codes.most_common()]

    async def _get(self, url: str) -> tuple[int | None, dict[str, Any] | None]:
        try:
            answer = await self._client.get(url)
            body = orjson.loads(answer.content) if answer.is_success else None
        except HTTPError:
            return None, None
        except orjson.JSONDecodeError:
            return answer.status_code, None
        return answer.status_code, body if isinstance(body, dict) else None


def _not_shown(status: int | None) -> str:
    return f"not shown ({'no answer' if status is None else f'status {status}'})"


def _refused(status: int | None) -> Finding:
    if status is None:
        return failed("Twilio", "its REST interface cannot be reached", "check the network")
    return failed("Twilio", f"refuses the account (status {status})", TWILIO["20003"].cure)


def _account(account: dict[str, Any]) -> Finding:
    if account.get("status") != "active":
        return failed("Twilio", "the account is not active", "see the console for the reason")
    if account.get("type") == "Trial":
        return warning(
            "Twilio",
            "a trial account: callers hear an announcement first, and only verified numbers "
            "can be called",
            "upgrade the account before going live",
        )
    return fine("Twilio", "the account is active")


def _alert(about: str, code: str, times: int) -> Finding:
    known = TWILIO.get(code)
    if known is None:
        where = f"see https://www.twilio.com/docs/api/errors/{code}" if code.isdigit() else ""
        return warning(about, f"{code}, {times} times", where or "see the console's debugger")
    return warning(about, f"{code}, {times} times: {known.meaning}", known.cure)

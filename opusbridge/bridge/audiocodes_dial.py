"""AudioCodes' dial-out: one request, and the call reaches the bot like any other.

``POST …/actions/dialout`` of Live Hub, or of VoiceAI Connect Enterprise on its own host.
"""

import asyncio
from collections.abc import Mapping

import httpx2
import orjson

from opusbridge.bridge.unanswered import REQUEST_SECONDS, RestError, why_unanswered
from opusbridge.outgoing import http_client
from opusbridge.privacy import Private
from opusbridge.protocols.audiocodes import messages

#: Seconds to connect, and for each further step.
TIMEOUT = httpx2.Timeout(10.0, connect=5.0)


class DialOutError(RestError):
    """AudioCodes did not do what was asked of it.

    Without an answer nobody knows whether the call was placed.
    """

    def __init__(self, status: int | None, why: str = "refused") -> None:
        super().__init__(status, why)
        self.status, self.why = status, why

    def __str__(self) -> str:
        if self.status is None:
            return f"AudioCodes gave no answer when asked to dial ({self.why})"
        return f"AudioCodes refused to dial (status {self.status})"


class AudioCodesDialOut:
    """Requests in the name of one bot. :meth:`close` it in the end."""

    def __init__(self, url: str, token: Private[str], bot: str | None) -> None:
        """``token`` is ``CLIENT_ID:SECRET`` of an API client, or one to show as bearer.

        Raises :class:`ConfigurationError`.
        """
        self._url, self._bot = url, bot
        client, colon, secret = token.value.partition(":")
        headers = {} if colon else {"Authorization": f"Bearer {token.value}"}
        self._client = http_client(
            url,
            auth=(client, secret) if colon else None,
            headers=headers,
            timeout=TIMEOUT,
        )

    async def dial(
        self, call_id: str, target: str, caller: str, *, machine_detection: bool
    ) -> str | None:
        """Place a call; asked once, whatever happens. Raises :class:`DialOutError`.

        The conversation's id, if the answer has one. ``call_id`` comes back among the ``start``
        parameters: :func:`ordered_as` finds it there.
        """
        body = {
            **({} if self._bot is None else {"bot": self._bot}),
            "target": f"tel:{target}" if target.startswith("+") else target,
            "caller": caller,
            "metadata": {"call_id": call_id},
            **({"machineDetection": True} if machine_detection else {}),
        }
        try:
            async with asyncio.timeout(REQUEST_SECONDS):
                answer = await self._client.post(self._url, json=body)
        except (httpx2.HTTPError, TimeoutError) as error:
            raise DialOutError(None, why_unanswered(error)) from None
        if not answer.is_success:
            raise DialOutError(answer.status_code)
        return _conversation(answer.content)

    async def close(self) -> None:
        await self._client.aclose()


def ordered_as(parameters: Mapping[str, str]) -> str | None:
    """The ``call_id`` a call was ordered with, from its ``start`` parameters; ``None``: it was not.

    ``dialoutMetadata`` is the object we gave along, as text; some versions send it as text.
    """
    try:
        told = orjson.loads(parameters.get("dialoutMetadata", ""))
    except orjson.JSONDecodeError:
        return None
    call_id = told.get("call_id") if isinstance(told, dict) else None
    return call_id if isinstance(call_id, str) and call_id else None


def _conversation(body: bytes) -> str | None:
    try:
        found = orjson.loads(body)
    except orjson.JSONDecodeError:
        return None
    return messages.named(found.get("conversationId")) if isinstance(found, dict) else None

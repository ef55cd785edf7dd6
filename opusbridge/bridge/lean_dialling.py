"""The model's socket on picows, and opening it."""

import asyncio
from collections.abc import Callable
from ssl import SSLContext
from urllib.parse import urlsplit, urlunsplit

from picows import WSHandshakeError, WSInvalidStatusError
from picows.picows import WSProtocol  # type: ignore[attr-defined]  # not in its stubs

from opusbridge.bridge.lean import LeanSocket
from opusbridge.bridge.lean_parser import parser
from opusbridge.errors import PeerGone

#: Some doors are closed to those who do not say what they are.
USER_AGENT = "opusbridge"


class Refused(Exception):
    """The upgrade was answered with another HTTP status."""

    def __init__(self, status: int) -> None:
        super().__init__(status)
        self.status = status


class LeanModelSocket(LeanSocket):
    """An open model session."""

    def __init__(
        self,
        gone: Callable[[int | None, str], PeerGone],
        *,
        largest: int,
        ping_seconds: float,
        close_seconds: float,
    ) -> None:
        """``gone`` reads the code and the reason with which the model closed, if it did."""
        super().__init__(largest=largest, ping_seconds=ping_seconds, close_seconds=close_seconds)
        self._gone_by = gone

    async def close(self, code: int = 1000, reason: str = "") -> None:
        """Returns within ``close_seconds`` whatever the model does; harmless when closed."""
        self.begin_closing(code, reason)
        await self._lost.wait()

    def _loss(self, code: int | None, reason: str, *, ours: bool) -> PeerGone:
        return self._gone_by(None, "") if ours else self._gone_by(code, reason)

    def _left_out(self, kind: str) -> None:
        """The protocol has no such frames; one of them says nothing to us."""


async def open_lean(
    url: str,
    headers: dict[str, str],
    tls: SSLContext | None,
    make: Callable[[], LeanModelSocket],
    largest: int,
    open_seconds: float,
) -> LeanModelSocket:
    """Within ``open_seconds`` in all. Raises :class:`Refused`, ``OSError``, or ``UnicodeError`` for
    a host that DNS cannot be asked for."""
    parts = urlsplit(url)
    protocol = parser(
        make,
        largest,
        address=(parts.netloc, urlunsplit(("", "", parts.path or "/", parts.query, ""))),
        headers={"User-Agent": USER_AGENT, **headers},
    )
    port = parts.port or (443 if tls else 80)
    loop = asyncio.get_running_loop()
    async with asyncio.timeout(open_seconds):
        await loop.create_connection(lambda: protocol, parts.hostname or "", port, ssl=tls)
        try:
            return await _upgraded(protocol)
        except BaseException:
            protocol.transport.disconnect(graceful=False)
            raise


async def _upgraded(protocol: WSProtocol) -> LeanModelSocket:
    try:
        await protocol.wait_until_handshake_complete()
    except WSInvalidStatusError as error:
        raise Refused(error.response.status if error.response else 0) from None
    except WSHandshakeError:
        raise ConnectionError("the answer is not that of a WebSocket server") from None
    if protocol.listener is None:
        raise ConnectionError("the line was dropped in the middle of the upgrade")
    socket: LeanModelSocket = protocol.listener
    return socket

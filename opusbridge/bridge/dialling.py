"""Opening the model's socket, and the socket as a bridge sees it.

The key travels in one header of the upgrade and nowhere else: redirects are not followed,
because the library would send an ``api-key`` header along to whatever host it is sent to,
and the library's own debug lines, which show headers, are off.
"""

import logging
import ssl
from collections.abc import Awaitable, Callable
from functools import partial
from urllib.parse import parse_qsl, urlencode, urlsplit, urlunsplit

from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed, InvalidStatus, WebSocketException

from opusbridge import events
from opusbridge.bridge.direct import DirectConnection
from opusbridge.bridge.outbox import Socket
from opusbridge.bridge.which import which_sockets
from opusbridge.config import Settings
from opusbridge.errors import PeerGone
from opusbridge.outgoing import socket_proxy
from opusbridge.protocols.realtime.errors import loss, refusal

#: Seconds for TCP, TLS and the upgrade together. The caller waits meanwhile.
OPEN_SECONDS = 10.0
#: Seconds the model has to answer our close; some answer late or never.
CLOSE_SECONDS = 2.0
#: Seconds between our pings, and until a missing pong means a dead line.
PING_SECONDS = 20.0
#: A retrieved item holds all its audio in one message: 16 MiB are 4 minutes of 24 kHz in base64.
MAX_MESSAGE_BYTES = 16 * 2**20

_quiet = logging.getLogger("opusbridge.model-socket")
_quiet.setLevel(logging.WARNING)


class ModelSocket:
    """An open model session: the seam every bridge works on."""

    def __init__(self, connection: DirectConnection) -> None:
        self._connection = connection

    def hand_over(self, take: Callable[[str], None]) -> None:
        """Give each text to ``take`` as it arrives; :meth:`receive_text` then waits for the end."""
        self._connection.hand_over(take)

    def send_now(self, text: str) -> bool:
        """Send without waiting; ``False`` if that cannot be."""
        return self._connection.send_now(text)

    async def receive_text(self) -> str:
        """The model's next message; raises :class:`PeerGone` when there will be none."""
        while True:
            try:
                message = await self._connection.receive()
            except ConnectionClosed as closed:
                raise self._connection.broke or _gone(closed) from None
            if isinstance(message, str):
                return message
            # The protocol has no binary frames; one of them says nothing to us.

    async def send_text(self, text: str) -> None:
        try:
            await self._connection.send(text)
        except ConnectionClosed as closed:
            raise _gone(closed) from None

    async def close(self, code: int = 1000, reason: str = "") -> None:
        """Returns within ``CLOSE_SECONDS`` whatever the model does; harmless when closed."""
        await self._connection.close(code, reason)


def dialler(settings: Settings) -> Callable[[], Awaitable[Socket]]:
    """A function that opens a new model session each time it is called.

    It raises :class:`PeerGone`, ``permanent`` when dialling again cannot help. Raises
    :class:`ConfigurationError` for sockets that cannot be had, or a proxy that cannot be used.
    """
    url = session_url(settings.realtime_url, settings.model)
    headers = _credentials(settings)
    # Made once: reading the certificates anew for every call would stall the loop.
    tls = ssl.create_default_context() if url.startswith("wss:") else None
    proxy = socket_proxy(url)
    # The lean sockets know no proxies, which have their own price anyway.
    if which_sockets(settings) == "default" or proxy is not None:
        return partial(_dial, url, headers, tls, proxy)
    return _lean_dialler(url, headers, tls)


async def _dial(
    url: str, headers: dict[str, str], tls: ssl.SSLContext | None, proxy: str | None
) -> ModelSocket:
    try:
        connection = await _Connect(
            url,
            create_connection=DirectConnection,
            additional_headers=headers,
            compression=None,
            max_size=MAX_MESSAGE_BYTES,
            open_timeout=OPEN_SECONDS,
            close_timeout=CLOSE_SECONDS,
            ping_interval=PING_SECONDS,
            ping_timeout=PING_SECONDS,
            proxy=proxy,
            logger=_quiet,
            ssl=tls,
        )
    except InvalidStatus as refused:
        status = refused.response.status_code
        raise _peer_gone(refusal(status), status) from None
    # A TimeoutError is an OSError; a UnicodeError is of a host that DNS cannot be asked for.
    except (OSError, UnicodeError, WebSocketException):
        raise PeerGone("model", "model-unreachable") from None
    assert isinstance(connection, DirectConnection)
    return ModelSocket(connection)


def _lean_dialler(
    url: str, headers: dict[str, str], tls: ssl.SSLContext | None
) -> Callable[[], Awaitable[Socket]]:
    from opusbridge.bridge import lean_dialling as lean  # an extra: only where it was chosen

    def make() -> lean.LeanModelSocket:
        return lean.LeanModelSocket(
            lambda code, reason: _peer_gone(loss(code, reason), code),
            largest=MAX_MESSAGE_BYTES,
            ping_seconds=PING_SECONDS,
            close_seconds=CLOSE_SECONDS,
        )

    async def dial() -> Socket:
        try:
            return await lean.open_lean(url, headers, tls, make, MAX_MESSAGE_BYTES, OPEN_SECONDS)
        except lean.Refused as refused:
            raise _peer_gone(refusal(refused.status), refused.status) from None
        except (OSError, UnicodeError):
            raise PeerGone("model", "model-unreachable") from None

    return dial


def session_url(base: str, model: str) -> str:
    """``base`` with ``?model=…``; whatever else its query says is kept."""
    scheme, netloc, path, query, _ = urlsplit(base)
    kept = [(name, value) for name, value in parse_qsl(query, True) if name != "model"]
    return urlunsplit((scheme, netloc, path, urlencode([*kept, ("model", model)]), ""))


class _Connect(connect):
    def process_redirect(self, exc: Exception) -> Exception | str:
        return exc


def _credentials(settings: Settings) -> dict[str, str]:
    if settings.openai_api_key is None:
        return {}  # settings allow that on loopback only, where `opusbridge model` asks for none
    key = settings.openai_api_key.value
    if settings.realtime_auth == "api-key":
        return {"api-key": key}
    return {"Authorization": f"Bearer {key}"}


def _gone(closed: ConnectionClosed) -> PeerGone:
    code, reason = (closed.rcvd.code, closed.rcvd.reason) if closed.rcvd else (None, "")
    return _peer_gone(loss(code, reason), code)


def _peer_gone(lost: events.ModelLost, code: int | None) -> PeerGone:
    return PeerGone("model", lost.reason, code, lost.permanent)

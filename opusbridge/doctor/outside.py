"""The way in from outside, walked as the telephony side walks it: through the public URL, and
the process's own."""

import asyncio

import orjson
from httpx2 import AsyncClient, HTTPError, Response
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed, InvalidStatus, WebSocketException

from opusbridge.config import Settings
from opusbridge.doctor.findings import USE_ANOTHER_PROXY, Finding, failed, fine, skipped, warning
from opusbridge.errors import ConfigurationError
from opusbridge.outgoing import http_client, socket_proxy
from opusbridge.privacy import Private

#: Seconds for each request.
PATIENCE_SECONDS = 10.0

#: Why a serve that is well takes no calls at the moment.
_NO_ROOM = ("full", "draining", "too-many-waiting")
_VALIDATE = '{"type":"connection.validate"}'
_BOT_API = {"type": "ac-bot-api", "success": True}


async def check_public_url(settings: Settings) -> list[Finding]:
    """Reachable, ours, and letting WebSockets through, for each provider that is set up."""
    url = settings.public_url
    if url is None:
        return [
            skipped("public URL", "not set: no telephone can reach this (OPUSBRIDGE_PUBLIC_URL)")
        ]
    found = await _walk("public URL", url, settings, settings.audiocodes_token)
    if settings.own_url not in (None, url):
        # Only Twilio is told of it: AudioCodes has one socket for all of a call.
        found += await _walk("own URL", settings.own_url, settings, None)
    return found


async def _walk(
    about: str, url: str, settings: Settings, audiocodes_token: Private[str] | None
) -> list[Finding]:
    found = [] if url.startswith("https://") else [_not_tls(about)]
    try:
        client = http_client(url, timeout=PATIENCE_SECONDS)
        socket_proxy(_socket_url(url, ""))
    except ConfigurationError as error:
        return [*found, failed(about, str(error), USE_ANOTHER_PROXY)]
    async with client:
        reached = await _check_health(about, client, url)
        found.append(reached)
        if reached.cure:
            return found
        found.append(await _check_twilio_upgrade(url, settings))
        if audiocodes_token is not None:
            found.append(await _check_bot_api(client, url))
            found.append(await _check_validation(url, audiocodes_token.value))
    return found


def _not_tls(about: str) -> Finding:
    return warning(
        about,
        "is not https: neither Twilio nor AudioCodes connects to it",
        "put a proxy or a tunnel with a certificate in front",
    )


async def _check_health(about: str, client: AsyncClient, url: str) -> Finding:
    try:
        answer = await client.get(f"{url}/healthz")
    except HTTPError as error:
        return failed(
            about,
            f"cannot be reached ({type(error).__name__})",
            "start serve, and check the name, the certificate and the tunnel or proxy",
        )
    if _json(answer) != {"status": "alive"}:
        return failed(
            about,
            f"something else answers there (status {answer.status_code})",
            "let the proxy pass all paths on to serve, without a page of its own",
        )
    return fine(about, "reaches a serve")


async def _check_twilio_upgrade(url: str, settings: Settings) -> Finding:
    """Without a signature serve refuses, and says why: then the upgrade got through to it."""
    about = "Twilio's way in"
    try:
        async with _open(url, "/twilio/media"):
            return warning(
                about,
                "the stream's socket is open to everybody",
                "set OPUSBRIDGE_TWILIO_AUTH_TOKEN, unset OPUSBRIDGE_ALLOW_UNAUTHENTICATED",
            )
    except InvalidStatus as refused:
        if _reason(refused) == "bad-signature":
            return fine(about, "WebSockets get through, and unsigned ones are refused")
        here = settings.twilio_auth_token is not None
        return _turned_away(about, refused, "OPUSBRIDGE_TWILIO_AUTH_TOKEN", set_here=here)
    except (OSError, WebSocketException) as error:
        return _broken(about, error)


async def _check_bot_api(client: AsyncClient, url: str) -> Finding:
    about = "AudioCodes' HTTP check"
    try:
        answer = await client.get(f"{url}/audiocodes")
    except HTTPError as error:
        return failed(about, f"no answer ({type(error).__name__})", "see the public URL above")
    if _json(answer) != _BOT_API:
        return failed(
            about,
            f"answered with status {answer.status_code}",
            "let the proxy pass GET /audiocodes on to serve",
        )
    return fine(about, "answered as Live Hub expects")


async def _check_validation(url: str, token: str) -> Finding:
    """As the button `Validate` in Live Hub does it."""
    about = "AudioCodes' way in"
    try:
        async with _open(url, "/audiocodes", Authorization=f"Bearer {token}") as socket:
            async with asyncio.timeout(PATIENCE_SECONDS):
                await socket.send(_VALIDATE)
                answer = orjson.loads(await socket.recv())
    except TimeoutError:
        return failed(
            about,
            f"no answer within {PATIENCE_SECONDS:.0f} s",
            "let the proxy pass WebSockets on at once, without holding messages back",
        )
    except InvalidStatus as refused:
        if _reason(refused) in ("bad-token", "no-token"):
            return failed(
                about,
                "that serve wants another token, or a proxy drops the Authorization header",
                "give serve and the bot connection the same OPUSBRIDGE_AUDIOCODES_TOKEN",
            )
        return _turned_away(about, refused, "OPUSBRIDGE_AUDIOCODES_TOKEN", set_here=True)
    except (OSError, WebSocketException, ConnectionClosed, orjson.JSONDecodeError) as error:
        return _broken(about, error)
    if answer != {"type": "connection.validated", "success": True}:
        return failed(about, "the validation was answered with something else", "is it serve?")
    return fine(about, "the token is taken and the connection validates")


def _open(url: str, path: str, **headers: str) -> connect:
    at = _socket_url(url, path)
    return connect(
        at,
        additional_headers=headers,
        open_timeout=PATIENCE_SECONDS,
        proxy=socket_proxy(at),
    )


def _turned_away(about: str, refused: InvalidStatus, secret: str, *, set_here: bool) -> Finding:
    """By serve, for a reason that is not about who asks, or by what stands before it."""
    reason = _reason(refused)
    if reason == "closed" and set_here:
        what = f"closed: that serve was started without {secret}"
        return failed(about, what, "start it again, with the settings of now")
    if reason == "closed":
        return skipped(about, f"closed: {secret} is not set there")
    if reason in _NO_ROOM:
        return warning(about, f"that serve takes no calls now ({reason})", "ask again later")
    return _not_through(about, refused.response.status_code)


def _not_through(about: str, status: int) -> Finding:
    return failed(
        about,
        f"the WebSocket upgrade was answered with status {status}, not by serve",
        "let the proxy pass Upgrade and Connection headers on, and every path",
    )


def _broken(about: str, error: Exception) -> Finding:
    return failed(
        about,
        f"the WebSocket broke ({type(error).__name__})",
        "let the proxy pass WebSockets on without touching their frames",
    )


def _reason(refused: InvalidStatus) -> str:
    try:
        body = orjson.loads(refused.response.body or b"")
    except orjson.JSONDecodeError:
        return ""
    return str(body.get("error", "")) if isinstance(body, dict) else ""


def _json(answer: Response) -> object:
    try:
        found: object = orjson.loads(answer.content)
    except orjson.JSONDecodeError:
        return None
    return found


def _socket_url(url: str, path: str) -> str:
    scheme, _, rest = url.partition("://")
    if not rest:
        raise ConfigurationError("OPUSBRIDGE_PUBLIC_URL is not a URL")
    return f"{'wss' if scheme == 'https' else 'ws'}://{rest}{path}"

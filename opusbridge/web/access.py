"""Who may come in. Every rule about secrets, signatures and closed doors is in this file.

An endpoint whose secret is set asks for it. One whose secret is missing is open only to the
machine itself: bound to loopback, without a public URL (which would mean that a proxy or a
tunnel stands in front), and asked for under a loopback name by a request that no proxy has
passed on, so that neither a tunnel nobody told us about nor a web page in a browser on this
machine gets in. Otherwise it is closed. A proxy that says nothing of itself, under a name of
ours, cannot be told from the machine: where one may stand, the start says so.

Request headers never say what our address is: signatures and stream URLs are made from the
settings alone. The public URL may lead to any process of several; what only this one can
answer, because it announced it, is asked for under its own.
"""

import hmac
from collections.abc import Sequence
from dataclasses import dataclass
from urllib.parse import urlsplit

from starlette.requests import HTTPConnection
from starlette.responses import JSONResponse, Response

from opusbridge.bridge.metrics import Metrics
from opusbridge.config import Settings, is_loopback
from opusbridge.logs import Log
from opusbridge.privacy import Private
from opusbridge.protocols.twilio import signature

VOICE = "/twilio/voice"
MEDIA = "/twilio/media"
STATUS = "/twilio/status"
MACHINE = "/twilio/machine"
AFTER = "/twilio/after"
AUDIOCODES = "/audiocodes"

#: Headers, some of which most proxies add, as those that begin so; who asks directly has none.
_PASSED_ON = ("forwarded", "via", "x-real-ip")
_PASSED_ON_PREFIX = "x-forwarded-"

#: Why an endpoint is closed.
NO_SECRET = "its secret is not set"
NO_ADDRESS = "OPUSBRIDGE_PUBLIC_URL is not set"
NO_TURNS = "turn detection is none"
#: Why one may be opened by others than the machine itself.
NO_ADMIN_TOKEN = "neither OPUSBRIDGE_ADMIN_TOKEN nor OPUSBRIDGE_PUBLIC_URL is set"

_log = Log(__name__)


@dataclass(frozen=True, slots=True)
class Refusal:
    """``reason`` is a slug: counted, logged, and told to whoever was refused."""

    status: int
    reason: str


CLOSED = Refusal(403, "closed")
FULL = Refusal(503, "full")
DRAINING = Refusal(503, "draining")


class Access:
    """The rules for one server on ``host`` and ``port``, with the settings as its agent has them
    (:meth:`~opusbridge.agent.Agent.applied_to`)."""

    def __init__(self, settings: Settings, host: str, port: int, metrics: Metrics) -> None:
        self._settings = settings
        self._metrics = metrics
        host = host.strip("[]")
        self._local = is_loopback(host) and settings.public_url is None
        self._base_url = settings.public_url
        if self._base_url is None and self._local:
            shown = f"[{host}]" if ":" in host else host
            self._base_url = f"http://{shown}:{port}"
        self._own_url = settings.own_url or self._base_url

    @property
    def stream_url(self) -> str:
        """Where Twilio is to open its stream; only to be asked where Twilio was let in."""
        assert self._own_url is not None
        return signature.upgrade_urls(self._own_url, MEDIA)[0]

    def webhook_url(self, path: str, call_id: str | None = None) -> str | None:
        """Where Twilio is to ask this process, about that call if we placed it; ``None``: it
        could not reach us."""
        if not self._twilio_may_be_open:
            return None
        query = "" if call_id is None else f"?call={call_id}"
        return f"{self._own_url}{path}{query}"

    def closed_endpoints(self) -> dict[str, str]:
        """Those that answer 403 to everybody and why, for one warning each when we start."""
        closed = {} if self._audiocodes_may_be_open else {AUDIOCODES: NO_SECRET}
        if not self._twilio_may_be_open:
            secret = self._settings.twilio_auth_token is not None or self._unauthenticated
            closed |= dict.fromkeys((VOICE, MEDIA, AFTER), NO_ADDRESS if secret else NO_SECRET)
        if self.without_turns:
            closed |= dict.fromkeys((VOICE, AFTER), NO_TURNS)
        if self._settings.admin_token is None and not self._local:
            closed |= dict.fromkeys(("/api", "/metrics"), NO_SECRET)
        return closed

    @property
    def without_turns(self) -> bool:
        """Nobody detects turns, and only AudioCodes says by itself when one is over: a caller at
        Twilio would wait for ever."""
        return self._settings.turn_detection == "none"

    @property
    def only_pretend_twilio(self) -> bool:
        """Signatures are checked for an address of loopback: good for a simulated caller, while
        whatever Twilio signs is refused."""
        return self._settings.twilio_auth_token is not None and self._settings.public_url is None

    @property
    def trusts_this_machine(self) -> bool:
        """The operators' rooms ask for nothing, though AudioCodes' secret says that it is to
        come in: through a proxy or a tunnel, which then stands before those rooms, too."""
        settings = self._settings
        return (
            self._local and settings.admin_token is None and settings.audiocodes_token is not None
        )

    def refuse_admin(self, asking: HTTPConnection) -> Refusal | None:
        """``None``: let them in."""
        token = self._settings.admin_token
        if token is not None:
            return _refuse_bearer(asking, token)
        return None if self._local and _from_this_machine(asking) else CLOSED

    def refuse_audiocodes(self, asking: HTTPConnection) -> Refusal | None:
        """``None``: let them in."""
        token = self._settings.audiocodes_token
        if token is not None:
            return _refuse_bearer(asking, token)
        return None if self._open_without_secret(asking) else CLOSED

    def refuse_call(
        self, asking: HTTPConnection, parameters: Sequence[tuple[str, str]]
    ) -> Refusal | None:
        """Of a caller at Twilio, by the webhook that asks what to do with him."""
        return CLOSED if self.without_turns else self.refuse_webhook(asking, parameters)

    def refuse_webhook(
        self, asking: HTTPConnection, parameters: Sequence[tuple[str, str]]
    ) -> Refusal | None:
        """``None``: let them in. ``parameters`` are the form's, in its order."""
        if not self._twilio_may_be_open:
            return CLOSED
        path = asking.scope["raw_path"].decode("latin-1")
        query = asking.scope["query_string"].decode("latin-1")
        urls = [url for base in self._bases for url in signature.webhook_urls(base, path, query)]
        return self._refuse_signature(asking, urls, parameters)

    def refuse_stream(self, asking: HTTPConnection) -> Refusal | None:
        """``None``: let them in, as far as the upgrade goes."""
        if not self._twilio_may_be_open:
            return CLOSED
        urls = [url for base in self._bases for url in signature.upgrade_urls(base, MEDIA)]
        return self._refuse_signature(asking, urls, ())

    def refuse_account(self, account_sid: str) -> Refusal | None:
        """``None``: it is ours, or we were not told which is."""
        ours = self._settings.twilio_account_sid
        return None if ours in (None, account_sid) else Refusal(403, "other-account")

    def refused(self, endpoint: str, refusal: Refusal) -> None:
        """Count and log a refusal at a path of ours; every one comes through here."""
        slug = endpoint.strip("/").replace("/", "-")
        self._metrics.rejected(slug, refusal.reason)
        _log.warning("refused", endpoint=endpoint, reason=refusal.reason, status=refusal.status)

    def answer(self, endpoint: str, refusal: Refusal) -> Response:
        """The refusal as an HTTP answer, counted and logged."""
        self.refused(endpoint, refusal)
        headers = {"WWW-Authenticate": "Bearer"} if refusal.status == 401 else None
        return JSONResponse({"error": refusal.reason}, refusal.status, headers)

    @property
    def _bases(self) -> set[str]:
        """Our addresses, any of which may have been asked for."""
        return {url for url in (self._own_url, self._base_url) if url is not None}

    @property
    def _audiocodes_may_be_open(self) -> bool:
        settings = self._settings
        return settings.audiocodes_token is not None or self._local or self._unauthenticated

    @property
    def _twilio_may_be_open(self) -> bool:
        if self._base_url is None:
            return False  # we could not even say where the stream is to go
        settings = self._settings
        return settings.twilio_auth_token is not None or self._local or self._unauthenticated

    @property
    def _unauthenticated(self) -> bool:
        return self._settings.allow_unauthenticated

    def _open_without_secret(self, asking: HTTPConnection) -> bool:
        return self._unauthenticated or (self._local and _from_this_machine(asking))

    def _refuse_signature(
        self, asking: HTTPConnection, urls: Sequence[str], parameters: Sequence[tuple[str, str]]
    ) -> Refusal | None:
        token = self._settings.twilio_auth_token
        if token is None:
            return None if self._open_without_secret(asking) else CLOSED
        header = asking.headers.get("x-twilio-signature")
        other = self._settings.twilio_auth_token_secondary
        tokens = [token.value] if other is None else [token.value, other.value]
        good = signature.accepts(tokens, urls, parameters, header)
        return None if good else Refusal(403, "bad-signature")


def _refuse_bearer(asking: HTTPConnection, token: Private[str]) -> Refusal | None:
    scheme, _, given = asking.headers.get("authorization", "").partition(" ")
    # Compared even when the scheme is wrong, so that time tells nothing.
    same = hmac.compare_digest(given.strip().encode(), token.value.encode())
    good = same and scheme.lower() == "bearer"
    return None if good else Refusal(401, "bad-token" if given else "no-token")


def _from_this_machine(asking: HTTPConnection) -> bool:
    if any(name in _PASSED_ON or name.startswith(_PASSED_ON_PREFIX) for name in asking.headers):
        return False
    names = [f"//{asking.headers.get('host', '')}", asking.headers.get("origin", "")]
    return all(is_loopback(_hostname(name)) for name in names if name)


def _hostname(url: str) -> str:
    try:
        return urlsplit(url).hostname or ""
    except ValueError:
        return ""

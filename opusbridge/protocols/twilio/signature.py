"""``X-Twilio-Signature``: did this request come from Twilio?

The signature is over the URL that Twilio requested, which behind a proxy is not the one we
see, and which Twilio writes with or without a port and, for sockets, with or without a
slash at its end. So a request is accepted if any spelling of *our own* public URL fits;
nothing the requester says (``Host``, forwarding headers) takes part.
"""

import hmac
import re
from base64 import b64encode
from collections.abc import Iterable
from urllib.parse import urlsplit

_DEFAULT_PORTS = {"https": 443, "wss": 443, "http": 80, "ws": 80}
_SOCKET_SCHEMES = {"https": "wss", "http": "ws"}


def sign(auth_token: str, url: str, params: Iterable[tuple[str, str]] = ()) -> str:
    """The signature Twilio puts on a request.

    ``params`` are the decoded fields of a form body, empty ones included; a GET, a JSON
    body and a socket's upgrade have none. A field said twice with one value counts once.
    """
    # By code point, which is the byte order of UTF-8.
    signed = url + "".join(name + value for name, value in sorted(set(params)))
    return b64encode(hmac.digest(_bytes(auth_token), _bytes(signed), "sha1")).decode("ascii")


def accepts(
    auth_tokens: Iterable[str],
    urls: Iterable[str],
    params: Iterable[tuple[str, str]],
    header: str | None,
) -> bool:
    """Whether ``header`` is the signature under any token of any spelling of the URL.

    Several tokens, because a rotation promotes the secondary one in the middle of calls.
    Never raises; without a header or a token the answer is no.
    """
    if not header:
        return False
    fields, spellings, given = list(params), list(urls), _bytes(header)
    return any(
        hmac.compare_digest(_bytes(sign(token, url, fields)), given)
        for token in auth_tokens
        if token
        for url in spellings
    )


def upgrade_urls(public_url: str, path: str) -> list[str]:
    """Every spelling of a socket's URL that Twilio may have signed at its upgrade.

    ``public_url`` is how the world reaches us (``https://voice.example.com``, with a prefix
    of the path if there is one); ``path`` is the one we wrote into the TwiML.
    """
    toggled = path.removesuffix("/") if path.endswith("/") else path + "/"
    scheme = urlsplit(public_url).scheme
    bases = _bases(public_url, _SOCKET_SCHEMES.get(scheme, scheme))
    return [base + ending for ending in (path, toggled) for base in bases]


def webhook_urls(public_url: str, raw_path: str, raw_query: str = "") -> list[str]:
    """Every spelling of a webhook's URL that Twilio may have signed.

    ``raw_path`` and ``raw_query`` as they were requested, still percent-encoded.
    """
    ending = f"{raw_path}?{raw_query}" if raw_query else raw_path
    return [base + ending for base in _bases(public_url, urlsplit(public_url).scheme)]


def _bases(public_url: str, scheme: str) -> list[str]:
    """Our origin as configured, and with its port left out or the default one put in."""
    parts = urlsplit(public_url)
    origin = parts.netloc.rpartition("@")[2]
    without_port = re.sub(r":\d*\Z", "", origin)
    other = without_port if without_port != origin else f"{origin}:{_DEFAULT_PORTS[scheme]}"
    prefix = parts.path.rstrip("/")
    return [f"{scheme}://{host}{prefix}" for host in (origin, other)]


def _bytes(text: str) -> bytes:
    # A requester may send what UTF-8 cannot hold; it must fail to match, not to encode.
    return text.encode("utf-8", "surrogatepass")

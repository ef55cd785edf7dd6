"""How we reach servers out there: directly, or through the proxies of the environment.

A proxy of the environment has no business between us and our own machine. One that cannot
be used stops the start, not the first call.
"""

from importlib.util import find_spec
from typing import Any
from urllib.parse import urlsplit

import httpx2
from websockets.exceptions import InvalidProxy
from websockets.proxy import get_proxy, parse_proxy
from websockets.uri import parse_uri

from opusbridge.config import is_loopback
from opusbridge.errors import ConfigurationError

_VARIABLES = "HTTP_PROXY, HTTPS_PROXY or ALL_PROXY"
_NEEDS_MORE = (
    f"{_VARIABLES} names a SOCKS proxy, which needs more: pip install 'httpx2[socks]' python-socks"
)
_NO_PROXY = f"{_VARIABLES} must name a proxy as http://HOST:PORT, or socks5:// in place of http://"


def http_client(url: str, **options: Any) -> httpx2.AsyncClient:
    """A client with these options for what begins with ``url``.

    Raises :class:`ConfigurationError` if the proxies of the environment cannot be used.
    """
    try:
        return httpx2.AsyncClient(trust_env=_may_need_proxy(url), **options)
    except ImportError:
        raise ConfigurationError(_NEEDS_MORE) from None
    except (ValueError, httpx2.InvalidURL):  # whose text would quote a proxy with its password
        raise ConfigurationError(_NO_PROXY) from None


def socket_proxy(url: str) -> str | None:
    """The proxy that a WebSocket to ``url`` goes through, as the environment has it.

    Raises :class:`ConfigurationError` for one that cannot be used.
    """
    found = get_proxy(parse_uri(url)) if _may_need_proxy(url) else None
    if found is None:
        return None
    try:
        socks = parse_proxy(found).scheme.startswith("socks")
    except (InvalidProxy, ValueError):  # the latter of a port or a bracket
        raise ConfigurationError(_NO_PROXY) from None
    if socks and find_spec("python_socks") is None:
        raise ConfigurationError(_NEEDS_MORE)
    return found


def _may_need_proxy(url: str) -> bool:
    return not is_loopback(urlsplit(url).hostname or "")

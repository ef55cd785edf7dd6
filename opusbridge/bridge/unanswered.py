"""Why a provider's REST interface did not do what it was asked: one word of few, for the log.

The error's own text may hold the URL, and the URL the account; so nothing of it is shown.
"""

from collections.abc import Iterator
from socket import gaierror
from ssl import SSLError

import httpx2

from opusbridge.errors import OpusbridgeError

#: Seconds for one request, with its answer. The client's own time-outs are for each step, and an
#: answer that comes byte by byte has any number of them.
REQUEST_SECONDS = 15.0


class RestError(OpusbridgeError):
    """A provider did not do what was asked of it by REST.

    ``status`` is the HTTP status, ``None`` if no answer came; ``code`` is the provider's own
    error number, ``None`` if it gave none. ``why`` is ``refused`` where an answer came, else a
    word of :func:`why_unanswered`.
    """

    status: int | None
    code: int | None = None
    why: str

    @property
    def refused(self) -> bool:
        """Whether the provider said no. An answer that was lost, or a server's own trouble, says
        nothing of what was done."""
        return self.status is not None and self.status < 500

    @property
    def facts(self) -> dict[str, str | int]:
        """For a log line: only what is known."""
        known = {"why": self.why, "status": self.status, "code": self.code}
        return {name: fact for name, fact in known.items() if fact is not None}


#: The first that fits. Timeouts come first: they may have begun as any of the others.
_KINDS: tuple[tuple[type[BaseException], str], ...] = (
    (httpx2.ConnectTimeout, "connect-timeout"),
    (httpx2.TimeoutException, "timeout"),
    (httpx2.ProxyError, "proxy"),
    (SSLError, "tls"),
    (gaierror, "no-such-host"),
    (httpx2.ConnectError, "no-connection"),
    (httpx2.NetworkError, "connection-lost"),
)


def why_unanswered(error: httpx2.HTTPError | TimeoutError) -> str:
    """``connect-timeout``, ``timeout``, ``proxy``, ``tls``, ``no-such-host``, ``no-connection``,
    ``connection-lost`` or ``no-usable-answer``: it ended in the middle, or is no HTTP."""
    if isinstance(error, TimeoutError):
        return "timeout"
    causes = list(_causes(error))
    for kind, why in _KINDS:
        if any(isinstance(cause, kind) for cause in causes):
            return why
    return "no-usable-answer"


def _causes(error: BaseException | None) -> Iterator[BaseException]:
    while error is not None:
        yield error
        error = error.__cause__ or error.__context__

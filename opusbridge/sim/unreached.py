"""Why nobody was reached at an address, from what the network's libraries raised."""

import ssl
from collections.abc import Iterator
from enum import StrEnum
from socket import gaierror


class Unreached(StrEnum):
    """In a few words, without anything of the address or of what was sent there."""

    NO_SUCH_HOST = "no such host"
    NOBODY_LISTENS = "nobody listens there"
    TIMED_OUT = "no answer in time"
    NO_TLS = "it speaks no TLS"
    NOT_TRUSTED = "its certificate is not trusted"
    EXPIRED = "its certificate has expired"
    ANOTHER_HOST = "its certificate is for another host"
    NO_ANSWER = "no answer"


#: By the codes of OpenSSL (X509_V_ERR_…): expired; another host, another address.
_CERTIFICATES = {
    10: Unreached.EXPIRED,
    62: Unreached.ANOTHER_HOST,
    64: Unreached.ANOTHER_HOST,
}


def unreached(error: BaseException) -> Unreached:
    """The cause, wherever in ``error`` it is wrapped."""
    for one in _causes(error):
        match one:
            case ssl.SSLCertVerificationError():
                return _CERTIFICATES.get(one.verify_code, Unreached.NOT_TRUSTED)
            case ssl.SSLError():
                return Unreached.NO_TLS
            case gaierror():
                return Unreached.NO_SUCH_HOST
            case ConnectionRefusedError():
                return Unreached.NOBODY_LISTENS
            case TimeoutError():
                return Unreached.TIMED_OUT
    return Unreached.NO_ANSWER


def _causes(error: BaseException | None) -> Iterator[BaseException]:
    """It, what it was raised from, and what is in a group."""
    while error is not None:
        yield error
        if isinstance(error, BaseExceptionGroup):
            for one in error.exceptions:
                yield from _causes(one)
        error = error.__cause__ or error.__context__

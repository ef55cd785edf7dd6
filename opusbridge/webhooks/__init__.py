"""Webhooks: what is told to your own server, and how it knows that it was us.

The header ``Opusbridge-Signature`` is ``t=SECONDS,v1=HEX``: the time of sending, and the
HMAC-SHA256 of ``SECONDS.BODY`` with the shared secret. Whoever receives it says::

    from opusbridge.webhooks import verify

    if not verify(body, request.headers["Opusbridge-Signature"], secret):
        ...  # not from opusbridge, or too old: 401
"""

import hmac
import time

from opusbridge.webhooks.signing import SIGNATURE, TOLERANCE_SECONDS, signature_of

__all__ = ["SIGNATURE", "TOLERANCE_SECONDS", "verify"]


def verify(
    body: bytes,
    header: str | None,
    secret: str,
    *,
    now: float | None = None,
    tolerance_seconds: float = TOLERANCE_SECONDS,
) -> bool:
    """Whether ``body`` (as it came, not parsed and written again) is from who has the secret.

    ``header`` is that of ``Opusbridge-Signature``; ``now`` is in seconds since 1970, by default
    the clock's. Older or newer than ``tolerance_seconds`` is refused: it may be a copy. Takes
    as long for a wrong signature as for a good one.
    """
    parts = dict(part.strip().partition("=")[::2] for part in (header or "").split(","))
    at, given = parts.get("t", ""), parts.get("v1", "")
    if not (at.isascii() and at.isdigit() and len(at) <= 12):
        return False
    # A server may hand over bytes that are no text as what UTF-8 cannot hold.
    signed = signature_of(body, int(at), secret).encode()
    good = hmac.compare_digest(signed, given.encode("utf-8", "surrogatepass"))
    moment = time.time() if now is None else now
    return good and abs(moment - int(at)) <= tolerance_seconds

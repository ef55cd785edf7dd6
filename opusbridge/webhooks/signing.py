"""The signature of a webhook."""

import hmac
from hashlib import sha256

#: The header that holds it.
SIGNATURE = "Opusbridge-Signature"
#: Seconds between the clocks of two machines, and on the way.
TOLERANCE_SECONDS = 300.0


def signature_of(body: bytes, at: int, secret: str) -> str:
    """HMAC-SHA256 over time and body, in hex; ``at`` is in seconds since 1970."""
    return hmac.new(secret.encode(), b"%d." % at + body, sha256).hexdigest()


def signed(body: bytes, at: int, secret: str) -> str:
    """The header's value."""
    return f"t={at},v1={signature_of(body, at, secret)}"

"""One-use tokens that tie a media stream to the signed webhook which announced it.

A stream's first message names its call, but anyone could name any call. So the webhook's
TwiML carries a random token, and the stream must bring it back: once, within a minute, for
the same call.
"""

import hmac
import secrets
from collections.abc import Callable
from dataclasses import dataclass

#: Seconds between the TwiML and the stream's ``start``. Twilio takes one or two.
TOKEN_SECONDS = 60.0
#: A webhook may be repeated, and any of the answers may be the one that is used; more than
#: this many for one call is no repetition by Twilio, and the oldest are forgotten.
TOKENS_PER_CALL = 8


@dataclass(frozen=True, slots=True, repr=False)
class _Token:
    secret: bytes
    until: float


class StreamTokens:
    """``clock`` is in seconds and never goes back."""

    def __init__(self, clock: Callable[[], float], seconds: float = TOKEN_SECONDS) -> None:
        self._clock = clock
        self.seconds = seconds
        self._issued: dict[str, list[_Token]] = {}

    def __len__(self) -> int:
        return sum(len(tokens) for tokens in self._issued.values())

    def issue(self, call_sid: str) -> str:
        """A new token for that call; those given before stay good for their time."""
        now = self._clock()
        self._forget_expired(now)
        secret = secrets.token_urlsafe(24)
        tokens = self._issued.setdefault(call_sid, [])
        tokens.append(_Token(secret.encode(), now + self.seconds))
        del tokens[:-TOKENS_PER_CALL]
        return secret

    def redeem(self, call_sid: str, secret: str) -> bool:
        """Whether the token is good for that call; if so, it was its one use."""
        self._forget_expired(self._clock())
        tokens = self._issued.get(call_sid, [])
        # All are compared, in constant time each: how long it takes tells nothing.
        matching = [hmac.compare_digest(token.secret, secret.encode()) for token in tokens]
        if not any(matching):
            return False
        tokens.pop(matching.index(True))
        return True

    def revoke(self, call_sid: str) -> None:
        """None of that call's is good any more."""
        self._issued.pop(call_sid, None)

    def _forget_expired(self, now: float) -> None:
        for call_sid, tokens in list(self._issued.items()):
            good = [token for token in tokens if token.until > now]
            if good:
                self._issued[call_sid] = good
            else:
                del self._issued[call_sid]

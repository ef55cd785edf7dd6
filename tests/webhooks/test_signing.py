"""Who sent a webhook, as whoever receives it finds out."""

import hmac
from hashlib import sha256

import pytest

from opusbridge.webhooks import TOLERANCE_SECONDS, verify
from opusbridge.webhooks.signing import signed

SECRET = "opusbridge-test-secret-0123456789"
BODY = b'{"type":"call.ended"}'
AT = 1_800_000_000
GOOD = signed(BODY, AT, SECRET)


def test_the_signature_is_what_the_documentation_says() -> None:
    digest = hmac.new(SECRET.encode(), b"1800000000." + BODY, sha256).hexdigest()

    assert f"t=1800000000,v1={digest}" == GOOD


def test_what_we_sent_is_known_again_within_some_minutes() -> None:
    assert verify(BODY, GOOD, SECRET, now=AT)
    assert verify(BODY, GOOD, SECRET, now=AT + TOLERANCE_SECONDS)
    assert not verify(BODY, GOOD, SECRET, now=AT + TOLERANCE_SECONDS + 1)
    assert not verify(BODY, GOOD, SECRET, now=AT - TOLERANCE_SECONDS - 1)
    assert not verify(BODY, GOOD, SECRET), "long ago by the clock of this machine"


@pytest.mark.parametrize(
    ("body", "header", "secret"),
    [
        (BODY + b" ", GOOD, SECRET),
        (BODY, GOOD, "another"),
        (BODY, GOOD.replace("t=18", "t=19"), SECRET),
        (BODY, GOOD[:-1], SECRET),
        (BODY, "", SECRET),
        (BODY, None, SECRET),
        (BODY, "t=,v1=", SECRET),
        (BODY, "t=\u0661,v1=00", SECRET),
        (BODY, "t=" + "9" * 400 + ",v1=00", SECRET),
        (BODY, f"t={AT},v1=\u00e9", SECRET),
        (BODY, f"t={AT},v1=\udcff", SECRET),
        (BODY, "t=\udcff,v1=\udcff", SECRET),
        (BODY, "v1", SECRET),
    ],
)
def test_anything_else_is_not_ours(body: bytes, header: str | None, secret: str) -> None:
    assert not verify(body, header, secret, now=AT)

"""Why a bridge that runs elsewhere took no call, and what to look at."""

from urllib.parse import urlsplit

from opusbridge.errors import OpusbridgeError
from opusbridge.sim.account import TwiMLRefused
from opusbridge.sim.sockets import CallRefused
from opusbridge.sim.unreached import Unreached

#: Secrets of each telephony side, which are those of this folder's settings.
_SECRETS = {
    "audiocodes": "OPUSBRIDGE_AUDIOCODES_TOKEN",
    "twilio": "OPUSBRIDGE_PUBLIC_URL and OPUSBRIDGE_TWILIO_…",
}

_FULL = "all its lines are busy (OPUSBRIDGE_MAX_CALLS), or it is stopping"
_ELSEWHERE = "is that opusbridge's own address, without a path?"

_CERTIFICATE = (
    "is that the host its certificate names, and does this machine trust who signed it "
    "(SSL_CERT_FILE)?"
)

#: What to look at where nobody was reached.
_CURES = {
    Unreached.NO_SUCH_HOST: "is the host of the address spelt right, and known to this machine?",
    Unreached.NOBODY_LISTENS: "is opusbridge serve running there?",
    Unreached.TIMED_OUT: "is opusbridge serve running there, and no firewall in between?",
    Unreached.NO_TLS: "is it to be called with ws:// rather than wss://?",
    Unreached.NOT_TRUSTED: _CERTIFICATE,
    Unreached.EXPIRED: "it must be renewed there",
    Unreached.ANOTHER_HOST: _CERTIFICATE,
    Unreached.NO_ANSWER: "is opusbridge serve running there?",
}


class NoCall(OpusbridgeError):
    """A bridge elsewhere was not reached, or took no call; the message says why, and the cure."""


def told(refused: TwiMLRefused | CallRefused, telephony: str) -> str:
    """One line: the address without whatever may be secret in it, what came back, a hint."""
    hint = _hint(refused, telephony)
    where = f" at {_shown(refused.url)}" if refused.url else ""
    return f"the call was refused{where}: {refused}" + (f"; {hint}" if hint else "")


def _hint(refused: TwiMLRefused | CallRefused, telephony: str) -> str:
    if not refused.url:
        return ""  # not about reaching it: what it answered was wrong
    match refused.status:
        case None:
            return _CURES[refused.why]
        case 401 | 403:
            return f"{_SECRETS[telephony]} must be set there, and be the same here"
        case 503:
            return _FULL
        case 200 if isinstance(refused, TwiMLRefused) and not refused.number:
            return _FULL  # told the caller in words, by TwiML that has no stream
        case status if status >= 500:
            return "its log says why"
        case _:
            return _ELSEWHERE


def _shown(url: str) -> str:
    """No user name, no password, no query."""
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}{parts.path}"

"""A scripted caller who dials a bridge on real sockets, as a telephony provider does."""

import time
from dataclasses import replace
from random import Random
from urllib.parse import urlsplit
from uuid import uuid4

from opusbridge.config import Settings
from opusbridge.errors import ConfigurationError
from opusbridge.privacy import Private
from opusbridge.sim.account import Account
from opusbridge.sim.callers import Caller, Person
from opusbridge.sim.callers.audiocodes import SimulatedAudioCodes
from opusbridge.sim.callers.twilio import ACCOUNT_SID
from opusbridge.sim.evidence import seen_from_outside
from opusbridge.sim.script import CallScript
from opusbridge.sim.sockets import OnEvent, bearer, place_call
from opusbridge.sim.staged import audiocodes_caller, twilio_habits
from opusbridge.sim.telephone import Telephone
from opusbridge.testing.result import CallResult

#: What only the bridge's own script can have; a caller from outside has no means for it.
_INSIDE = ("settings", "agent", "model", "tools", "faults")

#: The same of Twilio's callers: that bridge asks another REST interface for a transfer.
_INSIDE_TWILIO = ("transfer_outcome",)

#: Characters shown of why a bridge elsewhere wants no call.
LONGEST_REASON = 200


async def dial(
    script: CallScript,
    telephony: str,
    base: str,
    settings: Settings,
    on_event: OnEvent | None = None,
    account: Account | None = None,
    person: Person | None = None,
) -> Caller:
    """Call with the secrets and under the names of ``settings``; ``base`` is ``ws://HOST:PORT``.

    ``account``: over Twilio, whose REST interface the bridge speaks to. ``person``: who calls, of
    the script; a new one by default.

    :raises TwiMLRefused: Twilio's webhook did not give a stream.
    :raises CallRefused: the socket could not be opened.
    """
    random, person = Random(script.seed), person or script.person()
    if telephony == "twilio":
        telephone = replace(
            _telephone(settings, base), habits=twilio_habits(script), account=account
        )
        called = await telephone.call(person, random, on_event=on_event)
        if called.refused is not None and called.begun_at is None:
            raise called.refused
        return called
    caller = audiocodes_caller(script, uuid4().hex, random, person)
    token = _text(settings.audiocodes_token)
    await place_call(caller, f"{base}/audiocodes", headers=bearer(token), on_event=on_event)
    return caller


async def call_bridge(
    script: CallScript,
    telephony: str,
    url: str,
    settings: Settings,
    on_event: OnEvent | None = None,
) -> CallResult:
    """The caller's side only, against a bridge that runs somewhere else.

    What happens inside that bridge cannot be seen from here: the script's expectations of
    it are not checked, only what the caller himself lives through: that somebody spoke, and
    that the call lasted until he had said all he meant to, unless it was he who ended it and
    the script has an ``ending``. An apology is heard, too.

    :raises ConfigurationError: ``url`` is none.
    :raises TwiMLRefused, CallRefused: there was no call.
    """
    if not url.startswith(("ws://", "wss://")):
        raise ConfigurationError("the bridge's address must begin with ws:// or wss://")
    if not _names_a_host(url):
        raise ConfigurationError("the bridge's address names no host, or a port that is none")
    result = CallResult(script, telephony)
    inside = _INSIDE + _INSIDE_TWILIO if telephony == "twilio" else _INSIDE
    result.not_played += [key for key in inside if key in script.model_fields_set]
    began = time.perf_counter()
    caller = await dial(script, telephony, url.rstrip("/"), settings, on_event)
    result.seconds = time.perf_counter() - began
    result.evidence = seen_from_outside(caller)
    result.findings = script.findings(result.evidence)
    result.problems += [f"caller: {what}" for what in caller.verdict()]
    result.problems += _declined(caller)
    if caller.person.ear.audible_at is None:
        result.problems.append("the caller never heard the agent")
    result.problems += script.left_undone(caller.person, hung_up_on=result.evidence.hung_up_on)
    return result


def _declined(caller: Caller) -> list[str]:
    """One sentence, if the bridge did not take the call.

    Whose line was lost need not be taken back: his call is over, as that of others is who hang up.
    """
    if not isinstance(caller, SimulatedAudioCodes) or caller.refused is None:
        return []
    if caller.media_format is not None:
        return []
    reason = caller.refused[:LONGEST_REASON]
    return [f"the bridge answered with session.error, reason {reason!r}"]


def _names_a_host(url: str) -> bool:
    """Whether anybody could be asked for it, and a port could be one."""
    try:
        parts = urlsplit(url)
        return parts.port != 0 and bool((parts.hostname or "").encode("idna"))
    except ValueError:  # of the port, a bracket, or a name that DNS cannot have
        return False


def _telephone(settings: Settings, base: str) -> Telephone:
    """A number at Twilio whose webhook is that bridge's, reached at ``base``."""
    here = base.replace("ws", "http", 1)
    return Telephone(
        f"{settings.public_url or here}/twilio/voice",
        _text(settings.twilio_auth_token),
        reach=here,
        names=tuple(filter(None, (settings.own_url, settings.public_url))),
        account_sid=settings.twilio_account_sid or ACCOUNT_SID,
    )


def _text(secret: Private[str] | None) -> str | None:
    return None if secret is None else secret.value

"""A whole call over a pretend Twilio: the signed webhook, its TwiML, then the stream.

Signs and reads with its own few lines, so that a misunderstanding in the bridge's code
cannot agree with itself.
"""

import asyncio
import ssl
from base64 import b64encode
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from hashlib import sha1
from hmac import new as new_hmac
from random import Random
from urllib.parse import SplitResult, urlsplit, urlunsplit
from uuid import uuid4
from xml.etree import ElementTree

import httpx2

from opusbridge.sim.account import DIAL_STATUS, Account, Keys, TwiMLRefused, read_order
from opusbridge.sim.callers import Person, SimulatedTwilio, TwilioHabits
from opusbridge.sim.callers.twilio import ACCOUNT_SID
from opusbridge.sim.rest import KEY_SECONDS
from opusbridge.sim.sockets import CallRefused, OnEvent, place_call
from opusbridge.sim.unreached import unreached

#: A webhook must be answered within this, or Twilio gives up (error 11200).
WEBHOOK_SECONDS = 15.0

PARAMETER_LIMIT = 500

_STREAM_ATTRIBUTES = {"url", "name", "track", "statusCallback", "statusCallbackMethod"}


@dataclass(frozen=True, slots=True)
class TwiML:
    """What an answered webhook told Twilio to do."""

    stream_url: str | None = None
    parameters: Mapping[str, str] = field(default_factory=dict)
    said: str = ""
    """The words of ``<Say>``, where there is one."""
    afterwards: tuple[str, ...] = ()
    """The verbs that run when the stream has ended."""


def sign(url: str, form: Mapping[str, str], auth_token: str) -> str:
    """``X-Twilio-Signature`` of a form POST, or of an upgrade with an empty form."""
    signed = url + "".join(name + form[name] for name in sorted(form))
    return b64encode(new_hmac(auth_token.encode(), signed.encode(), sha1).digest()).decode()


def read_twiml(document: str) -> TwiML:
    """Strictly, as Twilio does.

    :raises TwiMLRefused: with the error Twilio would log.
    """
    try:
        response = ElementTree.fromstring(document)
    except ElementTree.ParseError:
        raise TwiMLRefused(12100, "not XML") from None
    if response.tag != "Response":
        raise TwiMLRefused(12102, "no Response")
    verbs = list(response)
    said = " ".join(verb.text or "" for verb in verbs if verb.tag == "Say")
    connect = next((n for n, verb in enumerate(verbs) if verb.tag == "Connect"), None)
    if connect is None:
        return TwiML(said=said, afterwards=tuple(verb.tag for verb in verbs))
    streams = verbs[connect].findall("Stream")
    if len(streams) != 1:
        raise TwiMLRefused(12200, "Connect without exactly one Stream")
    return TwiML(
        _stream_url(streams[0]),
        _parameters(streams[0]),
        said,
        tuple(verb.tag for verb in verbs[connect + 1 :]),
    )


def _stream_url(stream: ElementTree.Element) -> str:
    if set(stream.attrib) - _STREAM_ATTRIBUTES:
        raise TwiMLRefused(12200, "an unknown attribute of Stream")
    if stream.get("track", "inbound_track") != "inbound_track":
        raise TwiMLRefused(31941, "a track other than inbound")
    url = stream.get("url", "")
    parts = urlsplit(url)
    # Twilio takes nothing but wss; on loopback there is no certificate to be had.
    if parts.scheme != "wss" and not (parts.scheme == "ws" and parts.hostname in _LOOPBACK):
        raise TwiMLRefused(31922, "a stream URL that is not wss")
    if parts.query:
        raise TwiMLRefused(31920, "a stream URL with a query")
    return url


_LOOPBACK = ("127.0.0.1", "::1", "localhost")


def _parameters(stream: ElementTree.Element) -> dict[str, str]:
    found = {}
    for child in stream:
        name, value = child.get("name"), child.get("value")
        if child.tag != "Parameter" or not name or value is None:
            raise TwiMLRefused(12200, "a Parameter without name or value")
        if len(name) + len(value) >= PARAMETER_LIMIT:
            raise TwiMLRefused(12200, "a Parameter of 500 characters or more")
        found[name] = value
    return found


@dataclass(frozen=True, slots=True)
class Telephone:
    """A number at Twilio whose webhook is the bridge's.

    ``reach`` is where the bridge really listens (``http://127.0.0.1:8000``), while what is
    signed is its public name; ``None``: the same. ``names`` are its public URLs: what they have
    of a path is known to the proxy before it alone.
    """

    webhook_url: str
    auth_token: str | None = None
    """``None``: nothing is signed."""
    reach: str | None = None
    names: tuple[str, ...] = ()
    slash: bool = False
    """The upgrade is signed with a slash after the URL, as some are."""
    caller: str = "+15550104477"
    callee: str = "+15550100200"
    account_sid: str = ACCOUNT_SID
    habits: TwilioHabits | None = None
    ordered: bool = False
    """The bridge placed the call: who answers it is the callee."""
    account: Account | None = None
    """Through which its calls are reached by REST, if they are."""

    async def call(
        self,
        person: Person,
        random: Random,
        on_event: OnEvent | None = None,
        on_stream: Callable[[SimulatedTwilio], None] | None = None,
        call_sid: str | None = None,
    ) -> SimulatedTwilio:
        """A call from the webhook to its end; ``on_stream`` gets the caller before it begins.

        Its names are its own, whatever ``random``: others may call the same bridge meanwhile.

        A stream the bridge does not open is error 31920 on the caller's ``console``, with the
        reason in ``refused``, and the call goes on with the verbs after ``</Connect>``: it is
        over.

        :raises TwiMLRefused: the webhook's answer will not do, or has no stream.
        """
        call_sid = call_sid or f"CA{uuid4().hex}"
        twiml = await self.ask_webhook(call_sid)
        if twiml.stream_url is None:
            at = self._reached(self.webhook_url)
            raise TwiMLRefused(0, "no stream in it", status=200, url=at)
        stream_sid = f"MZ{uuid4().hex}"
        caller = SimulatedTwilio(
            person, call_sid, stream_sid, twiml.parameters, random, self.habits, self.account_sid
        )
        if self.account is not None:
            self.account.knows(caller)
        if on_stream is not None:
            on_stream(caller)
        await self._stream(caller, twiml.stream_url, on_event)
        while self.account is not None and (given := self.account.taken_off(call_sid)):
            twiml = await self._transfer(caller, given, self.account)
            if twiml.stream_url is None:
                break
            again, now = f"MZ{uuid4().hex}", asyncio.get_running_loop().time()
            caller.another_stream(again, twiml.parameters, now)
            await self._stream(caller, twiml.stream_url, on_event)
        return caller

    async def _stream(self, caller: SimulatedTwilio, url: str, on_event: OnEvent | None) -> None:
        try:
            await place_call(
                caller,
                self._reached(url),
                headers=self.stream_headers(url),
                on_event=on_event,
                user_agent="Twilio.TmeWs/1.0",
            )
        except CallRefused as refused:
            caller.console.append(31920)
            caller.refused = refused

    async def _transfer(self, caller: SimulatedTwilio, document: str, account: Account) -> TwiML:
        """It rings there, or keys are pressed, and the bridge is asked what to do then, unless the
        caller is hung up meanwhile."""
        with account.elsewhere(caller.call_sid) as hung_up:
            twiml = await self._elsewhere(caller, document, account)
        return TwiML() if hung_up.is_set() else twiml

    async def _elsewhere(self, caller: SimulatedTwilio, document: str, account: Account) -> TwiML:
        dial = read_order(document)
        if isinstance(dial, Keys):
            caller.pressed_by_bridge.append(dial.digits)
            if not await account.stays(caller.call_sid, KEY_SECONDS * len(dial.digits)):
                return TwiML()
            return await self._asked(dial.then, caller.call_sid, CallStatus="in-progress")
        stays = await account.stays(caller.call_sid, caller.habits.ring_seconds)
        if dial.action is None or not stays:
            return TwiML()
        told = {
            "CallStatus": "in-progress",
            "DialCallSid": f"CA{uuid4().hex}",
            "DialCallStatus": DIAL_STATUS[caller.habits.transfer_outcome],
        }
        return await self._asked(dial.action, caller.call_sid, **told)

    async def ask_webhook(self, call_sid: str) -> TwiML:
        """POST what Twilio posts when a call comes in, and read the answer.

        :raises TwiMLRefused:
        """
        return await self._asked(self.webhook_url, call_sid)

    async def _asked(self, url: str, call_sid: str, **more: str) -> TwiML:
        answer = await self.tell(url, call_sid, **more)
        status, at = answer.status_code, self._reached(url)
        if status != 200:
            raise TwiMLRefused(11200, f"the webhook answered {status}", status=status, url=at)
        kind = answer.headers.get("content-type", "").partition(";")[0]
        if kind not in ("text/xml", "application/xml"):
            what = "the webhook's answer is not marked as XML"
            raise TwiMLRefused(12300, what, status=status, url=at)
        return read_twiml(answer.text)

    async def tell(self, url: str, call_sid: str, **more: str) -> httpx2.Response:
        """POST to ``url`` what Twilio posts about this call, with ``more`` fields.

        :raises TwiMLRefused: nobody answers.
        """
        form = self.form(call_sid) | more
        headers = {"User-Agent": "TwilioProxy/1.1", "Accept": "*/*"}
        if self.auth_token is not None:
            headers["X-Twilio-Signature"] = sign(url, form, self.auth_token)
        try:
            async with httpx2.AsyncClient(
                timeout=WEBHOOK_SECONDS, trust_env=False, verify=_trusted(self._reached(url))
            ) as client:
                return await client.post(self._reached(url), data=form, headers=headers)
        except httpx2.HTTPError as error:
            why = unreached(error)
            what = f"the webhook cannot be reached: {why}"
            raise TwiMLRefused(11205, what, url=self._reached(url), why=why) from None

    def form(self, call_sid: str) -> dict[str, str]:
        """The fields of a call; geography is often empty."""
        return {
            "CallSid": call_sid,
            "AccountSid": self.account_sid,
            "From": self.caller,
            "To": self.callee,
            "Caller": self.caller,
            "Called": self.callee,
            "CallStatus": "in-progress" if self.ordered else "ringing",
            "Direction": "outbound-api" if self.ordered else "inbound",
            "ApiVersion": "2010-04-01",
            "FromCity": "",
            "FromCountry": "US",
        }

    def stream_headers(self, stream_url: str) -> dict[str, str]:
        """What Twilio adds to the upgrade; no Origin, no subprotocol, no extensions."""
        headers = {"Accept-Encoding": "gzip"}
        if self.auth_token is not None:
            signed = stream_url + "/" if self.slash else stream_url
            headers["X-Twilio-Signature"] = sign(signed, {}, self.auth_token)
        return headers

    def _reached(self, url: str) -> str:
        """The same place by the way that really leads there."""
        if self.reach is None:
            return url
        there, wanted = urlsplit(self.reach), urlsplit(url)
        kind = "ws" if wanted.scheme in ("ws", "wss") else "http"
        scheme = kind + ("s" if there.scheme == "https" else "")
        path = wanted.path
        if _host(there) != _host(wanted):  # else it is the proxy that is asked
            path = there.path + path.removeprefix(self._prefix(_host(wanted), path))
        return urlunsplit((scheme, there.netloc, path, wanted.query, ""))

    def _prefix(self, host: str, path: str) -> str:
        """The path of the longest of its names that this begins with."""
        names = [urlsplit(name) for name in self.names]
        paths = [name.path for name in names if _host(name) == host]
        return max((one for one in paths if path.startswith(f"{one}/")), key=len, default="")


def _host(parts: SplitResult) -> str:
    """With its port, unless that is the scheme's own: the same however it is written."""
    own = ":443" if parts.scheme in ("https", "wss") else ":80"
    return parts.netloc.lower().removesuffix(own)


def _trusted(url: str) -> ssl.SSLContext | bool:
    """Whom this machine trusts (``SSL_CERT_FILE``), as it is for the stream's socket."""
    return ssl.create_default_context() if url.startswith("https:") else True

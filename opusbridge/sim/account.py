"""An account at a pretend Twilio: its calls, as they are reached past their streams.

What its REST interface is told (:meth:`Account.update`, behind a
:class:`~opusbridge.sim.switchboard.Switchboard`) is done to the caller; what TwiML he was given
thereby is read here as strictly as Twilio reads it.
"""

import asyncio
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from xml.etree import ElementTree

from opusbridge.errors import OpusbridgeError
from opusbridge.sim.callers import SimulatedTwilio
from opusbridge.sim.unreached import Unreached

#: ``DialCallStatus`` for what a script calls it. Twilio knows of nobody who declines.
DIAL_STATUS = {
    "answered": "completed",
    "busy": "busy",
    "no-answer": "no-answer",
    "declined": "busy",
    "error": "failed",
}

#: Twilio's limit for TwiML in a request.
MOST_TWIML = 4000

_KEYS = re.compile(r"[0-9*#wW]{1,32}", re.ASCII)
_DIAL_ATTRIBUTES = {"action", "method", "timeout", "callerId", "answerOnBridge"}


class TwiMLRefused(OpusbridgeError):
    """What the bridge answered is not what Twilio takes; ``number`` is Twilio's.

    ``url`` is where it was asked and ``status`` its HTTP answer, where it is about that; ``why``
    is what kept us from it, where there was none.
    """

    def __init__(
        self,
        number: int,
        what: str,
        *,
        status: int | None = None,
        url: str = "",
        why: Unreached = Unreached.NO_ANSWER,
    ) -> None:
        super().__init__(number, what)
        self.number, self.what = number, what
        self.status, self.url, self.why = status, url, why

    def __str__(self) -> str:
        return f"{self.number}: {self.what}" if self.number else self.what


@dataclass(frozen=True, slots=True)
class Dial:
    """A transfer."""

    target: str
    action: str | None
    """Where to ask afterwards; ``None``: the call is over then."""


@dataclass(frozen=True, slots=True)
class Keys:
    """Keys for the other end, and where to go on then."""

    digits: str
    then: str


def read_order(document: str) -> Dial | Keys:
    """One ``<Dial>``, or ``<Play digits>`` and a ``<Redirect>``.

    :raises TwiMLRefused: with the error Twilio would log.
    """
    try:
        response = ElementTree.fromstring(document)
    except ElementTree.ParseError:
        raise TwiMLRefused(12100, "not XML") from None
    verbs = list(response)
    if response.tag == "Response" and [verb.tag for verb in verbs] == ["Play", "Redirect"]:
        digits, then = verbs[0].get("digits", ""), verbs[1].text or ""
        if not _KEYS.fullmatch(digits) or verbs[1].attrib != {"method": "POST"} or not then:
            raise TwiMLRefused(12200, "a Play without keys, or a Redirect to nowhere")
        return Keys(digits, then)
    if response.tag != "Response" or [verb.tag for verb in verbs] != ["Dial"]:
        raise TwiMLRefused(12200, "no transfer, and no keys")
    dial = verbs[0]
    if set(dial.attrib) - _DIAL_ATTRIBUTES:
        raise TwiMLRefused(12200, "an unknown attribute of Dial")
    nouns = list(dial)
    if len(nouns) != 1 or nouns[0].tag not in ("Number", "Sip") or not nouns[0].text:
        raise TwiMLRefused(13201, "a Dial without exactly one Number or Sip")
    return Dial(nouns[0].text, dial.get("action"))


class Account:
    def __init__(self) -> None:
        self.updates: list[tuple[str, Mapping[str, str]]] = []
        """Whose call was changed, and how."""
        self._callers: dict[str, SimulatedTwilio] = {}
        self._twiml: dict[str, str] = {}
        self._elsewhere: dict[str, asyncio.Event] = {}
        """Whose stream is over and whose call is not; set when he is hung up there."""

    def knows(self, caller: SimulatedTwilio) -> None:
        """A call of its own."""
        self._callers[caller.call_sid] = caller

    def update(self, call_sid: str, form: Mapping[str, str]) -> int:
        """What was posted about a call; the HTTP status of the answer."""
        self.updates.append((call_sid, form))
        if self.status(call_sid) != "in-progress":
            return 404
        caller, there = self._callers[call_sid], self._elsewhere.get(call_sid)
        now = asyncio.get_running_loop().time()
        if form.get("Status") == "completed":
            if there is None:
                caller.hang_up_by_rest(now)
            else:
                there.set()
            return 200
        if not 0 < len(form.get("Twiml", "")) <= MOST_TWIML:
            return 400
        self._twiml[call_sid], self._elsewhere[call_sid] = form["Twiml"], asyncio.Event()
        caller.new_twiml(now)
        return 200

    def status(self, call_sid: str) -> str | None:
        """In Twilio's words; ``None``: there is no such call."""
        caller, there = self._callers.get(call_sid), self._elsewhere.get(call_sid)
        if caller is None:
            return None
        over = caller.closing is not None if there is None else there.is_set()
        return "completed" if over else "in-progress"

    def taken_off(self, call_sid: str) -> str | None:
        """The TwiML for which a stream was ended, once."""
        return self._twiml.pop(call_sid, None)

    @contextmanager
    def elsewhere(self, call_sid: str) -> Iterator[asyncio.Event]:
        """Where he was taken to: his call is not over meanwhile, unless he is hung up there, which
        sets the event."""
        there = self._elsewhere[call_sid]
        try:
            yield there
        finally:
            if self._elsewhere[call_sid] is there:
                del self._elsewhere[call_sid]

    async def stays(self, call_sid: str, seconds: float) -> bool:
        """There, for so long; ``False``: he is hung up before that."""
        try:
            async with asyncio.timeout(seconds):
                await self._elsewhere[call_sid].wait()
        except TimeoutError:
            return True
        return False

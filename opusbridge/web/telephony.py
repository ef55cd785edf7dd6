"""Where calls come in: Twilio's webhook and stream, and AudioCodes' socket.

Nothing here knows what a call is about. A connection is refused before it is accepted if at
all possible; once accepted, the message it opens with decides whether a bridge is built for
it. What comes before that message is counted and otherwise as if never sent.
"""

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import TypeVar

import orjson
import structlog
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.websockets import WebSocket

from opusbridge.bridge.audiocodes_dial import ordered_as
from opusbridge.bridge.metrics import Metrics
from opusbridge.errors import PeerGone, RemoteProtocolError, ending
from opusbridge.logs import BadMessages
from opusbridge.protocols.audiocodes import messages as vaic
from opusbridge.protocols.twilio import messages, twiml
from opusbridge.protocols.twilio.dial import ANSWERED
from opusbridge.web.access import (
    AFTER,
    AUDIOCODES,
    DRAINING,
    FULL,
    MEDIA,
    VOICE,
    Access,
    Refusal,
)
from opusbridge.web.announced import Announcements, Returned
from opusbridge.web.bodies import read_form
from opusbridge.web.calls import AudioCodesBridge, Bridge, Calls, ConnectModel, Place
from opusbridge.web.outbound import Outbound
from opusbridge.web.sockets import Seam, seam_over

#: Seconds from a stream's upgrade to its ``start``; Twilio sends it at once.
START_SECONDS = 5.0
#: Seconds from AudioCodes' upgrade to its first message; it sends that at once, too.
FIRST_MESSAGE_SECONDS = 10.0
#: Sockets that were accepted and have not said yet what they want.
MAX_WAITING_SOCKETS = 100
#: Messages that are no opening; a peer that says more before it is no telephony provider.
MAX_BAD_MESSAGES = 100
#: Twilio's ids have 34 characters.
MAX_SID_LENGTH = 64

#: WebSocket close code: who you are or what you say is against our policy.
POLICY_VIOLATION = 1008
#: Some older clients offer it and expect it back.
TWILIO_SUBPROTOCOL = "audio.twilio.com"

BUSY = "All our lines are busy at the moment. Please call again in a few minutes. Goodbye."
NOT_PUT_THROUGH = "Nobody could take your call. Please call again later. Goodbye."
BOT_API = {"type": "ac-bot-api", "success": True}
VALIDATED = orjson.dumps({"type": "connection.validated", "success": True}).decode()
NOT_FOUND = orjson.dumps({"type": "session.error", "reason": "conversation not found"}).decode()

#: What a socket of AudioCodes may open with.
FIRST_MESSAGES = ("connection.validate", "session.initiate", "session.resume")

Opening = TypeVar("Opening")

_log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class _First:
    kind: str
    text: str


@dataclass(frozen=True, slots=True, repr=False)
class _Start:
    call_sid: str
    account_sid: str
    token: str
    texts: list[str]


class Telephony:
    """The endpoints of both providers."""

    def __init__(
        self,
        access: Access,
        calls: Calls,
        announcements: Announcements,
        dial: ConnectModel,
        metrics: Metrics,
        outbound: Outbound,
    ) -> None:
        self._access = access
        self._calls = calls
        self._announcements = announcements
        self._dial = dial
        self._metrics = metrics
        self._outbound = outbound
        self._waiting_sockets = 0
        self._conversations: dict[str, AudioCodesBridge] = {}
        """AudioCodes' live calls, by its own ids of them."""

    # --- Twilio ---------------------------------------------------------------------------

    async def voice(self, request: Request) -> Response:
        form = await self._form(VOICE, request)
        if isinstance(form, Response):
            return form
        call_sid, placed = form["CallSid"], request.query_params.get("call", "")
        expected = self._outbound.expects(placed, "twilio", call_sid)
        if expected and self._outbound.left_to_machine(placed):
            return Response(twiml.hang_up(), media_type="text/xml")
        return self._welcome(call_sid, form)

    async def after(self, request: Request) -> Response:
        """A transfer is over: is the caller ours again?"""
        form = await self._form(AFTER, request)
        if isinstance(form, Response):
            return form
        call_sid, answered = form["CallSid"], form.get("DialCallStatus") in ANSWERED
        bridge = self._announcements.living(call_sid)
        if bridge is not None and bridge.dial_ended(form):
            token = self._announcements.announce_return(call_sid)
            document = twiml.connect_stream(self._access.stream_url, {"token": token})
        elif bridge is not None and bridge.with_us and not answered:  # it has asked before
            again = self._announcements.announce(call_sid)
            assert again is not None, "a call that streams is always welcome"
            document = twiml.connect_stream(self._access.stream_url, {"token": again})
        elif bridge is not None or answered:
            document = twiml.hang_up()
        else:  # his call is over, with this process or another, and he is still there
            document = twiml.say_and_hang_up(NOT_PUT_THROUGH)
        return Response(document, media_type="text/xml")

    async def _form(self, endpoint: str, request: Request) -> dict[str, str] | Response:
        """The fields of a webhook with a ``CallSid`` among them, or the refusal."""
        fields = await read_form(request)
        if isinstance(fields, Refusal):
            return self._access.answer(endpoint, fields)
        form = dict(fields)
        refusal = self._access.refuse_call(request, fields)
        refusal = refusal or self._access.refuse_account(form.get("AccountSid", ""))
        call_sid = form.get("CallSid", "")
        if refusal is None and not 0 < len(call_sid) <= MAX_SID_LENGTH:
            refusal = Refusal(400, "no-call-sid")
        return form if refusal is None else self._access.answer(endpoint, refusal)

    def _welcome(self, call_sid: str, form: dict[str, str]) -> Response:
        token = self._announcements.announce(call_sid)
        if token is None:
            self._access.refused(VOICE, DRAINING if self._calls.draining else FULL)
            return Response(twiml.say_and_hang_up(BUSY), media_type="text/xml")
        parameters = {"token": token}
        for name, field in (("from", "From"), ("to", "To")):
            value = form.get(field, "")
            # Twilio would reject the document; better not to know who calls.
            if len(name) + len(value) < twiml.PARAMETER_LIMIT:
                parameters[name] = value
        document = twiml.connect_stream(self._access.stream_url, parameters)
        return Response(document, media_type="text/xml")

    async def media(self, socket: WebSocket) -> None:
        refusal = self._access.refuse_stream(socket)
        # Which call it is of is said later: one that comes back is let in, however full it is.
        if refusal is None and not self._announcements.awaits_return:
            refusal = self._no_room(self._calls.crowded, promised=self._calls.promised)
        if refusal is not None:
            return await self._deny(socket, MEDIA, refusal)
        offered = TWILIO_SUBPROTOCOL in socket.scope["subprotocols"]
        await socket.accept(TWILIO_SUBPROTOCOL if offered else None)
        seam = seam_over(socket, self._counting("twilio"))
        opening = await self._first(seam, START_SECONDS, _Greeting().read)
        if isinstance(opening, str):
            return await self._close(seam, MEDIA, opening)
        if self._access.refuse_account(opening.account_sid):
            return await self._close(seam, MEDIA, "other-account")
        claimed = self._announcements.claim(opening.call_sid, opening.token)
        if isinstance(claimed, str):
            return await self._close(seam, MEDIA, claimed)
        seam.unread(opening.texts)
        if isinstance(claimed, Returned):
            seam.on_bad = claimed.bridge.rejected
            return await claimed.bridge.resume(seam)
        try:
            call_id = self._outbound.placed_as("twilio", opening.call_sid)
            if call_id is not None and self._outbound.left_to_machine(call_id):
                await seam.close()  # which ends the call: nothing follows the stream in our TwiML
                return await self._outbound.ended(call_id, ending("machine-detected"))
            bridge = self._calls.twilio(seam, claimed.model.connect, call_id)
            seam.on_bad = bridge.rejected
            claimed.bridge = bridge
            await self._run(bridge, claimed.place)
        finally:
            claimed.place.release()
            self._announcements.stream_ended(opening.call_sid, claimed)
            await claimed.model.release()

    # --- AudioCodes -----------------------------------------------------------------------

    async def bot_api(self, request: Request) -> Response:
        """What AudioCodes' Live Hub asks by plain HTTP before it uses the socket."""
        return JSONResponse(BOT_API)

    async def audiocodes(self, socket: WebSocket) -> None:
        refusal = self._access.refuse_audiocodes(socket) or self._no_room(self._calls.full)
        if refusal is not None:
            return await self._deny(socket, AUDIOCODES, refusal)
        place = self._calls.reserve()
        assert place is not None, "it was asked for above, and nothing was awaited since"
        try:
            await socket.accept()
            seam = seam_over(socket, self._counting("audiocodes"))
            seam.longest_text = vaic.LONGEST_CHUNK
            await self._audiocodes_said(seam, place)
        finally:
            place.release()

    async def _audiocodes_said(self, seam: Seam, place: Place) -> None:
        first = await self._first(seam, FIRST_MESSAGE_SECONDS, _read_first)
        match first:
            case str():
                await self._close(seam, AUDIOCODES, first)
            case _First("connection.validate"):
                await _answer_and_close(seam, VALIDATED)
            case _First("session.initiate", text):
                seam.unread([text])
                await self._conversation(_conversation_id(text), seam, place)
            case _First("session.resume", text):
                if (bridge := self._conversations.get(_conversation_id(text))) is not None:
                    bridge.socket_lost()
                self._access.refused(AUDIOCODES, Refusal(404, "unknown-conversation"))
                await _answer_and_close(seam, NOT_FOUND)
            case _First():
                raise AssertionError("all of FIRST_MESSAGES are above")

    async def _conversation(self, conversation: str, seam: Seam, place: Place) -> None:
        call_id = self._outbound.placed_as("audiocodes", conversation)
        bridge = self._calls.audiocodes(seam, self._dial, call_id)
        self._conversations[conversation] = bridge
        if call_id is None:
            self._outbound.may_be_placed(bridge.call_id, "audiocodes", conversation)
        bridge.on_started = partial(self._started, bridge.call_id, conversation)
        seam.on_bad = bridge.rejected
        try:
            await self._run(bridge, place)
        finally:
            self._outbound.settled(bridge.call_id)
            if self._conversations.get(conversation) is bridge:
                del self._conversations[conversation]

    def _started(self, call_id: str, conversation: str, parameters: Mapping[str, str]) -> None:
        """The call may be faster than the answer to our order, or that may not name it: then what
        we gave along with the order tells whose it is."""
        self._outbound.settled(call_id)
        order_id = ordered_as(parameters)
        if order_id is not None:
            self._outbound.came_as(order_id, "audiocodes", conversation, call_id)

    # --- Both -----------------------------------------------------------------------------

    async def _run(self, bridge: Bridge, place: Place) -> None:
        try:
            await self._calls.run(bridge, place)
        finally:  # one that broke, or is cut off, has ended too
            told = bridge.describe()["ending"] or {"reason": "internal-error"}
            await self._outbound.ended(bridge.call_id, ending(told["reason"]))

    def _no_room(self, full: bool, *, promised: bool = False) -> Refusal | None:
        """``promised``: it may be one that was told to come before new calls were turned away."""
        if self._calls.draining and not promised:
            return DRAINING
        if full:
            return FULL
        waiting = self._waiting_sockets >= MAX_WAITING_SOCKETS
        return Refusal(503, "too-many-waiting") if waiting else None

    async def _first(
        self,
        seam: Seam,
        seconds: float,
        read: Callable[[str], Opening | None],
    ) -> Opening | str:
        """What the peer opens with, or the slug of why it does not.

        ``read`` is given each text; ``None``: so far, so good. What it cannot use is counted.
        """
        self._waiting_sockets += 1
        try:
            async with asyncio.timeout(seconds):
                for _ in range(MAX_BAD_MESSAGES + 1):
                    opening = await _read_one(seam, read)
                    if opening is not None:
                        return opening
            return "unintelligible"
        except TimeoutError:
            return "no-start"
        except PeerGone:
            return "gone-before-start"
        finally:
            self._waiting_sockets -= 1

    def _counting(self, peer: str) -> Callable[[str], None]:
        """For messages that come before there is a call to count them."""

        bad_messages = BadMessages(__name__)

        def count(kind: str) -> None:
            self._metrics.bad_message(f"{peer}:{kind}")
            bad_messages.came(f"{peer}:{kind}")

        return count

    async def _deny(self, socket: WebSocket, endpoint: str, refusal: Refusal) -> None:
        await socket.send_denial_response(self._access.answer(endpoint, refusal))

    async def _close(self, seam: Seam, endpoint: str, reason: str) -> None:
        self._access.refused(endpoint, Refusal(POLICY_VIOLATION, reason))
        await seam.close(POLICY_VIOLATION, reason)


class _Greeting:
    """Twilio's first two messages: ``connected``, which says nothing, and ``start``."""

    def __init__(self) -> None:
        self._connected: list[str] = []

    def read(self, text: str) -> _Start | None:
        message = messages.parse(text)
        event = message.get("event")
        if event == "connected" and not self._connected:
            self._connected.append(text)
            return None
        if event == "start":
            start = messages.read(messages.Start, message).start
            token = start.customParameters.get("token", "")
            return _Start(start.callSid, start.accountSid, token, [*self._connected, text])
        raise RemoteProtocolError(messages.PEER, _not_yet(event, "media"))


def _read_first(text: str) -> _First:
    kind = vaic.parse(text).get("type")
    if kind in FIRST_MESSAGES:
        return _First(kind, text)
    raise RemoteProtocolError(vaic.PEER, _not_yet(kind, "userStream.chunk"))


def _conversation_id(text: str) -> str:
    return str(vaic.parse(text).get("conversationId"))


def _not_yet(kind: object, media: str) -> str:
    if type(kind) is not str:
        return "no-type"
    return "media-before-start" if kind == media else "out-of-order"


async def _read_one(seam: Seam, read: Callable[[str], Opening | None]) -> Opening | None:
    text = await seam.receive_text()
    try:
        return read(text)
    except RemoteProtocolError as error:
        seam.on_bad(error.kind)
        return None


async def _answer_and_close(seam: Seam, text: str) -> None:
    try:
        await seam.send_text(text)
    except PeerGone:
        return
    await seam.close()

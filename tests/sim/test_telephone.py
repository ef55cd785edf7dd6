"""The pretend Twilio signs, posts and reads as Twilio does."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from random import Random

import pytest
from twilio.request_validator import RequestValidator
from websockets.asyncio.server import ServerConnection, serve
from websockets.http11 import Request, Response

from opusbridge.sim.account import TwiMLRefused
from opusbridge.sim.callers import HangUp, Person, SimulatedTwilio, Wait
from opusbridge.sim.sockets import CallRefused
from opusbridge.sim.telephone import Telephone, TwiML, read_twiml, sign

TOKEN = "opusbridge-test-token-0123456789"
PUBLIC = "https://voice.example.com"


def test_the_signature_is_the_one_of_the_documents() -> None:
    form = {
        "CallSid": "CA0123456789abcdef0123456789abcdef",
        "AccountSid": "ACfedcba9876543210fedcba9876543210",
        "ApiVersion": "2010-04-01",
        "CallStatus": "ringing",
        "Direction": "inbound",
        "From": "+15550100001",
        "FromCity": "",
        "To": "+15550100002",
    }

    assert sign(f"{PUBLIC}/twilio/incoming", form, TOKEN) == "hwLv4Xgq9JeRCXGlvMntZMF114k="
    upgrade = "wss://voice.example.com/twilio/media"
    assert sign(upgrade, {}, TOKEN) == "uHOMSFMnhrL+mgyqRzI5PaT8EMc="
    assert sign(f"{upgrade}/", {}, TOKEN) == "NIJMgWfEs2vjhQN2zNK6xqe5HiI="


def test_twilios_own_validator_takes_the_webhook() -> None:
    telephone = Telephone(f"{PUBLIC}/twilio/voice", TOKEN)
    form = telephone.form("CA1")
    signature = sign(telephone.webhook_url, form, TOKEN)

    assert RequestValidator(TOKEN).validate(telephone.webhook_url, form, signature)
    assert not RequestValidator("other").validate(telephone.webhook_url, form, signature)


@pytest.mark.parametrize(
    ("slash", "signature"),
    [(False, "uHOMSFMnhrL+mgyqRzI5PaT8EMc="), (True, "NIJMgWfEs2vjhQN2zNK6xqe5HiI=")],
)
def test_the_upgrade_is_signed_with_or_without_a_slash(slash: bool, signature: str) -> None:
    telephone = Telephone(f"{PUBLIC}/twilio/voice", TOKEN, slash=slash)
    headers = telephone.stream_headers("wss://voice.example.com/twilio/media")

    assert headers == {"Accept-Encoding": "gzip", "X-Twilio-Signature": signature}


# --- TwiML ------------------------------------------------------------------------------

STREAM = '<Stream url="wss://voice.example.com/twilio/media">{}</Stream>'


def connect(stream: str, after: str = "") -> str:
    return f"<Response><Connect>{stream}</Connect>{after}</Response>"


def test_a_stream_with_its_parameters_is_understood() -> None:
    parameters = '<Parameter name="token" value="a&amp;b"/><Parameter name="x" value=""/>'

    assert read_twiml(connect(STREAM.format(parameters), "<Hangup/>")) == TwiML(
        "wss://voice.example.com/twilio/media", {"token": "a&b", "x": ""}, "", ("Hangup",)
    )


def test_a_busy_message_is_understood() -> None:
    twiml = read_twiml("<Response><Say>All busy.</Say><Hangup/></Response>")

    assert (twiml.stream_url, twiml.said, twiml.afterwards) == (
        None,
        "All busy.",
        ("Say", "Hangup"),
    )


@pytest.mark.parametrize(
    ("document", "number"),
    [
        ("busy", 12100),
        ("<TwiML/>", 12102),
        (connect(""), 12200),
        (connect(STREAM.format("") * 2), 12200),
        (connect('<Stream url="ws://voice.example.com/x"/>'), 31922),
        (connect('<Stream url="/x"/>'), 31922),
        (connect("<Stream/>"), 31922),
        (connect('<Stream url="wss://voice.example.com/x?token=1"/>'), 31920),
        (connect('<Stream url="wss://x.example/" track="both_tracks"/>'), 31941),
        (connect('<Stream url="wss://x.example/" token="1"/>'), 12200),
        (connect(STREAM.format('<Parameter name="x"/>')), 12200),
        (connect(STREAM.format('<Param name="x" value="1"/>')), 12200),
        (connect(STREAM.format(f'<Parameter name="x" value="{"y" * 499}"/>')), 12200),
    ],
)
def test_what_twilio_would_not_take_is_refused_by_its_number(document: str, number: int) -> None:
    with pytest.raises(TwiMLRefused) as caught:
        read_twiml(document)

    assert caught.value.number == number


def test_on_loopback_there_is_no_certificate_to_be_had() -> None:
    assert read_twiml(connect('<Stream url="ws://127.0.0.1:8000/x"/>')).stream_url is not None


# --- A whole call -----------------------------------------------------------------------


class Bridge:
    def __init__(self) -> None:
        self.port = self.stream_port = 0
        self.closed = False
        self.posted: list[str] = []
        self.upgrades: list[dict[str, str]] = []
        self.heard: list[str] = []

    @property
    def telephone(self) -> Telephone:
        return Telephone(f"http://127.0.0.1:{self.port}/twilio/voice", TOKEN)


@asynccontextmanager
async def bridge(
    status: int = 200, kind: str = "text/xml", twiml: str = ""
) -> AsyncIterator[Bridge]:
    """A stand-in whose webhook and stream share a port."""
    here = Bridge()

    async def webhook(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = (await reader.readuntil(b"\r\n\r\n")).decode()
        await reader.readuntil(b"FromCountry=US")
        here.posted.append(head)
        body = twiml or connect(
            f'<Stream url="ws://127.0.0.1:{here.stream_port}/media">'
            '<Parameter name="token" value="t"/></Stream>'
        )
        writer.write(
            f"HTTP/1.1 {status} X\r\nContent-Type: {kind}\r\n"
            f"Content-Length: {len(body)}\r\nConnection: close\r\n\r\n{body}".encode()
        )
        await writer.drain()
        writer.close()

    def admit(socket: ServerConnection, request: Request) -> Response | None:
        here.upgrades.append(dict(request.headers.raw_items()))
        return socket.respond(403, "no") if here.closed else None

    async def listen(socket: ServerConnection) -> None:
        async for text in socket:
            here.heard.append(str(text))

    async with (
        await asyncio.start_server(webhook, "127.0.0.1", 0) as http,
        serve(listen, "127.0.0.1", 0, process_request=admit) as stream,
    ):
        here.port = http.sockets[0].getsockname()[1]
        here.stream_port = stream.sockets[0].getsockname()[1]
        yield here


async def test_a_call_goes_from_the_webhook_to_the_stream() -> None:
    begun: list[SimulatedTwilio] = []
    async with bridge() as here:
        person = Person([Wait(0.05), HangUp()])
        caller = await here.telephone.call(person, Random(1), on_stream=begun.append)

    assert begun == [caller]
    assert caller.custom_parameters == {"token": "t"}
    assert caller.call_sid in here.heard[1]
    assert "X-Twilio-Signature: " in here.posted[0] or "x-twilio-signature: " in here.posted[0]
    (upgrade,) = here.upgrades
    assert upgrade["User-Agent"] == "Twilio.TmeWs/1.0"
    assert upgrade["Accept-Encoding"] == "gzip"
    assert len(upgrade["X-Twilio-Signature"]) == 28
    never = {"Origin", "Sec-WebSocket-Protocol", "Sec-WebSocket-Extensions"}
    assert not never & set(upgrade)


async def test_a_stream_that_is_not_opened_is_logged_as_31920() -> None:
    async with bridge() as here:
        here.closed = True
        caller = await here.telephone.call(Person([]), Random(1))

    assert caller.console == [31920]
    assert isinstance(caller.refused, CallRefused)
    assert caller.refused.status == 403


async def test_a_public_name_is_signed_and_the_real_place_reached() -> None:
    async with bridge() as here:
        telephone = Telephone(
            f"{PUBLIC}/twilio/voice", TOKEN, reach=f"http://127.0.0.1:{here.port}"
        )
        twiml = await telephone.ask_webhook("CA1")

    assert twiml.parameters == {"token": "t"}
    signature = sign(f"{PUBLIC}/twilio/voice", telephone.form("CA1"), TOKEN)
    assert signature in here.posted[0]


@pytest.mark.parametrize(
    ("reach", "wanted", "reached"),
    [
        ("http://127.0.0.1:8001", "wss://v.example/a/media", "ws://127.0.0.1:8001/media"),
        ("http://127.0.0.1:8001", "https://v.example/voice", "http://127.0.0.1:8001/voice"),
        ("http://127.0.0.1:8001", "wss://v.example/able", "ws://127.0.0.1:8001/able"),
        ("http://127.0.0.1:8001", "wss://w.example/a/media", "ws://127.0.0.1:8001/a/media"),
        ("https://inside/b", "wss://v.example/a/media", "wss://inside/b/media"),
        ("https://v.example", "wss://v.example/a/media", "wss://v.example/a/media"),
        ("https://v.example/a", "wss://v.example/a/media", "wss://v.example/a/media"),
        ("https://v.example:443", "wss://v.example/a/media", "wss://v.example:443/a/media"),
        ("https://V.example", "wss://v.example/a/media", "wss://V.example/a/media"),
        ("https://v.example", "wss://V.example:443/a/media", "wss://v.example/a/media"),
        ("http://v.example:80", "wss://v.example/a/media", "ws://v.example:80/a/media"),
        ("https://v.example:8443", "wss://v.example/a/media", "wss://v.example:8443/media"),
        ("http://127.0.0.1:8001", "wss://V.example:443/a/media", "ws://127.0.0.1:8001/media"),
        ("https://inside", "wss://v.example/a/media", "wss://inside/media"),
        ("https://inside/a", "wss://v.example/a/media", "wss://inside/a/media"),
    ],
)
def test_a_path_that_the_proxy_takes_off_is_not_asked_of_the_bridge_itself(
    reach: str, wanted: str, reached: str
) -> None:
    names = ("https://v.example/a", "https://v.example")
    telephone = Telephone("https://v.example/voice", TOKEN, reach=reach, names=names)

    assert telephone._reached(wanted) == reached


@pytest.mark.parametrize(
    ("status", "kind", "twiml", "number"),
    [
        (403, "text/xml", "", 11200),
        (200, "text/html", "", 12300),
        (200, "text/xml", "<Response><Hangup/></Response>", 0),
    ],
)
async def test_a_webhook_that_will_not_do_is_refused(
    status: int, kind: str, twiml: str, number: int
) -> None:
    async with bridge(status, kind, twiml) as here:
        with pytest.raises(TwiMLRefused) as caught:
            await here.telephone.call(Person([]), Random(1))

    assert caught.value.number == number


async def test_a_webhook_that_cannot_be_reached_is_refused() -> None:
    async with bridge() as here:
        telephone = here.telephone

    with pytest.raises(TwiMLRefused, match="11205"):
        await telephone.ask_webhook("CA1")

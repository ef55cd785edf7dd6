"""What is told of a bridge elsewhere that took no call: where, what it said, what to look at."""

import asyncio
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from socket import gaierror

import pytest
from websockets.asyncio.server import ServerConnection, serve

from opusbridge.cli.calling import play_against
from opusbridge.config import Settings
from opusbridge.sim import script
from opusbridge.sim.account import TwiMLRefused
from opusbridge.sim.sockets import CallRefused
from opusbridge.sim.unreached import unreached
from opusbridge.testing import NoCall, simulated_caller
from opusbridge.testing.refused import told
from opusbridge.web.server import listen
from tests.cli.running import run
from tests.web.serving import PUBLIC, TOKEN, House, house, twilio

OURS = {"audiocodes_token": TOKEN, **twilio()}
FULL = "all its lines are busy (OPUSBRIDGE_MAX_CALLS), or it is stopping"
HOST = "voice.example.com"
SIDES = ("audiocodes", "twilio")


async def refusal(base: str, telephony: str, **settings: str) -> str:
    """The one thing that is wrong with such a call."""
    url = base.replace("http://", "ws://")
    result = await play_against(
        script.load("greeting"), telephony, url, Settings.load(**(OURS | settings))
    )
    (told,) = result.failures
    return told


async def refused_by(server: House, **settings: str) -> list[str]:
    return [
        (await refusal(server.base, side, **settings)).removeprefix("the call was refused at ")
        for side in SIDES
    ]


async def test_nobody_there_is_told_with_the_address_and_without_what_is_secret_in_it() -> None:
    with listen("127.0.0.1", 0) as free:
        host = f"127.0.0.1:{free.getsockname()[1]}"

    audiocodes, by_twilio = [await refusal(f"ws://user:secret@{host}", side) for side in SIDES]

    assert audiocodes == (
        f"the call was refused at ws://{host}/audiocodes: nobody listens there; "
        "is opusbridge serve running there?"
    )
    assert by_twilio == (
        f"the call was refused at http://{host}/twilio/voice: 11205: the webhook cannot be "
        "reached: nobody listens there; is opusbridge serve running there?"
    )


async def test_a_bridge_that_declines_a_call_is_told_with_its_reason() -> None:
    async def decline(socket: ServerConnection) -> None:
        await socket.recv()
        await socket.send('{"type": "session.error", "reason": "voice only"}')
        await socket.wait_closed()

    async with serve(decline, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        result = await play_against(
            script.load("greeting"), "audiocodes", f"ws://127.0.0.1:{port}", Settings.load(**OURS)
        )

    assert "the bridge answered with session.error, reason 'voice only'" in result.failures


async def test_other_secrets_over_there_are_told_by_the_names_of_the_settings() -> None:
    async with house(**OURS) as server:
        other = {"audiocodes_token": "another", "twilio_auth_token": "another"}
        audiocodes, by_twilio = await refused_by(server, **other)

    same = "must be set there, and be the same here"
    names = ("OPUSBRIDGE_AUDIOCODES_TOKEN", "OPUSBRIDGE_PUBLIC_URL and OPUSBRIDGE_TWILIO_…")
    assert audiocodes.endswith(f"/audiocodes: it answered 401; {names[0]} {same}")
    assert by_twilio.endswith(f"/twilio/voice: 11200: the webhook answered 403; {names[1]} {same}")
    assert TOKEN not in audiocodes + by_twilio


async def test_a_full_house_is_told_as_one() -> None:
    async with house(max_calls=1, **OURS) as server:
        await server.announce()
        audiocodes, by_twilio = await refused_by(server)

    assert "it answered 503" in audiocodes
    assert "no stream in it" in by_twilio
    assert audiocodes.endswith(FULL)
    assert by_twilio.endswith(FULL)


async def test_a_stream_that_is_refused_is_told_with_its_address_and_its_answer() -> None:
    async with half_open("503 Service Unavailable") as host:
        told = await refusal(f"ws://{host}", "twilio")
        call = partial(simulated_caller, f"ws://{host}", "greeting", settings=Settings.load())
        with pytest.raises(NoCall) as raised:
            await asyncio.to_thread(call)

    assert told == (f"the call was refused at ws://{host}/twilio/media: it answered 503; {FULL}")
    assert str(raised.value) == told


@pytest.mark.parametrize(
    ("status", "hint"),
    [(404, "; is that opusbridge's own address, without a path?"), (502, "; its log says why")],
)
def test_something_else_that_answers_there_is_hinted_at(status: int, hint: str) -> None:
    refused = CallRefused(status, f"{PUBLIC}/audiocodes?key=secret")

    assert told(refused, "audiocodes") == (
        f"the call was refused at {PUBLIC}/audiocodes: it answered {status}{hint}"
    )


def test_twiml_that_will_not_do_has_no_address() -> None:
    refused = TwiMLRefused(12200, "a Parameter without name or value")

    assert told(refused, "twilio") == f"the call was refused: {refused}"


@pytest.mark.parametrize("telephony", SIDES)
def test_who_calls_from_a_test_is_told_that_nobody_is_there_and_what_to_do(telephony: str) -> None:
    with listen("127.0.0.1", 0) as free:
        url = f"ws://127.0.0.1:{free.getsockname()[1]}"

    with pytest.raises(NoCall, match=r"nobody listens there; is opusbridge serve running there\?"):
        simulated_caller(url, "greeting", telephony=telephony, settings=Settings.load())


@pytest.mark.parametrize("host", ["", "a..b", "[", "a:b", "a:99999", f"{'a' * 64}.example", ":80"])
def test_an_address_without_a_host_is_no_address(host: str) -> None:
    ran = run("call", "greeting", "--url", f"ws://{host}")

    assert ran.status == 2
    assert ran.complaint == (
        "opusbridge: the bridge's address names no host, or a port that is none"
    )


# --- What kept us from it ---------------------------------------------------------------


def certificate_error(code: int) -> ssl.SSLError:
    error = ssl.SSLCertVerificationError(1, "certificate verify failed")
    error.verify_code = code
    return error


@pytest.mark.parametrize(
    ("error", "why", "cure"),
    [
        (gaierror(-2, "Name or service not known"), "no such host", "spelt right"),
        (ConnectionRefusedError(111, "refused"), "nobody listens there", "opusbridge serve"),
        (TimeoutError(), "no answer in time", "firewall"),
        (certificate_error(10), "its certificate has expired", "renewed"),
        (certificate_error(18), "its certificate is not trusted", "SSL_CERT_FILE"),
        (certificate_error(62), "its certificate is for another host", "names"),
        (certificate_error(64), "its certificate is for another host", "names"),
        (ssl.SSLError(1, "wrong version number"), "it speaks no TLS", "ws://"),
        (OSError(113, "No route to host"), "no answer", "opusbridge serve"),
    ],
)
def test_each_way_not_to_be_reached_has_its_cure(error: Exception, why: str, cure: str) -> None:
    wrapped = OSError("All connection attempts failed")
    wrapped.__cause__ = ExceptionGroup("attempts", [ValueError(), error])
    found = CallRefused(None, f"wss://user:secret@{HOST}/audiocodes", unreached(wrapped))

    assert unreached(error) == why
    line = told(found, "audiocodes")
    assert line.startswith(f"the call was refused at wss://{HOST}/audiocodes: {why}; ")
    assert cure in line
    assert "secret" not in line


@pytest.mark.slow
async def test_a_certificate_that_will_not_do_is_told_on_either_side(
    certificate: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    async with behind_tls(certificate) as base:
        strangers = [await refusal(base, side) for side in SIDES]
        monkeypatch.setenv("SSL_CERT_FILE", str(certificate[0]))
        others = [await refusal(base.replace("localhost", "127.0.0.1"), side) for side in SIDES]

    assert all("its certificate is not trusted; is that the host" in one for one in strangers)
    assert all("its certificate is for another host; is that" in one for one in others)


@pytest.mark.slow
async def test_tls_is_not_to_be_had_of_who_has_none() -> None:
    async with house(**OURS) as server:
        base = server.base.replace("http://", "wss://")
        refused = [await refusal(base, side) for side in SIDES]

    assert all("it speaks no TLS; is it to be called with ws://" in one for one in refused)


@asynccontextmanager
async def half_open(status: str) -> AsyncIterator[str]:
    """Who answers the webhook with a stream, and the stream with ``status``."""

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        asked = (await reader.readuntil(b"\r\n\r\n")).decode()
        stream = f'<Stream url="wss://{HOST}/twilio/media"/>'
        body = f"<Response><Connect>{stream}</Connect></Response>"
        line, text = ("200 OK", body) if asked.startswith("POST") else (status, "")
        writer.write(
            f"HTTP/1.1 {line}\r\nContent-Type: text/xml\r\nConnection: close\r\n"
            f"Content-Length: {len(text)}\r\n\r\n{text}".encode()
        )
        await writer.drain()
        writer.close()

    async with await asyncio.start_server(answer, "127.0.0.1", 0) as served:
        yield f"127.0.0.1:{served.sockets[0].getsockname()[1]}"


@asynccontextmanager
async def behind_tls(certificate: tuple[Path, Path]) -> AsyncIterator[str]:
    """Where somebody listens who has that certificate."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*certificate)
    served = await asyncio.start_server(lambda *_: None, "127.0.0.1", 0, ssl=context)
    async with served:
        yield f"wss://localhost:{served.sockets[0].getsockname()[1]}"

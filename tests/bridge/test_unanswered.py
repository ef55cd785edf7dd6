import asyncio
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from socket import gaierror

import httpx2
import pytest

from opusbridge.bridge import audiocodes_dial, twilio_rest
from opusbridge.bridge.audiocodes_dial import AudioCodesDialOut, DialOutError
from opusbridge.bridge.twilio_rest import TwilioRest, TwilioRestError
from opusbridge.bridge.unanswered import why_unanswered
from opusbridge.privacy import Private
from opusbridge.web.server import listen


@asynccontextmanager
async def a_house_that_says(words: bytes) -> AsyncIterator[str]:
    """Its address; to whoever knocks it says this, and shuts the door."""

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(10)
        writer.write(words)
        writer.close()

    server = await asyncio.start_server(answer, "127.0.0.1", 0)
    async with server:
        yield f"127.0.0.1:{server.sockets[0].getsockname()[1]}"


async def hung_up_at(url: str) -> TwilioRestError:
    rest = TwilioRest("AC1", Private("secret"), url)
    with pytest.raises(TwilioRestError) as refused:
        await rest.hang_up("CA1")
    await rest.close()
    return refused.value


async def test_where_nobody_listens_there_was_no_connection() -> None:
    with listen("127.0.0.1", 0) as nobody:
        url = f"http://127.0.0.1:{nobody.getsockname()[1]}"

    assert (await hung_up_at(url)).facts == {"why": "no-connection"}


@asynccontextmanager
async def a_house_that_dribbles() -> AsyncIterator[str]:
    """Its address; it answers byte by byte, and never to the end."""
    busy: list[asyncio.Future[None]] = []

    async def dribble(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\n\r\n")
        hung_up = asyncio.create_task(reader.read())
        while not (await asyncio.wait([hung_up], timeout=0.005))[0]:
            writer.write(b" ")
        writer.close()

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        busy.append(asyncio.ensure_future(dribble(reader, writer)))

    server = await asyncio.start_server(answer, "127.0.0.1", 0)
    async with server:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        await asyncio.wait(busy, timeout=5.0)


async def test_an_answer_without_an_end_holds_nobody_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(twilio_rest, "REQUEST_SECONDS", 0.05)
    monkeypatch.setattr(audiocodes_dial, "REQUEST_SECONDS", 0.05)
    async with asyncio.timeout(5.0), a_house_that_dribbles() as url:
        refused = await hung_up_at(url)
        dial_out = AudioCodesDialOut(url, Private("a-token"), None)
        with pytest.raises(DialOutError) as not_dialled:
            await dial_out.dial("call-1", "+15550100001", "+15550100002", machine_detection=False)
        await dial_out.close()

    assert refused.facts == not_dialled.value.facts == {"why": "timeout"}


@pytest.mark.parametrize(
    ("scheme", "words", "why"),
    [
        ("https", b"SSH-2.0-door\r\n", "tls"),
        ("https", b"", "tls"),
        ("http", b"SSH-2.0-door\r\n", "no-usable-answer"),
        ("http", b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n{", "no-usable-answer"),
    ],
    ids=["no-tls", "tls-cut-off", "no-http", "cut-off"],
)
async def test_what_is_no_answer_is_told_from_what_is_no_tls(
    scheme: str, words: bytes, why: str
) -> None:
    async with a_house_that_says(words) as address:
        assert (await hung_up_at(f"{scheme}://{address}")).facts == {"why": why}


def because_of(error: httpx2.HTTPError, cause: Exception) -> httpx2.HTTPError:
    error.__cause__ = cause
    return error


@pytest.mark.parametrize(
    ("error", "why"),
    [
        (httpx2.ConnectTimeout(""), "connect-timeout"),
        (because_of(httpx2.ConnectTimeout(""), ssl.SSLWantReadError()), "connect-timeout"),
        (httpx2.ReadTimeout(""), "timeout"),
        (httpx2.PoolTimeout(""), "timeout"),
        (httpx2.ProxyError(""), "proxy"),
        (because_of(httpx2.ConnectError(""), gaierror(-2, "unknown")), "no-such-host"),
        (because_of(httpx2.ConnectError(""), ssl.SSLCertVerificationError()), "tls"),
        (httpx2.ReadError(""), "connection-lost"),
        (httpx2.DecodingError(""), "no-usable-answer"),
    ],
    ids=lambda given: given if isinstance(given, str) else type(given).__name__,
)
def test_each_way_of_not_answering_has_a_word_of_its_own(error: httpx2.HTTPError, why: str) -> None:
    assert why_unanswered(error) == why


def test_a_line_in_the_log_says_what_is_known_and_nothing_else() -> None:
    assert TwilioRestError("hang up", 500).facts == {"why": "refused", "status": 500}
    assert TwilioRestError("hang up", 400, 21220).facts == {
        "why": "refused",
        "status": 400,
        "code": 21220,
    }
    assert DialOutError(None, "tls").facts == {"why": "tls"}
    assert DialOutError(403).facts == {"why": "refused", "status": 403}

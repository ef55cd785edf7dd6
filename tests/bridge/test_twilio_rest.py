import asyncio
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

import pytest
import requests
import uvicorn
from fastapi import FastAPI, Request
from fastapi.responses import JSONResponse
from fastapi.responses import Response as WebResponse
from twilio.http import HttpClient
from twilio.http.response import Response
from twilio.rest import Client

from opusbridge.bridge.twilio_rest import BACKOFF_SECONDS, TwilioRest, TwilioRestError
from opusbridge.privacy import Private
from opusbridge.web.server import listen

ACCOUNT = "ACfedcba9876543210fedcba9876543210"
TOKEN = "opusbridge-test-token-0123456789"
CALL = "CA0123456789abcdef0123456789abcdef"
TWIML = '<Response><Say>Zoë & Søn + "friends"</Say></Response>'


@dataclass
class Heard:
    """One request, as far as Twilio looks at it."""

    method: str
    path: str
    body: bytes
    headers: dict[str, str]


@dataclass
class Desk:
    """Twilio's side: answers in this order, the last one from then on."""

    answers: list[tuple[int, Any]]
    heard: list[Heard] = field(default_factory=list)
    pauses: list[float] = field(default_factory=list)

    async def pause(self, seconds: float) -> None:
        self.pauses.append(seconds)

    async def answer(self, request: Request) -> WebResponse:
        headers = {name: request.headers.get(name, "") for name in LOOKED_AT}
        path = request.scope["raw_path"].decode()
        self.heard.append(Heard(request.method, path, await request.body(), headers))
        status, body = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        return WebResponse(body, status) if type(body) is str else JSONResponse(body, status)


LOOKED_AT = ("authorization", "content-type", "accept")


@asynccontextmanager
async def a_desk(answers: Iterable[tuple[int, Any]]) -> AsyncIterator[tuple[Desk, TwilioRest]]:
    desk, app, listening = Desk(list(answers)), FastAPI(), listen("127.0.0.1", 0)
    app.add_api_route("/{path:path}", desk.answer, methods=["GET", "POST"])
    config = uvicorn.Config(app, log_config=None, log_level="warning", lifespan="off")
    config.load()
    server = uvicorn.Server(config)
    server.lifespan = config.lifespan_class(config)
    await server.startup([listening])
    url = f"http://127.0.0.1:{listening.getsockname()[1]}/"
    rest = TwilioRest(ACCOUNT, Private(TOKEN), url, pause=desk.pause)
    try:
        yield desk, rest
    finally:
        await rest.close()
        for listener in server.servers:
            listener.close()
        for connection in list(server.server_state.connections):
            connection.shutdown()


class Capture(HttpClient):  # type: ignore[misc]  # the library is not typed
    """What the official library would send, as it would be on the wire."""

    def __init__(self) -> None:
        self.sent: list[Heard] = []

    def request(self, method: str, url: str, **given: Any) -> Response:
        asked = requests.Request(
            method, url, data=given["data"], headers=given["headers"], auth=given["auth"]
        ).prepare()
        body, headers = asked.body, asked.headers
        assert isinstance(body, str)
        looked_at = {name: str(headers.get(name, "")) for name in LOOKED_AT}
        assert asked.url is not None
        self.sent.append(Heard(method, urlsplit(asked.url).path, body.encode(), looked_at))
        return Response(200, "{}")


@pytest.mark.parametrize(
    "change", [{"status": "completed"}, {"twiml": TWIML}], ids=["hang-up", "redirect"]
)
async def test_what_we_send_is_what_the_official_library_sends(change: dict[str, str]) -> None:
    official = Capture()
    Client(ACCOUNT, TOKEN, http_client=official).calls(CALL).update(**change)
    async with a_desk([(200, {})]) as (desk, rest):
        if "twiml" in change:
            await rest.redirect(CALL, change["twiml"])
        else:
            await rest.hang_up(CALL)

        assert desk.heard == official.sent


TO, FROM = "+15550100001", "sip:front@example.com"
VOICE = "https://voice.example.com/twilio/voice?call=1f"
STATUS = "https://voice.example.com/twilio/status?call=1f"
MACHINE = "https://voice.example.com/twilio/machine?call=1f"


@pytest.mark.parametrize("machine", [None, MACHINE], ids=["anybody", "no-machine"])
async def test_a_call_is_placed_as_the_official_library_places_it(machine: str | None) -> None:
    official, asked = Capture(), {}
    if machine is not None:
        asked = {
            "machine_detection": "Enable",
            "async_amd": "true",
            "async_amd_status_callback": machine,
        }
    Client(ACCOUNT, TOKEN, http_client=official).calls.create(
        to=TO, from_=FROM, url=VOICE, status_callback=STATUS, **asked
    )
    async with a_desk([(201, {"sid": CALL})]) as (desk, rest):
        placed = await rest.place_call(TO, FROM, VOICE, STATUS, machine=machine)

        assert placed == CALL
        assert desk.heard == official.sent


@pytest.mark.parametrize("answer", [(500, "<html>"), (503, {}), (400, {"code": 21211})])
async def test_a_call_is_never_placed_twice(answer: tuple[int, Any]) -> None:
    async with a_desk([answer]) as (desk, rest):
        with pytest.raises(TwilioRestError) as refused:
            await rest.place_call(TO, FROM, VOICE, STATUS)

        assert refused.value.status == answer[0]
        assert TO not in f"{refused.value} {refused.value!r}"
        assert len(desk.heard) == 1


async def test_only_where_twilio_did_not_look_at_an_order_is_it_repeated() -> None:
    async with a_desk([(429, {}), (201, "[]")]) as (desk, rest):
        assert await rest.place_call(TO, FROM, VOICE, STATUS) is None

        assert len(desk.heard) == 2


@pytest.mark.parametrize(
    "answer",
    [(404, {"code": 20404}), (404, {}), (404, "gone"), (400, {"code": 20404})],
)
async def test_hanging_up_a_call_that_has_ended_is_a_success(answer: tuple[int, Any]) -> None:
    async with a_desk([answer]) as (desk, rest):
        await rest.hang_up(CALL)

        assert len(desk.heard) == 1


@pytest.mark.parametrize(
    ("answer", "over"),
    [
        ((200, {"status": "in-progress"}), False),
        ((200, {"status": "completed"}), True),
        ((200, {"status": "canceled"}), True),
        ((200, "<html>"), False),
        ((404, {"code": 20404}), True),
    ],
)
async def test_whether_a_call_is_over_can_be_looked_up(answer: tuple[int, Any], over: bool) -> None:
    async with a_desk([answer]) as (desk, rest):
        assert await rest.is_over(CALL) == over

        (heard,) = desk.heard
        path = f"/2010-04-01/Accounts/{ACCOUNT}/Calls/{CALL}.json"
        assert (heard.method, heard.path, heard.body) == ("GET", path, b"")


async def test_without_an_answer_nobody_knows_whether_it_is_over() -> None:
    async with a_desk([(503, {})]) as (_, rest):
        with pytest.raises(TwilioRestError):
            await rest.is_over(CALL)


async def test_a_call_that_has_ended_cannot_be_redirected() -> None:
    async with a_desk([(404, {"code": 20404})]) as (_, rest):
        with pytest.raises(TwilioRestError) as refused:
            await rest.redirect(CALL, TWIML)

    assert (refused.value.status, refused.value.code) == (404, 20404)


async def test_when_twilio_is_busy_we_ask_again_a_little_later() -> None:
    async with a_desk([(429, {}), (429, {}), (200, {})]) as (desk, rest):
        await rest.hang_up(CALL)

        assert len(desk.heard) == 3
        assert desk.pauses == list(BACKOFF_SECONDS[:2])


async def test_we_do_not_ask_for_ever() -> None:
    async with a_desk([(429, {"code": 20429})]) as (desk, rest):
        with pytest.raises(TwilioRestError) as refused:
            await rest.hang_up(CALL)

    assert refused.value.status == 429
    assert desk.pauses == list(BACKOFF_SECONDS)


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        ((401, {"code": 20003, "message": f"no {ACCOUNT}"}), "status 401, code 20003"),
        ((400, {"code": 21220, "message": f"{CALL} is not in-progress"}), "status 400, code 21220"),
        ((500, "<html>"), "status 500"),
        ((302, {}), "status 302"),
    ],
)
async def test_a_refusal_says_what_and_why_and_nothing_private(
    answer: tuple[int, Any], words: str
) -> None:
    async with a_desk([answer]) as (desk, rest):
        with pytest.raises(TwilioRestError) as refused:
            await rest.hang_up(CALL)

    said = f"{refused.value} {refused.value!r}"
    assert words in said
    assert ACCOUNT not in said
    assert CALL not in said
    assert TOKEN not in said
    assert len(desk.heard) == 1


async def test_no_answer_at_all_is_an_error_without_a_status() -> None:
    with listen("127.0.0.1", 0) as nobody:
        url = f"http://127.0.0.1:{nobody.getsockname()[1]}"
    rest = TwilioRest(ACCOUNT, Private(TOKEN), url)

    with pytest.raises(TwilioRestError, match="no answer when asked to hang up"):
        await rest.hang_up(CALL)
    await rest.close()


async def test_ids_cannot_lead_the_request_elsewhere() -> None:
    async with a_desk([(200, {})]) as (desk, rest):
        await asyncio.gather(rest.hang_up("../../Accounts/other?x=1"))

        (heard,) = desk.heard
        assert heard.path.endswith("/Calls/..%2F..%2FAccounts%2Fother%3Fx%3D1.json")

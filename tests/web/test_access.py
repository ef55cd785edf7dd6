from typing import Any, NoReturn

import pytest
import structlog
from prometheus_client import CollectorRegistry
from twilio.request_validator import RequestValidator

from opusbridge.bridge.metrics import Metrics
from opusbridge.web.access import Access
from tests.web.serving import (
    CALL,
    CONNECTED,
    PUBLIC,
    TOKEN,
    house,
    parameters,
    refused_status,
    settings,
    start,
    twilio,
    voice_form,
)

ADMIN = ["/api/calls", "/api/calls/call-1", "/metrics"]


def closed(host: str, **values: Any) -> list[str]:
    access = Access(settings(**values), host, 8000, Metrics(CollectorRegistry()))
    return list(access.closed_endpoints())


TELEPHONY = ["/audiocodes", "/twilio/voice", "/twilio/media", "/twilio/after"]
ADMIN_ROOMS = ["/api", "/metrics"]


def test_on_loopback_everything_is_open_without_secrets() -> None:
    for host in ("127.0.0.1", "::1", "localhost"):
        assert closed(host) == []


@pytest.mark.parametrize("host", ["::1", "[::1]"])
def test_an_address_may_be_written_as_in_a_url(host: str) -> None:
    access = Access(settings(), host, 8000, Metrics(CollectorRegistry()))

    assert access.stream_url == "ws://[::1]:8000/twilio/media"


def test_off_loopback_everything_is_closed_without_secrets() -> None:
    assert closed("0.0.0.0") == TELEPHONY + ADMIN_ROOMS


def test_a_public_url_means_that_loopback_is_reached_through_a_proxy() -> None:
    assert closed("127.0.0.1", public_url=PUBLIC) == TELEPHONY + ADMIN_ROOMS


def test_each_secret_opens_its_own_door() -> None:
    assert "/audiocodes" not in closed("0.0.0.0", audiocodes_token="a")
    assert "/twilio/voice" not in closed("0.0.0.0", twilio_auth_token="t", public_url=PUBLIC)
    assert closed("0.0.0.0", admin_token="a") == TELEPHONY


def test_telephony_may_be_opened_without_secrets_but_not_the_operators_rooms() -> None:
    found = closed("0.0.0.0", allow_unauthenticated=True, public_url=PUBLIC)

    assert found == ADMIN_ROOMS


def test_twilio_stays_closed_where_we_could_not_tell_it_our_address() -> None:
    found = closed("0.0.0.0", allow_unauthenticated=True)

    assert found == [*TELEPHONY[1:], *ADMIN_ROOMS]


OWN = "https://voice.example.com/a"


def test_what_belongs_to_a_call_is_asked_of_the_process_that_has_it() -> None:
    values = twilio(own_url=OWN)
    access = Access(settings(**values), "127.0.0.1", 8000, Metrics(CollectorRegistry()))

    assert access.stream_url == "wss://voice.example.com/a/twilio/media"
    assert access.webhook_url("/twilio/after") == f"{OWN}/twilio/after"
    assert access.webhook_url("/twilio/voice", "call-1") == f"{OWN}/twilio/voice?call=call-1"


async def test_what_was_asked_of_this_very_process_is_signed_for_it() -> None:
    form, signer = voice_form(CALL), RequestValidator(TOKEN)

    def signed(url: str, fields: dict[str, str]) -> dict[str, str]:
        return {"X-Twilio-Signature": signer.compute_signature(url, fields)}

    async with house(**twilio(own_url=OWN)) as server:
        for base in (PUBLIC, OWN):
            headers = signed(f"{base}/twilio/voice", form)
            answer = await server.http.post("/twilio/voice", data=form, headers=headers)
            assert answer.status_code == 200
            await server.upgrade("/twilio/media", signed(f"wss{base[5:]}/twilio/media", {}))
        other = signed(f"{PUBLIC}/b/twilio/voice", form)
        refused = await server.http.post("/twilio/voice", data=form, headers=other)
        assert refused.status_code == 403


async def test_while_the_token_is_being_changed_either_signs() -> None:
    form = voice_form(CALL)
    async with house(**twilio(twilio_auth_token_secondary="the-token-of-before")) as server:
        for token, status in ((TOKEN, 200), ("the-token-of-before", 200), ("another", 403)):
            signed = RequestValidator(token).compute_signature(f"{PUBLIC}/twilio/voice", form)
            headers = {"X-Twilio-Signature": signed}
            answer = await server.http.post("/twilio/voice", data=form, headers=headers)
            assert answer.status_code == status


async def test_who_is_refused_is_told_so_though_the_log_is_broken() -> None:
    def full_disk(*_: object) -> NoReturn:
        raise OSError("no space left on device")

    async with house(**twilio()) as server:
        structlog.configure(processors=[full_disk])
        answer = await server.http.post("/twilio/voice", data=voice_form(CALL))

    assert answer.status_code == 403


async def test_each_closed_endpoint_is_named_once_at_the_start(
    capsys: pytest.CaptureFixture[str],
) -> None:
    async with house(host="0.0.0.0"):
        lines = [line for line in capsys.readouterr().out.splitlines() if "closed" in line]

    assert len(lines) == len(TELEPHONY + ADMIN_ROOMS)


async def test_a_door_is_not_said_to_lack_the_secret_it_has(
    capsys: pytest.CaptureFixture[str],
) -> None:
    async with house(host="0.0.0.0", twilio_auth_token=TOKEN):
        lines = capsys.readouterr().out.splitlines()

    (told,) = (line for line in lines if "/twilio/voice" in line)
    assert "OPUSBRIDGE_PUBLIC_URL is not set" in told


@pytest.mark.parametrize("place", [{"host": "0.0.0.0"}, {"public_url": PUBLIC}])
async def test_closed_doors_answer_403(place: dict[str, Any]) -> None:
    async with house(**place) as server:
        assert (await server.post_voice()).status_code == 403
        assert await refused_status(server.upgrade("/twilio/media")) == 403
        assert await refused_status(server.upgrade("/audiocodes")) == 403
        for path in ADMIN:
            assert (await server.http.get(path)).status_code == 403
        assert server.dialled == []
        assert server.rejected("audiocodes", "closed") == 1
        assert server.rejected("metrics", "closed") == 1


async def test_the_operators_rooms_ask_for_their_token_even_on_loopback() -> None:
    async with house(admin_token="let-me-in") as server:
        for path in ADMIN:
            answer = await server.http.get(path)
            assert answer.status_code == 401
            assert answer.headers["www-authenticate"] == "Bearer"
        posted = await server.http.post("/api/calls/call-1/hangup", content=b"{")
        assert posted.status_code == 401, "the body is not even looked at"
        headers = {"Authorization": "Bearer let-me-in"}
        assert (await server.http.get("/api/calls", headers=headers)).status_code == 200
        assert (await server.http.get("/metrics", headers=headers)).status_code == 200


async def test_health_needs_no_token() -> None:
    async with house(admin_token="let-me-in") as server:
        for path in ("/healthz", "/readyz"):
            assert (await server.http.get(path)).status_code == 200
            assert (await server.http.head(path)).status_code == 200


async def test_no_page_describes_the_doors() -> None:
    async with house() as server:
        for path in ("/docs", "/redoc", "/openapi.json"):
            assert (await server.http.get(path)).status_code == 404


async def test_no_redirect_is_made_of_the_host_a_request_names() -> None:
    async with house() as server:
        answer = await server.http.post("/healthz/", headers={"Host": "evil.example.net"})

        assert answer.status_code == 404


@pytest.mark.parametrize(
    "headers",
    [
        {"Host": "abc.tunnel.example"},
        {"Origin": "https://evil.example.net"},
        {"Host": "127.0.0.1.evil.example"},
        {"Origin": "null"},
        {"Host": "[bad"},
        {"X-Forwarded-For": "203.0.113.9"},
        {"X-Forwarded-Proto": "https"},
        {"X-Real-IP": "203.0.113.9"},
        {"Forwarded": "for=203.0.113.9"},
        {"Via": "1.1 proxy.example.com"},
    ],
)
async def test_an_open_door_on_loopback_is_open_to_this_machine_only(
    headers: dict[str, str],
) -> None:
    async with house() as server:
        answers = [
            await server.http.get("/api/calls", headers=headers),
            await server.http.post("/twilio/voice", data=voice_form(CALL), headers=headers),
        ]

        assert [answer.status_code for answer in answers] == [403, 403]
        if "Host" not in headers:
            assert await refused_status(server.upgrade("/audiocodes", headers)) == 403
        assert server.dialled == []


@pytest.mark.parametrize(
    ("place", "warned"),
    [
        ({"audiocodes_token": TOKEN}, True),
        ({}, False),
        ({"audiocodes_token": TOKEN, "admin_token": TOKEN}, False),
        ({"audiocodes_token": TOKEN, "public_url": PUBLIC}, False),
        ({"audiocodes_token": TOKEN, "host": "0.0.0.0"}, False),
    ],
)
async def test_where_a_silent_proxy_may_let_anybody_in_the_start_says_so(
    place: dict[str, Any], warned: bool, capsys: pytest.CaptureFixture[str]
) -> None:
    async with house(**place):
        said = capsys.readouterr().out

    assert ("a proxy may let anybody into" in said) is warned
    assert TOKEN not in said


async def test_pages_of_this_machine_may_ask() -> None:
    async with house() as server:
        answer = await server.http.get("/api/calls", headers={"Origin": "http://localhost:3000"})

        assert answer.status_code == 200


async def test_on_loopback_without_secrets_a_call_comes_in_under_our_own_address() -> None:
    async with house() as server:
        answer = await server.post_voice(sign=False)
        stream = await server.upgrade("/twilio/media")
        await stream.send(CONNECTED)
        await stream.send(start(parameters(answer)["token"]))
        bridge = await server.bridges.get()

        await bridge.has_heard(2)
        expected = server.base.replace("http://", "ws://") + "/twilio/media"
        assert f'<Stream url="{expected}">' in answer.text


async def test_on_loopback_signatures_are_over_our_own_address() -> None:
    async with house(twilio_auth_token=TOKEN) as server:
        form = voice_form(CALL)
        url = f"{server.base}/twilio/voice"
        signature = RequestValidator(TOKEN).compute_signature(url, form)
        headers = {"X-Twilio-Signature": signature}

        assert (await server.post_voice(sign=False)).status_code == 403
        good = await server.http.post("/twilio/voice", data=form, headers=headers)
        assert good.status_code == 200


async def test_allow_unauthenticated_opens_telephony_to_the_world() -> None:
    async with house(host="0.0.0.0", allow_unauthenticated=True, public_url=PUBLIC) as server:
        assert (await server.post_voice(sign=False)).status_code == 200
        await server.upgrade("/audiocodes", {"Origin": "https://anywhere.example"})
        assert (await server.http.get("/api/calls")).status_code == 403


async def test_a_refusal_is_logged_without_anything_of_the_caller(
    capsys: pytest.CaptureFixture[str],
) -> None:
    async with house(**twilio()) as server:
        await server.post_voice(sign=False)

    said = capsys.readouterr().out
    assert "bad-signature" in said
    assert "15550100001" not in said
    assert TOKEN not in said

import asyncio

import pytest
from twilio.request_validator import RequestValidator

from opusbridge.agent import Agent
from opusbridge.web.announced import MAX_ANNOUNCED
from tests.web.serving import (
    CALL,
    PUBLIC,
    TOKEN,
    house,
    parameters,
    twilio,
    voice_form,
)

OTHER_CALL = "CAffffffffffffffffffffffffffffffff"


async def test_a_webhook_signed_by_twilios_library_is_answered_with_our_stream() -> None:
    async with house(**twilio()) as server:
        answer = await server.post_voice()

        assert answer.status_code == 200
        assert answer.headers["content-type"].startswith("text/xml")
        assert '<Stream url="wss://voice.example.com/twilio/media">' in answer.text
        found = parameters(answer)
        assert found["from"] == "+15550100001"
        assert found["to"] == "+15550100002"
        assert len(found["token"]) >= 32


@pytest.mark.parametrize("path", ["/twilio/voice?site=a%20b", "/twilio/voice/"])
async def test_the_webhook_may_be_configured_with_a_query_or_a_slash(path: str) -> None:
    async with house(**twilio()) as server:
        form = voice_form(CALL)
        signature = RequestValidator(TOKEN).compute_signature(PUBLIC + path, form)

        answer = await server.http.post(path, data=form, headers={"X-Twilio-Signature": signature})

        assert answer.status_code == 200


@pytest.mark.parametrize("forgery", ["", "hwLv4Xgq9JeRCXGlvMntZMF114k=", "\xff\xfe"])
async def test_a_webhook_with_a_bad_signature_is_refused_and_dials_nobody(forgery: str) -> None:
    async with house(**twilio()) as server:
        answer = await server.http.post(
            "/twilio/voice",
            data=voice_form(CALL),
            headers=[(b"X-Twilio-Signature", forgery.encode("latin-1"))],
        )

        assert answer.status_code == 403
        assert server.dialled == []
        assert server.rejected("twilio-voice", "bad-signature") == 1


async def test_request_headers_do_not_choose_the_signed_url() -> None:
    async with house(**twilio()) as server:
        form = voice_form(CALL)
        mine = "https://evil.example.net/twilio/voice"
        answer = await server.http.post(
            "/twilio/voice",
            data=form,
            headers={
                "Host": "evil.example.net",
                "X-Forwarded-Host": "evil.example.net",
                "X-Forwarded-Proto": "https",
                "X-Twilio-Signature": RequestValidator("other").compute_signature(mine, form),
            },
        )
        good = RequestValidator(TOKEN).compute_signature(f"{PUBLIC}/twilio/voice", form)
        welcomed = await server.http.post(
            "/twilio/voice",
            data=form,
            headers={"Host": "evil.example.net", "X-Twilio-Signature": good},
        )

        assert answer.status_code == 403
        assert "evil" not in welcomed.text


async def test_the_model_is_dialled_when_the_webhook_comes_and_once_only() -> None:
    async with house(**twilio()) as server:
        first = parameters(await server.post_voice())
        again = parameters(await server.post_voice())

        assert len(server.dialled) == 1
        assert first["token"] != again["token"]
        assert first["from"] == again["from"]


async def test_a_webhook_of_another_account_is_refused() -> None:
    async with house(**twilio()) as server:
        answer = await server.post_voice(AccountSid="AC00000000000000000000000000000000")

        assert answer.status_code == 403
        assert server.rejected("twilio-voice", "other-account") == 1


@pytest.mark.parametrize("call_sid", ["", "C" * 65])
async def test_a_webhook_without_a_usable_call_sid_is_refused(call_sid: str) -> None:
    async with house(**twilio()) as server:
        answer = await server.post_voice(call_sid)

        assert answer.status_code == 400
        assert server.dialled == []


async def test_a_body_over_the_limit_is_refused_unread() -> None:
    async with house(**twilio()) as server:
        answer = await server.post_voice(Filler="x" * 66_000)

        assert answer.status_code == 413
        assert server.rejected("twilio-voice", "too-large") == 1


async def test_a_form_with_absurdly_many_fields_is_refused() -> None:
    async with house(**twilio()) as server:
        answer = await server.http.post("/twilio/voice", content=b"a=1&" * 600)

        assert answer.status_code == 400


async def test_a_parameter_twilio_would_reject_is_left_out() -> None:
    async with house(**twilio()) as server:
        answer = await server.post_voice(From="client:" + "x" * 600)

        assert set(parameters(answer)) == {"token", "to"}


async def test_without_turn_detection_the_webhook_is_closed() -> None:
    quiet = Agent(name="front-desk", instructions="Be kind.", turn_detection="none")
    async with house(agent=quiet, **twilio()) as server:
        answer = await server.post_voice()

        assert answer.status_code == 403
        assert server.rejected("twilio-voice", "closed") == 1


async def test_a_caller_who_finds_the_house_full_is_told_so() -> None:
    async with house(max_calls=1, **twilio()) as server:
        await server.post_voice()
        answer = await server.post_voice(OTHER_CALL)
        repeated = await server.post_voice()

        assert answer.status_code == 200
        assert "<Say>" in answer.text
        assert "<Hangup" in answer.text
        assert "<Connect>" not in answer.text
        assert len(server.dialled) == 1
        assert "<Connect>" in repeated.text, "its own place is not a reason to be refused"


async def test_a_caller_is_turned_away_politely_while_draining() -> None:
    async with house(**twilio()) as server:
        server.calls.draining = True
        answer = await server.post_voice()

        assert answer.status_code == 200
        assert "<Say>" in answer.text
        assert server.rejected("twilio-voice", "draining") == 1


async def test_no_more_sessions_are_held_than_the_limit() -> None:
    async with house(**twilio()) as server:
        for number in range(MAX_ANNOUNCED):
            assert "<Connect>" in (await server.post_voice(f"CA{number}")).text

        assert "<Connect>" not in (await server.post_voice(OTHER_CALL)).text
        assert len(server.dialled) == MAX_ANNOUNCED


async def test_a_session_nobody_comes_for_is_closed_and_its_place_is_free_again() -> None:
    async with house(max_calls=1, token_seconds=0.05, **twilio()) as server:
        await server.post_voice()
        (session,) = server.dialled
        async with asyncio.timeout(5.0):
            await session.closed.wait()

        assert "<Connect>" in (await server.post_voice(OTHER_CALL)).text


async def test_a_repeated_webhook_prolongs_the_wait_and_the_session_is_closed_once() -> None:
    async with house(token_seconds=0.05, **twilio()) as server:
        for _ in range(3):
            await server.post_voice()
        (session,) = server.dialled
        async with asyncio.timeout(5.0):
            await session.closed.wait()


async def test_sessions_nobody_came_for_are_closed_when_the_server_ends() -> None:
    async with house(**twilio()) as server:
        await server.post_voice()
        (session,) = server.dialled

    assert session.closed.is_set()

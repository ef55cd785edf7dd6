import asyncio

import pytest
from twilio.request_validator import RequestValidator

from opusbridge.agent import Agent
from opusbridge.errors import PeerGone
from opusbridge.web import telephony
from opusbridge.web.announced import MAX_ANNOUNCED
from tests.web.serving import (
    CALL,
    CONNECTED,
    PUBLIC,
    TOKEN,
    PretendModel,
    close_code,
    house,
    parameters,
    refused_status,
    start,
    stream_signature,
    twilio,
    voice_form,
)

OTHER_CALL = "CAffffffffffffffffffffffffffffffff"


# --- The webhook ------------------------------------------------------------------------


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


async def test_a_query_in_the_configured_webhook_takes_part_in_its_signature() -> None:
    async with house(**twilio()) as server:
        form = voice_form(CALL)
        path = "/twilio/voice?site=a%20b"
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


# --- The stream -------------------------------------------------------------------------


@pytest.mark.parametrize(
    "signed",
    [
        "wss://voice.example.com/twilio/media",
        "wss://voice.example.com/twilio/media/",
        "wss://voice.example.com:443/twilio/media",
    ],
)
@pytest.mark.parametrize("path", ["/twilio/media", "/twilio/media/"])
async def test_a_stream_is_accepted_however_twilio_spelt_its_url(signed: str, path: str) -> None:
    async with house(**twilio()) as server:
        stream = await server.upgrade(path, stream_signature(signed))

        assert stream.subprotocol is None


@pytest.mark.parametrize("headers", [{}, {"X-Twilio-Signature": "uHOMSFMnhrL+mgyqRzI5PaT8EMc"}])
async def test_a_stream_with_a_bad_signature_is_refused_before_it_is_accepted(
    headers: dict[str, str],
) -> None:
    async with house(**twilio()) as server:
        assert await refused_status(server.upgrade("/twilio/media", headers)) == 403
        assert server.rejected("twilio-media", "bad-signature") == 1


async def test_a_stream_with_its_token_becomes_a_call_on_the_session_dialled_ahead() -> None:
    async with house(**twilio()) as server:
        token = await server.announce()
        stream = await server.stream()
        opening = [CONNECTED, start(token)]
        for text in [*opening, '{"event": "media"}']:
            await stream.send(text)
        bridge = await server.bridges.get()

        assert await bridge.has_heard(3) == [*opening, '{"event": "media"}']
        assert bridge.models == server.dialled
        assert server.calls.count == 1


async def test_a_failed_dial_is_heard_by_the_bridge_and_harms_nobody_else() -> None:
    attempts: list[PretendModel] = []

    async def fail_once() -> PretendModel:
        attempts.append(PretendModel())
        if len(attempts) == 1:
            raise PeerGone("model", "model-unreachable")
        return attempts[-1]

    async with house(dial=fail_once, **twilio()) as server:
        first, second = await server.announce(), await server.announce(OTHER_CALL)
        for token, call_sid in ((first, CALL), (second, OTHER_CALL)):
            stream = await server.stream()
            await stream.send(CONNECTED)
            await stream.send(start(token, call_sid))
            bridge = await server.bridges.get()

        assert (await bridge.has_heard(2))[0] == CONNECTED


@pytest.mark.parametrize("token", ["", "wrong", "\u00e9"])
async def test_a_stream_without_a_good_token_is_closed_and_costs_nothing(token: str) -> None:
    async with house(**twilio()) as server:
        await server.announce()
        stream = await server.stream()
        await stream.send(CONNECTED)
        await stream.send(start(token))

        assert await close_code(stream) == 1008
        assert server.bridges.empty()
        assert len(server.dialled) == 1
        assert server.rejected("twilio-media", "bad-token") == 1


async def test_a_token_is_good_for_its_own_call_only() -> None:
    async with house(**twilio()) as server:
        token = await server.announce()
        await server.announce(OTHER_CALL)
        stream = await server.stream()
        await stream.send(CONNECTED)
        await stream.send(start(token, OTHER_CALL))

        assert await close_code(stream) == 1008


async def test_a_token_expires() -> None:
    async with house(**twilio()) as server:
        token = await server.announce()
        server.now[0] += 60.0
        stream = await server.stream()
        await stream.send(CONNECTED)
        await stream.send(start(token))

        assert await close_code(stream) == 1008


async def test_a_replayed_token_does_not_touch_the_call_it_was_used_for() -> None:
    async with house(**twilio()) as server:
        token = await server.announce()
        first = await server.stream()
        await first.send(CONNECTED)
        await first.send(start(token))
        bridge = await server.bridges.get()
        replay = await server.stream()
        await replay.send(CONNECTED)
        await replay.send(start(token))

        assert await close_code(replay) == 1008
        await first.send("still here")
        assert (await bridge.has_heard(3))[-1] == "still here"
        assert server.calls.count == 1


async def test_a_repeated_webhook_does_not_let_a_second_stream_in_beside_the_first() -> None:
    async with house(**twilio()) as server:
        token, fresh = await server.announce(), await server.announce()
        first = await server.stream()
        await first.send(CONNECTED)
        await first.send(start(token))
        bridge = await server.bridges.get()
        late = await server.announce()
        for second_token in (fresh, late):
            second = await server.stream()
            await second.send(CONNECTED)
            await second.send(start(second_token))
            assert await close_code(second) == 1008

        assert not bridge.ended
        assert len(server.dialled) == 1
        assert server.rejected("twilio-media", "already-streaming") == 2


async def test_a_call_that_ended_may_stream_again_with_another_token() -> None:
    async with house(**twilio()) as server:
        token, spare = await server.announce(), await server.announce()
        first = await server.stream()
        await first.send(CONNECTED)
        await first.send(start(token))
        bridge = await server.bridges.get()
        await bridge.has_heard(2)
        bridge.hang_up("caller-hung-up")
        assert await close_code(first) == 1000
        second = await server.stream()
        await second.send(CONNECTED)
        await second.send(start(spare))
        again = await server.bridges.get()

        assert (await again.has_heard(2))[0] == CONNECTED
        assert len(server.dialled) == 2


async def test_a_good_token_does_not_find_room_where_there_is_none() -> None:
    async with house(max_calls=1, **twilio()) as server:
        token, spare = await server.announce(), await server.announce()
        first = await server.stream()
        await first.send(CONNECTED)
        await first.send(start(token))
        bridge = await server.bridges.get()
        await bridge.has_heard(2)
        bridge.hang_up("caller-hung-up")
        assert await close_code(first) == 1000
        await server.post_voice(OTHER_CALL)  # has the only place now
        second = await server.stream()
        await second.send(CONNECTED)
        await second.send(start(spare))

        assert await close_code(second) == 1008
        assert server.rejected("twilio-media", "full") == 1


async def test_a_stream_of_another_account_is_closed() -> None:
    async with house(**twilio()) as server:
        token = await server.announce()
        stream = await server.stream()
        await stream.send(CONNECTED)
        await stream.send(start(token, account_sid="AC00000000000000000000000000000000"))

        assert await close_code(stream) == 1008
        assert server.rejected("twilio-media", "other-account") == 1


@pytest.mark.parametrize(
    ("first", "reason"),
    [
        (['{"event": "media"}'], "unexpected-message"),
        ([CONNECTED, CONNECTED], "unexpected-message"),
        (["[]"], "not-json"),
        (["{"], "not-json"),
        ([CONNECTED, '{"event": "start", "start": {}}'], "bad-fields"),
        ([CONNECTED, '{"event": "start", "start": 7}'], "bad-fields"),
    ],
)
async def test_a_stream_that_opens_otherwise_is_closed(first: list[str], reason: str) -> None:
    async with house(**twilio()) as server:
        stream = await server.stream()
        for text in first:
            await stream.send(text)

        assert await close_code(stream) == 1008
        assert server.rejected("twilio-media", reason) == 1


async def test_a_stream_that_never_says_start_is_closed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(telephony, "START_SECONDS", 0.02)
    async with house(**twilio()) as server:
        stream = await server.stream()
        await stream.send(CONNECTED)

        assert await close_code(stream) == 1008
        assert server.rejected("twilio-media", "no-start") == 1


async def test_no_more_streams_may_wait_for_their_start_than_the_limit(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(telephony, "MAX_WAITING_SOCKETS", 2)
    async with house(**twilio()) as server:
        for _ in range(2):
            await (await server.stream()).ping()

        assert await refused_status(server.stream()) == 503
        assert server.rejected("twilio-media", "too-many-waiting") == 1


async def test_streams_are_refused_before_acceptance_while_draining() -> None:
    async with house(**twilio()) as server:
        server.calls.draining = True

        assert await refused_status(server.stream()) == 503


async def test_a_full_house_refuses_streams_but_not_the_one_it_promised_a_place() -> None:
    async with house(max_calls=1, **twilio()) as server:
        token = await server.announce()
        promised = await server.stream()
        await promised.send(CONNECTED)
        await promised.send(start(token))
        await (await server.bridges.get()).has_heard(2)

        assert await refused_status(server.stream()) == 503
        assert server.rejected("twilio-media", "full") == 1


async def test_a_client_that_offers_twilios_old_subprotocol_gets_it() -> None:
    async with house(**twilio()) as server:
        headers = stream_signature() | {"Sec-WebSocket-Protocol": "audio.twilio.com"}
        answer = await server.http.get(
            "/twilio/media",
            headers={
                "Connection": "Upgrade",
                "Upgrade": "websocket",
                "Sec-WebSocket-Key": "AAAAAAAAAAAAAAAAAAAAAA==",
                "Sec-WebSocket-Version": "13",
                **headers,
            },
        )

        assert answer.status_code == 101
        assert answer.headers["sec-websocket-protocol"] == "audio.twilio.com"

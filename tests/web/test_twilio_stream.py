import asyncio

import pytest

from opusbridge.errors import PeerGone
from opusbridge.web import telephony
from tests.web.serving import (
    CALL,
    CONNECTED,
    PretendModel,
    close_code,
    house,
    refused_status,
    start,
    stream_signature,
    twilio,
)

OTHER_CALL = "CAffffffffffffffffffffffffffffffff"


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


@pytest.mark.parametrize("announced", ["before", "after"])
async def test_nobody_waits_for_what_his_call_still_does_after_its_end(announced: str) -> None:
    async with house(**twilio()) as server:
        token, spare = await server.announce(), await server.announce()
        first = await server.stream()
        await first.send(start(token))
        over = await server.bridges.get()
        await over.has_heard(1)
        over.all_done.clear()
        over.hang_up("caller-hung-up")
        assert await close_code(first) == 1000
        second = await server.stream()
        await second.send(start(spare if announced == "before" else await server.announce()))
        async with asyncio.timeout(5.0):
            again = await server.bridges.get()
            await again.has_heard(1)
        assert len(server.dialled) == 2
        over.all_done.set()
        for _ in range(20):
            await asyncio.sleep(0)
        assert server.calls.count == 1
        third = await server.stream()
        await third.send(start(await server.announce()))

        assert await close_code(third) == 1008, "the second stream goes on"
        assert not again.ended


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
    ("bad", "kind"),
    [
        ('{"event": "media"}', "media-before-start"),
        ('{"event": "stop"}', "out-of-order"),
        (CONNECTED, "out-of-order"),
        ('{"event": ["start"]}', "no-type"),
        ("[]", "not-an-object"),
        ("{", "not-json"),
        ('{"event": "start", "start": {}}', "bad-fields"),
        ('{"event": "start", "start": 7}', "bad-fields"),
        (b"\x00", "binary"),
    ],
)
async def test_what_comes_before_the_start_costs_only_itself(bad: str | bytes, kind: str) -> None:
    async with house(**twilio()) as server:
        token = await server.announce()
        stream = await server.stream()
        for frame in (CONNECTED, bad, start(token)):
            await stream.send(frame)
        bridge = await server.bridges.get()

        assert await bridge.has_heard(2) == [CONNECTED, start(token)]
        labels = {"peer": "twilio", "kind": kind}
        assert server.registry.get_sample_value("opusbridge_bad_messages_total", labels) == 1


async def test_a_stream_that_says_anything_but_start_is_closed_in_the_end(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(telephony, "MAX_BAD_MESSAGES", 3)
    async with house(**twilio()) as server:
        stream = await server.stream()
        for _ in range(4):
            await stream.send("hello")

        assert await close_code(stream) == 1008
        assert server.rejected("twilio-media", "unintelligible") == 1


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


async def test_a_caller_who_was_told_to_come_is_let_in_and_waited_for_while_draining() -> None:
    async with house(**twilio()) as server:
        token = await server.announce()
        assert not await server.calls.drain(0.01)
        stream, stranger = await server.stream(), await server.stream()
        await stranger.send(start("guessed", OTHER_CALL))
        assert await close_code(stranger) == 1008
        await stream.send(start(token))
        bridge = await server.bridges.get()
        await bridge.has_heard(1)

        assert await refused_status(server.stream()) == 503, "nobody else is expected"
        assert not await server.calls.drain(0.01)
        bridge.hang_up("caller-hung-up")
        assert await server.calls.drain(5.0)


async def test_a_caller_who_was_told_to_come_and_does_not_is_not_waited_for_for_ever() -> None:
    async with house(token_seconds=0.05, **twilio()) as server:
        await server.announce()

        assert await server.calls.drain(5.0)
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

"""Twilio asks how to go on after a transfer: who may ask, and whose stream follows."""

from xml.etree import ElementTree

import httpx2
import pytest
from twilio.request_validator import RequestValidator

from tests.web.serving import (
    CALL,
    PUBLIC,
    TOKEN,
    House,
    PretendBridge,
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


async def post_after(
    server: House, status: str = "busy", call_sid: str = CALL, *, sign: bool = True, **more: str
) -> httpx2.Response:
    form = voice_form(call_sid) | {"CallStatus": "in-progress", "DialCallStatus": status} | more
    headers = {}
    if sign:
        signature = RequestValidator(TOKEN).compute_signature(f"{PUBLIC}/twilio/after", form)
        headers["X-Twilio-Signature"] = signature
    return await server.http.post("/twilio/after", data=form, headers=headers)


def verbs(answer: httpx2.Response) -> list[str]:
    assert answer.status_code == 200
    assert answer.headers["content-type"].startswith("text/xml")
    return [verb.tag for verb in ElementTree.fromstring(answer.text)]


async def a_call(server: House) -> PretendBridge:
    """One on its stream."""
    token = await server.announce()
    stream = await server.stream()
    await stream.send(start(token))
    return await server.bridges.get()


async def test_only_twilio_may_say_what_came_of_a_transfer() -> None:
    async with house(**twilio()) as server:
        await a_call(server)

        assert (await post_after(server, sign=False)).status_code == 403
        assert (await post_after(server, AccountSid="AC" + "0" * 32)).status_code == 403
        assert (await post_after(server, call_sid="")).status_code == 400
        assert server.rejected("twilio-after", "bad-signature") == 1
        assert server.rejected("twilio-after", "other-account") == 1
        assert server.rejected("twilio-after", "no-call-sid") == 1


async def test_a_form_that_is_none_is_refused_under_the_name_of_its_endpoint() -> None:
    async with house(**twilio()) as server:
        answer = await server.http.post("/twilio/after", content="&".join(["a=b"] * 600))
        too_large = await server.http.post("/twilio/after", content=b"a" * 2_000_000)

        assert (answer.status_code, too_large.status_code) == (400, 413)
        assert server.rejected("twilio-after", "bad-form") == 1


async def test_without_a_secret_nobody_may_ask() -> None:
    async with house(host="0.0.0.0") as server:
        assert (await post_after(server, sign=False)).status_code == 403
        assert server.rejected("twilio-after", "closed") == 1


async def test_a_caller_nobody_took_gets_a_stream_that_continues_his_call() -> None:
    async with house(**twilio()) as server:
        bridge = await a_call(server)
        token = parameters(await post_after(server))["token"]
        stream = await server.stream()
        await stream.send(start(token))
        await bridge.has_resumed(1)

        assert bridge.done == [("dial_ended", "busy")]
        assert (await bridge.resumed[0].receive_text()) == start(token)
        assert server.bridges.empty(), "it is no new call"
        assert len(server.dialled) == 1, "and needs no other model"
        assert server.calls.count == 1


async def test_the_first_stream_that_continues_a_call_wins() -> None:
    async with house(**twilio()) as server:
        bridge = await a_call(server)
        tokens = [parameters(await post_after(server))["token"] for _ in range(2)]
        first, second = await server.stream(), await server.stream()
        await first.send(start(tokens[0]))
        await bridge.has_resumed(1)
        await second.send(start(tokens[1]))

        assert await close_code(second) == 1008
        assert server.rejected("twilio-media", "already-streaming") == 1
        assert len(bridge.resumed) == 1


async def test_who_is_back_is_not_hung_up_where_twilio_asks_once_more() -> None:
    async with house(**twilio()) as server:
        bridge = await a_call(server)
        first, stream = await post_after(server), await server.stream()
        await stream.send(start(parameters(first)["token"]))
        await bridge.has_resumed(1)
        again = await post_after(server)
        second = await server.stream()
        await second.send(start(parameters(again)["token"]))

        assert verbs(again) == ["Connect"]
        assert await close_code(second) == 1008, "the first stream wins"
        assert not bridge.ended
        assert verbs(await post_after(server, "completed")) == ["Hangup"]


async def test_a_token_is_good_for_its_own_call_only() -> None:
    async with house(**twilio()) as server:
        bridge = await a_call(server)
        token = parameters(await post_after(server))["token"]
        stream = await server.stream()
        await stream.send(start(token, OTHER_CALL))

        assert await close_code(stream) == 1008
        assert bridge.resumed == []


async def test_a_transfer_that_was_answered_is_hung_up_when_it_is_over() -> None:
    async with house(**twilio()) as server:
        bridge = await a_call(server)

        assert verbs(await post_after(server, "completed")) == ["Hangup"]
        assert bridge.done == [("dial_ended", "completed")]


@pytest.mark.parametrize(
    ("status", "answer"), [("busy", ["Say", "Hangup"]), ("completed", ["Hangup"])]
)
async def test_who_comes_back_to_a_call_that_is_over_is_not_left_in_silence(
    status: str, answer: list[str]
) -> None:
    async with house(**twilio()) as server:
        assert verbs(await post_after(server, status)) == answer


@pytest.mark.parametrize("trouble", ["full", "draining"])
async def test_a_caller_who_comes_back_is_let_in_however_full_it_is(trouble: str) -> None:
    async with house(**twilio(), max_calls=1) as server:
        bridge = await a_call(server)
        server.calls.draining = trouble == "draining"
        assert await refused_status(server.upgrade("/twilio/media", stream_signature())) == 503

        token = parameters(await post_after(server))["token"]
        stream = await server.stream()
        await stream.send(start(token))
        await bridge.has_resumed(1)
        # He is back: nobody else is let in on his account.
        assert await refused_status(server.upgrade("/twilio/media", stream_signature())) == 503
        server.calls.draining = False

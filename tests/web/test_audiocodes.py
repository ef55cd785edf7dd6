import logging

import pytest

from opusbridge.web import telephony
from tests.web.serving import close_code, house, refused_status

TOKEN = "audiocodes-secret"
GOOD = {"Authorization": f"Bearer {TOKEN}"}
INITIATE = (
    '{"type": "session.initiate", "conversationId": "0f6c9a4e-7d55-4f3b-9b6d-3a0f0c7d2b11",'
    ' "expectAudioMessages": true, "supportedMediaFormats": ["raw/lpcm16"]}'
)


@pytest.mark.parametrize("path", ["/audiocodes", "/audiocodes/"])
@pytest.mark.parametrize("method", ["GET", "POST"])
async def test_the_plain_http_check_is_answered(method: str, path: str) -> None:
    async with house(audiocodes_token=TOKEN) as server:
        answer = await server.http.request(method, path)

        assert answer.status_code == 200
        assert answer.json() == {"type": "ac-bot-api", "success": True}


@pytest.mark.parametrize(
    ("headers", "reason"),
    [
        ({}, "no-token"),
        ({"Authorization": "Bearer"}, "no-token"),
        ({"Authorization": "Bearer wrong"}, "bad-token"),
        ({"Authorization": f"Basic {TOKEN}"}, "bad-token"),
        ({"Authorization": TOKEN}, "no-token"),
        ({"Authorization": f"Bearer {TOKEN}x"}, "bad-token"),
    ],
)
async def test_a_wrong_bearer_is_refused_with_401_before_acceptance(
    headers: dict[str, str], reason: str, caplog: pytest.LogCaptureFixture
) -> None:
    async with house(audiocodes_token=TOKEN) as server:
        assert await refused_status(server.upgrade("/audiocodes", headers)) == 401
        assert server.rejected("audiocodes", reason) == 1
    # The server's own opinion of a refusal is an error, which would wake somebody up.
    assert [one for one in caplog.records if one.levelno >= logging.ERROR] == []


@pytest.mark.parametrize(
    ("scheme", "path"),
    [("Bearer", "/audiocodes"), ("bearer", "/audiocodes/"), ("BEARER", "/audiocodes")],
)
async def test_initiate_becomes_a_call_that_reads_it_itself(scheme: str, path: str) -> None:
    async with house(audiocodes_token=TOKEN) as server:
        headers = {"Authorization": f"{scheme} {TOKEN}"}
        socket = await server.upgrade(path, headers)
        await socket.send(INITIATE)
        await socket.send('{"type": "userStream.start"}')
        bridge = await server.bridges.get()

        assert await bridge.has_heard(2) == [INITIATE, '{"type": "userStream.start"}']
        assert bridge.models == server.dialled
        assert server.calls.count == 1


async def test_the_end_of_the_socket_ends_the_call_and_frees_its_place() -> None:
    async with house(max_calls=1, audiocodes_token=TOKEN) as server:
        for _ in range(2):
            socket = await server.upgrade("/audiocodes", GOOD)
            await socket.send(INITIATE)
            bridge = await server.bridges.get()
            await bridge.has_heard(1)
            await socket.close()
            await server.dialled[-1].closed.wait()
            assert await server.calls.drain(5.0)
            server.calls.draining = False


async def test_a_validation_of_the_connection_is_answered_and_costs_nothing() -> None:
    async with house(audiocodes_token=TOKEN) as server:
        socket = await server.upgrade("/audiocodes", GOOD)
        await socket.send('{"type": "connection.validate"}')

        assert await socket.recv() == '{"type":"connection.validated","success":true}'
        assert await close_code(socket) == 1000
        assert server.dialled == []


async def test_a_resumed_conversation_is_answered_with_an_error_not_silence() -> None:
    async with house(audiocodes_token=TOKEN) as server:
        socket = await server.upgrade("/audiocodes", GOOD)
        await socket.send('{"type": "session.resume", "conversationId": "0f6c9a4e"}')

        assert await socket.recv() == '{"type":"session.error","reason":"conversation not found"}'
        assert await close_code(socket) == 1000


async def test_of_a_conversation_that_is_to_be_resumed_the_socket_is_dead() -> None:
    async with house(audiocodes_token=TOKEN) as server:
        bridges = []
        for text in (INITIATE, INITIATE.replace("0f6c9a4e", "1f6c9a4e")):
            socket = await server.upgrade("/audiocodes", GOOD)
            await socket.send(text)
            bridges.append(await server.bridges.get())
            await bridges[-1].has_heard(1)
        for _ in range(2):
            back = await server.upgrade("/audiocodes", GOOD)
            await back.send(INITIATE.replace("session.initiate", "session.resume"))
            assert "session.error" in str(await back.recv())
            await server.dialled[0].closed.wait()

        assert [one.done for one in bridges] == [[("socket_lost",)], []]
        assert server.calls.count == 1


async def test_of_two_calls_by_one_name_the_second_is_the_one_that_is_known() -> None:
    async with house(audiocodes_token=TOKEN) as server:
        bridges, sockets = [], []
        for _ in range(2):
            sockets.append(await server.upgrade("/audiocodes", GOOD))
            await sockets[-1].send(INITIATE)
            bridges.append(await server.bridges.get())
            await bridges[-1].has_heard(1)
        await sockets[0].close()
        await server.dialled[0].closed.wait()
        back = await server.upgrade("/audiocodes", GOOD)
        await back.send(INITIATE.replace("session.initiate", "session.resume"))
        await back.recv()

        assert [one.done for one in bridges] == [[], [("socket_lost",)]]


@pytest.mark.parametrize(
    ("bad", "kind"),
    [
        ('{"type": "userStream.chunk"}', "media-before-start"),
        ('{"type": "userStream.stop"}', "out-of-order"),
        ('{"type": ["session.initiate"]}', "no-type"),
        ("{}", "no-type"),
        ("[]", "not-an-object"),
        ("hello", "not-json"),
        (b"\x00", "binary"),
    ],
)
async def test_what_comes_before_initiate_costs_only_itself(bad: str | bytes, kind: str) -> None:
    async with house(audiocodes_token=TOKEN) as server:
        socket = await server.upgrade("/audiocodes", GOOD)
        await socket.send(bad)
        await socket.send(INITIATE)
        bridge = await server.bridges.get()

        assert await bridge.has_heard(1) == [INITIATE]
        labels = {"peer": "audiocodes", "kind": kind}
        assert server.registry.get_sample_value("opusbridge_bad_messages_total", labels) == 1


async def test_a_socket_that_says_anything_but_initiate_is_closed_in_the_end(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(telephony, "MAX_BAD_MESSAGES", 3)
    async with house(audiocodes_token=TOKEN) as server:
        socket = await server.upgrade("/audiocodes", GOOD)
        for _ in range(4):
            await socket.send("hello")

        assert await close_code(socket) == 1008
        assert server.bridges.empty()
        assert server.rejected("audiocodes", "unintelligible") == 1


async def test_a_socket_that_says_nothing_is_closed_and_gives_its_place_back(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(telephony, "FIRST_MESSAGE_SECONDS", 0.02)
    async with house(max_calls=1, audiocodes_token=TOKEN) as server:
        for _ in range(2):
            socket = await server.upgrade("/audiocodes", GOOD)
            assert await close_code(socket) == 1008

        assert server.rejected("audiocodes", "no-start") == 2


async def test_a_full_house_refuses_before_acceptance_but_after_the_bearer() -> None:
    async with house(max_calls=1, audiocodes_token=TOKEN) as server:
        await server.upgrade("/audiocodes", GOOD)  # takes the place, whatever it will say

        assert await refused_status(server.upgrade("/audiocodes", GOOD)) == 503
        assert await refused_status(server.upgrade("/audiocodes")) == 401


async def test_a_draining_house_refuses_before_acceptance() -> None:
    async with house(audiocodes_token=TOKEN) as server:
        server.calls.draining = True

        assert await refused_status(server.upgrade("/audiocodes", GOOD)) == 503
        assert server.rejected("audiocodes", "draining") == 1


async def test_frames_that_are_no_messages_are_counted_and_cost_nothing_else() -> None:
    async with house(audiocodes_token=TOKEN) as server:
        socket = await server.upgrade("/audiocodes", GOOD)
        await socket.send(b"\x00\x01")
        await socket.send(INITIATE)
        bridge = await server.bridges.get()
        await bridge.has_heard(1)
        for frame in (b"\x00", "x" * 1_000_001, "é" * 500_001, "x" * 1_000_000, "é" * 500_000):
            await socket.send(frame)  # VAIC may send much sound at once

        heard = await bridge.has_heard(3)
        assert [len(text) for text in heard[1:]] == [1_000_000, 500_000]
        assert bridge.done == [
            ("rejected", "binary"),
            ("rejected", "oversized"),
            ("rejected", "oversized"),
        ]
        labels = {"peer": "audiocodes", "kind": "binary"}
        assert server.registry.get_sample_value("opusbridge_bad_messages_total", labels) == 1


async def test_a_message_over_a_megabyte_ends_that_socket_only() -> None:
    async with house(audiocodes_token=TOKEN) as server:
        quiet = await server.upgrade("/audiocodes", GOOD)
        loud = await server.upgrade("/audiocodes", GOOD)
        for socket in (quiet, loud):
            await socket.send(INITIATE)
        await loud.send("x" * (2**20 + 1))

        assert await close_code(loud) == 1009
        await quiet.send("still here")
        bridge = await server.bridges.get()
        assert (await bridge.has_heard(2))[-1] == "still here"


async def test_bad_utf8_ends_that_socket_without_a_traceback(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async with house(audiocodes_token=TOKEN) as server:
        socket = await server.upgrade("/audiocodes", GOOD)
        await socket.send(INITIATE)
        bridge = await server.bridges.get()
        await bridge.has_heard(1)
        await socket.send(b"\xff\xfe", text=True)

        assert await close_code(socket) == 1007
        assert await server.calls.drain(5.0)
        assert bridge.done == [("rejected", "bad-utf8")]
        assert "Traceback" not in caplog.text

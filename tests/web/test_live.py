import pytest

from tests.web.serving import House, PretendBridge, house

INITIATE = '{"type": "session.initiate"}'


async def a_call(server: House) -> PretendBridge:
    socket = await server.upgrade("/audiocodes")
    await socket.send(INITIATE)
    bridge = await server.bridges.get()
    await bridge.has_heard(1)
    return bridge


async def test_calls_are_listed_live_ones_first() -> None:
    async with house() as server:
        over, live = await a_call(server), await a_call(server)
        over.hang_up("caller-hung-up")
        while server.calls.count > 1:
            await server.http.get("/healthz")

        assert (await server.http.get("/api/calls")).json() == {
            "calls": [
                {"call_id": live.call_id, "state": "live", "ending": None},
                {"call_id": over.call_id, "state": "ended", "ending": {"reason": over.reason}},
            ]
        }


async def test_one_call_is_shown_and_an_unknown_one_is_not() -> None:
    async with house() as server:
        bridge = await a_call(server)

        found = await server.http.get(f"/api/calls/{bridge.call_id}")
        assert found.json() == {"call_id": bridge.call_id, "state": "live", "ending": None}
        assert (await server.http.get("/api/calls/nobody")).status_code == 404


@pytest.mark.parametrize(
    ("action", "body", "done"),
    [
        ("say", '{"text": "Wrap up."}', ("say", "Wrap up.")),
        (
            "transfer",
            '{"destination": "billing", "reason": "asked for"}',
            ("transfer", "billing", "asked for"),
        ),
        ("transfer", '{"destination": "billing"}', ("transfer", "billing", "")),
        ("hangup", "{}", ("hang_up", "hung-up-by-operator")),
        ("hangup", "", ("hang_up", "hung-up-by-operator")),
        ("hangup", '{"reason": "test call"}', ("hang_up", "hung-up-by-operator")),
        ("recording", '{"paused": true}', ("pause_recording",)),
        ("recording", '{"paused": false}', ("resume_recording",)),
    ],
)
async def test_an_operator_acts_on_a_live_call(
    action: str, body: str, done: tuple[str, ...]
) -> None:
    async with house() as server:
        bridge = await a_call(server)
        answer = await server.http.post(f"/api/calls/{bridge.call_id}/{action}", content=body)

        assert answer.status_code == 202
        assert bridge.done == [done]


@pytest.mark.parametrize("action", ["say", "transfer", "hangup"])
async def test_an_unknown_call_is_404_whatever_the_body_says(action: str) -> None:
    async with house() as server:
        answer = await server.http.post(f"/api/calls/nobody/{action}", content=b"[")

        assert answer.status_code == 404


@pytest.mark.parametrize("action", ["say", "transfer", "hangup"])
async def test_a_call_that_ended_is_409(action: str) -> None:
    async with house() as server:
        bridge = await a_call(server)
        bridge.hang_up("caller-hung-up")
        answer = await server.http.post(f"/api/calls/{bridge.call_id}/{action}")

        assert answer.status_code == 409


@pytest.mark.parametrize(
    ("action", "body", "detail"),
    [
        ("say", "{}", "text: this key is missing"),
        ("say", '{"text": ""}', "text: String should have at least 1 character"),
        ("say", '{"text": "x", "loud": true}', "loud: there is no such key"),
        ("say", "not json", "the body: not JSON"),
        ("say", '{"text": "' + "x" * 70_000 + '"}', "it is longer than 65536 bytes"),
        ("transfer", '{"reason": "x"}', "destination: this key is missing"),
        ("hangup", "[]", "the body: not a JSON object"),
        ("recording", "{}", "paused: this key is missing"),
        ("recording", '{"paused": "yes"}', "paused: Input should be a valid boolean"),
    ],
)
async def test_a_body_that_does_not_fit_is_422_and_named(
    action: str, body: str, detail: str
) -> None:
    async with house() as server:
        bridge = await a_call(server)
        answer = await server.http.post(f"/api/calls/{bridge.call_id}/{action}", content=body)

        assert (answer.status_code, answer.json()["error"]) == (422, "bad-body")
        assert answer.json()["detail"].startswith(detail)
        assert bridge.done == []


async def test_a_refused_transfer_says_why() -> None:
    async with house() as server:
        bridge = await a_call(server)
        answer = await server.http.post(
            f"/api/calls/{bridge.call_id}/transfer", json={"destination": "the moon"}
        )

        assert answer.status_code == 422
        assert answer.json()["detail"] == "there is no such destination"


async def test_no_limit_is_told_as_it_is_set() -> None:
    async with house(max_calls=0) as server:
        told = (await server.http.get("/readyz")).json()

    assert told["max_calls"] == 0


async def test_readiness_tells_a_balancer_to_look_elsewhere() -> None:
    async with house(max_calls=1) as server:
        assert (await server.http.get("/readyz")).status_code == 200
        bridge = await a_call(server)
        full = await server.http.get("/readyz")
        assert full.status_code == 503
        told = full.json()
        assert told.pop("loop_lag_ms") >= 0
        assert told == {"status": "full", "calls": 1, "max_calls": 1}
        bridge.hang_up("caller-hung-up")
        await server.calls.drain(5.0)
        draining = await server.http.get("/readyz")
        assert (draining.status_code, draining.json()["status"]) == (503, "draining")
        assert (await server.http.get("/healthz")).status_code == 200


async def test_metrics_are_prometheus_text() -> None:
    async with house() as server:
        await server.http.post("/twilio/voice")  # is refused, and counted
        answer = await server.http.get("/metrics")

        assert answer.headers["content-type"].startswith("text/plain")
        assert "opusbridge_rejected_total{" in answer.text
        assert "_created" not in answer.text  # the library's own, of every counter
        assert 'opusbridge_calls_active{telephony="twilio"} 0.0' in answer.text

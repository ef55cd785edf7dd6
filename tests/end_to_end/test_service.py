"""The service as its neighbours see it: real sockets on every side, and real time."""

import asyncio
import json
import signal
from pathlib import Path
from random import Random
from typing import Any
from xml.etree import ElementTree

import httpx2
import pytest
from websockets.asyncio.client import connect
from websockets.exceptions import InvalidStatus

from opusbridge.audio.g711 import pcmu_decode
from opusbridge.sim.account import TwiMLRefused
from opusbridge.sim.callers import (
    HangUp,
    Interrupt,
    Person,
    SimulatedAudioCodes,
    SimulatedTwilio,
    Step,
    Wait,
    WaitForAgent,
)
from opusbridge.sim.callers.twilio import ACCOUNT_SID
from opusbridge.sim.sockets import CallRefused, bearer, place_call
from opusbridge.sim.telephone import Telephone
from opusbridge.sound import PCMU_8K
from opusbridge.web.telephony import BUSY
from tests.cli.running import environment, listening_on, running
from tests.end_to_end.service import (
    AUDIOCODES_TOKEN,
    BASIC,
    BILLING,
    CALLEE,
    CALLER,
    TWILIO_TOKEN,
    Models,
    Moments,
    heard_by,
    line,
    reply,
    service,
    share_of,
    twilio_api,
)

pytestmark = pytest.mark.slow


def person(*steps: Step) -> Person:
    return Person(steps, patience_seconds=8.0)


#: The agents here do not pause for breath, so nobody need wait long to be sure.
LISTEN = WaitForAgent(silence_ms=300)


def chat(hz: float = 1000.0) -> Person:
    """Listens, says something, listens again, and hangs up."""
    return person(LISTEN, line(hz), LISTEN, HangUp())


def listener() -> Person:
    """Hears the greeting, and stays until somebody else ends the call."""
    return person(LISTEN, Wait(20.0))


# --- Who may come in --------------------------------------------------------------------


async def test_nobody_without_the_secret_gets_as_far_as_the_model(tmp_path: Path) -> None:
    async with service(tmp_path) as here:
        statuses = []
        for token in (None, "wrong"):
            caller = SimulatedAudioCodes(listener(), "call-1", Random(1))
            with pytest.raises(CallRefused) as refused:
                await place_call(caller, f"ws://{here.address}/audiocodes", headers=bearer(token))
            statuses.append(refused.value.status)
        for token in (None, "wrong"):
            stranger = Telephone(here.telephone.webhook_url, token)
            with pytest.raises(TwiMLRefused, match="403"):
                await stranger.ask_webhook("CA1")
            stream = f"ws://{here.address}/twilio/media"
            with pytest.raises(InvalidStatus) as denied:
                await connect(stream, additional_headers=stranger.stream_headers(stream))
            statuses.append(denied.value.response.status_code)
        other = Telephone(here.telephone.webhook_url, TWILIO_TOKEN, account_sid="ACother")
        with pytest.raises(TwiMLRefused, match="403"):
            await other.ask_webhook("CA1")

        assert statuses == [401, 401, 403, 403]
        assert here.models.untouched
        metrics = await here.metrics()
        by_audiocodes = metrics.by("reason", "rejected_total", endpoint="audiocodes")
        assert by_audiocodes == {"no-token": 1, "bad-token": 1}
        by_webhook = metrics.by("reason", "rejected_total", endpoint="twilio-voice")
        assert by_webhook == {"bad-signature": 2, "other-account": 1}
        by_stream = metrics.by("reason", "rejected_total", endpoint="twilio-media")
        assert by_stream == {"bad-signature": 2}


async def test_a_signed_stream_that_no_webhook_announced_gets_nowhere(tmp_path: Path) -> None:
    async with service(tmp_path) as here:
        url = f"ws://{here.address}/twilio/media"
        caller = SimulatedTwilio(listener(), "CA1", "MZ1", {"token": "guessed"}, Random(1))
        await place_call(caller, url, headers=here.telephone.stream_headers(url))

        assert caller.console == [31921]  # closed by us
        assert here.models.untouched
        metrics = await here.metrics()
        assert metrics.by("reason", "rejected_total", endpoint="twilio-media") == {"bad-token": 1}


async def test_an_operator_needs_the_operators_token(tmp_path: Path) -> None:
    async with (
        service(tmp_path) as here,
        httpx2.AsyncClient(base_url=f"http://{here.address}", trust_env=False) as stranger,
    ):
        for path in ("/metrics", "/api/calls", "/api/calls/x"):
            assert (await stranger.get(path)).status_code == 401
        for action in ("say", "hangup", "transfer"):
            assert (await stranger.post(f"/api/calls/x/{action}", json={})).status_code == 401
        assert (await stranger.get("/healthz")).status_code == 200


# --- Full, and at the end ---------------------------------------------------------------


async def test_a_full_house_refuses_politely_and_has_room_again_afterwards(tmp_path: Path) -> None:
    async with service(tmp_path, max_calls=1) as here, asyncio.TaskGroup() as tasks:
        speaks = Moments()
        first = tasks.create_task(here.by_audiocodes(chat(), on_event=speaks))
        await speaks.until("speaks")
        busy = await here.telephone.ask_webhook("CA1")
        with pytest.raises(CallRefused) as refused:
            await here.by_audiocodes(listener(), 2)
        url = f"ws://{here.address}/twilio/media"
        with pytest.raises(InvalidStatus) as denied:
            await connect(url, additional_headers=here.telephone.stream_headers(url))
        full = await here.http.get("/readyz")

        assert (busy.stream_url, busy.said, busy.afterwards) == (None, BUSY, ("Say", "Hangup"))
        assert refused.value.status == denied.value.response.status_code == 503
        assert full.status_code == 503
        assert len(here.models.sessions) == 1

        assert (await first).verdict() == []
        await here.over()
        assert (await here.http.get("/readyz")).status_code == 200
        second = await here.by_twilio(person(LISTEN, HangUp()))
        assert second.verdict() == here.models.verdict() == []


async def test_after_sigterm_the_calls_under_way_finish_and_no_others_begin(tmp_path: Path) -> None:
    models = Models()
    async with models.server:
        env = environment(
            OPENAI_API_KEY="any",
            OPUSBRIDGE_REALTIME_URL=models.server.url,
            OPUSBRIDGE_TWILIO_AUTH_TOKEN=TWILIO_TOKEN,
            OPUSBRIDGE_AUDIOCODES_TOKEN=AUDIOCODES_TOKEN,
            OPUSBRIDGE_LOG_FORMAT="json",
        )
        with running("serve", "--port", "0", env=env, cwd=tmp_path) as process:
            port, _ = await asyncio.to_thread(listening_on, process)
            callers, refusals = await _terminated(process, f"127.0.0.1:{port}")
            _, err = await asyncio.to_thread(process.communicate, timeout=30)

    assert refusals == ["busy", 503]
    assert process.returncode == 0
    assert [caller.verdict() for caller in callers] == [[], []]
    assert models.verdict() == []
    lines = [json.loads(text) for text in err.splitlines()]
    ended = [one["reason"] for one in lines if one["event"] == "call ended"]
    assert ended == ["caller-hung-up"] * 2
    assert sorted(endings_in(tmp_path)) == ended


def endings_in(folder: Path) -> list[str]:
    found = folder.glob("opusbridge-data/calls/*/*/call.json")
    return [json.loads(file.read_text("utf-8"))["ending"]["reason"] for file in found]


async def _terminated(process: Any, address: str) -> tuple[list[Any], list[Any]]:
    """Two callers who were speaking when the signal came, and what it was like for others."""
    telephone = Telephone(f"http://{address}/twilio/voice", TWILIO_TOKEN)
    socket, headers = f"ws://{address}/audiocodes", bearer(AUDIOCODES_TOKEN)
    by_audiocodes = SimulatedAudioCodes(chat(), "call-1", Random(1))
    one, other = Moments(), Moments()
    async with asyncio.TaskGroup() as tasks:
        first = tasks.create_task(place_call(by_audiocodes, socket, headers=headers, on_event=one))
        second = tasks.create_task(telephone.call(chat(), Random(2), on_event=other))
        await one.until("speaks")
        await other.until("speaks")
        process.send_signal(signal.SIGTERM)
        async with (
            asyncio.timeout(5.0),
            httpx2.AsyncClient(base_url=f"http://{address}", trust_env=False) as http,
        ):
            while (await http.get("/readyz")).status_code != 503:
                pass  # the signal is on its way
            assert (await http.get("/healthz")).status_code == 200
        refusals: list[Any] = ["busy" if (await telephone.ask_webhook("CA9")).said == BUSY else ""]
        with pytest.raises(CallRefused) as refused:
            await place_call(
                SimulatedAudioCodes(chat(), "call-9", Random(9)), socket, headers=headers
            )
        refusals.append(refused.value.status)
        assert not first.done()
        assert not second.done()
    return [by_audiocodes, second.result()], refusals


# --- What an operator sees and does -----------------------------------------------------

ENTRY = {
    *("call_id", "telephony", "provider_call_id", "caller", "callee", "started_at", "state"),
    *("response_active", "response_id", "pending_user_input", "turns", "recording_paused"),
    "ending",
}


async def test_an_operator_sees_a_call_puts_words_before_the_model_and_ends_it(
    tmp_path: Path,
) -> None:
    words = "Tell the caller that we close at noon."
    script = [reply(440.0), reply(700.0)]
    async with service(tmp_path, script) as here, asyncio.TaskGroup() as tasks:
        caller = tasks.create_task(here.by_audiocodes(listener()))
        await here.responses_done(1)
        (entry,) = await here.live()
        assert set(entry) == ENTRY
        assert (entry["telephony"], entry["provider_call_id"]) == ("audiocodes", "call-1")
        assert (entry["caller"], entry["callee"], entry["state"]) == (CALLER, CALLEE, "answered")
        assert (entry["response_active"], entry["response_id"]) == (False, None)
        assert (entry["pending_user_input"], entry["turns"]) == (None, 0)
        call_id = entry["call_id"]
        alone = await here.http.get(f"/api/calls/{call_id}")
        assert alone.json() == (await here.live())[0]

        assert await here.act(call_id, "say", text=words) == 202
        await here.responses_done(2)
        assert await here.act(call_id, "hangup", reason="closing") == 202
        ended = await caller
        await here.over()

        (session,) = here.models.sessions
        told = [entry.item for entry in session.conversation.entries]
        assert [one["role"] for one in told] == ["assistant", "system", "assistant"]
        assert told[1]["content"][0]["text"] == words
        assert share_of(700.0, heard_by(ended)) > 0.2  # it was heard out before the line closed
        assert ended.verdict() == here.models.verdict() == []
        assert (await here.live())[0]["state"] == "ended"
        assert here.kept()["call-1"]["ending"] == {
            "outcome": "completed",
            "reason": "hung-up-by-operator",
        }


async def test_wishes_that_cannot_be_granted_are_told_apart(tmp_path: Path) -> None:
    async with service(tmp_path) as here, asyncio.TaskGroup() as tasks:
        heard = Moments()
        caller = tasks.create_task(here.by_audiocodes(chat(), on_event=heard))
        await heard.until("speaks")
        call_id = (await here.live())[0]["call_id"]
        assert await here.act(call_id, "transfer", destination="the moon") == 422
        assert await here.act(call_id, "say", words="what?") == 422
        for action in ("say", "hangup", "transfer"):
            assert await here.act("0" * 32, action, text="x") == 404
        assert (await here.http.get("/api/calls/unknown")).status_code == 404
        assert (await caller).verdict() == []
        await here.over()

        assert await here.act(call_id, "say", text="too late") == 409
        assert await here.act(call_id, "hangup") == 409
        assert await here.act(call_id, "transfer", destination="billing") == 409
        assert (await here.http.get(f"/api/calls/{call_id}")).json()["state"] == "ended"


async def test_a_transfer_and_a_hang_up_go_through_twilios_rest_interface(tmp_path: Path) -> None:
    async with (
        twilio_api() as api,
        service(tmp_path, twilio_api_url=api.url) as here,
        asyncio.TaskGroup() as tasks,
    ):
        calls = [
            tasks.create_task(here.by_twilio(listener(), number, begun=api.knows))
            for number in (1, 2)
        ]
        await here.responses_done(2)
        ids = {entry["provider_call_id"]: entry["call_id"] for entry in await here.live()}
        moved, closed = f"CA{1:032x}", f"CA{2:032x}"
        assert await here.act(ids[moved], "transfer", destination="billing", reason="x") == 202
        assert await here.act(ids[closed], "hangup") == 202
        callers = [await call for call in calls]
        # His line has left us: what came of the transfer Twilio tells when it is over.
        after = f"http://{here.address}/twilio/after"
        told = await here.telephone.tell(after, moved, DialCallStatus="completed")
        assert "<Hangup" in told.text
        await here.over()

        posted = {one.path.rpartition("/")[2]: one for one in api.posted}
        assert len(api.posted) == len(posted) == 2
        for call_sid in (moved, closed):
            one = posted[f"{call_sid}.json"]
            assert one.path == f"/2010-04-01/Accounts/{ACCOUNT_SID}/Calls/{call_sid}.json"
            assert one.authorization == BASIC
        assert posted[f"{closed}.json"].form == {"Status": "completed"}
        (dial,) = ElementTree.fromstring(posted[f"{moved}.json"].form["Twiml"])
        assert (dial.tag, dial[0].tag, dial[0].text) == ("Dial", "Number", BILLING)
        assert dial.get("action") == after
        reasons = {sid: call["ending"]["reason"] for sid, call in here.kept().items()}
        assert reasons == {moved: "transferred", closed: "hung-up-by-operator"}
        assert [caller.verdict() for caller in callers] == [[], []]


async def test_a_transfer_that_twilio_refuses_gives_the_caller_back_to_the_agent(
    tmp_path: Path,
) -> None:
    script = [reply(440.0), reply(700.0)]
    async with (
        twilio_api(status=400) as api,
        service(tmp_path, script, twilio_api_url=api.url) as here,
        asyncio.TaskGroup() as tasks,
    ):
        steps = person(WaitForAgent(silence_ms=2000), HangUp())
        call = tasks.create_task(here.by_twilio(steps, begun=api.knows))
        await here.responses_done(1)
        call_id = (await here.live())[0]["call_id"]
        assert await here.act(call_id, "transfer", destination="billing") == 202
        caller = await call
        await here.over()

        assert len(api.posted) == 1
        assert share_of(700.0, heard_by(caller)) > 0.2
        assert caller.verdict() == here.models.verdict() == []
        (kept,) = here.kept().values()
        assert kept["ending"]["reason"] == "caller-hung-up"


# --- Side by side -----------------------------------------------------------------------

AGENTS = (430.0, 570.0, 710.0, 850.0)
CALLERS = (1030.0, 1170.0, 1310.0, 1450.0)


async def test_calls_side_by_side_never_mix(tmp_path: Path) -> None:
    scripts = [[reply(hz), reply(hz)] for hz in AGENTS]
    async with service(tmp_path, *scripts) as here, asyncio.TaskGroup() as tasks:
        calls: list[asyncio.Task[Any]] = []
        for number, hz in enumerate(CALLERS):
            place = here.by_twilio if number % 2 else here.by_audiocodes
            calls.append(tasks.create_task(place(chat(hz), number)))
            await here.models.opened(number + 1)
        callers = [await call for call in calls]

        for number, (caller, session) in enumerate(zip(callers, here.models.sessions, strict=True)):
            assert caller.verdict() == session.verdict() == []
            _is_only(AGENTS, number, heard_by(caller))
            (turn,) = [e for e in session.conversation.entries if e.item["role"] == "user"]
            sound = bytes(turn.audio)
            pcm = pcmu_decode(sound) if turn.format == PCMU_8K else sound
            _is_only(CALLERS, number, pcm, turn.format.rate_hz)


def _is_only(tones: tuple[float, ...], which: int, pcm: bytes, rate_hz: int = 24_000) -> None:
    shares = [share_of(hz, pcm, rate_hz) for hz in tones]
    assert shares.pop(which) > 0.9
    assert max(shares) < 0.001


# --- What is counted --------------------------------------------------------------------


async def test_what_a_call_was_can_be_read_off_the_metrics(tmp_path: Path) -> None:
    script = [reply(440.0), reply(570.0, 9000), reply(710.0)]
    async with service(tmp_path, script) as here:
        steps = (LISTEN, line(1000.0), Interrupt(600, line(1170.0)), LISTEN)
        caller = await here.by_twilio(person(*steps, HangUp()))
        await here.over()
        metrics = await here.metrics()

        assert caller.verdict() == here.models.verdict() == []
        assert metrics.by("telephony", "calls_active") == {"twilio": 0, "audiocodes": 0}
        ended = {"telephony": "twilio", "outcome": "completed", "reason": "caller-hung-up"}
        assert metrics.value("calls_total", **ended) == 1
        assert metrics.by("reason", "response_requests_total") == {"greeting": 1, "turn": 2}
        assert metrics.by("status", "responses_total") == {"completed": 2, "cancelled": 1}
        assert metrics.value("barge_ins_total") == metrics.value("truncations_total") == 1
        assert metrics.value("turn_latency_seconds_count") == 2
        assert 0.0 < metrics.value("turn_latency_seconds_sum") < 6.0
        assert metrics.value("tokens_total", kind="output_audio") > 0
        quiet = {"response_conflicts_total", "invariant_violations_total", "pending_inputs_total"}
        assert quiet | {"pending_wait_seconds_count"} <= metrics.names
        assert metrics.value("response_conflicts_total") == 0
        assert metrics.value("invariant_violations_total") == 0
        assert metrics.by("peer", "bad_messages_total") == {}

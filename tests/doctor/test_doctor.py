"""The doctor finds what is wrong, names the cure, and says nothing that is private."""

import asyncio
import json
import os
import re
import sys
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path
from random import Random
from typing import Any

import pytest
import uvicorn
from fastapi import FastAPI, Request, WebSocket
from fastapi.responses import JSONResponse, PlainTextResponse

from opusbridge import web
from opusbridge.agent import Agent
from opusbridge.bridge import which
from opusbridge.config import Settings
from opusbridge.doctor import outside
from opusbridge.doctor.address import check_address
from opusbridge.doctor.examination import examine
from opusbridge.doctor.explanations import ENDINGS, ORDINARY, REFUSALS, TWILIO, explained
from opusbridge.doctor.findings import Finding, State
from opusbridge.doctor.here import check_agent, check_disk, check_doors, check_settings
from opusbridge.doctor.met import _refusal, check_endings, check_refusals
from opusbridge.doctor.model_session import _place, check_model
from opusbridge.doctor.outside import check_public_url
from opusbridge.doctor.twilio_account import check_twilio
from opusbridge.errors import REASONS, Outcome
from opusbridge.sim.model import Knobs, SimulatedModel
from opusbridge.sim.model_server import ModelServer, Upgrade
from opusbridge.web.server import listen
from tests.web.serving import ACCOUNT, AGENT, TOKEN, house, twilio

SECRET = "sk-never-to-be-printed"


def states(found: list[Finding]) -> list[State]:
    return [one.state for one in found]


# --- The model --------------------------------------------------------------------------


@asynccontextmanager
async def a_model(
    knobs: Knobs | None = None, keys: set[str] | None = None
) -> AsyncIterator[Settings]:
    """Settings that lead to a simulated model."""

    def make(upgrade: Upgrade) -> SimulatedModel:
        return SimulatedModel(
            knobs or Knobs(),
            Random(1),
            now=upgrade.now,
            query=upgrade.query,
            headers=upgrade.headers,
            unix_time=upgrade.unix_time,
            accepted_keys=keys,
        )

    async with ModelServer(make, "127.0.0.1", 0) as served:
        yield Settings.load(realtime_url=served.url, openai_api_key=SECRET)


async def test_a_model_that_takes_key_and_session_is_fine() -> None:
    async with a_model() as settings:
        assert (await check_model(settings, AGENT)).state is State.FINE


async def test_a_refused_key_is_told_with_its_cure_and_without_the_key() -> None:
    async with a_model(keys={"another"}) as settings:
        found = await check_model(settings, AGENT)

    assert found.state is State.FAILED
    assert "OPENAI_API_KEY" in found.cure
    assert SECRET not in f"{found}"


async def test_a_session_the_model_would_not_configure_is_found_before_the_first_call() -> None:
    agent = Agent(name="a", instructions="b", session={"output_modalities": ["smell"]})
    async with a_model() as settings:
        found = await check_model(settings, agent)

    assert found.state is State.FAILED
    assert "session" in found.what


async def test_a_model_that_is_not_there_is_told() -> None:
    with listen("127.0.0.1", 0) as free:
        port = free.getsockname()[1]
    found = await check_model(Settings.load(realtime_url=f"ws://127.0.0.1:{port}"), AGENT)

    assert found.state is State.FAILED
    assert found.what == f"127.0.0.1:{port} could not be reached, or hung up on us"
    assert "`opusbridge model`" in found.cure
    assert "OPUSBRIDGE_REALTIME_URL" in found.cure


@pytest.mark.parametrize(
    ("url", "place"),
    [
        ("wss://user:word@api.example.com/v1/realtime?key=x", ("api.example.com:443", False)),
        ("ws://[::1]:8090", ("[::1]:8090", True)),
        ("ws://localhost", ("localhost:80", True)),
    ],
)
def test_of_the_models_address_only_host_and_port_are_told(
    url: str, place: tuple[str, bool]
) -> None:
    assert _place(url) == place


# --- The way in -------------------------------------------------------------------------


async def test_the_way_in_is_walked_as_both_providers_walk_it() -> None:
    async with house(audiocodes_token=TOKEN, **twilio()) as at:
        found = await check_public_url(Settings.load(public_url=at.base, audiocodes_token=TOKEN))

    http, *rest = found
    assert (http.state, "https" in http.what) == (State.WARNING, True)
    assert states(rest) == [State.FINE] * 4


async def test_the_way_to_one_process_of_several_is_walked_as_twilio_walks_it() -> None:
    with listen("127.0.0.1", 0) as free:
        nowhere = f"http://127.0.0.1:{free.getsockname()[1]}"
    async with house(audiocodes_token=TOKEN, **twilio()) as at:
        urls = {"public_url": at.base, "audiocodes_token": TOKEN}
        found = await check_public_url(Settings.load(own_url=f"{at.base}/0", **urls))
        not_there = await check_public_url(Settings.load(own_url=nowhere, **urls))

    assert [(one.about, one.state) for one in found[-2:]] == [
        ("own URL", State.WARNING),
        ("own URL", State.FAILED),
    ]
    assert "something else answers" in found[-1].what, "the path was not taken off"
    assert "cannot be reached" in not_there[-1].what


async def test_another_token_over_there_is_found() -> None:
    async with house(audiocodes_token="the-token-of-before", **twilio()) as at:
        found = await check_public_url(Settings.load(public_url=at.base, audiocodes_token=TOKEN))

    assert found[-1].state is State.FAILED
    assert "token" in found[-1].what
    assert TOKEN not in f"{found}"


async def test_an_open_stream_is_worth_a_warning() -> None:
    async with house() as at:
        found = await check_public_url(Settings.load(public_url=at.base))

    assert [one.state for one in found if "Twilio" in one.about] == [State.WARNING]


@asynccontextmanager
async def somebody_else(
    answer: Callable[[Request], Any], on_socket: Callable[[WebSocket], Any] | None = None
) -> AsyncIterator[str]:
    """Another web server; what it answers to whatever it is asked, and does with sockets."""
    app, listening = FastAPI(), listen("127.0.0.1", 0)
    if on_socket is not None:
        app.add_api_websocket_route("/{path:path}", on_socket)
    app.add_api_route("/{path:path}", answer, methods=["GET", "POST"])
    config = uvicorn.Config(app, log_config=None, log_level="critical", lifespan="off")
    config.load()
    server = uvicorn.Server(config)
    server.lifespan = config.lifespan_class(config)
    await server.startup([listening])
    try:
        yield f"http://127.0.0.1:{listening.getsockname()[1]}"
    finally:
        for listener in server.servers:
            listener.close()
        for live in list(server.server_state.connections):
            live.shutdown()


async def test_a_page_of_somebody_else_is_not_taken_for_ours() -> None:
    async def welcome(request: Request) -> JSONResponse:
        return JSONResponse({"hello": "there"})

    async with somebody_else(welcome) as url:
        found = await check_public_url(Settings.load(public_url=url))

    assert states(found) == [State.WARNING, State.FAILED]
    assert "something else" in found[1].what


async def only_http(request: Request) -> JSONResponse:
    path = request.url.path
    bot_api = {"type": "ac-bot-api", "success": True}
    return JSONResponse({"status": "alive"} if path == "/healthz" else bot_api)


async def test_a_proxy_without_websockets_is_found() -> None:
    async with somebody_else(only_http) as url:
        found = await check_public_url(Settings.load(public_url=url, audiocodes_token=TOKEN))

    assert states(found[2:]) == [State.FAILED, State.FINE, State.FAILED]
    assert "Upgrade" in found[2].cure


async def test_a_proxy_that_holds_messages_back_is_not_waited_for_for_ever(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async def listen_only(socket: WebSocket) -> None:
        await socket.accept()
        while (await socket.receive())["type"] != "websocket.disconnect":
            pass

    monkeypatch.setattr(outside, "PATIENCE_SECONDS", 0.2)
    async with somebody_else(only_http, listen_only) as url, asyncio.timeout(5.0):
        found = await check_public_url(Settings.load(public_url=url, audiocodes_token=TOKEN))

    assert found[-1].state is State.FAILED
    assert "no answer within" in found[-1].what


@pytest.mark.parametrize("reason", ["full", "draining"])
async def test_a_serve_that_takes_no_calls_now_is_no_broken_proxy(reason: str) -> None:
    async with house(max_calls=1, audiocodes_token=TOKEN, **twilio()) as at:
        at.calls.draining = reason == "draining"
        assert at.calls.draining or at.calls.reserve()
        found = await check_public_url(Settings.load(public_url=at.base, audiocodes_token=TOKEN))

    assert (found[-1].about, found[-1].state) == ("AudioCodes' way in", State.WARNING)
    assert reason in found[-1].what


async def test_a_serve_that_was_started_without_the_secrets_of_now_is_found() -> None:
    secrets = {"audiocodes_token": TOKEN, "twilio_auth_token": TOKEN}
    async with house(host="0.0.0.0", public_url=PUBLIC) as at:
        found = await check_public_url(Settings.load(public_url=at.base, **secrets))
        unset = await check_public_url(Settings.load(public_url=at.base))

    twilio_there, *_, audiocodes_there = found[2:]
    assert states([twilio_there, audiocodes_there]) == [State.FAILED] * 2
    assert "started without OPUSBRIDGE_TWILIO_AUTH_TOKEN" in twilio_there.what
    assert "started without OPUSBRIDGE_AUDIOCODES_TOKEN" in audiocodes_there.what
    assert unset[-1].state is State.SKIPPED


async def test_a_proxy_of_the_environment_that_cannot_be_used_is_told_once_for_each_check(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for variable in ("HTTPS_PROXY", "ALL_PROXY"):
        monkeypatch.setenv(variable, "socks5://user:never-to-be-printed@127.0.0.1:1")
    for package in ("socksio", "python_socks"):
        monkeypatch.setitem(sys.modules, package, None)
    settings = Settings.load(
        openai_api_key=SECRET,
        public_url=PUBLIC,
        twilio_account_sid=ACCOUNT,
        twilio_auth_token=TOKEN,
    )

    here = check_settings(settings, "127.0.0.1", 8000)
    found = [here, *await check_public_url(settings), *await check_twilio(settings)]

    assert states(found) == [State.FAILED] * 3
    assert all("SOCKS" in one.what and "NO_PROXY" in f"{one}" for one in found[1:])
    assert "never-to-be-printed" not in f"{found}"


async def test_without_a_public_url_there_is_nothing_to_walk() -> None:
    assert states(await check_public_url(Settings.load())) == [State.SKIPPED]


# --- Twilio -----------------------------------------------------------------------------

PUBLIC = "https://voice.example.com"


def the_account(
    number: dict[str, Any], alerts: list[str], **account: Any
) -> Callable[[Request], Any]:
    async def answer(request: Request) -> JSONResponse:
        if request.headers["authorization"] != f"Basic {BASIC}":
            return JSONResponse({"code": 20003}, 401)
        if request.url.path.endswith("IncomingPhoneNumbers.json"):
            return JSONResponse({"incoming_phone_numbers": [number, {"voice_url": ""}]})
        if request.url.path == "/v1/Alerts":
            assert request.query_params["StartDate"]
            return JSONResponse({"alerts": [{"error_code": code} for code in alerts]})
        return JSONResponse({"status": "active", "type": "Full"} | account)

    return answer


BASIC = (
    "QUNmZWRjYmE5ODc2NTQzMjEwZmVkY2JhOTg3NjU0MzIxMDpvcHVzYnJpZGdlLXRlc3QtdG9rZW4tMDEyMzQ1Njc4OQ=="
)
OURS = {"voice_url": f"{PUBLIC}/twilio/voice", "voice_method": "POST"}


async def examined(answer: Callable[[Request], Any], token: str = TOKEN) -> list[Finding]:
    async with somebody_else(answer) as url:
        return await check_twilio(
            Settings.load(
                public_url=PUBLIC,
                twilio_account_sid=ACCOUNT,
                twilio_auth_token=token,
                twilio_api_url=url,
            )
        )


async def test_an_account_with_a_number_that_points_here_is_fine() -> None:
    assert states(await examined(the_account(OURS, []))) == [State.FINE] * 3


async def test_a_number_that_points_elsewhere_or_asks_by_get_is_found() -> None:
    elsewhere = await examined(the_account({"voice_url": "https://example.com"}, []))
    by_get = await examined(the_account(OURS | {"voice_method": "GET"}, []))

    assert (elsewhere[1].state, by_get[1].state) == (State.WARNING, State.FAILED)
    assert f"{PUBLIC}/twilio/voice" in elsewhere[1].cure


@pytest.mark.parametrize("field", ["voice_application_sid", "trunk_sid"])
async def test_a_number_whose_webhook_twilio_does_not_ask_is_found(field: str) -> None:
    _, found, _ = await examined(the_account(OURS | {field: "XX" + "0" * 32}, []))
    _, unset, _ = await examined(the_account(OURS | {field: ""}, []))

    assert found.state is State.WARNING
    assert field in found.what
    assert unset.state is State.FINE


async def test_numbers_that_are_not_shown_are_not_said_to_point_elsewhere() -> None:
    account = the_account(OURS, [])

    async def answer(request: Request) -> JSONResponse:
        if request.url.path.endswith("IncomingPhoneNumbers.json"):
            return JSONResponse({}, 503)
        found: JSONResponse = await account(request)
        return found

    _, numbers, _ = await examined(answer)

    assert numbers.state is State.SKIPPED
    assert "503" in numbers.what


async def test_what_twilios_debugger_complains_of_is_explained() -> None:
    found = await examined(the_account(OURS, ["31920", "31920", "99999"]))

    assert "31920, 2 times: the stream's upgrade" in found[2].what
    assert "99999" in found[3].cure


async def test_a_wrong_token_a_trial_and_a_closed_account_are_found() -> None:
    wrong = await examined(the_account(OURS, []), token="another-token")
    trial = await examined(the_account(OURS, [], type="Trial"))
    closed = await examined(the_account(OURS, [], status="suspended"))

    assert states(wrong) == [State.FAILED]
    assert trial[0].state is State.WARNING
    assert states(closed) == [State.FAILED]


async def test_what_is_not_set_up_is_not_asked() -> None:
    assert states(await check_twilio(Settings.load())) == [State.SKIPPED]
    (found,) = await check_twilio(Settings.load(twilio_auth_token=TOKEN))
    assert "OPUSBRIDGE_TWILIO_ACCOUNT_SID" in found.cure


# --- What was met -----------------------------------------------------------------------


async def test_refusals_met_at_run_time_are_explained() -> None:
    async with house(audiocodes_token=TOKEN, admin_token=TOKEN) as at:
        port = int(at.base.rsplit(":", 1)[1])
        settings = Settings.load(admin_token=TOKEN)
        assert states(await check_refusals(settings, "127.0.0.1", port)) == [State.FINE]
        with pytest.raises(Exception, match="401"):
            await at.upgrade("/audiocodes", {"Authorization": "Bearer another"})

        (found,) = await check_refusals(settings, "0.0.0.0", port)
        (not_ours,) = await check_refusals(Settings.load(), "127.0.0.1", port)

    (nowhere,) = await check_refusals(settings, "1:2", port)

    assert nowhere.state is State.SKIPPED
    assert "audiocodes: bad-token, once" in found.what
    assert "OPUSBRIDGE_AUDIOCODES_TOKEN" in found.cure
    assert not_ours.state is State.SKIPPED


@pytest.mark.parametrize(
    ("status", "text"),
    [
        (200, "ok"),
        (200, "<html><body>Welcome!</body></html>"),
        (200, '{"status": "alive"}'),
        (200, "# TYPE process_cpu_seconds counter\nprocess_cpu_seconds_total 1.0\n"),
        (200, ""),
        (404, "opusbridge_rejected_total 1\n"),
    ],
)
async def test_another_program_on_the_port_is_not_taken_for_serve(status: int, text: str) -> None:
    async def answer(request: Request) -> PlainTextResponse:
        return PlainTextResponse(text, status)

    async with somebody_else(answer) as url:
        (found,) = await check_refusals(Settings.load(), "127.0.0.1", int(url.rsplit(":", 1)[1]))

    assert found.state is State.SKIPPED
    assert found.what.startswith("something else answers on 127.0.0.1:")


def test_calls_that_ended_badly_are_explained(tmp_path: Path) -> None:
    settings = Settings.load(data_dir=tmp_path)
    assert states(check_endings(settings)) == [State.SKIPPED]

    day = tmp_path / "calls" / datetime.now(UTC).strftime("%Y-%m-%d")
    reasons = ["caller-hung-up", "text-mode", "text-mode", "not-answered", "of-another-version"]
    for number, reason in enumerate(reasons):
        (day / str(number)).mkdir(parents=True)
        text = json.dumps({"ending": {"outcome": "x", "reason": reason}})
        (day / str(number) / "call.json").write_text(text)
    (day / "0" / "transcript.json").write_text("not looked at")
    (day / "broken").mkdir()
    (day / "broken" / "call.json").write_text("{")

    found = check_endings(settings)

    assert [one.what.split(":")[0] for one in found] == [
        "text-mode, 2 times",
        "of-another-version, once",
    ]
    assert "voice streaming" in found[0].cure


def test_calls_whose_process_died_did_not_end_well(tmp_path: Path) -> None:
    settings = Settings.load(data_dir=tmp_path, max_call_seconds=3600)
    day = tmp_path / "calls" / datetime.now(UTC).strftime("%Y-%m-%d")
    for name, file, minutes in (
        ("killed", "flight.jsonl", 66),
        ("with half a file", "call.json", 66),
        ("under way", "flight.jsonl", 0),
        ("with another party", "flight.jsonl", 64),
    ):
        (day / name).mkdir(parents=True)
        (day / name / file).write_text("{")
        then = datetime.now(UTC).timestamp() - 60 * minutes
        os.utime(day / name / file, (then, then))
    (day / "just begun").mkdir()

    (found,) = check_endings(settings)

    assert found.state is State.WARNING
    assert found.what.startswith("2 calls left no call.json")


def test_calls_in_which_the_agent_never_spoke_did_not_end_well(tmp_path: Path) -> None:
    settings = Settings.load(data_dir=tmp_path)
    day = tmp_path / "calls" / datetime.now(UTC).strftime("%Y-%m-%d")

    def call(name: str, seconds: int, reason: str = "caller-hung-up", created: int = 0) -> Path:
        told = {
            "started_at": "2026-11-20T12:00:00.000+00:00",
            "ended_at": f"2026-11-20T12:00:{seconds:02}.000+00:00",
            "ending": {"outcome": "completed", "reason": reason},
            "responses": {"created": created},
        }
        (day / name).mkdir(parents=True)
        (day / name / "call.json").write_text(json.dumps(told))
        return day / name / "transcript.json"

    def words(transcript: Path, *speakers: str) -> None:
        transcript.write_text(json.dumps({"items": [{"speaker": who} for who in speakers]}))

    call("answered", 20, created=1)
    call("thought better of it", 2)
    call("by a key", 20, reason="transferred")
    words(call("greeted by a stored greeting", 20), "agent")
    call("with half a transcript", 20).write_text("{")
    call("unrecorded", 20)
    assert states(check_endings(settings)) == [State.FINE]

    words(call("unanswered", 20), "caller")
    (found,) = check_endings(settings)
    assert found.state is State.WARNING
    assert found.what == "one call in which the agent never said a word"


# --- Here -------------------------------------------------------------------------------


def test_a_tool_the_model_is_told_nothing_of_is_worth_a_warning(tmp_path: Path) -> None:
    source = (
        "from opusbridge import Agent, tool\n\n"
        "@tool\ndef look_up(order: str) -> str:\n    return order\n\n"
        'agent = Agent(name="shop", instructions="Sell.", tools=[look_up])\n'
    )
    (tmp_path / "shop.py").write_text(source)
    (found,), agent = check_agent(Settings.load(agent=str(tmp_path / "shop.py")))

    assert found.state is State.WARNING
    assert found.what == "shop: the model is not told what these tools are for: look_up"
    assert agent is not None


def test_a_destination_that_twilio_cannot_dial_is_worth_a_warning(tmp_path: Path) -> None:
    keys = """
name = "shop"
instructions = "Sell."
destinations = { billing = "tel:+1-555-010-0300", branch = "tel:112" }
"""
    (tmp_path / "shop.toml").write_text(keys)
    with_twilio = {"twilio_account_sid": "AC1", "agent": str(tmp_path / "shop.toml")}
    (found,), _ = check_agent(Settings.load(**with_twilio))

    assert found.state is State.WARNING
    assert found.what == "shop: Twilio cannot dial these destinations: branch"
    (found,), _ = check_agent(Settings.load(agent=with_twilio["agent"]))
    assert found.state is State.FINE


@pytest.mark.parametrize("taken", [{"twilio_auth_token": TOKEN}, {"allow_unauthenticated": True}])
def test_a_transfer_for_which_no_account_is_set_is_worth_a_warning(
    tmp_path: Path, taken: dict[str, Any]
) -> None:
    keys = """
name = "shop"
instructions = "Sell."
give_up = "transfer:branch"
destinations = { branch = "+15550100300" }
keys = { 0 = "transfer:branch", 9 = "hang_up" }
"""
    (tmp_path / "shop.toml").write_text(keys)
    agent = {"agent": str(tmp_path / "shop.toml")}
    (found,), _ = check_agent(Settings.load(**agent, **taken))

    assert found.state is State.WARNING
    assert found.what == "shop: Twilio transfers nobody without an account: give_up, keys.0"
    account = {"twilio_account_sid": "AC1", "twilio_auth_token": TOKEN}
    assert check_agent(Settings.load(**agent, **account))[0][0].state is State.FINE
    assert check_agent(Settings.load(**agent))[0][0].state is State.FINE  # nobody comes by Twilio


def test_each_of_an_agents_mistakes_is_named(tmp_path: Path) -> None:
    source = (
        "from opusbridge import Agent, tool\n\n"
        "@tool\ndef look_up(order: str) -> str:\n    return order\n\n"
        'agent = Agent(name="shop", instructions="Sell.", tools=[look_up],\n'
        '              destinations={"branch": "tel:112"}, keys={"0": "transfer:branch"})\n'
    )
    (tmp_path / "shop.py").write_text(source)
    shop = str(tmp_path / "shop.py")
    found, _ = check_agent(
        Settings.load(agent=shop, twilio_account_sid="AC1", allow_unauthenticated=True)
    )

    assert [one.what.rsplit(": ", 1)[1] for one in found] == ["look_up", "branch", "keys.0"]
    assert {one.state for one in found} == {State.WARNING}


def test_doors_that_nobody_can_use_are_named() -> None:
    found = check_doors(Settings.load(public_url=PUBLIC), "0.0.0.0", 8000)
    assert [one.what.split()[0] for one in found] == ["/audiocodes", "/twilio/voice", "/api"]

    assert states(check_doors(Settings.load(), "127.0.0.1", 8000)) == [State.FINE]
    (wide_open,) = check_doors(Settings.load(allow_unauthenticated=True), "127.0.0.1", 8000)
    assert "OPUSBRIDGE_ALLOW_UNAUTHENTICATED" in wide_open.cure
    (ajar,) = check_doors(Settings.load(audiocodes_token=TOKEN), "127.0.0.1", 8000)
    assert "OPUSBRIDGE_ADMIN_TOKEN" in ajar.cure


@pytest.mark.parametrize("named_by", ["setting", "agent"])
def test_a_webhook_that_is_closed_for_want_of_turn_detection_is_found(named_by: str) -> None:
    without, settings = {"turn_detection": "none"}, {"twilio_auth_token": TOKEN}
    set_there = settings if named_by == "agent" else settings | without
    agent = AGENT.model_copy(update=without if named_by == "agent" else {})

    (found,) = check_doors(Settings.load(**set_there), "127.0.0.1", 8000, agent)

    assert (found.state, found.what.split()[0]) == (State.WARNING, "/twilio/voice")
    assert "OPUSBRIDGE_TURN_DETECTION" in found.cure
    wide_open = Settings.load(**without, allow_unauthenticated=True)
    closed, _ = check_doors(wide_open, "127.0.0.1", 8000, agent)
    assert closed.what == found.what
    (fine,) = check_doors(Settings.load(**without), "127.0.0.1", 8000, agent)
    assert fine.state is State.FINE  # nobody means to use Twilio


def test_files_that_cannot_be_written_are_found(tmp_path: Path) -> None:
    assert check_disk(Settings.load(data_dir=tmp_path / "not" / "there")).state is not State.FAILED
    nothing_much = Settings.load(data_dir=tmp_path, record=False, flight=False)
    assert check_disk(nothing_much).state is State.SKIPPED
    nowhere = Settings.load(data_dir=Path("/proc/1/none"))
    assert check_disk(nowhere).state is State.FAILED
    assert check_disk(nowhere.replace(record=False, flight=False)).state is State.FAILED


@pytest.fixture
def closed_folder(tmp_path: Path) -> Iterator[Path]:
    """One that we may not look into, root or not."""
    folder, root = tmp_path / "closed", os.geteuid() == 0
    folder.mkdir(mode=0)
    if root:
        os.setresuid(65534, 65534, 0)
    yield folder
    if root:
        os.setresuid(0, 0, 0)
    folder.chmod(0o700)


def test_a_folder_of_another_user_is_told_and_nothing_breaks(closed_folder: Path) -> None:
    settings = Settings.load(data_dir=closed_folder / "data")

    assert "cannot be written" in check_disk(settings).what
    (calls,) = check_endings(settings)
    assert (calls.state, "may not look" in calls.what) == (State.SKIPPED, True)


@pytest.mark.parametrize("folder", ["file", "file/below", "link"])
def test_files_cannot_be_kept_in_what_is_no_folder(tmp_path: Path, folder: str) -> None:
    (tmp_path / "file").touch()
    (tmp_path / "link").symlink_to(tmp_path / "gone")

    found = check_disk(Settings.load(data_dir=tmp_path / folder))

    assert (found.state, found.cure) == (State.FAILED, "name a folder")


@pytest.mark.parametrize(("name", "value"), [("capacity_file", "absent.json"), ("sockets", "fast")])
def test_settings_that_serve_refuses_are_not_called_fine(
    name: str, value: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(which, "version", lambda package: "0.1")  # not one that we know
    settings = Settings.load(openai_api_key=SECRET, **{name: value})

    found = check_settings(settings, "127.0.0.1", 8000)

    assert found.state is State.FAILED
    assert f"OPUSBRIDGE_{name.upper()}" in found.what


async def test_an_address_that_serve_cannot_have_is_told_with_the_cause() -> None:
    elsewhere = await check_address("203.0.113.9", 8000)
    assert (elsewhere.state, elsewhere.about) == (State.FAILED, "address")
    assert "cannot listen on 203.0.113.9:8000: Cannot assign" in elsewhere.what

    with listen("127.0.0.1", 0) as free:
        port = free.getsockname()[1]
    assert (await check_address("127.0.0.1", port)).state is State.FINE


async def test_an_address_is_taken_unless_it_is_by_serve() -> None:
    async with house() as at:
        ours = await check_address("127.0.0.1", int(at.base.rsplit(":", 1)[1]))
    assert ours.state is State.FINE
    assert "runs" in ours.what

    async def answer(request: Request) -> PlainTextResponse:
        return PlainTextResponse("ok")

    async with somebody_else(answer) as url:
        theirs = await check_address("127.0.0.1", int(url.rsplit(":", 1)[1]))
    assert theirs.state is State.FAILED
    assert "in use" in theirs.what
    assert "end the program" in theirs.cure


async def test_settings_that_cannot_be_read_are_the_first_and_last_finding() -> None:
    found = [one async for one in examine("127.0.0.1", 8000, port_of_call="Naples")]
    assert states(found) == [State.FAILED]


async def test_everything_is_looked_at_in_order(tmp_path: Path) -> None:
    async with a_model() as settings:
        given = {"realtime_url": settings.realtime_url, "openai_api_key": SECRET}
        given["data_dir"] = str(tmp_path)
        with listen("127.0.0.1", 0) as free:
            port = free.getsockname()[1]
        found = [one async for one in examine("127.0.0.1", port, **given)]

    assert State.FAILED not in states(found)
    assert [one.about for one in found] == [
        "settings",
        "address",
        "agent",
        "doors",
        "files",
        "model",
        "public URL",
        "Twilio",
        "refusals",
        "recent calls",
    ]


async def test_the_doctors_own_knocking_is_not_among_the_refusals_it_tells(
    tmp_path: Path,
) -> None:
    """An upgrade without a signature is how it tries Twilio's way in: refused, and counted."""
    async with house(admin_token=TOKEN, **twilio()) as at, a_model() as settings:
        given = {"realtime_url": settings.realtime_url, "openai_api_key": SECRET}
        given |= {"admin_token": TOKEN, "public_url": at.base, "data_dir": str(tmp_path)}
        port = int(at.base.rsplit(":", 1)[1])
        first = [one async for one in examine("127.0.0.1", port, **given)]
        second = [one async for one in examine("127.0.0.1", port, **given)]

    (met,) = (one for one in first if one.about == "refusals")
    (met_again,) = (one for one in second if one.about == "refusals")
    assert (met.state, met_again.state) == (State.FINE, State.WARNING)
    assert "bad-signature, once" in met_again.what


# --- The words --------------------------------------------------------------------------


def test_every_explanation_is_of_something_that_exists() -> None:
    assert set(ENDINGS) <= set(REASONS)
    assert {one.partition(":")[2] or one for one in REFUSALS} <= counted_refusals()
    assert all(one.meaning and one.cure for one in [*TWILIO.values(), *REFUSALS.values()])


def counted_refusals() -> set[str]:
    """Every slug that the doors count or answer, as their code has it."""
    made = r'(?:Refusal|_error)\([^)"]+"([a-z-]+)"(?: if [^)]* else "([a-z-]+)")?[,)]'
    closed = r'return "((?:[a-z]+-)*[a-z]+)"'
    slugs: set[str] = set()
    for path in Path(web.__path__[0]).glob("*.py"):
        patterns = [made] + [closed] * (path.name in ("announced.py", "telephony.py"))
        for found in (one for what in patterns for one in re.finditer(what, path.read_text())):
            slugs |= set(filter(None, found.groups()))
    return slugs - {"no-type", "media-before-start", "out-of-order"}  # kinds of bad messages


def test_every_refusal_and_every_bad_ending_that_is_counted_is_explained() -> None:
    assert len(counted_refusals()) > 20
    assert counted_refusals() <= set(REFUSALS)
    assert set(ENDINGS).isdisjoint(ORDINARY)
    assert {one for one in ENDINGS if REASONS[one] is Outcome.COMPLETED} == set()


@pytest.mark.parametrize("reason", REASONS)
def test_every_ending_is_explained(reason: str) -> None:
    assert explained(reason)["an ending"] is (ENDINGS.get(reason) or ORDINARY[reason])


def test_a_word_that_means_several_things_is_explained_as_each() -> None:
    assert explained("no-start") == {
        "an ending": ENDINGS["no-start"],
        "a refusal": REFUSALS["no-start"],
    }
    stream = {"a refusal at twilio-media": REFUSALS["twilio-media:bad-token"]}
    assert explained("bad-token") == {"a refusal": REFUSALS["bad-token"], **stream}
    assert explained("twilio-media:bad-token") == stream


def test_a_token_means_another_thing_at_another_door() -> None:
    (stream,) = (one for one in REFUSALS if ":" in one)

    assert _refusal("refusals", "twilio-media", "bad-token", 1).cure == REFUSALS[stream].cure
    assert _refusal("refusals", "audiocodes", "bad-token", 1).cure == REFUSALS["bad-token"].cure
    for door, secret in (("audiocodes", "AUDIOCODES_TOKEN"), ("api", "ADMIN_TOKEN")):
        cure = _refusal("refusals", door, "bad-token", 1).cure
        assert cure is not None
        assert f"OPUSBRIDGE_{secret}" in cure


def test_a_word_is_understood_however_it_was_copied() -> None:
    assert list(explained(" `31951` ").values()) == [TWILIO["31951"]]
    assert list(explained("Bad-Signature").values()) == [REFUSALS["bad-signature"]]
    assert explained("nothing of ours") == {}

"""The commands that stay: what they say when they are up, and how they go."""

import asyncio
import json
import os
import shlex
import signal
import sys
import time
from pathlib import Path
from random import Random
from typing import Any

import httpx2
import pytest
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import InvalidStatus

from opusbridge.sim.callers import HangUp, Person, SimulatedAudioCodes, Wait, WaitForAgent
from opusbridge.sim.model_server import ModelServer
from opusbridge.sim.sockets import place_call
from tests.cli.running import environment, listening_on, running

pytestmark = pytest.mark.slow


async def test_the_model_serves_anyone_until_ctrl_c(tmp_path: Path) -> None:
    with running("model", "--port", "0", env=environment(), cwd=tmp_path) as process:
        assert process.stdout is not None
        url = process.stdout.readline().split()[-1]
        headers = {"Authorization": "Bearer any"}
        async with connect(f"{url}?model=gpt-realtime", additional_headers=headers) as socket:
            created = json.loads(await socket.recv())
        process.send_signal(signal.SIGINT)
        _, err = await asyncio.to_thread(process.communicate, timeout=30)

    assert created["type"] == "session.created"
    assert (process.returncode, err) == (0, "")


async def test_the_model_says_what_a_script_of_ones_own_has_for_it(tmp_path: Path) -> None:
    (tmp_path / "own.toml").write_text(
        '[caller]\nsteps = [{ say = "opening-hours" }]\n'
        '[model]\nreplies = [{ text = "Ahoy." }, { text = "Aye." }]\n'
        'faults = [{ response = 1, kind = "incomplete" }]\n',
        "utf-8",
    )
    given = ("--script", "own.toml", "--port", "0")
    with running("model", *given, env=environment(), cwd=tmp_path) as process:
        assert process.stdout is not None
        url = process.stdout.readline().split()[-1]
        async with connect(f"{url}?model=gpt-realtime") as socket:
            done = [await answered(socket) for _ in range(2)]

    assert [one["status"] for one in done] == ["incomplete", "completed"]
    assert done[1]["output"][0]["content"][0]["transcript"] == "Aye."


async def answered(socket: ClientConnection) -> dict[str, Any]:
    """What a client is told at the end of the response that it asks for."""
    await socket.send('{"type": "response.create"}')
    while (event := json.loads(await socket.recv()))["type"] != "response.done":
        assert event["type"] != "error", event
    response: dict[str, Any] = event["response"]
    return response


async def test_the_models_hint_works_when_it_is_pasted(tmp_path: Path) -> None:
    # As for somebody who calls the command by its path, without a virtual environment active.
    env = environment(PATH=os.defpath, OPUSBRIDGE_LOG_FORMAT="json")
    with running("model", "--host", "0.0.0.0", "--port", "0", env=env, cwd=tmp_path) as process:
        assert process.stdout is not None
        hint = [process.stdout.readline() for _ in range(2)][-1].removeprefix("try it: ").strip()
        setting, _, command = hint.partition(" ")
        name, _, url = setting.partition("=")
        assert shlex.split(command) == [sys.executable, "-m", "opusbridge", "serve"]

        env |= {name: url, "OPUSBRIDGE_DATA_DIR": str(tmp_path)}
        with running("serve", "--port", "0", env=env, cwd=tmp_path) as bridge:
            port, _ = listening_on(bridge)
            caller = SimulatedAudioCodes(Person([WaitForAgent(), HangUp()]), "call-1", Random(1))
            await place_call(caller, f"ws://127.0.0.1:{port}/audiocodes")
            bridge.send_signal(signal.SIGTERM)  # the files are complete when it has ended
            await asyncio.to_thread(bridge.wait, timeout=30)

    assert caller.verdict() == []
    # It was the model that spoke, without anybody's key, and no stored apology.
    assert only_call(tmp_path)["responses"]["completed"] == 1


def only_call(data_dir: Path) -> dict[str, Any]:
    (kept,) = data_dir.glob("calls/*/*/call.json")
    found: dict[str, Any] = json.loads(kept.read_text())
    return found


async def test_off_loopback_every_door_without_a_secret_is_closed(tmp_path: Path) -> None:
    env = environment(OPENAI_API_KEY="sk-any", OPUSBRIDGE_LOG_FORMAT="json")
    with running("serve", "--host", "0.0.0.0", "--port", "0", env=env, cwd=tmp_path) as process:
        port, _ = listening_on(process)
        base = f"127.0.0.1:{port}"
        async with httpx2.AsyncClient(base_url=f"http://{base}", trust_env=False) as http:
            alive = (await http.get("/healthz")).status_code
            refused = [
                (await http.get("/metrics")).status_code,
                (await http.get("/api/calls")).status_code,
                (await http.post("/twilio/voice", data={"CallSid": "CA1"})).status_code,
                (await http.post("/twilio/after", data={"CallSid": "CA1"})).status_code,
            ]
        for path in ("/audiocodes", "/twilio/media"):
            with pytest.raises(InvalidStatus) as denied:
                await connect(f"ws://{base}{path}", proxy=None)
            refused.append(denied.value.response.status_code)
        process.send_signal(signal.SIGTERM)
        _, err = await asyncio.to_thread(process.communicate, timeout=30)

    assert (alive, refused) == (200, [403] * 6)
    assert process.returncode == 0
    lines = [json.loads(line) for line in err.splitlines()]
    warned = [line["endpoint"] for line in lines if line["event"] == "endpoint closed"]
    assert sorted(warned) == [
        *("/api", "/audiocodes", "/metrics"),
        *("/twilio/after", "/twilio/media", "/twilio/voice"),
    ]


async def test_a_port_that_is_taken_is_refused_in_one_line(tmp_path: Path) -> None:
    env = environment(OPENAI_API_KEY="sk-any", OPUSBRIDGE_LOG_FORMAT="json")
    with running("serve", "--port", "0", env=env, cwd=tmp_path) as first:
        port, before = listening_on(first)
        with running("serve", "--port", str(port), env=env, cwd=tmp_path) as second:
            _, err = await asyncio.to_thread(second.communicate, timeout=30)

    assert before == []
    assert second.returncode == 2
    (line,) = err.splitlines()
    assert line.startswith("opusbridge: cannot listen on 127.0.0.1")


SLOW_AGENT = """
import time
from opusbridge import Agent

async def on_end(outcome):
    open("told", "w").close()
    time.sleep(8)  # and nothing else goes on meanwhile

agent = Agent(name="slow", instructions="Be kind.", greeting="Say hello.", on_end=on_end)
"""


@pytest.mark.parametrize("after", ["the signal", "the end of the call"])
async def test_ctrl_c_twice_waits_for_nobodys_hook(tmp_path: Path, after: str) -> None:
    (tmp_path / "slow.py").write_text(SLOW_AGENT)
    async with ModelServer() as model:
        keys = {"OPENAI_API_KEY": "sk-any", "OPUSBRIDGE_REALTIME_URL": model.url}
        env = environment(**keys, OPUSBRIDGE_LOG_FORMAT="json")
        words = ("serve", "--port", "0", "--agent", "slow.py")
        with running(*words, env=env, cwd=tmp_path) as process:
            port, _ = listening_on(process)
            caller = SimulatedAudioCodes(Person([WaitForAgent(), Wait(30.0)]), "call-1", Random(1))
            talking = asyncio.create_task(place_call(caller, f"ws://127.0.0.1:{port}/audiocodes"))
            while not caller.heard:
                assert process.poll() is None
                await asyncio.sleep(0.05)
            process.send_signal(signal.SIGINT)
            await asyncio.sleep(0.1)  # two at the same time are one
            while after == "the end of the call" and not (tmp_path / "told").exists():
                assert process.poll() is None
                await asyncio.sleep(0.05)
            process.send_signal(signal.SIGINT)
            began = time.monotonic()
            await asyncio.to_thread(process.wait, timeout=30)
            took = time.monotonic() - began
            talking.cancel()
            await asyncio.gather(talking, return_exceptions=True)

    assert process.returncode == 0
    assert took < 6, "half a second, on a machine with nothing else to do; the hook takes eight"
    if after == "the end of the call":  # else the files may have been given up, too
        ending = only_call(tmp_path / "opusbridge-data")["ending"]
        assert ending["reason"] in {"cancelled", "drained"}


async def test_ctrl_c_twice_is_nothing_to_complain_of(tmp_path: Path) -> None:
    async with ModelServer() as model:
        keys = {"OPENAI_API_KEY": "sk-any", "OPUSBRIDGE_REALTIME_URL": model.url}
        env = environment(**keys, OPUSBRIDGE_LOG_FORMAT="json")
        with running("serve", "--port", "0", env=env, cwd=tmp_path) as process:
            port, _ = listening_on(process)
            caller = SimulatedAudioCodes(Person([WaitForAgent(), Wait(30.0)]), "call-1", Random(1))
            talking = asyncio.create_task(place_call(caller, f"ws://127.0.0.1:{port}/audiocodes"))
            while not caller.heard:
                assert process.poll() is None
                await asyncio.sleep(0.05)
            process.send_signal(signal.SIGINT)
            await asyncio.sleep(0.1)  # two at the same time are one
            process.send_signal(signal.SIGINT)
            _, err = await asyncio.to_thread(process.communicate, timeout=30)
            talking.cancel()
            await asyncio.gather(talking, return_exceptions=True)

    assert process.returncode == 0
    lines = [json.loads(line) for line in err.splitlines()]
    assert [line for line in lines if line["level"] == "error"] == []
    assert lines[-1]["event"] == "call ended"


async def test_whoever_does_not_read_the_log_stops_nobody(tmp_path: Path) -> None:
    token = "opusbridge-test-token-0123456789"
    keys = {"OPENAI_API_KEY": "sk-any", "OPUSBRIDGE_ADMIN_TOKEN": token}
    env = environment(**keys, OPUSBRIDGE_LOG_FORMAT="json")
    with running("serve", "--port", "0", env=env, cwd=tmp_path) as process:
        port, _ = listening_on(process)
        async with httpx2.AsyncClient(trust_env=False, timeout=5.0) as http:
            for _ in range(600):  # a line each; a pipe holds some four hundred
                await http.get(f"http://127.0.0.1:{port}/api/calls")
            alive = await http.get(f"http://127.0.0.1:{port}/healthz")
        process.send_signal(signal.SIGTERM)
        await asyncio.to_thread(process.wait, timeout=30)

    assert (alive.status_code, process.returncode) == (200, 0)


FORGETFUL_AGENT = """
import asyncio, time
from opusbridge import Agent

async def on_end(outcome):
    loop = asyncio.get_running_loop()
    for _ in range(40):  # all of asyncio's threads
        loop.run_in_executor(None, time.sleep, 60)

agent = Agent(name="any", instructions="Be kind.", greeting="Say hello.", on_end=on_end)
"""


async def test_what_an_agent_left_behind_does_not_keep_the_process(tmp_path: Path) -> None:
    (tmp_path / "forgetful.py").write_text(FORGETFUL_AGENT)
    async with ModelServer() as model:
        keys = {"OPENAI_API_KEY": "sk-any", "OPUSBRIDGE_REALTIME_URL": model.url}
        env = environment(**keys, OPUSBRIDGE_LOG_FORMAT="json")
        words = ("serve", "--port", "0", "--agent", "forgetful.py")
        with running(*words, env=env, cwd=tmp_path) as process:
            port, _ = listening_on(process)
            caller = SimulatedAudioCodes(Person([WaitForAgent(), HangUp()]), "call-1", Random(1))
            await place_call(caller, f"ws://127.0.0.1:{port}/audiocodes")
            process.send_signal(signal.SIGTERM)
            began = time.monotonic()
            await asyncio.to_thread(process.wait, timeout=30)
            took = time.monotonic() - began

    assert process.returncode == 0
    assert took < 20, "three seconds, on a machine with nothing else to do"


def under(process_id: int) -> list[int]:
    """The processes that it has started and that are there."""
    listed = Path(f"/proc/{process_id}/task/{process_id}/children").read_text().split()
    return list(map(int, listed))


def is_there(process_id: int) -> bool:
    return Path(f"/proc/{process_id}").exists()


@pytest.mark.skipif(sys.platform != "linux", reason="bench needs Linux")
async def test_bench_leaves_nobody_behind_when_it_is_told_to_end(tmp_path: Path) -> None:
    words = ("bench", "--calls", "2", "--seconds", "60", "--no-record")
    with running(*words, env=environment(), cwd=tmp_path) as process:
        while len(started := under(process.pid)) < 3:  # model, bridge and callers
            assert process.poll() is None
            await asyncio.sleep(0.05)
        process.send_signal(signal.SIGTERM)
        _, err = await asyncio.to_thread(process.communicate, timeout=30)

    assert process.returncode == 130
    assert "Traceback" not in err
    assert [one for one in started if is_there(one)] == []


@pytest.mark.parametrize(("number", "status"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
@pytest.mark.parametrize(
    "words",
    [
        ("call", "plain-turns", "opening-hours", "--out", "kept", "--junit", "results.xml"),
        ("demo", "--out", "kept"),
    ],
    ids=lambda words: words[0],
)
def test_a_call_that_is_cut_off_is_over_at_once_and_not_reported(
    words: tuple[str, ...], number: int, status: int, tmp_path: Path
) -> None:
    env = environment(TMPDIR=str(tmp_path))
    with running(*words, env=env, cwd=tmp_path) as process:
        while not list(tmp_path.glob("kept/**/flight.jsonl")):  # the call is under way
            assert process.poll() is None
            time.sleep(0.05)
        told = time.monotonic()
        process.send_signal(number)
        out, err = process.communicate(timeout=30)
        took = time.monotonic() - told

    assert (process.returncode, err) == (status, "")
    assert took < 5, "half a second, on a machine with nothing else to do; the calls take thirty"
    assert "as expected" not in out
    assert "opening-hours" not in out, "the next call is not placed"
    assert [one.name for one in tmp_path.iterdir()] == ["kept"], "neither results nor scratch files"

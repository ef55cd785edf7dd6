"""The server of docs/topics/embedding.md, as it stands there, carries a call."""

import asyncio
import re
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import uvicorn

from opusbridge.sim.script import parse
from opusbridge.testing import simulated_caller, simulated_model

PAGE = Path(__file__).resolve().parents[2] / "docs" / "topics" / "embedding.md"

TALK = """
caller.steps = [
    { wait_for_agent = true },
    { say = "where-is-my-order" },
    { wait_for_agent = true },
    { hang_up = true },
]
expect.latency = 3.0
"""


@pytest.fixture
def own_server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """Its address; a simulated model is behind it."""
    found = re.search(r"```python\n(# own_server\.py\n.*?)```", PAGE.read_text("utf-8"), re.DOTALL)
    assert found is not None
    with simulated_model() as model:
        monkeypatch.chdir(tmp_path)
        monkeypatch.setenv("OPUSBRIDGE_REALTIME_URL", model.url)
        monkeypatch.setenv("OPENAI_API_KEY", "any")
        made: dict[str, Any] = {"__name__": "own_server"}
        exec(compile(found[1], "own_server.py", "exec"), made)
        server = uvicorn.Server(uvicorn.Config(made["app"], port=0, log_config=None))
        running = threading.Thread(target=lambda: asyncio.run(server.serve()), daemon=True)
        running.start()
        while not server.started:
            assert running.is_alive()
            time.sleep(0.01)
        yield f"ws://127.0.0.1:{server.servers[0].sockets[0].getsockname()[1]}"
        server.should_exit = True
        running.join(10)
        assert model.violations == []


@pytest.mark.slow
def test_it_carries_a_call(own_server: str, capsys: pytest.CaptureFixture[str]) -> None:
    script = parse(TALK, "talk")
    result = simulated_caller(own_server, script, telephony="audiocodes")

    assert result.failures == []
    assert result.problems == []
    said, deadline = "", time.monotonic() + 5
    while not said.endswith(" caller-hung-up\n") and time.monotonic() < deadline:
        time.sleep(0.05)
        said += capsys.readouterr().out
    assert re.fullmatch(r"[0-9a-f]{32} caller-hung-up", said.splitlines()[-1])

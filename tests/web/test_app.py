"""What the service says of itself when it begins, and where; and what it closes in the end."""

import json
import logging
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NoReturn

import httpx2
import pytest
import structlog
from prometheus_client import CollectorRegistry
from starlette.applications import Starlette
from structlog.testing import capture_logs

from opusbridge import Agent, Settings, create_app, tool
from opusbridge.bridge.metrics import Metrics
from opusbridge.web.app import assemble
from opusbridge.web.calls import Calls
from tests.web.serving import AGENT, PUBLIC, twilio

ADMIN = "opusbridge-test-admin-0123456789"


@tool
def find(order: str) -> str:
    """Find it."""
    return order


@tool
def drop(order: str) -> str:
    return order


async def test_a_tool_of_which_the_model_is_told_nothing_is_in_the_log_once_it_serves() -> None:
    agent = Agent(name="shop", instructions="Be brief.", tools=[find, drop])
    app: Starlette = create_app(Settings.load(), agent)
    with capture_logs() as lines:
        async with app.router.lifespan_context(app):
            pass

    (line,) = (one for one in lines if "tool" in one)
    assert line["event"] == "the model is not told what a tool is for: no docstring"
    assert (line["log_level"], line["tool"]) == ("warning", "drop")


@pytest.mark.parametrize(
    ("given", "warned"),
    [
        ({}, True),
        ({"openai_api_key": "sk-test"}, False),
        ({"realtime_url": "ws://127.0.0.1:8090"}, False),
    ],
)
def test_a_key_that_is_missing_is_in_the_log_before_anybody_calls(
    given: dict[str, Any], warned: bool
) -> None:
    create_app(Settings.load())  # from now on logging is set up
    with capture_logs() as lines:
        create_app(Settings.load(**given))

    told = [one["log_level"] for one in lines if "OPENAI_API_KEY" in one["event"]]
    assert told == ["warning"] * warned


@pytest.mark.parametrize("secrets", [{}, {"twilio_auth_token": "t", "public_url": PUBLIC}])
async def test_each_closed_endpoint_is_in_the_log_once(secrets: dict[str, Any]) -> None:
    quiet = Agent(name="quiet", instructions="Be brief.", turn_detection="none")
    app: Starlette = create_app(Settings.load(**secrets), quiet, host="0.0.0.0")
    with capture_logs() as lines:
        async with app.router.lifespan_context(app):
            pass

    closed = [(one["endpoint"], one["reason"]) for one in lines if "endpoint" in one]
    assert len({endpoint for endpoint, _ in closed}) == len(closed)
    assert ("/twilio/voice", "turn detection is none") in closed


async def test_a_transfer_that_nobody_could_make_is_in_the_log_once_it_serves() -> None:
    there = {"branch": "+15550100300"}
    agent = Agent(name="a", instructions="b", give_up="transfer:branch", destinations=there)
    app: Starlette = create_app(Settings.load(twilio_auth_token="t"), agent)
    with capture_logs() as lines:
        async with app.router.lifespan_context(app):
            pass

    (line,) = (one for one in lines if "transfers nobody" in one["event"])
    assert (line["log_level"], line["about"]) == ("warning", "give_up")


@pytest.mark.parametrize(
    ("public_url", "api_url", "status"),
    [
        (None, "https://api.twilio.com", 422),
        (None, "http://127.0.0.1:9", 202),  # a pretended Twilio on this machine can
        (PUBLIC, "http://127.0.0.1:9", 202),
    ],
)
async def test_no_call_is_ordered_that_twilio_could_not_ask_us_about(
    tmp_path: Path, public_url: str | None, api_url: str, status: int
) -> None:
    values = twilio(public_url=public_url, twilio_api_url=api_url, data_dir=tmp_path)
    app = create_app(Settings.load(**values, openai_api_key="k", admin_token=ADMIN), AGENT)
    async with (
        app.router.lifespan_context(app),
        httpx2.AsyncClient(transport=httpx2.ASGITransport(app), base_url="http://local") as http,
    ):
        answer = await http.post(
            "/api/calls",
            json={"telephony": "twilio", "to": "+15550100001", "from": "+15550100002"},
            headers={"Authorization": f"Bearer {ADMIN}"},
        )

    assert answer.status_code == status
    assert answer.json().get("error") == ("not-set-up" if status == 422 else None)


async def test_what_all_calls_share_is_closed_even_if_the_service_breaks() -> None:
    def build(*_: object) -> NoReturn:
        raise AssertionError("nobody calls in this test")

    async def close() -> None:
        closed.append(True)

    closed: list[bool] = []
    registry = CollectorRegistry()
    app: Starlette = assemble(
        Settings.load(),
        Agent(name="shop", instructions="Be brief."),
        host="127.0.0.1",
        port=8000,
        calls=Calls(build, build),
        metrics=Metrics(registry),
        registry=registry,
        on_close=close,
    )

    with pytest.raises(ExceptionGroup):
        async with app.router.lifespan_context(app):
            raise ZeroDivisionError
    assert closed == [True]
    assert not app.state.calls.welcome


# --- Logging ----------------------------------------------------------------------------


@contextmanager
def no_handlers() -> Iterator[None]:
    """As where nobody has set up logging; here pytest has."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(logging.getLogger(), "handlers", [])
        yield


def say_something() -> None:
    log = structlog.get_logger("opusbridge.test")
    log.warning("said", note="from +15550100300")
    log.info("not at this level")


def test_an_application_logs_as_its_settings_say(capsys: pytest.CaptureFixture[str]) -> None:
    with no_handlers():
        create_app(Settings.load(openai_api_key="k", log_format="json", log_level="warning"))
        say_something()

    (line,) = capsys.readouterr().err.splitlines()
    assert (json.loads(line)["event"], json.loads(line)["note"]) == ("said", "from <private>")


def test_an_application_keeps_the_structlog_of_who_runs_it() -> None:
    lines: list[str] = []

    def keep(logger: Any, method: str, line: Any) -> NoReturn:
        lines.append(line["event"])
        raise structlog.DropEvent

    structlog.configure(processors=[keep])
    with no_handlers():
        create_app(Settings.load(openai_api_key="k", log_level="warning"))
        say_something()
        assert logging.getLogger().handlers == []

    assert lines == ["said", "not at this level"]


@pytest.mark.parametrize("log_format", ["text", "json"])
def test_an_application_logs_to_the_handlers_of_who_runs_it(
    log_format: str, caplog: pytest.LogCaptureFixture
) -> None:
    before = list(logging.getLogger().handlers)
    create_app(Settings.load(log_format=log_format, log_level="warning"))

    say_something()

    assert logging.getLogger().handlers == before
    (record,) = (one for one in caplog.records if one.name == "opusbridge.test")
    assert record.levelname == "WARNING"
    assert "said" in record.getMessage()
    assert "from <private>" in record.getMessage()


@pytest.mark.parametrize(("sid", "named"), [("AC1", ["branch"]), (None, [])])
async def test_a_destination_that_twilio_cannot_dial_is_in_the_log_before_anybody_calls(
    sid: str | None, named: list[str]
) -> None:
    places = {"billing": "tel:+1-555-010-0300", "branch": "tel:+15550100300;ext=5"}
    agent = Agent(name="shop", instructions="Be brief.", destinations=places)
    app: Starlette = create_app(Settings.load(twilio_account_sid=sid), agent)
    with capture_logs() as lines:
        async with app.router.lifespan_context(app):
            pass

    assert [one["destination"] for one in lines if "destination" in one] == named

"""Logs: every line one line, and nothing of the caller in any of them."""

import asyncio
import gc
import json
import logging
import re
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
import structlog

from opusbridge import logs
from opusbridge.errors import Outcome
from opusbridge.privacy import Private

NUMBER = "+15550100300"
Lines = Callable[[], list[dict[str, Any]]]


@pytest.fixture
def lines(capsys: pytest.CaptureFixture[str]) -> Lines:
    """Logging as JSON at debug level; the lines written since last asked."""
    logs.configure("json", "debug")
    return lambda: [json.loads(line) for line in capsys.readouterr().err.splitlines()]


def our_log() -> Any:
    return structlog.get_logger("opusbridge.test")


def test_a_line_says_what_where_and_when(lines: Lines) -> None:
    our_log().info("call began", telephony="twilio")

    (line,) = lines()
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT[\d:.]+Z", line.pop("timestamp"))
    assert line == {
        "event": "call began",
        "level": "info",
        "logger": "opusbridge.test",
        "telephony": "twilio",
    }


def test_text_is_one_line_too(capsys: pytest.CaptureFixture[str]) -> None:
    logs.configure("text", "info")

    our_log().info("call began", telephony="twilio", caller=Private(NUMBER))
    our_log().debug("not at this level")

    (line,) = capsys.readouterr().err.splitlines()
    assert "call began" in line
    assert "telephony=twilio" in line
    assert NUMBER not in line


async def test_lines_of_a_call_and_its_tasks_carry_its_id(lines: Lines) -> None:
    async def task() -> None:
        our_log().info("in the task")

    with logs.of_call("8f3a12345678"):
        await asyncio.create_task(task())
        logging.getLogger("uvicorn.error").info("in a library")
    our_log().info("after")

    assert [line.get("call_id") for line in lines()] == ["8f3a12345678", "8f3a12345678", None]


@pytest.mark.parametrize(
    ("facts", "shown"),
    [
        ({"item": Private("words")}, {"item": "<private>"}),
        ({"admin_token": "t"}, {"admin_token": "<private>"}),
        ({"Authorization": "Bearer t"}, {"Authorization": "<private>"}),
        ({"api-key": b"t"}, {"api-key": "<private>"}),
        ({"caller": NUMBER, "digits": 123}, {"caller": "<private>", "digits": "<private>"}),
        ({"input_tokens": 12}, {"input_tokens": 12}),
        ({"note": f"from {NUMBER}!"}, {"note": "from <private>!"}),
        ({"note": "from +1 (555) 010-0300"}, {"note": "from <private>"}),
        ({"note": "from 5550100"}, {"note": "from <private>"}),
        ({"note": "after 123456 ms"}, {"note": "after 123456 ms"}),
        ({"note": "10.20.30.40:50600"}, {"note": "10.20.30.40:50600"}),
        ({"item_id": "item_12345678"}, {"item_id": "item_12345678"}),
        ({"account_id": "15550100300"}, {"account_id": "<private>"}),
        ({"ids": ("resp_12345678",)}, {"ids": ["resp_12345678"]}),
        ({"headers": {"x-token": "t", "a": "b"}}, {"headers": {"x-token": "<private>", "a": "b"}}),
        ({"by_number": {NUMBER: 1}}, {"by_number": "<private>"}),
        ({"counts": {NUMBER: 1}}, {"counts": {"<private>": 1}}),
        ({"outcome": Outcome.CALLER}, {"outcome": "caller"}),
        ({"file": Path("a") / NUMBER}, {"file": "a/<private>"}),
        ({"what": object(), "raw": b"x"}, {"what": "<object>", "raw": "<bytes>"}),
        ({"error": ValueError(NUMBER)}, {"error": "<ValueError>"}),
        ({"yes": True, "none": None, "ms": 1.5}, {"yes": True, "none": None, "ms": 1.5}),
        ({"big": 2**70, "odd": "\ud83d"}, {"big": str(2**70), "odd": "\ufffd"}),
    ],
)
def test_what_a_fact_is_shown_as(
    lines: Lines, facts: dict[str, Any], shown: dict[str, Any]
) -> None:
    our_log().info("something", **facts)

    (line,) = lines()
    assert {name: line[name] for name in facts} == shown


def test_a_structure_that_contains_itself_has_an_end(lines: Lines) -> None:
    circle: list[Any] = [1]
    circle.append(circle)

    our_log().info("something", circle=circle, long=list(range(99)), longer="x" * 9_999)

    (line,) = lines()
    assert line["circle"] == [1, [1, [1, [1, "<list>"]]]]
    assert len(line["long"]) == 50
    assert len(line["longer"]) == 2_000


@pytest.mark.parametrize(
    "said",
    [
        f"call from {NUMBER}",
        "GET /audiocodes?From=%2B15550100300 HTTP/1.1",
        "> Authorization: Bearer s3cret-t0ken",
        "GET /twilio/media?token=s3cret-t0ken&a=b",
        'X-Twilio-Signature: "s3cret-t0ken"',
        "bearer s3cret-t0ken",
        "the key sk-proj-s3cret-t0ken is wrong",
    ],
)
def test_a_librarys_line_is_cleaned_as_ours_is(lines: Lines, said: str) -> None:
    logging.getLogger("uvicorn.error").warning("%s", said)

    (line,) = lines()
    assert "<private>" in line["event"]
    assert not re.search("15550100300|s3cret|t0ken", json.dumps(line))
    assert (line["level"], line["logger"]) == ("warning", "uvicorn.error")


@pytest.mark.parametrize(
    ("library", "level"),
    [
        ("uvicorn.error", logging.DEBUG),
        ("websockets.client", logging.DEBUG),
        ("httpx2", logging.INFO),
        ("somebody.elses", logging.DEBUG),
    ],
)
def test_lines_that_hold_keys_and_words_are_not_written_at_all(
    lines: Lines, library: str, level: int
) -> None:
    logging.getLogger(library).log(level, "header: %s", "x")
    our_log().debug("ours is")

    assert [line["event"] for line in lines()] == ["ours is"]


def test_a_traceback_is_reduced_to_types_and_places(lines: Lines) -> None:
    def look_up() -> None:
        raise KeyError(NUMBER)

    try:
        try:
            look_up()
        except KeyError as error:
            raise ValueError(f"no {NUMBER}") from error
    except ValueError as failure:
        our_log().error("as an argument", exc_info=failure)
        our_log().exception("as it is handled")
        logging.getLogger("uvicorn.error").exception("in a library")
        our_log().error("as Python hands it", exc_info=sys.exc_info(), stack_info=True)

    written = lines()
    for line in written:
        assert re.fullmatch(
            r"ValueError at test_logs.py:\d+ in test_\w+ because of KeyError", line["raised"]
        )
    assert len(written) == 4
    assert NUMBER not in json.dumps(written)


async def fails_as_a_task(words: str) -> None:
    async def notify() -> None:
        raise ValueError(words)

    task = asyncio.create_task(notify())
    await asyncio.wait([task])
    del task  # nobody asks what became of it
    gc.collect()


async def fails_as_a_callback(words: str) -> None:
    def notify(name: str) -> None:
        raise ValueError(name)

    asyncio.get_running_loop().call_soon(notify, words)
    await asyncio.sleep(0)


@pytest.mark.parametrize(
    ("fails", "told"),
    [
        (fails_as_a_task, "Task exception was never retrieved"),
        (fails_as_a_callback, "Exception in callback"),
    ],
)
async def test_what_asyncio_says_of_a_failure_quotes_nobody(
    lines: Lines, fails: Callable[[str], Awaitable[None]], told: str
) -> None:
    await fails("Jane Doe, Elm Street")

    (line,) = lines()
    assert line["event"].startswith(told)
    assert re.match(r"ValueError at test_logs.py:\d+ in notify", line["raised"])
    assert "Jane" not in json.dumps(line)


def test_asyncio_names_a_function_of_its_own(lines: Lines) -> None:
    logging.getLogger("asyncio").error("socket.accept() out of system resource\nsocket: <x>")

    assert lines()[0]["event"] == "socket.accept() out of system resource"


def test_there_may_be_no_exception_to_tell_of(lines: Lines) -> None:
    our_log().error("nothing raised", exc_info=True)

    assert "raised" not in lines()[0]


def test_of_a_group_each_member_is_told() -> None:
    group = ExceptionGroup("g", [ValueError(NUMBER), KeyError(NUMBER)])

    assert logs.places(group) == "ExceptionGroup [ValueError; KeyError]"


def test_a_line_that_cannot_be_made_is_not_quoted_by_python(
    capsys: pytest.CaptureFixture[str],
) -> None:
    logs.configure("json", "info")

    logging.getLogger("uvicorn.error").warning("%d", NUMBER)

    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("a log line could not be written: TypeError at __init__.py:")


def test_a_second_configuration_replaces_the_first(capsys: pytest.CaptureFixture[str]) -> None:
    logging.getLogger("uvicorn").addHandler(logging.StreamHandler(sys.stderr))
    logs.configure("text", "info")
    logs.configure("json", "warning")

    logging.getLogger("uvicorn").warning("once")
    our_log().info("not at this level")

    (line,) = capsys.readouterr().err.splitlines()
    assert json.loads(line)["event"] == "once"


def test_a_flood_of_bad_messages_does_not_flood_the_log(lines: Lines) -> None:
    bad = logs.BadMessages("opusbridge.test")

    for _ in range(3):
        bad.came("twilio:not-json")
    bad.came("model:not-json")

    told = [(line["level"], line["why"]) for line in lines() if line["event"] == "bad-message"]
    assert told == [
        ("warning", "twilio:not-json"),
        ("debug", "twilio:not-json"),
        ("debug", "twilio:not-json"),
        ("warning", "model:not-json"),
    ]

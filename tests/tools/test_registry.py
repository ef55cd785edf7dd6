"""Running tools: whatever they do, the model gets an answer."""

import asyncio
import json
import threading
import time
from collections import deque
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from enum import Enum
from functools import cached_property
from math import inf, nan
from pathlib import Path
from typing import Annotated, Any

import pytest
import structlog
from pydantic import AfterValidator, BaseModel, Field, computed_field
from pydantic.dataclasses import dataclass as pydantic_dataclass

from opusbridge.errors import TransferRefused, WishRefused
from opusbridge.tools import CallContext, Digits, Tool, ToolFailed, contained, registry, tool
from opusbridge.tools.results import LONGEST_RESULT
from opusbridge.tools.workers import Workers
from tests.tools.line import Line

NUMBER = "+15550100300"


def a_call(**given: Any) -> CallContext:
    return CallContext("call-1", **given)


async def failure(failing: Tool, arguments: str = "{}") -> str:
    """What the model reads when ``failing`` has no result."""
    with pytest.raises(ToolFailed) as failed:
        await failing.run(arguments, a_call())
    return str(failed.value)


class Size(Enum):
    SMALL = "small"
    LARGE = "large"


class Address(BaseModel):
    street: str


@tool
async def order_pizza(
    size: Size, address: Address, slices: Annotated[int, Field(ge=1)] = 8, *, call: CallContext
) -> dict[str, Any]:
    """Order a pizza."""
    return {"size": size.value, "street": address.street, "slices": slices, "to": call.call_id}


# --- Running ----------------------------------------------------------------------------


async def test_arguments_reach_the_function_as_its_types() -> None:
    result = await order_pizza.run(
        '{"size": "small", "address": {"street": "Elm"}, "slices": "4"}', a_call()
    )

    assert json.loads(result) == {"size": "small", "street": "Elm", "slices": 4, "to": "call-1"}


async def test_a_function_that_blocks_runs_in_a_thread_with_the_callers_log_context() -> None:
    @tool
    def where(call: CallContext) -> list[Any]:
        seen = structlog.contextvars.get_contextvars()
        return [threading.current_thread() is threading.main_thread(), seen["call_id"]]

    with structlog.contextvars.bound_contextvars(call_id="call-1"):
        assert await where.run("", a_call()) == '[false,"call-1"]'


async def test_a_plain_function_may_hand_back_an_awaitable() -> None:
    async def answer() -> str:
        return "yes"

    @tool
    def ask() -> Any:
        return answer()

    assert await ask.run("{}", a_call()) == "yes"


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ("{", "wrong arguments: Invalid JSON"),
        ("[]", "wrong arguments: Input should be an object"),
        ("{}", "wrong arguments: size: Field required; address: Field required"),
        ('{"size": "huge", "address": {"street": "x"}}', "wrong arguments: size: Input should be"),
        ('{"size": "small", "address": {}}', "wrong arguments: address.street: Field required"),
        ('{"size": "small", "address": {"street": "x"}, "slices": 0}', "wrong arguments: slices:"),
        (
            '{"size": "small", "address": {"street": "x"}, "call": 1}',
            "wrong arguments: call: Extra",
        ),
    ],
)
async def test_wrong_arguments_are_named_to_the_model(arguments: str, said: str) -> None:
    assert (await failure(order_pizza, arguments)).startswith(said)


async def test_no_more_than_three_mistakes_are_named() -> None:
    @tool
    def many(a: int, b: int, c: int, d: int) -> None: ...

    assert (await failure(many)).count("required") == 3


@pytest.mark.parametrize("raised", [KeyError, TypeError, SystemExit, BaseException])
async def test_a_type_that_raises_over_the_arguments_is_a_failure(
    raised: type[BaseException],
) -> None:
    def refuse(day: str) -> str:
        raise raised(day)

    @tool
    async def book(day: Annotated[str, AfterValidator(refuse)]) -> None: ...

    with structlog.testing.capture_logs() as logs:
        assert await failure(book, json.dumps({"day": NUMBER})) == "book failed"
    (entry,) = logs
    assert entry["raised"].startswith(f"{raised.__name__} at test_registry.py:")
    assert NUMBER not in str(entry)


async def test_a_tool_that_takes_too_long_is_answered_for() -> None:
    @tool(timeout_seconds=0.01)
    async def sleepy() -> None:
        await asyncio.Event().wait()

    with structlog.testing.capture_logs() as logs:
        assert await failure(sleepy) == "sleepy took longer than 0.01 s"
    assert [entry["event"] for entry in logs] == ["tool overran"]


async def test_a_blocking_tool_that_takes_too_long_is_answered_for_and_left_alone() -> None:
    may_end = threading.Event()

    @tool(timeout_seconds=0.01)
    def stuck() -> None:
        may_end.wait(5)

    try:
        assert await failure(stuck) == "stuck took longer than 0.01 s"
    finally:
        may_end.set()


async def test_a_raising_tool_tells_the_model_little_and_the_log_where() -> None:
    @tool
    def look_up(number: str) -> None:
        raise KeyError(number)

    with structlog.testing.capture_logs() as logs:
        assert await failure(look_up, json.dumps({"number": NUMBER})) == "look_up failed"
    (entry,) = logs
    assert (entry["event"], entry["log_level"], entry["tool"]) == (
        "tool failed",
        "error",
        "look_up",
    )
    assert entry["raised"].startswith("KeyError at test_registry.py:")
    assert NUMBER not in str(entry)


class Panic(BaseException):
    """As an extension in another language raises it."""


@pytest.mark.parametrize(
    "raised", [SystemExit, asyncio.CancelledError, TimeoutError, Panic, GeneratorExit]
)
@pytest.mark.parametrize("in_the_loop", [True, False])
async def test_a_tool_cannot_take_the_process_or_the_call_down(
    raised: type[BaseException], in_the_loop: bool
) -> None:
    def leave() -> None:
        raise raised

    async def leave_in_the_loop() -> None:
        leave()

    leaves = tool(leave_in_the_loop if in_the_loop else leave)
    with structlog.testing.capture_logs() as logs:
        assert await failure(leaves) == f"{leaves.name} failed"
    (entry,) = logs
    assert entry["event"] == "tool failed"
    if raised is Panic:
        assert "in leave" in entry["raised"]
        assert entry["raised"].endswith("because of Panic")


async def test_a_ctrl_c_in_the_middle_of_a_tool_is_nobodys_failure() -> None:
    @tool
    def interrupted() -> None:
        raise KeyboardInterrupt  # of the tool's own making: the real one comes to the main thread

    assert await failure(interrupted) == "interrupted failed"
    assert contained.ends_us(KeyboardInterrupt())


async def test_a_call_that_ends_cancels_its_tool() -> None:
    begun = asyncio.Event()

    @tool
    async def wait() -> None:
        begun.set()
        await asyncio.Event().wait()

    task = asyncio.create_task(wait.run("{}", a_call()))
    await begun.wait()
    task.cancel()

    with pytest.raises(asyncio.CancelledError):
        await task


async def test_a_tool_that_will_not_be_cancelled_is_answered_for_and_holds_nobody_up(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(contained, "CLEANUP_SECONDS", 0.01)
    may_end = asyncio.Event()

    @tool(timeout_seconds=0.01)
    async def stubborn() -> None:
        while not may_end.is_set():
            with suppress(asyncio.CancelledError):
                await may_end.wait()

    try:
        assert await failure(stubborn) == "stubborn took longer than 0.01 s"
        assert len(contained._strays) == 1
    finally:
        may_end.set()
    await asyncio.gather(*contained._strays)
    assert not contained._strays


async def test_a_cancelled_tool_may_clean_up_before_its_call_is_over() -> None:
    begun, cleaned = asyncio.Event(), asyncio.Event()

    @tool
    async def tidy() -> None:
        begun.set()
        try:
            await asyncio.Event().wait()
        finally:
            await asyncio.sleep(0)
            cleaned.set()

    task = asyncio.create_task(tidy.run("{}", a_call()))
    await begun.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert cleaned.is_set()


async def test_a_tool_for_which_no_thread_was_free_in_time_says_so(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(registry, "WORKERS", Workers(most=1))
    may_end = threading.Event()

    @tool
    def busy() -> None:
        may_end.wait(5)

    @tool(timeout_seconds=0.02)
    def late() -> None: ...

    running = asyncio.create_task(busy.run("{}", a_call()))
    await asyncio.sleep(0)
    try:
        with structlog.testing.capture_logs() as logs:
            assert await failure(late) == "late could not be run: too many tools are running"
        assert [entry["event"] for entry in logs] == ["no thread was free for a tool"]
    finally:
        may_end.set()
    assert await running == "null"


async def test_a_tool_may_say_in_its_own_words_what_went_wrong() -> None:
    @tool
    def book() -> None:
        raise ToolFailed("that day is full; offer another")

    assert await failure(book) == "that day is full; offer another"


class Receipt(BaseModel):
    total: float
    note: str = ""


class Found(BaseModel):
    total: int
    rows: Any = Field(default=None, exclude=True)

    @cached_property
    def row(self) -> Iterator[int]:
        return iter([1])


class MoreFound(Found, extra="allow"):
    """What else there is, is said too."""


@pydantic_dataclass
class FoundToo:
    total: int
    rows: Any = Field(default=None, exclude=True)


def looked_at(found: Found) -> Found:
    assert list(found.row) == [1]
    return found


@pytest.mark.parametrize(
    ("result", "text"),
    [
        ("as it is", "as it is"),
        (None, "null"),
        (deque([1, "a"]), '[1,"a"]'),
        ({"a": [1, Size.SMALL]}, '{"a":[1,"small"]}'),
        (Receipt(total=1.5), '{"total":1.5,"note":""}'),
        (Found(total=3, rows=iter("for ever")), '{"total":3}'),
        (Found(total=3, rows="x" * (LONGEST_RESULT + 1)), '{"total":3}'),
        ([FoundToo(total=3, rows=iter("for ever"))], '[{"total":3}]'),
        (looked_at(Found(total=3)), '{"total":3}'),
        (float("nan"), "null"),
        ("half of a \ud83d", "half of a \ufffd"),
        ({("a", 1): "half of a \ud83d"}, '{"a,1":"half of a \ufffd"}'),
        ({"a\ud83d": ["\ude00", float("nan")]}, '{"a\ufffd":["\ufffd",null]}'),
        (Receipt(total=2, note="\ud83d"), '{"total":2.0,"note":"\ufffd"}'),
        ("x" * LONGEST_RESULT, "x" * LONGEST_RESULT),
    ],
)
async def test_a_result_becomes_text_for_the_model(result: Any, text: str) -> None:
    @tool
    async def give() -> Any:
        return result

    assert await give.run("{}", a_call()) == text


def a_circle() -> list[Any]:
    circle: list[Any] = []
    circle.append(circle)
    return circle


@dataclass
class Order:
    """One that is read from a database, as long as its session lasts."""

    street: str = "Elm"

    def __getattribute__(self, name: str) -> Any:
        if name == "street":
            raise LookupError("the session is closed")
        return super().__getattribute__(name)


class Closed(dict[str, str]):
    def values(self) -> Any:
        raise LookupError("the session is closed")


class Priced(BaseModel):
    size: str = "huge"

    @computed_field
    def price(self) -> int:
        return {"small": 5}[self.size]


class Receipts(BaseModel):
    receipts: Any


HALF = "half of a \ud83d"


@pytest.mark.parametrize(
    "result",
    [
        object(),
        iter("for ever"),
        {"rows": map(str, "for ever")},
        [deque([iter("for ever")])],
        Receipts(receipts=iter("for ever")),
        MoreFound(total=3, **{"more": iter("for ever")}),
        b"\xff",
        {"id": 10**20, "note": HALF},
        [10**20, HALF],
        {frozenset({1}): HALF},
        Order(),
        Closed(),
        Priced(),
    ],
)
async def test_a_result_json_cannot_say_is_a_failure(result: Any) -> None:
    @tool
    async def give() -> Any:
        return result

    with structlog.testing.capture_logs() as logs:
        assert await failure(give) == "give failed"
    assert [entry["event"] for entry in logs] == ["tool result cannot be said in JSON"]


@dataclass
class Parcel:
    contents: Any


class Crate(BaseModel):
    contents: Any


TOO_MUCH = "x" * (LONGEST_RESULT + 1)


@pytest.mark.parametrize(
    "result",
    [
        TOO_MUCH,
        TOO_MUCH.encode(),
        [TOO_MUCH],
        deque([TOO_MUCH]),
        deque([0.5] * LONGEST_RESULT),
        {"a": (TOO_MUCH,)},
        {TOO_MUCH: 1},
        Parcel(TOO_MUCH),
        Crate(contents=TOO_MUCH),
        [0.5] * LONGEST_RESULT,
        10 ** (3 * LONGEST_RESULT),
        ['"'] * (LONGEST_RESULT // 3),  # escaped, it is longer than it was
        a_circle(),
    ],
    ids=lambda result: type(result).__name__,
)
async def test_a_result_too_long_to_be_read_is_a_short_error_and_cuts_nothing_in_half(
    result: Any,
) -> None:
    @tool
    async def give() -> Any:
        return result

    with structlog.testing.capture_logs() as logs:
        said = await failure(give)
    assert said == "the result of give is too long: more than 16384 characters"
    assert [entry["event"] for entry in logs] == ["tool result too long"]


async def test_ten_megabytes_are_refused_before_anybody_writes_them_down() -> None:
    rows = [{"row": number, "text": "x" * 1000} for number in range(10_000)]

    @tool
    async def give() -> Any:
        return rows

    began = time.perf_counter()
    assert "too long" in await failure(give)
    assert time.perf_counter() - began < 0.02, "long enough to be heard"


# --- The call, seen by a tool -----------------------------------------------------------


async def test_a_tool_in_a_thread_asks_the_call_in_its_own_loop() -> None:
    line = Line(refusal="the line is closed")

    @tool
    def end(call: CallContext) -> str:
        call.state["seen"] = (call.caller, call.callee, dict(call.parameters))
        with pytest.raises(TransferRefused, match="the line is closed"):
            call.transfer("billing", "they asked")
        call.hang_up("done")
        call.play("music.wav", "La la.")
        call.hold()
        call.unhold()
        with pytest.raises(WishRefused, match="the line is closed"):
            call.send_dtmf("1")
        return "ok"

    call = a_call(caller=NUMBER, callee="100", parameters={"a": "b"}, control=line)

    assert await end.run("{}", call) == "ok"
    assert line.asked == [
        ("hang-up", "done"),
        ("play", Path("music.wav"), "La la."),
        ("hold", True),
        ("hold", False),
    ]
    assert line.threads == {threading.current_thread()}
    assert call.state == {"seen": (NUMBER, "100", {"a": "b"})}


def test_a_context_prints_nothing_of_the_caller() -> None:
    assert f"{a_call(caller=NUMBER)!r}" == "<CallContext call-1>"


async def test_digits_are_collected_in_the_loop_only() -> None:
    @tool
    def read(call: CallContext) -> None:
        with pytest.raises(RuntimeError, match="async tools only"):
            asyncio.run(call.collect_digits(4))

    line = Line(Digits("1234", True))
    await read.run("{}", a_call(control=line))

    assert line.asked == []


@pytest.mark.parametrize(
    "wish",
    [
        *({"length": 0}, {"terminator": ""}, {"terminator": "##"}),
        *({"timeout": 0.0}, {"timeout": inf}, {"timeout": nan}),
    ],
)
async def test_a_collection_that_could_not_end_is_refused(wish: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=r"length|terminator|timeout"):
        await a_call(control=Line(Digits("1", True))).collect_digits(**wish)


@pytest.mark.parametrize("threaded", [True, False])
async def test_a_plain_function_that_gives_back_a_coroutine_asks_the_call_from_the_loop(
    threaded: bool,
) -> None:
    line = Line(Digits("1234", True))

    async def read(call: CallContext) -> str:
        call.hang_up("done")
        return (await call.collect_digits(4)).value

    def traced(call: CallContext) -> Any:  # as a decorator makes it of an async function
        if threaded:
            return asyncio.run_coroutine_threadsafe(read(call), loop).result(5.0)
        return read(call)

    loop = asyncio.get_running_loop()
    async with asyncio.timeout(2.0):
        assert await tool(traced).run("{}", a_call(control=line)) == "1234"
    assert line.asked[0] == ("hang-up", "done")
    assert line.threads == {threading.current_thread()}


def test_digits_print_nothing_of_what_was_typed() -> None:
    assert f"{Digits('4711', True)!r} {Digits('4711', True)}" == "<Digits> <Digits>"


async def test_a_context_without_a_call_behind_it_serves_a_users_own_tests() -> None:
    call = a_call(state={"a": 1})

    call.hang_up("done")
    call.play("music.wav")
    call.hold()
    call.unhold()
    with pytest.raises(WishRefused, match="nobody hears"):
        call.send_dtmf("1")
    with pytest.raises(TransferRefused, match="cannot be transferred"):
        call.transfer("billing", "they asked")
    assert await call.collect_digits(4) == Digits("", False)
    assert call.state == {"a": 1}

"""The tools every agent may be given."""

import json

import pytest

from opusbridge.tools import (
    CallContext,
    Digits,
    ToolFailed,
    collect_digits,
    hang_up,
    send_dtmf,
    transfer_call,
)
from opusbridge.tools.telephony import TYPED
from tests.tools.line import Line

REASON = json.dumps({"reason": "they said goodbye"})
WISH = json.dumps({"destination": "billing", "reason": "a bill"})


def test_the_model_sees_a_reason_and_the_names_of_the_destinations() -> None:
    assert list(hang_up.parameters["properties"]) == ["reason"]
    shown = transfer_call.definition(["billing", "front"])["parameters"]
    assert shown["required"] == ["destination", "reason"]
    assert shown["properties"]["destination"] == {
        "type": "string",
        "description": "Where to.",
        "enum": ["billing", "front"],
    }


async def test_hanging_up_asks_the_call() -> None:
    line = Line()

    result = await hang_up.run(REASON, CallContext("call-1", control=line))

    assert json.loads(result) == {"status": "hanging up"}
    assert line.asked == [("hang-up", "they said goodbye")]


async def test_transferring_asks_the_call() -> None:
    line = Line()

    result = await transfer_call.run(WISH, CallContext("call-1", control=line))

    assert json.loads(result) == {"status": "transferring"}
    assert line.asked == [("transfer", "billing", "a bill", "")]


async def test_a_refused_transfer_tells_the_model_why() -> None:
    line = Line(refusal="there is no such destination; there are: front")

    with pytest.raises(ToolFailed, match="no such destination; there are: front"):
        await transfer_call.run(WISH, CallContext("call-1", control=line))


async def test_what_whoever_takes_over_should_know_goes_with_the_caller() -> None:
    line = Line()
    wish = {"destination": "billing", "reason": "a bill", "summary": "Paid twice in May."}

    await transfer_call.run(json.dumps(wish), CallContext("call-1", control=line))

    assert line.asked == [("transfer", "billing", "a bill", "Paid twice in May.")]


async def test_pressing_keys_asks_the_call() -> None:
    line = Line()

    result = await send_dtmf.run('{"digits": "12#"}', CallContext("call-1", control=line))

    assert json.loads(result) == {"status": "pressed"}
    assert line.asked == [("dtmf", "12#")]


async def test_keys_that_cannot_be_pressed_are_refused_in_words() -> None:
    call = CallContext("call-1", control=Line(refusal="this line cannot send keys"))

    with pytest.raises(ToolFailed, match="this line cannot send keys"):
        await send_dtmf.run('{"digits": "1"}', call)


async def test_typed_digits_are_the_models_to_read_and_the_tools_to_use() -> None:
    call = CallContext("call-1", control=Line(Digits("123", False)))

    result = await collect_digits.run('{"length": 4, "timeout": 7}', call)

    assert json.loads(result) == {"complete": False, "digits": "123"}
    assert call.state == {TYPED: Digits("123", False)}


@pytest.mark.parametrize("asked", [True, False], ids=["asked-for", "close-behind-one"])
async def test_of_a_secret_the_model_learns_only_that_it_was_typed(asked: bool) -> None:
    call = CallContext("call-1", control=Line(Digits("4711", True, secret=not asked)))

    result = await collect_digits.run(json.dumps({"length": 4, "secret": asked}), call)

    assert json.loads(result) == {"complete": True, "typed_anything": True}
    assert call.state[TYPED].value == "4711"


@pytest.mark.parametrize("arguments", ["{}", '{"terminator": ""}'])
async def test_digits_that_cannot_be_collected_are_refused_in_words(arguments: str) -> None:
    with pytest.raises(ToolFailed, match=r"another tool|there must be"):
        await collect_digits.run(arguments, CallContext("call-1", control=Line()))

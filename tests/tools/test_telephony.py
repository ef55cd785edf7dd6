"""The tools every agent may be given."""

import json

import pytest

from opusbridge.errors import TransferRefused
from opusbridge.tools import CallContext, ToolFailed, hang_up, transfer_call

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
    reasons: list[str] = []
    call = CallContext("call-1", hang_up=reasons.append)

    assert json.loads(await hang_up.run(REASON, call)) == {"status": "hanging up"}
    assert reasons == ["they said goodbye"]


async def test_transferring_asks_the_call() -> None:
    wishes: list[tuple[str, str]] = []
    call = CallContext("call-1", transfer=lambda *wish: wishes.append(wish))

    assert json.loads(await transfer_call.run(WISH, call)) == {"status": "transferring"}
    assert wishes == [("billing", "a bill")]


async def test_a_refused_transfer_tells_the_model_why() -> None:
    def transfer(destination: str, reason: str) -> None:
        raise TransferRefused("there is no such destination; there are: front")

    with pytest.raises(ToolFailed, match="no such destination; there are: front"):
        await transfer_call.run(WISH, CallContext("call-1", transfer=transfer))

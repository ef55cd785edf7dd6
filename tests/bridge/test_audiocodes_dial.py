"""AudioCodes' dial-out, asked of a pretended one."""

from random import Random
from typing import Any

import pytest

from opusbridge.bridge.audiocodes_dial import AudioCodesDialOut, DialOutError, ordered_as
from opusbridge.privacy import Private
from opusbridge.sim.switchboard import DIAL_OUT, Switchboard

BASIC = Private("a-client:a-secret")


async def test_an_order_is_as_the_providers_documents_have_it() -> None:
    board = Switchboard(Random(1))
    async with board.open() as url:
        dial_out = AudioCodesDialOut(url + DIAL_OUT, BASIC, "bot-1")
        given = await dial_out.dial(
            "call-1", "+15550100001", "+15550100002", machine_detection=True
        )
        await dial_out.close()

    (ordered,) = board.orders
    assert given == ordered.given_id
    assert ordered.secret == ("a-client", "a-secret")
    assert ordered.form == {
        "bot": "bot-1",
        "target": "tel:+15550100001",
        "caller": "+15550100002",
        "metadata": {"call_id": "call-1"},
        "machineDetection": True,
    }


async def test_a_token_without_a_colon_is_shown_as_bearer_and_a_sip_address_stays() -> None:
    board = Switchboard(Random(1))
    async with board.open() as url:
        dial_out = AudioCodesDialOut(url + DIAL_OUT, Private("a-token"), None)
        await dial_out.dial("call-1", "sip:me@example.com", "+15550100002", machine_detection=False)
        await dial_out.close()

    (ordered,) = board.orders
    assert ordered.secret == ("", "a-token")
    assert ordered.form["target"] == "sip:me@example.com"
    assert {"bot", "machineDetection"}.isdisjoint(ordered.form)


@pytest.mark.parametrize(("answer", "status"), [(401, 401), (500, 500), (429, 429), (0, None)])
async def test_it_is_asked_once_and_a_refusal_tells_nothing_private(
    answer: int, status: int | None
) -> None:
    board = Switchboard(Random(1))
    board.answers = [answer]
    async with board.open() as url:
        dial_out = AudioCodesDialOut(url + DIAL_OUT, BASIC, None)
        with pytest.raises(DialOutError) as refused:
            await dial_out.dial("call-1", "+15550100001", "+15550100002", machine_detection=False)
        await dial_out.close()

    said = f"{refused.value} {refused.value!r}"
    assert refused.value.status == status
    assert not any(private in said for private in ("15550100001", "a-secret", "127.0.0.1"))
    assert (board.answers, board.orders) == ([], [])


@pytest.mark.parametrize("path", ["/elsewhere", "/2010-04-01/Accounts/AC1/Calls.json"])
async def test_an_answer_that_is_not_of_audiocodes_gives_no_conversation(path: str) -> None:
    board = Switchboard(Random(1))
    async with board.open() as url:
        dial_out = AudioCodesDialOut(url + path, BASIC, None)
        if path == "/elsewhere":
            with pytest.raises(DialOutError):
                await dial_out.dial("call-1", "+15550100001", "+1555", machine_detection=False)
        else:
            found = await dial_out.dial("call-1", "+15550100001", "+1555", machine_detection=False)
            assert found is None
        await dial_out.close()


@pytest.mark.parametrize(
    ("given", "conversation"),
    [(4711, "4711"), (0, "0"), ("4711", "4711"), ("", None), (None, None), ({"id": 1}, None)],
)
async def test_the_conversations_id_may_be_a_number(given: Any, conversation: str | None) -> None:
    board = Switchboard(Random(1))
    board.conversations = [given]
    async with board.open() as url:
        dial_out = AudioCodesDialOut(url + DIAL_OUT, BASIC, None)
        found = await dial_out.dial("call-1", "+1555", "+1556", machine_detection=False)
        await dial_out.close()

    assert found == conversation


@pytest.mark.parametrize(
    ("parameters", "call_id"),
    [
        ({"dialoutMetadata": '{"call_id":"call-1"}'}, "call-1"),
        ({"dialoutMetadata": ' { "call_id": "call-1", "more": 1 } '}, "call-1"),
        ({"dialoutMetadata": '{"call_id":""}'}, None),
        ({"dialoutMetadata": '{"call_id":7}'}, None),
        ({"dialoutMetadata": '{"order":"call-1"}'}, None),
        ({"dialoutMetadata": '["call_id"]'}, None),
        ({"dialoutMetadata": "call-1"}, None),
        ({"dialoutMetadata": ""}, None),
        ({"call_id": "call-1"}, None),
    ],
)
def test_what_was_given_along_with_the_order_comes_back(
    parameters: dict[str, str], call_id: str | None
) -> None:
    assert ordered_as(parameters) == call_id

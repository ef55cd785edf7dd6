"""The pretend account at Twilio: what REST may ask of its calls, and how it reads a transfer."""

import asyncio
from random import Random

import pytest

from opusbridge.protocols.twilio import twiml
from opusbridge.sim.account import Account, Dial, Keys, TwiMLRefused, read_order
from opusbridge.sim.callers import Person, SimulatedTwilio, Wait
from opusbridge.sim.telephone import Telephone, TwiML

CALL = "CA" + "1" * 32


def calling(account: Account) -> SimulatedTwilio:
    caller = SimulatedTwilio(Person([Wait(60.0)]), CALL, "MZ1", {}, Random(1))
    account.knows(caller)
    caller.wake(0.0)
    return caller


async def test_a_completed_call_is_over_and_cannot_be_changed_any_more() -> None:
    account = Account()
    caller = calling(account)

    assert account.update(CALL, {"Status": "completed"}) == 200
    assert caller.closing is not None
    assert account.update(CALL, {"Status": "completed"}) == 404
    assert account.taken_off(CALL) is None


async def test_other_twiml_takes_a_caller_off_his_stream_once() -> None:
    account = Account()
    caller = calling(account)

    assert account.update(CALL, {"Twiml": "<Response/>"}) == 200
    assert caller.closing is not None
    assert (account.taken_off(CALL), account.taken_off(CALL)) == ("<Response/>", None)


async def test_who_is_off_his_stream_is_still_there_until_he_is_hung_up() -> None:
    account = Account()
    calling(account)
    account.update(CALL, {"Twiml": "<Response/>"})
    with account.elsewhere(CALL) as hung_up:
        staying = asyncio.create_task(account.stays(CALL, 60.0))
        await asyncio.sleep(0.0)

        assert account.status(CALL) == "in-progress"
        assert account.update(CALL, {"Status": "completed"}) == 200
        assert not await staying
        assert hung_up.is_set()
        assert account.status(CALL) == "completed"
    assert account.status(CALL) == "completed"
    assert account.update(CALL, {"Status": "completed"}) == 404


async def test_when_what_took_him_off_is_over_so_is_his_call_but_for_another_stream() -> None:
    account = Account()
    caller = calling(account)
    account.update(CALL, {"Twiml": "<Response/>"})

    with account.elsewhere(CALL):
        assert await account.stays(CALL, 0.0)
        assert account.status(CALL) == "in-progress", "he is asked for meanwhile"
    assert account.status(CALL) == "completed"
    caller.another_stream("MZ2", {}, 1.0)
    assert (account.status(CALL), account.status("CA-of-somebody")) == ("in-progress", None)


async def test_other_twiml_meanwhile_takes_him_off_anew() -> None:
    account = Account()
    calling(account)
    account.update(CALL, {"Twiml": "<Response/>"})

    with account.elsewhere(CALL):
        assert account.update(CALL, {"Twiml": "<Response/>"}) == 200
    assert account.status(CALL) == "in-progress"


@pytest.mark.parametrize("hung_up", [False, True])
async def test_who_is_coming_back_is_still_there_while_twilio_asks_the_way(hung_up: bool) -> None:
    account, seen = Account(), []

    class Asking(Telephone):
        async def _asked(self, url: str, call_sid: str, **more: str) -> TwiML:
            seen.append(account.status(call_sid))
            if hung_up:
                account.update(call_sid, {"Status": "completed"})
            return TwiML("wss://voice.example.com/twilio/media")

    caller, after = calling(account), "https://voice.example.com/twilio/after"
    account.update(CALL, {"Twiml": twiml.press("1", after)})
    document = account.taken_off(CALL)
    assert document is not None
    found = await Asking("", account=account)._transfer(caller, document, account)

    assert seen == ["in-progress"]
    assert (found.stream_url is None) == hung_up
    assert account.status(CALL) == "completed", "but for another stream"


async def test_what_is_nothing_or_too_long_changes_nothing() -> None:
    account = Account()
    caller = calling(account)

    assert [account.update(CALL, form) for form in ({}, {"Twiml": "x" * 4001})] == [400, 400]
    assert account.update("CA-of-somebody", {"Status": "completed"}) == 404
    assert caller.closing is None


def test_our_own_transfers_are_understood() -> None:
    after = "https://voice.example.com/twilio/after"

    assert read_order(twiml.dial("+15550100300", action=after)) == Dial("+15550100300", after)
    assert read_order(twiml.dial("sip:front@example.com")) == Dial("sip:front@example.com", None)


def test_our_own_keys_are_understood() -> None:
    after = "https://voice.example.com/twilio/after"

    assert read_order(twiml.press("12#", after)) == Keys("12#", after)


@pytest.mark.parametrize(
    ("document", "number"),
    [
        ("<Response>", 12100),
        ("<Response><Hangup/></Response>", 12200),
        ("<Other><Dial><Number>+1</Number></Dial></Other>", 12200),
        ('<Response><Dial volume="9"><Number>+1</Number></Dial></Response>', 12200),
        ("<Response><Dial><Number/></Dial></Response>", 13201),
        ('<Response><Play/><Redirect method="POST">x</Redirect></Response>', 12200),
        ('<Response><Play digits="1"/><Redirect method="POST"/></Response>', 12200),
        ('<Response><Play digits="1"/><Redirect>x</Redirect></Response>', 12200),
        ("<Response><Dial><Queue>a</Queue></Dial></Response>", 13201),
    ],
)
def test_what_is_no_transfer_is_refused_with_twilios_number(document: str, number: int) -> None:
    with pytest.raises(TwiMLRefused) as refused:
        read_order(document)

    assert refused.value.number == number

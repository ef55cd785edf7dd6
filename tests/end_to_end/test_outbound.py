"""Calls that we place, on both sides, from the order to the webhook that tells how they ended.

All share one house and are lived side by side, for they take real time.
"""

import asyncio
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from typing import Any

import pytest

from opusbridge.privacy import Private
from opusbridge.sim.callers import (
    AudioCodesHabits,
    Caller,
    HangUp,
    Person,
    SimulatedAudioCodes,
    WaitForAgent,
)
from opusbridge.sim.sockets import bearer, place_call
from opusbridge.sim.switchboard import DIAL_OUT, Ordered, Switchboard
from opusbridge.sim.telephone import Telephone
from opusbridge.webhooks import verify
from tests.end_to_end.service import (
    AUDIOCODES_TOKEN,
    TWILIO_TOKEN,
    Service,
    heard_by,
    reply,
    service,
    share_of,
)
from tests.webhooks.test_courier import SECRET, listening

pytestmark = pytest.mark.slow

ANSWERS, BUSY, ANSWERS_TOO = "+15550100401", "+15550100402", "+15550100403"
#: AudioCodes does not say which conversation they are; what was given along comes back.
METADATA, METADATA_AS_TEXT = "+15550100404", "+15550100405"
RINGS_ON = "+15550100406"


@dataclass
class Exchange:
    """What follows the orders: the provider rings somebody."""

    at: Service | None = None
    callees: dict[str, Caller] = field(default_factory=dict)
    hung_up: asyncio.Event = field(default_factory=asyncio.Event)
    """On the one who does not pick up."""

    def change(self, call_sid: str, form: Mapping[str, str]) -> int:
        assert form == {"Status": "completed"}
        self.hung_up.set()
        return 200

    async def ring(self, ordered: Ordered) -> None:
        assert self.at is not None
        person = Person([WaitForAgent(), HangUp()], patience_seconds=8.0)
        if ordered.telephony == "audiocodes":
            given = ordered.form["metadata"]
            if ordered.form["target"] == f"tel:{METADATA_AS_TEXT}":
                given = json.dumps(given)
            habits = AudioCodesHabits(dialout_metadata=given)
            caller = SimulatedAudioCodes(person, ordered.given_id, Random(2), habits)
            url = f"ws://{self.at.address}/audiocodes"
            await place_call(caller, url, headers=bearer(AUDIOCODES_TOKEN))
            self.callees[ordered.form["target"].removeprefix("tel:")] = caller
            return
        form, sid = ordered.form, ordered.given_id
        telephone = Telephone(
            form["Url"], TWILIO_TOKEN, caller=form["From"], callee=form["To"], ordered=True
        )
        if form["To"] == BUSY:
            await telephone.tell(form["StatusCallback"], sid, CallStatus="busy")
            return
        if form["To"] == RINGS_ON:
            await self.hung_up.wait()
            await telephone.tell(form["StatusCallback"], sid, CallStatus="canceled")
            return
        self.callees[form["To"]] = await telephone.call(person, Random(1), call_sid=sid)
        await telephone.tell(form["StatusCallback"], sid, CallStatus="completed")


async def place(at: Service, telephony: str, to: str, **more: str) -> str:
    body = {"telephony": telephony, "to": to, "agent": "front-desk", **more}
    answer = await at.http.post("/api/calls", json=body)
    assert answer.status_code == 202
    call_id: str = answer.json()["call_id"]
    return call_id


async def hang_up(at: Service, call_id: str) -> int:
    async with asyncio.timeout(20.0):
        while True:
            answer = await at.http.post(f"/api/calls/{call_id}/hangup", json={})
            if answer.status_code != 409:
                return answer.status_code
            await asyncio.sleep(0.05)  # of real time, in which Twilio says what it calls it


async def until_ended(at: Service, call_id: str) -> dict[str, Any]:
    async with asyncio.timeout(20.0):
        while True:
            found: dict[str, Any] = (await at.http.get(f"/api/calls/{call_id}")).json()
            if found["state"] == "ended" and found["ending"]:
                return found
            await asyncio.sleep(0.05)  # of real time, in which they talk


async def test_calls_are_placed_answered_or_not_and_told_of(tmp_path: Path) -> None:
    exchange = Exchange()
    board = Switchboard(Random(1), exchange.ring, exchange.change)
    board.nameless = {f"tel:{METADATA}", f"tel:{METADATA_AS_TEXT}"}
    async with listening(200) as listener, board.open() as url:
        settings = {
            "twilio_api_url": url,
            "twilio_from": "+15550100200",
            "audiocodes_dial_url": url + DIAL_OUT,
            "audiocodes_dial_token": Private("client:secret"),
            "webhook_url": listener.url,
            "webhook_secret": SECRET,
        }
        async with service(tmp_path, *[[reply(900.0)]] * 4, **settings) as at:
            exchange.at = at
            again = {"idempotency_key": "reminder-1"}
            twilio = await place(at, "twilio", ANSWERS, **again)
            assert await place(at, "twilio", ANSWERS, **again) == twilio
            busy, rings_on = await place(at, "twilio", BUSY), await place(at, "twilio", RINGS_ON)
            from_us = {"from": "+15550100200"}
            audiocodes = await place(at, "audiocodes", ANSWERS_TOO, **from_us)
            nameless = [
                await place(at, "audiocodes", to, **from_us) for to in (METADATA, METADATA_AS_TEXT)
            ]
            assert await hang_up(at, rings_on) == 202
            of_note = (twilio, audiocodes, busy, rings_on)
            ended = [await until_ended(at, call_id) for call_id in of_note]
            found = [await until_ended(at, call_id) for call_id in nameless]
            await at.over()
            kept = {call["call_id"]: call for call in at.kept().values()}

    assert len(board.orders) == 6
    assert [one["ending"]["reason"] for one in ended] == [
        "caller-hung-up",
        "caller-hung-up",
        "not-answered",
        "hung-up-by-operator",
    ]
    own = {one["call_id"] for one in found}
    assert set(kept) == {twilio, audiocodes, *own}, "the calls have the ids of their orders"
    assert own.isdisjoint(nameless), "but for those that came before theirs was known"
    conversations = {ordered.form.get("target"): ordered.given_id for ordered in board.orders}
    for one, to in zip(found, (METADATA, METADATA_AS_TEXT), strict=True):
        assert one["provider_call_id"] == conversations[f"tel:{to}"]
        assert (one["direction"], one["ending"]["reason"]) == ("outbound", "caller-hung-up")
    assert (kept[twilio]["caller"], kept[twilio]["callee"]) == ("+15550100200", ANSWERS)
    for callee in exchange.callees.values():
        assert callee.verdict() == []
        assert share_of(900.0, heard_by(callee)) > 0.9
    told = {}
    for headers, body in listener.heard:
        assert verify(body, headers["opusbridge-signature"], SECRET.value)
        told[headers["opusbridge-delivery"]] = json.loads(body)
    assert set(told) == set(kept)
    assert told[twilio]["call"] == kept[twilio]
    assert (tmp_path / told[twilio]["files"] / "call.json").exists()

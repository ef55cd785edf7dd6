"""What is told of a bridge elsewhere that took no call: where, what it said, what to look at."""

import pytest

from opusbridge.cli.calling import play_against
from opusbridge.cli.refused import told
from opusbridge.config import Settings
from opusbridge.sim import script
from opusbridge.sim.account import TwiMLRefused
from opusbridge.sim.sockets import CallRefused
from opusbridge.web.server import listen
from tests.web.serving import PUBLIC, TOKEN, House, house, twilio

OURS = {"audiocodes_token": TOKEN, **twilio()}
FULL = "all its lines are busy (OPUSBRIDGE_MAX_CALLS), or it is stopping"
SIDES = ("audiocodes", "twilio")


async def refusal(base: str, telephony: str, **settings: str) -> str:
    """The one thing that is wrong with such a call."""
    url = base.replace("http://", "ws://")
    result = await play_against(
        script.load("greeting"), telephony, url, Settings.load(**(OURS | settings))
    )
    (told,) = result.failures
    return told


async def refused_by(server: House, **settings: str) -> list[str]:
    return [
        (await refusal(server.base, side, **settings)).removeprefix("the call was refused at ")
        for side in SIDES
    ]


async def test_nobody_there_is_told_with_the_address_and_without_what_is_secret_in_it() -> None:
    with listen("127.0.0.1", 0) as free:
        host = f"127.0.0.1:{free.getsockname()[1]}"

    audiocodes, by_twilio = [await refusal(f"ws://user:secret@{host}", side) for side in SIDES]

    assert audiocodes == (
        f"the call was refused at ws://{host}/audiocodes: no answer; "
        "is opusbridge serve running there?"
    )
    assert by_twilio == (
        f"the call was refused at http://{host}/twilio/voice: 11205: the webhook cannot be "
        "reached; is opusbridge serve running there?"
    )


async def test_other_secrets_over_there_are_told_by_the_names_of_the_settings() -> None:
    async with house(**OURS) as server:
        other = {"audiocodes_token": "another", "twilio_auth_token": "another"}
        audiocodes, by_twilio = await refused_by(server, **other)

    same = "must be set there, and be the same here"
    names = ("OPUSBRIDGE_AUDIOCODES_TOKEN", "OPUSBRIDGE_PUBLIC_URL and OPUSBRIDGE_TWILIO_…")
    assert audiocodes.endswith(f"/audiocodes: it answered 401; {names[0]} {same}")
    assert by_twilio.endswith(f"/twilio/voice: 11200: the webhook answered 403; {names[1]} {same}")
    assert TOKEN not in audiocodes + by_twilio


async def test_a_full_house_is_told_as_one() -> None:
    async with house(max_calls=1, **OURS) as server:
        await server.announce()
        audiocodes, by_twilio = await refused_by(server)

    assert "it answered 503" in audiocodes
    assert "no stream in it" in by_twilio
    assert audiocodes.endswith(FULL)
    assert by_twilio.endswith(FULL)


@pytest.mark.parametrize(
    ("status", "hint"),
    [(404, "; is that opusbridge's own address, without a path?"), (502, "; its log says why")],
)
def test_something_else_that_answers_there_is_hinted_at(status: int, hint: str) -> None:
    refused = CallRefused(status, f"{PUBLIC}/audiocodes?key=secret")

    assert told(refused, "audiocodes") == (
        f"the call was refused at {PUBLIC}/audiocodes: it answered {status}{hint}"
    )


def test_twiml_that_will_not_do_has_no_address() -> None:
    refused = TwiMLRefused(12200, "a Parameter without name or value")

    assert told(refused, "twilio") == f"the call was refused: {refused}"

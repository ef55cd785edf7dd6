"""How calls begin when it is made hard for them: a slow model, a refused key, a second stream.

The three stories have a house each and are lived side by side, for they take real time.
"""

import asyncio
from pathlib import Path
from random import Random

import pytest

from opusbridge.sim.callers import (
    Caller,
    HangUp,
    Person,
    SimulatedTwilio,
    Wait,
    WaitForAgent,
)
from opusbridge.sim.model import Knobs
from opusbridge.sim.sockets import place_call
from opusbridge.speech import load_clip
from tests.end_to_end.hearing import ear_of, files_of, find, samples
from tests.end_to_end.service import Service, heard_by, line, reply, service, share_of

pytestmark = pytest.mark.slow


def listener() -> Person:
    """Hears what there is to hear, and hangs up."""
    return Person([WaitForAgent(), HangUp()], patience_seconds=8.0)


async def test_however_hard_the_beginning_the_caller_is_answered(tmp_path: Path) -> None:
    async with asyncio.TaskGroup() as stories:
        stories.create_task(however_slow_the_model_the_phone_is_answered_in_time(tmp_path / "1"))
        stories.create_task(a_refused_key_is_an_apology(tmp_path / "2"))
        stories.create_task(of_two_streams_for_one_call_the_first_wins(tmp_path / "3"))


async def however_slow_the_model_the_phone_is_answered_in_time(folder: Path) -> None:
    async with service(folder, [reply(900.0)], [reply(900.0)]) as at:
        at.models.knobs = Knobs(create_delay=1.5, first_audio_delay=1.0)
        audiocodes, twilio = await asyncio.gather(
            at.by_audiocodes(listener()), at.by_twilio(listener())
        )

        assert audiocodes.verdict() == twilio.verdict() == []
        # Long before the greeting, which comes two seconds later; how long, the virtual clock says.
        assert audiocodes.seconds_to_answer is not None
        assert audiocodes.seconds_to_answer < 1.2
        first, second = audiocodes.play_streams.started_at
        assert second - first > 1.5
        assert share_of(900.0, heard_by(audiocodes)) > 0.9
        assert share_of(900.0, heard_by(twilio)) > 0.9


async def a_refused_key_is_an_apology(folder: Path) -> None:
    async with service(folder) as at:
        at.models.accepted_keys = {"another"}
        waits = [Person([Wait(20.0)], patience_seconds=8.0) for _ in range(2)]
        callers: list[Caller] = list(
            await asyncio.gather(at.by_audiocodes(waits[0]), at.by_twilio(waits[1]))
        )
        await at.over()

        rate_hz, pcm = load_clip("sorry")
        for caller in callers:
            assert caller.violations == []
            assert find(samples(pcm, rate_hz), ear_of(caller))[1] > 0.9
        for call in at.kept().values():
            assert call["ending"] == {"outcome": "model", "reason": "model-refused-us"}
            assert call["responses"]["requested"] == 0


async def of_two_streams_for_one_call_the_first_wins(folder: Path) -> None:
    """A repeated webhook is welcome; a second stream is not."""
    async with service(folder, [reply(900.0), reply(1300.0)]) as at:
        person = Person([WaitForAgent(), line(700.0), WaitForAgent(), HangUp()])
        first, second = await asyncio.gather(at.by_twilio(person), later_stream(at, 1.0))
        await at.over()

        assert first.verdict() == []
        assert share_of(1300.0, heard_by(first)) > 0.2
        assert second.heard == []
        assert len(at.models.sessions) == 1
        files = files_of(folder, first.call_sid)
        assert files.call["ending"]["reason"] == "caller-hung-up"
        assert len(files.call["turns"]) == 1
        rejected = (await at.metrics()).by("reason", "rejected_total", endpoint="twilio-media")
        assert rejected == {"already-streaming": 1.0}


async def later_stream(at: Service, seconds: float) -> SimulatedTwilio:
    """Another stream for the same call, announced by a webhook of its own."""
    await asyncio.sleep(seconds)
    call_sid = f"CA{1:032x}"
    twiml = await at.telephone.ask_webhook(call_sid)
    assert twiml.stream_url is not None
    person = Person([Wait(20.0)], patience_seconds=8.0)
    caller = SimulatedTwilio(person, call_sid, f"MZ{2:032x}", twiml.parameters, Random(2))
    headers = at.telephone.stream_headers(twiml.stream_url)
    await place_call(caller, twiml.stream_url, headers=headers)
    return caller

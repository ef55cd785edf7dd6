"""Both bridges at once, over real sockets: the caller asks for the opening hours and cuts in."""

import asyncio
from pathlib import Path

import numpy as np
import pytest
from twilio.request_validator import RequestValidator

from opusbridge.sim import script
from opusbridge.sim.callers import Caller, SimulatedAudioCodes
from opusbridge.sim.telephone import sign
from tests.end_to_end.house import (
    CallFiles,
    House,
    find,
    house,
    line,
    model_of,
    samples,
)

pytestmark = pytest.mark.slow

SCRIPT = script.load("opening-hours")

#: What the ear got and what the recording says may differ by two frames.
CLOSE_SECONDS = 0.04


async def test_both_telephony_sides_carry_a_whole_call_and_keep_it_as_it_was(
    tmp_path: Path,
) -> None:
    async with house(tmp_path, model_of(SCRIPT.reply_script())) as at:
        steps = [table.step() for table in SCRIPT.caller.steps]
        twilio, audiocodes = await asyncio.gather(at.call_twilio(steps), at.call_audiocodes(steps))
        kept = await asyncio.gather(at.files(twilio.call_sid), at.files(audiocodes.conversation_id))

        for caller, files in zip((twilio, audiocodes), kept, strict=True):
            assert caller.verdict() == []
            well_ended(files)
            heard_in_order(caller)
            recorded_as_heard(caller, files)
        assert [what for model in at.models.finished for what in model.verdict()] == []
        await counted(at)
        rang_and_was_answered(audiocodes)


def well_ended(files: CallFiles) -> None:
    call = files.call
    assert call["ending"] == {"outcome": "completed", "reason": "agent-hung-up"}
    assert call["barge_ins"] == 1
    assert len(call["turns"]) == 4
    assert call["responses"]["conflicts"] == 0
    heard = [item["heard"] for item in files.transcript["items"] if item["speaker"] == "agent"]
    said = " ".join(heard)
    for text in SCRIPT.expect.heard:
        assert text.casefold() in said.casefold()
    cut = next(item for item in files.transcript["items"] if item["status"] == "interrupted")
    assert cut["heard"].startswith("From Monday")
    assert cut["unheard"].endswith("from ten to four.")


AGENT_LINES = ("front-desk", "what-is-it", "open-on-sundays", "thank-you-for-calling")
CALLER_LINES = ("opening-hours", "one-more-thing", "sundays-too", "thank-you-goodbye")


def heard_in_order(caller: Caller) -> None:
    ear = samples(caller.heard_pcm(8_000))
    found = [find(line(slug), ear) for slug in AGENT_LINES]
    assert all(alike > 0.9 for _, alike in found), found
    assert [at for at, _ in found] == sorted(at for at, _ in found)
    # The long answer was cut: its beginning was heard, its end never was.
    hours = line("hours-of-the-week")
    assert find(hours[: 8_000 * 3 // 2], ear)[1] > 0.9
    assert find(hours[-8_000 * 3 // 2 :], ear)[1] < 0.5


def recorded_as_heard(caller: Caller, files: CallFiles) -> None:
    """Each line is in the recording when it was heard, or said, on one time line."""
    assert caller.begun_at is not None
    assert caller.ended_at is not None
    offset = caller.begun_at - files.began_at
    ear, agent = samples(caller.heard_pcm(8_000)), files.lane(1)
    for slug in AGENT_LINES:
        heard_at, _ = find(line(slug), ear)
        recorded_at, alike = find(line(slug), agent)
        assert alike > 0.9
        assert recorded_at == pytest.approx(heard_at + offset, abs=CLOSE_SECONDS), slug
    said = files.lane(0)
    for slug, spoken in zip(CALLER_LINES, caller.spoken, strict=True):
        recorded_at, alike = find(line(slug), said)
        assert alike > 0.9
        assert recorded_at == pytest.approx(
            spoken.started_at - files.began_at, abs=2 * CLOSE_SECONDS
        ), slug
    # What was cut is silent on the agent's lane until the next answer begins.
    cut_in, _ = find(line("one-more-thing"), said)
    answer, _ = find(line("what-is-it"), agent)
    quiet = agent[int((cut_in + 0.5) * 8_000) : int((answer - 0.1) * 8_000)]
    assert np.sqrt(np.mean(quiet**2)) < 50
    frames = len(files.recording.pcm) / 4 / files.recording.rate_hz
    assert frames == pytest.approx(caller.ended_at - files.began_at, abs=0.3)


async def counted(at: House) -> None:
    """What an operator's dashboard shows of the two calls."""
    for side in ("twilio", "audiocodes"):
        labels = {"telephony": side, "outcome": "completed", "reason": "agent-hung-up"}
        assert await at.metric("opusbridge_calls_total", **labels) == 1
        assert await at.metric("opusbridge_calls_active", telephony=side) == 0
    assert await at.metric("opusbridge_barge_ins_total") == 2
    assert await at.metric("opusbridge_truncations_total") == 2
    assert await at.metric("opusbridge_response_requests_total") == 10
    assert await at.metric("opusbridge_responses_total", status="completed") == 8
    assert await at.metric("opusbridge_turn_latency_seconds_count") == 8
    assert await at.metric("opusbridge_response_conflicts_total") == 0
    assert await at.metric("opusbridge_invariant_violations_total") == 0
    assert await at.metric("opusbridge_bad_messages_total") == 0
    assert await at.metric("opusbridge_tokens_total", kind="output_audio") > 0


def rang_and_was_answered(caller: SimulatedAudioCodes) -> None:
    assert caller.seconds_to_answer is not None
    assert caller.seconds_to_answer < 0.6  # the greeting's own sound, or silence before it
    assert len(caller.play_streams.started_at) >= 5


def test_twilios_own_validator_accepts_the_simulated_webhook() -> None:
    phone = House.phone(
        House("https://voice.example.com", Path(), None, None, None)  # type: ignore[arg-type]  # only the base is looked at
    )
    form = phone.form("CA" + "1" * 32)
    assert phone.auth_token is not None
    signature = sign(phone.webhook_url, form, phone.auth_token)

    assert RequestValidator(phone.auth_token).validate(phone.webhook_url, form, signature)
    assert not RequestValidator("another").validate(phone.webhook_url, form, signature)


def test_the_correlation_tells_lines_apart() -> None:
    track = np.concatenate((np.zeros(4_000), line("yes-please"), np.zeros(4_000)))

    assert find(line("yes-please"), track) == (pytest.approx(0.5), pytest.approx(1.0))
    assert find(line("mm-hm"), track)[1] < 0.5

"""A bridge that runs elsewhere, judged by what its caller lived through."""

import asyncio
from pathlib import Path

import pytest

from opusbridge.cli import calling
from opusbridge.testing import CallResult, load_script, simulated_caller
from opusbridge.testing.dialling import dial

pytestmark = pytest.mark.slow


async def called(
    text: str, tmp_path: Path, telephony: str = "audiocodes", **settings: str
) -> CallResult:
    """What became of a call to a bridge with the script's own model."""
    script = load_script(text)
    async with calling.own_model(script) as model:
        used = calling.own_settings(model.url).model_copy(update=settings)
        async with calling.own_bridge(used, tmp_path, lambda *_: None) as url:
            return await asyncio.to_thread(
                simulated_caller, url, script, telephony=telephony, settings=used
            )


async def test_who_is_not_taken_back_when_his_line_was_lost_was_wronged_by_nobody(
    tmp_path: Path,
) -> None:
    call = await called("lost-telephony-socket", tmp_path)

    assert call.ok, call.report


HANGS_UP_ON_HIM = """
[caller]
steps = [{ wait_for_agent = true }, { hang_up = true }]

[[model.replies]]
voice = "i-am-here"
tool = "hang_up"
arguments = { reason = "I have had enough" }

[expect]
ending = "%s"
"""


async def test_who_was_hung_up_on_knows_that_it_was_not_he(tmp_path: Path) -> None:
    call = await called(HANGS_UP_ON_HIM % "caller-hung-up", tmp_path)

    (told,) = call.failures
    why = "the caller did not hang up, the bridge's side ended the call"
    assert told.startswith(f"<script>:11: {why} (at ")


CUT_SHORT = HANGS_UP_ON_HIM.replace("{ hang_up", '{ say = "opening-hours" }, { hang_up')


@pytest.mark.parametrize("ending", ["agent-hung-up", "caller-hung-up"])
async def test_an_ending_that_nobody_saw_excuses_no_steps(tmp_path: Path, ending: str) -> None:
    call = await called(CUT_SHORT % ending, tmp_path)

    told = "the call ended before the caller had done all in the script, at step "
    assert call.failures[-1].startswith(told)
    assert ("<script>:11: not checked: ending" in call.not_checked) is (ending == "agent-hung-up")


async def test_whose_line_was_lost_does_not_know_for_what_the_call_ended(tmp_path: Path) -> None:
    lost = HANGS_UP_ON_HIM.replace("agent = true", "sound = true").replace(
        "hang_up", "drop_line", 1
    )
    call = await called(lost % "caller-hung-up", tmp_path)

    assert call.ok, call.report
    assert "<script>:11: not checked: ending" in call.not_checked


@pytest.mark.parametrize("telephony", ["twilio", "audiocodes"])
async def test_what_comes_of_a_transfer_only_audiocodes_can_tell_a_bridge_elsewhere(
    tmp_path: Path, telephony: str
) -> None:
    refused = f"transfer_outcome = 'busy'\n{HANGS_UP_ON_HIM % 'agent-hung-up'}"
    call = await called(refused, tmp_path, telephony)

    untold = "<script>:1: not played: transfer_outcome" in call.not_checked
    assert untold is (telephony == "twilio")


async def test_one_of_several_processes_is_called_past_the_proxy_that_knows_its_path(
    tmp_path: Path,
) -> None:
    public = "https://voice.example.com"
    call = await called("greeting", tmp_path, "twilio", public_url=public, own_url=f"{public}/a")

    assert call.ok, call.report


TWICE = """
[caller]
steps = [{ wait_for_agent = true }, { hang_up = true }]

[[model.replies]]
voice = "i-am-here"

[[model.replies]]
voice = "i-am-here"
"""


@pytest.mark.parametrize("telephony", ["twilio", "audiocodes"])
async def test_two_may_call_the_same_bridge_at_once(tmp_path: Path, telephony: str) -> None:
    script = load_script(TWICE)
    async with calling.own_model(script) as model:
        used = calling.own_settings(model.url, script)
        async with calling.own_bridge(used, tmp_path, lambda *_: None) as url:
            both = await asyncio.gather(*(dial(script, telephony, url, used) for _ in range(2)))

    for caller in both:
        assert caller.verdict() == []
        assert caller.person.done
    keys = ("call_sid", "stream_sid") if telephony == "twilio" else ("conversation_id",)
    for key in keys:
        assert len({getattr(caller, key) for caller in both}) == 2, key

"""A bridge that runs elsewhere, judged by what its caller lived through."""

import asyncio
from pathlib import Path

import pytest

from opusbridge.cli import calling
from opusbridge.testing import CallResult, load_script, simulated_caller

pytestmark = pytest.mark.slow


async def called(text: str, tmp_path: Path) -> CallResult:
    """What became of a call over AudioCodes, to a bridge with the script's own model."""
    script = load_script(text)
    async with calling.own_model(script) as model:
        settings = calling.own_settings(model.url)
        async with calling.own_bridge(settings, tmp_path, lambda *_: None) as url:
            return await asyncio.to_thread(
                simulated_caller, url, script, telephony="audiocodes", settings=settings
            )


async def test_who_is_not_taken_back_when_his_line_was_lost_was_wronged_by_nobody(
    tmp_path: Path,
) -> None:
    call = await called("lost-telephony-socket", tmp_path)

    assert call.ok, call.report

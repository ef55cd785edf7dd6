"""Work of the command line that a signal cuts off."""

import asyncio
import signal

import pytest

from opusbridge.cli import cut_off


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_is_heeded_though_the_work_comes_to_its_end(number: signal.Signals) -> None:
    async def work() -> str:
        await asyncio.sleep(0)
        signal.raise_signal(number)
        return "done"

    with pytest.raises(SystemExit) as ended:
        cut_off.run(work())

    assert ended.value.code == 128 + number


def test_a_signal_is_what_ended_work_that_breaks_of_it() -> None:
    async def work() -> None:
        signal.raise_signal(signal.SIGTERM)
        raise RuntimeError("half of it is gone")

    with pytest.raises(SystemExit) as ended:
        cut_off.run(work())

    assert ended.value.code == 128 + signal.SIGTERM

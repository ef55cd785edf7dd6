"""Beats closer together than an event loop's timers."""

import asyncio
import os
import time
from itertools import pairwise

import pytest

from opusbridge.bench.metronome import Metronome


async def test_it_beats_more_often_than_once_in_a_millisecond() -> None:
    beats, enough = list[float](), asyncio.Event()

    def beat() -> None:
        beats.append(time.monotonic())
        if len(beats) == 200:
            enough.set()

    metronome = Metronome(0.0002, beat)
    await asyncio.wait_for(enough.wait(), 10)
    metronome.stop()

    gaps = sorted(later - earlier for earlier, later in pairwise(beats))
    assert gaps[len(gaps) // 2] < 0.0008


async def test_beats_that_were_missed_are_one() -> None:
    beats = list[float]()
    metronome = Metronome(0.01, lambda: beats.append(time.monotonic()))
    time.sleep(0.1)  # noqa: ASYNC251  # that is what makes it miss them
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    metronome.stop()

    assert len(beats) == 1


async def test_one_that_was_stopped_is_silent_and_keeps_nothing_open() -> None:
    before = set(os.listdir("/proc/self/fd"))
    beats = list[float]()
    metronome = Metronome(0.001, lambda: beats.append(time.monotonic()))
    metronome.stop()
    await asyncio.sleep(0.01)

    assert beats == []
    assert set(os.listdir("/proc/self/fd")) == before


async def test_a_beat_of_no_time_is_refused() -> None:
    with pytest.raises(ValueError, match="beat"):
        Metronome(0.0, print)

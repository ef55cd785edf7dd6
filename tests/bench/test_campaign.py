"""How a ladder is climbed, and how several measurements become one line."""

import pytest

from opusbridge.bench.campaign import FIRST_RUNG, MOST_RUNGS, highest, implied, ladder, rows
from opusbridge.bench.measure import Measured


def measured(calls: int, sustained: bool = True, cost: float = 4.0, setup: str = "x") -> Measured:
    late = 1_000.0 if sustained else 90_000.0
    found = Measured(setup, calls, 1.0, cpu_ms_per_call=cost)
    found.up_us = found.down_us = {"count": 1, "p50": late / 2, "p99": late, "max": late}
    return found


async def climbed(limit: int, cost: float = 4.0) -> list[Measured]:
    async def climb(calls: int) -> Measured:
        return measured(calls, calls <= limit, cost)

    return await ladder(climb)


@pytest.mark.parametrize("limit", [30, 100, 150, 237, 300, 400])
async def test_a_ladder_ends_within_a_step_of_the_limit(limit: int) -> None:
    rungs = await climbed(limit)

    assert limit / 1.16 - 1 <= highest(rungs) <= limit
    assert len(rungs) <= MOST_RUNGS


async def test_a_machine_that_cannot_carry_the_first_rung_is_not_asked_for_more() -> None:
    rungs = await climbed(10)

    assert [one.calls for one in rungs] == [FIRST_RUNG]
    assert highest(rungs) == 0


async def test_a_ladder_without_a_limit_ends_all_the_same() -> None:
    assert len(await climbed(10**9, cost=0.01)) <= MOST_RUNGS


def test_the_cost_of_a_call_says_how_many_fill_a_core() -> None:
    assert implied(4.75) == 200
    assert implied(0.0) == 0


def test_rows_are_medians_with_a_ratio_to_the_reference() -> None:
    costs = [6.0, 9.0, 6.4]
    given = [measured(50, cost=cost, setup="ours") for cost in costs]
    given += [measured(50, cost=cost, setup="relay") for cost in (4.0, 4.0, 5.0)]
    given[1].lost_up = 3

    ours, relay = rows(given, "relay")

    assert (ours.cpu_ms_per_call, ours.ratio, ours.rounds, ours.lost) == (6.4, 1.6, 3, 3)
    assert (relay.ratio, relay.sustained, ours.sustained) == (1.0, True, False)


def test_whoever_gave_out_is_named() -> None:
    late = measured(9, sustained=False)
    assert (measured(9).gave_out, late.gave_out) == (None, "bridge")

    late.generator_late_us = {"count": 9, "p50": 1.0, "p99": 30_000.0, "max": 30_000.0}
    assert late.gave_out == "generator"


def test_a_lost_call_is_never_sustained() -> None:
    one = measured(9)
    one.lost_calls = 1

    assert not one.sustained
    assert one.as_json()["sustained"] is False


def test_what_was_not_measured_is_not_said_to_have_taken_no_time() -> None:
    never = measured(9)
    never.up_us = {"count": 0, "p50": 0.0, "p99": 0.0, "max": 0.0}
    once = measured(9)

    [row] = rows([never, never], "x")
    assert (row.up_p50_us, row.up_p99_us, row.clear_p99_us) == (None, None, None)
    assert row.down_p50_us == 500.0

    [row] = rows([never, once, never], "x")
    assert row.up_p50_us == 500.0

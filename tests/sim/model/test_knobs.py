"""Knobs from a command line and from chance."""

from dataclasses import fields
from math import inf
from random import Random

import pytest

from opusbridge.sim.model import Fault, FaultKind, Knobs


def test_a_knob_is_named_with_dashes_and_read_by_its_type() -> None:
    knobs = Knobs.parse(
        "cancel-latency=0.3", "delta-ms=20-40", "odd-deltas", "unknown-fields=true",
        "usage=null", "message-items=2", "speed=inf", "freeze-at=12", "obfuscation=false",
    )  # fmt: skip

    assert knobs == Knobs(
        cancel_latency=0.3,
        delta_ms=(20, 40),
        odd_deltas=True,
        unknown_fields=True,
        usage="null",
        message_items=2,
        speed=inf,
        freeze_at=12.0,
    )


def test_what_is_asked_for_stands_in_for_what_was_so_already() -> None:
    before = Knobs.parse("speed=2", "odd-deltas", "drop=3", "empty=4")

    knobs = Knobs.parse("speed=7", "failed=3", over=before)

    assert (knobs.speed, knobs.odd_deltas) == (7.0, True)
    kinds = {ordinal: fault.kind for ordinal, fault in knobs.faults.items()}
    assert kinds == {3: FaultKind.FAILED, 4: FaultKind.EMPTY}


def test_nothing_to_parse_is_the_default() -> None:
    assert Knobs.parse() == Knobs()


def test_one_length_makes_every_delta_as_long() -> None:
    assert Knobs.parse("delta-ms=100").delta_ms == (100, 100)


def test_a_fault_takes_the_number_of_its_response_and_perhaps_a_detail() -> None:
    knobs = Knobs.parse("drop=3", "failed=2:server_error", "empty", "incomplete=7")

    assert dict(knobs.faults) == {
        3: Fault(FaultKind.DROP),
        2: Fault(FaultKind.FAILED, "server_error"),
        1: Fault(FaultKind.EMPTY),
        7: Fault(FaultKind.INCOMPLETE, "max_output_tokens"),
    }


def test_an_unknown_name_is_answered_with_all_the_names_there_are() -> None:
    with pytest.raises(ValueError, match="choose among") as refused:
        Knobs.parse("explode")

    for field in fields(Knobs):
        if field.name != "faults":
            assert field.name.replace("_", "-") in str(refused.value)
    for kind in FaultKind:
        assert kind in str(refused.value)


@pytest.mark.parametrize(
    ("given", "says"),
    [
        ("usage=lots", "usage takes one of counted, zero, null"),
        ("odd-deltas=maybe", "odd-deltas takes true or false"),
        ("cancel-latency=soon", "cancel-latency takes a number"),
        ("cancel-latency=-1", "cancel-latency takes a number"),
        ("cancel-latency", "cancel-latency takes a number"),
        ("speed=nan", "speed takes a number"),
        ("delta-ms=20-x", "delta-ms takes a whole number"),
        ("delta-ms=400-100", "delta-ms takes the shorter length first"),
        ("speed=0", "speed takes a number above zero"),
        ("message-items=0", "message-items takes a whole number"),
        ("drop=0", "drop takes the number of a response, from 1"),
        ("drop=x", "drop takes the number of a response, from 1"),
        ("failed=1:sulking", "failed takes one of inference_rate_limit_exceeded"),
        ("drop=1:loudly", "drop takes no detail"),
        ("session-limit=inf", "session-limit takes at most"),
        ("faults=1", "there is no such fault"),
    ],
)
def test_a_value_that_will_not_do_is_explained(given: str, says: str) -> None:
    with pytest.raises(ValueError, match=says):
        Knobs.parse(given)


def test_one_response_has_one_fault() -> None:
    with pytest.raises(ValueError, match="response 1 has the fault failed already"):
        Knobs.parse("failed=1:server_error", "drop")


def test_the_same_seed_draws_the_same_knobs_and_another_draws_others() -> None:
    assert Knobs.random(Random(7)) == Knobs.random(Random(7))
    assert Knobs.random(Random(7)) != Knobs.random(Random(8))


def test_chance_turns_every_knob_and_brings_every_fault_sooner_or_later() -> None:
    drawn = [Knobs.random(Random(seed)) for seed in range(300)]

    for field in fields(Knobs):
        if field.name not in ("session_limit", "freeze_at", "drop_at", "metadata_echoed"):
            assert len({str(getattr(knobs, field.name)) for knobs in drawn}) > 1, field.name
    assert {fault.kind for knobs in drawn for fault in knobs.faults.values()} == set(FaultKind)


def test_words_come_at_any_time_in_either_order() -> None:
    drawn = [Knobs.random(Random(seed)) for seed in range(300)]

    for order in ("before-commit", "after-commit"):
        delays = [one.transcription_delay for one in drawn if one.transcription_order == order]
        assert len(delays) > 30
        assert min(delays) < 0.3
        assert max(delays) > 2.7


def test_chance_stays_within_what_can_be_survived() -> None:
    for seed in range(300):
        knobs = Knobs.random(Random(seed))

        assert knobs.create_delay <= 2
        assert knobs.auto_create_delay <= 2
        assert knobs.cancel_latency <= 1
        assert not {ordinal + 1 for ordinal in knobs.faults} & set(knobs.faults)
        kinds = [fault.kind for fault in knobs.faults.values()]
        assert kinds.count(FaultKind.FREEZE) + kinds.count(FaultKind.DROP) <= 1
        details = {fault.detail for fault in knobs.faults.values()}
        assert not details & {"insufficient_quota", "credit_balance_exhausted"}


def test_a_fault_without_a_detail_takes_the_likeliest() -> None:
    assert Fault(FaultKind.FAILED).detail == "inference_rate_limit_exceeded"
    assert Fault(FaultKind.EMPTY).detail == ""

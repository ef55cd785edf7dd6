"""What is lost, late or damaged on the way is seen at its end."""

from array import array
from base64 import b64decode

import pytest

from opusbridge.bench.stamps import STAMP, Arrivals, lost, quantiles, stamp, tail

TAIL = tail(160).encode()


def payload(call: int, number: int, now_ns: int = 0) -> bytes:
    return stamp(call, number, now_ns).encode() + TAIL


@pytest.mark.parametrize("size", [160, 320, 640, 960, 1600, 4800, 9600])
def test_a_stamped_payload_is_base64_of_the_right_size(size: int) -> None:
    assert len(b64decode(stamp(12, 3456, 7890) + tail(size), validate=True)) == size


def test_what_follows_a_stamp_is_no_digit() -> None:
    assert not any(letter.isdigit() for letter in tail(4800))
    assert len(stamp(1, 1, 1)) == STAMP


def test_what_arrives_in_order_is_well() -> None:
    arrivals = Arrivals()

    calls = [arrivals.note(payload(7, number), TAIL, 0) for number in (1, 2, 3)]

    assert calls == [7, 7, 7]
    assert (arrivals.received, arrivals.gaps, arrivals.damaged) == ({7: 3}, [], 0)


def test_a_hole_is_missing_and_calls_do_not_mix() -> None:
    arrivals = Arrivals()

    for call, number in ((1, 1), (2, 1), (1, 4), (2, 2)):
        arrivals.note(payload(call, number), TAIL, 0)

    assert arrivals.gaps == [(1, 2, 3)]
    assert lost(arrivals.gaps, []) == 2


def test_what_overtakes_is_counted_too() -> None:
    arrivals = Arrivals()

    for number in (1, 2, 2):
        arrivals.note(payload(1, number), TAIL, 0)

    assert lost(arrivals.gaps, [(1, 1, 9)]) == 1


def test_what_nobody_wanted_any_more_is_not_lost() -> None:
    gaps = [(1, 4, 9), (2, 4, 5)]

    assert lost(gaps, [(1, 2, 5), (1, 5, 7), (2, 6, 9)]) == 4
    assert lost(gaps, [(1, 1, 10), (2, 4, 5)]) == 0


def test_sound_that_was_changed_is_damaged() -> None:
    arrivals = Arrivals()

    arrivals.note(payload(1, 1)[:-4] + b"AAA=", TAIL, 0)

    assert arrivals.damaged == 1


def test_sound_without_a_stamp_belongs_to_nobody() -> None:
    assert Arrivals().note(b"f" * 216, TAIL, 0) == 0


def test_latencies_are_measured_in_the_window_only() -> None:
    arrivals = Arrivals()
    arrivals.note(payload(1, 1, 0), TAIL, 9_000_000_000)
    arrivals.begin()
    arrivals.note(payload(1, 2, 1_000_000), TAIL, 3_000_000)
    arrivals.note(payload(1, 3, 5_000_000), TAIL, 4_000_000)

    assert arrivals.end()["latencies_us"] == {"count": 2, "p50": 0.0, "p99": 2000.0, "max": 2000.0}
    arrivals.note(payload(1, 4), TAIL, 0)
    assert arrivals.end()["latencies_us"]["count"] == 0


def test_quantiles_are_values_that_occurred() -> None:
    assert quantiles(array("I", range(1, 1001))) == {
        "count": 1000,
        "p50": 500.0,
        "p99": 990.0,
        "max": 1000.0,
    }

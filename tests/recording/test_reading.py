"""A flight recording is read as far as it is not damaged, and what is damaged is counted."""

import json
from pathlib import Path

import pytest

from opusbridge.recording.flight import FlightRecording
from opusbridge.recording.reading import read_flight, salvage
from opusbridge.recording.runs import exact_times
from opusbridge.sound import PCMU_8K


@pytest.fixture
def flight(tmp_path: Path) -> Path:
    """Of six lines, a header and five messages."""
    path = tmp_path / "flight.jsonl"
    recording = FlightRecording(path, "call-1", PCMU_8K)
    for number in range(5):
        recording.said("model", "in", '{"type":"x"}', float(number))
    recording.finish()
    return path


def damage(flight: Path, **lines: bytes) -> None:
    """``l3``: that line, whatever it was, is now so."""
    content = flight.read_bytes().splitlines()
    for name, text in lines.items():
        content[int(name[1:]) - 1] = text
    flight.write_bytes(b"\n".join(content) + b"\n")


def test_of_a_whole_file_nothing_is_missing(flight: Path) -> None:
    found = salvage(flight)

    assert (found.unread, str(found)) == ((), "")
    assert found.lines == read_flight(flight)


@pytest.mark.parametrize(
    "text",
    [
        b'{"t": 2.0, "n": 3, "pe',
        b"\x00\xff",
        b"",
        b"7",
        b"{}",
        b'{"t": "2.0", "n": 3}',
        b'{"t": 1e300, "n": 3}',
    ],
)
def test_a_line_that_says_nothing_is_counted_and_all_others_are_read(
    flight: Path, text: bytes
) -> None:
    damage(flight, l4=text, l5=b"?")
    found = salvage(flight)

    assert found.unread == (4, 5)
    assert str(found) == "2 of its 6 lines cannot be read; the first of them is line 4"
    assert [line["n"] for line in found.lines[1:]] == [1, 2, 5]


@pytest.mark.parametrize("at", [1e300, -1e9])
def test_what_came_in_mid_flow_at_no_time_of_the_call_is_counted(flight: Path, at: float) -> None:
    folded = {"t": 1.0, "n": 2, "flow": "ww", "at": exact_times([1.0, at]), "words": [{}, {}]}
    damage(flight, l3=json.dumps(folded).encode())

    assert salvage(flight).unread == (3,)


def test_the_last_line_of_a_crash_is_told_for_what_it_is(flight: Path) -> None:
    damage(flight, l6=b'{"t": 4.')
    found = salvage(flight)

    assert str(found) == "its last line, 6, cannot be read: it was cut off"
    assert len(found.lines) == 5


def test_a_file_without_its_header_is_refused_with_the_reason(flight: Path) -> None:
    damage(flight, l1=b'{"fligh')

    for read in (salvage, read_flight):
        with pytest.raises(ValueError, match="or its first line is damaged"):
            read(flight)


def test_lines_come_in_the_order_of_their_time(flight: Path) -> None:
    damage(flight, l2=json.dumps({"t": 9.0, "n": 9}).encode())

    assert [line["n"] for line in salvage(flight).lines[1:]] == [2, 3, 4, 5, 9]

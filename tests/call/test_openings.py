"""Whether the recording was paused since something began."""

import pytest

from opusbridge.call.openings import Openings
from opusbridge.call.tools import MOST_KNOWN, MOST_RUNNING
from opusbridge.call.transcript import Transcript


@pytest.mark.parametrize(
    ("course", "met"),
    [
        ("pause, resume, begin", False),
        ("pause, begin", True),
        ("pause, begin, resume", True),
        ("pause, begin, resume, begin", True),
        ("begin, pause", True),
        ("begin, pause, resume", True),
        ("begin, pause, resume, begin", True),
        ("begin", False),
        ("pause, resume", False),
    ],
)
def test_what_was_under_way_at_any_moment_of_a_pause_has_met_it(course: str, met: bool) -> None:
    transcript = Transcript()
    openings = Openings(transcript)
    for step in course.split(", "):
        match step:
            case "begin":
                openings.began("item_1")
            case "pause":
                transcript.pause("agent", 1000, ())
            case _:
                transcript.resume("agent", 2000)

    assert openings.met_a_pause("item_1") is met
    assert not openings.met_a_pause(None)


def test_what_a_pause_met_is_known_however_many_tools_are_used_beside_it() -> None:
    transcript = Transcript()
    openings = Openings(transcript)
    transcript.pause("agent", 1000, ())
    openings.began("mcp_1")
    transcript.resume("agent", 2000)
    for number in range(2 * MOST_RUNNING):
        openings.began(f"item_{number}")

    assert openings.met_a_pause("mcp_1")
    assert not openings.met_a_pause("item_0")


def test_of_what_begins_without_end_only_the_latest_are_known() -> None:
    transcript = Transcript()
    openings = Openings(transcript)
    for number in range(MOST_KNOWN + 1):
        openings.began(f"item_{number}")
    transcript.pause("agent", 1000, ())

    assert not openings.met_a_pause("item_0")
    assert openings.met_a_pause("item_1")

"""Where the short cuts for the agent's answer are closed: states that its stories hardly reach."""

from opusbridge import events
from opusbridge.call.flow import SOONER_SECONDS, flow_of
from tests.call.test_flow import done, in_answer, mark, sound, words
from tests.call.wires import dumped, ready


def test_sound_that_comes_in_another_format_than_was_agreed_is_not_played() -> None:
    """As if it were in that one the caller would hear loud static."""
    both = in_answer()
    both.model(ready("audiocodes"))  # the session's sound is PCM now, and Twilio's mu-law

    both.model(sound("r1"))
    both.model(words("r1"))
    assert both.short.total() == 1

    both.model(ready("twilio"))
    both.model(sound("r1"))
    both.model(sound("r1"))
    assert both.short.total() >= 2


def test_while_the_recording_is_paused_what_is_withheld_is_told_at_once() -> None:
    """An item of which nothing but sound has come is known when that was heard."""
    both = in_answer()
    both.happens(events.RecordingPauseRequested("operator"))
    over = {"response_id": "r1", "item_id": "new", "content_index": 0}
    both.model(sound("r1", item_id="new"))
    both.model(dumped(type="response.output_audio.done", **over))
    for _ in range(3):
        both.model(sound("r1"))
    both.model(words("r1"))

    for name in list(both.marks):
        both.waits(0.2)
        both.telephony(mark(name))

    assert both.short.total() == 0
    assert both.quick.tally.notes["withheld"] == 2


def test_after_a_pause_of_the_recording_they_are_open_again() -> None:
    both = in_answer()
    both.happens(events.RecordingPauseRequested("operator"))
    both.happens(events.RecordingResumeRequested("operator"))
    both.model(sound("r1"))
    both.model(words("r1"))
    both.model(done("r1"))

    assert both.short.total() == 2


def test_while_the_model_is_asked_whether_it_is_there_none_is_open() -> None:
    """How soon he is asked to hold again depends on whether it was deaf meanwhile."""
    both = in_answer()
    for _ in range(4):
        both.model(sound("r1"))
    both.waits(3.5)
    before = both.short.copy()
    assert flow_of(both.quick.call) is None
    both.telephony(mark(both.marks[0]))
    both.model(sound("r1"))
    assert both.short == before

    both.waits(0.1)
    both.model(sound("r1"))
    assert both.short != before


def test_what_counts_from_the_end_of_what_is_said_is_not_late_when_that_comes_sooner() -> None:
    """The marks of a slow line that becomes a quick one, when it is too late to move the run."""
    both = in_answer()
    for _ in range(40):
        both.model(sound("r1"))
    names = list(both.marks)
    for name in names[:2]:
        both.waits(1.4)
        both.telephony(mark(name))
    for name in names[2:12]:
        both.waits(0.02)
        both.telephony(mark(name))

    assert both.short["mark"] > 6  # the others came when a deadline was due
    quick, slow = (made.call._company.deadline for made in (both.quick, both.slow))
    assert quick is not None
    assert slow is not None
    assert 0 <= quick - slow < SOONER_SECONDS

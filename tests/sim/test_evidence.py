"""What a caller's ears alone can tell of a call."""

from random import Random

from opusbridge.sim.callers import HeardSpan, Person, SimulatedTwilio
from opusbridge.sim.callers.person import Spoken
from opusbridge.sim.evidence import Lapse, answers, silences
from tests.sim.test_checks import sound, span


def who_lived(spoken: list[Spoken], heard: list[HeardSpan], until: float) -> SimulatedTwilio:
    """A caller whose call began at 0.0."""
    caller = SimulatedTwilio(Person([]), "CA1", "MZ1", {}, Random(1))
    caller.begun_at = caller.answered_at = 0.0
    caller.ended_at = until
    caller.person.spoken += spoken
    caller.person.ear.heard += heard
    return caller


def test_an_agent_that_goes_on_after_a_breath_has_not_answered() -> None:
    turn = Spoken(1.0, 2.0, "mm-hm")
    under_way = [span(0.5, sound(2000, 1)), span(3.0, sound(1000, 2))]
    answer = span(9.0, sound(500, 3))

    assert answers(who_lived([turn], [*under_way, answer], 12.0)) == [Lapse(2.0, 7.0)]
    assert answers(who_lived([turn], under_way, 12.0)) == []


def test_nobody_is_silent_while_it_rings() -> None:
    heard = [span(4.0, sound(1000, 1))]

    assert silences(who_lived([], heard, 5.0)) == [Lapse(0.0, 4.0)]
    rung = who_lived([], heard, 5.0)
    rung.answered_at = 3.0
    assert silences(rung) == [Lapse(3.0, 1.0)]
    rung_in_vain = who_lived([], [], 30.0)
    rung_in_vain.answered_at = None
    assert silences(rung_in_vain) == []

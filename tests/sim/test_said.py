"""Each turn has the words of what is in it, however many sayings that are."""

from random import Random

from opusbridge.effects import Note
from opusbridge.sim.callers import Person, Press, Say, SimulatedTwilio, Wait
from opusbridge.sim.callers.person import Step
from opusbridge.sim.said import Said

LOUD = b"\x00\x20" * 8000  # a second
QUIET = bytes(16_000)

TWO = Say(LOUD + QUIET + LOUD, 8000, "one two three four")
ONE = Say(LOUD, 8000, "five six")


def living(*steps: Step) -> "Living":
    return Living(Person(steps))


class Living:
    def __init__(self, person: Person) -> None:
        self.person, self._ticks = person, 0
        self.said = Said(person)

    def to(self, seconds: float, *, heard: bool = True) -> str:
        """Live to then, and what a listener makes of it; not ``heard``: nothing is carried."""
        while self._ticks <= round(seconds * 50):
            self.person.tick(self._ticks / 50)
            self._ticks += 1
            if heard:
                self.person.carried()
        return self.said.lately()


def test_two_sayings_may_make_one_turn() -> None:
    assert living(ONE, Wait(0.2), TWO).to(5.0) == "five six one two three four"


def test_one_saying_may_make_two_turns() -> None:
    line = living(TWO)

    assert [line.to(1.5), line.to(4.0), line.to(5.0)] == ["one two", "three four", ""]


def test_of_what_is_withheld_there_are_no_words() -> None:
    line = living(ONE, Wait(1.0), TWO)

    assert line.to(1.5, heard=False) == ""
    assert line.to(5.0) == "one two three four"
    late = living(TWO)
    assert late.to(1.5, heard=False) == ""
    assert late.to(5.0) == "three four"


def test_what_is_still_on_its_way_belongs_to_the_next_turn() -> None:
    line = living(ONE, Wait(0.5), ONE)

    assert [line.to(1.6), line.to(4.0)] == ["five six", "five six"]


def test_nobody_hears_words_in_what_is_too_quiet_for_an_ear() -> None:
    assert living(Say(b"\x10\x00" * 8000, 8000, "psst")).to(3.0) == ""


def test_nobody_hears_what_is_said_on_hold() -> None:
    line = living(ONE, Wait(1.0), ONE, Wait(1.0), TWO)
    assert line.to(1.5) == "five six"
    line.said(Note("on-hold"), 1.5)
    assert line.to(2.5) == ""
    assert line.to(3.5) == ""
    line.said(Note("off-hold", value=2.0), 3.5)

    assert line.to(9.0) == "one two three four"


def test_while_keys_go_out_what_was_said_before_them_arrives() -> None:
    words = Say(LOUD, 8000, "my number is made of all these keys: one to six")
    person = Person([words, Press("123456"), Wait(9.0)])
    caller, said = SimulatedTwilio(person, "CA1", "MZ1", {}, Random(1)), Said(person)
    for tick in range(81):
        caller.wake(tick / 50)

    assert person.keys_left, "the last is not out yet"
    assert said.lately() == words.text

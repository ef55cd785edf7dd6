"""A person does what the steps say, when the steps say it."""

from opusbridge.sim.callers import (
    DropLine,
    HangUp,
    Interrupt,
    Person,
    Press,
    Say,
    Step,
    Wait,
    WaitForAgent,
    WaitForSound,
)
from opusbridge.sound import PCM_8K

HELLO = Say(b"\x00\x20" * 800, 8000, "Hello.")  # 100 ms
LOUD = b"\x00\x20" * 160
QUIET = bytes(320)


def live(person: Person, seconds: float, agent: list[tuple[float, float]] | None = None) -> float:
    """20 ms after 20 ms, the agent being audible between the given instants; the time after."""
    ticks = round(seconds * 50)
    for n in range(ticks):
        at = n / 50
        person.tick(at)
        if any(began <= at < ended for began, ended in agent or []):
            person.ear.hear(LOUD, PCM_8K, at, at + 0.02)
    return ticks / 50


def when(person: Person, kind: str) -> float:
    return next(deed.at for deed in person.diary if deed.kind == kind)


def test_a_line_takes_as_long_as_its_sound_and_is_remembered() -> None:
    person = Person([HELLO])
    live(person, 0.2)

    (said,) = person.spoken
    assert (said.started_at, said.ended_at, said.text) == (0.0, 0.1, "Hello.")
    assert person.done


def test_a_wait_is_as_long_as_it_says() -> None:
    person = Person([Wait(0.5), HELLO])
    live(person, 1.0)

    assert when(person, "speaks") == 0.5


def test_the_agent_has_finished_when_it_was_heard_and_then_silent() -> None:
    person = Person([WaitForAgent(), HELLO])
    live(person, 4.0, agent=[(1.0, 1.5), (1.9, 2.4)])

    assert when(person, "speaks") == 3.1, "a pause of 400 ms is a breath"


def test_what_the_agent_said_before_the_own_words_is_no_answer_to_them() -> None:
    person = Person([HELLO, WaitForAgent(), Press("1")])
    live(person, 4.0, agent=[(0.0, 0.06), (2.0, 2.4)])

    assert when(person, "presses") == 3.1


def test_the_beginning_of_sound_can_be_waited_for() -> None:
    person = Person([WaitForSound(), Press("1")])
    live(person, 2.0, agent=[(1.0, 1.5)])

    assert when(person, "presses") == 1.02


def test_silence_that_is_played_is_not_heard_as_the_agent() -> None:
    person = Person([WaitForSound(timeout=1.0)])
    person.ear.hear(QUIET, PCM_8K, 0.0, 0.02)
    live(person, 1.1)

    assert person.in_vain == ["step 1: waited in vain for the agent to begin"]


def test_an_agent_that_never_speaks_is_waited_for_in_vain_and_life_goes_on() -> None:
    person = Person([WaitForAgent(timeout=1.0), HELLO])
    live(person, 1.5)

    assert person.in_vain == ["step 1: waited in vain for the agent to speak"]
    assert when(person, "speaks") == 1.0


def test_an_interruption_comes_after_so_much_heard_speech() -> None:
    person = Person([Interrupt(500, HELLO)])
    live(person, 3.0, agent=[(1.0, 3.0)])

    assert when(person, "interrupts") == 1.5
    assert person.in_vain == []


def test_an_interruption_counts_one_utterance_only() -> None:
    person = Person([Interrupt(500, HELLO)])
    live(person, 4.0, agent=[(0.5, 0.8), (2.0, 4.0)])

    assert when(person, "interrupts") == 2.5


def test_an_interruption_whose_moment_never_comes_is_said_all_the_same() -> None:
    person = Person([Interrupt(5000, HELLO)])
    live(person, 4.0, agent=[(0.5, 1.0)])

    assert person.in_vain == ["step 1: waited in vain for the moment to interrupt"]
    assert 2.9 < when(person, "interrupts") < 3.1


def test_an_interruption_does_not_wait_for_ever_for_an_agent() -> None:
    person = Person([Interrupt(500, HELLO, timeout=1.0)])
    live(person, 1.5)

    assert when(person, "interrupts") == 1.0


def test_keys_and_ends_are_told_to_the_telephone() -> None:
    steps: list[Step] = [Press("12#"), DropLine(), HangUp()]
    person = Person(steps)

    assert [person.tick(n / 50) for n in range(4)] == [*steps, None]


def test_a_person_knows_how_far_they_came() -> None:
    person = Person([Press("1"), HELLO, Wait(2.0)])
    seen = [person.at_step]
    for n in range(40):
        person.tick(n / 50)
        seen.append(person.at_step)

    assert list(dict.fromkeys(seen)) == ["step 1 of 3", "step 2 of 3", "step 3 of 3"]


def test_a_person_with_nothing_left_to_do_hangs_up_in_the_end() -> None:
    person = Person([], patience_seconds=2.0)
    live(person, 2.0, agent=[(0.5, 1.0)])

    assert person.tick(2.98) is None
    assert person.tick(3.02) == HangUp()
    assert person.in_vain == [
        "after the last step: waited in vain for the end of the call; "
        "end with hang_up, or have the agent hang up"
    ]


def test_the_diary_shows_no_sound() -> None:
    assert "x00" not in repr(HELLO)


def test_an_end_before_all_was_said_and_heard_cuts_a_person_short() -> None:
    def lived(seconds: float, *agent: tuple[float, float]) -> Person:
        person = Person([WaitForAgent(), HELLO, Wait(1.0), WaitForAgent(), HangUp()])
        live(person, seconds, agent=list(agent))
        return person

    assert lived(0.0).cut_short, "nothing was heard yet"
    assert lived(0.94, (0.0, 0.2)).cut_short, "in the middle of a word"
    assert lived(1.5, (0.0, 0.2)).cut_short, "there is no answer yet"
    assert not lived(1.5, (0.0, 0.2), (1.2, 1.4)).cut_short, "only the silence after it is left"


def test_a_silence_that_is_left_over_cuts_nobody_short() -> None:
    silence = Say(bytes(16_000), 8_000, "")  # a second
    for seconds in (0.1, 0.5):
        person = Person([Wait(0.2), silence, HangUp()])
        live(person, seconds)
        assert not person.cut_short, seconds

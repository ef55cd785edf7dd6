"""Call scripts: what is written is what happens, and mistakes are named."""

from pathlib import Path

import pytest

from opusbridge.errors import ConfigurationError
from opusbridge.sim import voices
from opusbridge.sim.callers import (
    DropLine,
    HangUp,
    Interrupt,
    Press,
    Say,
    Wait,
    WaitForAgent,
    WaitForSound,
)
from opusbridge.sim.script import Evidence, ExpectTable, load, parse, shipped, spoken

EVERYTHING = """
description = "One of each."

[caller]
steps = [
    { wait_for_agent = true },
    { wait_for_sound = true },
    { say = "opening-hours" },
    { say = "do you also open on sundays?" },
    { interrupt = { after_ms = 1500, say = "one-more-thing" } },
    { wait = 1.5 },
    { press = "12#" },
    { drop_line = true },
    { hang_up = true },
]

[[model.replies]]
voice = "front-desk"

[[model.replies]]
text = "Let me see."
tool = "look"
arguments = { where = "there" }
delay = 0.5
"""


def test_each_step_is_something_a_person_does() -> None:
    script = parse(EVERYTHING, "all")
    steps = [table.step() for table in script.caller.steps]

    assert steps == [
        WaitForAgent(),
        WaitForSound(),
        spoken("opening-hours"),
        spoken("sundays-too"),
        Interrupt(1500, spoken("one-more-thing")),
        Wait(1.5),
        Press("12#"),
        DropLine(),
        HangUp(),
    ]
    assert script.name == "all"
    assert not script.person().done


def test_a_line_is_spoken_as_it_was_recorded() -> None:
    line = spoken("opening-hours")

    rate_hz, pcm = voices.load("opening-hours")
    assert (line.rate_hz, line.pcm, line.text) == (rate_hz, pcm, voices.LINES["opening-hours"])
    assert spoken("opening-hours") is line, "made once, so that its frames are"


def test_the_model_says_what_is_written_and_hears_what_is_said() -> None:
    script = parse(EVERYTHING, "all").reply_script()

    greeting, look = script.replies
    assert greeting.text == voices.LINES["front-desk"]
    assert greeting.pcm24k is not None
    assert len(greeting.pcm24k) > 2 * 24_000
    assert (look.text, look.pcm24k, look.delay_seconds) == ("Let me see.", None, 0.5)
    assert (look.tool_calls[0].name, look.tool_calls[0].arguments) == ("look", '{"where": "there"}')
    assert list(script.heard) == [
        voices.LINES[slug] for slug in ("opening-hours", "sundays-too", "one-more-thing")
    ]


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("[caller\n", "bad: not TOML: Expected ']' at the end of a table declaration (at line 1, "),
        ("", "bad: caller: Field required"),
        ("[caller]\nsteps = [{ say = 'what' }]", "bad: caller.steps[0].say: no such spoken line; "),
        ("[caller]\nsteps = [{ wait = -1 }]", "bad: caller.steps[0].wait: Input should be greater"),
        ("[caller]\nsteps = [{}]", "bad: caller.steps[0]: a step is exactly one of say, wait,"),
        (
            "[caller]\nsteps = [{ wait = 1, press = '1' }]",
            "bad: caller.steps[0]: a step is exactly",
        ),
        ("[caller]\nsteps = [{ press = 'x' }]", "bad: caller.steps[0].press: String should match"),
        ("[caller]\nsteps = [{ sing = 1 }]", "bad: caller.steps[0].sing: Extra inputs are not"),
        ("[caller]\nsteps = []\n[expect]\nending = 'tired'", "bad: expect.ending: no such reason;"),
        ("[caller]\nsteps = []\n[[model.replies]]", "bad: model.replies[0]: a reply has a text,"),
        (
            "[caller]\nsteps = []\n[[model.replies]]\ntext = 'x'\narguments = { a = 1 }",
            "bad: model.replies[0]: arguments without a tool",
        ),
    ],
)
def test_a_mistake_is_named_by_its_key(text: str, found: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        parse(text, "bad")

    assert str(caught.value).startswith(found)


def test_every_mistake_is_named() -> None:
    with pytest.raises(ConfigurationError) as caught:
        parse("[caller]\nsteps = [{ wait = -1 }, { wait = 0 }]", "bad")

    assert len(str(caught.value).splitlines()) == 2


@pytest.mark.parametrize("name", shipped())
def test_every_shipped_script_can_be_read_by_its_name(name: str) -> None:
    script = load(name)

    assert script.name == name
    assert script.description
    assert script.expect.heard
    assert any(isinstance(table.step(), Say) for table in script.caller.steps)


def test_a_script_of_ones_own_is_read_from_its_file(tmp_path: Path) -> None:
    (tmp_path / "mine.toml").write_text("[caller]\nsteps = [{ hang_up = true }]")

    assert load(tmp_path / "mine.toml").name == "mine"
    with pytest.raises(ConfigurationError, match=r"no script other\.toml; there are "):
        load(tmp_path / "other.toml")


def test_expectations_are_met_or_named() -> None:
    expect = ExpectTable(heard=("Nine to SIX",), ending="agent-hung-up", min_turns=2, barge_ins=1)

    assert expect.unmet(Evidence("from nine to six.", "agent-hung-up", 0, 2, 1)) == []
    assert expect.unmet(Evidence("", "model-lost", 1, 1, 0)) == [
        "never heard: Nine to SIX",
        "ended for model-lost, not for agent-hung-up",
        "1 requests refused, at most 0 allowed",
        "1 turns, at least 2 expected",
        "0 barge-ins, 1 expected",
    ]
    assert ExpectTable().unmet(Evidence("", "model-lost", 0, 0, 3)) == []

"""What is no mistake in a script, and was probably not meant."""

import pytest

from opusbridge.errors import ConfigurationError
from opusbridge.sim import espeak, voices
from opusbridge.sim.script import load, parse, shipped
from opusbridge.sim.script.sounds import meant

MISSPELT = """
[caller]
steps = [
    { say = "sunday-too" },
    { interrupt = { after_ms = 100, say = "one_more_thing" } },
    { say = "opening-hours" },
    { say = "Sundays, too." },
]

[[model.replies]]
voice = "Front-Desk"

[[model.usual]]
voice = "i-am-heer"
"""
SPOKEN = "is no stored line, and is spoken as it stands"


@pytest.mark.skipif(not espeak.installed(), reason="espeak-ng is not installed")
def test_what_looks_much_like_a_stored_lines_name_is_hinted_at_by_its_line() -> None:
    assert parse(MISSPELT, "call", "call.toml").hints == [
        f"call.toml:4: caller.steps[0].say: sunday-too {SPOKEN}; did you mean sundays-too?",
        "call.toml:5: caller.steps[1].interrupt.say: one_more_thing "
        f"{SPOKEN}; did you mean one-more-thing?",
        f"call.toml:11: model.replies[0].voice: Front-Desk {SPOKEN}; did you mean front-desk?",
        f"call.toml:14: model.usual[0].voice: i-am-heer {SPOKEN}; did you mean i-am-here?",
    ]


def test_without_espeak_the_mistake_says_which_line_may_be_meant(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(espeak, "PROGRAM", "espeak-that-is-not-there")

    with pytest.raises(ConfigurationError, match=r"\); did you mean sundays-too\?; to speak it"):
        parse(MISSPELT, "call")


@pytest.mark.parametrize("words", ["Goodbye", "Yes", "yes please", "opening hours?", "Thursday"])
def test_ordinary_words_are_meant_as_they_stand(words: str) -> None:
    assert meant(words) is None


def test_no_stored_line_and_no_shipped_script_is_hinted_at() -> None:
    assert [line for line in voices.LINES if meant(line)] == []
    assert [name for name in shipped() if load(name).hints] == []

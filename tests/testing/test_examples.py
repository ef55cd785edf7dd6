"""The call scripts of docs/examples/, played with the agents they are for, on both sides."""

from pathlib import Path

import pytest

from opusbridge.bridge.speech import NAMES, stored_speech
from opusbridge.testing import call_script

EXAMPLES = Path(__file__).parents[2] / "docs" / "examples"
#: Whose scripts begin so.
AGENTS = {"card": "card_desk.py", "praxis": "praxis.py"}
SCRIPTS = sorted(path.stem for path in (EXAMPLES / "calls").glob("*.toml"))


@pytest.mark.slow
@pytest.mark.parametrize("telephony", ["twilio", "audiocodes"])
@pytest.mark.parametrize("name", SCRIPTS)
def test_an_example_holds_on_both_sides(name: str, telephony: str) -> None:
    agent = EXAMPLES / AGENTS[name.partition("-")[0]]

    call = call_script(EXAMPLES / "calls" / f"{name}.toml", agent=str(agent), telephony=telephony)

    assert call.ok, call.report
    assert call.not_checked == []


def test_each_example_has_calls() -> None:
    assert {name.partition("-")[0] for name in SCRIPTS} == set(AGENTS)


def test_the_bridge_speaks_german_where_the_practice_does() -> None:
    spoken = stored_speech("de", EXAMPLES / "speech")

    assert spoken.words == {name: f"[{name}]" for name in NAMES}, "all are the example's own"

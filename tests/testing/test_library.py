"""The scripts that come with the package: each holds, on each telephony side it is for."""

import re
from functools import cache
from importlib.resources import files

import pytest

from opusbridge.sim import script
from opusbridge.testing import CallResult, virtual

#: What the field complains about, and the script that keeps it from happening here.
STORIES = {
    "greeting": "greeting",
    "plain turns": "plain-turns",
    "rapid turns during one answer": "rapid-turns",
    "barge-in early": "barge-in-early",
    "barge-in late": "barge-in-late",
    "barge-in twice": "barge-in-twice",
    "mm-hm that is no interruption": "mm-hm",
    "slow tool with an impatient caller": "slow-tool",
    "parallel tools": "parallel-tools",
    "conflict storm, today's words": "conflict-storm-current",
    "conflict storm, April 2025": "conflict-storm-april-2025",
    "conflict storm, January 2025": "conflict-storm-january-2025",
    "silent model": "silent-model",
    "failed responses": "failed-responses",
    "lost socket, model": "lost-model-socket",
    "lost socket, telephony": "lost-telephony-socket",
    "keys": "keys",
    "transfer refused": "transfer-refused",
    "goodbye cut short": "goodbye-heard",
    "goodbye cut short by the caller": "goodbye-interrupted",
    "ten minutes of small talk": "small-talk",
}

PLAYED = [(name, side) for name in script.shipped() for side in script.load(name).telephony]


@cache
def played(name: str, telephony: str) -> CallResult:
    """Once: the same call every time."""
    return virtual.play(script.load(name), telephony)


@pytest.mark.slow
@pytest.mark.parametrize(("name", "telephony"), PLAYED)
def test_a_shipped_script_holds(name: str, telephony: str) -> None:
    result = played(name, telephony)

    assert result.ok, result.report
    assert result.not_checked == []


def test_every_story_of_the_field_has_its_script() -> None:
    assert set(STORIES.values()) <= set(script.shipped())


@pytest.mark.parametrize("name", script.shipped())
def test_a_shipped_script_names_the_problem_it_guards_against(name: str) -> None:
    text = (files("opusbridge.sim") / "scripts" / f"{name}.toml").read_text("utf-8")

    first, *rest = text.splitlines()
    assert first == "# Guards against:"
    assert re.fullmatch(r"# https://github\.com/[\w.-]+/[\w.-]+/(issues|pull)/\d+", rest[0])
    written = script.load(name)
    assert written.name == name
    assert written.description
    assert written.expect.ending
    assert written.expect.heard or written.expect.heard_exactly


@pytest.mark.slow
@pytest.mark.parametrize("name", [name for name in STORIES.values() if "storm" in name])
@pytest.mark.parametrize("telephony", script.BOTH)
def test_in_a_conflict_storm_requests_really_are_refused(name: str, telephony: str) -> None:
    result = played(name, telephony)

    assert result.evidence is not None
    assert len(result.evidence.conflicts or ()) >= 1


def test_small_talk_lasts_ten_minutes() -> None:
    waits = [table.wait or 0.0 for table in script.load("small-talk").caller.steps]

    assert sum(waits) * script.load("small-talk").caller.repeat > 360, "and the talking comes to it"

"""What an editor marks by the JSON Schema of a script is what the loader refuses, and no more."""

import json
import tomllib
from pathlib import Path

import pytest
from jsonschema import Draft202012Validator

from opusbridge.errors import ConfigurationError
from opusbridge.receptionist import RECEPTIONIST
from opusbridge.sim.script import parse
from opusbridge.testing.conduct import agent_for, settings_for
from tests.sim.test_mistakes import MISTAKES

ROOT = Path(__file__).resolve().parents[2]
SCHEMA = json.loads((ROOT / "docs" / "call-script.schema.json").read_text("utf-8"))
EDITOR = Draft202012Validator(SCHEMA)

SCRIPTS = [
    path
    for folder in ("opusbridge/sim/scripts", "docs/examples/calls")
    for path in sorted((ROOT / folder).glob("*.toml"))
]

#: What no schema says: of texts that mean something, and of one place that speaks of another.
FOR_THE_LOADER = (
    "there is nothing to",
    "there are no",
    "a folder will be called so",
    "drop takes no detail",
    "speed takes a number",
    "message-items takes",
    "there is a tool x above",
    "has the fault drop already",
    "a whole number has 64 bits",
)

REPLIES = "[caller]\nsteps = []\n[[model.replies]]\n"
MISHAP = "[caller]\nsteps = []\n[[faults.network]]\nside = 'model'\nat = 1\n"


def test_the_schema_is_one() -> None:
    Draft202012Validator.check_schema(SCHEMA)


@pytest.mark.parametrize("path", SCRIPTS, ids=lambda path: path.stem)
def test_an_editor_has_nothing_against_the_scripts_there_are(path: Path) -> None:
    EDITOR.validate(tomllib.loads(path.read_text("utf-8")))


@pytest.mark.parametrize(("text", "found"), [one for one in MISTAKES if "TOML" not in one[1]])
def test_an_editor_marks_what_the_loader_refuses_where_a_schema_can_say_it(
    text: str, found: str
) -> None:
    marked = not EDITOR.is_valid(tomllib.loads(text))

    assert marked != any(said in found for said in FOR_THE_LOADER)


@pytest.mark.parametrize(
    ("text", "good"),
    [
        (f"{REPLIES}mcp = [{{ server = 'crm', name = 'find' }}]", True),
        (f"{REPLIES}mcp = []", False),
        (f"{REPLIES}tools = []", False),
        (f"{REPLIES}text = ''", False),
        (f"{REPLIES}text = ''\ntool = 'x'", True),
        ("[caller]\nsteps = []\n[model.knobs]\ncancel_latency = 1", True),
        (f"{MISHAP}kind = 'drop'", True),
        (f"{MISHAP}kind = 'drop'\nseconds = 1", False),
        (f"{MISHAP}kind = 'half-open'\nseconds = 1", False),
        (f"{MISHAP}kind = 'stall'\nseconds = 1", True),
        ("settings.retry_backoff = '1,2'\n[caller]\nsteps = []", True),
        ("settings.retry_backoff = '0.5, 2'\n[caller]\nsteps = []", True),
        ("settings.retry_backoff = [0.5, 2]\n[caller]\nsteps = []", True),
        ("settings.retry_backoff = []\n[caller]\nsteps = []", False),
        ("settings.retry_backoff = ''\n[caller]\nsteps = []", False),
        ("settings.retry_backoff = ['soon']\n[caller]\nsteps = []", False),
        ("settings.language = 'none'\n[caller]\nsteps = []", False),
        ("settings.language = 'de'\n[caller]\nsteps = []", True),
        ("settings.transcription_model = 'none'\n[caller]\nsteps = []", True),
        ("settings.noise_reduction = 'none'\n[caller]\nsteps = []", True),
        ("settings.hold_after = -1\n[caller]\nsteps = []", False),
        ("settings.hold_aftr = 1\n[caller]\nsteps = []", False),
        ("agent.greeting = false\n[caller]\nsteps = []", True),
        ("agent.greeting = true\n[caller]\nsteps = []", False),
        ("agent.greeting = ''\n[caller]\nsteps = []", False),
        ("agent.tools = []\n[caller]\nsteps = []", False),
    ],
)
def test_what_an_editor_marks_is_refused_and_nothing_else(text: str, good: bool) -> None:
    assert EDITOR.is_valid(tomllib.loads(text)) is good
    assert taken(text) is good


def taken(text: str) -> bool:
    try:
        script = parse(text, "one")
        agent_for(script, RECEPTIONIST).applied_to(settings_for(script))
    except ConfigurationError:
        return False
    return True

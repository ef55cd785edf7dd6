"""The README and the pages of docs/ say what the code does: names, options, tables, examples."""

import json
import re
import shlex
import sys
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.machinery import SourceFileLoader
from importlib.util import module_from_spec, spec_from_loader
from itertools import pairwise
from pathlib import Path
from typing import Any, Literal, get_args, get_origin, get_type_hints

import pytest
from fastapi import FastAPI
from fastapi.routing import APIRoute, APIWebSocketRoute
from prometheus_client import CollectorRegistry
from pydantic import BaseModel
from typer.main import get_command
from uvicorn.main import main as uvicorn_command

from opusbridge import Agent, Settings, create_app
from opusbridge.bridge import summary
from opusbridge.bridge.metrics import Metrics, as_text
from opusbridge.call.pending import Why
from opusbridge.call.tally import Tally
from opusbridge.cli.main import app
from opusbridge.config import variable
from opusbridge.errors import REASONS
from opusbridge.privacy import Private
from opusbridge.sim import script, voices
from opusbridge.sim.faults import Faults, Mishap
from opusbridge.sim.guarantees import GUARANTEES
from opusbridge.sim.model.knobs import FaultKind, Knobs
from opusbridge.sim.model.responses import LEAVES_REPLY
from opusbridge.sim.script import CallScript, ExpectTable
from opusbridge.sim.script.caller import CallerTable, InterruptTable, StepTable
from opusbridge.sim.script.model import FaultTable, ModelTable, ReplyTable, ToolTable
from opusbridge.testing import virtual
from opusbridge.web.live import HangUpBody, SayBody, TransferBody
from opusbridge.web.placing import PlaceBody

ROOT = Path(__file__).resolve().parents[1]
README = ROOT / "README.md"
DOCS = ROOT / "docs"
OPERATIONS = DOCS / "operations.md"
SIMULATORS = DOCS / "topics" / "simulators.md"
CALL_SCRIPTS = DOCS / "topics" / "call-scripts.md"
#: The pages written by hand. The words of settings.md are those of config.
WRITTEN = [
    README,
    ROOT / "CHANGELOG.md",
    *(page for page in sorted(DOCS.rglob("*.md")) if page.name != "settings.md"),
]
PAGES = [*WRITTEN, DOCS / "settings.md"]

FENCE = re.compile(r"^( *)```(\w*)\n(.*?)^\1```$", re.MULTILINE | re.DOTALL)
INLINE = re.compile(r"`([^`\n]+)`")


@dataclass(frozen=True)
class Block:
    page: Path
    language: str
    text: str

    @property
    def file(self) -> str:
        """The name in its first line, such as ``# shop.py``."""
        return self.text.partition("\n")[0].removeprefix("# ")

    def __str__(self) -> str:
        return f"{self.page.name}: {self.text[:30]!r}"


def blocks(*languages: str) -> list[Block]:
    found = []
    for page in WRITTEN:
        for indent, language, text in FENCE.findall(page.read_text("utf-8")):
            if language in languages:
                lines = [line.removeprefix(indent) for line in text.splitlines(keepends=True)]
                found.append(Block(page, language, "".join(lines)))
    return found


def commands() -> Iterator[tuple[str, list[str]]]:
    """Every use of ``opusbridge …``: in shell blocks after the prompt, and in the prose."""
    lines = [
        (block.page, line.removeprefix("$ "))
        for block in blocks("console", "sh")
        for line in block.text.splitlines()
        if block.language == "sh" or line.startswith("$ ")
    ]
    for page in WRITTEN:
        prose = FENCE.sub("", page.read_text("utf-8"))
        lines += [(page, code) for code in INLINE.findall(prose)]
    for page, line in lines:
        words = shlex.split(line, comments=True) if "opusbridge" in line else []
        while words and re.fullmatch(r"[A-Z_]+=.*", words[0]):
            del words[0]
        if len(words) > 1 and words[0] == "opusbridge":
            yield page.name, words[1:]


def rows(page: Path, heading: str) -> list[list[str]]:
    """The cells of the first table below a heading, without its head."""
    below = page.read_text("utf-8").partition(f"{heading}\n")[2]
    table = re.search(r"^\|.*\n\|[-|]+\|\n((?:\|.*\n)+)", below, re.MULTILINE)
    assert table is not None
    return [
        [cell.strip() for cell in re.split(r"(?<!\\)\|", line.strip("|"))]
        for line in table[1].splitlines()
    ]


def names(cell: str) -> list[str]:
    return INLINE.findall(cell)


@pytest.fixture
def at_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty folder to be in, no settings around, and no modules left behind."""
    monkeypatch.chdir(tmp_path)
    for name in Settings.model_fields:
        monkeypatch.delenv(variable(name), raising=False)
    # Recorded now, so that what is imported meanwhile is forgotten afterwards.
    for name in {Path(block.file).stem for block in blocks("python")}:
        monkeypatch.setitem(sys.modules, name, sys)
        monkeypatch.delitem(sys.modules, name)
    return tmp_path


def loaded_script(path: Path) -> Any:
    loader = SourceFileLoader(path.name.replace("-", "_"), str(path))
    spec = spec_from_loader(loader.name, loader)
    assert spec is not None
    module = module_from_spec(spec)
    loader.exec_module(module)
    return module


# --- Names and addresses ----------------------------------------------------------------


def test_the_settings_page_is_what_the_settings_say(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "path", list(sys.path))
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    written = (DOCS / "settings.md").read_text("utf-8")

    assert written == loaded_script(ROOT / "scripts" / "settings-doc").page()


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_setting_that_is_named_exists(page: Path) -> None:
    known = {variable(name) for name in Settings.model_fields}

    assert set(re.findall(r"OPUSBRIDGE_[A-Z_]*[A-Z]", page.read_text("utf-8"))) <= known


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_link_leads_somewhere(page: Path) -> None:
    text = FENCE.sub("", page.read_text("utf-8"))
    for target in re.findall(r"\]\(([^)\s]+)\)", text):
        if target.startswith("https://"):
            continue
        file, _, anchor = target.partition("#")
        there = page.parent / file if file else page

        assert there.is_file(), target
        headings = re.findall(r"^#+ (.+)$", there.read_text("utf-8"), re.MULTILINE)
        slugs = [re.sub(r"[^\w -]", "", heading).lower().replace(" ", "-") for heading in headings]
        assert not anchor or anchor in slugs, target


def test_every_script_that_is_named_can_be_run() -> None:
    text = "".join(page.read_text("utf-8") for page in WRITTEN)
    for name in re.findall(r"\bscripts/([a-z/-]*[a-z])\b(?!\.)", text):
        assert (ROOT / "scripts" / name).stat().st_mode & 0o111


@pytest.mark.parametrize(("room", "table"), [("", "## Rooms"), ("call", "In `call/`:")])
def test_architecture_names_every_room_and_every_file_of_the_call(room: str, table: str) -> None:
    named = {name for row in rows(DOCS / "architecture.md", table) for name in names(row[0])}
    inside = [one for one in (ROOT / "opusbridge" / room).iterdir() if one.name[0] not in "_."]
    there = {f"{one.name}/" if one.is_dir() else one.name for one in inside}

    assert named == there - {"py.typed"}


def test_the_readme_can_be_read_in_one_sitting() -> None:
    assert len(README.read_text("utf-8").splitlines()) < 250


# --- Commands ---------------------------------------------------------------------------


def test_every_command_and_option_that_is_shown_exists() -> None:
    known: Any = get_command(app(()))
    options = {
        name: {
            flag
            for parameter in command.params
            for flag in (*parameter.opts, *parameter.secondary_opts)
        }
        for name, command in known.commands.items()
    }
    shown = list(commands())

    assert {words[0] for _, words in shown} == set(options)
    for page, words in shown:
        given = {word.partition("=")[0] for word in words if word.startswith("--")}
        assert given <= options[words[0]], (page, words)


def test_every_fault_that_is_shown_can_be_asked_for() -> None:
    shown = [words for _, words in commands() if words[0] == "model" and "--fault" in words]
    given = [b for words in shown for a, b in pairwise(words) if a == "--fault"]

    assert len(given) > 5
    for fault in given:
        if fault != "help":
            Knobs.parse(fault)


def test_an_unknown_fault_lists_the_known_ones() -> None:
    with pytest.raises(ValueError, match="odd-deltas"):
        Knobs.parse("help")


# --- Examples ---------------------------------------------------------------------------


@pytest.mark.parametrize("block", blocks("python"), ids=str)
def test_python_examples_run(block: Block, at_home: Path) -> None:
    exec(compile(block.text, block.file, "exec"), {"__name__": "example"})


def test_the_readmes_application_is_served_where_it_was_told_that_it_is(at_home: Path) -> None:
    (block,) = (one for one in blocks("python") if one.page == README and "create_app(" in one.text)
    (line,) = (code for code in names(README.read_text("utf-8")) if code.startswith("uvicorn "))
    given = uvicorn_command.make_context("uvicorn", line.split()[1:]).params
    module, _, name = given["app"].partition(":")
    made: dict[str, Any] = {"__name__": module}
    exec(compile(block.text, block.file, "exec"), made)

    assert block.file == f"{module}.py"
    assert isinstance(made[name], FastAPI)
    assert f'host="{given["host"]}", port={given["port"]})' in block.text


@pytest.mark.parametrize("page", [README, DOCS / "agents.md"], ids=lambda page: page.name)
def test_agents_shown_can_be_loaded_as_shown(page: Path, at_home: Path) -> None:
    for block in blocks("python", "toml"):
        if block.page == page:
            (at_home / block.file).write_text(block.text, "utf-8")
    shown = [
        words[words.index("--agent") + 1]
        for name, words in commands()
        if name == page.name and "--agent" in words
    ]
    specs = [spec for spec in shown if not spec.startswith("FILE")]

    assert specs
    for spec in specs:  # those of the examples are files of this checkout
        path = str(ROOT / spec) if spec.startswith("docs/") else spec
        assert Agent.load(path).instructions


def test_the_two_forms_of_the_readmes_agent_are_the_same_agent(at_home: Path) -> None:
    for block in blocks("python", "toml"):
        if block.page == README:
            (at_home / block.file).write_text(block.text, "utf-8")
    written, read = Agent.load("shop.py"), Agent.load("shop.toml")

    assert written.model_dump(exclude={"tools"}) == read.model_dump(exclude={"tools"})
    assert written.tool_definitions() == read.tool_definitions()


@pytest.mark.slow
@pytest.mark.parametrize(
    "block", [one for one in blocks("toml") if one.page == CALL_SCRIPTS], ids=lambda one: one.file
)
def test_the_call_scripts_shown_are_some_and_hold(block: Block, at_home: Path) -> None:
    shown_script = script.parse(block.text, block.file)
    for side in shown_script.telephony:
        result = virtual.play(shown_script, side)
        assert (result.ok, result.remarks) == (True, []), result.report


def test_json_shown_is_json() -> None:
    shown = blocks("json")

    assert shown
    for block in shown:
        json.loads(block.text)


def test_the_live_call_shown_is_what_an_operator_sees() -> None:
    (shown,) = (block.text for block in blocks("console") if '{"calls":' in block.text)
    (call,) = json.loads(shown[shown.index('{"calls":') :])["calls"]

    assert list(call) == list(summary.describe("call-1", "twilio", datetime.now(UTC), None, None))


def test_what_is_counted_in_call_json_is_all_named() -> None:
    (told,) = (row[1] for row in rows(OPERATIONS, "## Files of a call") if "call.json" in row[0])
    (responses,) = re.findall(r"`responses` \(([^)]*)\)", told)
    counted = Tally().shown({}, 0.0)

    assert set(counted) <= set(names(told))
    assert responses.split(", ") == list(counted["responses"])


def test_env_files_shown_are_settings(at_home: Path) -> None:
    shown = [block for block in blocks("sh") if "=" in block.text]

    assert len(shown) == 2
    for block in shown:
        (at_home / ".env").write_text(block.text.replace("…", "X"), "utf-8")
        assert Settings.load().public_url


# --- Tables -----------------------------------------------------------------------------


def test_the_table_of_endings_is_the_list_of_reasons() -> None:
    table = [(names(row[1])[0], row[0]) for row in rows(OPERATIONS, "## Endings")]

    assert table == [(reason, outcome.value) for reason, outcome in REASONS.items()]


def test_the_table_of_metrics_is_what_is_exported() -> None:
    registry = CollectorRegistry()
    Metrics(registry)
    exported = set(re.findall(r"^# TYPE (\S+)", as_text(registry).decode(), re.MULTILINE))

    assert {names(row[0])[0] for row in rows(OPERATIONS, "## Metrics")} == exported


def test_every_cause_of_a_request_is_in_the_table_of_metrics() -> None:
    told = {names(row[0])[0]: row[2] for row in rows(OPERATIONS, "## Metrics")}

    assert names(told["opusbridge_response_requests_total"]) == [*Why, "+"]


def test_the_labels_of_metrics_are_those_exported() -> None:
    metrics = Metrics(CollectorRegistry())
    labels = {
        one._name.removesuffix("_total"): list(one._labelnames)
        for one in vars(metrics).values()
        if hasattr(one, "_labelnames")
    }
    shown = {
        names(row[0])[0].removesuffix("_total"): names(row[1])
        for row in rows(OPERATIONS, "## Metrics")
    }

    assert shown == labels


def test_the_table_of_endpoints_is_what_is_served(at_home: Path) -> None:
    served = set()
    for route in create_app(Settings.load(openai_api_key=Private("any"))).routes:
        if isinstance(route, APIWebSocketRoute):
            served.add(("WS", route.path.rstrip("/")))
        elif isinstance(route, APIRoute):
            path = route.path.rstrip("/")  # a slash at the end is tolerated
            served |= {(method, path) for method in (route.methods or set()) - {"HEAD"}}
    shown = set()
    for row in rows(OPERATIONS, "## Endpoints"):
        *methods, last = names(row[0])
        method, _, path = last.partition(" ")
        shown |= {(one, path) for one in [*methods, method]}

    assert shown == served


def test_how_long_the_values_of_an_order_or_action_may_be_is_told() -> None:
    endpoints = rows(OPERATIONS, "## Endpoints")
    actions = {names(row[0])[0].rpartition("/")[2]: row[1] for row in endpoints}
    keys = {names(row[0])[0]: row[1] for row in rows(OPERATIONS, "## Placing calls")}
    for model in (SayBody, TransferBody, HangUpBody):
        longest = longest_values(model)
        assert f"at most {max(longest.values())} characters" in actions[model.action]
        assert len(set(longest.values())) == 1
    longest_key = longest_values(PlaceBody)["idempotency_key"]
    assert f"1 to {longest_key} characters" in keys["idempotency_key"]


def longest_values(model: type[BaseModel]) -> dict[str, int]:
    """By key, of those that say it."""
    keys = model.model_json_schema()["properties"].items()
    ways = {key: one.get("anyOf", [one])[0] for key, one in keys}
    return {key: one["maxLength"] for key, one in ways.items() if "maxLength" in one}


def test_the_table_of_agent_keys_is_complete() -> None:
    table = {names(row[0])[0]: row[1] for row in rows(DOCS / "agents.md", "## Keys")}

    assert list(table) == list(Agent.model_fields)
    required = {name for name, field in Agent.model_fields.items() if field.is_required()}
    assert {name for name, default in table.items() if default == "required"} == required


def test_the_table_of_faults_is_complete() -> None:
    table = [names(row[0])[0] for row in rows(SIMULATORS, "## The model by itself")]

    assert table == [kind.value for kind in FaultKind]


def test_the_table_of_knobs_has_each_with_its_values_the_usual_one_first() -> None:
    table = {names(row[0])[0]: names(row[1]) for row in rows(SIMULATORS, "### Knobs")}
    kinds = {name.replace("_", "-"): kind for name, kind in get_type_hints(Knobs).items()}

    assert list(table) == [name for name in kinds if name != "faults"]
    for knob, values in table.items():
        name = knob.replace("-", "_")
        read = [getattr(Knobs.parse(f"{knob}={value}"), name) for value in values]
        assert read[:1] == [one for one in [getattr(Knobs(), name)] if one is not None], knob
        if get_origin(kinds[knob]) is Literal:
            assert set(read) == set(get_args(kinds[knob])), knob
        elif kinds[knob] is bool:
            assert set(read) == {True, False}, knob


def test_the_table_of_script_keys_is_complete() -> None:
    whole = CallScript.model_fields.keys()
    known = {
        "the script": whole - {"caller", "model", "expect", "settings", "agent", "tools", "faults"},
        "`caller`": CallerTable.model_fields.keys(),
        "`caller.steps`": StepTable.model_fields.keys() | InterruptTable.model_fields.keys(),
        "`model`": ModelTable.model_fields.keys(),
        "`model.replies`": ReplyTable.model_fields.keys(),
        "`model.faults`": FaultTable.model_fields.keys(),
        "`tools`": ToolTable.model_fields.keys(),
        "`faults`": Faults.model_fields.keys(),
        "`faults.network`": Mishap.model_fields.keys(),
    }
    shown = {row[0]: set(names(row[1])) for row in rows(CALL_SCRIPTS, "## Keys")}

    assert whole - known["the script"] == {"settings", "agent"} | {
        name.strip("`") for name in known if "." not in name and name != "the script"
    } | {"expect"}
    for table, keys in known.items():
        assert set(keys) <= shown[table], table


def test_the_faults_that_leave_a_reply_unsaid_are_named() -> None:
    paragraph = CALL_SCRIPTS.read_text("utf-8").partition("Each response takes the next")[2]
    sentence = paragraph.partition("Only one")[2].partition("leaves its reply")[0]

    assert names(sentence) == [kind.value for kind in FaultKind if kind in LEAVES_REPLY]


def test_the_table_of_expectations_is_complete() -> None:
    shown = [name for row in rows(CALL_SCRIPTS, "## Expectations") for name in names(row[0])]

    assert shown == list(ExpectTable.model_fields)


def test_the_table_of_the_library_is_what_is_shipped() -> None:
    shown = [(names(row[0])[0], f"{row[1]}.") for row in rows(CALL_SCRIPTS, "## The library")]

    assert shown == [(name, script.load(name).description) for name in script.shipped()]


def test_the_table_of_promises_is_the_list_of_guarantees() -> None:
    shown = [(names(row[0])[0], row[1]) for row in rows(CALL_SCRIPTS, "## Promises")]

    assert shown == [(one.name, one.promise) for one in GUARANTEES]


def test_the_schema_for_editors_is_what_the_scripts_tables_say(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(sys, "path", list(sys.path))
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    written = (DOCS / "call-script.schema.json").read_text("utf-8")

    assert written == loaded_script(ROOT / "scripts" / "script-schema").text()


def test_the_spoken_lines_are_all_named() -> None:
    text = CALL_SCRIPTS.read_text("utf-8").partition("The caller's lines are")[2]
    caller, _, model = text.partition("the model's ")

    assert set(voices.CALLER_LINES) == set(names(caller))
    assert set(names(model.partition("\n\n")[0])) == set(voices.MODEL_LINES)


def test_the_changelog_names_what_python_programs_may_import() -> None:
    import opusbridge

    said = set(names((ROOT / "CHANGELOG.md").read_text("utf-8")))

    assert {name for name in opusbridge.__all__ if not name.startswith("_")} <= said


def test_the_project_file_names_the_readme() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]

    assert (ROOT / project["readme"]).is_file()

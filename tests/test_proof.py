"""The commands that prove the response lifecycle run, fit the code, and would complain."""

import subprocess
import sys
from importlib.machinery import SourceFileLoader
from importlib.util import module_from_spec, spec_from_loader
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[1]


def run(script: str, *options: str) -> tuple[int, str]:
    """Exit status and all that was printed."""
    ran = subprocess.run(
        [sys.executable, ROOT / "scripts" / script, *options], capture_output=True, text=True
    )
    return ran.returncode, ran.stdout + ran.stderr


def loaded(script: str, monkeypatch: pytest.MonkeyPatch) -> Any:
    loader = SourceFileLoader(f"script_{script}", str(ROOT / "scripts" / script))
    spec = spec_from_loader(loader.name, loader)
    assert spec is not None
    module = module_from_spec(spec)
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    monkeypatch.setattr(sys, "path", [*sys.path])
    monkeypatch.setitem(sys.modules, loader.name, module)
    loader.exec_module(module)
    return module


@pytest.mark.slow
def test_the_diagrams_in_the_documentation_are_those_of_the_tables() -> None:
    assert run("diagrams", "--check") == (0, "")


def test_a_diagram_that_has_fallen_behind_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    diagrams = loaded("diagrams", monkeypatch)
    page = diagrams.PAGE.read_text()

    assert diagrams.drawn(page.replace("SENT --> ABANDONED", "SENT --> NONE")) == page


@pytest.mark.slow
def test_every_mutation_still_fits_the_code() -> None:
    assert run("mutants", "--check") == (0, "")


def test_every_rule_has_a_mutation_that_breaks_it(monkeypatch: pytest.MonkeyPatch) -> None:
    mutants = loaded("mutants", monkeypatch)

    assert {mutation.rule for mutation in mutants.MUTATIONS} == set(range(1, 14))


def test_a_mutation_whose_text_is_gone_or_there_twice_is_an_error(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    mutants = loaded("mutants", monkeypatch)
    gone = mutants.Mutation(1, "nothing", "call/door.py", "no such text", "")
    twice = mutants.Mutation(1, "too much", "call/door.py", "self", "")

    wrong = mutants.misplaced([gone, twice])

    assert len(wrong) == 2
    assert "0 times" in wrong[0]


@pytest.mark.slow
def test_the_exploration_says_how_far_it_went() -> None:
    status, printed = run("explore", "--mode", "bridge", "--turns", "0", "--faults", "0")

    assert status == 0, printed
    assert "there is nothing deeper" in printed
    assert "no violation" in printed


@pytest.mark.slow
def test_the_soak_counts_calls_and_violations() -> None:
    status, printed = run("soak", "--calls", "2", "--jobs", "1", "--seed-from", "3")

    assert status == 0, printed
    assert "\n2 calls, " in f"\n{printed}"  # a slow machine is told how far it is
    assert "       0  violations" in printed


@pytest.mark.slow
def test_the_benchmark_tells_the_price_of_everything() -> None:
    status, printed = run("bench/micro", "--seconds", "0.01")

    assert status == 0, printed
    for one in ("a caller's frame, twilio", "an event, of ", "20 ms up"):
        assert f" us  {one}" in printed


def test_the_picture_of_the_ledger_is_the_ledgers_own() -> None:
    assert run("playout-diagram", "--check") == (0, "")

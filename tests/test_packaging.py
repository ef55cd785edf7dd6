"""What is installed: everything the package needs at run time, in versions that are pinned."""

import re
import stat
import tomllib
from fnmatch import fnmatch
from importlib.metadata import PackageNotFoundError, requires
from pathlib import Path
from typing import Any

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).resolve().parents[1]
PROJECT: dict[str, Any] = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))

#: Where the classifiers say that it runs.
PYTHONS = ("3.11", "3.12", "3.13")


def pins() -> dict[str, Requirement]:
    lines = (ROOT / "constraints.txt").read_text("utf-8").splitlines()
    found = [Requirement(line) for line in lines if line and not line.startswith("#")]
    return {canonicalize_name(one.name): one for one in found}


def direct() -> list[Requirement]:
    project = PROJECT["project"]
    texts = [*project["dependencies"], *project["optional-dependencies"]["dev"]]
    return [Requirement(text) for text in texts]


def needed(python: str) -> set[str]:
    """All that the core and the development extra bring on that Python, by what is installed."""
    environment = {"python_version": python, "python_full_version": f"{python}.0", "extra": ""}
    found: set[str] = set()
    waiting = direct()
    while waiting:
        one = waiting.pop()
        name = canonicalize_name(one.name)
        if one.marker is not None and not one.marker.evaluate(environment):
            continue
        try:
            texts = requires(one.name) or []
        except PackageNotFoundError:
            assert one.marker is not None, f"{name} is not installed"
            texts = []  # for another Python than this one
        extras = [environment | {"extra": extra} for extra in one.extras]
        for text in texts:
            wanted = Requirement(text)
            asked_for = wanted.marker and any(wanted.marker.evaluate(extra) for extra in extras)
            if asked_for:
                wanted.marker = None
            if canonicalize_name(wanted.name) not in found:
                waiting.append(wanted)
        found.add(name)
    return found


def test_everything_that_is_needed_is_pinned_and_nothing_else() -> None:
    everything = set().union(*(needed(python) for python in PYTHONS))

    assert set(pins()) == everything


def test_a_pin_is_one_version_from_nowhere_in_particular() -> None:
    for name, pin in pins().items():
        assert re.fullmatch(r"==[0-9][0-9a-z.]*", str(pin.specifier)), name
        assert pin.url is None


def test_pins_are_within_the_ranges_of_the_project() -> None:
    for wanted in direct():
        pin = pins()[canonicalize_name(wanted.name)]
        (version,) = (one.version for one in pin.specifier)

        assert wanted.specifier.contains(version), wanted.name


@pytest.mark.parametrize("python", PYTHONS)
def test_the_classifiers_name_every_python_that_is_pinned_for(python: str) -> None:
    assert f"Programming Language :: Python :: {python}" in PROJECT["project"]["classifiers"]


def test_ranges_end_before_the_next_major_version() -> None:
    for wanted in direct():
        assert any(one.operator == "<" for one in wanted.specifier), wanted.name


def test_every_file_that_is_no_python_is_installed_too() -> None:
    package = ROOT / "opusbridge"
    patterns = PROJECT["tool"]["setuptools"]["package-data"]["opusbridge"]
    for path in package.rglob("*"):
        inside = path.relative_to(package)
        hidden = any(part.startswith((".", "__pycache__")) for part in inside.parts)
        if path.is_file() and path.suffix != ".py" and not hidden:
            assert any(fnmatch(str(inside), pattern) for pattern in patterns), inside


def test_every_folder_with_python_in_it_is_a_package() -> None:
    for path in (ROOT / "opusbridge").rglob("*.py"):
        assert (path.parent / "__init__.py").is_file(), path.parent.name


def test_scripts_can_be_run_and_say_what_they_do() -> None:
    for path in [*(ROOT / "scripts").rglob("*"), ROOT / ".ci" / "run"]:
        if path.is_file() and not path.suffix:
            first, second, *_ = path.read_text("utf-8").splitlines()

            assert path.stat().st_mode & stat.S_IXUSR, path.name
            assert first.startswith("#!/usr/bin/env "), path.name
            assert second.startswith(("# ", '"""')), path.name

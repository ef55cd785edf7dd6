"""Starting is quick because nothing is loaded that was not asked for, and little is installed."""

import subprocess
import sys
import zlib
from pathlib import Path

import pytest

import opusbridge

HEAVY = ("fastapi", "numpy", "pydantic", "starlette", "uvicorn", "websockets", "prometheus_client")


def loaded(code: str) -> set[str]:
    """The modules of a fresh Python after that."""
    ask = f"import sys; {code}; print(*sys.modules)"
    ran = subprocess.run([sys.executable, "-c", ask], capture_output=True, text=True, check=True)
    return set(ran.stdout.split())


def test_importing_the_package_loads_nothing_heavy() -> None:
    assert not loaded("import opusbridge; opusbridge.__version__") & set(HEAVY)


def test_an_agents_file_does_not_load_the_web_server() -> None:
    assert not loaded("from opusbridge import Agent, tool") & {"fastapi", "uvicorn", "websockets"}


@pytest.mark.parametrize("name", opusbridge.__all__)
def test_every_public_name_can_be_had(name: str) -> None:
    assert getattr(opusbridge, name) is not None


def test_a_name_that_is_not_public_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="no attribute 'Bridge'"):
        _ = opusbridge.Bridge


def test_what_is_installed_is_under_two_megabytes() -> None:
    package = Path(opusbridge.__file__).parent
    files = [path for path in package.rglob("*") if path.is_file()]
    packed = [zlib.compress(one.read_bytes()) for one in files if "__pycache__" not in one.parts]

    assert sum(map(len, packed)) < 2 * 2**20  # what a wheel of it weighs

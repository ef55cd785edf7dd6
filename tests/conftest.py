"""Which sockets the tests use: the ordinary ones, or both where a module asks for them. One
certificate is made for all; and what is done to the process's logging is over with its test.

``TEST_SOCKETS=fast scripts/test tests/end_to_end`` takes the lean ones for all the others.
"""

import gc
import logging
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path
from shutil import which

import pytest
import structlog
from hypothesis import settings

# The same cases every time, however slow the machine is: a test that fails now and then is broken.
settings.register_profile("steady", derandomize=True, deadline=None)
settings.load_profile("steady")


@pytest.fixture(autouse=True)
def leave_logging_as_it_was() -> Iterator[None]:
    root, ours = logging.getLogger(), logging.getLogger("opusbridge")
    handlers, level = list(root.handlers), root.level
    yield
    root.handlers[:] = handlers
    root.setLevel(level)
    ours.setLevel(logging.NOTSET)
    structlog.reset_defaults()


@pytest.fixture
def quiet() -> None:
    """Nothing is logged but what the test asks for."""
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))


@pytest.fixture(scope="module")
def short_pauses() -> Iterator[None]:
    """What there is so far is not looked at for garbage, as ``serve`` has it: behind some thousand
    tests that takes half a second, and a call in real time has a gap of it."""
    gc.collect()
    gc.freeze()
    yield
    gc.unfreeze()


@pytest.fixture
def usual_sockets(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever is installed."""
    monkeypatch.setenv("OPUSBRIDGE_SOCKETS", os.environ.get("TEST_SOCKETS", "default"))


@pytest.fixture(params=["default", "fast"])
def both_sockets(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """The tests of a module run once over each."""
    monkeypatch.setenv("OPUSBRIDGE_SOCKETS", request.param)
    return str(request.param)


@pytest.fixture(scope="session")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """One for ``localhost`` that nobody has signed, and its key."""
    if which("openssl") is None:
        pytest.skip("openssl is not installed")
    folder = tmp_path_factory.mktemp("tls")
    shown, key = folder / "certificate.pem", folder / "key.pem"
    make = "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2"
    who = ["-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost"]
    subprocess.run(
        [*make.split(), *who, "-out", shown, "-keyout", key], check=True, capture_output=True
    )
    return shown, key

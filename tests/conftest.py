"""Which sockets the tests use: the ordinary ones, or both where a module asks for them. And what
a command or a test does to the process's logging is over with its test.

``TEST_SOCKETS=fast scripts/test tests/end_to_end`` takes the lean ones for all the others.
"""

import logging
import os
from collections.abc import Iterator

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
def usual_sockets(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever is installed."""
    monkeypatch.setenv("OPUSBRIDGE_SOCKETS", os.environ.get("TEST_SOCKETS", "default"))


@pytest.fixture(params=["default", "fast"])
def both_sockets(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """The tests of a module run once over each."""
    monkeypatch.setenv("OPUSBRIDGE_SOCKETS", request.param)
    return str(request.param)

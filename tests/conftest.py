"""Which sockets the tests use: the ordinary ones, or both where a module asks for them.

``TEST_SOCKETS=fast scripts/test tests/end_to_end`` takes the lean ones for all the others.
"""

import os

import pytest
from hypothesis import settings

# The same cases every time, however slow the machine is: a test that fails now and then is broken.
settings.register_profile("steady", derandomize=True, deadline=None)
settings.load_profile("steady")


@pytest.fixture
def usual_sockets(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever is installed."""
    monkeypatch.setenv("OPUSBRIDGE_SOCKETS", os.environ.get("TEST_SOCKETS", "default"))


@pytest.fixture(params=["default", "fast"])
def both_sockets(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """The tests of a module run once over each."""
    monkeypatch.setenv("OPUSBRIDGE_SOCKETS", request.param)
    return str(request.param)

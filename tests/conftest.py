"""Which sockets the tests use: the ordinary ones, or both where a module asks for them.

``TEST_SOCKETS=fast scripts/test tests/end_to_end`` takes the lean ones for all the others.
"""

import os

import pytest


@pytest.fixture
def usual_sockets(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever is installed."""
    monkeypatch.setenv("OPUSBRIDGE_SOCKETS", os.environ.get("TEST_SOCKETS", "default"))


@pytest.fixture(params=["default", "fast"])
def both_sockets(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """The tests of a module run once over each."""
    monkeypatch.setenv("OPUSBRIDGE_SOCKETS", request.param)
    return str(request.param)

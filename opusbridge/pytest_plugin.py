"""The pytest plugin: fixtures for whoever has opusbridge and pytest installed.

It is loaded in every run of pytest there, so it imports the rest when a fixture is used; that
is why it does not lie in ``opusbridge.testing``, whose import is not light.
"""

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from opusbridge.testing import CallResult, RunningModel


@pytest.fixture
def call_script() -> "Callable[..., CallResult]":
    """``call_script(script, agent=…, telephony=…)``: a whole call in virtual time."""
    from opusbridge import testing

    return testing.call_script


@pytest.fixture
def simulated_model() -> "Iterator[RunningModel]":
    """The simulated Realtime model, running; its ``url`` is where clients connect."""
    from opusbridge import testing

    with testing.simulated_model() as running:
        yield running


@pytest.fixture
def simulated_caller() -> "Callable[..., CallResult]":
    """``simulated_caller(url, script, telephony=…)``: calls a bridge that runs there."""
    from opusbridge import testing

    return testing.simulated_caller

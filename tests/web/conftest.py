"""The sockets of this machine do not decide which are tested."""

import pytest


@pytest.fixture(autouse=True)
def the_usual_sockets(usual_sockets: None) -> None:
    """Unless a module asks for both."""

"""Which sockets a process uses."""

from importlib.metadata import PackageNotFoundError

import pytest

from opusbridge.bridge import which
from opusbridge.bridge.which import which_sockets
from opusbridge.config import Settings
from opusbridge.errors import ConfigurationError


def installed(monkeypatch: pytest.MonkeyPatch, version: str | None) -> None:
    """This picows, or none."""

    def found(name: str) -> str:
        if version is None:
            raise PackageNotFoundError(name)
        return version

    monkeypatch.setattr(which, "version", found)


@pytest.mark.parametrize(
    ("asked", "version", "used"),
    [
        ("auto", "2.3", "fast"),
        ("auto", "2.3.1", "fast"),
        ("auto", None, "default"),
        ("auto", "2.4.0", "default"),
        ("auto", "2.30.0", "default"),
        ("default", "2.3.1", "default"),
        ("default", None, "default"),
        ("fast", "2.3.1", "fast"),
    ],
)
def test_the_lean_sockets_are_taken_where_they_are_and_are_wanted(
    asked: str, version: str | None, used: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    installed(monkeypatch, version)

    assert which_sockets(Settings.load(sockets=asked)) == used


@pytest.mark.parametrize("version", [None, "2.2.0", "3.0"])
def test_lean_sockets_that_cannot_be_had_are_a_mistake_with_a_clear_line(
    version: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    installed(monkeypatch, version)

    with pytest.raises(ConfigurationError, match="OPUSBRIDGE_SOCKETS is fast"):
        which_sockets(Settings(sockets="fast"))


def test_the_lean_sockets_are_the_ones_of_this_environment() -> None:
    assert which_sockets(Settings(sockets="auto")) == "fast", "the development extra brings them"

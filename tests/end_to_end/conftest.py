"""No setting of the machine's own reaches these tests, and they leave nothing behind."""

import os
from pathlib import Path

import pytest

from tests.cli.running import is_setting


@pytest.fixture(scope="module", autouse=True)
def in_real_time(short_pauses: None) -> None:
    """Nothing but the machine itself holds up its frames."""


@pytest.fixture(autouse=True)
def a_fresh_machine(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    for name in filter(is_setting, list(os.environ)):
        monkeypatch.delenv(name)
    request.getfixturevalue("usual_sockets")
    monkeypatch.chdir(tmp_path)

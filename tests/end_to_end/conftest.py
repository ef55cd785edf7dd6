"""No setting of the machine's own reaches these tests, and they leave nothing behind."""

import logging
import os
from collections.abc import Iterator
from pathlib import Path

import pytest
import structlog

from tests.cli.running import is_setting


@pytest.fixture(autouse=True)
def a_fresh_machine(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    for name in filter(is_setting, list(os.environ)):
        monkeypatch.delenv(name)
    request.getfixturevalue("usual_sockets")
    monkeypatch.chdir(tmp_path)


@pytest.fixture(autouse=True)
def leave_logging_as_it_was() -> Iterator[None]:
    root, ours = logging.getLogger(), logging.getLogger("opusbridge")
    handlers, level = list(root.handlers), root.level
    yield
    root.handlers[:] = handlers
    root.setLevel(level)
    ours.setLevel(logging.NOTSET)
    structlog.reset_defaults()

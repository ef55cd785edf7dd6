"""No setting of the machine's own reaches these tests, and they leave nothing in its folders."""

import os
from pathlib import Path

import pytest

from tests.cli.running import is_setting


@pytest.fixture(autouse=True)
def a_fresh_machine(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in filter(is_setting, list(os.environ)):
        monkeypatch.delenv(name)
    monkeypatch.chdir(tmp_path)

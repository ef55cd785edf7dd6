"""Every command of these tests runs in an empty folder, without settings of the machine's."""

import os
from pathlib import Path

import pytest

from tests.cli.running import is_setting


@pytest.fixture(autouse=True)
def a_fresh_machine(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in filter(is_setting, list(os.environ)):
        monkeypatch.delenv(name)
    monkeypatch.setenv("COLUMNS", "200")
    monkeypatch.chdir(tmp_path)

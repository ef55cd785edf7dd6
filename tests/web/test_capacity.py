"""What was measured is the limit, unless somebody said one; a file that is none stops the start."""

import asyncio
from pathlib import Path

import pytest

from opusbridge import Settings, create_app
from opusbridge.errors import ConfigurationError
from opusbridge.web.capacity import call_limit, read, write
from opusbridge.web.load import LoopLag


@pytest.fixture
def measured(tmp_path: Path) -> Path:
    path = tmp_path / "capacity.json"
    write(path, 180, {"processor": "a fast one"})
    return path


def test_without_a_word_there_is_no_limit() -> None:
    assert call_limit(Settings.load()) == 0


def test_what_was_measured_is_the_limit_of_the_service(measured: Path) -> None:
    app = create_app(Settings.load(capacity_file=measured, speech_dir=None))

    assert app.state.calls.limit == 180


@pytest.mark.parametrize("said", [0, 12])
def test_what_was_said_counts_before_what_was_measured(measured: Path, said: int) -> None:
    assert call_limit(Settings.load(capacity_file=measured, max_calls=said)) == said


@pytest.mark.parametrize(
    "text", ["", "[]", "{}", '{"calls": 0}', '{"calls": "9"}', '{"calls": true}']
)
def test_a_file_that_bench_did_not_write_is_refused(tmp_path: Path, text: str) -> None:
    path = tmp_path / "other.json"
    path.write_text(text)

    with pytest.raises(ConfigurationError, match="not one that opusbridge bench wrote"):
        read(path)


def test_a_file_that_is_not_there_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="OPUSBRIDGE_CAPACITY_FILE: it cannot be read"):
        read(tmp_path / "none.json")
    with pytest.raises(ConfigurationError, match="cannot write"):
        write(tmp_path / "no" / "folder.json", 1, {})


async def test_a_loop_that_was_held_up_says_so() -> None:
    import time

    lag = LoopLag()
    async with lag.watched():
        assert lag.worst_seconds == 0.0
        await asyncio.sleep(0.01)
        time.sleep(0.3)  # noqa: ASYNC251 - just what must not happen
        await asyncio.sleep(0.01)

    assert lag.worst_seconds > 0.02

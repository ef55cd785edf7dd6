import json
import stat
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path

import orjson
import pytest

from opusbridge.privacy import Private
from opusbridge.recording.files import call_folder, make_folder, open_private, write_json

NOON = datetime(2026, 11, 20, 12, tzinfo=UTC)


def test_a_call_has_a_folder_of_its_own_under_its_day() -> None:
    assert call_folder(Path("data"), "call-1_A.b", NOON) == Path("data/calls/2026-11-20/call-1_A.b")


def test_the_day_is_that_of_utc() -> None:
    east = datetime(2026, 11, 21, 1, tzinfo=timezone(timedelta(hours=9)))

    assert call_folder(Path("data"), "a", east).parent.name == "2026-11-20"


@pytest.mark.parametrize(
    "call_id", ["", ".", "..", ".hidden", "../x", "a/b", "a\\b", "a\n", "a\0", "ä", "-x", "x" * 129]
)
def test_an_id_that_is_not_a_plain_name_is_refused_without_repeating_it(call_id: str) -> None:
    with pytest.raises(ValueError, match=r"^not a call id: 1 to 128 letters"):
        call_folder(Path("data"), call_id, NOON)


def test_files_of_a_call_are_for_their_owner_only(tmp_path: Path) -> None:
    folder = tmp_path / "calls" / "a"
    make_folder(folder)
    make_folder(folder)
    open_private(folder / "x").close()

    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert stat.S_IMODE((folder / "x").stat().st_mode) == 0o600


def test_json_is_written_whole_and_leaves_nothing_behind(tmp_path: Path) -> None:
    path = tmp_path / "call.json"
    path.write_text("old")

    write_json(path, {"caller": Private("+15550100001"), "turns": [1]})

    assert json.loads(path.read_text()) == {"caller": "+15550100001", "turns": [1]}
    assert list(tmp_path.iterdir()) == [path]


def test_half_a_character_costs_no_file(tmp_path: Path) -> None:
    path = tmp_path / "call.json"
    write_json(path, {"caller": Private("\ud83d"), "note": ["a\ude00", "é"]})

    assert orjson.loads(path.read_bytes()) == {"caller": "\ufffd", "note": ["a\ufffd", "é"]}


def test_what_cannot_be_json_leaves_the_old_file_alone(tmp_path: Path) -> None:
    path = tmp_path / "call.json"
    path.write_text("old")

    with pytest.raises(TypeError):
        write_json(path, {"x": object()})

    assert path.read_text() == "old"

"""``opusbridge replay`` and ``opusbridge timeline`` as their user meets them."""

import json
import re
from pathlib import Path

import pytest

from opusbridge.replay.kept import KeptEngine
from opusbridge.sim.seeded import seeded_call
from tests.cli.running import run


@pytest.fixture(scope="module")
def flight(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("calls") / "flight.jsonl"
    call = seeded_call(86)
    engine = KeptEngine(call.engine, path)  # type: ignore[arg-type]  # the real one
    call.engine = engine
    call.run(300.0)
    engine.finish()
    return path


def otherwise(flight: Path, folder: Path) -> Path:
    """The same, of a call that was conducted otherwise."""
    header, *lines = flight.read_text().splitlines(keepends=True)
    told = json.loads(header)
    told["policy"]["session"]["instructions"] = "Be long-winded."
    path = folder / "otherwise.jsonl"
    path.write_text("".join([json.dumps(told) + "\n", *lines]))
    return path


def test_a_call_that_goes_as_it_went_is_told_and_fine(flight: Path) -> None:
    ran = run("replay", str(flight))

    assert (ran.status, ran.err) == (0, "")
    assert "as they were" in ran.out


def test_a_difference_is_shown_with_what_came_before_it(flight: Path, tmp_path: Path) -> None:
    ran = run("replay", str(otherwise(flight, tmp_path)))

    assert (ran.status, ran.err) == (1, "")
    assert "the first difference is at" in ran.out
    assert "expected:" in ran.out
    assert "Be long-winded." in ran.out


@pytest.mark.parametrize("command", ["replay", "timeline"])
@pytest.mark.parametrize(
    ("content", "why"),
    [(b"\x00\xff", "not a flight recording"), (b'{"flight": 1}', "version 1"), (None, "No such")],
)
def test_what_is_no_flight_is_one_line_and_wrong_usage(
    tmp_path: Path, command: str, content: bytes | None, why: str
) -> None:
    path = tmp_path / "x.jsonl"
    if content is not None:
        path.write_bytes(content)
    ran = run(command, str(path))

    assert (ran.status, ran.out) == (2, "")
    assert why in ran.complaint


def test_a_test_is_written_and_never_over_another(flight: Path, tmp_path: Path) -> None:
    ran = run("replay", "--to-test", str(flight), "--out", str(tmp_path))

    assert ran.status == 0
    assert (tmp_path / "test_call_flight.py").exists()
    again = run("replay", "--to-test", str(flight), "--out", str(tmp_path))
    assert (again.status, "is there already" in again.complaint) == (2, True)
    (tmp_path / "file").write_bytes(b"")
    nowhere = run("replay", "--to-test", str(flight), "--out", str(tmp_path / "file"))
    assert (nowhere.status, str(tmp_path / "file") in nowhere.complaint) == (2, True)


def test_it_is_told_from_when_on_a_test_proves_nothing(flight: Path, tmp_path: Path) -> None:
    lines = flight.read_bytes().splitlines(keepends=True)
    path = tmp_path / "cut.jsonl"
    path.write_bytes(b"".join(lines[: len(lines) // 2]))
    ran = run("replay", "--to-test", str(path), "--out", str(tmp_path))

    assert ran.status == 0
    assert re.fullmatch(
        f"opusbridge: {re.escape(str(path))}: the test proves nothing beyond "
        r"\d+\.\d s: the file (ends, before the call does|is cut off or damaged)",
        ran.complaint,
    )
    assert "ended=False)" in (tmp_path / "test_call_flight.py").read_text()
    whole = run("replay", "--to-test", str(flight), "--out", str(tmp_path / "whole"))
    assert whole.err == ""


def test_the_folder_of_a_call_stands_for_its_flight(flight: Path, tmp_path: Path) -> None:
    folder = str(flight.parent)

    assert run("replay", folder) == run("replay", str(flight))
    assert run("replay", folder, "--to-test", "--out", str(tmp_path)).status == 0
    assert (tmp_path / "call_flight.flight.jsonl").read_bytes() == flight.read_bytes()
    assert run("timeline", folder).out == f"written: {flight.with_name('timeline.html')}\n"


@pytest.mark.parametrize("command", ["replay", "timeline"])
def test_a_folder_without_a_flight_is_told_what_to_give(tmp_path: Path, command: str) -> None:
    ran = run(command, str(tmp_path))

    assert (ran.status, ran.out) == (2, "")
    assert ran.complaint == (
        f"opusbridge: {tmp_path} is a folder without a flight.jsonl: give a call's folder, such as "
        "DATA_DIR/calls/DATE/CALL_ID, or the file itself"
    )


def test_a_page_is_drawn_beside_the_flight_or_where_it_is_wanted(
    flight: Path, tmp_path: Path
) -> None:
    assert run("timeline", str(flight)).status == 0
    assert run("timeline", str(flight), "--out", str(tmp_path / "page.html")).status == 0

    assert flight.with_name("timeline.html").read_text().startswith("<!doctype html>")
    assert (tmp_path / "page.html").stat().st_mode & 0o777 == 0o600


def test_of_a_damaged_flight_the_rest_is_drawn_and_played_and_the_damage_told(
    flight: Path, tmp_path: Path
) -> None:
    lines = flight.read_bytes().splitlines(keepends=True)
    path = tmp_path / "flight.jsonl"
    path.write_bytes(b"".join([*lines[:40], lines[40][:9] + b"\n", b"\x00\n", *lines[42:]]))

    drawn, played = run("timeline", str(path)), run("replay", str(path))
    told = f"2 of its {len(lines)} lines cannot be read; the first of them is line 41"
    assert drawn.complaint == played.complaint == f"opusbridge: {path}: {told}"
    assert (drawn.status, drawn.out) == (0, f"written: {tmp_path / 'timeline.html'}\n")
    assert (played.status, "cut off or damaged" in played.out) == (0, True)


def test_what_lies_beside_a_flight_and_is_not_what_it_should_be_is_named(
    flight: Path, tmp_path: Path
) -> None:
    (tmp_path / "flight.jsonl").write_bytes(flight.read_bytes())
    (tmp_path / "call.json").write_text("[")
    ran = run("timeline", str(tmp_path / "flight.jsonl"))

    assert ran.status == 2
    assert "call.json beside it is not JSON" in ran.complaint

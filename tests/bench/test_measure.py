"""What is started for a measurement, and how a barge-in finds its silence."""

import json
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

from opusbridge.bench.measure import Setup, silenced
from opusbridge.cli.main import app

ROOT = Path(__file__).resolve().parents[2]
RELAY = ROOT / "scripts" / "bench" / "relay-default"
MS = 1_000_000


def test_a_barge_in_is_silenced_by_the_first_clear_behind_it() -> None:
    began = [[1, 100 * MS], [2, 100 * MS], [1, 9_000 * MS]]
    clears = [[1, 50 * MS], [1, 103 * MS], [1, 200 * MS], [2, 5_000 * MS]]

    assert silenced(began, clears) == [3_000, None, None]


def test_no_setting_of_the_surroundings_reaches_what_is_measured(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("OPUSBRIDGE_PUBLIC_URL", "https://voice.example.com")
    monkeypatch.setenv("OPENAI_API_KEY", "a-real-one")

    env = Setup("x", record=False, sockets="default").environment(8090, tmp_path)

    assert "OPUSBRIDGE_PUBLIC_URL" not in env
    assert "OPENAI_API_KEY" not in env
    assert (env["OPUSBRIDGE_RECORD"], env["OPUSBRIDGE_FLIGHT"]) == ("false", "true")
    assert env["OPUSBRIDGE_SOCKETS"] == "default"


def test_a_script_of_this_python_is_run_by_it_and_others_as_they_say(tmp_path: Path) -> None:
    other = tmp_path / "peer"
    other.write_text("#!/opt/peer/bin/python\n")

    assert Setup("r", against=RELAY).command(1, 2)[0] == sys.executable
    assert Setup("p", against=other).command(1, 2) == [
        str(other), "--port", "1", "--model", "ws://127.0.0.1:2/v1/realtime",
    ]  # fmt: skip


@pytest.mark.slow
def test_a_measurement_loses_nothing_and_says_what_a_call_costs(tmp_path: Path) -> None:
    out = tmp_path / "figures.json"

    ran = CliRunner().invoke(
        app(["bench"]),
        ["bench", "--calls", "2", "--seconds", "1", "--no-record", "--json", str(out)],
    )

    assert ran.exit_code == 0, ran.output
    (row,) = json.loads(out.read_text())["rows"]
    (found,) = json.loads(out.read_text())["measured"]
    assert row["cpu_ms_per_call"] > 0
    assert row["memory_kb_per_call"] > 0
    assert found["frames"] >= 80
    assert found["down_us"]["count"] >= 2
    assert (row["lost"], row["damaged"], found["refused"], found["lost_calls"]) == (0, 0, 0, 0)


@pytest.mark.parametrize(
    ("options", "complaint"),
    [
        (["--calls", "0"], "--calls takes numbers"),
        (["--calls", "many"], "--calls takes numbers"),
        (["--telephony", "pigeon"], "'pigeon' is none of"),
        (["--telephony", "twilio,audiocodes"], "--calls is needed"),
        (["--telephony", "audiocodes-16k", "--write", "x.json"], "how late its sound is"),
        (["--calls", "1", "--hostile", "rude"], "'rude' is none of"),
        (["--calls", "1", "--also", "no-sound"], "'no-sound' is none of"),
        (["--calls", "1", "--against", "no-such-file"], "no file no-such-file"),
        (["--calls", "1", "--write", "capacity.json"], "--write is for"),
        (["--sockets", "tin-cans"], "'tin-cans' is none of"),
        (["--json", "no/such/folder/x.json"], "no folder no/such/folder"),
    ],
)
def test_wrong_wishes_are_refused_before_anything_is_started(
    options: list[str], complaint: str
) -> None:
    ran = CliRunner().invoke(app(["bench"]), ["bench", *options])

    assert complaint in str(ran.exception)

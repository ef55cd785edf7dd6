"""Wrong usage and configuration: one line that says what to change, and exit 2."""

import re
import sys
from importlib import import_module
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from opusbridge import Settings, create_app
from opusbridge.cli.main import app
from opusbridge.cli.serve import announce
from opusbridge.errors import ConfigurationError
from opusbridge.sim import espeak, script
from opusbridge.version import VERSION
from tests.cli.running import environment, run, running

COMMANDS = ("serve", "demo", "call", "simulate", "model", "replay", "timeline", "bench", "doctor")


def test_the_version_is_said_and_that_is_all() -> None:
    ran = run("--version")

    assert (ran.status, ran.out, ran.err) == (0, f"opusbridge {VERSION}\n", "")


def test_help_names_every_command() -> None:
    ran = run("--help")

    assert ran.status == 0
    assert all(command in ran.out for command in COMMANDS)


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_explains_itself(command: str) -> None:
    ran = run(command, "--help")

    assert (ran.status, ran.err) == (0, "")
    assert f"opusbridge {command}" in ran.out
    assert "``" not in ran.out


def test_a_paragraph_is_broken_where_the_terminal_ends_and_nowhere_else() -> None:
    # With 200 columns; in the code the line ends after "it."
    assert "must come of it. Caller, telephony and model" in run("simulate", "--help").out


@pytest.mark.parametrize("command", ["call", "simulate"])
def test_a_newcomer_is_told_what_a_script_is_and_what_it_takes(command: str) -> None:
    said = " ".join(run(command, "--help").out.replace("│", " ").split())

    assert f"opusbridge {command} [OPTIONS]" in said
    assert "a TOML file, a folder of them, or the name of a script that comes with" in said
    assert "no telephone and no key are needed" in said


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        ([], "command"),
        (["sing"], "sing"),
        (["serve", "--loudly"], "--loudly"),
        (["serve", "--port", "high"], "--port"),
        (["demo", "--telephony", "pigeon"], "--telephony"),
        (["call"], "SCRIPT"),
        (["call", "opening-hours", "--telephony", "pigeon"], "--telephony"),
        (["model", "--port"], "--port"),
        (["call", "opening-hours", "--json"], "--json"),
        (["--loudly"], "--loudly"),
    ],
)
def test_a_line_that_cannot_be_read_is_refused(arguments: list[str], named: str) -> None:
    ran = run(*arguments)

    assert (ran.status, ran.out) == (2, "")
    assert named in ran.complaint
    asked = [word for word in arguments[:1] if word in COMMANDS]
    assert ran.complaint.endswith(f"({' '.join(['opusbridge', *asked, '--help'])})")


# --- doctor -----------------------------------------------------------------------------


def test_the_doctor_names_what_is_missing_and_fails() -> None:
    ran = run("doctor")

    assert (ran.status, ran.err) == (1, "")
    assert "FAILED   settings: OPENAI_API_KEY is not set" in ran.out
    assert ran.out.endswith("1 failed, 0 to look at\n")


def test_the_doctor_names_what_the_user_gave_as_the_agent(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPUSBRIDGE_AGENT", "absent.py")
    by_setting, by_option = run("doctor"), run("doctor", "--agent", "nope.py")

    assert "agent: absent.py: there is no such file" in by_setting.out
    assert "→ correct the file that OPUSBRIDGE_AGENT names" in by_setting.out
    assert "agent: nope.py: there is no such file" in by_option.out
    assert "→ correct the file that --agent names" in by_option.out


def test_the_doctor_explains_a_code() -> None:
    known, unknown = run("doctor", "--explain", "31931"), run("doctor", "--explain", "nonsense")

    assert known.out.startswith("31931: more than ten minutes")
    assert "https://www.twilio.com/docs/api/errors/31931" in known.out
    assert (unknown.status, "--explain" in unknown.complaint) == (2, True)
    both = run("doctor", "--explain", "no-start").out
    assert "no-start, an ending: AudioCodes opened" in both
    assert "no-start, a refusal: a socket opened" in both


# --- serve ------------------------------------------------------------------------------


def test_without_a_key_there_is_nobody_to_answer() -> None:
    ran = run("serve")

    assert (ran.status, ran.out) == (2, "")
    assert "OPENAI_API_KEY" in ran.complaint
    assert "opusbridge model" in ran.complaint


def test_a_script_that_is_none_gives_the_model_nothing_to_say() -> None:
    ran = run("model", "--script", "opening-hour")

    assert (ran.status, ran.out) == (2, "")
    assert "no script opening-hour" in ran.complaint


@pytest.mark.parametrize("command", ["serve", "model", "doctor"])
@pytest.mark.parametrize("port", ["-1", "65536"])
def test_a_port_that_is_none_is_refused(
    command: str, port: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-any")

    ran = run(command, "--port", port)

    assert ran.status == 2
    assert "port" in ran.complaint


def test_a_proxy_that_cannot_be_used_stops_the_start_with_one_line(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setitem(sys.modules, "socksio", None)
    monkeypatch.setenv("ALL_PROXY", "socks5://user:a-secret@127.0.0.1:1080")
    monkeypatch.setenv("OPENAI_API_KEY", "sk-any")
    monkeypatch.setenv("OPUSBRIDGE_WEBHOOK_URL", "https://x.example/hooks")
    monkeypatch.setenv("OPUSBRIDGE_WEBHOOK_SECRET", "whsec-any")

    ran = run("serve", "--port", "0")

    assert ran.status == 2
    assert "ALL_PROXY names a SOCKS proxy" in ran.complaint
    assert "a-secret" not in ran.err


def test_signatures_cannot_be_checked_off_loopback_without_a_public_url(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-any")
    monkeypatch.setenv("OPUSBRIDGE_TWILIO_AUTH_TOKEN", "a-secret")

    ran = run("serve", "--host", "0.0.0.0")

    assert ran.status == 2
    assert "OPUSBRIDGE_PUBLIC_URL" in ran.complaint
    assert "a-secret" not in ran.err


@pytest.mark.parametrize("folder", ["taken", "taken/calls"])
def test_a_folder_that_takes_no_calls_is_refused_before_the_first_call(
    folder: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    Path("taken").write_text("a file", "utf-8")
    monkeypatch.setenv("OPENAI_API_KEY", "sk-any")
    monkeypatch.setenv("OPUSBRIDGE_DATA_DIR", folder)

    # An address that is not ours: it would go no further in any case.
    ran = run("serve", "--host", "192.0.2.1", "--port", "0")

    assert ran.status == 2
    assert "OPUSBRIDGE_DATA_DIR" in ran.complaint


def test_a_token_of_twilios_without_a_public_url_is_told_at_the_start() -> None:
    """Otherwise the first call through a tunnel is refused for its signature, and nobody knows."""
    key = {"openai_api_key": "sk-any", "twilio_auth_token": "a-secret"}
    with capture_logs() as lines:
        announce(create_app(Settings.load(**key)), "127.0.0.1", 8000)
        announce(create_app(Settings.load(**key, public_url="https://a.example")), "::1", 8000)

    assert [line["event"] for line in lines] == [
        "Twilio's own calls will be refused",
        *("listening", "listening"),
    ]
    assert lines[0]["reason"] == "OPUSBRIDGE_PUBLIC_URL is not set"
    assert lines[0]["log_level"] == "warning"
    assert "a-secret" not in str(lines)


def test_an_address_that_is_not_ours_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-any")

    ran = run("serve", "--host", "192.0.2.1", "--port", "0")

    assert ran.status == 2
    assert "192.0.2.1" in ran.complaint


@pytest.mark.parametrize(
    ("name", "text", "wrong"),
    [
        ("absent.py", None, "no such file"),
        ("agent.txt", "", "FILE.py"),
        ("broken.py", "agent = (", "not valid Python"),
        ("unnamed.py", "x = 1", "defines no agent"),
        ("number.py", "agent = 1", "not an Agent"),
        ("mute.toml", 'name = "x"', "instructions"),
        ("broken.toml", "name = ", "not valid TOML"),
    ],
)
def test_an_agent_that_cannot_be_loaded_is_named(
    name: str, text: str | None, wrong: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-any")
    if text is not None:
        Path(name).write_text(text, "utf-8")

    by_option = run("serve", "--port", "0", "--agent", name)
    monkeypatch.setenv("OPUSBRIDGE_AGENT", name)
    by_setting = run("serve", "--port", "0")

    assert (by_option.status, by_setting.status) == (2, 2)
    assert wrong in by_option.complaint
    assert by_option.complaint == by_setting.complaint


@pytest.mark.slow
def test_a_misspelt_setting_stops_the_start_with_one_line_and_no_traceback(tmp_path: Path) -> None:
    env = environment(OPENAI_API_KEY="sk-any", OPUSBRIDGE_DATA_DIRR="/secret/place")

    with running("serve", env=env, cwd=tmp_path) as process:
        out, err = process.communicate(timeout=30)

    assert (process.returncode, out) == (2, "")
    (line,) = err.splitlines()
    assert line.startswith("opusbridge: OPUSBRIDGE_DATA_DIRR")
    assert "OPUSBRIDGE_DATA_DIR?" in line
    assert "secret" not in line


def test_a_wrong_value_names_its_variable_and_is_not_repeated(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("OPUSBRIDGE_MAX_CALLS", "many-secrets")

    ran = run("serve")

    assert ran.status == 2
    assert "OPUSBRIDGE_MAX_CALLS" in ran.complaint
    assert "many-secrets" not in ran.err


# --- model ------------------------------------------------------------------------------


def test_a_fault_that_is_none_lists_those_there_are() -> None:
    ran = run("model", "--fault", "toothache")

    assert ran.status == 2
    assert all(name in ran.complaint for name in ("created-lost", "odd-deltas", "drop"))


def test_a_fault_with_a_value_that_will_not_do_is_refused() -> None:
    ran = run("model", "--fault", "cancel-latency=soon")

    assert ran.status == 2
    assert "cancel-latency" in ran.complaint


@pytest.mark.parametrize("host", ["192.0.2.1", "two..dots"])
def test_a_model_that_cannot_listen_says_so(host: str) -> None:
    ran = run("model", "--host", host, "--port", "0")

    assert (ran.status, ran.out) == (2, "")
    assert f"cannot listen on {host}:0: " in ran.complaint


# --- call and demo ----------------------------------------------------------------------


def test_a_folder_stands_for_the_scripts_in_it_and_must_have_some() -> None:
    Path("calls").mkdir()
    empty = run("simulate", "calls")
    Path("calls/odd.toml").write_text("[caller]\nsteps = 1\n", "utf-8")
    Path("calls/notes.txt").write_text("no script", "utf-8")

    assert empty.complaint == "opusbridge: the folder calls has no script (*.toml) in it"
    for command, folder in (("simulate", "calls"), ("call", "calls/")):
        ran = run(command, folder)
        assert (ran.status, ran.out) == (2, "")
        assert ran.complaint.startswith("opusbridge: calls/odd.toml:2: caller.steps: ")


def test_the_scripts_in_the_folders_of_a_folder_are_meant_too() -> None:
    for folder in ("calls/vip", "calls/.cache", "calls/env", "calls/vip/none"):
        Path(folder).mkdir(parents=True)
    Path("calls/env/pyvenv.cfg").touch()
    files = ["calls/b.toml", "calls/vip/a.toml", "calls/.cache/c.toml", "calls/env/d.toml"]
    for file in files:
        Path(file).write_text("[caller]\nsteps = []", "utf-8")

    assert [one.file for one in script.load_all(["calls"])] == files[:2]


def test_what_else_is_toml_in_a_folder_or_below_it_is_passed_over() -> None:
    Path("calls/old").mkdir(parents=True)
    steps = "steps = [{ wait_for_agent = true }, { hang_up = true }]"
    Path("calls/order.toml").write_text(f"[caller]\n{steps}", "utf-8")
    Path("calls/pyproject.toml").write_text("[project]\nname = 'a'\n[tool.ruff]\n", "utf-8")
    Path("calls/old/agent.toml").write_text("\ufeffname = 'a'\n", "utf-8")

    beside = run("simulate", "calls", "--telephony", "twilio")
    alone = run("simulate", "calls/old")

    assert (beside.status, beside.out.count("as expected")) == (0, 1)
    for file in ("calls/pyproject.toml", "calls/old/agent.toml"):
        assert f"opusbridge: {file}: passed over" in beside.err
    assert alone.status == 2
    assert "opusbridge: calls/old/agent.toml: passed over" in alone.err
    assert "opusbridge: the folder calls/old has no script (*.toml) in it" in alone.err


@pytest.mark.parametrize("text", ["[expect]\nheard = []", "caller = ", "a = '\udc80'"])
def test_a_script_with_a_mistake_is_not_passed_over(text: str) -> None:
    Path("calls/old").mkdir(parents=True)
    Path("calls/order.toml").write_text("[caller]\nsteps = []", "utf-8")
    Path("calls/old/late.toml").write_bytes(text.encode("utf-8", "surrogateescape"))

    assert run("simulate", "calls").complaint.startswith("opusbridge: calls/old/late.toml:1: ")


@pytest.mark.parametrize(
    ("text", "meant"),
    [
        ("[callers]\n[expects]\n[[model.replies]]\ntext = 'Hello.'", True),
        ("[Caller]\nsteps = []", True),
        ("[expectt]\nheard = []", True),
        ("telephony = ['twilio']", True),
        ("[project]\nname = 'calls'\n[tool.ruff]\n[build-system]", False),
        ("[export]\n[call]\n[defaults]\n[model]\n[settings]", False),
    ],
)
def test_a_script_whose_keys_are_misspelt_is_not_passed_over(text: str, meant: bool) -> None:
    Path("calls/old").mkdir(parents=True)
    Path("calls/order.toml").write_text("[caller]\nsteps = []", "utf-8")
    Path("calls/old/late.toml").write_text(text, "utf-8")
    passed: list[Path] = []

    if meant:
        with pytest.raises(ConfigurationError, match=r"calls/old/late\.toml:1: "):
            script.load_all(["calls"], passed.append)
    else:
        script.load_all(["calls"], passed.append)

    assert passed == ([] if meant else [Path("calls/old/late.toml")])


@pytest.mark.parametrize("name", [".", "closing-hours", "calls/closing-hours"])
def test_a_script_that_is_not_there_is_called_by_the_name_that_was_given(name: str) -> None:
    said = rf"^(no script )?{re.escape(name)}(;| is a folder)"
    with pytest.raises(ConfigurationError, match=said):
        script.load(name)


def test_a_script_that_is_none_lists_those_there_are() -> None:
    ran = run("call", "closing-hours")

    assert ran.status == 2
    assert "opening-hours" in ran.complaint


@pytest.mark.skipif(not espeak.installed(), reason="espeak-ng is not installed")
def test_a_stored_line_that_is_misspelt_is_hinted_at_and_no_mistake() -> None:
    Path("one.toml").write_text(
        "telephony = ['twilio']\n[caller]\nsteps = [{ say = 'sunday-too' }]\n", "utf-8"
    )

    for command in ("simulate", "call"):
        # It is for nobody: so that nobody need listen to it.
        first, second = run(command, "one.toml", "--telephony", "audiocodes").err.splitlines()
        assert first.startswith("opusbridge: one.toml:3: caller.steps[0].say: sunday-too is no")
        assert first.endswith("did you mean sundays-too?")
        assert "--telephony" in second


def test_a_tools_name_that_is_misspelt_is_hinted_at_and_no_mistake() -> None:
    Path("one.toml").write_text(
        "telephony = ['twilio']\n[caller]\nsteps = []\n[[model.replies]]\ntool = 'hang_upp'\n",
        "utf-8",
    )

    # It is for nobody: so that nobody need listen to it.
    hint, _ = run("simulate", "one.toml", "--telephony", "audiocodes").err.splitlines()

    assert hint == (
        "opusbridge: one.toml:5: model.replies[0].tool: the agent has no tool hang_upp; "
        "did you mean hang_up?"
    )


def test_a_script_with_mistakes_is_refused_in_one_line_that_names_them_all() -> None:
    steps = "steps = [{ whistle = true }, { wait = -1 }]"
    Path("odd.toml").write_text(f"[caller]\n{steps}\n[expect]\nending = 'boredom'\n", "utf-8")

    ran = run("call", "odd.toml")

    assert ran.status == 2
    assert all(f"caller.steps[{n}]" in ran.complaint for n in (0, 1))
    assert "expect.ending" in ran.complaint


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        (["--url", "http://127.0.0.1:1"], "--url"),
        (["--url", "ws://127.0.0.1:1", "--out", "calls"], "--out"),
        (["--junit", "nowhere/results.xml"], "--junit"),
        (["opening-hours", "--out", "calls"], "same folder"),
    ],
)
def test_options_that_cannot_work_are_refused_before_anybody_calls(
    arguments: list[str], named: str
) -> None:
    ran = run("call", "opening-hours", *arguments)

    assert (ran.status, ran.out) == (2, "")
    assert named in ran.complaint


@pytest.mark.parametrize("command", [["demo"], ["call", "opening-hours"]])
def test_a_place_that_takes_no_files_is_refused(command: list[str]) -> None:
    Path("full").write_text("a file, not a folder", "utf-8")

    ran = run(*command, "--telephony", "twilio", "--out", "full")

    assert ran.status == 2
    assert "full" in ran.complaint


def test_a_command_does_not_wait_for_what_other_commands_need(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    asked: list[str] = []

    def only(name: str) -> object:
        asked.append(name)
        return import_module(name)

    monkeypatch.setattr("opusbridge.cli.main.import_module", only)

    app(["serve", "--port", "1"])

    assert asked == ["opusbridge.cli.serve"]

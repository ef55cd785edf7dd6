"""``opusbridge simulate``: scripts and random calls in virtual time."""

from pathlib import Path
from xml.etree import ElementTree

import pytest

from opusbridge.cli.scripts import check
from opusbridge.cli.simulate import SHOWN
from opusbridge.receptionist import RECEPTIONIST
from opusbridge.sim import script
from opusbridge.sim.guarantees import GUARANTEES
from tests.cli.running import run

SHORT = """
[caller]
steps = [{ wait_for_agent = true }, { hang_up = true }]

[[model.replies]]
voice = "i-am-here"

[expect]
ending = "caller-hung-up"
"""


@pytest.mark.slow
def test_scripts_are_judged_and_a_failure_points_at_its_line() -> None:
    Path("good.toml").write_text(SHORT + 'heard = ["I am here"]\n', "utf-8")
    Path("bad.toml").write_text(SHORT + 'heard = [\n"I am here",\n"or there"]\n', "utf-8")

    good = run("simulate", "good.toml")
    bad = run("simulate", "bad.toml", "--telephony", "twilio", "--junit", "results.xml")

    assert (good.status, good.err, good.out.count("as expected")) == (0, "", 2)
    assert bad.status == 1
    assert "bad.toml:12: never heard: or there (at " in bad.out
    suite = ElementTree.parse("results.xml").getroot()
    assert (suite.get("name"), suite.get("failures")) == ("opusbridge simulate", "1")
    assert "agent: " in (suite.findtext("testcase/system-out") or "")


STRANGE = """
telephony = ["twilio"]

[caller]
steps = [{ wait_for_agent = true }, { hang_up = true }]

[[model.replies]]
tool = "find_slot"

[[model.replies]]
voice = "i-am-here"
"""


@pytest.mark.slow
def test_a_script_for_another_agents_tools_is_told_who_answered() -> None:
    expect = "[expect]\ntools = [{ name = 'find_slot' }]\n"
    Path("slot.toml").write_text(STRANGE + expect, "utf-8")
    Path("agent.toml").write_text("name = 'x'\ninstructions = 'y'\n", "utf-8")
    Path("any.toml").write_text(STRANGE, "utf-8")

    nobodys = run("simulate", "slot.toml")
    another = run("simulate", "slot.toml", "--agent", "agent.toml")
    content = run("simulate", "any.toml")

    told = "the built-in receptionist answered, who has no such tools: --agent names another"
    assert (nobodys.status, nobodys.out.splitlines()[-1]) == (1, told)
    assert (another.status, content.status) == (1, 0)
    assert told not in another.out + content.out


@pytest.mark.slow
def test_random_calls_are_judged_by_promises_each_by_its_name() -> None:
    ran = run("simulate", "--seeds", "2", "--seed-from", "4")

    assert (ran.status, ran.err) == (0, "")
    for guarantee in GUARANTEES:
        assert f"{guarantee.promise}" in ran.out
    assert ran.out.count("in all ") == len(GUARANTEES)


def test_a_promise_counts_the_calls_in_which_it_could_be_judged() -> None:
    Path("one.toml").write_text(SHORT, "utf-8")
    Path("other.toml").write_text(f"telephony = ['audiocodes']\n{SHORT}", "utf-8")
    Path("plain.toml").write_text(SHORT.partition("[expect]")[0], "utf-8")

    both = run("simulate", "one.toml", "--seeds", "1")
    one = run("simulate", "other.toml", "--seeds", "2")
    none = run("simulate", "plain.toml", "--seeds", "1")

    assert (both.status, one.status) == (0, 0)
    assert both.out.count("in all 2") == len(GUARANTEES) - 1
    assert "in all 1 judged of 2" in both.out  # of AudioCodes' there are no marks
    assert "judged in none of 2" in one.out
    told = "not judged: [expect] of the scripts; it is without --seeds and --chaos"
    assert both.out.count(told) == 1
    assert "[expect]" not in none.out


CONFIGURING = """
from opusbridge import Agent

def configure(call):
    raise LookupError("nobody is at home")

agent = Agent(name="a", instructions="b", greeting="Say hello.", configure=configure)
"""


def test_what_the_agents_own_code_does_wrong_is_told_beside_the_promises() -> None:
    Path("one.toml").write_text(SHORT, "utf-8")
    Path("agent.py").write_text(CONFIGURING, "utf-8")

    ran = run(
        *("simulate", "one.toml", "--agent", "agent.py"),
        *("--telephony", "twilio", "--seeds", "6"),
    )

    assert ran.status == 1
    assert ran.out.count(": configure failed") == SHOWN
    assert "seed 1: configure failed, and the agent answered as it is: LookupError" in ran.out
    assert "… and 1 more" in ran.out
    assert "no, in" not in ran.out


def test_a_simulated_call_is_none_of_the_settings_file_s_business() -> None:
    """Its settings are the defaults and the script's own."""
    Path(".env").write_text("OPUSBRIDGE_ADMIN_TOKEN secret\nOPUSBRIDGE_HOLD_AFTR=1\n", "utf-8")
    Path("one.toml").write_text(SHORT, "utf-8")

    ran = run("simulate", "one.toml", "--telephony", "twilio")

    assert (ran.status, ran.err) == (0, "")


def test_a_script_for_the_other_side_only_is_no_script_here() -> None:
    Path("one.toml").write_text("telephony = ['twilio']\n" + SHORT, "utf-8")

    ran = run("simulate", "one.toml", "--telephony", "audiocodes")

    assert ran.complaint == "opusbridge: --telephony: none of these scripts is for audiocodes"
    assert ran.status == 2


@pytest.mark.parametrize("asked", [("--seeds", "1"), ("--chaos",)])
@pytest.mark.parametrize("ignored", [("--telephony", "twilio"), ("--agent", "agent.toml")])
def test_random_calls_have_an_agent_and_a_telephony_of_their_own(
    asked: tuple[str, ...], ignored: tuple[str, ...]
) -> None:
    Path("agent.toml").write_text("name = 'x'\ninstructions = 'y'\n", "utf-8")

    ran = run("simulate", *asked, *ignored)

    assert ran.status == 2
    assert ran.complaint == (
        "opusbridge: --agent and --telephony: random calls have their own; name a script to play"
    )


def test_seeds_make_no_test_cases() -> None:
    ran = run("simulate", "--seeds", "1", "--junit", "results.xml")

    assert (ran.status, "--junit" in ran.complaint) == (2, True)


def test_what_a_script_may_not_set_is_named_with_its_line() -> None:
    for table, line in (("settings", "openai_api_key = 'x'"), ("agent", "tools = []")):
        Path("one.toml").write_text(f"[{table}]\n{line}\n{SHORT}", "utf-8")

        ran = run("simulate", "one.toml")

        assert ran.status == 2
        assert ran.complaint.startswith(f"opusbridge: one.toml:2: {table}.{line.split()[0]}: no ")


def test_a_setting_that_will_not_do_is_named_with_its_line() -> None:
    Path("one.toml").write_text(f"[settings]\nrecord = 1\nhold_after = -1\n{SHORT}", "utf-8")
    Path("two.toml").write_text(f"[settings]\nhold_after = -1\n{SHORT}", "utf-8")

    assert "one.toml:2: settings.record: no " in run("simulate", "one.toml").complaint
    assert "two.toml:2: settings.hold_after: OPUSBRIDGE_HOLD_AFTER" in (
        run("simulate", "two.toml").complaint
    )


def test_a_tool_that_nobody_has_is_named_with_its_line() -> None:
    Path("one.toml").write_text(f"{SHORT}\n[[tools]]\nname = 'look_up'\nseconds = 3\n", "utf-8")

    assert run("simulate", "one.toml").complaint == (
        "opusbridge: one.toml:11: tools[0]: the agent has no tool look_up: "
        "give it an output or an error"
    )


@pytest.mark.parametrize("command", ["simulate", "call"])
def test_an_expectation_that_would_always_hold_is_named_with_its_line(command: str) -> None:
    expect = "tools = [{ name = 'hang_upp', times = 0 }]\n"
    Path("one.toml").write_text(f"{SHORT}{expect}", "utf-8")
    ran = run(command, "one.toml")

    assert ran.status == 2
    assert "one.toml:10: expect.tools[0].name: nobody has a tool hang_upp" in ran.err
    assert "did you mean hang_up?" in ran.err


@pytest.mark.parametrize(
    ("mistake", "named"),
    [
        ("settings.hold_aftr = 3", "two.toml:1: settings.hold_aftr: no setting"),
        ("settings.hold_after = -1", "two.toml:1: settings.hold_after: OPUSBRIDGE_HOLD_AFTER"),
        (
            "settings.hold_after = 3\nsettings.responses_by = 'model'\n"
            "agent.farewell_interruptible = false",
            "two.toml:3: agent.farewell_interruptible: agent: farewell_interruptible: false",
        ),
        ("agent.tools = []", "two.toml:1: agent.tools: no key of an agent"),
        ("tools = [{ name = 'look_up' }]", "two.toml:1: tools[0]: the agent has no tool"),
        ("tools = [{ name = 'look_up', output = 1 }]", "two.toml:1: tools[0].name: the model's"),
    ],
)
@pytest.mark.parametrize("command", [["call"], ["simulate"], ["simulate", "--seeds", "2"]])
def test_a_mistake_of_the_last_script_is_told_before_the_first_call(
    command: list[str], mistake: str, named: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def too_early(*scripts: object, **more: object) -> None:
        raise AssertionError

    monkeypatch.setattr("opusbridge.cli.call.play", too_early)
    monkeypatch.setattr("opusbridge.testing.virtual.Staged", too_early)
    Path("one.toml").write_text(SHORT, "utf-8")
    Path("two.toml").write_text(f"{mistake}\n{SHORT}", "utf-8")

    ran = run(*command, "one.toml", "two.toml")

    assert (ran.status, named in ran.complaint) == (2, True)


def test_what_does_not_go_with_the_agent_is_named_with_its_line() -> None:
    Path("stern.toml").write_text(
        'name = "a"\ninstructions = "b"\nfarewell_interruptible = false\n', "utf-8"
    )
    Path("one.toml").write_text(f"[settings]\nresponses_by = 'model'\n{SHORT}", "utf-8")

    assert run("simulate", "one.toml", "--agent", "stern.toml").complaint.startswith(
        "opusbridge: one.toml:2: settings.responses_by: agent: farewell_interruptible: false"
    )


@pytest.mark.parametrize(
    ("agent", "table", "place"),
    [
        ("turn_detection = 'none'\nbarge_in = 'confirmed'", "", ""),
        ("turn_detection = 'none'\nbarge_in = 'confirmed'", "settings.hold_after = 3", ""),
        ("barge_in = 'confirmed'", "agent.turn_detection = 'none'", "agent.turn_detection"),
        ("turn_detection = 'none'", "settings.barge_in = 'confirmed'", "settings.barge_in"),
    ],
)
def test_of_an_agent_s_own_mistake_no_line_of_the_script_is_named(
    agent: str, table: str, place: str
) -> None:
    Path("odd.toml").write_text(f'name = "a"\ninstructions = "b"\n{agent}\n', "utf-8")
    Path("one.toml").write_text(f"{table}\n{SHORT}", "utf-8")

    ran = run("simulate", "one.toml", "--agent", "odd.toml")

    named = f"one.toml:1: {place}: " if place else ""
    assert ran.complaint.startswith(f"opusbridge: {named}OPUSBRIDGE_BARGE_IN: confirmed needs turn")


def test_the_scripts_that_come_along_are_for_an_agent_whose_goodbye_is_heard_out() -> None:
    stern = RECEPTIONIST.model_copy(update={"farewell_interruptible": False})

    check(script.load_all(script.shipped()), stern)

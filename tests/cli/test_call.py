"""``opusbridge call``: scripts played in real time, and what is said about how they went."""

import asyncio
import json
from pathlib import Path
from xml.etree import ElementTree

import pytest
from websockets.asyncio.client import connect

from opusbridge import Agent, tool
from opusbridge.bridge.hooks import ON_END_SECONDS
from opusbridge.cli import calling
from opusbridge.config import Settings
from opusbridge.privacy import Private
from opusbridge.sim import script
from opusbridge.sim.sockets import CallRefused
from opusbridge.tools.outcome import CallOutcome
from tests.cli.running import run

pytestmark = pytest.mark.usefixtures("short_pauses")

KEY = {"Authorization": "Bearer any"}

SHORT = """
[caller]
steps = [{ wait_for_agent = true }, { hang_up = true }]

[[model.replies]]
voice = "i-am-here"

[expect]
ending = "caller-hung-up"
"""
GOOD = SHORT + 'heard = ["I am here"]\n'
IMPOSSIBLE = SHORT + 'heard = ["I am the walrus"]\nmin_turns = 7\n'


@pytest.mark.slow
def test_a_script_that_holds_on_both_sides_is_well() -> None:
    Path("good.toml").write_text(GOOD, "utf-8")

    ran = run("call", "good.toml", "--out", "calls")

    assert (ran.status, ran.err) == (0, "")
    assert ran.out.count("as expected") == 2
    assert "to be looked at: calls/good/twilio/timeline.html" in ran.out
    for side in ("twilio", "audiocodes"):
        folder = Path("calls/good") / side
        assert sorted(file.name for file in folder.iterdir()) == sorted(calling.KEPT)
        assert {file.stat().st_mode & 0o777 for file in folder.iterdir()} == {0o600}
        assert json.loads((folder / "call.json").read_text())["telephony"] == side


async def busy(outcome: CallOutcome) -> None:
    await asyncio.sleep(8.0)


@pytest.mark.slow
def test_an_agent_that_is_not_done_with_the_call_in_time_is_told(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    assert calling.AFTERWARDS_SECONDS > ON_END_SECONDS, "which the agent may take"
    monkeypatch.setattr(calling, "AFTERWARDS_SECONDS", 0.5)
    agent = Agent(name="desk", instructions="Be kind.", greeting="Hello.", on_end=busy)

    good = script.parse(GOOD, "good")
    played = asyncio.run(calling.play(good, "twilio", tmp_path, lambda *_: None, agent))

    assert played.problems == ["the bridge was not done with the call within 0.5 s"]


@tool(timeout_seconds=0.1)
async def look_up() -> None:
    """Never ends."""
    await asyncio.sleep(60.0)


@tool
async def broken() -> None:
    """Never works."""
    raise RuntimeError("no")


FAILING = """
[caller]
steps = [{ wait_for_agent = true }, { hang_up = true }]

[[model.replies]]
tools = [{ name = "look_up" }, { name = "broken" }]

[[model.replies]]
voice = "i-am-here"

[[tools]]
name = "look_up"
seconds = 0.05

[expect]
transcript = [%s]
"""
MEANT = '{ text = "look_up", status = "failed" }, { text = "broken", status = "failed" }'


@pytest.mark.slow
@pytest.mark.parametrize("by", ["itself", "configure"])
@pytest.mark.parametrize("meant", [True, False])
def test_a_tool_that_fails_as_nobody_meant_it_to_is_told_of_sockets_too(
    meant: bool, by: str, tmp_path: Path
) -> None:
    agent = own = Agent(name="a", instructions="b", greeting="c", tools=[look_up, broken])
    if by == "configure":
        agent = Agent(name="d", instructions="e", greeting="f", configure=lambda call: own)
    one = script.parse(FAILING % (MEANT if meant else ""), "failing")

    played = asyncio.run(calling.play(one, "twilio", tmp_path, lambda *_: None, agent))

    told = [problem.partition(" (")[0] for problem in sorted(played.problems)]
    assert told == ([] if meant else [
        "the tool broken raised RuntimeError: no",
        "the tool look_up took longer than its 0.1 s",
    ])  # fmt: skip
    assert played.result.ok is meant


@pytest.mark.slow
def test_an_expectation_that_fails_is_told_and_counted() -> None:
    Path("good.toml").write_text(GOOD, "utf-8")
    Path("bad.toml").write_text(IMPOSSIBLE, "utf-8")

    ran = run("call", "good.toml", "bad.toml", "--telephony", "twilio", "--junit", "results.xml")

    assert ran.status == 1
    assert "bad.toml:10: never heard: I am the walrus" in ran.out
    suite = ElementTree.parse("results.xml").getroot()
    assert (suite.tag, suite.get("tests"), suite.get("failures")) == ("testsuite", "2", "1")
    good, bad = suite.findall("testcase")
    assert (good.get("name"), good.get("classname")) == ("good", "twilio")
    assert good.find("failure") is None
    failure = bad.find("failure")
    assert failure is not None
    assert (failure.get("message") or "").startswith(
        "bad.toml:10: never heard: I am the walrus (at "
    )
    assert "bad.toml:11: 0 turns, at least 7 expected" in (failure.text or "")
    assert float(bad.get("time") or 0) > 1
    assert {key for case in (good, bad) for key in case.attrib} == {"name", "classname", "time"}


HUNG_UP_ON = """
[caller]
steps = [{ wait_for_agent = true }, { say = "opening-hours" }, { hang_up = true }]

[[model.replies]]
voice = "i-am-here"
tool = "hang_up"
arguments = { reason = "I have had enough" }
"""


@pytest.mark.slow
def test_a_call_that_ends_before_all_was_played_has_failed() -> None:
    Path("abrupt.toml").write_text(HUNG_UP_ON, "utf-8")

    ran = run("call", "abrupt.toml", "--telephony", "twilio")

    assert ran.status == 1
    assert "the call ended before the caller had done all in the script, at step 1 of 3" in ran.out


REFUSED = """
transfer_outcome = "no-answer"
telephony = ["twilio"]

[agent]
destinations = { billing = "+15550100300" }

[caller]
steps = [{ wait_for_agent = true }, { wait = 3.5 }, { hang_up = true }]

[[model.replies]]
voice = "putting-through"
tool = "transfer_call"
arguments = { destination = "billing", reason = "a bill" }

[[model.replies]]
voice = "i-am-here"

[expect]
heard = ["I will put you through", "I am here"]
transfer = "+15550100300"
ending = "caller-hung-up"
"""


@pytest.mark.slow
def test_a_caller_whom_nobody_took_is_given_back_by_twilio() -> None:
    Path("refused.toml").write_text(REFUSED, "utf-8")

    ran = run("call", "refused.toml", "--out", "calls")

    assert (ran.status, ran.err) == (0, ""), ran.out
    replayed = run("replay", "calls/refused/twilio/flight.jsonl")
    assert replayed.status == 0, replayed.out


@pytest.mark.slow
def test_what_an_earlier_call_left_does_not_pass_for_this_one(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async def refuse(*_: object, **__: object) -> None:
        raise CallRefused(503)

    Path("good.toml").write_text(GOOD, "utf-8")
    call = ("call", "good.toml", "--telephony", "audiocodes", "--out", "calls")
    assert run(*call).status == 0
    folder = Path("calls/good/audiocodes")
    (folder / "notes.txt").write_text("the user's own", "utf-8")
    monkeypatch.setattr(calling, "dial", refuse)

    ran = run(*call)

    assert ran.status == 1
    assert "call.json was not written" in ran.out
    assert [file.name for file in folder.iterdir()] == ["notes.txt"]


@pytest.mark.slow
async def test_a_bridge_elsewhere_is_called_with_the_secrets_of_the_settings(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "good.toml").write_text(GOOD, "utf-8")
    monkeypatch.setenv("OPUSBRIDGE_TWILIO_AUTH_TOKEN", "of-twilio")
    monkeypatch.setenv("OPUSBRIDGE_AUDIOCODES_TOKEN", "of-audiocodes")
    monkeypatch.setenv("OPUSBRIDGE_TWILIO_ACCOUNT_SID", "ACofours")
    monkeypatch.setenv("OPUSBRIDGE_PUBLIC_URL", "https://voice.example.com")

    async with calling.own_model(script.load("good.toml")) as model:
        settings = Settings.load(realtime_url=model.url, openai_api_key=Private("any"))
        async with calling.own_bridge(settings, tmp_path / "files", _nobody) as url:
            ran = await asyncio.to_thread(run, "call", "good.toml", "--url", url)
            strict = await asyncio.to_thread(
                run, "call", "good.toml", "--url", url, "--strict", "--telephony", "twilio"
            )
            monkeypatch.setenv("OPUSBRIDGE_TWILIO_AUTH_TOKEN", "wrong")
            monkeypatch.setenv("OPUSBRIDGE_AUDIOCODES_TOKEN", "wrong")
            refused = await asyncio.to_thread(run, "call", "good.toml", "--url", url)

    assert (ran.status, ran.out.count("as expected")) == (0, 2), ran
    assert ran.out.count("  not checked: heard (the caller cannot know") == 2
    assert ran.out.count("opusbridge model --script") == 1
    assert (strict.status, strict.out.count("good.toml:10: not checked: heard[0]")) == (1, 1)
    assert refused.status == 1
    assert "401" in refused.out
    assert "403" in refused.out
    assert "opusbridge model" not in refused.out


FAULTY = """
[model]
knobs = { drop-at = 60 }
faults = [{ response = 1, kind = "failed" }, { response = 2, kind = "drop" }]
"""


async def test_what_befell_one_session_of_a_call_does_not_befall_the_next() -> None:
    async with calling.own_model(script.parse(SHORT + FAULTY, "faulty")) as model:
        for _ in range(2):
            url = f"{model.url}?model=gpt-realtime"
            async with connect(url, additional_headers=KEY) as socket:
                await socket.send('{"type": "response.create"}')
                while '"response.created"' not in str(await socket.recv()):
                    pass

    first, second = model.finished
    assert (first.knobs.drop_at, set(first.knobs.faults)) == (60, {1, 2})
    assert (second.knobs.drop_at, set(second.knobs.faults)) == (None, {1})


TALKATIVE = """
[caller]
steps = [{ wait_for_agent = true }, { say = "opening-hours" }, { wait_for_agent = true }]
"""


@pytest.mark.slow
async def test_a_stored_apology_is_no_conversation(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "talkative.toml").write_text(TALKATIVE, "utf-8")
    monkeypatch.setenv("OPUSBRIDGE_AUDIOCODES_TOKEN", "of-audiocodes")
    settings = Settings.load(
        realtime_url="ws://127.0.0.1:1", openai_api_key=Private("any"), resume_grace=0.0
    )

    async with calling.own_bridge(settings, tmp_path / "files", _nobody) as url:
        call = ("call", "talkative.toml", "--telephony", "audiocodes", "--url", url)
        ran = await asyncio.to_thread(run, *call)

    assert ran.status == 1
    assert "before the caller had done all in the script, at step 1 of 3" in ran.out
    assert "never heard" not in ran.out


def test_a_real_model_is_not_asked_without_its_key() -> None:
    Path("good.toml").write_text(GOOD, "utf-8")

    ran = run("call", "good.toml", "--real-model")

    assert (ran.status, ran.complaint) == (
        2,
        "opusbridge: --real-model: OPENAI_API_KEY is not set",
    )


@pytest.mark.slow
async def test_with_a_key_the_model_of_the_settings_is_asked(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    own = SHORT.replace('voice = "i-am-here"', 'text = "Not from this script."')
    (tmp_path / "own.toml").write_text(own + 'heard = ["I am here"]\n', "utf-8")
    monkeypatch.setenv("OPENAI_API_KEY", "any")

    async with calling.own_model(script.parse(GOOD, "elsewhere")) as model:
        monkeypatch.setenv("OPUSBRIDGE_REALTIME_URL", model.url)
        ran = await asyncio.to_thread(
            run, "call", "own.toml", "--real-model", "--telephony", "audiocodes"
        )

    assert (ran.status, ran.err) == (0, "")
    assert "  not played: model\n" in ran.out


def test_a_real_model_may_have_tools_of_any_name(monkeypatch: pytest.MonkeyPatch) -> None:
    expect = "tools = [{ name = 'hang_upp', times = 0 }]\n"
    Path("one.toml").write_text(GOOD + expect, "utf-8")
    monkeypatch.setenv("OPENAI_API_KEY", "a-key")
    played: list[str] = []

    async def play(one: script.CallScript, side: str, *more: object) -> calling.Played:
        played.append(side)
        return calling.Played(side, one, Path("none"))

    monkeypatch.setattr("opusbridge.cli.call.play", play)
    run("call", "one.toml", "--real-model")

    assert played == ["twilio", "audiocodes"]


@pytest.mark.parametrize("places", [("calls", "calls/old"), ("../up", ".")])
def test_scripts_of_one_name_have_folders_of_their_own(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, places: tuple[str, str]
) -> None:
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    for place in places:
        Path(place).mkdir(parents=True, exist_ok=True)
        Path(place, "order.v2.toml").write_text(GOOD, "utf-8")
    played: list[Path] = []

    async def play(
        one: script.CallScript, side: str, folder: Path, *more: object
    ) -> calling.Played:
        played.append(folder)
        return calling.Played(side, one, folder)

    own = [Path("o", place.removeprefix("../"), "order.v2", "twilio") for place in places]
    for folder in own:
        folder.mkdir(parents=True)
        (folder / "timeline.html").touch()
    monkeypatch.setattr("opusbridge.cli.call.play", play)
    files = [str(Path(place, "order.v2.toml")) for place in places]
    ran = run("call", *files, "--out", "o", "--telephony", "twilio")

    assert played == own
    assert all(f"to be looked at: {folder}/timeline.html" in ran.out for folder in own)


def test_two_scripts_that_would_share_a_folder_are_named(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    for place in ("calls", "../calls"):
        Path(place).mkdir()
        Path(place, "order.toml").write_text(GOOD, "utf-8")

    assert run("call", "calls/order.toml", "../calls/order.toml", "--out", "o").complaint == (
        "opusbridge: --out: calls/order.toml and ../calls/order.toml "
        "have the same folder, calls/order"
    )


def test_what_a_bridge_elsewhere_is_set_to_is_its_own() -> None:
    Path("one.toml").write_text("settings.hold_aftr = 3\n" + GOOD, "utf-8")

    assert run("call", "one.toml", "--url", "ws://127.0.0.1:1").status == 1


def test_a_script_that_is_none_is_told_by_file_line_and_what_was_expected() -> None:
    Path("bad.toml").write_text("[caller]\nsteps = [\n  { wait = 0 },\n]\n", "utf-8")

    for command in ("call", "simulate"):
        assert run(command, "bad.toml").complaint == (
            "opusbridge: bad.toml:3: caller.steps[0].wait: Input should be greater than 0"
        )


def test_a_bridge_that_is_not_there_is_a_failed_call() -> None:
    Path("good.toml").write_text(GOOD, "utf-8")

    ran = run("call", "good.toml", "--url", "ws://127.0.0.1:1")

    assert ran.status == 1
    assert ran.out.count("nobody listens there; is opusbridge serve running there?") == 2


def _nobody(side: str, who: str, what: str) -> None:
    pass

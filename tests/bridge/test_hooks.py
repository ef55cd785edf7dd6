"""The agent's own functions at both ends of a call, on both bridges."""

import asyncio
import sys
import threading
from pathlib import Path
from random import Random
from typing import Any

import pytest
import structlog
from structlog.testing import capture_logs

from opusbridge import effects, events
from opusbridge.agent import Agent
from opusbridge.audio.wav import wav_bytes
from opusbridge.bridge.conduct import CONFIGURE_SECONDS, call_policy
from opusbridge.bridge.hooks import ON_END_SECONDS, configured, tell_of_end
from opusbridge.call.policy import AUDIOCODES, TWILIO
from opusbridge.call.voice import FILLER
from opusbridge.config import Settings
from opusbridge.effects import Effect
from opusbridge.errors import ending
from opusbridge.events import Event
from opusbridge.privacy import Private
from opusbridge.sim.callers import (
    Caller,
    HangUp,
    Person,
    Say,
    SimulatedAudioCodes,
    SimulatedTwilio,
    Step,
    Wait,
    WaitForAgent,
)
from opusbridge.sim.tones import voice
from opusbridge.speech import read_clip
from opusbridge.tools import CallContext, CallOutcome, Tool, tool
from opusbridge.tools.contained import CLEANUP_SECONDS
from opusbridge.tools.workers import Workers
from tests.bridge import virtual
from tests.bridge.virtual import BRIDGES, AnyBridge, Stage, in_virtual_time, play

pytestmark = pytest.mark.usefixtures("quiet")

both_bridges = pytest.mark.parametrize("bridge", BRIDGES, ids=["audiocodes", "twilio"])

SETTINGS = Settings(openai_api_key=Private("sk-test"))
CALL = CallContext("call-1", caller="+15550100001")


def an_agent(**keys: Any) -> Agent:
    return Agent(**{"name": "front-desk", "instructions": "Be kind.", **keys})


def told(stage: Stage) -> list[str]:
    """The instructions of each session; to be asked for its pulse changes nothing."""
    sessions = [text["session"] for _, text in stage.to_model("session.update")]
    return [session["instructions"] for session in sessions if "instructions" in session]


# --- configure --------------------------------------------------------------------------


@both_bridges
def test_the_session_is_what_configure_made_of_it(bridge: type[AnyBridge]) -> None:
    asked: list[CallContext] = []

    async def configure(call: CallContext) -> dict[str, Any]:
        asked.append(call)
        await asyncio.sleep(1.0)
        return {"instructions": "Speak Danish.", "greeting": "Say hello."}

    agent = an_agent(configure=configure)
    stage, _ = in_virtual_time(play(bridge, [WaitForAgent(), HangUp()], agent=agent))

    (call,) = asked
    assert call.call_id == stage.bridge.call_id
    assert (call.caller is None) == (bridge is BRIDGES[1])  # its TwiML has no parameters here
    assert told(stage) == ["Speak Danish."]
    assert len(stage.requests()) == 1
    assert stage.bridge.agent.greeting == "Say hello."
    assert stage.to_model("session.update")[0][0] - stage.at(effects.ConfigureCall)[0] == 1.0
    assert stage.verdict() == []


@both_bridges
def test_configure_knows_who_calls_whom_and_what_the_telephony_side_was_told(
    bridge: type[AnyBridge], monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[CallContext] = []

    async def configure(call: CallContext) -> None:
        asked.append(call)

    def caller(*_: object) -> Caller:
        person = Person([Wait(2.0), HangUp()])
        if bridge is BRIDGES[0]:
            return SimulatedAudioCodes(person, "call-1", Random(1))
        parties = {"from": "+15550104477", "to": "+15550100200", "tenant": "north"}
        return SimulatedTwilio(person, "CA" + "1" * 32, "MZ1", parties, Random(1))

    monkeypatch.setattr(virtual, "caller_for", caller)
    in_virtual_time(play(bridge, [], agent=an_agent(configure=configure)))

    (call,) = asked
    assert (call.caller, call.callee) == ("+15550104477", "+15550100200")
    own = ("callerHost", "sip.carrier.example"), ("tenant", "north")
    name, value = own[BRIDGES.index(bridge)]
    assert call.parameters[name] == value
    assert "token" not in call.parameters


@both_bridges
def test_what_the_caller_says_meanwhile_is_heard(bridge: type[AnyBridge]) -> None:
    async def configure(call: CallContext) -> None:
        await asyncio.sleep(2.0)

    steps: list[Step] = [
        Wait(0.5),
        Say(voice(800, 8_000), 8_000, "hello"),
        WaitForAgent(),
        HangUp(),
    ]
    stage, _ = in_virtual_time(play(bridge, steps, agent=an_agent(configure=configure)))

    assert len(stage.commits()) == 1
    assert stage.verdict() == []


@both_bridges
def test_a_configure_that_never_answers_costs_its_time_and_nothing_else(
    bridge: type[AnyBridge],
) -> None:
    async def configure(call: CallContext) -> dict[str, Any]:
        while True:
            try:
                await asyncio.Event().wait()
            except asyncio.CancelledError:
                return {"instructions": "Too late."}

    agent = an_agent(configure=configure, greeting="Say hello.")
    stage, _ = in_virtual_time(play(bridge, [WaitForAgent(), HangUp()], agent=agent))

    waited = stage.to_model("session.update")[0][0] - stage.at(effects.ConfigureCall)[0]
    assert told(stage) == ["Be kind."]
    assert waited == pytest.approx(CONFIGURE_SECONDS, abs=0.05)
    assert stage.bridge.agent is agent
    assert stage.verdict() == []


@both_bridges
def test_a_caller_who_hangs_up_while_configure_is_asked_ends_the_call(
    bridge: type[AnyBridge], tmp_path: Path
) -> None:
    async def configure(call: CallContext) -> None:
        await asyncio.Event().wait()

    (tmp_path / "hello.wav").write_bytes(wav_bytes(voice(800, 8_000), 8_000, 1))
    agent = an_agent(
        configure=configure,
        greeting=None,
        greeting_audio=tmp_path / "hello.wav",
        greeting_words="Hello.",
    )
    stage, how = in_virtual_time(play(bridge, [Wait(0.5), HangUp()], agent=agent))

    assert how == ending("caller-hung-up")
    assert stage.at(events.Broke) == []


@both_bridges
def test_a_configure_that_does_not_stop_does_not_keep_a_call_that_has_ended(
    bridge: type[AnyBridge],
) -> None:
    told_to_stop: list[float] = []
    ended: list[CallOutcome] = []

    async def configure(call: CallContext) -> None:
        while len(told_to_stop) < 2:  # the second time the test itself ends
            try:
                await asyncio.sleep(60.0)
            except asyncio.CancelledError:
                told_to_stop.append(asyncio.get_running_loop().time())

    async def on_end(outcome: CallOutcome) -> None:
        ended.append(outcome)

    async def story() -> tuple[float, float]:
        agent = an_agent(configure=configure, on_end=on_end)
        stage, _ = await play(bridge, [Wait(0.5), HangUp()], agent=agent)
        return stage.at(effects.EndCall)[0], asyncio.get_running_loop().time()

    ended_at, returned_at = in_virtual_time(story())

    assert returned_at - ended_at < CLEANUP_SECONDS + 0.1
    assert len(ended) == 1


@both_bridges
def test_a_call_that_breaks_as_it_ends_has_ended_all_the_same(bridge: type[AnyBridge]) -> None:
    async def spoil(stage: Stage) -> None:
        def breaks(what: Event | Effect, now: float) -> None:
            if isinstance(what, effects.EndCall):
                raise ZeroDivisionError

        await asyncio.sleep(0.1)
        assert stage.bridge._engine is not None
        stage.bridge._engine._observers += (breaks,)

    _, how = in_virtual_time(play(bridge, [Wait(0.5), HangUp()], agent=an_agent(), during=spoil))

    assert how == ending("caller-hung-up")


def test_audiocodes_is_answered_in_time_whatever_configure_does() -> None:
    async def configure(call: CallContext) -> None:
        await asyncio.Event().wait()

    agent = an_agent(configure=configure)
    stage, _ = in_virtual_time(play(BRIDGES[0], [Wait(5.0), HangUp()], agent=agent))

    (answered,) = stage.at(effects.AnswerCall)
    assert answered - stage.at(events.CallStarted)[0] <= 0.3


def test_the_model_is_dialled_while_audiocodes_still_rings() -> None:
    async def configure(call: CallContext) -> None:
        await asyncio.sleep(2.0)

    agent = an_agent(configure=configure)
    stage, _ = in_virtual_time(play(BRIDGES[0], [Wait(4.0), HangUp()], agent=agent))

    assert stage.at(events.SessionCreated)[0] < stage.at(events.CallConfigured)[0]


async def raises(call: CallContext) -> None:
    raise LookupError(f"nothing known of {call.caller}")


async def nonsense(call: CallContext) -> Any:
    return ["instructions"]


async def misspelt(call: CallContext) -> Any:
    return {"instructoins": call.caller}


async def nobody_finds_the_end(call: CallContext) -> Any:
    return {"turn_detection": "none"}


async def cannot_be_confirmed(call: CallContext) -> Any:
    return {"turn_detection": "none", "barge_in": "confirmed"}


async def wrong_inside(call: CallContext) -> Any:
    return {"no_input": {"nudges": [call.caller, 7]}}


async def another_agent(call: CallContext) -> Any:
    return an_agent(destinations={"billing": f"call {call.caller}"})


async def a_key_of_the_callers(call: CallContext) -> Any:
    return {f"a word of {call.caller}": True}


def a_name_of_somebodys(call: CallContext) -> Any:
    return {"destinations": {"Jane-Doe": "nowhere"}}


def a_pin(call: CallContext) -> Any:
    return {"451234": True}


def leaves(call: CallContext) -> Any:
    sys.exit(f"bad config for {call.caller}")


async def leaves_the_loop(call: CallContext) -> Any:
    leaves(call)


async def gives_up(call: CallContext) -> Any:
    raise asyncio.CancelledError(call.caller)


@pytest.mark.parametrize(
    ("hook", "about"),
    [
        (raises, None),
        (nonsense, None),
        (misspelt, "instructoins"),
        (nobody_finds_the_end, "turn_detection"),
        (cannot_be_confirmed, "barge_in"),
        (wrong_inside, "no_input.nudges.1"),
        (another_agent, "destinations.billing"),
        (a_key_of_the_callers, "?"),
        (a_name_of_somebodys, "destinations.?"),
        (a_pin, "?"),
        (leaves, None),
        (leaves_the_loop, None),
        (gives_up, None),
    ],
)
async def test_a_configure_that_fails_is_told_once_and_tells_nothing_private(
    hook: Any, about: str | None
) -> None:
    structlog.reset_defaults()
    agent = an_agent(configure=hook, destinations={"billing": "+15550100300"})
    with capture_logs() as lines:
        found = await configured(agent, SETTINGS, TWILIO, CALL)

    assert found is None
    (line,) = lines
    assert line["log_level"] == "error"
    assert line.get("about") == about
    assert "15550100001" not in str(line)


async def test_configure_may_be_an_ordinary_function_and_give_another_agent(
    tmp_path: Path,
) -> None:
    (tmp_path / "hello.wav").write_bytes(wav_bytes(voice(500, 8_000), 8_000, 1))
    night = an_agent(
        name="night", greeting_audio=tmp_path / "hello.wav", greeting_words="Good evening."
    )

    found = await configured(an_agent(configure=lambda call: night), SETTINGS, AUDIOCODES, CALL)

    assert found is night


CLINIC = """
from opusbridge import Agent

KEYS = {"greeting_audio": "hello.wav", "greeting_words": "Hello."}

def changes(call):
    return KEYS

def gives_another(call):
    return Agent(name="night", instructions="Be brief.", **KEYS)

async def gives_another_in_the_loop(call):
    return gives_another(call)

agent = Agent(name="clinic", instructions="Be kind.", configure=HOOK)
"""


@pytest.mark.parametrize("hook", ["changes", "gives_another", "gives_another_in_the_loop"])
async def test_a_greeting_that_configure_names_is_looked_for_beside_the_agents_file(
    tmp_path: Path, hook: str
) -> None:
    (tmp_path / "hello.wav").write_bytes(wav_bytes(voice(500, 8_000), 8_000, 1))
    (tmp_path / "clinic.py").write_text(CLINIC.replace("HOOK", hook))

    agent = Agent.load(str(tmp_path / "clinic.py"))
    found = await configured(agent, SETTINGS, TWILIO, CALL)

    assert found is not None
    assert found.greeting_audio == tmp_path / "hello.wav"


@pytest.mark.parametrize(
    ("told", "sounds"),
    [
        ({"voice": "cedar"}, []),
        ({"tools": "one more"}, ["other.wav"]),
        ({"greeting": None}, ["other.wav"]),
    ],
)
async def test_no_sound_is_read_in_the_event_loop_before_a_call(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, told: dict[str, Any], sounds: list[str]
) -> None:
    for name in ("hello", "moment", "other"):
        (tmp_path / f"{name}.wav").write_bytes(wav_bytes(voice(500, 8_000), 8_000, 1))

    def slow(filler: str) -> Tool:
        @tool(filler_after=1.0, filler=tmp_path / filler)
        async def look_up() -> None: ...

        return look_up

    greets = {"greeting_audio": tmp_path / "hello.wav", "greeting_words": "Hello."}
    if told == {"greeting": None}:
        told = {**told, "greeting_audio": tmp_path / "other.wav", "greeting_words": "Good day."}
    elif "tools" in told:
        told = {"tools": [slow("other.wav")]}
    agent = an_agent(tools=[slow("moment.wav")], configure=lambda call: told, **greets)
    call_policy(TWILIO, SETTINGS, agent)  # every call begins with it
    read: list[tuple[str, bool]] = []
    taken: list[tuple[str, bool]] = []

    def listen(path: Path) -> tuple[int, bytes]:
        read.append((path.name, threading.current_thread() is threading.main_thread()))
        return read_clip(path)

    def take(path: Path) -> tuple[int, bytes]:
        taken.append((path.name, threading.current_thread() is threading.main_thread()))
        return read_clip(path)

    monkeypatch.setattr("opusbridge.agent.read_clip", listen)
    monkeypatch.setattr("opusbridge.bridge.speech.read_clip", take)
    found = await configured(agent, SETTINGS, TWILIO, CALL)
    assert found is not None
    policy = call_policy(TWILIO, found.applied_to(SETTINGS), found)

    assert read == ([] if "voice" in told else [("other.wav", False)])
    assert sorted(taken) == sorted((name, False) for name in sounds)
    assert {"greeting", f"{FILLER}look_up"} <= policy.clips.keys()


async def test_an_agent_whose_sounds_are_known_waits_for_no_thread(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("opusbridge.bridge.hooks.LEFT_BEHIND_SECONDS", 0.05)
    monkeypatch.setattr("opusbridge.bridge.hooks.CONFIGURING", Workers(most=0))
    (tmp_path / "moment.wav").write_bytes(wav_bytes(voice(500, 8_000), 8_000, 1))

    @tool(filler_after=1.0, filler=tmp_path / "moment.wav")
    async def look_up() -> None: ...

    async def configure(call: CallContext) -> dict[str, Any]:
        return {"voice": "cedar"}

    agent = an_agent(tools=[look_up], configure=configure)
    found = await configured(agent, SETTINGS, TWILIO, CALL)

    assert found is not None
    assert found.voice == "cedar"


async def test_configure_may_be_an_object_of_the_users_own() -> None:
    class Hook:
        async def __call__(self, call: CallContext) -> dict[str, Any]:
            return {"voice": "cedar"}

    found = await configured(an_agent(configure=Hook()), SETTINGS, TWILIO, CALL)

    assert found is not None
    assert (found.voice, found.instructions) == ("cedar", "Be kind.")


# --- on_end -----------------------------------------------------------------------------


@both_bridges
def test_on_end_is_told_the_whole_call_once(bridge: type[AnyBridge]) -> None:
    outcomes: list[CallOutcome] = []

    async def on_end(outcome: CallOutcome) -> None:
        outcomes.append(outcome)

    agent = an_agent(on_end=on_end, greeting="Say hello.")
    stage, how = in_virtual_time(play(bridge, [WaitForAgent(), HangUp()], agent=agent))

    (outcome,) = outcomes
    assert outcome.call_id == outcome.call["call_id"] == stage.bridge.call_id
    assert outcome.call["ending"] == {"outcome": how.outcome.value, "reason": how.reason}
    assert [item["speaker"] for item in outcome.transcript["items"]] == ["agent"]
    assert outcome.folder is None
    assert repr(outcome) == f"<CallOutcome {outcome.call_id}>"


@both_bridges
def test_on_end_is_told_by_the_agent_that_configure_chose(bridge: type[AnyBridge]) -> None:
    told_by: list[str] = []

    async def configure(call: CallContext) -> Agent:
        return an_agent(name="night", on_end=lambda_of("night"))

    def lambda_of(name: str) -> Any:
        async def on_end(outcome: CallOutcome) -> None:
            told_by.append(name)

        return on_end

    agent = an_agent(configure=configure, on_end=lambda_of("day"))
    in_virtual_time(play(bridge, [Wait(2.0), HangUp()], agent=agent))

    assert told_by == ["night"]


@both_bridges
def test_on_end_runs_to_its_end_after_a_cancelled_call(bridge: type[AnyBridge]) -> None:
    ended: list[CallOutcome] = []

    async def on_end(outcome: CallOutcome) -> None:
        await asyncio.sleep(2.0)
        ended.append(outcome)

    async def cancel(stage: Stage) -> None:
        await asyncio.sleep(1.0)
        (running,) = [task for task in asyncio.all_tasks() if task.get_name() == "the call"]
        running.cancel()
        await asyncio.sleep(1.0)
        running.cancel()  # and again, while it is told

    with pytest.raises(asyncio.CancelledError):
        in_virtual_time(play(bridge, [Wait(9.0)], agent=an_agent(on_end=on_end), during=cancel))

    (outcome,) = ended
    assert outcome.call["ending"]["reason"] == "cancelled"


@both_bridges
def test_on_end_is_told_of_a_call_that_broke(
    bridge: type[AnyBridge], monkeypatch: pytest.MonkeyPatch
) -> None:
    outcomes: list[CallOutcome] = []

    async def on_end(outcome: CallOutcome) -> None:
        outcomes.append(outcome)

    async def spoil(stage: Stage) -> None:
        await asyncio.sleep(1.0)
        assert stage.bridge._engine is not None
        monkeypatch.setattr(stage.bridge._engine, "_step", None)

    agent = an_agent(on_end=on_end)
    _, how = in_virtual_time(play(bridge, [Wait(3.0), HangUp()], agent=agent, during=spoil))

    assert how == ending("internal-error")
    assert [one.call["ending"]["reason"] for one in outcomes] == ["internal-error"]


def an_outcome() -> CallOutcome:
    return CallOutcome("call-1", {"caller": "+15550100001"}, {"items": []}, None, {})


def test_an_on_end_that_never_ends_holds_nobody_up_for_ever() -> None:
    async def on_end(outcome: CallOutcome) -> None:
        await asyncio.Event().wait()

    async def story() -> float:
        began = asyncio.get_running_loop().time()
        await tell_of_end(on_end, None, an_outcome())
        return asyncio.get_running_loop().time() - began

    assert in_virtual_time(story()) == pytest.approx(ON_END_SECONDS)


def test_nor_does_one_that_does_not_stop_when_it_is_told() -> None:
    told_to_stop: list[float] = []

    async def on_end(outcome: CallOutcome) -> None:
        while len(told_to_stop) < 2:  # the second time the test itself ends
            try:
                await asyncio.Event().wait()
            except asyncio.CancelledError:
                told_to_stop.append(asyncio.get_running_loop().time())

    async def story() -> float:
        began = asyncio.get_running_loop().time()
        await tell_of_end(on_end, None, an_outcome())
        return asyncio.get_running_loop().time() - began

    assert in_virtual_time(story()) == pytest.approx(ON_END_SECONDS + CLEANUP_SECONDS)
    assert len(told_to_stop) == 2


@pytest.mark.parametrize("raised", [ValueError, SystemExit, asyncio.CancelledError, BaseException])
@pytest.mark.parametrize("in_the_loop", [True, False])
async def test_one_that_fails_does_not_keep_the_other_from_being_told(
    raised: type[BaseException], in_the_loop: bool
) -> None:
    structlog.reset_defaults()
    told: list[str] = []

    def fails(outcome: CallOutcome) -> None:
        raise raised(outcome.call["caller"])

    async def fails_in_the_loop(outcome: CallOutcome) -> None:
        fails(outcome)

    on_end = fails_in_the_loop if in_the_loop else fails

    async def more(outcome: CallOutcome) -> None:
        told.append(outcome.call_id)

    with capture_logs() as lines:
        await tell_of_end(on_end, more, an_outcome())

    assert told == ["call-1"]
    (line,) = lines
    assert line["event"] == "on_end failed"
    assert "15550100001" not in str(line)


def test_what_one_hook_does_to_its_outcome_is_not_the_others() -> None:
    seen: list[Any] = []

    async def spoils(outcome: CallOutcome) -> None:
        outcome.call.clear()  # type: ignore[attr-defined]  # a user may try

    async def looks(outcome: CallOutcome) -> None:
        await asyncio.sleep(1.0)
        seen.append(outcome.call)

    in_virtual_time(tell_of_end(spoils, looks, an_outcome()))

    assert seen == [{"caller": "+15550100001"}]

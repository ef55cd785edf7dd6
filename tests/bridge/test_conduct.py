"""From settings and an agent to how one call is conducted."""

from pathlib import Path
from typing import Any

import pytest

from opusbridge.agent import Agent
from opusbridge.audio.wav import wav_bytes
from opusbridge.bridge.conduct import call_policy
from opusbridge.call.policy import (
    AUDIOCODES,
    TWILIO,
    CallPolicy,
    Clip,
    KeyAction,
    ToolTraits,
)
from opusbridge.config import Settings
from opusbridge.effects import TurnDetection
from opusbridge.manners import NoInput
from opusbridge.privacy import Private
from opusbridge.tools import tool
from opusbridge.tools.telephony import hang_up

AGENT = Agent(name="front-desk", instructions="Be kind.")


def policy(agent: Agent = AGENT, **settings: Any) -> CallPolicy:
    return call_policy(TWILIO, agent.applied_to(Settings(**settings)), agent)


def test_the_defaults_are_a_conversation_that_can_be_interrupted_with_one_door() -> None:
    how = policy()

    assert how.telephony is TWILIO
    assert how.barge_in
    assert not how.responses.model_creates
    assert how.responses.interrupts
    assert how.responses.backoff == (2.0, 4.0, 8.0)
    assert how.session.turn_detection == TurnDetection(
        "server_vad", create_response=False, interrupt_response=True
    )
    assert how.session.transcription_model == "gpt-4o-mini-transcribe"


@pytest.mark.parametrize("barge_in", [True, False])
@pytest.mark.parametrize("by", ["bridge", "model"])
def test_model_and_bridge_agree_on_who_begins_and_who_interrupts(barge_in: bool, by: Any) -> None:
    how = policy(barge_in=barge_in, responses_by=by)

    detection = how.session.turn_detection
    assert detection is not None
    assert detection.interrupt_response == how.responses.interrupts == how.barge_in == barge_in
    assert detection.create_response == how.responses.model_creates == (by == "model")


def test_where_barge_in_is_to_be_confirmed_the_model_interrupts_nothing_itself() -> None:
    how = policy(barge_in="confirmed", barge_in_ms=300)

    assert how.session.turn_detection is not None
    assert not how.session.turn_detection.interrupt_response
    assert not how.session.turn_detection.create_response
    assert how.barge_in
    assert how.responses.interrupts
    assert how.confirm_ms == 300
    assert policy().confirm_ms is None


def test_where_the_greeting_is_heard_out_the_model_interrupts_nothing_itself() -> None:
    stern = Agent(name="front-desk", instructions="Be kind.", greeting_interruptible=False)
    how = policy(stern)

    assert not how.greeting_interruptible
    assert how.barge_in
    assert how.session.turn_detection is not None
    assert not how.session.turn_detection.interrupt_response


def test_whether_a_farewell_gives_way_is_the_agents_policy() -> None:
    stern = Agent(name="front-desk", instructions="Be kind.", farewell_interruptible=False)

    assert policy().farewell_interruptible
    assert not policy(stern).farewell_interruptible


def test_where_the_goodbye_is_heard_out_the_model_interrupts_nothing_itself() -> None:
    stern = Agent(name="front-desk", instructions="Be kind.", farewell_interruptible=False)
    how = policy(stern)

    assert how.barge_in
    assert how.responses.interrupts
    assert how.session.turn_detection is not None
    assert not how.session.turn_detection.interrupt_response


def test_every_knob_of_turn_detection_reaches_the_session() -> None:
    how = policy(
        turn_detection="semantic_vad",
        vad_threshold=0.7,
        vad_silence_ms=300,
        vad_eagerness="low",
    )

    assert how.session.turn_detection == TurnDetection(
        "semantic_vad", False, True, threshold=0.7, silence_ms=300, eagerness="low"
    )


def test_what_the_agent_itself_tells_turn_detection_is_what_the_call_reckons_with() -> None:
    told = {"prefix_padding_ms": 100, "silence_duration_ms": 900, "idle_timeout_ms": 5000}
    agent = AGENT.changed({"session": {"audio": {"input": {"turn_detection": told}}}})
    detection = policy(agent).session.turn_detection

    assert detection == TurnDetection("server_vad", False, True, prefix_ms=100, silence_ms=900)


@pytest.mark.parametrize(
    ("ours", "own", "reckoned"),
    [
        ("semantic_vad", "server_vad", TurnDetection("server_vad", False, True, silence_ms=900)),
        ("server_vad", "semantic_vad", TurnDetection("semantic_vad", False, True)),
        ("server_vad", "server_vad", TurnDetection("server_vad", False, True, 0.7, 900, "low")),
    ],
)
def test_and_so_is_its_own_type_which_takes_the_place_of_ours(
    ours: Any, own: str, reckoned: TurnDetection
) -> None:
    told = {"type": own, **({"silence_duration_ms": 900} if own == "server_vad" else {})}
    agent = AGENT.changed({"session": {"audio": {"input": {"turn_detection": told}}}})
    knobs = {"vad_threshold": 0.7, "vad_silence_ms": 300, "vad_eagerness": "low"}

    assert policy(agent, turn_detection=ours, **knobs).session.turn_detection == reckoned


@pytest.mark.parametrize(
    "audio",
    [
        None,
        {},
        {"input": None},
        {"input": {"turn_detection": {"prefix_padding_ms": "x", "type": "new_vad"}}},
    ],
)
def test_where_it_says_nothing_that_could_be_reckoned_with_nothing_is_changed(audio: Any) -> None:
    agent = AGENT.changed({"session": {"audio": audio}})

    assert policy(agent).session.turn_detection == policy().session.turn_detection


def test_without_turn_detection_the_session_has_none() -> None:
    assert policy(turn_detection="none").session.turn_detection is None


def test_the_agent_is_in_the_session_as_it_was_written() -> None:
    agent = Agent(
        name="front-desk",
        instructions="Be kind.",
        voice="cedar",
        tools=[hang_up],
        session={"max_output_tokens": 400},
    )
    session = policy(agent, language="de", noise_reduction="near_field").session

    assert (session.instructions, session.voice) == ("Be kind.", "cedar")
    assert [tool["name"] for tool in session.tools] == ["hang_up"]
    assert session.extra == {"max_output_tokens": 400}
    assert (session.language, session.noise_reduction) == ("de", "near_field")


def test_a_greeting_keeps_the_standing_orders_which_it_would_else_replace() -> None:
    how = policy(Agent(name="a", instructions="Be kind.", greeting="Say hello."))

    assert how.greet
    assert how.responses.greeting is not None
    assert how.responses.greeting.startswith("Be kind.\n\n")
    assert how.responses.greeting.endswith("Say hello.")


def test_without_a_greeting_the_caller_speaks_first() -> None:
    how = policy()

    assert not how.greet
    assert how.responses.greeting is None


def test_what_the_agent_says_about_the_session_wins_over_the_settings() -> None:
    agent = Agent(
        name="a",
        instructions="b",
        barge_in=False,
        turn_detection="semantic_vad",
        transcription="none",
    )
    how = policy(agent, barge_in=True, turn_detection="server_vad")

    assert not how.barge_in
    assert how.session.turn_detection is not None
    assert how.session.turn_detection.kind == "semantic_vad"
    assert how.session.transcription_model is None


def test_every_wait_of_the_settings_reaches_the_call() -> None:
    how = call_policy(
        AUDIOCODES,
        Settings(
            created_timeout=1.0,
            progress_timeout=2.0,
            retry_backoff=(0.5,),
            dtmf_gap=0.25,
            max_call_seconds=60.0,
        ),
        AGENT,
    )

    responses = how.responses
    assert (responses.created_timeout, responses.progress_timeout) == (1.0, 2.0)
    assert (responses.backoff, how.dtmf_gap, how.max_call_seconds) == ((0.5,), 0.25, 60.0)


@pytest.mark.parametrize(("longest", "warned_at"), [(7200.0, 7140.0), (100.0, 75.0)])
def test_the_caller_is_told_of_the_end_a_minute_or_a_quarter_before(
    longest: float, warned_at: float
) -> None:
    how = policy(max_call_seconds=longest)

    assert how.max_call_seconds - how.warning_seconds == warned_at


def test_what_is_said_to_a_silent_caller_is_the_agents_to_say() -> None:
    assert policy().no_input is None

    manners = NoInput(after_seconds=5, goodbye=None)
    how = policy(Agent(name="a", instructions="b", no_input=manners))

    assert how.no_input is not None
    assert how.no_input.after_seconds == (5.0, 5.0, 5.0)
    assert len(how.no_input.nudges) == 2
    assert how.no_input.goodbye is None


def test_what_keys_do_is_known_before_the_call() -> None:
    agent = Agent(
        name="a",
        instructions="b",
        destinations={"billing": "+15550100300"},
        keys={"0": "transfer:billing", "1": "say:We open at nine."},
    )

    assert policy(agent).keys == {
        "0": KeyAction("transfer", Private("+15550100300")),
        "1": KeyAction("say", words="We open at nine."),
    }


def test_a_stored_greeting_is_a_clip_with_its_words(tmp_path: Path) -> None:
    (tmp_path / "hello.wav").write_bytes(wav_bytes(b"\1\0" * 800, 8_000, 1))
    agent = Agent(
        name="a",
        instructions="b",
        greeting_audio=tmp_path / "hello.wav",
        greeting_words="Hello.",
    )
    how = policy(agent)

    assert how.greet
    assert how.responses.greeting is None
    assert how.clips["greeting"] == Clip(8_000, b"\1\0" * 800)
    assert how.clip_words["greeting"] == "Hello."


def test_the_bridge_has_words_of_its_own_for_when_nobody_else_has() -> None:
    how = policy()

    assert {"sorry", "goodbye"} <= set(how.clips) == set(how.clip_words)
    assert all(clip.pcm for clip in how.clips.values())


def test_how_the_call_behaves_around_a_tool_is_the_tools_to_say(tmp_path: Path) -> None:
    (tmp_path / "typing.wav").write_bytes(wav_bytes(bytes(1_600), 8_000, 1))

    @tool(reply="if_silent", say_first="One moment, I am looking that up.", filler_after=2)
    def look_up() -> None: ...

    @tool(filler_after=3, filler=tmp_path / "typing.wav")
    def write() -> None: ...

    how = policy(Agent(name="a", instructions="Be kind.", tools=[look_up, write, hang_up]))

    traits = how.tools["look_up"]
    assert (traits.reply, traits.filler_after) == ("if_silent", 2)
    assert traits.say_first is not None
    assert traits.say_first.startswith("Be kind.\n\n")
    assert traits.say_first.endswith("nothing else: One moment, I am looking that up.")
    assert how.tools["hang_up"] == ToolTraits(reply="if_silent")
    assert how.clips["filler:look_up"] == how.clips["one-moment"]
    assert how.clip_words["filler:look_up"] == how.clip_words["one-moment"]
    assert how.clips["filler:write"] == Clip(8_000, bytes(1_600))
    assert how.clip_words["filler:write"] == "[filler]"
    assert "filler:hang_up" not in how.clips

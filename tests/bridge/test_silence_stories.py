"""Greetings before the model is there, and callers who say nothing, on both bridges."""

from pathlib import Path

import pytest

from opusbridge import effects, events
from opusbridge.agent import Agent
from opusbridge.audio.wav import wav_bytes
from opusbridge.errors import ending
from opusbridge.manners import NoInput
from opusbridge.sim.callers import HangUp, Wait
from opusbridge.sim.model import Reply, ReplyScript
from opusbridge.sim.tones import voice
from tests.bridge.virtual import BRIDGES, AnyBridge, in_virtual_time, play

pytestmark = pytest.mark.usefixtures("quiet")

both_bridges = pytest.mark.parametrize("bridge", BRIDGES, ids=["audiocodes", "twilio"])


@both_bridges
def test_a_stored_greeting_is_heard_before_the_model_has_taken_its_settings(
    bridge: type[AnyBridge], tmp_path: Path
) -> None:
    (tmp_path / "hello.wav").write_bytes(wav_bytes(voice(1000, 8_000), 8_000, 1))
    agent = Agent(
        name="front-desk",
        instructions="Be kind.",
        greeting_audio=tmp_path / "hello.wav",
        greeting_words="Good morning.",
    )

    stage, _ = in_virtual_time(play(bridge, [Wait(5.0), HangUp()], dial_seconds=2.0, agent=agent))

    told = stage.to_model("conversation.item.create")
    assert stage.at(effects.PlayAudio)[0] == stage.at(events.CallStarted)[0]
    assert told[0][0] - stage.at(effects.PlayAudio)[0] > 1.5
    assert [item["item"]["role"] for _, item in told] == ["assistant"]
    assert stage.requests() == []
    assert stage.verdict() == []


@both_bridges
@pytest.mark.slow
def test_a_caller_who_says_nothing_hears_nudge_nudge_goodbye_to_its_end(
    bridge: type[AnyBridge],
) -> None:
    agent = Agent(
        name="front-desk", instructions="Be kind.", greeting=None, no_input=NoInput(after_seconds=4)
    )
    goodbye = voice(1500, 24_000)
    said = [Reply("Are you there?"), Reply("Hello?"), Reply("Goodbye.", goodbye)]

    stage, how = in_virtual_time(play(bridge, [Wait(60.0)], replies=ReplyScript(said), agent=agent))

    assert how == ending("no-input")
    assert [text["response"]["metadata"]["why"] for _, text in stage.requests()] == ["nudge"] * 3
    (hung_up,) = stage.at(effects.HangUp)
    last = stage.caller.heard[-1]
    assert last.ended_at - last.started_at == pytest.approx(1.5)
    assert last.ended_at <= hung_up
    assert stage.verdict() == []

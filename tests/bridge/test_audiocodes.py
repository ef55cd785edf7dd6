"""What is AudioCodes' own: everything is on its wire, and it rings until the first sound."""

import json
from collections.abc import Mapping
from dataclasses import replace
from math import inf
from typing import Any

import pytest

from opusbridge import events
from opusbridge.agent import Agent
from opusbridge.bridge.audiocodes import TelephonyRealtimeBridge
from opusbridge.call.arrival import RINGING_SECONDS
from opusbridge.call.call import ANSWER_SECONDS
from opusbridge.effects import AddText, AppendAudio, CreateResponse, EndCall, Note, ReleaseModel
from opusbridge.errors import Ending, ending
from opusbridge.sim.callers import HangUp, Say, SimulatedAudioCodes, Step, Wait, WaitForAgent
from opusbridge.sim.model import Knobs, Reply, ReplyScript, ToolCallReply
from opusbridge.sim.tones import voice
from opusbridge.tools.context import CallContext
from opusbridge.tools.telephony import hang_up, transfer_call
from tests.bridge.virtual import Stage, in_virtual_time, play

pytestmark = pytest.mark.usefixtures("quiet")

AGENT = Agent(
    name="front-desk",
    instructions="Be kind.",
    greeting="Say hello.",
    tools=[hang_up, transfer_call],
    destinations={"billing": "+15550100300"},
)

STEPS: list[Step] = [WaitForAgent(), Wait(20.0)]


def conversation(
    tool: str, arguments: str, agent: Agent = AGENT, **more: Any
) -> tuple[Stage, SimulatedAudioCodes, Ending]:
    """A call in which the agent uses this tool at once."""
    replies = ReplyScript([Reply("Hold on.", None, (ToolCallReply(tool, arguments),))])
    stage, how = in_virtual_time(
        play(TelephonyRealtimeBridge, STEPS, agent=agent, replies=replies, **more)
    )
    assert isinstance(stage.caller, SimulatedAudioCodes)
    return stage, stage.caller, how


@pytest.mark.slow
def test_a_hang_up_is_an_activity_after_which_the_provider_ends_the_session() -> None:
    stage, caller, how = conversation("hang_up", '{"reason": "done"}')

    assert how == ending("agent-hung-up")
    names = [
        text["activities"][0]["name"] for _, text in stage.telephony.sent
        if text["type"] == "activities"
    ]  # fmt: skip
    assert names == ["config", "hangup"]
    assert caller.verdict() == []


@pytest.mark.slow
def test_a_transfer_is_an_activity_with_the_agents_address() -> None:
    _, caller, how = conversation("transfer_call", '{"reason": "x", "destination": "billing"}')

    assert how == ending("transferred")
    (transfer,) = caller.transfers
    assert transfer["transferTarget"] == "tel:+15550100300"
    assert caller.verdict() == []


@pytest.mark.slow
def test_a_slow_greeting_leaves_silence_to_answer_the_phone() -> None:
    _, caller, _ = conversation("hang_up", '{"reason": "x"}', knobs=Knobs(create_delay=2.0))

    assert caller.seconds_to_answer == pytest.approx(ANSWER_SECONDS)
    first, second = caller.play_streams.started_at
    assert second - first == pytest.approx(2.0)


@pytest.mark.slow
def test_a_quick_greeting_answers_the_phone_itself() -> None:
    knobs = Knobs(create_delay=0.01, first_audio_delay=0.05)
    _, caller, _ = conversation("hang_up", '{"reason": "x"}', knobs=knobs)

    assert caller.seconds_to_answer is not None
    assert caller.seconds_to_answer < ANSWER_SECONDS
    assert len(caller.play_streams.started_at) == 1


@pytest.mark.slow
def test_the_provider_is_told_whether_the_caller_may_cut_in() -> None:
    for barge_in in (True, False):
        _, caller, _ = conversation("hang_up", '{"reason": "x"}', barge_in=barge_in)

        assert caller.barge_in is barge_in
        assert caller.session_params["userNoInputGiveUpTimeoutMS"] == 0


@pytest.mark.slow
def test_a_greeting_that_is_heard_out_is_cut_by_no_word_of_ours_about_the_caller() -> None:
    async def during(stage: Stage) -> None:
        assert isinstance(stage.caller, SimulatedAudioCodes)
        stage.caller.habits = replace(stage.caller.habits, committed_cuts=True)

    said = Say(voice(600, 8_000), 8_000, "hello")
    steps: list[Step] = [Wait(1.5), said, Wait(12.0), HangUp()]
    greeting = Reply("Good morning, and thank you for your call.", voice(4000, 24_000))
    stage, _ = in_virtual_time(
        play(
            TelephonyRealtimeBridge,
            steps,
            agent=AGENT.changed({"greeting_interruptible": False}),
            replies=ReplyScript([greeting, Reply("Yes?")]),
            during=during,
        )
    )

    assert max(one.ended_at - one.started_at for one in stage.caller.heard) >= 4.0
    told = [text["type"] for _, text in stage.telephony.sent if "speech" in text["type"]]
    assert told == []
    assert stage.verdict() == []


def test_a_call_that_is_to_go_on_over_another_socket_has_lost_its_own() -> None:
    async def during(stage: Stage) -> None:
        await stage.until(lambda: bool(stage.at(events.CallStarted)))
        assert isinstance(stage.bridge, TelephonyRealtimeBridge)
        stage.bridge.socket_lost()

    _, how = in_virtual_time(play(TelephonyRealtimeBridge, STEPS, agent=AGENT, during=during))

    assert how == ending("telephony-lost")


async def as_it_is(call: CallContext) -> None:
    """Of an agent that might be another for each call."""


async def nobody_answers(stage: Stage) -> None:
    says = stage.caller.texts_to_send
    assert isinstance(stage.caller, SimulatedAudioCodes)
    stage.caller.habits = replace(stage.caller.habits, ring_seconds=inf)

    def rings() -> list[str]:
        return [text for text in says() if '"name":"start"' not in text]

    stage.caller.texts_to_send = rings  # type: ignore[method-assign]


@pytest.mark.parametrize("configure", [False, True])
def test_a_call_may_ring_before_it_starts_whoever_placed_it(configure: bool) -> None:
    agent = AGENT.model_copy(update={"configure": as_it_is}) if configure else AGENT
    stage, how = in_virtual_time(
        play(TelephonyRealtimeBridge, STEPS, agent=agent, during=nobody_answers)
    )

    assert how == ending("no-start")
    rang = stage.at(EndCall)[0] - stage.at(events.CallArrived)[0]
    assert rang == pytest.approx(RINGING_SECONDS)
    assert stage.telephony.sent[-1][1] == {"type": "session.error", "reason": "no-start"}
    # Nor does a model wait for as long: it is let go, or not dialled before it is known how.
    assert len(stage.at(ReleaseModel)) == (0 if configure else 1)
    assert bool(stage.model_socket.sent) == (not configure)


@pytest.mark.slow
@pytest.mark.parametrize("configure", [False, True])
@pytest.mark.parametrize("greets", [True, False])
@pytest.mark.parametrize("seconds", [8.0, 45.0])
def test_who_answers_late_is_greeted_as_who_answers_soon(
    configure: bool, greets: bool, seconds: float
) -> None:
    async def during(stage: Stage) -> None:
        assert isinstance(stage.caller, SimulatedAudioCodes)
        stage.caller.habits = replace(
            stage.caller.habits, start_seconds=seconds, stream_before_start=True
        )

    agent = AGENT.changed({"greeting": "Say hello." if greets else None})
    agent = agent.model_copy(update={"configure": as_it_is if configure else None})
    said = Say(voice(1200, 8_000), 8_000, "hello")
    steps: list[Step] = [said, WaitForAgent(), Wait(1.0), HangUp()]
    how: dict[str, Any] = {"during": during, "dial_seconds": 1.0, "another_model": True}
    stage, _ = in_virtual_time(play(TelephonyRealtimeBridge, steps, agent=agent, **how))

    notes = {what.kind for _, what in stage.seen if isinstance(what, Note)}
    assert not notes & {"hold", "audio-dropped"}
    assert not stage.at(AddText)
    (started,) = stage.at(events.CallStarted)
    assert started - stage.at(events.CallArrived)[0] >= seconds
    asked = stage.at(CreateResponse) + stage.at(AppendAudio)
    assert min(asked, default=started) >= started, "of the ringing the model learns nothing"
    assert stage.caller.heard
    assert stage.verdict() == []


def test_one_that_rings_is_hung_up_at_the_providers_too() -> None:
    async def during(stage: Stage) -> None:
        await nobody_answers(stage)
        await stage.until(lambda: bool(stage.at(events.CallArrived)))
        stage.bridge.hang_up("a wrong number")

    stage, how = in_virtual_time(play(TelephonyRealtimeBridge, STEPS, agent=AGENT, during=during))

    assert how == ending("hung-up-by-operator")
    assert '"name": "hangup"' in json.dumps([text for _, text in stage.telephony.sent])


def test_what_the_provider_hands_over_is_told_when_the_call_starts() -> None:
    told: list[Mapping[str, str]] = []

    class Listening(TelephonyRealtimeBridge):
        def __init__(self, *arguments: Any, **more: Any) -> None:
            super().__init__(*arguments, **more)
            self.on_started = told.append

    in_virtual_time(play(Listening, [Wait(1.0), HangUp()], agent=AGENT))

    (parameters,) = told
    assert parameters["callerHost"] == "sip.carrier.example"

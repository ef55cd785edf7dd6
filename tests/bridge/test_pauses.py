"""The recording is paused and resumed: by a tool, in Python, from a thread."""

import asyncio

import pytest

from opusbridge import effects
from opusbridge.agent import Agent
from opusbridge.sim.callers import HangUp, Say, Step, Wait, WaitForAgent
from opusbridge.sim.model import Reply, ReplyScript, ToolCallReply
from opusbridge.sim.tones import voice
from opusbridge.tools import tool
from opusbridge.tools.context import CallContext
from tests.bridge.virtual import BRIDGES, AnyBridge, Stage, in_virtual_time, play
from tests.tools.line import Line

pytestmark = pytest.mark.usefixtures("quiet")

both_bridges = pytest.mark.parametrize("bridge", BRIDGES, ids=["audiocodes", "twilio"])


@both_bridges
def test_an_operator_pauses_the_recording_and_resumes_it(bridge: type[AnyBridge]) -> None:
    shown: list[object] = []

    async def during(stage: Stage) -> None:
        await asyncio.sleep(1.0)
        for act in (stage.bridge.pause_recording, stage.bridge.resume_recording):
            act()
            shown.append(stage.bridge.recording_paused)
            shown.append(stage.bridge.describe()["recording_paused"])

    stage, _ = in_virtual_time(play(bridge, [Wait(2.0), HangUp()], during=during))

    assert shown == [True, True, False, False]
    assert len(stage.at(effects.PauseRecording)) == len(stage.at(effects.ResumeRecording)) == 1


@both_bridges
def test_what_a_tool_has_paused_an_operator_does_not_resume(bridge: type[AnyBridge]) -> None:
    @tool
    async def take_card_number(call: CallContext) -> str:
        """Before the number is asked for."""
        call.pause_recording()
        call.pause_recording()
        return "ask"

    async def during(stage: Stage) -> None:
        await stage.until(lambda: stage.bridge.recording_paused)
        stage.bridge.resume_recording()
        assert stage.bridge.recording_paused
        stage.bridge.resume_recording(by="agent")
        assert not stage.bridge.recording_paused

    agent = Agent(name="till", instructions="Be brief.", tools=[take_card_number])
    replies = ReplyScript([Reply("", None, (ToolCallReply("take_card_number"),))])
    said = Say(voice(400, 8_000), 8_000, "something")
    steps: list[Step] = [Wait(0.5), said, WaitForAgent(10.0), HangUp()]
    stage, _ = in_virtual_time(play(bridge, steps, replies=replies, agent=agent, during=during))

    assert len(stage.at(effects.ResumeRecording)) == 1


async def test_a_tool_in_a_thread_pauses_in_the_loop() -> None:
    line = Line()
    context = CallContext("call-1", control=line)
    in_thread = context.for_thread(asyncio.get_running_loop())

    await asyncio.to_thread(in_thread.pause_recording)
    await asyncio.to_thread(in_thread.resume_recording)

    assert line.asked == [("pause", True), ("pause", False)]


def test_in_a_users_own_test_a_pause_does_nothing() -> None:
    CallContext("call-1").pause_recording()
    CallContext("call-1").resume_recording()

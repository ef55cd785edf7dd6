"""A transfer over Twilio that nobody takes: the caller's next stream continues his call."""

import asyncio
from collections.abc import Awaitable, Callable
from datetime import datetime
from pathlib import Path
from random import Random
from typing import Any

import pytest

from opusbridge import effects
from opusbridge.agent import Agent
from opusbridge.bridge.twilio import TwilioRealtimeBridge
from opusbridge.bridge.twilio_rest import TwilioRest, TwilioRestError
from opusbridge.errors import Ending, ending
from opusbridge.privacy import Private
from opusbridge.recording.files import FLIGHT
from opusbridge.recording.recorder import CallRecorder
from opusbridge.recording.writer import Writer
from opusbridge.replay import assert_replays
from opusbridge.sim.callers import HangUp, SimulatedTwilio, Step, Wait, WaitForAgent
from opusbridge.sim.model import Reply, ReplyScript, ToolCallReply
from opusbridge.tools.telephony import send_dtmf, transfer_call
from tests.bridge.virtual import PartySocket, Stage, in_virtual_time, play

pytestmark = pytest.mark.usefixtures("quiet")

AFTER = "https://voice.example.com/twilio/after"
CALL = "CA" + "1" * 32
BUSY = {"DialCallStatus": "busy", "CallStatus": "in-progress"}
GAVE_UP = {"DialCallStatus": "canceled", "CallStatus": "completed"}

AGENT = Agent(
    name="front-desk",
    instructions="Be kind.",
    greeting="Say hello.",
    tools=[transfer_call],
    destinations={"billing": "+15550100300"},
)
TRANSFER = Reply(
    "One moment.",
    None,
    (ToolCallReply("transfer_call", '{"reason": "a bill", "destination": "billing"}'),),
)
REPLIES = [TRANSFER, Reply("The line is busy, I am sorry.")]
STEPS: list[Step] = [WaitForAgent(), WaitForAgent(), HangUp()]


class Rest(TwilioRest):
    """Takes the caller off his stream, or not; the answer may be lost on its way to us."""

    def __init__(self, does_it: bool = True, answers: int | None = 200) -> None:
        super().__init__("AC1", Private("secret"), "http://127.0.0.1:9")
        self.does_it, self.answers = does_it, answers
        self.asked: list[str] = []
        self.stage: Stage | None = None
        self.over = False
        self.looked = 0
        self.hangs_up: int | None = 200
        self.hang_up_seconds = 0.0

    async def redirect(self, call_sid: str, twiml: str) -> None:
        self.asked.append(twiml)
        assert self.stage is not None
        caller = self.stage.caller
        assert isinstance(caller, SimulatedTwilio)
        if self.does_it:
            caller.new_twiml(asyncio.get_running_loop().time())
            self.stage.telephony._stirred.set()
        if self.answers != 200:
            raise TwilioRestError("run other TwiML", self.answers)

    async def hang_up(self, call_sid: str) -> None:
        self.asked.append("completed")
        await asyncio.sleep(self.hang_up_seconds)
        if self.hangs_up != 200:
            raise TwilioRestError("hang up", self.hangs_up)

    async def is_over(self, call_sid: str) -> bool:
        self.looked += 1
        if self.looked == 1:
            raise TwilioRestError("look at a call", 503)
        return self.over


class Story:
    """A caller who is transferred at once; ``tell`` says what happens then."""

    def __init__(self, rest: Rest | None = None) -> None:
        self.rest = rest or Rest()
        self.next: SimulatedTwilio | None = None
        story = self

        class Bridge(TwilioRealtimeBridge):
            def __init__(self, *given: Any, **more: Any) -> None:
                super().__init__(*given, **more, rest=story.rest, after_url=AFTER)

        self.kind = Bridge

    @property
    def bridge(self) -> TwilioRealtimeBridge:
        assert self.rest.stage is not None
        bridge = self.rest.stage.bridge
        assert isinstance(bridge, TwilioRealtimeBridge)
        return bridge

    async def leaves(self, stage: Stage) -> None:
        self.rest.stage = stage
        await stage.until(lambda: stage.bridge.describe()["state"] == "transferring")

    async def returns(self, stage: Stage) -> None:
        """On a stream of his own, by Twilio's other TwiML."""
        caller = stage.caller
        assert isinstance(caller, SimulatedTwilio)
        again = SimulatedTwilio(caller.person, CALL, "MZ" + "3" * 32, {}, Random(2))
        self.next, socket = again, PartySocket(again)
        await self.bridge.resume(socket)
        assert self.bridge.ended

    def told(self, during: Callable[[Stage], Awaitable[None]]) -> Ending:
        """How the call ends if that is done meanwhile."""
        replies = ReplyScript(REPLIES)
        _, how = in_virtual_time(
            play(self.kind, STEPS, agent=AGENT, replies=replies, during=during)
        )
        return how


@pytest.mark.slow
def test_a_refused_caller_is_told_so_by_the_same_agent_on_his_next_stream(tmp_path: Path) -> None:
    story = Story()

    async def during(stage: Stage) -> None:
        await story.leaves(stage)
        await asyncio.sleep(12.0)
        assert story.bridge.dial_ended(BUSY)
        await story.returns(stage)

    def recorder(call_id: str, started: datetime, now: float) -> CallRecorder:
        return CallRecorder(
            tmp_path, None, now, record=True, flight=True, writer=writer, call_id=call_id
        )

    writer = Writer()
    stage, how = in_virtual_time(
        play(
            story.kind,
            STEPS,
            agent=AGENT,
            replies=ReplyScript(REPLIES),
            during=during,
            recorder=recorder,
        )
    )
    writer.close()

    assert how == ending("caller-hung-up")
    assert_replays(tmp_path / FLIGHT)
    (twiml,) = story.rest.asked
    assert f'action="{AFTER}"' in twiml
    assert stage.verdict() == []
    assert story.next is not None
    assert story.next.violations == []
    assert story.next.heard, "nothing was said on the stream he came back on"
    # One session, one conversation: nothing was dialled or told again.
    assert stage.at(effects.ReplaceModel) == stage.at(effects.ReleaseModel) == []
    assert "The transfer failed (busy)" in str(stage.to_model("conversation.item.create"))
    # The numbers of its marks go on, and its frames are the new stream's.
    assert not set(story.next.marks) & set(getattr(stage.caller, "marks", ()))


@pytest.mark.slow
def test_he_is_with_us_until_he_leaves_and_when_he_is_back() -> None:
    story, seen = Story(), []

    async def during(stage: Stage) -> None:
        story.rest.stage = stage
        await stage.until(lambda: stage.bridge.describe()["state"] == "answered")
        seen.append(story.bridge.with_us)
        await story.leaves(stage)
        seen.append(story.bridge.with_us)
        assert story.bridge.dial_ended(BUSY)
        returning = asyncio.create_task(story.returns(stage))
        await stage.until(lambda: stage.bridge.describe()["state"] == "answered")
        seen.append(story.bridge.with_us)
        assert not story.bridge.dial_ended(BUSY), "it was told so before"
        seen.append(story.bridge.with_us)
        await returning
        seen.append(story.bridge.with_us)

    assert story.told(during) == ending("caller-hung-up")
    assert seen == [True, False, True, True, False]


@pytest.mark.slow
def test_a_transfer_that_was_answered_ends_the_call_when_twilio_says_so() -> None:
    story = Story()

    async def during(stage: Stage) -> None:
        await story.leaves(stage)
        await asyncio.sleep(300.0)
        assert not story.bridge.dial_ended({"DialCallStatus": "completed"})
        assert not story.bridge.dial_ended(BUSY), "it is over"

    how = story.told(during)

    assert how == ending("transferred")


def test_that_he_gave_up_ends_the_call_though_his_stream_has_not_ended(tmp_path: Path) -> None:
    story = Story(Rest(does_it=False))

    async def during(stage: Stage) -> None:
        story.rest.stage = stage
        await stage.until(lambda: bool(story.rest.asked))
        await asyncio.sleep(1.0)
        assert not story.bridge.dial_ended(GAVE_UP)

    def recorder(call_id: str, started: datetime, now: float) -> CallRecorder:
        return CallRecorder(
            tmp_path, None, now, record=True, flight=True, writer=writer, call_id=call_id
        )

    writer = Writer()
    _, how = in_virtual_time(
        play(
            story.kind,
            [WaitForAgent(), Wait(30.0)],
            agent=AGENT,
            replies=ReplyScript(REPLIES),
            during=during,
            recorder=recorder,
        )
    )
    writer.close()

    assert how == ending("caller-hung-up")
    assert_replays(tmp_path / FLIGHT)


@pytest.mark.parametrize("answer", [None, 503], ids=["none", "trouble"])
@pytest.mark.slow
def test_a_lost_answer_is_no_refusal_where_the_caller_left_all_the_same(
    answer: int | None,
) -> None:
    story = Story(Rest(answers=answer))

    async def during(stage: Stage) -> None:
        await story.leaves(stage)
        await asyncio.sleep(15.0)
        assert story.bridge.dial_ended(BUSY)
        assert story.bridge.dial_ended(BUSY), "it may be asked twice"
        await story.returns(stage)

    how = story.told(during)

    assert how == ending("caller-hung-up")
    assert len(story.rest.asked) == 1, "what may have been done is not asked for again"


@pytest.mark.slow
def test_a_lost_answer_is_a_refusal_where_the_caller_is_still_there() -> None:
    story = Story(Rest(does_it=False, answers=None))
    steps: list[Step] = [WaitForAgent(), Wait(11.0), WaitForAgent(), HangUp()]

    async def during(stage: Stage) -> None:
        story.rest.stage = stage

    stage, how = in_virtual_time(
        play(story.kind, steps, agent=AGENT, replies=ReplyScript(REPLIES), during=during)
    )

    assert how == ending("caller-hung-up")
    assert len(story.rest.asked) == 1
    assert "The transfer failed (no-answer)" in str(stage.to_model("conversation.item.create"))
    assert not story.bridge.dial_ended(BUSY), "there is no transfer any more"


def gone(how: str, answers: int | None) -> tuple[Story, list[float], Ending]:
    """A transfer answered so, while the caller hangs up and nobody asks how to go on. ``how``
    Twilio tells that he is gone: when we look, or of itself."""
    story, began = Story(Rest(answers=answers)), [0.0, 0.0]

    async def during(stage: Stage) -> None:
        clock = asyncio.get_running_loop().time
        await story.leaves(stage)
        began[0] = clock()
        story.rest.over = how == "looked"
        if how == "told":
            story.bridge.call_over()
        else:
            await asyncio.sleep(20.0)
        await stage.until(lambda: story.bridge.ended)
        began[1] = clock()

    how_it_ended = story.told(during)
    return story, began, how_it_ended


@pytest.mark.parametrize("answers", [None, 503, 200])
@pytest.mark.slow
def test_who_hung_up_while_nobody_could_ask_how_to_go_on_is_not_waited_for(
    answers: int | None,
) -> None:
    story, (left, ended), how = gone("looked", answers)

    assert how == ending("caller-hung-up")
    assert ended - left < 40.0, "he was missed on the second look"
    assert story.rest.looked == 2


@pytest.mark.slow
def test_a_long_transfer_is_looked_at_seldom() -> None:
    story = Story()

    async def during(stage: Stage) -> None:
        await story.leaves(stage)
        await asyncio.sleep(3600.0)
        assert not story.bridge.dial_ended({"DialCallStatus": "completed"})

    how = story.told(during)

    assert how == ending("transferred")
    assert story.rest.looked == 3 + (3600 - 60) // 120


@pytest.mark.slow
def test_a_placed_call_that_twilio_says_is_over_is_so_though_he_was_away() -> None:
    story, (left, ended), how = gone("told", 200)

    assert how == ending("caller-hung-up")
    assert ended - left < 5.0
    assert story.rest.looked == 0


@pytest.mark.slow
def test_what_became_of_a_transfer_may_be_told_after_the_end_of_the_call() -> None:
    story = Story()

    async def during(stage: Stage) -> None:
        await story.leaves(stage)
        story.bridge.call_over()
        await asyncio.sleep(1.0)
        story.bridge.dial_ended({"DialCallStatus": "completed", "CallStatus": "completed"})
        story.bridge.call_over()

    how = story.told(during)

    assert how == ending("transferred")


@pytest.mark.slow
def test_a_stream_for_a_call_that_is_over_is_closed() -> None:
    story = Story()

    async def during(stage: Stage) -> None:
        await story.leaves(stage)
        story.bridge.say_goodbye("drained")
        await story.returns(stage)

    how = story.told(during)

    assert how == ending("transferred")


@pytest.mark.slow
def test_an_operators_hang_up_reaches_a_caller_who_is_away() -> None:
    story = Story()

    async def during(stage: Stage) -> None:
        await story.leaves(stage)
        story.bridge.hang_up("hung-up-by-operator")

    how = story.told(during)

    assert how == ending("hung-up-by-operator")
    assert story.rest.asked[-1] == "completed"


@pytest.mark.slow
def test_twilio_may_take_its_time_for_that() -> None:
    story, done = Story(), [False]
    story.rest.hang_up_seconds = 14.0

    async def during(stage: Stage) -> None:
        await story.leaves(stage)
        story.bridge.hang_up("hung-up-by-operator")
        await asyncio.sleep(13.0)
        done[0] = story.bridge.ended

    how = story.told(during)

    assert (done, how) == ([False], ending("hung-up-by-operator"))


@pytest.mark.parametrize(("over", "reason"), [(True, "caller-hung-up"), (False, "transferred")])
@pytest.mark.slow
def test_who_was_not_hung_up_is_not_told_to_be(over: bool, reason: str) -> None:
    story = Story()
    story.rest.hangs_up, story.rest.over = 429, over

    async def during(stage: Stage) -> None:
        await story.leaves(stage)
        story.bridge.hang_up("hung-up-by-operator")
        await asyncio.sleep(28.0)
        assert stage.bridge.describe()["state"] == "transferring"
        await asyncio.sleep(10.0)
        story.bridge.dial_ended({"DialCallStatus": "completed"})

    how = story.told(during)

    assert how == ending(reason)


@pytest.mark.parametrize(
    ("answer", "reason"),
    [(None, "hung-up-by-operator"), (503, "hung-up-by-operator"), (429, "caller-hung-up")],
)
@pytest.mark.slow
def test_a_hang_up_whose_answer_was_lost_is_the_operators_where_it_was_done(
    answer: int | None, reason: str
) -> None:
    story = Story()
    story.rest.hangs_up, story.rest.over, story.rest.looked = answer, True, 1

    async def during(stage: Stage) -> None:
        await story.leaves(stage)
        story.bridge.hang_up("hung-up-by-operator")

    how = story.told(during)

    assert how == ending(reason)


@pytest.mark.slow
def test_who_was_looked_at_for_long_is_looked_at_soon_when_more_was_asked() -> None:
    story, asked = Story(), [0.0, 0.0]
    story.rest.hangs_up = 429

    async def during(stage: Stage) -> None:
        clock = asyncio.get_running_loop().time
        await story.leaves(stage)
        await asyncio.sleep(90.0)  # of the looks the next is at 180 s
        assert story.rest.looked == 3
        story.bridge.hang_up("hung-up-by-operator")
        asked[0], story.rest.over = clock(), True
        await stage.until(lambda: story.bridge.ended)
        asked[1] = clock()

    in_virtual_time(
        play(story.kind, STEPS, agent=AGENT, replies=ReplyScript(REPLIES), during=during)
    )

    assert asked[1] - asked[0] < 20.0


@pytest.mark.slow
def test_there_is_one_who_looks() -> None:
    story = Story()
    story.rest.hangs_up = 429

    async def during(stage: Stage) -> None:
        await story.leaves(stage)
        await asyncio.sleep(90.0)
        story.bridge.hang_up("hung-up-by-operator")
        await asyncio.sleep(100.0)
        assert story.rest.looked == 3 + 3, "three for each time that somebody asked"
        story.bridge.dial_ended({"DialCallStatus": "completed"})

    in_virtual_time(
        play(story.kind, STEPS, agent=AGENT, replies=ReplyScript(REPLIES), during=during)
    )


PRESS = Reply("One moment.", None, (ToolCallReply("send_dtmf", '{"digits": "12#"}'),))


@pytest.mark.slow
def test_keys_for_the_other_end_are_pressed_and_the_call_goes_on() -> None:
    story = Story()
    agent = AGENT.changed({"tools": [send_dtmf]})
    replies = ReplyScript([PRESS, Reply("I have pressed it."), Reply("Now we wait.")])

    async def during(stage: Stage) -> None:
        story.rest.stage = stage
        await stage.until(lambda: bool(story.rest.asked))
        await asyncio.sleep(1.0)
        assert stage.bridge.describe()["state"] == "answered"
        assert story.bridge.dial_ended({"CallStatus": "in-progress"})
        await story.returns(stage)

    stage, how = in_virtual_time(
        play(story.kind, STEPS, agent=agent, replies=replies, during=during)
    )

    assert how == ending("caller-hung-up")
    (twiml,) = story.rest.asked
    assert '<Play digits="12#"' in twiml
    assert AFTER in twiml
    assert "transfer" not in str(stage.to_model("conversation.item.create"))
    assert stage.verdict() == []


@pytest.mark.parametrize("answers", [200, None])
@pytest.mark.slow
def test_who_hangs_up_while_keys_are_pressed_is_not_taken_to_be_lost(answers: int | None) -> None:
    story = Story(Rest(answers=answers))
    agent = AGENT.changed({"tools": [send_dtmf]})

    async def during(stage: Stage) -> None:
        story.rest.stage = stage
        await stage.until(lambda: bool(story.rest.asked))
        story.rest.over = True  # and nobody asks how to go on
        await stage.until(lambda: story.bridge.ended)

    stage, how = in_virtual_time(
        play(story.kind, STEPS, agent=agent, replies=ReplyScript([PRESS]), during=during)
    )

    assert how == ending("caller-hung-up")
    assert story.rest.looked == 2, "the first time nobody could be asked"
    assert stage.verdict() == []

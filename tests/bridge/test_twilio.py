"""What is Twilio's own: its stream can neither hang up nor transfer."""

import asyncio
import logging
from collections.abc import Callable
from typing import Any

import pytest
import structlog

from opusbridge import effects
from opusbridge.agent import Agent
from opusbridge.bridge.twilio import TwilioRealtimeBridge
from opusbridge.bridge.twilio_rest import TwilioRest, TwilioRestError
from opusbridge.errors import Ending, TransferRefused, ending
from opusbridge.privacy import Private
from opusbridge.sim.callers import Press, SimulatedTwilio, Step, Wait, WaitForAgent
from opusbridge.sim.model import Reply, ReplyScript, ToolCallReply
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


class Rest(TwilioRest):
    """Twilio's REST interface without the way there: does to the line what was asked for."""

    def __init__(self, refuses: TwilioRestError | None = None) -> None:
        super().__init__("AC1", Private("secret"), "http://127.0.0.1:9")
        self.asked: list[tuple[str, str]] = []
        self.refuses = refuses
        self.line: Callable[[], SimulatedTwilio] | None = None
        self.stir: Callable[[], None] = lambda: None

    async def hang_up(self, call_sid: str) -> None:
        self._ask(call_sid, "completed")

    async def redirect(self, call_sid: str, twiml: str) -> None:
        self._ask(call_sid, twiml)

    def _ask(self, call_sid: str, what: str) -> None:
        self.asked.append((call_sid, what))
        if self.refuses is not None:
            raise self.refuses
        assert self.line is not None
        self.line().hang_up_by_rest(asyncio.get_running_loop().time())
        self.stir()


def conversation(
    tool: str,
    rest: Rest | None,
    steps: list[Step] = STEPS,
    agent: Agent = AGENT,
    **settings: Any,
) -> tuple[Stage, Ending]:
    """A call in which the agent uses this tool at once."""
    arguments = '{"reason": "done", "destination": "billing"}'
    if tool == "hang_up":
        arguments = '{"reason": "done"}'
    replies = ReplyScript([Reply("Hold on.", None, (ToolCallReply(tool, arguments),))])

    async def during(stage: Stage) -> None:
        if rest is not None:
            assert isinstance(stage.bridge, TwilioRealtimeBridge)
            caller: Any = stage.caller
            stage.bridge._rest = rest
            rest.line, rest.stir = (lambda: caller), stage.telephony._stirred.set

    return in_virtual_time(
        play(TwilioRealtimeBridge, steps, agent=agent, replies=replies, during=during, **settings)
    )


@pytest.mark.slow
def test_a_hang_up_goes_through_rest_and_the_stream_ends_by_itself() -> None:
    rest = Rest()
    stage, how = conversation("hang_up", rest)

    assert how == ending("agent-hung-up")
    assert rest.asked == [("CA" + "1" * 32, "completed")]
    assert stage.caller.verdict() == []


@pytest.mark.slow
@pytest.mark.parametrize(
    "rest", [None, Rest(TwilioRestError("do it", 500))], ids=["no-account", "refused"]
)
def test_without_rest_a_hang_up_closes_the_stream(rest: Rest | None) -> None:
    stage, how = conversation("hang_up", rest)

    assert how == ending("agent-hung-up")
    assert stage.telephony.closed
    assert stage.caller.violations == []


@pytest.mark.slow
@pytest.mark.parametrize(
    ("refused", "told"),
    [
        (TwilioRestError("hang up", 400, 21220), {"why": "refused", "status": 400, "code": 21220}),
        (TwilioRestError("hang up", None, why="tls"), {"why": "tls"}),
    ],
    ids=["refused", "no-answer"],
)
def test_the_log_says_why_a_hang_up_failed_as_far_as_that_is_known(
    refused: TwilioRestError, told: dict[str, Any]
) -> None:
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.WARNING))
    with structlog.testing.capture_logs() as lines:
        conversation("hang_up", Rest(refused))

    (line,) = [line for line in lines if line["event"] == "hang-up by REST failed"]
    assert {name: line[name] for name in line if name not in ("event", "log_level")} == told


@pytest.mark.slow
def test_a_transfer_is_other_twiml_for_the_call() -> None:
    rest = Rest()
    _, how = conversation("transfer_call", rest)

    assert how == ending("transferred")
    ((_, twiml),) = rest.asked
    assert "<Dial" in twiml
    assert "+15550100300" in twiml


@pytest.mark.slow
def test_a_caller_without_a_number_is_transferred_under_one_of_the_accounts() -> None:
    rest = Rest()
    conversation("transfer_call", rest, twilio_from="+15550100200")

    ((_, twiml),) = rest.asked
    assert 'callerId="+15550100200"' in twiml


@pytest.mark.slow
def test_a_transfer_that_twilio_refuses_gives_the_caller_back_to_the_agent() -> None:
    rest = Rest(TwilioRestError("do it", 500))
    stage, how = conversation("transfer_call", rest)

    assert how == ending("caller-hung-up")
    assert len(rest.asked) == 1
    failed = [what for _, what in stage.seen if isinstance(what, effects.Note)]
    assert [note.reason for note in failed if note.kind == "transfer-failed"] == ["error"]
    (told,) = [
        text["item"]["content"][0]["text"]
        for _, text in stage.to_model("conversation.item.create")
        if text["item"]["type"] == "message"
    ]
    assert "transfer failed" in told


def on_a_line_that_cannot(steps: list[Step]) -> tuple[Stage, Ending, Rest]:
    """The agent wants to hand over to an extension, and so does key 0."""
    rest = Rest()
    agent = Agent(
        name="front-desk",
        instructions="Be kind.",
        greeting="Say hello.",
        tools=[hang_up, transfer_call],
        destinations={"billing": "tel:+1-555-010-0300;ext=5"},
        keys={"0": "transfer:billing"},
    )
    stage, how = conversation("transfer_call", rest, steps, agent)
    return stage, how, rest


@pytest.mark.slow
def test_the_model_is_told_that_twilio_cannot_dial_an_address() -> None:
    stage, how, rest = on_a_line_that_cannot(STEPS)

    assert (how, rest.asked) == (ending("caller-hung-up"), [])
    (output,) = [
        text["item"]["output"]
        for _, text in stage.to_model("conversation.item.create")
        if text["item"]["type"] == "function_call_output"
    ]
    assert "cannot dial" in output
    with pytest.raises(TransferRefused):
        stage.bridge.transfer("billing")


@pytest.mark.slow
def test_a_key_that_leads_to_such_an_address_gives_the_caller_back_to_the_agent() -> None:
    stage, how, rest = on_a_line_that_cannot([WaitForAgent(), Wait(2.0), Press("0"), Wait(20.0)])

    assert (how, rest.asked) == (ending("caller-hung-up"), [])
    failed = [what for _, what in stage.seen if isinstance(what, effects.Note)]
    assert [note.reason for note in failed if note.kind == "transfer-failed"] == ["error"]


@pytest.mark.slow
def test_without_an_account_the_model_is_told_that_nothing_can_be_transferred() -> None:
    stage, how = conversation("transfer_call", None)

    assert how == ending("caller-hung-up")
    (output,) = [
        text["item"]["output"]
        for _, text in stage.to_model("conversation.item.create")
        if text["item"]["type"] == "function_call_output"
    ]
    assert "cannot transfer" in output
    with pytest.raises(TransferRefused):
        stage.bridge.transfer("billing")

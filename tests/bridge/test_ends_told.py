"""However a call ends, its ``on_end`` is told once, with how."""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from random import Random
from typing import Any

import pytest
import structlog
from structlog.testing import capture_logs

from opusbridge.agent import Agent
from opusbridge.errors import ending
from opusbridge.manners import NoInput
from opusbridge.sim.callers import (
    AudioCodesHabits,
    DropLine,
    HangUp,
    Person,
    SimulatedAudioCodes,
    Step,
    Wait,
    WaitForAgent,
)
from opusbridge.sim.model import Knobs, Reply, ReplyScript, ToolCallReply
from opusbridge.tools import CallContext, CallOutcome, hang_up, transfer_call
from tests.bridge import virtual
from tests.bridge.virtual import BRIDGES, AnyBridge, Stage, in_virtual_time, play

pytestmark = pytest.mark.usefixtures("quiet")

AUDIOCODES, TWILIO = BRIDGES
both_bridges = pytest.mark.parametrize("bridge", BRIDGES, ids=["audiocodes", "twilio"])

STAYS: list[Step] = [WaitForAgent(), Wait(60.0)]
QUIET = NoInput(after_seconds=2, nudges=(), goodbye=None)


def wishes(tool: str, arguments: str) -> ReplyScript:
    return ReplyScript([Reply("One moment.", None, (ToolCallReply(tool, arguments),))])


def after(seconds: float, act: Callable[[AnyBridge], None]) -> Callable[[Stage], Awaitable[None]]:
    async def during(stage: Stage) -> None:
        await asyncio.sleep(seconds)
        act(stage.bridge)

    return during


def told(bridge: type[AnyBridge], steps: list[Step], agent: dict[str, Any], **how: Any) -> str:
    """The reason of which ``on_end`` was told, the only time it was."""
    outcomes: list[CallOutcome] = []

    async def on_end(outcome: CallOutcome) -> None:
        outcomes.append(outcome)

    keys: dict[str, Any] = {
        "name": "desk",
        "instructions": "Be kind.",
        "greeting": "Say hello.",
        "tools": [hang_up, transfer_call],
        "destinations": {"billing": "+15550100300"},
    }
    answering = Agent(**{**keys, **agent, "on_end": on_end})
    _, came = in_virtual_time(play(bridge, steps, agent=answering, **how))

    (outcome,) = outcomes
    assert outcome.call["ending"] == {"outcome": came.outcome.value, "reason": came.reason}
    return came.reason


def raises(call: CallContext) -> None:
    raise LookupError


@both_bridges
@pytest.mark.parametrize(
    ("reason", "steps", "agent", "how"),
    [
        ("caller-hung-up", [WaitForAgent(), HangUp()], {}, {}),
        ("caller-hung-up", [Wait(2.0), HangUp()], {"configure": raises}, {}),
        ("agent-hung-up", STAYS, {}, {"replies": wishes("hang_up", '{"reason": "done"}')}),
        ("no-input", STAYS, {"no_input": QUIET}, {}),
        ("too-long", STAYS, {"max_seconds": 5.0}, {}),
        ("model-lost", STAYS, {}, {"knobs": Knobs(drop_at=2.0), "resume_grace": 0.0}),
        ("telephony-lost", [WaitForAgent(), DropLine()], {}, {"resume_grace": 1.0}),
        ("drained", STAYS, {}, {"during": after(2.0, lambda one: one.say_goodbye("drained"))}),
        (
            "hung-up-by-operator",
            STAYS,
            {},
            {"during": after(2.0, lambda one: one.hang_up("hung-up-by-operator"))},
        ),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
@pytest.mark.slow
def test_however_a_call_ends_it_is_told_once(
    bridge: type[AnyBridge],
    reason: str,
    steps: list[Step],
    agent: dict[str, Any],
    how: dict[str, Any],
) -> None:
    # A reply script is used up by the call it is played in.
    fresh = {**how, "replies": ReplyScript(how["replies"].replies)} if "replies" in how else how

    assert told(bridge, steps, agent, **fresh) == reason


@pytest.mark.slow
def test_a_transfer_is_told_as_one() -> None:
    replies = wishes("transfer_call", '{"destination": "billing", "reason": "a bill"}')

    assert told(AUDIOCODES, STAYS, {}, replies=replies) == ending("transferred").reason


@pytest.mark.slow
def test_a_call_that_we_refuse_is_told_too_and_the_log_names_what_was_offered(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def caller(*_: object) -> SimulatedAudioCodes:
        habits = AudioCodesHabits(offer=("raw/of-tomorrow",))
        return SimulatedAudioCodes(Person([Wait(5.0)]), "call-1", Random(1), habits)

    monkeypatch.setattr(virtual, "caller_for", caller)

    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.WARNING))
    with capture_logs() as lines:
        assert told(AUDIOCODES, [], {}) == "no-common-format"

    (line,) = [line for line in lines if line["event"] == "call declined"]
    assert (line["why"], line["offered"]) == ("no-common-format", ["raw/of-tomorrow"])

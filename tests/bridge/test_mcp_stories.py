"""Agents whose model uses the tools of MCP servers, on both bridges."""

from collections.abc import Callable
from typing import Any

import pytest

from opusbridge.agent import Agent
from opusbridge.errors import ending
from opusbridge.sim.callers import HangUp, Say, Step, Wait
from opusbridge.sim.model import McpCallReply, Reply, ReplyScript
from opusbridge.sim.tones import voice
from opusbridge.tools import CallContext, McpRequest, McpServer
from tests.bridge.virtual import BRIDGES, AnyBridge, Stage, in_virtual_time, play

pytestmark = pytest.mark.usefixtures("quiet")

both_bridges = pytest.mark.parametrize("bridge", BRIDGES, ids=["audiocodes", "twilio"])

SECRET = "sk-mcp-very-secret"
FOUND = Reply("I have found you.")


def tell(
    bridge: type[AnyBridge],
    *calls: McpCallReply,
    approve: Callable[..., Any] | None = None,
    unlisted: tuple[str, ...] = (),
    require_approval: Any = "always",
) -> Stage:
    server = McpServer(
        label="crm",
        url="https://mcp.example.com/sse",
        authorization=SECRET,
        require_approval=require_approval,
        approve=approve,
    )
    agent = Agent(name="front-desk", instructions="Be kind.", mcp=[server])
    replies = ReplyScript([Reply(mcp_calls=calls), FOUND], mcp_unlisted=unlisted)
    said = Say(voice(400, 8_000), 8_000, "something")
    steps: list[Step] = [Wait(0.5), said, Wait(12.0), HangUp()]
    stage, how = in_virtual_time(play(bridge, steps, agent=agent, replies=replies))
    assert how == ending("caller-hung-up")
    assert stage.verdict() == []
    assert SECRET not in repr(stage.seen)
    return stage


def approvals(stage: Stage) -> list[bool]:
    created = [text["item"] for _, text in stage.to_model("conversation.item.create")]
    return [item["approve"] for item in created if item["type"] == "mcp_approval_response"]


def why(stage: Stage) -> list[str]:
    return [text["response"]["metadata"]["why"] for _, text in stage.requests()]


def use(**more: Any) -> McpCallReply:
    return McpCallReply("crm", "find", '{"number": "77"}', **more)


@both_bridges
@pytest.mark.slow
@pytest.mark.parametrize("error", [None, "not there"])
def test_a_tool_that_needs_no_approval_is_answered_when_it_is_done(
    bridge: type[AnyBridge], error: str | None
) -> None:
    stage = tell(bridge, use(error=error), require_approval="never")

    assert approvals(stage) == []
    assert why(stage) == ["turn", "tools"]


@both_bridges
@pytest.mark.slow
def test_a_tool_is_used_if_the_policy_says_yes_and_answered_once(bridge: type[AnyBridge]) -> None:
    asked: list[tuple[McpRequest, str]] = []

    async def approve(request: McpRequest, call: CallContext) -> bool:
        asked.append((request, call.call_id))
        return request.name == "find"

    stage = tell(bridge, use(seconds=2.0), use(seconds=1.0), approve=approve)

    assert approvals(stage) == [True, True]
    assert asked[0] == (McpRequest("crm", "find", '{"number": "77"}'), stage.bridge.call_id)
    assert "77" not in repr(asked[0][0])
    assert why(stage) == ["turn", "tools"]


@both_bridges
@pytest.mark.slow
@pytest.mark.parametrize("policy", ["none", "no", "raises"])
def test_without_a_clear_yes_it_is_a_no_and_the_call_goes_on(
    bridge: type[AnyBridge], policy: str
) -> None:
    async def approve(request: McpRequest, call: CallContext) -> Any:
        if policy == "raises":
            raise ValueError(request.arguments)
        return "yes"  # which is not True

    stage = tell(bridge, use(), approve=None if policy == "none" else approve)

    assert approvals(stage) == [False]
    assert why(stage) == ["turn", "tools"]


@both_bridges
@pytest.mark.slow
def test_a_server_that_lists_no_tools_costs_only_its_tools(bridge: type[AnyBridge]) -> None:
    stage = tell(bridge, unlisted=("crm",))

    assert "mcp_list_tools.failed" in [event.type for event in stage.model.history]

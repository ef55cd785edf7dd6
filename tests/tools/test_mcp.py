"""MCP servers: what the session is told of them, who approves, and secrets that stay so."""

import asyncio
import threading
from collections.abc import Awaitable, Callable
from functools import partial, wraps
from typing import Any

import pytest
import structlog

from opusbridge.agent import Agent
from opusbridge.errors import ConfigurationError
from opusbridge.privacy import Private
from opusbridge.tools import CallContext, McpRequest, McpServer

URL = "https://mcp.example.com/a-token-in-the-path/sse"
REQUEST = McpRequest("crm", "find", '{"number": "+15550100300"}')
CALL = CallContext("call-1")


def server(**more: Any) -> McpServer:
    return McpServer(**{"label": "crm", "url": URL, **more})


def test_a_server_in_few_words_shows_all_its_tools_and_asks_for_each() -> None:
    assert server().definition() == {
        "type": "mcp",
        "server_label": "crm",
        "server_url": Private(URL),
        "require_approval": "always",
    }


def test_everything_that_may_be_said_of_a_server_is_said_in_the_provider_s_words() -> None:
    found = McpServer(
        label="calendar",
        connector_id="connector_googlecalendar",
        description="Appointments.",
        authorization="a-secret",
        headers={"X-Tenant": "another-secret"},
        allowed_tools=["search", "book"],
        require_approval={"never": ["search"], "always": ["book"]},
    )

    assert found.definition() == {
        "type": "mcp",
        "server_label": "calendar",
        "connector_id": "connector_googlecalendar",
        "server_description": "Appointments.",
        "authorization": Private("a-secret"),
        "headers": {"X-Tenant": Private("another-secret")},
        "allowed_tools": ["search", "book"],
        "require_approval": {
            "never": {"tool_names": ["search"]},
            "always": {"tool_names": ["book"]},
        },
    }


def test_no_secret_of_a_server_is_printed() -> None:
    agent = Agent(
        name="a",
        instructions="b",
        mcp=[server(authorization="a-secret", headers={"X": "b-secret"})],
    )

    shown = f"{agent!r} {agent.mcp[0]!r} {agent.tool_definitions()!r} {REQUEST!r}"
    for secret in ("a-secret", "b-secret", "a-token", "+1555"):
        assert secret not in shown


def test_a_secret_may_be_taken_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CRM_TOKEN", "a-secret")

    assert server(authorization="env:CRM_TOKEN").definition()["authorization"].value == "a-secret"
    with pytest.raises(ConfigurationError, match=r"mcp: headers\.X-Key: the environment has no"):
        server(headers={"X-Key": "env:CRM_KEY"})


@pytest.mark.parametrize(
    "wrong",
    [
        {"label": "two words"},
        {"url": None},
        {"connector_id": "connector_googlecalendar"},
        {"url": "ftp://example.com"},
        {"require_approval": "sometimes"},
        {"allowed_tools": []},
        {"approve": 3},
        {"token": "a-secret"},
    ],
)
def test_a_server_that_cannot_be_is_refused_without_its_secrets(wrong: dict[str, Any]) -> None:
    values: dict[str, Any] = {"name": "a", "instructions": "b"}
    values["mcp"] = [{"label": "crm", "url": URL, **wrong}]
    with pytest.raises(ConfigurationError) as refused:
        Agent(**values)

    assert str(refused.value).startswith("agent: mcp")
    assert "secret" not in str(refused.value)


def test_no_two_servers_have_the_same_label() -> None:
    with pytest.raises(ConfigurationError, match="two servers have the same label"):
        Agent(name="a", instructions="b", mcp=[server(), server()])


# --- Who approves -----------------------------------------------------------------------


async def test_a_plain_function_decides_in_a_thread_of_its_own() -> None:
    def approve(request: McpRequest, call: CallContext) -> bool:
        assert threading.current_thread() is not threading.main_thread()
        return (request, call.call_id) == (REQUEST, "call-1")

    assert await server(approve=approve).approves(REQUEST, CALL)


async def yes(request: McpRequest, call: CallContext) -> bool:
    await asyncio.sleep(0)
    return request == REQUEST


@wraps(yes)
def wrapped(request: McpRequest, call: CallContext) -> Awaitable[bool]:
    return yes(request, call)


class Policy:
    async def __call__(self, request: McpRequest, call: CallContext) -> bool:
        return await yes(request, call)


@pytest.mark.parametrize(
    "approve", [yes, wrapped, lambda request, call: yes(request, call), Policy(), partial(yes)]
)
async def test_an_answer_that_has_to_be_awaited_is(approve: Callable[..., Any]) -> None:
    assert await server(approve=approve).approves(REQUEST, CALL)


@pytest.mark.parametrize("answer", [False, None, 1, "yes"])
async def test_only_true_is_a_yes(answer: Any) -> None:
    async def approve(request: McpRequest, call: CallContext) -> Any:
        return answer

    assert not await server(approve=approve).approves(REQUEST, CALL)


async def test_a_policy_that_fails_or_is_not_there_says_no_and_logs_nothing_private() -> None:
    def approve(request: McpRequest, call: CallContext) -> bool:
        raise KeyError(request.arguments)

    with structlog.testing.capture_logs() as logs:
        assert not await server(approve=approve).approves(REQUEST, CALL)
        assert not await server().approves(REQUEST, CALL)
    assert [entry["event"] for entry in logs] == [
        "tool failed",
        "nobody approves the tools of an MCP server",
    ]
    assert "+1555" not in str(logs)

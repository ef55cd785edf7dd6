"""An agent's own functions in virtual time: tools that wait for keys, and ``configure``."""

import os
import wave
from pathlib import Path
from typing import Annotated, Any

import pytest
from pydantic import Field

from opusbridge import Agent, CallContext, tool
from opusbridge.audio.wav import wav_bytes
from opusbridge.sim import tones
from opusbridge.testing import call_script, load_script
from opusbridge.testing.conduct import agent_for
from opusbridge.tools import McpRequest, McpServer, ToolFailed

TYPING = """
[caller]
steps = [
    { wait_for_agent = true },
    { silence = 0.1 },
    { press = "%s" },
    { wait_for_agent = true },
    { hang_up = true },
]

[[model.replies]]
text = "Type your number."
tool = "ask"

[[model.replies]]
text = "Thank you."
"""
EXPECTED = """
[expect]
heard = ["Thank you"]
"""


def asking(**wishes: object) -> tuple[Agent, list[tuple[str, bool]]]:
    typed: list[tuple[str, bool]] = []

    @tool(timeout_seconds=60)
    async def ask(call: CallContext) -> str:
        """Ask."""
        digits = await call.collect_digits(**wishes)  # type: ignore[arg-type]  # as given
        typed.append((digits.value, digits.complete))
        if not digits.complete:
            raise ToolFailed("nobody typed anything")
        return "typed"

    return Agent(name="asks", instructions="Ask.", greeting="Ask.", tools=[ask]), typed


@pytest.mark.parametrize("telephony", ["twilio", "audiocodes"])
def test_a_tool_gets_the_keys_the_caller_types_in_virtual_time(telephony: str) -> None:
    agent, typed = asking(length=4, secret=True)

    call = call_script(TYPING % "4711" + EXPECTED, agent=agent, telephony=telephony)

    assert call.ok, call.report
    assert typed == [("4711", True)]
    assert "4711" not in str(call.transcript)


def test_keys_that_do_not_come_are_waited_for_as_long_as_the_tool_wants() -> None:
    agent, typed = asking(length=4, timeout=5)

    call = call_script(TYPING % "47" + EXPECTED, agent=agent)

    assert call.ok, call.report
    assert typed == [("47", False)]
    assert "nobody typed anything" in str(call.transcript)


def test_a_tool_may_ask_twice_and_one_at_a_time() -> None:
    heard: list[str] = []

    @tool(timeout_seconds=60)
    async def ask(call: CallContext) -> str:
        """Ask."""
        heard.append((await call.collect_digits(length=2)).value)
        heard.append((await call.collect_digits(length=2)).value)
        return "typed"

    agent = Agent(name="asks", instructions="Ask.", greeting="Ask.", tools=[ask])
    call = call_script(TYPING % "1234" + EXPECTED, agent=agent)

    assert call.ok, call.report
    assert heard == ["12", "34"]


LATE = TYPING.replace("silence = 0.1", "wait = 14")
TOO_LATE = (
    LATE
    + """
[expect]
transcript = [{ speaker = "tool", status = "failed", text = "ask took longer than 5 s" }]
keys = "4711"
"""
)


def test_typing_takes_no_longer_than_the_tool_may() -> None:
    ended: list[str] = []

    @tool(timeout_seconds=5)
    async def ask(call: CallContext) -> str:
        """Ask."""
        call.hold()
        try:
            return (await call.collect_digits(length=4, timeout=30)).value
        finally:
            ended.append("so did the tool")

    agent = Agent(name="asks", instructions="Ask.", greeting="Ask.", tools=[ask])
    call = call_script(TOO_LATE % "4711", agent=agent)

    assert call.ok, call.report
    assert ended == ["so did the tool"]
    (used,) = (item for item in call.transcript if item["speaker"] == "tool")
    # The simulated tool's first 0.2 s are of the five.
    assert used["ended_ms"] - used["started_ms"] == pytest.approx(5000, abs=50)
    assert "Thank you." in call.heard

    call = call_script((TOO_LATE % "4711").replace("transcript", "# "), agent=agent)
    assert call.failures == ["the tool ask took longer than its 5 s"]


def test_a_tool_that_ended_in_time_is_not_ended_again() -> None:
    agent, typed = asking(length=4, timeout=20)
    limited = agent.changed({"tools": [tool(timeout_seconds=18)(agent.tools[0].function)]})
    script = LATE.replace("{ hang_up", "{ wait = 20 }, { hang_up")

    call = call_script(script % "4711" + EXPECTED, agent=limited)

    assert call.ok, call.report
    assert typed == [("4711", True)]


@pytest.mark.parametrize("forgetful", [True, False])
def test_a_tool_holds_the_caller_no_longer_than_it_lasts(forgetful: bool) -> None:
    @tool(timeout_seconds=60)
    async def ask(call: CallContext) -> str:
        """Ask."""
        call.hold()
        await call.collect_digits(length=4)
        if not forgetful:
            call.unhold()
        return "typed"

    agent = Agent(name="asks", instructions="Ask.", greeting="Ask.", tools=[ask])
    call = call_script(TYPING % "4711" + EXPECTED, agent=agent)

    assert call.ok, call.report
    assert call.evidence is not None
    assert call.evidence.ended_at < 60


def test_a_call_that_ends_ends_the_tool_that_still_waits() -> None:
    ended: list[str] = []

    @tool(timeout_seconds=60)
    async def ask(call: CallContext) -> str:
        """Ask."""
        try:
            await call.collect_digits(length=9, timeout=50)
        finally:
            ended.append("so did the tool")
        return "typed"

    agent = Agent(name="asks", instructions="Ask.", greeting="Ask.", tools=[ask])
    leaving = """
[caller]
steps = [{ wait_for_agent = true }, { hang_up = true }]

[[model.replies]]
text = "Type your number."
tool = "ask"

[expect]
ending = "caller-hung-up"
"""
    call = call_script(leaving, agent=agent)

    assert call.ok, call.report
    assert ended == ["so did the tool"]


@pytest.mark.parametrize("telephony", ["twilio", "audiocodes"])
def test_configure_says_who_answers_and_with_which_tools(telephony: str) -> None:
    asked: list[tuple[str | None, str | None]] = []

    @tool
    async def ask() -> str:
        """Ask."""
        return "the second agent's"

    async def configure(call: CallContext) -> Agent:
        asked.append((call.caller, call.callee))
        return Agent(name="other", instructions="Ask.", greeting="Ask.", tools=[ask])

    agent = Agent(name="first", instructions="Wait.", configure=configure)
    call = call_script(TYPING % "1" + EXPECTED, agent=agent, telephony=telephony)

    assert call.ok, call.report
    assert asked == [("+15550104477", "+15550100200")]
    assert "the second agent's" in str(call.transcript)


ONE_TURN = """
[caller]
steps = [
    { wait_for_agent = true },
    { silence = 0.1 },
    { tone = { hz = 300, seconds = 0.8 } },
    { wait_for_agent = true },
    { hang_up = true },
]
"""

BOOKING = (
    ONE_TURN
    + """\
[agent]
instructions = "Book what is asked for."

[[model.replies]]
text = "What shall I book?"

[[model.replies]]
tool = "book"

[[model.replies]]
text = "Thank you."

[[tools]]
name = "book"
%s

[expect]
heard = ["Thank you"]
"""
)


@pytest.mark.parametrize("by_keys", [True, False])
def test_what_the_script_plays_is_played_for_the_agent_that_configure_chose(by_keys: bool) -> None:
    booked: list[str] = []

    @tool
    async def book() -> str:
        """Book."""
        booked.append("really")
        return "booked"

    def configure(call: CallContext) -> Agent | dict[str, Any]:
        if by_keys:
            return {"tools": [book], "instructions": "Sell."}
        return Agent(name="other", instructions="Sell.", greeting="Ask.", tools=[book])

    agent = Agent(name="first", instructions="Wait.", greeting="Ask.", configure=configure)
    call = call_script(BOOKING % 'output = "scripted"', agent=agent)

    assert call.ok, call.report
    assert booked == []
    assert "scripted" in str(call.transcript)


def test_the_keys_of_the_script_are_those_of_the_agent_that_configure_chose() -> None:
    other = Agent(name="other", instructions="Sell.")
    first = Agent(name="first", instructions="Wait.", configure=lambda call: other)
    played = agent_for(load_script(BOOKING % "output = 1"), first)

    assert played.changed(other).instructions == "Book what is asked for."
    assert played.changed({"voice": "ash", "instructions": "Sell."}).instructions.startswith("Book")


def test_a_tool_may_be_timed_that_only_configure_brings() -> None:
    @tool
    async def book() -> str:
        """Book."""
        return "booked"

    other = Agent(name="other", instructions="Sell.", greeting="Ask.", tools=[book])
    agent = Agent(name="first", instructions="Wait.", configure=lambda call: other)
    call = call_script(BOOKING % "seconds = 2", agent=agent)

    assert call.ok, call.report
    assert "booked" in str(call.transcript)


def test_a_tool_may_be_timed_that_configure_takes_away() -> None:
    @tool
    async def book() -> str:
        """Book."""
        return "booked"

    other = Agent(name="other", instructions="Sell.", greeting="Ask.")
    base = Agent(name="first", instructions="Wait.", tools=[book], configure=lambda call: other)
    played = agent_for(load_script(BOOKING % "seconds = 2"), base)

    assert played.changed(other).name == "other"
    assert played.changed(other).tools == ()


def test_a_tool_that_not_even_configure_brings_is_told() -> None:
    other = Agent(name="other", instructions="Sell.", greeting="Ask.")
    agent = Agent(name="first", instructions="Wait.", configure=lambda call: other)
    call = call_script(BOOKING % "seconds = 2", agent=agent)

    assert "<script>:22: tools[0]: the agent has no tool book" in str(call.failures)


GREETING = """
from opusbridge import Agent

def configure(call):
    return Agent(name="other", instructions="Sell.", greeting_audio="hello.wav",
                 greeting_words="Hello.")

agent = Agent(name="first", instructions="Wait.", greeting="Ask.", configure=configure)
"""


HANGING_UP = """
[caller]
steps = [{ wait_for_agent = true }, { hang_up = true }]

[[model.replies]]
text = "Hello."
"""


def test_what_configure_names_is_found_beside_the_agents_file(tmp_path: Path) -> None:
    (tmp_path / "agent.py").write_text(GREETING, "utf-8")
    with wave.open(str(tmp_path / "hello.wav"), "wb") as clip:
        clip.setparams((1, 2, 8000, 0, "NONE", ""))
        clip.writeframes((b"\x00\x20" * 8 + b"\x00\xe0" * 8) * 500)
    call = call_script(HANGING_UP, agent=Agent.load(str(tmp_path / "agent.py")))

    assert call.ok, call.report


SAID_FOR_IT = """
[caller]
steps = [
    { wait_for_agent = true },
    { say = "where-is-my-order" },
    { wait = 8.0 },
    { hang_up = true },
]

[[model.replies]]
tool = "ring"

[[model.replies]]
text = "They are coming."

[expect]
heard = ["welcome to the shop", "one moment for the bell"]
not_heard = ["sound"]
heard_exactly = "Welcome to the shop. One moment for the bell. They are coming."
"""


@pytest.mark.parametrize("telephony", ["twilio", "audiocodes"])
def test_what_is_said_for_the_agent_is_heard_and_a_sound_has_no_words(
    tmp_path: Path, telephony: str
) -> None:
    bell = tmp_path / "bell.wav"
    bell.write_bytes(wav_bytes(tones.speech("bell", 8000), 8000, 1))

    @tool
    async def ring(call: CallContext) -> str:
        """Ring."""
        call.play(bell)
        call.play(bell, "One moment for the bell.")
        return "rung"

    agent = Agent(
        name="shop",
        instructions="Sell.",
        greeting_audio=bell,
        greeting_words="Welcome to the shop.",
        tools=[ring],
    )
    call = call_script(SAID_FOR_IT, agent=agent, telephony=telephony)

    assert call.ok, call.report
    assert "[sound]" in [item["heard"] for item in call.transcript]


def test_what_a_script_names_is_found_beside_the_agents_file(tmp_path: Path) -> None:
    (tmp_path / "agent.toml").write_text("name = 'a'\ninstructions = 'b'\n", "utf-8")
    with wave.open(str(tmp_path / "hello.wav"), "wb") as clip:
        clip.setparams((1, 2, 8000, 0, "NONE", ""))
        clip.writeframes(bytes(1600))
    own = "[agent]\ngreeting_audio = 'hello.wav'\ngreeting_words = 'Hello.'\n"

    played = agent_for(load_script(own + HANGING_UP), Agent.load(str(tmp_path / "agent.toml")))

    assert played.greeting_audio == tmp_path / "hello.wav"


def failing(call: CallContext) -> None:
    raise LookupError


def unusable(call: CallContext) -> dict[str, str]:
    return {"greting": "Say hello."}


@pytest.mark.parametrize(
    ("configure", "why"),
    [
        (failing, f"LookupError at {Path(__file__).name}"),
        (unusable, "greting is not a key of an agent; did you mean greeting?"),
    ],
)
def test_a_configure_that_fails_leaves_the_agent_as_it_is_and_the_test_knows(
    configure: Any, why: str, capsys: pytest.CaptureFixture[str]
) -> None:
    agent, typed = asking(length=1)
    call = call_script(TYPING % "1" + EXPECTED, agent=agent.changed({"configure": configure}))

    (failure,) = call.failures
    assert failure.startswith("configure failed, and the agent answered as it is: ")
    assert why in failure
    assert typed == [("1", True)]
    assert "configure failed" in capsys.readouterr().out


MCP = (
    ONE_TURN
    + """
[[model.replies]]
text = "How can I help you?"

[[model.replies]]
mcp = [{ server = "crm", name = "find", arguments = { number = "77" }, output = "in Bergen" }]

[[model.replies]]
text = "Thank you."

[expect]
heard = ["Thank you"]
transcript = [{ speaker = "tool", text = "%s" }]
tools = [{ name = "find", arguments = { number = "77" }, times = %d }]
"""
)


@pytest.mark.parametrize(("yes", "told"), [(True, "in Bergen"), (False, "refused")])
def test_the_agents_policy_is_asked_about_a_servers_tool(yes: bool, told: str) -> None:
    asked: list[tuple[str, str]] = []

    async def approve(request: McpRequest, call: CallContext) -> bool:
        asked.append((request.name, request.arguments))
        return yes

    server = McpServer(label="crm", url="https://mcp.example.com/sse", approve=approve)
    agent = Agent(name="desk", instructions="Be kind.", greeting="Hello.", mcp=[server])
    call = call_script(MCP % (told, yes), agent=agent)

    assert call.ok, call.report
    assert asked == [("find", '{"number": "77"}')]
    used = [item["text"] for item in call.transcript if item["speaker"] == "tool"]
    assert [(run.use, run.output) for run in call.tools] == [
        (use, told) for use in used if yes and told in use
    ]


@pytest.mark.skipif(not Path("/proc/self/fd").exists(), reason="nobody counts open files here")
def test_a_tool_that_is_done_holds_no_files_open() -> None:
    held: list[int] = []

    @tool
    async def count() -> str:
        """Count."""
        held.append(len(os.listdir("/proc/self/fd")))
        if len(held) == 2:
            raise ToolFailed("miscounted")
        return "counted"

    agent = Agent(name="counts", instructions="Count.", greeting="Count.", tools=[count])
    calls = ", ".join(["{ name = 'count' }"] * 5)
    script = TYPING.replace('tool = "ask"', f"tools = [{calls}]") % "1" + EXPECTED
    call = call_script(script, agent=agent)

    assert call.ok, call.report
    assert len(held) == 5
    assert held[-1] <= held[0]


ORDER = """
[caller]
steps = [
    { wait_for_agent = true },
    { hang_up = true },
]

[[model.replies]]
tool = "order"
arguments = { count = %s }

[[model.replies]]
text = "Two, twenty-two euros."

[expect]
tools = [{ name = "order", times = 1 }]
"""
FAILING = 'transcript = [{ speaker = "tool", text = "order", status = "failed" }]'
PLAYED = """
[[tools]]
name = "order"
error = "wrong arguments: there are no such pizzas"
"""


@tool
def order(count: Annotated[int, Field(le=20)]) -> str:
    """Order pizzas."""
    if count == 0:
        raise ToolFailed("none is no order")
    if count == 1:
        raise ToolFailed("there is no such tool as an oven for one")
    if count == 3:
        raise ToolFailed("wrong arguments: three do not fit into a box")
    return "ordered"


@pytest.mark.parametrize(
    ("count", "tools", "told"),
    [
        (2, [], "order was called but never run: there is no such tool"),
        (42, [order], "order was called but never run: wrong arguments: count: Input should be"),
    ],
)
def test_a_tool_that_was_never_run_is_not_what_was_expected(
    count: int, tools: list[Any], told: str
) -> None:
    agent = Agent(name="pizza", instructions="Sell.", greeting="Hello.", tools=tools)

    (failure,) = call_script(ORDER % count, agent=agent).failures
    assert failure.startswith(f"<script>:16: {told}")

    call = call_script(ORDER % count + FAILING, agent=agent)
    assert call.ok, call.report


def test_a_tool_that_was_to_be_refused_is_known_by_the_models_own_json() -> None:
    agent = Agent(name="pizza", instructions="Sell.", greeting="Hello.", tools=[order])
    expected = FAILING.replace('"order"', "'order({\"count\": null'")
    nothing = "tools = [{ name = 'order', arguments = '{\"count\": null}' }]"
    asked = ORDER.replace('tool = "order"\narguments = { count = %s }', nothing)

    call = call_script(asked + expected, agent=agent)
    assert call.ok, call.report


@pytest.mark.parametrize(("count", "more"), [(0, ""), (1, ""), (2, ""), (3, ""), (2, PLAYED)])
def test_a_tool_that_fails_in_its_own_words_was_run(count: int, more: str) -> None:
    agent = Agent(name="pizza", instructions="Sell.", greeting="Hello.", tools=[order])

    call = call_script(ORDER % count + more, agent=agent)
    assert call.ok, call.report


WISHED = """
[agent]
destinations = { desk = "tel:1234" }
%s
[caller]
steps = [{ wait_for_agent = true }%s, { wait = 6.0 }, { hang_up = true }]

[[model.replies]]
text = "I put you through."
tool = "transfer_call"
arguments = { destination = "desk", reason = "he asked for it" }

[[model.replies]]
text = "That cannot be done."

[expect]
"""


def transferred(agent: str, step: str, telephony: str, expect: str) -> None:
    call = call_script(WISHED % (agent, step) + expect, telephony=telephony)
    assert call.ok, call


def test_what_twilio_cannot_dial_is_refused_to_the_tool_in_virtual_time_too() -> None:
    transferred("", "", "audiocodes", 'ending = "transferred"\ntransfer = "tel:1234"')
    refused = "transfer = ''\nheard = ['cannot be done']"
    transferred("", "", "twilio", refused)


def test_nor_does_a_key_lead_to_what_twilio_cannot_dial() -> None:
    keys = 'keys = { "0" = "transfer:desk" }'
    press = ", { press = '0' }"
    transferred(keys, press, "audiocodes", 'ending = "transferred"')
    transferred(keys, press, "twilio", 'ending = "caller-hung-up"')

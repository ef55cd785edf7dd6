"""A name of a tool that nobody has is a mistake of the script, where all names are known."""

import pytest

from opusbridge import Agent, tool
from opusbridge.errors import ConfigurationError
from opusbridge.receptionist import RECEPTIONIST
from opusbridge.sim.script import CallScript, load, parse, shipped
from opusbridge.testing.names import check_names, hints
from opusbridge.tools import McpServer

BEGINNING = """
[caller]
steps = [{ wait = 1.0 }]

[[model.replies]]
tool = "look_up"

[[model.usual]]
tools = [{ name = "book" }]

[[tools]]
name = "look_up"
output = "left"
"""


@tool
def refund(order: str) -> str:
    """Gives the money back."""
    return order


AGENT = Agent(name="shop", instructions="Sell.", tools=[refund])


def written(more: str) -> CallScript:
    return parse(BEGINNING + more, "one", "one.toml")


def played(name: str) -> str:
    return f'[[tools]]\nname = "{name}"\noutput = "done"\n'


def expected(name: str, times: int | None = 0) -> str:
    rest = "" if times is None else f", times = {times}"
    return f'[expect]\ntools = [{{ name = "{name}"{rest} }}]\n'


def complaint(script: CallScript) -> str:
    with pytest.raises(ConfigurationError) as refused:
        check_names(script, AGENT)
    return str(refused.value)


def test_a_tool_that_is_never_to_be_called_must_be_somebodys() -> None:
    assert complaint(written(expected("re_fund"))) == (
        "one.toml:15: expect.tools[0].name: nobody has a tool re_fund: it is never called, "
        "whatever happens; did you mean refund?"
    )


def test_a_tool_that_is_played_must_be_somebodys() -> None:
    assert complaint(written(played("lookup"))) == (
        "one.toml:15: tools[1].name: the model's replies never call a tool lookup, and the agent "
        "has none; did you mean look_up?"
    )


def test_each_name_is_told_and_none_is_guessed_from_afar() -> None:
    told = complaint(written(played("xyz") + expected("qqq"))).splitlines()

    assert [line.partition(":")[2][:4] for line in told] == ["15: ", "18: "]
    assert not any("did you mean" in line for line in told)


@pytest.mark.parametrize("name", ["refund", "look_up", "book", "hang_up", "send_dtmf"])
def test_what_the_agent_the_script_or_opusbridge_has_may_be_expected_and_played(name: str) -> None:
    check_names(written(expected(name)), AGENT)
    if name != "look_up":
        check_names(written(played(name)), AGENT)


def test_what_an_expectation_names_may_be_played_and_never_called() -> None:
    check_names(written(played("erase") + expected("erase")), AGENT)


@pytest.mark.parametrize("times", [None, 1])
def test_what_fails_by_itself_is_left_to_fail(times: int | None) -> None:
    check_names(written(expected("re_fund", times)), AGENT)


def test_a_script_that_leaves_the_model_to_itself_may_play_any_tool() -> None:
    steps = "[caller]\nsteps = [{ wait = 1.0 }]\n"

    check_names(parse(steps + played("erase"), "one"), AGENT)


def test_nothing_is_said_of_an_agent_whose_tools_nobody_knows() -> None:
    wrong = written(played("lookup") + expected("re_fund"))
    server = McpServer(label="crm", url="https://crm.example.com/mcp")

    check_names(wrong, Agent(name="shop", instructions="Sell.", mcp=[server]))
    check_names(wrong, Agent(name="shop", instructions="Sell.", configure=lambda call: None))


def test_a_server_tool_of_the_models_replies_is_known() -> None:
    mcp = '[[model.replies]]\nmcp = [{ server = "crm", name = "find" }]\n'

    check_names(written(mcp + expected("find")), AGENT)


MISSPELT = """
[caller]
steps = [{ wait = 1.0 }]

[[model.replies]]
tool = "refnud"

[[model.replies]]
tools = [{ name = "erase" }, { name = "re_fund" }]

[[tools]]
name = "look_up"
output = "left"
"""


def misspelt(more: str) -> CallScript:
    return parse(MISSPELT + more, "one", "one.toml")


def test_a_misspelt_name_that_fails_by_itself_is_hinted_at() -> None:
    names = ("refunds", "lookup", "refnud", "abolish", "hang_up")
    tools = ", ".join(f'{{ name = "{name}" }}' for name in names)

    assert hints(misspelt(f"[expect]\ntools = [{tools}]\n"), AGENT) == [
        "one.toml:6: model.replies[0].tool: the agent has no tool refnud; did you mean refund?",
        "one.toml:9: model.replies[1].tools[1].name: the agent has no tool re_fund; "
        "did you mean refund?",
        "one.toml:15: expect.tools[0].name: the agent has no tool refunds; did you mean refund?",
        "one.toml:15: expect.tools[1].name: the agent has no tool lookup; did you mean look_up?",
    ]


def test_a_call_that_is_to_fail_is_meant_as_it_stands() -> None:
    failed = '[expect]\ntranscript = [{ speaker = "tool", status = "failed" }]\n'

    assert hints(misspelt(failed), AGENT) == []


def test_no_hint_is_given_at_tools_that_nobody_knows_or_of_a_shipped_script() -> None:
    chosen = Agent(name="shop", instructions="Sell.", tools=[refund], configure=lambda call: None)

    assert hints(misspelt(""), chosen) == []
    assert [name for name in shipped() if hints(load(name), RECEPTIONIST)] == []

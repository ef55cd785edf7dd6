"""What the service says of itself when it begins."""

from starlette.applications import Starlette
from structlog.testing import capture_logs

from opusbridge import Agent, Settings, create_app, tool


@tool
def find(order: str) -> str:
    """Find it."""
    return order


@tool
def drop(order: str) -> str:
    return order


async def test_a_tool_of_which_the_model_is_told_nothing_is_in_the_log_once_it_serves() -> None:
    agent = Agent(name="shop", instructions="Be brief.", tools=[find, drop])
    app: Starlette = create_app(Settings.load(), agent)
    with capture_logs() as lines:
        async with app.router.lifespan_context(app):
            pass

    (line,) = (one for one in lines if "tool" in one)
    assert line["event"] == "the model is not told what a tool is for: no docstring"
    assert (line["log_level"], line["tool"]) == ("warning", "drop")

"""An agent's own tools that failed as nobody meant them to.

The model is told that one failed, and makes the best of it; a test is better told.
"""

from collections.abc import Callable
from traceback import format_exception_only

from opusbridge.sim.script import CallScript
from opusbridge.sim.toolbox import told_of_failure
from opusbridge.tools.context import CallContext
from opusbridge.tools.registry import Tool, ToolOverran, ToolRaised

#: Characters shown of what a tool raised.
LONGEST_RAISED = 300


def unmeant(
    script: CallScript, tool: Tool, arguments: str, error: ToolRaised | ToolOverran
) -> list[str]:
    """One sentence; none, if the script expects that it fails."""
    use = f"{tool.name}({arguments}) -> {told_of_failure(str(error))}"
    if script.expect.fails(use):
        return []
    late = f"took longer than its {tool.timeout_seconds:g} s"
    what = f"raised {_raised(error)}" if isinstance(error, ToolRaised) else late
    return [f"the tool {tool.name} {what}"]


class WatchedTool(Tool):
    """The agent's own on real sockets, which tells of such a failure."""

    def __init__(self, own: Tool, script: CallScript, failed: Callable[[str], None]) -> None:
        super().__init__(own.function, own.manners)
        self.own, self._script, self._failed = own, script, failed

    async def run(self, arguments_json: str, call: CallContext) -> str:
        try:
            return await self.own.run(arguments_json, call)
        except (ToolRaised, ToolOverran) as error:
            for told in unmeant(self._script, self.own, arguments_json, error):
                self._failed(told)
            raise


def _raised(failed: ToolRaised) -> str:
    """In its own words: whoever reads it wrote the test, and what the caller says in it."""
    cause = failed.__cause__
    assert cause is not None
    words = " ".join("".join(format_exception_only(cause)).split())
    _, _, where = failed.places.partition(" at ")
    return f"{words[:LONGEST_RAISED]} ({where})"

"""Names of tools in a call script that nobody has: what they say would do nothing, silently.

Judged only where all names are known: with the simulated model, whose every call is written in
the script, and an agent that has its tools before the call.
"""

from collections.abc import Iterable
from difflib import get_close_matches

from opusbridge.agent import Agent
from opusbridge.errors import ConfigurationError
from opusbridge.sim.script import CallScript
from opusbridge.sim.script.mistakes import key
from opusbridge.sim.script.places import Path
from opusbridge.tools import collect_digits, hang_up, send_dtmf, transfer_call

#: Any agent may be given these; a script that expects none of them is right with all agents.
_BUILT_IN = frozenset(one.name for one in (collect_digits, hang_up, send_dtmf, transfer_call))


def check_names(script: CallScript, agent: Agent) -> None:
    """``agent`` as it was given, without the tools of the script.

    An agent that is chosen for the call (``configure``), or that uses MCP servers, may have
    tools of any name: nothing is said then.

    :raises ConfigurationError: naming the line of each name that nobody has.
    """
    if agent.configure is not None or agent.mcp:
        return
    called = set(_called(script))
    own = {tool.name for tool in agent.tools} | _BUILT_IN
    if told := [*_never_played(script, called, own), *_never_called(script, called | own)]:
        raise ConfigurationError("\n".join(told))


def hints(script: CallScript, agent: Agent) -> list[str]:
    """Of each name that the model calls or an expectation has, that is nobody's, and spelt nearly
    as one of the agent's: the call fails by itself, and does not show why."""
    if agent.configure is not None or agent.mcp:
        return []
    own = {tool.name for tool in agent.tools} | {table.name for table in script.tools}
    known = own | _BUILT_IN
    # What is to fail is meant as it stands.
    strange = [one for one in _calls(script) if not script.expect.fails(one[1])]
    called = known | set(_called(script))
    for nth, wanted in enumerate(script.expect.tools):
        if wanted.times != 0 and wanted.name not in called:  # the others are refused
            strange.append((("expect", "tools", nth, "name"), wanted.name))
    return [
        _told(script, place, f"the agent has no tool {name}", name, own)
        for place, name in strange
        if name not in known and get_close_matches(name, own, n=1)
    ]


def _calls(script: CallScript) -> Iterable[tuple[Path, str]]:
    """Of the agent's tools by the model, as it is written, and where."""
    for table in ("replies", "usual"):
        for nth, reply in enumerate(getattr(script.model, table)):
            place: Path = ("model", table, nth)
            if reply.tool is not None:
                yield (*place, "tool"), reply.tool
            yield from (
                ((*place, "tools", which, "name"), call.name)
                for which, call in enumerate(reply.tools)
            )


def _called(script: CallScript) -> Iterable[str]:
    """The same, and the tools of MCP servers, without their places."""
    yield from (name for _, name in _calls(script))
    for reply in (*script.model.replies, *script.model.usual):
        yield from (call.name for call in reply.mcp)


def _never_played(script: CallScript, called: set[str], own: set[str]) -> Iterable[str]:
    """A script without replies is for another model, and one that expects a tool knows it."""
    if not (script.model.replies or script.model.usual):
        return
    expected = {wanted.name for wanted in script.expect.tools}
    for nth, table in enumerate(script.tools):
        if table.played and table.name not in called | own | expected:
            what = f"the model's replies never call a tool {table.name}, and the agent has none"
            yield _told(script, ("tools", nth, "name"), what, table.name, called | own)


def _never_called(script: CallScript, known: set[str]) -> Iterable[str]:
    """What is called too seldom fails by itself; what nobody can call would always hold."""
    known = known | {table.name for table in script.tools}
    for nth, wanted in enumerate(script.expect.tools):
        if wanted.times == 0 and wanted.name not in known:
            what = f"nobody has a tool {wanted.name}: it is never called, whatever happens"
            yield _told(script, ("expect", "tools", nth, "name"), what, wanted.name, known)


def _told(script: CallScript, place: Path, what: str, name: str, known: set[str]) -> str:
    near = get_close_matches(name, sorted(known), n=1)
    hint = f"; did you mean {near[0]}?" if near else ""
    return f"{script.file}:{script.line(place)}: {key(place)}: {what}{hint}"

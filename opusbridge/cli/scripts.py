"""Which call scripts are meant, for the commands that play them."""

from collections.abc import Sequence
from pathlib import Path

import typer

from opusbridge.agent import Agent
from opusbridge.cli.calling import Side
from opusbridge.errors import ConfigurationError
from opusbridge.sim import script
from opusbridge.sim.script import CallScript
from opusbridge.testing.conduct import agent_for, applied, settings_for
from opusbridge.testing.names import check_names, hints

#: What may be named; for ``--help``.
NAMED = "a TOML file, a folder of them, or the name of a script that comes with opusbridge"


def load(names: Sequence[str]) -> list[CallScript]:
    """What is named, and on stderr what is no mistake in it but probably not meant.

    :raises ConfigurationError: there is no such script, or it is none.
    """
    loaded = script.load_all(names, _passed_over)
    for hint in (hint for one in loaded for hint in one.hints):
        _hint(hint)
    return loaded


def _passed_over(file: Path) -> None:
    _hint(f"{file}: passed over: it has neither caller nor expect")


def _hint(text: str) -> None:
    typer.echo(f"opusbridge: {text}", err=True)


def check(loaded: Sequence[CallScript], agent: Agent, *, names: bool = True) -> None:
    """What only shows with an agent, before the first call: none is to be made in vain; what is
    probably not meant is told on stderr.

    :raises ConfigurationError: as each of these does; ``names`` of tools may be anybody's
        where the model is a real one.
    """
    for one in loaded:
        if names:
            check_names(one, agent)
        applied(one, agent_for(one, agent), settings_for(one))
        for hint in hints(one, agent) if names else ():
            _hint(hint)


def pairs(loaded: Sequence[CallScript], telephony: Side) -> list[tuple[CallScript, str]]:
    """Each script with each telephony side that calls and that it is for.

    :raises ConfigurationError: there is nothing to play.
    """
    found: list[tuple[CallScript, str]]
    found = [(one, side) for one in loaded for side in telephony.telephonies
             if side in one.telephony]  # fmt: skip
    if not found:
        raise ConfigurationError(f"--telephony: none of these scripts is for {telephony.value}")
    return found

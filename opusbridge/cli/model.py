"""``opusbridge model``: the Realtime simulator on a real socket, for anyone's client."""

import asyncio
import os
import sys
from random import Random
from shlex import quote
from shutil import which
from typing import Annotated

import typer

from opusbridge.errors import ConfigurationError
from opusbridge.sim import script
from opusbridge.sim.model import Knobs, SimulatedModel
from opusbridge.sim.model_server import ModelServer, Upgrade
from opusbridge.sim.script import CallScript


def model(
    host: Annotated[str, typer.Option(help="Address to listen on.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=0, max=65535, help="Port to listen on.")] = 8090,
    said: Annotated[
        str,
        typer.Option(
            "--script", metavar="FILE|NAME", help="The call script whose model says what it says."
        ),
    ] = "opening-hours",
    fault: Annotated[
        list[str] | None,
        typer.Option(help="NAME[=VALUE], may be repeated; a wrong name lists all."),
    ] = None,
    seed: Annotated[int, typer.Option(help="Decides whatever is left to chance.")] = 1,
) -> None:
    """Answer Realtime sessions as the real API does, strictly; any key is accepted, and none."""
    played = script.load(said)
    for hint in played.hints:
        typer.echo(f"opusbridge: {hint}", err=True)
    try:
        knobs = Knobs.parse(*(fault or []), over=played.model.behaviour())
    except ValueError as error:
        raise ConfigurationError(f"--fault: {error}") from None
    try:
        asyncio.run(_serve(host, port, played, knobs, Random(seed)))
    except KeyboardInterrupt:
        pass


async def _serve(host: str, port: int, played: CallScript, knobs: Knobs, random: Random) -> None:
    def make(upgrade: Upgrade) -> SimulatedModel:
        return SimulatedModel(
            knobs,
            Random(random.random()),
            played.reply_script(),
            now=upgrade.now,
            query=upgrade.query,
            headers={"authorization": "Bearer any", **upgrade.headers},
            unix_time=upgrade.unix_time,
        )

    try:
        async with ModelServer(make, host, port, kept=0) as served:
            typer.echo(f"simulated Realtime model: {served.url}")
            typer.echo(f"try it: OPUSBRIDGE_REALTIME_URL={served.url} {_command()} serve")
            await asyncio.Event().wait()
    except (OSError, UnicodeError) as error:
        raise ConfigurationError(f"cannot listen on {host}:{port}: {_why(error)}") from None


def _why(error: OSError | UnicodeError) -> str | None:
    if isinstance(error, UnicodeError):
        return "no such address"  # nor a name that could be looked up
    return os.strerror(error.errno) if error.errno and error.errno > 0 else error.strerror


def _command() -> str:
    """What a shell finds us by: the scripts of a virtual environment need not be on its path."""
    return "opusbridge" if which("opusbridge") else f"{quote(sys.executable)} -m opusbridge"

"""The plain functions behind the fixtures: play a script, run a model, call a bridge."""

import asyncio
from collections.abc import Callable, Coroutine, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, TypeVar

from opusbridge.agent import Agent
from opusbridge.config import Settings
from opusbridge.errors import ConfigurationError
from opusbridge.receptionist import RECEPTIONIST
from opusbridge.sim import script as scripts
from opusbridge.sim.account import TwiMLRefused
from opusbridge.sim.script import CallScript
from opusbridge.sim.sockets import CallRefused
from opusbridge.testing import virtual
from opusbridge.testing.dialling import call_bridge
from opusbridge.testing.refused import NoCall, told
from opusbridge.testing.result import CallResult
from opusbridge.testing.serving import RunningModel

T = TypeVar("T")


def load_script(script: CallScript | str | Path) -> CallScript:
    """A script by its file, by a shipped one's name, or from TOML text with a line break in it.

    :raises ConfigurationError: with file, line, and what was expected there.
    """
    if isinstance(script, CallScript):
        return script
    if isinstance(script, str) and "\n" in script:
        return scripts.parse(script, "script", "<script>")
    return scripts.load(script)


def call_script(
    script: CallScript | str | Path,
    *,
    agent: Agent | str = RECEPTIONIST,
    telephony: str = "twilio",
    seed: int | None = None,
) -> CallResult:
    """A whole call in virtual time, with the agent's own tools: a minute in half a second.

    ``script`` as :func:`load_script` takes it; ``agent`` may be ``FILE.py[:NAME]`` or
    ``FILE.toml``; ``seed`` stands in for the script's. Tools are run to completion; how long
    they take is what the script declares, 0.2 s otherwise.

    :raises ConfigurationError: the script or the agent cannot be.
    """
    loaded = _for(telephony, script)
    who = agent if isinstance(agent, Agent) else Agent.load(agent)
    return virtual.play(loaded, telephony, who, seed=seed)


@contextmanager
def simulated_model(script: CallScript | str | Path | None = None) -> Iterator[RunningModel]:
    """The simulated Realtime model on a socket of loopback, for whatever client is tested.

    It says what ``script`` has for it, and makes small talk otherwise. Runs in a thread of its
    own, so that it serves async and ordinary tests alike.
    """
    loaded = None if script is None else load_script(script)
    with RunningModel(loaded) as running:
        yield running


def simulated_caller(
    url: str,
    script: CallScript | str | Path,
    *,
    telephony: str = "twilio",
    settings: Settings | None = None,
) -> CallResult:
    """A call in real time to a bridge that runs at ``url`` (``ws://…``), over real sockets.

    Only what the caller lives through can be judged; the rest is in ``not_checked``.
    ``settings``: whose secrets open the doors; those of the environment by default.

    :raises ConfigurationError: the script, the side or the address cannot be.
    :raises NoCall: nobody answers there, or the call was refused; with what to look at.
    """
    loaded = _for(telephony, script)
    try:
        return _run(call_bridge(loaded, telephony, url, settings or Settings.load()))
    except (TwiMLRefused, CallRefused) as refused:
        raise NoCall(told(refused, telephony)) from None


def _for(telephony: str, script: CallScript | str | Path) -> CallScript:
    """The script, which must be for that side."""
    loaded = load_script(script)
    if telephony not in loaded.telephony:
        sides = " and ".join(loaded.telephony)
        raise ConfigurationError(f"{loaded.name} is for {sides}, not for {telephony!r}")
    return loaded


def _run(work: Coroutine[Any, Any, T]) -> T:
    """In a thread of its own: whoever calls may have a loop already. If he is interrupted, so
    is the work."""
    begun: Future[Callable[[], object]] = Future()

    async def interruptible() -> T:
        loop, task = asyncio.get_running_loop(), asyncio.current_task()
        assert task is not None
        begun.set_result(lambda: loop.call_soon_threadsafe(task.cancel))
        return await work

    with ThreadPoolExecutor(1) as thread:
        try:
            return thread.submit(lambda: asyncio.run(interruptible())).result()
        except BaseException:
            if begun.cancel():
                work.close()  # it has not begun, and now cannot
            else:
                with suppress(RuntimeError):  # its loop is closed: it has ended
                    begun.result()()
            raise

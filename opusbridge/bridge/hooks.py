"""The agent's own functions at both ends of a call: ``configure`` and ``on_end``.

They are the user's code, so they may raise anything, take for ever, and hold secrets: each has
a time, and what goes wrong is told in one line that names the place and none of the words.
Async functions run in the event loop, others in threads that nobody waits for: one that never
returns keeps neither its call from ending, nor the process, nor the rest of it from its files.
"""

import asyncio
import inspect
import re
from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import replace
from difflib import get_close_matches
from functools import partial
from pathlib import Path
from typing import Any

from opusbridge.agent import Agent
from opusbridge.bridge.conduct import CONFIGURE_SECONDS
from opusbridge.bridge.speech import own_clip
from opusbridge.call.policy import TelephonyTraits
from opusbridge.config import Settings
from opusbridge.errors import ConfigurationError
from opusbridge.logs import Log, places
from opusbridge.manners import NoInput
from opusbridge.recording.files import plain
from opusbridge.tools.contained import in_a_task, we_are_cancelled
from opusbridge.tools.context import CallContext
from opusbridge.tools.mcp import McpServer
from opusbridge.tools.outcome import CallOutcome
from opusbridge.tools.workers import Workers

log = Log("opusbridge.bridge")

#: What is to be done with the whole of a call, besides the agent's own.
OnOutcome = Callable[[CallOutcome], Awaitable[None]]

#: Apart from the tools' threads and from each other, so that the ones cannot use up the others',
#: and from the event loop's own, which the process waits for when it ends and which it reads and
#: writes files with.
CONFIGURING = Workers(name="opusbridge-configure")
ENDING = Workers(name="opusbridge-on-end")

#: Seconds after which ``configure`` is told to stop: by then the call has gone on without it.
LEFT_BEHIND_SECONDS = CONFIGURE_SECONDS + 0.5

#: Seconds for ``on_end``: it holds up the end of the process, too.
ON_END_SECONDS = 10.0

#: Names that an answer's keys can have.
_NAMES = frozenset({*Agent.model_fields, *NoInput.model_fields, *McpServer.model_fields})
#: How like one of them a misspelt one is.
_NEARLY = 0.8
#: A key as it may stand in a log.
_KEY = re.compile(r"[A-Za-z0-9_*#-]{1,40}", re.ASCII)
#: Parts of a key's path that are shown.
_DEEPEST = 6


async def configured(
    agent: Agent,
    settings: Settings,
    traits: TelephonyTraits,
    context: CallContext,
    failed: Callable[[str], None] = lambda why: None,
) -> Agent | None:
    """Who answers this call; ``None``: the agent as it is, also when the hook fails, which
    ``failed`` is told: where, or what it gave that cannot be."""
    limit = asyncio.timeout(LEFT_BEHIND_SECONDS)
    begun: list[bool] = []
    try:
        async with limit:
            with agent.at_home():
                return await _changed(agent, settings, traits, context, begun)
    except (Exception, SystemExit, asyncio.CancelledError) as error:
        # The function is the user's code: it may raise anything, and even try to leave.
        if isinstance(error, asyncio.CancelledError) and we_are_cancelled():
            raise
        if limit.expired():  # that it took too long is the call's to say
            if not all(begun):
                log.error("no thread was free for configure", lost=CONFIGURING.lost)
            failed(f"it took longer than {CONFIGURE_SECONDS:g} s")
            return None
        log.error(
            "configure failed: the agent as it is", raised=places(error), **_about(error, agent)
        )
        failed(str(error) if isinstance(error, ConfigurationError) else places(error))
        return None


async def _changed(
    agent: Agent,
    settings: Settings,
    traits: TelephonyTraits,
    context: CallContext,
    begun: list[bool],
) -> Agent | None:
    assert agent.configure is not None
    told = await _ask(agent.configure, context, CONFIGURING, begun)
    if told is None:
        return None
    changed = await _made_of(agent, told, context)
    turns = changed.applied_to(settings).turn_detection
    if turns == "none" and not traits.told_of_speech:
        raise ConfigurationError(
            "nobody would find the end of the caller's turns", "turn_detection"
        )
    if sounds := _sounds(changed) - _sounds(agent):  # the call began with the agent's own
        # It takes them from the cache: the event loop reads none.
        read = partial(_read, sounds)
        await CONFIGURING.result(CONFIGURING.submit(context.call_id, read))
    return changed


def _sounds(agent: Agent) -> set[Path]:
    named = (agent.greeting_audio, *(tool.filler for tool in agent.tools))
    return {sound for sound in named if sound is not None}


def _read(sounds: Iterable[Path]) -> None:
    for sound in sounds:
        own_clip(sound)


async def _made_of(agent: Agent, told: object, context: CallContext) -> Agent:
    """In a thread where files may have to be read."""
    if isinstance(told, Mapping) and not told.keys().isdisjoint(("greeting_audio", "tools")):
        made = partial(agent.changed, told)
        found: Agent = await CONFIGURING.result(CONFIGURING.submit(context.call_id, made))
        return found
    return agent.changed(told)


def _about(error: BaseException, agent: Agent) -> dict[str, str]:
    """The key that the hook's answer has wrong, for the log; never its value."""
    key = error.key if isinstance(error, ConfigurationError) else ""
    known = {*_NAMES, *agent.destinations}
    parts = [_shown(part, known) for part in key.split(".")[:_DEEPEST]]
    return {"about": ".".join(parts)} if key else {}


def _shown(part: str, known: set[str]) -> str:
    """What the hook made up itself may be anything, unless it is nearly a name of ours."""
    if part in known or re.fullmatch(r"[0-9]{1,2}|[*#]", part, re.ASCII):
        return part
    misspelt = _KEY.fullmatch(part) and get_close_matches(part, known, 1, _NEARLY)
    return part if misspelt else "?"


async def tell_of_end(
    on_end: Callable[..., Any] | None, more: OnOutcome | None, outcome: CallOutcome
) -> None:
    """Each is told exactly once, and to the end even if whoever waits is cancelled."""
    hooks = [hook for hook in (on_end, more) if hook is not None]
    tasks = [asyncio.create_task(_tell(hook, _copy(outcome))) for hook in hooks]
    cancelled = False
    while left := [task for task in tasks if not task.done()]:
        try:
            await asyncio.wait(left)
        except asyncio.CancelledError:
            cancelled = True
    if cancelled:
        raise asyncio.CancelledError


def _copy(outcome: CallOutcome) -> CallOutcome:
    """As the files have it, and nobody else's: those may still be being written."""
    return replace(outcome, call=plain(outcome.call), transcript=plain(outcome.transcript))


async def _tell(hook: Callable[[CallOutcome], Any], outcome: CallOutcome) -> None:
    limit = asyncio.timeout(ON_END_SECONDS)
    begun: list[bool] = []
    try:
        async with limit:
            await _ask(hook, outcome, ENDING, begun)
    except (Exception, SystemExit, asyncio.CancelledError) as error:
        if isinstance(error, asyncio.CancelledError) and we_are_cancelled():
            log.error("on_end was cut off")  # the process ends
            raise
        if limit.expired() and not all(begun):
            log.error("no thread was free for on_end", lost=ENDING.lost)
        elif limit.expired():
            log.error("on_end took too long", limit_seconds=ON_END_SECONDS)
        else:
            log.error("on_end failed", raised=places(error))


async def _ask(
    hook: Callable[[Any], Any],
    what: CallContext | CallOutcome,
    threads: Workers,
    begun: list[bool],
) -> Any:
    """``begun`` gets an entry that is false if no thread was free to call it in."""
    if inspect.iscoroutinefunction(hook) or inspect.iscoroutinefunction(
        getattr(hook, "__call__", None)  # noqa: B004  # an object of the user's own
    ):
        return await in_a_task(hook(what))
    if isinstance(what, CallContext):
        what = what.for_thread(asyncio.get_running_loop())
    job = threads.submit(what.call_id, partial(hook, what))
    try:
        found = await threads.result(job)
    finally:
        begun.append(job.begun)
    return await in_a_task(found) if inspect.isawaitable(found) else found

"""Tools: functions the model may call, described by their own signature.

Rule 1: whatever a tool does, the model gets an answer: its result or one short sentence.
Rule 2: what a tool was given and what it says stays out of the logs; they name the tool, the
kind of failure and the place in the code.
"""

import asyncio
import inspect
import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass, fields
from functools import partial, update_wrapper
from pathlib import Path
from typing import Any, Literal, get_args, overload

from pydantic import ValidationError

from opusbridge.errors import ConfigurationError, OpusbridgeError
from opusbridge.logs import Log, places
from opusbridge.tools.contained import ends_us, in_a_task
from opusbridge.tools.context import CallContext
from opusbridge.tools.results import LONGEST_RESULT, TooLong, as_text
from opusbridge.tools.signature import Signature, named, read_signature
from opusbridge.tools.workers import WORKERS

#: Seconds a tool may take unless it says otherwise: a caller waits that long after "let me
#: look it up", and hardly longer.
DEFAULT_TIMEOUT = 10.0

#: When the model is asked to speak because a tool is done.
Reply = Literal["always", "if_silent", "never"]

#: Mistakes named to the model at once; it mends them all or starts afresh.
_MISTAKES = 3

_NAME = re.compile(r"[a-zA-Z0-9_-]{1,64}")  # what the Realtime API takes

log = Log(__name__)


@dataclass(frozen=True, slots=True)
class Manners:
    """How a call behaves around a tool; see :func:`tool`."""

    timeout_seconds: float = DEFAULT_TIMEOUT
    reply: Reply = "always"
    say_first: str | None = None
    filler_after: float | None = None
    filler: str | Path | None = None

    def check(self, name: str) -> None:
        """Raises :class:`ConfigurationError` for what cannot be."""
        for key in ("timeout_seconds", "filler_after"):
            value = getattr(self, key)
            if value is not None and not (isinstance(value, int | float) and value > 0):
                raise ConfigurationError(f"tool {name}: {key} must be a number above 0")
        if self.reply not in get_args(Reply):
            raise ConfigurationError(
                f"tool {name}: reply must be one of {', '.join(get_args(Reply))}"
            )
        if self.say_first is not None and not self.say_first.strip():
            raise ConfigurationError(f"tool {name}: say_first must say something")
        if self.filler is not None and self.filler_after is None:
            raise ConfigurationError(f"tool {name}: filler needs filler_after")


class ToolFailed(OpusbridgeError):
    """The tool has no result. The message is for the model, and is all it will be told.

    A tool may raise it itself, to say in its own words what went wrong.
    """


class ToolRefused(ToolFailed):
    """It was not run: there is none of that name, or these are no arguments for it."""


class ToolRaised(ToolFailed):
    """Nobody meant it to: the cause is what its function raised, or why its result is none."""

    def __init__(self, tool: str, error: BaseException) -> None:
        super().__init__(f"{tool} failed")
        self.places = places(error)


class ToolOverran(ToolFailed):
    """It took longer than it may."""


class Tool:
    """A function the model may call. Made by :func:`tool`; still callable as the function."""

    def __init__(self, function: Callable[..., Any], manners: "Manners | None" = None) -> None:
        manners = manners or Manners()
        self.name = getattr(function, "__name__", "")
        if not _NAME.fullmatch(self.name):
            raise ConfigurationError(
                "a tool is a function with a name of at most 64 ASCII letters, digits and _"
            )
        manners.check(self.name)
        self.function = function
        self.manners = manners
        self._signature: Signature = read_signature(function)
        update_wrapper(self, function, updated=())  # not its attributes: ours have names too

    @property
    def timeout_seconds(self) -> float:
        return self.manners.timeout_seconds

    @property
    def filler(self) -> Path | None:
        """Its own filler: where it says so, from the folder of the function's file on."""
        if self.manners.filler is None:
            return None
        home = Path(inspect.getsourcefile(inspect.unwrap(self.function)) or "").parent
        return (home / self.manners.filler).absolute()

    @property
    def description(self) -> str:
        return self._signature.description

    @property
    def parameters(self) -> dict[str, Any]:
        """JSON schema of the arguments, before any agent's destinations are put in."""
        return self._signature.parameters

    @property
    def wants_destinations(self) -> bool:
        return self._signature.marked != self._signature.parameters

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        return self.function(*args, **kwargs)

    def __repr__(self) -> str:
        return f"<Tool {self.name}>"

    def definition(self, destinations: Iterable[str] = ()) -> dict[str, Any]:
        """The tool in the shape of a Realtime session; ``destinations`` are the names the
        agent may transfer to, shown to the model where a parameter asks for one."""
        return {
            "type": "function",
            "name": self.name,
            "description": self.description,
            "parameters": named(self._signature.marked, [*destinations]),
        }

    async def run(self, arguments_json: str, call: CallContext) -> str:
        """The result as the model will read it; raises :class:`ToolFailed` and nothing else.

        Async functions run in the event loop and are cancelled with the caller of this. Others
        run in a thread (``workers.py``), which nobody can stop: one that overran is answered
        for and left to end by itself.
        """
        limit = asyncio.timeout(self.timeout_seconds)
        begun: list[bool] = []
        try:
            arguments = self._checked(arguments_json)
            async with limit:
                result = await self._perform(arguments, call, begun)
            return self._as_text(result)
        except ToolFailed:
            raise
        except BaseException as error:
            # The function and the types it names are the user's code: they may raise anything,
            # and even try to leave.
            if ends_us(error):
                raise
            if limit.expired() and isinstance(error, TimeoutError):
                raise self._overran(any(begun)) from None
            log.error("tool failed", tool=self.name, raised=places(error))
            raise ToolRaised(self.name, error) from error

    def overran(self) -> ToolOverran:
        """What the model is told when it took too long."""
        return ToolOverran(f"{self.name} took longer than {self.timeout_seconds:g} s")

    def _overran(self, begun: bool) -> ToolFailed:
        if not begun:
            log.warning("no thread was free for a tool", tool=self.name, lost=WORKERS.lost)
            return ToolFailed(f"{self.name} could not be run: too many tools are running")
        log.warning("tool overran", tool=self.name, limit_seconds=self.timeout_seconds)
        return self.overran()

    def _checked(self, arguments_json: str) -> dict[str, Any]:
        """The arguments given, by the function's own names; defaults are left to it."""
        model = self._signature.arguments
        try:
            given = model.model_validate_json(arguments_json or "{}")
        except ValidationError as error:
            mistakes = error.errors(include_input=False, include_url=False)[:_MISTAKES]
            told = "; ".join(
                ": ".join(filter(None, [".".join(map(str, mistake["loc"])), mistake["msg"]]))
                for mistake in mistakes
            )
            raise ToolRefused(f"wrong arguments: {told}") from None
        fields = model.model_fields
        return {str(fields[name].alias): getattr(given, name) for name in given.model_fields_set}

    async def _perform(
        self, arguments: dict[str, Any], call: CallContext, begun: list[bool]
    ) -> Any:
        """``begun`` gets an entry that is true if the function was called at all."""
        in_thread = not inspect.iscoroutinefunction(self.function)
        if self._signature.call_parameter is not None:
            seen = call.for_thread(asyncio.get_running_loop()) if in_thread else call
            arguments = {**arguments, self._signature.call_parameter: seen}
        if not in_thread:
            begun.append(True)
            return await in_a_task(self.function(**arguments))
        job = WORKERS.submit(call.call_id, partial(self.function, **arguments))
        try:
            result = await WORKERS.result(job)
        finally:
            begun.append(job.begun)
        return await in_a_task(result) if inspect.isawaitable(result) else result

    def _as_text(self, result: Any) -> str:
        try:
            return as_text(result)
        except TooLong:
            log.warning("tool result too long", tool=self.name)
            raise ToolFailed(
                f"the result of {self.name} is too long: more than {LONGEST_RESULT} characters"
            ) from None
        except Exception as error:  # not JSON, it contains itself, or will not be read
            log.error("tool result cannot be said in JSON", tool=self.name, raised=places(error))
            raise ToolRaised(self.name, error) from error


@overload
def tool(function: Callable[..., Any], /) -> Tool: ...
@overload
def tool(
    *,
    timeout_seconds: float = ...,
    reply: Reply = ...,
    say_first: str | None = ...,
    filler_after: float | None = ...,
    filler: str | Path | None = ...,
) -> Callable[[Callable[..., Any]], Tool]: ...
def tool(
    function: Callable[..., Any] | None = None,
    /,
    *,
    timeout_seconds: float = DEFAULT_TIMEOUT,
    reply: Reply = "always",
    say_first: str | None = None,
    filler_after: float | None = None,
    filler: str | Path | None = None,
    **unknown: Any,
) -> Tool | Callable[[Callable[..., Any]], Tool]:
    """Make a function a tool, as ``@tool`` or ``@tool(timeout_seconds=10)``.

    The docstring tells the model what it is for, the types what to give it. A parameter of
    type :class:`CallContext` is filled in and hidden from the model.

    * ``reply``: whether the model is asked to speak when the tool is done. ``if_silent``: only
      if it has said nothing since it began the response that called the tool. A tool that
      failed is always spoken of.
    * ``say_first``: what the model says, word for word, while the tool runs, unless it said
      something of its own before it called the tool, or the tool was quicker.
    * ``filler_after``: after so many seconds of silence while the tool runs a clip is played,
      which stops when the answer begins: "one moment please", or ``filler``, a WAV file
      named from the function's own file.

    Raises :class:`ConfigurationError` where the model could not be told how to call the
    function, its docstring misspells a parameter, or a manner cannot be. Without a docstring the
    model has only the names to go by: of that the log warns when the service begins.
    """
    if unknown:
        known = ", ".join(one.name for one in fields(Manners))
        raise ConfigurationError(f"@tool takes no {next(iter(unknown))}; it takes {known}")
    if function is not None:
        return Tool(function)
    manners = Manners(timeout_seconds, reply, say_first, filler_after, filler)
    return lambda function: Tool(function, manners)

"""Call scripts: what a caller does, what the model says, what must come of it; in TOML.

::

    [caller]
    steps = [
        { wait_for_agent = true },
        { say = "opening-hours" },
        { interrupt = { after_ms = 2000, say = "one-more-thing" } },
        { press = "12#" },
        { wait = 1.5 },
        { hang_up = true },
    ]

    [[model.replies]]
    voice = "thank-you-for-calling"
    tool = "hang_up"
    arguments = { reason = "caller said goodbye" }

    [expect]
    heard = ["thank you for calling"]
    ending = "agent-hung-up"

A spoken line is one of ``voices.LINES``, by its slug or by its words. A reply of the model
may also have any ``text``: it is hummed.
"""

import tomllib
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from json import dumps
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    ValidationError,
    model_validator,
)

from opusbridge.errors import REASONS, ConfigurationError
from opusbridge.sim import voices
from opusbridge.sim.callers.person import (
    DropLine,
    HangUp,
    Interrupt,
    Person,
    Press,
    Say,
    Step,
    Wait,
    WaitForAgent,
    WaitForSound,
)
from opusbridge.sim.callers.sounds import resampled
from opusbridge.sim.model.replies import Reply, ReplyScript, ToolCallReply

_WORDS = {text.casefold(): slug for slug, text in voices.LINES.items()}


def _line(text: str) -> str:
    """The slug of a shipped line."""
    slug = text if text in voices.LINES else _WORDS.get(text.casefold())
    if slug is None:
        raise ValueError(f"no such spoken line; there are {', '.join(sorted(voices.LINES))}")
    return slug


def _reason(text: str) -> str:
    if text not in REASONS:
        raise ValueError(f"no such reason; there are {', '.join(sorted(REASONS))}")
    return text


Line = Annotated[str, AfterValidator(_line)]


class _Table(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True)


class InterruptTable(_Table):
    after_ms: Annotated[int, Field(ge=0)]
    """Of the agent's speech, as heard."""
    say: Line


class StepTable(_Table):
    """One step: exactly one of these."""

    say: Line | None = None
    wait: Annotated[float, Field(gt=0)] | None = None
    wait_for_agent: Literal[True] | None = None
    wait_for_sound: Literal[True] | None = None
    interrupt: InterruptTable | None = None
    press: Annotated[str, Field(pattern=r"^[0-9*#A-D]+$")] | None = None
    drop_line: Literal[True] | None = None
    hang_up: Literal[True] | None = None

    @model_validator(mode="after")
    def _exactly_one(self) -> "StepTable":
        if len(self.model_fields_set) != 1:
            kinds = ", ".join(type(self).model_fields)
            raise ValueError(f"a step is exactly one of {kinds}")
        return self

    def step(self) -> Step:
        """What the person does."""
        match self:
            case StepTable(say=str(slug)):
                return spoken(slug)
            case StepTable(wait=float(seconds)):
                return Wait(seconds)
            case StepTable(wait_for_agent=True):
                return WaitForAgent()
            case StepTable(wait_for_sound=True):
                return WaitForSound()
            case StepTable(interrupt=InterruptTable(after_ms=after_ms, say=slug)):
                return Interrupt(after_ms, spoken(slug))
            case StepTable(press=str(digits)):
                return Press(digits)
            case StepTable(drop_line=True):
                return DropLine()
            case _:
                return HangUp()


class CallerTable(_Table):
    steps: tuple[StepTable, ...]


class ReplyTable(_Table):
    """One response of the model, in order."""

    text: str = ""
    """The words; with a ``voice`` only where they differ from its line."""
    voice: Line | None = None
    tool: str | None = None
    """The name of a tool called after the words, if there are any."""
    arguments: dict[str, Any] = {}
    delay: Annotated[float, Field(ge=0)] = 0.0
    """Seconds the model thinks longer than usual."""

    @model_validator(mode="after")
    def _something(self) -> "ReplyTable":
        if not self.text and self.voice is None and self.tool is None:
            raise ValueError("a reply has a text, a voice or a tool")
        if self.arguments and self.tool is None:
            raise ValueError("arguments without a tool")
        return self

    def reply(self) -> Reply:
        calls = (ToolCallReply(self.tool, dumps(self.arguments)),) if self.tool else ()
        if self.voice is None:
            return Reply(self.text, None, calls, self.delay)
        text = self.text or voices.LINES[self.voice]
        return Reply(text, _pcm24k(self.voice), calls, self.delay)


class ModelTable(_Table):
    replies: tuple[ReplyTable, ...] = ()


@dataclass(frozen=True, slots=True)
class Evidence:
    """What came of a call."""

    heard: str
    """The agent's words, as far as the caller heard them."""
    ending: str
    """The reason."""
    conflicts: int
    turns: int
    barge_ins: int


class ExpectTable(_Table):
    heard: tuple[str, ...] = ()
    """Each must be among what was heard; case does not matter."""
    ending: Annotated[str, AfterValidator(_reason)] | None = None
    conflicts: Annotated[int, Field(ge=0)] = 0
    """Requests the model may refuse because a response was active: none, that is the point."""
    min_turns: Annotated[int, Field(ge=0)] = 0
    barge_ins: Annotated[int, Field(ge=0)] | None = None

    def unmet(self, evidence: Evidence) -> list[str]:
        """What was expected and did not come; empty is well."""
        heard = evidence.heard.casefold()
        found = [f"never heard: {text}" for text in self.heard if text.casefold() not in heard]
        if self.ending is not None and evidence.ending != self.ending:
            found.append(f"ended for {evidence.ending}, not for {self.ending}")
        if evidence.conflicts > self.conflicts:
            found.append(f"{evidence.conflicts} requests refused, at most {self.conflicts} allowed")
        if evidence.turns < self.min_turns:
            found.append(f"{evidence.turns} turns, at least {self.min_turns} expected")
        if self.barge_ins is not None and evidence.barge_ins != self.barge_ins:
            found.append(f"{evidence.barge_ins} barge-ins, {self.barge_ins} expected")
        return found


class CallScript(_Table):
    """A written call."""

    name: str = ""
    """Filled with the file's name where the script has none."""
    description: str = ""
    caller: CallerTable
    model: ModelTable = ModelTable()
    expect: ExpectTable = ExpectTable()

    def person(self) -> Person:
        """A new person who will do as written."""
        return Person([table.step() for table in self.caller.steps])

    def reply_script(self) -> ReplyScript:
        """What the model says, and what it hears the caller say."""
        words = [
            step.text if isinstance(step, Say) else step.say.text
            for step in (table.step() for table in self.caller.steps)
            if isinstance(step, Say | Interrupt)
        ]
        return ReplyScript([table.reply() for table in self.model.replies], words)


def parse(text: str, name: str) -> CallScript:
    """A script from TOML; ``name`` stands in the errors.

    :raises ConfigurationError: naming the line of what is no TOML, or each key that will not do.
    """
    try:
        return CallScript.model_validate({"name": name, **tomllib.loads(text)})
    except tomllib.TOMLDecodeError as error:
        raise ConfigurationError(f"{name}: not TOML: {error}") from None
    except ValidationError as error:
        lines = [f"{name}: {_key(e['loc'])}: {_said(e['msg'])}" for e in error.errors()]
        raise ConfigurationError("\n".join(lines)) from None


def load(script: str | Path) -> CallScript:
    """A script by the path of its file, or by the name of one of :func:`shipped`.

    :raises ConfigurationError: there is no such script, or it is none.
    """
    if str(script) in shipped():
        name = str(script)
        return parse((_scripts() / f"{name}.toml").read_text("utf-8"), name)
    path = Path(script)
    try:
        return parse(path.read_text("utf-8"), path.stem)
    except (OSError, UnicodeDecodeError):
        raise ConfigurationError(
            f"no script {path.name}; there are {', '.join(shipped())}"
        ) from None


def shipped() -> list[str]:
    """The names of the scripts that come with the package."""
    return sorted(path.name.removesuffix(".toml") for path in _scripts().iterdir())


@cache
def spoken(slug: str) -> Say:
    """A shipped line, for a person to say. The same object every time: its frames are kept."""
    rate_hz, pcm = voices.load(slug)
    return Say(pcm, rate_hz, voices.LINES[slug])


@cache
def _pcm24k(slug: str) -> bytes:
    rate_hz, pcm = voices.load(slug)
    return resampled(pcm, rate_hz, 24_000)


def _scripts() -> Any:
    return files("opusbridge.sim") / "scripts"


def _key(location: tuple[int | str, ...]) -> str:
    """``caller.steps[2].wait`` from what pydantic says."""
    text = ""
    for part in location:
        text += f"[{part}]" if isinstance(part, int) else f".{part}"
    return text.lstrip(".") or "the script"


def _said(message: str) -> str:
    return message.removeprefix("Value error, ")

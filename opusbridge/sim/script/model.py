"""The model's part of a script: replies in order, tools, and what goes wrong with either."""

from collections.abc import Mapping
from json import dumps
from types import MappingProxyType
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, ConfigDict, Field, JsonValue, model_validator

from opusbridge.sim.model.knobs import NAMES as KNOBS
from opusbridge.sim.model.knobs import Fault, FaultKind, Knobs
from opusbridge.sim.model.replies import McpCallReply, Reply, ReplyScript, ToolCallReply
from opusbridge.sim.script.mistakes import Misplaced
from opusbridge.sim.script.places import Path
from opusbridge.sim.script.sounds import Line, for_model
from opusbridge.sim.script.table import Table

ToolName = Annotated[str, Field(pattern=r"^[A-Za-z0-9_-]{1,64}$")]


class ToolCallTable(Table):
    name: ToolName
    arguments: dict[str, JsonValue] | str = Field(default_factory=dict)
    """An object, or a text where the model is to write what is no JSON."""

    @property
    def called(self) -> ToolCallReply:
        given = self.arguments
        return ToolCallReply(self.name, given if isinstance(given, str) else dumps(given))


class McpCallTable(Table):
    """The model uses a tool of an MCP server of the agent's, which its provider runs."""

    server: str
    """Its label."""
    name: ToolName
    arguments: dict[str, JsonValue] = Field(default_factory=dict)
    output: str = "done"
    error: str | None = None
    """The server fails, and this is what it says."""
    seconds: Annotated[float, Field(ge=0, le=600)] = 0.5

    @property
    def called(self) -> McpCallReply:
        arguments = dumps(self.arguments)
        return McpCallReply(
            self.server, self.name, arguments, self.output, self.error, self.seconds
        )


class ReplyTable(Table):
    """One response of the model, in order."""

    model_config = ConfigDict(
        json_schema_extra={
            "anyOf": [
                {"required": ["text"], "properties": {"text": {"minLength": 1}}},
                {"required": ["voice"]},
                {"required": ["tool"]},
                {"required": ["tools"], "properties": {"tools": {"minItems": 1}}},
                {"required": ["mcp"], "properties": {"mcp": {"minItems": 1}}},
            ],
            "dependentRequired": {"arguments": ["tool"]},
            "not": {"required": ["tool", "tools"], "properties": {"tools": {"minItems": 1}}},
        }
    )

    text: str = ""
    """The words, hummed; with a ``voice`` only where they differ from its line."""
    voice: Line | None = None
    """A stored line by name, or any words (with espeak-ng): spoken."""
    tool: ToolName | None = None
    """The name of a tool called after the words, if there are any."""
    arguments: dict[str, JsonValue] = Field(default_factory=dict)
    tools: tuple[ToolCallTable, ...] = ()
    """Several calls at once; in place of ``tool``."""
    mcp: tuple[McpCallTable, ...] = ()
    """Tools of MCP servers, which come last."""
    delay: Annotated[float, Field(strict=True, ge=0, le=600)] = 0.0
    """Seconds the model thinks longer than usual."""

    @model_validator(mode="after")
    def _something(self) -> "ReplyTable":
        used = self.tool is not None or self.tools or self.mcp
        if not self.text and self.voice is None and not used:
            raise ValueError("a reply has a text, a voice or a tool")
        if self.arguments and self.tool is None:
            raise ValueError("arguments without a tool")
        if self.tool is not None and self.tools:
            raise ValueError("a reply has tool or tools, not both")
        return self

    def reply(self) -> Reply:
        calls = tuple(table.called for table in self.tools)
        if self.tool:
            calls = (ToolCallTable(name=self.tool, arguments=self.arguments).called,)
        mcp = tuple(table.called for table in self.mcp)
        if self.voice is None:
            return Reply(self.text, None, calls, self.delay, mcp)
        words, pcm24k = for_model(self.voice)
        return Reply(self.text or words, pcm24k, calls, self.delay, mcp)


class FaultTable(Table):
    """What befalls one response."""

    response: Annotated[int, Field(strict=True, ge=1)]
    """Its number; the repetition of a failed one is a response of its own."""
    kind: FaultKind
    detail: str = ""

    @model_validator(mode="after")
    def _known(self) -> "FaultTable":
        Fault(self.kind, self.detail)
        return self

    @property
    def fault(self) -> Fault:
        return Fault(self.kind, self.detail)


def _knobs(given: dict[str, Any]) -> dict[str, Any]:
    taken: dict[int, Fault] = {}
    for name, value in given.items():
        try:
            faults = _parsed({name: value}).faults
        except ValueError as error:
            raise Misplaced((name,), str(error)) from error
        for ordinal, fault in faults.items():
            _take(ordinal, fault, taken, (name,))
    return given


def _take(ordinal: int, fault: Fault, taken: dict[int, Fault], place: Path) -> None:
    """Two for one response: the author meant both."""
    if ordinal in taken:
        raise Misplaced(place, f"response {ordinal} has the fault {taken[ordinal].kind} already")
    taken[ordinal] = fault


def _parsed(given: Mapping[str, Any]) -> Knobs:
    return Knobs.parse(*(f"{name}={_as_text(value)}" for name, value in given.items()))


def _as_text(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


#: With dashes, as on a command line, or with underscores, as all other keys.
_KNOBS_AS_WRITTEN = sorted({*KNOBS, *(name.replace("-", "_") for name in KNOBS)})


class ModelTable(Table):
    replies: tuple[ReplyTable, ...] = ()
    usual: tuple[ReplyTable, ...] = ()
    """Said in a ring when the replies are used up; empty: small talk."""
    faults: tuple[FaultTable, ...] = ()
    knobs: Annotated[
        dict[str, str | bool | int | float],
        AfterValidator(_knobs),
        Field(json_schema_extra={"propertyNames": {"enum": [*_KNOBS_AS_WRITTEN]}}),
    ] = Field(default_factory=dict)
    """How the service behaves where it may behave either way, as ``opusbridge model --fault``
    names it."""

    @model_validator(mode="after")
    def _one_fault_each(self) -> "ModelTable":
        taken = dict(_parsed(self.knobs).faults)
        for nth, table in enumerate(self.faults):
            _take(table.response, table.fault, taken, ("faults", nth, "response"))
        return self

    def reply_script(self, heard: list[str]) -> ReplyScript:
        replies = [table.reply() for table in self.replies]
        if not self.usual:
            return ReplyScript(replies, heard)
        return ReplyScript(replies, heard, [table.reply() for table in self.usual])

    def behaviour(self) -> Knobs:
        """Its knobs, with the faults that are among them and those of their own tables."""
        knobs = _parsed(self.knobs)
        faults = {table.response: table.fault for table in self.faults}
        return knobs.with_faults(MappingProxyType({**knobs.faults, **faults}))


class ToolTable(Table):
    """A tool of the agent: played by the script, or the agent's own with a duration."""

    model_config = ConfigDict(json_schema_extra={"not": {"required": ["output", "error"]}})

    name: ToolName
    output: JsonValue = None
    """What it gives. With neither this nor ``error`` the agent's own tool is run. Described to
    the model, and surrounded with words, it is as the agent's own of that name, if there is one."""
    error: str | None = None
    """It fails, and this is what the model is told."""
    seconds: Annotated[float, Field(strict=True, ge=0, le=3600)] = 0.2
    """How long it takes, in virtual time too; it fails if the agent's own may not take so long."""

    @model_validator(mode="after")
    def _one_way(self) -> "ToolTable":
        if self.error is not None and "output" in self.model_fields_set:
            raise ValueError("a tool has an output or an error, not both")
        return self

    @property
    def played(self) -> bool:
        """By the script, whatever the agent has."""
        return self.error is not None or "output" in self.model_fields_set

    @property
    def output_text(self) -> str:
        """As the model will read it."""
        return self.output if isinstance(self.output, str) else dumps(self.output)


TransferOutcome = Literal["answered", "busy", "no-answer", "declined", "error"]

"""What the model is told of a function: a description, and a schema for its arguments.

Both come from the function itself, so that they cannot disagree with it: the schema from the
signature, the words from the docstring (Google's ``Args:`` or Sphinx' ``:param name:``).
"""

import inspect
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from textwrap import dedent
from typing import Annotated, Any, get_type_hints

from pydantic import BaseModel, ConfigDict, Field, GetJsonSchemaHandler, create_model
from pydantic.errors import PydanticUserError
from pydantic.fields import FieldInfo
from pydantic.json_schema import GenerateJsonSchema, JsonSchemaValue
from pydantic_core import CoreSchema

from opusbridge.errors import ConfigurationError
from opusbridge.tools.context import CallContext

#: Stands in a schema where the names of the agent's destinations are to be.
_MARK = "x-opusbridge-destinations"


@dataclass(frozen=True, slots=True)
class _AgentsDestinations:
    """Marks what is the name of one of the agent's destinations."""

    def __get_pydantic_json_schema__(
        self, schema: CoreSchema, handler: GetJsonSchemaHandler
    ) -> JsonSchemaValue:
        return {**handler(schema), _MARK: True}


#: Annotate a parameter with it, or some of one (``Destination | None``), and the model is shown the
#: agent's destinations to choose from.
Destination = Annotated[str, _AgentsDestinations()]


@dataclass(frozen=True, slots=True)
class Signature:
    description: str
    arguments: type[BaseModel]
    """Checks the model's arguments; its fields' aliases are the function's parameters."""
    parameters: dict[str, Any]
    """JSON schema of the arguments."""
    marked: dict[str, Any]
    """The same with marks wherever it asks for a :data:`Destination`; see :func:`named`."""
    call_parameter: str | None
    """The parameter that wants the :class:`CallContext`; the model does not see it."""


class _Schema(GenerateJsonSchema):
    """Without titles, which repeat the names and cost tokens in every session."""

    # A default that JSON cannot say is simply not shown.
    ignored_warning_kinds = {"skipped-choice", "non-serializable-default"}  # noqa: RUF012

    def field_title_should_be_set(self, schema: Any) -> bool:
        return False


def read_signature(function: Callable[..., Any]) -> Signature:
    """Raises :class:`ConfigurationError` where the model could not be told how to call it."""
    name = getattr(function, "__name__", type(function).__name__)
    description, words, meant = _read_docstring(inspect.getdoc(function) or "")
    fields: dict[str, Any] = {}
    call_parameter: str | None = None
    parameters = _parameters(name, function)
    _all_there(name, meant, [parameter.name for parameter, _ in parameters])
    for parameter, annotation in parameters:
        if annotation is CallContext:
            call_parameter = parameter.name
            continue
        if _gives_default(annotation, parameter):
            raise ConfigurationError(
                f"tool {name}: write {parameter.name}: Annotated[…, Field(…)], "
                "and behind it the default, if there is one"
            )
        given = {} if parameter.default is parameter.empty else {"default": parameter.default}
        if said := words.get(parameter.name):
            given["description"] = said
        # Under a name of our own: pydantic reserves some, and refuses a leading underscore.
        fields[f"argument_{len(fields)}"] = (
            annotation,
            Field(alias=parameter.name, **given),
        )
    try:
        arguments = create_model(
            name, __config__=ConfigDict(extra="forbid", hide_input_in_errors=True), **fields
        )
        schema = arguments.model_json_schema(schema_generator=_Schema)
    except PydanticUserError as error:
        culprit = next((one for one in fields.values() if _indescribable(one)), None)
        whose = "a parameter" if culprit is None else culprit[1].alias
        raise ConfigurationError(
            f"tool {name}: the type of {whose} cannot be described to the model ({error.code})"
        ) from error
    schema.pop("title", None)
    return Signature(description, arguments, named(schema), schema, call_parameter)


def named(schema: Any, names: Sequence[str] | None = None) -> Any:
    """A marked schema with these names wherever it asks for one; by default without its marks."""
    if isinstance(schema, list):
        return [named(one, names) for one in schema]
    if not isinstance(schema, dict):
        return schema
    found = {key: named(value, names) for key, value in schema.items() if key != _MARK}
    return found if names is None or _MARK not in schema else {**found, "enum": [*names]}


def _gives_default(annotation: Any, parameter: inspect.Parameter) -> bool:
    """Whether it is pydantic's ``Field`` that would have to: the function itself would be called
    without it, or with the ``Field``."""
    if parameter.default is not parameter.empty:
        return isinstance(parameter.default, FieldInfo)
    notes = getattr(annotation, "__metadata__", ())
    return any(isinstance(note, FieldInfo) and not note.is_required() for note in notes)


def _all_there(name: str, meant: Sequence[str], parameters: Sequence[str]) -> None:
    """Words for a misspelt parameter never reach the model. Of others nobody knows whether they
    are meant for one: a note among them, the next section, what a decorator fills in."""
    without = [parameter for parameter in parameters if parameter not in meant]
    for word in meant:
        if word not in parameters and (near := get_close_matches(word, without, 1)):
            raise ConfigurationError(
                f"tool {name}: its docstring describes a parameter {word}, and it has none; "
                f"did you mean {near[0]}?"
            )


def _indescribable(field: Any) -> bool:
    """Whether it is this parameter's type that no JSON schema can say."""
    try:
        create_model("one", argument=field).model_json_schema(schema_generator=_Schema)
    except PydanticUserError:
        return True
    return False


def _parameters(name: str, function: Callable[..., Any]) -> list[tuple[inspect.Parameter, Any]]:
    """The function's parameters with their resolved types."""
    try:
        hints = get_type_hints(function, include_extras=True)
    except NameError as error:
        raise ConfigurationError(
            f"tool {name}: its types name {error.name}, unknown here"
        ) from None
    found = []
    for parameter in inspect.signature(function).parameters.values():
        if parameter.kind in (parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD):
            raise ConfigurationError(f"tool {name}: *{parameter.name} cannot be told to the model")
        if parameter.kind is parameter.POSITIONAL_ONLY:
            raise ConfigurationError(f"tool {name}: {parameter.name} must be usable by its name")
        if parameter.name not in hints:
            raise ConfigurationError(f"tool {name}: parameter {parameter.name} needs a type")
        found.append((parameter, hints[parameter.name]))
    return found


# --- The docstring ----------------------------------------------------------------------

#: Where the description ends: a Google section's head, or a Sphinx field.
_END = re.compile(r"^(?:(?:Args|Arguments|Returns?|Raises|Yields|Examples?|Notes?):\s*$|:\w)", re.M)
_GOOGLE_BLOCK = re.compile(r"^(?:Args|Arguments):[ \t]*\n((?:[ \t]+.*\n|[ \t]*\n)*)", re.M)
_GOOGLE = re.compile(r"^(\w+)[^:\n]*:(.*(?:\n[ \t]+.*)*)", re.M)
#: An entry for certain: a word, its type perhaps, a colon, and no address.
_ENTRY = re.compile(r"^(\w+)[ \t]*(?:\(.*\)[ \t]*)?:(?=\s)", re.M)
_SPHINX = re.compile(r"^:param (?:[^:\n]* )?(\w+):(.*(?:\n[ \t]+.*)*)", re.M)


def _read_docstring(text: str) -> tuple[str, dict[str, str], list[str]]:
    """The description without its sections, the words for each parameter, and which parameters
    are meant for certain."""
    end = _END.search(text)
    found = _SPHINX.findall(text)
    meant = [name for name, _ in found]
    if block := _GOOGLE_BLOCK.search(f"{text}\n"):
        found += _GOOGLE.findall(dedent(block[1]))
        meant += _ENTRY.findall(dedent(block[1]))
    words = {name: " ".join(description.split()) for name, description in found}
    return text[: end.start() if end else None].strip(), words, meant

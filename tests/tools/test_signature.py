"""What the model is told of a tool: a description and a schema, both from the function."""

import functools
import json
import threading
from collections.abc import Callable
from enum import Enum
from pathlib import Path
from typing import Annotated, Any, Literal

import pytest
from pydantic import BaseModel, Field

from opusbridge.errors import ConfigurationError
from opusbridge.tools import CallContext, Destination, tool

NUMBER = "+15550100300"


class Size(Enum):
    SMALL = "small"
    LARGE = "large"


class Address(BaseModel):
    street: str
    zip: str | None = None


@tool(timeout_seconds=3)
async def order_pizza(
    size: Size,
    address: Address,
    slices: Annotated[int, Field(ge=1)] = 8,
    _schema: Literal["a", "b"] | None = None,
    *,
    call: CallContext,
) -> dict[str, Any]:
    """Order a pizza.

    The oven is hot from noon.

    Args:
        size: How large
            it is to be.
        slices (int): Into how many it is cut.

    Returns:
        A receipt.
    """
    return {"size": size.value, "street": address.street, "slices": slices, "to": call.call_id}


def test_the_schema_comes_from_the_signature_and_the_docstring() -> None:
    assert order_pizza.definition() == {
        "type": "function",
        "name": "order_pizza",
        "description": "Order a pizza.\n\nThe oven is hot from noon.",
        "parameters": {
            "type": "object",
            "additionalProperties": False,
            "required": ["size", "address"],
            "properties": {
                "size": {"$ref": "#/$defs/Size", "description": "How large it is to be."},
                "address": {"$ref": "#/$defs/Address"},
                "slices": {
                    "type": "integer",
                    "minimum": 1,
                    "default": 8,
                    "description": "Into how many it is cut.",
                },
                "_schema": {
                    "anyOf": [{"type": "string", "enum": ["a", "b"]}, {"type": "null"}],
                    "default": None,
                },
            },
            "$defs": {
                "Size": {"type": "string", "enum": ["small", "large"], "title": "Size"},
                "Address": {
                    "type": "object",
                    "title": "Address",
                    "required": ["street"],
                    "properties": {
                        "street": {"type": "string"},
                        "zip": {
                            "anyOf": [{"type": "string"}, {"type": "null"}],
                            "default": None,
                        },
                    },
                },
            },
        },
    }
    assert order_pizza.timeout_seconds == 3


def test_sphinx_words_are_read_too() -> None:
    @tool
    def look_up(order_id: str, year: int = 2000) -> str:
        """Find an order.

        :param order_id: On the
            receipt.
        :param int year: When.
        :returns: the order
        """
        return f"{order_id} {year}"

    assert look_up.description == "Find an order."
    assert look_up.parameters["properties"] == {
        "order_id": {"type": "string", "description": "On the receipt."},
        "year": {"type": "integer", "default": 2000, "description": "When."},
    }


def test_a_function_without_words_and_parameters_is_a_tool_too() -> None:
    @tool
    def now():  # type: ignore[no-untyped-def]  # a user need not say what it returns
        return "noon"

    assert now.definition() == {
        "type": "function",
        "name": "now",
        "description": "",
        "parameters": {"type": "object", "properties": {}, "additionalProperties": False},
    }
    assert repr(now) == "<Tool now>"


def test_a_default_json_cannot_say_is_not_shown() -> None:
    nowhere = object()

    @tool
    def find(place: Any = nowhere) -> str:
        return "here" if place is nowhere else "there"

    assert find.parameters["properties"] == {"place": {}}


def test_a_tool_is_still_the_function() -> None:
    @tool
    def add(a: int, b: int) -> int:
        """Add."""
        return a + b

    assert add(1, b=2) == 3
    assert add.__doc__ == "Add."
    assert add.name == "add"


def test_a_functions_own_attributes_do_not_disturb_the_tool() -> None:
    def add(a: int) -> int:
        return a

    add.name = "subtract"  # type: ignore[attr-defined]  # functions may carry anything

    assert tool(add).name == "add"


def test_the_agents_destinations_are_shown_where_a_parameter_asks_for_one() -> None:
    @tool
    def ring(where: Destination, how_long: int) -> None:
        """Ring somebody."""

    shown = ring.definition({"billing": NUMBER, "front": NUMBER})["parameters"]["properties"]

    assert shown["where"] == {"type": "string", "enum": ["billing", "front"]}
    assert shown["how_long"] == {"type": "integer"}
    assert "enum" not in ring.parameters["properties"]["where"]  # another agent has others
    assert NUMBER not in json.dumps(ring.definition({"billing": NUMBER}))


class Stop(BaseModel):
    where: Destination


@tool
def drive(
    last: Destination | None = None, *, first: Stop, then: Annotated[list[Destination], Field()]
) -> None:
    """Drive there."""


def test_destinations_are_shown_also_where_they_are_only_some_of_what_a_parameter_takes() -> None:
    names = {"type": "string", "enum": ["billing"]}

    shown = drive.definition({"billing": NUMBER})["parameters"]
    assert drive.wants_destinations
    assert shown["properties"]["last"] == {"anyOf": [names, {"type": "null"}], "default": None}
    assert shown["properties"]["then"] == {"type": "array", "items": names}
    assert shown["$defs"]["Stop"]["properties"] == {"where": names}
    without = json.dumps(drive.parameters)  # another agent has others
    assert "enum" not in without
    assert "opusbridge" not in without + json.dumps(shown)


def test_a_parameter_is_described_where_pydantic_has_it_too() -> None:
    City = Annotated[str, Field(description="Not a village.", min_length=2)]

    @tool
    def weather(city: City, other: City) -> None:
        """The weather there.

        Args:
            other: To compare it with.
        """

    assert weather.parameters["properties"] == {
        "city": {"type": "string", "minLength": 2, "description": "Not a village."},
        "other": {"type": "string", "minLength": 2, "description": "To compare it with."},
    }


def with_name(order: str) -> None: ...
def field(a: str = Field(description="where")) -> None: ...
def field_default(a: Annotated[str, Field(default="here")]) -> None: ...
def with_args(*args: str) -> None: ...
def with_kwargs(**kwargs: str) -> None: ...
def untyped(a) -> None: ...  # type: ignore[no-untyped-def]  # what is to be refused
def positional(a: str, /) -> None: ...
def unknown_type(a: "Nowhere") -> None: ...  # type: ignore[name-defined]  # noqa: F821
def thread(a: threading.Thread) -> None: ...
def callback(a: Callable[[], None]) -> None: ...


@pytest.mark.parametrize(
    ("function", "said"),
    [
        (with_args, "tool with_args: *args cannot be told"),
        (with_kwargs, "tool with_kwargs: *kwargs cannot be told"),
        (untyped, "tool untyped: parameter a needs a type"),
        (positional, "tool positional: a must be usable by its name"),
        (unknown_type, "tool unknown_type: its types name Nowhere, unknown here"),
        (thread, "tool thread: the type of a cannot be described"),
        (callback, "tool callback: the type of a cannot be described"),
        (field, "tool field: write a: Annotated[…, Field(…)], and behind it the default"),
        (field_default, "tool field_default: write a: Annotated["),
        (lambda: None, "a tool is a function with a name"),
        (functools.partial(positional, "x"), "a tool is a function with a name"),
    ],
)
def test_what_the_model_could_not_call_is_refused_at_once(
    function: Callable[..., None], said: str
) -> None:
    with pytest.raises(ConfigurationError) as refused:
        tool(function)

    assert str(refused.value).startswith(said)


def google(order: str, call: CallContext) -> None:
    """Find it.

    Args:
        call: Filled in.
        ordr (str, optional): Which.
    """


def sphinx(order: str) -> None:
    """Find it.

    :param str ordre: Which.
    """


@pytest.mark.parametrize(
    ("function", "said"),
    [
        (google, "a parameter ordr, and it has none; did you mean order?"),
        (sphinx, "a parameter ordre, and it has none; did you mean order?"),
    ],
)
def test_words_for_a_parameter_that_is_none_are_refused_at_once(
    function: Callable[..., None], said: str
) -> None:
    with pytest.raises(ConfigurationError) as refused:
        tool(function)

    assert str(refused.value) == f"tool {function.__name__}: its docstring describes {said}"


def test_what_only_looks_like_words_for_a_parameter_is_let_be() -> None:
    @tool
    def find(order: str, call: CallContext) -> None:
        """Find it.

        Args:
            order (Annotated[str, "x"]): As in
                note: the invoice.
            https://example.com/orders says more
            call: Filled in.
            database: By a decorator.
            orders: All of them are in the shop's book.
            Note: nothing is changed.
            Returns: Where it is.
        """

    assert find.description == "Find it."
    assert find.parameters["properties"] == {
        "order": {"type": "string", "description": "As in note: the invoice."}
    }


def words_only(order: str) -> None:
    """
    Args:
        order: Which.
    """


@pytest.mark.parametrize(
    ("manners", "said"),
    [
        ({"reply": "sometimes"}, "reply must be one of always, if_silent, never"),
        ({"say_first": " "}, "say_first must say something"),
        ({"filler_after": 0}, "filler_after must be a number above 0"),
        ({"timeout_seconds": "5"}, "timeout_seconds must be a number above 0"),
        ({"filler": "typing.wav"}, "filler needs filler_after"),
    ],
)
def test_manners_that_cannot_be_are_refused_at_once(manners: Any, said: str) -> None:
    with pytest.raises(ConfigurationError) as refused:
        tool(**manners)(no_args)

    assert str(refused.value) == f"tool no_args: {said}"


def no_args() -> None:
    """It has none."""


def test_a_filler_is_named_from_the_functions_own_file() -> None:
    filled = tool(filler_after=2, filler="typing.wav")(no_args)

    assert filled.filler == Path(__file__).parent / "typing.wav"
    assert tool(filler_after=2)(no_args).filler is None


@pytest.mark.parametrize("seconds", [0, -1, float("nan")])
def test_a_tool_needs_some_time(seconds: float) -> None:
    with pytest.raises(ConfigurationError, match="timeout_seconds"):
        tool(timeout_seconds=seconds)(with_args)


def test_a_misspelt_manner_is_named_with_those_there_are() -> None:
    with pytest.raises(ConfigurationError, match=r"@tool takes no timeout; it takes timeout_sec"):
        tool(timeout=5)  # type: ignore[call-overload]  # what this test is about

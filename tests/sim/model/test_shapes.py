"""The service's complaints, word for word."""

from typing import Any

import pytest

from opusbridge.sim.model.shapes import (
    Check,
    Refused,
    boolean,
    decimal,
    integer,
    invalid_value,
    listing,
    one_of,
    or_null,
    record,
    tagged,
    text,
)


def complaint(check: Check, value: Any, path: str = "session.x") -> tuple[str | None, str, Any]:
    with pytest.raises(Refused) as refused:
        check(value, path)
    return refused.value.code, refused.value.message, refused.value.param


def test_an_unknown_field_is_named_with_its_path() -> None:
    assert complaint(record({"a": boolean}), {"b": 1}, "session") == (
        "unknown_parameter",
        "Unknown parameter: 'session.b'.",
        "session.b",
    )


def test_a_missing_field_is_named_with_its_path() -> None:
    assert complaint(record({"type": text()}, required=("type",)), {}, "session") == (
        "missing_required_parameter",
        "Missing required parameter: 'session.type'.",
        "session.type",
    )


@pytest.mark.parametrize(
    ("supported", "listed"),
    [
        (("a",), "'a'"),
        (("a", "b"), "'a' and 'b'"),
        (("a", "b", "c"), "'a', 'b', and 'c'"),
    ],
)
def test_supported_values_are_listed_like_prose(supported: tuple[str, ...], listed: str) -> None:
    assert invalid_value("x", supported, "p").message == (
        f"Invalid value: 'x'. Supported values are: {listed}."
    )


@pytest.mark.parametrize(
    ("check", "value", "code", "said"),
    [
        (integer(24_000, 24_000), 16_000, "integer_below_min_value", "a value >= 24000"),
        (integer(24_000, 24_000), 48_000, "integer_above_max_value", "a value <= 24000"),
        (decimal(0, 1), 1.5, "decimal_above_max_value", "a value <= 1"),
        (decimal(0, 1), -1, "decimal_below_min_value", "a value >= 0"),
        (text(3), "four", "string_above_max_length", "maximum length 3"),
        (one_of("a", "b"), "c", "invalid_value", "'a' and 'b'"),
    ],
)
def test_a_value_out_of_bounds_is_told_the_bound(
    check: Check, value: Any, code: str, said: str
) -> None:
    found, message, param = complaint(check, value)

    assert (found, param) == (code, "session.x")
    assert said in message


@pytest.mark.parametrize(
    ("check", "value", "expected", "got"),
    [
        (text(), 1, "a string", "an integer"),
        (boolean, "true", "a boolean", "a string"),
        (integer(0, 9), 1.5, "an integer", "a decimal"),
        (integer(0, 9), True, "an integer", "a boolean"),
        (decimal(0, 9), True, "a decimal", "a boolean"),
        (decimal(0, 9), None, "a decimal", "null"),
        (listing(boolean), {}, "an array", "an object"),
        (record({}), [], "an object", "an array"),
        (tagged("type", {}), "x", "an object", "a string"),
    ],
)
def test_a_wrong_type_is_told_both_types(check: Check, value: Any, expected: str, got: str) -> None:
    assert complaint(check, value) == (
        "invalid_type",
        f"Invalid type for 'session.x': expected {expected}, but got {got} instead.",
        "session.x",
    )


def test_an_entry_of_a_list_is_named_by_its_place() -> None:
    assert complaint(listing(boolean), [True, 2])[2] == "session.x[1]"


def test_a_tag_decides_the_shape_and_must_be_a_known_one() -> None:
    shape = tagged("type", {"a": record({"type": text(), "n": boolean})})
    shape({"type": "a", "n": True}, "p")

    assert complaint(shape, {"type": "b"}, "p")[0] == "invalid_value"
    assert complaint(shape, {"type": 3}, "p")[0] == "invalid_value"
    assert complaint(shape, {}, "p")[0] == "missing_required_parameter"


def test_null_passes_only_where_null_may_stand() -> None:
    or_null(boolean)(None, "p")

    assert complaint(or_null(boolean), 1)[0] == "invalid_type"
    assert complaint(boolean, None)[0] == "invalid_type"

"""What a client's message may look like: small checks, put together into shapes.

A check takes a value and the path it stands at, and raises :class:`Refused` with the words
the real service uses. Nothing here knows the bridge's own idea of the protocol.
"""

from collections.abc import Callable, Mapping
from typing import Any

Check = Callable[[Any, str], None]


class Refused(Exception):
    """The service declines a client event: one ``error`` goes back, and nothing else happens."""

    def __init__(
        self, code: str | None, message: str, param: str | None = None, echo: bool = True
    ) -> None:
        """``echo`` false: the service forgets to say which client event it refused."""
        super().__init__(message)
        self.code, self.message, self.param, self.echo = code, message, param, echo


def unknown_parameter(path: str) -> Refused:
    return Refused("unknown_parameter", f"Unknown parameter: '{path}'.", path)


def missing_parameter(path: str) -> Refused:
    return Refused("missing_required_parameter", f"Missing required parameter: '{path}'.", path)


def invalid_value(value: object, supported: tuple[str, ...], path: str) -> Refused:
    *others, last = [f"'{name}'" for name in supported]
    listed = ", ".join(others) + f"{',' if len(others) > 1 else ''} and {last}" if others else last
    return Refused(
        "invalid_value", f"Invalid value: '{value}'. Supported values are: {listed}.", path
    )


def invalid_type(value: object, expected: str, path: str) -> Refused:
    return Refused(
        "invalid_type",
        f"Invalid type for '{path}': expected {expected}, but got {_kind(value)} instead.",
        path,
    )


def anything(value: Any, path: str) -> None:
    """Accepted unseen: what this simulator has no use for."""


def text(most: int | None = None) -> Check:
    """A string of at most ``most`` characters."""

    def check(value: Any, path: str) -> None:
        if not isinstance(value, str):
            raise invalid_type(value, "a string", path)
        if most is not None and len(value) > most:
            raise Refused(
                "string_above_max_length",
                f"Invalid '{path}': string too long. Expected a string with maximum length "
                f"{most}, but got a string with length {len(value)} instead.",
                path,
            )

    return check


def boolean(value: Any, path: str) -> None:
    if not isinstance(value, bool):
        raise invalid_type(value, "a boolean", path)


def integer(least: int, most: int) -> Check:
    def check(value: Any, path: str) -> None:
        if not isinstance(value, int) or isinstance(value, bool):
            raise invalid_type(value, "an integer", path)
        _within(value, least, most, "integer", path)

    return check


def decimal(least: float, most: float) -> Check:
    def check(value: Any, path: str) -> None:
        if not isinstance(value, (int, float)) or isinstance(value, bool):
            raise invalid_type(value, "a decimal", path)
        _within(value, least, most, "decimal", path)

    return check


def one_of(*supported: str) -> Check:
    def check(value: Any, path: str) -> None:
        if value not in supported:
            raise invalid_value(value, supported, path)

    return check


def or_null(inner: Check) -> Check:
    def check(value: Any, path: str) -> None:
        if value is not None:
            inner(value, path)

    return check


def either(first: Check, second: Check, is_first: Callable[[Any], bool]) -> Check:
    """``first`` where ``is_first`` says so, else ``second``."""

    def check(value: Any, path: str) -> None:
        (first if is_first(value) else second)(value, path)

    return check


def listing(inner: Check) -> Check:
    def check(value: Any, path: str) -> None:
        if not isinstance(value, list):
            raise invalid_type(value, "an array", path)
        for index, entry in enumerate(value):
            inner(entry, f"{path}[{index}]")

    return check


def record(fields: Mapping[str, Check], required: tuple[str, ...] = ()) -> Check:
    """An object with these fields and no others."""

    def check(value: Any, path: str) -> None:
        if not isinstance(value, dict):
            raise invalid_type(value, "an object", path)
        for name in value:
            if name not in fields:
                raise unknown_parameter(joined(path, name))
        for name in required:
            if name not in value:
                raise missing_parameter(joined(path, name))
        for name, entry in value.items():
            fields[name](entry, joined(path, name))

    return check


def tagged(tag: str, shapes: Mapping[str, Check]) -> Check:
    """An object whose ``tag`` field says which shape the rest has."""

    def check(value: Any, path: str) -> None:
        if not isinstance(value, dict):
            raise invalid_type(value, "an object", path)
        if tag not in value:
            raise missing_parameter(joined(path, tag))
        if not isinstance(value[tag], str) or value[tag] not in shapes:
            raise invalid_value(value[tag], tuple(shapes), joined(path, tag))
        shapes[value[tag]](value, path)

    return check


def joined(path: str, name: str) -> str:
    return f"{path}.{name}" if path else name


def _within(value: float, least: float, most: float, kind: str, path: str) -> None:
    if least <= value <= most:
        return
    below = value < least
    side, sign, bound = ("below minimum", ">=", least) if below else ("above maximum", "<=", most)
    raise Refused(
        f"{kind}_{'below_min' if below else 'above_max'}_value",
        f"Invalid '{path}': {kind} {side} value. Expected a value {sign} {bound}, "
        f"but got {value} instead.",
        path,
    )


def _kind(value: object) -> str:
    match value:
        case None:
            return "null"
        case bool():
            return "a boolean"
        case int():
            return "an integer"
        case float():
            return "a decimal"
        case str():
            return "a string"
        case list():
            return "an array"
        case _:
            return "an object"

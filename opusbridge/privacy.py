"""Values that do not print: what a caller said, typed or is called, and keys."""

from dataclasses import dataclass
from typing import Generic, TypeVar

T = TypeVar("T")


@dataclass(frozen=True, slots=True, repr=False)
class Private(Generic[T]):
    """A caller's number, words, digits or a key. Say ``.value`` to mean it."""

    value: T

    def __repr__(self) -> str:
        return "<private>"

    # str() and format() go through __repr__; f"{private}" prints nothing either.

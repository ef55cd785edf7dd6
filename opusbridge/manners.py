"""How an agent wants its calls to go where the model is not asked: silence, and keys.

The values of an agent's keys ``no_input`` and ``keys``, checked as they are read.
"""

import re
from typing import Annotated, Self

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, model_validator

Text = Annotated[str, Field(min_length=1)]

Wait = Annotated[float, Field(gt=0, le=3600)]


class NoInput(BaseModel):
    """What follows when it is the caller's turn and he says nothing."""

    model_config = ConfigDict(
        frozen=True, extra="forbid", hide_input_in_errors=True, use_attribute_docstrings=True
    )

    after_seconds: Wait | tuple[Wait, ...] = 10.0
    """Of silence, counted from the heard end of what the agent said: one number for all, or one
    for each nudge and one for the goodbye."""

    nudges: tuple[Text, ...] = Field(
        default=(
            "Ask in one short sentence whether the caller is still there.",
            "Say that you cannot hear the caller, and that you will hang up soon.",
        ),
        repr=False,
    )
    """What the model is told to say, one after the other."""

    goodbye: Text | None = Field(
        default="Say that you could not hear the caller, and goodbye.", repr=False
    )
    """The same for the end, after which the call is hung up. None: the stored goodbye."""

    @model_validator(mode="after")
    def _as_many_waits_as_words(self) -> Self:
        if len(self.waits) != len(self.nudges) + 1:
            raise ValueError("after_seconds: one number, or one for each nudge and the goodbye")
        return self

    @property
    def waits(self) -> tuple[float, ...]:
        """One for each nudge, and one for the goodbye."""
        if isinstance(self.after_seconds, tuple):
            return self.after_seconds
        return (self.after_seconds,) * (len(self.nudges) + 1)


_RULE = re.compile(r"(transfer|say):(.+)|(hang_up)", re.DOTALL)


def read_rule(written: str) -> tuple[str, str]:
    """What a key does, and the destination's name or the words it does it with.

    Raises ``ValueError`` for what is neither ``transfer:NAME``, ``hang_up`` nor ``say:TEXT``.
    """
    found = _RULE.fullmatch(written)
    if found is None:
        raise ValueError("a key does transfer:NAME, hang_up or say:TEXT")
    return found[1] or found[3], found[2] or ""


def _a_rule(written: str) -> str:
    read_rule(written)
    return written


def _a_key(written: str) -> str:
    if len(written) != 1 or written not in "0123456789*#ABCD":
        raise ValueError("is no key of a telephone: one of 0 to 9, *, # and A to D")
    return written


#: The keys of a telephone, and what one of them does.
Key = Annotated[str, AfterValidator(_a_key)]
Rule = Annotated[str, AfterValidator(_a_rule)]

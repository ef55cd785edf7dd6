"""What all tables of a script have in common."""

from pydantic import BaseModel, ConfigDict


class Table(BaseModel):
    """A key that is not known is a mistake: it would otherwise do nothing, silently."""

    model_config = ConfigDict(
        extra="forbid", frozen=True, use_attribute_docstrings=True, allow_inf_nan=False
    )

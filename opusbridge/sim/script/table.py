"""What all tables of a script have in common."""

from pydantic import BaseModel, ConfigDict, JsonValue


class Table(BaseModel):
    """A key that is not known is a mistake: it would otherwise do nothing, silently."""

    model_config = ConfigDict(
        extra="forbid", frozen=True, use_attribute_docstrings=True, allow_inf_nan=False
    )


def only_one_of(*names: str, **needs: list[str]) -> ConfigDict:
    """For the schema, so that an editor knows, too: exactly one of the keys; ``needs`` are
    keys that come with others only."""
    one: list[JsonValue] = [{"required": [name]} for name in names]
    with_them: dict[str, JsonValue] = {name: [*others] for name, others in needs.items()}
    return ConfigDict(json_schema_extra={"oneOf": one, "dependentRequired": with_them})

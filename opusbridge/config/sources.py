"""Where settings come from, and what is said of a wrong one: its name, never its value."""

import os
import re
from collections.abc import Iterable
from difflib import get_close_matches
from pathlib import Path
from typing import Any

from dotenv.parser import parse_stream
from pydantic.fields import FieldInfo
from pydantic_core import ErrorDetails
from pydantic_settings import BaseSettings, DotEnvSettingsSource, EnvSettingsSource

from opusbridge.errors import ConfigurationError

PREFIX = "OPUSBRIDGE_"

#: Of ``.env``. Editors of Windows may begin a file with a mark, which is no part of the first
#: name; not every version of the library leaves it out by itself.
ENCODING = "utf-8-sig"


#: What Kubernetes tells each container of every Service beside it: one of our name, or one that
#: begins with it, brings names like ours, which nobody has written …
_OF_A_SERVICE = re.compile(
    r"(\w+_)?(SERVICE_HOST|SERVICE_PORT(_\w+)?|PORT_\d+_(TCP|UDP|SCTP)(_(PROTO|PORT|ADDR))?)"
)
#: … and this where the value is an address.
_ITS_ADDRESS = re.compile(r"(\w+_)?PORT=(tcp|udp|sctp)://.*")


class _Named(EnvSettingsSource):
    """Texts by name: ours are taken as they are, unknown ones of our prefix are refused."""

    place = ""

    def __call__(self) -> dict[str, Any]:
        _refuse_unknown(self._written(), self.settings_cls, self.place)
        # Not through a subclass of ours only: the .env source would add other names.
        found = EnvSettingsSource.__call__(self)
        return {name: value for name, value in found.items() if value != ""}

    def _written(self) -> Iterable[str]:
        """The names that somebody has written there."""
        return self.env_vars

    def prepare_field_value(
        self, field_name: str, field: FieldInfo, value: Any, value_is_complex: bool
    ) -> Any:
        """As it is: nothing here is JSON, and the fields' own validators read the text."""
        return value


class Environment(_Named):
    place = "the environment"

    def _written(self) -> Iterable[str]:
        return [one for one, value in self.env_vars.items() if not _of_a_service(one, value or "")]


class DotEnvFile(_Named, DotEnvSettingsSource):
    place = ".env"


def refuse_unreadable(file: Path) -> None:
    """Lines without a ``=`` are numbered and not shown: one may be a secret without its name."""
    if not file.is_file():
        return
    with file.open(encoding=ENCODING) as text:
        wrong = [
            str(one.original.line)
            for one in parse_stream(text)
            if one.error or (one.value is None and _means_us(one.key or ""))
        ]
    if wrong:
        *most, last = wrong
        where = f"lines {', '.join(most)} and {last} are" if most else f"line {last} is"
        raise ConfigurationError(
            f"{file}: {where} not NAME=value: write the = between the two, a # before a comment"
        )


def _means_us(name: str) -> bool:
    """A name alone hands on what the environment has, in files that are shared with containers;
    with nothing there it is a setting that does nothing."""
    ours = name.upper().startswith(PREFIX) or name == variable("openai_api_key")
    return ours and name not in os.environ


def _of_a_service(name: str, value: str) -> bool:
    rest = name.upper().removeprefix(PREFIX)
    found = _OF_A_SERVICE.fullmatch(rest) or _ITS_ADDRESS.fullmatch(f"{rest}={value}")
    return found is not None


def _refuse_unknown(given: Iterable[str], settings: type[BaseSettings], place: str) -> None:
    known = [variable(name) for name in settings.model_fields]
    for name in sorted(name.upper() for name in given):
        if name.startswith(PREFIX) and name not in known:
            near = get_close_matches(name.removeprefix(PREFIX).lower(), settings.model_fields, n=1)
            hint = f"; did you mean {variable(near[0])}?" if near else ""
            raise ConfigurationError(f"{name}, found in {place}, is not a setting{hint}")


def variable(field: str) -> str:
    """The environment variable of a field of :class:`Settings`."""
    return "OPENAI_API_KEY" if field == "openai_api_key" else f"{PREFIX}{field.upper()}"


_NO_NUMBER = {"int_parsing": "a whole number", "float_parsing": "a number"}


def complaint(error: ErrorDetails) -> str:
    """One mistake in words, with the variable's name and without its value."""
    place = str(error["loc"][0]) if error["loc"] else ""
    if error["type"] == "extra_forbidden":
        return f"{place} is not a setting"
    name = variable(place) if place.islower() else place
    if error["type"].startswith("bool"):
        return f"{name} must be true or false"
    if error["type"] in _NO_NUMBER:
        return f"{name} must be {_NO_NUMBER[error['type']]}"
    text = error["msg"].removeprefix("Value error, ").removeprefix("Input should ")
    return f"{name}: {'must ' if text != error['msg'] and text.startswith('be ') else ''}{text}"

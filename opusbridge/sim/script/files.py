"""A whole script, read from its file."""

import re
import tomllib
from functools import lru_cache
from importlib.abc import Traversable
from importlib.resources import files
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field, JsonValue, PrivateAttr, ValidationError

from opusbridge.errors import ConfigurationError
from opusbridge.sim.callers.person import Person
from opusbridge.sim.faults import Faults
from opusbridge.sim.model.replies import ReplyScript
from opusbridge.sim.script.caller import CallerTable
from opusbridge.sim.script.expect import ExpectTable
from opusbridge.sim.script.model import ModelTable, ToolTable, TransferOutcome
from opusbridge.sim.script.places import Path as Key
from opusbridge.sim.script.places import nearest, places
from opusbridge.sim.script.table import Table

Telephony = Literal["twilio", "audiocodes"]

BOTH: tuple[Telephony, ...] = ("twilio", "audiocodes")


class CallScript(Table):
    """A written call."""

    name: str = ""
    """Filled with the file's name where the script has none."""
    description: str = ""
    telephony: Annotated[tuple[Telephony, ...], Field(min_length=1)] = BOTH
    """Where it makes sense; it is skipped elsewhere."""
    seed: int = 1
    """Of everything that is left to chance."""
    settings: dict[str, JsonValue] = Field(default_factory=dict)
    """Settings of the bridge for this call, by the names of ``docs/settings.md`` in lower case
    and without ``OPUSBRIDGE_``."""
    agent: dict[str, JsonValue] = Field(default_factory=dict)
    """Keys of the agent that are to be other than the agent's own."""
    transfer_outcome: TransferOutcome = "answered"
    """What comes of a transfer."""
    caller: CallerTable
    model: ModelTable = ModelTable()
    tools: tuple[ToolTable, ...] = ()
    faults: Faults = Faults()
    expect: ExpectTable = ExpectTable()

    _file: str = PrivateAttr("")
    _text: str = PrivateAttr("")

    def person(self) -> Person:
        """A new person who will do as written."""
        return Person(self.caller.taken(), patience_seconds=self.caller.patience)

    def reply_script(self) -> ReplyScript:
        """What the model says, and what it hears the caller say."""
        return self.model.reply_script(self.caller.words())

    @property
    def file(self) -> str:
        """As the user named it."""
        return self._file or self.name

    def line(self, key: Key) -> int:
        """Where that key stands in the file; 1 where nothing of it does."""
        return nearest(_places(self._text), key) or 1


def parse(text: str, name: str, file: str | None = None, folder: Path | None = None) -> CallScript:
    """A script from TOML; ``file`` (or ``name``) stands in the errors, ``folder`` is where its
    WAV files are.

    :raises ConfigurationError: naming the line of what is no TOML, or of each key that will not
        do, and what was expected there.
    """
    file = file or name
    try:
        table = tomllib.loads(text)
        script = CallScript.model_validate(
            {"name": name, **table}, context={"folder": folder or Path()}
        )
    except tomllib.TOMLDecodeError as error:
        raise ConfigurationError(f"{file}: not TOML: {error}") from None
    except RecursionError:
        raise ConfigurationError(f"{file}: not TOML for us: nested too deeply") from None
    except ValidationError as error:
        found = places(text)
        raise ConfigurationError("\n".join(_complaints(error, found, file))) from None
    script._file, script._text = file, text
    return script


def load(script: str | Path) -> CallScript:
    """A script by the path of its file, or by the name of one of :func:`shipped`.

    :raises ConfigurationError: there is no such script, or it is none.
    """
    if str(script) in shipped():
        return _shipped(str(script))
    path = Path(script)
    try:
        text = path.read_text("utf-8")
    except (OSError, UnicodeDecodeError):
        if path.suffix:
            raise ConfigurationError(f"{path}: there is no such file, or no text in it") from None
        raise ConfigurationError(
            f"no script {path.name}; there are {', '.join(shipped())}"
        ) from None
    return parse(text, path.stem, str(script), path.parent)


def shipped() -> list[str]:
    """The names of the scripts that come with the package."""
    return sorted(path.name.removesuffix(".toml") for path in _scripts().iterdir())


def schema() -> dict[str, Any]:
    """The JSON Schema of a script, for editors."""
    made = CallScript.model_json_schema()
    made["$schema"] = "https://json-schema.org/draft/2020-12/schema"
    made["title"] = "opusbridge call script"
    return made


@lru_cache(maxsize=128)
def _shipped(name: str) -> CallScript:
    return parse((_scripts() / f"{name}.toml").read_text("utf-8"), name, f"{name}.toml")


@lru_cache(maxsize=32)
def _places(text: str) -> dict[Key, int]:
    return places(text)


def _scripts() -> Traversable:
    return files("opusbridge.sim") / "scripts"


def _complaints(error: ValidationError, found: dict[Key, int], file: str) -> list[str]:
    told: dict[str, None] = {}  # the branches of a union complain of the same thing
    for one in error.errors(include_url=False, include_input=False):
        location = _in_script(one["loc"], found)
        line = nearest(found, location) or 1
        told[f"{file}:{line}: {_key(location)}: {_said(one['msg'])}"] = None
    return list(told)


def _in_script(location: tuple[int | str, ...], found: dict[Key, int]) -> Key:
    """Without the names of the branches of unions, which pydantic puts in; a key that is
    missing from the file is the last."""
    kept: Key = ()
    for part in location:
        known = isinstance(part, int) or (*kept, part) in found
        if known or (part == location[-1] and part not in _BRANCHES and _KEY.fullmatch(str(part))):
            kept = (*kept, part)
    return kept


_KEY = re.compile(r"[A-Za-z0-9_-]+")

#: What pydantic calls the members of a union.
_BRANCHES = frozenset({"float", "int", "str", "bool", "dict", "list", "literal"})

#: Its words for what is called otherwise in TOML.
_TOML = {
    "Extra inputs are not permitted": "there is no such key",
    "Input should be a valid tuple": "Input should be a list",
    "Input should be a valid dictionary": "Input should be a table",
    "Field required": "this key is missing",
}


def _key(location: Key) -> str:
    """``caller.steps[2].wait`` from what pydantic says."""
    text = ""
    for part in location:
        text += f"[{part}]" if isinstance(part, int) else f".{part}"
    return text.lstrip(".") or "the script"


def _said(message: str) -> str:
    message = message.removeprefix("Value error, ")
    return next((ours for theirs, ours in _TOML.items() if message.startswith(theirs)), message)

"""A whole script, read from its file."""

import tomllib
from collections.abc import Callable, Iterator, Sequence
from difflib import get_close_matches
from functools import lru_cache
from importlib.resources import files
from importlib.resources.abc import Traversable
from os import walk
from os.path import isdir, isfile, join  # who asks a Path must expect its refusals
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, Field, JsonValue, PrivateAttr, ValidationError

from opusbridge.errors import ConfigurationError
from opusbridge.sim.callers.person import Person
from opusbridge.sim.evidence import Evidence
from opusbridge.sim.faults import Faults
from opusbridge.sim.model.replies import ReplyScript
from opusbridge.sim.script import mistakes
from opusbridge.sim.script.caller import CallerTable
from opusbridge.sim.script.expect import ExpectTable, Finding
from opusbridge.sim.script.model import ModelTable, ToolTable, TransferOutcome
from opusbridge.sim.script.places import Path as Key
from opusbridge.sim.script.places import nearest, places
from opusbridge.sim.script.sounds import meant
from opusbridge.sim.script.table import Table

Telephony = Literal["twilio", "audiocodes"]

BOTH: tuple[Telephony, ...] = ("twilio", "audiocodes")

#: Keys by which a script is known: no agent and no other tool's file has them.
_KNOWN_BY = ("caller", "expect", "telephony", "transfer_outcome")
#: How like one of them a misspelt one is: ``expects`` is, ``call`` and ``project`` are not.
_NEARLY = 0.82


def _name(text: str) -> str:
    if text.strip(". ") != text or not text.isprintable() or set(text) & set("/\\"):
        raise ValueError("a folder will be called so: no / and no dot or blank at either end")
    return text


def _no_two(tools: tuple[ToolTable, ...]) -> tuple[ToolTable, ...]:
    names = [tool.name for tool in tools]
    for nth, name in enumerate(names):
        if name in names[:nth]:
            raise mistakes.Misplaced((nth, "name"), f"there is a tool {name} above already")
    return tools


class CallScript(Table):
    """A written call."""

    name: Annotated[str, AfterValidator(_name)] = ""
    """Filled with the file's name where the script has none."""
    description: str = ""
    telephony: Annotated[tuple[Telephony, ...], Field(min_length=1)] = BOTH
    """Where it makes sense; it is skipped elsewhere."""
    seed: Annotated[int, Field(strict=True)] = 1
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
    tools: Annotated[tuple[ToolTable, ...], AfterValidator(_no_two)] = ()
    faults: Faults = Faults()
    expect: ExpectTable = ExpectTable()

    _file: str = PrivateAttr("")
    _text: str = PrivateAttr("")

    def person(self) -> Person:
        """A new person who will do as written."""
        return Person(self.caller.taken(), patience_seconds=self.caller.patience)

    def left_undone(self, person: Person, *, hung_up_on: bool = False) -> list[str]:
        """What they had no time for; an ``ending`` that is written down may come early, unless
        all that is known of it is that the person was ``hung_up_on``."""
        excused = self.expect.ending is not None and not hung_up_on
        return [] if excused else person.left_undone()

    def never_befell(self, responses: int, seconds: float) -> list[Key]:
        """The faults whose time did not come in a call of so many responses and seconds."""
        model: list[Key] = [
            ("model", "faults", nth)
            for nth, fault in enumerate(self.model.faults)
            if fault.response > responses
        ]
        network: list[Key] = [
            ("faults", "network", nth)
            for nth, mishap in enumerate(self.faults.network)
            if mishap.at > seconds
        ]
        return model + network

    def findings(self, evidence: Evidence) -> list[Finding]:
        """One for each expectation."""
        return self.expect.findings(evidence)

    def reply_script(self) -> ReplyScript:
        """What the model says, and what it hears the caller say."""
        return self.model.reply_script(self.caller.words())

    @property
    def file(self) -> str:
        """As the user named it."""
        return self._file or self.name

    @property
    def hints(self) -> list[str]:
        """What is no mistake, and probably not meant either: the file, the line, the key."""
        return [
            f"{self.file}:{self.line(place)}: {mistakes.key(place)}: {text} is no stored line, and "
            f"is spoken as it stands; did you mean {near}?"
            for place, text in self._spoken()
            if text is not None and (near := meant(text)) is not None
        ]

    def line(self, key: Key) -> int:
        """Where that key stands in the file; 1 where nothing of it does."""
        return nearest(_places(self._text), key) or 1

    def _spoken(self) -> Iterator[tuple[Key, str | None]]:
        """Whatever may be a stored line, and where."""
        for nth, step in enumerate(self.caller.steps):
            yield ("caller", "steps", nth, "say"), step.say
            if step.interrupt is not None:
                yield ("caller", "steps", nth, "interrupt", "say"), step.interrupt.say
        for table in ("replies", "usual"):
            for nth, reply in enumerate(getattr(self.model, table)):
                yield ("model", table, nth, "voice"), reply.voice


def parse(text: str, name: str, file: str | None = None, folder: Path | None = None) -> CallScript:
    """A script from TOML; ``file`` (or ``name``) stands in the errors, ``folder`` is where its
    WAV files are.

    :raises ConfigurationError: naming the line of what is no TOML, or of each key that will not
        do, and what was expected there.
    """
    file, text = file or name, text.removeprefix("\ufeff")  # editors of Windows put it there
    try:
        table = tomllib.loads(text)
        if told := mistakes.long_numbers(table, text, file):
            raise ConfigurationError("\n".join(told))
        script = CallScript.model_validate(
            {"name": name, **table}, context={"folder": folder or Path()}
        )
    except tomllib.TOMLDecodeError as error:
        raise ConfigurationError(mistakes.not_toml(error, text, file)) from None
    except RecursionError:
        raise ConfigurationError(f"{file}: not TOML for us: nested too deeply") from None
    except ValidationError as error:
        told = mistakes.complaints(error, text, file, CallScript)
        raise ConfigurationError("\n".join(told)) from None
    except ValueError:  # Python's own, of a number
        raise ConfigurationError(mistakes.unreadable_number(text, file)) from None
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
    except UnicodeDecodeError as error:
        line = error.object.count(b"\n", 0, error.start) + 1
        raise ConfigurationError(f"{path}:{line}: not TOML: it is no UTF-8 text") from None
    except IsADirectoryError:
        raise ConfigurationError(f"{script} is a folder, and no script") from None
    except OSError as error:
        if path.suffix:
            raise ConfigurationError(f"{path}: cannot be read: {error.strerror}") from None
        raise ConfigurationError(f"no script {script}; there are {', '.join(shipped())}") from None
    return parse(text, path.stem, str(script), path.parent)


def load_all(
    scripts: Sequence[str], passed_over: Callable[[Path], None] = lambda file: None
) -> list[CallScript]:
    """The same for many, where a folder stands for the scripts in it and in its folders, but for
    hidden ones and virtual environments.

    ``passed_over`` is told each TOML file there that is something else.

    :raises ConfigurationError: likewise, and for a folder without any.
    """
    loaded: list[CallScript] = []
    for name in scripts:
        if name in shipped() or not isdir(name):
            loaded.append(load(name))
            continue
        inside: list[Path] = []
        for file in sorted(_inside(name)):
            if _is_script(file):
                inside.append(file)
            else:
                passed_over(file)
        if not inside:
            raise ConfigurationError(f"the folder {name} has no script (*.toml) in it")
        loaded += map(load, inside)
    return loaded


def _inside(folder: str) -> Iterator[Path]:
    for here, folders, names in walk(folder):
        folders[:] = [one for one in folders if not (one.startswith(".") or _is_venv(here, one))]
        yield from (Path(here, name) for name in names if name.endswith(".toml"))


def _is_script(file: Path) -> bool:
    """Or means to be one: whatever cannot be read is a mistake to be told."""
    try:
        table = tomllib.loads(file.read_text("utf-8-sig"))
    except (OSError, ValueError, RecursionError):
        return True
    return any(get_close_matches(key.lower(), _KNOWN_BY, 1, _NEARLY) for key in table)


def _is_venv(*path: str) -> bool:
    return isfile(join(*path, "pyvenv.cfg"))


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

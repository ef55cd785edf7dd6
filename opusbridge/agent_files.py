"""The file an agent is written in: run, or read, with every mistake told in one line.

The line names the file, and what to change. What an exception of the user's own code says is
left out, since it may hold a secret; the line of the code is named, and how to see the rest.
"""

import importlib
import importlib.util
import sys
import tomllib
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from hashlib import sha256
from pathlib import Path
from traceback import walk_tb
from types import ModuleType
from typing import Any

from opusbridge.errors import ConfigurationError

#: The folder of the agent's file that is being loaded: its paths start there.
HOME: ContextVar[Path] = ContextVar("HOME", default=Path())

#: Sounds that were found to be of use: an agent made of another need not read them again.
HEARD: ContextVar[frozenset[Path | None]] = ContextVar("HEARD", default=frozenset())


def module_of(path: Path) -> ModuleType:
    """The Python file, run. Within :func:`at_home`; raises whatever it raises."""
    name = f"opusbridge_agent_{path.stem}_{_digest(path)}"
    spec = importlib.util.spec_from_file_location(name, path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    # Dataclasses and pickles of the file look their module up by its name, so that is its alone.
    sys.modules[name] = module
    spec.loader.exec_module(module)
    return module


def keys_of(path: Path) -> dict[str, Any]:
    """The TOML file's keys, with the functions that it names in their place.

    Within :func:`at_home`; raises :class:`ConfigurationError`, and whatever the modules raise.
    """
    try:
        # Some editors begin a file with a mark, which is no TOML.
        keys = tomllib.loads(path.read_text(encoding="utf-8-sig"))
    except tomllib.TOMLDecodeError as error:
        raise ConfigurationError(f"not valid TOML: {error}") from None
    names = keys.get("tools", [])
    if not isinstance(names, list):
        raise ConfigurationError("tools must be a list of module:function")
    functions: dict[str, Any] = {"tools": [_function(name, "tool") for name in names]}
    for hook in {"configure", "on_end"} & set(keys):
        functions[hook] = _function(keys[hook], hook)
    servers = keys.get("mcp", [])
    for server in servers if isinstance(servers, list) else []:
        if isinstance(server, dict) and "approve" in server:
            server["approve"] = _function(server["approve"], "approve")
    return {**keys, **functions}


def _function(name: object, key: str) -> Any:
    module_name, _, function = name.partition(":") if isinstance(name, str) else ("", "", "")
    if not module_name or not function:
        what = "tools are" if key == "tool" else f"{key} is"
        raise ConfigurationError(f"{what} named as module:function")
    found = getattr(_module(module_name), function, None)
    if found is None:
        raise ConfigurationError(f"{key} {name} not found")
    return found


def _module(name: str) -> ModuleType:
    """By its name; if another folder's module has that name already, the one of our folder."""
    home, parts = HOME.get(), name.split(".")
    names = [parts[: end + 1] for end in range(len(parts))]
    if _file(home, parts) is None or not any(_is_elsewhere(home, one) for one in names):
        return importlib.import_module(name)
    folder = f"opusbridge_agent_{_digest(home)}"
    if folder not in sys.modules:
        # As a package, it gives what is imported from it a name that no other folder's has.
        package = ModuleType(folder)
        package.__path__ = [str(home)]
        sys.modules[folder] = package
    return importlib.import_module(f"{folder}.{name}")


def _file(home: Path, parts: list[str]) -> Path | None:
    place = home.joinpath(*parts)
    files = (place / "__init__.py", place.with_name(f"{place.name}.py"))
    return next((file for file in files if file.is_file()), None)


def _is_elsewhere(home: Path, parts: list[str]) -> bool:
    """Whether the module of that name was imported from another file than the folder's."""
    there = getattr(sys.modules.get(".".join(parts)), "__file__", None)
    own = _file(home, parts)
    return there is not None and (own is None or Path(there).resolve() != own.resolve())


def _digest(path: Path) -> str:
    return sha256(str(path.resolve()).encode()).hexdigest()[:12]


@contextmanager
def at_home(path: Path) -> Iterator[None]:
    """The file's folder importable; whatever goes wrong is told of the file in one line."""
    if not path.is_file():
        raise ConfigurationError(f"{path}: there is no such file")
    home = str(path.resolve().parent)
    sys.path.insert(0, home)
    previous = HOME.set(Path(home))
    try:
        yield
    except ConfigurationError as error:
        raise ConfigurationError(f"{path}: {error}") from error
    except SyntaxError as error:
        where = Path(error.filename or path).name
        raise ConfigurationError(
            f"{path}: not valid Python ({where} line {error.lineno}: {error.msg})"
        ) from error
    except ModuleNotFoundError as error:
        raise ConfigurationError(f"{path}: there is no module {error.name}") from error
    except UnicodeDecodeError as error:
        raise ConfigurationError(f"{path}: not UTF-8 text") from error
    except Exception as error:  # the file is the user's code: it may raise anything
        raise ConfigurationError(f"{path}: {type(error).__name__}{_line(path, error)}") from error
    finally:
        HOME.reset(previous)
        sys.path.remove(home)


@contextmanager
def heard(sounds: Iterable[Path | None]) -> Iterator[None]:
    """Those of them that an agent made meanwhile names are not read again."""
    previous = HEARD.set(frozenset(sounds))
    try:
        yield
    finally:
        HEARD.reset(previous)


def _line(path: Path, error: Exception) -> str:
    """The last line of the user's own files the failure came through, if any."""
    home = HOME.get()
    lines = [
        (Path(frame.f_code.co_filename), line)
        for frame, line in walk_tb(error.__traceback__)
        if Path(frame.f_code.co_filename).resolve().parent == home
    ]
    if not lines:
        return ""
    file, line = lines[-1]
    return (
        f" in line {line} of {file.name}; `python {path.with_name(file.name)}` shows what it says"
    )

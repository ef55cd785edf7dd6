"""The rooms and their doors: who may use whom, who may touch the world, and how large is large.

A room is a folder of the package or a file at its top. A new one must be declared here; a
new door between two of them must be argued for.
"""

import ast
from collections.abc import Iterator
from functools import cache
from graphlib import TopologicalSorter
from pathlib import Path

import pytest

import opusbridge

ROOT = Path(opusbridge.__file__).parent
MODULES = sorted(ROOT.rglob("*.py"))

LANGUAGE = {"events", "effects", "errors", "sound", "usage", "privacy", "texts"}

#: Each room, and the rooms below it that it may use.
MAY_IMPORT: dict[str, set[str]] = {
    "version": set(),
    "privacy": set(),
    "errors": set(),
    "sound": set(),
    "usage": set(),
    "texts": set(),
    "events": {"privacy", "sound", "usage"},
    "effects": {"errors", "privacy", "sound"},
    "log_lines": set(),
    "logs": {"log_lines", "privacy", "texts"},
    "config": {"errors", "privacy"},
    "outgoing": {"config", "errors"},
    "audio": {"sound"},
    "speech": {"audio"},
    "protocols": LANGUAGE,
    "call": LANGUAGE | {"audio", "protocols"},
    "recording": LANGUAGE | {"audio", "logs", "version"},
    # A call played again: what the simulator's world does, without anybody to invent.
    "replay": LANGUAGE | {"call", "protocols", "recording"},
    "tools": {"errors", "logs", "privacy", "texts"},
    "manners": set(),
    "agent_files": {"errors"},
    "agent_mistakes": {"manners", "tools"},
    "agent": {
        "agent_files",
        "agent_mistakes",
        "config",
        "errors",
        "manners",
        "privacy",
        "speech",
        "tools",
    },
    "webhooks": {"logs", "outgoing", "privacy", "texts", "tools"},
    "receptionist": {"agent", "tools"},
    "bridge": LANGUAGE
    | {"agent", "call", "config", "logs", "manners", "outgoing", "protocols", "recording"}
    | {"speech", "tools"},
    "sim": LANGUAGE | {"audio", "call", "protocols"},
    "bench": {"errors"},
    "web": LANGUAGE
    | {"agent", "bridge", "call", "config", "logs", "protocols", "receptionist", "recording"}
    | {"version"}
    | {"tools", "webhooks"},
    "doctor": LANGUAGE
    | {"agent", "bridge", "call", "config", "outgoing", "protocols", "receptionist", "web"},
    # What users import in their own tests: beside the command line, the only one to use sim.
    "testing": LANGUAGE
    | {"agent", "audio", "bridge", "call", "config", "receptionist", "recording", "replay", "sim"}
    | {"tools"},
    "cli": LANGUAGE
    | {
        "agent",
        "bench",
        "call",
        "config",
        "doctor",
        "logs",
        "receptionist",
        "recording",
        "replay",
        "sim",
        "testing",
        "version",
        "web",
    },
    # Light, since every run of pytest where we are installed loads it.
    "pytest_plugin": {"testing"},
    "__init__": {"agent", "bridge", "config", "tools", "version", "web"},
    "__main__": {"cli"},
}

#: The doors that lead into one corner of a room only: who may go where.
CORNERS: dict[tuple[str, str], set[str]] = {
    # The call speaks no wire language; the engine joins it to one, and error codes are data.
    ("call", "protocols"): {"protocols.realtime.protocol", "protocols.realtime.errors"},
    # The web asks who may come in; what is said is the engine's to read.
    ("web", "protocols"): {
        "protocols.audiocodes.messages",
        "protocols.twilio.dial",
        "protocols.twilio.messages",
        "protocols.twilio.signature",
        "protocols.twilio.twiml",
    },
    ("web", "call"): {"call.engine"},
    # It asks the model what a call would ask it, and who would be let in, and how many.
    ("doctor", "call"): {"call.policy"},
    ("doctor", "protocols"): {"protocols.realtime.protocol"},
    ("doctor", "web"): {"web.access", "web.capacity", "web.server"},
    ("cli", "call"): {"call.engine"},
    ("recording", "audio"): {"audio.formats", "audio.resampling", "audio.wav"},
    ("bridge", "recording"): {"recording.files", "recording.recorder"},
    # It conducts calls as the bridge does, and carries none.
    ("testing", "bridge"): {"bridge.conduct", "bridge.control", "bridge.hooks"},
    ("testing", "recording"): {"recording.mixing"},
}

#: The protocol objects: whoever tests us must not borrow our understanding of the wire.
PROTOCOL_OBJECTS = {f"protocols.{wire}.protocol" for wire in ("audiocodes", "realtime", "twilio")}

#: Where the simulator may build an engine of ours, to talk to.
BUILDS_ENGINES = {"sim/seeded.py", "sim/staged.py"}

#: What a room that decides never needs: a clock, chance, the world, or somebody to wait for.
IMPURE = {
    *("asyncio", "concurrent", "contextvars", "multiprocessing", "queue", "sched", "selectors"),
    *("signal", "subprocess", "threading"),
    *("calendar", "datetime", "time", "zoneinfo"),
    *("random", "secrets", "uuid"),
    *("glob", "io", "mmap", "os", "pathlib", "shutil", "sqlite3", "tempfile"),
    *("http", "picows", "select", "socket", "socketserver", "ssl", "urllib.request"),
    *("logging", "structlog"),
    *("fastapi", "httpx2", "prometheus_client", "starlette", "uvicorn", "uvloop", "websockets"),
}

PURE_ROOMS = {*LANGUAGE, "audio", "call", "protocols", "version"}
PURE_FILES = {"recording/mixing.py"}

#: Lines of a file, and lines of code of a function.
MOST_LINES = 400
MOST_CODE_LINES = 45


def name_of(module: Path) -> str:
    return module.relative_to(ROOT).as_posix()


def room_of(module: Path) -> str:
    return module.relative_to(ROOT).with_suffix("").parts[0]


every_module = pytest.mark.parametrize("module", MODULES, ids=name_of)


@cache
def tree_of(module: Path) -> ast.Module:
    return ast.parse(module.read_text("utf-8"))


@cache
def imports_of(module: Path) -> frozenset[str]:
    """Everything a module imports, as dotted paths; ``from a.b import c`` is ``a.b.c``."""
    found = set()
    for node in ast.walk(tree_of(module)):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{name_of(module)} imports relative to itself"
            found |= {f"{node.module}.{alias.name}" for alias in node.names}
    return frozenset(found)


def own_imports(module: Path) -> set[str]:
    """The modules of the package that it uses, without the package's name."""
    paths = {path for path in imports_of(module) if path.split(".")[0] == "opusbridge"}
    return {_module_of(path.split(".")[1:]) for path in paths}


def _module_of(parts: list[str]) -> str:
    """The longest beginning that is a module or a folder; the rest is a name in it."""
    assert parts, "the package itself is for its users"
    while not (ROOT.joinpath(*parts).is_dir() or ROOT.joinpath(*parts).with_suffix(".py").exists()):
        parts = parts[:-1]
        assert parts, "there is no such module"
    return ".".join(parts)


def within(module: str, place: str) -> bool:
    return module == place or module.startswith(f"{place}.")


# --- The doors --------------------------------------------------------------------------


def test_every_room_is_declared_and_every_declared_room_is_there() -> None:
    assert {room_of(module) for module in MODULES} == set(MAY_IMPORT)


@every_module
def test_each_room_uses_only_the_rooms_below_it(module: Path) -> None:
    rooms = {path.split(".")[0] for path in own_imports(module)}

    assert rooms <= MAY_IMPORT[room_of(module)] | {room_of(module)}


def test_no_door_is_declared_that_nobody_uses() -> None:
    used: dict[str, set[str]] = {room: set() for room in MAY_IMPORT}
    for module in MODULES:
        used[room_of(module)] |= {path.split(".")[0] for path in own_imports(module)}

    unused = {room: may - used[room] - LANGUAGE for room, may in MAY_IMPORT.items()}
    assert {room: doors for room, doors in unused.items() if doors} == {}


def test_no_two_rooms_use_each_other() -> None:
    assert list(TopologicalSorter(MAY_IMPORT).static_order())[-1] in ("__init__", "__main__")


@pytest.mark.parametrize(("room", "other"), CORNERS)
def test_some_doors_lead_into_a_corner_only(room: str, other: str) -> None:
    used = {
        path
        for module in MODULES
        if room_of(module) == room
        for path in own_imports(module)
        if within(path, other)
    }

    assert used <= CORNERS[room, other]


def test_only_the_engine_holds_a_protocol_object_of_the_call() -> None:
    holders = {
        name_of(module)
        for module in MODULES
        if room_of(module) == "call" and own_imports(module) & PROTOCOL_OBJECTS
    }

    assert holders == {"call/engine.py"}


@every_module
def test_the_simulator_does_not_borrow_our_understanding_of_the_wire(module: Path) -> None:
    if room_of(module) != "sim" or name_of(module) in BUILDS_ENGINES:
        return
    used = own_imports(module)

    assert not used & PROTOCOL_OBJECTS
    # Nor by the folder, which hands them out too.
    assert not used & {path.removesuffix(".protocol") for path in PROTOCOL_OBJECTS}


@every_module
def test_the_simulated_parties_know_nothing_of_the_call(module: Path) -> None:
    if name_of(module).startswith(("sim/model/", "sim/callers/")):
        assert not any(within(path, "call") for path in own_imports(module))


# --- Purity -----------------------------------------------------------------------------


PURE = [one for one in MODULES if room_of(one) in PURE_ROOMS or name_of(one) in PURE_FILES]

every_pure_module = pytest.mark.parametrize("module", PURE, ids=name_of)


@every_pure_module
def test_rooms_that_decide_do_not_touch_the_world(module: Path) -> None:
    found = {path for path in imports_of(module) if any(within(path, banned) for banned in IMPURE)}

    assert found == set()


@every_pure_module
def test_rooms_that_decide_neither_await_nor_open_files(module: Path) -> None:
    for node in ast.walk(tree_of(module)):
        assert not isinstance(node, ast.AsyncFunctionDef | ast.Await)
        assert not (
            isinstance(node, ast.Call) and _called(node) in ("open", "input", "exec", "eval")
        )


@every_module
def test_nothing_but_the_command_line_prints(module: Path) -> None:
    printing = [
        node for node in ast.walk(tree_of(module)) if isinstance(node, ast.Call) and _prints(node)
    ]

    assert not printing or room_of(module) == "cli"


def _called(node: ast.Call) -> str:
    return node.func.id if isinstance(node.func, ast.Name) else ""


def _prints(node: ast.Call) -> bool:
    return _called(node) in ("print", "pprint") or ast.unparse(node.func) in (
        "sys.stdout.write",
        "typer.echo",
    )


# --- Size -------------------------------------------------------------------------------


@every_module
def test_a_file_can_be_read_in_one_go(module: Path) -> None:
    assert len(module.read_text("utf-8").splitlines()) <= MOST_LINES


@every_module
def test_a_function_can_be_seen_at_one_glance(module: Path) -> None:
    lines = module.read_text("utf-8").splitlines()
    too_long = {
        function.name: code
        for function in functions_of(module)
        if (code := code_lines(function, lines)) > MOST_CODE_LINES
    }

    assert too_long == {}


@every_module
def test_every_module_says_what_it_is_for(module: Path) -> None:
    tree = tree_of(module)

    assert ast.get_docstring(tree) or not tree.body


def functions_of(module: Path) -> Iterator[ast.FunctionDef | ast.AsyncFunctionDef]:
    for node in ast.walk(tree_of(module)):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            yield node


def code_lines(function: ast.FunctionDef | ast.AsyncFunctionDef, lines: list[str]) -> int:
    """Without blank lines, comments and the docstring."""
    assert function.end_lineno is not None
    numbers = set(range(function.lineno, function.end_lineno + 1))
    first = function.body[0]
    if ast.get_docstring(function) is not None:
        assert first.end_lineno is not None
        numbers -= set(range(first.lineno, first.end_lineno + 1))
    return sum(lines[n - 1].strip() != "" and lines[n - 1].strip()[0] != "#" for n in numbers)

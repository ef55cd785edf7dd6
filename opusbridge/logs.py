"""Logs: one line for one thing, as text or JSON, and nothing of the caller in any of them.

Every line of the process, ours and the libraries', passes one chain. Its last step but one,
:func:`redact`, lets through only plain values and takes out what looks like a number, a key
or a token. Tracebacks are reduced to types and places, and so is what asyncio says of a task
that failed, because an exception's text may quote what a caller said. Bind ``call_id`` with
:func:`of_call`; every line below then carries it. Under ``opusbridge serve`` a thread writes the
lines: whoever reads them may stand still, and the calls go on. A process that somebody else runs
may end without a word to us, and so its lines are written as they come.
"""

import logging
import re
import sys
from collections.abc import Mapping, MutableMapping
from contextlib import AbstractContextManager, suppress
from enum import Enum
from pathlib import PurePath
from traceback import walk_tb
from typing import Any, Literal

import orjson
import structlog
from structlog.typing import EventDict, Processor

from opusbridge.log_lines import Apart, InPlace
from opusbridge.privacy import Private
from opusbridge.texts import well_formed

HIDDEN = "<private>"

#: Libraries whose DEBUG lines hold headers with keys and frames with what was said, and (the
#: second number) whose INFO lines hold addresses with account numbers.
_LIBRARIES = {
    "uvicorn": logging.INFO,
    "uvicorn.error": logging.INFO,
    "uvicorn.access": logging.INFO,
    "websockets": logging.INFO,
    "httpx2": logging.WARNING,
    "httpcore2": logging.WARNING,
}

_Format = Literal["text", "json"]
_Level = Literal["debug", "info", "warning", "error"]


def configure(log_format: _Format = "text", level: _Level = "info", *, apart: bool = False) -> None:
    """Set up logging for the process, to standard error; a second call replaces the first.

    ``apart``: lines are written in a thread of their own, for a process whose end is ours, too.
    """
    ours: list[Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_logger_name,
        structlog.stdlib.add_log_level,
    ]
    formatter = structlog.stdlib.ProcessorFormatter(
        foreign_pre_chain=ours,
        processors=[
            structlog.stdlib.ProcessorFormatter.remove_processors_meta,
            reduce_asyncio,
            reduce_traceback,
            redact,
            # After the redaction, which takes long runs of digits for telephone numbers.
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            _renderer(log_format, colors=sys.stderr.isatty()),
        ],
    )
    _configure_structlog(*ours, structlog.stdlib.ProcessorFormatter.wrap_for_formatter)
    handler = (Apart if apart else InPlace)(sys.stderr, places)
    handler.setFormatter(formatter)
    _route(handler, getattr(logging, level.upper()))


def configure_as_guest(log_format: _Format, level: _Level) -> None:
    """As :func:`configure`, in a process that somebody else runs: what he has set up stays.

    Where he has handlers, and nothing of structlog, our lines go to those.
    """
    if structlog.is_configured():
        return
    if not logging.getLogger().handlers:
        configure(log_format, level)
        return
    clean: list[Processor] = [structlog.contextvars.merge_contextvars, reduce_traceback, redact]
    _configure_structlog(*clean, _renderer(log_format, colors=False))
    logging.getLogger("opusbridge").setLevel(level.upper())


def _renderer(log_format: _Format, *, colors: bool) -> Processor:
    if log_format == "json":
        return structlog.processors.JSONRenderer(serializer=_json)
    return structlog.dev.ConsoleRenderer(colors=colors)


def _configure_structlog(*processors: Processor) -> None:
    structlog.configure(
        processors=[structlog.stdlib.filter_by_level, *processors],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=False,
    )


def _route(handler: logging.Handler, level: int) -> None:
    root = logging.getLogger()
    for old in list(root.handlers):
        root.removeHandler(old)
        if isinstance(old, Apart):
            old.close()
    root.addHandler(handler)
    root.setLevel(max(level, logging.INFO))
    logging.getLogger("opusbridge").setLevel(level)
    for name, floor in _LIBRARIES.items():
        library = logging.getLogger(name)
        library.handlers.clear()
        library.propagate = True
        library.setLevel(max(level, floor))


class Log:
    """A logger for the path of a call: a log that is broken costs its line, never the call.

    Handlers are the process's own business, and some raise: a disk is full, a collector gone.
    """

    def __init__(self, name: str) -> None:
        self._log: structlog.stdlib.BoundLogger = structlog.get_logger(name)

    def debug(self, message: str, **facts: Any) -> None:
        self._write("debug", message, facts)

    def info(self, message: str, **facts: Any) -> None:
        self._write("info", message, facts)

    def warning(self, message: str, **facts: Any) -> None:
        self._write("warning", message, facts)

    def error(self, message: str, **facts: Any) -> None:
        self._write("error", message, facts)

    def _write(self, level: str, message: str, facts: Mapping[str, Any]) -> None:
        with suppress(Exception):
            getattr(self._log, level)(message, **facts)


class BadMessages:
    """Says what a peer sent that cannot be used: one for each call or socket.

    The first message of a kind is a WARNING and the others of it DEBUG lines: a flood of them
    is counted, and ends the call, but does not flood the log.
    """

    def __init__(self, name: str) -> None:
        self._log = Log(name)
        self._told: set[str] = set()

    def came(self, why: str) -> None:
        """``why`` is ``peer:kind``, both slugs of ours and nothing of the message."""
        if why in self._told:
            self._log.debug("bad-message", why=why)
        else:
            self._told.add(why)
            self._log.warning("bad-message", why=why, further="at debug")


def of_call(call_id: str) -> AbstractContextManager[None]:
    """Every line logged inside, by tasks begun inside too, carries ``call_id``."""
    return structlog.contextvars.bound_contextvars(call_id=call_id)


# --- Exceptions -------------------------------------------------------------------------


def places(error: BaseException) -> str:
    """What went wrong and where, without a word of what the exception says.

    ``ValueError at orders.py:12 in lookup < registry.py:90 in run``; of a group, each member.
    """
    frames = [
        f"{PurePath(frame.f_code.co_filename).name}:{line} in {frame.f_code.co_name}"
        for frame, line in walk_tb(error.__traceback__)
    ]
    # Innermost first, and no more than tell the story.
    text = " at ".join(filter(None, [type(error).__name__, " < ".join(frames[:-6:-1])]))
    if isinstance(error, BaseExceptionGroup):
        text += f" [{'; '.join(places(member) for member in error.exceptions[:3])}]"
    if error.__cause__ is not None:
        text += f" because of {type(error.__cause__).__name__}"
    return text


#: As far as nothing is quoted: neither arguments nor an object that shows itself.
_UNQUOTED = re.compile(r"(?:[^(<'\"\n]|\(\))*")


def reduce_asyncio(logger: Any, method: str, event: EventDict) -> EventDict:
    """Of a task or callback that failed asyncio shows the exception, or the arguments, in the
    message itself."""
    if event.get("logger") == "asyncio":
        found = _UNQUOTED.match(str(event["event"]))
        assert found is not None, "it matches nothing, too"
        event["event"] = found[0].rstrip()
    return event


def reduce_traceback(logger: Any, method: str, event: EventDict) -> EventDict:
    given = event.pop("exc_info", None)
    event.pop("stack_info", None)
    if given is True:
        given = sys.exc_info()
    if isinstance(given, tuple):
        given = given[1]
    if isinstance(given, BaseException):
        event["raised"] = places(given)
    return event


# --- Redaction --------------------------------------------------------------------------

#: Words of a key whose value is never shown, whatever it is.
_SECRET_WORDS = frozenset(
    {"token", "secret", "password", "authorization", "auth", "cookie", "signature", "key"}
    | {"apikey", "credentials", "caller", "callee", "digits", "phone", "number", "text"}
    | {"words", "transcript", "arguments"}
)
#: ``bearer …``, ``?token=…``, ``X-Twilio-Signature: …`` and keys as OpenAI makes them.
_SECRETS = re.compile(
    r"(?i)\b(?:bearer|basic)\s+[\w.~+/=-]+"
    r"|\b[\w-]*(?:token|secret|password|authorization|signature|api[_-]?key)"
    r"[\"']?\s*[=:]\s*[\"']?(?:(?:bearer|basic)\s+)?[^\s&\"',;]+"
    r"|\bsk-[\w-]{4,}"
)
#: A telephone number, with or without its plus and its punctuation.
_NUMBERS = re.compile(r"(?:\+|%2B|\b00)\d(?:[ ().-]{0,2}\d){6,}|\d{7,}")

#: Nobody reads deeper, and a structure that contains itself has no end.
_DEPTH = 4
#: Entries of a list or dict in one line; a log is not a store.
_WIDTH = 50
#: Characters of one text; a longer one is a document, and patterns are slow on those.
_LENGTH = 2_000


def redact(logger: Any, method: str, event: EventDict) -> EventDict:
    return {str(key): _shown(str(key), value, _DEPTH) for key, value in event.items()}


def _shown(key: str, value: Any, depth: int) -> Any:
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, Private) or _SECRET_WORDS & set(re.split(r"[_\W]+", key.lower())):
        return HIDDEN
    match value:
        case Enum():
            return _shown(key, value.value, depth)
        case int() | float():
            return value
        case str() | PurePath():
            return _without_secrets(key, str(value))
        case Mapping() if depth:
            entries = list(value.items())[:_WIDTH]
            return {_without_secrets("", str(k)): _shown(str(k), v, depth - 1) for k, v in entries}
        case list() | tuple() | set() | frozenset() if depth:
            return [_shown(key, entry, depth - 1) for entry in list(value)[:_WIDTH]]
        case _:
            return f"<{type(value).__name__}>"  # its own words might be the caller's


def _without_secrets(key: str, text: str) -> str:
    text = _SECRETS.sub(HIDDEN, text[:_LENGTH])
    if (key.endswith("_id") or key == "ids") and re.search("[A-Za-z]", text):
        return text  # an identifier of the wire; a hexadecimal one may hold runs of digits
    return _NUMBERS.sub(HIDDEN, text)


def _json(event: MutableMapping[str, Any], **_: Any) -> str:
    # Only plain values are left; a lone surrogate in a text is the one thing it may refuse.
    try:
        return orjson.dumps(event, option=orjson.OPT_NON_STR_KEYS).decode()
    except TypeError:
        plain = {key: well_formed(str(value)) for key, value in event.items()}
        return orjson.dumps(plain).decode()

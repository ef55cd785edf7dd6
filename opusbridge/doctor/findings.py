"""What a check found. Never a secret, a number or a word of a call: people paste these."""

from dataclasses import dataclass
from enum import StrEnum


class State(StrEnum):
    FINE = "fine"
    WARNING = "warning"  # calls work, and something about them may surprise
    FAILED = "failed"  # calls do not work
    SKIPPED = "skipped"  # there is nothing to look at, or no way to


#: For a proxy of the environment through which nothing can be asked.
USE_ANOTHER_PROXY = "do that, or unset the variable; NO_PROXY=* leaves all proxies out"


@dataclass(frozen=True, slots=True)
class Finding:
    about: str
    """What was looked at, in a word or two."""
    state: State
    what: str
    cure: str = ""
    """What to do, for a warning and a failure."""


def fine(about: str, what: str) -> Finding:
    return Finding(about, State.FINE, what)


def skipped(about: str, why: str) -> Finding:
    return Finding(about, State.SKIPPED, why)


def warning(about: str, what: str, cure: str) -> Finding:
    return Finding(about, State.WARNING, what, cure)


def failed(about: str, what: str, cure: str) -> Finding:
    return Finding(about, State.FAILED, what, cure)

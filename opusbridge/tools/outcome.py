"""What is left of a call when it is over, for the agent's own hook."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any


@dataclass(frozen=True, slots=True, repr=False)
class CallOutcome:
    """The whole call, with what was said in it: printing it shows the call's id alone."""

    call_id: str
    call: Mapping[str, Any]
    """What ``call.json`` has; where nothing is recorded, with the words it leaves out."""
    transcript: Mapping[str, Any]
    """What ``transcript.json`` has, or would have where nothing is recorded."""
    folder: Path | None
    """Where the call's files are, complete; ``None``: none were written."""
    state: dict[str, Any]
    """What the call's tools left in theirs."""

    def __repr__(self) -> str:
        return f"<CallOutcome {self.call_id}>"


def without_words(call: Mapping[str, Any]) -> dict[str, Any]:
    """``call`` where nothing is to be kept of what was said.

    Of a hand-over packet that leaves why, and which tools had something to tell.
    """
    found = dict(call)
    if "handover" in found:
        packet = found["handover"]
        names = [{"name": used["name"]} for used in packet["tools"]]
        found["handover"] = {"reason": packet["reason"], "tools": names}
    return found

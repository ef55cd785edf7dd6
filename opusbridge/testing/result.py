"""What came of a scripted call, for a test to assert on and for a person to read."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from opusbridge.sim.evidence import Evidence, ToolRun
from opusbridge.sim.model import ReplyScript
from opusbridge.sim.script import CallScript
from opusbridge.sim.script.expect import Finding, Verdict
from opusbridge.sim.script.mistakes import key
from opusbridge.sim.script.places import Path as Key


@dataclass(slots=True, repr=False)
class CallResult:
    """One script on one telephony side. ``assert result.ok, result.report``."""

    script: CallScript
    telephony: str
    evidence: Evidence | None = None
    """``None``: there was no call to speak of."""
    findings: Sequence[Finding] = ()
    """Of every expectation."""
    problems: list[str] = field(default_factory=list)
    """What was done wrong, whatever the script expected: rules of the providers, promises of
    the bridge, things a person waited for in vain."""
    seconds: float = 0.0
    """How long it took to play."""
    not_played: list[str] = field(default_factory=list)
    """Tables of the script that the way it was played has no means for."""
    never_befell: list[Key] = field(default_factory=list)
    """Faults of the script whose time did not come: the call was too short."""
    replies: ReplyScript | None = None
    """How far the model's were used; ``None``: nobody knows."""

    @property
    def ok(self) -> bool:
        """Every expectation that could be checked held, and nothing was done wrong."""
        return not self.failures

    @property
    def failures(self) -> list[str]:
        """One sentence each: where in the script, when in the call, what was wrong."""
        failed = [one for one in self.findings if one.verdict is Verdict.FAILED]
        return [*map(self._told, failed), *self.problems]

    @property
    def not_checked(self) -> list[str]:
        """Expectations that nobody could observe, what could not even be played, and what came too
        late to befall the call."""
        return [
            *(f"{self._at((table,))}: not played: {table}" for table in self.not_played),
            *(f"{self._at(place)}: never befell: {key(place)}" for place in self.never_befell),
            *(f"{self._at(place)}: not checked: {key(place[1:])}" for place in self.unseen),
        ]

    @property
    def unseen(self) -> list[Key]:
        """Where the expectations stand that nobody could observe."""
        return [
            one.path
            for one in self.findings
            # Nobody has written down a default: it is not worth a line.
            if one.verdict is Verdict.NOT_CHECKED
            and one.path[1] in self.script.expect.model_fields_set
        ]

    @property
    def remarks(self) -> list[str]:
        """What is no failure, and perhaps not meant: replies of the model that nobody asked for."""
        if self.replies is None or not self.replies.unused:
            return []
        unused, written = self.replies.unused, len(self.replies.replies)
        at = self._at(("model", "replies", written - unused))
        return [f"{at}: model.replies: {unused} of {written} never used"]

    @property
    def heard(self) -> str:
        """All that the caller heard of the agent."""
        found = self.evidence.heard if self.evidence else None
        return " ".join(one.text for one in found or ())

    @property
    def transcript(self) -> list[dict[str, Any]]:
        """The items of ``transcript.json``."""
        return list((self.evidence.transcript if self.evidence else None) or ())

    @property
    def tools(self) -> list[ToolRun]:
        """The tools that were called: ``at``, ``name``, ``arguments``, ``output``, and ``refused``:
        why it was not run, if the agent has no such tool or would not have the arguments."""
        return list((self.evidence.tools if self.evidence else None) or ())

    @property
    def ending(self) -> str | None:
        """The reason; ``None`` where it could not be observed."""
        found = self.evidence.ending if self.evidence else None
        return found.text if found else None

    @property
    def said(self) -> list[str]:
        """The conversation in its order, a line each: when, who, what, and what was not heard;
        with a mark where the script had no reply left for the model."""
        unwritten = self.replies.not_written if self.replies else set()
        return [_line(one, not_written=one.get("item_id") in unwritten) for one in self.transcript]

    @property
    def report(self) -> str:
        """For an assertion's message: everything that failed, then what was said."""
        head = f"{self.script.name} over {self.telephony}"
        found = [*self.failures, *self.not_checked, *self.remarks, *self.script.hints]
        return "\n".join([head, *found, *self.said])

    def __repr__(self) -> str:
        """Short: pytest shows it where an assertion comes without :attr:`report`."""
        failed = self.failures
        how = f"{len(failed)} wrong: {failed[0]}" if failed else "as expected"
        return f"<{self.script.name} over {self.telephony}: {how}>"

    def _told(self, finding: Finding) -> str:
        when = "" if finding.at is None else f" (at {finding.at:.2f} s of the call)"
        return f"{self._at(finding.path)}: {finding.sentence}{when}"

    def _at(self, place: Key) -> str:
        return f"{self.script.file}:{self.script.line(place)}"


def _line(item: dict[str, Any], *, not_written: bool) -> str:
    lost = f" [not heard: {item['unheard']}]" if item["unheard"] else ""
    mark = "(no reply left) " if not_written else ""
    words = f"{mark}{item['heard']}{lost}".strip()
    started_ms = item["started_ms"]
    when = f"{'–':>7}  " if started_ms is None else f"{started_ms / 1000:7.2f} s"
    return f"  {when}  {item['speaker']}: {words}"

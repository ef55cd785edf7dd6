"""What must come of a scripted call, and the judgement on what did.

Each expectation gives one finding: it held, it failed, or nobody could tell, because the
bridge runs elsewhere or there was nothing to judge. A finding knows its key in the script and
the moment of the call.
"""

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Annotated, Any, Literal
from unicodedata import category, normalize

from pydantic import AfterValidator, ConfigDict, Field, JsonValue, model_validator

from opusbridge.errors import REASONS
from opusbridge.sim.evidence import Evidence, Lapse, ToolRun
from opusbridge.sim.script.places import Path
from opusbridge.sim.script.table import Table

Count = Annotated[int, Field(strict=True, ge=0)]
Limit = Annotated[float, Field(strict=True, gt=0)]


def _reason(text: str) -> str:
    if text not in REASONS:
        raise ValueError(f"no such reason; there are {', '.join(sorted(REASONS))}")
    return text


_REASONS: dict[str, JsonValue] = {"enum": [*sorted(REASONS)]}


#: Letters of Han, the kana, Thai, Lao, Myanmar and Khmer: nothing stands between their words.
_UNSPACED = re.compile(
    "[\u3005-\u3007\u3041-\u30ff\u31f0-\u31ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\uff66-\uff9f"
    "\U00020000-\U0003ffff\u0e01-\u0eff\u1000-\u109f\ua9e0-\ua9ff\uaa60-\uaa7f\u1780-\u17ff]"
)


def _words(text: str) -> str:
    """Without punctuation, capitals and layout; nothing is to be said in what is none."""
    folded = normalize("NFC", text.casefold())
    kept = "".join(one if _in_word(one) else " " for one in folded if not _is_manner(one))
    words = (word.strip("'’") for word in re.split(r"['’]{2,}|\s+", kept))
    return " ".join(word for word in words if any(map(str.isalnum, word)))


def _is_manner(one: str) -> bool:
    """Tells only how another is shown: a joiner, an emoji's colour, a keycap."""
    return category(one) in ("Cf", "Me") or "\ufe00" <= one <= "\ufe0f"


def _in_word(one: str) -> bool:
    """Vowels of many scripts are marks that are combined with a letter."""
    return one.isalnum() or one in "'’" or category(one).startswith("M")


def _comparable(text: str, with_what: str) -> str:
    """As words between blanks; where they are written without, as one."""
    words = _words(text)
    return words.replace(" ", "") if _UNSPACED.search(with_what) else f" {words} "


def _some_words(text: str) -> str:
    if not _words(text):
        raise ValueError("there are no words in it")
    return text


Phrase = Annotated[str, AfterValidator(_some_words)]


class Verdict(StrEnum):
    HELD = "held"
    FAILED = "failed"
    NOT_CHECKED = "not checked"


@dataclass(frozen=True, slots=True)
class Finding:
    path: Path
    """Of the expectation, from the top of the script."""
    verdict: Verdict
    sentence: str = ""
    at: float | None = None
    """Seconds from the beginning of the call, where there is such a moment."""


class ToolExpectation(Table):
    """A tool that must have been called: of the agent, or of an MCP server."""

    name: str
    arguments: dict[str, JsonValue] | None = None
    """These must be among its arguments."""
    times: Count | None = None
    """Exactly so often; else at least once. 0: never."""


class ItemExpectation(Table):
    """An item that must be in the transcript: all that is said here must be true of it."""

    model_config = ConfigDict(json_schema_extra={"minProperties": 1})

    speaker: Literal["caller", "agent", "tool"] | None = None
    text: str | None = None
    """Among its words; likewise ``heard`` and ``unheard``."""
    heard: str | None = None
    unheard: str | None = None
    status: (
        Literal["completed", "interrupted", "failed", "incomplete", "empty", "in_progress"] | None
    ) = None

    @model_validator(mode="after")
    def _something(self) -> "ItemExpectation":
        if not self.model_fields_set:
            raise ValueError("an item of the transcript is told by at least one key")
        return self


class ResponsesExpectation(Table):
    """Exact numbers of requests and responses."""

    requested: Count | None = None
    created: Count | None = None
    completed: Count | None = None
    cancelled: Count | None = None
    failed: Count | None = None
    conflicts: Count | None = None
    retries: Count | None = None


class ExpectTable(Table):
    heard: tuple[Phrase, ...] = ()
    """Each must be among the agent's words that were heard, in any order; capitals and
    punctuation do not matter."""
    heard_exactly: str | None = None
    """All that was heard of the agent, in order, and nothing else."""
    not_heard: tuple[Phrase, ...] = ()
    """None of these may be heard."""
    transcript: tuple[ItemExpectation, ...] = ()
    """Each must match an item of ``transcript.json``."""
    tools: tuple[ToolExpectation, ...] = ()
    keys: Annotated[str, Field(pattern=r"^[0-9*#A-D]*$")] | None = None
    """All keys that reached the bridge, in order."""
    transfer: str | None = None
    """Where the agent last tried to hand the caller over to, as its ``destinations`` have it,
    whatever came of it: he arrived if ``ending`` is ``transferred``. Empty: it never tried."""
    ending: Annotated[str, AfterValidator(_reason), Field(json_schema_extra=_REASONS)] | None = None
    longest_silence: Limit | None = None
    """Seconds in which neither is heard."""
    latency: Limit | None = None
    """Seconds from the end of any turn of the caller's to the first sound of what the agent began
    to say since; at least one must be answered, if he speaks."""
    latencies: tuple[Limit, ...] = ()
    """The same for the first, the second, … turn that was answered."""
    responses: ResponsesExpectation = ResponsesExpectation()
    conflicts: Count = 0
    """Requests the model may refuse because a response was active: none, that is the point."""
    min_turns: Count = 0
    turns: Count | None = None
    barge_ins: Count | None = None

    def findings(self, evidence: Evidence) -> list[Finding]:
        """One for each expectation; there are always ``conflicts``."""
        return [finding for judge in _JUDGES for finding in judge(self, evidence)]

    def fails(self, use: str) -> bool:
        """Whether an item of the transcript is to be a tool's that failed; ``use``: the item's
        text, as the transcript will have it."""
        item = {"speaker": "tool", "status": "failed", "text": use, "heard": use}
        return any(one.status == "failed" and _matches(item, one) for one in self.transcript)

    def refuses(self, run: ToolRun) -> bool:
        """Whether it was never run, and nothing here says that it fails."""
        return bool(run.refused) and not self.fails(run.use)


Judge = Callable[[ExpectTable, Evidence], Iterator[Finding]]


def _found(key: Path, problem: str | None, at: float | None = None) -> Finding:
    path = ("expect", *key)
    return Finding(path, Verdict.HELD) if problem is None else Finding(
        path, Verdict.FAILED, problem, at
    )  # fmt: skip


def _unseen(*key: str | int) -> Finding:
    return Finding(("expect", *key), Verdict.NOT_CHECKED)


def _heard(expect: ExpectTable, evidence: Evidence) -> Iterator[Finding]:
    heard = None if evidence.heard is None else " ".join(one.text for one in evidence.heard)
    for nth, phrase in enumerate(expect.heard):
        if heard is None:
            yield _unseen("heard", nth)
            continue
        there = _has(heard, phrase)
        problem = None if there else f"never heard: {phrase}"
        yield _found(("heard", nth), problem, evidence.ended_at)
    if expect.heard_exactly is not None:
        if heard is None:
            yield _unseen("heard_exactly")
        else:
            wanted = expect.heard_exactly
            same = _comparable(heard, wanted) == _comparable(wanted, wanted)
            problem = None if same else f"heard instead: {heard or 'nothing'}"
            yield _found(("heard_exactly",), problem, evidence.ended_at)


def _not_heard(expect: ExpectTable, evidence: Evidence) -> Iterator[Finding]:
    for nth, phrase in enumerate(expect.not_heard):
        if evidence.heard is None:
            yield _unseen("not_heard", nth)
            continue
        whole = " ".join(one.text for one in evidence.heard)
        at = next((one.at for one in evidence.heard if _has(one.text, phrase)), None)
        problem = f"heard, though it must not be: {phrase}" if _has(whole, phrase) else None
        yield _found(("not_heard", nth), problem, at)


def _has(text: str, phrase: str) -> bool:
    return _comparable(phrase, phrase) in _comparable(text, phrase)


def _transcript(expect: ExpectTable, evidence: Evidence) -> Iterator[Finding]:
    for nth, wanted in enumerate(expect.transcript):
        if evidence.transcript is None:
            yield _unseen("transcript", nth)
            continue
        there = any(_matches(item, wanted) for item in evidence.transcript)
        told = ", ".join(f"{key} {value!r}" for key, value in wanted if value is not None)
        problem = None if there else f"no item of the transcript has {told}"
        yield _found(("transcript", nth), problem, evidence.ended_at)


def _matches(item: dict[str, Any], wanted: ItemExpectation) -> bool:
    exact = all(
        value is None or item.get(key) == value
        for key, value in (("speaker", wanted.speaker), ("status", wanted.status))
    )
    return exact and all(
        value is None or (_has(item.get(key) or "", value) if value else not item.get(key))
        for key, value in (
            ("text", wanted.text), ("heard", wanted.heard), ("unheard", wanted.unheard)
        )
    )  # fmt: skip


def _tools(expect: ExpectTable, evidence: Evidence) -> Iterator[Finding]:
    for nth, wanted in enumerate(expect.tools):
        if evidence.tools is None:
            yield _unseen("tools", nth)
            continue
        of_name = [run for run in evidence.tools if run.name == wanted.name]
        runs = [run for run in of_name if _includes(run.arguments, wanted.arguments)]
        refused = [run for run in runs if expect.refuses(run)]
        at = of_name[-1].at if of_name else evidence.ended_at
        problem = None
        if wanted.times is not None and len(runs) != wanted.times:
            so = "" if wanted.arguments is None else " with these arguments"
            problem = f"{wanted.name} was called {len(runs)} times{so}, not {wanted.times}"
        elif wanted.times is None and not runs:
            problem = f"{wanted.name} was never called"
            if of_name:
                problem += f" with these arguments, but with {of_name[-1].arguments}"
        elif refused and (wanted.times or len(refused) == len(runs)):
            problem = f"{wanted.name} was called but never run: {refused[-1].refused}"
            at = refused[-1].at
        yield _found(("tools", nth), problem, at)


def _includes(given: Any, wanted: dict[str, Any] | None) -> bool:
    if wanted is None:
        return True
    return isinstance(given, dict) and all(
        key in given and given[key] == value for key, value in wanted.items()
    )


def _telephone(expect: ExpectTable, evidence: Evidence) -> Iterator[Finding]:
    if expect.keys is not None:
        if evidence.keys is None:
            yield _unseen("keys")
        else:
            got = "".join(one.text for one in evidence.keys)
            at = evidence.keys[-1].at if evidence.keys else evidence.ended_at
            many = len(got) != len(expect.keys)
            told = f"{len(got)} keys came, " + (
                f"{len(expect.keys)} expected" if many else "and not these"
            )
            yield _found(("keys",), None if got == expect.keys else told, at)
    if expect.transfer is not None:
        if evidence.transfers is None:
            yield _unseen("transfer")
        else:
            last = evidence.transfers[-1] if evidence.transfers else None
            to = last.text if last else ""
            told = f"tried to hand over to {to or 'nobody'}, not to {expect.transfer or 'nobody'}"
            problem = None if to == expect.transfer else told
            yield _found(("transfer",), problem, last.at if last else evidence.ended_at)


def _ending(expect: ExpectTable, evidence: Evidence) -> Iterator[Finding]:
    if expect.ending is None:
        return
    if evidence.ending is None:
        if expect.ending == "caller-hung-up" and evidence.hung_up_on:
            told = "the caller did not hang up, the bridge's side ended the call"
            yield _found(("ending",), told, evidence.ended_at)
        else:
            yield _unseen("ending")
        return
    why, wanted = evidence.ending.text, expect.ending
    problem = None if why == wanted else f"ended for {why}, not for {wanted}"
    yield _found(("ending",), problem, evidence.ending.at)


def _times(expect: ExpectTable, evidence: Evidence) -> Iterator[Finding]:
    if expect.longest_silence is not None:
        worst = evidence.silences[0] if evidence.silences else Lapse(0.0, 0.0)
        problem = f"{worst.seconds:.2f} s of silence, at most {expect.longest_silence:g} allowed"
        over = worst.seconds > expect.longest_silence
        yield _found(("longest_silence",), problem if over else None, worst.at)
    if expect.latency is not None:
        yield _latency(expect.latency, evidence)
    for nth, limit in enumerate(expect.latencies):
        if nth >= len(evidence.answers):
            told = f"only {len(evidence.answers)} turns were answered"
            yield _found(("latencies", nth), told, evidence.ended_at)
            continue
        one = evidence.answers[nth]
        problem = f"answered after {one.seconds:.2f} s, at most {limit:g} allowed"
        yield _found(("latencies", nth), problem if one.seconds > limit else None, one.at)


def _latency(limit: float, evidence: Evidence) -> Finding:
    """An agent that answers nothing is not fast; one whose caller says nothing is neither."""
    if not evidence.answers:
        told = "no turn was answered"
        spoke = evidence.spoken > 0
        return _found(("latency",), told, evidence.ended_at) if spoke else _unseen("latency")
    slow = max(evidence.answers, key=lambda one: one.seconds)
    problem = f"answered after {slow.seconds:.2f} s, at most {limit:g} allowed"
    return _found(("latency",), problem if slow.seconds > limit else None, slow.at)


def _numbers(expect: ExpectTable, evidence: Evidence) -> Iterator[Finding]:
    for name, wanted in expect.responses:
        if wanted is None:
            continue
        if evidence.responses is None:
            yield _unseen("responses", name)
            continue
        got = evidence.responses[name]
        problem = None if got == wanted else f"{got} responses {name}, {wanted} expected"
        yield _found(("responses", name), problem, evidence.ended_at)
    if evidence.conflicts is None:
        yield _unseen("conflicts")
    else:
        over = len(evidence.conflicts) > expect.conflicts
        told = f"{len(evidence.conflicts)} requests refused, at most {expect.conflicts} allowed"
        at = evidence.conflicts[-1] if evidence.conflicts else None
        yield _found(("conflicts",), told if over else None, at)


def _counts(expect: ExpectTable, evidence: Evidence) -> Iterator[Finding]:
    if expect.min_turns:
        yield _count("min_turns", evidence.turns, expect.min_turns, "at least ", evidence)
    if expect.turns is not None:
        yield _count("turns", evidence.turns, expect.turns, "", evidence)
    if expect.barge_ins is not None:
        yield _count("barge_ins", evidence.barge_ins, expect.barge_ins, "", evidence)


def _count(key: str, got: int | None, wanted: int, least: str, evidence: Evidence) -> Finding:
    if got is None:
        return _unseen(key)
    fine = got >= wanted if least else got == wanted
    what = "barge-ins" if key == "barge_ins" else "turns"
    problem = None if fine else f"{got} {what}, {least}{wanted} expected"
    return _found((key,), problem, evidence.ended_at)


_JUDGES: Sequence[Judge] = (
    _heard, _not_heard, _transcript, _tools, _telephone, _ending, _times, _numbers, _counts
)  # fmt: skip

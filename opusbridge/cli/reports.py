"""How scripted calls went: for a person, a table; for a machine, JUnit XML."""

from collections.abc import Iterable, Sequence
from pathlib import Path
from xml.etree import ElementTree

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from opusbridge.errors import ConfigurationError
from opusbridge.receptionist import RECEPTIONIST
from opusbridge.sim.script import CallScript
from opusbridge.sim.script.mistakes import key
from opusbridge.testing.result import CallResult

#: Lines of the conversation shown with a failure, and letters of each: the last ones say most.
SHOWN_LINES, SHOWN_LETTERS = 8, 110

#: Whose line is never cut: it says at its end why the tool failed.
WHY = ("tool", "failed")


def failures(result: CallResult, strict: bool) -> list[str]:
    """What is wrong with it; what could not be checked is, too, if we are ``strict``."""
    return result.failures + (result.not_checked if strict else [])


def names(results: Sequence[CallResult]) -> list[str]:
    """Of their scripts; by its file where another has the same."""
    return script_names([one.script for one in results])


def script_names(scripts: Sequence[CallScript]) -> list[str]:
    files: dict[str, set[str]] = {}
    for one in scripts:
        files.setdefault(one.name, set()).add(one.file)
    return [one.name if len(files[one.name]) == 1 else one.file for one in scripts]


def show(results: Sequence[CallResult], console: Console, strict: bool = False) -> None:
    """What was wrong, a line each, whole, so that it can be followed, and what was said last;
    and the table at the end."""
    table = Table("script", "telephony", "call", "result")
    for one, name in zip(results, names(results), strict=True):
        wrong = failures(one, strict)
        unseen = [] if strict else one.not_checked
        if wrong or unseen or one.remarks:
            console.print(escape(f"{name} over {one.telephony}:"))
        for told in (*wrong, *(_folded(one) if unseen else ()), *one.remarks):
            console.print(f"  {escape(told)}")
        if wrong:
            _show_said(one, console)
        result = f"{len(wrong)} wrong" if wrong else "as expected"
        result += f", {len(unseen)} not checked" if unseen else ""
        length = "" if one.evidence is None else f"{one.evidence.ended_at:.1f} s"
        table.add_row(escape(name), one.telephony, length, result)
    console.print(table)


def _folded(one: CallResult) -> list[str]:
    """What could not be checked, in a line for each kind: of one bridge it is always the same."""
    unseen = _listed(place[1] for place in one.unseen)
    outside = one.evidence is not None and one.evidence.tools is None
    why = " (the caller cannot know; the files of the bridge's own calls have it)"
    return [
        *([f"not played: {_listed(one.not_played)}"] if one.not_played else []),
        *([f"never befell: {_listed(map(key, one.never_befell))}"] if one.never_befell else []),
        *([f"not checked: {unseen}{why if outside else ''}"] if unseen else []),
    ]


def _listed(names: Iterable[object]) -> str:
    return ", ".join(dict.fromkeys(map(str, names)))


def _show_said(one: CallResult, console: Console) -> None:
    said = one.said
    if not said:
        return  # nobody could listen: the bridge runs elsewhere, or there was no call
    earlier = len(said) - SHOWN_LINES
    console.print(f"  said ({earlier} lines before these):" if earlier > 0 else "  said:")
    shown = zip(said[-SHOWN_LINES:], one.transcript[-SHOWN_LINES:], strict=True)
    for line, item in shown:
        whole = len(line) <= SHOWN_LETTERS or (item["speaker"], item["status"]) == WHY
        console.print(escape(line if whole else f"{line[:SHOWN_LETTERS]}…"))


def show_who_answered(results: Sequence[CallResult], console: Console) -> None:
    """That it was the receptionist, where that is probably what was wrong: a tool that is not
    hers was called."""
    hers = {tool.name for tool in RECEPTIONIST.tools}
    strange = {run.name for one in results if one.failures for run in one.tools if run.refused}
    if strange - hers:
        console.print(
            "the built-in receptionist answered, who has no such tools: --agent names another"
        )


def junit_xml(results: Sequence[CallResult], command: str, strict: bool = False) -> bytes:
    """One test case for each script and telephony side; of one that failed, what was said."""
    wrong = [failures(one, strict) for one in results]
    suite = ElementTree.Element(
        "testsuite",
        {
            "name": f"opusbridge {command}",
            "tests": str(len(results)),
            "failures": str(sum(map(bool, wrong))),
            "errors": "0",
            "time": f"{sum(one.seconds for one in results):.3f}",
        },
    )
    for one, name, problems in zip(results, names(results), wrong, strict=True):
        # No "file": what checks reports by their schema would refuse it. The messages have it.
        which = {"classname": one.telephony, "name": name, "time": f"{one.seconds:.3f}"}
        case = ElementTree.SubElement(suite, "testcase", which)
        if problems:
            told = {"type": "expectation", "message": _printable(problems[0])}
            failure = ElementTree.SubElement(case, "failure", told)
            failure.text = _printable("\n".join(problems))
        aside = [*one.not_checked, *one.remarks, *(one.said if problems else [])]
        if aside:
            out = ElementTree.SubElement(case, "system-out")
            out.text = _printable("\n".join(aside))
    document: bytes = ElementTree.tostring(suite, encoding="utf-8", xml_declaration=True)
    return document


def check_writable(junit: Path | None) -> None:
    """:raises ConfigurationError: there is no folder for it; better told before the calls."""
    if junit is not None and not junit.parent.is_dir():
        raise ConfigurationError(f"--junit: there is no folder {junit.parent}")


def write(path: Path, content: bytes) -> None:
    try:
        path.write_bytes(content)
    except OSError as error:
        raise ConfigurationError(f"--junit: cannot write {path}: {error.strerror}") from None


def _printable(text: str) -> str:
    """XML knows no control characters, whatever a script's words are."""
    return "".join(letter if letter.isprintable() or letter == "\n" else "?" for letter in text)

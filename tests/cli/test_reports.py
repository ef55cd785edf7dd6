"""What a person reads about a call that went wrong."""

import io
from typing import Any
from xml.etree import ElementTree

import pytest
from rich.console import Console

from opusbridge.cli import reports
from opusbridge.sim import script
from opusbridge.sim.evidence import Evidence, ToolRun, Utterance
from opusbridge.testing.result import CallResult

BOTH = (ToolRun(1.0, "look_up", {}), ToolRun(1.0, "book", {}))


def item(nth: int, speaker: str, heard: str, unheard: str = "") -> dict[str, Any]:
    text = f"{heard} {unheard}".strip()
    return {
        **{"item_id": f"item_{nth}", "speaker": speaker, "text": text, "status": "completed"},
        **{"heard": heard, "unheard": unheard, "started_ms": 1500 * nth, "ended_ms": None},
    }


def shown(transcript: list[dict[str, Any]] | None, *problems: str) -> list[str]:
    """The lines of the report but the table's."""
    evidence = Evidence(9.0, (), (), transcript=transcript)
    result = CallResult(script.load("greeting"), "twilio", evidence, problems=[*problems])
    out = io.StringIO()
    reports.show([result], Console(file=out, width=100, soft_wrap=True))
    return [line for line in out.getvalue().splitlines() if line[0] not in "┏┃┡│└"]


def test_a_failure_comes_with_what_was_said_and_what_was_not_heard_of_it() -> None:
    said = [item(1, "agent", "From Monday", "to [Friday]"), item(2, "caller", "Wait.")]
    said.append(item(3, "agent", "", "Yes?"))

    assert shown(said, "nobody was content") == [
        "greeting over twilio:",
        "  nobody was content",
        "  said:",
        "     1.50 s  agent: From Monday [not heard: to [Friday]]",
        "     3.00 s  caller: Wait.",
        "     4.50 s  agent: [not heard: Yes?]",
    ]
    assert shown(said) == []


def test_replies_that_nobody_asked_for_are_told_of_a_call_that_was_well_too() -> None:
    greeting = script.load("greeting")
    result = CallResult(greeting, "twilio", Evidence(9.0, (), ()), replies=greeting.reply_script())
    out = io.StringIO()
    reports.show([result], Console(file=out, width=100, soft_wrap=True), strict=True)

    assert reports.failures(result, strict=True) == []
    assert "model.replies: 1 of 1 never used\n" in out.getvalue()
    assert "as expected" in out.getvalue()
    assert b"never used" in reports.junit_xml([result], "call", strict=True)


def test_of_a_long_conversation_the_last_lines_are_shown_and_of_a_long_line_the_first_words() -> (
    None
):
    said = [item(nth, "caller", f"Line {nth}. " + "word " * 40) for nth in range(30)]

    *_, head, first, last = (line for line in shown(said, "x") if not 22 < number(line) < 29)

    assert head == "  said (22 lines before these):"
    assert first.startswith("    33.00 s  caller: Line 22. word")
    assert last.startswith("    43.50 s  caller: Line 29. word")
    assert len(last) == reports.SHOWN_LETTERS + 1
    assert last.endswith("…")


def test_why_a_tool_failed_is_shown_whole() -> None:
    use = 'order({}) -> {"error": "wrong arguments: ' + "day: Field required; " * 10 + 'the last"}'

    *_, worked, failed = shown(
        [item(1, "tool", use), {**item(2, "tool", use), "status": "failed"}], "x"
    )

    assert worked.endswith("…")
    assert failed.endswith('the last"}')


def number(line: str) -> int:
    return int(line.partition("Line ")[2].partition(".")[0] or 0)


def test_scripts_of_one_name_are_told_apart_by_their_files() -> None:
    steps = "[caller]\nsteps = []"
    vip, plain = (script.parse(steps, "order", file) for file in ("vip/order.toml", "order.toml"))
    other = script.load("greeting")
    results = [CallResult(one, "twilio") for one in (vip, plain, other)]
    results.append(CallResult(other, "audiocodes"))

    cases = ElementTree.fromstring(reports.junit_xml(results, "simulate")).iter("testcase")

    assert [(case.get("classname"), case.get("name")) for case in cases] == [
        ("twilio", "vip/order.toml"),
        ("twilio", "order.toml"),
        ("twilio", "greeting"),
        ("audiocodes", "greeting"),
    ]


def test_what_nobody_could_hear_is_not_shown() -> None:
    assert shown(None, "x") == shown([], "x") == ["greeting over twilio:", "  x"]


UNSEEN = """
[caller]
steps = []

[[model.faults]]
response = 3
kind = "drop"

[expect]
heard = ["one", "two"]
tools = [{ name = "look_up" }, { name = "book" }]
latency = 1.0
"""


@pytest.mark.parametrize(
    ("seen", "told"),
    [
        (
            Evidence(9.0, (), ()),
            "heard, tools, latency (the caller cannot know; the files of the bridge's own calls "
            "have it)",
        ),
        (Evidence(9.0, (), (), heard=(Utterance(0.0, "one two"),), tools=BOTH), "latency"),
    ],
)
def test_what_could_not_be_checked_is_a_line_of_each_kind(seen: Evidence, told: str) -> None:
    one = script.parse(UNSEEN, "one", "one.toml")
    result = CallResult(one, "twilio", seen, one.findings(seen))
    result.not_played += ["model", "tools"]
    result.never_befell.append(("model", "faults", 0))
    out = io.StringIO()

    reports.show([result], Console(file=out, width=100, soft_wrap=True))

    assert out.getvalue().splitlines()[:4] == [
        "one over twilio:",
        "  not played: model, tools",
        "  never befell: model.faults[0]",
        f"  not checked: {told}",
    ]
    assert f"{len(result.not_checked)} not checked" in out.getvalue()

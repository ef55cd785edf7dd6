"""Every kind of expectation: it holds when it should, and it can fail."""

from dataclasses import replace
from typing import Any

import pytest

from opusbridge.sim.evidence import Evidence, Lapse, ToolRun, Utterance
from opusbridge.sim.script.expect import ExpectTable, Finding, Verdict

SEEN = Evidence(
    ended_at=30.0,
    silences=[Lapse(4.0, 2.5), Lapse(9.0, 1.0)],
    answers=[Lapse(3.0, 0.9), Lapse(12.0, 1.6)],
    ending=Utterance(30.0, "agent-hung-up"),
    heard=[Utterance(1.0, "Hello, it's the front desk."), Utterance(6.0, "From nine to six.")],
    transcript=[
        {"speaker": "caller", "text": "Where is my order?", "heard": "", "unheard": "",
         "status": "completed"},
        {"speaker": "agent", "text": "It left today. Anything else?", "heard": "It left today.",
         "unheard": "Anything else?", "status": "interrupted"},
        {"speaker": "tool", "text": 'buy({"count": 42}) -> {"error": "wrong arguments: count"}',
         "heard": "", "unheard": "", "status": "failed"},
    ],
    tools=[
        ToolRun(5.0, "look_up", {"order": 42, "fast": True}),
        ToolRun(5.5, "buy", {"count": 42},
                "wrong arguments: count: Input should be less than 21",
                'buy({"count": 42}) -> {"error": "wrong arguments: count"}'),
        ToolRun(6.0, "buy", {"pizza": "funghi"}),
        ToolRun(8.0, "count", "no json"),
    ],
    keys=[Utterance(7.0, "12"), Utterance(8.0, "#")],
    transfers=[Utterance(29.0, "+15550100300")],
    responses={"requested": 3, "created": 3, "completed": 2, "cancelled": 1, "failed": 0,
               "conflicts": 1, "retries": 0},
    conflicts=[11.0],
    turns=2,
    barge_ins=1,
)  # fmt: skip

FROM_OUTSIDE = Evidence(30.0, SEEN.silences, SEEN.answers)

#: What holds; what does not, what is said of it, and when that was.
KINDS: list[tuple[dict[str, Any], dict[str, Any], str, float | None]] = [
    (
        {"heard": ["front desk", "FROM nine, to six"]},
        {"heard": ["front desks"]},
        "never heard: front desks",
        30.0,
    ),
    (
        {"heard_exactly": "hello it's the front desk - from nine to six"},
        {"heard_exactly": "Hello"},
        "heard instead: Hello, it's the front desk. From nine to six.",
        30.0,
    ),
    ({"not_heard": ["ten"]}, {"not_heard": ["nine"]}, "heard, though it must not be: nine", 6.0),
    (
        {"transcript": [{"speaker": "agent", "heard": "left today", "unheard": "else"}]},
        {"transcript": [{"speaker": "caller", "heard": "left today"}]},
        "no item of the transcript has speaker 'caller', heard 'left today'",
        30.0,
    ),
    (
        {"transcript": [{"status": "interrupted", "text": "anything else"}]},
        {"transcript": [{"status": "interrupted", "unheard": ""}]},
        "no item of the transcript has unheard '', status 'interrupted'",
        30.0,
    ),
    (
        {"tools": [{"name": "look_up", "arguments": {"order": 42}, "times": 1}]},
        {"tools": [{"name": "look_up", "arguments": {"order": 43}}]},
        "look_up was never called with these arguments, but with {'order': 42, 'fast': True}",
        5.0,
    ),
    (
        {"tools": [{"name": "count"}, {"name": "erase", "times": 0}]},
        {"tools": [{"name": "count", "times": 2}]},
        "count was called 1 times, not 2",
        8.0,
    ),
    (
        {"tools": [{"name": "buy"}, {"name": "buy", "arguments": {"pizza": "funghi"}}]},
        {"tools": [{"name": "buy", "times": 2}]},
        "buy was called but never run: wrong arguments: count: Input should be less than 21",
        5.5,
    ),
    (
        {
            "tools": [{"name": "buy", "times": 2}],
            "transcript": [{"speaker": "tool", "text": "count", "status": "failed"}],
        },
        {"tools": [{"name": "buy", "arguments": {"count": 42}}]},
        "buy was called but never run: wrong arguments: count: Input should be less than 21",
        5.5,
    ),
    ({"tools": []}, {"tools": [{"name": "erase"}]}, "erase was never called", 30.0),
    ({"keys": "12#"}, {"keys": "12"}, "3 keys came, 2 expected", 8.0),
    ({"keys": "12#"}, {"keys": "21#"}, "3 keys came, and not these", 8.0),
    (
        {"transfer": "+15550100300"},
        {"transfer": ""},
        "tried to hand over to +15550100300, not to nobody",
        29.0,
    ),
    (
        {"ending": "agent-hung-up"},
        {"ending": "caller-hung-up"},
        "ended for agent-hung-up, not for caller-hung-up",
        30.0,
    ),
    (
        {"longest_silence": 2.6},
        {"longest_silence": 2.4},
        "2.50 s of silence, at most 2.4 allowed",
        4.0,
    ),
    ({"latency": 1.7}, {"latency": 1.5}, "answered after 1.60 s, at most 1.5 allowed", 12.0),
    (
        {"latencies": [1.0, 1.7]},
        {"latencies": [0.8]},
        "answered after 0.90 s, at most 0.8 allowed",
        3.0,
    ),
    ({"latencies": [1]}, {"latencies": [1, 2, 3]}, "only 2 turns were answered", 30.0),
    (
        {"responses": {"requested": 3, "cancelled": 1}},
        {"responses": {"requested": 2}},
        "3 responses requested, 2 expected",
        30.0,
    ),
    ({"conflicts": 1}, {"conflicts": 0}, "1 requests refused, at most 0 allowed", 11.0),
    ({"min_turns": 2}, {"min_turns": 3}, "2 turns, at least 3 expected", 30.0),
    ({"turns": 2}, {"turns": 1}, "2 turns, 1 expected", 30.0),
    ({"barge_ins": 1}, {"barge_ins": 0}, "1 barge-ins, 0 expected", 30.0),
]


def findings(given: dict[str, Any], evidence: Evidence) -> list[Finding]:
    # One refused request is in the evidence, for the sake of its own expectation.
    return ExpectTable.model_validate({"conflicts": 1, **given}).findings(evidence)


@pytest.mark.parametrize(("good", "bad", "told", "at"), KINDS)
def test_every_kind_holds_and_can_fail(
    good: dict[str, Any], bad: dict[str, Any], told: str, at: float | None
) -> None:
    assert {one.verdict for one in findings(good, SEEN)} == {Verdict.HELD}

    (failed,) = (one for one in findings(bad, SEEN) if one.verdict is Verdict.FAILED)
    assert (failed.sentence, failed.at) == (told, at)
    assert failed.path[:2] == ("expect", next(iter(bad)))


def test_every_kind_is_among_these() -> None:
    assert {key for good, _, _, _ in KINDS for key in good} == set(ExpectTable.model_fields)


def test_what_nobody_could_observe_is_not_checked() -> None:
    by_ear = {"longest_silence", "latency", "latencies"}
    for good, bad, _, _ in KINDS:
        for given in (good, bad):
            verdicts = {one.path[1]: one.verdict for one in findings(given, FROM_OUTSIDE)}
            for key in set(given) & set(verdicts):
                seen = key in by_ear
                assert (verdicts[key] is not Verdict.NOT_CHECKED) is seen, key


def test_who_was_hung_up_on_knows_of_one_reason_that_it_was_not() -> None:
    alone = replace(FROM_OUTSIDE, hung_up_on=True)
    (failed, _) = findings({"ending": "caller-hung-up"}, alone)
    (unknown, _) = findings({"ending": "agent-hung-up"}, alone)

    assert (failed.verdict, failed.at) == (Verdict.FAILED, 30.0)
    assert failed.sentence == "the caller did not hang up, the bridge's side ended the call"
    assert unknown.verdict is Verdict.NOT_CHECKED


def test_who_is_never_answered_is_not_answered_fast() -> None:
    mute = replace(SEEN, answers=[], spoken=2)
    (failed, _) = findings({"latency": 3.0}, mute)
    assert (failed.verdict, failed.at) == (Verdict.FAILED, 30.0)
    assert failed.sentence == "no turn was answered"

    (unknown, _) = findings({"latency": 3.0}, replace(mute, spoken=0))
    assert unknown.verdict is Verdict.NOT_CHECKED


def test_nothing_in_particular_is_expected_but_that_no_request_is_refused() -> None:
    assert ExpectTable().findings(replace(SEEN, conflicts=[])) == [
        Finding(("expect", "conflicts"), Verdict.HELD)
    ]


def test_a_phrase_is_whole_words() -> None:
    seen = replace(SEEN, heard=[Utterance(0.0, "I don’t know")])

    (held, _) = findings({"heard": ["don’t"]}, seen)
    (failed, _) = findings({"heard": ["know I"]}, seen)
    assert (held.verdict, failed.verdict) == (Verdict.HELD, Verdict.FAILED)


@pytest.mark.parametrize(
    ("said", "held", "failed"),
    [
        ("你好，请问有什么可以帮您？", "你好", "再见"),
        ("你好，请问有什么可以帮您？", "好请问", "请您"),
        ("ご注文は明日届きます。", "明日届きます", "昨日"),
        ("ขอบคุณที่โทรมาค่ะ", "ขอบคุณ", "สวัสดี"),
        ("नमस्ते, मैं आपकी मदद करूँगी", "मदद", "मैंने"),
        ("यह राम की किताब है।", "राम की", "राम का"),
        ("Un cafe\u0301, s'il vous plaît", "CAFÉ", "cafe"),
        ("Rock ''n' roll ❤\ufe0f forever", "roll forever", "rock roll"),
        ("❤\ufe0fHello there", "hello", "there hello"),
        ("Press 1\ufe0f\u20e3 now", "1", "2"),
        ("می\u200cخواهم بروم", "می\u200cخواهم", "می"),
    ],
)
def test_a_phrase_may_be_of_any_language(said: str, held: str, failed: str) -> None:
    seen = replace(SEEN, heard=[Utterance(0.0, said)])

    (there, _) = findings({"heard": [held]}, seen)
    (missing, _) = findings({"heard": [failed]}, seen)
    (unheard, _) = findings({"not_heard": [held]}, seen)
    verdicts = [one.verdict for one in (there, missing, unheard)]
    assert verdicts == [Verdict.HELD, Verdict.FAILED, Verdict.FAILED]


def test_without_blanks_all_that_was_heard_is_one_however_it_was_said() -> None:
    seen = replace(SEEN, heard=[Utterance(0.0, "你好。"), Utterance(2.0, "请问，有什么事？")])

    (same, _) = findings({"heard_exactly": "你好请问有什么事"}, seen)
    (other, _) = findings({"heard_exactly": "你好"}, seen)
    assert (same.verdict, other.verdict) == (Verdict.HELD, Verdict.FAILED)


def test_words_across_two_utterances_count_as_heard_and_as_not_to_be_heard() -> None:
    (held, _) = findings({"heard": ["desk from nine"]}, SEEN)
    (failed, _) = findings({"not_heard": ["desk from nine"]}, SEEN)

    assert (held.verdict, failed.verdict, failed.at) == (Verdict.HELD, Verdict.FAILED, None)

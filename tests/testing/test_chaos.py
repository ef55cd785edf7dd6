"""Bad days: what the network does is done, the promises hold, and each can be found broken."""

from collections.abc import Iterator
from dataclasses import replace
from random import Random
from typing import get_args

import pytest

from opusbridge.receptionist import RECEPTIONIST
from opusbridge.recording.mixing import StereoTimeline
from opusbridge.sim import script as scripts
from opusbridge.sim import world
from opusbridge.sim.callers.person import Deed
from opusbridge.sim.faults import Faults, Mishap
from opusbridge.sim.guarantees import GUARANTEES, broken, judged
from opusbridge.sim.script import parse
from opusbridge.sim.seeded import judged as judged_seeded
from opusbridge.sim.seeded import seeded_call
from opusbridge.testing import call_script, chaos
from opusbridge.testing.virtual import staged

SEEDS = range(1, 25)

#: What is said of a call that breaks it; from the checks, the referees and the watch.
OBJECTIONS = {
    "one-response": "door: a response was asked for while a response was active, at 3.20",
    "cancel-first": "model: a response was asked for between a cancel and its done",
    "caller-first": "model: a response was asked for while the caller was speaking",
    "turns-answered": "model: the turn item_1 was never answered",
    "asked-again": "the bridge gave up without a word",
    "tools-once": "model: the tool call call_1 got a second output",
    "cut-is-cut": "item_1 was heard after it had been cut",
    "honest-truncation": "item_1 truncated to 900 ms where 200 ms were heard",
    "unique-marks": "2 mark names were used more than once",
    "comes-to-rest": "the engine still waits for something",
    "one-ending": "2 endings instead of one",
    "whole-recording": "0.80 s of the agent were heard and are not in the recording",
    "good-manners": "caller: 31951: an unknown event",
}

TALK = """
[caller]
steps = [
    { wait_for_agent = true },
    { say = "opening-hours" },
    { wait_for_agent = true },
    { wait = 2.0 },
    { say = "sundays-too" },
    { wait_for_agent = 90 },
    { hang_up = true },
]
patience = 90

[model]
usual = [{ text = "That is how it is." }]
"""


@pytest.mark.slow
@pytest.mark.parametrize("first", range(SEEDS.start, SEEDS.stop, 6))
def test_the_promises_hold_on_bad_days(first: int) -> None:
    tried = [chaos.seeded(seed, True) for seed in range(first, first + 6)]

    wrong = {one.name: why for one in tried for why in one.broken.values() if why}
    assert wrong == {}


def test_bad_days_differ_and_have_everything() -> None:
    days = [chaos.bad_day(seed) for seed in range(200)]

    kinds = {(one.kind, one.side) for day in days for one in day.network}
    each = get_args(Mishap.model_fields["kind"].annotation)
    assert kinds == {(kind, side) for kind in each for side in ("telephony", "model")}
    assert {day.refused_dials for day in days} == {0, 1, 2}
    assert any(day.clock_skew for day in days)
    assert any(day.reorder for day in days)
    assert Faults.random(Random(3)) == Faults.random(Random(3))


def test_every_guarantee_can_be_found_broken() -> None:
    assert list(OBJECTIONS) == [one.name for one in GUARANTEES]
    for name, sentence in OBJECTIONS.items():
        assert {key: why for key, why in broken([sentence]).items() if why} == {name: [sentence]}


@pytest.mark.parametrize(
    ("how", "name"),
    [
        ("before every tool call had its output", "tools-once"),
        ("again for one batch of tool outputs", "tools-once"),
        ("while a turn awaited the service's own", "one-response"),
    ],
)
def test_what_only_the_watch_at_the_door_can_tell_breaks_a_promise(how: str, name: str) -> None:
    (told,) = broken([f"door: a response was asked for {how}, at 3.20"])[name]

    assert how in told


@pytest.mark.slow
def test_an_engine_that_sleeps_through_its_deadlines_breaks_promises(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    fault = "[model]\nfaults = [{ response = 1, kind = 'created-withheld' }]"
    call = staged(parse(TALK.replace("[model]", fault), "deaf"), "twilio")
    monkeypatch.setattr(type(call.engine), "deadline", None)
    call.call.run(100.0)

    assert broken(call.call.verdict())["turns-answered"]


@pytest.mark.slow
def test_a_recording_that_loses_or_moves_what_was_heard_is_found_out(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def broken_by(name: str, wrong: object) -> list[str]:
        with monkeypatch.context() as patched:
            patched.setattr(StereoTimeline, name, wrong)
            return chaos.seeded(3, False).broken["whole-recording"]

    def lost(self: StereoTimeline, *sound: object) -> None:
        pass

    right = StereoTimeline.agent

    def late(self: StereoTimeline, pcm: bytes, at: float, follows: bool = False) -> None:
        right(self, pcm, at + 1.0, follows)

    assert [why.split(" s of the ")[1][:6] for why in broken_by("caller", lost)] == ["caller"]
    assert "are not in the recording" in broken_by("agent", lost)[0]
    assert len(broken_by("agent", late)) == 2


@pytest.mark.slow
def test_a_silence_that_is_missing_at_the_end_of_a_recording_is_found_out(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    right = StereoTimeline.finish
    monkeypatch.setattr(StereoTimeline, "finish", lambda self, at: right(self, at)[: -4 * 80])

    (told,) = chaos.seeded(3, False).broken["whole-recording"]

    assert " s in the recording of a call of " in told


@pytest.mark.slow
def test_whoever_is_lost_with_the_model_must_be_told_unless_he_left_or_cannot_hear() -> None:
    patient = TALK.replace("{ wait_for_agent = 90 }", "{ wait = 60 }")
    faults = f"[faults]\nrefused_dials = 99\n{mishap('drop', 'model')}"
    call = staged(parse(f"{patient}\n{faults}", "lost"), "twilio")
    call.run()

    assert [ending.reason for ending in call.call.endings] == ["model-unreachable"]
    assert judged(call.call, said_sorry=True) == []
    assert judged(call.call, said_sorry=False) == ["the bridge gave up without a word"]

    call.call.caller.person.diary.append(Deed(30.0, "hangs-up"))
    assert judged(call.call, said_sorry=False) == []


@pytest.mark.slow
def test_an_apology_that_comes_in_pieces_is_one() -> None:
    call = seeded_call(629, faults=chaos.bad_day(629))  # the model is lost, and the line jitters
    call.run(chaos.LONGEST_CALL)

    assert [ending.reason for ending in call.endings] == ["model-lost"]
    assert judged_seeded(call) == []


@pytest.mark.slow
def test_an_apology_that_a_stall_kept_back_until_the_hang_up_was_made() -> None:
    call = seeded_call(3101, faults=chaos.bad_day(3101))  # the line stands still while it is said
    call.run(chaos.LONGEST_CALL)

    assert [ending.reason for ending in call.endings] == ["model-lost"]
    assert call.caller.playout.queued_ms > 1000
    assert judged_seeded(call) == []
    assert judged(call, said_sorry=False) == ["the bridge gave up without a word"]

    calm = seeded_call(3101, faults=chaos.bad_day(3101))
    calm.run(chaos.LONGEST_CALL)
    calm.faults = calm.faults.model_copy(update={"network": calm.faults.network[1:]})
    assert judged_seeded(calm) == ["the bridge gave up without a word"]

    call.caller.playout.clear(call.caller.playout.next_epoch(), call.world.now)
    assert judged_seeded(call) == ["the bridge gave up without a word"]


@pytest.mark.slow
def test_of_a_caller_who_was_handed_over_nothing_is_owed_any_more() -> None:
    call = seeded_call(5109, faults=chaos.bad_day(5109))  # his line is dead, which nobody knows yet
    call.run(chaos.LONGEST_CALL)

    assert [ending.reason for ending in call.endings] == ["telephony-lost"]
    assert judged_seeded(call) == []

    call.witness.telephony_said('{"activities":[{"type":"event","name":"transferStatus"}]}')
    (owed,) = judged_seeded(call)
    assert owed.startswith("model: the output of call_")


#: What a lost session of the model's owes nobody can judge; nor what became on its way of what
#: was heard, where the line was in trouble.
OWED = {"turns-answered", "asked-again", "tools-once"}
HEARD = {"cut-is-cut", "honest-truncation", "whole-recording"}
LATE = 'network = [{ kind = "drop", side = "telephony", at = 300.0 }]'

# --- What each of them does -------------------------------------------------------------


def played(faults: str, telephony: str = "twilio", text: str = TALK) -> Iterator[str]:
    """The endings, and what of the agent was heard."""
    call = staged(parse(f"{text}\n[faults]\n{faults}", "faulty"), telephony)
    assert call.run()
    yield from (ending.reason for ending in call.call.endings)
    yield " ".join(one.text for one in call.evidence().heard or ())


def mishap(kind: str, side: str, more: str = "") -> str:
    return f'network = [{{ kind = "{kind}", side = "{side}", at = 6.0{more} }}]'


@pytest.mark.slow
@pytest.mark.parametrize("telephony", ["twilio", "audiocodes"])
def test_a_dropped_line_ends_the_call(telephony: str) -> None:
    reason, _ = played(mishap("drop", "telephony"), telephony)

    assert reason == "telephony-lost"


@pytest.mark.slow
@pytest.mark.parametrize(
    ("faults", "telephony", "unknown"),
    [
        ("", "twilio", set()),
        ("model_jitter = 0.8", "twilio", set()),
        ("", "audiocodes", {"unique-marks"}),
        ('network = [{ kind = "drop", side = "model", at = 6.0 }]', "twilio", OWED),
        ('network = [{ kind = "stall", side = "model", at = 6.0 }]', "twilio", set()),
        ('network = [{ kind = "drop", side = "model", at = 300.0 }]', "twilio", set()),
        ('network = [{ kind = "stall", side = "telephony", at = 6.0 }]', "twilio", HEARD),
        ('network = [{ kind = "stall", side = "telephony", at = 300.0 }]', "twilio", set()),
        ('network = [{ kind = "drop", side = "telephony", at = 6.0 }]', "twilio", HEARD),
        (LATE, "twilio", set()),
    ],
)
def test_what_nobody_can_judge_in_a_call_is_known(
    faults: str, telephony: str, unknown: set[str]
) -> None:
    script = parse(f"{TALK}\n[faults]\n{faults}", "faulty")
    tried = chaos.scripted(script, telephony, 1, RECEPTIONIST, chaos=False)

    assert tried.unjudged == unknown
    assert unknown <= set(tried.broken)
    assert not any(tried.broken.values())


LEFT_ALONE = """
[caller]
steps = [{ wait_for_agent = true }, { say = "opening-hours" }, { wait = 4.0 }, { hang_up = true }]

[model]
usual = [{ text = "That is how it is." }]
faults = [{ response = 2, kind = "freeze" }]

[faults]
refused_dials = 100
"""


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["freeze", "drop"])
def test_what_a_session_owes_that_the_model_lost_by_itself_nobody_can_judge(kind: str) -> None:
    script = parse(LEFT_ALONE.replace("freeze", kind), "left-alone")
    tried = chaos.scripted(script, "twilio", 1, RECEPTIONIST, chaos=False)

    assert tried.unjudged == OWED


@pytest.mark.slow
def test_trouble_that_came_after_the_end_excuses_no_recording(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(StereoTimeline, "agent", lambda *sound: None)
    script = parse(f"{TALK}\n[faults]\n{LATE}", "faulty")
    tried = chaos.scripted(script, "twilio", 1, RECEPTIONIST, chaos=False)

    (told,) = tried.broken["whole-recording"]
    assert "of the agent were heard and are not in the recording" in told


@pytest.mark.slow
def test_trouble_that_came_after_the_end_excuses_no_truncation() -> None:
    late = Faults(network=(Mishap(kind="drop", side="telephony", at=300.0),))
    call = staged(scripts.load("barge-in-late"), "twilio", faults=late)
    call.run()
    witness = call.call.witness
    assert judged(call.call, said_sorry=False) == []

    ((at, told),) = witness.truncations
    witness.truncations[:] = [(at, replace(told, audio_end_ms=told.audio_end_ms - 2000))]
    (wrong,) = judged(call.call, said_sorry=False)
    assert " truncated to " in wrong


@pytest.mark.slow
def test_nobody_can_say_that_a_given_up_call_was_answered() -> None:
    faults = "\n".join(f"{{ response = {nth}, kind = 'failed' }}," for nth in range(1, 20))
    text = TALK.replace("[model]", f"[model]\nfaults = [{faults}]")
    script = parse(f"{text}\n[agent]\ngive_up = 'hang_up'", "given-up")
    tried = chaos.scripted(script, "twilio", 1, RECEPTIONIST, chaos=False)

    assert tried.unjudged == {"turns-answered"}


@pytest.mark.slow
def test_whoever_hangs_up_on_a_dead_line_is_missed_when_pings_go_unanswered() -> None:
    text = TALK.replace("{ wait_for_agent = 90 }", "{ wait = 1 }")
    reason, _ = played(mishap("half-open", "telephony"), text=text)

    assert reason == "telephony-lost"


@pytest.mark.slow
def test_what_a_slow_wire_brings_together_was_not_asked_for_twice() -> None:
    stall = Mishap(kind="stall", side="model", at=4.0, seconds=8.0)
    call = seeded_call(114, faults=Faults(network=(stall,)))
    call.run()  # a request that was given up arrives, and so does the next

    assert call.verdict() == ["model: a second response was asked for one batch of tool outputs"]
    assert judged_seeded(call) == []


@pytest.mark.slow
def test_whoever_waits_on_a_dead_line_waits_for_nobody_who_is_to_blame() -> None:
    dead = mishap("half-open", "telephony").replace("6.0", "1.0")
    call = staged(parse(f"{TALK}\n[faults]\n{dead}", "dead"), "twilio")
    call.run()

    assert any("waited in vain for the agent" in what for what in call.call.verdict())
    assert judged(call.call, said_sorry=False) == []


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["drop", "half-open"])
def test_a_model_that_is_lost_is_replaced(kind: str) -> None:
    reason, heard = played(mishap(kind, "model"))

    assert reason == "caller-hung-up"
    assert heard.count("That is how it is") >= 2


@pytest.mark.slow
def test_refused_dials_are_tried_again_and_too_many_are_the_end() -> None:
    few, heard = played(f"refused_dials = 2\n{mishap('drop', 'model')}")
    patient = TALK.replace("{ wait_for_agent = 90 }", "{ wait = 60 }")
    many, sorry = played(f"refused_dials = 99\n{mishap('drop', 'model')}", text=patient)

    assert (few, many) == ("caller-hung-up", "model-unreachable")
    assert "That is how it is" in heard
    assert "Sorry" in sorry


@pytest.mark.slow
def test_a_stall_holds_everything_back_and_then_lets_it_go() -> None:
    plain = call_script(TALK).evidence
    stall = mishap("stall", "model", ", seconds = 4.0").replace("6.0", "4.5")
    held = call_script(f"{TALK}\n[faults]\n{stall}")

    assert plain is not None
    assert held.ok, held.report
    assert held.evidence is not None
    assert held.evidence.answers[0].seconds > plain.answers[0].seconds + 2


GOODBYE = """
[caller]
steps = [{ wait_for_agent = true }, { say = "thank-you-goodbye" }, { wait = 10.0 }]

[[model.replies]]
voice = "front-desk"

[[model.replies]]
voice = "thank-you-for-calling"
tool = "hang_up"
arguments = { reason = "done" }
"""


@pytest.mark.slow
def test_what_the_network_holds_when_the_line_is_hung_up_is_nobodys_broken_promise() -> None:
    stall = mishap("stall", "telephony", ", seconds = 4.0").replace("6.0", "7.6")
    call = staged(parse(f"{GOODBYE}\n[faults]\n{stall}", "cut"), "audiocodes")
    call.run()

    (lost,) = call.call.verdict()
    assert lost.endswith("were ever heard")
    assert judged(call.call, said_sorry=False) == []


@pytest.mark.slow
def test_what_the_network_holds_when_the_line_is_hung_up_may_be_several_items() -> None:
    call = seeded_call(5002, faults=chaos.bad_day(5002))
    call.run()
    lost = [what for what in call.verdict() if what.endswith("were ever heard")]
    assert len(lost) == 3
    assert judged(call, said_sorry=False) == []

    # A shorter stall cannot have held what came long before the end.
    call.faults = Faults(network=(Mishap(kind="stall", side="telephony", at=13.0, seconds=0.3),))
    assert judged(call, said_sorry=False) == lost[:2]


@pytest.mark.slow
def test_what_came_before_something_that_was_heard_the_network_did_not_hold() -> None:
    call = seeded_call(5002, faults=chaos.bad_day(5002))
    call.run()
    first, second, third, *_ = call.witness.items
    for span in call.caller.heard:  # as if all but the third had been lost on the way
        at = span.sound.find(third.sound[:800])
        if at >= 0:
            span.sound[:at] = b"\xff" * at

    blamed = judged(call, said_sorry=False)
    assert len(blamed) == 2
    assert all(any(item.item_id in what for what in blamed) for item in (first, second))


@pytest.mark.slow
def test_a_peer_that_reads_slowly_for_too_long_is_given_up(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(world, "MOST_WAITING", 100)  # so that it need not take long
    reason, _ = played(mishap("slow", "model", ", seconds = 10.0"))

    assert reason == "model-too-slow"


@pytest.mark.slow
@pytest.mark.parametrize("skew", [0.001, -0.001])
def test_a_clock_that_is_off_harms_nobody(skew: float) -> None:
    call = call_script(f"{TALK}\n[faults]\nclock_skew = {skew}\nreorder = 3.0")

    assert call.ok, call.report


@pytest.mark.parametrize(
    "seed",
    [
        pytest.param(4625, id="the-line-is-cut-before-the-session-is-accepted"),
        pytest.param(21071, id="he-dials-again-while-his-old-line-stands-still"),
    ],
)
def test_a_line_that_the_network_took_is_nobodys_bad_manners(seed: int) -> None:
    call = seeded_call(seed, faults=chaos.bad_day(seed))
    call.run()

    assert [ending.reason for ending in call.endings] == ["telephony-lost"]
    assert call.verdict() == []

"""Whole calls in virtual time: the real engine between a pretend caller and a pretend model."""

from dataclasses import replace
from functools import partial
from random import Random
from typing import Any

import pytest

from opusbridge import events
from opusbridge.call.call import Call
from opusbridge.call.engine import Engine
from opusbridge.call.policy import AUDIOCODES, TWILIO, CallPolicy, ResponsePolicy
from opusbridge.effects import SessionConfig, TurnDetection
from opusbridge.privacy import Private
from opusbridge.protocols.audiocodes.protocol import AudioCodesProtocol
from opusbridge.protocols.realtime.protocol import RealtimeProtocol
from opusbridge.protocols.twilio.protocol import TwilioProtocol
from opusbridge.sim import script, tones
from opusbridge.sim.callers import (
    AudioCodesHabits,
    Caller,
    DropLine,
    HangUp,
    Person,
    Press,
    Say,
    SimulatedAudioCodes,
    SimulatedTwilio,
    Step,
    TwilioHabits,
    Wait,
    WaitForAgent,
)
from opusbridge.sim.clock import MOST_RINGS_AT_ONCE, Alarm, World
from opusbridge.sim.faults import SLOW_READ_SECONDS
from opusbridge.sim.model.knobs import Knobs
from opusbridge.sim.model.replies import Reply, ReplyScript, ToolCallReply
from opusbridge.sim.model.server import SimulatedModel
from opusbridge.sim.surroundings import Surroundings
from opusbridge.sim.wire import QUICKEST_SECONDS, Line, Wire
from opusbridge.sim.world import SimulatedCall
from opusbridge.sound import PCMU_8K

HELLO = Say(tones.speech("Hello?", 8000), 8000, "Hello?")


def policy(telephony: str) -> CallPolicy:
    return CallPolicy(
        TWILIO if telephony == "twilio" else AUDIOCODES,
        SessionConfig(
            "Be brief.",
            PCMU_8K,
            turn_detection=TurnDetection("server_vad", False, True),
            transcription_model="some",
        ),
        greet=True,
        responses=ResponsePolicy(greeting="Say hello."),
    )


def call(
    telephony: str,
    person: Person,
    replies: ReplyScript,
    *,
    seed: int = 1,
    habits: Any = None,
    knobs: Knobs | None = None,
    **more: Any,
) -> SimulatedCall:
    """A call that begins at 0.0 of a new world."""
    world = World(seed)
    caller: Caller
    if telephony == "twilio":
        caller = SimulatedTwilio(person, "CA" + "1" * 32, "MZ1", {}, Random(seed), habits)
    else:
        caller = SimulatedAudioCodes(person, "c-1", Random(seed), habits)
    protocol = TwilioProtocol() if telephony == "twilio" else AudioCodesProtocol()
    around = more.get("surroundings", Surroundings())
    how = replace(policy(telephony).telephony, transfers_return=around.transfers_return)
    conduct = replace(policy(telephony), telephony=how)
    engine = Engine(Call(conduct, 0.0), protocol, RealtimeProtocol())
    model = SimulatedModel(knobs or Knobs(), Random(seed), replies)
    return SimulatedCall(world, caller, model, engine, **more)


def reasons(call: SimulatedCall) -> list[str]:
    return [ending.reason for ending in call.endings]


# --- Time -------------------------------------------------------------------------------


def test_what_is_due_happens_in_order_of_time_and_then_of_asking() -> None:
    world, seen = World(1), list[str]()
    for when, what in ((2.0, "c"), (1.0, "a"), (1.0, "b"), (9.0, "never")):
        world.at(when, lambda what=what: seen.append(f"{what}{world.now:g}"))  # type: ignore[misc]  # bound now
    world.run(5.0)

    assert (seen, world.now) == (["a1", "b1", "c2"], 5.0)


def test_what_is_asked_for_the_past_happens_now() -> None:
    world, seen = World(1), list[float]()
    world.run(3.0)
    world.at(1.0, lambda: seen.append(world.now))
    world.run(3.0)

    assert seen == [3.0]


def test_a_wire_is_late_but_keeps_the_order() -> None:
    world, seen = World(1), list[tuple[str, float]]()
    wire = Wire(world, lambda text: seen.append((text, world.now)), slowest=0.1)
    for n in range(50):
        wire.send(str(n))
    wire.then(lambda: seen.append(("end", world.now)))
    world.run(1.0)

    assert [text for text, _ in seen] == [*map(str, range(50)), "end"]
    assert QUICKEST_SECONDS <= seen[0][1] <= seen[-1][1] <= 0.1


def test_who_read_slowly_has_read_all_when_that_is_over() -> None:
    world, seen = World(1), list[float]()
    wire = Wire(world, lambda text: seen.append(world.now), slowest=0.02)
    wire.slow(3.0)
    for _ in range(50):
        wire.send("text")
    world.at(3.5, partial(wire.send, "text"))
    world.run(5.0)

    assert seen[9] == pytest.approx(seen[0] + 9 * SLOW_READ_SECONDS)
    assert seen[20:50] == [3.0] * 30
    assert 3.5 + QUICKEST_SECONDS <= seen[50] <= 3.52


def test_a_stall_puts_off_what_is_read_slowly_and_what_is_read_after_it() -> None:
    world, seen = World(1), list[float]()
    wire = Wire(world, lambda text: seen.append(world.now), slowest=0.02)
    wire.slow(1.0)
    wire.stall(2.0)
    wire.send("text")
    wire.send("text")
    world.run(5.0)

    assert seen == [2.0, 2.0]


def test_an_alarm_follows_a_deadline_that_moves() -> None:
    world, seen = World(1), list[float]()
    deadline: list[float | None] = [5.0]

    def ring() -> None:
        seen.append(world.now)
        deadline[0] = None

    alarm = Alarm(world, lambda: deadline[0], ring)
    alarm.set()
    deadline[0] = 7.0
    alarm.set()
    world.run(6.0)
    assert seen == []

    deadline[0] = 6.5
    alarm.set()
    world.run(10.0)
    assert seen == [6.5]


def test_a_deadline_that_never_goes_away_is_found_out() -> None:
    world, rings = World(1), list[float]()
    Alarm(world, lambda: 1.0, lambda: rings.append(world.now)).set()

    with pytest.raises(RuntimeError, match="stays in the past"):
        world.run(2.0)
    assert len(rings) == MOST_RINGS_AT_ONCE


# --- Calls ------------------------------------------------------------------------------


@pytest.mark.slow
@pytest.mark.parametrize("telephony", ["twilio", "audiocodes"])
def test_the_opening_hours_are_asked_for_and_heard(telephony: str) -> None:
    written = script.load("opening-hours")
    habits = AudioCodesHabits(barge_in=True) if telephony == "audiocodes" else None
    simulated = call(telephony, written.person(), written.reply_script(), habits=habits)

    assert simulated.run(60.0)
    assert simulated.verdict() == []
    heard = simulated.heard_words().casefold()
    assert all(words.casefold() in heard for words in written.expect.heard)
    assert reasons(simulated) == ["agent-hung-up"]
    assert sum(note.kind == "barge-in" for note in simulated.notes) == 1
    assert 20 < simulated.endings_at[0] < 30


@pytest.mark.slow
def test_the_same_seed_gives_the_same_call() -> None:
    written = script.load("opening-hours")
    habits = TwilioHabits(clear_delay=(0.0, 0.3), noise_amplitude=20)
    one, other, third = (
        call("twilio", written.person(), written.reply_script(), seed=seed, habits=habits)
        for seed in (5, 5, 6)
    )
    for simulated in (one, other, third):
        assert simulated.run(60.0)

    assert one.caller.heard == other.caller.heard
    assert one.witness.truncations == other.witness.truncations
    assert one.caller.heard != third.caller.heard


def greeted(*steps: Step) -> Person:
    return Person([WaitForAgent(), *steps])


GREETING = Reply("Good day.")


@pytest.mark.parametrize("telephony", ["twilio", "audiocodes"])
def test_a_caller_may_hang_up(telephony: str) -> None:
    simulated = call(telephony, greeted(HangUp()), ReplyScript([GREETING]))

    assert simulated.run(30.0)
    assert reasons(simulated) == ["caller-hung-up"]
    assert simulated.verdict() == []


def test_a_line_may_be_lost() -> None:
    simulated = call("twilio", greeted(DropLine()), ReplyScript([GREETING]))

    assert simulated.run(60.0)
    assert reasons(simulated) == ["telephony-lost"]


def test_a_tool_runs_and_its_output_is_answered() -> None:
    replies = ReplyScript(
        [
            GREETING,
            Reply("Let me see.", tool_calls=(ToolCallReply("look", '{"what": 1}'),)),
            Reply("It is there."),
        ]
    )
    asked: list[str] = []

    def look(arguments: str) -> str:
        asked.append(arguments)
        return "there"

    person = greeted(HELLO, WaitForAgent(silence_ms=3000), HangUp())
    simulated = call("twilio", person, replies, tools={"look": look})

    assert simulated.run(60.0)
    assert asked == ['{"what": 1}']
    assert "It is there." in simulated.heard_words()
    assert simulated.verdict() == []


@pytest.mark.parametrize("name", ["broken", "unknown"])
def test_a_tool_that_fails_or_does_not_exist_is_answered_too(name: str) -> None:
    replies = ReplyScript([GREETING, Reply("", tool_calls=(ToolCallReply(name),)), Reply("Sorry.")])
    person = greeted(HELLO, WaitForAgent(silence_ms=3000), HangUp())
    simulated = call("twilio", person, replies, tools={"broken": int})  # int("{}"): ValueError

    assert simulated.run(60.0)
    assert simulated.toolbox.run == [name]
    assert "Sorry." in simulated.heard_words()
    assert simulated.verdict() == []


def transfer(*then: str) -> ReplyScript:
    """For one call: the model hands over at once, and speaks again only if it must."""
    wished = ToolCallReply("transfer_call", '{"destination": "billing"}')
    replies = [GREETING, Reply("I put you through.", tool_calls=(wished,))]
    return ReplyScript([*replies, *map(Reply, then or ["They do not answer."])])


def test_a_transfer_over_twilio_ends_the_stream() -> None:
    simulated = call(
        "twilio", greeted(HELLO), transfer(), destinations={"billing": "tel:+15550100300"}
    )

    assert simulated.run(60.0)
    assert reasons(simulated) == ["transferred"]
    assert simulated.verdict() == []


def test_a_transfer_that_fails_leaves_the_call_with_the_agent() -> None:
    simulated = call(
        "twilio",
        greeted(HELLO, WaitForAgent(silence_ms=4000), HangUp()),
        transfer(),
        destinations={"billing": "tel:+15550100300"},
        surroundings=Surroundings(transfer_fails="busy"),
    )

    assert simulated.run(60.0)
    assert "They do not answer." in simulated.heard_words()
    assert reasons(simulated) == ["caller-hung-up"]


RETURNING = Surroundings(transfers_return=True)


@pytest.mark.parametrize(
    ("outcome", "told"), [("busy", "busy"), ("declined", "busy"), ("no-answer", "no-answer")]
)
def test_a_caller_whom_nobody_took_comes_back_on_another_stream(outcome: str, told: str) -> None:
    simulated = call(
        "twilio",
        greeted(HELLO, WaitForAgent(), Wait(5.0), HELLO, WaitForAgent(), HangUp()),
        transfer("Nobody is there.", "Can I do more?"),
        destinations={"billing": "tel:+15550100300"},
        habits=TwilioHabits(transfer_outcome=outcome, ring_seconds=3.0),
        surroundings=RETURNING,
    )

    assert simulated.run(60.0)
    assert [n.reason for n in simulated.notes if n.kind == "transfer-failed"] == [told]
    assert simulated.heard_words().endswith("Nobody is there. Can I do more?")
    assert reasons(simulated) == ["caller-hung-up"]
    assert simulated.verdict() == []


def test_a_transfer_that_was_answered_is_over_when_twilio_says_so() -> None:
    simulated = call(
        "twilio",
        greeted(HELLO),
        transfer(),
        destinations={"billing": "tel:+15550100300"},
        surroundings=RETURNING,
    )

    assert simulated.run(60.0)
    assert reasons(simulated) == ["transferred"]
    assert simulated.verdict() == []


def test_who_is_hung_up_on_while_it_rings_does_not_come_back() -> None:
    simulated = call(
        "twilio",
        greeted(HELLO),
        transfer(),
        destinations={"billing": "tel:+15550100300"},
        habits=TwilioHabits(transfer_outcome="busy", ring_seconds=20.0),
        surroundings=RETURNING,
    )
    simulated.happens(events.HangUpRequested("hung-up-by-operator"), at=12.0)

    assert simulated.run(60.0)
    assert "away" in {note.kind for note in simulated.notes}
    assert reasons(simulated) == ["hung-up-by-operator"]


def test_keys_reach_the_model() -> None:
    simulated = call(
        "twilio",
        greeted(Press("12#"), WaitForAgent(), HangUp()),
        ReplyScript([GREETING, Reply("You pressed one and two.")]),
    )

    assert simulated.run(60.0)
    assert "You pressed one and two." in simulated.heard_words()


def test_a_model_that_is_lost_ends_the_call() -> None:
    simulated = call(
        "twilio", Person([Wait(20.0)]), ReplyScript([GREETING]), knobs=Knobs(drop_at=5.0)
    )

    assert simulated.run(90.0)
    assert reasons(simulated) == ["model-lost"]


def test_a_call_that_is_not_over_is_not_at_rest() -> None:
    simulated = call("twilio", Person([Wait(60.0)]), ReplyScript([GREETING]))

    assert not simulated.run(5.0)
    assert simulated.world.now == 5.0
    assert "0 endings instead of one" in simulated.verdict()


def test_a_ping_travels_with_the_text_before_it_and_its_pong_takes_a_way_of_its_own() -> None:
    world, seen = World(1), list[tuple[str, float]]()
    line = Line(world, lambda text: None, lambda text: seen.append((text, world.now)), slowest=0.1)
    line.to_peer.send("sound")
    line.to_peer.ride(lambda: seen.append(("with it", world.now)), Random(1))
    line.ping(lambda: seen.append(("pong", world.now)), takes=0.5)
    world.run(2.0)

    (_, heard_at), (_, ping_at), (name, pong_at) = seen
    assert name == "pong"
    assert ping_at == heard_at
    assert heard_at + 0.5 + QUICKEST_SECONDS <= pong_at <= heard_at + 0.6


def test_a_ping_by_itself_is_late_by_itself_and_nothing_overtakes_it() -> None:
    world, seen = World(1), list[str]()
    line = Line(world, lambda text: None, seen.append, slowest=0.1)
    chance = Random(1)
    for n in range(200):
        ping = partial(seen.append, f"ping {n}")
        world.at(n / 100, partial(line.to_peer.send, f"text {n}"))
        world.at(n / 100 + 0.005, partial(line.to_peer.ride, ping, chance))
    world.run(5.0)

    assert seen == [one for n in range(200) for one in (f"text {n}", f"ping {n}")]


def test_keys_take_the_line_of_twilio_and_give_it_back() -> None:
    simulated = call(
        "twilio",
        greeted(Wait(4.0), HELLO, WaitForAgent(), HangUp()),
        ReplyScript([GREETING, Reply("What is it?")]),
        surroundings=RETURNING,
    )
    simulated.happens(events.DTMFRequested(Private("12#")), at=2.0)

    assert simulated.run(60.0)
    assert isinstance(simulated.caller, SimulatedTwilio)
    assert simulated.caller.pressed_by_bridge == ["12#"]
    assert {"away", "keys-pressed"} <= {note.kind for note in simulated.notes}
    assert simulated.heard_words() == "Good day. What is it?"
    assert reasons(simulated) == ["caller-hung-up"]
    assert simulated.verdict() == []

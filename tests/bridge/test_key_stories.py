"""Keys on both bridges: typed for a tool, in secret, over the agent's speech, for the map."""

import asyncio
import logging
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Any

import orjson
import pytest
import structlog

from opusbridge import effects
from opusbridge.agent import Agent
from opusbridge.audio.formats import level_dbfs
from opusbridge.audio.wav import read_wav
from opusbridge.errors import ending
from opusbridge.recording.recorder import CallRecorder
from opusbridge.recording.writer import Writer
from opusbridge.sim.callers import HangUp, Press, Say, Step, Wait, WaitForAgent, WaitForSound
from opusbridge.sim.model import Reply, ReplyScript, ToolCallReply
from opusbridge.sim.tones import voice
from opusbridge.tools import CallContext, CallOutcome, Digits, collect_digits, tool
from opusbridge.webhooks.letters import call_ended
from tests.bridge.virtual import BRIDGES, AnyBridge, Stage, in_virtual_time, play

pytestmark = pytest.mark.usefixtures("quiet")

both_bridges = pytest.mark.parametrize("bridge", BRIDGES, ids=["audiocodes", "twilio"])

SECRET = "83920147"


@pytest.fixture
def logged(quiet: None) -> Iterator[list[Any]]:
    """Everything that is logged, however unimportant."""
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.DEBUG))
    with structlog.testing.capture_logs() as lines:
        yield lines


def said(ms: int = 600) -> Say:
    return Say(voice(ms, 8_000), 8_000, "something")


def an_agent(**keys: Any) -> Agent:
    return Agent(name="desk", instructions="Be kind.", greeting=None, **keys)


def asks(name: str, arguments: str = "{}") -> ReplyScript:
    """Says what to type, and waits for it."""
    prompt = Reply("Please type it.", voice(800, 24_000), (ToolCallReply(name, arguments),))
    return ReplyScript([prompt, Reply("Thank you.", voice(500, 24_000))])


def outputs(stage: Stage) -> list[Any]:
    items = [text["item"] for _, text in stage.to_model("conversation.item.create")]
    return [orjson.loads(item["output"]) for item in items if "output" in item]


def texts(stage: Stage) -> list[str]:
    items = [text["item"] for _, text in stage.to_model("conversation.item.create")]
    return [item["content"][0]["text"] for item in items if item["type"] == "message"]


@both_bridges
@pytest.mark.slow
def test_a_secret_is_the_tools_alone(
    bridge: type[AnyBridge], tmp_path: Path, logged: list[Any]
) -> None:
    typed: list[str] = []

    @tool(timeout_seconds=60)
    async def check_pin(call: CallContext) -> dict[str, bool]:
        """Check the caller's PIN."""
        digits = await call.collect_digits(len(SECRET), secret=True)
        typed.append(digits.value)
        return {"right": digits.complete}

    def recorder(call_id: str, started: datetime, now: float) -> CallRecorder:
        return CallRecorder(
            tmp_path, None, now, record=True, flight=True, writer=writer, call_id=call_id
        )

    outcomes: list[CallOutcome] = []

    async def on_end(outcome: CallOutcome) -> None:
        outcomes.append(outcome)

    writer = Writer()
    agent = an_agent(tools=[check_pin], on_end=on_end)
    steps: list[Step] = [Wait(0.3), Press("5#"), WaitForAgent(), said(), WaitForAgent(), Wait(0.5)]
    steps += [Press(SECRET[:3]), said(900), Press(SECRET[3:] + "#"), Wait(4.0), HangUp()]
    script = asks("check_pin")
    replies = ReplyScript([Reply("Yes?", voice(400, 24_000)), *script.replies])
    stage, how = in_virtual_time(
        play(bridge, steps, agent=agent, replies=replies, recorder=recorder)
    )
    writer.close()

    assert how == ending("caller-hung-up")
    assert typed == [SECRET]
    assert outputs(stage) == [{"right": True}]
    files = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    assert set(files) == {"call.json", "flight.jsonl", "recording.wav", "transcript.json"}
    for name, kept in files.items():
        assert SECRET.encode() not in kept, name
    # On Twilio each key is a message of its own: none of them is written down.
    lines = [orjson.loads(line) for line in files["flight.jsonl"].splitlines()]
    assert sorted(keys_of(lines)) == ["#", "*" * (len(SECRET) + 1), "5"]
    assert logged
    assert SECRET not in repr(logged)
    assert SECRET not in repr(stage.model_socket.sent)
    (outcome,) = outcomes
    assert SECRET not in repr((outcome.call, outcome.transcript, outcome.state))
    assert SECRET.encode() not in call_ended(outcome, tmp_path, transcript=True)
    items = orjson.loads(files["transcript.json"])["items"]
    assert [item["text"] for item in items if item["text"].startswith("Keypad")] == [
        "Keypad: 5#",
        "Keypad: [secret]",
    ]
    assert_silent_while_typed(stage, files["recording.wav"])
    assert stage.verdict() == []


def keys_of(lines: list[Any]) -> list[str]:
    """What flight.jsonl says was pressed: each distinct key, the masked ones joined."""
    found: list[str] = []
    for line in lines:
        text = line.get("text", {})
        if text.get("event") == "dtmf":
            found.append(text["dtmf"]["digit"])
        for activity in text.get("activities", ()):
            if activity.get("name", "").lower() == "dtmf" and line["dir"] == "in":
                found += activity["value"]
    masked = "".join(key for key in found if key == "*")
    return [*(key for key in found if key != "*"), masked]


def assert_silent_while_typed(stage: Stage, recording: bytes) -> None:
    """What he said while he typed, with the keys' tones in it, is in no recording."""
    wav = read_wav(recording)
    begun_at = stage.caller.begun_at or 0.0
    spoken = stage.caller.spoken[-1]
    first, last = (
        int((at - begun_at) * wav.rate_hz) * 4 for at in (spoken.started_at, spoken.ended_at)
    )
    caller = b"".join(wav.pcm[at : at + 2] for at in range(first + 3200, last - 3200, 4))
    assert len(caller) > 4000
    assert level_dbfs(caller) < -60


@both_bridges
@pytest.mark.slow
def test_what_the_model_asks_for_it_reads(bridge: type[AnyBridge]) -> None:
    steps: list[Step] = [Wait(0.3), said(), WaitForAgent(), Press("12345"), Wait(4.0), HangUp()]
    stage, _ = in_virtual_time(
        play(
            bridge,
            steps,
            agent=an_agent(tools=[collect_digits]),
            replies=asks("collect_digits", '{"length": 5}'),
        )
    )

    assert outputs(stage) == [{"complete": True, "digits": "12345"}]
    assert texts(stage) == []
    assert stage.verdict() == []


@both_bridges
@pytest.mark.slow
def test_a_key_silences_the_prompt_it_answers(bridge: type[AnyBridge]) -> None:
    long = Reply("…", voice(6000, 24_000), (ToolCallReply("collect_digits", "{}"),))
    replies = ReplyScript([long, Reply("Thank you.", voice(500, 24_000))])
    steps: list[Step] = [Wait(0.3), said(), WaitForSound(), Wait(2.0), Press("7#"), Wait(3.0)]

    stage, _ = in_virtual_time(
        play(bridge, [*steps, HangUp()], agent=an_agent(tools=[collect_digits]), replies=replies)
    )

    assert outputs(stage) == [{"complete": True, "digits": "7"}]
    assert stage.at(effects.ClearPlayout)
    assert stage.verdict() == []


@both_bridges
@pytest.mark.slow
def test_who_types_nothing_is_told_and_is_not_asked_to_hold_meanwhile(
    bridge: type[AnyBridge],
) -> None:
    steps: list[Step] = [Wait(0.3), said(), Wait(25.0), HangUp()]
    stage, _ = in_virtual_time(
        play(
            bridge,
            steps,
            agent=an_agent(tools=[collect_digits]),
            replies=asks("collect_digits", '{"timeout": 12}'),
        )
    )

    assert outputs(stage) == [{"complete": False, "digits": ""}]
    assert not [what for _, what in stage.seen if what == effects.Note("hold")]


@both_bridges
@pytest.mark.slow
def test_a_key_of_the_map_bypasses_the_model(bridge: type[AnyBridge]) -> None:
    agent = an_agent(
        destinations={"billing": "+15550100300"},
        keys={"0": "transfer:billing", "9": "hang_up", "1": "say:We open at nine."},
    )
    replies = ReplyScript([Reply("…", voice(8000, 24_000))])
    steps: list[Step] = [Wait(0.3), said(), WaitForSound(), Wait(1.0), Press("0"), Wait(3.0)]

    stage, _ = in_virtual_time(play(bridge, [*steps, HangUp()], agent=agent, replies=replies))

    (asked,) = stage.at(effects.TransferCall)
    (pressed,) = [at for at, what in stage.seen if what == effects.Note("key", "transfer")]
    assert asked - pressed < 1.0  # the agent had seven more seconds to say
    assert texts(stage)[0] == "Keypad: 0"
    assert stage.verdict() == []


@both_bridges
@pytest.mark.slow
def test_a_key_may_say_something_or_end_the_call(bridge: type[AnyBridge]) -> None:
    agent = an_agent(keys={"1": "say:We open at nine.", "9": "hang_up"})
    steps: list[Step] = [Wait(0.3), Press("1"), WaitForAgent(), Press("9"), Wait(10.0)]

    stage, how = in_virtual_time(play(bridge, steps, agent=agent))

    assert how == ending("agent-hung-up")
    assert texts(stage)[1].endswith("We open at nine.")
    assert len(stage.requests()) == 1
    assert stage.caller.heard[-1].ended_at <= stage.at(effects.HangUp)[0]
    assert stage.verdict() == []


@both_bridges
def test_digits_that_somebody_outside_asks_for_are_none_without_a_call(
    bridge: type[AnyBridge],
) -> None:
    async def story() -> list[Digits]:
        collecting: list[asyncio.Task[Digits]] = []

        async def during(stage: Stage) -> None:
            async def collect() -> Digits:
                return await stage.bridge.collect_digits(4, timeout=60.0)

            found.append(await collect())  # the call has not begun
            await asyncio.sleep(1.0)
            collecting.append(asyncio.create_task(collect()))

        found: list[Digits] = []
        stage, how = await play(bridge, [Wait(3.0), HangUp()], agent=an_agent(), during=during)
        assert how == ending("caller-hung-up")
        found += [await collecting[0], await stage.bridge.collect_digits(4)]
        return found

    assert in_virtual_time(story()) == [Digits("", False)] * 3

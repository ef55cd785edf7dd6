"""Pings of the call's own: who is asked, what comes back, and what is made of it."""

import asyncio
from collections.abc import Awaitable, Callable
from datetime import datetime
from pathlib import Path

import orjson
import pytest

from opusbridge import effects, events
from opusbridge.bridge.audiocodes import TelephonyRealtimeBridge
from opusbridge.bridge.pinging import MOST_UNANSWERED, Pinging
from opusbridge.bridge.twilio import TwilioRealtimeBridge
from opusbridge.errors import PeerGone
from opusbridge.recording.files import FLIGHT
from opusbridge.recording.recorder import CallRecorder
from opusbridge.recording.writer import Writer
from opusbridge.replay import assert_replays
from opusbridge.sim.callers import HangUp, Say, Step, WaitForAgent
from opusbridge.sim.model import Knobs
from opusbridge.sim.tones import voice
from tests.bridge.virtual import BRIDGES, AnyBridge, Stage, in_virtual_time, play

STEPS: list[Step] = [Say(voice(400, 8_000), 8_000, "something"), WaitForAgent(), HangUp()]

both_bridges = pytest.mark.parametrize("bridge", BRIDGES, ids=["audiocodes", "twilio"])


class Deaf:
    """A socket that knows no pings."""

    async def receive_text(self) -> str:
        raise PeerGone("telephony", "telephony-lost")

    async def send_text(self, text: str) -> None: ...

    async def close(self, code: int = 1000, reason: str = "") -> None: ...


class Answering(Deaf):
    def __init__(self) -> None:
        self.on_pong: Callable[[bytes], None] = lambda payload: None
        self.sent: list[bytes] = []

    def ping(self, payload: bytes) -> None:
        self.sent.append(payload)


def test_a_pong_is_told_once_and_one_that_nobody_asked_for_never() -> None:
    socket, told = Answering(), list[str]()
    pinging = Pinging(socket, told.append)
    pinging.send("ping-1")
    for payload in (b"ping-2", b"\xff", b"ping-1", b"ping-1"):
        socket.on_pong(payload)

    assert socket.sent == [b"ping-1"]
    assert told == ["ping-1"]


def test_a_peer_that_never_answers_does_not_fill_the_memory() -> None:
    socket, told = Answering(), list[str]()
    pinging = Pinging(socket, told.append)
    for number in range(MOST_UNANSWERED + 3):
        pinging.send(f"ping-{number}")
    for payload in socket.sent:
        socket.on_pong(payload)

    assert len(told) == MOST_UNANSWERED


def test_a_socket_that_knows_no_pings_is_left_alone() -> None:
    Pinging(Deaf(), lambda name: None).send("ping-1")


# --- In a call --------------------------------------------------------------------------


def heard_from(stage: Stage) -> list[float]:
    """When the caller hears each answer, less when it left, by the ledger's clock."""
    return [
        one.starts_at - at
        for at, one in stage.seen
        if isinstance(one, effects.PlayAudio) and not one.follows
    ]


def a_call(
    bridge: type[AnyBridge], during: Callable[[Stage], Awaitable[None]] | None = None
) -> Stage:
    stage, _ = in_virtual_time(play(bridge, STEPS, during=during))
    return stage


@both_bridges
def test_the_wire_is_asked_before_anything_is_heard_and_what_it_says_is_believed(
    bridge: type[AnyBridge],
) -> None:
    stage = a_call(bridge)

    first_sound = min(stage.at(effects.PlayAudio))
    assert len([at for at, _ in stage.telephony.pings if at < first_sound]) >= 2
    assert len(stage.at(events.PingAnswered)) == len(stage.telephony.pings)
    # There is no wire here; when an answer left is known to half a frame.
    assert heard_from(stage)[-1] == pytest.approx(0.0, abs=0.011)


@both_bridges
def test_a_far_side_that_never_answers_is_where_it_is_assumed(bridge: type[AnyBridge]) -> None:
    async def silent(stage: Stage) -> None:
        stage.telephony.pong_seconds = None

    stage = a_call(bridge, silent)

    assert stage.telephony.pings
    assert stage.at(events.PingAnswered) == []
    if bridge is TelephonyRealtimeBridge:  # on the other side marks tell
        assert heard_from(stage)[-1] == pytest.approx(0.05)
    assert stage.verdict() == []


def test_a_pong_that_comes_when_all_is_over_is_nobodys() -> None:
    async def late(stage: Stage) -> None:
        stage.telephony.pong_seconds = 60.0

    async def told() -> Stage:
        stage, _ = await play(TelephonyRealtimeBridge, STEPS, during=late)
        await asyncio.sleep(61.0)
        return stage

    stage = in_virtual_time(told())
    assert stage.at(events.PingAnswered) == []
    assert stage.verdict() == []


@pytest.mark.slow
@pytest.mark.parametrize("flight", [True, "whole"])
def test_an_answer_that_was_cut_for_its_marks_on_the_shortest_way_is_played_again(
    tmp_path: Path, flight: bool | str
) -> None:
    writer = Writer()

    def recorder(call_id: str, started: datetime, now: float) -> CallRecorder:
        return CallRecorder(
            tmp_path, None, now, record=True, flight=flight, writer=writer, call_id=call_id
        )

    stage, _ = in_virtual_time(
        play(
            TwilioRealtimeBridge,
            STEPS,
            knobs=Knobs(delta_ms=(300, 300)),
            recorder=recorder,
            seeing=False,
        )
    )
    writer.close()

    lines = map(orjson.loads, (tmp_path / FLIGHT).read_bytes().splitlines())
    came = "".join(line.get("flow", "") for line in lines)
    assert "spp" in came
    assert_replays(tmp_path / FLIGHT)
    assert stage.verdict() == []

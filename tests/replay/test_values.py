"""What a flight says of the program's values is enough to build them again."""

from dataclasses import replace
from typing import get_args

import orjson
import pytest

from opusbridge import events
from opusbridge.agent import Agent
from opusbridge.bridge.conduct import call_policy
from opusbridge.call.policy import AUDIOCODES, TWILIO, CallPolicy, Clip, TelephonyTraits
from opusbridge.config import Settings
from opusbridge.privacy import Private
from opusbridge.recording.plain import plain
from opusbridge.replay.values import built
from opusbridge.tools import hang_up, tool

CLIP = Clip(24_000, bytes(range(256)) * 40)


@tool
def look_up(order: str, depth: int = 1) -> str:
    """Look an order up."""
    return order


def through_json(policy: CallPolicy, *, whole: bool) -> CallPolicy:
    made: CallPolicy = built(CallPolicy, orjson.loads(orjson.dumps(plain(policy, whole=whole))))
    return made


@pytest.mark.parametrize("traits", [TWILIO, AUDIOCODES], ids=["twilio", "audiocodes"])
def test_a_policy_is_the_same_again(traits: TelephonyTraits) -> None:
    agent = Agent(
        name="front-desk",
        instructions="Be brief.",
        greeting="Say hello.",
        tools=[look_up, hang_up],
        destinations={"billing": "+15550100300"},
        give_up="transfer:billing",
        barge_in="confirmed",
        session={"temperature": 0.7},
    )
    policy = call_policy(traits, Settings(), agent)
    policy = replace(policy, clips={"sorry": CLIP})

    assert policy.give_up_target == Private("+15550100300")
    assert through_json(policy, whole=True) == policy


def test_stored_sound_that_was_not_kept_is_as_long() -> None:
    policy = replace(
        call_policy(TWILIO, Settings(), Agent(name="a", instructions="b")), clips={"sorry": CLIP}
    )
    again = through_json(policy, whole=False)

    assert len(again.clips["sorry"].pcm) == len(CLIP.pcm)
    assert replace(again, clips=policy.clips) == policy


@pytest.mark.parametrize(
    "event",
    [
        events.ToolFinished("call_1", Private("42"), failed=True),
        events.TransferRequested(Private("sip:front@example.com"), Private("asked")),
        events.DigitsWanted("d", None, "#", 5.0, True),
        events.ModelLost("model-lost", True),
        events.PingAnswered("ping-1"),
        events.TextInjected(Private("Mention the sale.")),
        events.HangUpRequested("drained", goodbye=True),
    ],
    ids=lambda event: type(event).__name__,
)
def test_what_the_shell_told_is_the_same_again(event: events.Event) -> None:
    assert built(type(event), orjson.loads(orjson.dumps(plain(event)))) == event


def test_every_event_of_the_shells_can_be_named() -> None:
    for kind in get_args(events.FromShell):
        assert getattr(events, kind.__name__) is kind

"""Whatever a client does in whatever order, the service keeps its own rules."""

from dataclasses import replace
from random import Random

import pytest

from opusbridge.sim.model import Knobs, Reply, ReplyScript, SimulatedModel, ToolCallReply
from opusbridge.sim.tones import silence, voice
from tests.sim.model.client import Client

REPLIES = (
    Reply("A short answer."),
    Reply("One moment.", tool_calls=(ToolCallReply("a"), ToolCallReply("b", '{"x": 1}'))),
    Reply("A rather longer answer, which somebody may well interrupt. " * 2),
    Reply(tool_calls=(ToolCallReply("c"),)),
    Reply(),
)


class Meddler:
    """A client that does anything at all."""

    def __init__(self, seed: int) -> None:
        self.random = Random(seed)
        knobs = Knobs.random(self.random)
        if seed % 2:
            knobs = replace(knobs, faults={})
        replies = ReplyScript([self.random.choice(REPLIES) for _ in range(20)])
        self.client = Client(SimulatedModel(knobs, Random(seed), replies))

    def meddle(self) -> None:
        acts = [self.speak, self.create, self.cancel, self.item, self.touch_item, self.wait]
        self.random.choice([*acts, self.update, self.commit_or_clear, self.wait])()

    def speak(self) -> None:
        ms = self.random.choice([40, 200, 600])
        self.client.append(voice(ms) + silence(self.random.choice([0, 100, 400])))

    def create(self) -> None:
        asked = self.random.choice(
            [
                {},
                {"conversation": "none"},
                {"metadata": {"a": "b"}},
                {"output_modalities": ["text"]},
            ]
        )
        self.client.say("response.create", response=asked)

    def cancel(self) -> None:
        created = self.client.of("response.created")
        known = [None, "resp_x", *(event["response"]["id"] for event in created[-2:])]
        self.client.say("response.cancel", response_id=self.random.choice(known))

    def item(self) -> None:
        done = self.client.of("response.output_item.done")
        calls = [e["item"]["call_id"] for e in done if e["item"]["type"] == "function_call"]
        output = {"type": "function_call_output", "output": "{}"}
        call_id = self.random.choice([*calls[-3:], "call_x"])
        self.client.say("conversation.item.create", item={**output, "call_id": call_id})

    def touch_item(self) -> None:
        added = self.client.of("conversation.item.added")
        item_id = self.random.choice([*(e["item"]["id"] for e in added[-4:]), "item_x"])
        act = self.random.choice(["truncate", "delete", "retrieve"])
        place = {"content_index": 0, "audio_end_ms": self.random.choice([0, 100, 9000])}
        more = place if act == "truncate" else {}
        self.client.say(f"conversation.item.{act}", item_id=item_id, **more)

    def update(self) -> None:
        detection = self.random.choice(
            [
                None,
                {"type": "semantic_vad", "eagerness": "high"},
                {"type": "server_vad", "create_response": False},
                {"type": "server_vad", "interrupt_response": False, "create_response": True},
                {"type": "server_vad", "create_response": True, "idle_timeout_ms": 5000},
            ]
        )
        name = self.random.choice(["audio/pcm", "audio/pcm", "audio/pcmu"])
        self.client.update(
            audio={"input": {"turn_detection": detection, "format": {"type": "audio/pcm"}},
                   "output": {"format": {"type": name}}}
        )  # fmt: skip

    def commit_or_clear(self) -> None:
        self.client.say(f"input_audio_buffer.{self.random.choice(['commit', 'clear'])}")

    def wait(self) -> None:
        self.client.run(self.random.choice([0.01, 0.1, 0.5, 2.0, 8.0]))


@pytest.mark.slow
@pytest.mark.parametrize("first_seed", range(0, 60, 20))
def test_the_service_keeps_its_own_rules_whatever_is_done_to_it(first_seed: int) -> None:
    for seed in range(first_seed, first_seed + 20):
        meddler = Meddler(seed)
        for _ in range(40):
            meddler.meddle()
        meddler.client.update(audio={"input": {"turn_detection": None}})
        meddler.client.run(60)
        try:
            check_one_at_a_time(meddler.client)
            check_items_are_announced_before_they_are_filled(meddler.client)
            check_it_comes_to_rest(meddler.client)
        except AssertionError as error:
            raise AssertionError(f"seed {seed}") from error


def check_one_at_a_time(client: Client) -> None:
    """Where nothing is withheld, created and done take turns in the default conversation."""
    if client.model.knobs.faults:
        return
    active = None
    for event in client.events:
        if event["type"] not in ("response.created", "response.done"):
            continue
        response = event["response"]
        if response["conversation_id"] is None:
            continue
        if event["type"] == "response.created":
            assert active is None
            active = response["id"]
        else:
            assert active == response["id"]
            active = None


def check_items_are_announced_before_they_are_filled(client: Client) -> None:
    opened, closed = set[str](), set[str]()
    for event in client.events:
        if event["type"] == "response.output_item.added":
            opened.add(event["item"]["id"])
        elif event["type"] == "response.output_item.done":
            assert event["item"]["id"] in opened - closed
            closed.add(event["item"]["id"])
        elif event["type"].startswith("response.") and "item_id" in event:
            assert event["item_id"] in opened - closed
        elif event["type"] == "response.done" and client.model.knobs.stopped_items == "left-open":
            output = event["response"]["output"]
            closed |= {item["id"] for item in output if item.get("status") == "incomplete"}
    if not client.model.deaf:
        assert opened == closed


def check_it_comes_to_rest(client: Client) -> None:
    """Nothing is under way that nobody waits for."""
    if client.model.deaf:
        return
    done = {e["response"]["id"] for e in client.of("response.done")}
    unsaid = {"created-withheld", "done-withheld", "done-stuck"}
    withheld = unsaid & {fault.kind.value for fault in client.model.knobs.faults.values()}
    created = {e["response"]["id"] for e in client.of("response.created")}
    assert withheld or created <= done

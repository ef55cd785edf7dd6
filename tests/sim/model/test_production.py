"""How a reply becomes events, and the sound and the words in them."""

import json
from base64 import b64decode

import pytest

from opusbridge.sim.model import Knobs, Reply, ReplyScript, SimulatedModel, ToolCallReply
from opusbridge.sim.tones import tone
from tests.sim.model.client import Client, types

TEXT = "Good morning, this is the front desk speaking."


def answered(*replies: Reply, knobs: Knobs | None = None) -> Client:
    client = Client(SimulatedModel(knobs, replies=ReplyScript(replies)))
    for _ in replies:
        client.say("response.create")
        client.run(30)
    return client


def unique(names: list[str]) -> list[str]:
    return list(dict.fromkeys(names))


def test_a_spoken_reply_comes_in_the_order_seen_on_the_wire() -> None:
    client = answered(Reply(TEXT))

    assert unique(types(client.events)) == [
        "session.created",
        "response.created",
        "response.output_item.added",
        "conversation.item.added",
        "response.content_part.added",
        "response.output_audio_transcript.delta",
        "response.output_audio.delta",
        "response.output_audio.done",
        "response.output_audio_transcript.done",
        "response.content_part.done",
        "conversation.item.done",
        "response.output_item.done",
        "response.done",
        "rate_limits.updated",
    ]


def test_the_items_may_be_done_in_the_other_order() -> None:
    client = answered(Reply(TEXT), knobs=Knobs(item_done_order="output-first"))

    names = types(client.events)
    assert names.index("response.output_item.done") < names.index("conversation.item.done")


def test_the_words_of_the_deltas_are_the_words_of_the_reply() -> None:
    client = answered(Reply(TEXT))

    deltas = client.of("response.output_audio_transcript.delta")
    assert len(deltas) > 1
    assert "".join(delta["delta"] for delta in deltas) == TEXT
    (item,) = client.one("response.done")["response"]["output"]
    assert item["content"] == [{"type": "output_audio", "transcript": TEXT}]
    assert item["status"] == "completed"


def test_the_sound_is_the_one_given_or_as_long_as_the_text_takes() -> None:
    given = tone(440, 700)
    client = answered(Reply(TEXT, pcm24k=given), Reply(TEXT))

    first, second = (event["response"]["id"] for event in client.of("response.done"))
    assert client.audio(first) == given
    assert len(client.audio(second)) == len(TEXT) * 60 * 48


def test_deltas_come_faster_than_they_are_heard_by_the_speed() -> None:
    client = Client(SimulatedModel(replies=ReplyScript([Reply(TEXT * 4)])))
    client.say("response.create")
    client.run(0.02 + 0.25 + 1.0)

    sent_ms = sum(len(b64decode(d["delta"])) for d in client.of("response.output_audio.delta")) / 48
    assert 5000 <= sent_ms <= 5400
    sizes = [len(b64decode(d["delta"])) / 48 for d in client.of("response.output_audio.delta")]
    assert all(100 <= size <= 400 for size in sizes)
    assert len(set(sizes)) > 3


def test_the_first_sound_takes_its_time_and_the_reply_may_take_longer() -> None:
    client = Client(SimulatedModel(replies=ReplyScript([Reply(TEXT, delay_seconds=2.0)])))
    client.say("response.create")

    client.run(2.26)
    assert client.of("response.output_audio.delta") == []
    client.run(0.02)
    assert len(client.of("response.output_audio.delta")) == 1


def test_a_burst_comes_all_at_once() -> None:
    client = Client(SimulatedModel(Knobs(speed=float("inf"))))
    client.say("response.create")

    assert "response.done" in types(client.run(0.28))


def test_odd_deltas_are_whole_samples_and_nothing_else() -> None:
    client = answered(Reply(TEXT), knobs=Knobs(odd_deltas=True))

    sizes = [len(b64decode(d["delta"])) for d in client.of("response.output_audio.delta")]
    assert all(size % 2 == 0 for size in sizes)
    assert all(size % 48 for size in sizes[:-1])


def test_a_reply_may_be_split_over_several_items() -> None:
    client = answered(Reply(TEXT), Reply(TEXT, tone(440, 900)), knobs=Knobs(message_items=3))

    first, second = (event["response"] for event in client.of("response.done"))
    words = [item["content"][0]["transcript"] for item in first["output"]]
    assert len(words) == 3
    assert " ".join(words) == TEXT
    assert client.audio(second["id"]) == tone(440, 900)
    indices = [e["output_index"] for e in client.of("response.output_item.done")]
    assert indices == [0, 1, 2, 0, 1, 2]


def test_only_the_first_of_several_items_takes_its_time() -> None:
    client = answered(Reply(TEXT), knobs=Knobs(message_items=2, first_audio_delay=3.0))

    def moments(kind: str) -> list[float]:
        return [h.at for h in client.model.history if h.type == f"response.{kind}"]

    first, second = moments("output_item.added")
    before, after = moments("output_item.done")[0], second
    assert before == after
    sounds = moments("output_audio.delta")
    assert min(sounds) - first == pytest.approx(1.2)
    assert min(at for at in sounds if at >= second) == second


def test_a_written_reply_has_no_sound() -> None:
    client = Client(SimulatedModel(replies=ReplyScript([Reply(TEXT)])))
    client.update(output_modalities=["text"])
    client.say("response.create")
    client.run(10)

    assert client.of("response.output_audio.delta") == []
    deltas = client.of("response.output_text.delta")
    assert "".join(delta["delta"] for delta in deltas) == TEXT
    assert client.one("response.content_part.done")["part"] == {"type": "text", "text": TEXT}
    (item,) = client.one("response.done")["response"]["output"]
    assert item["content"] == [{"type": "output_text", "text": TEXT}]


def test_a_preamble_comes_before_parallel_calls_each_with_its_index_and_id() -> None:
    arguments = json.dumps({"order": "77", "reason": "the caller has asked for it twice"})
    calls = (ToolCallReply("look_up", arguments), ToolCallReply("weather"))
    client = answered(Reply("One moment.", tool_calls=calls))

    message, first, second = client.one("response.done")["response"]["output"]
    assert message["type"] == "message"
    assert (first["name"], first["arguments"]) == ("look_up", arguments)
    assert (second["name"], second["arguments"]) == ("weather", "{}")
    assert first["call_id"] != second["call_id"]
    assert [e["output_index"] for e in client.of("response.output_item.done")] == [0, 1, 2]
    deltas = client.of("response.function_call_arguments.delta")
    said = "".join(d["delta"] for d in deltas if d["call_id"] == first["call_id"])
    assert said == arguments


def test_a_tool_call_alone_comes_in_the_order_seen_on_the_wire() -> None:
    client = answered(Reply(tool_calls=(ToolCallReply("look_up", "{}"),)))

    assert types(client.events)[1:] == [
        "response.created",
        "response.output_item.added",
        "conversation.item.added",
        "response.function_call_arguments.delta",
        "response.function_call_arguments.done",
        "conversation.item.done",
        "response.output_item.done",
        "response.done",
        "rate_limits.updated",
    ]


def test_a_call_cut_short_is_incomplete_with_half_its_arguments() -> None:
    arguments = json.dumps({"text": "x" * 200})
    reply = Reply(tool_calls=(ToolCallReply("note", arguments),))
    client = Client(SimulatedModel(replies=ReplyScript([reply])))
    client.say("response.create")
    while len(client.of("response.function_call_arguments.delta")) < 3:
        client.run(0.01)

    client.say("response.cancel")

    item = client.one("response.output_item.done")["item"]
    assert item["status"] == "incomplete"
    assert arguments.startswith(item["arguments"])
    assert 0 < len(item["arguments"]) < len(arguments)
    assert client.model.verdict(patience_seconds=0) == []


def test_no_tool_is_called_that_the_request_forbids() -> None:
    reply = Reply("Done.", tool_calls=(ToolCallReply("look_up"),))
    client = Client(SimulatedModel(replies=ReplyScript([reply])))
    client.say("response.create", response={"tool_choice": "none"})
    client.run(10)

    assert [i["type"] for i in client.one("response.done")["response"]["output"]] == ["message"]


def test_a_call_out_of_band_belongs_to_no_conversation() -> None:
    script = ReplyScript(out_of_band=Reply(tool_calls=(ToolCallReply("look_up"),)))
    client = Client(SimulatedModel(replies=script))
    client.say("response.create", response={"conversation": "none"})
    client.run(5)
    call_id = client.one("response.output_item.done")["item"]["call_id"]

    output = {"type": "function_call_output", "call_id": call_id, "output": ""}
    assert client.refused("conversation.item.create", item=output)["code"] == "invalid_tool_call_id"
    assert client.model.verdict(patience_seconds=0) == []


@pytest.mark.parametrize(
    ("position", "names"),
    [
        ("early", ["response.created", "rate_limits.updated", "response.done"]),
        ("late", ["response.created", "response.done", "rate_limits.updated"]),
        ("absent", ["response.created", "response.done"]),
    ],
)
def test_rate_limits_come_early_late_or_never(position: str, names: list[str]) -> None:
    client = answered(Reply(TEXT), knobs=Knobs.parse(f"rate-limits={position}"))

    wanted = {"response.created", "rate_limits.updated", "response.done"}
    assert [name for name in types(client.events) if name in wanted] == names


def test_usage_is_counted_zero_or_null() -> None:
    counted = answered(Reply(TEXT)).one("response.done")["response"]["usage"]
    zero = answered(Reply(TEXT), knobs=Knobs(usage="zero")).one("response.done")["response"]
    null = answered(Reply(TEXT), knobs=Knobs(usage="null")).one("response.done")["response"]

    assert counted["output_token_details"]["audio_tokens"] == len(TEXT) * 60 // 50
    assert counted["total_tokens"] == counted["input_tokens"] + counted["output_tokens"]
    assert zero["usage"]["total_tokens"] == 0
    assert null["usage"] is None

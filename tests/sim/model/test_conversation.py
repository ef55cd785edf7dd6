"""Items: added and done, put in places, retrieved, deleted, truncated."""

from base64 import b64decode, b64encode
from typing import Any

import pytest

from opusbridge.sim.model import Reply, ReplyScript, SimulatedModel, ToolCallReply
from opusbridge.sim.tones import voice
from tests.sim.model.client import Client, types


def note(text: str = "hello", **more: Any) -> dict[str, Any]:
    content = [{"type": "input_text", "text": text}]
    return {"type": "message", "role": "user", "content": content, **more}


def answered(text: str = "Good morning to you.", *calls: ToolCallReply) -> Client:
    """A client whose first response is over."""
    client = Client(SimulatedModel(replies=ReplyScript([Reply(text, tool_calls=calls)])))
    client.say("response.create")
    client.run(10)
    return client


def test_a_created_item_is_added_and_done_completed() -> None:
    client = Client()

    events = client.say("conversation.item.create", item=note())

    assert types(events) == ["conversation.item.added", "conversation.item.done"]
    for event in events:
        assert event["previous_item_id"] is None
        assert event["item"]["status"] == "completed"
        assert event["item"]["object"] == "realtime.item"
        assert event["item"]["id"].startswith("item_")


@pytest.mark.parametrize("after", [None, ""])
def test_an_item_goes_to_the_end_by_default(after: str | None) -> None:
    client = Client()
    client.say("conversation.item.create", item=note(id="one"))

    events = client.say("conversation.item.create", item=note(id="two"), previous_item_id=after)

    assert events[0]["previous_item_id"] == "one"


def test_an_item_goes_to_the_root_or_after_another() -> None:
    client = Client()
    client.say("conversation.item.create", item=note(id="one"))
    root = client.say("conversation.item.create", item=note(id="zero"), previous_item_id="root")
    middle = client.say("conversation.item.create", item=note(id="half"), previous_item_id="zero")

    assert root[0]["previous_item_id"] is None
    assert middle[0]["previous_item_id"] == "zero"
    assert [entry.id for entry in client.model.conversation.entries] == ["zero", "half", "one"]


def test_an_unknown_previous_item_refuses_the_item() -> None:
    client = Client()

    error = client.refused("conversation.item.create", item=note(), previous_item_id="nope")

    assert error["code"] == "item_create_invalid_previous_item_id"
    assert error["message"] == (
        "Error adding item: the previous item with id 'nope' does not exist."
    )
    assert client.model.conversation.entries == []


def test_an_id_taken_twice_follows_itself() -> None:
    client = Client()
    client.say("conversation.item.create", item=note(id="same"))
    client.say("conversation.item.create", item=note(id="other"))

    events = client.say("conversation.item.create", item=note(id="same"))

    assert events[0]["previous_item_id"] == "same"
    assert len(client.model.conversation.entries) == 3


def test_an_output_needs_a_tool_call_in_the_conversation() -> None:
    client = Client()
    output = {"type": "function_call_output", "call_id": "call_1", "output": "{}"}

    error = client.refused("conversation.item.create", item=output)

    assert error["code"] == "invalid_tool_call_id"
    assert error["message"] == "Tool call ID 'call_1' not found in conversation."
    call = {"type": "function_call", "name": "f", "call_id": "call_1", "arguments": "{}"}
    client.say("conversation.item.create", item=call)
    assert len(client.say("conversation.item.create", item=output)) == 2


@pytest.mark.parametrize(
    ("item", "code", "param"),
    [
        (
            {"type": "message", "role": "assistant", "content": [{"type": "text", "text": "x"}]},
            "invalid_value",
            "item.content[0].type",
        ),
        (
            {
                "type": "message",
                "role": "system",
                "content": [{"type": "input_audio", "audio": ""}],
            },
            "invalid_value",
            "item.content[0].type",
        ),
        ({"type": "message", "role": "user"}, "missing_required_parameter", "item.content"),
        ({"type": "item_reference", "id": "x"}, "invalid_value", "item.type"),
        ({"type": "function_call_output"}, "missing_required_parameter", "item.call_id"),
    ],
)
def test_an_item_must_fit_its_role(item: dict[str, Any], code: str, param: str) -> None:
    error = Client().refused("conversation.item.create", item=item)

    assert (error["code"], error["param"]) == (code, param)


def test_an_item_made_of_sound_is_shown_without_it_and_retrieved_with_it() -> None:
    client = Client()
    sound = b64encode(voice(200)).decode()
    content = [{"type": "input_audio", "audio": sound}]
    item = {"type": "message", "role": "user", "id": "heard", "content": content}

    added, _ = client.say("conversation.item.create", item=item)

    assert added["item"]["content"] == [{"type": "input_audio", "transcript": None}]
    (retrieved,) = client.say("conversation.item.retrieve", item_id="heard")
    assert retrieved["item"]["content"][0]["audio"] == sound


def test_sound_that_is_not_base64_is_no_item() -> None:
    content = [{"type": "input_audio", "audio": "%%%"}]
    item = {"type": "message", "role": "user", "content": content}

    error = Client().refused("conversation.item.create", item=item)

    assert (error["code"], error["param"]) == ("invalid_value", "item.content[0].audio")


def test_a_deleted_item_is_gone_and_cannot_be_deleted_again() -> None:
    client = Client()
    client.say("conversation.item.create", item=note(id="one"))

    assert types(client.say("conversation.item.delete", item_id="one")) == [
        "conversation.item.deleted"
    ]
    error = client.refused("conversation.item.delete", item_id="one")
    assert error["code"] == "item_delete_invalid_item_id"
    assert error["message"] == "Error deleting item: the item with id 'one' does not exist."
    error = client.refused("conversation.item.retrieve", item_id="one")
    assert error["code"] == "item_retrieve_invalid_item_id"
    assert error["message"] == "Error retrieving item: the item with id 'one' does not exist."


def test_a_truncated_item_loses_its_end_and_its_whole_transcript() -> None:
    client = answered()
    item_id = client.one("response.output_item.done")["item"]["id"]

    (truncated,) = client.say(
        "conversation.item.truncate", item_id=item_id, content_index=0, audio_end_ms=250
    )

    assert truncated["audio_end_ms"] == 250
    (retrieved,) = client.say("conversation.item.retrieve", item_id=item_id)
    (part,) = retrieved["item"]["content"]
    assert part["transcript"] == ""
    assert len(b64decode(part["audio"])) == 250 * 48


def test_a_truncation_past_the_end_is_refused_and_counted_against_the_client() -> None:
    client = answered()
    item_id = client.one("response.output_item.done")["item"]["id"]
    length = len(client.audio(client.one("response.done")["response"]["id"])) // 48

    error = client.refused(
        "conversation.item.truncate", item_id=item_id, content_index=0, audio_end_ms=length + 1
    )

    assert error["code"] == "invalid_value"
    assert error["message"] == (
        f"Audio content of {length}ms is already shorter than {length + 1}ms"
    )
    assert client.model.violations == [f"{item_id} was truncated at {length + 1} of {length} ms"]


def test_only_the_models_speech_can_be_truncated() -> None:
    client = answered("", ToolCallReply("look_up"))
    client.say("conversation.item.create", item=note(id="mine"))
    call_id = client.one("response.output_item.done")["item"]["id"]

    for item_id in ("mine", call_id):
        error = client.refused(
            "conversation.item.truncate", item_id=item_id, content_index=0, audio_end_ms=0
        )
        assert error["code"] == "unsupported_content_type"
        assert error["message"] == "Only model output audio messages can be truncated"
    error = client.refused(
        "conversation.item.truncate", item_id="nope", content_index=0, audio_end_ms=0
    )
    assert error["code"] == "item_truncate_invalid_item_id"
    assert error["message"] == "Item with item_id not found: nope"


def test_an_item_whose_first_sound_is_still_to_come_cannot_be_truncated() -> None:
    client = Client()
    client.say("response.create")
    while not client.of("response.output_item.added"):
        client.run(0.01)
    item_id = client.one("response.output_item.added")["item"]["id"]

    error = client.refused(
        "conversation.item.truncate", item_id=item_id, content_index=0, audio_end_ms=0
    )

    assert error["code"] == "unsupported_content_type"


def test_what_is_truncated_while_it_is_spoken_stays_short() -> None:
    client = Client()
    client.say("response.create")
    while not client.of("response.output_audio.delta"):
        client.run(0.01)
    item_id = client.one("response.output_item.added")["item"]["id"]
    client.say("conversation.item.truncate", item_id=item_id, content_index=0, audio_end_ms=50)

    client.run(10)

    (retrieved,) = client.say("conversation.item.retrieve", item_id=item_id)
    assert len(b64decode(retrieved["item"]["content"][0]["audio"])) == 50 * 48
    assert retrieved["item"]["content"][0]["transcript"] == ""


def test_an_item_deleted_while_it_is_spoken_follows_nothing() -> None:
    client = Client()
    client.say("response.create")
    while not client.of("response.output_audio.delta"):
        client.run(0.01)
    client.say(
        "conversation.item.delete", item_id=client.one("response.output_item.added")["item"]["id"]
    )

    client.run(10)

    assert client.one("conversation.item.done")["previous_item_id"] is None
    assert client.one("response.done")["response"]["status"] == "completed"


def test_an_item_retrieved_while_it_is_spoken_has_no_content_yet() -> None:
    client = Client()
    client.say("response.create")
    while not client.of("response.output_audio.delta"):
        client.run(0.01)
    item_id = client.one("response.output_item.added")["item"]["id"]

    (retrieved,) = client.say("conversation.item.retrieve", item_id=item_id)

    assert (retrieved["item"]["status"], retrieved["item"]["content"]) == ("in_progress", [])

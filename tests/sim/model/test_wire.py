"""Every event gets an id and is remembered, and nothing leaves a session that is over."""

import json
from random import Random

from opusbridge.sim.model.knobs import Knobs
from opusbridge.sim.model.schedule import Schedule
from opusbridge.sim.model.wire import Wire
from opusbridge.sim.party import Closing


def wire() -> Wire:
    return Wire(Knobs(), Random(1), Schedule(2.0))


def test_texts_are_taken_once_in_order() -> None:
    one = wire()
    one.say("a", x=1)
    one.say("b")

    events = [json.loads(text) for text in one.texts_to_send()]
    assert [(event["type"], event.get("x")) for event in events] == [("a", 1), ("b", None)]
    assert one.texts_to_send() == []


def test_nothing_is_said_after_the_close_and_the_first_close_counts() -> None:
    one = wire()
    one.say("last")
    one.close(1001, "over")
    one.close(None)
    one.say("too late")

    assert len(one.texts_to_send()) == 1
    assert one.closing == Closing(1001, "over")


def test_nothing_is_said_by_the_frozen() -> None:
    one = wire()
    one.frozen = True
    one.say("x")

    assert one.texts_to_send() == []
    assert one.history == []


def test_the_history_names_all_ids_and_the_code_of_an_error() -> None:
    one = wire()
    one.error("some_code", "words", None, "e-1")
    one.say("x", item_id="item_1", response={"id": "resp_1"}, item={"id": "i", "call_id": "c"})
    one.heard({"type": "response.cancel", "response_id": "resp_1"})

    assert [(h.at, h.by, h.type, h.ids) for h in one.history] == [
        (2.0, "server", "error", "some_code"),
        (2.0, "server", "x", "item_1 resp_1 i c"),
        (2.0, "client", "response.cancel", "resp_1"),
    ]


def test_a_broken_server_complains_of_itself() -> None:
    one = wire()
    one.error("server_error", "Sorry.")

    (text,) = one.texts_to_send()
    assert json.loads(text)["error"]["type"] == "server_error"

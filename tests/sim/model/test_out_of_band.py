"""Responses beside the conversation."""

from tests.sim.model.answering import NOT_ACTIVE, client, errors, speaking, statuses


def test_a_response_out_of_band_runs_beside_and_touches_no_conversation() -> None:
    one, active = speaking()
    before = len(one.model.conversation.entries)

    one.say("response.create", response={"conversation": "none", "metadata": {"why": "mood"}})
    one.run(20)

    other, default = one.of("response.done")
    assert default["response"]["id"] == active
    assert other["response"]["conversation_id"] is None
    assert other["response"]["metadata"] == {"why": "mood"}
    assert default["response"]["conversation_id"].startswith("conv_")
    assert len(one.of("conversation.item.added")) == len(one.of("conversation.item.done")) == 1
    assert len(one.model.conversation.entries) == before
    assert errors(one) == []


def test_speech_does_not_interrupt_what_is_out_of_band() -> None:
    one = client("speed=1")
    one.detect(create_response=False)
    one.say("response.create", response={"conversation": "none"})
    one.run(0.4)

    one.speak()
    one.run(20)

    assert statuses(one) == [("completed", None)]


def test_what_is_out_of_band_is_cancelled_by_its_id_only() -> None:
    one = client("speed=1")
    one.say("response.create", response={"conversation": "none"})
    one.run(0.4)
    response_id = one.one("response.created")["response"]["id"]

    assert one.refused("response.cancel")["code"] == NOT_ACTIVE
    one.say("response.cancel", response_id=response_id)

    assert statuses(one) == [("cancelled", "client_cancelled")]

"""What befalls one response, and what it leaves to the next."""

import pytest

from opusbridge.sim.model import Knobs, Reply, ReplyScript, SimulatedModel
from opusbridge.sim.party import Closing
from opusbridge.sim.tones import silence, voice
from tests.sim.model.client import Client, types

TEXT = "This is what has to be said before the day is over, and no less."


def asked(*faults: str, tries: int = 1) -> Client:
    """A client that has asked so often, each time waiting long enough."""
    script = ReplyScript([Reply(TEXT), Reply("And this is the second thing.")])
    client = Client(SimulatedModel(Knobs.parse(*faults), replies=script))
    for _ in range(tries):
        client.say("response.create")
        client.run(10)
    return client


def transcripts(client: Client) -> list[str]:
    done = client.of("response.output_audio_transcript.done")
    return [event["transcript"] for event in done]


def test_a_failed_response_says_why_and_leaves_its_reply_to_the_next() -> None:
    client = asked("failed=1:insufficient_quota", tries=2)

    first, second = (event["response"] for event in client.of("response.done"))
    assert first["status"] == "failed"
    assert first["status_details"]["error"]["code"] == "insufficient_quota"
    assert first["output"] == []
    assert second["status"] == "completed"
    assert transcripts(client) == [TEXT]


def test_a_broken_server_has_no_code() -> None:
    error = asked("failed=1:server_error").one("response.done")["response"]["status_details"][
        "error"
    ]

    assert error["code"] is None
    assert error["type"] == "server_error"
    assert error["message"].startswith("The server had an error")


@pytest.mark.parametrize(
    ("fault", "status"), [("failed-midway", "failed"), ("incomplete", "incomplete")]
)
def test_a_response_may_break_off_half_way(fault: str, status: str) -> None:
    client = asked(fault)

    done = client.one("response.done")["response"]
    assert done["status"] == status
    assert done["output"][0]["status"] == "incomplete"
    (half,) = transcripts(client)
    assert len(TEXT) / 3 < len(half) < len(TEXT)


@pytest.mark.parametrize("reason", ["max_output_tokens", "content_filter"])
def test_an_incomplete_response_says_what_cut_it(reason: str) -> None:
    client = asked(f"incomplete=1:{reason}")

    assert client.one("response.done")["response"]["status_details"]["reason"] == reason


def test_an_empty_response_completes_with_nothing() -> None:
    client = asked("empty", tries=2)

    first = client.of("response.done")[0]["response"]
    assert (first["status"], first["output"]) == ("completed", [])
    assert transcripts(client) == [TEXT]


def test_an_answer_may_be_a_message_with_nothing_in_it_or_in_writing() -> None:
    for fault, content in (
        ("contentless", []),
        ("written", [{"type": "output_text", "text": TEXT}]),
    ):
        client = asked(fault, tries=2)

        first = client.of("response.done")[0]["response"]
        assert (first["status"], first["output"][0]["content"]) == ("completed", content)
        assert transcripts(client) == [TEXT], "it is said by the next"


def test_a_response_withheld_holds_the_slot_in_silence_until_its_time_is_over() -> None:
    client = asked("created-withheld", tries=0)
    client.say("response.create")
    assert client.run(0.5) == []
    assert client.refused("response.create")["code"] == "conversation_already_has_active_response"
    assert client.run(5) == []

    client.say("response.create")
    client.run(10)

    assert transcripts(client) == [TEXT]


def test_a_response_withheld_can_be_cancelled() -> None:
    client = asked("created-withheld", tries=0)
    client.say("response.create")
    client.run(0.5)

    client.say("response.cancel")

    assert client.one("response.done")["response"]["status"] == "cancelled"


def test_created_may_get_lost_alone() -> None:
    client = asked("created-lost")

    assert client.of("response.created") == []
    assert client.one("response.done")["response"]["status"] == "completed"
    assert transcripts(client) == [TEXT]


def test_done_may_get_lost_though_the_slot_is_free() -> None:
    client = asked("done-withheld", tries=2)

    assert len(client.of("response.created")) == 2
    assert len(client.of("response.done")) == 1
    assert len(transcripts(client)) == 2


def test_a_stuck_response_holds_the_slot_until_somebody_cancels() -> None:
    client = asked("done-stuck")
    client.run(60)
    active = client.one("response.created")["response"]["id"]
    assert active in client.refused("response.create")["message"]

    client.say("response.cancel", response_id=active)

    assert client.one("response.done")["response"]["status"] == "cancelled"
    assert client.say("response.create") == []


def test_a_frozen_session_hears_and_says_nothing_but_keeps_its_socket() -> None:
    client = asked("freeze")

    assert client.of("response.output_audio.delta") != []
    assert client.of("response.done") == []
    assert client.say("response.create") == []
    assert client.model.deadline is None
    assert client.model.closing is None
    assert client.model.verdict(patience_seconds=0) == []


def test_a_dropped_session_closes_without_a_word() -> None:
    client = asked("drop")

    assert client.model.closing == Closing(None)
    assert client.of("response.done") == []
    assert client.model.deadline is None


def test_a_session_may_freeze_or_drop_at_any_point() -> None:
    frozen = Client(SimulatedModel(Knobs(freeze_at=3.0)))
    dropped = Client(SimulatedModel(Knobs(drop_at=3.0)))
    for client in (frozen, dropped):
        client.run(2.9)
        assert types(client.update(instructions="x")) == ["session.updated"]
        client.run(0.2)
        assert client.update(instructions="y") == []

    assert frozen.model.closing is None
    assert dropped.model.closing == Closing(None)


def test_a_fault_befalls_the_response_it_names() -> None:
    client = asked("empty=2", "failed=3", tries=4)

    statuses = [
        (e["response"]["status"], len(e["response"]["output"])) for e in client.of("response.done")
    ]
    assert statuses == [("completed", 1), ("completed", 0), ("failed", 0), ("completed", 1)]


def test_a_refused_create_is_not_counted() -> None:
    client = asked("empty=2", tries=0)
    client.say("response.create")
    client.say("response.create")
    client.run(10)
    client.say("response.create")
    client.run(10)

    assert [len(e["response"]["output"]) for e in client.of("response.done")] == [1, 0]


def test_what_nobody_has_heard_of_is_injected_without_changing_what_is_said() -> None:
    plain = asked()
    odd = asked("obfuscation", "unknown-fields", "unknown-events")

    known = [event for event in odd.events if event["type"] != "x.never.heard_of"]
    assert types(known) == types(plain.events)
    assert len(known) < len(odd.events)
    assert all("x_never_heard_of" in event for event in known)
    assert all("obfuscation" in event for event in known if event["type"].endswith(".delta"))
    assert transcripts(odd) == transcripts(plain)


def test_a_create_that_lost_the_race_is_not_counted_either() -> None:
    client = asked("empty=1", "create-delay=2", tries=0)
    client.append(voice(400))
    client.say("response.create")
    client.append(silence(300))
    client.run(5)

    assert client.one("response.done")["response"]["output"] == []

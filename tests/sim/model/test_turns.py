"""From sound to items, by turn detection and by a client's own word."""

from base64 import b64encode

import pytest

from opusbridge.sim.model import Knobs, Reply, ReplyScript, SimulatedModel
from opusbridge.sim.tones import noise, silence, voice
from opusbridge.sound import PCM_24K, PCMA_8K, PCMU_8K, AudioFormat
from tests.sim.model.client import Client, types

TRANSCRIBED = {"input": {"transcription": {"model": "gpt-4o-mini-transcribe"}}}


def listening(knobs: Knobs | None = None, heard: tuple[str, ...] = ()) -> Client:
    """A client whose session transcribes, and answers only when asked."""
    client = Client(SimulatedModel(knobs, replies=ReplyScript(heard=heard)))
    client.update(audio=TRANSCRIBED)
    client.detect(create_response=False)
    return client


@pytest.mark.parametrize(
    ("format", "name"),
    [(PCM_24K, "audio/pcm"), (PCMU_8K, "audio/pcmu"), (PCMA_8K, "audio/pcma")],
)
def test_a_turn_is_announced_committed_and_added_under_one_id(
    format: AudioFormat, name: str
) -> None:
    client = Client()
    client.detect(create_response=False)
    client.update(audio={"input": {"format": {"type": name}}})

    events = client.append(noise(400, dbfs=-55) + voice(600) + silence(300), format)

    assert types(events) == [
        "input_audio_buffer.speech_started",
        "input_audio_buffer.speech_stopped",
        "input_audio_buffer.committed",
        "conversation.item.added",
        "conversation.item.done",
    ]
    started, stopped, committed, added, done = events
    assert started["audio_start_ms"] == 100
    assert stopped["audio_end_ms"] == 1200
    ids = {started["item_id"], stopped["item_id"], committed["item_id"]}
    assert ids == {added["item"]["id"]} == {done["item"]["id"]}
    assert added["item"]["content"] == [{"type": "input_audio", "transcript": None}]


def test_the_clock_counts_sound_and_not_time() -> None:
    client = listening()
    client.run(60)

    client.speak()

    assert client.one("input_audio_buffer.speech_stopped")["audio_end_ms"] == 700


def test_one_turn_follows_the_other_in_the_conversation() -> None:
    client = listening()
    client.speak()
    client.speak()

    first, second = client.of("input_audio_buffer.committed")
    assert first["previous_item_id"] is None
    assert second["previous_item_id"] == first["item_id"]


def test_sound_in_one_big_piece_gives_the_same_turns() -> None:
    client = listening()
    sound = (voice(300) + silence(400)) * 2

    client.say("input_audio_buffer.append", audio=b64encode(sound).decode())

    assert [e["audio_end_ms"] for e in client.of("input_audio_buffer.speech_stopped")] == [
        500,
        1200,
    ]


def test_a_clients_commit_in_mid_speech_uses_the_announced_id_and_says_no_stop() -> None:
    client = Client()
    client.append(voice(400))

    events = client.say("input_audio_buffer.commit")
    client.append(silence(1000))

    assert types(events)[0] == "input_audio_buffer.committed"
    announced = client.one("input_audio_buffer.speech_started")["item_id"]
    assert events[0]["item_id"] == announced
    assert client.of("input_audio_buffer.speech_stopped") == []
    assert client.of("response.created") == []


def test_a_clients_commit_is_answered_where_the_knob_says_so() -> None:
    client = Client(SimulatedModel(Knobs(auto_response_on_client_commit=True)))
    client.append(voice(400))

    client.say("input_audio_buffer.commit")
    client.run(1)

    assert len(client.of("response.created")) == 1


def test_without_turn_detection_nothing_happens_by_itself() -> None:
    client = Client()
    client.update(audio={"input": {"turn_detection": None}})

    assert client.speak() == []
    events = client.say("input_audio_buffer.commit")
    assert types(events) == [
        "input_audio_buffer.committed",
        "conversation.item.added",
        "conversation.item.done",
    ]
    assert client.run(5) == []


def test_too_short_a_commit_is_refused_and_echoes_its_event() -> None:
    client = Client()

    error = client.refused("input_audio_buffer.commit", event_id="cm-2")

    assert error["code"] == "input_audio_buffer_commit_empty"
    assert error["event_id"] == "cm-2"
    assert "buffer only has 0.00ms of audio." in error["message"]


def test_a_clear_is_acknowledged_and_forgets_the_speech() -> None:
    client = Client()
    client.append(voice(400))

    assert types(client.say("input_audio_buffer.clear")) == ["input_audio_buffer.cleared"]
    assert client.append(silence(1000)) == []
    announced = client.one("input_audio_buffer.speech_started")["item_id"]
    assert client.say("input_audio_buffer.commit")[0]["item_id"] != announced


def test_sound_must_be_base64() -> None:
    error = Client().refused("input_audio_buffer.append", audio="not base64!")

    assert (error["code"], error["param"]) == ("invalid_value", "audio")


def test_changing_turn_detection_in_mid_speech_loses_the_speech() -> None:
    client = Client()
    client.append(voice(400))

    client.update(audio={"input": {"turn_detection": None}})

    assert client.append(silence(1000)) == []


def test_another_change_in_mid_speech_loses_nothing() -> None:
    client = Client()
    client.append(voice(400))

    client.update(instructions="Be kind.")
    client.append(silence(400))

    assert len(client.of("input_audio_buffer.committed")) == 1


def test_the_callers_words_come_later_in_the_order_of_the_script() -> None:
    client = listening(heard=("Where is my order?", "Thank you."))
    client.speak()
    client.speak()
    client.run(1)

    done = client.of("conversation.item.input_audio_transcription.completed")
    assert [event["transcript"] for event in done] == ["Where is my order?", "Thank you."]
    turns = [event["item_id"] for event in client.of("input_audio_buffer.committed")]
    assert [event["item_id"] for event in done] == turns
    deltas = client.of("conversation.item.input_audio_transcription.delta")
    words = [event["delta"] for event in deltas if event["item_id"] == turns[0]]
    assert "".join(words) == "Where is my order?"


def test_a_transcription_takes_its_time() -> None:
    client = listening(Knobs(transcription_delay=2.0))
    client.speak()

    assert client.run(1.8) == []
    assert client.run(0.3) != []


@pytest.mark.parametrize("how", ["completed", "failed"])
def test_a_transcription_may_come_before_the_commit(how: str) -> None:
    knobs = Knobs.parse("transcription-order=before-commit", f"transcription={how}")
    client = listening(knobs, heard=("Hello.",))
    told = types(client.speak() + client.run(5))

    word = "conversation.item.input_audio_transcription"
    words = [f"{word}.delta"] * (how == "completed")
    assert told == [
        "input_audio_buffer.speech_started",
        "input_audio_buffer.speech_stopped",
        *words,
        f"{word}.{how}",
        "input_audio_buffer.committed",
        "conversation.item.added",
        "conversation.item.done",
    ]


@pytest.mark.parametrize(("how", "comes"), [("failed", 1), ("absent", 0)])
def test_a_transcription_may_fail_or_never_come(how: str, comes: int) -> None:
    knobs = Knobs.parse(f"transcription={how}")
    client = listening(knobs)
    client.speak()
    client.run(5)

    assert client.of("conversation.item.input_audio_transcription.completed") == []
    failed = client.of("conversation.item.input_audio_transcription.failed")
    assert len(failed) == comes


def test_nothing_is_transcribed_unasked() -> None:
    client = Client()
    client.speak()
    client.run(5)

    assert client.of("conversation.item.input_audio_transcription.completed") == []


def test_a_caller_who_stays_silent_is_prompted_after_having_heard_all_of_it() -> None:
    client = Client(SimulatedModel(Knobs(speed=float("inf"))))
    client.detect(idle_timeout_ms=5000)
    client.append(silence(200))
    client.say("response.create")
    client.run(0.5)
    response = client.one("response.done")["response"]
    heard = len(client.audio(response["id"])) / 48_000

    assert client.run(heard + 4.6) == []
    events = types(client.run(0.5))

    assert events[:4] == [
        "input_audio_buffer.timeout_triggered",
        "input_audio_buffer.committed",
        "conversation.item.added",
        "conversation.item.done",
    ]
    assert "response.created" in events


def test_a_caller_who_speaks_is_not_prompted() -> None:
    client = Client(SimulatedModel(Knobs(speed=float("inf"))))
    client.detect(idle_timeout_ms=5000, create_response=False)
    client.say("response.create")
    client.run(0.5)

    client.speak()
    client.run(30)

    assert client.of("input_audio_buffer.timeout_triggered") == []


def test_nobody_is_prompted_while_something_is_being_said() -> None:
    long = Reply("This answer is long. " * 20)
    client = Client(SimulatedModel(Knobs(speed=1.0), replies=ReplyScript([Reply("Hi"), long])))
    client.detect(idle_timeout_ms=5000)
    client.say("response.create")
    client.run(5)
    client.say("response.create")

    client.run(15)

    assert client.of("input_audio_buffer.timeout_triggered") == []
    assert len(client.of("response.done")) == 1

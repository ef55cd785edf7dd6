"""The clock that counts bytes, and the turn not yet committed."""

import pytest

from opusbridge.sim.model.input_buffer import InputBuffer
from opusbridge.sim.model.session import SERVER_VAD
from opusbridge.sim.model.shapes import Refused
from opusbridge.sim.model.voice_activity import SpeechStarted, SpeechStopped, VoiceActivity
from opusbridge.sim.tones import silence, voice
from opusbridge.sound import PCM_24K, PCMA_8K, PCMU_8K, AudioFormat


@pytest.mark.parametrize("format", [PCM_24K, PCMU_8K, PCMA_8K])
def test_the_clock_counts_bytes_of_the_format(format: AudioFormat) -> None:
    buffer = InputBuffer(format)

    list(buffer.append(bytes(format.bytes_per_ms * 35)))

    assert buffer.clock_ms == buffer.uncommitted_ms == 35


def test_the_clock_goes_on_through_commits_clears_and_changes_of_format() -> None:
    buffer = InputBuffer(PCM_24K)
    list(buffer.append(silence(110)))
    buffer.commit()
    list(buffer.append(silence(50)))
    buffer.clear()
    buffer.use(PCMU_8K, None)
    list(buffer.append(bytes(8 * 30)))

    assert buffer.clock_ms == 190
    assert buffer.uncommitted_ms == 30


def test_a_commit_needs_a_tenth_of_a_second() -> None:
    buffer = InputBuffer(PCMU_8K)
    list(buffer.append(bytes(8 * 99)))

    with pytest.raises(Refused) as refused:
        buffer.commit()

    assert refused.value.code == "input_audio_buffer_commit_empty"
    assert refused.value.message == (
        "Error committing input audio buffer: buffer too small. Expected at least 100ms of "
        "audio, but buffer only has 99.00ms of audio."
    )
    list(buffer.append(bytes(8)))
    assert len(buffer.commit()) == 800
    assert buffer.uncommitted_ms == 0


def test_half_a_sample_waits_for_its_other_half() -> None:
    buffer = InputBuffer(PCM_24K)
    sound = voice(220)
    list(buffer.append(sound[: 110 * 48 + 1]))
    first = buffer.commit()
    list(buffer.append(sound[110 * 48 + 1 :]))

    assert first + buffer.commit() == sound


def test_a_turn_is_what_was_said_with_its_padding_and_its_silence() -> None:
    buffer = InputBuffer(PCM_24K)
    detection = {**SERVER_VAD, "prefix_padding_ms": 100, "silence_duration_ms": 200}
    buffer.use(PCM_24K, VoiceActivity(detection))
    sound = silence(2000) + voice(400) + silence(200)

    found = list(buffer.append(sound))

    assert found == [SpeechStarted(1900), SpeechStopped(2600)]
    assert buffer.take_turn() == sound[1900 * 48 :]


def test_padding_does_not_reach_into_the_turn_before() -> None:
    buffer = InputBuffer(PCM_24K)
    buffer.use(PCM_24K, VoiceActivity({**SERVER_VAD, "silence_duration_ms": 40}))
    events = []
    for event in buffer.append((voice(200) + silence(40)) * 2):
        events.append(event)
        if isinstance(event, SpeechStopped):
            buffer.take_turn()

    assert events == [
        SpeechStarted(0),
        SpeechStopped(240),
        SpeechStarted(240),
        SpeechStopped(480),
    ]


def test_a_commit_in_mid_speech_ends_the_speech() -> None:
    buffer = InputBuffer(PCM_24K)
    buffer.use(PCM_24K, VoiceActivity(SERVER_VAD))
    list(buffer.append(voice(300)))
    assert buffer.speaking

    buffer.commit()

    assert not buffer.speaking
    assert list(buffer.append(silence(1000))) == []


def test_a_clear_discards_the_beginning_of_speech() -> None:
    buffer = InputBuffer(PCM_24K)
    buffer.use(PCM_24K, VoiceActivity(SERVER_VAD))
    list(buffer.append(voice(300)))

    buffer.clear()

    assert not buffer.speaking
    assert buffer.uncommitted_ms == 0

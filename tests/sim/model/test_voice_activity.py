"""What is loud enough, for long enough, to be speech."""

import math

import pytest

from opusbridge.audio.formats import Transcoder
from opusbridge.sim.model.session import SEMANTIC_VAD, SERVER_VAD
from opusbridge.sim.model.voice_activity import (
    SEMANTIC_SILENCE_MS,
    SpeechStarted,
    SpeechStopped,
    VoiceActivity,
    threshold_dbfs,
    window_dbfs,
)
from opusbridge.sim.tones import noise, silence, tone, voice
from opusbridge.sound import PCM_24K, PCMA_8K, PCMU_8K, AudioFormat

FORMATS = [PCM_24K, PCMU_8K, PCMA_8K]


def noticed(
    activity: VoiceActivity, pcm24k: bytes, format: AudioFormat = PCM_24K, begun_ms: int = 0
) -> list[SpeechStarted | SpeechStopped]:
    transcoder = Transcoder(PCM_24K, format)
    sound = transcoder.convert(pcm24k) + transcoder.flush()
    size = 20 * format.bytes_per_ms
    found = [
        activity.window(sound[at : at + size], format, begun_ms + at // format.bytes_per_ms + 20)
        for at in range(0, len(sound), size)
    ]
    return [one for one in found if one is not None]


@pytest.mark.parametrize("format", FORMATS)
def test_speech_as_loud_as_on_the_telephone_begins_a_turn(format: AudioFormat) -> None:
    assert len(noticed(VoiceActivity(SERVER_VAD), voice(300), format)) == 1


@pytest.mark.parametrize("format", FORMATS)
@pytest.mark.parametrize("quiet", [silence(1000), noise(1000, dbfs=-50), noise(1000, dbfs=-60)])
def test_silence_and_comfort_noise_begin_none(quiet: bytes, format: AudioFormat) -> None:
    assert noticed(VoiceActivity(SERVER_VAD), quiet, format) == []


def test_a_turn_begins_where_the_speech_does_less_the_padding() -> None:
    activity = VoiceActivity({**SERVER_VAD, "prefix_padding_ms": 200})

    assert noticed(activity, silence(1000) + voice(300)) == [SpeechStarted(800)]


def test_a_turn_ends_where_the_silence_has_lasted() -> None:
    activity = VoiceActivity({**SERVER_VAD, "silence_duration_ms": 500})

    found = noticed(activity, voice(400) + silence(480) + voice(200) + silence(500))

    assert found == [SpeechStarted(-300), SpeechStopped(400 + 480 + 200 + 500)]


def test_a_click_is_no_speech() -> None:
    assert noticed(VoiceActivity(SERVER_VAD), voice(20) + silence(500)) == []


def test_the_threshold_is_a_loudness() -> None:
    soft, loud = tone(300, 200, dbfs=-45), tone(300, 200, dbfs=-35)

    assert noticed(VoiceActivity(SERVER_VAD), soft) == []
    assert len(noticed(VoiceActivity(SERVER_VAD), loud)) == 1
    assert len(noticed(VoiceActivity({**SERVER_VAD, "threshold": 0.2}), soft)) == 1
    assert noticed(VoiceActivity({**SERVER_VAD, "threshold": 0.9}), loud) == []
    assert [threshold_dbfs(t) for t in (0.0, 0.5, 1.0)] == [-60, -40, -20]


@pytest.mark.parametrize("eagerness", SEMANTIC_SILENCE_MS)
def test_the_less_eager_wait_longer(eagerness: str) -> None:
    activity = VoiceActivity({**SEMANTIC_VAD, "eagerness": eagerness})

    found = noticed(activity, voice(400) + silence(2000))

    assert found[1] == SpeechStopped(400 + SEMANTIC_SILENCE_MS[eagerness])


def test_loudness_is_measured_in_every_format() -> None:
    for format in FORMATS:
        transcoder = Transcoder(PCM_24K, format)
        window = transcoder.convert(tone(1000, 40)) + transcoder.flush()
        assert window_dbfs(window, format) == pytest.approx(-20, abs=0.5)
    assert window_dbfs(bytes(960), PCM_24K) == -math.inf
    assert window_dbfs(b"\xff" * 160, PCMU_8K) == -math.inf

"""Sounds made out of nothing measure as they claim."""

import pytest

from opusbridge.audio.formats import level_dbfs
from opusbridge.sim.tones import noise, silence, speech, speech_ms, tone, voice


@pytest.mark.parametrize("rate_hz", [8_000, 16_000, 24_000])
def test_everything_is_as_long_and_as_loud_as_asked(rate_hz: int) -> None:
    for sound in (
        tone(440, 500, rate_hz, -12),
        voice(500, rate_hz, -12),
        noise(500, rate_hz, -12),
    ):
        assert len(sound) == 500 * rate_hz // 1000 * 2
        assert level_dbfs(sound) == pytest.approx(-12, abs=0.3)
    assert silence(500, rate_hz) == bytes(rate_hz)


def test_speech_is_as_long_as_it_takes_to_say() -> None:
    text = "This takes about two seconds to say."

    assert speech_ms(text) == 60 * len(text)
    assert len(speech(text)) == speech_ms(text) * 48
    assert len(speech("No")) == 300 * 48


def test_speech_never_falls_silent() -> None:
    sound = speech("This is said in one breath, without a pause that ends a turn.")

    levels = [level_dbfs(sound[at : at + 960]) for at in range(0, len(sound) - 960, 960)]
    assert min(levels) > -35


def test_two_texts_do_not_sound_alike_but_one_always_does() -> None:
    assert speech("one two three") == speech("one two three")
    assert speech("one two three") != speech("two one three")


def test_no_sound_at_all_is_no_sound() -> None:
    assert tone(440, 0) == b""

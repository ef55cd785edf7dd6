"""Sound that stands in for other sound is as loud, piece by piece."""

from itertools import pairwise

import numpy as np
import pytest

from opusbridge.call.policy import AUDIOCODES, CallPolicy
from opusbridge.effects import SessionConfig
from opusbridge.recording.loudness import SILENT, Line, as_loud, levels, may_judge
from opusbridge.sound import PCM_8K, PCM_16K, PCM_24K, PCMU_8K, AudioFormat

ACCEPTED = {"type": "session.accepted", "mediaFormat": "raw/lpcm16"}


def noise(ms: int, format: AudioFormat, amplitude: int) -> bytes:
    """Of no two pieces alike."""
    samples = np.random.default_rng(amplitude).integers(-amplitude, amplitude, ms * 8)
    if format == PCMU_8K:
        return (samples % 256).astype(np.uint8).tobytes()
    return np.repeat(samples, format.rate_hz // 8_000).astype("<i2").tobytes()


@pytest.mark.parametrize("format", [PCMU_8K, PCM_8K, PCM_16K, PCM_24K], ids=repr)
@pytest.mark.parametrize("amplitude", [200, 3_000, 30_000])
def test_it_is_as_loud_to_a_twentieth_of_a_decibel(format: AudioFormat, amplitude: int) -> None:
    sound = noise(210, format, amplitude)
    told = levels(sound, format)
    instead = as_loud(told, len(sound), format)

    assert len(told) == 11
    assert len(instead) == len(sound)
    assert levels(instead, format) == pytest.approx(told, abs=5)


def test_silence_is_silence() -> None:
    assert levels(bytes(320), PCM_8K) == [SILENT]
    assert as_loud([SILENT], 320, PCM_8K) == bytes(320)
    assert as_loud([SILENT], 160, PCMU_8K) == b"\xff" * 160


def test_samples_that_are_cut_in_two_are_put_together_on_both_ways() -> None:
    sound = noise(200, PCM_16K, 9_000)
    sizes = [641, 639, 640, 1, 1279, 3200]
    cuts = np.cumsum([0, *sizes])
    pieces = [sound[a:b] for a, b in pairwise(cuts)]

    def line() -> Line:
        of_the_call = Line()
        of_the_call.said(ACCEPTED)
        return of_the_call

    measured, instead, again = line(), line(), line()
    told = [measured.levels("telephony", piece) for piece in pieces]
    made = [
        instead.as_loud("telephony", one, len(piece))
        for one, piece in zip(told, pieces, strict=True)
    ]

    assert [len(piece) for piece in made] == [len(piece) for piece in pieces]
    for one, piece in zip(told, made, strict=True):
        assert again.levels("telephony", piece) == pytest.approx(one, abs=60)


def test_a_line_knows_what_each_side_speaks() -> None:
    line = Line()
    assert len(line.levels("telephony", bytes(160))) == 1
    assert len(line.levels("model", bytes(160))) == 1

    line.said(ACCEPTED)
    line.said({"type": "userStream.start"})
    assert len(line.levels("telephony", bytes(640))) == 1
    assert len(line.levels("model", bytes(960))) == 1


def test_what_listens_for_a_voice_judges_by_loudness() -> None:
    session = SessionConfig("Be kind.", PCM_24K)
    assert session.turn_detection is None

    assert may_judge(CallPolicy(AUDIOCODES, session, barge_in=False))
    assert not may_judge(CallPolicy(AUDIOCODES, session))

from random import Random

from opusbridge.audio.g711 import pcmu_decode
from opusbridge.sim.callers.person import Say
from opusbridge.sim.callers.playout import HeardSpan
from opusbridge.sim.callers.sounds import noise, on_one_time_line, silence, speech, speech_text
from opusbridge.sound import PCM_8K, PCM_24K, PCMU_8K

SAY = Say(b"\x00\x10" * 400, 8000, "fifty milliseconds")


def test_a_line_is_whole_frames_the_last_filled_with_silence() -> None:
    frames = speech(SAY, PCMU_8K)

    assert [len(frame) for frame in frames] == [160, 160, 160]
    assert frames[2][80:] == b"\xff" * 80
    assert speech_text(SAY, PCMU_8K) is speech_text(SAY, PCMU_8K), "made once"


def test_a_line_is_converted_to_the_rate_of_the_line() -> None:
    frames = speech(SAY, PCM_24K)

    assert [len(frame) for frame in frames] == [960, 960, 960]
    assert frames[2][480:] == bytes(480)


def test_silence_in_mu_law_is_not_zero() -> None:
    assert silence(PCMU_8K) == b"\xff" * 160
    assert noise(PCM_8K, 0, Random(1)) == (bytes(320),)


def test_noise_is_low_and_the_same_for_the_same_seed() -> None:
    frames = noise(PCMU_8K, 40, Random(1))

    assert frames == noise(PCMU_8K, 40, Random(1))
    samples = memoryview(pcmu_decode(b"".join(frames))).cast("h")
    assert 0 < max(samples) <= 44


def test_what_was_heard_lies_on_one_time_line() -> None:
    spans = [
        HeardSpan(1.0, 1.1, PCMU_8K, bytearray(b"\x20" * 800)),
        HeardSpan(1.3, 1.4, PCM_24K, bytearray(b"\x00\x10" * 2400)),
    ]
    line = memoryview(on_one_time_line(spans, begun_at=0.5, rate_hz=8000)).cast("h")

    assert len(line) == 0.9 * 8000
    assert set(line[:4000]) == {0}
    assert abs(line[4400]) > 1000
    assert set(line[4800:6400]) == {0}
    assert abs(line[6800]) > 1000
    assert on_one_time_line([], 0.0, 8000) == b""

from itertools import accumulate, pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from opusbridge.audio.formats import Transcoder
from opusbridge.call.media import HELD_MS, AgentPath, CallerPath, HeldAudio
from opusbridge.sound import PCM_8K, PCM_24K, PCMU_8K, Audio, AudioFormat

steadily = settings(derandomize=True, deadline=None, max_examples=60)

CUTS = st.lists(st.integers(1, 700), min_size=1, max_size=12)


def cut_up(raw: bytes, sizes: list[int]) -> list[bytes]:
    bounds = [0, *accumulate(sizes)]
    return [raw[begin:end] for begin, end in pairwise(bounds)]


def noise(size: int) -> bytes:
    """Never silence, never the same twice in a row."""
    return bytes(1 + number * 37 % 250 for number in range(size))


# --- From the caller --------------------------------------------------------------------


@pytest.mark.parametrize("format", [PCMU_8K, PCM_24K])
def test_where_both_speak_the_same_a_frame_passes_as_the_text_it_came_as(
    format: AudioFormat,
) -> None:
    frame = Audio("AQID" * 40, format)

    assert CallerPath(format, format).convert(frame) is frame


def test_half_a_sample_waits_for_its_other_half() -> None:
    path = CallerPath(PCM_24K, PCM_24K)

    assert path.convert(Audio.of(b"a", PCM_24K)) is None
    assert path.convert(Audio.of(b"bcde", PCM_24K)) == Audio.of(b"abcd", PCM_24K)
    assert path.convert(Audio.of(b"f", PCM_24K)) == Audio.of(b"ef", PCM_24K)


def test_after_broken_samples_a_frame_passes_as_it_is_again() -> None:
    path = CallerPath(PCM_24K, PCM_24K)
    path.convert(Audio.of(b"a", PCM_24K))
    path.convert(Audio.of(b"b", PCM_24K))
    frame = Audio.of(b"cdef", PCM_24K)

    assert path.convert(frame) is frame


@steadily
@given(CUTS)
def test_no_byte_of_the_caller_is_lost_or_moved_wherever_it_was_cut(sizes: list[int]) -> None:
    path, said = CallerPath(PCM_24K, PCM_24K), noise(sum(sizes))

    passed = [path.convert(Audio.of(piece, PCM_24K)) for piece in cut_up(said, sizes)]

    assert all(audio.size_bytes % 2 == 0 for audio in passed if audio)
    assert b"".join(audio.raw for audio in passed if audio) == said[: len(said) // 2 * 2]


def test_between_two_formats_the_callers_sound_is_converted() -> None:
    said = noise(1600)

    converted = CallerPath(PCM_8K, PCM_24K).convert(Audio.of(said, PCM_8K))

    assert converted == Audio.of(Transcoder(PCM_8K, PCM_24K).convert(said), PCM_24K)


# --- While nobody can take it -----------------------------------------------------------


def test_held_speech_is_given_back_in_order_and_once() -> None:
    held, first, second = HeldAudio(), Audio("AAAA", PCMU_8K), Audio("BBBB", PCMU_8K)
    assert held.hold(first) == held.hold(second) == 0

    assert held.take() == [first, second]
    assert held.take() == []


def test_held_speech_is_bounded_and_the_oldest_gives_way() -> None:
    held = HeldAudio()
    frames = [Audio.of(bytes([number]) * 8_000, PCMU_8K) for number in range(7)]

    dropped = [held.hold(frame) for frame in frames]

    assert dropped == [0, 0, 0, 0, 0, 1000, 1000]
    assert sum(frame.ms for frame in frames[2:]) == HELD_MS
    assert held.take() == frames[2:]
    assert held.hold(frames[0]) == 0  # what was taken is not counted any more


def test_of_a_piece_longer_than_can_be_held_the_end_is() -> None:
    held, said = HeldAudio(), noise(48_000)

    assert held.hold(Audio.of(said, PCMU_8K)) == 1000
    assert held.take() == [Audio.of(said[-8 * HELD_MS :], PCMU_8K)]


def test_of_the_oldest_no_more_gives_way_than_must() -> None:
    held, said = HeldAudio(), noise(96_000)
    held.hold(Audio.of(said[:64_000], PCM_8K))
    held.turn_over()

    assert held.hold(Audio.of(said[64_000:80_000], PCM_8K)) == 0
    assert held.hold(Audio.of(said[80_000:80_320], PCM_8K)) == 20
    assert held.take(of_turn=True) == [Audio.of(said[320:64_000], PCM_8K)]
    assert b"".join(one.raw for one in held.take()) == said[64_000:80_320]


# --- To the caller ----------------------------------------------------------------------


def test_whole_frames_pass_to_the_caller_as_the_text_they_came_as() -> None:
    delta = Audio("AQID" * 160, PCMU_8K)

    assert AgentPath(PCMU_8K, PCMU_8K, 160).convert(delta) is delta


def test_what_is_left_over_of_a_delta_begins_the_next_frame() -> None:
    path, said = AgentPath(PCMU_8K, PCMU_8K, 160), noise(640)

    first = path.convert(Audio.of(said[:250], PCMU_8K))
    second = path.convert(Audio.of(said[250:570], PCMU_8K))  # whole frames, yet not alone

    assert first == Audio.of(said[:160], PCMU_8K)
    assert second == Audio.of(said[160:480], PCMU_8K)


def test_less_than_a_frame_waits() -> None:
    assert AgentPath(PCMU_8K, PCMU_8K, 160).convert(Audio.of(noise(159), PCMU_8K)) is None


def test_the_last_frame_of_an_utterance_is_filled_with_silence() -> None:
    path = AgentPath(PCMU_8K, PCMU_8K, 160)
    path.convert(Audio.of(noise(200), PCMU_8K))

    assert path.flush() == Audio.of(noise(200)[160:] + b"\xff" * 120, PCMU_8K)
    assert path.flush() is None


@steadily
@given(CUTS)
def test_nothing_is_lost_and_silence_is_added_only_at_the_end(sizes: list[int]) -> None:
    path, said = AgentPath(PCMU_8K, PCMU_8K, 160), noise(sum(sizes))

    leaving = [path.convert(Audio.of(piece, PCMU_8K)) for piece in cut_up(said, sizes)]
    leaving.append(path.flush())

    heard = b"".join(audio.raw for audio in leaving if audio)
    assert all(audio.size_bytes % 160 == 0 for audio in leaving if audio)
    assert heard == said + b"\xff" * (-len(said) % 160)


@steadily
@given(CUTS)
def test_pcm_stays_aligned_wherever_the_model_cuts_it(sizes: list[int]) -> None:
    path, said = AgentPath(PCM_24K, PCM_24K, 2), noise(sum(sizes))

    leaving = [path.convert(Audio.of(piece, PCM_24K)) for piece in cut_up(said, sizes)]

    assert all(audio.size_bytes % 2 == 0 for audio in leaving if audio)
    assert b"".join(audio.raw for audio in leaving if audio) == said[: len(said) // 2 * 2]


@steadily
@given(CUTS)
def test_converted_speech_is_the_same_wherever_it_was_cut(sizes: list[int]) -> None:
    path, said = AgentPath(PCM_24K, PCMU_8K, 160), noise(sum(sizes))
    whole = Transcoder(PCM_24K, PCMU_8K)

    leaving = [path.convert(Audio.of(piece, PCM_24K)) for piece in cut_up(said, sizes)]
    leaving.append(path.flush())

    expected = whole.convert(said) + whole.flush()
    heard = b"".join(audio.raw for audio in leaving if audio)
    assert heard == expected + b"\xff" * (-len(expected) % 160)


@pytest.mark.parametrize("model", [PCM_24K, PCMU_8K])
def test_what_was_cut_does_not_sound_on_in_the_next_utterance(model: AudioFormat) -> None:
    path, untouched = (AgentPath(model, PCMU_8K, 160) for _ in range(2))
    path.convert(Audio.of(noise(1000), model))
    path.clear()

    again = path.convert(Audio.of(noise(3000), model))

    assert again == untouched.convert(Audio.of(noise(3000), model))
    assert path.flush() == untouched.flush()


def test_an_utterance_does_not_sound_on_in_the_next_one() -> None:
    path, untouched = (AgentPath(PCM_24K, PCMU_8K, 160) for _ in range(2))
    path.convert(Audio.of(noise(1000), PCM_24K))
    path.flush()

    again = path.convert(Audio.of(noise(3000), PCM_24K))

    assert again == untouched.convert(Audio.of(noise(3000), PCM_24K))

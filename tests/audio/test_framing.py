import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from opusbridge.audio.framing import Framer, SampleAligner

PIECES = st.lists(st.binary(max_size=50), max_size=20)
steadily = settings(derandomize=True, deadline=None)


def test_half_a_sample_waits_for_its_other_half() -> None:
    aligner = SampleAligner(2)

    assert aligner.push(b"abc") == b"ab"
    assert aligner.push(b"d") == b"cd"
    assert aligner.push(b"") == b""


def test_a_half_sample_can_be_forgotten() -> None:
    aligner = SampleAligner(2)
    aligner.push(b"abc")

    aligner.clear()

    assert aligner.push(b"de") == b"de"


@steadily
@given(PIECES, st.integers(1, 4))
def test_aligning_loses_nothing_and_never_breaks_a_sample(
    pieces: list[bytes], sample_bytes: int
) -> None:
    aligner = SampleAligner(sample_bytes)

    given_out = [aligner.push(piece) for piece in pieces]

    whole = b"".join(pieces)
    assert all(len(piece) % sample_bytes == 0 for piece in given_out)
    assert b"".join(given_out) == whole[: len(whole) - len(whole) % sample_bytes]


def test_frames_come_out_whole_and_as_many_as_there_are() -> None:
    framer = Framer(4)

    assert framer.push(b"abc") == b""
    assert framer.pending == 3
    assert framer.push(b"defghi") == b"abcdefgh"
    assert framer.pending == 1


def test_the_last_frame_is_filled_up_with_silence() -> None:
    framer = Framer(6)
    framer.push(b"ab")

    assert framer.flush(b"\x00\x01") == b"ab\x00\x01\x00\x01"
    assert framer.pending == 0


def test_no_rest_makes_no_frame() -> None:
    framer = Framer(4)
    framer.push(b"abcd")

    assert framer.flush(b"\xff") == b""


def test_a_rest_that_breaks_a_sample_cannot_be_filled_up() -> None:
    framer = Framer(4)
    framer.push(b"abc")

    with pytest.raises(AssertionError):
        framer.flush(b"\x00\x00")


def test_a_rest_can_be_forgotten() -> None:
    framer = Framer(4)
    framer.push(b"abc")

    framer.clear()

    assert framer.pending == 0
    assert framer.push(b"wxyz") == b"wxyz"


@steadily
@given(PIECES, st.integers(1, 16))
def test_framing_loses_nothing_and_leaves_less_than_a_frame(
    pieces: list[bytes], frame_bytes: int
) -> None:
    framer = Framer(frame_bytes)

    given_out = [framer.push(piece) for piece in pieces]
    rest = framer.pending
    last = framer.flush(b"\xff")

    whole = b"".join(pieces)
    assert all(len(frames) % frame_bytes == 0 for frames in given_out)
    assert rest == len(whole) % frame_bytes
    assert b"".join(given_out) + last == whole + b"\xff" * (-len(whole) % frame_bytes)

import io
import struct
import wave

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from opusbridge.audio import g711
from opusbridge.audio.wav import Wav, read_wav, wav_bytes, wav_header
from tests.audio.signals import noise, tone

PCM = noise(1, 100)
steadily = settings(derandomize=True, deadline=None)


def chunk(name: bytes, body: bytes) -> bytes:
    return name + struct.pack("<I", len(body)) + body + b"\x00" * (len(body) % 2)


def riff(*chunks: bytes) -> bytes:
    return chunk(b"RIFF", b"WAVE" + b"".join(chunks))


def fmt(tag: int = 1, channels: int = 1, rate_hz: int = 8_000, bits: int = 16) -> bytes:
    return chunk(b"fmt ", struct.pack("<HHIIHH", tag, channels, rate_hz, 0, 0, bits))


@steadily
@given(st.integers(1, 200_000), st.integers(1, 8), st.binary(max_size=200))
def test_what_is_written_is_read_again(rate_hz: int, channels: int, raw: bytes) -> None:
    pcm = raw[: len(raw) - len(raw) % (2 * channels)]

    assert read_wav(wav_bytes(pcm, rate_hz, channels)) == Wav(rate_hz, channels, pcm)


def test_the_standard_library_reads_what_we_write() -> None:
    with wave.open(io.BytesIO(wav_bytes(PCM, 24_000, 2))) as file:
        assert file.getparams()[:4] == (2, 2, 24_000, 50)
        assert file.readframes(50) == PCM


def test_we_read_what_the_standard_library_writes() -> None:
    written = io.BytesIO()
    with wave.open(written, "wb") as file:
        file.setparams((2, 2, 16_000, 0, "NONE", ""))
        file.writeframes(PCM)

    assert read_wav(written.getvalue()) == Wav(16_000, 2, PCM)


def test_a_header_is_44_bytes_and_can_be_written_again_when_the_file_has_grown() -> None:
    growing = bytearray(wav_header(8_000, 2, 0))
    assert len(growing) == 44
    growing += PCM

    growing[:44] = wav_header(8_000, 2, len(PCM))

    assert bytes(growing) == wav_bytes(PCM, 8_000, 2)


def test_a_recording_too_long_for_its_header_is_read_to_the_end_of_the_file() -> None:
    header = wav_header(24_000, 2, 2**32)

    assert read_wav(header + PCM) == Wav(24_000, 2, PCM)


def test_half_a_sample_is_not_written() -> None:
    with pytest.raises(AssertionError):
        wav_bytes(b"abcdef", 8_000, 2)


def test_other_chunks_and_any_order_of_chunks_are_fine() -> None:
    odd = chunk(b"LIST", b"INFOx")

    assert read_wav(riff(odd, fmt(), odd, chunk(b"data", PCM), odd)) == Wav(8_000, 1, PCM)
    assert read_wav(riff(chunk(b"data", PCM), odd, fmt())) == Wav(8_000, 1, PCM)


def test_of_several_chunks_of_a_kind_the_first_counts() -> None:
    file = riff(fmt(), fmt(rate_hz=16_000), chunk(b"data", PCM), chunk(b"data", b"\x01\x02"))

    assert read_wav(file) == Wav(8_000, 1, PCM)


@pytest.mark.parametrize("cut", range(1, 9))
def test_of_a_file_cut_short_there_is_what_there_is(cut: int) -> None:
    whole = (len(PCM) - cut) // 4 * 4

    assert read_wav(wav_bytes(PCM, 8_000, 2)[:-cut]) == Wav(8_000, 2, PCM[:whole])


def test_g711_is_read_as_pcm() -> None:
    sound = tone(440, 8_000, 0.02)
    pcmu, pcma = g711.pcmu_encode(sound), g711.pcma_encode(sound)

    assert read_wav(riff(fmt(7, bits=8), chunk(b"data", pcmu))).pcm == g711.pcmu_decode(pcmu)
    assert read_wav(riff(fmt(6, bits=8), chunk(b"data", pcma))).pcm == g711.pcma_decode(pcma)


def test_the_long_description_of_a_format_is_understood() -> None:
    guid = b"\x00\x00\x00\x00\x10\x00\x80\x00\x00\xaa\x00\x38\x9b\x71"
    long = struct.pack("<HHIIHHHHIH", 0xFFFE, 1, 8_000, 0, 0, 16, 22, 16, 4, 1) + guid

    assert read_wav(riff(chunk(b"fmt ", long), chunk(b"data", PCM))).pcm == PCM


@pytest.mark.parametrize(
    ("file", "sentence"),
    [
        (b"", "not a WAV file"),
        (b"RIFX\x00\x00\x00\x00WAVE", "not a WAV file"),
        (b"RIFF\x00\x00\x00\x00AVI ", "not a WAV file"),
        (riff(), "does not say its format"),
        (riff(chunk(b"data", PCM)), "does not say its format"),
        (riff(fmt()), "holds no sound"),
        (riff(chunk(b"fmt ", b"\x01\x00"), chunk(b"data", PCM)), "cut short"),
        (riff(fmt(channels=0), chunk(b"data", PCM)), "no channels or no rate"),
        (riff(fmt(rate_hz=0), chunk(b"data", PCM)), "no channels or no rate"),
        (riff(fmt(bits=24), chunk(b"data", PCM)), "neither 16-bit PCM nor G.711"),
        (riff(fmt(tag=3, bits=32), chunk(b"data", PCM)), "neither 16-bit PCM nor G.711"),
        (riff(fmt(tag=99, bits=0), chunk(b"data", PCM)), "neither 16-bit PCM nor G.711"),
        (riff(fmt(tag=0xFFFE), chunk(b"data", PCM)), "neither 16-bit PCM nor G.711"),
    ],
)
def test_what_cannot_be_sound_is_refused_with_a_sentence(file: bytes, sentence: str) -> None:
    with pytest.raises(ValueError, match=sentence):
        read_wav(file)


@steadily
@given(
    st.one_of(
        st.binary(max_size=100),
        st.binary(max_size=100).map(lambda body: chunk(b"RIFF", b"WAVE" + body)),
        st.lists(
            st.tuples(st.sampled_from([b"fmt ", b"data", b"LIST"]), st.binary(max_size=40)),
            max_size=5,
        ).map(lambda chunks: riff(*(chunk(*each) for each in chunks))),
        st.tuples(st.integers(0, 43), st.integers(0, 255), st.integers(0, 244)).map(
            lambda t: damaged(*t)
        ),
    )
)
@example(b"RIFF\xff\xff\xff\xffWAVEdata\xff\xff\xff\xff")
def test_garbage_is_read_or_refused_and_nothing_else(garbage: bytes) -> None:
    try:
        wav = read_wav(garbage)
    except ValueError:
        return
    assert len(wav.pcm) % (2 * wav.channels) == 0
    assert len(wav.pcm) <= 2 * len(garbage)


def damaged(at: int, value: int, size: int) -> bytes:
    """A good file with one wrong byte in its header, cut short."""
    file = bytearray(wav_bytes(PCM, 8_000, 2))
    file[at] = value
    return bytes(file[:size])

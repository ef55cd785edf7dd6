"""WAV files, as bytes: written as 16-bit PCM, read as that or as G.711.

Reading forgives what recorders leave behind (a file cut short, a length never filled in,
chunks in any order) and refuses, with a ``ValueError``, what cannot be sound for us.
"""

import struct
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from opusbridge.audio import g711

HEADER_BYTES = 44
#: A length of all ones is the custom for "until the end of the file".
UNKNOWN_LENGTH = 0xFFFF_FFFF

_EXTENSIBLE = 0xFFFE
#: By the format's tag and bits a sample: what makes 16-bit PCM of it.
_READERS: dict[tuple[int, int], Callable[[bytes], bytes]] = {
    (1, 16): bytes,
    (6, 8): g711.pcma_decode,
    (7, 8): g711.pcmu_decode,
}


@dataclass(frozen=True, slots=True)
class Wav:
    rate_hz: int
    channels: int
    pcm: bytes
    """Signed 16-bit little-endian, whole samples of all channels, interleaved."""


def wav_header(rate_hz: int, channels: int, data_bytes: int) -> bytes:
    """The first 44 bytes of a file of 16-bit PCM; to be written again when it has grown."""
    frame_bytes = 2 * channels
    format = struct.pack("<HHIIHH", 1, channels, rate_hz, rate_hz * frame_bytes, frame_bytes, 16)
    return b"".join(
        (
            b"RIFF",
            _length(HEADER_BYTES - 8 + data_bytes),
            b"WAVE",
            b"fmt ",
            _length(len(format)),
            format,
            b"data",
            _length(data_bytes),
        )
    )


def wav_bytes(pcm: bytes, rate_hz: int, channels: int) -> bytes:
    """A whole file of 16-bit PCM, channels interleaved."""
    assert len(pcm) % (2 * channels) == 0, "a broken sample"
    return wav_header(rate_hz, channels, len(pcm)) + pcm


def read_wav(data: bytes) -> Wav:
    """The sound of a file; of one cut short, what there is."""
    if data[:4] != b"RIFF" or data[8:12] != b"WAVE":
        raise ValueError("this is not a WAV file")
    # The first of each kind counts.
    chunks: dict[bytes, bytes] = {}
    for name, body in _chunks(data):
        chunks.setdefault(name, body)
    if b"fmt " not in chunks:
        raise ValueError("this WAV file does not say its format")
    if b"data" not in chunks:
        raise ValueError("this WAV file holds no sound")
    rate_hz, channels, decode = _understood(chunks[b"fmt "])
    pcm = decode(chunks[b"data"])
    return Wav(rate_hz, channels, pcm[: len(pcm) - len(pcm) % (2 * channels)])


def _length(value: int) -> bytes:
    return struct.pack("<I", min(value, UNKNOWN_LENGTH))


def _chunks(data: bytes) -> Iterator[tuple[bytes, bytes]]:
    """Name and body of each; a body that claims more than there is gets what there is."""
    at = 12
    while at + 8 <= len(data):
        name, size = struct.unpack_from("<4sI", data, at)
        yield name, data[at + 8 : at + 8 + size]
        # Chunks begin at even places.
        at += 8 + size + size % 2


def _understood(format: bytes) -> tuple[int, int, Callable[[bytes], bytes]]:
    if len(format) < 16:
        raise ValueError("this WAV file's description of its format is cut short")
    tag, channels, rate_hz, _, _, bits = struct.unpack_from("<HHIIHH", format)
    if tag == _EXTENSIBLE and len(format) >= 26:
        (tag,) = struct.unpack_from("<H", format, 24)
    if channels == 0 or rate_hz == 0:
        raise ValueError("this WAV file claims to have no channels or no rate")
    if (tag, bits) not in _READERS:
        raise ValueError("this WAV file is neither 16-bit PCM nor G.711; convert it to one of them")
    return rate_hz, channels, _READERS[tag, bits]

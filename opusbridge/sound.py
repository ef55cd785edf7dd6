"""Audio as it travels between the peers: a base64 text with its format.

A caller's frame passes fifty times a second, and mostly through: the text that came is
the text that goes. So :class:`Audio` keeps what it was made of, text or bytes, and makes
the other only when asked, once.
"""

from __future__ import annotations

from base64 import b64decode, b64encode
from dataclasses import dataclass, field
from enum import StrEnum


class Encoding(StrEnum):
    PCM = "pcm"  # signed 16-bit, little-endian
    PCMU = "pcmu"  # G.711 mu-law
    PCMA = "pcma"  # G.711 A-law


@dataclass(frozen=True, slots=True)
class AudioFormat:
    """One channel, headerless."""

    encoding: Encoding
    rate_hz: int
    sample_bytes: int = field(init=False, repr=False, compare=False)
    bytes_per_ms: int = field(init=False, repr=False, compare=False)
    """8, 16, 32 or 48: every rate we speak is a whole number of samples a millisecond."""

    def __post_init__(self) -> None:
        # Asked for with every frame, so worked out once; frozen all the same.
        sample_bytes = 2 if self.encoding is Encoding.PCM else 1
        object.__setattr__(self, "sample_bytes", sample_bytes)
        object.__setattr__(self, "bytes_per_ms", sample_bytes * self.rate_hz // 1000)


PCMU_8K = AudioFormat(Encoding.PCMU, 8_000)
PCMA_8K = AudioFormat(Encoding.PCMA, 8_000)
PCM_8K = AudioFormat(Encoding.PCM, 8_000)
PCM_16K = AudioFormat(Encoding.PCM, 16_000)
PCM_24K = AudioFormat(Encoding.PCM, 24_000)


_BASE64 = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/="


def is_base64(text: str) -> bool:
    """Whether it is well-formed and not empty, by RFC 4648, without decoding it.

    Asked of every frame of a caller's, and a third of the price of the strict decoder.
    """
    if not text or len(text) % 4 or not text.isascii():
        return False
    if text.encode().translate(None, _BASE64):
        return False
    pads = text.find("=")
    return pads < 0 or text[pads:] in ("=", "==")


def sound_bytes(text: str) -> int:
    """How many bytes well-formed base64 stands for."""
    size = len(text) * 3 // 4
    if text[-1:] != "=":
        return size
    return size - 2 if text[-2] == "=" else size - 1


def silenced(text: object, silence: bytes) -> str:
    """The same length of silence, of whose format ``silence`` is a byte, in base64; empty, if
    there is no sound in it."""
    if type(text) is not str or not is_base64(text):
        return ""
    return b64encode(silence * sound_bytes(text)).decode()


class Audio:
    """A stretch of sound, held as base64 text or as bytes, whichever it came as."""

    __slots__ = ("_raw", "_text", "format")

    def __init__(self, text: str, format: AudioFormat) -> None:
        """``text`` is well-formed base64: whoever took it from a peer has checked that."""
        self._text: str | None = text
        self._raw: bytes | None = None
        self.format = format

    @classmethod
    def of(cls, raw: bytes, format: AudioFormat) -> Audio:
        """From bytes in ``format``."""
        audio = cls.__new__(cls)
        audio._text, audio._raw, audio.format = None, raw, format
        return audio

    @property
    def text(self) -> str:
        """Base64, as it came or made now."""
        if self._text is None:
            assert self._raw is not None
            self._text = b64encode(self._raw).decode("ascii")
        return self._text

    @property
    def raw(self) -> bytes:
        """The bytes, in ``format``."""
        if self._raw is None:
            assert self._text is not None
            self._raw = b64decode(self._text)
        return self._raw

    @property
    def size_bytes(self) -> int:
        """How many bytes of sound, without decoding."""
        if self._raw is not None:
            return len(self._raw)
        assert self._text is not None
        return sound_bytes(self._text)

    @property
    def ms(self) -> float:
        return self.size_bytes / self.format.bytes_per_ms

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Audio):
            return NotImplemented
        return self.format == other.format and self.raw == other.raw

    def __hash__(self) -> int:
        return hash((self.format, self.raw))

    def __repr__(self) -> str:
        return f"<{self.ms:g} ms of {self.format.encoding} at {self.format.rate_hz} Hz>"

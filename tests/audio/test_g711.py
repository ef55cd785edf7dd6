import numpy as np

from opusbridge.audio import g711
from tests.audio.signals import samples_of

EVERY_BYTE = bytes(range(256))
EVERY_SAMPLE = np.arange(-32768, 32768).astype("<i2").tobytes()


def pcmu_value(code: int) -> int:
    """ITU-T G.711, table 2, on a scale of 16 bits."""
    code ^= 0xFF
    segment, step = code >> 4 & 7, code & 15
    magnitude = (33 + 2 * step << segment) - 33 << 2
    return -magnitude if code & 0x80 else magnitude


def pcma_value(code: int) -> int:
    """ITU-T G.711, table 1, on a scale of 16 bits."""
    code ^= 0x55
    segment, step = code >> 4 & 7, code & 15
    magnitude = 2 * step + 1 if segment == 0 else 33 + 2 * step << segment - 1
    return 8 * magnitude if code & 0x80 else -8 * magnitude


def test_every_mu_law_byte_is_the_value_of_the_recommendation() -> None:
    assert samples_of(g711.pcmu_decode(EVERY_BYTE)).tolist() == [
        pcmu_value(code) for code in EVERY_BYTE
    ]


def test_every_a_law_byte_is_the_value_of_the_recommendation() -> None:
    assert samples_of(g711.pcma_decode(EVERY_BYTE)).tolist() == [
        pcma_value(code) for code in EVERY_BYTE
    ]


def test_every_sample_falls_into_the_interval_around_its_mu_law_value() -> None:
    samples = samples_of(EVERY_SAMPLE)
    codes = np.frombuffer(g711.pcmu_encode(EVERY_SAMPLE), np.uint8)
    miss = np.abs(np.array([pcmu_value(code) for code in EVERY_BYTE])[codes] - samples)
    half_interval = 4 << ((codes ^ 0xFF) >> 4 & 7).astype(int)

    in_range = np.abs(samples) <= 32_635
    # Mu-law is of 14 bits, so up to 3 of our 16 are not looked at.
    assert (miss - half_interval)[in_range].max() <= 3
    assert set(codes[~in_range]) == {0x80, 0x00}


def test_every_sample_falls_into_the_interval_around_its_a_law_value() -> None:
    samples = samples_of(EVERY_SAMPLE)
    codes = np.frombuffer(g711.pcma_encode(EVERY_SAMPLE), np.uint8)
    miss = np.abs(np.array([pcma_value(code) for code in EVERY_BYTE])[codes] - samples)
    half_interval = 4 << np.maximum((codes ^ 0x55) >> 4 & 7, 1).astype(int)

    assert (miss - half_interval).max() <= 0


def test_coding_again_changes_nothing_but_the_second_zero_of_mu_law() -> None:
    assert g711.pcma_encode(g711.pcma_decode(EVERY_BYTE)) == EVERY_BYTE
    assert g711.pcmu_encode(g711.pcmu_decode(EVERY_BYTE)) == EVERY_BYTE.replace(b"\x7f", b"\xff")


def test_nothing_becomes_nothing() -> None:
    assert g711.pcmu_decode(b"") == g711.pcmu_encode(b"") == b""
    assert g711.pcma_decode(b"") == g711.pcma_encode(b"") == b""

from base64 import b64encode

import pytest

from opusbridge.recording.runs import sizes_and_hash


@pytest.mark.parametrize(
    "sizes", [[160] * 5, [162, 160, 161], [161, 161], [161, 160, 162], [159] * 3, [1, 2, 3]]
)
def test_every_piece_is_as_long_as_it_was(sizes: list[int]) -> None:
    line = sizes_and_hash([b64encode(bytes(size)).decode() for size in sizes], False)

    assert line["bytes"] == sum(sizes)
    assert line["sizes"] == (sizes[0] if len(set(sizes)) == 1 else sizes)

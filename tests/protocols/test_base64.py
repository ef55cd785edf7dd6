"""Well-formed base64 is told from the other without decoding it."""

from base64 import b64encode
from binascii import a2b_base64

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from opusbridge.sound import is_base64


def decodes(text: str) -> bool:
    try:
        return len(a2b_base64(text, strict_mode=True)) == len(text) * 3 // 4 - text.count("=")
    except ValueError:
        return False


@given(st.binary(min_size=1, max_size=50))
def test_what_was_encoded_is_well_formed(raw: bytes) -> None:
    assert is_base64(b64encode(raw).decode())


@given(st.text("AQx9+/=", max_size=12) | st.text(max_size=8))
@example("AA==")
@example("AAA=AAA=")
@example("A===")
@example("====")
@example("=AAA")
@example("AAé=")
def test_it_is_judged_as_the_strict_decoder_judges(text: str) -> None:
    assert is_base64(text) == (text != "" and len(text) % 4 == 0 and decodes(text))


@pytest.mark.parametrize("text", ["", "AAA", "AA=A", "A A=", "AAA-", "\ud800AAA"])
def test_what_is_not_is_refused(text: str) -> None:
    assert not is_base64(text)

from typing import Any

import orjson
import pytest

from opusbridge.privacy import Private
from opusbridge.texts import LONGEST_MENDED, as_json, from_json, well_formed


@pytest.mark.parametrize(
    ("text", "read"),
    [
        ("plain", "plain"),
        ("Grüße 😀", "Grüße 😀"),
        ("a\ud83d", "a\ufffd"),
        ("\ude00b", "\ufffdb"),
        ("\ud83d\ud83d\ude00!", "\ufffd😀!"),
        ("\ud83d\ude00", "😀"),
    ],
)
def test_half_a_character_is_replaced_and_two_halves_are_one(text: str, read: str) -> None:
    assert well_formed(text) == read
    assert read.encode()


@pytest.mark.parametrize(
    ("text", "value"),
    [
        (r'"a\ud83d"', "a\ufffd"),
        (r'"\uDE00 b"', "\ufffd b"),
        (r'"\ud83d\ude00\ud83d"', "😀\ufffd"),
        (r'"\ud83d\ud83d\ude00"', "\ufffd😀"),
        (r'"\\ud83d \ud83d"', r"\ud83d " + "\ufffd"),
        (r'"\\\ud83d\n"', "\\\ufffd\n"),
        (r'{"\udc00": ["\ud800", 1]}', {"\ufffd": ["\ufffd", 1]}),
        ('"a\ud83d"', "a\ufffd"),
        ('"ok"', "ok"),
    ],
)
def test_json_with_half_a_character_is_read_and_the_rest_of_it_kept(text: str, value: Any) -> None:
    assert from_json(text) == value


@pytest.mark.parametrize(
    "text",
    [
        *("", "no json", r'"\ud83d', r'{"\ud83d"}', r'"\u12"', "\ud83d"),
        pytest.param(r'"\ud83d' + "x" * LONGEST_MENDED + '"', id="too-long-to-be-mended"),
    ],
)
def test_what_is_no_json_is_still_none(text: str) -> None:
    with pytest.raises(orjson.JSONDecodeError):
        from_json(text)


def bare(value: object) -> object:
    if isinstance(value, Private):
        return value.value
    raise TypeError


def test_what_holds_half_a_character_anywhere_is_written_all_the_same() -> None:
    value = {
        "a\ud83d": [1, None, ("b\ude00", {"c": "é"})],
        "private": Private("d\ud83d"),
        "list": Private(["e\ud83d"]),
        "ready": orjson.Fragment('"f"'),
    }

    written = as_json(value, bare, orjson.OPT_PASSTHROUGH_DATACLASS)

    assert orjson.loads(written) == {
        "a\ufffd": [1, None, ["b\ufffd", {"c": "é"}]],
        "private": "d\ufffd",
        "list": ["e\ufffd"],
        "ready": "f",
    }
    assert as_json("é") == '"é"'.encode()


def test_what_cannot_be_written_is_still_refused() -> None:
    deep: Any = "\ud83d"
    for _ in range(2_000):
        deep = [deep]
    for value in (object(), {"a\ud83d": object()}, deep, ["\ud83d", deep], {3: 4}):
        with pytest.raises(orjson.JSONEncodeError):
            as_json(value)

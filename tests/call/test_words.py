"""Which words were heard, in scripts with spaces and without."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from opusbridge.call.words import split_by_share


@pytest.mark.parametrize(
    ("share", "heard"), [(0.0, ""), (0.1, ""), (0.2, "aaa"), (0.7, "aaa bbb"), (1.0, "aaa bbb ccc")]
)
def test_a_word_was_heard_when_half_of_it_was(share: float, heard: str) -> None:
    text = "aaa bbb\n ccc"

    assert split_by_share(text, share)[0] == heard
    assert " ".join(filter(None, split_by_share(text, share))) == "aaa bbb ccc"


def test_no_words_cannot_be_heard() -> None:
    assert split_by_share("", 1.0) == ("", "")


@pytest.mark.parametrize(
    ("text", "heard"),
    [
        ("您的订单明天到达。", "您的订单"),  # Chinese: a syllable each
        ("ありがとうございます", "ありがとう"),  # Japanese, in kana
        ("สวัสดีครับ", "สวัสดี"),  # Thai: the vowel stays with its consonant
        ("ຂອບໃຈ", "ຂອບ"),  # Lao: a vowel written before its consonant stays with it
    ],
)
def test_a_script_without_spaces_is_cut_between_syllables(text: str, heard: str) -> None:
    assert split_by_share(text, 0.5) == (heard, text[len(heard) :])


def test_punctuation_stays_with_what_it_closes_and_what_it_opens() -> None:
    text = "好。「是」的"

    cuts = {split_by_share(text, share / 20)[0] for share in range(21)}

    assert cuts == {"", "好。", "好。「是」", text}


def test_kana_are_quicker_than_ideographs() -> None:
    # 20 of weight: a third of the time is one ideograph and a bit, or three kana.
    assert split_by_share("日本語かなです", 0.6) == ("日本語", "かなです")


def test_a_word_of_another_script_among_ideographs_is_one_word() -> None:
    assert split_by_share("我要买iPhone", 0.6) == ("我要买", "iPhone")


@pytest.mark.parametrize("text", ["ー々", "ก่", "เ", "「", "\u0301a", "ๆๆ"])
def test_a_text_of_odd_signs_alone_is_cut_somewhere_or_nowhere(text: str) -> None:
    heard, unheard = split_by_share(text, 0.5)

    assert heard + unheard == text


letters = st.text(st.sampled_from("ab 漢字かなー。「」ไก่า้\u0301\n"), max_size=30)


@given(letters, st.floats(0, 1), st.floats(0, 1))
def test_nothing_is_lost_and_more_sound_is_never_fewer_words(
    text: str, one: float, other: float
) -> None:
    less, more = sorted((one, other))
    heard, unheard = split_by_share(text, less)

    assert (heard + unheard).replace(" ", "") == "".join(text.split())
    assert split_by_share(text, more)[0].startswith(heard)
    assert split_by_share(text, 1.0)[1] == ""

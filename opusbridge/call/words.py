"""Which of the words were heard, when so much of their sound was.

Speech is even enough that letters are a fair measure of time. Where a script puts no spaces
between words (Chinese, Japanese, Thai and their neighbours) each syllable stands for itself;
what cannot be said alone (a mark, a vowel sign, punctuation) stays with its neighbour.
"""

import re
import unicodedata

#: A syllable each, and as long as a short word: about four a second are spoken, and about
#: fifteen letters.
_IDEOGRAPH = "\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U0003ffff"
_IDEOGRAPH_WEIGHT = 4.0
#: Kana are spoken at about seven a second.
_KANA = "\u3040-\u30ff\u31f0-\u31ff\uff66-\uff9f"
_KANA_WEIGHT = 2.0
#: Thai, Lao, Myanmar, Khmer: letters as ours, but no spaces.
_LETTERS = "\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff"
_PUNCTUATION = "\u3001-\u303f\uff01-\uff65"

_UNSPACED = re.compile(f"[{_IDEOGRAPH}{_KANA}{_LETTERS}{_PUNCTUATION}]")
_IS_IDEOGRAPH = re.compile(f"[{_IDEOGRAPH}]")
_IS_KANA = re.compile(f"[{_KANA}]")

#: Written before the consonant they are spoken after (Thai, Lao).
_LEADING = frozenset("เแโใไເແໂໃໄ")
#: Letters by category, but never the beginning of anything: vowels, small kana.
_TRAILING = frozenset("ะาำๅະາຳぁぃぅぇぉっゃゅょゎァィゥェォッャュョヮ")

#: Categories of what belongs to the letter before it, and to the one behind it.
_CLINGING = frozenset({"Mn", "Mc", "Me", "Lm", "Po", "Pe", "Pf", "Pd", "Pc"})
_OPENING = frozenset({"Ps", "Pi"})


def split_by_share(text: str, share: float) -> tuple[str, str]:
    """The words that fit into the first ``share`` of the sound, and the others.

    A word counts as heard when half of it was.
    """
    text = " ".join(text.split())
    if share <= 0 or share >= 1:  # most are heard to the end
        return ("", text) if share <= 0 else (text, "")
    units = _units(text)
    budget, used, cut = share * sum(weight for _, weight in units), 0.0, 0
    for end, weight in units:
        if used + weight / 2 > budget:
            break
        used += weight
        cut = end
    return text[:cut].rstrip(), text[cut:].lstrip()


def _units(text: str) -> list[tuple[int, float]]:
    """Where each word, or syllable, ends, and how long it takes to say."""
    found: list[tuple[int, float]] = []
    start = 0
    for at in range(1, len(text) + 1):
        if at == len(text) or _may_part(text[at - 1], text[at]):
            found.append((at, _weight(text[start:at])))
            start = at
    return found


def _may_part(before: str, after: str) -> bool:
    if before == " ":
        return True
    if after == " " or not (_UNSPACED.match(before) or _UNSPACED.match(after)):
        return False
    if before in _LEADING or unicodedata.category(before) in _OPENING:
        return False
    return after not in _TRAILING and unicodedata.category(after) not in _CLINGING


def _weight(unit: str) -> float:
    if _IS_IDEOGRAPH.search(unit):
        return _IDEOGRAPH_WEIGHT
    if _IS_KANA.search(unit):
        return _KANA_WEIGHT
    # A word's own space, and as much for the last one, which has none.
    return len(unit) + (not unit.endswith(" ") and not _UNSPACED.match(unit))

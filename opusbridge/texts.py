"""Texts that everybody can read: no half of a character in them.

Half of a surrogate pair is no character and in no UTF-8 text, yet Python's texts and JSON's
escapes (``\\ud83d``) can hold one: a tool gives it back, a peer cuts its text in the middle of
an emoji. What is read or written here has U+FFFD in its place, and keeps all the rest.
"""

import re
from collections.abc import Callable, Mapping
from typing import Any

import orjson

#: A whole pair, a half of one, or a stretch of anything else: matched in turn, so that the
#: backslash of an escaped backslash is never taken for the beginning of the next.
_ESCAPES = re.compile(
    r"\\u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2}"
    r"|(\\u[dD][89a-fA-F][0-9a-fA-F]{2})"
    r"|(?:[^\\]|\\(?!u[dD][89a-fA-F]).)+",
    re.DOTALL,
)

#: Characters of a text that is mended: no message of words is longer, and looking through one
#: of such halves alone takes milliseconds.
LONGEST_MENDED = 32 * 1024

#: The encoder goes no deeper, and we need not.
_DEEPEST = 254


def well_formed(text: str) -> str:
    """``text`` with U+FFFD for each half of a character; two halves side by side become whole."""
    if text.isascii():
        return text
    return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")


def from_json(text: str) -> Any:
    """As ``orjson.loads``, which refuses a text with half a character as if it were no JSON.

    One longer than :data:`LONGEST_MENDED` is refused here, too. Raises ``orjson.JSONDecodeError``.
    """
    try:
        return orjson.loads(text)
    except orjson.JSONDecodeError:
        if len(text) > LONGEST_MENDED:
            raise
        mended = _ESCAPES.sub(_mended, well_formed(text))
        if mended == text:
            raise
        return orjson.loads(mended)


def as_json(
    value: Any, default: Callable[[Any], Any] | None = None, option: int | None = None
) -> bytes:
    """As ``orjson.dumps``, for values that may hold half a character; raises as it does."""
    try:
        return orjson.dumps(value, default, option)
    except orjson.JSONEncodeError as error:
        if "surrogates" not in str(error):
            raise
        mended = None if default is None else lambda odd: whole(default(odd))
        return orjson.dumps(whole(value), mended, option)


def whole(value: Any, depth: int = 0) -> Any:
    """``value`` with every text in its lists and mappings :func:`well_formed`."""
    if isinstance(value, str):
        return well_formed(value)
    if depth == _DEEPEST:
        return value
    if isinstance(value, Mapping):
        return {_whole_key(key): whole(one, depth + 1) for key, one in value.items()}
    if isinstance(value, list | tuple):
        return [whole(one, depth + 1) for one in value]
    return value


def _whole_key(key: Any) -> Any:
    return well_formed(key) if isinstance(key, str) else key


def _mended(escape: re.Match[str]) -> str:
    return r"\ufffd" if escape[1] else escape[0]

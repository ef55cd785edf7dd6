"""What looks like a secret by its key is never written.

The key tells, in an object as in a text that holds JSON (a tool's arguments and its output are
such texts): whatever stands under it goes, but for yes, no and nothing. Within a text everything
else stays as it was spelled, wherever the text ends or is quoted: so what is made of a redacted
text is what is left when the same, made of the whole text, is redacted.
"""

import re
from collections.abc import Iterator
from typing import Any

REDACTED = "<redacted>"

#: Levels of nesting; ours and the providers' messages have fewer than ten, tools' schemas more.
DEEPEST = 64

#: Of the counts of tokens that usage is told in, none ends so.
_SECRET = re.compile(r"token$|secret|password|passwd|authorization|api[-_]?key", re.IGNORECASE)

#: The same in the middle of a text, where a quote may have backslashes before it: the more, the
#: deeper the text that it is in was quoted.
_WORD = r'token(?=\\*")|secret|password|passwd|authorization|api[-_]?key'
_SECRET_WORD = re.compile(_WORD, re.IGNORECASE)


def _spelled(found: re.Match[str]) -> str:
    """A letter, or one of several, or the same as an escape, however deep that is quoted."""
    letters = found[0].strip("[]")
    codes = "|".join(f"{ord(one):02x}" for one in letters + letters.upper())
    return rf"(?:{found[0]}|(?<!\\)\\++u00(?:{codes}))"


#: Letters, hyphens and low lines as no JSON need spell them: only who hides something does.
_ESCAPED = re.compile(r"\\u00(?:[4-7]|2[dD])")
_ESCAPED_WORD = re.compile(
    r"(?=[tspa\\])(?:" + re.sub(r"\[-_\]|[a-z]", _spelled, _WORD) + ")", re.IGNORECASE
)

_BLANK = r"(?:\s|\\+[nrt])*"
_REST_OF_KEY = re.compile(
    rf'(?:[^"\\]|\\+u[0-9a-fA-F]{{4}}){{0,128}}(?P<escape>\\*)"{_BLANK}:{_BLANK}'
)
_QUOTE = re.compile(r'\\+"?|"')
_QUOTE_OR_BRACKET = re.compile(r'\\+"?|["\[\]{}]')
_NUMBER = re.compile(r"-?\d[\d.eE+-]*")

#: Of an MCP server's address: the rest of some is as good as a key.
_HOST = re.compile(r"https?://[^/?#@]+(?=[/?#]|$)")

#: Pieces of a tool's arguments, cut anywhere: nobody can see what is in one, and the whole
#: follows them.
_PIECES = ("response.function_call_arguments.delta", "response.mcp_call_arguments.delta")

#: One of these is in every text in which there is a secret's key,
_WORDS = ("token", "secret", "passw", "authorization", "api")
#: and one of these, or a backslash, in every message of which something may have to go.
_SIGNS = ('token"', *_WORDS[1:], "headers", "server_url", "arguments.delta")

#: Keys of a policy under which the keys are names that the agent's author gave.
_NAMED = ("tools", "clips", "clip_words")

#: Keys of what a tool was given, and of what it gave.
_OF_TOOLS = frozenset({"arguments", "output"})


def is_open(text: str) -> bool:
    """Nothing in it can look like a secret: most messages."""
    small = text.lower()
    return not ("\\" in text or any(map(small.__contains__, _SIGNS)))


def redacted(value: Any, depth: int = 0) -> Any:
    """``value``, in JSON's own types, without what looks like a secret by its key.

    What is nested deeper than any message we know is left out: only malice goes there.
    """
    if depth > DEEPEST:
        return "<too deep>"
    if isinstance(value, str):
        return redacted_text(value)
    if isinstance(value, list):
        return [redacted(inner, depth + 1) for inner in value]
    if not isinstance(value, dict):
        return value
    if value.get("type") in _PIECES and "delta" in value:
        value = {**value, "delta": REDACTED}
    # In a schema there is what each thing that a tool takes is to be, by its name.
    named = value.get("properties") if value.get("type") == "object" else None
    found = {key: _redacted_value(key, inner, depth + 1) for key, inner in value.items()}
    if isinstance(named, dict):
        found["properties"] = {
            name: redacted(inner, depth + 2)
            if isinstance(inner, dict)
            else _redacted_value(name, inner, depth + 2)
            for name, inner in named.items()
        }
    return found


def _redacted_value(key: str, value: Any, depth: int) -> Any:
    if _SECRET.search(key) and value is not None and not isinstance(value, bool):
        return REDACTED
    if key == "headers" and isinstance(value, dict):
        return dict.fromkeys(value, REDACTED)  # of an MCP server: their names tell nothing
    if key == "server_url" and isinstance(value, str):
        found = _HOST.match(value)
        return f"{found[0]}/{REDACTED}" if found else REDACTED
    return redacted(value, depth)


def redacted_policy(policy: Any) -> Any:
    """The same of how a call is to be conducted, as the object it is written as."""
    if not isinstance(policy, dict):
        return redacted(policy)
    return {
        key: {name: redacted(one) for name, one in inner.items()}
        if key in _NAMED
        else redacted(inner)
        for key, inner in policy.items()
    }


def of_a_tool(value: Any) -> bool:
    """Whether something of what a tool was given, or gave, was left out of this."""
    if isinstance(value, list):
        return any(map(of_a_tool, value))
    if not isinstance(value, dict):
        return False
    told = (inner for key, inner in value.items() if key in _OF_TOOLS)
    if any(isinstance(one, str) and REDACTED in one for one in told):
        return True
    return any(map(of_a_tool, value.values()))


# --- Within a text ----------------------------------------------------------------------


def redacted_text(text: str) -> str:
    """The same of a text that may hold JSON, be it cut off, quoted, or among other words."""
    if '"' not in text:
        return text
    if _ESCAPED.search(text):
        return "".join(_pieces(text, _ESCAPED_WORD))
    small = text.lower()
    return "".join(_pieces(text, _SECRET_WORD)) if any(map(small.__contains__, _WORDS)) else text


def _pieces(text: str, secret: re.Pattern[str]) -> Iterator[str]:
    done = 0
    for word in secret.finditer(text):
        key = _REST_OF_KEY.match(text, word.end()) if word.start() >= done else None
        value = None if key is None else _value(text, key.end(), key["escape"])
        if key is not None and value is not None:
            yield text[done : key.end()]
            done, instead = value
            yield instead
    yield text[done:]


def _value(text: str, at: int, escape: str) -> tuple[int, str] | None:
    """Where it ends, and what is to stand there; ``escape``: what is before each quote of it."""
    quote = f'{escape}"'
    if text.startswith(quote, at):
        end, whole = _end_of_text(text, at + len(quote), len(escape))
        return end, f"{quote}{REDACTED}{quote if whole else ''}"
    if text.startswith(("[", "{"), at):
        return _end_of_many(text, at, len(escape)), f"{quote}{REDACTED}{quote}"
    number = _NUMBER.match(text, at)
    return None if number is None else (number.end(), f"{quote}{REDACTED}{quote}")


def _end_of_text(text: str, at: int, depth: int) -> tuple[int, bool]:
    """And whether it is there: a text may be cut off, or what it is quoted in ends first.

    ``depth``: how many backslashes are before a quote that begins or ends it; one within it has
    twice as many and one more, a backslash within it is as many as that and one more.
    """
    for found in _QUOTE.finditer(text, at):
        count = len(found[0]) - 1
        if not found[0].endswith('"'):
            continue
        if count % (2 * depth + 2) == depth:
            return found.end(), True
        if count < depth:
            return found.start(), False
    return len(text), False


def _end_of_many(text: str, at: int, depth: int) -> int:
    """Of a list or an object."""
    level, within = 0, False
    for found in _QUOTE_OR_BRACKET.finditer(text, at):
        what, count = found[0][-1], len(found[0]) - 1
        if what == '"' and count % (2 * depth + 2) == depth:
            within = not within
        elif what == '"' and count < depth:
            return found.start()
        elif what in "[]{}" and not within:
            level += 1 if what in "[{" else -1
            if level == 0:
                return found.end()
    return len(text)

"""Where in a TOML text each key and each entry of a list stands, for error messages.

``tomllib`` gives values without places. This walks over a text that ``tomllib`` has taken
already, so it need not check anything: it only counts lines.
"""

import re
from collections.abc import Iterator

#: Of keys and indices, as pydantic names a place: ``("caller", "steps", 2, "say")``.
Path = tuple[str | int, ...]

_BARE = re.compile(r"[A-Za-z0-9_-]+")
_BLANK = re.compile(r"(?:[ \t\r\n]+|#[^\n]*)*")
_STRING = re.compile(
    r'"""(?:[^\\]|\\.)*?"{3,5}|' + r"'''.*?'{3,5}|" + r'"(?:[^"\\\n]|\\.)*"|' + r"'[^'\n]*'",
    re.DOTALL,
)
_SCALAR = re.compile(r"[^,\]}\n#]+")


def places(text: str) -> dict[Path, int]:
    """The line, from 1, of every key and entry of a valid TOML text."""
    return dict(_Walk(text).pairs())


def nearest(found: dict[Path, int], path: Path) -> int | None:
    """The line of what stands there or, where it is missing, of what it is missing from."""
    while path and path not in found:
        path = path[:-1]
    return found.get(path)


class _Walk:
    def __init__(self, text: str) -> None:
        self._text, self._at = text, 0
        self._tables: dict[Path, int] = {}  # of arrays of tables: the index of the last one
        self._seen: set[Path] = set()

    def pairs(self) -> Iterator[tuple[Path, int]]:
        table: Path = ()
        while self._skip():
            line = self._line
            if self._text[self._at] == "[":
                *implied, table = self._header()
                for path in implied:  # by the header, unless they had one of their own
                    if path not in self._seen:
                        self._seen.add(path)
                        yield path, line
                self._seen.add(table)
                yield table, line
            else:
                yield from self._pair(table)

    @property
    def _line(self) -> int:
        return self._text.count("\n", 0, self._at) + 1

    def _skip(self) -> bool:
        """Over blanks and comments; whether anything follows."""
        blank = _BLANK.match(self._text, self._at)
        assert blank is not None
        self._at = blank.end()
        return self._at < len(self._text)

    def _take(self, mark: str) -> bool:
        self._skip()
        found = self._text.startswith(mark, self._at)
        self._at += len(mark) if found else 0
        return found

    def _header(self) -> list[Path]:
        """All the tables it names, the outermost first."""
        many = self._text.startswith("[[", self._at)
        self._at += 2 if many else 1
        names = self._key()
        path: Path = ()
        found: list[Path] = []
        for depth, name in enumerate(names):
            path = (*path, name)
            found.append(path)
            last = depth == len(names) - 1
            if last and many:
                self._tables[path] = self._tables.get(path, -1) + 1
            if path in self._tables:
                path = (*path, self._tables[path])
                found.append(path)
        self._at += 2 if many else 1
        return found

    def _key(self) -> list[str]:
        """``a."b c".d``, up to the ``=`` or the ``]`` behind it."""
        names: list[str] = []
        while True:
            self._skip()
            quoted = _STRING.match(self._text, self._at)
            found = quoted or _BARE.match(self._text, self._at)
            assert found is not None, "the text is not TOML"
            self._at = found.end()
            names.append(found.group()[1:-1] if quoted else found.group())
            if not self._take("."):
                return names

    def _pair(self, table: Path) -> Iterator[tuple[Path, int]]:
        line = self._line
        path = table
        for name in self._key():
            path = (*path, name)
            yield path, line
        self._take("=")
        yield from self._value(path)

    def _value(self, path: Path) -> Iterator[tuple[Path, int]]:
        self._skip()
        if self._take("["):
            index = 0
            while not self._take("]"):
                yield (*path, index), self._line
                yield from self._value((*path, index))
                self._take(",")
                index += 1
        elif self._take("{"):
            while not self._take("}"):
                yield from self._pair(path)
                self._take(",")
        else:
            found = _STRING.match(self._text, self._at) or _SCALAR.match(self._text, self._at)
            assert found is not None, "the text is not TOML"
            self._at = found.end()
